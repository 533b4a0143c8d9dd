//! Cron expressions as bit sets. The grammar is croner's, without the forms that croner accepts although they are
//! mistakes. `search.rs` decides when an expression fires. Does not know zones and instants.

mod habits;
mod mismatches;

use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, Weekday};

use crate::diagnostic::{escape, quote};
use habits::{check_other_tools, check_quartz, habit_of_item, without_nickname};

pub use mismatches::CronField;

/// Most characters of croner's reason that a message repeats.
const REASON_MAX: usize = 200;

/// A cron expression that was understood: 5 fields, or 6 with leading seconds. Small, because a schedule may hold thousands.
///
/// ```
/// use ingestd_core::calendar::CronPattern;
/// assert!(CronPattern::parse("30 18 * * MON-FRI").is_ok());
/// assert!(CronPattern::parse("61 18 * * *").unwrap_err().contains("minute"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CronPattern {
    text: Box<str>,
    seconds: u64,
    minutes: u64,
    hours: u64,
    months: u16,
    days: Box<DayTable>,
    fixed_time: bool,
}

/// Which days of a month match, as bits 1 to 31, by the month's length (from 28) and by the weekday of its first day (from
/// Monday). Whether a day matches depends on nothing else, so 28 words are enough for every month.
type DayTable = [[u32; 7]; 4];

const SHORTEST_MONTH: i8 = 28;

const ALL_MONTHS: u16 = 0b1_1111_1111_1110;

/// The weekday of a day of a month, from Monday, by the weekday of its first day.
fn weekday_of(first: usize, day: usize) -> usize {
    (first + day - 1) % 7
}

