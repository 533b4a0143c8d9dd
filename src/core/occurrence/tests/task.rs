//! A task's life: when it is looked at, when it is stopped, when it is believed to be gone.

use super::*;

pub(super) fn task() -> Task {
    Task {
        row: 1,
        task_id: "t-1".into(),
        destination: example().playout.destination,
        room: example().playout.room,
        key: example().key,
        robot: "promo".into(),
        started_at: at(0),
        bound: Some(at(3660)),
        media_end: None,
        phase: TaskPhase::Watched { missing_since: None },
        next_at: at(30),
        alerted: false,
        stop_wanted_at: None,
        seen_at: at(0),
        watched_from: at(0),
        taken_at: at(0),
        was_seen: false,
        is_unseen: false,
        unpulled_at: None,
        stop_fault: None,
        describe_fault: None,
        look: Look::NotNext,
    }
}

const PERIOD: SignedDuration = SignedDuration::from_secs(30);

#[test]
fn a_task_is_gone_after_two_looks_2_s_apart_and_not_when_young() {
    let mut task = task();
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(3));
    assert_eq!((task.is_gone(), task.next_at), (false, at(10)));
    task.take(TaskEvent::Described(TaskStatus::InProgress), PERIOD, at(10));
    assert_eq!((task.is_gone(), task.next_at), (false, at(40)));
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(40));
    assert_eq!((task.is_gone(), task.next_at), (false, at(42)));
    task.take(TaskEvent::Failed(TaskStep::Describe), PERIOD, at(42));
    assert!(!task.is_gone());
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(44));
    assert_eq!(task.phase, TaskPhase::Gone { at: at(40), verified: true });
}

#[test]
fn a_task_that_began_in_the_future_of_a_clock_that_was_set_is_gone_after_two_looks_too() {
    let mut task = task();
    task.started_at = at(4_000);
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(40));
    assert_eq!((task.is_gone(), task.next_at), (false, at(42)));
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(42));
    assert_eq!(task.phase, TaskPhase::Gone { at: at(40), verified: true });
}

#[test]
fn a_stop_is_tried_until_it_is_taken_and_then_verified() {
    let mut task = task();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    assert_eq!(task.next_at, at(100));
    let mut now = 100;
    let mut waits = Vec::new();
    let mut last = now;
    while waits.len() < 10 {
        let step = task.due(at(now)).expect("it goes on");
        task.take(TaskEvent::Failed(step), PERIOD, at(now));
        let next = task.next_at.as_second() - at(0).as_second();
        // From the second minute on it is looked at between two stops.
        if step == TaskStep::Describe || task.look == Look::NotNext {
            waits.push(next - last);
            last = next;
        }
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 60, 60, 60, 60]);
    assert!(task.alert_due(at(now)) && !task.alert_due(at(now)));
    assert_eq!(task.due(at(now)), Some(TaskStep::Stop));
    task.take(TaskEvent::Stopped, PERIOD, at(now));
    assert_eq!((task.due(task.next_at), task.stop_wanted_at), (Some(TaskStep::Describe), Some(at(100))));
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(now + 1));
    assert_eq!(task.phase, TaskPhase::Gone { at: at(now), verified: true });
}

#[test]
fn a_loop_that_cannot_be_stopped_is_believed_gone_after_its_bound_once_somebody_asked_for_two_minutes() {
    let past_its_bound = || {
        let mut task = task();
        task.take(TaskEvent::StopWanted, PERIOD, at(4_000));
        task
    };
    let mut task = past_its_bound();
    play(&mut task, 4_000, 4_119, STOP_REFUSED, |_| LOOK_REFUSED);
    assert!(task.is_stop_wanted(), "{:?}", task.phase);
    play(&mut task, 4_120, 4_300, STOP_REFUSED, |_| LOOK_REFUSED);
    assert_eq!(task.phase, TaskPhase::Gone { at: at(3_660), verified: false });
    // The bound was measured by a clock that was wrong: it is seen to run.
    let mut task = past_its_bound();
    play(&mut task, 4_000, 4_600, STOP_REFUSED, |_| RUNS);
    assert!(task.is_stop_wanted(), "{:?}", task.phase);
    // The same of one that a daemon takes over.
    let mut task = Task { phase: TaskPhase::StopWanted { since: at(3_500), tries: 9 }, ..self::task() };
    task.take_over(at(5_000));
    assert_eq!(task.due(at(5_000)), Some(TaskStep::Stop));
}

