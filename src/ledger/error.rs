//! Why the ledger could not be read or written, and what can be done about it. Does not know where it is kept.

use std::fmt;
use std::io;
use std::path::Path;

use super::{FILE, Place, VERSION};

/// Why the ledger could not be read or written.
#[derive(Debug)]
pub struct LedgerError {
    pub(super) message: String,
    pub(super) kind: ErrorKind,
}

/// What kind of error it is, and so what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// The disk is full, fails or is read-only, or another process holds the file.
    Passing,
    /// The disk does not answer.
    Stands,
    /// The file is damaged. A disk that fails for a while gives the same error.
    Damaged,
    /// The file is not a ledger. Of a file that was one, somebody wrote over it.
    NotADatabase,
    /// Another file has the name of the one that is open, or none has.
    Replaced,
    /// Two transactions met, and this one was taken back.
    Repeat,
    /// It was sent to be committed, and nobody said that it was.
    Uncertain,
    /// Another host owns the ledger.
    Deposed,
    /// Everything else: it stays until somebody changes something.
    Lasting,
}

impl LedgerError {
    /// An error that stays until somebody changes something.
    pub(super) fn ours(message: String) -> LedgerError {
        LedgerError { message, kind: ErrorKind::Lasting }
    }

    /// An answer that does not come.
    pub(crate) fn stands() -> LedgerError {
        LedgerError { message: "the disk does not answer".to_owned(), kind: ErrorKind::Stands }
    }

    /// What a host hears that does not own any more.
    pub(crate) fn deposed() -> LedgerError {
        LedgerError { message: "another host owns the ledger".to_owned(), kind: ErrorKind::Deposed }
    }

    /// Whether another host owns the ledger: nothing more is written to it from here.
    pub fn is_deposed(&self) -> bool {
        self.kind == ErrorKind::Deposed
    }

    /// Whether the answer may yet come: nothing is known to be wrong.
    pub(crate) fn is_standing(&self) -> bool {
        self.kind == ErrorKind::Stands
    }

    pub(super) fn replaced(message: String) -> LedgerError {
        LedgerError { message, kind: ErrorKind::Replaced }
    }

    /// Whether the error may go away: a disk that is full, failing or read-only, another process that holds the file, or a file that
    /// somebody took away or wrote over while it was open. Until then the ledger keeps what was decided, and a daemon runs on: nobody
    /// else stops what is on air.
    pub fn is_passing(&self) -> bool {
        match self.kind {
            ErrorKind::Passing
            | ErrorKind::Stands
            | ErrorKind::Damaged
            | ErrorKind::NotADatabase
            | ErrorKind::Replaced
            | ErrorKind::Repeat
            | ErrorKind::Uncertain => true,
            ErrorKind::Deposed | ErrorKind::Lasting => false,
        }
    }

    /// Whether it was sent to be committed, and nobody said that it was.
    pub(super) fn is_uncertain(&self) -> bool {
        self.kind == ErrorKind::Uncertain
    }

    pub(super) fn newer(how: &str) -> LedgerError {
        let advice = "run that one, or restore a backup from before the upgrade";
        LedgerError::ours(format!("a newer ingestd wrote it ({how}): {advice}"))
    }

    pub(super) fn older(version: u32) -> LedgerError {
        let advice = "the daemon brings it up to date when it starts";
        LedgerError::ours(format!("it is of version {version}, and this ingestd reads {VERSION}: {advice}"))
    }

    /// What could not be done with which ledger. This is not tried again, whatever kind of error it was.
    pub(super) fn at(place: &Place, verb: &str, error: LedgerError) -> LedgerError {
        match place {
            Place::Folder(folder) => LedgerError::file(&folder.join(FILE), verb, error),
            #[cfg(feature = "postgres")]
            Place::Station(station) => LedgerError::ours(format!("cannot {verb} at the {}: {error}", station.shown())),
        }
    }

    /// What could not be done with which file. This is not tried again, whatever kind of error it was.
    pub(super) fn file(path: &Path, verb: &str, error: impl Into<LedgerError>) -> LedgerError {
        let LedgerError { message, kind } = error.into();
        let advice = match kind {
            // Nothing is ever started over: only the old file knows what is on air.
            ErrorKind::Damaged | ErrorKind::NotADatabase => "; restore a backup of it, or move it away to begin a new one",
            _ => "",
        };
        LedgerError::ours(format!("cannot {verb} `{}`: {message}{advice}", path.display()))
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for LedgerError {}

/// This is how the modules of the ledger hand errors up. Nothing outside them has such an error.
impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> LedgerError {
        use rusqlite::ErrorCode;
        let kind = match error.sqlite_error_code() {
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => ErrorKind::Passing,
            Some(ErrorCode::DatabaseCorrupt) => ErrorKind::Damaged,
            // A table that is not there any more is of this kind.
            Some(ErrorCode::NotADatabase | ErrorCode::Unknown) => ErrorKind::NotADatabase,
            _ => ErrorKind::Lasting,
        };
        LedgerError { message: error.to_string(), kind }
    }
}

impl From<io::Error> for LedgerError {
    fn from(error: io::Error) -> LedgerError {
        LedgerError::ours(error.to_string())
    }
}
