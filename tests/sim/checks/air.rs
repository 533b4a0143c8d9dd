//! What the cloud saw, against what was to be on air: no room taken twice except where that is excused, and every end kept.

use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use super::sends::stop_was_troubled;
use super::{Faults, line, outcome, seconds};
use crate::cloud::SimTask;
use crate::run::Run;

pub(super) fn check(run: &Run, faults: &mut Faults) {
    no_room_is_taken_twice(run, faults);
    every_end_is_kept(run, faults);
    nothing_is_left_on_air(run, faults);
    what_the_daemon_did_not_start_is_left_alone(run, faults);
}

/// Whether a task, or its occurrence, could not be known: its start, or another of its occurrence, was in doubt.
fn is_doubtful(run: &Run, task: &SimTask) -> bool {
    let is_known = run.tasks.iter().any(|row| row.task_id == task.id);
    !is_known || run.row_of_send(task.send).is_none_or(|row| row.was_in_doubt || row.joined)
}

fn no_room_is_taken_twice(run: &Run, faults: &mut Faults) {
    let tasks = run.api.state().cloud.tasks.clone();
    for (index, later) in tasks.iter().enumerate() {
        for earlier in tasks[..index].iter().filter(|earlier| earlier.room == later.room) {
            let overlap = earlier.end().min(later.end()).duration_since(later.started_at);
            if overlap <= SignedDuration::ZERO || run.may_both_play(&earlier.job, &later.job) {
                continue;
            }
            if is_doubtful(run, earlier) || is_doubtful(run, later) {
                continue;
            }
            // Two starts crossed: neither was known when the other left, and a task cannot be stopped before its id is known.
            if let Some(answered) = crossed(run, earlier, later)
                && overlap < seconds(3) + answered.duration_since(later.started_at).max(SignedDuration::ZERO)
            {
                continue;
            }
            // The stop was late for a reason: it failed, or the limiter had too much to do.
            let busy = stops_before(run, earlier.end()) >= run.plan.rate as usize;
            if stop_was_troubled(run, &earlier.id) || busy || run.plan.has_steps() {
                continue;
            }
            let text = format!("{overlap:?}: {earlier:?} and {later:?}");
            faults.add("no room is taken twice", text);
        }
    }
}

/// When both starts were answered, if one left before the other was, or hardly later.
fn crossed(run: &Run, one: &SimTask, other: &SimTask) -> Option<Timestamp> {
    let state = run.api.state();
    let [one, other] = [one, other].map(|task| {
        let send = &state.sends[task.send];
        (send.at, send.answered.as_ref().map_or(Timestamp::MAX, |(at, _)| *at))
    });
    // An answer in the second in which a show waits for its room comes too late for the stop.
    let is_before = |sent: Timestamp, answered: Timestamp| sent.duration_since(answered) <= seconds(1);
    (is_before(one.0, other.1) && is_before(other.0, one.1)).then(|| one.1.max(other.1))
}

fn stops_before(run: &Run, at: Timestamp) -> usize {
    let state = run.api.state();
    state.sends.iter().filter(|send| send.action == Action::Stop && at - seconds(4) <= send.at && send.at <= at).count()
}

fn every_end_is_kept(run: &Run, faults: &mut Faults) {
    let name = "every end is kept";
    if run.plan.has_steps() {
        return;
    }
    let tasks = run.api.state().cloud.tasks.clone();
    for task in &tasks {
        let Some(row) = run.tasks.iter().find(|row| row.task_id == task.id) else { continue };
        let Some(row) = run.row(&row.job, row.start) else { continue };
        let Some(end) = row.end.at() else { continue };
        let runs_out = matches!(row.end, ingestd::occurrence::End::Media(_));
        // Media is described at its end, and stopped half a minute later.
        let mut due = end + if runs_out { seconds(36) } else { seconds(3) };
        // A late start that plays from the beginning ends later by as much.
        if runs_out && row.policy.late == ingestd::schedule::Late::Restart {
            due += task.started_at.duration_since(row.key.start).max(SignedDuration::ZERO);
        }
        // What began later than that is a stop of its own: a doubt that was answered late.
        due = due.max(task.started_at + seconds(13));
        // An edit moved it, or the daemon was away.
        let more = if runs_out { seconds(36) } else { SignedDuration::ZERO };
        for span in run.generations.iter().filter(|span| span.from <= task.end() + seconds(60)) {
            due = due.max(span.from + seconds(3) + more);
        }
        let mut impairments: Vec<_> = run.impairments.iter().map(|(_, from, to)| (*from, *to)).collect();
        impairments.sort_unstable();
        for (_, to) in impairments.iter().filter(|(_, to)| end <= *to) {
            if run.is_impaired(due, due) || *to <= due {
                due = due.max(*to + seconds(3) + more);
            }
        }
        let late = task.end().duration_since(due);
        if late <= SignedDuration::ZERO || stops_before(run, task.end()) >= run.plan.rate as usize {
            continue;
        }
        // It was known only from a callback; or an edit ended it when it was over already.
        if row.was_in_doubt || super::reason(row) == "edited" {
            continue;
        }
        let stops: Vec<_> = {
            let state = run.api.state();
            state.sends.iter().filter(|send| send.action == Action::Stop && send.subject == task.id).map(|send| send.at).collect()
        };
        if !stop_was_troubled(run, &task.id) && (!runs_out || run.plan.is_fault_free()) {
            faults.add(name, format!("{late:?} late, stops at {stops:?}: {task:?}: {}", line(row)));
            continue;
        }
        // A stop that fails is tried again: soon at first, then once a minute.
        let mut last = due;
        for stop in stops.into_iter().chain([task.end()]) {
            let away = run.is_impaired(last, stop);
            if stop.duration_since(last) > seconds(75) && !away && !runs_out {
                faults.add(name, format!("no stop between {last} and {stop}: {task:?}: {}", line(row)));
            }
            last = last.max(stop);
        }
    }
}

fn nothing_is_left_on_air(run: &Run, faults: &mut Faults) {
    let name = "nothing is left on air";
    let state = run.api.state();
    let now = run.over;
    for task in state.cloud.tasks.iter().filter(|task| task.is_live(now)) {
        if let Some(row) = run.tasks.iter().find(|row| row.task_id == task.id) {
            faults.add(name, format!("{task:?} is known: {row:?}"));
        }
    }
    for row in run.tasks.iter().filter(|row| row.gone.is_none()) {
        faults.add(name, format!("never settled: {row:?}"));
    }
    // A loop ends in the cloud at the latest, known or not.
    for row in run.rows.iter().filter(|row| outcome(row) == "ended" && row.ended_at.is_none()) {
        faults.add(name, format!("ended, and nobody knows when: {}", line(row)));
    }
}

fn what_the_daemon_did_not_start_is_left_alone(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for send in state.sends.iter().filter(|send| send.action == Action::Stop) {
        let is_ours = run.tasks.iter().any(|row| row.task_id == send.subject && row.stop_wanted.is_some());
        let is_orphan = run.orphans.contains(&send.subject);
        let is_ordered = is_orphan && run.ordered.contains(&send.subject);
        // As many tasks as starts in doubt: they are stopped when all these shows are over.
        let is_grouped = run.grouped.contains(&send.subject);
        if !is_ours && !is_ordered && !is_grouped {
            faults.add("what the daemon did not start is left alone", format!("{send:?}"));
        }
    }
}
