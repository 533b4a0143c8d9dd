//! What operators hold back is not started, nothing is held back that nobody ordered, and what was started by hand has a row of its own.
//! Which starts a pause holds back is worked out here from the orders and their replies.

use ingestd::occurrence::{Kind, Occurrence};
use ingestd::plan;
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};

use super::{Faults, line, outcome, reason, seconds};
use crate::orders::{Given, GivenOrder};
use crate::run::{GenerationSpan, Run};

pub(super) fn check(run: &Run, faults: &mut Faults) {
    if run.plan.has_steps() {
        return;
    }
    what_is_held_back_is_not_started(run, faults);
    nothing_is_held_back_that_nobody_ordered(run, faults);
    what_was_taken_back_is_not_skipped(run, faults);
    what_was_started_by_hand_has_its_row(run, faults);
    what_is_tried_again_leaves(run, faults);
    no_open_window_is_entered_in_a_pause(run, faults);
}

/// A show that is to be tried at once, or is taken up again, is sent.
fn what_is_tried_again_leaves(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for order in run.orders.iter().filter(|order| matches!(order.command, Given::Fire(_))) {
        let first = order.done.as_ref().and_then(|done| done.first());
        let Some((name, text)) = first.and_then(|line| line.split_once("Z: ")) else { continue };
        let Some(row) = run.rows.iter().find(|row| row.key.to_string() == format!("{name}Z")) else { continue };
        let is_told = text.contains("is tried at once") || text.contains("is taken up again");
        let by = order.sent + seconds(17);
        let is_calm = !run.is_impaired(order.sent - seconds(1), by + seconds(3)) && by + seconds(3) < run.settled;
        let was_over = row.ended_at.is_some_and(|ended| order.sent <= ended && ended < by)
            || run
                .others_in_room(row)
                .filter(|other| other.attempts > 0 && other.key.start <= by)
                .any(|other| other.ended_at.is_none_or(|ended| order.sent - seconds(20) < ended));
        let is_sent = state.sends.iter().any(|send| {
            let is_its = send.claims.iter().any(|claim| claim.start == row.key.start);
            is_its
                && send.subject == row.key.job.as_str()
                && send.action == Action::Start
                && order.sent <= send.wall
                && send.wall <= by
        });
        if is_told && is_calm && !was_over && run.plan.rate >= 10 && !is_sent {
            faults.add("what is tried again by hand leaves", format!("{order:?}: {}", line(row)));
        }
    }
}

/// What was open when it was found, by a schedule that brought it, is not started while its job is paused.
fn no_open_window_is_entered_in_a_pause(run: &Run, faults: &mut Faults) {
    for (index, order) in run.orders.iter().enumerate() {
        let (Given::Pause(job, _), Some((from, to))) = (&order.command, surely_held(run, index)) else { continue };
        let is_entered = |row: &&Occurrence| {
            let is_within = row.first_sent_at.is_some_and(|sent| from + seconds(1) < sent && sent < to);
            row.joined && row.attempts == 1 && row.kind == Kind::Planned && row.key.start < from && is_within
        };
        let was_brought = |row: &Occurrence| {
            run.generations.iter().any(|span| {
                from < span.from && row.first_sent_at.is_some_and(|sent| span.from <= sent && sent <= span.from + seconds(2))
            })
        };
        for row in run.rows.iter().filter(is_entered).filter(|row| is_of(job.as_ref(), row) && was_brought(row)) {
            faults.add("what is paused is not started", format!("{order:?}: {}", line(row)));
        }
    }
}

/// For how long a pause surely held, from its reply on: to its end, or to the next order that may have changed it.
fn surely_held(run: &Run, index: usize) -> Option<(Timestamp, Timestamp)> {
    let order = &run.orders[index];
    let (Given::Pause(job, length), Some(_)) = (&order.command, &order.done) else { return None };
    let end = length.map_or(run.settled, |length| order.sent + length).min(run.settled);
    let changes = |other: &&GivenOrder| matches!(&other.command, Given::Pause(other, _) | Given::Resume(other) if other == job);
    let next = run.orders[index + 1..].iter().find(changes).map_or(end, |next| next.sent.min(end));
    Some((order.replied, next))
}

fn is_of(job: Option<&String>, row: &Occurrence) -> bool {
    job.is_none_or(|job| job == row.key.job.as_str())
}

fn what_is_held_back_is_not_started(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    for (index, order) in run.orders.iter().enumerate() {
        let (Given::Pause(job, _), Some((from, to))) = (&order.command, surely_held(run, index)) else { continue };
        let in_time = |row: &&Occurrence| from <= row.key.start && row.key.start < to && row.kind == Kind::Planned;
        for row in run.rows.iter().filter(in_time).filter(|row| is_of(job.as_ref(), row)) {
            let is_its = |claim: &crate::endpoint::Claim| claim.start == row.key.start;
            let was_sent = state.sends.iter().any(|send| {
                send.action == Action::Start
                    && send.subject == row.key.job.as_str()
                    && send.claims.len() == 1
                    && send.claims.iter().any(is_its)
            });
            // An edit after the pause may bring a window that was open then.
            let is_planned = |span: &GenerationSpan| plan::find(&span.schedule, row.key.job.as_str(), row.key.start).is_some();
            let was_planned = run.generations.iter().any(|span| span.from < to && is_planned(span));
            if was_planned && (was_sent || row.attempts > 0) {
                faults.add("what is paused is not started", format!("{order:?}: {}", line(row)));
            }
        }
    }
    for (index, order) in run.orders.iter().enumerate() {
        let (Given::Skip(_), Some(done)) = (&order.command, &order.done) else { continue };
        let Some((name, _)) = done[0].split_once(": ").filter(|(_, what)| what.contains("skip")) else { continue };
        let Some(row) = run.rows.iter().find(|row| row.key.to_string() == name) else { continue };
        let takes_back = |other: &GivenOrder| matches!(&other.command, Given::Unskip(job, start) if *job == row.key.job.as_str() && *start == row.key.start);
        let is_taken_back = run.orders[index + 1..].iter().any(takes_back);
        if row.attempts > 0 && !is_taken_back {
            faults.add("what is skipped is not started", format!("{order:?}: {}", line(row)));
        }
    }
}

