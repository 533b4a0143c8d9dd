//! From jobs and a range to occurrences: the end of each, and the merged order of all; which of them clash, and which
//! pause another; what operators hold back. Pure. Does not know the ledger or the present time.

pub mod changes;
pub mod conflicts;
pub mod encounters;
pub mod forecast;
pub mod holds;
pub mod interruptions;
mod lookahead;
pub mod precedence;
mod target;
pub mod why;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::calendar::{Dst, Start, TO_MAX};
use crate::schedule::{EndRule, Job, Schedule};

/// The end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Set by `for` or `to`, whole milliseconds: the stream is stopped then.
    Planned(Timestamp),
    /// Follows from `length`, whole milliseconds: the media should end by itself then, and is not stopped at that
    /// instant.
    Media(Timestamp),
    /// Open: when the media ends, at an unknown time.
    Open,
    /// `to: never`.
    Never,
}

impl End {
    /// The instant, if there is one.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            End::Planned(at) | End::Media(at) => Some(at),
            End::Open | End::Never => None,
        }
    }

    /// The word of its kind, as the ledger writes it.
    pub fn name(self) -> &'static str {
        match self {
            End::Planned(_) => "planned",
            End::Media(_) => "media",
            End::Open => "open",
            End::Never => "never",
        }
    }

    /// The end of this kind and instant: the way back from the ledger. `None`: no kind has this name, or the kind and the instant
    /// do not go together.
    pub fn from_parts(name: &str, at: Option<Timestamp>) -> Option<End> {
        let ends = match at {
            Some(at) => [End::Planned(at), End::Media(at)],
            None => [End::Open, End::Never],
        };
        ends.into_iter().find(|end| end.name() == name)
    }
}

/// One planned showing: (job id, start).
#[derive(Clone, Debug)]
pub struct Planned {
    /// The job.
    pub job: Arc<Job>,
    /// Its start.
    pub start: Start,
    /// Its end.
    pub end: End,
    /// Whether a clock change affected its start or else its end.
    pub dst: Option<Dst>,
}

impl Planned {
    /// When its media is over, if that is known and before the end of its window: nothing is seen from then on.
    pub fn content_end(&self) -> Option<Timestamp> {
        let over = self.start.at.checked_add(self.job.media_length()?).ok()?;
        match self.end {
            End::Planned(end) => over < end,
            End::Never => true,
            End::Media(_) | End::Open => false,
        }
        .then_some(over)
    }
}

/// The occurrence of `job` that begins with `start`.
pub fn planned(job: &Arc<Job>, start: Start) -> Planned {
    // A window that goes on after the calendar's last year ends with it.
    let capped = |at: Option<Timestamp>| at.unwrap_or(Timestamp::MAX);
    let (end, end_dst) = match job.end {
        EndRule::For(length) => (End::Planned(capped(start.at.checked_add(length).ok())), None),
        EndRule::To(time) => {
            let (instant, dst) = job.when.end_at(&start, time).unzip();
            (End::Planned(capped(instant)), dst.flatten())
        }
        EndRule::Never => (End::Never, None),
        EndRule::Media => match job.media_length() {
            Some(length) => (End::Media(capped(start.at.checked_add(length).ok())), None),
            None => (End::Open, None),
        },
    };
    Planned { job: Arc::clone(job), start, end, dst: start.dst.or(end_dst) }
}

/// The occurrence of that job and start, if the schedule still has it.
pub fn find(schedule: &Schedule, job: &str, start: Timestamp) -> Option<Planned> {
    let job = schedule.job(job).filter(|job| job.enabled)?;
    let start = job.when.not_before(start).filter(|found| found.at == start)?;
    Some(planned(job, start))
}

/// The end of the time in which others in its room can meet an occurrence: they begin before this. `from` is not before
/// its start.
fn last_encounter(own: &Planned, from: Timestamp) -> Timestamp {
    match own.end {
        End::Planned(end) | End::Media(end) => end,
        // An open end counts only at the start.
        End::Open => own.start.at.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX),
        End::Never => from.saturating_add(conflicts::AHEAD).unwrap_or(Timestamp::MAX),
    }
}

/// The occurrences of all enabled jobs of a schedule from an instant on, by (start, job id). Holds one start of each job.
#[derive(Clone)]
pub struct Upcoming {
    jobs: Vec<Arc<Job>>,
    /// Jobs are named by their place in `jobs`, which is in the order of their ids.
    heap: BinaryHeap<Reverse<(Timestamp, usize)>>,
    starts: Vec<Option<Start>>,
}

impl Upcoming {
    /// Begins at `from`: the first occurrence starts then or later.
    pub fn new(schedule: &Schedule, from: Timestamp) -> Upcoming {
        Upcoming::of(schedule.jobs(), from)
    }