/// The fields in the order of a six-field expression: their names in messages, and the values they take.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day-of-month", "1 to 31, `L`, `LW` or `15W`"),
    ("month", "1 to 12 or `JAN` to `DEC`"),
    ("day-of-week", "0 to 7 or `SUN` to `SAT`, `5L` or `5#2`"),
];
const MINUTE: usize = 1;
const HOUR: usize = 2;
const DAY_OF_MONTH: usize = 3;
const MONTH: usize = 4;
const DAY_OF_WEEK: usize = 5;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl CronPattern {
    /// Reads an expression. The error says which field is wrong and what that field takes; it is the tail of a message.
    pub fn parse(text: &str) -> Result<CronPattern, String> {
        let text = text.trim();
        check_other_tools(text)?;
        let expression = without_nickname(text)?;
        let mut fields: Vec<&str> = expression.split_whitespace().collect();
        match fields.len() {
            5 => fields.insert(0, "0"),
            6 => {}
            count => return Err(format!("a cron expression has 5 fields, or 6 with leading seconds; this one has {count}")),
        }
        for (index, field) in fields.iter().enumerate() {
            check_field(index, field)?;
        }
        check_quartz(&fields)?;
        let starred = |index: usize| fields[index].starts_with(['*', '?']);
        // Debian: a day field that begins with a star does not restrict, so the other decides alone (AND); else either
        // may (OR).
        let both_days = starred(DAY_OF_MONTH) || starred(DAY_OF_WEEK);
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).dom_and_dow(both_days).build();
        let cron = parser.parse(&fields.join(" ")).map_err(|error| error_of_field(parser, &fields, &error.to_string()))?;
        let pattern = &cron.pattern;
        let bits = |component: &croner::CronComponent| component.values().iter().fold(0, |set, value| set | 1_u64 << value);
        Ok(CronPattern {
            text: text.into(),
            seconds: bits(&pattern.seconds),
            minutes: bits(&pattern.minutes),
            hours: bits(&pattern.hours),
            months: pattern.months.values().iter().fold(0, |set, value| set | 1_u16 << value),
            days: Box::new(day_table(pattern)),
            fixed_time: !starred(MINUTE) && !starred(HOUR),
        })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether its minute field and its hour field both begin without a star. At a clock change such an expression runs
    /// once right after a gap and once in a repeat; every other follows elapsed time.
    pub fn is_fixed_time(&self) -> bool {
        self.fixed_time
    }

    /// Whether every week of every year has the same starts: it restricts days by their weekday alone.
    pub(super) fn is_weekly(&self) -> bool {
        self.months & ALL_MONTHS == ALL_MONTHS && self.days == self.each_week().days
    }

    /// The same times on each weekday on which it may run at all, in every week.
    pub(super) fn each_week(&self) -> CronPattern {
        let runs_in = |row: usize, first: usize, weekday: usize| {
            (1..=28 + row).any(|day| weekday_of(first, day) == weekday && self.days[row][first] & 1 << day != 0)
        };
        let runs_on: [bool; 7] = std::array::from_fn(|weekday| (0..4).any(|row| (0..7).any(|first| runs_in(row, first, weekday))));
        let days = |row: usize, first: usize| {
            (1..=28 + row).filter(|day| runs_on[weekday_of(first, *day)]).fold(0, |set, day| set | 1 << day)
        };
        let days = std::array::from_fn(|row| std::array::from_fn(|first| days(row, first)));
        CronPattern { months: ALL_MONTHS, days: Box::new(days), ..self.clone() }
    }

    /// Seconds between any two of its times of day, at least; over midnight too.
    pub(super) fn day_gap(&self) -> i64 {
        if self.seconds.count_ones() + self.minutes.count_ones() > 2 {
            self.hour_gap()
        } else {
            3600 * i64::from(cyclic_gap(self.hours, 24))
        }
    }

    /// Seconds between any two of its times within an hour, at least; over the full hour too.
    pub(super) fn hour_gap(&self) -> i64 {
        let seconds = i64::from(cyclic_gap(self.seconds, 60));
        if seconds < 60 { seconds } else { 60 * i64::from(cyclic_gap(self.minutes, 60)) }
    }

    /// The first date from `date` to `last` on which its day and month fields match.
    pub(super) fn next_date(&self, date: Date, last: Date) -> Option<Date> {
        let mut date = date;
        while date <= last {
            if self.months & 1 << date.month() != 0 {
                let first = date.first_of_month();
                let length = usize::try_from(date.days_in_month() - SHORTEST_MONTH).expect("no month is shorter than 28 days");
                let days = self.days[length][monday_offset(first.weekday())];
                let rest = days >> date.day();
                if rest != 0 {
                    let ahead = rest.trailing_zeros();
                    return date.checked_add(jiff::Span::new().days(ahead)).ok().filter(|date| *date <= last);
                }
            }
            date = date.last_of_month().tomorrow().ok()?;
        }
        None
    }

    /// The first second of the day at or after `from` at which its time fields match.
    pub(super) fn next_second(&self, from: u32) -> Option<u32> {
        let (hour, minute, second) = (from / 3600, from / 60 % 60, from % 60);
        let first_minute = self.minutes.trailing_zeros();
        let first_second = self.seconds.trailing_zeros();
        if next_bit(self.hours, hour) == Some(hour) {
            if next_bit(self.minutes, minute) == Some(minute)
                && let Some(second) = next_bit(self.seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = next_bit(self.minutes, minute + 1) {
                return Some(hour * 3600 + minute * 60 + first_second);
            }
        }
        let hour = next_bit(self.hours, hour + 1)?;
        Some(hour * 3600 + first_minute * 60 + first_second)
    }
}

/// The lowest member of `set` that is at least `from`.
fn next_bit(set: u64, from: u32) -> Option<u32> {
    let rest = set.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}

/// Returns the least distance between two members of `set`, which wraps around after `size`; `size` when it has one
/// member.
fn cyclic_gap(set: u64, size: u32) -> u32 {
    let members: Vec<u32> = (0..size).filter(|member| set & 1 << member != 0).collect();
    let next = members.iter().skip(1).copied().chain(members.first().map(|first| first + size));
    members.iter().zip(next).map(|(member, next)| next - member).min().unwrap_or(size)
}

fn monday_offset(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).expect("0 to 6")
}

