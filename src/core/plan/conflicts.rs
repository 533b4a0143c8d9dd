//! Conflicts of a schedule: which windows overlap in one room although the schedule does not say who has it. What
//! counts is the target, never the job; a job's own windows count too. And which have one robot in two rooms (`robots`). Pure. Does
//! not read files.
//!
//! `precedence.rs` says whether two windows clash. A job that yields never clashes with one that does not, so the jobs
//! of each target are two groups that are checked apart. For most groups a few sample weeks show that nothing clashes
//! (`sample`). Only the others are searched window by window (`sweep`).

mod clash;
mod robots;
mod sample;
mod sweep;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Planned;
use super::precedence::clash;
pub use super::precedence::{ConflictKind, TOUCHING};
use super::target::JobTarget;
use crate::diagnostic::{Collected, Diagnostic};
use crate::schedule::{Conflict, Job, Schedule};
pub use clash::Clash;
pub(super) use clash::have_one_robot;
use sample::ClockChanges;
use sweep::{Next, Pair, Sweep, SweepEnd};

/// How far ahead conflicts are looked for.
pub const AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Clashes that begin later than this do not keep a daemon from playing a schedule.
pub const NEAR: SignedDuration = SignedDuration::from_hours(35 * 24);

/// Most pairs of jobs that are reported, without those of clock changes. A wrong default may make millions of them.
const CLASHES_MAX: usize = 200;

/// Jobs of which every pair is listed.
const LISTED_MAX: usize = 100;

/// Who asks: this decides how serious a clash far ahead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Whoever writes the schedule: every clash is an error, unless only a clock change makes it.
    Check,
    /// Whoever plays it: what begins more than [`NEAR`] ahead is a warning too, because there is time to fix it.
    Run,
}

/// The conflicts of a schedule.
#[derive(Clone, Debug)]
pub struct Conflicts {
    /// The instant from which on it was checked.
    pub now: Timestamp,
    /// One for each pair of jobs that clash: the first that exists without a clock change, if there is one. In the
    /// order of their jobs' places.
    pub clashes: Vec<Clash>,
    /// Whether there are more: the check ended early.
    pub more: bool,
    /// The job whose windows were too many to look as far as [`AHEAD`], and the instant up to which its target was
    /// checked.
    pub short: Option<(Arc<Job>, Timestamp)>,
}

/// Checks a schedule from `now` on. Takes longer the more windows may clash; looks at no more than 20,000 windows of
/// each job.
pub fn check_conflicts(schedule: &Schedule, now: Timestamp) -> Conflicts {
    let range = now..now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let mut checker = Checker { changes: ClockChanges::new(&range), range, clashes: Vec::new(), real: 0, more: false, short: None };
    let jobs = grouped(schedule);
    let mut groups: Vec<&[Arc<Job>]> = jobs.chunk_by(|one, other| group(one) == group(other)).collect();
    // In the order of their first jobs, because the check may end early.
    groups.sort_by(|one, other| one[0].id.cmp(&other[0].id));
    for jobs in groups {
        checker.group(jobs);
        if checker.more {
            break;
        }
    }
    let mut clashes = checker.clashes;
    clashes.extend(robots::in_two_rooms(schedule, &checker.range));
    clashes.sort_by(|one, other| {
        let places = |clash: &Clash| (clash.later.job.place.clone(), clash.earlier.job.place.clone());
        places(one).cmp(&places(other))
    });
    Conflicts { now, clashes, more: checker.more, short: checker.short }
}

impl Conflicts {
    /// Returns the problems, in the order of their places, and within the bounds of [`Collected`].
    pub fn diagnostics(&self, strictness: Strictness) -> Vec<Diagnostic> {
        let is_warning = |clash: &Clash| {
            let is_far = clash.starts_at().duration_since(self.now) > NEAR;
            clash.by_clock_change || (strictness == Strictness::Run && is_far)
        };
        let mut collected = Collected::default();
        collected.extend(self.clashes.iter().map(|clash| words::diagnostic(clash, is_warning(clash))));
        let (problems, left_out) = collected.into_parts();
        problems.into_iter().chain(left_out).chain(self.more.then(|| words::more(CLASHES_MAX))).collect()
    }

    /// Returns a sentence that says how far ahead the check looked, if that is less than [`AHEAD`].
    pub fn shortfall(&self) -> Option<String> {
        self.short.as_ref().map(|(job, at)| words::shortfall(job, *at))
    }
}

