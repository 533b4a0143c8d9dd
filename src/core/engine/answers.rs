//! What calls bring back, and what becomes of occurrences and tasks by it. Does not send, and does not look at the clock.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::adoption::release_adopted;
use super::airings::Airings;
use super::call_report::CallReport;
use super::candidates::{Candidate, Finding};
use super::endpoint::Endpoint;
use super::evidence;
use super::fallbacks;
use super::notice::Level;
use super::orphans::Orphans;
use super::server_clock::describe_offset;
use super::step::{Call, Step};
use super::write::Write;
use crate::occurrence::{
    Event, Key, MissedReason, NotSent, Orphan, Remedy, State, TaskStep, Verdict, classify, describe_fault, remedy,
};
use crate::trtc::callback::{Callback, TaskNews};
use crate::trtc::error::{Class, classify as classify_fault};
use crate::trtc::{Answer, Success};

/// Takes in what a call brought back.
pub(super) fn on_report(
    airings: &mut Airings,
    orphans: &mut Orphans,
    endpoint: &mut Endpoint,
    step: &mut Step,
    report: CallReport,
) {
    match report {
        CallReport::Warmed => {}
        CallReport::SecretsRead(read) => drop(endpoint.secrets.take(airings, step, read, None)),
        CallReport::Orphan { task_id, step: action, answer } => {
            if remedy(&answer) == Some(Remedy::RereadSecrets) {
                endpoint.secrets.ask(step.now);
            }
            if action == TaskStep::Describe && orphans.candidates.contains(&task_id) {
                on_candidate_described(airings, orphans, endpoint, step, (&task_id, &answer));
            } else {
                orphans.answered(step, airings, &task_id, action, &answer);
            }
        }
        CallReport::Unsent { key, call, reason } => on_unsent(airings, step, &key, call, reason),
        CallReport::Answered { key, call, sent_at, answered_at, answer, bound, sent_since_boot: _ } => {
            let clock_was_taken = apply_remedy(endpoint, step, &answer, (sent_at, answered_at));
            step.write(Write::Answered { call, times: (sent_at, answered_at), answer: answer.clone() });
            let candidate = Candidate { key, call, sent_at, bound, answer, clock_was_taken };
            match candidate.answer.candidate.clone() {
                Some(task_id) if may_be_new(airings, orphans, &candidate, &task_id) => {
                    ask_for(airings, orphans, step, candidate, task_id);
                }
                _ => settle_start(airings, orphans, endpoint, step, &candidate, false),
            }
        }
        CallReport::Task { row, step: action, sent_at, answered_at, answer } => {
            apply_remedy(endpoint, step, &answer, (sent_at, answered_at));
            evidence::on_task_answered(airings, step, (row, action), (sent_at, answered_at), &answer);
            // It had left before other secrets were taken: it is sent again with them.
            if remedy(&answer) == Some(Remedy::RereadSecrets) && endpoint.secrets.changed_since(sent_at) {
                airings.tasks.hurry_stops(step.now);
            }
        }
    }
}

