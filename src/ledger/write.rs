//! One turn's writes, as values that wait for their commit. Each method says what a crash before and after it means; all of a turn
//! is one transaction, so "before" and "after" are before and after [`Turn::commit`]. Refuses to decide anything, and to know SQL.
//!
//! When the disk fails, what was decided stays here and is written with the next turn that can be: streams on air must be stopped
//! at their end whether or not that can be written down, and only what needs a durable row waits for one.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Ledger, LedgerError};
use crate::occurrence::{Key, Occurrence, Orphan, Outcome, State, Task};
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

/// One row to write.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Record(Box<Occurrence>),
    Summarise(Box<Occurrence>),
    Update(Box<Occurrence>),
    Remove(Key),
    Attempt { key: Key, call: i64, attempt: u32 },
    Answered { call: i64, times: (Timestamp, Timestamp), answer: Answer },
    Unsent { call: i64 },
    Called { call: i64, task: Box<Task>, action: Action, attempt: u32, times: (Timestamp, Timestamp), answer: Answer },
    AddTask(Box<Task>),
    UpdateTask(Box<Task>),
    AddOrphan(Orphan),
    UpdateOrphan(Orphan),
    OrphanGone { task_id: String, at: Timestamp },
    DeleteMissedSince { from: Timestamp },
    Meta { key: &'static str, value: i64 },
    RecordJobSeen { job: String, at: Timestamp },
    Act { at: Timestamp, who: String, what: String, detail: String },
}

/// What was decided and is not on the disk yet.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) writes: Vec<Write>,
    /// The permissions that these writes give.
    attempts: Vec<Attempt>,
    /// The occurrences whose first row is among these writes.
    fresh: HashSet<Key>,
    /// How many rows of calls and of tasks these writes add.
    pub(super) calls: i64,
    pub(super) tasks: i64,
}

/// A turn under way. A turn that writes nothing does not touch the disk; one that is dropped is undone.
pub struct Turn<'ledger> {
    ledger: &'ledger mut Ledger,
    own: Pending,
}

impl Ledger {
    /// Begins a turn. Dropping it undoes it.
    pub fn turn(&mut self) -> Turn<'_> {
        Turn { ledger: self, own: Pending::default() }
    }

    /// Whether something was decided that could not be written yet.
    pub fn is_behind(&self) -> bool {
        !self.pending.writes.is_empty()
    }
}

