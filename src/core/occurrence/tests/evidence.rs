//! What shows that an occurrence was on air: what each answer and callback adds, and what it does not take away.

use super::interruptions::happen;
use super::task::task;
use super::*;

/// On air by the answer to its start alone.
fn on_air() -> Occurrence {
    answer(&example(), &accepted(), at(0))
}

fn seen_task() -> Task {
    Task { was_seen: true, ..task() }
}

fn refused(step: TaskStep, code: &str, in_a_row: u32) -> TaskFault {
    TaskFault { step, code: Some(code.to_owned()), message: "no".to_owned(), since: at(100), in_a_row }
}

#[test]
fn the_answer_that_accepts_a_start_shows_nothing() {
    let row = on_air();
    assert_eq!((example().evidence, row.evidence), (None, Some(Evidence::Unseen)));
    assert_eq!(row.with_task(&task()).evidence, Some(Evidence::Unseen));
    assert_eq!(row.with_task(&seen_task()).evidence, Some(Evidence::Seen));
    let other = Task { task_id: "t-0".to_owned(), ..seen_task() };
    assert_eq!(row.with_task(&other).evidence, Some(Evidence::Unseen), "it is an earlier task");
    let over = happen(&row, Event::Gone { at: at(3590), was_seen: false }, 3600);
    assert_eq!((outcome(&over), over.evidence_note()), (("ended", "planned"), Some("never seen on air")));
    let over = happen(&row.with_task(&seen_task()), Event::Gone { at: at(3590), was_seen: true }, 3600);
    assert_eq!((outcome(&over), over.evidence_note()), (("ended", "planned"), None));
}

#[test]
fn a_callback_outweighs_a_look_and_a_later_success_takes_a_failure_back() {
    let mut row = on_air().with_task(&seen_task());
    row.cannot_be_pulled();
    assert_eq!(row.evidence, Some(Evidence::Unpulled), "the endpoint calls a task InProgress that pulls nothing");
    let unpulled = Task { unpulled_at: Some(at(3)), ..seen_task() };
    assert_eq!(row.with_task(&unpulled).evidence, Some(Evidence::Unpulled));
    assert_eq!(row.with_task(&seen_task()).evidence, Some(Evidence::Seen), "another task was seen, or it was taken back");
    row.confirm(at(9));
    row.cannot_be_pulled();
    assert_eq!((row.evidence, row.confirmed_at), (Some(Evidence::Confirmed), Some(at(9))));
    // What a task showed before it was put on air again stands.
    let mut row = Occurrence { restarts: 1, ..on_air().with_task(&seen_task()) };
    row.cannot_be_pulled();
    assert_eq!(row.evidence, Some(Evidence::Seen));
}

#[test]
fn tasks_that_vanish_before_they_are_seen_are_counted_until_one_is_seen() {
    let lost = |row: &Occurrence, was_seen, second| happen(row, Event::Gone { at: at(second), was_seen }, second + 2);
    let again = |row: &Occurrence| Occurrence { state: State::OnAir, ..row.clone() };
    let once = lost(&on_air(), false, 5);
    let twice = lost(&again(&once), false, 20);
    assert_eq!((once.unseen_losses, twice.unseen_losses), (1, UNSEEN_LOSSES_MAX));
    assert_eq!(again(&twice).with_task(&seen_task()).unseen_losses, 0);
    assert_eq!(lost(&again(&twice), true, 40).unseen_losses, 0);
    let mut confirmed = again(&twice);
    confirmed.confirm(at(50));
    assert_eq!(confirmed.unseen_losses, 0);
}

#[test]
fn what_was_adopted_by_mistake_leaves_no_evidence() {
    let waiting = Occurrence { in_doubt: true, was_in_doubt: true, ..happen(&example(), Event::Postponed, 0) };
    let mut adopted = happen(&waiting, Event::Adopted { task_id: "stranger".to_owned() }, 1);
    adopted.confirm(at(1));
    let back = happen(&adopted, Event::TakenBack, 2);
    assert_eq!((back.evidence, back.confirmed_at, back.on_air_at), (None, None, None));
}

#[test]
fn a_row_keeps_what_a_stop_was_refused_with_and_forgets_a_look_when_there_is_one() {
    let row = on_air().with_task(&Task { describe_fault: Some(refused(TaskStep::Describe, "InternalError", 1)), ..task() });
    assert_eq!(row.task_fault, Some(refused(TaskStep::Describe, "InternalError", 1)));
    // A repeat is not worth a write, unless its number is a power of two.
    let third = row.with_task(&Task { describe_fault: Some(refused(TaskStep::Describe, "InternalError", 3)), ..task() });
    assert_eq!(third.task_fault, row.task_fault);
    let fourth = row.with_task(&Task { describe_fault: Some(refused(TaskStep::Describe, "InternalError", 4)), ..task() });
    assert_eq!(fourth.task_fault, Some(refused(TaskStep::Describe, "InternalError", 4)));
    assert_eq!(fourth.with_task(&seen_task()).task_fault, None);
    let stop = fourth.with_task(&Task { stop_fault: Some(refused(TaskStep::Stop, "UnsupportedRegion", 1)), ..task() });
    assert_eq!(stop.with_task(&seen_task()).task_fault, Some(refused(TaskStep::Stop, "UnsupportedRegion", 1)));
}
