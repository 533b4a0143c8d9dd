//! One value each, from a YAML node: words, numbers, booleans, durations. Strict where YAML's dialects differ, so that a file
//! means one thing to every reader. Refuses to know which field a value belongs to.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::problem::{Problem, did_you_mean, quote};
use super::value_kind::text_like;
use crate::yaml::{Kind, Node};

/// Longest duration anywhere. Ten years are no show, and keep every sum of instants inside what the calendar can express.
const DURATION_MAX: Duration = Duration::from_hours(3_660 * 24);

/// Plain words that some YAML dialect reads as a boolean.
const BOOLEAN_WORDS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "y", "n"];

/// A scalar's text and whether it is plain, where `expected` names what belongs there: `a duration`.
pub(super) fn scalar<'n>(node: &'n Node<'_>, expected: &str) -> Result<(&'n str, bool), Problem> {
    match &node.kind {
        _ if node.is_null() => {
            Err(Problem::of(node, "no-value", format!("expected {expected}, found no value")).hint("write one, or remove the key"))
        }
        Kind::Scalar { text, plain } => Ok((text, *plain)),
        Kind::List(_) | Kind::Map(_) => {
            Err(Problem::of(node, "wrong-type", format!("expected {expected}, found {}", node.describe())))
        }
    }
}

/// A word or a text. Plain words that look like booleans must be quoted: they mean different things to different readers.
pub fn text<'n>(node: &'n Node<'_>, expected: &str) -> Result<&'n str, Problem> {
    let (text, plain) = scalar(node, expected)?;
    if plain && BOOLEAN_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Err(Problem::of(
            node,
            "wrong-type",
            format!("expected {expected}, found {} without quotes, which many YAML readers take for a boolean", quote(text)),
        )
        .hint(format!("write `\"{text}\"`")));
    }
    Ok(text)
}

/// `true` or `false`, and nothing else that other dialects take for one.
pub fn boolean(node: &Node<'_>) -> Result<bool, Problem> {
    let (text, plain) = scalar(node, "`true` or `false`")?;
    match (text, plain) {
        ("true", true) => return Ok(true),
        ("false", true) => return Ok(false),
        _ => {}
    }
    let lower = text.to_ascii_lowercase();
    let meant = match lower.as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some("true"),
        "false" | "no" | "off" | "n" | "0" => Some("false"),
        _ => None,
    };
    let problem = if matches!(lower.as_str(), "yes" | "no" | "on" | "off" | "y" | "n") {
        format!("expected `true` or `false`, found {}, which is a boolean in YAML 1.1 only", quote(text))
    } else {
        format!("expected `true` or `false`, found {}", described(text, plain))
    };
    Err(Problem::of(node, "bad-boolean", problem).maybe_hint(meant.map(|word| format!("write `{word}`{}", without_quotes(plain)))))
}

/// A whole number within a range, in plain decimal digits.
pub fn integer<T: TryFrom<u64>>(node: &Node<'_>, range: RangeInclusive<u64>) -> Result<T, Problem> {
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    let (text, plain) = scalar(node, &expected)?;
    if plain && let Some(value) = decimal(text) {
        let value = value.filter(|value| range.contains(value)).and_then(|value| T::try_from(value).ok());
        return match value {
            Some(value) => Ok(value),
            None => Err(Problem::of(node, "out-of-range", format!("expected {expected}, found {}", quote(text)))),
        };
    }
    if plain && text.strip_prefix('-').is_some_and(|rest| decimal(rest).is_some()) {
        return Err(Problem::of(node, "out-of-range", format!("expected {expected}, found {}", quote(text))));
    }
    Err(not_decimal(node, text, plain, &expected))
}

/// What is wrong with a text where a decimal number is expected.
fn not_decimal(node: &Node<'_>, text: &str, plain: bool, expected: &str) -> Problem {
    let problem = Problem::of(node, "bad-number", format!("expected {expected}, found {}", described(text, plain)));
    if !plain && decimal(text).is_some() {
        return problem.hint(format!("write {}{}", quote(text), without_quotes(plain)));
    }
    problem.maybe_hint(number_habit(text).map(str::to_owned))
}

