//! A step of the engine by hand: writes in the order of the calls, rows numbered as the engine numbers them, then one commit.

use ingestd::engine::{Known, Write, Writes};
use ingestd::ledger::{Attempt, Ledger, LedgerError};
use ingestd::occurrence::{Key, Occurrence, Orphan, Task};
use ingestd::trtc::{Action, Answer};
use jiff::Timestamp;

/// Begins a step on a ledger. Dropping it undoes it.
pub(crate) trait BeginTurn {
    fn turn(&mut self) -> Turn<'_>;
}

impl BeginTurn for Ledger {
    fn turn(&mut self) -> Turn<'_> {
        let numbers = self.recover(Timestamp::MAX).expect("readable").numbers;
        Turn { ledger: self, writes: Writes::default(), call: numbers.call, task: numbers.task }
    }
}

/// The step.
pub(crate) struct Turn<'ledger> {
    ledger: &'ledger mut Ledger,
    writes: Writes,
    call: i64,
    task: i64,
}

#[expect(dead_code, clippy::unnecessary_wraps, reason = "several suites share it, and some of its questions can fail")]
impl Turn<'_> {
    pub(crate) fn write(&mut self, write: Write) -> Result<(), LedgerError> {
        self.writes.push(write);
        Ok(())
    }

    pub(crate) fn has(&mut self, key: &Key) -> Result<bool, LedgerError> {
        match self.writes.knows(key, true) {
            Known::Yes => Ok(true),
            Known::No => Ok(false),
            Known::UnlessMissed => self.ledger.has(key, false),
            Known::Unknown => self.ledger.has(key, true),
        }
    }

    pub(crate) fn knows_task(&mut self, task_id: &str) -> Result<bool, LedgerError> {
        if self.writes.knows_task(task_id) { Ok(true) } else { self.ledger.knows_task(task_id) }
    }

    pub(crate) fn record(&mut self, occurrence: &Occurrence) -> Result<bool, LedgerError> {
        let is_new = !self.has(&occurrence.key)?;
        if is_new {
            self.write(Write::Record(Box::new(occurrence.clone())))?;
        }
        Ok(is_new)
    }

    pub(crate) fn claim(&mut self, occurrence: &Occurrence) -> Result<bool, LedgerError> {
        let is_new = self.record(occurrence)?;
        if is_new {
            self.attempt(occurrence)?;
        }
        Ok(is_new)
    }

    pub(crate) fn attempt(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        self.call += 1;
        self.write(Write::Attempt { key: occurrence.key.clone(), call: self.call, attempt: occurrence.attempts })
    }

    pub(crate) fn rearm(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        self.write(Write::Rearm { key: occurrence.key.clone(), attempt: occurrence.attempts })
    }

    pub(crate) fn update(&mut self, occurrence: &Occurrence) -> Result<(), LedgerError> {
        self.write(Write::Update(Box::new(occurrence.clone())))
    }

    pub(crate) fn remove(&mut self, key: &Key) -> Result<(), LedgerError> {
        self.write(Write::Remove(key.clone()))
    }

    pub(crate) fn answered(
        &mut self,
        call: i64,
        sent_at: Timestamp,
        answered_at: Timestamp,
        answer: &Answer,
    ) -> Result<(), LedgerError> {
        self.write(Write::Answered { call, times: (sent_at, answered_at), answer: answer.clone() })
    }

    pub(crate) fn unsent(&mut self, call: i64) -> Result<(), LedgerError> {
        self.write(Write::Unsent { call })
    }

    pub(crate) fn called(
        &mut self,
        task: &Task,
        (action, attempt): (Action, u32),
        times: (Timestamp, Timestamp),
        answer: &Answer,
    ) -> Result<(), LedgerError> {
        self.call += 1;
        let (task, answer) = (Box::new(task.clone()), answer.clone());
        self.write(Write::Called { call: self.call, task, action, attempt, times, answer })
    }

    pub(crate) fn add_task(&mut self, task: &Task) -> Result<i64, LedgerError> {
        self.task += 1;
        self.write(Write::AddTask(Box::new(Task { row: self.task, ..task.clone() })))?;
        Ok(self.task)
    }

    pub(crate) fn update_task(&mut self, task: &Task) -> Result<(), LedgerError> {
        self.write(Write::UpdateTask(Box::new(task.clone())))
    }

    pub(crate) fn add_orphan(&mut self, orphan: &Orphan) {
        self.writes.push(Write::AddOrphan(orphan.clone()));
    }

    pub(crate) fn update_orphan(&mut self, orphan: &Orphan) {
        self.writes.push(Write::UpdateOrphan(orphan.clone()));
    }

    pub(crate) fn orphan_gone(&mut self, task_id: &str, at: Timestamp) {
        self.writes.push(Write::OrphanGone { task_id: task_id.to_owned(), at });
    }

    pub(crate) fn delete_missed_since(&mut self, from: Timestamp) {
        self.writes.push(Write::DeleteMissedSince { from });
    }

    pub(crate) fn set_cursor(&mut self, at: Timestamp) -> Result<(), LedgerError> {
        self.write(Write::Cursor { at })
    }

    pub(crate) fn set_cursor_generation(&mut self, generation: i64) -> Result<(), LedgerError> {
        self.write(Write::CursorGeneration(generation))
    }

    pub(crate) fn set_generation(&mut self, number: i64, accepted_at: Timestamp) -> Result<(), LedgerError> {
        self.write(Write::Generation { number, accepted_at })
    }

    pub(crate) fn record_job_seen(&mut self, job: &str, at: Timestamp) -> Result<(), LedgerError> {
        self.write(Write::RecordJobSeen { job: job.to_owned(), at })
    }

    pub(crate) fn act(&mut self, at: Timestamp, who: &str, what: &str, detail: &str) {
        let (who, what, detail) = (who.to_owned(), what.to_owned(), detail.to_owned());
        self.writes.push(Write::RecordAction { at, who, what, detail });
    }

    pub(crate) fn summarise(&mut self, summary: &Occurrence) -> Result<(), LedgerError> {
        self.write(Write::Summarise(Box::new(summary.clone())))
    }

    pub(crate) fn commit(self, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        self.ledger.commit(self.writes, now)
    }
}
