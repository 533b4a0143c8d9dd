//! The promise of a reload: of the schedule before and of the one after, every start gets one row, whenever the second was prepared,
//! whenever it was taken up, and however long the loop was away before, between or after.

use std::sync::Arc;

use ingestd::plan::planned;
use ingestd::schedule::{Job, Schedule};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::bench::{at, read};
use crate::rig::Rig;

/// How far ahead starts are armed.
const AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// The fields of a job that starts often, or a few times, about ten o'clock.
fn any_job() -> impl Strategy<Value = String> {
    let second = (0..60_u8, 0..60_u8).prop_map(|(minute, second)| format!("2026-12-01 10:{minute:02}:{second:02}"));
    let trigger = prop_oneof![
        3 => (1..9_u8).prop_map(|seconds| format!("every: {seconds}s")),
        2 => (10..90_u8).prop_map(|seconds| format!("every: {seconds}s")),
        2 => prop::collection::btree_set(second, 1..6)
            .prop_map(|instants| format!("once: [{}]", instants.into_iter().collect::<Vec<_>>().join(", "))),
    ];
    (trigger, prop::sample::select(vec!["1s", "2s", "4s", "20s", "2m", "30m"]))
        .prop_map(|(trigger, length)| format!("{trigger}, for: {length}"))
}

/// Jobs of the names `a`, `b` and `c`, as far as they are there.
fn any_jobs() -> impl Strategy<Value = Vec<Option<String>>> {
    prop::collection::vec(prop::option::weighted(0.7, any_job()), 3)
}

fn schedule(jobs: &[Option<String>]) -> Arc<Schedule> {
    let named = ["a", "b", "c"].iter().zip(jobs).filter_map(|(name, job)| job.as_ref().map(|job| (name, job)));
    let line = |(name, job): (&&str, &String)| format!("  {name}: {{{job}, room: {name}}}\n");
    let text: String = named.map(line).collect();
    read(if text.is_empty() { "  none: {once: 2027-01-01 10:00, for: 1s}\n" } else { &text })
}

fn starts(schedule: &Schedule, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (&str, Timestamp)> {
    schedule.jobs().flat_map(move |job| job.when.between(from, to).map(move |start| (job.id.as_str(), start.at)))
}

/// The newest window of a job, if it is open at `now` and a start could still leave.
fn open_window(job: &Arc<Job>, now: Timestamp) -> Option<Timestamp> {
    let newest = planned(job, job.when.between(now - SignedDuration::from_hours(1), now).last()?);
    let end = newest.end.at().expect("each has an end");
    let length = end.duration_since(newest.start.at);
    let closes = end - (length / 4).min(SignedDuration::from_secs(30));
    (now < closes).then_some(newest.start.at)
}

fn ms(milliseconds: i64) -> SignedDuration {
    SignedDuration::from_millis(milliseconds)
}

/// Milliseconds between two steps: most often short, now and then a stall.
fn any_pause() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1..2_000_i64, 2 => 2_000..6_000_i64, 1 => 6_000..60_000_i64]
}

/// Milliseconds from the preparation of a schedule to its taking up: the last are more than it keeps.
fn any_delay() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 0..3_000_i64, 3 => 3_000..60_000_i64, 1 => 599_000..700_000_i64, 1 => -5_000..0_i64]
}

