//! A show that failed while its window is open is taken up again: by an order; and by an edit, if its `start_within` is not over by that.
//! It plays what the schedule in force says now. Does not know shows that wait for their next attempt: an edit tries these at once.

use std::time::Duration;

use jiff::Timestamp;

use super::agenda::Agenda;
use super::airing::Airing;
use super::airings::Airings;
use super::claim::{has_newer_start, playout};
use super::edits::start_bound;
use super::notice::Level;
use super::step::{Reply, Step};
use crate::occurrence::{Displacement, Key, LATE_AFTER, Occurrence, State, displaced_by, start_request};
use crate::plan::holds::OrderSource;
use crate::plan::{self, Planned};
use crate::schedule::{JobId, Late, Schedule};

/// Takes up the show of the job that failed. `None`: no such show can be taken up, or its room is taken.
pub(super) fn by_hand(airings: &mut Airings, agenda: &Agenda, step: &mut Step, job: &JobId, source: &OrderSource) -> Option<Reply> {
    let now = step.now;
    let before = failed(airings, job, now)?;
    let (key, reason) = (&before.key, reason(&before));
    let schedule = &agenda.generation().schedule;
    match schedule.job(job.as_str()) {
        None => {
            return Some(Err(format!(
                "{key} failed, and is not taken up again: the schedule in force does not have `{job}` any more; write it into the \
                 schedule again, and reload"
            )));
        }
        Some(known) if !known.enabled => {
            return Some(Err(format!(
                "{key} failed, and is not taken up again: `{job}` is switched off; write `enabled: true`, and reload, or start an \
                 extra show of it with `--for`"
            )));
        }
        Some(_) => {}
    }
    let planned = plan::find(schedule, job.as_str(), key.start)?;
    let next = again(&before, &planned, agenda.generation().number, now, Within::FromNow)?;
    if !obstacles(airings, &next, now).lines.is_empty() {
        return None;
    }
    let when = before.ended_at.unwrap_or(now);
    let told = vec![format!("{key}: it ended as {reason}; its window is open, and it is taken up again where it would be by now")];
    let as_now = as_the_schedule_says(&before, &next);
    take_up(airings, step, next, &source.who, &format!("started by hand; it ended as {reason} at {when}"));
    Some(Ok([told, as_now].concat()))
}

/// Of a job whose failed show the schedule does not have any more: what is to be said of that when an extra show begins.
pub(super) fn left_behind(airings: &Airings, agenda: &Agenda, job: &JobId, now: Timestamp) -> Option<String> {
    let before = failed(airings, job, now)?;
    let key = &before.key;
    let is_planned = plan::find(&agenda.generation().schedule, job.as_str(), key.start).is_some();
    (!is_planned)
        .then(|| format!("{key} failed, and is not taken up again: the schedule in force does not have that start any more"))
}

/// Another schedule is in force: takes up what failed and is sent otherwise now, or may start later, where the plan says that it may go
/// on air. How late a show may begin is written in the schedule: when that is over, only an order goes past it, and this says so.
/// `former`: the schedule before; `None`: it is the same, and the settings may be others, or nobody knows it. Returns a line each.
pub(super) fn by_edit(
    airings: &mut Airings,
    agenda: &Agenda,
    step: &mut Step,
    former: Option<&Schedule>,
    who: &str,
) -> Vec<String> {
    let jobs: Vec<JobId> = airings.failed.keys().cloned().collect();
    jobs.iter().filter_map(|job| edited(airings, agenda, step, former, (job, who))).collect()
}

fn edited(
    airings: &mut Airings,
    agenda: &Agenda,
    step: &mut Step,
    former: Option<&Schedule>,
    (job, who): (&JobId, &str),
) -> Option<String> {
    let now = step.now;
    let before = failed(airings, job, now)?;
    let (key, reason) = (&before.key, reason(&before));
    let generation = agenda.generation();
    let planned = plan::find(&generation.schedule, job.as_str(), key.start)?;
    let was = former.and_then(|former| plan::find(former, job.as_str(), key.start));
    let sent = playout(&planned.job, key.start);
    let mut fields = match &was {
        Some(was) => playout(&was.job, key.start).differing(&sent),
        None => before.playout.differing(&sent),
    };
    if was.as_ref().is_some_and(|was| was.job.policy.start_within != planned.job.policy.start_within) {
        fields.push("start_within");
    }
    let is_about_its_start = !fields.is_empty();
    if was.is_some_and(|was| (was.end, &was.job.policy.retry) != (planned.end, &planned.job.policy.retry)) {
        fields.push("its end, or how it is retried");
    }
    if fields.is_empty() {
        return None;
    }
    let changed = fields.join(", ");
    let by_hand = again(&before, &planned, generation.number, now, Within::FromNow)?;
    let next = again(&before, &planned, generation.number, now, Within::AsPlanned);
    let obstacle = match &next {
        _ if !is_about_its_start => Some("what is sent is the same".to_owned()),
        None => Some("`start_within` is over".to_owned()),
        Some(next) => why_not(airings, agenda, &planned, next, now),
    };
    let text = match (next, obstacle) {
        (Some(next), None) => {
            take_up(airings, step, next, who, &format!("an edit changed {changed}; it ended as {reason}"));
            format!("it ended as {reason}, and an edit changed {changed}: its window is open, and it is taken up again")
        }
        (_, obstacle) => {
            let obstacle = obstacle.unwrap_or_default();
            let end = by_hand.end.at().map(|end| format!(" until {end}")).unwrap_or_default();
            format!(
                "it ended as {reason}, an edit changed {changed}, and it is not taken up by itself ({obstacle}): `ingestd fire {job}` \
                 takes it up again{end}"
            )
        }
    };
    step.notify_of(key, Level::Info, text.clone());
    Some(format!("{key}: {text}"))
}

