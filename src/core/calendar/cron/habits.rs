//! What people write who know another cron: nicknames, the weekdays of Quartz, ranges that go past their end. Does not know what an expression
//! means.

use super::{DAY_OF_MONTH, DAY_OF_WEEK, MONTH, MONTHS, WEEKDAYS};
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

/// A range that goes past the last value of its field and on from the first, as the two ranges that it is meant to be.
pub(super) fn wrapped(index: usize, item: &str) -> Option<String> {
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
    let (low, high) = [("0", "59"), ("0", "59"), ("0", "23"), ("1", "31"), ("JAN", "DEC"), ("MON", "SUN")][index];
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
    Err(format!("the day-of-week field {} has a number beside `?`: {mondays}; write names: `MON-FRI`", quote(weekday)))
}
