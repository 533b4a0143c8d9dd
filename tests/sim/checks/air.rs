//! What the cloud saw, against what was to be on air: no room taken twice except where that is excused, and every end kept.

use ingestd::occurrence::{End, Occurrence, Outcome, State};
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use super::sends::stop_was_troubled;
use super::{Faults, line, outcome, seconds};
use crate::cloud::SimTask;
use crate::endpoint::{AnswerKind, Send};
use crate::run::{Impairment, Run, TaskRow};

pub(super) fn check(run: &Run, faults: &mut Faults) {
    no_room_is_taken_twice(run, faults);
    every_end_is_kept(run, faults);
    no_end_comes_early(run, faults);
    what_has_no_end_is_renewed(run, faults);
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
            if let Some(answered) = answered_after_refusal(run, later)
                && overlap < seconds(1) + answered.duration_since(later.started_at)
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

/// When the start of a task was answered, if its show was refused before that. Such a show takes its room when it is accepted, so that
/// a start that is refused again makes no gap in what plays there meanwhile.
fn answered_after_refusal(run: &Run, task: &SimTask) -> Option<Timestamp> {
    let state = run.api.state();
    let accepted = &state.sends[task.send];
    let starts = |send: &Send| send.claims.iter().map(|claim| claim.start).collect::<Vec<_>>();
    let is_refused = |send: &&Send| {
        let is_same = send.action == Action::Start && send.subject == accepted.subject && starts(send) == starts(accepted);
        is_same && !send.code.is_empty() && matches!(send.answered, Some((_, AnswerKind::Nothing)))
    };
    state.sends[..task.send].iter().find(is_refused)?;
    accepted.answered.as_ref().map(|(at, _)| *at)
}

fn stops_before(run: &Run, at: Timestamp) -> usize {
    let state = run.api.state();
    state.sends.iter().filter(|send| send.action == Action::Stop && at - seconds(4) <= send.at && send.at <= at).count()
}

fn every_end_is_kept(run: &Run, faults: &mut Faults) {
    let name = "every end is kept";
    if !run.belief.is_clear {
        return;
    }
    let tasks = run.api.state().cloud.tasks.clone();
    for task in &tasks {
        let Some(row) = run.tasks.iter().find(|row| row.task_id == task.id) else { continue };
        let Some(row) = run.row(&row.job, row.start) else { continue };
        let Some(planned) = row.end.at() else { continue };
        let runs_out = matches!(row.end, End::Media(_));
        // An edit that gives it another end came when another task of it played.
        let has_followed = row.task_id.as_ref() != Some(&task.id);
        if has_followed && run.generations.iter().any(|span| task.end() < span.from) {
            continue;
        }
        // When media ends by itself no clock of ours says.
        if runs_out && run.plan.has_steps() {
            continue;
        }
        let Some(end) = run.belief.end_due(planned, if run.plan.has_steps() { task.started_at } else { planned }) else { continue };
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
        let blind = run.impairments.iter().filter(|(why, ..)| *why != Impairment::Clock);
        let mut impairments: Vec<_> = blind.map(|(_, from, to)| (*from, *to)).collect();
        impairments.sort_unstable();
        for (_, to) in impairments.iter().filter(|(_, to)| end <= *to) {
            if run.is_blind(due, due) || *to <= due {
                // Meanwhile it may have come to believe another time.
                let believed = run.belief.end_due(planned, *to).unwrap_or(Timestamp::MAX);
                due = due.max(believed.saturating_add(seconds(3) + more).unwrap_or(Timestamp::MAX));
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
        let (stops, was_accepted): (Vec<_>, bool) = {
            let state = run.api.state();
            let stops = || state.sends.iter().filter(|send| send.action == Action::Stop && send.subject == task.id);
            (stops().map(|send| send.at).collect(), stops().any(|send| send.was_idle))
        };
        if !stop_was_troubled(run, &task.id) && (!runs_out || run.plan.is_fault_free()) {
            faults.add(name, format!("{late:?} late, stops at {stops:?}: {task:?}: {}", line(row)));
            continue;
        }
        // A stop that fails is tried again: soon at first, then once a minute.
        let mut last = due;
        // One that was accepted is only asked about.
        let over = (!was_accepted).then_some(task.end());
        for stop in stops.into_iter().chain(over) {
            let away = run.is_impaired(last, stop);
            if stop.duration_since(last) > seconds(75) && !away && !runs_out {
                faults.add(name, format!("no stop between {last} and {stop}: {task:?}: {}", line(row)));
            }
            last = last.max(stop);
            // After one that was accepted the next is due only when it is seen to run on.
            last = last.max(seen_after_stop(run, &task.id, stop).unwrap_or(Timestamp::MIN));
        }
    }
}

/// When a task was first seen to run after the stop that left at `stop`, if that was accepted; `MAX`: it was not seen any more.
fn seen_after_stop(run: &Run, task: &str, stop: Timestamp) -> Option<Timestamp> {
    let state = run.api.state();
    let mut of_task = state.sends.iter().filter(|send| send.subject == task && send.answered.is_some());
    let is_it =
        |send: &&Send| send.action == Action::Stop && send.at == stop && matches!(send.answered, Some((_, AnswerKind::Stopped)));
    let accepted = of_task.clone().find(is_it)?.answered.as_ref()?.0;
    let seen = of_task.find_map(|send| match send.answered {
        Some((at, AnswerKind::Runs(true))) if accepted < at => Some(at),
        _ => None,
    });
    Some(seen.unwrap_or(Timestamp::MAX))
}

/// A show that came to its planned end was not stopped before that, by the time that is believed.
fn no_end_comes_early(run: &Run, faults: &mut Faults) {
    if !run.belief.is_clear {
        return;
    }
    let state = run.api.state();
    for row in &run.rows {
        let State::Done { outcome: Outcome::EndedPlanned } = &row.state else { continue };
        let (End::Planned(end), Some(task_id)) = (row.end, &row.task_id) else { continue };
        // Whoever yields is stopped before it returns, and may find its window closed.
        if run.conflicts(row.key.job.as_str()).contains(&"yield") {
            continue;
        }
        let stop = state.sends.iter().find(|send| send.action == Action::Stop && &send.subject == task_id);
        // Windows that touch are handed over at the later start.
        let touches = |other: &Occurrence| other.key.start < end && end < other.key.start + seconds(2);
        let due = if run.others_in_room(row).any(touches) { end - seconds(2) } else { end };
        let due = run.belief.end_due(due, Timestamp::MIN).map(|due| due - run.plan.skew());
        // What the cloud would end before that is carried over: a task that runs on, or a loop of which a set clock says so.
        let task = state.cloud.tasks.iter().find(|task| &task.id == task_id);
        let is_carried = |stop: &Send, due: Timestamp| {
            let is_loop = task.and_then(|task| state.sends.get(task.send)).is_some_and(|send| send.is_loop);
            task.is_some_and(|task| task.ends_at < due) || is_loop && run.belief.was_set_back(stop.at)
        };
        // Or it changed between its stream and its fallback, and did not come back.
        let has_changed = |stop: &Send| {
            let ends = row.fallback.played.iter().filter_map(|span| span.to);
            // A host that stands still just then, or a daemon that ends, sends the stop when it goes on.
            let goes_on = |to: Timestamp| to <= stop.wall && run.is_impaired(to, to + seconds(1)) && run.is_impaired(to, stop.at);
            ends.into_iter().any(|to| stop.wall.duration_since(to).abs() <= seconds(2) || goes_on(to))
        };
        if let (Some(stop), Some(due)) = (stop, due)
            && stop.at < due.min(run.settled)
            && !is_carried(stop, due)
            && !has_changed(stop)
        {
            faults.add("no end comes early", format!("{} early: {}", due.duration_since(stop.at), line(row)));
        }
    }
}

/// A task that ran into its bound in the cloud, while its show was to go on and a daemon was there in the ten minutes before.
fn what_has_no_end_is_renewed(run: &Run, faults: &mut Faults) {
    let name = "what outlives its bound is renewed";
    // A daemon that began by a wrong clock takes a bound for another.
    if !run.belief.is_clear {
        return;
    }
    let mut unnamed = Vec::new();
    let state = run.api.state();
    for task in state.cloud.tasks.iter().filter(|task| task.stopped_at.is_none() && !task.vanishes) {
        let Some(send) = state.sends.get(task.send) else { continue };
        let bound = task.ends_at;
        if send.max_duration != Some(10_080) || bound > run.over || run.is_impaired(bound - seconds(600), bound) {
            continue;
        }
        let is_named = |known: &&TaskRow| known.task_id == task.id && !run.orphans.contains(&task.id);
        let Some(known) = run.tasks.iter().find(is_named) else {
            unnamed.push(task.clone());
            continue;
        };
        let Some(row) = run.row(&known.job, known.start) else { continue };
        let goes_on = row.ended_at.is_none_or(|ended| ended > bound);
        let was_to_go_on = row.end.at().is_none_or(|end| end > bound) && goes_on;
        let was_stopped = state.sends.iter().any(|send| send.action == Action::Stop && send.subject == task.id);
        if was_to_go_on && !was_stopped {
            faults.add(name, format!("{task:?}: {}", line(row)));
        }
    }
    drop(state);
    for task in unnamed {
        is_followed(run, &task, faults);
    }
}

/// A task of which nobody knew, and that ran into its bound, is followed by another start of its show.
fn is_followed(run: &Run, task: &SimTask, faults: &mut Faults) {
    let (bound, by) = (task.ends_at, task.ends_at + seconds(45));
    let Some(row) = run.row_of_send(task.send) else { return };
    let ends = row.ended_at.into_iter().chain(row.end.at()).min();
    let was_to_go_on = ends.is_none_or(|end| by < end) && row.on_air_at.is_some_and(|at| at < bound) && by < run.over;
    let may_last = found_at(run, row, bound).is_some_and(|at| at.duration_since(task.started_at) > seconds(20));
    let state = run.api.state();
    // Or another of its tasks was there already.
    let is_started = state.sends.iter().filter(is_start_of(row)).any(|send| bound <= send.at && send.at <= by);
    let plays = state.cloud.tasks.iter().any(|other| other.id != task.id && other.robot == task.robot && other.is_live(bound));
    // To another show that is there without a name, as far as is known, it gives way.
    let has_room = |other: &Occurrence| {
        let is_nameless = other.task_id.is_none() && other.on_air_at.is_some_and(|at| at < bound);
        is_nameless && other.ended_at.is_none_or(|ended| by < ended)
    };
    let yields = run.conflicts(row.key.job.as_str()).contains(&"yield") && run.others_in_room(row).any(has_room);
    if was_to_go_on && !is_started && !plays && !may_last && !yields && !run.is_impaired(bound, by) {
        faults.add("what ran into its bound is put on air again", format!("{task:?}: {}", line(row)));
    }
}

fn is_start_of(row: &Occurrence) -> impl Fn(&&Send) -> bool {
    |send| {
        let is_claim = send.claims.iter().any(|claim| claim.start == row.key.start);
        send.action == Action::Start && send.subject == row.key.job.as_str() && is_claim
    }
}

/// When an attempt found last, before `by`, that a task of which nobody knows the TaskId is there: by all that is known it may have begun
/// then, and lasts as much longer.
pub(super) fn found_at(run: &Run, row: &Occurrence, by: Timestamp) -> Option<Timestamp> {
    let state = run.api.state();
    let is_found = |send: &&Send| matches!(send.answered, Some((_, AnswerKind::Exists))) && send.at < by;
    state.sends.iter().filter(is_start_of(row)).filter(is_found).map(|send| send.at).max()
}

fn nothing_is_left_on_air(run: &Run, faults: &mut Faults) {
    let name = "nothing is left on air";
    let state = run.api.state();
    let now = run.over;
    for task in state.cloud.tasks.iter().filter(|task| task.is_live(now)) {
        // What was taken for a show's own, and is not any more, is listed as an orphan: the operator stops it.
        let is_orphan = run.orphans.contains(&task.id);
        if let Some(row) = run.tasks.iter().find(|row| row.task_id == task.id && !is_orphan) {
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

/// Whether a stop is of a task that the daemon did start, of which it never learned, and whose end has come: as many unknown tasks as
/// doubts may be stopped together.
fn is_of_a_doubt(run: &Run, stop: &Send) -> bool {
    let state = run.api.state();
    let Some(task) = state.cloud.tasks.iter().find(|task| task.id == stop.subject) else { return false };
    let sent = state.sends.get(task.send).and_then(|send| send.claims.first().map(|claim| (&send.subject, claim.start)));
    let row = sent.and_then(|(job, start)| run.row(job, start));
    row.is_some_and(|row| row.was_in_doubt && row.end.at().is_some_and(|end| end <= stop.wall))
}

fn what_the_daemon_did_not_start_is_left_alone(run: &Run, faults: &mut Faults) {
    let stops: Vec<_> = run.api.state().sends.iter().filter(|send| send.action == Action::Stop).cloned().collect();
    for send in &stops {
        let is_ours = run.tasks.iter().any(|row| row.task_id == send.subject && row.stop_wanted.is_some());
        let is_orphan = run.orphans.contains(&send.subject);
        let is_ordered = is_orphan && run.ordered.contains(&send.subject);
        // As many tasks as starts in doubt: they are stopped when all these shows are over.
        let is_grouped = run.grouped.contains(&send.subject);
        let is_doubtful = is_orphan && is_of_a_doubt(run, send);
        // Its own, and nothing could be written before the daemon died.
        let is_known = run.tasks.iter().any(|row| row.task_id == send.subject);
        let is_unwritten = is_known && run.is_impaired_by(Impairment::Disk, send.at, send.at);
        if !is_ours && !is_ordered && !is_grouped && !is_doubtful && !is_unwritten {
            faults.add("what the daemon did not start is left alone", format!("{send:?}"));
        }
    }
}
