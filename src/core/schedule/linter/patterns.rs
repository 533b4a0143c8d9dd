//! What is odd about a pattern of starts: steps that do not divide the day or the hour, seconds that nobody meant, two fields of days.
//! Does not know the jobs that use it.

use std::time::Duration;

use crate::calendar::{CronPattern, Trigger};
use crate::diagnostic::{Span, quote};
use crate::schedule::problem::Problem;
use crate::schedule::values::format_duration;

const DAY_SECONDS: u64 = 86_400;

/// A field with a step: its name, how many values it has, and the word for their unit.
const STEPPED: [(&str, u32, &str); 3] = [("second", 60, "s"), ("minute", 60, "min"), ("hour", 24, "h")];

/// All of it. `span`: where the trigger stands.
pub(super) fn problems(trigger: &Trigger, span: Span) -> Vec<Problem> {
    match trigger {
        Trigger::Every { step, between: None, .. } => uneven_every(*step, span).into_iter().collect(),
        Trigger::Cron(pattern) => of_cron(pattern, span),
        Trigger::At { .. } | Trigger::Once(_) | Trigger::Every { .. } | Trigger::After(_) => Vec::new(),
    }
}

/// Steps are counted from midnight: one that does not divide the day ends with a shorter one.
fn uneven_every(step: Duration, span: Span) -> Option<Problem> {
    let seconds = step.as_secs().max(1);
    let rest = DAY_SECONDS % seconds;
    // Many short steps and one that is a little shorter is nothing to tell.
    if rest == 0 || DAY_SECONDS / seconds > 24 {
        return None;
    }
    let clock = |second: u64| {
        let minutes = format!("{:02}:{:02}", second / 3600, second / 60 % 60);
        if seconds.is_multiple_of(60) { minutes } else { format!("{minutes}:{:02}", second % 60) }
    };
    let all: Vec<String> = (0..=(DAY_SECONDS - 1) / seconds).map(|count| clock(count * seconds)).collect();
    let starts = if all.len() > 8 { format!("{}, ... {}", all[..3].join(", "), all[all.len() - 1]) } else { all.join(", ") };
    let message = format!(
        "`every`: `{}` does not divide the day: it comes to {starts}, and after the last one {} pass until midnight",
        format_duration(step),
        format_duration(Duration::from_secs(rest))
    );
    Some(
        Problem::at(span, "uneven-step", message)
            .hint("steps are counted from midnight; `at` with a list of times says exactly what is meant"),
    )
}

fn of_cron(pattern: &CronPattern, span: Span) -> Vec<Problem> {
    let fields: Vec<&str> = pattern.text().split_whitespace().collect();
    let (seconds, rest) = match fields[..] {
        [second, ref rest @ ..] if rest.len() == 5 => (Some(second), rest),
        ref five if five.len() == 5 => (None, five),
        _ => return Vec::new(),
    };
    let [minute, hour, day, _, weekday] = rest else { return Vec::new() };
    let timed = [(0, seconds.unwrap_or("0")), (1, *minute), (2, *hour)];
    let mut problems: Vec<Problem> =
        timed.into_iter().filter_map(|(field, text)| uneven_step(STEPPED[field], text, span)).collect();
    let is_every = |field: &str| matches!(field, "*" | "*/1");
    if seconds.is_some_and(is_every) {
        let minute = if is_every(minute) { "0" } else { minute };
        let five = format!("{minute} {}", rest[1..].join(" "));
        let message = format!(
            "`cron`: six fields begin with the seconds, so {} starts in every second of its minutes",
            quote(pattern.text())
        );
        problems.push(Problem::at(span, "every-second", message).hint(format!("write five fields, or the second: `0 {five}`")));
    } else if is_every(minute) && !hour.starts_with('*') {
        let message = format!("`cron`: the minute field is `*`, so {} starts in every minute of its hours", quote(pattern.text()));
        problems.push(Problem::at(span, "every-minute", message).hint("for once an hour write `0` in the minute field"));
    } else if is_every(minute) && hour.starts_with("*/") && !is_every(hour) {
        let message =
            format!("`cron`: the minute field is `*`, so {} starts in every minute of those hours", quote(pattern.text()));
        problems.push(Problem::at(span, "every-minute", message).hint("for once in each of them write `0` in the minute field"));
    }
    problems.extend(two_day_fields(day, weekday, span));
    problems
}

/// `*/45`: a step that does not divide the minutes or the hours begins anew with each hour or day.
fn uneven_step((name, size, unit): (&str, u32, &str), field: &str, span: Span) -> Option<Problem> {
    let (range, step) = field.split_once('/')?;
    let step: u32 = step.parse().ok()?;
    if range != "*" && range != format!("0-{}", size - 1) {
        return None;
    }
    if step == 0 || size % step == 0 {
        return None;
    }
    let values: Vec<u32> = (0..size).step_by(usize::try_from(step).ok()?).collect();
    // Many short steps and one that is a little shorter is nothing to tell.
    let last = values.last().copied().unwrap_or_default();
    if values.len() > 12 {
        return None;
    }
    let listed = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let comes_to = match values.len() {
        1 => format!("it is 0 only, once in {size} {unit}"),
        _ => format!("it comes to {listed}, with {step} {unit} between them and {} {unit} after the last", size - last),
    };
    let message = format!("`cron`: `{field}` in the {name} field does not divide {size}: {comes_to}");
    // Steps of whole hours are uneven for `every` too.
    let hint = match unit {
        "h" => format!("name the hours that are meant, as in `{}`", listed.replace(' ', "")),
        _ => format!("name the values, or write `every: {step}{}`, which steps through the whole day", &unit[..1]),
    };
    Some(Problem::at(span, "uneven-step", message).hint(hint))
}

/// Debian's rule for a day of the month beside a day of the week.
fn two_day_fields(day: &str, weekday: &str, span: Span) -> Option<Problem> {
    let is_open = |field: &str| matches!(field, "*" | "?" | "*/1");
    if is_open(day) || is_open(weekday) {
        return None;
    }
    let fields = format!("`{day}` (day of the month) and `{weekday}` (day of the week)");
    let message = if day.starts_with('*') || weekday.starts_with('*') {
        format!("`cron`: {fields} are both set, and one begins with a star: it starts only on days that fit both")
    } else {
        format!("`cron`: {fields} are both set: it starts on days that fit either, as in Debian's cron")
    };
    Some(Problem::at(span, "two-day-fields", message).hint("set one of them to `*`; `at` with `days` and `except` says more"))
}
