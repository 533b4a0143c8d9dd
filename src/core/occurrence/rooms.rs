//! Who has a room when two occurrences want it (DESIGN section 5, Conflicts and Yield): what is decided when they meet, whatever
//! got through at load. Refuses to know tasks, requests and the ledger.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use super::{Occurrence, State};
use crate::plan::conflicts::TOUCHING;
use crate::schedule::Conflict;

/// What becomes of an occurrence whose room another takes. The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Displacement {
    /// It is at its end, give or take a moment.
    Ends,
    /// It waits until the room is free.
    Yields,
    /// It is cut.
    Preempted,
    /// Both wanted the room at the same instant, and it is not started.
    Skipped,
}

/// Whether `other` takes the room of `own` at `now`, and what that makes of `own`. `None`: it does not, or they may both play.
pub fn displaced_by(own: &Occurrence, other: &Occurrence, now: Timestamp) -> Option<Displacement> {
    let is_away = matches!(other.state, State::Stopping { .. } | State::Done { .. });
    let may_both = play_together(own, other);
    // Of two that are both still to come the later start takes the room at its instant; of equal starts only one is ever sent.
    let is_ahead = now < other.key.start && own.key.start < other.key.start;
    if is_away || may_both || own.key == other.key || is_ahead || rank(own, other) != Ordering::Less {
        return None;
    }
    if own.policy.conflict == Conflict::Yield {
        return Some(Displacement::Yields);
    }
    if own.end.at().is_some_and(|end| end.duration_since(other.key.start) < TOUCHING) {
        return Some(Displacement::Ends);
    }
    let was_never_on_air = own.on_air_at.is_none() && !own.may_be_on_air();
    let is_same_start = own.key.start == other.key.start;
    Some(if is_same_start && was_never_on_air { Displacement::Skipped } else { Displacement::Preempted })
}

/// Whether both may have their room at once: both say so, and one robot cannot play twice.
pub fn play_together(own: &Occurrence, other: &Occurrence) -> bool {
    let allows = |occurrence: &Occurrence| occurrence.policy.conflict == Conflict::Allow;
    allows(own) && allows(other) && own.playout.robot != other.playout.robot
}

/// Less: `other` has the better claim. A yielder gives way to whoever does not yield; of two of a kind the later start takes the
/// room; of equal starts priority decides, then the job's id.
fn rank(own: &Occurrence, other: &Occurrence) -> Ordering {
    let claim = |occurrence: &Occurrence| {
        let key = &occurrence.key;
        let stands = occurrence.policy.conflict != Conflict::Yield;
        (stands, key.start, occurrence.policy.priority, Reverse(key.job.clone()))
    };
    claim(own).cmp(&claim(other))
}
