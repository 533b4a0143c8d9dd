//! Writes as SQL: all that is pending, in one transaction. It does not know why anything is written.

use super::columns;
use super::database::{Transaction, Wrong, params};
use super::{Attempt, Ledger, LedgerError, Uncertain, alerts, holds, unplaced};
use crate::engine::Write;
use crate::occurrence::{Key, describe_fault};
use crate::trtc::{Action, Answer};
use jiff::Timestamp;

/// Until when a backup that was restored does not know what was on air.
pub(super) const RESTORED_AT: &str = "restored_at";

/// A request for an occurrence, or for a task of it.
const INSERT_CALL: &str = "INSERT INTO call (id, occurrence, task, action, attempt) SELECT ?1, occurrence.id, ?2, ?3, ?4 FROM occurrence \
    WHERE job = ?5 AND start_ms = ?6";

/// The same where several hosts may own the air: which of them sent it.
const INSERT_CALL_OF_TERM: &str = "INSERT INTO call (id, occurrence, task, action, attempt, term) \
    SELECT ?1, occurrence.id, ?2, ?3, ?4, ?7 FROM occurrence WHERE job = ?5 AND start_ms = ?6";

impl Ledger {
    /// Writes everything that is pending, or nothing. Returns what that permits.
    pub(super) fn apply(&mut self, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        self.settle_uncertain()?;
        let writes = self.pending.list();
        let mut attempts = Vec::new();
        if !writes.is_empty() {
            let done = self.database.write(|transaction| {
                for write in writes {
                    one(transaction, write)?;
                }
                set_meta(transaction, "committed_at", now.as_millisecond())?;
                attempts = Ledger::permissions(writes, |key, attempt| call_of(transaction, key, attempt))?;
                Ok(())
            });
            if let Err(error) = done {
                if let Some(number) = error.is_uncertain().then(|| self.database.commit_number()).flatten() {
                    self.uncertain = Some(Uncertain { number, writes: writes.len(), attempts });
                }
                return Err(error);
            }
        }
        let granted = std::mem::take(&mut self.granted);
        let stands = granted.into_iter().filter(|attempt| !attempt.is_taken_back_by(&self.pending));
        Ok(stands.chain(attempts).collect())
    }

    /// Looks what became of a commit that nobody acknowledged. Its permissions are handed out with the next commit that is.
    ///
    /// Errors: nobody can say yet.
    fn settle_uncertain(&mut self) -> Result<(), LedgerError> {
        let Some(Uncertain { number, writes, attempts }) = self.uncertain.take() else { return Ok(()) };
        match self.database.took_effect(number) {
            Ok(true) => {
                self.pending = std::mem::take(&mut self.pending).after(writes);
                self.granted.extend(attempts);
            }
            Ok(false) => {}
            Err(error) => {
                self.uncertain = Some(Uncertain { number, writes, attempts });
                return Err(error);
            }
        }
        Ok(())
    }

    /// Remembers that this is a backup which was put in the place of a lost ledger: until `at` it does not know what was on air.
    ///
    /// Errors: it cannot be written.
    pub fn mark_restored(&mut self, at: Timestamp) -> Result<(), LedgerError> {
        self.database.write(|transaction| set_meta(transaction, RESTORED_AT, at.as_millisecond()))
    }

    /// Whether there is a row of that key.
    pub(super) fn holds(&self, key: &Key) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM occurrence WHERE job = ?1 AND start_ms = ?2";
        self.database.exists(sql, params![key.job.as_str(), key.start.as_millisecond()])
    }

    /// Whether there is a row of that key that is not `missed`.
    pub(super) fn holds_unless_missed(&self, key: &Key) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM occurrence WHERE job = ?1 AND start_ms = ?2 AND NOT (state = 'done' AND outcome = 'missed')";
        self.database.exists(sql, params![key.job.as_str(), key.start.as_millisecond()])
    }

    /// Whether there is a row of that task, or of an orphan that is gone.
    pub(super) fn holds_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM task WHERE task_id = ?1 UNION ALL SELECT 1 FROM orphan WHERE task_id = ?1 AND gone_ms IS NOT NULL";
        self.database.exists(sql, params![task_id])
    }
}

/// The call of an attempt that was claimed before.
fn call_of(transaction: &mut Transaction<'_>, key: &Key, attempt: u32) -> Result<i64, LedgerError> {
    let sql = "SELECT max(call.id) AS id FROM call JOIN occurrence ON occurrence.id = call.occurrence \
        WHERE job = ?1 AND start_ms = ?2 AND action = ?3 AND attempt = ?4";
    let parameters = params![key.job.as_str(), key.start.as_millisecond(), Action::Start.name(), attempt];
    let found = transaction.query(sql, parameters, |row| row.get("id"))?;
    found.into_iter().next().flatten().ok_or_else(|| LedgerError::ours(format!("there is no call of attempt {attempt} of {key}")))
}

