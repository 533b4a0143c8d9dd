//! From the plan to an occurrence: what a planned start makes, which window of a job is open now, and what becomes of a start that is
//! late. Does not know what is settled already.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::airings::{Airings, record};
use super::step::{Records, Step};
use crate::calendar::Start;
use crate::occurrence::{
    Failure, Key, LATE_AFTER, MissedReason, Occurrence, Outcome, Playout, SkippedReason, State, start_request,
};
use crate::plan;
use crate::plan::holds::{Held, HoldReason};
use crate::schedule::{EndRule, Job, JobId, Late, OPEN_START_WITHIN, Schedule};
use crate::trtc::{Destination, Repeat};

/// The newest occurrence of `job` in `[from, now)` that can still be started.
pub(super) fn latest_open(job: &Arc<Job>, from: Timestamp, now: Timestamp) -> Option<plan::Planned> {
    if !job.enabled {
        return None;
    }
    let reach = look_back(job).and_then(|reach| now.checked_sub(reach).ok());
    // Where no window bounds the search, a year does: an endless show that began earlier has a row, or a new one is wanted.
    let from = from.max(reach.unwrap_or(now - SignedDuration::from_hours(24 * 366)));
    let newest = newest_start(job, from, now)?;
    let planned = plan::planned(job, newest);
    let closes = armed(&planned, 0, true).start_closes();
    closes.is_none_or(|closes| now < closes).then_some(planned)
}

/// The job of that id, or why there is no such job.
pub(super) fn known_job(schedule: &Schedule, job: &JobId) -> Result<Arc<Job>, String> {
    let known = schedule.job(job.as_str()).cloned();
    let unknown = || format!("the schedule in force has no job `{job}`: {}", schedule.hint_for_unknown_job(job.as_str()));
    known.ok_or_else(unknown)
}

/// Whether `job` has a start after `start`, at `now` or before.
pub(super) fn has_newer_start(job: &Job, start: Timestamp, now: Timestamp) -> bool {
    let after = start.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
    job.when.not_before(after).is_some_and(|next| next.at <= now)
}

/// The newest start of `job` in `[from, now)`, found in stretches that double from `now` back: a job that starts every second
/// has its newest in the first of them.
fn newest_start(job: &Job, from: Timestamp, now: Timestamp) -> Option<Start> {
    let mut stretch = SignedDuration::from_mins(1);
    let mut until = now;
    while from < until {
        let since = until.checked_sub(stretch).map_or(from, |since| since.max(from));
        if let Some(newest) = job.when.between(since, until).last() {
            return Some(newest);
        }
        (until, stretch) = (since, stretch * 2);
    }
    None
}

/// The longest a window of this job can be, with room for a clock change; `None`: unknown.
fn look_back(job: &Job) -> Option<SignedDuration> {
    let length = match (job.end, job.policy.start_within) {
        (EndRule::For(length), _) => length,
        (EndRule::To(_), _) => Duration::from_hours(26),
        (EndRule::Media, within) => {
            let media = job.length.zip(times(job)).map(|(length, plays)| length.saturating_mul(plays) * 2);
            media.or(within).unwrap_or(OPEN_START_WITHIN)
        }
        (EndRule::Never, within) => within?,
    };
    SignedDuration::try_from(length).ok()?.checked_add(SignedDuration::from_secs(1))
}

fn times(job: &Job) -> Option<u32> {
    match job.repeat {
        Repeat::Times(plays) if !job.live => Some(plays.into()),
        _ => None,
    }
}

/// Claims a show that is open already; or records why it is not started after all. `may_be_on_air`: its row may have been lost, so that
/// it may have been started. `None`: nobody can say now whether it has a row.
pub(super) fn start_late(
    airings: &mut Airings,
    step: &mut Step,
    records: &dyn Records,
    planned: &plan::Planned,
    (generation, may_be_on_air): (i64, bool),
) -> Option<()> {
    let now = step.now;
    let mut occurrence = Occurrence { tried_at: Some(now), ..armed(planned, generation, true) };
    if may_be_on_air {
        occurrence.doubt(occurrence.key.start);
    }
    let is_late = now.duration_since(occurrence.key.start) > LATE_AFTER;
    let reason = if is_late && occurrence.policy.late == Late::Skip {
        MissedReason::Late
    } else if start_request(&occurrence, now).is_err() {
        MissedReason::ContentOver
    } else {
        return airings.claim(step, records, occurrence).map(drop);
    };
    let outcome = if may_be_on_air { Outcome::Failed(Failure::InDoubt) } else { Outcome::Missed(reason) };
    let state = State::Done { outcome };
    record(step, records, &Occurrence { state, attempts: 0, tries: 0, joined: false, in_doubt: false, ..occurrence }).map(drop)
}

/// The occurrence as it is claimed: armed, attempt 1.
pub(super) fn armed(planned: &plan::Planned, generation: i64, joined: bool) -> Occurrence {
    let job = &planned.job;
    let key = Key { start: planned.start.at, job: job.id.clone() };
    let occurrence = Occurrence::armed(key, planned.end, playout(job, planned.start.at), job.policy.clone(), generation);
    Occurrence { joined, tried_at: Some(planned.start.at), ..occurrence }
}

pub(super) fn playout(job: &Job, start: Timestamp) -> Playout {
    let app = job.app.as_ref().expect("a schedule that is run was read with settings, which name the application of every job");
    let region = job.region.as_ref().expect("a schedule that is run was read with settings, which have a region");
    let destination = Destination {
        app: app.name.as_ref().to_owned(),
        sdk_app_id: app.sdk_app_id.expect("settings give every application its id"),
        region: region.as_ref().to_owned(),
    };
    Playout {
        destination,
        room: job.room.clone(),
        robot: job.robot.expand(job.id.as_str(), &job.room, start),
        stream: job.stream_at(start),
        fallback: job.fallback_at(start),
        instead_of: None,
        live: job.live,
        length: job.length,
        seek: job.seek,
        repeat: job.repeat,
        options: job.options,
    }
}

/// Records an occurrence that is not started, and why. `None`: nobody can say now whether it has a row.
pub(super) fn pass_over(
    step: &mut Step,
    records: &dyn Records,
    planned: &plan::Planned,
    generation: i64,
    outcome: Outcome,
) -> Option<()> {
    record_done(step, records, armed(planned, generation, false), outcome)
}

/// Records an occurrence that operators hold back. `None`: nobody can say now whether it has a row.
pub(super) fn hold_back(
    step: &mut Step,
    records: &dyn Records,
    planned: &plan::Planned,
    generation: i64,
    held: Held,
) -> Option<()> {
    let occurrence =
        Occurrence { ordered_by: Some(held.source.who), order_note: held.source.note, ..armed(planned, generation, false) };
    record_done(step, records, occurrence, Outcome::Skipped(skipped_reason(held.why)))
}

/// Why an occurrence that operators hold back was skipped.
pub(super) fn skipped_reason(why: HoldReason) -> SkippedReason {
    match why {
        HoldReason::Skip => SkippedReason::Operator,
        HoldReason::Pause => SkippedReason::Paused,
    }
}

fn record_done(step: &mut Step, records: &dyn Records, occurrence: Occurrence, outcome: Outcome) -> Option<()> {
    let state = State::Done { outcome };
    record(step, records, &Occurrence { state, attempts: 0, tries: 0, ..occurrence }).map(drop)
}
