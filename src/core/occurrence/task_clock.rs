//! What a clock that was set means for a task: the cloud counts on, and what was measured by the clock moves with it. Does not know how the
//! clock is judged.

use jiff::{SignedDuration, Timestamp};

use super::{Look, Task, TaskPhase};

impl Task {
    /// Moves what was measured by the clock, after it was set by so much: the cloud counts by the time that passes.
    pub fn clock_moved(&mut self, by: SignedDuration) {
        let of_phase = match &mut self.phase {
            TaskPhase::Watched { missing_since } => missing_since.as_mut(),
            TaskPhase::StopWanted { since: at, .. } | TaskPhase::Verifying { stopped_at: at, .. } => Some(at),
            TaskPhase::Gone { .. } => None,
        };
        let of_look = match &mut self.look {
            Look::Missing(first, _) => Some(first),
            Look::Next(_) | Look::NotNext => None,
        };
        let own = [&mut self.started_at, &mut self.seen_at, &mut self.taken_at].map(Some);
        let measured = own.into_iter().chain([of_look, self.stop_wanted_at.as_mut(), of_phase]);
        for at in measured.chain([self.bound.as_mut(), self.media_end.as_mut()]).flatten() {
            *at = at.checked_add(by).unwrap_or(*at);
        }
    }

    /// Handles a clock that was set back: a step or a stop that is now far ahead is made at once, what was seen before is forgotten.
    pub fn clock_went_back(&mut self, now: Timestamp) {
        if let TaskPhase::Watched { missing_since } = &mut self.phase {
            *missing_since = None;
        }
        self.look = Look::NotNext;
        self.next_at = self.next_at.min(now);
        (self.seen_at, self.watched_from) = (self.seen_at.min(now), self.watched_from.min(now));
    }
}
