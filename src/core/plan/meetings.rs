//! What an occurrence meets in its room, and what becomes of it then, as far as the plan can tell. Refuses to know what really ran.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::conflicts::{AHEAD, ConflictKind, fault, have_one_robot, lasts};
use super::target::Target;
use super::{End, Planned, Upcoming};
use crate::schedule::{Conflict, Schedule};

/// Most windows on its target that one occurrence is held against.
const WINDOWS_MAX: usize = 1_000;

/// What becomes of an occurrence that meets another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// It leaves the room to the other, and returns.
    Yields,
    /// The other leaves the room to it.
    IsYieldedTo,
    /// Both play.
    PlaysBeside,
    /// It takes the room, and the other is cut.
    Takes,
    /// The other takes the room, and it is cut.
    IsCut,
    /// Nobody said what is meant: the schedule is in error. Should they meet all the same, one has the room.
    Clashes {
        /// What is wrong.
        fault: ConflictKind,
        /// Whether it is the one that has the room.
        wins: bool,
    },
}

/// A window on the same target that an occurrence meets.
#[derive(Clone, Debug)]
pub struct Meeting {
    /// The other one; it may be of the same job.
    pub other: Planned,
    /// What becomes of the one that was asked about.
    pub becomes: Becomes,
}

/// What `own` meets from `from` on, which is not before its start: by the starts of the others, and no further than to what cuts it.
pub fn meetings(schedule: &Schedule, own: &Planned, from: Timestamp) -> Vec<Meeting> {
    let target = Target::of(&own.job);
    let jobs: Vec<_> = schedule.jobs().filter(|job| job.enabled && Target::of(job) == target).collect();
    let last = match own.end {
        End::Planned(end) | End::Media(end) => end,
        // An open end counts only at the start.
        End::Open => own.start.at.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX),
        End::Never => from.saturating_add(AHEAD).unwrap_or(Timestamp::MAX),
    };
    let is_own = |other: &Planned| other.start.at == own.start.at && other.job.id == own.job.id;
    let others = Upcoming::open_at(jobs, from).take_while(|other| other.start.at < last).take(WINDOWS_MAX);
    let mut meetings = Vec::new();
    for other in others.filter(|other| !is_own(other) && other.end.at().is_none_or(|end| end > from)) {
        if let Some(becomes) = becomes(own, &other) {
            let is_over = matches!(becomes, Becomes::IsCut | Becomes::Clashes { wins: false, .. });
            meetings.push(Meeting { other, becomes });
            if is_over {
                break;
            }
        }
    }
    meetings
}

/// `None`: the one is over, give or take a hand-over, when the other begins.
fn becomes(own: &Planned, other: &Planned) -> Option<Becomes> {
    let is_later = (own.start.at, &own.job.id) > (other.start.at, &other.job.id);
    let (earlier, later) = if is_later { (other, own) } else { (own, other) };
    if !lasts(earlier, later.start.at) || !lasts(later, later.start.at) {
        return None;
    }
    if let Some(fault) = fault(earlier, later, have_one_robot) {
        return Some(Becomes::Clashes { fault, wins: claim(own) > claim(other) });
    }
    Some(match (own.job.policy.conflict, other.job.policy.conflict) {
        (Conflict::Yield, Conflict::Yield) if is_later => Becomes::IsYieldedTo,
        (Conflict::Yield, _) => Becomes::Yields,
        (_, Conflict::Yield) => Becomes::IsYieldedTo,
        (Conflict::Allow, Conflict::Allow) => Becomes::PlaysBeside,
        _ if is_later => Becomes::Takes,
        _ => Becomes::IsCut,
    })
}

/// Who has a room that two want although nobody said so: the later start; of equal ones the higher priority, then the first by name.
fn claim(occurrence: &Planned) -> (Timestamp, u8, Reverse<String>) {
    let job = &occurrence.job;
    (occurrence.start.at, job.policy.priority, Reverse(job.id.to_string()))
}

/// Whether one of them has the room at `at`, so that `own`, which yields, is off the air.
pub fn paused_at(meetings: &[Meeting], at: Timestamp) -> Option<&Meeting> {
    let has_the_room = |other: &Planned| other.start.at <= at && other.end.at().map_or(other.end == End::Never, |end| at < end);
    meetings.iter().filter(|meeting| meeting.becomes == Becomes::Yields).find(|meeting| has_the_room(&meeting.other))
}

/// The occurrence of `job` before `at`, if its window is open then; of an open end nobody knows, and it counts as open.
pub(super) fn open_before(job: &Arc<crate::schedule::Job>, at: Timestamp) -> Option<Planned> {
    let before = super::planned(job, job.when.latest_before(at)?);
    before.end.at().is_none_or(|end| at < end).then_some(before)
}
