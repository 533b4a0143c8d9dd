//! Sets of days: weekdays of each week or of every n-th, and excepted dates, with the name of the calendar they come from. Does
//! not know jobs.

use std::fmt;
use std::sync::Arc;

use jiff::Span;
use jiff::civil::{Date, Weekday};

/// A set of weekdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// Every day.
    pub const DAILY: Weekdays = Weekdays(0b111_1111);
    /// No day: the start for [`Weekdays::with`].
    pub const NONE: Weekdays = Weekdays(0);

    /// This set and one more day.
    #[must_use]
    pub fn with(self, day: Weekday) -> Weekdays {
        Weekdays(self.0 | 1 << day.to_monday_zero_offset())
    }

    /// Whether `day` is in it.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset()) != 0
    }
}

/// As a schedule file writes it: `daily`, `mon..fri`, `fri..mon`, `sun`, `[mon, wed]`.
impl fmt::Display for Weekdays {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let has = |day: usize| self.0 & 1 << (day % 7) != 0;
        let days: Vec<usize> = (0..7).filter(|day| has(*day)).collect();
        // Days in a row, over the end of the week too, begin after a day that is not among them.
        let firsts: Vec<usize> = days.iter().copied().filter(|day| !has(day + 6)).collect();
        match (days.len(), &firsts[..]) {
            (7, _) => formatter.write_str("daily"),
            (1, [only]) => formatter.write_str(NAMES[*only]),
            (count @ 3.., [first]) => write!(formatter, "{}..{}", NAMES[*first], NAMES[(first + count - 1) % 7]),
            _ => write!(formatter, "[{}]", days.iter().map(|day| NAMES[*day]).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Every n-th ISO week, from Monday to Sunday, counted from one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weeks {
    step: u8,
    monday: Date,
}

impl Weeks {
    /// Returns every `step`-th week (2 to 52) counted from the week of `date`. `None`: every week, or a date at the edge of the years
    /// that jiff knows.
    pub fn new(step: u8, date: Date) -> Option<Weeks> {
        let monday = date.checked_sub(Span::new().days(date.weekday().to_monday_zero_offset())).ok()?;
        (step > 1).then_some(Weeks { step, monday })
    }

    /// Every how many weeks.
    pub fn step(self) -> u8 {
        self.step
    }

    /// The Monday of the week from which it is counted.
    pub fn monday(self) -> Date {
        self.monday
    }

    /// How many weeks after the week of `date` the next one comes; 0: it is one.
    fn ahead(self, date: Date) -> i64 {
        let days = (date - self.monday).get_days();
        (-i64::from(days.div_euclid(7))).rem_euclid(self.step.into())
    }
}

/// The days on which a trigger starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// Of each week that counts.
    pub weekdays: Weekdays,
    /// The weeks that count; `None`: all of them.
    pub weeks: Option<Weeks>,
}

impl From<Weekdays> for Days {
    fn from(weekdays: Weekdays) -> Days {
        Days { weekdays, weeks: None }
    }
}

impl Days {
    /// Every day.
    pub const DAILY: Days = Days { weekdays: Weekdays::DAILY, weeks: None };

    /// Whether the week of `date` counts.
    pub fn is_in_week(&self, date: Date) -> bool {
        self.weeks.is_none_or(|weeks| weeks.ahead(date) == 0)
    }

    /// The first of them at `date` or later.
    pub fn not_before(&self, date: Date) -> Option<Date> {
        let in_seven = |from: Date| {
            let days = (0..7_i64).find(|days| self.weekdays.contains(from.weekday().wrapping_add(*days)))?;
            from.checked_add(Span::new().days(days)).ok()
        };
        let found = in_seven(date)?;
        let wait = self.weeks.map_or(0, |weeks| weeks.ahead(found));
        if wait == 0 {
            return Some(found);
        }
        // From the Monday of the next week that counts.
        let weekday = i64::from(found.weekday().to_monday_zero_offset());
        in_seven(found.checked_add(Span::new().days(7 * wait - weekday)).ok()?)
    }
}

/// An inclusive range of dates as it was written; empty when its end is before its start.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DateRange {
    /// The first date.
    pub first: Date,
    /// The last date, which may be the first.
    pub last: Date,
    /// The name of the calendar it stands in; `None` for one that was written where it is used.
    pub calendar: Option<Arc<str>>,
}

impl From<(Date, Date)> for DateRange {
    fn from((first, last): (Date, Date)) -> DateRange {
        DateRange { first, last, calendar: None }
    }
}

/// `2026-10-01..2026-10-07`, or one date.
impl fmt::Display for DateRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DateRange { first, last, .. } = self;
        if first == last { write!(formatter, "{first}") } else { write!(formatter, "{first}..{last}") }
    }
}

