//! An endpoint that fails for everybody, and works again: how long it takes until everything is on air.

use std::fmt::Write as _;

use ingestd::trtc::{Action, Fault};
use jiff::{SignedDuration, Timestamp};

use crate::story::{InjectedFault, Story, at, refused};

const STARTS: usize = 100;

fn jobs() -> String {
    (0..STARTS).fold(String::new(), |mut jobs, number| {
        writeln!(jobs, "  j{number:03}: {{at: '10:00', for: 1h, repeat: forever, room: r{number}}}")
            .expect("a string takes everything");
        jobs
    })
}

/// How long a slot is held: the answer comes after 20 ms, and then the vendor's second passes.
const HELD: SignedDuration = SignedDuration::from_millis(1_020);

const RATE: usize = 20;

/// When each start left that was accepted, and each that was not.
fn sent(story: &Story) -> (Vec<Timestamp>, Vec<Timestamp>) {
    let sent = story.sent();
    let starts = sent.iter().filter(|line| line.contains(" start "));
    let (accepted, refused): (Vec<&String>, Vec<&String>) = starts.partition(|line| line.contains(": t-"));
    let times = |lines: Vec<&String>| lines.iter().map(|line| at(line.split_once(' ').expect("a time").0)).collect();
    (times(accepted), times(refused))
}

/// When the last of all starts can leave at the earliest, if all wait at `from`: each slot that is used already is free again when its
/// second has passed.
fn earliest_last(from: Timestamp, used: &[Timestamp]) -> Timestamp {
    let mut free: Vec<_> = used.iter().map(|sent| *sent + HELD).filter(|free| *free > from).collect();
    free.resize(RATE, from);
    let mut last = from;
    for _ in 0..STARTS {
        free.sort_unstable();
        last = free[0];
        free[0] = last + HELD;
    }
    last
}

/// Lets every start fail so from 10:00 on, until 10:01. Returns how long the last one took from there, and how long the limiter needs.
async fn after_an_outage(fault: Fault) -> (f64, f64) {
    let story = Story::begin("09:59", &jobs());
    // A connection that never came about uses no slot.
    let uses_slots = !matches!(fault, Fault::Connect(_));
    story.inject_fault(InjectedFault { action: Action::Start, of: "", fault, effect: false, times: usize::MAX });
    story.until("10:01").await;
    story.cloud().injected_faults.clear();
    story.until("10:02").await;
    let (accepted, refused) = sent(&story);
    assert_eq!((accepted.len(), story.on_air().len()), (STARTS, STARTS));
    let since_it_works = |at: Timestamp| at.duration_since(self::at("10:01")).as_secs_f64();
    let needs = earliest_last(at("10:01"), if uses_slots { &refused } else { &[] });
    (since_it_works(accepted[STARTS - 1]), since_it_works(needs))
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_everything_is_on_air_as_fast_as_the_limiter_allows() {
    let rejected = |code: &str| Fault::Rejected { code: code.to_owned(), message: String::new() };
    for fault in
        [rejected("InternalError"), rejected("ServiceUnavailable"), Fault::Connect("refused".to_owned()), Fault::Status(503)]
    {
        let (took, needs) = after_an_outage(fault.clone()).await;
        let times = took / needs;
        println!(
            "{STARTS} starts after an outage of 60 s ({fault:?}): {took:.2} s; the limiter needs {needs:.2} s: {times:.2} times that"
        );
        assert!(times <= 1.1, "{fault:?}: {took} s, the limiter needs {needs} s");
    }
}

#[tokio::test(start_paused = true)]
async fn where_some_starts_are_accepted_each_keeps_its_own_backoff() {
    // One show is accepted each second, so that the endpoint is not down: the others fail for themselves.
    let mut jobs = String::from("  fails: {at: '10:00', for: 1h, repeat: forever, room: hall}\n");
    for second in 0..50 {
        writeln!(jobs, "  s{second}: {{at: '10:00:{second:02}', for: 1h, repeat: forever, room: r{second}}}").expect("a string");
    }
    let story = Story::begin("09:59", &jobs);
    story.inject_fault(refused(Action::Start, "fails", "InternalError", usize::MAX));
    story.until("10:00:50").await;
    let tries = story.sent().iter().filter(|line| line.contains("start fails")).count();
    assert!((4..14).contains(&tries), "{tries} tries");
}