/// Refuses what croner accepts although it is a mistake: an empty item of a list, a name in a field that has none
/// (croner replaces names in the whole text before it looks at fields), and the modifiers whose meaning croner drops.
fn check_field(index: usize, field: &str) -> Result<(), String> {
    let (name, takes) = FIELDS[index];
    let wrong = |why: &str| Err(format!("the {name} field {} {why}; it takes {takes}", quote(field)));
    let items: Vec<&str> = field.strip_prefix('+').unwrap_or(field).split(',').collect();
    for item in &items {
        if item.is_empty() {
            return wrong("has an empty item: one comma stands between two items, and no space, as in `9,18`");
        }
        if let Some(why) = habit_of_item(index, item) {
            return wrong(&why);
        }
        let names: &[&str] = match index {
            MONTH => &MONTHS,
            DAY_OF_WEEK => &WEEKDAYS,
            _ => &[],
        };
        for part in item.split(['-', '/', '#']) {
            let plain = if index == DAY_OF_WEEK { part.strip_suffix('L').unwrap_or(part) } else { part };
            let modifier = index == DAY_OF_MONTH || (index == DAY_OF_WEEK && part == "L");
            if plain.contains(|letter: char| letter.is_alphabetic()) && !names.contains(&plain) && !modifier {
                return Err(format!("{} in the {name} field is not a name it knows; it takes {takes}", quote(part)));
            }
        }
    }
    if index == DAY_OF_WEEK && items.contains(&"L") {
        return wrong("says `L` without a weekday: write `5L` for the last Friday");
    }
    if index == DAY_OF_WEEK && items.iter().any(|item| matches!(*item, "SUN-SUN" | "0-SUN")) {
        return wrong("is a range from Sunday to Sunday: write `SUN` for one day or `*` for all");
    }
    if index == DAY_OF_MONTH && items.contains(&"L") && items.contains(&"LW") {
        return wrong("has both `L` and `LW`, and only one is allowed");
    }
    Ok(())
}

/// Returns which field croner refused, since its own message does not say. Each field is tried alone, in an expression
/// of stars.
fn error_of_field(parser: CronParser, fields: &[&str], whole: &str) -> String {
    for (index, field) in fields.iter().enumerate() {
        let mut alone = ["*"; 6];
        alone[index] = field;
        if let Err(error) = parser.parse(&alone.join(" ")) {
            let (name, takes) = FIELDS[index];
            return format!(
                "the {name} field {} is not understood ({}); it takes {takes}",
                quote(field),
                reason(&error.to_string())
            );
        }
    }
    reason(whole)
}

/// croner's sentence, to be put into ours. croner repeats the written text, of any length, so it is cut.
fn reason(message: &str) -> String {
    let message = message.split_once(": ").map_or(message, |(_, reason)| reason);
    let plain = escape(message.trim_end_matches('.'));
    let mut letters = plain.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters.take(REASON_MAX)).collect()).unwrap_or_default()
}

/// Asks croner about every day of every kind of month. 28 years in a row hold a month of each length on each weekday.
fn day_table(pattern: &croner::CronPattern) -> DayTable {
    let mut table = DayTable::default();
    let months = (2000..2028).flat_map(|year| [1, 2, 4].map(|month| jiff::civil::date(year, month, 1)));
    for first in months {
        let length = first.days_in_month();
        let row = usize::try_from(length - SHORTEST_MONTH).expect("no month is shorter than 28 days");
        let days = &mut table[row][monday_offset(first.weekday())];
        if *days == 0 {
            *days = matching_days(pattern, first);
        }
    }
    table
}

