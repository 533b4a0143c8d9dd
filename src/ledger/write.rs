//! One turn's writes. Each method says what a crash before and after it means; all of a turn is one transaction, so "before" and
//! "after" are before and after [`Turn::commit`]. Refuses to decide anything.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Ledger, LedgerError, row};
use crate::occurrence::{Key, Occurrence, Outcome, State, Task, TaskPhase, describe_fault};
use crate::trtc::{Action, Answer};

/// The durable permission to send one start. Made only here, handed out only after its row is on the disk, consumed by the call:
/// it cannot be sent twice.
#[derive(Debug)]
pub struct Attempt {
    key: Key,
    call: i64,
}

impl Attempt {
    /// The occurrence.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The row of its call.
    pub fn call(&self) -> i64 {
        self.call
    }
}

/// A turn under way: a transaction from its first write on. A turn that writes nothing does not touch the disk.
pub struct Turn<'ledger> {
    connection: &'ledger mut Connection,
    begun: bool,
    attempts: Vec<Attempt>,
}

impl Ledger {
    /// Begins a turn. Dropping it undoes it.
    pub fn turn(&mut self) -> Turn<'_> {
        Turn { connection: &mut self.connection, begun: false, attempts: Vec::new() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.begun {
            // What cannot be undone now is undone by SQLite when the file is opened next.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

impl Turn<'_> {
    /// Claims an occurrence: its row, armed, and the call of its first attempt. Answers false when there is a row already: it is
    /// settled. Crash before: it was never claimed. After: it is recovered as armed.
    pub fn claim(&mut self, occurrence: &Occurrence) -> Result<bool, LedgerError> {
        let is_new = self.record(occurrence)?;
        if is_new {
            self.attempt(occurrence)?;
        }
        Ok(is_new)
    }

    /// Claims an attempt of an occurrence that was updated to `calling`. Crash before: it still waits. After: it is in doubt.
    pub fn attempt(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        let id = self.id(&occurrence.key)?;
        let sql = "INSERT INTO call (occurrence, action, attempt) VALUES (?1, ?2, ?3)";
        let call = self.writing()?.prepare_cached(sql)?.insert(params![id, Action::Start.name(), occurrence.attempts])?;
        self.attempts.push(Attempt { key: occurrence.key.clone(), call });
        Ok(())
    }

    /// Hands out anew the permission of an occurrence that was armed before a restart and is armed again.
    pub fn rearm(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        let id = self.id(&occurrence.key)?;
        let sql = "SELECT max(id) FROM call WHERE occurrence = ?1 AND action = ?2 AND attempt = ?3";
        let parameters = params![id, Action::Start.name(), occurrence.attempts];
        let call = self.writing()?.query_row(sql, parameters, |row| row.get(0))?;
        self.attempts.push(Attempt { key: occurrence.key.clone(), call });
        Ok(())
    }

    /// Writes what became of an occurrence. Exactly one row changes, and never one that is done: an outcome is final.
    /// Crash before: the row stands as it was, and recovery decides again.
    pub fn update(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        let columns = Columns::of(occurrence);
        let sql = "UPDATE occurrence SET end_ms = ?3, state = ?4, wait_until_ms = ?5, wait_why = ?6, outcome = ?7, reason = ?8, \
            attempts = ?9, tries = ?10, restarts = ?11, was_in_doubt = ?12, in_doubt = ?13, joined = ?14, exists_since_ms = ?15, \
            first_sent_ms = ?16, on_air_ms = ?17, ended_ms = ?18, confirmed_ms = ?19, task_id = ?20, error_code = ?21, \
            error_message = ?22, error_in_a_row = ?23, request_id = ?24 \
            WHERE job = ?1 AND start_ms = ?2 AND state <> 'done'";
        let changed = self.writing()?.prepare_cached(sql)?.execute(params![
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
        ])?;
        if changed == 1 {
            return Ok(());
        }
        Err(LedgerError { message: format!("the row of {} is not there or done already; {changed} rows changed", occurrence.key) })
    }

    /// Removes an armed row that was taken back unsent, with its call. Crash before: it is recovered as armed.
    pub fn remove(&mut self, key: &Key) -> Result<(), LedgerError> {
        let sql = "DELETE FROM occurrence WHERE job = ?1 AND start_ms = ?2 AND state = 'armed'";
        match self.writing()?.prepare_cached(sql)?.execute(params![key.job.as_str(), key.start.as_millisecond()])? {
            1 => Ok(()),
            changed => Err(LedgerError { message: format!("{changed} rows of {key} were armed, not one") }),
        }
    }

    /// Records when a start was sent and what came back. Crash before: the attempt is in doubt.
    pub fn answered(&mut self, call: i64, sent_at: Timestamp, answered_at: Timestamp, answer: &Answer) -> Result<(), LedgerError> {
        let (code, message) = fault(answer);
        let sql = "UPDATE call SET sent_ms = ?2, answered_ms = ?3, http_status = ?4, code = ?5, message = ?6, request_id = ?7 \
            WHERE id = ?1";
        let (sent, answered) = (sent_at.as_millisecond(), answered_at.as_millisecond());
        let parameters = params![call, sent, answered, answer.http_status, code, message, answer.request_id];
        self.writing()?.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Removes the call of an attempt that was never sent.
    pub fn unsent(&mut self, call: i64) -> Result<(), LedgerError> {
        self.writing()?.prepare_cached("DELETE FROM call WHERE id = ?1")?.execute([call])?;
        Ok(())
    }

    /// Records a stop, or a describe that changed something. Crash before: it is sent again, which does no harm.
    pub fn called(
        &mut self,
        task: &Task,
        (action, attempt): (Action, u32),
        (sent_at, answered_at): (Timestamp, Timestamp),
        answer: &Answer,
    ) -> Result<(), LedgerError> {
        let (code, message) = fault(answer);
        let sql = "INSERT INTO call (occurrence, task, action, attempt, sent_ms, answered_ms, http_status, code, message, request_id) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let id = self.id(&task.key)?;
        let (sent, answered) = (sent_at.as_millisecond(), answered_at.as_millisecond());
        let name = action.name();
        let parameters = params![id, task.row, name, attempt, sent, answered, answer.http_status, code, message, answer.request_id];
        self.writing()?.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Adds the task of an accepted start and answers its row. Crash before: the start is in doubt, and the task is known only to
    /// TRTC.
    pub fn add_task(&mut self, task: &Task) -> Result<i64, LedgerError> {
        let sql = "INSERT INTO task (occurrence, task_id, app, sdk_app_id, region, started_ms, bound_ms, media_end_ms, stop_tries, \
            alerted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0)";
        let id = self.id(&task.key)?;
        let to = &task.destination;
        let sdk_app_id = i64::try_from(to.sdk_app_id).unwrap_or(i64::MAX);
        let started = task.started_at.as_millisecond();
        let parameters = params![id, task.task_id, to.app, sdk_app_id, to.region, started, ms(task.bound), ms(task.media_end)];
        Ok(self.writing()?.prepare_cached(sql)?.insert(parameters)?)
    }

    /// Writes where a task stands. Crash before: what is owed to it is owed again.
    pub fn update_task(&mut self, task: &Task) -> Result<(), LedgerError> {
        let (wanted, tries, stopped, gone, verified) = match task.phase {
            TaskPhase::Watched { .. } => (None, 0, None, None, None),
            TaskPhase::StopWanted { since, tries } => (Some(since), tries, None, None, None),
            TaskPhase::Verifying { stopped_at, .. } => (Some(stopped_at), 0, Some(stopped_at), None, None),
            TaskPhase::Gone { at, verified } => (None, 0, None, Some(at), Some(verified)),
        };
        let sql = "UPDATE task SET stop_wanted_ms = coalesce(stop_wanted_ms, ?2), stop_tries = max(stop_tries, ?3), \
            stopped_ms = coalesce(stopped_ms, ?4), gone_ms = ?5, verified = ?6, alerted = ?7 WHERE id = ?1";
        let parameters = params![task.row, ms(wanted), tries, ms(stopped), ms(gone), verified, task.alerted];
        self.writing()?.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    /// Moves the cursor: every occurrence that starts before it is settled. Crash before: what lies between is settled again, and
    /// the rows that are there already stay.
    pub fn set_cursor(&mut self, cursor: Timestamp) -> Result<(), LedgerError> {
        self.set_meta("cursor", cursor.as_millisecond())
    }

    /// Remembers under which generation the time from the cursor on was planned.
    pub fn set_cursor_generation(&mut self, generation: i64) -> Result<(), LedgerError> {
        self.set_meta("cursor_generation", generation)
    }

    /// Remembers the generation of the schedule that was accepted.
    pub fn set_generation(&mut self, generation: i64, accepted_at: Timestamp) -> Result<(), LedgerError> {
        self.set_meta("generation", generation)?;
        self.set_meta("accepted_at", accepted_at.as_millisecond())
    }

    /// Remembers when a job was first seen.
    pub fn see_job(&mut self, job: &str, now: Timestamp) -> Result<(), LedgerError> {
        let sql = "INSERT INTO job (id, first_seen_ms) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
        self.writing()?.prepare_cached(sql)?.execute(params![job, now.as_millisecond()])?;
        Ok(())
    }

    /// Notes what an operator, or the daemon in its own right, did.
    pub fn act(&mut self, at: Timestamp, who: &str, what: &str, detail: &str) -> Result<(), LedgerError> {
        let sql = "INSERT INTO act (at_ms, who, what, detail) VALUES (?1, ?2, ?3, ?4)";
        self.writing()?.prepare_cached(sql)?.execute(params![at.as_millisecond(), who, what, detail])?;
        Ok(())
    }

    /// Makes the turn durable and hands out its permissions to send. `now` is kept as the time of the newest commit.
    /// A turn that wrote nothing has nothing to commit.
    pub fn commit(mut self, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        if self.begun {
            self.set_meta("committed_at", now.as_millisecond())?;
            self.connection.execute_batch("COMMIT")?;
            self.begun = false;
        }
        Ok(std::mem::take(&mut self.attempts))
    }

    /// Whether anything was written in this turn.
    pub fn has_written(&self) -> bool {
        self.begun
    }

    /// The connection, in a transaction.
    fn writing(&mut self) -> Result<&Connection, LedgerError> {
        if !self.begun {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.begun = true;
        }
        Ok(self.connection)
    }

    /// Records or extends a summary: one row that stands for `count` occurrences of a job that were missed alike. Crash before: the
    /// cursor did not move either, and they are counted again.
    pub fn summarise(&mut self, summary: &Occurrence) -> Result<(), LedgerError> {
        if self.record(summary)? {
            return Ok(());
        }
        let sql = "UPDATE occurrence SET count = ?3, end_ms = ?4 WHERE job = ?1 AND start_ms = ?2 AND kind = 'summary'";
        let Key { start, job } = &summary.key;
        let end = ms(summary.end.at());
        let changed =
            self.writing()?.prepare_cached(sql)?.execute(params![job.as_str(), start.as_millisecond(), summary.count, end])?;
        if changed == 1 { Ok(()) } else { Err(LedgerError { message: format!("the row of {} is no summary", summary.key) }) }
    }

    /// Records an occurrence that has no row: one that is settled without a call, missed or skipped. Answers false when there is
    /// one already. Crash before: it is settled by the next start.
    pub fn record(&mut self, occurrence: &Occurrence) -> Result<bool, LedgerError> {
        let columns = Columns::of(occurrence);
        let sql = "INSERT INTO occurrence (job, start_ms, end_ms, kind, count, generation, spec, state, wait_until_ms, wait_why, \
            outcome, reason, attempts, tries, restarts, was_in_doubt, in_doubt, joined, error_in_a_row) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, 0) \
            ON CONFLICT (job, start_ms) DO NOTHING";
        let changed = self.writing()?.prepare_cached(sql)?.execute(params![
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
        ])?;
        Ok(changed == 1)
    }

    /// Whether there is a row of that name, open or done.
    pub fn has(&mut self, key: &Key) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM occurrence WHERE job = ?1 AND start_ms = ?2";
        Ok(self.connection.prepare_cached(sql)?.exists(params![key.job.as_str(), key.start.as_millisecond()])?)
    }

    fn set_meta(&mut self, key: &str, value: i64) -> Result<(), LedgerError> {
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        self.writing()?.prepare_cached(sql)?.execute(params![key, value])?;
        Ok(())
    }

    fn id(&mut self, key: &Key) -> Result<i64, LedgerError> {
        let sql = "SELECT id FROM occurrence WHERE job = ?1 AND start_ms = ?2";
        let parameters = params![key.job.as_str(), key.start.as_millisecond()];
        let found = self.writing()?.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)).optional()?;
        found.ok_or_else(|| LedgerError { message: format!("there is no row of {key}") })
    }
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
