//! What the ledger remembers of chores: when each was last done, and what came of it. Does not do them, and does not know when they are due.

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::apply::{record_action, set_meta};
use super::database::{Database, params};
#[cfg(feature = "postgres")]
use super::postgres::{Fence, Store};
use super::{BUSY, FILE, LedgerError, Place, Reader};

/// When a chore was last done, by the ledger at this place; `None`: never.
///
/// Errors: there is no ledger, or it cannot be read.
pub fn chore_done_at(place: &Place, chore: &str) -> Result<Option<Timestamp>, LedgerError> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let done = Reader::open_at(place)?.database.first(sql, params![key(chore)], |row| row.get::<i64>("value"))?;
    // What is no instant was not written here: as if it was never done.
    Ok(done.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
}

/// Remembers that a chore was done, or that it failed: then it is not done. `who` had it done, and `detail` says what came of it.
///
/// Errors: the ledger cannot be written.
pub fn record_chore(place: &Place, chore: &str, who: &str, at: Timestamp, result: Result<&str, &str>) -> Result<(), LedgerError> {
    let record = || {
        let detail = result.map_or_else(|why| format!("failed: {why}"), str::to_owned);
        writable(place)?.write(|transaction| {
            if result.is_ok() {
                set_meta(transaction, &key(chore), at.as_millisecond())?;
            }
            record_action(transaction, at, who, (chore, &detail))
        })
    };
    record().map_err(|error: LedgerError| LedgerError::at(place, "write the ledger", error))
}

/// The ledger, open for writing beside a daemon.
pub(super) fn writable(place: &Place) -> Result<Database, LedgerError> {
    match place {
        Place::Folder(folder) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(folder.join(FILE), flags)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            Ok(Database::from(connection))
        }
        #[cfg(feature = "postgres")]
        Place::Station(station) => Ok(Database::Postgres(Box::new(Store::new(station, Fence::Beside)?))),
    }
}

fn key(chore: &str) -> String {
    format!("chore.{chore}")
}
