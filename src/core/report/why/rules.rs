//! The rules of a job in words: which one says yes or no to a start, and what a clock change did to it. Does not know
//! the ledger.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::time::zone_name;
use super::words::{clock, moment};
use super::{Reason, Says};
use crate::calendar::{CronField, DateRange, Dst, RuleRefusal, Trigger, clock_changes};
use crate::plan::Planned;
use crate::plan::why::{Question, StartRefusal, Why};
use crate::schedule::values::format_duration as length;
use crate::schedule::{EndRule, Job, JobId};

/// Times of a trigger, and ranges of `except`, that are quoted.
const QUOTED_MAX: usize = 6;

/// Why there is no start.
pub(super) fn refusals(why: &Why) -> Vec<Reason> {
    let is_date = matches!(why.asked, Question::Date(_) | Question::Now(_));
    let alone = why.refusals == [StartRefusal::Disabled];
    let reason = |no: &StartRefusal| match no {
        StartRefusal::Disabled => {
            let more = if alone { "; the other rules would let it start" } else { "" };
            Reason::new("enabled", Says::No, format!("`enabled: false`: the job is switched off, and plans nothing{more}"))
        }
        StartRefusal::Rule(refusal) => refused(&why.job, refusal, why.at, is_date),
    };
    why.refusals.iter().map(reason).collect()
}

fn refused(job: &Job, refusal: &RuleRefusal, at: Timestamp, is_date: bool) -> Reason {
    let zone = &job.when.zone;
    let trigger = trigger(job);
    let name = trigger_name(job);
    let (rule, text) = match refusal {
        RuleRefusal::From(from) => ("from", format!("`from`: no start before {}", moment(*from, zone))),
        RuleRefusal::Until(until) => ("until", format!("`until`: no start from {} on", moment(*until, zone))),
        RuleRefusal::Days(date) => ("days", format!("`days: {}`: {}{}", days(job), a_day(*date), window_note(job, *date, at))),
        RuleRefusal::Weeks(date, weeks) => {
            let text = format!("`weeks: {}`: the week of {date} is not one of them{}", weeks.step(), window_note(job, *date, at));
            ("weeks", format!("{text}; they are counted from the week of `from`, which begins on {}", weeks.monday()))
        }
        RuleRefusal::Except(date, range) => ("except", format!("{}{}", excepted(*date, range), window_note(job, *date, at))),
        RuleRefusal::CronDate(date, fields) => ("cron", format!("`{trigger}`: {}", cron_date(*date, fields))),
        RuleRefusal::CronTime(local, fields) => {
            let fields: Vec<_> = fields.iter().map(|field| field_name(*field)).collect();
            let (verb, fields) = if fields.len() == 1 { ("does", fields.concat()) } else { ("do", fields.join(" and ")) };
            ("cron", format!("`{trigger}`: the {fields} {verb} not fit {}", clock(*local)))
        }
        RuleRefusal::SecondPass { local, first } => {
            let again = format!("{} comes twice on {}{}", clock(*local), local.date(), change_near(zone, at, "back"));
            ("clock_change", format!("{again}: it starts at the first only, {}", moment(*first, zone)))
        }
        RuleRefusal::BetweenSteps(begin) => (
            "every",
            format!("`{trigger}`: steps are counted from {}, and none is at {}", moment(*begin, zone), at_clock(at, zone)),
        ),
        RuleRefusal::Outside => ("between", format!("`{trigger}`: {} is outside", at_clock(at, zone))),
        RuleRefusal::NotWritten if matches!(job.when.trigger, Trigger::After(_)) => {
            let before = before(job);
            let when = if is_date { "on that date".to_owned() } else { format!("at {}", at_clock(at, zone)) };
            (name, format!("`{trigger}`: no end of `{before}` is planned {when}; `ingestd why {before}` says more"))
        }
        RuleRefusal::NotWritten if is_date => (name, format!("`{trigger}`: no time of it falls on that date")),
        RuleRefusal::NotWritten => {
            let whole = if at.subsec_nanosecond() == 0 { "" } else { "; starts are at whole seconds" };
            (name, format!("`{trigger}`: not at {}{whole}", at_clock(at, zone)))
        }
    };
    Reason::new(rule, Says::No, text)
}

