//! The changes of a zone's offset, and the least time between two starts that they allow. The bound comes from
//! arithmetic alone, so that thousands of dense jobs need no search. Does not know ends and jobs.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};

use super::search::{second_of_day, seconds};
use super::wall::{self, DAY_SECONDS};
use super::{Days, Trigger, When};

const HOUR_SECONDS: i64 = 3_600;
/// Changes that are larger than this, or nearer to each other than [`CROWDED_SECONDS`], are too odd for arithmetic.
const LARGE_SECONDS: i64 = 6 * HOUR_SECONDS;
/// See [`LARGE_SECONDS`].
const CROWDED_SECONDS: i64 = 3 * DAY_SECONDS;

/// One change of a zone's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The first instant of the new offset.
    pub at: Timestamp,
    /// The offset until then.
    pub before: Offset,
    /// The offset from then on.
    pub after: Offset,
}

impl ClockChange {
    /// By how many seconds clocks move, forward or back.
    pub fn seconds(self) -> i64 {
        i64::from(self.after.seconds() - self.before.seconds()).abs()
    }
}

/// The changes of a zone's offset after `from`, up to `to`. A transition that keeps the offset is left out.
pub fn clock_changes(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<ClockChange> {
    let mut before = zone.to_offset(from);
    let mut changes = Vec::new();
    for transition in zone.following(from).take_while(|transition| transition.timestamp() <= to) {
        let after = transition.offset();
        if before != after {
            changes.push(ClockChange { at: transition.timestamp(), before, after });
        }
        before = after;
    }
    changes
}

/// The seconds of the largest change; 0 without one.
pub fn largest(changes: &[ClockChange]) -> i64 {
    changes.iter().map(|change| change.seconds()).max().unwrap_or(0)
}

impl When {
    /// Returns a lower bound of the seconds between any two starts. `changes` must be all clock changes of
    /// [`When::zones`]. The bound may be too low, and is 0 where arithmetic alone cannot decide.
    pub fn least_gap(&self, changes: &[ClockChange]) -> i64 {
        let crowded = changes.windows(2).any(|pair| pair[1].at.as_second() - pair[0].at.as_second() < CROWDED_SECONDS);
        let shift = largest(changes);
        if crowded || shift > LARGE_SECONDS {
            return 0;
        }
        let gap = match &self.trigger {
            Trigger::At { times, .. } => daily_gap(times) - shift,
            Trigger::Once(written) => {
                let gaps = written.windows(2).map(|pair| wall::wall_seconds(pair[1]) - wall::wall_seconds(pair[0]));
                // Years may be between two of them, and every change too.
                gaps.min().map_or(i64::MAX, |gap| gap - changes.iter().map(|change| change.seconds()).sum::<i64>())
            }
            Trigger::Cron(pattern) if changes.is_empty() => pattern.day_gap(),
            Trigger::Cron(pattern) if pattern.is_fixed_time() => pattern.day_gap() - shift,
            // A pattern of elapsed time keeps its minutes when clocks change by whole hours.
            Trigger::Cron(pattern) if changes.iter().all(|change| change.seconds() % HOUR_SECONDS == 0) => pattern.hour_gap(),
            Trigger::After(chain) if chain.fixed().is_some() => chain.root().least_gap(changes),
            Trigger::Cron(_) | Trigger::After(_) => 0,
            Trigger::Every { step, between: None, .. } => {
                let days = changes.iter().flat_map(|change| [DAY_SECONDS - change.seconds(), DAY_SECONDS + change.seconds()]);
                let last_gap = |day: i64| day - last_step(day, seconds(*step));
                days.chain([DAY_SECONDS]).map(last_gap).min().unwrap_or(0).min(seconds(*step))
            }
            Trigger::Every { step, between: Some((begin, end)), .. } => {
                let window = until(*begin, *end) + shift;
                (DAY_SECONDS - shift - last_step(window, seconds(*step))).min(seconds(*step))
            }
        };
        gap.max(0)
    }

    /// Whether its starts repeat every seven days, if no clock changes and without its bounds and exceptions.
    pub fn is_weekly(&self) -> bool {
        match &self.trigger {
            Trigger::At { days, .. } | Trigger::Every { days, .. } => days.weeks.is_none(),
            Trigger::Cron(pattern) => pattern.is_weekly(),
            Trigger::Once(_) => false,
            Trigger::After(chain) => chain.root().is_weekly(),
        }
    }

    /// A pattern that every week has, with all starts of this one, and others; `None`: no pattern is like it.
    pub fn each_week(&self) -> Option<When> {
        let each = |days: &Days| Days { weeks: None, ..*days };
        let trigger = match &self.trigger {
            Trigger::At { times, days } => Trigger::At { times: times.clone(), days: each(days) },
            Trigger::Every { step, between, days } => Trigger::Every { step: *step, between: *between, days: each(days) },
            Trigger::Cron(pattern) => Trigger::Cron(Arc::new(pattern.each_week())),
            Trigger::After(chain) => Trigger::After(Arc::new(chain.with(chain.root().each_week()?, TimeZone::clone))),
            Trigger::Once(_) => return None,
        };
        Some(When { trigger, ..self.clone() })
    }
}

/// The last step before a window of so many seconds is over.
fn last_step(window: i64, step: i64) -> i64 {
    (window - 1) / step * step
}

/// Seconds from a time of day to the next occurrence of the other; a day when they are the same.
pub fn until(from: Time, to: Time) -> i64 {
    let (from, to) = (i64::from(second_of_day(from)), i64::from(second_of_day(to)));
    if to > from { to - from } else { to - from + DAY_SECONDS }
}

/// The least time between two of these times of day, over midnight too.
fn daily_gap(times: &[Time]) -> i64 {
    let next = times.iter().cycle().skip(1);
    times.iter().zip(next).map(|(time, next)| until(*time, *next)).min().unwrap_or(DAY_SECONDS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::calendar::dates::Weeks;
    use crate::calendar::{CronPattern, Dates};

    fn cron(text: &str) -> Trigger {
        Trigger::Cron(Arc::new(CronPattern::parse(text).expect(text)))
    }

    fn every(seconds: u64, between: Option<(i8, i8)>) -> Trigger {
        let time = |hour| Time::constant(hour, 0, 0, 0);
        let between = between.map(|(begin, end)| (time(begin), time(end)));
        Trigger::Every { step: Duration::from_secs(seconds), between, days: Days::DAILY }
    }

    fn at(hours: &[i8]) -> Trigger {
        Trigger::At { times: hours.iter().map(|hour| Time::constant(*hour, 0, 0, 0)).collect(), days: Days::DAILY }
    }

    #[test]
    fn no_two_starts_are_nearer_than_the_bound_and_the_bound_is_no_smaller_than_it_must() {
        let zones = jiff::tz::TimeZoneDatabase::bundled();
        let (from, to) = ("2026-01-01T00:00Z".parse().expect("a time"), "2027-02-01T00:00Z".parse().expect("a time"));
        for (zone, trigger, bound) in [
            ("Asia/Shanghai", at(&[18]), 86_400),
            ("Asia/Shanghai", at(&[9, 18, 23]), 5 * 3600),
            ("America/New_York", at(&[9, 18, 23]), 4 * 3600),
            ("America/New_York", every(3600, None), 3600),
            ("Asia/Shanghai", every(5 * 3600, None), 4 * 3600),
            ("America/New_York", every(5 * 3600, None), 3 * 3600),
            ("America/New_York", every(1800, Some((9, 21))), 1800),
            ("Asia/Shanghai", every(7 * 3600, Some((9, 9))), 3 * 3600),
            ("America/New_York", cron("*/10 9-17 * * *"), 600),
            ("America/New_York", cron("5 * * * *"), 3600),
            ("America/New_York", cron("*/25 * * * *"), 600),
            ("Asia/Shanghai", cron("0 8-20 * * *"), 3600),
            ("America/New_York", cron("30 9,18 * * MON"), 8 * 3600),
            ("Asia/Shanghai", cron("0,40 0 6 * * *"), 20),
            // Half an hour: the minutes change.
            ("Australia/Lord_Howe", cron("*/10 * * * *"), 0),
        ] {
            let zone = zones.get(zone).expect(zone);
            let changes = clock_changes(&zone, from, to);
            let when = When { trigger, zone, from: None, until: None, except: Arc::new(Dates::default()) };
            assert_eq!(when.least_gap(&changes), bound, "{:?}", when.trigger);
            let starts: Vec<_> = when.between(from, to).map(|start| start.at.as_second()).collect();
            let least = starts.windows(2).map(|pair| pair[1] - pair[0]).min().expect("some");
            assert!(least >= bound, "{:?}: {least}", when.trigger);
        }
    }

    #[test]
    fn only_a_pattern_of_weekdays_comes_again_every_week() {
        for (text, expected) in [
            ("0 18 * * *", true),
            ("0 18 * * MON-FRI", true),
            ("*/5 9-17 ? * SAT", true),
            ("0 18 1-31 * *", true),
            ("0 18 1 * *", false),
            ("0 18 * 1-11 *", false),
            ("0 18 * * 5L", false),
            ("0 18 */2 * *", false),
            ("0 18 1-7 * MON", false),
        ] {
            assert_eq!(CronPattern::parse(text).expect(text).is_weekly(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_made_weekly_has_all_starts_and_no_other_weekday() {
        let zones = jiff::tz::TimeZoneDatabase::bundled();
        let (from, to) = ("2026-01-01T00:00Z".parse().expect("a time"), "2027-02-01T00:00Z".parse().expect("a time"));
        let weeks = Days { weeks: Weeks::new(3, jiff::civil::date(2026, 1, 7)), ..Days::DAILY };
        let fields = [
            "0 18 1 * *",
            "30 */2 1-15 * *",
            "0 2 * 3 *",
            "0 18 * * 5L",
            "5 */3 1-7 * MON",
            "0 1 8-14 11 *",
            "0 0 31 * *",
            "0 2 29 2 *",
        ];
        let odd = fields.map(cron).into_iter().chain([
            Trigger::At { times: vec![Time::constant(2, 30, 0, 0)], days: weeks },
            Trigger::Every { step: Duration::from_hours(5), between: None, days: weeks },
        ]);
        for (trigger, zone) in odd.flat_map(|trigger| ["Asia/Shanghai", "America/New_York"].map(|zone| (trigger.clone(), zone))) {
            let zone = zones.get(zone).expect(zone);
            let when = When { trigger, zone, from: None, until: None, except: Arc::new(Dates::default()) };
            let weekly = when.each_week().expect("it can be");
            assert!(weekly.is_weekly() && !when.is_weekly(), "{:?}", when.trigger);
            let starts = |when: &When| when.between(from, to).map(|start| start.at).collect::<std::collections::BTreeSet<_>>();
            let (few, many) = (starts(&when), starts(&weekly));
            assert!(few.is_subset(&many), "{:?}: {:?}", when.trigger, few.difference(&many).next());
        }
        let weekdays = |text| {
            let Trigger::Cron(pattern) = cron(text) else { panic!("a cron expression") };
            let when = When {
                trigger: Trigger::Cron(Arc::new(pattern.each_week())),
                zone: TimeZone::UTC,
                from: None,
                until: None,
                except: Arc::default(),
            };
            when.between(from, to).map(|start| start.at.to_zoned(TimeZone::UTC).weekday()).collect::<std::collections::HashSet<_>>()
        };
        assert_eq!(weekdays("0 18 * * 5L").len(), 1);
        assert_eq!(weekdays("0 18 13 * *").len(), 7);
    }
}
