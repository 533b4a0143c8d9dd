//! Which rules of a trigger prevent a start at an instant, or on a date. The search itself is asked, one rule at a
//! time, so that the answer cannot disagree with the plan. Does not know jobs and words.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::date_starts::window;
use super::search::DATES_BEFORE;
use super::wall;
use super::{CronField, DateRange, Dates, Days, Start, Trigger, Weeks, When};

/// Most times of a date that are checked, when none of them is a start.
const TIMES_MAX: usize = 100;

/// A rule that prevents a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleRefusal {
    /// `from`: no start before it.
    From(Timestamp),
    /// `until`: no start from then on.
    Until(Timestamp),
    /// `days` has no such date: that on which the time was written, or on which the window of `every` began.
    Days(Date),
    /// The week of the date is not one of `weeks`.
    Weeks(Date, Weeks),
    /// `except` names the date: the first range that does.
    Except(Date, DateRange),
    /// These fields of the cron expression do not fit the date.
    CronDate(Date, Vec<CronField>),
    /// These fields of the cron expression do not fit the local time.
    CronTime(DateTime, Vec<CronField>),
    /// The local time comes twice, and the start was at the first.
    SecondPass {
        /// The local time.
        local: DateTime,
        /// The start.
        first: Timestamp,
    },
    /// Steps of `every` are counted from an instant, and this is not one of them.
    BetweenSteps(Timestamp),
    /// It is outside the `between` of `every`.
    Outside,
    /// The trigger writes no such time.
    NotWritten,
}

/// The instants of a local date, from the first to the first of the next. Empty when the zone left the date out. `None`
/// outside the years jiff knows.
pub fn day(zone: &TimeZone, date: Date) -> Option<(Timestamp, Timestamp)> {
    let first = |date: Date| wall::timestamp(wall::first_instant(zone, date));
    first(date).zip(first(date.tomorrow().ok()?))
}

impl When {
    /// Returns the rules that prevent a start at `at`, in the order in which an operator would look. Empty: it is a
    /// start.
    pub fn refusals(&self, at: Timestamp) -> Vec<RuleRefusal> {
        let mut refusals = self.outside_bounds(at);
        let times = self.without_dates();
        let found = times.brought_by(at);
        let local = self.zone.to_datetime(at);
        if found.is_empty() {
            let date = self.window_over(at).map_or(local.date(), |(date, _)| date);
            refusals.extend(self.not_on(date).into_iter().chain(self.excepted(date)));
            refusals.push(self.no_such_time(at, local));
            return refusals;
        }
        let refusals_of_dates = found.iter().map(|(date, _)| {
            let excepted = if self.counts_windows() { *date } else { local.date() };
            self.not_on(*date).into_iter().chain(self.excepted(excepted)).collect::<Vec<_>>()
        });
        // If several dates have this time, one that is allowed is enough.
        refusals.extend(refusals_of_dates.min_by_key(Vec::len).unwrap_or_default());
        refusals
    }

    /// Returns the rules that prevent every time that the trigger has on `date`. Empty: it has a start on that date.
    pub fn refusals_on(&self, date: Date) -> Vec<RuleRefusal> {
        let Some((from, to)) = day(&self.zone, date) else { return vec![RuleRefusal::NotWritten] };
        self.refusals_between(from, to)
    }

    /// The same of a stretch of time that is about a day, as a date of another zone is.
    pub fn refusals_between(&self, from: Timestamp, to: Timestamp) -> Vec<RuleRefusal> {
        if self.between(from, to).next().is_some() {
            return Vec::new();
        }
        let times = self.without_dates();
        let times = When { from: None, until: None, ..times };
        let mut refusals: Vec<RuleRefusal> = Vec::new();
        for start in times.between(from, to).take(TIMES_MAX) {
            for refusal in self.refusals(start.at) {
                if !refusals.contains(&refusal) {
                    refusals.push(refusal);
                }
            }
        }
        if refusals.is_empty() {
            refusals.extend(self.outside_bounds(from));
            refusals.push(self.not_on(self.zone.to_datetime(from).date()).unwrap_or(RuleRefusal::NotWritten));
        }
        refusals
    }

    fn outside_bounds(&self, at: Timestamp) -> Vec<RuleRefusal> {
        let from = self.from.filter(|from| at < *from).map(RuleRefusal::From);
        let until = self.until.filter(|until| at >= *until).map(RuleRefusal::Until);
        from.into_iter().chain(until).collect()
    }

