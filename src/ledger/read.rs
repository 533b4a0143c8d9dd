//! Queries of the ledger, most of them on a connection that cannot write. It does not know how the results are shown.

use std::path::Path;

use jiff::Timestamp;

use super::apply::RESTORED_AT;
use super::columns::{SELECT_OCCURRENCE, TASK_COLUMNS};
use super::database::{Database, Param, params};
use super::history::HistoryQuery;
#[cfg(feature = "postgres")]
use super::postgres::Store;
use super::{FILE, Ledger, LedgerError, Place, holds, open_read_only, row, unplaced};
use crate::engine::{Meta, RecordedRetry, Recovered, RowNumbers};
use crate::occurrence::{Key, Occurrence, OpenDoubt, Orphan, Task};
use crate::plan::holds::Holds;
use crate::schedule::JobId;

// The ledger grows for years, so no query may read all of it: each of these uses an index, and stops at its limit.

pub(super) const ON_AIR: &str = "WHERE state <> 'done' AND state IN ('on_air', 'stopping') ORDER BY start_ms, job";

/// Two searches, each with its own index. Without `INDEXED BY`, SQLite reads every row; with `OR` in the place of `UNION`, PostgreSQL does. A
/// show that is stopped before it can be looked at twice is no trouble; one that vanishes before that is.
const TROUBLE: &str = "WHERE id IN (SELECT id FROM occurrence INDEXED BY occurrence_trouble \
        WHERE (outcome IN ('failed', 'missed') OR reason = 'unverified' OR evidence IN ('unpulled', 'unseen')) \
            AND coalesce(ended_ms, start_ms) >= ?1 \
            AND (outcome IN ('failed', 'missed') OR reason = 'unverified' OR (state = 'done' AND outcome IN ('ended', 'cut') \
                AND (evidence = 'unpulled' OR reason = 'media' OR ended_ms - on_air_ms >= 10000))) \
    UNION SELECT id FROM occurrence INDEXED BY occurrence_open \
        WHERE state <> 'done' AND (state = 'calling' OR wait_why IN ('retry', 'restart'))) \
    ORDER BY start_ms DESC, job LIMIT ?2";

pub(super) const ONE: &str = "WHERE job = ?1 AND start_ms = ?2";

pub(super) const LATEST_OF_JOB: &str = "WHERE job = ?1 AND start_ms <= ?2 ORDER BY start_ms DESC LIMIT 1";

const OPEN: &str = "WHERE state <> 'done' ORDER BY start_ms, job";

/// What was cut because its job left the schedule, and whose window may be open.
const REMOVED: &str = "WHERE reason = 'removed' AND outcome = 'cut' AND state = 'done' AND kind = 'planned' \
    AND coalesce(end_ms, 9223372036854775807) > ?1 ORDER BY start_ms, job";

/// What failed, and whose window may be open.
const FAILED: &str = "WHERE outcome = 'failed' AND state = 'done' AND kind <> 'summary' AND coalesce(end_ms, ended_ms) > ?1 \
    ORDER BY start_ms DESC, job LIMIT 10000";

const TASKS: &str = "FROM task JOIN occurrence ON occurrence.id = task.occurrence WHERE gone_ms IS NULL ORDER BY task.id";

/// The newest few of an occurrence, looked for among the newest of all.
const RETRIES: &str = "SELECT at_ms, who, substr(detail, length(?1) + 1) AS why \
    FROM (SELECT * FROM act ORDER BY id DESC LIMIT 10000) AS newest \
    WHERE what = 'retry' AND substr(detail, 1, length(?1)) = ?1 ORDER BY id DESC LIMIT 10";

/// The ledger, open for reading only: for the verbs, which run beside the daemon, and for its pages.
pub struct Reader {
    pub(super) database: Database,
}

impl Reader {
    /// Opens the ledger in `folder`.
    ///
    /// Errors: there is none, it cannot be read, or it is from a newer version.
    pub fn open(folder: &Path) -> Result<Reader, LedgerError> {
        Ok(Reader { database: open_read_only(&folder.join(FILE))?.into() })
    }

