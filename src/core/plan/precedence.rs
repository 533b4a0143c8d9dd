//! Which of two occurrences has the better claim to a room that both want, and what becomes of the other (DESIGN
//! section 5, Conflicts and Yield). The check of a schedule, the preview of pauses and the daemon all use this rule.
//! Pure. Refuses to know whether its two occurrences are planned or running: the caller gives what counts. Does not
//! know the present time.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::{End, Planned};
use crate::schedule::{Conflict, JobId};

/// A window that ends less than this after another begins only touches it: a hand-over.
pub const TOUCHING: SignedDuration = SignedDuration::from_secs(2);

/// What the rule needs to know about an occurrence that wants a room.
#[derive(Clone, Copy, Debug)]
pub struct Contender<'a> {
    /// Its job.
    pub job: &'a JobId,
    /// Its planned start.
    pub start: Timestamp,
    /// Its end.
    pub end: End,
    /// What its job says about others in its room.
    pub conflict: Conflict,
    /// Its job's priority.
    pub priority: u8,
    /// Whether it is or was on air, or may be.
    pub was_on_air: bool,
}

/// The answer: who has the room, and whether the schedule says that this is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Who has the room.
    pub holder: RoomHolder,
    /// What is wrong with the schedule, if nothing in it says what is meant. The room has a holder anyway.
    pub clash: Option<ConflictKind>,
}

/// Who has the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomHolder {
    /// Both: they play side by side.
    Both,
    /// The first of the two.
    Own {
        /// What becomes of the other.
        displaces: Displacement,
    },
    /// The second of the two.
    Other {
        /// What becomes of the first.
        displaces: Displacement,
    },
}

/// What becomes of an occurrence whose room another takes. The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Displacement {
    /// It ends: the other starts at its end, or less than [`TOUCHING`] before.
    Ends,
    /// It waits until the room is free.
    Yields,
    /// It is cut.
    Preempted,
    /// Both wanted the room at the same instant, and it is not started.
    Skipped,
}

/// What is wrong with two windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// The later begins while the earlier has the room, and nothing says that this is meant.
    Overlap,
    /// They begin at one instant, and nothing says whose the room is.
    EqualStarts,
    /// They begin at one instant, and each leaves the room to the other.
    TwoYielders,
    /// Both may have the room, but as one user.
    OneRobot,
}

impl<'a> Contender<'a> {
    /// A planned occurrence, before its start.
    pub(super) fn planned(occurrence: &'a Planned) -> Contender<'a> {
        let Planned { job, start, end, .. } = occurrence;
        let (conflict, priority) = (job.policy.conflict, job.policy.priority);
        Contender { job: &job.id, start: start.at, end: *end, conflict, priority, was_on_air: false }
    }

    /// Whether its window has the room at an instant that is not before its start, and not only for the time of a hand-over. At its
    /// start every window has the room, however short it is. An open end counts only there, because it is not known before.
    pub(super) fn lasts(&self, at: Timestamp) -> bool {
        self.start >= at || (self.end != End::Open && !self.is_ending(at))
    }

    /// Whether both windows have the room at the later of the two starts. How long the later one is does not count: the daemon
    /// gives it the room for a second too.
    pub(super) fn overlaps(&self, other: &Contender<'_>) -> bool {
        let later_start = self.start.max(other.start);
        self.lasts(later_start) && other.lasts(later_start)
    }

    /// Whether its end has come, or comes within the time of a hand-over.
    fn is_ending(&self, at: Timestamp) -> bool {
        self.end.at().is_some_and(|end| end.duration_since(at) < TOUCHING)
    }

    /// The greater has the room. An occurrence that does not yield is greater than one that does; then the later start,
    /// the higher priority, and the first by name.
    fn rank(&self) -> (bool, Timestamp, u8, Reverse<&'a JobId>) {
        (self.conflict != Conflict::Yield, self.start, self.priority, Reverse(self.job))
    }

    /// What becomes of it when `holder` has the room.
    fn displaced_by(&self, holder: &Contender<'_>) -> Displacement {
        if self.conflict == Conflict::Yield {
            Displacement::Yields
        } else if self.start == holder.start && !self.was_on_air {
            Displacement::Skipped
        } else if self.is_ending(holder.start) {
            Displacement::Ends
        } else {
            Displacement::Preempted
        }
    }
}

/// Decides between two occurrences whose windows are open at the same time. `have_one_robot` is asked only when both allow
/// others in their room.
pub fn contest(own: &Contender<'_>, other: &Contender<'_>, have_one_robot: impl FnOnce() -> bool) -> Contest {
    let (earlier, later) = if own.start <= other.start { (own, other) } else { (other, own) };
    let clash = clash(earlier.conflict, later.conflict, own.start == other.start, have_one_robot);
    let both_allow = (own.conflict, other.conflict) == (Conflict::Allow, Conflict::Allow);
    let holder = if both_allow && clash.is_none() {
        RoomHolder::Both
    } else if own.rank() < other.rank() {
        RoomHolder::Other { displaces: own.displaced_by(other) }
    } else {
        RoomHolder::Own { displaces: other.displaced_by(own) }
    };
    Contest { holder, clash }
}

/// Returns what is wrong with two overlapping windows of jobs with these `conflict` settings.
pub(super) fn clash(
    earlier: Conflict,
    later: Conflict,
    have_one_start: bool,
    have_one_robot: impl FnOnce() -> bool,
) -> Option<ConflictKind> {
    match (earlier, later) {
        (Conflict::Yield, Conflict::Yield) => have_one_start.then_some(ConflictKind::TwoYielders),
        (Conflict::Yield, _) | (_, Conflict::Yield) => None,
        (Conflict::Allow, Conflict::Allow) => have_one_robot().then_some(ConflictKind::OneRobot),
        _ if have_one_start => Some(ConflictKind::EqualStarts),
        (_, Conflict::Preempt) => None,
        _ => Some(ConflictKind::Overlap),
    }
}
