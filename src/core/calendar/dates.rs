//! Sets of days: weekdays, and excepted dates, with the name of the calendar they come from. Does not know jobs.

use std::fmt;
use std::sync::Arc;

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