    /// The same for some jobs of a schedule, in the order of their ids.
    pub fn of<'a>(jobs: impl IntoIterator<Item = &'a Arc<Job>>, from: Timestamp) -> Upcoming {
        Upcoming::beginning(jobs, |job| job.when.not_before(from))
    }

    /// The same, and before them the occurrences that began earlier and whose windows are open at `at`: of `to: never` the
    /// latest. Between them may stand windows that are over by then. An open end counts only at its start.
    pub fn open_at<'a>(jobs: impl IntoIterator<Item = &'a Arc<Job>>, at: Timestamp) -> Upcoming {
        Upcoming::beginning(jobs, |job| first_open(job, at))
    }

    fn beginning<'a>(jobs: impl IntoIterator<Item = &'a Arc<Job>>, first: impl Fn(&Arc<Job>) -> Option<Start>) -> Upcoming {
        let jobs: Vec<_> = jobs.into_iter().filter(|job| job.enabled).map(Arc::clone).collect();
        let starts: Vec<_> = jobs.iter().map(first).collect();
        let first = starts.iter().enumerate().filter_map(|(index, start)| start.map(|start| Reverse((start.at, index))));
        Upcoming { heap: first.collect(), jobs, starts }
    }

    /// When the next occurrence starts.
    pub fn peek(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

/// A job whose starts up to an instant were skipped, and the first of them.
#[derive(Clone)]
pub struct Skipped {
    /// The place of the job.
    index: usize,
    start: Start,
}

/// Going over a stretch of time without a look at each start in it.
impl Upcoming {
    /// The next occurrence; it stays the next.
    pub fn first(&self) -> Option<Planned> {
        let Reverse((_, index)) = *self.heap.peek()?;
        self.starts[index].map(|start| planned(&self.jobs[index], start))
    }

    /// Forgets where it is: nothing is known of any job until it is skipped to an instant.
    pub fn forget(&mut self) {
        self.starts.fill(None);
        self.heap = (0..self.jobs.len()).map(|index| Reverse((Timestamp::MIN, index))).collect();
    }

    /// Skips to `at` with so many jobs at most: they go on with their first start then or later. Adds to `skipped` what they leave out.
    /// True: no job has an earlier start any more.
    pub fn skip_to(&mut self, at: Timestamp, most: usize, skipped: &mut Vec<Skipped>) -> bool {
        for _ in 0..most {
            let Some(mut first) = self.heap.peek_mut() else { return true };
            let Reverse((start, index)) = *first;
            if start >= at {
                return true;
            }
            let next = self.jobs[index].when.not_before(at);
            let left_out = std::mem::replace(&mut self.starts[index], next);
            skipped.extend(left_out.map(|start| Skipped { index, start }));
            match next {
                Some(next) => *first = Reverse((next.at, index)),
                None => drop(std::collections::binary_heap::PeekMut::pop(first)),
            }
        }
        self.peek().is_none_or(|start| start >= at)
    }

    /// Goes back over what was skipped.
    pub fn put_back(&mut self, skipped: &[Skipped]) {
        for Skipped { index, start } in skipped {
            self.starts[*index] = Some(*start);
        }
        let starts = self.starts.iter().enumerate();
        self.heap = starts.filter_map(|(index, start)| start.map(|start| Reverse((start.at, index)))).collect();
    }

    /// The occurrences from what was skipped on, of these jobs alone.
    #[must_use]
    pub fn of_skipped(&self, mut skipped: Vec<Skipped>) -> Upcoming {
        skipped.sort_unstable_by_key(|skipped| skipped.index);
        let jobs = skipped.iter().map(|skipped| Arc::clone(&self.jobs[skipped.index])).collect();
        let heap = skipped.iter().enumerate().map(|(index, skipped)| Reverse((skipped.start.at, index))).collect();
        Upcoming { jobs, heap, starts: skipped.into_iter().map(|skipped| Some(skipped.start)).collect() }
    }

    /// The job of which something was skipped.
    pub fn job_of(&self, skipped: &Skipped) -> &Arc<Job> {
        &self.jobs[skipped.index]
    }
}

impl Upcoming {
    /// The occurrences, each with the next start of its job, if there is one.
    pub fn followed(mut self) -> impl Iterator<Item = (Planned, Option<Timestamp>)> {
        std::iter::from_fn(move || {
            let (index, occurrence) = self.next_of()?;
            Some((occurrence, self.starts[index].map(|next| next.at)))
        })
    }

    /// The next occurrence, and the place of its job among the enabled ones that were given.
    fn next_of(&mut self) -> Option<(usize, Planned)> {
        let mut first = self.heap.peek_mut()?;
        let Reverse((at, index)) = *first;
        let job = &self.jobs[index];
        let start = self.starts[index].expect("a job in the heap has a start");
        self.starts[index] = job.when.next_after(at);
        match self.starts[index] {
            // Changing the top in place costs half of a pop and a push.
            Some(next) => *first = Reverse((next.at, index)),
            None => drop(std::collections::binary_heap::PeekMut::pop(first)),
        }
        Some((index, planned(job, start)))
    }
}

impl Iterator for Upcoming {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        self.next_of().map(|(_, occurrence)| occurrence)
    }
}

/// The first start at `at` or later, or an earlier one whose window is still open then.
fn first_open(job: &Arc<Job>, at: Timestamp) -> Option<Start> {
    let reach = match job.end {
        EndRule::For(length) => Some(length),
        EndRule::To(_) => Some(TO_MAX),
        EndRule::Never => return job.when.latest_before(at).or_else(|| job.when.not_before(at)),
        EndRule::Media => job.media_length(),
    };
    let Some(reach) = reach else { return job.when.not_before(at) };
    let is_over = |start: &Start| start.at < at && planned(job, *start).end.at().is_some_and(|end| end <= at);
    let earliest = at.checked_sub(reach).unwrap_or(Timestamp::MIN);
    std::iter::successors(job.when.not_before(earliest), |start| job.when.next_after(start.at)).find(|start| !is_over(start))
}
