//! What an edit of the schedule does to what is under way. Does not know what the edit adds: that is the agenda's.

use super::airing::Airing;
use super::airings::Airings;
use super::claim::playout;
use super::step::Step;
use crate::occurrence::{Event, Key, Kind, Occurrence, Outcome, State};
use crate::plan;
use crate::schedule::{OnRemove, Schedule};

/// Another schedule is in force: what is under way follows it. A start that is armed or queued and that the edit does not change stays
/// as it is, in its place among those that wait for the limiter. One that it changes is taken back: before its time it loses its row,
/// and is armed anew under the new schedule if that has it.
pub(super) fn apply(airings: &mut Airings, step: &mut Step, schedule: &Schedule, generation: i64) {
    for key in airings.keys() {
        let Some(airing) = airings.get(&key) else { continue };
        if airing.occurrence.kind == Kind::Fired || matches!(airing.occurrence.state, State::Stopping { .. }) {
            continue;
        }
        let planned = plan::find(schedule, key.job.as_str(), key.start);
        if airing.is_claimed() {
            let is_same = planned.as_ref().is_some_and(|planned| edited(airing, planned, airing.occurrence.generation).is_none());
            if is_same {
                continue;
            }
            airings.take_back_for_edit(step, &key);
        }
        match planned {
            Some(planned) => apply_to(airings, step, &key, &planned, generation),
            None => remove(airings, step, &key),
        }
    }
}

/// What the edit makes of it; `None`: nothing else.
fn edited(airing: &Airing, planned: &plan::Planned, generation: i64) -> Option<Occurrence> {
    let before = &airing.occurrence;
    let mut next = Occurrence { end: planned.end, policy: planned.job.policy.clone(), ..before.clone() };
    // What is on air, or may be, keeps its source, target and robot.
    let may_change = matches!(next.state, State::Waiting { .. }) || (airing.is_claimed() && !airing.awaits_answer());
    if next.on_air_at.is_none() && !next.in_doubt && may_change {
        next.playout = playout(&planned.job, before.key.start);
        next.generation = generation;
    }
    (next != *before).then_some(next)
}

fn apply_to(airings: &mut Airings, step: &mut Step, key: &Key, planned: &plan::Planned, generation: i64) {
    let Some(airing) = airings.get(key) else { return };
    let Some(next) = edited(airing, planned, generation) else { return };
    let before = &airing.occurrence;
    let is_end_moved = next.end != before.end;
    let is_past = is_end_moved && next.end.at().is_some_and(|end| end <= step.now);
    airings.update(step, next.clone());
    if is_end_moved {
        airings.tasks.end_with(step, &next);
    }
    if is_past {
        airings.transition(step, key, Event::Cut(Outcome::CutEdited));
    }
}

/// Its job left the schedule, or its start moved.
fn remove(airings: &mut Airings, step: &mut Step, key: &Key) {
    let Some(airing) = airings.get(key) else { return };
    let was_on_air = airing.occurrence.on_air_at.is_some() || airing.awaits_answer() || airing.occurrence.in_doubt;
    if was_on_air && airing.occurrence.policy.on_remove == OnRemove::Finish {
        return;
    }
    airings.transition(step, key, Event::Cut(Outcome::CutRemoved));
}
