//! What calls bring back, and what becomes of occurrences and tasks by it. Does not send, and does not look at the clock.

use jiff::Timestamp;

use super::adoption::release_adopted;
use super::airings::Airings;
use super::call_report::CallReport;
use super::evidence;
use super::notice::Level;
use super::orphans::Orphans;
use super::server_clock::{ServerClock, describe_offset};
use super::step::{Call, Step};
use super::write::Write;
use crate::occurrence::{Event, Key, NotSent, Remedy, State, Verdict, classify, remedy};
use crate::trtc::Answer;

/// Takes in what a call brought back.
pub(super) fn on_report(
    airings: &mut Airings,
    orphans: &mut Orphans,
    server_clock: &mut ServerClock,
    step: &mut Step,
    report: CallReport,
) {
    match report {
        CallReport::Warmed => {}
        CallReport::Orphan { task_id, answer } => orphans.stop_answered(step, &task_id, &answer),
        CallReport::Unsent { key, call, reason } => on_unsent(airings, step, &key, call, reason),
        CallReport::Answered { key, call, sent_at, answered_at, answer, bound, sent_since_boot: _ } => {
            let clock_was_taken = apply_remedy(server_clock, step, &answer, (sent_at, answered_at));
            step.write(Write::Answered { call, times: (sent_at, answered_at), answer: answer.clone() });
            on_start_answered(airings, orphans, step, &key, (sent_at, bound), (&answer, clock_was_taken));
        }
        CallReport::Task { row, step: action, sent_at, answered_at, answer } => {
            apply_remedy(server_clock, step, &answer, (sent_at, answered_at));
            evidence::on_task_answered(airings, step, (row, action), (sent_at, answered_at), &answer);
        }
    }
}

/// What an answer asks of the client, whichever action it answers: a stop must not fail for a clock that is off. Returns whether the
/// endpoint's clock is taken from now on.
fn apply_remedy(server_clock: &mut ServerClock, step: &mut Step, answer: &Answer, times: (Timestamp, Timestamp)) -> bool {
    server_clock.see(answer, times);
    match remedy(answer) {
        Some(Remedy::TakeClock) => {
            let Some(offset_ms) = server_clock.take() else { return false };
            step.calls.push(Call::SetClockOffset { offset_ms });
            let text = format!("{}, for which requests are signed from now on", describe_offset(offset_ms));
            step.notify(Level::Error, text);
            return true;
        }
        Some(Remedy::RereadCredentials) => step.calls.push(Call::RereadCredentials),
        None => {}
    }
    false
}

fn on_unsent(airings: &mut Airings, step: &mut Step, key: &Key, call: i64, reason: NotSent) {
    let Some(airing) = airings.get(key).filter(|airing| airing.call_row() == Some(call)) else {
        // It was taken back meanwhile, and whoever did that has said what becomes of it.
        return;
    };
    let held_back = airing.held_back.or(airings.held).filter(|_| reason == NotSent::Late);
    step.write(Write::Unsent { call });
    airings.transition(step, key, Event::NotSent(held_back.map_or(reason, NotSent::Held)));
}

fn on_start_answered(
    airings: &mut Airings,
    orphans: &mut Orphans,
    step: &mut Step,
    key: &Key,
    (sent_at, bound): (Timestamp, Option<Timestamp>),
    (answer, clock_was_taken): (&Answer, bool),
) {
    airings.end_call(key);
    let Some(airing) = airings.get(key) else { return };
    let judgement = classify(&airing.occurrence, answer, clock_was_taken);
    let robot_busy = airings.tasks.robot_is_busy(&airing.occurrence);
    if robot_busy && judgement.verdict == Verdict::Exists {
        let occurrence = airing.occurrence.clone();
        airings.tasks.stop_overrunning(step, &occurrence);
    }
    let accepted = match &judgement.verdict {
        Verdict::Accepted { task_id } => Some(task_id.clone()),
        _ => None,
    };
    if let Some(task_id) = &accepted {
        release_adopted(airings, orphans, step, key, task_id);
    }
    let Some(airing) = airings.get(key) else { return };
    let (before, media_end) = (airing.occurrence.clone(), airing.media_end(sent_at));
    if judgement.doubt {
        orphans.note_doubt(&before, sent_at);
    }
    // The task is added first: if its stop is wanted already, the stop needs something to stop.
    let is_accepted = accepted.is_some();
    if let Some(task_id) = accepted {
        airings.tasks.add(step, &before, task_id, bound, media_end);
    }
    let is_exists = judgement.verdict == Verdict::Exists;
    airings.transition(step, key, Event::Answered { sent_at, judgement, robot_busy });
    if is_accepted {
        airings.set_bound(key, bound);
    }
    if is_exists {
        watch_what_is_there(airings, step, key, sent_at);
    }
}

/// A restart was told that what it lost is there: its task is watched again.
fn watch_what_is_there(airings: &mut Airings, step: &mut Step, key: &Key, sent_at: Timestamp) {
    let Some(airing) = airings.get(key).filter(|airing| airing.occurrence.state == State::OnAir) else { return };
    let Some(task_id) = airing.occurrence.task_id.clone() else { return };
    let (occurrence, bound, media_end) = (airing.occurrence.clone(), airing.bound, airing.media_end(sent_at));
    airings.tasks.add(step, &occurrence, task_id, bound, media_end);
}
