//! Deletes what is old, in small transactions, so that a daemon writes between two of them. Does not know when it is time for that. It
//! never deletes what is open or owed: rows that are not done, tasks that may still play, starts in doubt, what a show was that could
//! still be taken up again, alerts that somebody is still to be told.

use std::fmt;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::chores::writable;
use super::database::{Database, params};
use super::stand_aside::stand_aside;
use super::{LedgerError, Place, Reader};

/// Nothing is deleted that began, played or ended within this time, whatever is asked for: a show that is over may still be taken up
/// again in its window, and callbacks of the vendor come late.
pub const KEPT_ALWAYS: SignedDuration = SignedDuration::from_hours(48);

/// So many rows are looked at in one transaction.
const BATCH: u32 = 200;

/// The pause between two transactions: whoever waits to write gets in.
const PAUSE: Duration = Duration::from_millis(4);

/// What is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Everything that is younger; `None`: age is no reason to delete.
    pub keep: Option<SignedDuration>,
    /// At most so many occurrences, the newest; `None`: their number is no reason to delete.
    pub most: Option<u64>,
}

/// How many rows were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Occurrences, each with its tasks and requests.
    pub occurrences: u64,
    /// What operators did, and callbacks that nobody could place. The daemon itself deletes old alerts.
    pub others: u64,
    /// Occurrences that are left.
    pub left: u64,
}

/// Where the last look ended, in the order of the index.
#[derive(Clone, Copy)]
struct Position {
    start_ms: i64,
    id: i64,
}

/// An occurrence with its neighbours, of which it may be one that is to be kept.
const CANDIDATES: &str = "SELECT id, start_ms, (state = 'done' AND in_doubt = 0
        AND coalesce(end_ms, start_ms) < ?3 AND coalesce(ended_ms, start_ms) < ?3
        AND NOT EXISTS (SELECT 1 FROM task WHERE task.occurrence = occurrence.id AND gone_ms IS NULL)
        AND NOT EXISTS (SELECT 1 FROM doubt WHERE doubt.occurrence = occurrence.id)) AS may_go
    FROM occurrence WHERE (start_ms, id) > (?1, ?2) AND start_ms < ?3 ORDER BY start_ms, id LIMIT ?4";

/// The tables whose rows go with an occurrence. They have an index for that; foreign keys would look through whole tables. A row of
/// `doubt` keeps its occurrence.
const CHILDREN: [&str; 2] = ["call", "task"];

/// Deletes from the ledger at this place what is not to be kept.
///
/// Errors: there is no ledger, it is of another version, or it cannot be written. What was deleted before stays deleted.
pub fn prune(place: &Place, retention: Retention, now: Timestamp) -> Result<Pruned, LedgerError> {
    // It says first what is wrong with the ledger, if something is.
    drop(Reader::open_at(place)?);
    prune_at(place, retention, now).map_err(|error| LedgerError::at(place, "prune the ledger", error))
}

fn prune_at(place: &Place, retention: Retention, now: Timestamp) -> Result<Pruned, LedgerError> {
    let mut database = writable(place)?;
    database.delete_children_by_hand()?;
    let sql = "SELECT value FROM meta WHERE key = 'cursor'";
    let cursor = database.first(sql, params![], |row| row.get::<i64>("value"))?;
    let always = before(now, KEPT_ALWAYS).min(cursor.unwrap_or(i64::MIN));
    let too_old = retention.keep.map_or(i64::MIN, |keep| before(now, keep)).min(always);
    let count = database.first("SELECT count(*) AS count FROM occurrence", params![], |row| row.get::<i64>("count"))?;
    let mut count = count.unwrap_or_default().unsigned_abs();
    let mut pruned = Pruned::default();
    let mut position = Position { start_ms: i64::MIN, id: i64::MIN };
    loop {
        let too_many = retention.most.map_or(0, |most| count.saturating_sub(most));
        let (deleted, next) = batch(&mut database, position, (too_old, always), too_many)?;
        (pruned.occurrences, count) = (pruned.occurrences + deleted, count - deleted);
        let Some(next) = next else { break };
        position = next;
        thread::sleep(PAUSE);
    }
    pruned.others = others(&mut database, too_old)?;
    pruned.left = count;
    Ok(pruned)
}

fn before(now: Timestamp, by: SignedDuration) -> i64 {
    now.checked_sub(by).unwrap_or(Timestamp::MIN).as_millisecond()
}

/// Looks at the next occurrences, and deletes those that may go and are too old, or of which there are too many. Returns how many it
/// deleted, and where to go on; `None`: there is nothing more to delete.
fn batch(
    database: &mut Database,
    position: Position,
    (too_old, always): (i64, i64),
    too_many: u64,
) -> Result<(u64, Option<Position>), LedgerError> {
    let until = if too_many > 0 { always } else { too_old };
    stand_aside();
    database.write(|transaction| {
        let (mut deleted, mut last) = (0, None);
        let parameters = params![position.start_ms, position.id, until, BATCH];
        let rows = transaction.query(CANDIDATES, parameters, |row| {
            Ok((Position { start_ms: row.get("start_ms")?, id: row.get("id")? }, row.get::<bool>("may_go")?))
        })?;
        for (row, may_go) in rows {
            last = Some(row);
            if !may_go || (row.start_ms >= too_old && deleted >= too_many) {
                continue;
            }
            for table in CHILDREN {
                transaction.run(&format!("DELETE FROM {table} WHERE occurrence = ?1"), params![row.id])?;
            }
            transaction.run("DELETE FROM occurrence WHERE id = ?1", params![row.id])?;
            deleted += 1;
        }
        Ok((deleted, last))
    })
}

/// Deletes what else is too old.
fn others(database: &mut Database, too_old: i64) -> Result<u64, LedgerError> {
    let mut deleted = 0;
    let pruned = [
        "DELETE FROM act WHERE id IN (SELECT id FROM act WHERE at_ms < ?1 ORDER BY id LIMIT ?2)",
        "DELETE FROM callback WHERE id IN (SELECT id FROM callback WHERE at_ms < ?1 ORDER BY id LIMIT ?2)",
    ];
    for sql in pruned {
        loop {
            stand_aside();
            let gone = database.write(|transaction| transaction.execute(sql, params![too_old, BATCH]))?;
            deleted += gone;
            if gone < u64::from(BATCH) {
                break;
            }
            thread::sleep(PAUSE);
        }
    }
    Ok(deleted)
}

impl fmt::Display for Pruned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pruned { occurrences, others, left } = self;
        write!(formatter, "{occurrences} occurrences and {others} other rows deleted, {left} occurrences left")
    }
}
