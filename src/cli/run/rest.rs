//! How long each schedule file has not changed. A file that became smaller is believed only when it has rested: whoever copies it may
//! have paused. Does not know what is in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::folder_snapshot::{FolderSnapshot, Stamp};
use super::shrinkage::{Smaller, few};
use crate::clock;

/// How long a smaller file must not have changed before it is believed.
pub(super) const REST: Duration = Duration::from_secs(10);

/// How long it is known when a file went.
const GONE_KEPT: Duration = Duration::from_hours(1);

/// Since when each file is as it is.
pub(super) struct Rests {
    folder: PathBuf,
    /// Whether somebody looks twice a second: then what is noticed now has changed now. Else the file system says when.
    is_watched: bool,
    seen: BTreeMap<PathBuf, (Option<Stamp>, Instant)>,
}

/// Smaller files that have not rested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unrested {
    /// How long until they have, if they do not change again.
    pub(super) left: Duration,
    files: Vec<String>,
}

impl Unrested {
    /// Which files, and how much smaller they are.
    pub(super) fn why(&self) -> String {
        few(&self.files, "smaller files")
    }
}

impl Rests {
    /// Of this folder, as it is now.
    pub(super) fn new(folder: &Path, is_watched: bool) -> Rests {
        let mut rests = Rests { folder: folder.to_owned(), is_watched: false, seen: BTreeMap::new() };
        // Nobody looked before, so that the file system says when each was changed.
        rests.note(&FolderSnapshot::at(folder));
        rests.is_watched = is_watched;
        rests
    }

    /// The folder looks like this now.
    pub(super) fn note(&mut self, snapshot: &FolderSnapshot) {
        let now = Instant::now();
        let age = |stamp: Option<Stamp>| if self.is_watched { Duration::ZERO } else { stamp.map_or(Duration::ZERO, age) };
        let files: BTreeMap<PathBuf, Option<Stamp>> =
            snapshot.files().map(|(name, stamp)| (self.folder.join(name), stamp)).collect();
        for (path, (stamp, since)) in &mut self.seen {
            if !files.contains_key(path) && stamp.is_some() {
                (*stamp, *since) = (None, now);
            }
        }
        self.seen.retain(|_, (stamp, since)| stamp.is_some() || since.elapsed() <= GONE_KEPT);
        for (path, stamp) in files {
            let since = before_now(age(stamp));
            let seen = self.seen.entry(path).or_insert((stamp, since));
            if seen.0 != stamp {
                *seen = (stamp, since);
            }
        }
    }

    /// Of these files those that have not rested. `folder`: theirs, as it is now.
    pub(super) fn unrested(&mut self, smaller: &[Smaller], folder: Option<Stamp>) -> Option<Unrested> {
        let mut all = Vec::new();
        for Smaller { name, how } in smaller {
            // A file that is gone and that nobody saw went when the folder was changed last, or earlier.
            let gone = || (None, before_now(folder.map_or(Duration::ZERO, age)));
            let (_, since) = self.seen.entry(PathBuf::from(name.as_ref())).or_insert_with(gone);
            let left = REST.checked_sub(since.elapsed()).filter(|left| !left.is_zero());
            all.extend(left.map(|left| (left, format!("`{name}` {how}"))));
        }
        let longest = all.iter().map(|(left, _)| *left).max()?;
        Some(Unrested { left: longest, files: all.into_iter().map(|(_, file)| file).collect() })
    }
}

fn before_now(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(time).unwrap_or(now)
}

/// How long ago a file was changed, by the time of its inode, which a copy cannot set; not at all ago where the clock says later.
fn age((_, _, _, _, (seconds, nanoseconds)): Stamp) -> Duration {
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
    let changed = Timestamp::new(seconds, nanoseconds).unwrap_or(Timestamp::MAX);
    Duration::try_from(clock::now().duration_since(changed)).unwrap_or_default()
}
