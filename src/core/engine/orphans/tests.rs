//! What nobody could place is bounded, and ends.

use super::super::step::Call;
use super::*;
use crate::engine::RowNumbers;
use crate::trtc::{Answer, Fault, Success, TaskStatus};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).expect("in range")
}

fn step(seconds: i64) -> Step {
    Step::new(at(seconds), RowNumbers::default())
}

fn home() -> Destination {
    Destination { app: "main".to_owned(), sdk_app_id: 1_400_000_001, region: "ap-singapore".to_owned() }
}

fn orphan(number: usize, seen: i64) -> Orphan {
    let task_id = format!("t-{number}");
    Orphan { task_id, destination: home(), seen_at: at(seen), likely_job: None, stop_wanted: None, of: Vec::new() }
}

fn callback(number: usize, news: TaskNews) -> Callback {
    Callback { sdk_app_id: 1_400_000_001, task_id: format!("t-{number}"), news, at: at(0) }
}

fn described(status: TaskStatus) -> Answer {
    Answer::bare(Ok(Success::Described(status)))
}

fn rejected(code: &str) -> Answer {
    Answer::bare(Err(Fault::Rejected { code: code.to_owned(), message: "why".to_owned() }))
}

/// How many are listed.
fn count(orphans: &Orphans) -> usize {
    orphans.listed(1_400_000_001).count()
}

/// The requests that are sent for orphans so many seconds later.
fn sent(orphans: &mut Orphans, seconds: i64) -> Vec<(TaskStep, String)> {
    let mut step = step(seconds);
    orphans.act_on_time(&mut step, &Airings::new(20));
    let orphan = |call: Call| match call {
        Call::Orphan { step, task_id, .. } => Some((step, task_id)),
        _ => None,
    };
    step.calls.into_iter().filter_map(orphan).collect()
}

#[test]
fn orphans_are_bounded_and_the_oldest_that_nobody_stops_makes_room() {
    let mut orphans = Orphans::default();
    let mut step = step(0);
    for number in 0..ORPHANS_MAX {
        orphans.add(&mut step, orphan(number, i64::try_from(number).expect("small")));
    }
    assert!(orphans.want_stop(&mut step, "t-0"));
    for number in ORPHANS_MAX..ORPHANS_MAX + 10 {
        orphans.add(&mut step, orphan(number, 5_000));
    }
    assert_eq!(count(&orphans) + 1, ORPHANS_MAX);
    assert!(orphans.get("t-0").is_some() && orphans.get("t-10").is_none() && orphans.get("t-11").is_some());
}

#[test]
fn unknown_tasks_are_bounded_and_what_does_not_fit_is_refused() {
    let mut orphans = Orphans::default();
    let mut step = step(0);
    let mut keep = |number, news| orphans.keep(&mut step, callback(number, news), BTreeSet::new);
    for number in 0..UNKNOWN_MAX {
        assert_eq!(keep(number, TaskNews::Started), Receipt::Taken);
    }
    assert_eq!(keep(UNKNOWN_MAX, TaskNews::Started), Receipt::Refused);
    // One that is kept already is heard on, and its repetition is written once.
    for news in [TaskNews::StartAgain, TaskNews::StartAgain, TaskNews::Started] {
        assert_eq!(keep(7, news), Receipt::Taken);
    }
    assert_eq!(step.writes.list().len(), UNKNOWN_MAX + 1);
}

#[test]
fn ends_that_came_before_their_starts_are_bounded_and_forgotten() {
    let mut orphans = Orphans::default();
    let mut first = step(0);
    for number in 0..=ENDED_MAX {
        orphans.ended(&mut first, callback(number, TaskNews::Stopped), true);
    }
    assert!(!orphans.has_ended("t-0") && orphans.has_ended("t-1"));
    assert_eq!(orphans.keep(&mut first, callback(1, TaskNews::Started), BTreeSet::new), Receipt::Taken);
    assert_eq!(orphans.placeable(|_| false), []);
    orphans.act_on_time(&mut step(ENDED_KEPT.as_secs() + 1), &Airings::new(20));
    assert!(!orphans.has_ended("t-1"));
}

