//! The ledger: one SQLite file that says what was planned and what became of it. What one turn of the daemon decides is one
//! transaction. Refuses to know the network, the schedule's files, and what to do next.
//!
//! Secrets and UserSigs are never stored. Stream URLs are, in full, because a restart must send them as written; the file's mode
//! is 0600, and every output redacts them.

mod apply;
mod columns;
mod read;
mod row;
mod schema;
pub mod sources;
mod write;

use std::fmt;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use read::{HistoryQuery, Meta, Reader};
pub use schema::VERSION;
pub use write::{Attempt, Turn};

/// The file's name in the state folder.
pub const FILE: &str = "ingestd.db";

/// How long a reader waits for another process.
const BUSY: Duration = Duration::from_secs(5);

/// More than there are kinds of writes and questions.
const STATEMENTS_CACHED: usize = 64;

/// How long the daemon's writes wait for another process that writes: longer than its commit takes, and no longer, since streams
/// are stopped by the same loop. What cannot be written then is written later.
const WRITER_BUSY: Duration = Duration::from_millis(20);

/// Why the ledger could not be read or written.
#[derive(Debug)]
pub struct LedgerError {
    message: String,
    passing: bool,
}

impl LedgerError {
    /// What is wrong here, or in the file, and does not go away by itself.
    fn ours(message: String) -> LedgerError {
        LedgerError { message, passing: false }
    }

    /// Whether it may go away: a disk that is full, failing or read-only, or another process that holds the file. What was decided
    /// is kept until it does.
    pub fn is_passing(&self) -> bool {
        self.passing
    }

    fn newer(version: u32) -> LedgerError {
        let advice = "run that one, or restore a backup from before the upgrade";
        LedgerError::ours(format!("a newer ingestd wrote it (version {version}, this one knows {VERSION}): {advice}"))
    }

    fn older(version: u32) -> LedgerError {
        let advice = "the daemon brings it up to date when it starts";
        LedgerError::ours(format!("it is of version {version}, and this ingestd reads {VERSION}: {advice}"))
    }

    fn file(path: &Path, verb: &str, error: &dyn fmt::Display) -> LedgerError {
        let told = error.to_string();
        let is_broken = told.contains("malformed") || told.contains("not a database");
        // Nothing is ever started over: what is on air stands in the old one only.
        let advice = if is_broken { "; restore a backup of it, or move it away to begin a new one" } else { "" };
        LedgerError::ours(format!("cannot {verb} `{}`: {told}{advice}", path.display()))
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for LedgerError {}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> LedgerError {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory, ReadOnly,
            SystemIoFailure,
        };
        let passing = [
            CannotOpen,
            DatabaseBusy,
            DatabaseCorrupt,
            DatabaseLocked,
            DiskFull,
            FileLockingProtocolFailed,
            OutOfMemory,
            ReadOnly,
            SystemIoFailure,
        ];
        let passing = error.sqlite_error_code().is_some_and(|code| passing.contains(&code));
        LedgerError { message: error.to_string(), passing }
    }
}

/// The ledger, open for writing. There is one in a process, and one process for a file (see [`Lock`]).
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    /// What was decided and could not be written yet.
    pending: write::Pending,
    /// The newest rows, written or pending.
    last_call: i64,
    last_task: i64,
}

impl Ledger {
    /// Opens the ledger in `folder`, makes it where there is none, and brings it to the newest schema.
    ///
    /// Errors: it cannot be opened or written, it is no ledger, or it is from a newer version. Nothing is ever started over.
    pub fn open(folder: &Path) -> Result<Ledger, LedgerError> {
        let path = folder.join(FILE);
        create_private(&path)?;
        let named = |error: &dyn fmt::Display| LedgerError::file(&path, "open the ledger", error);
        let mut connection = Connection::open(&path).map_err(|error| named(&error))?;
        prepare(&connection).map_err(|error| named(&error))?;
        schema::migrate(&mut connection).map_err(|error| named(&error))?;
        connection.busy_timeout(WRITER_BUSY).map_err(|error| named(&error))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
        let newest = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).map_err(|error| named(&error));
        let last_call = newest("SELECT coalesce(max(id), 0) FROM call")?;
        let last_task = newest("SELECT coalesce(max(id), 0) FROM task")?;
        Ok(Ledger { connection, path, pending: write::Pending::default(), last_call, last_task })
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn prepare(connection: &Connection) -> Result<(), LedgerError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: a claim must be on the disk before its request is on the wire.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// Makes the file with mode 0600 before SQLite sees it, so that it is never readable by others, not even for a moment.
fn create_private(path: &Path) -> Result<(), LedgerError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(LedgerError::file(path, "make the ledger", &error)),
    }
}

/// The lock of a state folder: one daemon for one ledger. Held as long as the value lives; the kernel lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: std::fs::File,
}

impl Lock {
    /// Takes the lock, or says that another has it.
    pub fn take(folder: &Path) -> Result<Lock, LedgerError> {
        let path = folder.join("ingestd.lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| LedgerError::file(&path, "open the lock", &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(LedgerError::ours(format!("another ingestd runs on `{}`: one daemon for one state folder", folder.display())))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(LedgerError::file(&path, "lock", &error)),
        }
    }
}

/// Opens the ledger for reading beside a daemon that may be writing.
fn open_read_only(path: &Path) -> Result<Connection, LedgerError> {
    if !path.exists() {
        return Err(LedgerError::ours(format!("there is no ledger at `{}`: has the daemon ever run?", path.display())));
    }
    let named = |error: &dyn fmt::Display| LedgerError::file(path, "read the ledger", error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        schema::version(&connection).map(|version| (connection, version))
    };
    let (connection, version) = match open() {
        Err(error) if wants_to_write(&error) => open_unchanging(path, flags)?,
        opened => opened.map_err(|error| named(&error))?,
    };
    schema::known(version).map_err(|error| named(&error))?;
    if version < VERSION { Err(named(&LedgerError::older(version))) } else { Ok(connection) }
}

/// Whether SQLite gave up because it may not make the files that readers and writers agree by.
fn wants_to_write(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    matches!(error.sqlite_error_code(), Some(ReadOnly | CannotOpen))
}

/// Opens a ledger in a folder that cannot be written: a backup, or one of another user. That needs no agreement with a writer
/// where there is none; and a daemon that is writing, or has crashed, has a log beside its file.
fn open_unchanging(path: &Path, flags: OpenFlags) -> Result<(Connection, u32), LedgerError> {
    let named = |error: &dyn fmt::Display| LedgerError::file(path, "read the ledger", error);
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let log = Path::new(&log).display();
        let advice = "copy both into a folder that can be written, and name that as `state`";
        return Err(named(&format!("its newest rows are in `{log}`, and its folder cannot be written: {advice}")));
    }
    let absolute = std::path::absolute(path).map_err(|error| named(&error))?;
    let mut url = url::Url::from_file_path(&absolute).map_err(|()| named(&"its path is no address of a file"))?;
    url.set_query(Some("immutable=1"));
    let connection =
        Connection::open_with_flags(url.as_str(), flags | OpenFlags::SQLITE_OPEN_URI).map_err(|error| named(&error))?;
    let version = schema::version(&connection).map_err(|error| named(&error))?;
    Ok((connection, version))
}
