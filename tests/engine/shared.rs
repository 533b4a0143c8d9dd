//! What the engine does on a ledger that hosts share: what the owner before may still send, what the database may have lost, and what a lease
//! that is over holds back.

use std::num::NonZeroU32;
use std::time::Duration;

use ingestd::engine::{
    Blocker, Call, CallReport, ClockReading, DaemonOptions, Engine, Generation, Incoming, Meta, Recovered, Shared, Step, TakenOver,
    Write,
};
use ingestd::lease::LeaseLength;
use ingestd::occurrence::{NotSent, Occurrence, Outcome, State};
use ingestd::trtc::advice::SecretPlaces;
use jiff::{SignedDuration, Timestamp};

use crate::bench::{Rows, at, read};
use crate::rows::{armed, key, on_air};

const JOBS: &str = "  show: {at: \"10:00\", repeat: forever, for: 2h}\n";

fn reading(time: &str) -> ClockReading {
    let wall = at(time);
    let boot = Duration::try_from(wall.duration_since(at("00:00"))).expect("later on that day");
    ClockReading { wall, boot, synchronised: None, synchronised_at: None }
}

/// Takes over with a lease of 15 s.
fn take_over(time: &str, recovered: Recovered, rows_may_be_lost: bool) -> TakenOver {
    let (rate, secrets) = (NonZeroU32::new(20).expect("not zero"), SecretPlaces::default());
    let shared = Some(Shared { lease: LeaseLength::DEFAULT, rows_may_be_lost });
    let options = DaemonOptions { rate, require_sync: false, past: Timestamp::MIN, secrets, shared };
    let accepted = Generation { number: 7, schedule: read(JOBS) };
    let meta = Meta { generation: 7, cursor_generation: 7, ..recovered.meta };
    Engine::take_over(options, reading(time), Recovered { meta, ..recovered }, accepted, Vec::new(), &Rows::default())
}

fn step(engine: &mut Engine, time: &str) -> Step {
    engine.step(Incoming::default(), reading(time), false, &Rows::default())
}

fn has(step: &Step, is_it: impl Fn(&Write) -> bool) -> bool {
    step.writes.list().iter().any(is_it)
}

fn is_attempt(write: &Write) -> bool {
    matches!(write, Write::Attempt { .. })
}

fn is_doubt(write: &Write) -> bool {
    matches!(write, Write::AddDoubt(_))
}

/// The rows of an owner whose lease ended 13 s before `until`.
fn left(occurrences: Vec<Occurrence>, until: &str) -> Recovered {
    let may_still_leave = occurrences.iter().map(|row| (row.key.clone(), at(until))).collect();
    Recovered { occurrences, may_still_leave, ..Recovered::default() }
}

#[test]
fn a_start_that_may_still_arrive_is_repeated_after_that_as_a_doubt() {
    let mut taken = take_over("10:00:20", left(vec![armed("show", at("10:00"))], "10:00:30"), false);
    assert!(has(&taken.step, is_doubt), "{:?}", taken.step.writes);
    assert!(!has(&step(&mut taken.engine, "10:00:20"), is_attempt));
    assert!(taken.engine.next_wake(at("10:00:20")).is_some_and(|wake| wake <= at("10:00:30")));
    assert!(!has(&step(&mut taken.engine, "10:00:29.999"), is_attempt));
    assert!(has(&step(&mut taken.engine, "10:00:30"), is_attempt));
}

#[test]
fn after_a_lease_that_was_given_back_it_is_repeated_at_once() {
    let recovered = Recovered { occurrences: vec![armed("show", at("10:00"))], ..Recovered::default() };
    let mut taken = take_over("10:00:01", recovered, false);
    assert!(has(&taken.step, is_doubt));
    assert!(has(&step(&mut taken.engine, "10:00:01"), is_attempt));
}

#[test]
fn a_start_whose_instant_came_after_the_owner_was_silent_never_left() {
    let taken = take_over("10:00:20", left(vec![armed("show", at("10:00"))], "10:00:13"), false);
    assert!(!has(&taken.step, is_doubt), "{:?}", taken.step.writes);
    assert!(has(&taken.step, |write| matches!(write, Write::Rearm { .. })));
    assert_eq!(taken.maybe_sent, 0);
}