/// What an answer asks of the client, whichever action it answers: a stop must not fail for a clock that is off. Returns whether the
/// endpoint's clock is taken from now on.
fn apply_remedy(endpoint: &mut Endpoint, step: &mut Step, answer: &Answer, times: (Timestamp, Timestamp)) -> bool {
    endpoint.clock.see(answer, times);
    match remedy(answer) {
        Some(Remedy::TakeClock) => {
            let Some(offset_ms) = endpoint.clock.take() else { return false };
            step.calls.push(Call::SetClockOffset { offset_ms });
            let text = format!("{}, for which requests are signed from now on", describe_offset(offset_ms));
            step.notify(Level::Error, text);
            return true;
        }
        Some(Remedy::RereadSecrets) => endpoint.secrets.ask(step.now),
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
    if reason == NotSent::LeaseOver {
        airings.hold_back(key, MissedReason::Disk);
    }
}

/// Whether a broken answer names a task that nobody here has, for a start that awaits it. `TaskExist` may name somebody else's: only a
/// start in doubt can be told of its own.
fn may_be_new(airings: &Airings, orphans: &Orphans, candidate: &Candidate, task_id: &str) -> bool {
    let Some(airing) = airings.get(&candidate.key).filter(|airing| airing.call_row() == Some(candidate.call)) else { return false };
    let app = airing.occurrence.playout.destination.sdk_app_id;
    let is_exists = candidate.answer.result.as_ref().is_err_and(|fault| classify_fault(fault) == Class::TaskExists);
    if is_exists && !airing.occurrence.in_doubt {
        return false;
    }
    airings.tasks.find(app, task_id).is_none() && !orphans.has_ended(task_id) && !orphans.candidates.contains(task_id)
}

/// The start is answered when it is known whether that task runs. It is listed meanwhile, so that a daemon that dies loses nothing.
fn ask_for(airings: &Airings, orphans: &mut Orphans, step: &mut Step, candidate: Candidate, task_id: String) {
    let Some(airing) = airings.get(&candidate.key) else { return };
    let (key, destination) = (candidate.key.clone(), airing.occurrence.playout.destination.clone());
    let why = candidate.answer.result.as_ref().err().map(describe_fault);
    let why = why.map(|(code, message)| code.unwrap_or(message)).unwrap_or_default();
    step.notify_of(&key, Level::Warning, format!("its answer is broken ({why}) and names task {task_id}: TRTC is asked for that"));
    if orphans.get(&task_id).is_none() {
        let (seen_at, likely_job) = (candidate.sent_at, Some(key.job.to_string()));
        let destination = destination.clone();
        orphans.add(step, Orphan { task_id: task_id.clone(), destination, seen_at, likely_job, stop_wanted: None, of: Vec::new() });
    }
    orphans.candidates.add(step, task_id, destination, candidate);
}

/// A task that a broken answer named was asked for.
fn on_candidate_described(
    airings: &mut Airings,
    orphans: &mut Orphans,
    endpoint: &mut Endpoint,
    step: &mut Step,
    (task_id, answer): (&str, &Answer),
) {
    let finding = orphans.candidates.answered(task_id, answer, step.now);
    if finding == Finding::Open {
        return;
    }
    let Some(mut candidate) = orphans.candidates.take(task_id) else { return };
    match finding {
        Finding::Runs => {
            if candidate.answer.result.as_ref().is_err_and(|fault| classify_fault(fault) == Class::TaskExists) {
                // The task that was in doubt has a name now.
                orphans.doubts.settle_all(step, &BTreeSet::from([candidate.key.clone()]));
            }
            candidate.answer.result = Ok(Success::Started { task_id: task_id.to_owned() });
        }
        Finding::Gone => orphans.gone(step, task_id),
        Finding::Unknown | Finding::Open => {
            let text = format!(
                "an orphan: nobody can say whether task {task_id} runs, which a broken answer named; `ingestd stop --task` stops it"
            );
            step.notify_of(&candidate.key, Level::Error, text);
        }
    }
    settle_start(airings, orphans, endpoint, step, &candidate, finding == Finding::Unknown);
}

/// The answer to a start is known: what becomes of it, and of those that wait for what it shows.
fn settle_start(
    airings: &mut Airings,
    orphans: &mut Orphans,
    endpoint: &mut Endpoint,
    step: &mut Step,
    candidate: &Candidate,
    may_have_begun: bool,
) {
    on_start_answered(airings, orphans, step, candidate, may_have_begun);
    endpoint.start_answered(airings, step, &candidate.key, candidate.sent_at);
    endpoint.secrets.try_refused(airings, step, &candidate.key, candidate.sent_at);
}

/// Nothing is asked any more: what is not known now stays in doubt.
pub(super) fn give_up_candidates(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step) {
    for candidate in orphans.candidates.take_all() {
        on_start_answered(airings, orphans, step, &candidate, true);
    }
}

/// Takes in the answer to a start. `may_have_begun`: it is in doubt, whatever its fault says.
fn on_start_answered(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, candidate: &Candidate, may_have_begun: bool) {
    let Candidate { key, sent_at, bound, answer, clock_was_taken, call: _ } = candidate;
    let sent_at = *sent_at;
    airings.end_call(key);
    let Some(airing) = airings.get(key) else { return };
    let mut judgement = classify(&airing.occurrence, answer, *clock_was_taken);
    judgement.doubt |= may_have_begun;
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
        orphans.doubts.add(step, &before, sent_at);
    }
    // The task is added first: if its stop is wanted already, the stop needs something to stop.
    let is_accepted = accepted.is_some();
    if let Some(task_id) = accepted {
        let has_ended = orphans.has_ended(&task_id);
        airings.tasks.add(step, &before, task_id.clone(), *bound, media_end);
        if has_ended {
            // The callback of its end came first: it is described at once.
            airings.tasks.on_callback(
                step,
                &Callback {
                    sdk_app_id: before.playout.destination.sdk_app_id,
                    task_id: task_id.clone(),
                    news: TaskNews::Stopped,
                    at: step.now,
                },
            );
        }
    }
    let is_exists = judgement.verdict == Verdict::Exists;
    airings.transition(step, key, Event::Answered { sent_at, judgement, robot_busy });
    if is_accepted {
        airings.set_bound(key, *bound);
    }
    fallbacks::on_answer(airings, step, key, answer);
    if is_exists {
        watch_what_is_there(airings, orphans, step, key, sent_at);
    }
}

/// A start was told that its task is there. If it is one that a restart had lost, it is watched again; else it has no name.
fn watch_what_is_there(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, key: &Key, sent_at: Timestamp) {
    // Its end may have come meanwhile: then it is over, and its task plays on.
    if airings.get(key).is_some_and(|airing| airing.occurrence.state != State::OnAir) {
        return;
    }
    orphans.doubts.found(step, key);
    orphans.may_group = true;
    let Some(airing) = airings.get(key) else { return };
    let Some(task_id) = airing.occurrence.task_id.clone() else { return };
    let (occurrence, bound, media_end) = (airing.occurrence.clone(), airing.bound, airing.media_end(sent_at));
    airings.tasks.add(step, &occurrence, task_id, bound, media_end);
}
