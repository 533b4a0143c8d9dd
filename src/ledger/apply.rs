//! Writes as SQL: all that is pending, in one transaction. It does not know why anything is written.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::columns::{self, ms};
use super::{Attempt, Ledger, LedgerError, alerts, holds, unplaced};
use crate::engine::Write;
use crate::occurrence::{Key, Occurrence, describe_fault};
use crate::trtc::{Action, Answer};

/// Until when a backup that was restored does not know what was on air.
pub(super) const RESTORED_AT: &str = "restored_at";

impl Ledger {
    /// Writes everything that is pending, or nothing. Returns what that permits.
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

    /// Remembers that this is a backup which was put in the place of a lost ledger: until `at` it does not know what was on air.
    ///
    /// Errors: it cannot be written.
    pub fn mark_restored(&mut self, at: Timestamp) -> Result<(), LedgerError> {
        set_meta(&self.connection, RESTORED_AT, at.as_millisecond())
    }

    /// Whether there is a row of that key.
    pub(super) fn holds(&self, key: &Key) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM occurrence WHERE job = ?1 AND start_ms = ?2";
        Ok(self.connection.prepare_cached(sql)?.exists(params![key.job.as_str(), key.start.as_millisecond()])?)
    }

    /// Whether there is a row of that key that is not `missed`.
    pub(super) fn holds_unless_missed(&self, key: &Key) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM occurrence WHERE job = ?1 AND start_ms = ?2 AND NOT (state = 'done' AND outcome = 'missed')";
        Ok(self.connection.prepare_cached(sql)?.exists(params![key.job.as_str(), key.start.as_millisecond()])?)
    }

    /// Whether there is a row of that task, or of an orphan that is gone.
    pub(super) fn holds_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM task WHERE task_id = ?1 UNION ALL SELECT 1 FROM orphan WHERE task_id = ?1 AND gone_ms IS NOT NULL";
        Ok(self.connection.prepare_cached(sql)?.exists([task_id])?)
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
                || LedgerError::ours(format!("there is a row of {} already: another process writes this ledger", occurrence.key));
            columns::insert_occurrence(connection, occurrence)?.then_some(()).ok_or_else(taken)
        }
        Write::Summarise(summary) => summarise(connection, summary),
        Write::Update(occurrence) => update(connection, occurrence),
        Write::Reopen(occurrence) => match columns::reopen_occurrence(connection, occurrence)? {
            1 => Ok(()),
            _ => Err(LedgerError::ours(format!(
                "the row of {} does not say that it was cut because its job left, or that it failed",
                occurrence.key
            ))),
        },
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
        Write::AddTask(task) => columns::insert_task(connection, task),
        Write::UpdateTask(task) => columns::update_task(connection, task),
        Write::AddOrphan(_)
        | Write::UpdateOrphan(_)
        | Write::OrphanGone { .. }
        | Write::AddCallback(_)
        | Write::CallbacksPlaced { .. }
        | Write::AddDoubt(_)
        | Write::DoubtSettled { .. } => unplaced::apply(connection, write),
        Write::Alert(write) => alerts::apply(connection, write),
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
            let sql = "INSERT INTO job (id, first_seen_ms) VALUES (?1, ?2) \
                ON CONFLICT (id) DO UPDATE SET left_ms = NULL WHERE left_ms IS NOT NULL";
            run(connection, sql, params![job, at.as_millisecond()])
        }
        Write::RecordJobLeft { job, at } => {
            run(connection, "UPDATE job SET left_ms = ?2 WHERE id = ?1", params![job, at.as_millisecond()])
        }
        Write::Hold(hold) => holds::write(connection, hold),
        Write::HoldOver(hold) => holds::delete(connection, hold),
        Write::RecordAction { at, who, what, detail } => record_action(connection, *at, who, (what, detail)),
    }
}

pub(super) fn run(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<(), LedgerError> {
    connection.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}

fn update(connection: &Connection, occurrence: &Occurrence) -> Result<(), LedgerError> {
    match columns::update_occurrence(connection, occurrence)? {
        1 => Ok(()),
        changed => {
            let key = &occurrence.key;
            Err(LedgerError::ours(format!("the row of {key} is not there or done already; {changed} rows changed")))
        }
    }
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

fn summarise(connection: &Connection, summary: &Occurrence) -> Result<(), LedgerError> {
    if columns::insert_occurrence(connection, summary)? {
        return Ok(());
    }
    let sql = "UPDATE occurrence SET count = ?3, end_ms = ?4 WHERE job = ?1 AND start_ms = ?2 AND kind = 'summary'";
    let Key { start, job } = &summary.key;
    let parameters = params![job.as_str(), start.as_millisecond(), summary.count, ms(summary.end.at())];
    match connection.prepare_cached(sql)?.execute(parameters)? {
        1 => Ok(()),
        _ => Err(LedgerError::ours(format!("the row of {} is not a summary", summary.key))),
    }
}

/// Records what somebody did, and what came of it.
pub(super) fn record_action(
    connection: &Connection,
    at: Timestamp,
    who: &str,
    (what, detail): (&str, &str),
) -> Result<(), LedgerError> {
    let sql = "INSERT INTO act (at_ms, who, what, detail) VALUES (?1, ?2, ?3, ?4)";
    run(connection, sql, params![at.as_millisecond(), who, what, detail])
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: i64) -> Result<(), LedgerError> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    run(connection, sql, params![key, value])
}

/// The `id` of the row of an occurrence.
pub(super) fn id(connection: &Connection, key: &Key) -> Result<i64, LedgerError> {
    let sql = "SELECT id FROM occurrence WHERE job = ?1 AND start_ms = ?2";
    let parameters = params![key.job.as_str(), key.start.as_millisecond()];
    let found = connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
    found.ok_or_else(|| LedgerError::ours(format!("there is no row of {key}")))
}

/// An `SdkAppId` as SQLite stores it.
pub(super) fn app_id(sdk_app_id: u64) -> i64 {
    i64::try_from(sdk_app_id).unwrap_or(i64::MAX)
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
