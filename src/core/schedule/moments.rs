//! Wall-clock times, dates, ranges of both, and weekdays, from YAML nodes. Refuses to know zones and instants: everything here
//! is as written.

use jiff::civil::{Date, DateTime, Time, Weekday};

use serde_json::Value;

use super::job::EndRule;
use super::problem::{Problem, add, nearest, quote};
use super::value_kind::text_like;
use super::values::scalar;
use crate::calendar::Weekdays;
use crate::yaml::{Kind, Node};

/// The years that a schedule may name. Far enough for any show, and inside what the calendar can express everywhere.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2200;

/// A bound of the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// A date.
    Date(Date),
    /// A wall-clock instant.
    DateTime(DateTime),
}

/// A time, as a pattern.
const TIME_PATTERN: &str = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?";
/// A date of [`YEARS`], as a pattern. Which months have 31 days is left to the reader.
const DATE_PATTERN: &str = "(19[7-9][0-9]|2[01][0-9][0-9]|2200)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
/// How a time is written.
const TIME_SYNTAX: &str = "write `HH:MM` or `HH:MM:SS`, in 24 hours";
/// How a date and a time are written.
const DATE_TIME_SYNTAX: &str = "write `YYYY-MM-DD HH:MM` or `YYYY-MM-DD HH:MM:SS`";

/// What JSON Schema says of a time. Plain or quoted it is a text in YAML 1.2; YAML 1.1 took `18:00` for the number 1080.
pub(super) fn time_schema() -> Value {
    text_like(&format!("^{TIME_PATTERN}$"), TIME_SYNTAX, &["18:00", "18:00:30"])
}

/// The same of a date and a time.
pub(super) fn date_time_schema() -> Value {
    text_like(&format!("^{DATE_PATTERN} \\s*{TIME_PATTERN}$"), DATE_TIME_SYNTAX, &["2027-01-16 20:00"])
}

/// The same of a bound.
pub(super) fn bound_schema() -> Value {
    let form = format!("write `YYYY-MM-DD`, or {}", DATE_TIME_SYNTAX.trim_start_matches("write "));
    text_like(&format!("^{DATE_PATTERN}( \\s*{TIME_PATTERN})?$"), &form, &["2027-01-16", "2027-01-16 20:00"])
}

/// The same of a date or a range of dates, or, for `except`, of the other things that `or` matches.
pub(super) fn dates_schema(or: Option<(&str, &str)>) -> Value {
    let mut form = "write `YYYY-MM-DD` or a range `YYYY-MM-DD..YYYY-MM-DD`".to_owned();
    let mut pattern = format!("{DATE_PATTERN}(\\s*\\.\\.\\s*{DATE_PATTERN})?");
    if let Some((other, name)) = or {
        form = format!("{form}, or {name}");
        pattern = format!("({pattern}|{other})");
    }
    text_like(&format!("^{pattern}$"), &form, &["2027-01-01", "2027-02-05..2027-02-11"])
}

/// The same of a range of times.
pub(super) fn between_schema() -> Value {
    let pattern = format!("^{TIME_PATTERN}\\s*\\.\\.\\s*{TIME_PATTERN}$");
    text_like(&pattern, "put two dots between two times: `09:00..21:00`", &["09:00..21:00"])
}

/// The same of one day or a range of days.
pub(super) fn days_schema() -> Value {
    let days = DAYS.map(|(name, _)| name);
    let day = days.join("|");
    let pattern = format!("^(daily|({day})(\\s*\\.\\.\\s*({day}))?)$");
    text_like(&pattern, DAYS_SYNTAX, &[&["mon..fri", "daily"][..], &days[..]].concat())
}

/// `HH:MM` or `HH:MM:SS`.
pub(super) fn time(node: &Node<'_>) -> Result<Time, Problem> {
    let (text, _) = scalar(node, "a time such as `18:00`")?;
    parse_time(text)
        .map_err(|hint| Problem::of(node, "bad-time", format!("expected a time such as `18:00`, found {}", quote(text))).hint(hint))
}

