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

/// Lets every attempt have the same answer. Returns when each was sent.
fn tries(first: &Occurrence, each: &Answer) -> Vec<Timestamp> {
    let (mut occurrence, mut sent) = (answer(first, each, at(0)), vec![at(0)]);
    while !occurrence.is_done() && sent.len() < 500 {
        let (calling, now) = wait(&occurrence);
        sent.push(now);
        occurrence = answer(&calling, each, now);
    }
    sent
}

fn gaps(sent: &[Timestamp]) -> Vec<SignedDuration> {
    sent.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect()
}

#[test]
fn an_unknown_code_is_tried_three_times_soon_and_then_slowly_to_the_close() {
    for code in ["FailedOperation", "NobodyKnowsThis.AtAll"] {
        let sent = tries(&example(), &rejected(code));
        assert!(sent[2] <= at(3), "{code}: {sent:?}");
        assert_eq!(sent.last(), Some(&(at(3570) - SignedDuration::from_millis(100))), "{code}");
        let minute = SignedDuration::from_mins(1);
        let slow = gaps(&sent[2..]);
        assert!(slow[..50].iter().all(|gap| *gap == minute) && slow.iter().all(|gap| *gap <= minute), "{code}: {slow:?}");
        assert!((60..75).contains(&sent.len()), "{code}: {}", sent.len());
    }
}

#[test]
fn a_strangers_task_is_tried_in_a_short_window_until_it_closes() {
    let short = Occurrence { end: End::Planned(at(120)), ..example() };
    let sent = tries(&short, &rejected("FailedOperation.TaskExist"));
    assert_eq!(sent.last(), Some(&(at(90) - SignedDuration::from_millis(100))));
    // A quarter of what is left, and not less than 5 s.
    let slow: Vec<_> = sent.windows(2).filter(|pair| pair[0] >= at(15)).map(|pair| pair[1].duration_since(pair[0])).collect();
    assert!(slow.len() > 4 && slow.iter().all(|gap| *gap <= SignedDuration::from_secs(19)), "{slow:?}");
    // It leaves at last.
    let (calling, now) = wait(&answer(&short, &rejected("FailedOperation.TaskExist"), at(0)));
    let (calling, now) = wait(&answer(&calling, &rejected("FailedOperation.TaskExist"), now.max(at(50))));
    assert_eq!(answer(&calling, &accepted(), now).state.name(), "on_air");
}

#[test]
fn a_job_may_list_a_family_of_codes() {
    let mut lenient = example();
    Arc::make_mut(&mut lenient.policy.retry).also = vec!["AuthFailure".into(), "InvalidParameter.StreamUrl".into()];
    for (code, is_listed) in [
        ("AuthFailure.SecretIdNotFound", true),
        ("AuthFailure", true),
        ("InvalidParameter.StreamUrl", true),
        ("InvalidParameter", false),
        ("InvalidParameter.RoomId", false),
    ] {
        let waiting = answer(&lenient, &rejected(code), at(0));
        assert_eq!((waits_until(&waiting) <= at(1), waiting.needs_fix()), (is_listed, !is_listed), "{code}");
    }
}
