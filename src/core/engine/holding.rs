//! The orders that hold starts back and let them go: `pause`, `resume` and `skip`. What is on air when they come stays on air. Does not
//! know how a start that comes later is held back: that is the agenda's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::agenda::Agenda;
use super::airings::Airings;
use super::claim::known_job;
use super::step::{Reply, Step};
use super::write::Write;
use crate::occurrence::{Key, Kind, Occurrence, SkippedReason, State, signed};
use crate::plan::find;
use crate::plan::holds::{Hold, JobPause, JobSkip, OrderSource};
use crate::schedule::{Job, JobId};

/// Holds back what starts from now on. The reply says until when, and what has begun and stays.
pub(super) fn pause(
    airings: &mut Airings,
    agenda: &mut Agenda,
    step: &mut Step,
    (job, length): (Option<JobId>, Option<Duration>),
    source: OrderSource,
) -> Reply {
    if let Some(job) = &job {
        known_job(&agenda.generation().schedule, job)?;
    }
    let since = whole_ms(step.now);
    let until = length.map(|length| {
        since
            .checked_add(signed(length))
            .map_err(|_| "expected a shorter time: this one is past the last year of the calendar".to_owned())
    });
    let pause = JobPause { job, since, until: until.transpose()?, source };
    let before = agenda.holds.pauses(step.now).find(|before| before.job == pause.job);
    let before = before.map(|before| format!(", in place of the pause {}, by {}", until_words(before.until), before.source.who));
    // A second order takes the place of the first.
    end_pauses(agenda, step, pause.job.as_ref());
    let (until, before) = (until_words(pause.until), before.unwrap_or_default());
    let mut told = vec![match &pause.job {
        Some(job) => format!("`{job}` is paused {until}{before}"),
        None => format!("every job is paused {until}{before}"),
    }];
    if let Some(job) = pause.job.as_ref().filter(|job| is_off(agenda, job)) {
        told.push(format!("`{job}` is switched off (`enabled: false`): it has no start that could be held back"));
    }
    let mut others: Vec<Key> = airings.keys();
    others.retain(|key| pause.is_of(&key.job) && pause.until.is_none_or(|until| key.start < until));
    for key in others {
        if airings.skip_unsent(step, &key, SkippedReason::Paused, &pause.source) {
            told.push(format!("{key}: skipped (paused)"));
        } else {
            told.extend(airings.get(&key).and_then(|airing| stays(&airing.occurrence)));
        }
    }
    step.write(Write::Hold(Box::new(Hold::Pause(pause.clone()))));
    agenda.holds.add(Hold::Pause(pause));
    Ok(told)
}

/// Ends a pause. What was skipped stays skipped.
pub(super) fn resume(agenda: &mut Agenda, step: &mut Step, job: Option<JobId>) -> Reply {
    let ended = end_pauses(agenda, step, job.as_ref());
    let still = still_held(agenda, job.as_ref(), step.now);
    if ended == 0 {
        if let Some(job) = job.as_ref().filter(|_| still.is_empty()) {
            // A job that left the schedule may be paused still.
            known_job(&agenda.generation().schedule, job)?;
        }
        let what = job
            .as_ref()
            .map_or("the pause of every job is not in force".to_owned(), |job| format!("`{job}` is not paused by itself"));
        let none = if job.is_some() { "none of its starts is held back" } else { "nothing is held back" };
        let still = if still.is_empty() { none.to_owned() } else { still.join("; ") };
        return Err(format!("{what}: {still}"));
    }
    let Some(job) = job else {
        return Ok([vec!["starts go on; what was skipped stays skipped".to_owned()], still].concat());
    };
    let next = next_start(agenda, &job, step.now);
    let next = next.map_or("it has no start to come".to_owned(), |next| format!("its next start is at {next}"));
    Ok([vec![format!("`{job}` goes on, and what was skipped stays skipped: {next}")], still].concat())
}

/// Holds back one start of a job.
pub(super) fn skip(
    airings: &mut Airings,
    agenda: &mut Agenda,
    step: &mut Step,
    (job, start): (&JobId, Option<Timestamp>),
    source: OrderSource,
) -> Reply {
    let known = known_job(&agenda.generation().schedule, job)?;
    if !known.enabled {
        return Err(format!("`{job}` is switched off (`enabled: false`): it has no start to skip"));
    }
    let key = Key { start: start_to_skip(agenda, &known, start, step.now)?, job: job.clone() };
    if let Some(skip) = agenda.holds.skip_of(job, key.start) {
        return Ok(vec![format!("{key}: is skipped already, by {}", skip.source.who)]);
    }
    if airings.skip_unsent(step, &key, SkippedReason::Operator, &source) {
        return Ok(vec![format!("{key}: skipped")]);
    }
    if airings.get(&key).is_some() {
        return Err(format!("{key} has begun: `ingestd stop {job}` takes it off the air"));
    }
    if key.start < agenda.settled_until() {
        return Err(format!("{key} has its row already, and is not started: see `ingestd history --job {job}`"));
    }
    let skip = Hold::Skip(JobSkip { job: job.clone(), start: key.start, source });
    step.write(Write::Hold(Box::new(skip.clone())));
    agenda.holds.add(skip);
    Ok(vec![format!("{key}: will be skipped; `ingestd resume {job} --at {}` takes that back", key.start)])
}

