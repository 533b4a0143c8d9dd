//! Who gets a room that several occurrences want, and what becomes of the others: they yield, end, are cut or are skipped; and what
//! a start must wait for before it may have its room. The rule by which one gives way to another is `occurrence::displaced_by`.

use jiff::Timestamp;

use super::airing::Airing;
use super::airings::Airings;
use super::call_report::{Blocker, StartCall};
use super::step::{Call, Step};
use crate::lease::ARM_AHEAD;
use crate::occurrence::{Displacement, Event, Key, Occurrence, Outcome, SkippedReason, State, WaitReason, displaced_by};

/// Resolves who has each room that several want, lets those return whose room is free, and tells starts what blocks them.
pub(super) fn resolve(airings: &mut Airings, step: &mut Step) {
    let contenders: Vec<Key> = airings.occupancy().contenders().cloned().collect();
    for key in contenders {
        if let Some(displacement) = displacement(airings, &key, step) {
            displace(airings, step, &key, displacement);
        }
    }
    return_yielders(airings, step);
    publish_blockers(airings, step);
}

/// What a call needs to send the start that was permitted in this row; `None`: it is not wanted any more.
pub(super) fn begin_start(airings: &mut Airings, key: &Key, row: i64) -> Option<StartCall> {
    let (occurrence, flag) = airings.begin_start(key, row)?;
    let blocker = airings.get(key).map_or(Blocker::Nothing, |airing| blocker(airings, airing));
    airings.set_blocker(key, blocker);
    Some(StartCall { occurrence, flag, blocker })
}

/// The next start that takes a room from another.
pub(super) fn next_start(airings: &Airings) -> Option<Timestamp> {
    let last = airings.last_step();
    let starts = || airings.occupancy().contenders().map(|key| key.start);
    // Of starts that are armed long before, it is said who has the room when they are near.
    let near = (airings.arm_ahead > ARM_AHEAD).then(|| starts().map(|start| start - ARM_AHEAD).filter(|near| *near > last).min());
    starts().filter(|start| *start > last).min().into_iter().chain(near.flatten()).min()
}

fn return_yielders(airings: &mut Airings, step: &mut Step) {
    if airings.held.is_some() {
        return;
    }
    let now = step.now;
    let is_yielding =
        |occurrence: &Occurrence| matches!(occurrence.state, State::Waiting { until, why: WaitReason::Yield } if until > now);
    let yielding: Vec<_> = airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| is_yielding(occurrence)).collect();
    let yielding: Vec<_> = yielding.into_iter().map(|occurrence| occurrence.key.clone()).collect();
    for key in yielding {
        if displacement(airings, &key, step).is_none() {
            airings.transition(step, &key, Event::RoomFree);
            if airings.get(&key).is_some_and(|airing| airing.not_before.is_none()) {
                airings.transition(step, &key, Event::Due);
            }
        }
    }
}

/// Says to every start under way what stands between it and its room, where that changed.
fn publish_blockers(airings: &mut Airings, step: &mut Step) {
    let is_asked = |airing: &&Airing| {
        let is_contested = || airings.occupancy().is_contested(&airing.occurrence.playout.target());
        airing.call.as_ref().is_some_and(|call| is_contested() || call.blocker != Blocker::Nothing)
    };
    let blockers: Vec<_> =
        airings.iter().filter(is_asked).map(|airing| (airing.occurrence.key.clone(), blocker(airings, airing))).collect();
    for (key, blocker) in blockers {
        if let Some(call) = airings.set_blocker(&key, blocker) {
            step.calls.push(Call::Block { call, blocker });
        }
    }
}

/// What stands between a start and its room: tasks, and starts under way.
fn blocker(airings: &Airings, own: &Airing) -> Blocker {
    let may_stay = |other: &Key| airings.get(other).is_some_and(|other| other.plays_beside(own));
    airings.tasks.blocker(&own.occurrence, may_stay).max(blocking_starts(airings, own)).max(airings.former.blocker(&own.occurrence))
}

/// What the starts of others that are under way are to a start of `own`: those that give way to it can be stopped only after they
/// are answered.
fn blocking_starts(airings: &Airings, own: &Airing) -> Blocker {
    let occurrence = &own.occurrence;
    let sent_at = occurrence.key.start.max(airings.last_step());
    let others = airings.occupancy().of(&occurrence.playout.target()).filter_map(|key| airings.get(key));
    let mut starting = others.filter(|other| other.awaits_answer() && !other.plays_beside(own)).map(|other| &other.occurrence);
    let gives_way = |other: &Occurrence| {
        other.key != occurrence.key && (other.wanted.is_some() || displaced_by(other, occurrence, sent_at).is_some())
    };
    // Nobody knows whether it will be answered, so that even the same robot is not waited for longer.
    if starting.any(gives_way) { Blocker::Task } else { Blocker::Nothing }
}

/// The worst that those who share its room do to an occurrence.
fn displacement(airings: &Airings, key: &Key, step: &Step) -> Option<Displacement> {
    let airing = airings.get(key)?;
    let (own, now) = (&airing.occurrence, step.now);
    let others = airings.occupancy().of(&own.playout.target()).filter_map(|other| airings.get(other));
    // What is armed long before its start takes no room, and loses none, before it is near.
    let is_far = |other: &Airing| other.is_far(now, airings.arm_ahead);
    let others = others.filter(|other| !is_far(other) && !is_far(airing));
    // A show that was claimed and cannot be sent for now takes no room from anybody; and none that is not there, once the lease is over.
    let is_there = |other: &Airing| other.occurrence.may_be_on_air() || other.awaits_answer();
    let able = others.filter(|other| match (airings.lease_is_over, airings.held) {
        (true, _) => is_there(other),
        (false, Some(_)) => !other.is_claimed() || other.call.is_some(),
        (false, None) => true,
    });
    able.filter_map(|other| displaced_by(own, &other.occurrence, step.now)).max()
}

/// Takes an occurrence off its room, or keeps it from it.
pub(super) fn displace(airings: &mut Airings, step: &mut Step, key: &Key, displacement: Displacement) {
    let Some(airing) = airings.get(key) else { return };
    let event = match displacement {
        Displacement::Yields => Event::Yield,
        Displacement::Ends => Event::End,
        Displacement::Preempted | Displacement::Skipped => Event::Cut(Outcome::CutPreempted),
    };
    match airing.occurrence.state.clone() {
        State::Waiting { why: WaitReason::Yield, .. } if displacement == Displacement::Yields => {}
        State::OnAir | State::Waiting { .. } => airings.transition(step, key, event),
        State::Armed | State::Calling if airing.occurrence.wanted.is_some() => {}
        State::Armed | State::Calling => {
            let was_never_sent = airing.occurrence.attempts == 1 && airing.occurrence.first_sent_at.is_none();
            let is_taken_back = airings.take_back(step, key);
            match (displacement, is_taken_back) {
                // It is on its way: what becomes of it is known when it is answered.
                (Displacement::Yields, false) => {}
                (_, false) | (Displacement::Yields, true) => airings.transition(step, key, event),
                (_, true) if was_never_sent => airings.transition(step, key, Event::Skipped(SkippedReason::Conflict)),
                (_, true) => {
                    airings.transition(step, key, Event::Postponed);
                    airings.transition(step, key, event);
                }
            }
        }
        State::Stopping { .. } | State::Done { .. } => {}
    }
}
