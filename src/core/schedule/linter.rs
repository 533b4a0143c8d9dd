//! What is legal and probably not meant: the second judgement of a job that is valid. Refuses to know files.

mod media;
mod patterns;
mod urls;
mod vendor;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::combine::show_wall;
use super::fields::{self, Group};
use super::job::{EndRule, Job};
use super::policy::OPEN_START_WITHIN;
use super::problem::Problem;
use super::raw::{RawJob, Slot};
use super::stream_template::StreamTemplate;
use crate::calendar::{ClockChange, Dst, Start, Trigger, clock_changes, resolve};
use crate::diagnostic::{Severity, Span};
use crate::trtc::Site;

/// How far ahead clock changes are looked for: every zone's rules come round within a year.
const CLOCK_CHANGES_AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Most starts that are looked at near one clock change. More stand there only for patterns that a change cannot move.
const STARTS_NEAR_CHANGE_MAX: usize = 64;

/// Judges jobs one after the other, remembering what is the same for all jobs of a zone.
pub(super) struct Linter {
    now: Timestamp,
    site: Option<Site>,
    changes: HashMap<String, Arc<[ClockChange]>>,
}

/// Where problems with a job's times are told.
#[derive(Clone, Copy)]
pub(super) struct WarningSpans {
    /// The trigger.
    pub(super) trigger: Span,
    /// `to`, or the job's name.
    pub(super) to: Span,
}

impl WarningSpans {
    /// Of a job, as it was written.
    pub(super) fn of(job: &Job, raw: &RawJob) -> WarningSpans {
        let to = if raw.end.to.span == Span::default() { job.place.span } else { raw.end.to.span };
        WarningSpans { trigger: trigger_span(raw), to }
    }
}

impl Linter {
    /// For schedules read at `now`, of which requests go to this site.
    pub(super) fn new(now: Timestamp, site: Option<Site>) -> Linter {
        Linter { now, site, changes: HashMap::new() }
    }

    /// Everything that is odd about `job`. A job that is switched off is left in peace.
    pub(super) fn warnings(&mut self, job: &Job, raw: &RawJob) -> Vec<Problem> {
        if !job.enabled {
            return Vec::new();
        }
        let mut problems = Vec::new();
        problems.extend(vendor::problems(job, raw, self.site));
        problems.extend(media::problems(job, raw, self.now));
        let span = |slot: &Slot<StreamTemplate>| if slot.written { slot.span } else { job.place.span };
        problems.extend(urls::problems(job, [span(&raw.stream), span(&raw.fallback)], self.now));
        problems.extend(patterns::problems(&job.when.trigger, trigger_span(raw)));
        // Of a job that follows another nothing is known of its times yet.
        if job.after.is_none() {
            problems.extend(self.time_warnings(job, WarningSpans::of(job, raw)));
        }
        problems
    }

    /// What is odd about the times of `job`, which may be told at these places.
    pub(super) fn time_warnings(&mut self, job: &Job, spans: WarningSpans) -> Vec<Problem> {
        if !job.enabled {
            return Vec::new();
        }
        if let Some(problem) = no_start(job, spans, self.now) {
            return vec![problem];
        }
        // Of a job that follows another it can be told only now when it starts.
        let dead_air = job.after.as_ref().and_then(|_| media::dead_air(job, spans.to, self.now));
        self.clock_changes(job, spans).into_iter().chain(dead_air).collect()
    }

    fn clock_changes(&mut self, job: &Job, spans: WarningSpans) -> Vec<Problem> {
        let starts_stay = matches!(job.when.trigger, Trigger::Every { .. } | Trigger::After(_));
        if starts_stay && !matches!(job.end, EndRule::To(_)) {
            return Vec::new();
        }
        let name = job.when.zone.iana_name().unwrap_or_default();
        let known = self.changes.get(name).map(Arc::clone);
        let changes = known.unwrap_or_else(|| {
            let found: Arc<[ClockChange]> = changes_of(&job.when.zone, self.now).into();
            self.changes.insert(name.to_owned(), Arc::clone(&found));
            found
        });
        let warnings_of = |change: &ClockChange| {
            let start = if starts_stay { None } else { moved(job, *change).map(|start| start_moved(job, spans, *change, &start)) };
            let end = moved_end(job, *change).map(|end| end_moved(job, spans, *change, &end));
            start.into_iter().chain(end)
        };
        changes.iter().flat_map(warnings_of).collect()
    }
}

