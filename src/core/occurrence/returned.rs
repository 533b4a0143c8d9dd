//! A show that was cut because its job left the schedule, when its job is back: the one way out of the state `done`. Does not know whether
//! its window is open.

use jiff::Timestamp;

use super::decide::retry_reason;
use super::{FallbackRecord, Occurrence, State};

impl Occurrence {
    /// Returns a show that was cut because its job left the schedule, as it is when its job is back at `now`: it waits for its next
    /// attempt, which it makes at once.
    #[must_use]
    pub fn returned(self, now: Timestamp) -> Occurrence {
        let why = retry_reason(&self);
        let scheduled = self.playout.scheduled().clone();
        Occurrence {
            // It begins with its stream again.
            fallback: FallbackRecord { played: self.fallback.played, ..FallbackRecord::default() },
            playout: scheduled,
            state: State::Waiting { until: now.max(self.key.start), why },
            tries: 0,
            exists_since: None,
            ended_at: None,
            // While its job was not there it was off the air as planned.
            lost_at: self.on_air_at.map(|_| now),
            adopted: None,
            fault: None,
            // Of the task that was stopped; it will have another.
            task_fault: None,
            unseen_losses: 0,
            confirmed_at: None,
            ..self
        }
    }
}