/// The enabled jobs, those together that can clash with each other: of one target, and all of them yielding or none.
fn grouped(schedule: &Schedule) -> Vec<Arc<Job>> {
    let mut jobs: Vec<Arc<Job>> = schedule.jobs().filter(|job| job.enabled).cloned().collect();
    // Within a group they stay in their order.
    jobs.sort_by(|one, other| group(one).cmp(&group(other)));
    jobs
}

/// Which jobs a job can clash with: those of the same group.
fn group(job: &Job) -> (JobTarget<'_>, bool) {
    (JobTarget::of(job), job.policy.conflict == Conflict::Yield)
}

struct Checker {
    range: Range<Timestamp>,
    changes: ClockChanges,
    clashes: Vec<Clash>,
    /// How many of them exist without a clock change.
    real: usize,
    more: bool,
    short: Option<(Arc<Job>, Timestamp)>,
}

impl Checker {
    fn group(&mut self, jobs: &[Arc<Job>]) {
        if let [job] = jobs
            && !self.may_clash_with_itself(job)
        {
            return;
        }
        let suspects = sample::suspects(jobs, &self.range, &mut self.changes);
        if suspects.as_ref().is_none_or(|suspects| !suspects.is_empty()) {
            self.sweep(jobs, suspects);
        }
    }

    /// Whether windows of this one job may clash.
    fn may_clash_with_itself(&mut self, job: &Job) -> bool {
        // Of two of its own starts, one is later.
        let may_clash =
            clash(job.policy.conflict, job.policy.conflict, false, || !job.robot.as_str().contains("{start}")).is_some();
        may_clash && sample::may_overlap_itself(job, &mut self.changes)
    }

    /// All pairs of a few jobs, and those that may clash with themselves: a sweep ends when all are decided.
    fn all_pairs(&mut self, jobs: &[Arc<Job>]) -> Option<HashSet<Pair>> {
        if jobs.len() > LISTED_MAX {
            return None;
        }
        let others = (0..jobs.len()).flat_map(|other| (0..other).map(move |one| (one, other)));
        let own = (0..jobs.len()).filter(|index| self.may_clash_with_itself(&jobs[*index])).map(|index| (index, index));
        Some(others.chain(own).collect())
    }

    /// Goes through all windows, and keeps the first clash of each pair, or else the first that a clock change makes.
    fn sweep(&mut self, jobs: &[Arc<Job>], suspects: Option<HashSet<Pair>>) {
        let mut moved: BTreeMap<Pair, Clash> = BTreeMap::new();
        let wanted = suspects.or_else(|| self.all_pairs(jobs));
        let (jobs, wanted) = involved(jobs, wanted);
        let mut sweep = Sweep::new(&jobs, wanted, have_one_robot);
        let reached = sweep.through(self.range.clone(), |earlier: &Planned, later: &Planned, pair, kind| {
            let by_clock_change = clash::by_clock_change(earlier, later);
            let clash = || Clash { earlier: earlier.clone(), later: later.clone(), kind, by_clock_change };
            if by_clock_change {
                moved.entry(pair).or_insert_with(clash);
                return Next::GoOn;
            }
            if self.real == CLASHES_MAX {
                return Next::Enough;
            }
            moved.remove(&pair);
            self.real += 1;
            self.clashes.push(clash());
            Next::Decided
        });
        self.clashes.extend(moved.into_values());
        match reached {
            SweepEnd::Complete => {}
            SweepEnd::Stopped => self.more = true,
            SweepEnd::LimitReached(at, index) => {
                if self.short.as_ref().is_none_or(|(_, earliest)| at < *earliest) {
                    self.short = Some((Arc::clone(&jobs[index]), at));
                }
            }
        }
    }
}

/// The jobs of these pairs alone, in their order, and the pairs by their new indexes.
fn involved(jobs: &[Arc<Job>], wanted: Option<HashSet<Pair>>) -> (Vec<Arc<Job>>, Option<HashSet<Pair>>) {
    let Some(wanted) = wanted else { return (jobs.to_vec(), None) };
    let indexes: BTreeSet<usize> = wanted.iter().flat_map(|(one, other)| [*one, *other]).collect();
    let places: HashMap<usize, usize> = indexes.iter().enumerate().map(|(new, old)| (*old, new)).collect();
    let pairs = wanted.iter().map(|(one, other)| (places[one], places[other])).collect();
    (indexes.iter().map(|index| Arc::clone(&jobs[*index])).collect(), Some(pairs))
}
