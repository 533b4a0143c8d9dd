//! When an occurrence loses its room to another that is running or about to start. The rule is the plan's
//! (`plan::precedence`); here stands what only the run time has: instants and states. Does not know tasks, requests and the
//! ledger.

use jiff::Timestamp;

use super::{Occurrence, State};
use crate::plan::precedence::{Contender, Contest, Displacement, RoomHolder, contest};

/// Whether `other` takes the room of `own` at `now`, and what that makes of `own`. `None`: it does not, or both may play.
pub fn displaced_by(own: &Occurrence, other: &Occurrence, now: Timestamp) -> Option<Displacement> {
    let is_away = matches!(other.state, State::Stopping { .. } | State::Done { .. }) || is_refused(other);
    // Of two that are both still to come the later start takes the room at its instant; of equal starts only one is ever sent.
    let is_ahead = now < other.key.start && own.key.start < other.key.start;
    match contest_of(own, other).holder {
        RoomHolder::Other { displaces } if !is_away && !is_ahead => Some(displaces),
        RoomHolder::Both | RoomHolder::Own { .. } | RoomHolder::Other { .. } => None,
    }
}

/// Whether it is off the air, and its starts are refused until somebody changes something. It tries slowly, perhaps for hours, and
/// keeps nobody from the room meanwhile: it takes the room when an attempt is accepted. What may be on air keeps its room.
fn is_refused(occurrence: &Occurrence) -> bool {
    let is_off_air = occurrence.on_air_at.is_none() || occurrence.lost_at.is_some();
    is_off_air && !occurrence.in_doubt && occurrence.needs_fix()
}

/// Whether both may have their room at once: both say so, and one robot cannot play twice.
pub fn play_together(own: &Occurrence, other: &Occurrence) -> bool {
    contest_of(own, other).holder == RoomHolder::Both
}

fn contest_of(own: &Occurrence, other: &Occurrence) -> Contest {
    contest(&contender(own), &contender(other), || own.playout.robot == other.playout.robot)
}

fn contender(occurrence: &Occurrence) -> Contender<'_> {
    let Occurrence { key, end, policy, .. } = occurrence;
    Contender {
        job: &key.job,
        start: key.start,
        end: *end,
        conflict: policy.conflict,
        priority: policy.priority,
        was_on_air: occurrence.on_air_at.is_some() || occurrence.may_be_on_air(),
    }
}