    /// The same times, on every day.
    fn without_dates(&self) -> When {
        let trigger = match &self.trigger {
            Trigger::At { times, .. } => Trigger::At { times: times.clone(), days: Days::DAILY },
            Trigger::Every { step, between, .. } => Trigger::Every { step: *step, between: *between, days: Days::DAILY },
            other @ (Trigger::Once(_) | Trigger::Cron(_) | Trigger::After(_)) => other.clone(),
        };
        When { trigger, zone: self.zone.clone(), from: None, until: None, except: Arc::new(Dates::default()) }
    }

    /// Returns the dates whose written times, or whose steps, make a start at `at`, without regard to days and
    /// exceptions.
    fn brought_by(&self, at: Timestamp) -> Vec<(Date, Start)> {
        let second = wall::floor(at);
        if let Trigger::Once(_) | Trigger::After(_) = self.trigger {
            let start = self.not_before(at).filter(|start| start.at == at);
            return start.map(|start| (start.written.date(), start)).into_iter().collect();
        }
        let brings = |date: Date| self.first_on(date, second, None).filter(|start| start.at == at).map(|start| (date, start));
        dates_near(&self.zone, at).filter_map(brings).collect()
    }

    /// The window of `every` with `between` that is open at `at`, and the date on which it began: the latest.
    fn window_over(&self, at: Timestamp) -> Option<(Date, Timestamp)> {
        let Trigger::Every { between: Some(between), .. } = self.trigger else { return None };
        let second = wall::floor(at);
        let open = |date: Date| {
            let ((begin, end), _) = window(&self.zone, date, between)?;
            (begin <= second && second < end).then_some((date, wall::timestamp(begin)?))
        };
        dates_near(&self.zone, at).filter_map(open).last()
    }

    /// Whether days and exceptions count by the date on which a window began.
    fn counts_windows(&self) -> bool {
        matches!(self.trigger, Trigger::Every { between: Some(_), .. })
    }

    fn not_on(&self, date: Date) -> Option<RuleRefusal> {
        match &self.trigger {
            Trigger::At { days, .. } | Trigger::Every { days, .. } => {
                let is_weekday = days.weekdays.contains(date.weekday());
                let weeks = days.weeks.filter(|_| !days.is_in_week(date)).map(|weeks| RuleRefusal::Weeks(date, weeks));
                if is_weekday { weeks } else { Some(RuleRefusal::Days(date)) }
            }
            Trigger::Cron(pattern) => {
                let mismatches = pattern.mismatches_of_date(date);
                (!mismatches.is_empty()).then_some(RuleRefusal::CronDate(date, mismatches))
            }
            Trigger::Once(_) | Trigger::After(_) => None,
        }
    }

    fn excepted(&self, date: Date) -> Option<RuleRefusal> {
        self.except.naming(date).map(|range| RuleRefusal::Except(date, range.clone()))
    }

    /// Returns why no time of the trigger is at `at`, which is `local` on its clock.
    fn no_such_time(&self, at: Timestamp, local: DateTime) -> RuleRefusal {
        let first = wall::timestamp(wall::resolve(&self.zone, local).0).filter(|first| *first < at);
        let second_pass = |is_written: bool| first.filter(|_| is_written).map(|first| RuleRefusal::SecondPass { local, first });
        match &self.trigger {
            Trigger::At { times, .. } => second_pass(times.contains(&local.time())).unwrap_or(RuleRefusal::NotWritten),
            Trigger::Once(written) => second_pass(written.contains(&local)).unwrap_or(RuleRefusal::NotWritten),
            Trigger::After(_) => RuleRefusal::NotWritten,
            Trigger::Cron(pattern) => {
                let mismatches = pattern.mismatches_of_time(local.time());
                let second_pass = second_pass(mismatches.is_empty() && pattern.is_fixed_time());
                let unfit =
                    || if mismatches.is_empty() { RuleRefusal::NotWritten } else { RuleRefusal::CronTime(local, mismatches) };
                second_pass.unwrap_or_else(unfit)
            }
            Trigger::Every { between: Some(_), .. } => {
                self.window_over(at).map_or(RuleRefusal::Outside, |(_, begin)| RuleRefusal::BetweenSteps(begin))
            }
            Trigger::Every { between: None, .. } => wall::timestamp(wall::first_instant(&self.zone, local.date()))
                .map_or(RuleRefusal::Outside, RuleRefusal::BetweenSteps),
        }
    }
}

/// The dates that may have a start at `at`, in order.
fn dates_near(zone: &TimeZone, at: Timestamp) -> impl Iterator<Item = Date> {
    let today = zone.to_datetime(at).date();
    (-DATES_BEFORE..=1).filter_map(move |days| today.checked_add(Span::new().days(days)).ok())
}
