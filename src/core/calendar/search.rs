//! The search for the next start: date by date, with the candidates of each date from arithmetic, never minute by
//! minute. Does not know more than a trigger, a zone and the bounds.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::date_starts::{ClockChangeRule, earlier, end_after, first_once, first_step, first_written, window};
use super::wall::{self, DAY_SECONDS, Stretch};
use super::{Dst, Start, Trigger, When};

/// Nothing starts between an instant and this long after it.
const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

/// How far ahead a start is looked for, in days: 41 years. The rarest expression with a meaning is 29 February on a
/// given weekday, which does not come for 40 years when a century without a leap day is between; one that has not come
/// by then, like 30 February, never comes.
const HORIZON_DAYS: i64 = 41 * 366;

/// How many dates before the date of an instant may still have a start after it: one that a whole lost day carries over
/// (Apia, 2011-12-30), and before that one a window of `every` over midnight.
pub(super) const DATES_BEFORE: i64 = 2;

/// How far after an instant a clock change is looked for at once: the next start of a weekly job is then found by one look at the zone.
const CALM_DAYS: i64 = 10;

/// The instant of a written time by the rule for fixed wall-clock times (RFC 5545): in a gap it is shifted forward by
/// the gap, in a repeat it is the first. `None` outside the years jiff knows.
pub fn resolve(zone: &TimeZone, written: DateTime) -> Option<Timestamp> {
    wall::timestamp(wall::resolve(zone, written).0)
}

