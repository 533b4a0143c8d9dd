//! What one step wants written, as values in the order in which they are to be written. A write cannot fail; the ledger makes all
//! of a step durable in one transaction, so that "a crash before" and "a crash after" are before and after that. Does not know SQL.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::alerts::AlertWrite;
use crate::occurrence::{Key, Occurrence, OpenDoubt, Orphan, Outcome, State, Task};
use crate::plan::holds::Hold;
use crate::trtc::callback::Callback;
use crate::trtc::{Action, Answer};

/// One thing to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// The row of an occurrence that has none. Crash before: it is settled after the next start of the daemon.
    Record(Box<Occurrence>),
    /// One row that stands for `count` occurrences of a job that were missed alike: a new one, or more of them. Crash before: the
    /// cursor did not move either, and they are counted again.
    Summarise(Box<Occurrence>),
    /// What became of an occurrence. Exactly one row changes, and never one that is done: an outcome is final. Crash before: the row
    /// stands as it was, and recovery decides again.
    Update(Box<Occurrence>),
    /// A show goes on that was done: it was cut because its job left the schedule, and its job is back; or it failed, and an operator starts
    /// it again in its window. No other row changes that is done. Crash before: the next daemon finds that its job is back; the operator
    /// gets no reply, and asks again.
    Reopen(Box<Occurrence>),
    /// An armed row that was taken back unsent goes, with its call. Crash before: it is recovered as armed.
    Remove(Key),
    /// A start is permitted: the row of its call. Crash before: it was never claimed, or still waits. After: it is armed, or in doubt.
    Attempt {
        /// The occurrence.
        key: Key,
        /// The row of the call.
        call: i64,
        /// Which attempt of the occurrence it is, from 1.
        attempt: u32,
    },
    /// Writes nothing: asks anew for the permission of a call whose row stands since before a restart.
    Rearm {
        /// The occurrence.
        key: Key,
        /// Which attempt of it.
        attempt: u32,
    },
    /// When a start was sent, and what came back. Crash before: the attempt is in doubt.
    Answered {
        /// The row of the call.
        call: i64,
        /// When it was sent and answered.
        times: (Timestamp, Timestamp),
        /// What came back.
        answer: Answer,
    },
    /// The call of an attempt that was never sent goes.
    Unsent {
        /// The row of the call.
        call: i64,
    },
    /// A stop, or a describe that changed something. Crash before: it is sent again, which does no harm.
    Called {
        /// The row of the call.
        call: i64,
        /// The task.
        task: Box<Task>,
        /// Which request.
        action: Action,
        /// How often it was sent for this task, from 1.
        attempt: u32,
        /// When it was sent and answered.
        times: (Timestamp, Timestamp),
        /// What came back.
        answer: Answer,
    },
    /// The task of a start that was accepted. Crash before: the start is in doubt, and only TRTC knows the task.
    AddTask(Box<Task>),
    /// Where a task stands. Crash before: what is owed to it is owed again.
    UpdateTask(Box<Task>),
    /// A task that nobody claims; one that was gone is there again. Crash before: the vendor got no answer, and tells of it again.
    AddOrphan(Orphan),
    /// What is wanted of an orphan. Crash before: the operator gets no reply, and asks again.
    UpdateOrphan(Orphan),
    /// An orphan is off the air, or its occurrence was found. Crash before: it is listed a little longer.
    OrphanGone {
        /// The orphan.
        task_id: String,
        /// When.
        at: Timestamp,
    },
    /// What a callback says of a task that nobody here knows yet. Crash before: the vendor got no answer, and sends it again.
    AddCallback(Callback),
    /// It is known whose that task is, or that it is over. Crash before: it is decided again.
    CallbacksPlaced {
        /// The task.
        task_id: String,
    },
    /// A start that is in doubt, or what became known of one. Crash before: its call has no answer, and it is in doubt.
    AddDoubt(Box<OpenDoubt>),
    /// A start is in doubt no more. Crash before: it is listed a little longer.
    DoubtSettled {
        /// The occurrence.
        key: Key,
        /// When the request left.
        sent_at: Timestamp,
    },
    /// Every `missed` row that starts at or after `from` goes: a clock that was ahead had settled what was still to come. Crash
    /// before: the clock is judged again.
    DeleteMissedSince {
        /// The first start that is still to come.
        from: Timestamp,
    },
    /// Every occurrence that starts before `at` is settled. Crash before: what lies between is settled again, and rows that are there
    /// already stay.
    Cursor {
        /// The cursor.
        at: Timestamp,
    },
    /// Under which generation the time from the cursor on was planned.
    CursorGeneration(i64),
    /// Which generation of the schedule was accepted, and when.
    Generation {
        /// Its number.
        number: i64,
        /// When it was accepted.
        accepted_at: Timestamp,
    },
    /// A job is in the schedule, and what it is owed from a time in which it was not has its rows. When it was first seen is kept. Crash
    /// before: what it is owed is recorded again, and rows that are there already stay.
    RecordJobSeen {
        /// The job's id.
        job: String,
        /// When.
        at: Timestamp,
    },
    /// When a job left the schedule. [`Write::RecordJobSeen`] takes it back. Crash before: the schedule was not accepted either.
    RecordJobLeft {
        /// The job's id.
        job: String,
        /// When.
        at: Timestamp,
    },
    /// What somebody is to be told, or was.
    Alert(AlertWrite),
    /// An operator holds something back, or a pause has another end than before. Crash before: the operator gets no reply, and asks again.
    Hold(Box<Hold>),
    /// Such an order holds nothing back any more: it was taken back, or all that it held back has its row. Crash before: it is dropped again.
    HoldOver(Box<Hold>),
    /// What an operator, or the daemon in its own right, did.
    RecordAction {
        /// When.
        at: Timestamp,
        /// Who.
        who: String,
        /// The verb.
        what: String,
        /// What came of it.
        detail: String,
    },
}

