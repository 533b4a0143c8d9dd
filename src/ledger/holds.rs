//! The rows of what operators hold back: pauses and skips. It does not know what a hold does.

use super::columns::ms;
use super::database::{Database, Row, RowError, Transaction, params};
use super::{LedgerError, row};
use crate::plan::holds::{Hold, HoldReason, JobPause, JobSkip, OrderSource};
use crate::schedule::JobId;
use jiff::Timestamp;

/// Writes an order, or the new end of one.
pub(super) fn write(to: &mut Transaction<'_>, hold: &Hold) -> Result<(), LedgerError> {
    let (why, job, from) = name(hold);
    let (until, source) = match hold {
        Hold::Pause(pause) => (pause.until, &pause.source),
        Hold::Skip(skip) => (None, &skip.source),
    };
    let sql = "INSERT INTO hold (why, job, from_ms, until_ms, who, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
        ON CONFLICT (why, job, from_ms) DO UPDATE SET until_ms = excluded.until_ms, who = excluded.who, note = excluded.note";
    to.run(sql, params![why, job, from, ms(until), &source.who, &source.note])
}

/// Deletes an order.
pub(super) fn delete(to: &mut Transaction<'_>, hold: &Hold) -> Result<(), LedgerError> {
    let (why, job, from) = name(hold);
    to.run("DELETE FROM hold WHERE why = ?1 AND job = ?2 AND from_ms = ?3", params![why, job, from])
}

/// Every order, by its time.
pub(super) fn all(database: &Database) -> Result<Vec<Hold>, LedgerError> {
    let sql = "SELECT why, job, from_ms, until_ms, who, note FROM hold ORDER BY from_ms, why, job";
    database.query(sql, params![], read)
}

/// The key of its row. A pause of every job has no job.
fn name(hold: &Hold) -> (&'static str, &str, i64) {
    let (why, job, from): (HoldReason, &str, Timestamp) = match hold {
        Hold::Pause(pause) => (HoldReason::Pause, pause.job.as_ref().map_or("", JobId::as_str), pause.since),
        Hold::Skip(skip) => (HoldReason::Skip, skip.job.as_str(), skip.start),
    };
    (why.name(), job, from.as_millisecond())
}

fn read(row: &Row<'_>) -> Result<Hold, RowError> {
    let (why, job): (String, String) = (row.get("why")?, row.get("job")?);
    let source = OrderSource { who: row.get("who")?, note: row.get("note")? };
    let from = row::instant(row, "from_ms")?;
    let named = JobId::parse(&job);
    match (HoldReason::from_name(&why), named) {
        (Some(HoldReason::Pause), named) if named.is_some() || job.is_empty() => {
            Ok(Hold::Pause(JobPause { job: named, since: from, until: row::instant_or_none(row, "until_ms")?, source }))
        }
        (Some(HoldReason::Skip), Some(job)) => Ok(Hold::Skip(JobSkip { job, start: from, source })),
        (None, _) => Err(row::broken("why", &why)),
        _ => Err(row::broken("job", &job)),
    }
}
