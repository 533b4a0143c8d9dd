//! The requests that left, against the rules of sending: never without a durable row, on time, within the window and the rate, and
//! not while the clock is held.

use std::collections::BTreeMap;

use ingestd::occurrence::{End, Occurrence};
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use super::{Faults, line, seconds};
use crate::cloud::SimTask;
use crate::endpoint::{AnswerKind, Send};
use crate::faults::{Ending, HostEvent};
use crate::hosts::HostsPlan;
use crate::media::FALLBACK;
use crate::orders::Given;
use crate::run::{Run, TaskRow};

pub(super) fn check(run: &Run, faults: &mut Faults) {
    nothing_leaves_without_a_row(run, faults);
    nothing_leaves_too_early_or_too_late(run, faults);
    an_undisturbed_start_is_on_time(run, faults);
    everything_is_within_the_rate(run, faults);
    nothing_starts_while_the_clock_is_held(run, faults);
}

fn nothing_leaves_without_a_row(run: &Run, faults: &mut Faults) {
    for send in run.api.state().sends.iter().filter(|send| send.action == Action::Start) {
        if !send.claims.iter().any(|claim| claim.has_call) {
            faults.add("nothing leaves without a row", format!("{send:?}"));
        }
    }
}

fn nothing_leaves_too_early_or_too_late(run: &Run, faults: &mut Faults) {
    let name = "nothing leaves too early or too late";
    for send in run.api.state().sends.iter().filter(|send| send.action == Action::Start) {
        let [claim] = send.claims.as_slice() else { continue };
        // A request goes by the clock as it is then, set or not; only what was begun may be before its start again.
        let was_begun = claim.was_on_air || claim.attempts > 1;
        if send.wall < claim.start && !(run.plan.has_steps() && was_begun) {
            faults.add(name, format!("early: {send:?}"));
        }
        let Some(end) = claim.end else {
            let is_bounded =
                send.media.contains(FALLBACK) && run.row(&send.subject, claim.start).is_some_and(|row| row.end == End::Open);
            // In the place of media without an end a fallback plays for ten minutes at most.
            if is_bounded && send.max_duration.is_none_or(|minutes| minutes > 11) {
                faults.add(name, format!("an open end, and its fallback plays for longer: {send:?}"));
            }
            if send.is_loop && !is_bounded && send.max_duration != Some(10_080) {
                faults.add(name, format!("it has no end, and its MaxDuration is not the longest: {send:?}"));
            }
            continue;
        };
        // Worked out here and not asked of the row: the rule is what is checked.
        let stretch = seconds(30).min(end.duration_since(claim.start) / 4);
        if send.wall > end - stretch {
            faults.add(name, format!("in the last stretch: {send:?}"));
        }
        if send.is_loop {
            let minutes = send.max_duration.map_or(1_000_000, i64::from);
            let bound = send.wall + SignedDuration::from_mins(minutes);
            let late = bound.duration_since(end);
            if (late > SignedDuration::from_mins(2) || late.is_negative()) && minutes != 10_080 {
                faults.add(name, format!("its MaxDuration is wrong by {late:?}: {send:?}"));
            }
        }
    }
}

/// Whether the stop of a task was refused, lost, answered late, or accepted without effect.
pub(super) fn stop_was_troubled(run: &Run, task_id: &str) -> bool {
    let state = run.api.state();
    let stops: Vec<&Send> = state.sends.iter().filter(|send| send.action == Action::Stop && send.subject == task_id).collect();
    stops.iter().any(|send| match &send.answered {
        Some((at, AnswerKind::Stopped)) => send.was_idle || at.duration_since(send.at) > SignedDuration::from_millis(700),
        _ => true,
    })
}

/// The room of the occurrence that a task was given to.
fn room_of(run: &Run, task: &TaskRow) -> Option<String> {
    run.row(&task.job, task.start).map(|row| row.playout.room.to_string())
}

/// When the first start of each occurrence left, into which room, and whether it was surely its own.
fn first_sends(run: &Run) -> BTreeMap<(String, Timestamp), (Timestamp, String, bool)> {
    let mut first = BTreeMap::new();
    for send in run.api.state().sends.iter().filter(|send| send.action == Action::Start) {
        let is_sure = send.claims.len() == 1;
        for claim in &send.claims {
            first.entry((send.subject.clone(), claim.start)).or_insert((send.at, send.room.clone(), is_sure));
        }
    }
    first
}

/// Whether an edit moved it, and its own robot may still have been in the room of before.
fn waits_for_its_robot(run: &Run, row: &Occurrence, room: &str, (start, sent): (Timestamp, Timestamp)) -> bool {
    let is_elsewhere = |task: &SimTask| {
        let overlaps = task.started_at <= sent && start <= task.end() + seconds(20);
        task.robot == row.playout.robot && task.room != room && overlaps
    };
    run.was_moved(row) && run.api.state().cloud.tasks.iter().any(is_elsewhere)
}