/// Takes the skip of a start back.
pub(super) fn unskip(agenda: &mut Agenda, step: &mut Step, job: &JobId, start: Timestamp) -> Reply {
    if agenda.holds.skip_of(job, start).is_some() && start <= agenda.settled_until() {
        return Err(format!("{job} {start} was skipped, and has its row already: `ingestd fire {job}` starts the job now"));
    }
    let Some(skip) = agenda.holds.take_skip(job, start) else {
        let skipped: Vec<String> = skips(agenda, job, step.now);
        let skipped = if skipped.is_empty() { "none of its coming starts is".to_owned() } else { skipped.join("; ") };
        return Err(format!("the start of `{job}` at {start} is not skipped: {skipped}"));
    };
    step.write(Write::HoldOver(Box::new(Hold::Skip(skip))));
    let held = agenda.holds.of(job, start, step.now);
    let held = held.map_or("is started as planned".to_owned(), |held| {
        format!("is not skipped any more, but `{job}` is paused {}", until_words(held.until))
    });
    Ok(vec![format!("{job} {start}: {held}")])
}

/// Whether a job has no start, because somebody switched it off.
fn is_off(agenda: &Agenda, job: &JobId) -> bool {
    agenda.generation().schedule.job(job.as_str()).is_some_and(|job| !job.enabled)
}

/// Ends the pauses of this job, or that of every job. Returns how many.
fn end_pauses(agenda: &mut Agenda, step: &mut Step, job: Option<&JobId>) -> usize {
    let ended = agenda.holds.end_pauses(job, whole_ms(step.now));
    let count = ended.len();
    for pause in ended {
        step.write(Write::Hold(Box::new(Hold::Pause(pause))));
    }
    count
}

/// The start that is meant: the one that was named, or the next.
fn start_to_skip(agenda: &Agenda, job: &Job, start: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, String> {
    let id = &job.id;
    let next = job.when.not_before(after(now)).map(|next| next.at);
    let Some(start) = start else {
        return next.ok_or_else(|| format!("`{id}` has no start to come"));
    };
    let next_words = next.map_or("it has no start to come".to_owned(), |next| format!("its next start is at {next}"));
    if find(&agenda.generation().schedule, id.as_str(), start).is_none() {
        return Err(format!("`{id}` has no start at {start}: {next_words}"));
    }
    if start <= now {
        return Err(format!("{id} {start} has begun already, and is not skipped any more: {next_words}"));
    }
    Ok(start)
}

/// What becomes of something that has begun, when its job is paused.
fn stays(occurrence: &Occurrence) -> Option<String> {
    let Occurrence { key, .. } = occurrence;
    let how = match (&occurrence.state, occurrence.kind) {
        (State::Stopping { .. } | State::Done { .. }, _) => return None,
        (State::OnAir, _) => "is on air and stays there",
        (_, Kind::Fired) => "was started by hand, and goes on",
        (State::Armed | State::Calling, _) => "its start was sent already, and it goes on",
        (State::Waiting { .. }, _) => "has begun, and is tried again as before",
    };
    Some(format!("{key}: {how}; `ingestd stop {}` takes it off the air", key.job))
}

/// What else holds this job back, or any job, a line each.
fn still_held(agenda: &Agenda, job: Option<&JobId>, now: Timestamp) -> Vec<String> {
    let pauses = agenda.holds.pauses(now).filter(|pause| job.is_none_or(|job| pause.is_of(job)));
    let pauses = pauses.map(|pause| {
        let (until, who) = (until_words(pause.until), &pause.source.who);
        match &pause.job {
            Some(job) => format!("`{job}` is still paused {until}, by {who}: `ingestd resume {job}` ends that"),
            None => format!("every job is still paused {until}, by {who}: `ingestd resume` ends that"),
        }
    });
    let skips = job.map(|job| skips(agenda, job, now)).unwrap_or_default();
    pauses.chain(skips).collect()
}

/// The starts of a job that are to be skipped, a line each.
fn skips(agenda: &Agenda, job: &JobId, now: Timestamp) -> Vec<String> {
    let coming = agenda.holds.skips().filter(|skip| &skip.job == job && skip.start > now);
    let line = |skip: &JobSkip| {
        let (start, who) = (skip.start, &skip.source.who);
        format!("its start at {start} will be skipped, by {who}: `ingestd resume {job} --at {start}` takes that back")
    };
    coming.map(line).collect()
}

/// The next start of a job that is not settled and that nothing holds back, among those of the next while.
fn next_start(agenda: &Agenda, job: &JobId, now: Timestamp) -> Option<Timestamp> {
    const LOOKED_AT: usize = 1_000;
    let known = agenda.generation().schedule.job(job.as_str()).filter(|job| job.enabled)?;
    let coming = known.when.between(agenda.settled_until().max(after(now)), Timestamp::MAX).map(|start| start.at).take(LOOKED_AT);
    coming.into_iter().find(|start| agenda.holds.of(job, *start, now).is_none())
}

fn until_words(until: Option<Timestamp>) -> String {
    until.map_or("until somebody ends it".to_owned(), |until| format!("until {until}"))
}

fn after(now: Timestamp) -> Timestamp {
    now.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX)
}

/// As the ledger keeps it.
fn whole_ms(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}
