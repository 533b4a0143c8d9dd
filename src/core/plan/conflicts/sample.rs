//! Finds the jobs that can clash by looking at a few weeks: most patterns repeat every week, so the week after each
//! change of the clock or of a bound stands for all that follow. Does not decide: what it cannot rule out is searched
//! in full.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::clash::may_have_one_robot;
use super::sweep::{Next, Pair, Sweep, SweepEnd};
use crate::calendar::{ClockChange, Trigger, clock_changes, largest, until};
use crate::plan::Upcoming;
use crate::schedule::{EndRule, Job};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A start depends on dates up to two days before it.
const SLACK: SignedDuration = SignedDuration::from_hours(48);
/// Most starts of one job that do not repeat weekly: each is looked at by itself.
const LONE_STARTS_MAX: usize = 500;
/// A sample that is longer than this saves nothing.
const SAMPLE_MAX: SignedDuration = SignedDuration::from_hours(200 * 24);
/// More pairs than these would take too much memory: then all are searched, and the search ends early.
const SUSPECTS_MAX: usize = 10_000;

/// The clock changes of each zone, looked up once.
pub(super) struct ClockChanges {
    range: Range<Timestamp>,
    known: HashMap<String, Arc<[ClockChange]>>,
}

impl ClockChanges {
    /// For windows that begin in `range`.
    pub(super) fn new(range: &Range<Timestamp>) -> ClockChanges {
        let wide =
            range.start.saturating_sub(SLACK).unwrap_or(Timestamp::MIN)..range.end.saturating_add(SLACK).unwrap_or(Timestamp::MAX);
        ClockChanges { range: wide, known: HashMap::new() }
    }

    fn of(&mut self, job: &Job) -> Arc<[ClockChange]> {
        let mut zones = job.when.zones();
        let own = zones.next().map_or_else(|| Arc::from([]), |zone| self.of_zone(zone));
        // Of a job that follows others all their zones count, most often the same.
        let others: Vec<_> = zones.filter(|zone| **zone != job.when.zone).map(|zone| self.of_zone(zone)).collect();
        if others.is_empty() {
            return own;
        }
        let mut all: Vec<ClockChange> = own.iter().chain(others.iter().flat_map(|changes| changes.iter())).copied().collect();
        all.sort_unstable_by_key(|change| change.at);
        all.into()
    }

    fn of_zone(&mut self, zone: &TimeZone) -> Arc<[ClockChange]> {
        let look = || Arc::from(clock_changes(zone, self.range.start, self.range.end));
        // A zone without a name is UTC, which has no changes and takes no time.
        let Some(name) = zone.iana_name() else { return look() };
        if let Some(known) = self.known.get(name) {
            return Arc::clone(known);
        }
        let found: Arc<[ClockChange]> = look();
        self.known.insert(name.to_owned(), Arc::clone(&found));
        found
    }
}

/// Whether two windows of this job can overlap, by arithmetic alone.
pub(super) fn may_overlap_itself(job: &Job, changes: &mut ClockChanges) -> bool {
    let changes = changes.of(job);
    longest(job, &changes).is_none_or(|longest| longest > SignedDuration::from_secs(job.when.least_gap(&changes)))
}

/// A length that no window of the job exceeds; `None` for `to: never`. An open end counts only at its start.
fn longest(job: &Job, changes: &[ClockChange]) -> Option<SignedDuration> {
    let shifted = |seconds: i64| Some(SignedDuration::from_secs(seconds.saturating_add(largest(changes))));
    match job.end {
        EndRule::For(length) => SignedDuration::try_from(length).ok(),
        EndRule::Media => job.media_length().map_or(Some(SignedDuration::ZERO), |length| SignedDuration::try_from(length).ok()),
        EndRule::To(to) => match &job.when.trigger {
            Trigger::At { times, .. } => shifted(times.iter().map(|time| until(*time, to)).max().unwrap_or(0)),
            Trigger::Once(_) | Trigger::Cron(_) | Trigger::Every { .. } | Trigger::After(_) => shifted(24 * 3600),
        },
        EndRule::Never => None,
    }
}

