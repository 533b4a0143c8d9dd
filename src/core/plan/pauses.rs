//! When an occurrence that yields is off the air, as far as the plan can tell: while others on its target have the
//! room. Does not know what really ran.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::precedence::{Contender, Displacement, RoomHolder, contest};
use super::target::JobTarget;
use super::{End, Planned, Upcoming, last_encounter};
use crate::schedule::{Conflict, Job, JobId, Schedule};

/// Most pauses of one occurrence: a filler that never ends has them without end.
const PAUSES_MAX: usize = 1_000;

/// A time during which another occurrence has the room of one that yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The job whose occurrence has the room.
    pub job: JobId,
    /// From when on; not before the start of the one that yields.
    pub start: Timestamp,
    /// Until when, within the window of the one that yields; `None` when that is unknown, or when it has no end.
    pub end: Option<Timestamp>,
}

/// An occurrence with its pauses.
#[derive(Clone, Debug)]
pub struct WithPauses {
    /// The occurrence.
    pub occurrence: Planned,
    /// If it yields: the pauses in its window, by their starts: the first 1,000, and if the window never ends those of
    /// its first 400 days.
    pub pauses: Option<Vec<Pause>>,
}

/// The jobs on the targets of those that yield.
pub struct Pauses<'a> {
    jobs: HashMap<JobTarget<'a>, Vec<&'a Arc<Job>>>,
}

impl<'a> Pauses<'a> {
    /// Of a schedule.
    pub fn new(schedule: &'a Schedule) -> Pauses<'a> {
        let enabled = || schedule.jobs().filter(|job| job.enabled);
        let yielding = enabled().filter(|job| job.policy.conflict == Conflict::Yield);
        let mut jobs: HashMap<_, Vec<_>> = yielding.map(|job| (JobTarget::of(job), Vec::new())).collect();
        if !jobs.is_empty() {
            for job in enabled() {
                if let Some(jobs) = jobs.get_mut(&JobTarget::of(job)) {
                    jobs.push(job);
                }
            }
        }
        Pauses { jobs }
    }

    /// An occurrence of this schedule with its pauses.
    pub fn with_pauses(&self, occurrence: Planned) -> WithPauses {
        let pauses = (occurrence.job.policy.conflict == Conflict::Yield).then(|| self.of(&occurrence));
        WithPauses { occurrence, pauses }
    }

    /// Returns the times during which others have the room, each from its start on.
    fn of(&self, yielding: &Planned) -> Vec<Pause> {
        let start = yielding.start.at;
        let end = yielding.end.at();
        let last = last_encounter(yielding, start);
        let jobs = self.jobs.get(&JobTarget::of(&yielding.job)).map_or(&[][..], Vec::as_slice);
        let others = Upcoming::open_at(jobs.iter().copied(), start).take_while(|other| other.start.at < last);
        let own = Contender::planned(yielding);
        // Robots count only where both allow others, and this one yields.
        let has_the_room = |other: &Planned| {
            let holder = contest(&own, &Contender::planned(other), || true).holder;
            holder == RoomHolder::Other { displaces: Displacement::Yields }
        };
        let pauses = others.filter(has_the_room).filter_map(|other| {
            let from = other.start.at.max(start);
            let until = match other.end {
                End::Planned(until) | End::Media(until) => Some(end.map_or(until, |end| end.min(until))),
                End::Open => None,
                End::Never => end,
            };
            until.is_none_or(|until| from < until).then(|| Pause { job: other.job.id.clone(), start: from, end: until })
        });
        let mut pauses: Vec<_> = pauses.take(PAUSES_MAX).collect();
        // What began before the window is clipped to its start.
        pauses.sort_by(|one, other| (one.start, &one.job).cmp(&(other.start, &other.job)));
        pauses
    }
}
