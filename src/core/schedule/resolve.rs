//! From what a job wrote to a [`Job`]: what is required, what the settings give, what would never end. Refuses to know files
//! and other jobs.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::Settings;
use super::combine::{is_live, triggers};
use super::job::{App, EndRule, Job, JobId, RobotTemplate};
use super::moments::Bound;
use super::policy::{Policy, RetryPolicy};
use super::problem::{Problem, did_you_mean, quote};
use super::raw::{RawJob, RawRetry};
use super::schema::PASSED_OVER;
use super::{fields, robots};
use crate::calendar::{Dates, Days, Trigger, Weekdays, Weeks, When};
use crate::diagnostic::{Place, Span};
use crate::trtc::{Repeat, Room};

/// What surrounds a job.
pub(super) struct JobContext<'a> {
    /// Its name.
    pub(super) id: &'a JobId,
    /// Where its name stands.
    pub(super) place: Place,
    /// The zone: the job's, else the file's.
    pub(super) zone: TimeZone,
    /// The daemon's settings.
    pub(super) settings: &'a Settings,
    /// No exceptions, kept once.
    pub(super) no_dates: &'a Arc<Dates>,
    /// `{job}`, the robot of a job that names none.
    pub(super) plain_robot: &'a RobotTemplate,
    /// The `retry` of the job before, to be shared when it is the same.
    pub(super) retry: &'a Arc<RetryPolicy>,
}

/// Makes the job, or says everything that is still wrong with it; an empty list when all of that has been told before.
pub(super) fn resolve(raw: &RawJob, context: &JobContext<'_>) -> Result<Job, Vec<Problem>> {
    let mut problems = Vec::new();
    let key = context.place.span;
    let trigger = trigger(raw, context, &mut problems);
    let room = required(&raw.room, "room", "a number or a name", key, &mut problems);
    let stream = required(&raw.stream, "stream", "the URL of the media", key, &mut problems);
    unknown_secrets(raw, context, &mut problems);
    let app = app(raw, context, &mut problems);
    let robot = room.as_ref().and_then(|room| robot(raw, context, room, &mut problems));
    let repeat = raw.repeat.value.unwrap_or(Repeat::Times(1));
    let end = end(raw, repeat, key, &mut problems);
    let policy = policy(raw, context.retry);
    if fields::any_refused(raw) {
        return Err(problems);
    }
    let live = is_live(raw);
    match (trigger, room, stream, app, robot, end, policy, live) {
        (Some(trigger), Some(room), Some(stream), Some(app), Some(robot), Some(end), Some(policy), Some(live))
            if problems.is_empty() =>
        {
            Ok(Job {
                id: context.id.clone(),
                place: context.place.clone(),
                when: when(raw, trigger, context),
                after: raw.trigger.after.value.clone(),
                end,
                app,
                room,
                robot,
                stream,
                fallback: raw.fallback.value.clone(),
                live,
                length: raw.length.value,
                seek: raw.seek.value.unwrap_or(Duration::ZERO),
                repeat,
                options: raw.options.values,
                region: raw.region.value.clone().or_else(|| context.settings.region.clone()),
                policy,
                preflight: raw.preflight.value.unwrap_or(true),
                enabled: raw.enabled.value.unwrap_or(true),
                note: raw.note.value.clone(),
            })
        }
        _ => Err(problems),
    }
}

fn required<T: Clone>(slot: &super::raw::Slot<T>, name: &str, what: &str, key: Span, problems: &mut Vec<Problem>) -> Option<T> {
    if !slot.written {
        let problem = Problem::at(key, "missing", format!("this job has no `{name}`"));
        problems.push(problem.hint(format!("add `{name}: ...`, {what}, here or under `defaults`")));
    }
    slot.value.clone()
}