/// `HH:MM[:SS]` or `never`.
pub(super) fn end(node: &Node<'_>) -> Result<EndRule, Problem> {
    if node.text() == Some("never") {
        return Ok(EndRule::Never);
    }
    time(node).map(EndRule::To).map_err(|problem| match node.text() {
        Some(text) if problem.code == "bad-time" && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            let digits = text.bytes().any(|byte| byte.is_ascii_digit());
            problem.hint(if digits {
                "a duration goes under `for`; `to` takes a time or `never`"
            } else {
                "`to` takes a time or `never`"
            })
        }
        Some(text) => match next_day(text) {
            Some(written) => problem.hint(format!("write `{written}`: an end that is not after its start is on the next day")),
            None => problem,
        },
        None => problem,
    })
}

/// `25:30`, a time of the day after as broadcasters count, as a clock shows it.
fn next_day(text: &str) -> Option<String> {
    let (hour, rest) = text.split_once(':')?;
    let hour = hour.parse::<u8>().ok().filter(|hour| (24..48).contains(hour))?;
    let time = format!("{:02}:{rest}", hour - 24);
    parse_time(&time).ok().map(|_| time)
}

/// `YYYY-MM-DD HH:MM` or `YYYY-MM-DD HH:MM:SS`.
pub(super) fn date_time(node: &Node<'_>) -> Result<DateTime, Problem> {
    let (text, _) = scalar(node, "a date and a time such as `2026-10-01 20:00`")?;
    parse_date_time(text).map_err(|hint| {
        Problem::of(node, "bad-date", format!("expected a date and a time such as `2026-10-01 20:00`, found {}", quote(text)))
            .hint(hint)
    })
}

/// A date, or a date and a time.
pub(super) fn bound(node: &Node<'_>) -> Result<Bound, Problem> {
    const EXPECTED: &str = "a date such as `2026-10-01`, or a date and a time";
    let (text, _) = scalar(node, EXPECTED)?;
    let parsed =
        if text.contains([' ', 'T']) { parse_date_time(text).map(Bound::DateTime) } else { parse_date(text).map(Bound::Date) };
    parsed.map_err(|hint| Problem::of(node, "bad-date", format!("expected {EXPECTED}, found {}", quote(text))).hint(hint))
}

/// A date, or an inclusive range of dates `a..b`.
pub(super) fn dates(node: &Node<'_>) -> Result<(Date, Date), Problem> {
    const EXPECTED: &str = "a date such as `2026-10-01` or a range such as `2026-10-01..2026-10-07`";
    let (text, _) = scalar(node, EXPECTED)?;
    let wrong = |hint: String| Problem::of(node, "bad-date", format!("expected {EXPECTED}, found {}", quote(text))).hint(hint);
    let Some((first, last)) = text.split_once("..") else {
        let date = parse_date(text).map_err(wrong)?;
        return Ok((date, date));
    };
    let (first, last) = (parse_date(first.trim()).map_err(wrong)?, parse_date(last.trim()).map_err(wrong)?);
    if last < first {
        return Err(Problem::of(node, "bad-date", format!("the range {} ends before it begins", quote(text)))
            .hint(format!("write `{last}..{first}`")));
    }
    Ok((first, last))
}

/// A range of times `09:00..21:00`.
pub(super) fn between(node: &Node<'_>) -> Result<(Time, Time), Problem> {
    const EXPECTED: &str = "a range of times such as `09:00..21:00`";
    let (text, _) = scalar(node, EXPECTED)?;
    let wrong = |hint: String| Problem::of(node, "bad-time", format!("expected {EXPECTED}, found {}", quote(text))).hint(hint);
    let (first, last) = text.split_once("..").ok_or_else(|| wrong("put two dots between the two times".to_owned()))?;
    Ok((parse_time(first.trim()).map_err(wrong)?, parse_time(last.trim()).map_err(wrong)?))
}

