//! What only holds between two fields of one job, or of one file's `defaults`: the same rules for both, so that a default that
//! is wrong is told once and not once a job. Refuses to know settings, other jobs and what is required.

use std::time::Duration;

use super::fields::{self, Group};
use super::moments::Bound;
use super::policy::RetryPolicy;
use super::problem::Problem;
use super::raw::{RawJob, Slot, Written};
use super::values::format_duration;
use crate::diagnostic::Span;
use jiff::civil::{DateTime, Time};

/// Judges the pairs. A pair that is refused loses its values, so that nothing else is said of it. `inherited` says whether
/// a place is in the file's defaults.
pub(super) fn combine(raw: &mut RawJob, inherited: impl Fn(Span) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    // These are of one group each, so that a job has all or none of them from the defaults, where they were judged.
    if !triggers(raw).iter().any(|(_, key)| inherited(*key)) {
        problems.extend(one_trigger(raw));
        problems.extend(days_and_between(raw));
    }
    if !inherited(raw.end.to.key) {
        problems.extend(one_end(raw));
    }
    problems.extend(bounds(raw));
    problems.extend(live_is_not_sought(raw, inherited));
    problems.extend(seek_within_length(raw));
    problems.extend(retry_delays(raw));
    problems
}

/// The triggers that are written, each with the place of its key.
pub(super) fn triggers(raw: &RawJob) -> Vec<(&'static str, Span)> {
    let written = fields::written(raw, |group| group == Group::Trigger);
    written.into_iter().map(|(name, written)| (name, written.key)).collect()
}

fn one_trigger(raw: &mut RawJob) -> Option<Problem> {
    let mut triggers = triggers(raw);
    triggers.sort_by_key(|(_, key)| *key);
    let [(first, first_key), (second, second_key), ..] = triggers[..] else { return None };
    let trigger = &mut raw.trigger;
    (trigger.at.value, trigger.once.value, trigger.cron.value, trigger.every.value) = (None, None, None, None);
    trigger.after.value = None;
    Some(
        Problem::at(second_key, "two-triggers", format!("`{second}` beside `{first}`: a job has one trigger"))
            .related(first_key, "the first trigger")
            .hint("make two jobs of it"),
    )
}

fn days_and_between(raw: &mut RawJob) -> Option<Problem> {
    let names: Vec<&str> = triggers(raw).iter().map(|(name, _)| *name).collect();
    let trigger = &mut raw.trigger;
    let days_fit = names.is_empty() || names.contains(&"at") || names.contains(&"every");
    if trigger.days.written && !days_fit {
        trigger.days.value = None;
        let hint = if names.contains(&"cron") { "the expression's last field names its days" } else { "remove it" };
        return Some(Problem::at(trigger.days.key, "misplaced", "`days` goes with `at` or `every` only").hint(hint));
    }
    if trigger.weeks.written && !days_fit {
        trigger.weeks.value = None;
        return Some(Problem::at(trigger.weeks.key, "misplaced", "`weeks` goes with `at` or `every` only").hint("remove it"));
    }
    if trigger.between.written && !names.is_empty() && !names.contains(&"every") {
        trigger.between.value = None;
        return Some(Problem::at(trigger.between.key, "misplaced", "`between` goes with `every` only").hint("remove it"));
    }
    None
}

fn one_end(raw: &mut RawJob) -> Option<Problem> {
    let end = &mut raw.end;
    if !end.duration.written || !end.to.written {
        return None;
    }
    (end.duration.value, end.to.value) = (None, None);
    let (first, second) =
        if end.duration.key < end.to.key { (end.duration.key, end.to.key) } else { (end.to.key, end.duration.key) };
    let problem = Problem::at(second, "two-ends", "`for` beside `to`: a job has one end");
    Some(problem.related(first, "the first end").hint("keep one of them"))
}

fn bounds(raw: &mut RawJob) -> Option<Problem> {
    let (from, until) = (raw.from.value?, raw.until.value?);
    let first = match from {
        Bound::Date(date) => date.to_datetime(Time::midnight()),
        Bound::DateTime(instant) => instant,
    };
    let opens = match until {
        Bound::Date(date) => first.date() <= date,
        Bound::DateTime(instant) => first < instant,
    };
    if opens {
        return None;
    }
    let (key, other) = (raw.until.span, raw.from.span);
    (raw.from.value, raw.until.value) = (None, None);
    let show = |bound: Bound| match bound {
        Bound::Date(date) => date.to_string(),
        Bound::DateTime(instant) => show_wall(instant),
    };
    let message = format!("`until`: `{}` leaves no time after `from`, which is `{}`", show(until), show(from));
    Some(
        Problem::at(key, "empty-bounds", message)
            .related(other, "from here")
            .hint("`until` is exclusive for a date with a time, inclusive for a date"),
    )
}

