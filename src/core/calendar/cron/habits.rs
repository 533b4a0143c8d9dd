//! What people write who know another cron: nicknames, the weekdays of Quartz, ranges that go past their end. Does not know what an expression
//! means.

use super::{DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MONTH, MONTHS, WEEKDAYS};
use crate::diagnostic::quote;

/// Debian's nicknames. `@reboot` is not one of them: the instant of a boot cannot be planned.
const NICKNAMES: [(&str, &str); 7] = [
    ("@YEARLY", "0 0 1 1 *"),
    ("@ANNUALLY", "0 0 1 1 *"),
    ("@MONTHLY", "0 0 1 * *"),
    ("@WEEKLY", "0 0 * * 0"),
    ("@DAILY", "0 0 * * *"),
    ("@MIDNIGHT", "0 0 * * *"),
    ("@HOURLY", "0 * * * *"),
];

/// The expression a nickname stands for, in upper case as croner reads it.
pub(super) fn without_nickname(text: &str) -> Result<String, String> {
    let upper = text.to_uppercase();
    if !upper.starts_with('@') {
        return Ok(upper);
    }
    if let Some((_, expression)) = NICKNAMES.iter().find(|(name, _)| *name == upper) {
        return Ok((*expression).to_owned());
    }
    let names: Vec<_> = NICKNAMES.iter().map(|(name, _)| format!("`{}`", name.to_lowercase())).collect();
    Err(format!("{} is not a nickname we know: {}", quote(text), names.join(", ")))
}

