//! What a call brings back, and what a call waits for. Does not send anything.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::occurrence::{Key, NotSent, Occurrence, TaskStep};
use crate::trtc::Answer;

use super::secrets::SecretsRead;
use super::send_flag::SendFlag;

/// What stands between a start and its room. The greater is waited for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocker {
    /// Nothing.
    Nothing,
    /// A task whose stop is not answered yet.
    Task,
    /// A task of the same robot whose stop has not succeeded yet.
    SameRobot,
}

/// What a call needs to send a start.
#[derive(Debug)]
pub struct StartCall {
    /// What to start.
    pub occurrence: Occurrence,
    /// Who decides first: the call that sends, or the engine that takes it back.
    pub flag: SendFlag,
    /// What stands between it and its room now; more is told as [`super::Call::Block`].
    pub blocker: Blocker,
}

/// What a call brings back.
#[derive(Clone, Debug, PartialEq)]
pub enum CallReport {
    /// A start was sent.
    Answered {
        /// The occurrence.
        key: Key,
        /// The row of the call.
        call: i64,
        /// When it left, by the wall clock as it was then.
        sent_at: Timestamp,
        /// The same by the clock that nobody sets.
        sent_since_boot: Duration,
        /// When its answer came.
        answered_at: Timestamp,
        /// What came back.
        answer: Answer,
        /// When the cloud ends its task by itself.
        bound: Option<Timestamp>,
    },
    /// A start came back unsent.
    Unsent {
        /// The occurrence.
        key: Key,
        /// The row of the call.
        call: i64,
        /// Why.
        reason: NotSent,
    },
    /// A stop or a describe of a task was sent.
    Task {
        /// The row of the task.
        row: i64,
        /// Which of the two.
        step: TaskStep,
        /// When it left.
        sent_at: Timestamp,
        /// When its answer came.
        answered_at: Timestamp,
        /// What came back.
        answer: Answer,
    },
    /// A stop or a describe of a task that no occurrence has was sent.
    Orphan {
        /// The task.
        task_id: String,
        /// Which of the two.
        step: TaskStep,
        /// What came back.
        answer: Answer,
    },
    /// Connections were opened.
    Warmed,
    /// The secrets were read again.
    SecretsRead(SecretsRead),
}

/// A clock that is off by less was not set.
const SET: SignedDuration = SignedDuration::from_secs(1);

impl CallReport {
    /// Says when a start left by the clock as it is believed now: it may have been set since.
    pub fn correct_times(&mut self, now: Timestamp, since_boot: Duration) {
        let CallReport::Answered { sent_at, sent_since_boot, bound, .. } = self else { return };
        let ago = SignedDuration::try_from(since_boot.saturating_sub(*sent_since_boot)).unwrap_or_default();
        let off = now.duration_since(*sent_at) - ago;
        if off.abs() >= SET {
            *sent_at = sent_at.checked_add(off).unwrap_or(*sent_at);
            *bound = bound.and_then(|bound| bound.checked_add(off).ok());
        }
    }
}