/// What is true of every ordinary relay, loop or night show: it is told to whoever asks, and does not hide the warnings.
const NOTES: [&str; 3] = ["no-cloud-bound", "clock-change", "loop-too-long"];

/// How bad a problem of that code is that the linter found.
pub(super) fn severity(code: &str) -> Severity {
    if NOTES.contains(&code) { Severity::Note } else { Severity::Warning }
}

/// What is odd about one value, whatever the job beside it says: a default with it is told once, where it stands.
const OF_ONE_VALUE: [&str; 14] = [
    "region",
    "room-alphabet",
    "room-space",
    "room-braces",
    "not-international",
    "unfilled",
    "copied",
    "private-host",
    "no-stream-name",
    "container",
    "uneven-step",
    "two-day-fields",
    "every-second",
    "every-minute",
];

/// Whether a problem of that code that the linter found is one of a single value.
pub(super) fn is_of_one_value(code: &str) -> bool {
    OF_ONE_VALUE.contains(&code)
}

/// Where the trigger's value stands.
fn trigger_span(raw: &RawJob) -> Span {
    fields::written(raw, |group| group == Group::Trigger).first().map_or_else(Span::default, |(_, written)| written.span)
}

/// When the window of a start ends; `None`: with media of unknown length, or past the calendar.
fn window_end(job: &Job, start: &Start) -> Option<Timestamp> {
    match job.end {
        EndRule::For(length) => start.at.checked_add(length).ok(),
        EndRule::To(to) => Some(job.when.end_at(start, to)?.0),
        EndRule::Media => start.at.checked_add(job.media_length()?).ok(),
        EndRule::Never => Some(Timestamp::MAX),
    }
}