fn trigger(raw: &RawJob, context: &JobContext<'_>, problems: &mut Vec<Problem>) -> Option<Trigger> {
    let (written, key) = (&raw.trigger, context.place.span);
    if triggers(raw).is_empty() {
        let parts = [(written.days.written, "`days`"), (written.weeks.written, "`weeks`"), (written.between.written, "`between`")];
        let part = parts.into_iter().find_map(|(is_written, name)| is_written.then_some(name));
        let hint = if let Some(part) = part {
            format!(
                "{part} belongs to a trigger: a job that writes it drops the trigger of the file's `defaults`, so write `at` or `every` beside it"
            )
        } else if context.id.as_str().starts_with(PASSED_OVER) {
            "add one of `at`, `once`, `cron`, `every` and `after`; a mapping that only holds a YAML anchor goes to the top of the file, outside `jobs`"
                .to_owned()
        } else {
            "add one of `at`, `once`, `cron`, `every` and `after`".to_owned()
        };
        problems.push(Problem::at(key, "missing", "this job has no trigger: nothing says when it starts").hint(hint));
        return None;
    }
    let days = days(raw, key, problems)?;
    if let Some(times) = &written.at.value {
        return Some(Trigger::At { times: times.clone(), days });
    }
    if let Some(instants) = &written.once.value {
        return Some(Trigger::Once(instants.clone()));
    }
    if let Some(pattern) = &written.cron.value {
        return Some(Trigger::Cron(Arc::clone(pattern)));
    }
    if written.after.value.is_some() {
        // Until it is linked to the job that it follows.
        return Some(Trigger::Once(Vec::new()));
    }
    written.every.value.map(|step| Trigger::Every { step, between: written.between.value, days })
}

/// The days of `at` and of `every`.
fn days(raw: &RawJob, key: Span, problems: &mut Vec<Problem>) -> Option<Days> {
    let weekdays = raw.trigger.days.value.unwrap_or(Weekdays::DAILY);
    let step = raw.trigger.weeks.value.unwrap_or(1);
    if step == 1 {
        return Some(Days { weekdays, weeks: None });
    }
    let mut missing = |is_missing: bool, name: &str, hint: &str| {
        if is_missing {
            let message = format!("expected `{name}` beside `weeks: {step}`, found none");
            problems.push(Problem::at(key, "missing", message).hint(hint.to_owned()));
        }
        is_missing
    };
    let no_days = missing(
        !raw.trigger.days.written,
        "days",
        "add the days of the week: `days: sat`; or `days: daily` for all seven days of each such week",
    );
    let no_from =
        missing(!raw.from.written, "from", "add a date of the first week: `from: 2026-11-28`; the weeks are counted from it");
    if no_days || no_from {
        return None;
    }
    let date = raw.from.value.map(|from| match from {
        Bound::Date(date) => date,
        Bound::DateTime(wall) => wall.date(),
    });
    Some(Days { weekdays, weeks: Weeks::new(step, date?) })
}

fn when(raw: &RawJob, trigger: Trigger, context: &JobContext<'_>) -> When {
    let zone = &context.zone;
    let instant = |wall: DateTime| zone.to_ambiguous_timestamp(wall).compatible().ok();
    let from = raw.from.value.and_then(|from| match from {
        Bound::Date(date) => instant(date.to_datetime(Time::midnight())),
        Bound::DateTime(wall) => instant(wall),
    });
    let until = raw.until.value.and_then(|until| match until {
        Bound::Date(date) => instant(date.tomorrow().ok()?.to_datetime(Time::midnight())),
        Bound::DateTime(wall) => instant(wall),
    });
    let except = raw.except.value.as_ref().unwrap_or(context.no_dates);
    When { trigger, zone: zone.clone(), from, until, except: Arc::clone(except) }
}

#[expect(clippy::option_option, reason = "an application that could not be told, and one that nothing names, are two answers")]
fn app(raw: &RawJob, context: &JobContext<'_>, problems: &mut Vec<Problem>) -> Option<Option<App>> {
    if raw.app.refused() {
        return None;
    }
    let Some(apps) = &context.settings.apps else {
        return Some(raw.app.value.as_ref().map(|name| App { name: Arc::clone(name), sdk_app_id: None }));
    };
    let names = || apps.keys().map(AsRef::as_ref);
    let known = |(name, id): (&Arc<str>, &u64)| Some(Some(App { name: Arc::clone(name), sdk_app_id: Some(*id) }));
    match &raw.app.value {
        Some(name) => apps.get_key_value(name).map_or_else(
            || {
                let hint = did_you_mean(name, names()).unwrap_or_else(|| format!("the settings have {}", listed(names())));
                let message = format!("`app`: the settings have no application {}", quote(name));
                problems.push(Problem::at(raw.app.span, "unknown-app", message).hint(hint));
                None
            },
            known,
        ),
        None if apps.len() == 1 => apps.first_key_value().and_then(known),
        None => {
            let problem = Problem::at(
                context.place.span,
                "missing",
                "this job has no `app`, and the settings do not have exactly one application",
            );
            problems.push(problem.hint(format!("add `app: ...`; the settings have {}", listed(names()))));
            None
        }
    }
}

