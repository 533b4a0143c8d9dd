//! What the ledger has for the rundown page: the rows of a stretch of time with their tasks, and the whole story of one occurrence. Reads
//! only. It does not know how they are shown.

use std::ops::Range;

use super::columns::long_until;
use super::database::{Param, params};
use super::{LedgerError, Reader, read, row};
use crate::occurrence::{Key, Occurrence};
use crate::plan::why::Why;
use crate::report::rundown::RowInRange;
use crate::report::story::{CallRecord, TaskRecord};
use crate::report::why::{Record, stands_for};
use crate::schedule::Conflict;
use jiff::Timestamp;

/// Rows that start in a stretch of time, those of one instant as they were written: the order of the index. To order them by job, SQLite would
/// copy every row.
pub(super) const STARTED: &str = "WHERE start_ms >= ?1 AND start_ms < ?2 ORDER BY start_ms, id LIMIT ?3";

/// What started before `?1` and is not over then: of what started since `?2`, a day before, of what took longer, as this finds it, and of what
/// is open. One that has no end and never began is over after a day.
macro_rules! before {
    ($($longer:expr),+) => {
        concat!(
            "WHERE id IN (SELECT id FROM occurrence INDEXED BY occurrence_start WHERE start_ms >= ?2 AND start_ms < ?1 \
                AND (ended_ms > ?1 OR end_ms > ?1 OR (ended_ms IS NULL AND end_ms IS NULL)) \
            UNION SELECT id FROM occurrence ",
            $($longer,)+
            " UNION SELECT id FROM occurrence INDEXED BY occurrence_open WHERE state <> 'done' AND start_ms < ?1) \
            ORDER BY start_ms, job LIMIT ?3"
        )
    };
}

/// By the index. PostgreSQL has no statistics of it. It takes what is between two values for few rows, and what is only more than one for a
/// third of all, which it would read.
pub(super) const BEFORE: &str = before!(
    "INDEXED BY occurrence_long WHERE ",
    long_until!(),
    " > ?1 AND ",
    long_until!(),
    " < 9223372036854775807 AND start_ms < ?1"
);

/// By the newest of each job, where the index is not built yet. A long show of a job that has begun again since is not found.
const BEFORE_BY_JOBS: &str = before!(
    "WHERE id IN (SELECT (SELECT o.id FROM occurrence o WHERE o.job = job.id AND o.start_ms < ?2 ORDER BY o.start_ms DESC LIMIT 1) FROM job) \
        AND (ended_ms > ?1 OR end_ms > ?1)"
);

const DAY_MS: i64 = 86_400_000;

/// The newest that were sent.
const SENT: &str = "WHERE start_ms <= ?1 AND first_sent_ms IS NOT NULL ORDER BY start_ms DESC, job LIMIT ?2";

const TASKS_OF: &str = "SELECT task_id, region, started_ms, bound_ms, stop_wanted_ms, stopped_ms, gone_ms, verified FROM task \
    WHERE occurrence = (SELECT id FROM occurrence WHERE job = ?1 AND start_ms = ?2) ORDER BY id LIMIT 1000";

const CALLS_OF: &str = "SELECT action, attempt, sent_ms, answered_ms, http_status, code, message, request_id FROM call \
    WHERE occurrence = (SELECT id FROM occurrence WHERE job = ?1 AND start_ms = ?2) ORDER BY id LIMIT 1000";

impl Reader {
    /// The rows that are in a stretch of time, by start and job: at most `most` that began before it, and as many that start in it; and
    /// whether there may be more. Of those that start at one instant in it, where that limit falls, what was written first is taken.
    pub fn rows_in(&self, range: &Range<Timestamp>, most: u32) -> Result<(Vec<RowInRange>, bool), LedgerError> {
        let (from, to) = (range.start.as_millisecond(), range.end.as_millisecond());
        let before = if self.database.has_index("occurrence_long")? { BEFORE } else { BEFORE_BY_JOBS };
        let mut rows = self.rows_without_tasks(before, params![from, from - DAY_MS, most])?;
        let mut started = self.rows_without_tasks(STARTED, params![from, to, most])?;
        let is_clipped = rows.len().max(started.len()) >= usize::try_from(most).unwrap_or(usize::MAX);
        for instant in started.chunk_by_mut(|one, other| one.occurrence.key.start == other.occurrence.key.start) {
            instant.sort_unstable_by(|one, other| one.occurrence.key.job.cmp(&other.occurrence.key.job));
        }
        rows.append(&mut started);
        for RowInRange { occurrence, tasks } in &mut rows {
            if occurrence.restarts > 0 || occurrence.policy.conflict == Conflict::Yield {
                let known = self.tasks_of(&occurrence.key)?;
                tasks.extend(known.into_iter().map(|task| (task.started_at, task.gone_at)));
            }
        }
        Ok((rows, is_clipped))
    }

