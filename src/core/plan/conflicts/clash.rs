//! Two windows that clash on one target: whether they do, whether they have one robot, and whether only a clock change makes
//! them clash. Does not decide who has the room (`plan/precedence.rs`), and does not search for windows.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::calendar::Trigger;
use crate::plan::precedence::{ConflictKind, Contender, contest};
use crate::plan::{End, Planned, planned};
use crate::schedule::Job;

/// How long before an occurrence a clock change still affects it: steps of `every` are counted from a midnight, or from
/// a beginning that may lie a day before them.
const CHANGE_TELLS: SignedDuration = SignedDuration::from_hours(48);

/// Two windows that clash. With equal starts the one whose job's id comes first is the earlier.
#[derive(Clone, Debug)]
pub struct Clash {
    /// The occurrence that begins first.
    pub earlier: Planned,
    /// The one that begins while the other has the room.
    pub later: Planned,
    /// What is wrong with them.
    pub kind: ConflictKind,
    /// Whether only a clock change makes them clash.
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

/// Whether two occurrences on one target have one robot.
pub(super) type OneRobot = fn(&Planned, &Planned) -> bool;

/// What is wrong with two windows on one target.
pub(super) fn clash_of(one: &Planned, other: &Planned, have_one_robot: OneRobot) -> Option<ConflictKind> {
    let (own, rival) = (Contender::planned(one), Contender::planned(other));
    if own.overlaps(&rival) { contest(&own, &rival, || have_one_robot(one, other)).clash } else { None }
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

/// Whether they have one robot, or would have at another time with the same distance between them.
pub(super) fn may_have_one_robot(one: &Planned, other: &Planned) -> bool {
    let [text, other_text] = [one, other].map(|window| window.job.robot.fill(window.job.id.as_str(), &window.job.room));
    if text == other_text { !text.contains(START) || one.start.at == other.start.at } else { may_be_one(&text, &other_text) }
}

/// The placeholder of the start in a robot.
pub(super) const START: &str = "{start}";

/// Stands for any start: as long as a start in a robot, of a letter that no robot has.
pub(super) const ANY_START: &str = "****************";

/// Whether two templates after `{job}` and `{room}` can come to the same text at two starts.
pub(super) fn may_be_one(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|text| text.replace(START, ANY_START));
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(one, other)| one == other || one == b'*' || other == b'*')
}

/// Whether two windows clash only because of a clock change: with the offset from before it they would not, and with
/// the offset from after it neither. Then they are as far apart as was written.
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
    // The robot's name has the start as it is, not as it would be: so two robots count as one if they may be.
    references.into_iter().all(|reference| {
        let (some, others) = (still(earlier, reference, earlier_moved), still(later, reference, later_moved));
        some.iter().all(|one| {
            let is_it = |other: &Planned| Arc::ptr_eq(&earlier.job, &later.job) && one.start.at == other.start.at;
            others.iter().filter(|other| !is_it(other)).all(|other| clash_of(one, other, may_have_one_robot).is_none())
        })
    })
}

/// Returns the occurrence as it would be with the offset that its zone has at `reference`: the starts within `moved` of
/// it, and if a time was written for it, only those of that time.
fn still(occurrence: &Planned, reference: Timestamp, moved: SignedDuration) -> Vec<Planned> {
    let job = &occurrence.job;
    // It does start, so bounds and exceptions must not prevent a start a little earlier or later.
    let job = Arc::new(Job { when: job.when.still(reference), ..Job::clone(job) });
    let at = occurrence.start.at;
    let from = at.checked_sub(moved).unwrap_or(Timestamp::MIN);
    let to = at.checked_add(moved).and_then(|to| to.checked_add(SignedDuration::from_secs(1))).unwrap_or(Timestamp::MAX);
    let mut starts: Vec<_> = job.when.between(from, to).collect();
    // `every` has no written time: its steps depend on those before them on that day. A start that follows others has
    // none either.
    if !matches!(job.when.trigger, Trigger::Every { .. } | Trigger::After(_))
        && starts.iter().any(|start| start.written == occurrence.start.written)
    {
        starts.retain(|start| start.written == occurrence.start.written);
    }
    starts.into_iter().map(|start| planned(&job, start)).collect()
}