/// The instant at which a step begins a second, or just before it: where one start ends a stretch and begins the next.
fn rounded(at: Timestamp, how: u8) -> Timestamp {
    match how {
        0 => Timestamp::from_second(at.as_second()).expect("in range"),
        1 => Timestamp::from_second(at.as_second()).expect("in range") + ms(999),
        _ => at,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_start_is_claimed_once_whenever_a_schedule_is_prepared_and_taken_up(
        (before, after) in (any_jobs(), any_jobs()),
        pauses in prop::collection::vec(any_pause(), 0..12),
        delay in any_delay(),
        waits in prop::collection::vec(any_pause(), 0..5),
        (round_prepared, round_taken) in (0..3_u8, 0..3_u8),
    ) {
        // Some jobs stay as they are.
        let after: Vec<_> = after.into_iter().zip(&before).enumerate().map(|(index, (new, old))| if index == 0 { old.clone() } else { new }).collect();
        let (before, after) = (schedule(&before), schedule(&after));
        let begin = at("10:01");
        let mut rig = Rig::begin(Arc::clone(&before), begin);
        let mut now = begin;
        rig.settle();
        for pause in pauses {
            now += ms(pause);
            rig.step(now, Vec::new());
        }
        let prepared_for = rounded(now.max(begin + ms(1_000)), round_prepared);
        let prepared = rig.prepare(&after, prepared_for);
        let taken_up = rounded(prepared_for + ms(delay), round_taken).max(now);
        for wait in waits {
            if now + ms(wait) < taken_up {
                now += ms(wait);
                rig.step(now, Vec::new());
            }
        }
        let had_rows: Vec<_> = starts(&after, begin, taken_up).filter(|(job, start)| rig.row(job, *start).is_some_and(|(count, _)| count == 1)).collect();
        rig.accept(prepared, taken_up);
        rig.settle();
        rig.step(taken_up + ms(150), Vec::new());
        rig.settle();
        let open: Vec<_> = after.jobs().filter_map(|job| open_window(job, taken_up).map(|start| (job.id.as_str(), start))).collect();
        // What was planned and passed is there; what is coming is armed, to the last start of the stretch; what is open is taken up.
        let owed = starts(&before, begin, taken_up).chain(starts(&after, taken_up, taken_up + AHEAD)).chain(open);
        for (job, start) in owed.chain(had_rows) {
            let row = rig.row(job, start);
            prop_assert!(row.as_ref().is_some_and(|(count, _)| *count == 1), "{job} {start}, taken up {taken_up}: {row:?}");
        }
        // And so it goes on, also after a stall.
        let later = taken_up + ms(47_000);
        rig.step(later, Vec::new());
        rig.settle();
        // The backlog stands aside while a start is near.
        rig.step(later + ms(150), Vec::new());
        rig.settle();
        for (job, start) in starts(&after, taken_up, later + AHEAD) {
            let row = rig.row(job, start);
            prop_assert!(row.as_ref().is_some_and(|(count, _)| *count == 1), "{job} {start}, after a stall to {later}: {row:?}");
        }
    }
}

/// Prints, and judges the number of steps alone: `INGESTD_JOBS=100000` for the figures of a large schedule.
#[test]
fn a_suspend_of_a_day_is_gone_over_in_short_steps() {
    let jobs: usize = std::env::var("INGESTD_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(5_000);
    let job = |number: usize| {
        let (hour, minute, second) = (number / 3_600 % 24, number / 60 % 60, number % 60);
        format!("  j{number}: {{at: \"{hour:02}:{minute:02}:{second:02}\", for: 1m, room: r{number}}}\n")
    };
    let schedule = read(&(0..jobs).map(job).collect::<String>());
    let begin = at("00:00") - SignedDuration::from_mins(1);
    let mut rig = Rig::begin(Arc::clone(&schedule), begin);
    rig.settle();
    (rig.longest, rig.now) = (std::time::Duration::ZERO, begin);
    // Between two starts: the backlog stands aside while one is near.
    let woken = begin + SignedDuration::from_hours(24) + ms(500);
    rig.step(woken, Vec::new());
    let steps = rig.settle();
    let longest = rig.longest;
    let search = std::time::Instant::now();
    drop(rig.prepare(&schedule, woken));
    let search = search.elapsed();
    println!("{jobs} jobs, a suspend of a day: {steps} steps, the longest {longest:?}; the whole search at once {search:?}");
    assert!(rig.count() >= jobs, "each has a row");
    assert!(steps > jobs / 2_000, "it goes in pieces");
}
