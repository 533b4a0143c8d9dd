//! What the ledger remembers of chores: when each was last done, and what came of it. Does not do them, and does not know when they are due.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::apply::{record_action, set_meta};
use super::database::{Database, params};
use super::{BUSY, FILE, LedgerError, open_read_only};

/// When a chore was last done, by the ledger of the state folder `state`; `None`: never.
///
/// Errors: there is no ledger, or it cannot be read.
pub fn chore_done_at(state: &Path, chore: &str) -> Result<Option<Timestamp>, LedgerError> {
    let path = state.join(FILE);
    let database = Database::from(open_read_only(&path)?);
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let done = database.first(sql, params![key(chore)], |row| row.get::<i64>("value"))?;
    // What is no instant was not written here: as if it was never done.
    Ok(done.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

/// Remembers that a chore was done, or that it failed: then it is not done. `who` had it done, and `detail` says what came of it.
///
/// Errors: the ledger cannot be written.
pub fn record_chore(state: &Path, chore: &str, who: &str, at: Timestamp, result: Result<&str, &str>) -> Result<(), LedgerError> {
    let path = state.join(FILE);
    let record = || {
        let detail = result.map_or_else(|why| format!("failed: {why}"), str::to_owned);
        Database::from(writable(&path)?).write(|transaction| {
            if result.is_ok() {
                set_meta(transaction, &key(chore), at.as_millisecond())?;
            }
            record_action(transaction, at, who, (chore, &detail))
        })
    };
    record().map_err(|error: LedgerError| LedgerError::file(&path, "write the ledger", error))
}

/// The file, open for writing beside a daemon.
pub(super) fn writable(path: &Path) -> Result<Connection, LedgerError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn key(chore: &str) -> String {
    format!("chore.{chore}")
}