/// Why a text that reads like a number is not one here; nothing when it does not read like one.
pub(super) fn number_habit(text: &str) -> Option<&'static str> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let bytes = unsigned.as_bytes();
    let starts_as_number =
        bytes.first().is_some_and(u8::is_ascii_digit) || (bytes.len() > 1 && bytes[0] == b'.' && bytes[1].is_ascii_digit());
    if !starts_as_number {
        return None;
    }
    let lower = unsigned.to_ascii_lowercase();
    let all = |rest: &str, radix| {
        rest.contains(|digit: char| digit.is_digit(radix)) && rest.chars().all(|digit| digit.is_digit(radix) || digit == '_')
    };
    let prefixed = |prefix: &str, radix| lower.strip_prefix(prefix).is_some_and(|rest| all(rest, radix));
    if prefixed("0x", 16) || prefixed("0o", 8) || prefixed("0b", 2) {
        return Some("numbers are decimal: no `0x`, `0o` or `0b`");
    }
    if lower.bytes().all(|byte| byte.is_ascii_digit()) {
        return match () {
            () if text.starts_with(['-', '+']) => Some("numbers are plain digits: no sign"),
            () if lower.len() > 1 && lower.starts_with('0') => {
                Some("write it without the leading zero: some YAML readers take it for an octal number")
            }
            () => None,
        };
    }
    if all(&lower, 10) {
        return Some("write it without `_`");
    }
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let part_is_good = part.is_empty() || all(part, 10);
    let whole_is_good = whole.is_empty() || all(whole, 10);
    if !whole_is_good || !part_is_good || !all(exponent.trim_start_matches(['+', '-']), 10) {
        return None;
    }
    Some(if lower.contains('e') { "write it out in decimal digits, without an exponent" } else { "a fraction is not taken here" })
}

/// A number in plain digits without a leading zero: `Some(None)` when it is too large for us.
#[expect(clippy::option_option, reason = "not a number, a number beyond all ranges, and a number are three answers")]
fn decimal(text: &str) -> Option<Option<u64>> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())
}

/// One of a few words.
pub fn choice<T: Copy>(node: &Node<'_>, words: &[(&str, T)]) -> Result<T, Problem> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let expected = one_of(&names);
    let (text, _) = scalar(node, &expected)?;
    match words.iter().find(|(name, _)| *name == text) {
        Some((_, value)) => Ok(*value),
        None => Err(Problem::of(node, "bad-word", format!("expected {expected}, found {}", quote(text)))
            .maybe_hint(did_you_mean(text, names))),
    }
}

/// `a`, `a` or `b`, `a`, `b` or `c`: in backticks.
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A duration within a range: `200ms`, `90s`, `1m30s`, `2h`, `1d`.
pub fn duration(node: &Node<'_>, range: RangeInclusive<Duration>) -> Result<Duration, Problem> {
    let (text, _) = scalar(node, "a duration such as `90s`")?;
    let value = parse_duration(text).map_err(|hint| {
        Problem::of(node, "bad-duration", format!("expected a duration such as `90s`, found {}", quote(text))).hint(hint)
    })?;
    if range.contains(&value) {
        return Ok(value);
    }
    let bound = if *range.end() == DURATION_MAX {
        format!("a duration of at least {}", format_duration(*range.start()))
    } else {
        format!("a duration from {} to {}", format_duration(*range.start()), format_duration(*range.end()))
    };
    Err(Problem::of(node, "out-of-range", format!("expected {bound}, found {}", quote(text))))
}

/// A duration that is at least `least`.
pub(super) fn duration_from(node: &Node<'_>, least: Duration) -> Result<Duration, Problem> {
    duration(node, least..=DURATION_MAX)
}

