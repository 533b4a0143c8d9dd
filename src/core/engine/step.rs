//! One step of the engine: the time it is for, and what it decided, as plain values. Nothing in it can fail, and nothing happens
//! by it: the daemon writes the writes, then sends the calls, then tells the notices.

use jiff::Timestamp;

use super::call_report::Blocker;
use super::notice::{Level, Notice};
use super::write::{Known, Write, Writes};
use crate::alerts::Signal;
use crate::occurrence::{Key, TaskStep};
use crate::trtc::Destination;
use crate::trtc::limiter::Priority;

/// What came of an order: lines for whoever gave it; or why it was refused.
pub type Reply = Result<Vec<String>, String>;

/// When the reply to an order comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderReply {
    /// With its step.
    Now(Reply),
    /// With a later step, as [`Step::late_replies`] under this number.
    Later(u64),
}

/// What becomes of a callback. Whoever sent it may hear that it was taken only after the step is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It was taken in, and what it says is among the writes of the step.
    Taken,
    /// It tells of something too long ago, and changes nothing.
    Old,
    /// It could not be taken in now: it must be sent again.
    Refused,
}

/// Something the daemon is to do after the step was written, or when it could not be.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// Send a stop or a describe.
    Task {
        /// The row of the task.
        row: i64,
        /// Which of the two.
        step: TaskStep,
        /// Where the task is.
        destination: Destination,
        /// Its handle.
        task_id: String,
        /// When it may leave, among others.
        priority: Priority,
    },
    /// Stop or describe a task that no occurrence has.
    Orphan {
        /// Which of the two.
        step: TaskStep,
        /// Where it is.
        destination: Destination,
        /// Its handle.
        task_id: String,
    },
    /// Say to the start that is under way in this row what stands between it and its room.
    Block {
        /// The row of its call.
        call: i64,
        /// What stands there.
        blocker: Blocker,
    },
    /// The start in this row was taken back: it must not wait any longer, for nothing of it is sent.
    TakenBack {
        /// The row of its call.
        call: i64,
    },
    /// Open so many connections for starts that are about to come.
    Warm {
        /// How many.
        connections: usize,
    },
    /// Sign later requests for another clock: server minus here, in milliseconds.
    SetClockOffset {
        /// The difference.
        offset_ms: i64,
    },
    /// Read the secrets again; what came of it is reported.
    RereadSecrets,
}

/// The newest rows of calls and of tasks, written or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowNumbers {
    /// Of a call.
    pub call: i64,
    /// Of a task.
    pub task: i64,
}

impl RowNumbers {
    pub(super) fn next_call(&mut self) -> i64 {
        self.call += 1;
        self.call
    }

    pub(super) fn next_task(&mut self) -> i64 {
        self.task += 1;
        self.task
    }
}

/// The step.
#[derive(Debug)]
pub struct Step {
    /// The time that is believed. The same throughout the step.
    pub now: Timestamp,
    /// What is to be written, all or nothing.
    pub writes: Writes,
    /// What is to be done then.
    pub calls: Vec<Call>,
    /// What happened, in words.
    pub notices: Vec<Notice>,
    /// What somebody is to be told that no write says.
    pub signals: Vec<Signal>,
    /// Replies to the orders of this step, in their order.
    pub replies: Vec<OrderReply>,
    /// Replies to orders of earlier steps, by their numbers.
    pub late_replies: Vec<(u64, Reply)>,
    /// What became of the callbacks of this step, in their order.
    pub receipts: Vec<Receipt>,
    pub(super) numbers: RowNumbers,
}

/// What only the ledger knows. `None`: it cannot be read now; whoever asked asks again in a later step.
pub trait Records {
    /// Whether there is a row of that name, open or done. A row that says `missed` counts only where `missed_counts`.
    fn has(&self, key: &Key, missed_counts: bool) -> Option<bool>;

    /// Whether a task of that id was ever ours, or an orphan that is gone.
    fn knows_task(&self, task_id: &str) -> Option<bool>;
}

impl Step {
    /// A step in which nothing was decided yet.
    pub(super) fn new(now: Timestamp, numbers: RowNumbers) -> Step {
        Step {
            now,
            writes: Writes::default(),
            calls: Vec::new(),
            notices: Vec::new(),
            signals: Vec::new(),
            replies: Vec::new(),
            late_replies: Vec::new(),
            receipts: Vec::new(),
            numbers,
        }
    }

    pub(super) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Records what an operator, or the daemon in its own right, did.
    pub(super) fn record_action(&mut self, who: String, what: &str, detail: String) {
        let (at, what) = (self.now, what.to_owned());
        self.write(Write::RecordAction { at, who, what, detail });
    }

    /// Notes something that concerns no single occurrence.
    pub(super) fn notify(&mut self, level: Level, text: String) {
        self.notices.push(Notice::new(self.now, level, text));
    }

    /// Notes something about one occurrence.
    pub(super) fn notify_of(&mut self, key: &Key, level: Level, text: String) {
        self.notices.push(Notice::about(key.clone(), self.now, level, text));
    }

    /// Records that something gave a show that failed another chance, and who did that.
    pub(super) fn record_retry(&mut self, key: &Key, who: &str, why: &str) {
        self.record_action(who.to_owned(), "retry", format!("{key}: {why}"));
    }

    /// Whether there is a row of that name, written in this step or before.
    pub(super) fn has(&self, records: &dyn Records, key: &Key) -> Option<bool> {
        match self.writes.knows(key, true) {
            Known::Yes => Some(true),
            Known::No => Some(false),
            Known::UnlessMissed => records.has(key, false),
            Known::Unknown => records.has(key, true),
        }
    }

    /// Whether a task of that id was ever ours, or an orphan that is gone.
    pub(super) fn knows_task(&self, records: &dyn Records, task_id: &str) -> Option<bool> {
        if self.writes.knows_task(task_id) { Some(true) } else { records.knows_task(task_id) }
    }
}
