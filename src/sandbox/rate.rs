//! At most so many arrivals in any second: a window that slides, not a bucket that refills. Knows instants; does not know
//! actions and clocks.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// The window's width. Two arrivals exactly this far apart are not in one window.
const WIDTH: SignedDuration = SignedDuration::from_secs(1);

/// The newest arrivals of one action, as many as the limit: older ones cannot matter.
pub(super) struct Window {
    limit: usize,
    arrivals: VecDeque<Timestamp>,
}

impl Window {
    /// At most `limit` arrivals in any second.
    pub(super) fn new(limit: u32) -> Window {
        Window { limit: limit as usize, arrivals: VecDeque::new() }
    }

    /// Counts an arrival, and returns whether it is over the limit. An arrival over the limit counts too: a client that keeps
    /// hammering is kept out.
    pub(super) fn arrive(&mut self, now: Timestamp) -> bool {
        // A clock that was set back must not lock everybody out until it catches up.
        while self.arrivals.back().is_some_and(|at| *at > now) {
            self.arrivals.pop_back();
        }
        let full = self.arrivals.len() == self.limit;
        let over = full && self.arrivals.front().is_none_or(|oldest| now.duration_since(*oldest) < WIDTH);
        if full {
            self.arrivals.pop_front();
        }
        if self.limit > 0 {
            self.arrivals.push_back(now);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(limit: u32, arrivals_ms: &[i64]) -> Vec<bool> {
        let mut window = Window::new(limit);
        arrivals_ms
            .iter()
            .map(|at| window.arrive(Timestamp::from_millisecond(1_700_000_000_000 + at).expect("an instant")))
            .collect()
    }

    #[test]
    fn any_second_counts_and_not_the_second_of_the_clock() {
        for (limit, arrivals, expected) in [
            (2, vec![0, 0, 999, 1000], vec![false, false, true, false]),
            // Two buckets would let four through around the turn of a second.
            (2, vec![900, 950, 1050, 1100, 2100], vec![false, false, true, true, false]),
            // What was over the limit counts as well.
            (2, vec![0, 0, 600, 1100, 1500], vec![false, false, true, false, true]),
            (1, vec![0, 999, 1998, 2998], vec![false, true, true, false]),
            (0, vec![0, 5000], vec![true, true]),
        ] {
            assert_eq!(over(limit, &arrivals), expected, "{limit} of {arrivals:?}");
        }
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        assert_eq!(over(2, &[3_600_000, 3_600_000, 0, 10, 20]), [false, false, false, false, true]);
    }
}