impl Turn<'_> {
    fn next_call(&mut self) -> i64 {
        self.own.calls += 1;
        self.ledger.last_call + self.own.calls
    }

    fn write(&mut self, write: Write) {
        self.own.writes.push(write);
    }

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
        let call = self.next_call();
        self.write(Write::Attempt { key: occurrence.key.clone(), call, attempt: occurrence.attempts });
        self.own.attempts.push(Attempt { key: occurrence.key.clone(), call });
        Ok(())
    }

    /// Hands out anew the permission of an occurrence that was armed before a restart and is armed again.
    pub fn rearm(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        let call = self.ledger.call_of(&occurrence.key, occurrence.attempts)?;
        self.own.attempts.push(Attempt { key: occurrence.key.clone(), call });
        Ok(())
    }

    /// Writes what became of an occurrence. Exactly one row changes, and never one that is done: an outcome is final.
    /// Crash before: the row stands as it was, and recovery decides again.
    pub fn update(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        self.write(Write::Update(Box::new(occurrence.clone())));
        Ok(())
    }

    /// Removes an armed row that was taken back unsent, with its call. Crash before: it is recovered as armed.
    pub fn remove(&mut self, key: &Key) -> Result<(), LedgerError> {
        for pending in [&mut self.own, &mut self.ledger.pending] {
            pending.fresh.remove(key);
            pending.attempts.retain(|attempt| &attempt.key != key);
        }
        self.write(Write::Remove(key.clone()));
        Ok(())
    }

    /// Records when a start was sent and what came back. Crash before: the attempt is in doubt.
    pub fn answered(&mut self, call: i64, sent_at: Timestamp, answered_at: Timestamp, answer: &Answer) -> Result<(), LedgerError> {
        self.write(Write::Answered { call, times: (sent_at, answered_at), answer: answer.clone() });
        Ok(())
    }

    /// Removes the call of an attempt that was never sent.
    pub fn unsent(&mut self, call: i64) -> Result<(), LedgerError> {
        self.write(Write::Unsent { call });
        Ok(())
    }

    /// Records a stop, or a describe that changed something. Crash before: it is sent again, which does no harm.
    pub fn called(
        &mut self,
        task: &Task,
        (action, attempt): (Action, u32),
        times: (Timestamp, Timestamp),
        answer: &Answer,
    ) -> Result<(), LedgerError> {
        let call = self.next_call();
        self.write(Write::Called { call, task: Box::new(task.clone()), action, attempt, times, answer: answer.clone() });
        Ok(())
    }

    /// Adds the task of an accepted start and answers its row. Crash before: the start is in doubt, and the task is known only to
    /// TRTC.
    pub fn add_task(&mut self, task: &Task) -> Result<i64, LedgerError> {
        self.own.tasks += 1;
        let row = self.ledger.last_task + self.own.tasks;
        self.write(Write::AddTask(Box::new(Task { row, ..task.clone() })));
        Ok(row)
    }

    /// Writes where a task stands. Crash before: what is owed to it is owed again.
    pub fn update_task(&mut self, task: &Task) -> Result<(), LedgerError> {
        self.write(Write::UpdateTask(Box::new(task.clone())));
        Ok(())
    }

    /// Remembers a task that nobody claims. Crash before: it is forgotten, unless the vendor tells again.
    pub fn add_orphan(&mut self, orphan: &Orphan) {
        self.write(Write::AddOrphan(orphan.clone()));
    }

    /// Writes what is wanted of an orphan. Crash before: the operator is told nothing, and asks again.
    pub fn update_orphan(&mut self, orphan: &Orphan) {
        self.write(Write::UpdateOrphan(orphan.clone()));
    }

    /// An orphan is off the air, or has found its occurrence. Crash before: it is listed a little longer.
    pub fn orphan_gone(&mut self, task_id: &str, at: Timestamp) {
        self.write(Write::OrphanGone { task_id: task_id.to_owned(), at });
    }

    /// Takes back every `missed` row that starts at or after `from`: a clock that was ahead had settled what was still to come.
    /// Crash before: the clock is judged again.
    pub fn delete_missed_since(&mut self, from: Timestamp) {
        let writes = self.own.writes.iter().chain(&self.ledger.pending.writes);
        let missed = writes.filter_map(|write| match write {
            Write::Record(occurrence) if occurrence.key.start >= from => match &occurrence.state {
                State::Done { outcome: Outcome::Missed(_) } => Some(occurrence.key.clone()),
                _ => None,
            },
            _ => None,
        });
        for key in missed.collect::<Vec<_>>() {
            self.own.fresh.remove(&key);
            self.ledger.pending.fresh.remove(&key);
        }
        self.write(Write::DeleteMissedSince { from });
    }

    /// Moves the cursor: every occurrence that starts before it is settled. Crash before: what lies between is settled again, and
    /// the rows that are there already stay.
    pub fn set_cursor(&mut self, cursor: Timestamp) -> Result<(), LedgerError> {
        self.write(Write::Meta { key: "cursor", value: cursor.as_millisecond() });
        Ok(())
    }

    /// Remembers under which generation the time from the cursor on was planned.
    pub fn set_cursor_generation(&mut self, generation: i64) -> Result<(), LedgerError> {
        self.write(Write::Meta { key: "cursor_generation", value: generation });
        Ok(())
    }

    /// Remembers the generation of the schedule that was accepted.
    pub fn set_generation(&mut self, generation: i64, accepted_at: Timestamp) -> Result<(), LedgerError> {
        self.write(Write::Meta { key: "generation", value: generation });
        self.write(Write::Meta { key: "accepted_at", value: accepted_at.as_millisecond() });
        Ok(())
    }

    /// Remembers when a job was first seen.
    pub fn record_job_seen(&mut self, job: &str, now: Timestamp) -> Result<(), LedgerError> {
        self.write(Write::RecordJobSeen { job: job.to_owned(), at: now });
        Ok(())
    }

    /// Notes what an operator, or the daemon in its own right, did.
    pub fn act(&mut self, at: Timestamp, who: &str, what: &str, detail: &str) {
        self.write(Write::Act { at, who: who.to_owned(), what: what.to_owned(), detail: detail.to_owned() });
    }

    /// Records or extends a summary: one row that stands for `count` occurrences of a job that were missed alike. Crash before: the
    /// cursor did not move either, and they are counted again.
    pub fn summarise(&mut self, summary: &Occurrence) -> Result<(), LedgerError> {
        self.write(Write::Summarise(Box::new(summary.clone())));
        Ok(())
    }

    /// Records an occurrence that has no row: one that is settled without a call, missed or skipped. Answers false when there is
    /// one already. Crash before: it is settled by the next start.
    pub fn record(&mut self, occurrence: &Occurrence) -> Result<bool, LedgerError> {
        if self.has(&occurrence.key)? {
            return Ok(false);
        }
        self.own.fresh.insert(occurrence.key.clone());
        self.write(Write::Record(Box::new(occurrence.clone())));
        Ok(true)
    }

    /// Whether there is a row of that name, open or done.
    pub fn has(&mut self, key: &Key) -> Result<bool, LedgerError> {
        if self.own.fresh.contains(key) || self.ledger.pending.fresh.contains(key) {
            return Ok(true);
        }
        let writes = || self.own.writes.iter().chain(&self.ledger.pending.writes);
        if writes().any(|write| matches!(write, Write::Remove(removed) if removed == key)) {
            return Ok(false);
        }
        if writes().any(|write| matches!(write, Write::DeleteMissedSince { from } if *from <= key.start)) {
            return self.ledger.holds_unless_missed(key);
        }
        self.ledger.holds(key)
    }

    /// Whether a task of that id was ever ours.
    pub fn knows_task(&mut self, task_id: &str) -> Result<bool, LedgerError> {
        let is_new = |write: &Write| matches!(write, Write::AddTask(task) if task.task_id == task_id);
        let is_pending = self.own.writes.iter().chain(&self.ledger.pending.writes).any(is_new);
        Ok(is_pending || self.ledger.holds_task(task_id)?)
    }

    /// Whether anything was written in this turn.
    pub fn has_written(&self) -> bool {
        !self.own.writes.is_empty()
    }

    /// Makes the turn durable, with whatever could not be written before, and hands out its permissions to send. `now` is kept as
    /// the time of the newest commit. A turn that wrote nothing has nothing to commit.
    ///
    /// Errors: it could not be written. What was decided is kept, and the next commit tries again; unless the error says that it
    /// can never be ([`LedgerError::is_passing`]): then it is dropped.
    pub fn commit(self, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        let Turn { ledger, own } = self;
        ledger.pending.writes.extend(own.writes);
        ledger.pending.attempts.extend(own.attempts);
        ledger.pending.fresh.extend(own.fresh);
        ledger.last_call += own.calls;
        ledger.last_task += own.tasks;
        if !ledger.pending.writes.is_empty()
            && let Err(error) = ledger.apply(now)
        {
            if !error.is_passing() {
                ledger.pending = Pending::default();
            }
            return Err(error);
        }
        let Pending { attempts, .. } = std::mem::take(&mut ledger.pending);
        Ok(attempts)
    }
}
