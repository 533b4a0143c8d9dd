//! Random schedules: the check finds what the oracle finds, although it looks at little of the time ahead.

use ingestd::plan::conflicts::check_conflicts;
use jiff::Timestamp;
use proptest::prelude::*;

use super::oracle::clashes;
use super::{NOW, instant, jobs};

/// Schedules of each kind. Thousands of each were looked at before it came down to these.
const CASES: u32 = 100;

const MODES: [&str; 6] = ["reject", "reject", "reject", "preempt", "yield", "allow"];

/// Times that meet each other often, and clock changes too.
fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..6_u8, prop::sample::select(vec![0_u8, 30])).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}")),
        2 => (0..24_u8).prop_map(|hour| format!("{hour:02}:00")),
        1 => (0..24_u8, 0..60_u8, 0..60_u8).prop_map(|(hour, minute, second)| format!("{hour:02}:{minute:02}:{second:02}")),
    ]
}

/// A date near the next year's clock changes in New York, or any of the 400 days.
fn date() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => (12..17_u8).prop_map(|day| format!("2027-03-{day:02}")),
        1 => (5..9_u8).prop_map(|day| format!("2027-11-{day:02}")),
        1 => (1..29_u8).prop_map(|day| format!("2026-11-{day:02}")),
        2 => (1..13_u8, 1..29_u8).prop_map(|(month, day)| format!("2027-{month:02}-{day:02}")),
    ]
}

fn days() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", ", days: mon..fri", ", days: [sat, sun]", ", days: sun", ", days: tue"])
}

/// `at` and `once`: of these it is known what was written.
fn fixed() -> BoxedStrategy<String> {
    prop_oneof![
        4 => (prop::collection::btree_set(time(), 1..3), days()).prop_map(|(times, days)| {
            let times: Vec<_> = times.iter().map(|time| format!("\"{time}\"")).collect();
            format!("at: [{}]{days}", times.join(", "))
        }),
        1 => prop::collection::btree_set((date(), time()), 1..4).prop_map(|instants| {
            let instants: Vec<_> = instants.iter().map(|(date, time)| format!("{date} {time}")).collect();
            format!("once: [{}]", instants.join(", "))
        }),
    ]
    .boxed()
}

/// Follows the job that is named before it.
const AFTER: &str = "after: BEFORE";

/// The jobs with the names of those that they follow, if they can.
fn linked(written: &[String]) -> Vec<String> {
    let mut linked: Vec<String> = Vec::new();
    for (index, fields) in written.iter().enumerate() {
        let ends = index
            .checked_sub(1)
            .is_some_and(|before| !["to: never", "live: false"].iter().any(|end| written[before].contains(end)));
        linked.push(match fields.strip_prefix(AFTER) {
            None => fields.clone(),
            Some(rest) if ends => {
                // It has the dates of the other.
                let dates = [", from:", ", until:", ", except:"].iter().filter_map(|dates| rest.find(dates)).min();
                format!("after: job-{}{}", index - 1, &rest[..dates.unwrap_or(rest.len())])
            }
            Some(rest) => format!("at: \"02:30\"{rest}"),
        });
    }
    linked
}

fn any_trigger() -> BoxedStrategy<String> {
    prop_oneof![
        2 => fixed(),
        1 => (5..24_u8, days()).prop_map(|(hours, days)| format!("every: {hours}h{days}")),
        1 => (1..9_u8, time(), time(), days())
            .prop_filter("a window", |(_, begin, end, _)| begin != end)
            .prop_map(|(hours, begin, end, days)| format!("every: {hours}h, between: \"{begin}..{end}\"{days}")),
        1 => (0..60_u8, 0..6_u8, prop::sample::select(vec!["* * *", "* * SUN", "1 * *", "*/9 * *", "1-7 * MON"]))
            .prop_map(|(minute, hour, days)| format!("cron: \"{minute} {hour} {days}\"")),
        1 => (0..60_u8, 3..12_u8, prop::sample::select(vec!["* * *", "* * SAT,SUN", "14 * *"]))
            .prop_map(|(minute, step, days)| format!("cron: \"{minute} */{step} {days}\"")),
        // So many odd dates that they are not looked at each.
        2 => (0..60_u8, 1..7_u8, prop::sample::select(vec!["1-15 * *", "16-31 * *", "*/3 * *", "* 1-6 *", "* 7-12 MON-FRI", "8-14 * WED"]))
            .prop_map(|(minute, step, days)| format!("cron: \"{minute} */{step} {days}\"")),
        1 => Just(AFTER.to_owned()),
    ]
    .boxed()
}

