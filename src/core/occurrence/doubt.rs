//! When requests left that may have begun something: what a callback is held against. Refuses to know what becomes of a doubt.

use jiff::{SignedDuration, Timestamp};

use super::{Occurrence, State};

/// How many doubts of an occurrence are remembered: callbacks come within seconds, and attempts are seconds apart.
const DOUBTS_KEPT: usize = 10;

impl Occurrence {
    /// A request that left at `sent_at` may have begun something.
    pub(super) fn doubt(&mut self, sent_at: Timestamp) {
        self.in_doubt = true;
        self.was_in_doubt = true;
        self.doubts.push(sent_at);
        if self.doubts.len() > DOUBTS_KEPT {
            self.doubts.remove(0);
        }
    }

    /// The clock was set: when its requests left is told by it from now on. `is_under_way`: one has left that is not answered.
    /// Answers whether anything was moved.
    pub fn move_sent(&mut self, by: SignedDuration, is_under_way: bool) -> bool {
        let mut times: Vec<&mut Timestamp> = self.doubts.iter_mut().collect();
        // An attempt that is still ahead leaves by the clock as it is.
        if is_under_way || !matches!(self.state, State::Armed | State::Calling) {
            times.extend(&mut self.tried_at);
        }
        for at in &mut times {
            **at = at.checked_add(by).unwrap_or(**at);
        }
        !times.is_empty()
    }
}