/// Refuses what is an expression of another tool, or of a whole crontab, as a whole.
pub(super) fn check_other_tools(text: &str) -> Result<(), String> {
    if let Some((name, _)) = text.split_once('=').filter(|(name, _)| matches!(*name, "CRON_TZ" | "TZ")) {
        return Err(format!("a cron expression has no `{name}=`: write the zone as `timezone: ...` beside `cron`"));
    }
    let lower = text.to_ascii_lowercase();
    let fields: Vec<&str> = lower.split_whitespace().collect();
    let is_weekday = |field: &str| WEEKDAYS.iter().any(|name| field.starts_with(&name.to_ascii_lowercase()));
    let why = match fields[..] {
        _ if lower.starts_with("cron(") => {
            "`cron(...)` is a form of Amazon's scheduler: leave out `cron(`, the last field, which is the year, and `)`"
        }
        _ if lower.starts_with("rate(") => "`rate(...)` is a form of Amazon's scheduler: write `every: 5m` instead of `cron`",
        ["@every", ..] => "`@every` is not known here: write `every: 5m` instead of `cron`",
        [time] if time.contains(':') => "this is a time of the day, and not a cron expression: write `at` instead of `cron`",
        [_, _, _, _, _, ref rest @ ..] if rest.iter().any(|field| field.starts_with('/')) => {
            "the command of a crontab, and a user before it, do not stand here: write the first five fields only"
        }
        // Amazon's scheduler has the year last and the `?` of Quartz: the third field is its day, the fifth its weekday.
        [_, _, third, _, fifth, _] if third == "?" || fifth == "?" || is_weekday(fifth) => {
            "six fields begin with the seconds; if the last one is the year, as in Amazon's scheduler, leave it out"
        }
        [_, _, _, _, _, _, _] => {
            "a cron expression has 5 fields, or 6 with leading seconds; this one has 7; the seventh of Quartz, the year, is \
             not known here: leave it out, and write `from` and `until` for a year"
        }
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

/// What is wrong with an item of a list of this field that another tool would take, and how it is written here.
pub(super) fn habit_of_item(index: usize, item: &str) -> Option<String> {
    if let Some(parts) = wrapped(index, item) {
        return Some(format!("is a range past its end: write `{parts}`"));
    }
    if item.contains("..") {
        return Some("has two dots: a range of cron has a hyphen, as in `MON-FRI` or `9-17`".to_owned());
    }
    if item == "H" || item.starts_with("H/") || item.starts_with("H(") {
        return Some("has the `H` of Jenkins, which chooses a value: write the value".to_owned());
    }
    if index == HOUR && item == "24" {
        return Some("is past the last hour: midnight is `0`".to_owned());
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((first, step)) = item.split_once('/').filter(|(first, step)| is_number(first) && is_number(step)) {
        return Some(format!("has a step after one value, as in Quartz: write `{first}-{}/{step}`", LAST[index]));
    }
    let full: &[&str] = match index {
        MONTH => &MONTHS_IN_FULL,
        DAY_OF_WEEK => &WEEKDAYS_IN_FULL,
        _ => &[],
    };
    let long = item.split('-').find(|part| part.len() > 3 && full.contains(part))?;
    Some(format!("has a name in full: names have three letters here, as in `{}`", &long[..3]))
}

const MONTHS_IN_FULL: [&str; 12] =
    ["JANUARY", "FEBRUARY", "MARCH", "APRIL", "MAY", "JUNE", "JULY", "AUGUST", "SEPTEMBER", "OCTOBER", "NOVEMBER", "DECEMBER"];
const WEEKDAYS_IN_FULL: [&str; 7] = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];

/// The last value of each field.
const LAST: [u8; 6] = [59, 59, 23, 31, 12, 6];

/// The first and the last value of a field, as a range of it is written.
fn bounds(index: usize) -> (&'static str, &'static str) {
    [("0", "59"), ("0", "59"), ("0", "23"), ("1", "31"), ("JAN", "DEC"), ("MON", "SUN")][index]
}

/// A range that goes past the last value of its field and on from the first, as the two ranges that it is meant to be.
fn wrapped(index: usize, item: &str) -> Option<String> {
    let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
    let (first, last) = range.split_once('-')?;
    let value = |text: &str| {
        let named = |names: &[&str], from: usize| names.iter().position(|name| *name == text).map(|at| at + from);
        match index {
            MONTH => named(&MONTHS, 1),
            DAY_OF_WEEK => named(&WEEKDAYS, 0),
            _ => None,
        }
        .or_else(|| text.parse().ok())
    };
    let (low, high) = bounds(index);
    let (from, to) = (value(first)?, value(last)?);
    // Sunday ends a week of names as well as it begins one.
    let to = if index == DAY_OF_WEEK && to == 0 { 7 } else { to };
    let step = step.map_or_else(String::new, |step| format!("/{step}"));
    let part = |first: &str, last: &str| if first == last { first.to_owned() } else { format!("{first}-{last}{step}") };
    (from > to).then(|| format!("{},{}", part(first, high), part(low, last)))
}

/// Refuses the weekdays of Quartz: there 1 is Sunday, and a `?` stands in one of the two fields of days.
pub(super) fn check_quartz(fields: &[&str]) -> Result<(), String> {
    let weekday = fields[DAY_OF_WEEK];
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let has_number = weekday.split([',', '-']).any(|part| is_number(part.split(['/', '#', 'L']).next().unwrap_or_default()));
    if fields[DAY_OF_MONTH] != "?" || !has_number {
        return Ok(());
    }
    let mondays = "in Quartz, which has the `?`, 1 is Sunday; here and in Debian's cron it is Monday";
    let names = names_of_quartz(weekday).unwrap_or_else(|| "MON-FRI".to_owned());
    Err(format!("the day-of-week field {} has a number beside `?`: {mondays}; write names: `{names}`", quote(weekday)))
}

/// The weekdays of a field of Quartz by their names; `None`: there is no day of such a number.
fn names_of_quartz(field: &str) -> Option<String> {
    let name = |text: &str| {
        let day = text.find(['#', 'L', '/']).unwrap_or(text.len());
        match text[..day].parse::<usize>() {
            Ok(number) => Some(format!("{}{}", WEEKDAYS.get(number.checked_sub(1)?)?, &text[day..])),
            Err(_) => Some(text.to_owned()),
        }
    };
    let item = |item: &str| item.split('-').map(name).collect::<Option<Vec<_>>>().map(|parts| parts.join("-"));
    field.split(',').map(item).collect::<Option<Vec<_>>>().map(|items| items.join(","))
}