/// A duration in whole seconds within a range.
pub fn whole_seconds(node: &Node<'_>, range: RangeInclusive<u64>) -> Result<Duration, Problem> {
    let value = duration(node, Duration::from_secs(*range.start())..=Duration::from_secs(*range.end()).min(DURATION_MAX))?;
    if value.subsec_nanos() == 0 {
        return Ok(value);
    }
    Err(Problem::of(node, "bad-duration", format!("expected whole seconds, found {}", format_duration(value)))
        .hint("write it without a part of a second"))
}

/// What JSON Schema says of a duration that is at least `least`. A pattern cannot add up units: it tells apart nothing, something
/// and a second, and leaves other bounds to the reader.
pub(super) fn duration_schema(least: Duration) -> Value {
    let enough = match least {
        Duration::ZERO => "",
        short if short < Duration::from_secs(1) => "(?=.*[1-9])",
        _ => "(?=.*[1-9][0-9]*([dhs]|m(?!s))|.*[1-9][0-9]{3,}ms)",
    };
    let pattern = format!("^(?=[0-9]){enough}([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$");
    let form = match least {
        Duration::ZERO => DURATION_SYNTAX.to_owned(),
        least => format!("{DURATION_SYNTAX}; at least {}", format_duration(least)),
    };
    text_like(&pattern, &form, &["90s", "1m30s", "2h"])
}

/// The same in whole seconds, at least `least` of them: milliseconds only by the thousand.
pub fn whole_seconds_schema(least: u64) -> Value {
    let enough = if least == 0 { "" } else { "(?=.*[1-9])" };
    let pattern = format!("^(?=[0-9]){enough}([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?(([0-9]*000|0+)ms)?$");
    text_like(&pattern, &format!("{DURATION_SYNTAX}; in whole seconds, at least {least}s"), &["10s", "1m30s", "1h"])
}

/// How to write what `every` does not take.
pub(super) fn hint_at_long_steps(text: &str) -> Option<&'static str> {
    let is_long = parse_duration(text).is_ok_and(|step| step > Duration::from_hours(24));
    is_long.then_some("for steps of days write `at` with `days`; `weeks: 2` beside them is every other week")
}

/// How a duration is written.
const DURATION_SYNTAX: &str = "write a number and a unit, largest unit first: `200ms`, `90s`, `1m30s`, `2h`, `1d`";

/// The units, each with its milliseconds, in the order in which they may be written.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration, or a hint at what is wrong with it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(format!("give it a unit: `{text}s` for seconds, `{text}m` for minutes"));
    }
    if text.is_empty() {
        return Err(DURATION_SYNTAX.to_owned());
    }
    let mut rest = text;
    let mut milliseconds: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        if rest[digits..].starts_with('.') {
            return Err("write it in whole numbers: `1h30m` for one and a half hours".to_owned());
        }
        if number.is_empty() || unit.is_empty() {
            return Err(DURATION_SYNTAX.to_owned());
        }
        let Some((_, size)) = units.find(|(name, _)| *name == unit) else {
            let known = UNITS.iter().any(|(name, _)| *name == unit);
            return Err(if known { DURATION_SYNTAX.to_owned() } else { "the units are `d`, `h`, `m`, `s` and `ms`".to_owned() });
        };
        let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*size));
        let sum = value.and_then(|value| milliseconds.checked_add(value));
        milliseconds = sum.ok_or_else(|| format!("at most {} is taken", format_duration(DURATION_MAX)))?;
        rest = &rest[digits + letters..];
    }
    let value = Duration::from_millis(milliseconds);
    if value > DURATION_MAX { Err(format!("at most {} is taken", format_duration(DURATION_MAX))) } else { Ok(value) }
}

/// A duration as an operator writes it: in whole milliseconds, largest unit first.
pub fn format_duration(value: Duration) -> String {
    let mut rest = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (name, size) in UNITS {
        if rest >= size {
            out.push_str(&(rest / size).to_string());
            out.push_str(name);
            rest %= size;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

fn described(text: &str, plain: bool) -> String {
    if plain { quote(text) } else { format!("the text {}", quote(text)) }
}

fn without_quotes(plain: bool) -> &'static str {
    if plain { "" } else { " without quotes" }
}