/// Whether an earlier task of its robot was not known to be gone at `start`.
fn may_find_its_robot(run: &Run, row: &Occurrence, start: Timestamp) -> bool {
    let state = run.api.state();
    let is_earlier = |task: &SimTask| task.robot == row.playout.robot && task.started_at < start;
    let ids = state.cloud.tasks.iter().filter(|task| is_earlier(task)).map(|task| &task.id);
    let known = ids.filter_map(|id| run.tasks.iter().find(|known| &known.task_id == id));
    let others = known.filter(|known| known.job != row.key.job.as_str() || known.start != row.key.start);
    others.into_iter().any(|known| super::exists::learned_gone(&state, known).is_none_or(|gone| gone >= start))
}

/// Whether an operator had it tried again.
fn was_taken_up_by_hand(run: &Run, row: &Occurrence) -> bool {
    let name = format!("{}: ", row.key);
    let mut told =
        run.orders.iter().filter(|order| matches!(order.command, Given::Fire(_))).filter_map(|order| order.done.as_ref()).flatten();
    told.any(|line| line.strip_prefix(&name).is_some_and(|text| text.contains("it is taken up again")))
}

fn an_undisturbed_start_is_on_time(run: &Run, faults: &mut Faults) {
    let name = "an undisturbed start is on time";
    if !run.belief.is_clear {
        return;
    }
    for ((job, key_start), (sent, room, is_sure)) in first_sends(run) {
        // What is taken up by hand had failed before anything of it left.
        let Some(row) = run.row(&job, key_start).filter(|row| !was_taken_up_by_hand(run, row)) else { continue };
        // Two windows of a job that are tried at once cannot be distinguished by what was sent.
        let sent = match row.first_sent_at {
            _ if !is_sure && run.plan.has_steps() => continue,
            Some(recorded) if !is_sure => recorded,
            None if !is_sure => continue,
            Some(recorded) if !run.plan.has_steps() => recorded.min(sent),
            _ => sent,
        };
        // From here on by the true clock.
        let Some(start) = run.belief.start_due(key_start, sent + run.plan.skew()) else {
            faults.add(name, format!("sent at {sent}, and no clock that was believed had shown its start: {}", line(row)));
            continue;
        };
        let late = sent.duration_since(start);
        let mut allowed = SignedDuration::from_millis(50) + run.plan.skew();
        let crowd = i32::try_from(run.crowd_at(key_start, sent)).unwrap_or(i32::MAX);
        let rate = i32::try_from(run.plan.rate).unwrap_or(1);
        if crowd >= rate {
            allowed += seconds(1) * crowd / rate * 3 / 2 + seconds(2);
        }
        let others: Vec<_> = {
            let state = run.api.state();
            let there = |at: Timestamp| {
                let room = &room;
                move |other: &str, from: Timestamp, end: Timestamp| other == room.as_str() && from <= at && at <= end + seconds(20)
            };
            let is_there = there(start);
            state.cloud.tasks.iter().filter(|task| is_there(&task.room, task.started_at, task.end())).cloned().collect()
        };
        // The show before may be over in the cloud, and the daemon does not know it yet.
        let hands_over = {
            let state = run.api.state();
            // What was adopted plays elsewhere, and is waited for like its own.
            let adopted = |id: &str| run.tasks.iter().any(|task| task.task_id == id && room_of(run, task).as_ref() == Some(&room));
            let in_room = |id: &str| state.cloud.tasks.iter().any(|task| task.id == id && task.room == room) || adopted(id);
            let near = |send: &&Send| {
                let is_soon = start - seconds(75) <= send.at && send.at <= sent;
                is_soon && send.answered.as_ref().is_none_or(|(at, kind)| *at >= start || *kind != AnswerKind::Stopped)
            };
            let mut stops = state.sends.iter().filter(|send| send.action == Action::Stop).filter(near);
            stops.any(|send| in_room(&send.subject))
        };
        // A start that gives way is waited for like a stop.
        let crosses = {
            let state = run.api.state();
            let is_other = |send: &&Send| !send.claims.iter().all(|claim| send.subject == job && claim.start == key_start);
            let is_near = |send: &&Send| send.at <= sent && send.answered.as_ref().is_none_or(|(at, _)| *at >= start);
            state
                .sends
                .iter()
                .filter(|send| send.action == Action::Start && send.room == room)
                .filter(is_near)
                .any(|send| is_other(&send))
        };
        if !others.is_empty() || hands_over || crosses {
            // The hand-over, then a slot that is held for its margin, and the moment in which equal starts are gathered.
            allowed += SignedDuration::from_millis(1_300);
        }
        if hands_over && !run.plan.is_fault_free() {
            allowed += seconds(15);
        } else if others.iter().any(|task| task.robot == row.playout.robot) {
            let ids: Vec<_> = others.iter().map(|task| task.id.clone()).collect();
            if ids.iter().any(|id| stop_was_troubled(run, id)) || !run.plan.is_fault_free() {
                allowed += seconds(15);
            }
        }
        // A show that began while the clock was ahead plays on, and none of the rules says which of the two has the room.
        let is_from_ahead =
            |other: &Occurrence| other.key.start > key_start && played_between(run, other, start - seconds(60), sent);
        if run.plan.has_steps() && run.others_in_room(row).any(is_from_ahead) {
            allowed += seconds(15);
        }
        // An occurrence that yields, or starts while another ends, waits for the room.
        let waits = run.conflicts(&job).contains(&"yield") && (run.others_in_room(row).count() > 0 || run.was_moved(row));
        // What was sent before a death is not recorded.
        let disturbed = run.is_blind(start - seconds(6), start + allowed) || !is_sure && run.is_impaired(start, sent);
        let accepted = run.generations.iter().any(|span| start - seconds(6) <= span.from && span.from <= sent);
        // A task of its robot of which nobody says that it is gone is waited for.
        let finds_its_robot = may_find_its_robot(run, row, start) && late <= allowed + seconds(15);
        let waits = waits || waits_for_its_robot(run, row, &room, (start, sent)) || finds_its_robot;
        if late > allowed && !waits && super::rows::was_owed(run, row) && !disturbed && !accepted {
            faults.add(name, format!("{late:?} late, {allowed:?} is allowed: {}", line(row)));
        }
    }
}

