//! The search through the windows of jobs that share a target: in the order of their starts, each is compared with
//! those that are still open. Does not know how far to look, and what is done about a clash.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::clash::{OneRobot, clash_of, may_be_one};
use crate::plan::precedence::{ConflictKind, Contender, clash};
use crate::plan::{Planned, Upcoming};
use crate::schedule::{Conflict, Job};

/// Most windows of one job that a sweep looks at.
pub(super) const WINDOWS_MAX: u32 = 20_000;

/// Two jobs, by their indexes among the jobs of the sweep, the lower first; or one job and itself.
pub(super) type Pair = (usize, usize);

/// What to do after a clash.
pub(super) enum Next {
    /// This pair is decided.
    Decided,
    /// The pair may have a worse clash.
    GoOn,
    /// The sweep can end.
    Enough,
}

/// How far a sweep got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SweepEnd {
    /// To its end, or until every pair was decided.
    Complete,
    /// To an instant at which this job had all its windows.
    LimitReached(Timestamp, usize),
    /// The caller stopped it.
    Stopped,
}

/// A sweep through jobs of one target, all of them enabled. It keeps the decided pairs from one range to the next.
pub(super) struct Sweep<'a> {
    jobs: &'a [Arc<Job>],
    /// The pairs to look for; `None`: all.
    wanted: Option<HashSet<Pair>>,
    decided: HashSet<Pair>,
    windows: Vec<u32>,
    /// The robots of the jobs that allow others, without the start.
    robots: Vec<String>,
    one_robot: OneRobot,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(jobs: &'a [Arc<Job>], wanted: Option<HashSet<Pair>>, one_robot: OneRobot) -> Sweep<'a> {
        let robots = jobs.iter().map(|job| match job.policy.conflict {
            Conflict::Allow => job.robot.fill(job.id.as_str(), &job.room),
            Conflict::Reject | Conflict::Preempt | Conflict::Yield => String::new(),
        });
        Sweep { jobs, wanted, decided: HashSet::new(), windows: vec![0; jobs.len()], robots: robots.collect(), one_robot }
    }

    /// The pairs that were decided.
    pub(super) fn into_decided(self) -> HashSet<Pair> {
        self.decided
    }

    /// Compares the windows that begin in `range` with those that are open then.
    pub(super) fn through(
        &mut self,
        range: Range<Timestamp>,
        mut on_clash: impl FnMut(&Planned, &Planned, Pair, ConflictKind) -> Next,
    ) -> SweepEnd {
        let mut upcoming = Upcoming::open_at(self.jobs, range.start);
        let mut open: Vec<VecDeque<Planned>> = vec![VecDeque::new(); self.jobs.len()];
        // The jobs that have an open window: among many on one target they are few.
        let mut open_jobs: Vec<usize> = Vec::new();
        while let Some((index, window)) = upcoming.next_of() {
            let start = window.start.at;
            if start >= range.end || self.wanted.as_ref().is_some_and(|wanted| wanted.len() == self.decided.len()) {
                return SweepEnd::Complete;
            }
            if window.end.at().is_some_and(|end| end <= range.start) {
                continue;
            }
            if self.windows[index] == WINDOWS_MAX {
                return SweepEnd::LimitReached(start, index);
            }
            self.windows[index] += 1;
            let mut at = 0;
            while let Some(other) = open_jobs.get(at).copied() {
                let queue = &mut open[other];
                while queue.front().is_some_and(|window| !Contender::planned(window).lasts(start)) {
                    queue.pop_front();
                }
                if queue.is_empty() {
                    open_jobs.swap_remove(at);
                    continue;
                }
                // A pair of windows that both began before the range is not reported.
                if start >= range.start
                    && let Next::Enough = self.compare(queue, &window, (other, index), &mut on_clash)
                {
                    return SweepEnd::Stopped;
                }
                at += 1;
            }
            if open[index].is_empty() {
                open_jobs.push(index);
            }
            open[index].push_back(window);
        }
        SweepEnd::Complete
    }

    /// Compares a window with the open ones of one job, which began earlier or at the same instant.
    fn compare(
        &mut self,
        queue: &VecDeque<Planned>,
        window: &Planned,
        (other, index): (usize, usize),
        on_clash: &mut impl FnMut(&Planned, &Planned, Pair, ConflictKind) -> Next,
    ) -> Next {
        let pair = (other.min(index), other.max(index));
        if self.decided.contains(&pair) || self.wanted.as_ref().is_some_and(|wanted| !wanted.contains(&pair)) {
            return Next::GoOn;
        }
        // Its starts are in order, so that the newest is the one that may begin at the same instant.
        let first = if self.may_begin_inside(other, index) { queue.len() - 1 } else { 0 };
        for earlier in queue.range(first..) {
            let Some(kind) = clash_of(earlier, window, self.one_robot) else { continue };
            match on_clash(earlier, window, pair, kind) {
                Next::GoOn => {}
                Next::Decided => {
                    self.decided.insert(pair);
                    return Next::GoOn;
                }
                Next::Enough => return Next::Enough,
            }
        }
        Next::GoOn
    }

    /// Whether a window of the second job may always begin inside one of the first: then only equal starts can clash,
    /// however many windows are open.
    fn may_begin_inside(&self, first: usize, second: usize) -> bool {
        let may_have_one_robot = || {
            let (one, other) = (&self.robots[first], &self.robots[second]);
            // With the start in one text of both, the robots of two starts differ.
            if one == other { !one.contains("{start}") } else { may_be_one(one, other) }
        };
        clash(self.jobs[first].policy.conflict, self.jobs[second].policy.conflict, false, may_have_one_robot).is_none()
    }
}
