//! The time that the page shows: how long, from when on, and the lines in it. A day begins when the station's day does, so a day with a
//! clock change has 23 or 25 hours. It does not know what happens in that time.

use std::ops::Range;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan};

use super::Language;
use crate::calendar::resolve;
use crate::words::words;

/// When the station's day begins, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct StationDay {
    /// On the clock of its zone.
    pub begins: Time,
    /// The zone.
    pub zone: TimeZone,
}

impl StationDay {
    /// The date of the station's day that an instant is in.
    pub fn date(&self, at: Timestamp) -> Date {
        let today = self.zone.to_datetime(at).date();
        match self.begin(today) {
            // Before it begins, it is still the day before.
            Some(begin) if at < begin => today.yesterday().unwrap_or(today),
            _ => today,
        }
    }

    /// The instant at which the day of a date begins.
    pub fn begin(&self, date: Date) -> Option<Timestamp> {
        resolve(&self.zone, DateTime::from_parts(date, self.begins))
    }

    /// The days of `count` dates from one on. `None`: outside the years that are known.
    pub fn days(&self, date: Date, count: i64) -> Option<Range<Timestamp>> {
        Some(self.begin(date)?..self.begin(date.checked_add(count.days()).ok()?)?)
    }

    /// The day that an instant is in.
    pub fn around(&self, at: Timestamp) -> Range<Timestamp> {
        self.days(self.date(at), 1).unwrap_or(at..at)
    }
}

/// How much time is shown at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Zoom {
    /// Three minutes.
    Minutes,
    /// An hour.
    Hour,
    /// Six hours.
    #[default]
    Hours,
    /// A day of the station.
    Day,
    /// Seven of them.
    Week,
}

words!(Zoom { Minutes = "3m", Hour = "hour", Hours = "6h", Day = "day", Week = "week" });

/// Where the time that is shown begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// A little before now, and it moves on with it.
    Now,
    /// The station's day of this date.
    Date(Date),
    /// At this instant.
    At(Timestamp),
}

impl Zoom {
    /// The length of those that are no days.
    fn length(self) -> Option<SignedDuration> {
        match self {
            Zoom::Minutes => Some(SignedDuration::from_mins(3)),
            Zoom::Hour => Some(SignedDuration::from_hours(1)),
            Zoom::Hours => Some(SignedDuration::from_hours(6)),
            Zoom::Day | Zoom::Week => None,
        }
    }

    /// While it follows now, it begins at a multiple of this, and so much before now at least.
    fn step(self) -> SignedDuration {
        match self {
            Zoom::Minutes => SignedDuration::from_secs(30),
            Zoom::Hour => SignedDuration::from_mins(10),
            Zoom::Hours | Zoom::Day | Zoom::Week => SignedDuration::from_hours(1),
        }
    }

    /// The next smaller one.
    pub fn smaller(self) -> Option<Zoom> {
        Zoom::WORDS.iter().map(|(_, zoom)| *zoom).take_while(|zoom| *zoom < self).last()
    }

    /// The next larger one.
    pub fn larger(self) -> Option<Zoom> {
        Zoom::WORDS.iter().map(|(_, zoom)| *zoom).find(|zoom| *zoom > self)
    }

    /// What is shown. `None`: outside the years that are known.
    pub fn range(self, anchor: Anchor, now: Timestamp, day: &StationDay) -> Option<Range<Timestamp>> {
        let days = if self == Zoom::Week { 7 } else { 1 };
        match (self.length(), anchor) {
            (Some(length), Anchor::Now) => {
                let from = floor(now, self.step())?.checked_sub(self.step()).ok()?;
                Some(from..from.checked_add(length).ok()?)
            }
            (Some(length), Anchor::At(from)) => Some(from..from.checked_add(length).ok()?),
            (Some(length), Anchor::Date(date)) => {
                let from = day.begin(date)?;
                Some(from..from.checked_add(length).ok()?)
            }
            // A week shows yesterday and what comes.
            (None, Anchor::Now) if self == Zoom::Week => day.days(day.date(now).yesterday().ok()?, days),
            (None, Anchor::Now) => day.days(day.date(now), days),
            (None, Anchor::Date(date)) => day.days(date, days),
            (None, Anchor::At(at)) => day.days(day.date(at), days),
        }
    }