    /// Opens the ledger at this place.
    ///
    /// Errors: there is none, it cannot be read, or it is from a newer version.
    pub fn open_at(place: &Place) -> Result<Reader, LedgerError> {
        match place {
            Place::Folder(folder) => Reader::open(folder),
            #[cfg(feature = "postgres")]
            Place::Station(station) => Ok(Reader { database: Database::Postgres(Box::new(Store::reading(station)?)) }),
        }
    }

    /// Runs several queries on the ledger as it is at one moment. What is written meanwhile is not seen.
    pub fn at_one_moment<T>(&self, ask: impl FnOnce(&Reader) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.database.at_one_moment(|| ask(self))
    }

    /// As-run rows, newest start first.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<Occurrence>, LedgerError> {
        let (tail, parameters) = query.tail();
        self.occurrences(&tail, &parameters)
    }

    /// The row of this occurrence, if it has one.
    pub fn occurrence(&self, job: &str, start: Timestamp) -> Result<Option<Occurrence>, LedgerError> {
        Ok(self.occurrences(ONE, params![job, start.as_millisecond()])?.pop())
    }

    /// The newest row of a job that starts at `at` or before.
    pub fn latest(&self, job: &str, at: Timestamp) -> Result<Option<Occurrence>, LedgerError> {
        Ok(self.occurrences(LATEST_OF_JOB, params![job, at.as_millisecond()])?.pop())
    }

    /// When the daemon first saw a job in an accepted schedule. Without a job: when it first saw any job.
    pub fn first_seen(&self, job: Option<&str>) -> Result<Option<Timestamp>, LedgerError> {
        let sql = "SELECT min(first_seen_ms) AS seen FROM job WHERE ?1 IS NULL OR id = ?1";
        let seen = self.database.first(sql, params![job], |row| row.get::<Option<i64>>("seen"))?.flatten();
        let error =
            |_| LedgerError::ours("the ledger holds a time at which it saw a job, and that time is not an instant".to_owned());
        seen.map(Timestamp::from_millisecond).transpose().map_err(error)
    }

    /// Every occurrence on air or being taken off, by start.
    pub fn on_air(&self) -> Result<Vec<Occurrence>, LedgerError> {
        self.occurrences(ON_AIR, params![])
    }

    /// What went wrong, newest first: what failed, was missed, ended unverified, or was on air for 10 s and never seen there, since
    /// `since`; and everything that is tried again now, however long ago it began.
    pub fn trouble(&self, since: Timestamp, limit: u32) -> Result<Vec<Occurrence>, LedgerError> {
        self.occurrences(TROUBLE, params![since.as_millisecond(), limit])
    }

    /// What gave an occurrence that failed another chance, oldest first: an edit, or other secrets.
    pub fn retries(&self, key: &Key) -> Result<Vec<RecordedRetry>, LedgerError> {
        let mut retries = self.database.query(RETRIES, params![format!("{key}: ")], |row| {
            Ok(RecordedRetry { at: row::instant(row, "at_ms")?, who: row.get("who")?, why: row.get("why")? })
        })?;
        retries.reverse();
        Ok(retries)
    }

    /// Every task that is not known to be gone, oldest first.
    pub fn tasks(&self) -> Result<Vec<Task>, LedgerError> {
        open_tasks(&self.database)
    }

    /// Every orphan that is not known to be gone, oldest first.
    pub fn orphans(&self) -> Result<Vec<Orphan>, LedgerError> {
        unplaced::orphans(&self.database)
    }

    /// Every start in doubt whose task may play now, after its occurrence or beside another task of it, oldest first.
    pub fn doubts(&self, now: Timestamp) -> Result<Vec<OpenDoubt>, LedgerError> {
        unplaced::doubts(&self.database, now, true)
    }

    /// What operators hold back.
    pub fn holds(&self) -> Result<Holds, LedgerError> {
        holds::all(&self.database).map(Holds::new)
    }

    /// What the ledger remembers beside its rows.
    pub fn meta(&self) -> Result<Meta, LedgerError> {
        meta(&self.database)
    }

    pub(super) fn occurrences(&self, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Occurrence>, LedgerError> {
        occurrences(&self.database, tail, parameters)
    }
}

