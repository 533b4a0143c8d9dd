//! A task's life: when it is looked at, when it is stopped, when it is believed to be gone.

use super::*;

fn task() -> Task {
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
        was_stopped: false,
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
    task.take(TaskEvent::Failed, PERIOD, at(42));
    assert!(!task.is_gone());
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(44));
    assert_eq!(task.phase, TaskPhase::Gone { at: at(40), verified: true });
}

#[test]
fn a_stop_is_tried_until_it_is_taken_and_then_verified() {
    let mut task = task();
    task.take(TaskEvent::StopWanted, PERIOD, at(100));
    assert_eq!(task.next_at, at(100));
    let mut now = 100;
    let mut waits = Vec::new();
    for _ in 0..10 {
        assert_eq!(task.due(at(now)), Some(TaskStep::Stop));
        task.take(TaskEvent::Failed, PERIOD, at(now));
        let next = task.next_at.as_second() - at(0).as_second();
        waits.push(next - now);
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 60, 60, 60, 60]);
    assert!(task.alert_due(at(now)) && !task.alert_due(at(now)));
    assert_eq!(task.due(at(now)), Some(TaskStep::Stop));
    task.take(TaskEvent::Stopped, PERIOD, at(now));
    assert_eq!((task.due(task.next_at), task.was_stopped), (Some(TaskStep::Describe), true));
    task.take(TaskEvent::Described(TaskStatus::NotExist), PERIOD, at(now + 1));
    assert_eq!(task.phase, TaskPhase::Gone { at: at(now), verified: true });
}

#[test]
fn a_loop_that_cannot_be_stopped_is_believed_gone_after_its_bound_once_somebody_asked() {
    let mut task = task();
    task.take(TaskEvent::StopWanted, PERIOD, at(4000));
    assert_eq!(task.due(at(4000)), Some(TaskStep::Stop));
    task.take(TaskEvent::Failed, PERIOD, at(4000));
    assert_eq!(task.due(at(4001)), Some(TaskStep::Stop));
    task.take(TaskEvent::Failed, PERIOD, at(4001));
    assert_eq!(task.due(at(4003)), None);
    assert_eq!(task.phase, TaskPhase::Gone { at: at(3660), verified: false });
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
