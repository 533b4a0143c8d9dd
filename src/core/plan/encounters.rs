//! What an occurrence meets in its room, and what becomes of it then, as far as the plan can tell. Does not decide who has the
//! room (`precedence.rs`), and does not know what really ran.

use std::sync::Arc;

use jiff::Timestamp;

use super::conflicts::{AHEAD, have_one_robot};
use super::lookahead::Lookahead;
use super::precedence::{ConflictKind, Contender, Displacement, RoomHolder, contest};
use super::target::JobTarget;
use super::{End, Planned, Upcoming, last_encounter};
use crate::schedule::{Conflict, Job, Schedule};

/// Most windows on its target that one occurrence is compared with.
const WINDOWS_MAX: usize = 1_000;

/// What an encounter does to an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncounterEffect {
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
    /// Its end is open. The other, of another job, takes the room, and it is cut if its media is not over by then.
    IsCutIfOnAir,
    /// The schedule does not say who has the room, which is an error. If they meet anyway, one has it.
    Clashes {
        /// What is wrong.
        kind: ConflictKind,
        /// Whether it is the one that has the room.
        wins: bool,
    },
}

/// A window on the same target that an occurrence meets.
#[derive(Clone, Debug)]
pub struct Encounter {
    /// The other one; it may be of the same job.
    pub other: Planned,
    /// When the other leaves the room, by the plan: at its end, or when a third one cuts it.
    pub leaves: End,
    /// What the encounter does to the occurrence that was asked about.
    pub effect: EncounterEffect,
}

/// Returns what `own` meets from `from` on, which is not before its start: in the order of the others' starts, and up
/// to the one that cuts it. Only those count that are started: not those that operators hold back.
pub fn encounters(schedule: &Schedule, own: &Planned, from: Timestamp, is_started: impl Fn(&Planned) -> bool) -> Vec<Encounter> {
    let target = JobTarget::of(&own.job);
    let jobs: Vec<_> = schedule.jobs().filter(|job| job.enabled && JobTarget::of(job) == target).collect();
    let last = last_cut(own, from);
    let others = Upcoming::open_at(jobs.iter().copied(), from).take_while(|other| other.start.at < last).take(WINDOWS_MAX);
    let (mut ahead, mut encounters) = (Lookahead::default(), Vec::new());
    for other in others.filter(|other| other.end.at().is_none_or(|end| end > from) && is_started(other)) {
        if let Some(effect) = effect(own, &other) {
            // Only the time in which it pauses another is asked for.
            let cut = if effect == EncounterEffect::Yields { cut(&other, &jobs, &mut ahead, &is_started) } else { None };
            let leaves = leaves(&other, cut.map(|third| third.start.at));
            encounters.push(Encounter { other, leaves, effect });
            if effect.is_cut() {
                break;
            }
        }
    }
    encounters
}

/// Returns who of these jobs, which are those of its room, cuts `own`. Only what starts with it or later can, and who yields waits and is
/// never cut. Only those count that are started.
pub(super) fn cut(
    own: &Planned,
    jobs: &[&Arc<Job>],
    ahead: &mut Lookahead,
    is_started: impl Fn(&Planned) -> bool,
) -> Option<Planned> {
    let may_cut_open = |other: &&Arc<Job>| other.id != own.job.id && other.policy.conflict != Conflict::Yield;
    if own.job.policy.conflict == Conflict::Yield || (own.end == End::Open && !jobs.iter().any(may_cut_open)) {
        return None;
    }
    let last = last_cut(own, own.start.at);
    let mut others = ahead.starts(own.start.at, jobs).take_while(|other| other.start.at < last).take(WINDOWS_MAX);
    others.find(|other| effect(own, other).is_some_and(EncounterEffect::is_cut) && is_started(other))
}

/// When an occurrence leaves the room that is cut then, or not at all. When one with an open end leaves it is not known.
pub(super) fn leaves(occurrence: &Planned, cut: Option<Timestamp>) -> End {
    match (occurrence.end, cut) {
        (End::Planned(_) | End::Media(_) | End::Never, Some(cut)) => End::Planned(cut),
        (end, _) => end,
    }
}

/// The end of the time in which others in its room can cut an occurrence, or meet it: they begin before this.
fn last_cut(own: &Planned, from: Timestamp) -> Timestamp {
    match own.end {
        // It yields only at its start, because how long it plays is not known. But whoever takes the room takes it.
        End::Open if own.job.policy.conflict != Conflict::Yield => from.saturating_add(AHEAD).unwrap_or(Timestamp::MAX),
        _ => last_encounter(own, from),
    }
}

impl EncounterEffect {
    /// Whether it ends the occurrence that was asked about.
    fn is_cut(self) -> bool {
        matches!(self, EncounterEffect::IsCut | EncounterEffect::IsCutIfOnAir | EncounterEffect::Clashes { wins: false, .. })
    }
}

/// `None`: it is the same one, one is over when the other begins, or ends within the time of a hand-over.
fn effect(own: &Planned, other: &Planned) -> Option<EncounterEffect> {
    let is_of_own_job = other.job.id == own.job.id;
    if is_of_own_job && other.start.at == own.start.at {
        return None;
    }
    let (ours, theirs) = (Contender::planned(own), Contender::planned(other));
    let contest = || contest(&ours, &theirs, || have_one_robot(own, other));
    if !ours.overlaps(&theirs) {
        // A show is over before its own job starts again, as far as anybody knows.
        let may_play = own.end == End::Open && own.start.at < other.start.at && !is_of_own_job;
        let is_cut = may_play && matches!(contest().holder, RoomHolder::Other { displaces: Displacement::Preempted });
        return is_cut.then_some(EncounterEffect::IsCutIfOnAir);
    }
    let contest = contest();
    Some(match (contest.clash, contest.holder) {
        (Some(kind), holder) => EncounterEffect::Clashes { kind, wins: matches!(holder, RoomHolder::Own { .. }) },
        (None, RoomHolder::Both) => EncounterEffect::PlaysBeside,
        (None, RoomHolder::Own { displaces: Displacement::Yields }) => EncounterEffect::IsYieldedTo,
        (None, RoomHolder::Other { displaces: Displacement::Yields }) => EncounterEffect::Yields,
        (None, RoomHolder::Own { .. }) => EncounterEffect::Takes,
        (None, RoomHolder::Other { .. }) => EncounterEffect::IsCut,
    })
}

/// Whether one of them has the room at `at`, so that `own`, which yields, is off the air.
pub fn paused_at(encounters: &[Encounter], at: Timestamp) -> Option<&Encounter> {
    let has_the_room = |encounter: &&Encounter| {
        let Encounter { other, leaves, .. } = encounter;
        other.start.at <= at && leaves.at().map_or(*leaves == End::Never, |end| at < end)
    };
    encounters.iter().filter(|encounter| encounter.effect == EncounterEffect::Yields).find(has_the_room)
}

/// The occurrence of `job` before `at`, if its window is open then; an open end counts as open.
pub(super) fn open_before(job: &Arc<Job>, at: Timestamp) -> Option<Planned> {
    let before = super::planned(job, job.when.latest_before(at)?);
    before.end.at().is_none_or(|end| at < end).then_some(before)
}
