//! What answers and callbacks ask of the daemon: secrets that are read again, the endpoint's clock, hints that are capped, media that
//! nobody can pull, and what a task that was seen on air says of the end of its show.

use std::collections::BTreeMap;

use ingestd::engine::{Level, Notice};
use ingestd::occurrence::{Kind, Outcome, State};
use ingestd::trtc::Action;
use ingestd::trtc::callback::TaskNews;
use jiff::{SignedDuration, Timestamp};

use super::{Faults, line, outcome, rereads, seconds};
use crate::endpoint::{AnswerKind, Claim, Send};
use crate::run::Run;

pub(super) fn check(run: &Run, faults: &mut Faults) {
    a_new_key_is_read(run, faults);
    the_right_clock_is_taken(run, faults);
    what_cannot_be_pulled_is_told(run, faults);
    a_show_is_tried_to_the_last(run, faults);
    no_wait_is_too_long(run, faults);
    an_end_is_verified(run, faults);
    no_show_ends_before_it_was_seen(run, faults);
}

/// After an answer that refuses a key, while the file has a new one, nothing is signed with the old one.
fn a_new_key_is_read(run: &Run, faults: &mut Faults) {
    let Some(rotation) = run.plan.troubles.rotation.filter(|rotation| rereads(rotation.code)) else { return };
    let state = run.api.state();
    let is_refusal = |at: &Timestamp| rotation.in_file_at <= *at && *at < run.over;
    let refused = state.sends.iter().filter(|send| send.key == 0 && send.code == rotation.code);
    let Some(refused) = refused.filter_map(|send| send.answered.as_ref().map(|(at, _)| *at)).filter(is_refusal).min() else {
        return;
    };
    // They are read at most every 5 s, and the loop may stand still just then.
    let from = run.stalled_until(refused + seconds(5)) + SignedDuration::from_millis(300);
    if let Some(old) = state.sends.iter().find(|send| send.key == 0 && from < send.at && send.at < run.settled) {
        faults.add("a key that was replaced is read again", format!("refused at {refused}, {rotation:?}: {old:?}"));
    }
}

/// Whatever a single node's clock shows, requests are signed for the time that is.
fn the_right_clock_is_taken(run: &Run, faults: &mut Faults) {
    for (at, offset_ms, error_ms) in &run.api.state().offsets {
        let off = (offset_ms + error_ms).abs();
        if off > 7_000 {
            let text = format!("at {at}, {offset_ms} ms is taken while the clock is wrong by {error_ms} ms");
            faults.add("the clock that is taken is right", text);
        }
    }
}

/// How long after the vendor's word it may take.
const PULL_TOLD_WITHIN: SignedDuration = SignedDuration::from_secs(64);

/// What a callback says of media that cannot be pulled is told, unless the task plays after all, or is over.
fn what_cannot_be_pulled_is_told(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for failed in state.callbacks_received.iter().filter(|received| received.news == TaskNews::StartFailed) {
        let by = failed.at + PULL_TOLD_WITHIN;
        let Some(row) = run.tasks.iter().find(|row| row.task_id == failed.task_id) else { continue };
        let Some(task) = state.cloud.tasks.iter().find(|task| task.id == failed.task_id) else { continue };
        let Some(started) = state.sends.get(task.send).and_then(|send| send.answered.as_ref()) else { continue };
        // Whose task it is must be known, and the task must be there all the while.
        let is_known = started.1 == AnswerKind::Started(task.id.clone()) && started.0 <= failed.at;
        let plays = state.callbacks_received.iter().any(|other| {
            let is_its = other.task_id == failed.task_id && other.news == TaskNews::Started;
            is_its && other.at <= by
        });
        let is_over = task.end() <= by || by >= run.settled || row.stop_wanted.is_some_and(|wanted| wanted <= by);
        if !is_known || plays || is_over || run.is_impaired(failed.at - seconds(1), by) || run.plan.has_steps() {
            continue;
        }
        let tells = |(at, notice): &(Timestamp, Notice)| {
            failed.at <= *at && *at <= by && notice.level >= Level::Warning && notice.text.contains(&failed.task_id)
        };
        // Said once is enough.
        let was_said = run.happenings.iter().any(tells)
            || state
                .callbacks_received
                .iter()
                .any(|other| other.task_id == failed.task_id && other.news == TaskNews::StartFailed && other.at < failed.at);
        if !was_said {
            faults.add("media that cannot be pulled is told", format!("{failed:?}: {task:?}"));
        }
    }
}

