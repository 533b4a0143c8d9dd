//! Copies of the ledger, made while it is in use: a copy is what the ledger was at one moment, is looked through before it gets its name,
//! and only so many are kept. Does not know when one is made, and copies nothing but the ledger.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::stand_aside::stand_aside;
use super::{FILE, LedgerError, Place, file, integrity, open_read_only};

/// So many pages are copied at once: 1 MiB.
const PAGES: i32 = 256;

/// The pause after each: the disk has time for the commits of the daemon.
const PAUSE: Duration = Duration::from_millis(5);

/// How the names of copies begin and end; between them is the moment, in UTC.
const NAME: (&str, &str) = ("ingestd-", ".db");

/// What the name of a copy that is being made ends with.
const UNFINISHED: &str = ".part";

/// What came of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupMade {
    /// The copy.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many older copies were deleted.
    pub deleted: usize,
}

/// Copies the ledger at this place into the folder `to`, which is made if it is not there, looks through the copy, and keeps
/// the newest `keep` copies there; `None`: all. A daemon goes on writing meanwhile.
///
/// Errors: the ledger is in a database, there is none, it cannot be read, the copy cannot be written, or it is not good. No copy is deleted then, and what was
/// copied is.
pub fn backup(place: &Place, to: &Path, keep: Option<u32>, now: Timestamp) -> Result<BackupMade, LedgerError> {
    let Some(state) = place.folder() else {
        let text = format!("the ledger is at the {place}: `pg_dump` makes a copy of it, and your database's own backups do");
        return Err(LedgerError::ours(text));
    };
    let made = |error| LedgerError::file(to, "make the folder of backups", error);
    fs::create_dir_all(to).map_err(|error| made(LedgerError::from(error)))?;
    let moment = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%S.%3fZ");
    let path = to.join(format!("{}{moment}{}", NAME.0, NAME.1));
    let unfinished = to.join(format!("{}{moment}{}{UNFINISHED}", NAME.0, NAME.1));
    // What a crash left behind.
    for file in files(to, UNFINISHED)? {
        let _ = fs::remove_file(file);
    }
    let result = copy(&state.join(FILE), &unfinished).and_then(|()| finish(&unfinished, &path, to));
    if let Err(error) = result {
        let _ = fs::remove_file(&unfinished);
        return Err(LedgerError::file(&unfinished, "make the backup", error));
    }
    let bytes = fs::metadata(&path)?.len();
    let deleted = keep.map_or(Ok(0), |keep| delete_older(to, keep))?;
    Ok(BackupMade { path, bytes, deleted })
}

/// Copies page after page of one moment: a transaction that reads is open all the while, so that what is written meanwhile neither shows
/// in the copy nor makes it begin anew.
fn copy(ledger: &Path, to: &Path) -> Result<(), LedgerError> {
    let source = open_read_only(ledger)?;
    file::create_private(to)?;
    let mut target = Connection::open(to)?;
    // It is synchronised once, when it is whole.
    target.pragma_update(None, "synchronous", "OFF")?;
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    let copying = Backup::new(&source, &mut target)?;
    loop {
        stand_aside();
        match copying.step(PAGES)? {
            StepResult::Done => break,
            StepResult::More => thread::sleep(PAUSE),
            // Nobody else has the target, and the source is being read: it passes.
            _ => thread::sleep(PAUSE * 5),
        }
    }
    drop(copying);
    // One file, without others beside it.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Looks through the copy, makes it durable and gives it its name.
fn finish(unfinished: &Path, path: &Path, folder: &Path) -> Result<(), LedgerError> {
    let problems = integrity::problems(&open_read_only(unfinished)?)?;
    if let Some(first) = problems.first() {
        return Err(LedgerError::ours(format!("the copy is not good: {first}")));
    }
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, path)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Deletes all but the newest `keep` copies. Returns how many.
fn delete_older(folder: &Path, keep: u32) -> Result<usize, LedgerError> {
    let mut copies = files(folder, NAME.1)?;
    copies.sort();
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let older = &copies[..copies.len().saturating_sub(keep)];
    for copy in older {
        fs::remove_file(copy).map_err(|error| LedgerError::file(copy, "delete the old backup", LedgerError::from(error)))?;
    }
    Ok(older.len())
}

/// The files of the folder that have a name as we give it, with this ending.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, LedgerError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let moment = name.strip_prefix(NAME.0).and_then(|rest| rest.strip_suffix(ending));
        let moment = moment.map(|moment| moment.strip_suffix(NAME.1).unwrap_or(moment));
        if moment.is_some_and(|moment| moment.len() == 20 && moment.ends_with('Z') && moment.as_bytes()[8] == b'T') {
            found.push(path);
        }
    }
    Ok(found)
}

impl fmt::Display for BackupMade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`, {} bytes, looked through; {} older deleted", self.path.display(), self.bytes, self.deleted)
    }
}