impl Ledger {
    /// What a new daemon takes over. Starts in doubt are among it whose task may play after `doubts_since`: a callback may yet name it.
    pub fn recover(&self, doubts_since: Timestamp) -> Result<Recovered, LedgerError> {
        let newest = |sql: &str| self.database.first(sql, params![], |row| row.get("id")).map(Option::unwrap_or_default);
        Ok(Recovered {
            meta: self.meta()?,
            occurrences: occurrences(&self.database, OPEN, params![])?,
            tasks: open_tasks(&self.database)?,
            orphans: unplaced::orphans(&self.database)?,
            doubts: unplaced::doubts(&self.database, doubts_since, false)?,
            removed: occurrences(&self.database, REMOVED, params![doubts_since.as_millisecond()])?,
            failed: occurrences(&self.database, FAILED, params![doubts_since.as_millisecond()])?,
            left: left_jobs(&self.database)?,
            holds: holds::all(&self.database)?,
            callbacks: unplaced::callbacks(&self.database)?,
            may_still_leave: self.database.may_still_leave()?,
            numbers: RowNumbers {
                call: newest("SELECT coalesce(max(id), 0) AS id FROM call")?,
                task: newest("SELECT coalesce(max(id), 0) AS id FROM task")?,
            },
        })
    }

    /// What the ledger remembers beside its rows.
    pub fn meta(&self) -> Result<Meta, LedgerError> {
        meta(&self.database)
    }
}

