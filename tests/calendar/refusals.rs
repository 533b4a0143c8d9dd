//! Which rule says no: exactly where the search finds no start, for every trigger in every zone; and which, as a table.

use ingestd::calendar::{RuleRefusal, Weekdays, When, day};
use jiff::civil::{Date, Weekday, date};
use jiff::{SignedDuration, Span, Timestamp};
use proptest::prelude::*;

use super::properties::{range, trigger};
use super::{dates, instant, on_days, when};

/// The first days after `from`, bounds within the range or none, and dates on which it does not run.
fn narrowed() -> impl Strategy<Value = (When, Timestamp, Timestamp)> {
    let bound = || prop::option::of(0..172_800_i64);
    (range(), trigger(), bound(), bound(), prop::collection::vec((-2..4_i64, 0..2_i64), 0..3)).prop_map(
        |((zone, name, from, to), trigger, first, last, except)| {
            let today = zone.to_datetime(from).date();
            let shifted = |days: i64| today.checked_add(Span::new().days(days)).expect("in range");
            let except: Vec<(Date, Date)> =
                except.into_iter().map(|(first, days)| (shifted(first), shifted(first + days))).collect();
            let bound = |seconds: i64| from + SignedDuration::from_secs(seconds);
            let when = When { from: first.map(bound), until: last.map(bound), except: dates(&except), ..when(name, trigger) };
            (when, from, to)
        },
    )
}

/// Every day and without bounds and exceptions: what else may be asked about.
fn widened(when: &When) -> When {
    When { trigger: on_days(when.trigger.clone(), Weekdays::DAILY), from: None, until: None, except: dates(&[]), ..when.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn a_rule_says_no_exactly_where_there_is_no_start(
        (when, from, to) in narrowed(),
        others in prop::collection::vec((0..172_800_i64, prop::sample::select(vec![0_i32, 0, 0, 500_000_000])), 0..20),
    ) {
        let wide = widened(&when);
        let starts = when.between(from, to).chain(wide.between(from, to)).take(200).map(|start| start.at);
        let others = others.into_iter().map(|(seconds, nanoseconds)| from + SignedDuration::new(seconds, nanoseconds));
        for at in starts.chain(others) {
            let is_start = when.not_before(at).is_some_and(|start| start.at == at);
            let refusals = when.refusals(at);
            prop_assert_eq!(refusals.is_empty(), is_start, "{} {:?}", at, refusals);
        }
    }

    #[test]
    fn a_date_without_a_start_has_a_rule_that_says_so((when, from, to) in narrowed()) {
        let mut date = when.zone.to_datetime(from).date();
        while date <= when.zone.to_datetime(to).date() {
            let (first, next) = day(&when.zone, date).expect("in range");
            let has_start = when.between(first, next).next().is_some();
            prop_assert_eq!(when.refusals_on(date).is_empty(), has_start, "{}", date);
            date = date.tomorrow().expect("in range");
        }
    }
}

#[test]
fn the_rule_is_the_one_that_is_meant() {
    let weekdays = Weekdays::DAILY;
    let weekend = Weekdays::NONE.with(Weekday::Saturday).with(Weekday::Sunday);
    for (written, days, at, expected) in [
        ("at 18:00", weekdays, "2026-11-28T17:00Z", "[]"),
        ("at 18:00", weekend, "2026-11-27T17:00Z", "[Days(2026-11-27)]"),
        ("at 18:00", weekend, "2026-11-27T17:01Z", "[Days(2026-11-27), NotWritten]"),
        // The second 02:30 of the night on which Berlin's clocks go back.
        ("at 02:30", weekdays, "2026-10-25T01:30Z", "[SecondPass { local: 2026-10-25T02:30:00, first: 2026-10-25T00:30:00Z }]"),
        (
            "cron 30 2 * * *",
            weekdays,
            "2026-10-25T01:30Z",
            "[SecondPass { local: 2026-10-25T02:30:00, first: 2026-10-25T00:30:00Z }]",
        ),
        ("cron 30 * * * *", weekdays, "2026-10-25T01:30Z", "[]"),
        // The window of Friday night goes by Friday.
        ("every 1800 22:00 02:00", weekend, "2026-11-27T23:30Z", "[Days(2026-11-27)]"),
        ("every 1800 22:00 02:00", weekend, "2026-11-29T00:30Z", "[]"),
        ("every 1800 22:00 02:00", weekend, "2026-11-28T12:00Z", "[Outside]"),
        ("every 1800 22:00 02:00", weekend, "2026-11-28T22:10Z", "[BetweenSteps(2026-11-28T21:00:00Z)]"),
        ("cron 0 9 * * 1", weekdays, "2026-11-24T08:00Z", "[CronDate(2026-11-24, [DayOfWeek])]"),
        (
            "cron 0 9 * * 1",
            weekdays,
            "2026-11-24T08:10Z",
            "[CronDate(2026-11-24, [DayOfWeek]), CronTime(2026-11-24T09:10:00, [Minute])]",
        ),
    ] {
        let when = when("Europe/Berlin", on_days(super::trigger(written), days));
        assert_eq!(format!("{:?}", when.refusals(instant(at))), expected, "{written} at {at}");
    }
}

#[test]
fn bounds_and_exceptions_are_named_before_times() {
    let narrow = When {
        until: Some(instant("2026-11-28T00:00Z")),
        except: dates(&[(date(2026, 11, 28), date(2026, 11, 30))]),
        ..when("UTC", super::trigger("at 18:00"))
    };
    let range = ingestd::calendar::DateRange::from((date(2026, 11, 28), date(2026, 11, 30)));
    let (until, except) = (RuleRefusal::Until(instant("2026-11-28T00:00Z")), RuleRefusal::Except(date(2026, 11, 28), range));
    assert_eq!(narrow.refusals(instant("2026-11-28T18:00Z")), [until.clone(), except.clone()]);
    assert_eq!(narrow.refusals(instant("2026-11-28T18:30Z")), [until.clone(), except.clone(), RuleRefusal::NotWritten]);
    assert_eq!(narrow.refusals_on(date(2026, 11, 28)), [until, except]);
}
