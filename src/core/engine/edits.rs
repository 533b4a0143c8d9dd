//! What an edit of the schedule does to what is under way. Does not know what the edit adds: that is the agenda's.

use super::airings::Airings;
use super::claim::playout;
use super::step::Step;
use crate::occurrence::{Event, Key, Kind, Occurrence, Outcome, State};
use crate::plan;
use crate::schedule::{OnRemove, Schedule};

/// Another schedule is in force: what is under way follows it. Starts that were armed and not sent lose their rows, and are armed
/// anew under the new schedule if it has them.
pub(super) fn apply(airings: &mut Airings, step: &mut Step, schedule: &Schedule, generation: i64) {
    airings.take_back_unsent(step);
    for key in airings.keys() {
        let Some(occurrence) = airings.get(&key).map(|airing| &airing.occurrence) else { continue };
        if occurrence.kind == Kind::Fired || matches!(occurrence.state, State::Stopping { .. }) {
            continue;
        }
        match plan::find(schedule, key.job.as_str(), key.start) {
            Some(planned) => apply_to(airings, step, &key, &planned, generation),
            None => remove(airings, step, &key),
        }
    }
}

fn apply_to(airings: &mut Airings, step: &mut Step, key: &Key, planned: &plan::Planned, generation: i64) {
    let Some(airing) = airings.get(key) else { return };
    let before = &airing.occurrence;
    let mut next = Occurrence { end: planned.end, policy: planned.job.policy.clone(), ..before.clone() };
    // What is on air, or may be, keeps its source, target and robot.
    if next.on_air_at.is_none() && !next.in_doubt && matches!(next.state, State::Waiting { .. }) {
        next.playout = playout(&planned.job, key.start);
        next.generation = generation;
    }
    if next == *before {
        return;
    }
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