#[test]
fn media_is_not_cut_on_the_dot_but_30_s_later() {
    let mut task = Task { media_end: Some(at(100)), bound: None, ..task() };
    task.take(TaskEvent::Described(TaskStatus::InProgress), PERIOD, at(90));
    assert_eq!(task.next_at, at(100));
    // It may only idle: it is looked at again and again, and not stopped.
    for (now, next) in [(100, 103), (103, 108), (108, 115), (115, 130)] {
        task.take(TaskEvent::Described(TaskStatus::InProgress), PERIOD, at(now));
        assert_eq!((task.is_stop_wanted(), task.next_at), (false, at(next)));
    }
    task.take(TaskEvent::Described(TaskStatus::InProgress), PERIOD, at(130));
    assert!(task.is_stop_wanted());
}

const STOP_REFUSED: TaskEvent = TaskEvent::Failed(TaskStep::Stop);
const LOOK_REFUSED: TaskEvent = TaskEvent::Failed(TaskStep::Describe);
const RUNS: TaskEvent = TaskEvent::Described(TaskStatus::InProgress);
const IS_GONE: TaskEvent = TaskEvent::Described(TaskStatus::NotExist);

/// Without a bound, as a live source is.
fn live() -> Task {
    Task { bound: None, ..task() }
}

/// Does what each moment asks for, with these answers to stops and describes, until it is gone or the time has come. Returns the stops, as
/// seconds.
fn play(task: &mut Task, from: i64, until: i64, stop: TaskEvent, describe: impl Fn(i64) -> TaskEvent) -> Vec<i64> {
    let (mut now, mut stops) = (from, Vec::new());
    while now <= until && !task.is_gone() {
        match task.due(at(now)) {
            Some(TaskStep::Stop) => {
                stops.push(now);
                task.take(stop, PERIOD, at(now));
            }
            Some(TaskStep::Describe) => task.take(describe(now), PERIOD, at(now)),
            None => break,
        }
        now = task.next_at.as_second() - at(0).as_second();
    }
    stops
}

#[test]
fn a_task_is_looked_at_5_s_after_its_start_and_before_its_end() {
    assert_eq!(live().first_watch(Some(at(3600))), at(5));
    assert_eq!(Task { media_end: Some(at(3)), ..live() }.first_watch(Some(at(3600))), at(3));
    assert_eq!(live().first_watch(Some(at(4))), at(2), "half-way through a show that is over before");
    assert_eq!(live().first_watch(Some(at(-1))), at(0), "its start was accepted after its end");
}

#[test]
fn a_task_that_is_not_seen_for_90_s_or_three_watch_periods_is_told_once() {
    for (period, patience) in [(30, 90), (20, 90), (100, 300)] {
        let period = SignedDuration::from_secs(period);
        let mut task = live();
        assert_eq!(task.unseen_at(period), Some(at(patience)), "from its accepting answer");
        task.take(RUNS, period, at(40));
        assert_eq!((task.seen_at, task.was_seen), (at(40), true));
        task.take(LOOK_REFUSED, period, at(70));
        assert_eq!((task.unseen_at(period), task.unseen_due(period, at(39 + patience))), (Some(at(40 + patience)), false));
        assert!(task.unseen_due(period, at(40 + patience)) && !task.unseen_due(period, at(41 + patience)));
        assert_eq!((task.is_unseen, task.unseen_at(period)), (true, None));
        task.take(RUNS, period, at(500));
        assert_eq!((task.is_unseen, task.unseen_at(period)), (false, Some(at(500 + patience))));
    }
}

#[test]
fn a_daemon_that_takes_over_has_time_to_look() {
    let mut task = live();
    task.take_over(at(5000));
    assert_eq!((task.seen_at, task.unseen_at(PERIOD)), (at(0), Some(at(5090))));
    // One that must be stopped is not watched.
    task.take(TaskEvent::StopWanted, PERIOD, at(5000));
    assert_eq!(task.unseen_at(PERIOD), None);
}