/// The pairs of jobs that may clash in `range`, possibly too many, never too few; `None` when finding them would cost
/// too much.
pub(super) fn suspects(jobs: &[Arc<Job>], range: &Range<Timestamp>, changes: &mut ClockChanges) -> Option<HashSet<Pair>> {
    // Exceptions are left out of the pattern: without them there are more windows, and what does not clash then never does.
    let mut plain: Vec<_> = jobs.iter().map(without_exceptions).collect();
    let samples = samples(jobs, range, changes).or_else(|| {
        // Where odd dates are too many to look at each, every week is an odd one: there are more windows again.
        plain = plain.iter().map(each_week).collect();
        samples(&plain, range, changes)
    })?;
    let mut sweep = Sweep::new(&plain, None, may_have_one_robot);
    let mut count = 0;
    for sample in samples {
        let reached = sweep.through(sample, |_, _, _, _| {
            count += 1;
            if count > SUSPECTS_MAX { Next::Enough } else { Next::Decided }
        });
        if reached != SweepEnd::Complete {
            return None;
        }
    }
    Some(sweep.into_decided())
}

fn without_exceptions(job: &Arc<Job>) -> Arc<Job> {
    match job.when.without_exceptions() {
        Some(when) => Arc::new(Job { when, ..Job::clone(job) }),
        None => Arc::clone(job),
    }
}

fn each_week(job: &Arc<Job>) -> Arc<Job> {
    let odd = if job.when.is_weekly() { None } else { job.when.each_week() };
    odd.map_or_else(|| Arc::clone(job), |when| Arc::new(Job { when, ..Job::clone(job) }))
}

/// Stretches of time that hold, of every clash in `range`, one like it.
///
/// Between two events (clock changes, bounds) each weekly job plays the same week again and again: a clash there, moved
/// back by whole weeks, is one in the first week after the event. What is within the length of a window and two days of
/// an event is looked at in any case, and so is every window of a job that is not weekly.
fn samples(jobs: &[Arc<Job>], range: &Range<Timestamp>, changes: &mut ClockChanges) -> Option<Vec<Range<Timestamp>>> {
    let mut longest_of_all = SignedDuration::ZERO;
    let mut events = vec![range.start];
    for job in jobs {
        let changes = changes.of(job);
        // What moves a start that follows others may lie before it, as if its window began with the first of them.
        let reach = SignedDuration::try_from(job.when.reach()).ok()?;
        longest_of_all = longest_of_all.max(longest(job, &changes)?.checked_add(reach)?);
        let root = job.when.root();
        events.extend(changes.iter().map(|change| change.at).chain(root.from).chain(root.until));
    }
    let around = longest_of_all.checked_add(SLACK)?;
    let last = range.end.saturating_add(around).unwrap_or(Timestamp::MAX);
    events.retain(|event| (range.start..last).contains(event));
    events.sort_unstable();
    events.dedup();
    let stretch = |before: SignedDuration, at: Timestamp, after: SignedDuration| {
        let start = at.saturating_sub(before).unwrap_or(Timestamp::MIN).max(range.start);
        start..at.saturating_add(after).unwrap_or(Timestamp::MAX).min(range.end)
    };
    let mut stretches: Vec<_> = events.into_iter().map(|event| stretch(around, event, WEEK + around)).collect();
    // A lone window meets what is open when it begins, and what begins before it ends; a range excludes its last instant.
    let lone_stretch = longest_of_all.checked_add(SignedDuration::from_secs(1))?;
    for job in jobs.iter().filter(|job| !job.when.is_weekly()) {
        let starts = Upcoming::open_at([job], range.start).map(|window| window.start.at).take_while(|start| *start < range.end);
        let lone: Vec<_> = starts.take(LONE_STARTS_MAX + 1).collect();
        if lone.len() > LONE_STARTS_MAX {
            return None;
        }
        stretches.extend(lone.into_iter().map(|start| stretch(SignedDuration::ZERO, start, lone_stretch)));
    }
    let samples = merged(stretches);
    let total: SignedDuration = samples.iter().map(|sample| sample.end.duration_since(sample.start)).sum();
    (total <= SAMPLE_MAX).then_some(samples)
}

/// The union of ranges, in order and apart from each other.
fn merged(mut ranges: Vec<Range<Timestamp>>) -> Vec<Range<Timestamp>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<Timestamp>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