/// The secrets to which the stream and its fallback refer and that the settings do not have.
fn unknown_secrets(raw: &RawJob, context: &JobContext<'_>, problems: &mut Vec<Problem>) {
    let Some(known) = context.settings.secrets.as_ref() else { return };
    for (field, slot) in [("stream", &raw.stream), ("fallback", &raw.fallback)] {
        let names = slot.value.iter().flat_map(|url| url.written().secret_names());
        for name in names.filter(|name| !known.contains(*name)) {
            let names = || known.iter().map(AsRef::as_ref);
            let hint = did_you_mean(name, names()).unwrap_or_else(|| {
                format!("add it there: `secrets: {{{name}: {{file: PATH}}}}`; the settings have {}", listed(names()))
            });
            let message = format!("the settings have no secret {}", quote(name));
            problems.push(Problem::at(slot.span, "unknown-secret", message).in_field(field).hint(hint));
        }
    }
}

/// The names of a few things for a hint.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const LISTED_MAX: usize = 8;
    let mut names: Vec<String> = names.take(LISTED_MAX + 1).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    if names.len() > LISTED_MAX {
        names.truncate(LISTED_MAX);
        names.push("more".to_owned());
    }
    names.join(", ")
}

fn robot(raw: &RawJob, context: &JobContext<'_>, room: &Room, problems: &mut Vec<Problem>) -> Option<RobotTemplate> {
    if raw.robot.refused() {
        return None;
    }
    let template = raw.robot.value.as_ref().map_or_else(|| context.plain_robot.clone(), RobotTemplate::shared);
    let span = if raw.robot.written { raw.robot.span } else { context.place.span };
    match robots::check(&template, context.id, room, span, raw.room.span) {
        Ok(()) => Some(template),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn end(raw: &RawJob, repeat: Repeat, key: Span, problems: &mut Vec<Problem>) -> Option<EndRule> {
    let end = &raw.end;
    if end.duration.refused() || end.to.refused() {
        return None;
    }
    let rule = end.duration.value.map(EndRule::For).or(end.to.value).unwrap_or(EndRule::Media);
    if repeat != Repeat::Forever || rule != EndRule::Media {
        return Some(rule);
    }
    let problem = Problem::at(
        raw.repeat.span,
        "endless",
        "`repeat`: `forever` with neither `for` nor `to`: it would play, and cost money, without an end",
    )
    .hint("give it an end: `for: 2h`, or `to: 20:00`; `to: never` says that it is meant");
    let problem = if problem.span == Span::default() { Problem { span: key, ..problem } } else { problem };
    problems.push(problem);
    None
}

/// The rules as written, and the default of each that is not.
fn policy(raw: &RawJob, last: &Arc<RetryPolicy>) -> Option<Policy> {
    let default = Policy::default();
    Some(Policy {
        late: raw.late.value.unwrap_or(default.late),
        start_within: raw.start_within.value,
        conflict: raw.conflict.value.unwrap_or(default.conflict),
        retry: retry(&raw.retry, last)?,
        heal: raw.heal.value.unwrap_or(default.heal),
        on_remove: raw.on_remove.value.unwrap_or(default.on_remove),
        priority: raw.priority.value.unwrap_or(default.priority),
    })
}

fn retry(raw: &RawRetry, last: &Arc<RetryPolicy>) -> Option<Arc<RetryPolicy>> {
    if raw.refused || raw.first.refused() || raw.cap.refused() || raw.attempts.refused() || raw.also.refused() {
        return None;
    }
    let default = RetryPolicy::default();
    let retry = RetryPolicy {
        first: raw.first.value.unwrap_or(default.first),
        cap: raw.cap.value.unwrap_or(default.cap),
        attempts: raw.attempts.value.unwrap_or(default.attempts),
        also: raw.also.value.as_ref().map_or(default.also, |codes| codes.to_vec()),
    };
    Some(if retry == **last { Arc::clone(last) } else { Arc::new(retry) })
}