/// Whether a task of an occurrence played between two times, or nobody could see that it did not.
fn played_between(run: &Run, row: &Occurrence, from: Timestamp, to: Timestamp) -> bool {
    let is_its = |task: &TaskRow| task.job == row.key.job.as_str() && task.start == row.key.start;
    let is_blind = !run.plan.troubles.is_fault_free();
    let state = run.api.state();
    let played =
        |id: &str| state.cloud.tasks.iter().any(|task| task.id == id && task.started_at <= to && (is_blind || from <= task.end()));
    run.tasks.iter().any(|task| is_its(task) && played(&task.task_id))
}

fn everything_is_within_the_rate(run: &Run, faults: &mut Faults) {
    // A crash forgets what was just sent, a stall bunches what is on its way, and a slow network is beyond anybody's margin.
    let forgets = run.plan.daemon_runs.iter().any(|daemon_run| !matches!(daemon_run.ending, Ending::Term(_)))
        || !run.plan.daemon_runs.is_empty();
    let bunches = run.plan.host_events.iter().any(|(_, host_event)| matches!(host_event, HostEvent::Stall(_)));
    let bunches = bunches || run.plan.hosts.as_ref().is_some_and(HostsPlan::freezes);
    let state = run.api.state();
    let is_slow = state.sends.iter().any(|send| send.is_slow);
    if !forgets && !bunches && !is_slow && state.cloud.rejections > 0 {
        faults.add("everything is within the rate", format!("{} were not, of {}", state.cloud.rejections, run.plan.rate));
    }
}

fn nothing_starts_while_the_clock_is_held(run: &Run, faults: &mut Faults) {
    let host_events = &run.plan.host_events;
    let Some((from, _)) = host_events
        .iter()
        .find(|(_, host_event)| matches!(host_event, HostEvent::Step(by) if by.abs() >= SignedDuration::from_mins(10)))
    else {
        return;
    };
    let is_end = |host_event: &HostEvent| matches!(host_event, HostEvent::Right | HostEvent::Confirm | HostEvent::Synchronised);
    let to = host_events.iter().find(|(at, host_event)| at > from && is_end(host_event)).map_or(Timestamp::MAX, |(at, _)| *at);
    // A stalled daemon sees it after the stall.
    let (from, to) = (run.stalled_until(*from), run.stalled_until(to));
    // A daemon that begins believes a clock that is ahead: it knows no better.
    if run.boots.iter().any(|boot| from <= *boot && *boot <= to) {
        return;
    }
    // What was armed and woke at the same instant as the loop may have left.
    let left = |send: &&Send| send.action == Action::Start && from < send.at && send.at < to;
    if let Some(send) = run.api.state().sends.iter().find(left) {
        faults.add("nothing starts while the clock is held", format!("held from {from} to {to}: {send:?}"));
    }
}