/// Whether somebody ended a pause before a start was settled, which is at most 5 s before it.
fn was_resumed(run: &Run, pause: &GivenOrder, job: Option<&String>, start: Timestamp) -> bool {
    let ends = |other: &GivenOrder| matches!(&other.command, Given::Resume(of) if of.as_ref() == job);
    let in_time = |other: &&GivenOrder| pause.replied <= other.sent && other.replied < start - seconds(6);
    run.orders.iter().filter(in_time).any(|other| other.done.is_some() && ends(other))
}

fn nothing_is_held_back_that_nobody_ordered(run: &Run, faults: &mut Faults) {
    for row in run.rows.iter().filter(|row| outcome(row) == "skipped") {
        let end = row.end.at().unwrap_or(run.settled);
        let holds = |order: &GivenOrder| match (&order.command, reason(row)) {
            (Given::Pause(job, length), "paused") => {
                let is_over =
                    length.is_some_and(|length| order.replied.saturating_add(length).unwrap_or(Timestamp::MAX) < row.key.start);
                is_of(job.as_ref(), row) && order.sent < end && !is_over && !was_resumed(run, order, job.as_ref(), row.key.start)
            }
            (Given::Skip(job), "operator") => job == row.key.job.as_str() && order.sent < row.key.start + seconds(1),
            _ => false,
        };
        let is_by_order = matches!(reason(row), "paused" | "operator");
        if is_by_order && !run.orders.iter().any(holds) {
            faults.add("nothing is held back that nobody ordered", line(row));
        }
        if is_by_order && row.ordered_by.as_deref() != Some("sim") {
            faults.add("nothing is held back that nobody ordered", format!("by whom: {}", line(row)));
        }
    }
}

/// A skip that was taken back in time, and was not given again, holds nothing back.
fn what_was_taken_back_is_not_skipped(run: &Run, faults: &mut Faults) {
    for (index, order) in run.orders.iter().enumerate() {
        let (Given::Unskip(job, start), Some(_)) = (&order.command, &order.done) else { continue };
        let is_again = |other: &GivenOrder| matches!(&other.command, Given::Skip(of) if of == job);
        let row = run.row(job, *start).filter(|row| outcome(row) == "skipped" && reason(row) == "operator");
        if let Some(row) = row
            && !run.orders[index + 1..].iter().any(is_again)
        {
            faults.add("a skip that was taken back skips nothing", format!("{order:?}: {}", line(row)));
        }
    }
}

fn what_was_started_by_hand_has_its_row(run: &Run, faults: &mut Faults) {
    let name = "what was started by hand has its row";
    for order in &run.orders {
        let (Given::Fire(_), Some(done)) = (&order.command, &order.done) else { continue };
        let Some((key, _)) = done[0].split_once(": starts now") else { continue };
        match run.rows.iter().find(|row| row.key.to_string() == key) {
            None => faults.add(name, format!("no row: {order:?}")),
            Some(row) if row.kind != Kind::Fired => faults.add(name, format!("it took a planned start: {}", line(row))),
            Some(row) => {
                let near = |span: &(crate::run::Impairment, Timestamp, Timestamp)| {
                    span.1 <= order.replied + seconds(20) && order.sent - seconds(1) <= span.2
                };
                let is_quiet = !run.impairments.iter().any(near) && order.replied + seconds(20) < run.settled;
                let was_cut = row.ended_at.is_some_and(|ended| ended < order.replied + seconds(20));
                let by = order.sent + SignedDuration::from_secs(17);
                if is_quiet && !was_cut && run.plan.rate >= 10 && row.first_sent_at.is_none_or(|sent| sent > by) {
                    faults.add(name, format!("it did not leave: {}", line(row)));
                }
            }
        }
    }
    let replies: Vec<&String> = run.orders.iter().filter_map(|order| order.done.as_ref()).flatten().collect();
    for row in run.rows.iter().filter(|row| row.kind == Kind::Fired) {
        let is_told = replies.iter().any(|told| told.starts_with(&format!("{}: starts now", row.key)));
        // A daemon may die between its commit and its reply.
        let was_lost = run
            .orders
            .iter()
            .any(|order| order.done.is_none() && matches!(&order.command, Given::Fire(job) if job == row.key.job.as_str()));
        if !is_told && !was_lost {
            faults.add(name, format!("nobody did: {}", line(row)));
        }
    }
}
