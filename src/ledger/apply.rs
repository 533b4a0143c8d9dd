//! Writes as SQL: all that is pending, in one transaction. Refuses to know why anything is written.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Attempt, Ledger, LedgerError, row};
use crate::engine::Write;
use crate::occurrence::{Key, Occurrence, Outcome, State, Task, TaskPhase, describe_fault};
use crate::trtc::{Action, Answer};

impl Ledger {
    /// Writes everything that is pending; all of it or nothing.
    pub(super) fn apply(&mut self, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for write in self.pending.list() {
            one(&transaction, write)?;
        }
        set_meta(&transaction, "committed_at", now.as_millisecond())?;
        let attempts = Ledger::permissions(self.pending.list(), |key, attempt| call_of(&transaction, key, attempt))?;
        transaction.commit()?;
        Ok(attempts)
    }

    pub(super) fn holds(&self, key: &Key) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM occurrence WHERE job = ?1 AND start_ms = ?2";
        Ok(self.connection.prepare_cached(sql)?.exists(params![key.job.as_str(), key.start.as_millisecond()])?)
    }

    /// The same, but for a row that says that it was missed.
    pub(super) fn holds_unless_missed(&self, key: &Key) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM occurrence WHERE job = ?1 AND start_ms = ?2 AND NOT (state = 'done' AND outcome = 'missed')";
        Ok(self.connection.prepare_cached(sql)?.exists(params![key.job.as_str(), key.start.as_millisecond()])?)
    }

    pub(super) fn holds_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM task WHERE task_id = ?1")?.exists([task_id])?)
    }
}

/// The call of an attempt that was claimed before.
fn call_of(connection: &Connection, key: &Key, attempt: u32) -> Result<i64, LedgerError> {
    let sql = "SELECT max(id) FROM call WHERE occurrence = ?1 AND action = ?2 AND attempt = ?3";
    let parameters = params![id(connection, key)?, Action::Start.name(), attempt];
    Ok(connection.query_row(sql, parameters, |row| row.get(0))?)
}

fn one(connection: &Connection, write: &Write) -> Result<(), LedgerError> {
    match write {
        Write::Record(occurrence) => {
            let taken =
                || LedgerError::ours(format!("there is a row of {} already: somebody else writes this ledger", occurrence.key));
            record(connection, occurrence)?.then_some(()).ok_or_else(taken)
        }
        Write::Summarise(summary) => summarise(connection, summary),
        Write::Update(occurrence) => update(connection, occurrence),
        Write::Remove(key) => {
            let sql = "DELETE FROM occurrence WHERE job = ?1 AND start_ms = ?2 AND state = 'armed'";
            match connection.prepare_cached(sql)?.execute(params![key.job.as_str(), key.start.as_millisecond()])? {
                1 => Ok(()),
                changed => Err(LedgerError::ours(format!("{changed} rows of {key} were armed, not one"))),
            }
        }
        Write::Attempt { key, call, attempt } => {
            let sql = "INSERT INTO call (id, occurrence, action, attempt) VALUES (?1, ?2, ?3, ?4)";
            run(connection, sql, params![call, id(connection, key)?, Action::Start.name(), attempt])
        }
        Write::Answered { call, times, answer } => answered(connection, *call, *times, answer),
        Write::Unsent { call } => run(connection, "DELETE FROM call WHERE id = ?1", [call]),
        Write::Called { call, task, action, attempt, times, answer } => {
            let sql = "INSERT INTO call (id, occurrence, task, action, attempt) VALUES (?1, ?2, ?3, ?4, ?5)";
            run(connection, sql, params![call, id(connection, &task.key)?, task.row, action.name(), attempt])?;
            answered(connection, *call, *times, answer)
        }
        Write::AddTask(task) => add_task(connection, task),
        Write::UpdateTask(task) => update_task(connection, task),
        Write::AddOrphan(orphan) => {
            let sql = "INSERT INTO orphan (task_id, app, sdk_app_id, region, seen_ms, likely_job) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                ON CONFLICT (task_id) DO NOTHING";
            let to = &orphan.destination;
            let (app_id, seen) = (app_id(to.sdk_app_id), orphan.seen_at.as_millisecond());
            run(connection, sql, params![orphan.task_id, to.app, app_id, to.region, seen, orphan.likely_job])
        }
        Write::UpdateOrphan(orphan) => {
            let sql = "UPDATE orphan SET stop_wanted_ms = ?2 WHERE task_id = ?1";
            run(connection, sql, params![orphan.task_id, ms(orphan.stop_wanted)])
        }
        Write::OrphanGone { task_id, at } => {
            run(connection, "UPDATE orphan SET gone_ms = ?2 WHERE task_id = ?1", params![task_id, at.as_millisecond()])
        }
        Write::DeleteMissedSince { from } => {
            let sql = "DELETE FROM occurrence WHERE start_ms >= ?1 AND state = 'done' AND outcome = 'missed'";
            run(connection, sql, [from.as_millisecond()])
        }
        Write::Rearm { .. } => Ok(()),
        Write::Cursor { at } => set_meta(connection, "cursor", at.as_millisecond()),
        Write::CursorGeneration(generation) => set_meta(connection, "cursor_generation", *generation),
        Write::Generation { number, accepted_at } => {
            set_meta(connection, "generation", *number)?;
            set_meta(connection, "accepted_at", accepted_at.as_millisecond())
        }
        Write::RecordJobSeen { job, at } => {
            let sql = "INSERT INTO job (id, first_seen_ms) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
            run(connection, sql, params![job, at.as_millisecond()])
        }
        Write::RecordAction { at, who, what, detail } => {
            let sql = "INSERT INTO act (at_ms, who, what, detail) VALUES (?1, ?2, ?3, ?4)";
            run(connection, sql, params![at.as_millisecond(), who, what, detail])
        }
    }
}