    /// Where the same zoom begins one range later, or earlier.
    pub fn neighbour(self, range: &Range<Timestamp>, day: &StationDay, later: bool) -> Option<Anchor> {
        let Some(length) = self.length() else {
            let days: Span = if self == Zoom::Week { 7.days() } else { 1.day() };
            let date = day.date(range.start);
            return if later { date.checked_add(days) } else { date.checked_sub(days) }.ok().map(Anchor::Date);
        };
        let at = if later { range.start.checked_add(length) } else { range.start.checked_sub(length) };
        at.ok().map(Anchor::At)
    }
}

fn floor(at: Timestamp, step: SignedDuration) -> Option<Timestamp> {
    let step = step.as_secs();
    Timestamp::from_second(at.as_second().div_euclid(step) * step).ok()
}

/// A line across the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// When.
    pub at: Timestamp,
    /// What stands at it; none at the lines between.
    pub label: Option<String>,
}

/// Most lines of a range.
const TICKS_MAX: usize = 200;

/// The seconds of a day without a clock change.
const DAY: i64 = 86_400;

/// The lines of a range, on the clock of a zone: seconds between two lines, and between two with a label.
pub fn ticks(range: &Range<Timestamp>, zone: &TimeZone, language: Language) -> Vec<Tick> {
    let (line, label): (i64, i64) = match range.end.duration_since(range.start).as_secs() {
        ..=300 => (15, 60),
        301..=3_600 => (300, 600),
        3_601..=21_600 => (900, 3_600),
        21_601..=100_000 => (3_600, 7_200),
        _ => (21_600, DAY),
    };
    // The wall clock's seconds since its midnight decide, so that lines stand at full hours of the zone.
    let wall = |at: Timestamp| {
        let local = zone.to_datetime(at);
        i64::from(local.hour()) * 3_600 + i64::from(local.minute()) * 60 + i64::from(local.second())
    };
    let first = wall(range.start).rem_euclid(line);
    let start = if first == 0 { range.start } else { range.start + SignedDuration::from_secs(line - first) };
    // A clock change may move the wall by less than the distance of two lines.
    let fine = line.min(900);
    let steps = std::iter::successors(Some(start), |at| at.checked_add(SignedDuration::from_secs(fine)).ok());
    let date = |at: Timestamp| zone.to_datetime(at).date();
    // A clock that goes forward at midnight never shows it: a day begins where the date is another.
    let begins_day = |at: Timestamp| at.checked_sub(SignedDuration::from_secs(fine)).is_ok_and(|before| date(before) != date(at));
    let is_line = |at: &Timestamp| wall(*at).rem_euclid(line) == 0 || label == DAY && begins_day(*at);
    let lines = steps.take_while(|at| *at < range.end).filter(is_line);
    let text = |at: Timestamp| {
        let local = zone.to_datetime(at);
        if label == DAY {
            format!("{} {}", language.weekday(local.weekday()), local.strftime("%m-%d"))
        } else {
            local.strftime("%H:%M").to_string()
        }
    };
    let has_label = |at: Timestamp| if label == DAY { begins_day(at) } else { wall(at).rem_euclid(label) == 0 };
    lines.take(TICKS_MAX).map(|at| Tick { at, label: has_label(at).then(|| text(at)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        jiff::tz::TimeZoneDatabase::bundled().get(name).expect("bundled")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn day(begins: &str, name: &str) -> StationDay {
        StationDay { begins: begins.parse().expect("a time"), zone: zone(name) }
    }

    #[test]
    fn a_day_begins_when_the_stations_does_and_before_that_it_is_still_yesterday() {
        let station = day("05:00", "Asia/Shanghai");
        let range = |now: &str| Zoom::Day.range(Anchor::Now, at(now), &station);
        assert_eq!(range("2026-11-28T20:59:59Z"), Some(at("2026-11-27T21:00:00Z")..at("2026-11-28T21:00:00Z")));
        assert_eq!(range("2026-11-28T21:00:00Z"), Some(at("2026-11-28T21:00:00Z")..at("2026-11-29T21:00:00Z")));
    }

    #[test]
    fn a_day_with_a_clock_change_has_the_hours_that_it_has() {
        let station = day("00:00", "Europe/Berlin");
        for (date, hours) in [("2026-10-25", 25), ("2026-03-29", 23), ("2026-11-01", 24)] {
            let range = station.days(date.parse().expect("a date"), 1).expect("in range");
            assert_eq!(range.end.duration_since(range.start), SignedDuration::from_hours(hours), "{date}");
        }
    }

    #[test]
    fn what_follows_now_begins_a_little_before_it_and_at_a_full_step() {
        let station = day("00:00", "UTC");
        for (zoom, from, to) in [
            (Zoom::Minutes, "2026-11-28T10:07:00Z", "2026-11-28T10:10:00Z"),
            (Zoom::Hour, "2026-11-28T09:50:00Z", "2026-11-28T10:50:00Z"),
            (Zoom::Hours, "2026-11-28T09:00:00Z", "2026-11-28T15:00:00Z"),
            (Zoom::Week, "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z"),
        ] {
            assert_eq!(zoom.range(Anchor::Now, at("2026-11-28T10:07:42Z"), &station), Some(at(from)..at(to)), "{zoom:?}");
        }
    }

    #[test]
    fn the_neighbours_meet_and_zooms_have_an_order() {
        let station = day("06:00", "Europe/Berlin");
        for (_, zoom) in Zoom::WORDS {
            let now = at("2026-10-24T12:00:00Z");
            let here = zoom.range(Anchor::Now, now, &station).expect("in range");
            let there = |later| {
                let anchor = zoom.neighbour(&here, &station, later).expect("in range");
                zoom.range(anchor, now, &station).expect("in range")
            };
            assert_eq!((there(false).end, there(true).start), (here.start, here.end), "{zoom:?}");
        }
        assert_eq!((Zoom::Minutes.smaller(), Zoom::Week.larger()), (None, None));
        assert_eq!((Zoom::Hour.smaller(), Zoom::Hour.larger()), (Some(Zoom::Minutes), Some(Zoom::Hours)));
    }

    #[test]
    fn lines_stand_at_full_hours_of_the_zone_also_where_the_clock_changes() {
        let labels = |range: Range<Timestamp>, name: &str| -> Vec<String> {
            ticks(&range, &zone(name), Language::English).into_iter().filter_map(|tick| tick.label).collect()
        };
        let kolkata = labels(at("2026-11-28T10:00:00Z")..at("2026-11-28T16:00:00Z"), "Asia/Kolkata");
        assert_eq!(kolkata, ["16:00", "17:00", "18:00", "19:00", "20:00", "21:00"]);
        let berlin = day("00:00", "Europe/Berlin").days("2026-10-25".parse().expect("a date"), 1).expect("in range");
        let berlin = labels(berlin, "Europe/Berlin");
        assert_eq!(berlin[..3], ["00:00", "02:00", "02:00"], "two o'clock comes twice");
        assert_eq!(berlin.last().map(String::as_str), Some("22:00"));
        // There, midnight of the 6th of September 2026 is left out.
        let santiago = day("00:00", "America/Santiago").days("2026-09-05".parse().expect("a date"), 7).expect("in range");
        let santiago = labels(santiago, "America/Santiago");
        assert_eq!((santiago.len(), &santiago[..2]), (7, &["Sat 09-05".to_owned(), "Sun 09-06".to_owned()][..]));
    }
}
