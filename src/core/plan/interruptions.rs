//! What interrupts an occurrence, as far as the plan can tell: the pauses of one that yields, and who cuts one that does not.
//! Does not decide who has the room (`precedence.rs`), and does not know what really ran.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::encounters::{cut, leaves};
use super::holds::{Held, Holds};
use super::lookahead::Lookahead;
use super::precedence::{Contender, Displacement, RoomHolder, contest};
use super::target::JobTarget;
use super::{End, Planned, Upcoming, last_encounter};
use crate::schedule::{Conflict, Job, JobId, Schedule};

/// Most pauses of one occurrence: a filler that never ends has them without end.
const PAUSES_MAX: usize = 1_000;

/// Most cuts that are remembered for a room. Then it begins anew: what is asked for next starts later.
const CUTS_MAX: usize = 10_000;

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

/// The start of another occurrence that takes the room for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The job whose occurrence takes the room.
    pub job: JobId,
    /// When. At the start of the one that is cut: that one is not started.
    pub at: Timestamp,
}

/// An occurrence with what interrupts it.
#[derive(Clone, Debug)]
pub struct Interrupted {
    /// The occurrence.
    pub occurrence: Planned,
    /// If it yields: the pauses in its window, by their starts: the first 1,000, and if the window never ends those of
    /// its first 400 days.
    pub pauses: Option<Vec<Pause>>,
    /// Who cuts it, among the next 1,000 in its room and in the next 400 days. Of an open end: it is cut then if its media is not over.
    pub cut: Option<Cut>,
    /// What operators hold it back for, as far as they were asked.
    pub held: Option<Held>,
}

impl Interrupted {
    /// When its media is over, if that is before its window and before it is cut: nothing is seen from then on.
    pub fn content_end(&self) -> Option<Timestamp> {
        let over = self.occurrence.content_end()?;
        self.cut.as_ref().is_none_or(|cut| over < cut.at).then_some(over)
    }
}

/// The jobs of each room, and what was looked up of their starts.
pub struct Interruptions<'a> {
    rooms: HashMap<JobTarget<'a>, SharedRoom<'a>>,
    holds: HoldsNow<'a>,
}

/// What operators hold back, and when that was asked; `None`: it was not.
#[derive(Clone, Copy)]
struct HoldsNow<'a>(Option<(&'a Holds, Timestamp)>);

impl HoldsNow<'_> {
    fn of(self, occurrence: &Planned) -> Option<Held> {
        self.0.and_then(|(holds, now)| holds.of(&occurrence.job.id, occurrence.start.at, now))
    }
}

#[derive(Default)]
struct SharedRoom<'a> {
    jobs: Vec<&'a Arc<Job>>,
    /// Nothing until something is looked up: most rooms have one job, of which nothing has to be.
    looked_up: OnceCell<Box<LookedUp>>,
}

impl SharedRoom<'_> {
    fn looked_up(&self) -> &LookedUp {
        self.looked_up.get_or_init(Box::default)
    }

    /// Whether an occurrence, of which the next start of its job is known, has the room to itself until it ends.
    fn is_alone(&self, occurrence: &Planned, next: Option<Timestamp>) -> bool {
        self.jobs.len() == 1 && occurrence.end.at().is_some_and(|end| next.is_none_or(|next| end <= next))
    }
}

/// What was looked up of a room's starts.
#[derive(Default)]
struct LookedUp {
    ahead: RefCell<Lookahead>,
    /// The same for those that pause others: they start later than the ones they pause.
    ahead_of_others: RefCell<Lookahead>,
    /// Who cuts those that pause others: one show may pause hundreds.
    cuts_of_others: RefCell<HashMap<(JobId, Timestamp), Option<Cut>>>,
}