    fn rows_without_tasks(&self, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<RowInRange>, LedgerError> {
        read::each_occurrence(&self.database, tail, parameters, |occurrence| RowInRange { occurrence, tasks: Vec::new() })
    }

    /// The newest rows of which a request was sent, oldest first.
    pub fn newest_sent(&self, now: Timestamp, most: u32) -> Result<Vec<Occurrence>, LedgerError> {
        let mut rows = self.occurrences(SENT, params![now.as_millisecond(), most])?;
        rows.reverse();
        Ok(rows)
    }

    /// The tasks of an occurrence, oldest first.
    pub fn tasks_of(&self, key: &Key) -> Result<Vec<TaskRecord>, LedgerError> {
        self.database.query(TASKS_OF, params![key.job.as_str(), key.start.as_millisecond()], |read| {
            Ok(TaskRecord {
                task_id: read.get("task_id")?,
                region: read.get("region")?,
                started_at: row::instant(read, "started_ms")?,
                bound: row::instant_or_none(read, "bound_ms")?,
                stop_wanted_at: row::instant_or_none(read, "stop_wanted_ms")?,
                stopped_at: row::instant_or_none(read, "stopped_ms")?,
                gone_at: row::instant_or_none(read, "gone_ms")?,
                is_verified: read.get::<Option<bool>>("verified")?.unwrap_or(false),
            })
        })
    }

    /// The requests of an occurrence, oldest first.
    pub fn calls_of(&self, key: &Key) -> Result<Vec<CallRecord>, LedgerError> {
        self.database.query(CALLS_OF, params![key.job.as_str(), key.start.as_millisecond()], |read| {
            Ok(CallRecord {
                action: read.get("action")?,
                attempt: read.get("attempt")?,
                sent_at: row::instant_or_none(read, "sent_ms")?,
                answered_at: row::instant_or_none(read, "answered_ms")?,
                http_status: read.get("http_status")?,
                code: read.get("code")?,
                message: read.get("message")?,
                request_id: read.get("request_id")?,
            })
        })
    }

    /// Changes whenever somebody else has written the ledger since the last question on this connection.
    pub fn data_version(&self) -> Result<i64, LedgerError> {
        self.database.data_version()
    }
}

/// The instants whose rows the answer to `why` is made of.
pub fn starts_of(why: &Why) -> Vec<Timestamp> {
    let shown = why.starts.iter().chain(&why.open).chain(&why.previous).chain(&why.next);
    shown.map(|occurrence| occurrence.start.at).chain([why.at]).collect()
}

/// What the ledger has about the starts of that answer.
pub fn record_of(reader: &Reader, why: &Why, now: Timestamp) -> Result<Record, LedgerError> {
    let job = why.job.id.as_str();
    let mut record = Record {
        latest: reader.latest(job, why.at)?,
        doubts: reader.doubts(now)?,
        cursor: reader.meta()?.cursor,
        began: reader.first_seen(None)?,
        first_seen: reader.first_seen(Some(job))?,
        holds: reader.holds()?,
        ..Record::default()
    };
    for start in starts_of(why) {
        let row = match reader.occurrence(job, start)? {
            None => reader.latest(job, start)?.filter(|row| stands_for(row, start)),
            row => row,
        };
        record.rows.extend(row.map(|row| (start, row)));
    }
    let keys: Vec<_> = record.rows.values().chain(&record.latest).map(|row| row.key.clone()).collect();
    for key in keys {
        let retries = reader.retries(&key)?;
        record.retries.insert(key.start, retries);
    }
    Ok(record)
}