/// What gave an occurrence that failed another chance, as [`Write::RecordAction`] recorded it under the verb `retry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRetry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// How.
    pub why: String,
}

/// What these writes say about the row of a key, before anybody looks at the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has a row.
    Yes,
    /// Its row goes.
    No,
    /// It has a row if the disk has one that is not `missed`.
    UnlessMissed,
    /// They say nothing: the disk knows.
    Unknown,
}

/// Writes in their order, with what they say about rows.
#[derive(Debug, Default)]
pub struct Writes {
    list: Vec<Write>,
    /// Keys whose first row is among them, and whether that row says `missed`.
    fresh: HashMap<Key, bool>,
    removed: HashSet<Key>,
    missed_deleted_from: Option<Timestamp>,
}

impl Writes {
    /// Adds one at the end.
    pub fn push(&mut self, write: Write) {
        match &write {
            Write::Record(occurrence) => {
                let is_missed = matches!(occurrence.state, State::Done { outcome: Outcome::Missed(_) });
                self.fresh.insert(occurrence.key.clone(), is_missed);
            }
            Write::Update(occurrence) => {
                if let Some(is_missed) = self.fresh.get_mut(&occurrence.key) {
                    *is_missed = matches!(occurrence.state, State::Done { outcome: Outcome::Missed(_) });
                }
            }
            Write::Remove(key) => {
                self.fresh.remove(key);
                self.removed.insert(key.clone());
            }
            Write::DeleteMissedSince { from } => {
                self.fresh.retain(|key, is_missed| !*is_missed || key.start < *from);
                self.missed_deleted_from = Some(self.missed_deleted_from.map_or(*from, |known| known.min(*from)));
            }
            _ => {}
        }
        self.list.push(write);
    }

    /// Adds others at the end.
    pub fn extend(&mut self, others: Writes) {
        for write in others.list {
            self.push(write);
        }
    }

    /// Those behind the first `count`.
    #[must_use]
    pub fn after(self, count: usize) -> Writes {
        let mut rest = Writes::default();
        for write in self.list.into_iter().skip(count) {
            rest.push(write);
        }
        rest
    }

    /// In their order.
    pub fn list(&self) -> &[Write] {
        &self.list
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What they say about the row of `key`. A `missed` row counts only where `missed_counts`.
    pub fn knows(&self, key: &Key, missed_counts: bool) -> Known {
        match self.fresh.get(key) {
            Some(is_missed) if missed_counts || !is_missed => return Known::Yes,
            Some(_) => return Known::No,
            None => {}
        }
        if self.removed.contains(key) {
            return Known::No;
        }
        match self.missed_deleted_from {
            Some(from) if from <= key.start => Known::UnlessMissed,
            _ => Known::Unknown,
        }
    }

    /// Whether the task of that id is first written among them, or is an orphan that they say is gone.
    pub fn knows_task(&self, task_id: &str) -> bool {
        self.list.iter().any(|write| match write {
            Write::AddTask(task) => task.task_id == task_id,
            Write::OrphanGone { task_id: gone, .. } => gone == task_id,
            _ => false,
        })
    }
}
