//! What the engine knows of the requests that a daemon sent before it.

use std::num::NonZeroU32;
use std::time::Duration;

use ingestd::engine::{ClockReading, DaemonOptions, Engine, Generation, Recovered};
use ingestd::occurrence::{Occurrence, State};
use ingestd::trtc::advice::SecretPlaces;
use jiff::{SignedDuration, Timestamp};

use crate::bench::{Rows, at, read};
use crate::rows::{armed, on_air};

/// How many starts count against the rate when these rows are taken over at 10:00:01.
fn maybe_sent(occurrences: Vec<Occurrence>) -> usize {
    let (rate, secrets) = (NonZeroU32::new(20).expect("not zero"), SecretPlaces::default());
    let options = DaemonOptions { rate, require_sync: false, past: Timestamp::MIN, secrets, shared: None };
    let reading = ClockReading { wall: at("10:00:01"), boot: Duration::from_hours(1), synchronised: None, synchronised_at: None };
    let accepted = Generation { number: 1, schedule: read("  show: {at: \"10:00\", for: 2h}\n") };
    let recovered = Recovered { occurrences, ..Recovered::default() };
    Engine::take_over(options, reading, recovered, accepted, Vec::new(), &Rows::default()).maybe_sent
}

fn tried(occurrence: Occurrence, at: Timestamp) -> Occurrence {
    Occurrence { tried_at: Some(at), ..occurrence }
}

#[test]
fn a_start_that_was_answered_within_the_last_second_counts_against_the_rate_as_one_that_was_not() {
    let start = at("10:00");
    let calling = Occurrence { state: State::Calling, ..armed("show", start) };
    assert_eq!(maybe_sent(vec![tried(calling, start)]), 1, "nobody knows whether it was sent");
    assert_eq!(maybe_sent(vec![tried(on_air("show", start), start)]), 1, "it was sent a second ago");
    let before = start - SignedDuration::from_millis(250);
    assert_eq!(maybe_sent(vec![tried(on_air("show", before), before)]), 0, "the endpoint does not count it any more");
    let ahead = at("10:00:02");
    assert_eq!(maybe_sent(vec![tried(armed("show", ahead), ahead)]), 0, "it is to come");
}