/// Why there is this start.
pub(super) fn start_reasons(occurrence: &Planned, asked: Question) -> Vec<Reason> {
    let job = &occurrence.job;
    let when = &job.when;
    let zone = &when.zone;
    let date = occurrence.start.written.date();
    let what = if matches!(asked, Question::Date(_)) { "a time on this date" } else { "this time" };
    let names = match when.trigger {
        Trigger::After(_) => format!("`{}`: `{}` is planned to end at {what}", trigger(job), before(job)),
        _ => format!("`{}` names {what}", trigger(job)),
    };
    let mut reasons = vec![Reason::new(trigger_name(job), Says::Yes, names)];
    if let Trigger::At { days, .. } | Trigger::Every { days, .. } = &when.trigger
        && *days != crate::calendar::Days::DAILY
    {
        let weekdays = days.weekdays;
        let fits = if weekdays.contains(date.weekday()) { weekday(date) } else { "the day on which its window began".to_owned() };
        reasons.push(Reason::new("days", Says::Yes, format!("`days: {weekdays}` has {fits}")));
        if let Some(weeks) = days.weeks {
            let text = format!("`weeks: {}` has this week, counted from the week of {}", weeks.step(), weeks.monday());
            reasons.push(Reason::new("weeks", Says::Yes, text));
        }
    }
    if let Some(from) = when.from {
        reasons.push(Reason::new("from", Says::Yes, format!("`from` comes before it: {}", moment(from, zone))));
    }
    if let Some(until) = when.until {
        reasons.push(Reason::new("until", Says::Yes, format!("`until` comes after it: no start from {} on", moment(until, zone))));
    }
    if !when.except.is_empty() {
        let names = exceptions(job);
        reasons.push(Reason::new("except", Says::Yes, format!("`except: {names}` does not name {date}")));
    }
    reasons.extend(moved(occurrence));
    reasons
}

/// What a clock change did to a start, or else to its end.
fn moved(occurrence: &Planned) -> Option<Reason> {
    let job = &occurrence.job;
    let zone = &job.when.zone;
    let (at, written) = (occurrence.start.at, occurrence.start.written);
    let local = zone.to_datetime(at);
    let text = match (occurrence.start.dst, &job.when.trigger) {
        (Some(Dst::Gap), Trigger::Cron(_)) => {
            let change = change_near(zone, at, "forward");
            let change = change.strip_prefix(", where ").unwrap_or("clocks change");
            format!("{change} on {}: what falls between starts at {}", local.date(), clock(local))
        }
        (Some(Dst::Gap), Trigger::Every { .. }) => {
            format!("`between` begins in the hour that is left out{}: its window is moved", change_near(zone, at, "forward"))
        }
        (Some(Dst::Gap), _) if written == local => {
            format!(
                "another time of this job does not exist on {}{}, and falls onto this one",
                written.date(),
                change_near(zone, at, "forward")
            )
        }
        (Some(Dst::Gap), _) => format!(
            "{} does not exist on {} in `{}`{}: shifted to {}",
            clock(written),
            written.date(),
            zone_name(zone),
            change_near(zone, at, "forward"),
            clock(local)
        ),
        (Some(Dst::Repeat), trigger) => {
            let elapses = match trigger {
                Trigger::Every { .. } | Trigger::After(_) => true,
                Trigger::Cron(pattern) => !pattern.is_fixed_time(),
                Trigger::At { .. } | Trigger::Once(_) => false,
            };
            let rule = if elapses { "what follows elapsed time starts at both" } else { "it starts at the first only" };
            format!("{} comes twice on {}{}: {rule}", clock(local), local.date(), change_near(zone, at, "back"))
        }
        (None, _) => {
            let (EndRule::To(to), Some(dst), Some(end)) = (job.end, occurrence.dst, occurrence.end.at()) else { return None };
            let to = clock(written.date().to_datetime(to));
            match dst {
                Dst::Gap => format!(
                    "`to`: {to} does not exist then{}: it ends at {}",
                    change_near(zone, end, "forward"),
                    at_clock(end, zone)
                ),
                Dst::Repeat => format!("`to`: {to} comes twice then{}: it ends at the first", change_near(zone, end, "back")),
            }
        }
    };
    Some(Reason::new("clock_change", Says::Note, text))
}

/// What the clock did near an instant: `, where clocks go forward from 02:00 to 03:00`.
pub(super) fn change_near(zone: &TimeZone, at: Timestamp, direction: &str) -> String {
    const NEAR: SignedDuration = SignedDuration::from_hours(26);
    let (Ok(from), Ok(to)) = (at.checked_sub(NEAR), at.checked_add(NEAR)) else { return String::new() };
    let goes = |forward: bool| if forward { "forward" } else { "back" };
    let changes = clock_changes(zone, from, to).into_iter().filter(|change| goes(change.after > change.before) == direction);
    let nearest = changes.min_by_key(|change| change.at.duration_since(at).abs());
    let words =
        |(before, after): (DateTime, DateTime)| format!(", where clocks go {direction} from {} to {}", clock(before), clock(after));
    nearest.map(|change| words((change.before.to_datetime(change.at), change.after.to_datetime(change.at)))).unwrap_or_default()
}