/// The show of a job that failed, while its window is open.
fn failed(airings: &Airings, job: &JobId, now: Timestamp) -> Option<Occurrence> {
    airings.failed.get(job).filter(|failed| failed.end.at().is_none_or(|end| now < end)).cloned()
}

/// From when on `start_within` counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// From its planned start.
    AsPlanned,
    /// From now: somebody orders it.
    FromNow,
}

/// A show that failed, as the schedule in force has it go on now. `None`: no attempt may leave any more.
fn again(before: &Occurrence, planned: &Planned, generation: i64, now: Timestamp, within: Within) -> Option<Occurrence> {
    let mut next = Occurrence { end: planned.end, policy: planned.job.policy.clone(), ..before.clone().returned(now) };
    next.take_edit(playout(&planned.job, next.key.start), generation);
    if within == Within::FromNow && next.on_air_at.is_none() {
        let passed = Duration::try_from(now.duration_since(next.key.start)).unwrap_or_default();
        next.policy.start_within = start_bound(&next.policy, next.end).map(|bound| bound.saturating_add(passed));
    }
    let is_closed = next.end.at().is_some_and(|end| end <= now) || next.closes().is_some_and(|closes| closes <= now);
    (!is_closed && start_request(&next, now).is_ok()).then_some(next)
}

/// Why a show is not taken up without an order.
fn why_not(airings: &Airings, agenda: &Agenda, planned: &Planned, next: &Occurrence, now: Timestamp) -> Option<String> {
    let Key { job, start } = &next.key;
    if agenda.holds.of_late(job, *start, now).is_some() {
        return Some(format!("`{job}` is paused"));
    }
    if next.was_in_doubt {
        return Some("a start of it that nobody answered may be on air".to_owned());
    }
    let is_late = next.on_air_at.is_none() && now.duration_since(*start) > LATE_AFTER;
    if is_late && next.policy.late == Late::Skip {
        return Some("`late: skip`".to_owned());
    }
    if airings.jobs(now).contains(job) || has_newer_start(&planned.job, *start, now) {
        return Some(format!("`{job}` has a newer show"));
    }
    let lines = obstacles(airings, next, now).lines;
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn take_up(airings: &mut Airings, step: &mut Step, next: Occurrence, who: &str, why: &str) {
    airings.failed.remove(&next.key.job);
    step.record_retry(&next.key, who, why);
    airings.reopen(step, next);
}

fn reason(failed: &Occurrence) -> String {
    match &failed.state {
        State::Done { outcome } => format!("{} ({})", outcome.name(), outcome.reason()),
        _ => "failed".to_owned(),
    }
}

/// What the schedule has otherwise than when the show failed.
fn as_the_schedule_says(before: &Occurrence, next: &Occurrence) -> Vec<String> {
    let fields = before.playout.differing(&next.playout);
    if fields.is_empty() {
        Vec::new()
    } else {
        vec![format!("it plays as the schedule says now, which changed {}", fields.join(", "))]
    }
}

/// What has the room, or the robot, of something that is to be started.
#[derive(Default)]
pub(super) struct Obstacles {
    pub(super) lines: Vec<String>,
    pub(super) keys: Vec<Key>,
}

pub(super) fn obstacles(airings: &Airings, fired: &Occurrence, now: Timestamp) -> Obstacles {
    let mut found = Obstacles::default();
    let is_there = |airing: &&Airing| !matches!(airing.occurrence.state, State::Stopping { .. } | State::Done { .. });
    for other in airings.iter().filter(is_there).map(|airing| &airing.occurrence) {
        let (theirs, own) = (&other.playout, &fired.playout);
        let in_one_room = theirs.target() == own.target();
        let is_taken = in_one_room && takes_from(fired, other, now);
        let has_robot = !in_one_room && theirs.destination.sdk_app_id == own.destination.sdk_app_id && theirs.robot == own.robot;
        if is_taken || has_robot {
            let what =
                if is_taken { format!("room {}", theirs.room) } else { format!("robot {}, in room {}", theirs.robot, theirs.room) };
            found.lines.push(format!("{} has {what}", other.key));
            found.keys.push(other.key.clone());
        }
    }
    found
}

/// Whether one of the two would be off the air for the other. What yields, or ends now, loses nothing; a planned start that comes takes the
/// room at its instant.
fn takes_from(fired: &Occurrence, other: &Occurrence, now: Timestamp) -> bool {
    let loses = displaced_by(other, fired, now).is_some_and(|displacement| displacement >= Displacement::Preempted);
    let gives_way = other.key.start <= now && displaced_by(fired, other, now).is_some();
    loses || gives_way
}