/// Local dates on which something does not run.
#[derive(Clone, Debug, Default)]
pub struct Dates {
    /// Sorted, disjoint, inclusive.
    merged: Vec<(Date, Date)>,
    /// As they were written.
    written: Vec<DateRange>,
}

/// Two sets are equal when they hold the same dates, in whatever form they were written.
impl PartialEq for Dates {
    fn eq(&self, other: &Dates) -> bool {
        self.merged == other.merged
    }
}

impl Eq for Dates {}

impl Dates {
    /// The union of inclusive ranges, in any order, overlapping or not. A range whose end is before its start is empty.
    pub fn new(ranges: impl IntoIterator<Item = impl Into<DateRange>>) -> Dates {
        let written: Vec<DateRange> = ranges.into_iter().map(Into::into).filter(|range| range.first <= range.last).collect();
        let mut ranges: Vec<_> = written.iter().map(|range| (range.first, range.last)).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(Date, Date)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Dates { merged, written }
    }

    /// Whether `date` is in it.
    pub fn contains(&self, date: Date) -> bool {
        let at = self.merged.partition_point(|(first, _)| *first <= date);
        at > 0 && date <= self.merged[at - 1].1
    }

    /// The first range written that has `date`.
    pub fn naming(&self, date: Date) -> Option<&DateRange> {
        self.written.iter().find(|range| range.first <= date && date <= range.last)
    }

    /// The ranges as they were written, without empty ones.
    pub fn ranges(&self) -> &[DateRange] {
        &self.written
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.merged.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn weekdays_are_shown_as_they_are_written() {
        const WEEK: [Weekday; 7] = [
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
            Weekday::Saturday,
            Weekday::Sunday,
        ];
        for (days, expected) in [
            (&[0, 1, 2, 3, 4, 5, 6][..], "daily"),
            (&[0, 1, 2, 3, 4], "mon..fri"),
            (&[0, 4, 5, 6], "fri..mon"),
            (&[5, 6], "[sat, sun]"),
            (&[6], "sun"),
            (&[0, 2, 4], "[mon, wed, fri]"),
            (&[0, 1, 2, 4], "[mon, tue, wed, fri]"),
            (&[], "[]"),
        ] {
            let days = days.iter().fold(Weekdays::NONE, |set, day: &usize| set.with(WEEK[*day]));
            assert_eq!(days.to_string(), expected);
        }
    }

    #[test]
    fn every_second_week_begins_on_monday_and_counts_from_the_week_of_a_date() {
        // Friday of ISO week 48.
        let from = date(2026, 11, 27);
        let weekdays = [Weekday::Monday, Weekday::Sunday].into_iter().fold(Weekdays::NONE, Weekdays::with);
        let days = Days { weekdays, weeks: Weeks::new(2, from) };
        let mut found = Vec::new();
        let mut at = date(2026, 11, 2);
        while found.len() < 6 {
            at = days.not_before(at).expect("a date");
            found.push(at.to_string());
            at = at.tomorrow().expect("a date");
        }
        assert_eq!(found, ["2026-11-09", "2026-11-15", "2026-11-23", "2026-11-29", "2026-12-07", "2026-12-13"]);
        // Over the year's end, week 53 included, and far back: what is found is what is contained.
        let contains = |date: Date| days.weekdays.contains(date.weekday()) && days.is_in_week(date);
        let mut at = date(2020, 1, 1);
        for _ in 0..3_000 {
            let next = days.not_before(at).expect("a date");
            let mut each = at;
            while each < next {
                assert!(!contains(each), "{each} is passed over");
                each = each.tomorrow().expect("a date");
            }
            assert!(contains(next), "{next}");
            at = at.tomorrow().expect("a date");
        }
        assert_eq!(Weeks::new(1, from), None, "every week");
    }

    #[test]
    fn a_date_has_the_range_that_names_it() {
        let range = |first, last, calendar: Option<&str>| DateRange { first, last, calendar: calendar.map(Arc::from) };
        let holidays = range(date(2026, 10, 1), date(2026, 10, 7), Some("holidays"));
        let own = range(date(2026, 10, 7), date(2026, 10, 9), None);
        let dates = Dates::new([holidays.clone(), own.clone()]);
        assert_eq!(dates.naming(date(2026, 10, 7)), Some(&holidays));
        assert_eq!(dates.naming(date(2026, 10, 9)), Some(&own));
        assert_eq!(dates.naming(date(2026, 10, 10)), None);
        assert_eq!(dates, Dates::new([(date(2026, 10, 1), date(2026, 10, 9))]));
        assert_eq!(holidays.to_string(), "2026-10-01..2026-10-07");
    }
}