/// The name of the field that holds the trigger.
fn trigger_name(job: &Job) -> &'static str {
    match job.when.trigger {
        Trigger::At { .. } => "at",
        Trigger::Once(_) => "once",
        Trigger::Cron(_) => "cron",
        Trigger::Every { .. } => "every",
        Trigger::After(_) => "after",
    }
}

/// The name of the job that it follows.
fn before(job: &Job) -> &str {
    job.after.as_ref().map_or("", JobId::as_str)
}

/// The trigger as a schedule file writes it, without its days.
fn trigger(job: &Job) -> String {
    match &job.when.trigger {
        Trigger::At { times, .. } => {
            format!("at: {}", listed(times.iter().map(|time| clock(Date::constant(2000, 1, 1).to_datetime(*time)))))
        }
        Trigger::Once(times) => format!("once: {}", listed(times.iter().map(|time| format!("{} {}", time.date(), clock(*time))))),
        Trigger::Cron(pattern) => format!("cron: {}", pattern.text()),
        Trigger::Every { step, between: None, .. } => format!("every: {}", length(*step)),
        Trigger::Every { step, between: Some((from, to)), .. } => {
            let [from, to] = [from, to].map(|time| clock(Date::constant(2000, 1, 1).to_datetime(*time)));
            format!("every: {}, between: {from}..{to}", length(*step))
        }
        Trigger::After(_) => format!("after: {}", before(job)),
    }
}

/// One, or a list of the first few.
fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(QUOTED_MAX);
    let mut items: Vec<String> = items.take(QUOTED_MAX).collect();
    if more > 0 {
        items.push(format!("... {more} more"));
    }
    if items.len() == 1 { items.concat() } else { format!("[{}]", items.join(", ")) }
}

fn days(job: &Job) -> String {
    match &job.when.trigger {
        Trigger::At { days, .. } | Trigger::Every { days, .. } => days.weekdays.to_string(),
        Trigger::Once(_) | Trigger::Cron(_) | Trigger::After(_) => "daily".to_owned(),
    }
}

/// The ranges of `except`, calendars by their names.
fn exceptions(job: &Job) -> String {
    let mut names: Vec<String> = Vec::new();
    for range in job.when.except.ranges() {
        let name = range.calendar.as_deref().map_or_else(|| range.to_string(), str::to_owned);
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    listed(names.into_iter())
}

fn excepted(date: Date, range: &DateRange) -> String {
    let which = range.calendar.as_ref().map_or_else(|| "`except`".to_owned(), |calendar| format!("`except: {calendar}`"));
    let this = if range.first == range.last { String::new() } else { format!(", and with it {date}") };
    format!("{which} names {range}{this}")
}

/// Where the date is that of a window, and not that of the instant.
fn window_note(job: &Job, date: Date, at: Timestamp) -> &'static str {
    let is_window = matches!(job.when.trigger, Trigger::Every { between: Some(_), .. });
    if is_window && job.when.zone.to_datetime(at).date() != date { ", the day on which the window began" } else { "" }
}

fn a_day(date: Date) -> String {
    format!("{date} is a {}", weekday(date))
}

fn weekday(date: Date) -> String {
    date.strftime("%A").to_string()
}

fn cron_date(date: Date, fields: &[CronField]) -> String {
    let field = |field: &CronField| match field {
        CronField::Month => format!("the month does not fit: it is {}", date.strftime("%B")),
        CronField::DayOfMonth => format!("the day of the month does not fit: it is {}", date.day()),
        CronField::DayOfWeek => format!("the day of the week does not fit: {}", a_day(date)),
        CronField::BothDays => format!("day of the month and day of the week do not both fit: {}", a_day(date)),
        CronField::EitherDay => format!("neither day of the month nor day of the week fits: {}", a_day(date)),
        time => format!("the {} does not fit", field_name(*time)),
    };
    fields.iter().map(field).collect::<Vec<_>>().join("; ")
}

fn field_name(field: CronField) -> &'static str {
    match field {
        CronField::Second => "second",
        CronField::Minute => "minute",
        CronField::Hour => "hour",
        CronField::Month => "month",
        CronField::DayOfMonth => "day of the month",
        CronField::DayOfWeek => "day of the week",
        CronField::BothDays | CronField::EitherDay => "day",
    }
}

fn at_clock(at: Timestamp, zone: &TimeZone) -> String {
    let local = zone.to_datetime(at);
    if local.subsec_nanosecond() == 0 { clock(local) } else { local.strftime("%H:%M:%S%.f").to_string() }
}
