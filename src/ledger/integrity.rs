//! Whether the ledger's file is whole: SQLite looks through each table and each index. Does not repair anything.

use rusqlite::Connection;

#[cfg(feature = "postgres")]
use super::postgres;
use super::{FILE, LedgerError, Place, open_read_only, stand_aside};

/// So many problems are told.
const PROBLEMS_MAX: u32 = 20;

/// Looks through the whole ledger at this place, on a connection that cannot write. Returns what is wrong, at most 20
/// problems; nothing, if it is whole.
///
/// Of a database it says what that has found itself: blocks whose checksums were wrong when they were read.
///
/// Errors: there is no ledger, or it cannot be read.
pub fn integrity(place: &Place) -> Result<Vec<String>, LedgerError> {
    #[cfg(feature = "postgres")]
    if let Place::Station(station) = place {
        return postgres::damaged_blocks(station);
    }
    let Some(folder) = place.folder() else { return Ok(Vec::new()) };
    let path = folder.join(FILE);
    problems(&open_read_only(&path)?).map_err(|error| LedgerError::file(&path, "look through the ledger", error))
}

/// The same of an open file.
pub(super) fn problems(connection: &Connection) -> Result<Vec<String>, LedgerError> {
    stand_aside::in_queries(connection)?;
    let mut problems = Vec::new();
    connection.pragma(None, "integrity_check", PROBLEMS_MAX, |row| {
        problems.push(row.get::<_, String>(0)?);
        Ok(())
    })?;
    problems.retain(|problem| problem != "ok");
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if problems.len() >= PROBLEMS_MAX as usize {
            break;
        }
        let (table, parent): (String, String) = (row.get("table")?, row.get("parent")?);
        problems.push(format!("a row of `{table}` refers to a row of `{parent}` that is not there"));
    }
    Ok(problems)
}