/// What stands behind the last dot of the last part of a URL's path, without query and fragment; empty: no dot.
fn ending(url: &str) -> &str {
    let path = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// A job of which no start lies ahead.
fn no_start(job: &Job, spans: WarningSpans, now: Timestamp) -> Option<Problem> {
    if job.when.next_after(now).is_some() {
        return None;
    }
    // What began and has not ended is started still. Of media of unknown length nobody knows when it ends.
    let within = job.policy.start_within.unwrap_or(OPEN_START_WITHIN);
    let end = |start: &Start| window_end(job, start).or_else(|| start.at.checked_add(within).ok());
    let by_now = now.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
    if job.when.latest_before(by_now).as_ref().and_then(end).is_some_and(|end| end > now) {
        return None;
    }
    let span = spans.trigger;
    if let Some(after) = &job.after {
        let message = format!("`{after}`, which this job follows, will not start again: neither will this job");
        return Some(Problem::at(span, "past", message).hint("`enabled: false` switches a job off on purpose"));
    }
    if job.when.not_before(Timestamp::UNIX_EPOCH).is_none() {
        let message = "this job never starts: `days`, `weeks`, `from`, `until` and `except` together leave no date";
        return Some(
            Problem::at(span, "never-starts", message).hint("change one of them; `enabled: false` switches a job off on purpose"),
        );
    }
    let message = match &job.when.trigger {
        Trigger::Once(_) => "every time of `once` has passed: this job will not start again",
        _ => "`until` has passed: this job will not start again",
    };
    Some(Problem::at(span, "past", message).hint("remove the job, or give it a time to come"))
}

/// The changes of a zone's offset from `now` on.
fn changes_of(zone: &TimeZone, now: Timestamp) -> Vec<ClockChange> {
    now.checked_add(CLOCK_CHANGES_AHEAD).map_or_else(|_| Vec::new(), |last| clock_changes(zone, now, last))
}

/// The first start that a clock change moves.
fn moved(job: &Job, change: ClockChange) -> Option<Start> {
    let size = SignedDuration::from_secs(change.seconds());
    if let Trigger::At { times, .. } = &job.when.trigger {
        // Most jobs are nowhere near the hour of a change, and a schedule may hold thousands: ask the wall clock first.
        let (one, other) = (change.before.to_datetime(change.at).time(), change.after.to_datetime(change.at).time());
        let (first, last) = (one.min(other), one.max(other));
        let within = |time: &jiff::civil::Time| {
            if size < SignedDuration::from_hours(12) && last.duration_since(first) == size {
                (first..last).contains(time)
            } else {
                true
            }
        };
        if !times.iter().any(within) {
            return None;
        }
    }
    let from = change.at.checked_sub(size).ok()?;
    let to = change.at.checked_add(size).ok()?.checked_add(SignedDuration::from_secs(1)).ok()?;
    // What follows elapsed time starts in both passes of a repeat: nothing is moved.
    let follows_elapsed_time = match &job.when.trigger {
        Trigger::Every { .. } | Trigger::After(_) => true,
        Trigger::Cron(pattern) => !pattern.is_fixed_time(),
        Trigger::At { .. } | Trigger::Once(_) => false,
    };
    let is_moved = |start: &Start| match start.dst {
        Some(Dst::Gap) => true,
        Some(Dst::Repeat) => !follows_elapsed_time,
        None => false,
    };
    job.when.between(from, to).take(STARTS_NEAR_CHANGE_MAX).find(is_moved)
}

fn start_moved(job: &Job, spans: WarningSpans, change: ClockChange, start: &Start) -> Problem {
    let zone = job.when.zone.iana_name().unwrap_or("this zone");
    let written = show_wall(start.written);
    let (before, after) = (change.before.to_datetime(change.at), change.after.to_datetime(change.at));
    let message = match start.dst {
        // A cron expression names no single wall-clock time that could be quoted.
        Some(Dst::Gap) if matches!(job.when.trigger, Trigger::Cron(_)) => format!(
            "in `{zone}` clocks go forward from {} to {} on {}: what falls between starts at {}",
            clock(before),
            clock(after),
            after.date(),
            clock(job.when.zone.to_datetime(start.at))
        ),
        Some(Dst::Repeat) => format!(
            "`{written}` comes twice in `{zone}`, where clocks go back from {} to {}: it starts at the first",
            clock(before),
            clock(after)
        ),
        _ => format!(
            "`{written}` does not exist in `{zone}`, where clocks go forward from {} to {}: it starts at {}",
            clock(before),
            clock(after),
            clock(job.when.zone.to_datetime(start.at))
        ),
    };
    Problem::at(spans.trigger, "clock-change", message).hint("this is fine if you mean it; a time outside that hour is never moved")
}

/// An end that a clock change moves: the time that `to` writes, when it is, and what became of it.
struct MovedEnd {
    written: DateTime,
    at: Timestamp,
    dst: Dst,
}

/// The end of `to` that a clock change moves, if a window has it.
fn moved_end(job: &Job, change: ClockChange) -> Option<MovedEnd> {
    let EndRule::To(to) = job.end else { return None };
    let zone = &job.when.zone;
    let (before, after) = (change.before.to_datetime(change.at), change.after.to_datetime(change.at));
    let (first, last) = (before.min(after), before.max(after));
    // The dates of both ends of the hour: it may lie over midnight.
    let written = [first, last].map(|wall| wall.date().to_datetime(to));
    let written = written.into_iter().find(|written| (first..last).contains(written))?;
    let at = resolve(zone, written)?;
    let dst = if before < after { Dst::Gap } else { Dst::Repeat };
    let ends_then = |start: &Start| job.when.end_at(start, to).is_some_and(|(end, _)| end == at);
    let near = at.min(change.at);
    let starts = job.when.between(near, at).take(STARTS_NEAR_CHANGE_MAX).chain(job.when.latest_before(near));
    starts.into_iter().any(|start| ends_then(&start)).then_some(MovedEnd { written, at, dst })
}

fn end_moved(job: &Job, spans: WarningSpans, change: ClockChange, end: &MovedEnd) -> Problem {
    let zone = job.when.zone.iana_name().unwrap_or("this zone");
    let written = show_wall(end.written);
    let (before, after) = (clock(change.before.to_datetime(change.at)), clock(change.after.to_datetime(change.at)));
    let message = match end.dst {
        Dst::Gap => format!(
            "`to`: `{written}` does not exist in `{zone}`, where clocks go forward from {before} to {after}: it ends at {}",
            clock(job.when.zone.to_datetime(end.at))
        ),
        Dst::Repeat => {
            format!(
                "`to`: `{written}` comes twice in `{zone}`, where clocks go back from {before} to {after}: it ends at the first"
            )
        }
    };
    Problem::at(spans.to, "clock-change", message).hint("this is fine if you mean it; a time outside that hour is never moved")
}

fn clock(wall: DateTime) -> String {
    wall.strftime(if wall.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string()
}
