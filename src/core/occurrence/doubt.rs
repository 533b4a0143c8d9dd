//! When requests left that may have started a task: a callback is compared with these times. Does not decide a doubt.

use jiff::{SignedDuration, Timestamp};

use super::{Occurrence, State};

/// How many doubts of an occurrence are remembered: callbacks come within seconds, and attempts are seconds apart.
const DOUBTS_KEPT: usize = 10;

impl Occurrence {
    /// Records that a request that left at `sent_at` may have started a task.
    pub(super) fn doubt(&mut self, sent_at: Timestamp) {
        self.in_doubt = true;
        self.was_in_doubt = true;
        self.doubts.push(sent_at);
        if self.doubts.len() > DOUBTS_KEPT {
            self.doubts.remove(0);
        }
    }

    /// Moves the recorded times after the clock was set. `is_under_way`: a request has left that is not answered.
    /// Returns whether a time was moved.
    pub fn move_sent(&mut self, by: SignedDuration, is_under_way: bool) -> bool {
        let mut times: Vec<&mut Timestamp> = self.doubts.iter_mut().collect();
        // An attempt that has not left yet leaves by the new clock.
        if is_under_way || !matches!(self.state, State::Armed | State::Calling) {
            times.extend(&mut self.tried_at);
        }
        for at in &mut times {
            **at = at.checked_add(by).unwrap_or(**at);
        }
        !times.is_empty()
    }
}
