//! When the next attempt is made: what the server asked for, and the close of the window. Does not test the jitter.

use super::*;

/// An answer of a gateway that asks for so many seconds.
fn busy_for(seconds: u64) -> Answer {
    Answer { retry_after: Some(Duration::from_secs(seconds)), ..Answer::bare(Err(Fault::Status(503))) }
}

fn waits_until(occurrence: &Occurrence) -> Timestamp {
    let State::Waiting { until, .. } = occurrence.state else { panic!("does not wait: {occurrence:#?}") };
    until
}

#[test]
fn what_the_server_asks_for_is_honoured_up_to_the_cap() {
    assert_eq!(waits_until(&answer(&example(), &busy_for(20), at(0))), at(20));
    assert_eq!(waits_until(&answer(&example(), &busy_for(3600), at(0))), at(30));
    let mut patient = example();
    Arc::make_mut(&mut patient.policy.retry).cap = Duration::from_mins(10);
    assert_eq!(waits_until(&answer(&patient, &busy_for(3600), at(0))), at(600));
}

#[test]
fn the_last_good_moment_of_a_window_sees_an_attempt_whatever_the_server_asks_for() {
    let last = at(3570) - SignedDuration::from_millis(100);
    let mut patient = example();
    Arc::make_mut(&mut patient.policy.retry).cap = Duration::from_hours(2);
    // The window closes before the server would be ready.
    let (calling, now) = wait(&answer(&patient, &busy_for(7000), at(0)));
    assert_eq!(now, last);
    assert_eq!(answer(&calling, &accepted(), now).state.name(), "on_air");
    // An attempt in the last moment is the last one.
    assert_eq!(outcome(&answer(&calling, &busy_for(7000), now)), ("failed", "in_doubt"));
    // A busy endpoint is asked to the end.
    let mut occurrence = answer(&example(), &busy_for(3600), at(0));
    let mut sent = Vec::new();
    while !occurrence.is_done() {
        let (calling, now) = wait(&occurrence);
        sent.push(now);
        occurrence = answer(&calling, &busy_for(3600), now);
    }
    assert_eq!((sent.len(), sent.last()), (119, Some(&last)));
}
