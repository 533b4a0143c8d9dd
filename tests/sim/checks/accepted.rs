//! What a schedule means from the moment it is accepted: every window that is open then has a row, also where it began between
//! preparing the schedule and taking it up; and what an edit fixes goes on air. Asks of the plan only what each job's windows are.

use std::collections::BTreeMap;

use ingestd::occurrence::End;
use ingestd::plan::{Planned, Upcoming};
use ingestd::schedule::Conflict;
use jiff::{SignedDuration, Timestamp};

use super::{Faults, line, outcome, reason, seconds};
use crate::run::{GenerationSpan, Run};
use crate::scenario::{SimJob, begin};

pub(super) fn check(run: &Run, faults: &mut Faults) {
    // Under a clock that goes back, a span begins again in the midst of another.
    if run.plan.has_steps() {
        return;
    }
    for (index, span) in run.generations.iter().enumerate().skip(1) {
        let until = run.generations.get(index + 1).map_or(run.settled, |next| next.from);
        what_is_open_is_taken_up(run, span, until, faults);
        an_edit_fixes_what_failed(run, &run.generations[index - 1], span, until, faults);
    }
}

/// The last instant at which a first attempt may leave.
fn closes(planned: &Planned) -> Option<Timestamp> {
    let end = match planned.end {
        End::Planned(end) | End::Media(end) => end,
        End::Never => Timestamp::MAX,
        // Nobody knows how long it is.
        End::Open => return None,
    };
    let start = planned.start.at;
    let stretch = seconds(30).min(end.duration_since(start) / 4);
    let within = planned.job.policy.start_within.and_then(|within| SignedDuration::try_from(within).ok());
    let within = within.map_or(Timestamp::MAX, |within| start + within);
    Some((end - stretch).min(within))
}

/// The latest window of each job that began before `at`, no earlier than the run.
fn begun(span: &GenerationSpan, at: Timestamp) -> Vec<Planned> {
    let mut latest = BTreeMap::new();
    for planned in Upcoming::new(&span.schedule, begin()).take_while(|planned| planned.start.at < at) {
        latest.insert(planned.job.id.clone(), planned);
    }
    latest.into_values().collect()
}

fn what_is_open_is_taken_up(run: &Run, span: &GenerationSpan, until: Timestamp, faults: &mut Faults) {
    // A daemon that dies, or cannot write, just then finds what is still open later.
    let settles = span.from + seconds(20);
    if until < settles || run.is_impaired(span.from - seconds(1), settles) {
        return;
    }
    for planned in begun(span, span.from) {
        let start = planned.start.at;
        let is_open = closes(&planned).is_some_and(|closes| closes > span.from + seconds(2));
        if is_open && run.row(planned.job.id.as_str(), start).is_none() {
            let text = format!("no row: {} {start}, open at {} under generation {}", planned.job.id, span.from, span.number);
            faults.add("what is open when a schedule is accepted is taken up", text);
        }
    }
}

/// A URL that nobody could play was corrected while its window was open: the show goes on air.
fn an_edit_fixes_what_failed(run: &Run, before: &GenerationSpan, span: &GenerationSpan, until: Timestamp, faults: &mut Faults) {
    let job_in = |span: &'_ GenerationSpan, id: &str| span.jobs.iter().find(|job| job.id == id).cloned();
    let is_fixed = |id: &str| {
        let pair: Option<(SimJob, SimJob)> = job_in(before, id).zip(job_in(span, id));
        pair.is_some_and(|(old, new)| old.bad && !new.bad)
    };
    if until < span.from + seconds(20) || run.is_impaired(span.from - seconds(1), span.from + seconds(20)) {
        return;
    }
    for planned in begun(span, span.from).into_iter().filter(|planned| is_fixed(planned.job.id.as_str())) {
        let is_open = closes(&planned).is_some_and(|closes| closes > span.from + seconds(5));
        let Some(row) = run.row(planned.job.id.as_str(), planned.start.at) else { continue };
        // Whatever comes of it then, it does not end with what was said of the old URL.
        let is_over = outcome(row) == "failed" && reason(row) == "InvalidParameter.StreamUrl";
        // An edit that makes a window longer comes too late for what had its outcome.
        let was_open = row.ended_at.is_none_or(|ended| ended >= span.from);
        // Whoever yields waits for the room.
        let yields = row.policy.conflict == Conflict::Yield;
        if is_open && was_open && is_over && !yields {
            faults.add("an edit fixes a show that failed", format!("accepted at {}: {}", span.from, line(row)));
        }
    }
}
