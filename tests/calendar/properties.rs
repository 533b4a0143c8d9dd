//! What must hold for every trigger in every zone: order, bounds, no start lost at a seam, and the same starts as a model that
//! looks at every single minute or step. The model asks jiff and croner directly and shares no code with the search.

use std::collections::BTreeSet;
use std::time::Duration;

use ingestd::calendar::{CronPattern, Days, Start, Trigger, Weekdays, Weeks, When};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};
use proptest::prelude::*;

use super::{dates, when, zone};

/// Zones with a clock change that is odd in some way, and an instant near it.
const CHANGES: [(&str, &str); 16] = [
    ("America/New_York", "2026-03-08T07:00Z"),
    ("America/New_York", "2026-11-01T06:00Z"),
    ("Europe/Dublin", "2026-03-29T01:00Z"),
    ("Europe/Dublin", "2026-10-25T01:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),
    ("America/Sao_Paulo", "2018-02-18T02:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00Z"),
    ("Africa/Casablanca", "2026-03-22T02:00Z"),
    ("Antarctica/Troll", "2026-03-29T01:00Z"),
    ("Antarctica/Troll", "2026-10-25T01:00Z"),
    ("America/Scoresbysund", "2026-03-29T01:00Z"),
    ("America/St_Johns", "2010-11-07T02:31Z"),
    ("America/Havana", "2024-11-03T05:00Z"),
    ("Asia/Shanghai", "2026-11-22T10:00Z"),
];

/// A clock change, and a range of up to two days that begins up to a day and a half before it.
pub(super) fn range() -> impl Strategy<Value = (TimeZone, &'static str, Timestamp, Timestamp)> {
    (0..CHANGES.len(), -129_600..43_200_i64, 1..172_800_i64).prop_map(|(change, shift, length)| {
        let (name, at) = CHANGES[change];
        let from = at.parse::<Timestamp>().expect("in range").as_second() + shift;
        let instant = |seconds| Timestamp::from_second(seconds).expect("in range");
        (zone(name), name, instant(from), instant(from + length))
    })
}

fn time() -> impl Strategy<Value = Time> {
    // Quarters of the hours near midnight and near the usual changes more often than others.
    let quarter =
        (prop_oneof![0..4_i8, Just(23_i8), 0..24_i8], 0..4_i8).prop_map(|(hour, quarter)| Time::constant(hour, quarter * 15, 0, 0));
    let any = (0..24_i8, 0..60_i8, 0..60_i8).prop_map(|(hour, minute, second)| Time::constant(hour, minute, second, 0));
    prop_oneof![3 => quarter, 1 => any]
}

fn days() -> impl Strategy<Value = Days> {
    let weekdays = prop_oneof![Just(127_u8), 1..128_u8].prop_map(|bits| {
        let days = super::WEEK.into_iter().filter(|day| bits & (1 << day.to_monday_zero_offset()) != 0);
        days.fold(Weekdays::NONE, Weekdays::with)
    });
    let weeks = prop_oneof![
        3 => Just(None),
        1 => (1..5_u8, 0..60_i64).prop_map(|(step, days)| Weeks::new(step, FIRST_WEEK.checked_add(Span::new().days(days)).expect("in range")))
    ];
    (weekdays, weeks).prop_map(|(weekdays, weeks)| Days { weekdays, weeks })
}

/// From around here on the weeks are counted.
const FIRST_WEEK: Date = Date::constant(2024, 2, 20);

/// Whether a date is one of the days: by its weekday, and by the number of Mondays since the first week.
fn is_on(days: Days, date: Date) -> bool {
    let Some(weeks) = days.weeks else { return days.weekdays.contains(date.weekday()) };
    let monday = |date: Date| date.tomorrow().expect("in range").nth_weekday(-1, jiff::civil::Weekday::Monday).expect("in range");
    let apart = monday(date).since((jiff::Unit::Day, monday(weeks.monday()))).expect("in range").get_days();
    days.weekdays.contains(date.weekday()) && apart % (7 * i32::from(weeks.step())) == 0
}

fn cron_text() -> impl Strategy<Value = String> {
    let minute = prop_oneof![
        Just("*".to_owned()),
        (1..40_u8).prop_map(|step| format!("*/{step}")),
        (0..60_u8).prop_map(|at| at.to_string()),
        (0..30_u8, 30..60_u8).prop_map(|(first, second)| format!("{first},{second}"))
    ];
    let hour = prop_oneof![
        Just("*".to_owned()),
        (1..6_u8).prop_map(|step| format!("*/{step}")),
        (0..24_u8).prop_map(|at| at.to_string()),
        Just("0-4".to_owned()),
        Just("1,2,23".to_owned()),
        Just("0-23/2".to_owned())
    ];
    let day = prop_oneof![3 => Just("*"), 1 => Just("*/2"), 1 => Just("L"), 1 => Just("1-15")];
    let weekday = prop_oneof![3 => Just("*"), 1 => Just("SAT-SUN"), 1 => Just("*/2"), 1 => Just("7L")];
    (minute, hour, day, weekday).prop_map(|(minute, hour, day, weekday)| format!("{minute} {hour} {day} * {weekday}"))
}

pub(super) fn trigger() -> impl Strategy<Value = Trigger> {
    let step = prop_oneof![Just(60_u64), Just(900), Just(3600), 40..20_000_u64].prop_map(Duration::from_secs);
    let times = prop::collection::btree_set(time(), 1..5).prop_map(|times| times.into_iter().collect());
    prop_oneof![
        (times, days()).prop_map(|(times, days)| Trigger::At { times, days }),
        cron_text().prop_map(|text| Trigger::Cron(CronPattern::parse(&text).expect("in range").into())),
        (step, prop::option::of((time(), time())), days()).prop_map(|(step, between, days)| Trigger::Every { step, between, days }),
    ]
}

/// The dates near a range.
fn dates_near(zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Date> {
    let shifted = |at, days: i64| zone.to_datetime(at).date().checked_add(Span::new().days(days)).expect("in range");
    shifted(from, -3).series(Span::new().days(1)).take_while(|date| *date <= shifted(to, 3)).collect()
}

fn compatible(zone: &TimeZone, written: DateTime) -> Timestamp {
    zone.to_ambiguous_timestamp(written).compatible().expect("in range")
}

/// The end of the gap that `written` is in.
fn gap_end(zone: &TimeZone, written: DateTime) -> Timestamp {
    zone.following(zone.to_ambiguous_timestamp(written).earlier().expect("in range")).next().expect("in range").timestamp()
}

fn model_of_cron(text: &str, zone: &TimeZone, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    let fields: Vec<&str> = text.split(' ').collect();
    let both_days = fields[2].starts_with('*') || fields[4].starts_with('*');
    let cron = croner::parser::CronParser::builder().dom_and_dow(both_days).build().parse(text).expect("in range");
    let matches = |written: DateTime| cron.is_time_matching(&written).expect("in range");
    if fields[0].starts_with('*') || fields[1].starts_with('*') {
        let first = Timestamp::from_second(from.as_second().div_euclid(60) * 60).expect("in range");
        return first
            .series(Span::new().minutes(1))
            .take_while(|at| *at < to)
            .filter(|at| *at >= from && matches(zone.to_datetime(*at)))
            .collect();
    }
    let minutes =
        dates_near(zone, from, to).into_iter().flat_map(|date| date.at(0, 0, 0, 0).series(Span::new().minutes(1)).take(1440));
    let starts = minutes.filter(|written| matches(*written)).map(|written| match zone.to_ambiguous_timestamp(written).offset() {
        AmbiguousOffset::Gap { .. } => gap_end(zone, written),
        _ => compatible(zone, written),
    });
    starts.filter(|at| (from..to).contains(at)).collect()
}

fn model_of_every(
    zone: &TimeZone,
    step: Duration,
    between: Option<(Time, Time)>,
    days: Days,
    from: Timestamp,
    to: Timestamp,
) -> BTreeSet<Timestamp> {
    let mut starts = BTreeSet::new();
    for date in dates_near(zone, from, to).into_iter().filter(|date| is_on(days, *date)) {
        let next = date.tomorrow().expect("in range");
        let first_instant = |date: Date| match zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).offset() {
            AmbiguousOffset::Gap { .. } => gap_end(zone, date.at(0, 0, 0, 0)),
            _ => compatible(zone, date.at(0, 0, 0, 0)),
        };
        let (begin, end) = match between {
            None => (first_instant(date), first_instant(next)),
            Some((first, last)) => {
                let (written, written_end) = (date.to_datetime(first), if last > first { date } else { next }.to_datetime(last));
                let (begin, end) = (compatible(zone, written), compatible(zone, written_end));
                (begin, if end > begin { end } else { begin + written.duration_until(written_end) })
            }
        };
        let steps = std::iter::successors(Some(begin), |at| at.checked_add(step).ok());
        starts.extend(steps.take_while(|at| *at < end).filter(|at| (from..to).contains(at)));
    }
    starts
}

/// Every start of the range by looking at all there could be.
fn model(when: &When, from: Timestamp, to: Timestamp) -> BTreeSet<Timestamp> {
    match &when.trigger {
        Trigger::At { times, days } => {
            let on = dates_near(&when.zone, from, to).into_iter().filter(|date| is_on(*days, *date));
            let written = on.flat_map(|date| times.iter().map(move |time| date.to_datetime(*time)));
            written.map(|written| compatible(&when.zone, written)).filter(|at| (from..to).contains(at)).collect()
        }
        Trigger::Cron(pattern) => model_of_cron(pattern.text(), &when.zone, from, to),
        Trigger::Every { step, between, days } => model_of_every(&when.zone, *step, *between, *days, from, to),
        Trigger::Once(_) | Trigger::After(_) => unreachable!("no strategy makes it"),
    }
}

fn instants(starts: impl Iterator<Item = Start>) -> Vec<Timestamp> {
    starts.map(|start| start.at).collect()
}

/// Where two lists part: thousands of starts are no message.
fn first_difference<T: Copy + PartialEq>(left: &[T], right: &[T]) -> Option<(usize, Option<T>, Option<T>)> {
    let at = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    (left.len() != right.len() || at < left.len()).then(|| (at, left.get(at).copied(), right.get(at).copied()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_starts_are_those_of_the_model((_, name, from, to) in range(), trigger in trigger()) {
        let when = when(name, trigger);
        let starts = instants(when.between(from, to));
        let expected: Vec<_> = model(&when, from, to).into_iter().collect();
        prop_assert_eq!(first_difference(&starts, &expected), None);
    }

    #[test]
    fn a_range_split_anywhere_has_the_same_starts((_, name, from, to) in range(), trigger in trigger(), part in 0.0..1.0_f64) {
        let when = when(name, trigger);
        let nanoseconds = to.duration_since(from).mul_f64(part);
        let middle = from.checked_add(nanoseconds).expect("in range");
        let whole: Vec<Start> = when.between(from, to).collect();
        let parts: Vec<Start> = when.between(from, middle).chain(when.between(middle, to)).collect();
        prop_assert!(whole.is_sorted_by(|left, right| left.at < right.at));
        prop_assert_eq!(first_difference(&whole, &parts), None);
        // From the middle on, one by one.
        let rest = whole.iter().find(|start| start.at > middle).copied();
        let next = when.next_after(middle);
        prop_assert!(next.is_none_or(|next| next.at > middle));
        prop_assert_eq!(rest, next.filter(|next| next.at < to));
        prop_assert_eq!(when.after(middle).next(), next);
        // And back.
        let before = whole.iter().rfind(|start| start.at < middle).copied();
        let latest = when.latest_before(middle);
        prop_assert_eq!(before, latest.filter(|latest| latest.at >= from));
        prop_assert!(latest.is_none_or(|latest| latest.at < middle));
    }

    #[test]
    fn every_start_keeps_to_its_bounds((zone, name, from, to) in range(), trigger in trigger(), bounds in (0..86_400_i64, 0..86_400_i64), excepted in 0..4_i64) {
        let mut when = when(name, trigger);
        let free: Vec<Start> = when.between(from, to).collect();
        let (first, last) = (from + Span::new().seconds(bounds.0), to - Span::new().seconds(bounds.1));
        let date = zone.to_datetime(from).date().checked_add(Span::new().days(excepted)).expect("in range");
        (when.from, when.until) = (Some(first), Some(last));
        when.except = dates(&[(date, date)]);
        let kept: Vec<Start> = when.between(from, to).collect();
        let expected: Vec<Start> = free.into_iter().filter(|start| (first..last).contains(&start.at)).collect();
        if matches!(when.trigger, Trigger::Every { between: Some(_), .. }) {
            // Windows that began on the excepted date are left out, and no other start.
            let (kept, expected) = (instants(kept.into_iter()), instants(expected.into_iter()));
            prop_assert!(kept.iter().all(|at| expected.contains(at)));
            let began_elsewhere = |at: &&Timestamp| {
                let on = zone.to_datetime(**at).date();
                on != date && on != date.tomorrow().expect("in range") && on.yesterday().expect("in range") != date.tomorrow().expect("in range")
            };
            prop_assert!(expected.iter().filter(began_elsewhere).all(|at| kept.contains(at)));
        } else {
            let expected: Vec<Start> = expected.into_iter().filter(|start| zone.to_datetime(start.at).date() != date).collect();
            prop_assert_eq!(first_difference(&kept, &expected), None);
        }
    }
}