#[test]
fn another_start_of_that_robot_waits_too() {
    let mut other = armed("other", at("10:00:25"));
    other.playout.robot = "show".to_owned();
    let recovered = left(vec![armed("show", at("10:00")), other.clone()], "10:00:30");
    let mut taken = take_over("10:00:20", recovered, false);
    let begun = |engine: &mut Engine| engine.begin_start(&other.key, 1).expect("it is wanted").blocker;
    assert_eq!(begun(&mut taken.engine), Blocker::SameRobot);
    step(&mut taken.engine, "10:00:29");
    let free = step(&mut taken.engine, "10:00:30");
    assert!(free.calls.contains(&Call::Block { call: 1, blocker: Blocker::Nothing }), "{:?}", free.calls);
}

#[test]
fn what_is_open_without_a_row_is_a_doubt_where_rows_may_be_lost() {
    let lost = || Recovered { meta: Meta { cursor: Some(at("09:59:50")), ..Meta::default() }, ..Recovered::default() };
    let taken = take_over("10:00:20", lost(), true);
    assert!(has(&taken.step, is_doubt) && has(&taken.step, is_attempt), "{:?}", taken.step.writes);
    assert!(has(&taken.step, |write| matches!(write, Write::Record(row) if row.in_doubt && row.was_in_doubt && row.joined)));
    assert!(!has(&take_over("10:00:20", lost(), false).step, is_doubt));
    // What began before the last that is known had its row, or was not owed.
    let settled = Recovered { meta: Meta { cursor: Some(at("10:00:10")), ..Meta::default() }, ..Recovered::default() };
    assert!(!has(&take_over("10:00:20", settled, true).step, is_doubt));
}

#[test]
fn a_start_is_armed_the_lease_and_5_s_before_its_instant() {
    let mut taken = take_over("09:59:39", Recovered::default(), false);
    assert!(!has(&step(&mut taken.engine, "09:59:39.999"), is_attempt));
    assert!(has(&step(&mut taken.engine, "09:59:40"), is_attempt));
}

#[test]
fn what_a_lease_that_is_over_holds_back_waits_and_is_not_missed() {
    let mut taken = take_over("09:59:50", Recovered::default(), false);
    let armed = step(&mut taken.engine, "09:59:50");
    let call =
        armed.writes.list().iter().find_map(|write| if let Write::Attempt { call, .. } = write { Some(*call) } else { None });
    let (key, call) = (key("show", at("10:00")), call.or(Some(1)).expect("a row"));
    taken.engine.begin_start(&key, call).expect("it is wanted");
    taken.engine.set_lease_over(true);
    let reports = vec![CallReport::Unsent { key: key.clone(), call, reason: NotSent::LeaseOver }];
    let unsent = taken.engine.step(Incoming { reports, ..Incoming::default() }, reading("10:00"), false, &Rows::default());
    let waits =
        |write: &Write| matches!(write, Write::Update(row) if matches!(row.state, State::Waiting { .. }) && row.attempts == 0);
    assert!(has(&unsent, waits), "{:?}", unsent.writes);
    assert!(!has(&step(&mut taken.engine, "10:00:01"), is_attempt));
    taken.engine.set_lease_over(false);
    assert!(has(&step(&mut taken.engine, "10:00:02"), is_attempt));
    let missed =
        |write: &Write| matches!(write, Write::Update(row) if matches!(row.state, State::Done { outcome: Outcome::Missed(_) }));
    assert!(!has(&unsent, missed));
}

#[test]
fn the_clock_of_the_host_before_may_have_been_ahead_by_a_second() {
    let start = at("10:00");
    let recovered = |row| {
        let meta = Meta { committed_at: Some(at("09:59:50.900")), ..Meta::default() };
        Recovered { meta, occurrences: vec![row], ..Recovered::default() }
    };
    let taken = take_over("09:59:50", recovered(armed("show", start)), false);
    assert!(!has(&taken.step, is_doubt), "{:?}", taken.step.writes);
    let near = take_over("09:59:59.500", recovered(armed("show", start)), false);
    assert!(has(&near.step, is_doubt), "after a release what is armed was sent by the clock of then");
    let sent = Occurrence { tried_at: Some(start + SignedDuration::from_millis(800)), ..on_air("show", start) };
    let just = Recovered { occurrences: vec![sent], ..Recovered::default() };
    assert_eq!(take_over("10:00:00.200", just, false).maybe_sent, 1);
    let slow = Occurrence { tried_at: Some(start), on_air_at: Some(start + SignedDuration::from_secs(3)), ..on_air("show", start) };
    let arrived = Recovered { occurrences: vec![slow], ..Recovered::default() };
    assert_eq!(take_over("10:00:04", arrived, false).maybe_sent, 1, "it arrived when it was answered at the latest");
}
