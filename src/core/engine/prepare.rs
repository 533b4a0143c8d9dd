//! What taking up a schedule asks of every job, worked out before the loop is told: for 100,000 jobs that takes longer than any start
//! may be late. Does not know what is under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::claim::latest_open;
use super::orphans::{Homes, homes};
use crate::plan::Upcoming;
use crate::schedule::difference::dropped;
use crate::schedule::{Job, JobId, Schedule};

/// An accepted schedule.
#[derive(Clone)]
pub struct Generation {
    /// Its number.
    pub number: i64,
    /// The schedule.
    pub schedule: Arc<Schedule>,
}

/// A schedule that was in force after the ledger's cursor, and until when.
#[derive(Clone)]
pub struct PastGeneration {
    /// The schedule.
    pub generation: Generation,
    /// When the next one was accepted.
    pub until: Timestamp,
}

/// A start this near counts as due: an edit that drops it names it.
const DUE_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// What was prepared longer ago than this is worked out anew: the starts since then are gone through one by one.
const KEEPS: SignedDuration = SignedDuration::from_mins(10);

/// A schedule that can be taken up at once.
#[derive(Clone)]
pub struct Prepared {
    generation: Generation,
    /// For when it was prepared.
    at: Timestamp,
    /// The starts from then on.
    upcoming: Upcoming,
    /// The jobs of which a window was open then.
    open: BTreeMap<JobId, Arc<Job>>,
    /// The jobs that the schedule before does not have.
    added: Vec<JobId>,
    dropped: Vec<Dropped>,
    homes: Homes,
}

/// A job that the schedule before had and played, and this one has not or has switched off.
#[derive(Clone)]
pub(super) struct Dropped {
    pub(super) id: JobId,
    /// Its next start, if that was due within the hour.
    pub(super) due: Option<Timestamp>,
}

/// The jobs that `after` drops, and which of them were due soon.
pub(super) fn find_dropped(before: &Schedule, after: &Schedule, now: Timestamp) -> Vec<Dropped> {
    let until = now.saturating_add(DUE_WITHIN).unwrap_or(Timestamp::MAX);
    let due = |job: &Arc<Job>| job.when.not_before(now).map(|start| start.at).filter(|start| *start < until);
    dropped(before, after).map(|job| Dropped { id: job.id.clone(), due: due(job) }).collect()
}

/// What the loop goes by when it takes up a schedule.
pub(super) struct Ready {
    pub(super) generation: Generation,
    /// The starts from now on.
    pub(super) upcoming: Upcoming,
    /// Every job of which a window may be open now.
    pub(super) may_be_open: BTreeMap<JobId, Arc<Job>>,
    /// The jobs that the schedule before did not have.
    pub(super) added: Vec<JobId>,
    /// The jobs that it does not play any more.
    pub(super) dropped: Vec<Dropped>,
    pub(super) homes: Homes,
}

impl Prepared {
    /// Works it out for `at`, about when the schedule is to be taken up in place of `before`. It takes a while, and is no work for
    /// threads that others wait for.
    pub fn new(generation: Generation, before: &Schedule, at: Timestamp) -> Prepared {
        let schedule = &generation.schedule;
        let is_new = |job: &&Arc<Job>| before.job(job.id.as_str()).is_none();
        Prepared {
            upcoming: Upcoming::new(schedule, at),
            open: open(schedule, at),
            added: schedule.jobs().filter(is_new).map(|job| job.id.clone()).collect(),
            dropped: find_dropped(before, schedule, at),
            homes: homes(schedule),
            at,
            generation,
        }
    }

    /// The schedule, with its number.
    pub fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Brings it to `now`. Nobody can have prepared for a clock that was set since, or is not believed: then it is worked out anew.
    pub(super) fn ready(self, now: Timestamp) -> Ready {
        let Prepared { generation, at, mut upcoming, open: mut may_be_open, added, dropped, homes } = self;
        if now < at || now.duration_since(at) > KEEPS {
            upcoming = Upcoming::new(&generation.schedule, now);
            may_be_open = open(&generation.schedule, now);
        } else {
            // A window that is open now was open then, or has begun since.
            while upcoming.peek().is_some_and(|start| start < now) {
                let Some(begun) = upcoming.next() else { break };
                may_be_open.insert(begun.job.id.clone(), begun.job);
            }
        }
        Ready { generation, upcoming, may_be_open, added, dropped, homes }
    }
}

fn open(schedule: &Schedule, at: Timestamp) -> BTreeMap<JobId, Arc<Job>> {
    let open = schedule.jobs().filter(|job| latest_open(job, Timestamp::MIN, at).is_some());
    open.map(|job| (job.id.clone(), Arc::clone(job))).collect()
}
