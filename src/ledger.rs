//! The ledger says what was planned and what became of it: one SQLite file, or a station on PostgreSQL that several hosts share. What one
//! turn of the daemon decides is one transaction. It does not decide what to do next. Nothing outside it knows a database, and nothing in it
//! but `database` and `postgres` knows which one it is.
//!
//! Secrets and UserSigs are never stored. Stream URLs are stored in full, because a restart must send them as written; the file's
//! mode is 0600, and every output redacts them.

mod alerts;
mod apply;
mod backup;
mod chores;
mod columns;
mod commit;
#[cfg(feature = "postgres")]
mod copy;
mod database;
mod error;
mod excerpt;
mod file;
mod history;
mod holds;
mod integrity;
mod place;
#[cfg(feature = "postgres")]
pub mod postgres;
mod prune;
mod read;
mod row;
mod schema;
pub mod sources;
mod stand_aside;
mod story;
pub mod thread;
mod unplaced;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::engine::Writes;
use database::Database;
use error::ErrorKind;
use file::OpenFiles;

pub use backup::{BackupMade, backup};
pub use chores::{chore_done_at, record_chore};
pub use commit::Attempt;
#[cfg(feature = "postgres")]
pub use copy::{Copied, copy_to_folder, copy_to_station};
pub use error::LedgerError;
pub use excerpt::{Excerpt, ExcerptQuery, ROWS_MAX};
pub use file::Note;
pub use history::{HistoryQuery, ROOM_SHOWN, RoomQuery};
pub use integrity::integrity;
pub use place::Place;
pub use prune::{KEPT_ALWAYS, Pruned, Retention, prune};
pub use read::Reader;
pub use schema::VERSION;
pub use story::{record_of, starts_of};

/// The file's name in the state folder.
pub const FILE: &str = "ingestd.db";

/// How long a reader waits for another process.
const BUSY: Duration = Duration::from_secs(5);

/// More than there are kinds of writes and queries.
const STATEMENTS_CACHED: usize = 64;

/// How long writes wait for another process that writes. It is longer than a commit of that process takes, and no longer: whoever
/// writes here may wait for it. What cannot be written then is written later.
const WRITER_BUSY: Duration = Duration::from_millis(20);

/// The ledger, open for writing. A process has one, and a file has one process (see [`Lock`]).
pub struct Ledger {
    database: Database,
    /// The open file, where it is one.
    file: Option<OpenLedger>,
    /// What opening it found or put right.
    notes: Vec<Note>,
    /// What was decided and could not be written yet.
    pending: Writes,
    /// A commit that nobody acknowledged.
    uncertain: Option<Uncertain>,
    /// What was written before, and was not handed out yet.
    granted: Vec<Attempt>,
}

/// The file of a ledger that is open.
struct OpenLedger {
    path: PathBuf,
    files: OpenFiles,
}

/// A commit that was sent, and of which nobody knows whether it took effect.
struct Uncertain {
    /// Its number.
    number: i64,
    /// How many of the pending writes are in it: the first.
    writes: usize,
    /// What it permits.
    attempts: Vec<Attempt>,
}

/// What a look at the file of an open ledger finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Why nothing that is written reaches the file with the ledger's name.
    pub trouble: Option<String>,
    /// What somebody should fix; it is written all the same.
    pub warnings: Vec<String>,
}

impl Ledger {
    /// Opens the ledger in `folder` and brings it to the newest version. Makes a new one if there is none. Sets the modes of its files
    /// right if they are this user's; [`Ledger::notes`] tells of it.
    ///
    /// Errors: it cannot be opened or written, it is not a plain file or not a ledger, or a newer ingestd wrote it. It never replaces a
    /// file by a new one.
    pub fn open(folder: &Path) -> Result<Ledger, LedgerError> {
        let path = folder.join(FILE);
        let notes = file::make_ready(folder, &path)?;
        Ledger::open_file(&path, notes).map_err(|error| LedgerError::file(&path, "open the ledger", error))
    }