/// No hint and no wait costs a window: a show that failed for want of an answer was tried until its window closed.
fn a_show_is_tried_to_the_last(run: &Run, faults: &mut Faults) {
    if run.plan.has_steps() {
        return;
    }
    let state = run.api.state();
    for row in run.rows.iter().filter(|row| outcome(row) == "failed" && row.on_air_at.is_none()) {
        let Some(end) = row.end.at() else { continue };
        let cap = row.policy.retry.attempts;
        if cap > 0 && row.attempts >= cap || run.others_in_room(row).count() > 0 {
            continue;
        }
        let stretch = seconds(30).min(end.duration_since(row.key.start) / 4);
        let within = row.policy.start_within.map_or(Timestamp::MAX, |within| row.key.start + within);
        let closes = (end - stretch).min(within);
        // What is started by hand for a while may be over before that.
        if row.kind == Kind::Fired && row.content_end().is_some_and(|over| over < closes) {
            continue;
        }
        if closes > run.settled || run.is_impaired(row.key.start - seconds(6), closes + seconds(2)) || run.crowd(row.key.start) > 5
        {
            continue;
        }
        // An edit may give it another end.
        if run.generations.iter().any(|span| row.key.start < span.from && row.ended_at.is_none_or(|ended| span.from <= ended)) {
            continue;
        }
        // What was taken for its own for a while was not tried.
        let was_given = |(_, notice): &(Timestamp, Notice)| notice.key.as_ref() == Some(&row.key) && notice.text.contains(IS_GIVEN);
        if run.happenings.iter().any(was_given) {
            continue;
        }
        // Starts that are due have the slots before what is tried again.
        if run.crowd(closes) >= run.plan.rate as usize {
            continue;
        }
        let is_its = |send: &&Send| {
            let is_claim = |claim: &Claim| claim.start == row.key.start;
            send.action == Action::Start && send.subject == row.key.job.as_str() && send.claims.iter().any(is_claim)
        };
        let Some(last) = state.sends.iter().rfind(is_its) else { continue };
        let answered = last.answered.as_ref().map_or(Timestamp::MAX, |(at, _)| *at);
        if last.at.max(answered) < closes - seconds(1) {
            let text = format!("the last attempt was at {}, and its window closed at {closes}: {}", last.at, line(row));
            faults.add("a show is tried until its window closes", text);
        }
    }
}

/// What is told of a show that was given a task by a callback.
const IS_GIVEN: &str = "is taken for its own";

/// The longest wait between an answer and the next attempt: a minute, fifteen seconds for a robot, and some for the limiter.
const WAIT_MAX: SignedDuration = SignedDuration::from_secs(85);

/// Whatever a server asks for, a show that is not on air yet is tried again within the longest wait.
fn no_wait_is_too_long(run: &Run, faults: &mut Faults) {
    if run.plan.has_steps() {
        return;
    }
    let state = run.api.state();
    let mut answered: BTreeMap<(&str, Timestamp), Timestamp> = BTreeMap::new();
    for send in state.sends.iter().filter(|send| send.action == Action::Start) {
        let [claim] = send.claims.as_slice() else { continue };
        let key = (send.subject.as_str(), claim.start);
        let before = answered.get(&key).copied();
        answered.insert(key, send.answered.as_ref().map_or(Timestamp::MAX, |(at, _)| *at));
        let Some(before) = before.filter(|_| !claim.was_on_air) else { continue };
        let Some(row) = run.row(key.0, key.1) else { continue };
        // Whoever has no attempts left waits for other secrets.
        let cap = row.policy.retry.attempts;
        let is_used_up = cap > 0 && claim.attempts > cap;
        // Whoever yields waits for the room; and what an edit takes up again was not waiting.
        let edits = run.generations.iter().map(|span| span.from).chain([run.settled]);
        let is_edited = edits.into_iter().any(|edit| before <= edit && edit <= send.at);
        let is_edited = is_edited || run.was_fired(key.0, before, send.at);
        let yields = run.conflicts(key.0).contains(&"yield");
        if send.at.duration_since(before) > WAIT_MAX && !yields && !is_edited && !is_used_up && !run.is_impaired(before, send.at) {
            faults.add("no wait is too long", format!("answered at {before}, and tried again at {}: {}", send.at, line(row)));
        }
    }
}

/// What is told of a show that is renewed.
const HANDS_OVER: &str = "hands over to itself";

/// What is said to have ended was asked for after its stop, and is gone.
fn an_end_is_verified(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for row in &run.rows {
        let State::Done { outcome: Outcome::EndedPlanned | Outcome::EndedMedia } = &row.state else { continue };
        let Some(task_id) = &row.task_id else { continue };
        // What yields, or hands over to itself, is off the air as intended when its window closes, and its stop is pursued beside it.
        let hands_over =
            |(_, notice): &(Timestamp, Notice)| notice.key.as_ref() == Some(&row.key) && notice.text.contains(HANDS_OVER);
        if run.conflicts(row.key.job.as_str()).contains(&"yield") || run.happenings.iter().any(hands_over) {
            continue;
        }
        let says_gone = |send: &Send| {
            let is_gone = matches!(send.answered, Some((_, AnswerKind::Runs(false) | AnswerKind::Stopped)));
            send.action == Action::Describe && &send.subject == task_id && is_gone
        };
        if !state.sends.iter().any(says_gone) {
            faults.add("an end is verified", line(row));
        }
    }
}

/// No show ended before its task was last seen on air.
fn no_show_ends_before_it_was_seen(run: &Run, faults: &mut Faults) {
    if run.plan.has_steps() {
        return;
    }
    let state = run.api.state();
    for row in &run.rows {
        let State::Done { outcome: Outcome::EndedPlanned | Outcome::EndedMedia | Outcome::CutOperator } = &row.state else {
            continue;
        };
        let (Some(ended), Some(task_id)) = (row.ended_at, &row.task_id) else { continue };
        let is_sight = |send: &&Send| {
            let runs = matches!(send.answered, Some((_, AnswerKind::Runs(true))));
            send.action == Action::Describe && &send.subject == task_id && runs
        };
        if let Some(seen) = state.sends.iter().filter(is_sight).find(|send| send.at > ended + run.plan.skew()) {
            faults.add("no show ends before it was last seen", format!("seen at {}: {}", seen.at, line(row)));
        }
    }
}