fn one(to: &mut Transaction<'_>, write: &Write) -> Result<(), LedgerError> {
    match write {
        Write::Record(occurrence) => columns::insert_occurrence(to, occurrence),
        Write::Summarise(summary) => columns::insert_summary(to, summary),
        Write::Update(occurrence) => columns::update_occurrence(to, occurrence),
        Write::Reopen(occurrence) => columns::reopen_occurrence(to, occurrence),
        Write::Remove(key) => {
            let sql = "DELETE FROM occurrence WHERE job = ?1 AND start_ms = ?2 AND state = 'armed'";
            to.run_one(sql, params![key.job.as_str(), key.start.as_millisecond()], (Wrong::NotArmed, key))
        }
        Write::Attempt { key, call, attempt } => call_row(to, *call, (key, None), (Action::Start, *attempt)),
        Write::Answered { call, times, answer } => answered(to, *call, *times, answer),
        Write::Unsent { call } => to.run("DELETE FROM call WHERE id = ?1", params![call]),
        Write::Called { call, task, action, attempt, times, answer } => {
            call_row(to, *call, (&task.key, Some(task.row)), (*action, *attempt))?;
            answered(to, *call, *times, answer)
        }
        Write::AddTask(task) => columns::insert_task(to, task),
        Write::UpdateTask(task) => columns::update_task(to, task),
        Write::AddOrphan(_)
        | Write::UpdateOrphan(_)
        | Write::OrphanGone { .. }
        | Write::AddCallback(_)
        | Write::CallbacksPlaced { .. }
        | Write::AddDoubt(_)
        | Write::DoubtSettled { .. } => unplaced::apply(to, write),
        Write::Alert(write) => alerts::apply(to, write),
        Write::DeleteMissedSince { from } => {
            let sql = "DELETE FROM occurrence WHERE start_ms >= ?1 AND state = 'done' AND outcome = 'missed'";
            to.run(sql, params![from.as_millisecond()])
        }
        Write::Rearm { key, attempt } => rearm(to, key, *attempt),
        Write::Cursor { at } => set_meta(to, "cursor", at.as_millisecond()),
        Write::CursorGeneration(generation) => set_meta(to, "cursor_generation", *generation),
        Write::Generation { number, accepted_at } => {
            set_meta(to, "generation", *number)?;
            set_meta(to, "accepted_at", accepted_at.as_millisecond())
        }
        Write::RecordJobSeen { job, at } => {
            let sql = "INSERT INTO job (id, first_seen_ms) VALUES (?1, ?2) \
                ON CONFLICT (id) DO UPDATE SET left_ms = NULL WHERE job.left_ms IS NOT NULL";
            to.run(sql, params![job, at.as_millisecond()])
        }
        Write::RecordJobLeft { job, at } => to.run("UPDATE job SET left_ms = ?2 WHERE id = ?1", params![job, at.as_millisecond()]),
        Write::Hold(hold) => holds::write(to, hold),
        Write::HoldOver(hold) => holds::delete(to, hold),
        Write::RecordAction { at, who, what, detail } => record_action(to, *at, who, (what, detail)),
    }
}

/// Inserts a request for an occurrence, or for a task of it.
fn call_row(
    to: &mut Transaction<'_>,
    call: i64,
    (key, task): (&Key, Option<i64>),
    (action, attempt): (Action, u32),
) -> Result<(), LedgerError> {
    let (job, start) = (key.job.as_str(), key.start.as_millisecond());
    let missing = (Wrong::NoRow, key);
    match to.term() {
        None => to.run_one(INSERT_CALL, params![call, task, action.name(), attempt, job, start], missing),
        Some(term) => to.run_one(INSERT_CALL_OF_TERM, params![call, task, action.name(), attempt, job, start, term], missing),
    }
}

/// Where several hosts may own the air, whoever arms a start again may send it: until its own lease ends.
fn rearm(to: &mut Transaction<'_>, key: &Key, attempt: u32) -> Result<(), LedgerError> {
    let Some(term) = to.term() else { return Ok(()) };
    let sql = "UPDATE call SET term = ?1 WHERE action = ?2 AND attempt = ?3 \
        AND occurrence = (SELECT id FROM occurrence WHERE job = ?4 AND start_ms = ?5)";
    to.run(sql, params![term, Action::Start.name(), attempt, key.job.as_str(), key.start.as_millisecond()])
}

fn answered(
    to: &mut Transaction<'_>,
    call: i64,
    (sent_at, answered_at): (Timestamp, Timestamp),
    answer: &Answer,
) -> Result<(), LedgerError> {
    let (code, message) = fault(answer);
    let sql = "UPDATE call SET sent_ms = ?2, answered_ms = ?3, http_status = ?4, code = ?5, message = ?6, request_id = ?7 \
        WHERE id = ?1";
    let (sent, answered) = (sent_at.as_millisecond(), answered_at.as_millisecond());
    to.run(sql, params![call, sent, answered, answer.http_status, code, message, &answer.request_id])
}

/// Records what somebody did, and what came of it.
pub(super) fn record_action(
    to: &mut Transaction<'_>,
    at: Timestamp,
    who: &str,
    (what, detail): (&str, &str),
) -> Result<(), LedgerError> {
    let sql = "INSERT INTO act (at_ms, who, what, detail) VALUES (?1, ?2, ?3, ?4)";
    to.run(sql, params![at.as_millisecond(), who, what, detail])
}

pub(super) fn set_meta(to: &mut Transaction<'_>, key: &str, value: i64) -> Result<(), LedgerError> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    to.run(sql, params![key, value])
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
