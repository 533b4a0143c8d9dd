//! One task that TRTC runs for us: what is to be sent for it, and what is under way. Does not know other tasks.

use jiff::Timestamp;

use crate::occurrence::{Task, TaskStep};

/// What a stop means to the next show in the room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HandOver {
    /// Nobody is known to wait for it.
    None,
    /// A show waits for it, and it goes first.
    Awaited,
    /// It was answered, however: nobody waits any longer.
    Answered,
}

/// A task that is not gone, and what is under way for it.
pub(super) struct TaskState {
    pub(super) task: Task,
    /// A step was decided and is to be sent.
    pub(super) owed: Option<TaskStep>,
    /// What is under way: a describe must not hold a stop back.
    pub(super) describing: bool,
    pub(super) stopping: bool,
    /// Whether a show waits for its stop.
    pub(super) hand_over: HandOver,
    /// Since when the vendor cannot pull its media, as far as a callback told.
    pub(super) unpulled: Option<Timestamp>,
}

impl TaskState {
    pub(super) fn new(task: Task) -> TaskState {
        TaskState { task, owed: None, describing: false, stopping: false, hand_over: HandOver::None, unpulled: None }
    }

    /// Whether the next step has to wait for an answer.
    pub(super) fn is_busy(&self) -> bool {
        self.stopping || (self.describing && !self.task.is_stop_wanted())
    }
}
