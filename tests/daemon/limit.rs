//! A hundred starts at one instant: all on air, and not one over the limit of a second, whatever connections cost. How long it
//! takes is printed, not judged.

use std::time::Duration;

use ingestd::sandbox::{Answered, FaultEffect, FaultRule};
use ingestd::trtc::Action;

use super::rig::{Rig, once, soon, wait_for, wait_until};

const STARTS: usize = 100;

fn hundred_at_once(what: &str, faults: Vec<FaultRule>) {
    let rig = Rig::new(faults);
    let start = soon(3);
    let job = |number| {
        format!(
            "  j{number:03}: {{ once: {}, for: 1m, room: {number}, stream: https://cdn.example.com/a.mp4, length: 1m }}\n",
            once(start)
        )
    };
    rig.jobs(&(1..=STARTS).map(job).collect::<String>());
    let daemon = rig.started();
    let rows = wait_until("all are on air", || {
        let rows = rig.rows();
        (rows.len() == STARTS && rows.iter().all(|row| row.on_air_at.is_some())).then_some(rows)
    });
    let starts: Vec<_> = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest").collect();
    assert_eq!(rig.sandbox.rejections(), 0);
    assert_eq!(starts.len(), STARTS, "one request for each");
    assert!(starts.iter().all(|arrival| arrival.answered == Answered::Ok));
    assert!(rows.iter().all(|row| row.attempts == 1 && !row.was_in_doubt));
    let (first, last) = (starts.first().expect("a hundred").at, starts.last().expect("a hundred").at);
    let after = |at: jiff::Timestamp| at.duration_since(start).as_millis();
    println!(
        "{STARTS} starts at one instant, {what}: the first arrived after {} ms, the last after {} ms",
        after(first),
        after(last)
    );
    daemon.stop();
}

#[test]
fn a_hundred_starts_at_one_instant_are_all_on_air_and_none_is_over_the_limit() {
    hundred_at_once("warm", Vec::new());
}

#[test]
fn after_an_outage_a_hundred_starts_are_on_air_without_waiting_for_their_backoff() {
    let rig = Rig::new(vec![FaultRule::error("InternalError").action(Action::Start)]);
    let start = soon(3);
    let job = |number| {
        let once = once(start);
        format!("  j{number:03}: {{ once: {once}, for: 5m, room: {number}, stream: https://cdn.example.com/a.mp4, length: 5m }}\n")
    };
    rig.jobs(&(1..=STARTS).map(job).collect::<String>());
    let daemon = rig.started();
    // Long enough that most wait for 10 s and more.
    wait_for(start + Duration::from_secs(20));
    rig.sandbox.clear_faults();
    let back = jiff::Timestamp::now();
    wait_until("all are on air", || {
        let rows = rig.rows();
        (rows.len() == STARTS && rows.iter().all(|row| row.on_air_at.is_some())).then_some(())
    });
    let accepted = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.answered == Answered::Ok && arrival.effect);
    let last = accepted.filter(|arrival| arrival.action == "StartStreamIngest").map(|arrival| arrival.at).max().expect("a hundred");
    let took = last.duration_since(back).as_millis();
    println!("{STARTS} starts after an outage of 20 s: the last arrived {took} ms after its end");
    assert_eq!(rig.sandbox.rejections(), 0);
    assert!(took < 12_000, "{took} ms: the backoff alone would be 15 s and more");
    daemon.stop();
}

#[test]
fn connections_that_are_slow_to_open_change_nothing_about_it() {
    hundred_at_once("each connection 150 ms away", vec![FaultRule::new(FaultEffect::ColdDelay(Duration::from_millis(150)))]);
}