#[test]
fn a_stop_that_nobody_can_verify_is_given_up_after_10_minutes_or_at_the_bound() {
    for (bound, expected) in [
        (None, TaskPhase::Gone { at: at(100), verified: false }),
        (Some(at(160)), TaskPhase::Gone { at: at(160), verified: false }),
        (Some(at(9000)), TaskPhase::Gone { at: at(100), verified: false }),
    ] {
        let mut task = Task { bound, ..task() };
        task.take(TaskEvent::StopWanted, PERIOD, at(100));
        let stops = play(&mut task, 100, 5000, TaskEvent::Stopped, |_| LOOK_REFUSED);
        assert_eq!((stops, task.phase), (vec![100], expected));
    }
}

#[test]
fn a_stop_without_effect_is_sent_again_once_a_minute_and_never_given_up() {
    for bound in [None, Some(at(160))] {
        let mut task = Task { bound, ..task() };
        task.take(TaskEvent::StopWanted, PERIOD, at(100));
        let stops = play(&mut task, 100, 3990, TaskEvent::Stopped, |_| RUNS);
        assert!(!task.is_gone() && task.outlives_stop(), "{:?}", task.phase);
        assert_eq!(&stops[..3], [100, 160, 220], "{stops:?}");
        assert!(stops.windows(2).all(|pair| pair[1] - pair[0] == 60), "{stops:?}");
        assert!(task.alert_due(at(4000)), "it should be off the air since a minute");
        // When nobody says that it runs any more, time decides.
        let from = task.next_at.as_second() - at(0).as_second();
        play(&mut task, from, 9000, TaskEvent::Stopped, |_| LOOK_REFUSED);
        assert!(matches!(task.phase, TaskPhase::Gone { at: ended, verified: false } if ended > task.seen_at), "{:?}", task.phase);
    }
}

#[test]
fn a_stop_without_effect_is_sent_again_after_a_minute_though_nobody_answers_then() {
    let mut task = live();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    let stops = play(&mut task, 100, 200, TaskEvent::Stopped, |now| if now < 110 { RUNS } else { LOOK_REFUSED });
    assert_eq!(stops, [100, 160]);
    // Where it was never seen after its stop, nothing says that this had no effect.
    let mut task = live();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    assert_eq!(play(&mut task, 100, 600, TaskEvent::Stopped, |_| LOOK_REFUSED), [100]);
}

#[test]
fn the_end_of_a_stop_without_effect_is_the_first_notexist() {
    let mut task = live();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    play(&mut task, 100, 5000, TaskEvent::Stopped, |now| if now < 110 { RUNS } else { IS_GONE });
    assert_eq!(task.phase, TaskPhase::Gone { at: at(116), verified: true });
    // A stop that had its effect ended it when it was answered, whenever it was asked.
    let mut task = live();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    play(&mut task, 100, 5000, TaskEvent::Stopped, |now| if now < 150 { LOOK_REFUSED } else { IS_GONE });
    assert_eq!(task.phase, TaskPhase::Gone { at: at(100), verified: true });
    // Of two stops the second had an effect.
    let mut task = live();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    play(&mut task, 100, 5000, TaskEvent::Stopped, |now| if now < 161 { RUNS } else { IS_GONE });
    assert_eq!(task.phase, TaskPhase::Gone { at: at(160), verified: true });
    // And it was gone by its bound at the latest, if it was not seen after that.
    let mut task = Task { bound: Some(at(90)), ..task };
    task.phase = TaskPhase::Verifying { stopped_at: at(100), tries: 1 };
    task.seen_at = at(60);
    task.take(IS_GONE, PERIOD, at(101));
    assert_eq!(task.phase, TaskPhase::Gone { at: at(90), verified: true });
}

#[test]
fn a_task_whose_stop_is_refused_for_ever_is_looked_at_and_found_gone() {
    let mut task = live();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    let stops = play(&mut task, 100, 5000, STOP_REFUSED, |now| if now < 400 { RUNS } else { IS_GONE });
    assert_eq!(&stops[..8], [100, 101, 103, 107, 115, 131, 161, 221], "{stops:?}");
    let TaskPhase::Gone { at: ended, verified: true } = task.phase else { panic!("{:?}", task.phase) };
    assert!((at(400)..at(470)).contains(&ended), "{ended}");
    // As long as it is seen, it is not given up, whatever its bound says.
    let mut task = Task { bound: Some(at(160)), ..live() };
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    play(&mut task, 100, 5000, STOP_REFUSED, |_| RUNS);
    assert!(!task.is_gone());
}

