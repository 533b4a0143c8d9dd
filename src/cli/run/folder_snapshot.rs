//! Finds out that the schedule files changed: it compares their names, sizes and times twice a second. Does not know what is in them.
//!
//! Why not inotify: its events are faster, but they are about one folder as it was when the watch began. They miss a symbolic link that
//! is swapped (`ln -sfn`, the `..data` of a Kubernetes config map), a network file system, and what happens when the queue of events is
//! full. A snapshot costs microseconds and misses none of these.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::reload::{Patience, Reload};
use crate::config::Settings;
use crate::schedule_files::is_schedule;

/// The time between two snapshots. When two in a row are equal, the edit is complete.
const PERIOD: Duration = Duration::from_millis(500);

/// The time until good files are read again that were not accepted for another reason.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The files of a schedules folder, and when each was changed. `None` where something is not there, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FolderSnapshot(Option<Vec<(OsString, Option<Stamp>)>>);

/// Which file it is and when it was changed: device, inode, size, and the times of its content and of itself.
pub(super) type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl FolderSnapshot {
    /// One that no folder is like.
    pub(super) fn unknown() -> FolderSnapshot {
        FolderSnapshot(None)
    }

    /// The files, by name.
    pub(super) fn files(&self) -> impl Iterator<Item = (&OsString, Option<Stamp>)> {
        self.0.iter().flatten().map(|(name, stamp)| (name, *stamp))
    }

    /// Of a folder; symbolic links are followed.
    pub(super) fn at(folder: &Path) -> FolderSnapshot {
        let Ok(entries) = fs::read_dir(folder) else { return FolderSnapshot(None) };
        let paths = entries.flatten().map(|entry| entry.path()).filter(|path| is_schedule(path));
        let mut files: Vec<_> = paths.map(|path| (path.file_name().unwrap_or_default().to_owned(), stamp(&path))).collect();
        files.sort_unstable();
        FolderSnapshot(Some(files))
    }
}

/// Of a file or a folder, if it is there.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), (file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())))
}

/// Reads the folder again when it changes, if the settings say so; and once more where the daemon began with another schedule, because
/// a file has to rest. `known`: the folder before its files were read.
pub(super) async fn follow(settings: Settings, known: FolderSnapshot, reads_again: bool, reload: Arc<Reload>) {
    if settings.watch {
        watch(settings.schedules, known, reload).await;
    } else if reads_again {
        // The result is logged, and nobody waits for it.
        let _ = reload.run("restart".to_owned(), Patience::Waits).await;
    }
}

/// Reloads when the folder has changed and then stays the same for half a second; where a file became smaller, when that has rested.
/// `known`: the folder before its files were read. Each change leads to one reload, unless a reload failed for another reason than the
/// files.
async fn watch(folder: PathBuf, mut known: FolderSnapshot, reload: Arc<Reload>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = known.clone();
    let mut rests_until: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let path = folder.clone();
        // A disk may not answer, and the daemon goes on.
        let Ok(snapshot) = tokio::task::spawn_blocking(move || FolderSnapshot::at(&path)).await else { continue };
        reload.note(&snapshot);
        let has_settled = snapshot == before;
        before = snapshot.clone();
        if !has_settled {
            rests_until = None;
        }
        if !has_settled || snapshot == known || rests_until.is_some_and(|until| Instant::now() < until) {
            continue;
        }
        // The result is logged, and nobody waits for it.
        let _ = Arc::clone(&reload).run("watch".to_owned(), Patience::Elsewhere).await;
        rests_until = reload.rests_for().map(|left| Instant::now() + left);
        if reload.has_failed() {
            tokio::time::sleep(RETRY_AFTER).await;
        } else if rests_until.is_none() {
            known = snapshot;
        }
    }
}