fn run(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<(), LedgerError> {
    connection.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}

fn update(connection: &Connection, occurrence: &Occurrence) -> Result<(), LedgerError> {
    let columns = Columns::of(occurrence);
    let sql = "UPDATE occurrence SET end_ms = ?3, state = ?4, wait_until_ms = ?5, wait_why = ?6, outcome = ?7, reason = ?8, \
        attempts = ?9, tries = ?10, restarts = ?11, was_in_doubt = ?12, in_doubt = ?13, joined = ?14, exists_since_ms = ?15, \
        first_sent_ms = ?16, on_air_ms = ?17, ended_ms = ?18, confirmed_ms = ?19, task_id = ?20, error_code = ?21, \
        error_message = ?22, error_in_a_row = ?23, request_id = ?24, wanted_outcome = ?25, wanted_reason = ?26, tried_ms = ?27, \
        lost_ms = ?28, heals = ?29, adopted = ?30, spec = ?31, generation = ?32, doubts = ?33 \
        WHERE job = ?1 AND start_ms = ?2 AND state <> 'done'";
    let changed = connection.prepare_cached(sql)?.execute(params![
        occurrence.key.job.as_str(),
        occurrence.key.start.as_millisecond(),
        ms(occurrence.end.at()),
        columns.state,
        columns.wait_until,
        columns.wait_why,
        columns.outcome,
        columns.reason,
        occurrence.attempts,
        occurrence.tries,
        occurrence.restarts,
        occurrence.was_in_doubt,
        occurrence.in_doubt,
        occurrence.joined,
        ms(occurrence.exists_since),
        ms(occurrence.first_sent_at),
        ms(occurrence.on_air_at),
        ms(occurrence.ended_at),
        ms(occurrence.confirmed_at),
        occurrence.task_id,
        occurrence.fault.as_ref().and_then(|fault| fault.code.as_deref()),
        occurrence.fault.as_ref().map(|fault| fault.message.as_str()),
        occurrence.fault.as_ref().map_or(0, |fault| fault.in_a_row),
        occurrence.request_id,
        occurrence.wanted.as_ref().map(Outcome::name),
        occurrence.wanted.as_ref().map(Outcome::reason),
        ms(occurrence.tried_at),
        ms(occurrence.lost_at),
        row::instants(&occurrence.heals),
        occurrence.adopted.map(crate::occurrence::Adopted::name),
        row::spec(occurrence),
        occurrence.generation,
        row::instants(&occurrence.doubts),
    ])?;
    if changed == 1 {
        return Ok(());
    }
    Err(LedgerError::ours(format!("the row of {} is not there or done already; {changed} rows changed", occurrence.key)))
}

fn answered(
    connection: &Connection,
    call: i64,
    (sent_at, answered_at): (Timestamp, Timestamp),
    answer: &Answer,
) -> Result<(), LedgerError> {
    let (code, message) = fault(answer);
    let sql = "UPDATE call SET sent_ms = ?2, answered_ms = ?3, http_status = ?4, code = ?5, message = ?6, request_id = ?7 \
        WHERE id = ?1";
    let (sent, answered) = (sent_at.as_millisecond(), answered_at.as_millisecond());
    run(connection, sql, params![call, sent, answered, answer.http_status, code, message, answer.request_id])
}

fn add_task(connection: &Connection, task: &Task) -> Result<(), LedgerError> {
    let sql = "INSERT INTO task (id, occurrence, task_id, app, sdk_app_id, region, started_ms, bound_ms, media_end_ms, stop_tries, \
        alerted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, 0)";
    let of = id(connection, &task.key)?;
    let to = &task.destination;
    let (app_id, started) = (app_id(to.sdk_app_id), task.started_at.as_millisecond());
    let parameters = params![task.row, of, task.task_id, to.app, app_id, to.region, started, ms(task.bound), ms(task.media_end)];
    run(connection, sql, parameters)
}

fn update_task(connection: &Connection, task: &Task) -> Result<(), LedgerError> {
    let (wanted, tries, stopped, gone, verified) = match task.phase {
        TaskPhase::Watched { .. } => (None, 0, None, None, None),
        TaskPhase::StopWanted { since, tries } => (Some(since), tries, None, None, None),
        TaskPhase::Verifying { stopped_at, .. } => (Some(stopped_at), 0, Some(stopped_at), None, None),
        TaskPhase::Gone { at, verified } => (None, 0, None, Some(at), Some(verified)),
    };
    let sql = "UPDATE task SET stop_wanted_ms = coalesce(stop_wanted_ms, ?2), stop_tries = max(stop_tries, ?3), \
        stopped_ms = coalesce(stopped_ms, ?4), gone_ms = ?5, verified = ?6, alerted = ?7, media_end_ms = ?8, bound_ms = ?9 WHERE id = ?1";
    run(
        connection,
        sql,
        params![task.row, ms(wanted), tries, ms(stopped), ms(gone), verified, task.alerted, ms(task.media_end), ms(task.bound)],
    )
}

fn summarise(connection: &Connection, summary: &Occurrence) -> Result<(), LedgerError> {
    if record(connection, summary)? {
        return Ok(());
    }
    let sql = "UPDATE occurrence SET count = ?3, end_ms = ?4 WHERE job = ?1 AND start_ms = ?2 AND kind = 'summary'";
    let Key { start, job } = &summary.key;
    let parameters = params![job.as_str(), start.as_millisecond(), summary.count, ms(summary.end.at())];
    match connection.prepare_cached(sql)?.execute(parameters)? {
        1 => Ok(()),
        _ => Err(LedgerError::ours(format!("the row of {} is no summary", summary.key))),
    }
}

fn record(connection: &Connection, occurrence: &Occurrence) -> Result<bool, LedgerError> {
    let columns = Columns::of(occurrence);
    let sql = "INSERT INTO occurrence (job, start_ms, end_ms, kind, count, generation, spec, state, wait_until_ms, wait_why, \
        outcome, reason, attempts, tries, restarts, was_in_doubt, in_doubt, joined, error_in_a_row, tried_ms) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 0, ?19) \
        ON CONFLICT (job, start_ms) DO NOTHING";
    let changed = connection.prepare_cached(sql)?.execute(params![
        occurrence.key.job.as_str(),
        occurrence.key.start.as_millisecond(),
        ms(occurrence.end.at()),
        occurrence.kind.name(),
        occurrence.count,
        occurrence.generation,
        row::spec(occurrence),
        columns.state,
        columns.wait_until,
        columns.wait_why,
        columns.outcome,
        columns.reason,
        occurrence.attempts,
        occurrence.tries,
        occurrence.restarts,
        occurrence.was_in_doubt,
        occurrence.in_doubt,
        occurrence.joined,
        ms(occurrence.tried_at),
    ])?;
    Ok(changed == 1)
}

fn set_meta(connection: &Connection, key: &str, value: i64) -> Result<(), LedgerError> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    run(connection, sql, params![key, value])
}

