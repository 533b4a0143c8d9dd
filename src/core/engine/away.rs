//! The way back of a loop that was away: for a stall, a suspend, or because the clock was set. With 100,000 jobs that takes longer than
//! any stop may wait, so it goes in pieces, one in each step: first the search for coming starts skips what has passed, then each job
//! that was skipped is asked for a window that is still open. Does not start anything, and does not know what has a row.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;

use super::claim::latest_open;
use crate::occurrence::MissedReason;
use crate::plan::{Planned, Skipped, Upcoming};
use crate::schedule::Job;

/// Jobs that are skipped in one step: a few milliseconds.
const SKIPPED_AT_ONCE: usize = 2_000;

/// Jobs that are asked for an open window in one step: about as long.
const ASKED_AT_ONCE: usize = 250;

/// A search that is on its way to an instant.
pub(super) struct Away {
    /// That instant.
    pub(super) to: Timestamp,
    /// Why nobody was there meanwhile; `None`: nothing is owed from before that instant.
    pub(super) absent: Option<MissedReason>,
    pub(super) skipped: Vec<Skipped>,
}

impl Away {
    /// What lies before `to` is owed.
    pub(super) fn owing(to: Timestamp, absent: MissedReason) -> Away {
        Away { to, absent: Some(absent), skipped: Vec::new() }
    }

    /// What lies before `to` is settled, or never owed.
    pub(super) fn settled(to: Timestamp) -> Away {
        Away { to, absent: None, skipped: Vec::new() }
    }

    /// Takes the search on by one piece. True: it is there.
    pub(super) fn go_on(&mut self, upcoming: &mut Upcoming) -> bool {
        upcoming.skip_to(self.to, SKIPPED_AT_ONCE, &mut self.skipped)
    }
}

/// A window that is open already and may have no row.
pub(super) struct OpenWindow {
    pub(super) planned: Planned,
    /// Another window of its job plays, and it is skipped.
    pub(super) is_job_busy: bool,
}

/// A job that may have a window that is open already.
pub(super) struct MayBeOpen {
    pub(super) job: Arc<Job>,
    /// From when on its windows count.
    pub(super) from: Timestamp,
    /// Whether another window of it plays.
    pub(super) is_busy: bool,
}

/// Such jobs, in the order in which they are asked.
#[derive(Default)]
pub(super) struct JobsToAsk {
    jobs: VecDeque<MayBeOpen>,
}

impl JobsToAsk {
    pub(super) fn add(&mut self, jobs: impl IntoIterator<Item = MayBeOpen>) {
        self.jobs.extend(jobs);
    }

    pub(super) fn clear(&mut self) {
        self.jobs.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Asks the next few, and returns the newest open window of each that has one.
    pub(super) fn ask_some(&mut self, now: Timestamp) -> Vec<OpenWindow> {
        self.ask(ASKED_AT_ONCE.min(self.jobs.len()), now)
    }

    /// The same of all, before the loop runs.
    pub(super) fn ask_all(&mut self, now: Timestamp) -> Vec<OpenWindow> {
        self.ask(self.jobs.len(), now)
    }

    fn ask(&mut self, count: usize, now: Timestamp) -> Vec<OpenWindow> {
        let open = self.jobs.drain(..count).filter_map(|MayBeOpen { job, from, is_busy }| {
            latest_open(&job, from, now).map(|planned| OpenWindow { planned, is_job_busy: is_busy })
        });
        open.collect()
    }
}