/// What follows another job has the days of that job: bounds and exceptions of its own are refused, and those of the file's defaults
/// do not apply.
pub(super) fn chain_has_no_dates(raw: &mut RawJob, inherited: impl Fn(Span) -> bool) -> Vec<Problem> {
    if !raw.trigger.after.written {
        return Vec::new();
    }
    let dates =
        [("from", take_dates(&mut raw.from)), ("until", take_dates(&mut raw.until)), ("except", take_dates(&mut raw.except))];
    let own = dates.into_iter().filter_map(|(name, key)| Some((name, key.filter(|key| !inherited(*key))?)));
    let refuse = |(name, key): (&str, Span)| {
        Problem::at(key, "misplaced", format!("`{name}` beside `after`: the job that it follows decides on which dates it starts"))
            .hint(format!("remove it, or write `{name}` in the first job of the chain"))
    };
    own.map(refuse).collect()
}

/// Empties a slot; returns where its key was, if it was written.
fn take_dates<T>(slot: &mut Slot<T>) -> Option<Span> {
    let written = slot.written.then_some(slot.key);
    *slot = Slot::default();
    written
}

/// A wall-clock instant as an operator writes it.
pub(super) fn show_wall(instant: DateTime) -> String {
    let form = if instant.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    instant.strftime(form).to_string()
}

/// Whether the source is live: as written, else by the scheme. `None` while neither is known.
pub(super) fn is_live(raw: &RawJob) -> Option<bool> {
    if raw.live.written {
        return raw.live.value;
    }
    raw.stream.value.as_ref().map(|stream| stream.written().is_rtmp())
}

/// A default of `seek` or `length` is for the media of a file; it does not apply to a live source among them.
fn live_is_not_sought(raw: &mut RawJob, inherited: impl Fn(Span) -> bool) -> Vec<Problem> {
    if is_live(raw) != Some(true) {
        return Vec::new();
    }
    let refuse = |slot: &mut Slot<Duration>, name: &str, why: &str| {
        if !slot.written {
            return None;
        }
        if inherited(slot.key) {
            *slot = Slot::default();
            return None;
        }
        slot.value = None;
        Some(
            Problem::at(slot.key, "live", format!("`{name}` on a live source: {why}"))
                .hint("remove it, or write `live: false` if this is a file"),
        )
    };
    let seek = refuse(&mut raw.seek, "seek", "nothing can be sought there");
    let length = refuse(&mut raw.length, "length", "such a source has no length");
    seek.into_iter().chain(length).collect()
}

fn seek_within_length(raw: &mut RawJob) -> Option<Problem> {
    let (seek, length) = (raw.seek.value?, raw.length.value?);
    if seek < length {
        return None;
    }
    (raw.seek.value, raw.length.value) = (None, None);
    let message = format!(
        "`seek`: `{}` is not before the end of the media, whose `length` is `{}`",
        format_duration(seek),
        format_duration(length)
    );
    Some(Problem::at(raw.seek.span, "out-of-range", message).related(raw.length.span, "the length"))
}

fn retry_delays(raw: &mut RawJob) -> Option<Problem> {
    let retry = &mut raw.retry;
    if retry.first.refused() || retry.cap.refused() || !(retry.first.written || retry.cap.written) {
        return None;
    }
    let default = RetryPolicy::default();
    let (first, cap) = (retry.first.value.unwrap_or(default.first), retry.cap.value.unwrap_or(default.cap));
    if first <= cap {
        return None;
    }
    let key = if retry.first.written { retry.first.span } else { retry.cap.span };
    (retry.first.value, retry.cap.value) = (None, None);
    (retry.first.written, retry.cap.written) = (true, true);
    let message =
        format!("`retry`: `first` is `{}`, longer than `cap`, which is `{}`", format_duration(first), format_duration(cap));
    Some(Problem::at(key, "out-of-range", message).hint("raise `cap`, or lower `first`"))
}

/// Defaults that could never apply, because every job that completes them drops them: no field may parse and do nothing.
pub(super) fn idle_defaults(raw: &RawJob) -> Vec<Problem> {
    if !triggers(raw).is_empty() {
        return Vec::new();
    }
    let idle = fields::written(raw, |group| matches!(group, Group::Modifier(_)));
    idle.into_iter()
        .map(|(name, Written { key, .. })| {
            let message = format!(
                "`{name}` in `defaults` without a trigger: a job that writes its own trigger drops it, so it never applies"
            );
            Problem::at(key, "misplaced", message).hint(format!("write `{name}` in each job, or a trigger here"))
        })
        .collect()
}