fn id(connection: &Connection, key: &Key) -> Result<i64, LedgerError> {
    let sql = "SELECT id FROM occurrence WHERE job = ?1 AND start_ms = ?2";
    let parameters = params![key.job.as_str(), key.start.as_millisecond()];
    let found = connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
    found.ok_or_else(|| LedgerError::ours(format!("there is no row of {key}")))
}

fn app_id(sdk_app_id: u64) -> i64 {
    i64::try_from(sdk_app_id).unwrap_or(i64::MAX)
}

/// The columns that a state spreads over.
struct Columns<'a> {
    state: &'static str,
    wait_until: Option<i64>,
    wait_why: Option<&'static str>,
    outcome: Option<&'static str>,
    reason: Option<&'a str>,
}

impl Columns<'_> {
    fn of(occurrence: &Occurrence) -> Columns<'_> {
        let (wait_until, wait_why) = match occurrence.state {
            State::Waiting { until, why } => (Some(until.as_millisecond()), Some(why.name())),
            _ => (None, None),
        };
        let outcome = match &occurrence.state {
            State::Stopping { outcome } | State::Done { outcome } => Some(outcome),
            _ => None,
        };
        Columns {
            state: occurrence.state.name(),
            wait_until,
            wait_why,
            outcome: outcome.map(Outcome::name),
            reason: outcome.map(Outcome::reason),
        }
    }
}

fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millisecond)
}

fn fault(answer: &Answer) -> (Option<String>, Option<String>) {
    match &answer.result {
        Ok(_) => (None, None),
        Err(fault) => {
            let (code, message) = describe_fault(fault);
            (code, Some(message))
        }
    }
}
