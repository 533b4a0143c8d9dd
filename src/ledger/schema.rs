//! The tables, and the way from every released version to the newest. The CHECKs and triggers say the rules of the state machine
//! again: a row that it cannot write cannot be there. It does not know what the rows mean to the daemon.

use rusqlite::{Connection, TransactionBehavior};

use self::versions::MIGRATIONS;
use super::LedgerError;
use crate::occurrence::Outcome;

mod versions;

/// The newest version that this program knows.
pub const VERSION: u32 = 10;
const _: () = assert!(VERSION as usize == MIGRATIONS.len());

/// Brings the file to [`VERSION`], each step in a transaction of its own, and adds the reasons that this program knows and the file
/// does not. Foreign keys are off while a table is built anew, since to drop the old table would delete what refers to it; the
/// caller turns them on.
///
/// Errors: the file is from a newer program, or SQLite fails. After a crash the file has its last whole version, and the next start
/// continues from there.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), LedgerError> {
    check_version(version(connection)?)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    for (number, script) in (1_u32..).zip(MIGRATIONS).skip(version(connection)? as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(script)?;
        if transaction.prepare("PRAGMA foreign_key_check")?.exists([])? {
            let message = format!("it cannot be brought to version {number}: rows refer to rows that do not exist");
            return Err(LedgerError::ours(message));
        }
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    check_reasons(connection)?;
    add_reasons(connection)
}

/// The version of the file; 0 for a file without tables.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Refuses a version that is newer than this program.
pub(super) fn check_version(version: u32) -> Result<(), LedgerError> {
    if version > VERSION { Err(LedgerError::newer(&format!("version {version}, this one knows {VERSION}"))) } else { Ok(()) }
}

/// Refuses a file with a reason that this program does not know: a newer program wrote it, without a new version.
pub(super) fn check_reasons(connection: &Connection) -> Result<(), LedgerError> {
    for (outcome, reason) in reasons(connection)? {
        if Outcome::from_parts(&outcome, &reason).is_none() {
            return Err(LedgerError::newer(&format!("it knows the reason `{outcome} ({reason})`, this one does not")));
        }
    }
    Ok(())
}

/// Adds the reasons that are not there yet. Nothing is written where all are.
fn add_reasons(connection: &Connection) -> Result<(), LedgerError> {
    let there = reasons(connection)?;
    let is_there = |outcome: &Outcome| {
        there.iter().any(|(name, reason)| (name.as_str(), reason.as_str()) == (outcome.name(), outcome.reason()))
    };
    for outcome in Outcome::without_code().filter(|outcome| !is_there(outcome)) {
        let sql = "INSERT OR IGNORE INTO outcome_reason (outcome, reason) VALUES (?1, ?2)";
        connection.execute(sql, [outcome.name(), outcome.reason()])?;
    }
    Ok(())
}

/// The legal pairs of an outcome and its reason.
fn reasons(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare("SELECT outcome, reason FROM outcome_reason")?;
    let pairs = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    pairs.collect()
}
