//! The rule for two windows on one target: whether they intersect, whether that was said to be right, and whether a clock change
//! alone is to blame. Refuses to know where windows come from.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::Trigger;
use crate::plan::{End, Planned, planned};
use crate::schedule::{Conflict, Job};

/// Windows that overlap for less than this only touch: a hand-over.
pub const TOUCHING: SignedDuration = SignedDuration::from_secs(2);

/// How long before an occurrence a clock change still tells in it: steps of `every` are counted from a midnight, or from a
/// beginning that may lie a day before them.
const CHANGE_TELLS: SignedDuration = SignedDuration::from_hours(48);

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

/// Two windows that clash. With equal starts the one whose job's id comes first is the earlier.
#[derive(Clone, Debug)]
pub struct Clash {
    /// The occurrence that begins first.
    pub earlier: Planned,
    /// The one that begins while the other has the room.
    pub later: Planned,
    /// What is wrong with them.
    pub fault: ConflictKind,
    /// Whether they would not clash if clocks stood still.
    pub by_clock_change: bool,
}

impl Clash {
    /// When the windows meet: the start of the later one.
    pub fn starts_at(&self) -> Timestamp {
        self.later.start.at
    }

    /// How long they overlap; `None` when an end is open, or neither has one.
    pub fn overlap(&self) -> Option<Duration> {
        let end = match (self.earlier.end, self.later.end) {
            (End::Open, _) | (_, End::Open) => None,
            (one, other) => one.at().into_iter().chain(other.at()).min(),
        };
        end.and_then(|end| Duration::try_from(end.duration_since(self.starts_at())).ok())
    }
}

/// Whether a window still has its room at an instant that is not before its start, and not only for the time of a hand-over. An
/// open end counts only at the start.
pub(in crate::plan) fn lasts(window: &Planned, at: Timestamp) -> bool {
    match window.end {
        End::Planned(end) | End::Media(end) => end.duration_since(at) >= TOUCHING,
        End::Open => window.start.at >= at,
        End::Never => true,
    }
}

/// Whether two occurrences on one target have one robot.
pub(in crate::plan) type OneRobot = fn(&Planned, &Planned) -> bool;

/// What is wrong with two windows on one target, of which the first does not begin after the second.
pub(in crate::plan) fn fault(earlier: &Planned, later: &Planned, one_robot: OneRobot) -> Option<ConflictKind> {
    let start = later.start.at;
    if !lasts(earlier, start) || !lasts(later, start) {
        return None;
    }
    let equal = earlier.start.at == start;
    match (earlier.job.policy.conflict, later.job.policy.conflict) {
        (Conflict::Yield, Conflict::Yield) => equal.then_some(ConflictKind::TwoYielders),
        (Conflict::Yield, _) | (_, Conflict::Yield) => None,
        (Conflict::Allow, Conflict::Allow) => one_robot(earlier, later).then_some(ConflictKind::OneRobot),
        _ if equal => Some(ConflictKind::EqualStarts),
        (_, Conflict::Preempt) => None,
        _ => Some(ConflictKind::Overlap),
    }
}

/// The robot, as it enters the room.
pub(super) fn robot(occurrence: &Planned) -> String {
    let job = &occurrence.job;
    job.robot.expand(job.id.as_str(), &job.room, occurrence.start.at)
}

/// Whether they have one robot, as it enters the room.
pub(in crate::plan) fn have_one_robot(one: &Planned, other: &Planned) -> bool {
    robot(one) == robot(other)
}

/// Whether they have one robot, or would at another time with as long between them.
pub(super) fn may_have_one_robot(one: &Planned, other: &Planned) -> bool {
    let [text, other_text] = [one, other].map(|window| window.job.robot.fill(window.job.id.as_str(), &window.job.room));
    if text == other_text { !text.contains(START) || one.start.at == other.start.at } else { may_be_one(&text, &other_text) }
}

const START: &str = "{start}";

/// Whether two templates after `{job}` and `{room}` can come to the same text at two starts.
pub(super) fn may_be_one(one: &str, other: &str) -> bool {
    // As long as a start in a robot, of a letter that no robot has.
    let [one, other] = [one, other].map(|text| text.replace(START, "****************"));
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(one, other)| one == other || one == b'*' || other == b'*')
}

/// Whether two windows that clash would not, if clocks stood still: neither as they were before nor as they are after. Then they
/// are as far apart as was written, and only a change moved them onto each other.
pub(super) fn by_clock_change(earlier: &Planned, later: &Planned) -> bool {
    let reach = earlier.job.when.reach().max(later.job.when.reach());
    let tells = SignedDuration::try_from(reach).unwrap_or(SignedDuration::MAX).saturating_add(CHANGE_TELLS);
    let before = earlier.start.at.checked_sub(tells).unwrap_or(Timestamp::MIN);
    let references = [before, later.start.at];
    let moved = |occurrence: &Planned| {
        let of_zone = |zone: &TimeZone| {
            let [before, after] = references.map(|reference| zone.to_offset(reference).seconds());
            SignedDuration::from_secs(i64::from(after - before).abs())
        };
        occurrence.job.when.zones().map(of_zone).max().unwrap_or_default()
    };
    let (earlier_moved, later_moved) = (moved(earlier), moved(later));
    if earlier_moved.is_zero() && later_moved.is_zero() {
        return false;
    }
    references.into_iter().all(|reference| {
        let (some, others) = (still(earlier, reference, earlier_moved), still(later, reference, later_moved));
        some.iter().all(|one| {
            let is_it = |other: &Planned| Arc::ptr_eq(&earlier.job, &later.job) && one.start.at == other.start.at;
            others.iter().filter(|other| !is_it(other)).all(|other| fault_of(one, other).is_none())
        })
    })
}

/// What is wrong with two windows in whatever order.
fn fault_of(one: &Planned, other: &Planned) -> Option<ConflictKind> {
    let (earlier, later) = if one.start.at <= other.start.at { (one, other) } else { (other, one) };
    // The robot is named after the start as it is, not as it would be.
    fault(earlier, later, may_have_one_robot)
}

/// The occurrence as it would be if its zone's clock stood as it does at `reference`: what starts within `moved` of it, and where
/// a time was written for it, at that time.
fn still(occurrence: &Planned, reference: Timestamp, moved: SignedDuration) -> Vec<Planned> {
    let job = &occurrence.job;
    // It did start, so that neither bounds nor exceptions keep it from starting a little earlier or later.
    let job = Arc::new(Job { when: job.when.still(reference), ..Job::clone(job) });
    let at = occurrence.start.at;
    let from = at.checked_sub(moved).unwrap_or(Timestamp::MIN);
    let to = at.checked_add(moved).and_then(|to| to.checked_add(SignedDuration::from_secs(1))).unwrap_or(Timestamp::MAX);
    let mut starts: Vec<_> = job.when.between(from, to).collect();
    // Of `every` no time was written: its steps go by what was before them on that day. Nor was one of what follows others.
    if !matches!(job.when.trigger, Trigger::Every { .. } | Trigger::After(_))
        && starts.iter().any(|start| start.written == occurrence.start.written)
    {
        starts.retain(|start| start.written == occurrence.start.written);
    }
    starts.into_iter().map(|start| planned(&job, start)).collect()
}