    fn open_file(path: &Path, notes: Vec<Note>) -> Result<Ledger, LedgerError> {
        let mut connection = Connection::open(path)?;
        prepare(&connection)?;
        schema::migrate(&mut connection)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.busy_timeout(WRITER_BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        let file = OpenLedger { path: path.to_owned(), files: OpenFiles::of(path)? };
        Ok(Ledger::of(connection.into(), Some(file), notes))
    }

    fn of(database: Database, file: Option<OpenLedger>, notes: Vec<Note>) -> Ledger {
        Ledger { database, file, notes, pending: Writes::default(), uncertain: None, granted: Vec::new() }
    }

    /// Opens the ledger of a station as its owner of this term, and brings its tables to the newest version. Every commit then says whether
    /// the term still stands.
    ///
    /// Errors: it cannot be reached or written, another host has taken over, or a newer ingestd changed its tables so that this one may not
    /// write them.
    #[cfg(feature = "postgres")]
    pub fn open_station(station: &postgres::Station, term: ingestd_core::lease::Term) -> Result<Ledger, LedgerError> {
        postgres::migrate(station, term.0)?;
        let store = postgres::Store::new(station, postgres::Fence::Term(term.0))?;
        Ok(Ledger::of(Database::Postgres(Box::new(store)), None, Vec::new()))
    }

    /// What was found, or put right, when it was opened.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Looks at the file as others see it: whether it is there, is a ledger still, can be opened anew, and is kept from others.
    pub fn inspect(&self) -> Inspection {
        // What is wrong with a database, its commits say.
        let Some(OpenLedger { path, files }) = &self.file else { return Inspection::default() };
        let is_there = files.check(path).and_then(|()| files.check_beside(path));
        let anew = is_there.and_then(|()| read_only(path)).map(drop);
        let mut warnings = file::wrong_modes(path);
        let trouble = match anew {
            Ok(()) => None,
            Err(error) if matches!(error.kind, ErrorKind::NotADatabase | ErrorKind::Damaged | ErrorKind::Replaced) => {
                Some(error.to_string())
            }
            Err(error) => {
                warnings.push(format!("`{}` cannot be opened by those who only read it: {error}", path.display()));
                None
            }
        };
        Inspection { trouble, warnings }
    }

    /// Errors: another file has the name of the one that is open, or none: what goes into it is not durable.
    fn check_file(&self) -> Result<(), LedgerError> {
        self.file.as_ref().map_or(Ok(()), |file| file.files.check(&file.path))
    }

    /// Its file; an empty path, where it is none.
    pub fn path(&self) -> &Path {
        self.file.as_ref().map_or(Path::new(""), |file| &file.path)
    }
}

fn prepare(connection: &Connection) -> Result<(), LedgerError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a claim must be on the disk before its request is on the wire.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// The lock of a state folder: one daemon for one ledger. It is held as long as the value lives. The kernel releases it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

impl Lock {
    /// Takes the lock.
    ///
    /// Errors: another process has it, or its file cannot be opened.
    pub fn take(folder: &Path) -> Result<Lock, LedgerError> {
        let path = folder.join("ingestd.lock");
        file::require_plain(&path)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| LedgerError::file(&path, "open the lock", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(LedgerError::ours(format!("another ingestd runs on `{}`: one daemon for one state folder", folder.display())))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(LedgerError::file(&path, "lock", error)),
        }
    }
}

/// Opens the ledger for reading beside a daemon that may be writing.
fn open_read_only(path: &Path) -> Result<Connection, LedgerError> {
    file::require_plain(path)?;
    if !path.exists() {
        return Err(LedgerError::ours(format!("there is no ledger at `{}`: has the daemon ever run?", path.display())));
    }
    read_only(path).map_err(|error| LedgerError::file(path, "read the ledger", error))
}

fn read_only(path: &Path) -> Result<Connection, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        schema::version(&connection).map(|version| (connection, version))
    };
    let (connection, version) = match open() {
        Err(error) if wants_to_write(&error) => open_unchanging(path, flags)?,
        opened => opened?,
    };
    schema::check_version(version)?;
    if version < VERSION {
        return Err(LedgerError::older(version));
    }
    schema::check_reasons(&connection)?;
    Ok(connection)
}

/// Whether SQLite gave up because it may not make the files that readers and writers share.
fn wants_to_write(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(ReadOnly | CannotOpen))
}

/// Opens a ledger in a folder that cannot be written: a backup, or the folder of another user. SQLite then reads the file alone. So
/// it is refused where a log beside the file holds newer rows, of a daemon that is writing or has crashed.
fn open_unchanging(path: &Path, flags: OpenFlags) -> Result<(Connection, u32), LedgerError> {
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let log = Path::new(&log).display();
        let advice = "copy both into a folder that can be written, and name that as `state`";
        return Err(LedgerError::ours(format!("its newest rows are in `{log}`, and its folder cannot be written: {advice}")));
    }
    let mut url = url::Url::from_file_path(std::path::absolute(path)?)
        .map_err(|()| LedgerError::ours("its path cannot be written as a URL".to_owned()))?;
    url.set_query(Some("immutable=1"));
    let connection = Connection::open_with_flags(url.as_str(), flags | OpenFlags::SQLITE_OPEN_URI)?;
    let version = schema::version(&connection)?;
    Ok((connection, version))
}