impl<'a> Interruptions<'a> {
    /// Of a schedule.
    pub fn new(schedule: &'a Schedule) -> Interruptions<'a> {
        let mut rooms: HashMap<_, SharedRoom<'a>> = HashMap::new();
        for job in schedule.jobs().filter(|job| job.enabled) {
            rooms.entry(JobTarget::of(job)).or_default().jobs.push(job);
        }
        Interruptions { rooms, holds: HoldsNow(None) }
    }

    /// The same, with what operators hold back now.
    #[must_use]
    pub fn with_holds(self, holds: &'a Holds, now: Timestamp) -> Interruptions<'a> {
        Interruptions { holds: HoldsNow(Some((holds, now))), ..self }
    }

    /// Whether operators hold an occurrence back: it meets nothing in its room, and nothing meets it.
    pub fn is_held(&self, occurrence: &Planned) -> bool {
        self.holds.of(occurrence).is_some()
    }

    /// An occurrence of this schedule with what interrupts it. Takes the least time when they are asked for in the order of their starts.
    pub fn of(&self, occurrence: Planned) -> Interrupted {
        self.within(|_, _| true, occurrence)
    }

    /// The same, where the next start of its job was looked up ([`Upcoming::followed`]); `None`: its job does not start again. That alone
    /// shows of most that nothing interrupts them.
    pub fn of_followed(&self, occurrence: Planned, next: Option<Timestamp>) -> Interrupted {
        self.within(|room, occurrence| !room.is_alone(occurrence, next), occurrence)
    }

    fn within(&self, is_looked_up: impl Fn(&SharedRoom<'_>, &Planned) -> bool, occurrence: Planned) -> Interrupted {
        let is_yielding = occurrence.job.policy.conflict == Conflict::Yield;
        let room = self.rooms.get(&JobTarget::of(&occurrence.job));
        // What is held back is not started: nobody takes its room.
        let held = self.holds.of(&occurrence);
        let room = room.filter(|room| held.is_none() && is_looked_up(room, &occurrence));
        Interrupted {
            pauses: is_yielding.then(|| room.map(|room| pauses(&occurrence, room, self.holds)).unwrap_or_default()),
            cut: room.and_then(|room| cut_in(room, &room.looked_up().ahead, &occurrence, self.holds)),
            held,
            occurrence,
        }
    }
}

/// Returns the times during which others have the room, each from its start on.
fn pauses(yielding: &Planned, room: &SharedRoom<'_>, holds: HoldsNow<'_>) -> Vec<Pause> {
    let start = yielding.start.at;
    let end = yielding.end.at();
    let last = last_encounter(yielding, start);
    let others = Upcoming::open_at(room.jobs.iter().copied(), start).take_while(|other| other.start.at < last);
    let own = Contender::planned(yielding);
    // Robots count only where both allow others, and this one yields.
    let has_the_room = |other: &Planned| {
        let holder = contest(&own, &Contender::planned(other), || true).holder;
        holder == RoomHolder::Other { displaces: Displacement::Yields } && holds.of(other).is_none()
    };
    let pauses = others.filter(has_the_room).filter_map(|other| {
        let from = other.start.at.max(start);
        let until = match leaves(&other, cut_of_other(room, &other, holds).map(|cut| cut.at)) {
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

fn cut_of_other(room: &SharedRoom<'_>, other: &Planned, holds: HoldsNow<'_>) -> Option<Cut> {
    let key = (other.job.id.clone(), other.start.at);
    let LookedUp { ahead_of_others, cuts_of_others, .. } = room.looked_up();
    if let Some(cut) = cuts_of_others.borrow().get(&key) {
        return cut.clone();
    }
    let cut = cut_in(room, ahead_of_others, other, holds);
    let mut cuts = cuts_of_others.borrow_mut();
    if cuts.len() >= CUTS_MAX {
        cuts.clear();
    }
    cuts.insert(key, cut.clone());
    cut
}

fn cut_in(room: &SharedRoom<'_>, ahead: &RefCell<Lookahead>, own: &Planned, holds: HoldsNow<'_>) -> Option<Cut> {
    let by = cut(own, &room.jobs, &mut ahead.borrow_mut(), |other| holds.of(other).is_none())?;
    Some(Cut { job: by.job.id.clone(), at: by.start.at })
}