fn end() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (1..30_u32).prop_map(|half_hours| format!("for: {}m", half_hours * 30)),
        2 => time().prop_map(|time| format!("to: \"{time}\"")),
        2 => (1..4_u8, 1..300_u32).prop_map(|(times, length)| format!("length: {length}m, repeat: {times}")),
        1 => (1..5_u8).prop_map(|seconds| format!("for: {seconds}s")),
        1 => (20..30_u32).prop_map(|hours| format!("for: {hours}h")),
        1 => (2..25_u32).prop_map(|days| format!("for: {days}d")),
        1 => Just("live: false".to_owned()),
        1 => Just("to: never".to_owned()),
    ]
}

fn rest() -> impl Strategy<Value = String> {
    let robot = prop::sample::select(vec!["{job}", "{job}", "announcer", "{job}-{start}", "x-{start}"]);
    let bounds = prop_oneof![
        5 => Just(String::new()),
        1 => date().prop_map(|date| format!(", from: {date}")),
        1 => date().prop_map(|date| format!(", until: {date}")),
        1 => (date(), date()).prop_map(|(one, other)| format!(", except: [{one}, {other}, 2027-04-01..2027-09-30]")),
    ];
    (prop::sample::select(MODES.to_vec()), robot, bounds)
        .prop_map(|(mode, robot, bounds)| format!("conflict: {mode}, robot: \"{robot}\"{bounds}"))
}

fn job(trigger: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    (trigger, end(), rest()).prop_map(|(trigger, end, rest)| format!("{trigger}, {end}, {rest}"))
}

/// A clash as the check finds it: the jobs in order, whether a clock change makes it, and when.
type Reported = ((String, String), bool, Timestamp);

fn reported(zone: &str, written: &[String], zones: &[&str], one_clock: bool) -> Option<(Vec<Reported>, Vec<Reported>)> {
    let written = linked(written);
    let named: Vec<_> = written.iter().enumerate().map(|(index, fields)| (format!("job-{index}"), fields)).collect();
    let fields: Vec<_> = named
        .iter()
        .zip(zones.iter().cycle())
        .map(|((id, fields), zone)| {
            (id.as_str(), if zone.is_empty() { (*fields).clone() } else { format!("{fields}, timezone: {zone}") })
        })
        .collect();
    let fields: Vec<_> = fields.iter().map(|(id, fields)| (*id, fields.as_str())).collect();
    let schedule = jobs(zone, &fields);
    let expected = clashes(&schedule, instant(NOW), one_clock)?;
    let expected = expected.into_iter().map(|(pair, found)| (pair, found.real.is_none(), found.real.unwrap_or(found.first)));
    let conflicts = check_conflicts(&schedule, instant(NOW));
    assert!(!conflicts.more && conflicts.short.is_none());
    let mut reported: Vec<Reported> = conflicts
        .clashes
        .iter()
        .map(|clash| {
            let mut ids = [clash.earlier.job.id.to_string(), clash.later.job.id.to_string()];
            ids.sort_unstable();
            let [one, other] = ids;
            ((one, other), clash.by_clock_change, clash.starts_at())
        })
        .collect();
    reported.sort();
    Some((expected.collect(), reported))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    /// Where no clock changes, every kind of trigger.
    #[test]
    fn without_clock_changes_what_is_found_is_what_the_oracle_finds(written in prop::collection::vec(job(any_trigger()), 1..5)) {
        if let Some((expected, reported)) = reported("Asia/Shanghai", &written, &["", "UTC"], false) {
            prop_assert_eq!(reported, expected);
        }
    }

    /// Where clocks change, triggers of which it is known what was written.
    #[test]
    fn clashes_that_clock_changes_make_are_marked(written in prop::collection::vec(job(fixed()), 1..5)) {
        if let Some((expected, reported)) = reported("America/New_York", &written, &[""], true) {
            prop_assert_eq!(reported, expected);
        }
    }

    /// Every kind of trigger, in zones that change their clocks on different days, or by half an hour: the same jobs clash.
    #[test]
    fn no_clash_is_lost_at_clock_changes(written in prop::collection::vec(job(any_trigger()), 1..5)) {
        if let Some((expected, reported)) = reported("America/New_York", &written, &["", "Europe/Dublin", "", "Australia/Lord_Howe"], false) {
            let pairs = |reported: &[Reported]| reported.iter().map(|(pair, _, _)| pair.clone()).collect::<Vec<_>>();
            prop_assert_eq!(pairs(&reported), pairs(&expected));
        }
    }
}
