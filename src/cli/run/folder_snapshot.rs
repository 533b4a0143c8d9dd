//! Sees that the schedule files changed, by looking at their names, sizes and times twice a second. An event of the kernel would tell
//! sooner, but it tells of one folder as it was when asked: a symbolic link that is swapped (`ln -sfn`, the `..data` of a Kubernetes
//! config map), a network file system and a full queue of events all pass it by. A snapshot costs microseconds and misses none of them.
//! Refuses to know what is in the files.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::reload::Reload;
use crate::schedule_files::is_schedule;

/// How long between two ticks. What two ticks in a row find alike has settled.
const PERIOD: Duration = Duration::from_millis(500);

/// How long until files are taken again that were good, and could not be taken up for another reason.
const AGAIN: Duration = Duration::from_secs(30);

/// What a folder of schedules ticks like from outside. `None` where something is not there, or may not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FolderSnapshot(Option<Vec<(OsString, Option<Stamp>)>>);

/// Which file it is and when it was changed: device, inode, size, and the times of its content and of itself.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl FolderSnapshot {
    /// At a folder, through whatever links lead there.
    pub(super) fn at(folder: &Path) -> FolderSnapshot {
        let Ok(entries) = fs::read_dir(folder) else { return FolderSnapshot(None) };
        let paths = entries.flatten().map(|entry| entry.path()).filter(|path| is_schedule(path));
        let mut files: Vec<_> = paths.map(|path| (path.file_name().unwrap_or_default().to_owned(), stamp(&path))).collect();
        files.sort_unstable();
        FolderSnapshot(Some(files))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), (file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())))
}

/// Reloads whenever the folder ticks other than it did, and stays so for half a second. `known`: as it looked before its files were
/// read. Each snapshot is acted upon once, unless what is
/// wrong is not the files.
pub(super) async fn watch(folder: PathBuf, mut known: FolderSnapshot, reload: Arc<Reload>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = known.clone();
    loop {
        ticks.tick().await;
        let path = folder.clone();
        // A disk may not answer, and the daemon goes on.
        let Ok(snapshot) = tokio::task::spawn_blocking(move || FolderSnapshot::at(&path)).await else { continue };
        let has_settled = snapshot == before;
        before = snapshot.clone();
        if !has_settled || snapshot == known {
            continue;
        }
        // What came of it is logged, and nobody else asked.
        let _ = Arc::clone(&reload).run("watch".to_owned(), false).await;
        if reload.has_failed() {
            tokio::time::sleep(AGAIN).await;
        } else {
            known = snapshot;
        }
    }
}