fn occurrences(database: &Database, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Occurrence>, LedgerError> {
    each_occurrence(database, tail, parameters, |occurrence| occurrence)
}

/// Reads occurrences and makes something of each. An occurrence is big: a caller that puts it into another value does so here, so that it is
/// moved only once.
pub(super) fn each_occurrence<T>(
    database: &Database,
    tail: &str,
    parameters: &[Param<'_>],
    make: impl Fn(Occurrence) -> T,
) -> Result<Vec<T>, LedgerError> {
    let mut specs = row::Specs::default();
    let sql = format!("{} {tail}", *SELECT_OCCURRENCE);
    database.query(&sql, parameters, |row| row::occurrence(row, &mut specs).map(&make))
}

/// When jobs left the schedule that are not back.
fn left_jobs(database: &Database) -> Result<Vec<(JobId, Timestamp)>, LedgerError> {
    let sql = "SELECT id AS job, left_ms AS start_ms FROM job WHERE left_ms IS NOT NULL";
    database.query(sql, params![], |row| row::key(row).map(|Key { job, start }| (job, start)))
}

fn open_tasks(database: &Database) -> Result<Vec<Task>, LedgerError> {
    database.query(&format!("SELECT {} {TASKS}", *TASK_COLUMNS), params![], row::task)
}

fn meta(database: &Database) -> Result<Meta, LedgerError> {
    let value = |key: &str| database.first("SELECT value FROM meta WHERE key = ?1", params![key], |row| row.get::<i64>("value"));
    let instant = |key: &str| -> Result<Option<Timestamp>, LedgerError> {
        let Some(milliseconds) = value(key)? else { return Ok(None) };
        let error = |_| LedgerError::ours(format!("the ledger holds {milliseconds} as {key}, which is not an instant"));
        Timestamp::from_millisecond(milliseconds).map(Some).map_err(error)
    };
    Ok(Meta {
        cursor: instant("cursor")?,
        cursor_generation: value("cursor_generation")?.unwrap_or(0),
        generation: value("generation")?.unwrap_or(0),
        accepted_at: instant("accepted_at")?,
        committed_at: instant("committed_at")?,
        restored_at: instant(RESTORED_AT)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::history::RoomQuery;
    use super::super::story::{BEFORE, STARTED};
    use super::*;

    #[test]
    fn every_query_uses_the_index_that_was_made_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        let of_occurrences = |tail: &str| format!("SELECT * FROM occurrence {tail}");
        let history = |query: HistoryQuery| of_occurrences(&query.tail().0);
        let all = || HistoryQuery { since_ms: Some(1), ..HistoryQuery::default() };
        let job = || HistoryQuery { job: Some("promo".to_owned()), ..all() };
        let room = || HistoryQuery { room: Some(RoomQuery::parse("main/lobby").expect("a room")), ..all() };
        let cut = |query| HistoryQuery { outcome: Some("cut".to_owned()), ..query };
        for (sql, index) in [
            (history(all()), "SEARCH occurrence USING INDEX occurrence_start (start_ms>?)"),
            (history(job()), "SEARCH occurrence USING INDEX sqlite_autoindex_occurrence_1 (job=? AND start_ms>?)"),
            (history(room()), "SEARCH occurrence USING INDEX occurrence_room (<expr>=? AND start_ms>?)"),
            (history(cut(all())), "SEARCH occurrence USING INDEX occurrence_outcome (outcome=? AND start_ms>?)"),
            (history(cut(job())), "SEARCH occurrence USING INDEX occurrence_outcome_job (outcome=? AND job=? AND start_ms>?)"),
            (history(cut(room())), "SEARCH occurrence USING INDEX occurrence_outcome_room (outcome=? AND <expr>=? AND start_ms>?)"),
            (of_occurrences(FAILED), "SEARCH occurrence USING INDEX occurrence_failed (<expr>>?)"),
            (of_occurrences(REMOVED), "SEARCH occurrence USING INDEX occurrence_removed (<expr>>?)"),
            (of_occurrences(ONE), "SEARCH occurrence USING INDEX sqlite_autoindex_occurrence_1 (job=? AND start_ms=?)"),
            (of_occurrences(LATEST_OF_JOB), "SEARCH occurrence USING INDEX sqlite_autoindex_occurrence_1 (job=? AND start_ms<?)"),
            // A scan of one of these indexes reads what is open, and nothing that is done.
            (of_occurrences(ON_AIR), "SCAN occurrence USING INDEX occurrence_open"),
            (of_occurrences(OPEN), "SCAN occurrence USING INDEX occurrence_open"),
            (of_occurrences(BEFORE), "SEARCH occurrence USING INDEX occurrence_start (start_ms>? AND start_ms<?)"),
            (of_occurrences(BEFORE), "SEARCH occurrence USING COVERING INDEX occurrence_long (<expr>>? AND <expr><?)"),
            (of_occurrences(BEFORE), "SEARCH occurrence USING INDEX occurrence_open (start_ms<?)"),
            (of_occurrences(STARTED), "SEARCH occurrence USING INDEX occurrence_start (start_ms>? AND start_ms<?)"),
            (of_occurrences(TROUBLE), "SEARCH occurrence USING INDEX occurrence_trouble (<expr>>?)"),
            (format!("SELECT * {TASKS}"), "SCAN task USING INDEX task_open"),
        ] {
            let mut statement = ledger.database.sqlite().prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
            let nothing = rusqlite::params_from_iter(vec![None::<i64>; statement.parameter_count()]);
            let steps = statement.query_map(nothing, |row| row.get::<_, String>("detail")).expect("steps");
            let steps: Vec<_> = steps.map(|step| step.expect("a text")).collect();
            assert!(steps.iter().any(|step| step == index), "{sql}: {steps:#?}");
            let reads_all = |step: &&String| step.starts_with("SCAN") && !step.contains("_open");
            assert_eq!(steps.iter().find(reads_all), None, "{sql}: {steps:#?}");
            assert!(!sql.contains(STARTED) || steps.len() == 1, "rows are copied to order them: {steps:#?}");
        }
    }
}