#[test]
fn media_that_should_be_over_is_stopped_if_nobody_can_say_whether_it_runs() {
    let mut task = Task { media_end: Some(at(100)), ..live() };
    let mut now = 90;
    while !task.is_stop_wanted() {
        assert!(now <= 130, "{:?}", task.phase);
        task.take(LOOK_REFUSED, PERIOD, at(now));
        now = task.next_at.as_second() - at(0).as_second();
    }
    assert_eq!(now, 130);
}

#[test]
fn what_requests_fail_with_is_kept_until_one_succeeds() {
    let refused = |code: &str| Answer::bare(Err(Fault::Rejected { code: code.to_owned(), message: "no".to_owned() }));
    let mut task = live();
    for (second, code, in_a_row) in [(30, "UnauthorizedOperation", 1), (60, "UnauthorizedOperation", 2), (90, "InternalError", 1)] {
        task.answered(TaskStep::Describe, &refused(code), PERIOD, at(second));
        let fault = task.describe_fault.clone().expect("it failed");
        assert_eq!((fault.code.as_deref(), fault.in_a_row), (Some(code), in_a_row));
    }
    task.answered(TaskStep::Describe, &Answer::bare(Ok(Success::Described(TaskStatus::InProgress))), PERIOD, at(120));
    assert_eq!(task.describe_fault, None);
    task.take(TaskEvent::StopWanted, PERIOD, at(200));
    task.answered(TaskStep::Stop, &refused("UnsupportedRegion"), PERIOD, at(200));
    assert_eq!(task.stop_fault.as_ref().map(TaskFault::kind), Some("UnsupportedRegion"));
    task.answered(TaskStep::Stop, &refused("FailedOperation.TaskFinished"), PERIOD, at(201));
    assert_eq!(task.stop_fault, None, "it is over, which is what was wanted");
}

#[test]
fn a_task_that_began_while_the_clock_was_ahead_is_seen_to_be_gone() {
    let mut task = Task { started_at: at(5_000), bound: Some(at(9_000)), media_end: Some(at(5_120)), ..task() };
    let back = SignedDuration::from_secs(-4_900);
    task.clock_moved(back);
    assert_eq!((task.started_at, task.bound, task.media_end), (at(100), Some(at(4_100)), Some(at(220))));
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(110));
    assert_eq!(task.next_at, at(112), "it does not wait until the time comes again");
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(112));
    assert!(task.is_gone());
}

#[test]
fn a_clock_that_is_set_forward_makes_no_silence() {
    let mut task = Task { bound: Some(at(2_000)), ..live() };
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    task.due(at(100));
    task.take(TaskEvent::Stopped, PERIOD, at(100));
    for second in [101, 102, 104] {
        task.due(at(second));
        task.take(TaskEvent::Described(TaskStatus::InProgress), PERIOD, at(second));
    }
    task.clock_moved(SignedDuration::from_secs(590));
    assert_eq!(task.due(at(704)), Some(TaskStep::Describe), "it was seen ten seconds ago, and its stop was accepted 14 s ago");
    assert_eq!((task.stop_wanted_at, task.seen_at), (Some(at(690)), at(694)));
    assert_eq!(task.due(at(1_294)), None, "nobody could say for ten minutes");
    assert_eq!(task.phase, TaskPhase::Gone { at: at(1_294), verified: false });
}

#[test]
fn a_stop_that_is_refused_is_sent_at_once_when_the_clock_was_set_back() {
    let mut task = Task { phase: TaskPhase::StopWanted { since: at(3600), tries: 9 }, ..live() };
    task.look = Look::Next(at(3700));
    task.next_at = at(3690);
    task.clock_went_back(at(100));
    assert_eq!((task.next_at, task.due(at(100))), (at(100), Some(TaskStep::Stop)));
}
