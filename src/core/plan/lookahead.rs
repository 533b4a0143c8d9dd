//! The starts in one room from an instant on, as far as somebody looked. Whoever asks for one instant after the other searches each
//! start once. Does not know what they are asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Planned, Upcoming};
use crate::schedule::Job;

/// What is known, for always the same jobs.
#[derive(Default)]
pub(super) struct Lookahead {
    from: Timestamp,
    known: VecDeque<Planned>,
    upcoming: Option<Upcoming>,
}

impl Lookahead {
    /// The occurrences of these jobs that start at an instant or later.
    pub(super) fn starts<'a>(&'a mut self, at: Timestamp, jobs: &[&Arc<Job>]) -> impl Iterator<Item = Planned> + use<'a> {
        self.go_to(at, jobs);
        let mut index = 0;
        std::iter::from_fn(move || {
            let next = self.get(index)?.clone();
            index += 1;
            Some(next)
        })
    }

    fn go_to(&mut self, at: Timestamp, jobs: &[&Arc<Job>]) {
        while self.known.front().is_some_and(|first| first.start.at < at) {
            self.known.pop_front();
        }
        let is_behind = self.upcoming.as_ref().is_some_and(|upcoming| upcoming.peek().is_some_and(|next| next < at));
        if self.upcoming.is_none() || at < self.from || is_behind {
            self.known.clear();
            self.upcoming = Some(Upcoming::of(jobs.iter().copied(), at));
        }
        self.from = at;
    }

    fn get(&mut self, index: usize) -> Option<&Planned> {
        if index == self.known.len() {
            self.known.extend(self.upcoming.as_mut()?.next());
        }
        self.known.get(index)
    }
}