fn matching_days(pattern: &croner::CronPattern, first: Date) -> u32 {
    let month = u32::from(first.month().unsigned_abs());
    let sunday_offset = u32::from(first.weekday().to_sunday_zero_offset().unsigned_abs());
    let matches = |day: &u32| {
        let weekday = croner::Weekday::from_days_from_sunday(sunday_offset + day - 1);
        pattern.day_match(i32::from(first.year()), month, *day, weekday).expect("the day is one of that month")
    };
    (1..=u32::from(first.days_in_month().unsigned_abs())).filter(matches).fold(0, |set, day| set | 1 << day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn dates(text: &str, from: Date, count: usize) -> Vec<String> {
        let pattern = CronPattern::parse(text).expect(text);
        let last = date(2060, 1, 1);
        let next = |after: &Date| pattern.next_date(after.tomorrow().expect("far from the end"), last);
        std::iter::successors(pattern.next_date(from, last), next).take(count).map(|date| date.to_string()).collect()
    }

    #[test]
    fn day_fields_are_those_of_debian_and_of_croner() {
        let from = date(2026, 11, 1);
        for (text, expected) in [
            ("0 0 * * *", "2026-11-01 2026-11-02"),
            ("0 0 L * *", "2026-11-30 2026-12-31"),
            ("0 0 LW * *", "2026-11-30 2026-12-31"),
            ("0 0 15W * *", "2026-11-16 2026-12-15"),
            ("0 0 * * 5L", "2026-11-27 2026-12-25"),
            ("0 0 * * FRI#2", "2026-11-13 2026-12-11"),
            ("0 0 * * 7", "2026-11-01 2026-11-08"),
            ("0 0 * * FRI-SUN", "2026-11-01 2026-11-06"),
            ("0 0 29 2 *", "2028-02-29 2032-02-29"),
            ("0 0 1 JAN *", "2027-01-01 2028-01-01"),
            // Both restrict: either may match. One begins with a star: both must.
            ("0 0 13 * FRI", "2026-11-06 2026-11-13"),
            ("0 0 */13 * FRI", "2026-11-27 2027-01-01"),
            ("0 0 13 * */5", "2026-11-13 2026-12-13"),
            ("0 0 13 * +FRI", "2026-11-13 2027-08-13"),
            ("0 0 ? * MON", "2026-11-02 2026-11-09"),
        ] {
            assert_eq!(dates(text, from, 2).join(" "), expected, "{text}");
        }
        assert!(dates("0 12 30 2 *", from, 1).is_empty());
    }

    #[test]
    fn times_are_found_in_order() {
        for (text, from, expected) in [
            ("30 9-11 * * *", 0, Some(9 * 3600 + 1800)),
            ("30 9-11 * * *", 9 * 3600 + 1801, Some(10 * 3600 + 1800)),
            ("30 9-11 * * *", 11 * 3600 + 1801, None),
            ("*/20 * * * *", 1199, Some(1200)),
            ("15,45 59 23 * * *", 86_356, Some(86_385)),
            ("15,45 59 23 * * *", 86_386, None),
            ("* * * * * *", 86_399, Some(86_399)),
        ] {
            assert_eq!(CronPattern::parse(text).expect(text).next_second(from), expected, "{text} from {from}");
        }
    }

    #[test]
    fn a_nickname_is_what_debian_says_it_is() {
        for (nickname, expression) in [("@daily", "0 0 * * *"), ("@Weekly", "0 0 * * 0"), ("@hourly", "0 * * * *")] {
            let (nickname, expression) =
                (CronPattern::parse(nickname).expect(nickname), CronPattern::parse(expression).expect(expression));
            assert_eq!((&nickname.days, nickname.hours), (&expression.days, expression.hours));
            assert_eq!(nickname.fixed_time, expression.fixed_time);
        }
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_field() {
        for (text, expected) in [
            ("", "this one has 0"),
            ("0 0 * *", "this one has 4"),
            ("0 0 12 * * * 2027", "this one has 7"),
            ("61 * * * *", "the minute field `61`"),
            ("* 24 * * *", "the hour field `24`"),
            ("* * 0 * *", "the day-of-month field `0`"),
            ("* * * 13 *", "the month field `13`"),
            ("* * * * 8", "the day-of-week field `8`"),
            ("5/15 * * * *", "write `5-59/15`"),
            ("*/0 * * * *", "step cannot be zero"),
            ("1,,2 * * * *", "empty item"),
            (", * * * *", "empty item"),
            ("JAN * * * *", "`JAN` in the minute field"),
            ("* * * FEBR *", "`FEBR` in the month field"),
            ("* * * 1JAN *", "`1JAN` in the month field"),
            ("* * * * SUNMON", "`SUNMON` in the day-of-week field"),
            ("* * * * L", "`5L`"),
            ("* * * * SUN-SUN", "Sunday to Sunday"),
            ("* * L,LW * *", "only one"),
            ("* * * * 5#6", "day-of-week field `5#6`"),
            ("* * L-3 * *", "day-of-month field `L-3`"),
            ("22-2 * * * *", "write `22-59,0-2`"),
            ("0 22-2 * * *", "write `22-23,0-2`"),
            ("0 0 * NOV-FEB *", "write `NOV-DEC,JAN-FEB`"),
            ("0 0 * * SAT-MON", "write `SAT-SUN,MON`"),
            ("0 0 12 ? * 2-6", "1 is Sunday; here and in Debian's cron it is Monday; write names: `MON-FRI`"),
            ("0 0 ? * 1", "write names: `SUN`"),
            ("CRON_TZ=Asia/Shanghai 0 9 * * *", "has no `CRON_TZ=`"),
            ("@reboot", "`@daily`"),
            ("H * * * *", "the minute field `H` has the `H` of Jenkins"),
        ] {
            let message = CronPattern::parse(text).expect_err(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_pattern_is_small() {
        assert!(size_of::<CronPattern>() + size_of::<DayTable>() <= 200);
    }
}