impl When {
    /// The starts after `instant`, in order, without repeats. Ends at `until`, or when no start comes within 41 years of the
    /// last.
    pub fn after(&self, instant: Timestamp) -> impl Iterator<Item = Start> + '_ {
        std::iter::successors(self.next_after(instant), |start| self.next_after(start.at))
    }

    /// The starts from `from` (inclusive) to `to` (exclusive), in order, without repeats.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Start> + '_ {
        let first = self.not_before(from);
        let starts = std::iter::successors(first, |start| self.next_after(start.at));
        starts.take_while(move |start| start.at < to)
    }

    /// The first start after `instant`.
    pub fn next_after(&self, instant: Timestamp) -> Option<Start> {
        match &self.trigger {
            Trigger::After(chain) => chain.not_before(instant.checked_add(NANOSECOND).ok()?).map(|at| self.following(at)),
            _ => self.first_from(wall::floor(instant) + 1),
        }
    }

    /// The first start at `instant` or later.
    pub fn not_before(&self, instant: Timestamp) -> Option<Start> {
        match &self.trigger {
            Trigger::After(chain) => chain.not_before(instant).map(|at| self.following(at)),
            _ => self.first_from(wall::ceil(instant)),
        }
    }

    /// Returns the last start before `instant`, at most 41 years back.
    pub fn latest_before(&self, instant: Timestamp) -> Option<Start> {
        if let Trigger::After(chain) = &self.trigger {
            return chain.latest_before(instant).map(|at| self.following(at));
        }
        let end = wall::ceil(instant);
        let before = |lower: i64| self.first_from(lower).filter(|start| start.at < instant);
        // A later beginning of the search finds a later start: halve until it is the last.
        let (mut low, mut high) = (end - HORIZON_DAYS * DAY_SECONDS, end);
        let mut latest = before(low)?;
        while low < high - 1 {
            let middle = low + (high - low) / 2;
            match before(middle) {
                Some(start) => {
                    latest = start;
                    low = start.at.as_second().max(middle);
                }
                None => high = middle,
            }
        }
        Some(latest)
    }

    /// A start that follows another: no wall-clock time was written for it, and no clock change touches it.
    fn following(&self, at: Timestamp) -> Start {
        Start { at, written: self.zone.to_datetime(at), dst: None }
    }

    /// The first start at `lower` (seconds) or later.
    fn first_from(&self, lower: i64) -> Option<Start> {
        let mut lower = self.from.map_or(lower, |from| lower.max(wall::ceil(from)));
        let mut last = lower.saturating_add(HORIZON_DAYS * DAY_SECONDS);
        if let Some(until) = self.until {
            last = last.min(wall::ceil(until));
        }
        while lower <= last {
            let start = self.first(lower, last)?;
            if self.until.is_some_and(|until| start.at >= until) {
                return None;
            }
            match self.excepted_until(&start) {
                Some(next) => lower = next,
                None => return Some(start),
            }
        }
        None
    }

    /// The first start at `lower` or later, as if nothing were excepted but windows of `every`; looks at dates up to that of
    /// the instant `last`.
    fn first(&self, lower: i64, last: i64) -> Option<Start> {
        if let Trigger::Once(written) = &self.trigger {
            return first_once(&self.zone, written, lower);
        }
        // Where no clock changes, a date's starts are on that date, in the order of the dates; only a window of `every` goes over midnight.
        let calm = wall::calm(&self.zone, lower, DATES_BEFORE + 2, CALM_DAYS);
        let today = match calm.and_then(|calm| wall::wall_time(lower + calm.offset)) {
            Some(shown) => shown.date(),
            None => self.zone.to_datetime(wall::timestamp(lower)?).date(),
        };
        // Two days of slack, of which the zone may take one: dates only say where to look, and the caller checks the instants.
        let last = wall::wall_time(last.saturating_add(2 * DAY_SECONDS)).unwrap_or(DateTime::MAX).date();
        let dates_before = match &self.trigger {
            _ if calm.is_none() => DATES_BEFORE,
            Trigger::Every { between: Some(_), .. } => 1,
            _ => 0,
        };
        let mut date = today.checked_sub(jiff::Span::new().days(dates_before)).ok()?;
        let mut found: Option<(Start, Date)> = None;
        while let Some(on) = self.next_date(date, last) {
            match found {
                // A shift can put a date's start behind the first of the next date, and no further.
                Some((_, first)) if on > first.tomorrow().ok()? => break,
                _ => {}
            }
            if let Some(start) = self.first_on(on, lower, calm.as_ref()) {
                if calm.is_some_and(|calm| calm.outlasts_day_after(on)) {
                    return Some(start);
                }
                found = Some(found.map_or((start, on), |(other, first)| (earlier(other, start), first)));
            }
            let Ok(next) = on.tomorrow() else { break };
            date = next;
        }
        found.map(|(start, _)| start)
    }

    /// The first date from `date` to `last` that the trigger's days allow.
    fn next_date(&self, date: Date, last: Date) -> Option<Date> {
        match &self.trigger {
            Trigger::At { days, .. } | Trigger::Every { days, .. } => days.not_before(date).filter(|date| *date <= last),
            Trigger::Cron(pattern) => pattern.next_date(date, last),
            Trigger::Once(_) | Trigger::After(_) => None,
        }
    }

    /// The first start at `lower` or later among those written for `date`. `calm` is a stretch that was looked up before.
    pub(super) fn first_on(&self, date: Date, lower: i64, calm: Option<&Stretch>) -> Option<Start> {
        let zone = (&self.zone, calm);
        match &self.trigger {
            Trigger::At { times, .. } => first_written(zone, date, lower, ClockChangeRule::Shift, |from| next_time(times, from)),
            Trigger::Cron(pattern) => {
                let rule = if pattern.is_fixed_time() { ClockChangeRule::Carry } else { ClockChangeRule::Elapse };
                first_written(zone, date, lower, rule, |from| pattern.next_second(from))
            }
            Trigger::Every { step, between: None, .. } => {
                let window = (wall::first_instant(&self.zone, date), wall::first_instant(&self.zone, date.tomorrow().ok()?));
                first_step(&self.zone, window, seconds(*step), lower, None)
            }
            Trigger::Every { step, between: Some(between), .. } => {
                if self.except.contains(date) {
                    return None;
                }
                let (window, dst) = window(&self.zone, date, *between)?;
                first_step(&self.zone, window, seconds(*step), lower, dst)
            }
            Trigger::Once(_) | Trigger::After(_) => None,
        }
    }

    /// If the local date of `start` is excepted, returns an instant after it up to which that date lasts. Windows of
    /// `every` were checked by the date on which they began.
    fn excepted_until(&self, start: &Start) -> Option<i64> {
        if self.except.is_empty() || matches!(self.trigger, Trigger::Every { between: Some(_), .. }) {
            return None;
        }
        let date = self.zone.to_datetime(start.at).date();
        if !self.except.contains(date) {
            return None;
        }
        let at = start.at.as_second();
        let midnight = wall::first_instant(&self.zone, date.tomorrow().ok()?);
        // A clock that is set back over midnight repeats the date before, or this one when its end has passed.
        let change = self.zone.following(start.at).next().map_or(midnight, |change| change.timestamp().as_second());
        Some(midnight.min(change).max(at + 1))
    }

    /// The instant of `to` for an occurrence that begins with `start`: the first such wall-clock time after the written
    /// one (00:00 to 00:00 is a day), RFC 5545 at a clock change, which then marks it. If that is not after the start,
    /// for any reason, it is the start + the written difference. `None` past the year 9999.
    pub fn end_at(&self, start: &Start, to: Time) -> Option<(Timestamp, Option<Dst>)> {
        let (end, dst) = end_after(&self.zone, start.at.as_second(), start.written, to)?;
        Some((wall::timestamp(end)?, dst))
    }
}

pub(super) fn seconds(step: Duration) -> i64 {
    i64::try_from(step.as_secs()).expect("a step is at most a day")
}

/// The first of the sorted times at or after a second of the day.
fn next_time(times: &[Time], from: u32) -> Option<u32> {
    let at = times.partition_point(|time| second_of_day(*time) < from);
    times.get(at).map(|time| second_of_day(*time))
}

pub(super) fn second_of_day(time: Time) -> u32 {
    u32::from(time.hour().unsigned_abs()) * 3600
        + u32::from(time.minute().unsigned_abs()) * 60
        + u32::from(time.second().unsigned_abs())
}
