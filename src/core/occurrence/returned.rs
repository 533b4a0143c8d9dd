//! A show that was cut because its job left the schedule, when its job is back, and one that failed, when it is taken up again: the one way
//! out of the state `done`. Does not know whether its window is open.

use jiff::Timestamp;

use super::decide::retry_reason;
use super::{FallbackRecord, Occurrence, Replaced, State};

impl Occurrence {
    /// Returns a show that is over, as it is when it is taken up again at `now`: it waits for its next attempt, which it makes at once. What
    /// was in doubt when it ended is in doubt again: a task that its robot has there is its own.
    #[must_use]
    pub fn returned(self, now: Timestamp) -> Occurrence {
        let why = retry_reason(&self);
        let scheduled = self.playout.scheduled().clone();
        let mut next = Occurrence {
            // It begins with its stream again.
            fallback: FallbackRecord { played: self.fallback.played.clone(), ..FallbackRecord::default() },
            in_doubt: self.has_unanswered_doubt(),
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
        };
        if next.playout != scheduled {
            next.replace_playout(scheduled);
        }
        next
    }

    /// Whether a start of it that nobody answered may be on air where it is: no later one was proved to be.
    fn has_unanswered_doubt(&self) -> bool {
        let was_never_there = self.on_air_at.is_none() || self.replaced == Replaced::Place;
        was_never_there && !self.doubts.is_empty()
    }
}