#[test]
fn orphans_are_asked_for_slowly_however_many_there_are() {
    let mut orphans = Orphans::default();
    for number in 0..200 {
        orphans.add(&mut step(0), orphan(number, 0));
    }
    // One in 5 s, and none of them twice before all were asked for.
    let mut asked = BTreeSet::new();
    for seconds in 0..300 + 200 * 5 {
        asked.extend(sent(&mut orphans, seconds).into_iter().map(|(_, task_id)| (seconds, task_id)));
    }
    assert_eq!(asked.first().map(|(seconds, _)| *seconds), Some(300));
    assert_eq!(asked.iter().map(|(_, task_id)| task_id).collect::<BTreeSet<_>>().len(), 200);
    assert!(asked.iter().zip(asked.iter().skip(1)).all(|(one, next)| next.0 - one.0 == 5), "{asked:?}");
}

#[test]
fn an_orphan_ends_by_two_looks_or_by_its_age_when_nobody_may_look() {
    let mut orphans = Orphans::default();
    let airings = Airings::new(20);
    orphans.add(&mut step(0), orphan(1, 0));
    let mut look = |seconds, answer: &Answer| {
        assert_eq!(sent(&mut orphans, seconds), [(TaskStep::Describe, "t-1".to_owned())], "{seconds}");
        orphans.answered(&mut step(seconds), &airings, "t-1", TaskStep::Describe, answer);
        orphans.get("t-1").is_some()
    };
    assert!(look(300, &described(TaskStatus::NotExist)));
    assert!(look(310, &described(TaskStatus::InProgress)), "the first look lagged behind");
    let refused = rejected("AuthFailure.UnauthorizedOperation");
    let days = |days: i64| days * 24 * 3_600;
    assert!(look(days(7), &refused) && look(days(8), &refused));
    assert!(!look(days(9), &refused), "nobody has seen it for more than 8 days");
}

#[test]
fn a_stop_that_fails_is_tried_again_ever_more_slowly_and_survives_a_restart() {
    let mut orphans = Orphans::default();
    let airings = Airings::new(20);
    let wanted = Orphan { stop_wanted: Some(at(0)), ..orphan(1, 0) };
    orphans.recover(vec![wanted], Vec::new(), at(0));
    for seconds in [0, 5, 15, 30, 50] {
        assert_eq!(sent(&mut orphans, seconds), [(TaskStep::Stop, "t-1".to_owned())], "{seconds}");
        orphans.answered(&mut step(seconds), &airings, "t-1", TaskStep::Stop, &rejected("InternalError"));
        assert_eq!(sent(&mut orphans, seconds + 4), [], "{seconds}");
    }
    sent(&mut orphans, 1_000);
    orphans.answered(&mut step(1_000), &airings, "t-1", TaskStep::Stop, &rejected("FailedOperation.TaskFinished"));
    assert!(orphans.get("t-1").is_none());
}

#[test]
fn the_first_stop_of_an_orphan_that_fails_for_a_reason_is_told_and_its_repeats_are_not() {
    let mut orphans = Orphans::default();
    orphans.add(&mut step(0), orphan(1, 0));
    assert!(orphans.want_stop(&mut step(1), "t-1"));
    let mut told = Vec::new();
    for (seconds, code) in [(1, "InternalError"), (10, "InternalError"), (30, "AuthFailure.UnauthorizedOperation")] {
        assert_eq!(sent(&mut orphans, seconds), [(TaskStep::Stop, "t-1".to_owned())], "{seconds}");
        let mut step = step(seconds);
        orphans.answered(&mut step, &Airings::new(20), "t-1", TaskStep::Stop, &rejected(code));
        told.extend(step.notices.into_iter().map(|notice| notice.text));
    }
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("the stop of the orphan t-1 is refused: InternalError (why); it may still play"), "{}", told[0]);
    assert!(told[1].contains("AuthFailure.UnauthorizedOperation (why)"), "{}", told[1]);
}