/// `mon..fri`, `fri..mon`, `[sat, sun]`, `daily`, `mon`.
pub(super) fn days(node: &Node<'_>) -> Result<Weekdays, Vec<Problem>> {
    let Kind::List(nodes) = &node.kind else { return days_of_one(node, Weekdays::NONE).map_err(Vec::from) };
    let days = each(node, nodes, |node| days_of_one(node, Weekdays::NONE))?;
    let all = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    let named = all.into_iter().filter(|day| days.iter().any(|days| days.contains(*day)));
    Ok(named.fold(Weekdays::NONE, Weekdays::with))
}

/// One value or a list of values: sorted, and a repeated one is a problem, because it is a slip and would start nothing more.
pub(super) fn one_or_many<T: Ord + Copy>(
    node: &Node<'_>,
    parse: fn(&Node<'_>) -> Result<T, Problem>,
) -> Result<Vec<T>, Vec<Problem>> {
    let Kind::List(nodes) = &node.kind else { return Ok(vec![parse(node)?]) };
    let mut values = each(node, nodes, parse)?;
    let mut seen = std::collections::BTreeMap::new();
    let mut problems = Vec::new();
    for (value, node) in values.iter().zip(nodes) {
        if let Some(first) = seen.insert(*value, node.span) {
            let again = format!("{} is written twice", quote(node.text().unwrap_or_default()));
            problems.push(Problem::of(node, "duplicate-value", again).related(first, "first written here"));
        }
    }
    values.sort_unstable();
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// Every element of a list read by `parse`: all values, or all problems. An empty list says nothing and is one.
pub(super) fn each<T>(
    list: &Node<'_>,
    nodes: &[Node<'_>],
    mut parse: impl FnMut(&Node<'_>) -> Result<T, Problem>,
) -> Result<Vec<T>, Vec<Problem>> {
    if nodes.is_empty() {
        return Err(vec![Problem::of(list, "no-value", "the list is empty").hint("name at least one, or remove the key")]);
    }
    let mut values = Vec::with_capacity(nodes.len());
    let mut problems = Vec::new();
    for node in nodes {
        match parse(node) {
            Ok(value) => values.push(value),
            Err(problem) => add(&mut problems, problem),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// The days of the week by their names here.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// How days are written.
const DAYS_SYNTAX: &str = "write `mon..fri`, `[sat, sun]`, `daily`, or one day";

fn days_of_one(node: &Node<'_>, days: Weekdays) -> Result<Weekdays, Problem> {
    let (text, _) = scalar(node, "a day or a range such as `mon..fri`")?;
    if text == "daily" {
        return Ok(Weekdays::DAILY);
    }
    let wrong = |hint: String| {
        Problem::of(node, "bad-day", format!("expected a day or a range such as `mon..fri`, found {}", quote(text))).hint(hint)
    };
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (day(first.trim()).map_err(wrong)?, day(last.trim()).map_err(wrong)?);
    let mut days = days.with(first);
    let mut next = first;
    while next != last {
        next = next.next();
        days = days.with(next);
    }
    Ok(days)
}

fn day(text: &str) -> Result<Weekday, String> {
    if let Some((_, day)) = DAYS.iter().find(|(name, _)| *name == text) {
        return Ok(*day);
    }
    let lower = text.to_lowercase();
    let by_prefix = |(name, _): &&(&str, Weekday)| {
        lower.strip_prefix(name).is_some_and(|rest| matches!(rest, "" | "day" | "sday" | "nesday" | "s" | "rsday" | "urday"))
    };
    Err(match lower.as_str() {
        "weekday" | "weekdays" | "workdays" => "write `mon..fri`".to_owned(),
        "weekend" | "weekends" => "write `[sat, sun]`".to_owned(),
        "everyday" | "every day" | "all" | "*" => "write `daily`".to_owned(),
        _ => match DAYS.iter().find(by_prefix) {
            Some((name, _)) => format!("the name is `{name}`"),
            None if text.contains(',') => "write a list: `[sat, sun]`".to_owned(),
            None if text.contains('-') => "put two dots between two days: `mon..fri`".to_owned(),
            None => match nearest(text, DAYS.iter().map(|(name, _)| *name).chain(["daily"])) {
                Some(name) => format!("did you mean `{name}`?"),
                None => DAYS_SYNTAX.to_owned(),
            },
        },
    })
}

/// A fixed number of digits as a number.
fn digits(text: &str, count: usize) -> Option<i16> {
    (text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// A time of day, or a hint at what is wrong with it.
fn parse_time(text: &str) -> Result<Time, String> {
    if text.contains(',') {
        return Err("write a list: `[18:00, 20:00]`".to_owned());
    }
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return Err(TIME_SYNTAX.to_owned());
    }
    let two = |text: &str| digits(text, 2).and_then(|value| i8::try_from(value).ok());
    let read: Option<Vec<i8>> = parts.iter().map(|part| two(part)).collect();
    let Some(read) = read else {
        let padded: Vec<String> = parts.iter().map(|part| format!("{part:0>2}")).collect();
        let fits = padded.iter().all(|part| two(part).is_some());
        return Err(if fits { format!("write `{}`, with two digits each", padded.join(":")) } else { TIME_SYNTAX.to_owned() });
    };
    let second = read.get(2).copied().unwrap_or(0);
    match Time::new(read[0], read[1], second, 0) {
        Ok(time) => Ok(time),
        Err(_) if read[0] == 24 && read[1] == 0 && second == 0 => Err("midnight is `00:00`".to_owned()),
        Err(_) if second == 60 => Err("there are no leap seconds here: seconds go from 00 to 59".to_owned()),
        Err(_) => Err("hours go from 00 to 23, minutes and seconds from 00 to 59".to_owned()),
    }
}

/// A date, or a hint at what is wrong with it.
fn parse_date(text: &str) -> Result<Date, String> {
    const SYNTAX: &str = "write `YYYY-MM-DD`";
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else {
        return Err(if text.contains(['/', '.']) && text.starts_with(|first: char| first.is_ascii_digit()) {
            format!("{SYNTAX}, with hyphens")
        } else {
            SYNTAX.to_owned()
        });
    };
    let (Some(year), Some(month), Some(day)) = (digits(year, 4), digits(month, 2), digits(day, 2)) else {
        let padded = (digits(year, 4), digits(&format!("{month:0>2}"), 2), digits(&format!("{day:0>2}"), 2));
        return Err(match padded {
            (Some(year), Some(month), Some(day)) => {
                format!("write `{year:04}-{month:02}-{day:02}`, with two digits for month and day")
            }
            _ => SYNTAX.to_owned(),
        });
    };
    if !YEARS.contains(&year) {
        return Err(format!("years go from {} to {}", YEARS.start(), YEARS.end()));
    }
    if !(1..=12).contains(&month) {
        return Err("months go from 01 to 12".to_owned());
    }
    let small = |value: i16| i8::try_from(value).unwrap_or(0);
    let first = Date::new(year, small(month), 1).map_err(|_| SYNTAX.to_owned())?;
    let last = first.days_in_month();
    Date::new(year, small(month), small(day)).map_err(|_| format!("{year:04}-{month:02} has the days 01 to {last:02}"))
}

/// A date and a time, or a hint at what is wrong with it.
fn parse_date_time(text: &str) -> Result<DateTime, String> {
    if let Some((date, time)) = text.split_once('T') {
        let zoned = time.contains(['Z', '+', '-']);
        let rest = if zoned { "; it is local to `timezone`, so without `Z` or an offset" } else { "" };
        return Err(if parse_date(date).is_ok() {
            format!("put a space between date and time, not `T`{rest}")
        } else {
            DATE_TIME_SYNTAX.to_owned()
        });
    }
    let Some((date, time)) = text.split_once(' ') else {
        return Err(if parse_date(text).is_ok() { format!("add the time: `{text} 20:00`") } else { DATE_TIME_SYNTAX.to_owned() });
    };
    let (date, time) = (parse_date(date)?, parse_time(time.trim_start())?);
    Ok(date.to_datetime(time))
}
