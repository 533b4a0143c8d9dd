//! What takes an occurrence off the air before its end, and what brings it back: losses, other shows, operators, callbacks.

use super::*;

fn on_air() -> Occurrence {
    answer(&example(), &accepted(), at(0))
}

pub(super) fn happen(occurrence: &Occurrence, event: Event, seconds: i64) -> Occurrence {
    decide(occurrence, event, at(seconds)).expect("legal")
}

fn gone(occurrence: &Occurrence, seconds: i64) -> Occurrence {
    happen(occurrence, Event::Gone { at: at(seconds), was_seen: true }, seconds + 2)
}

#[test]
fn a_stream_that_vanishes_is_healed_or_had_ended() {
    let single = Occurrence { playout: Playout { repeat: Repeat::Times(1), ..example().playout }, ..example() };
    let single = answer(&single, &accepted(), at(0));
    for (occurrence, seconds, expected) in [
        (on_air(), 600, ("waiting", "")),
        (on_air(), 3560, ("waiting", "")),
        (on_air(), 3575, ("ended", "planned")),
        (single.clone(), 60, ("waiting", "")),
        (single.clone(), 605, ("ended", "media")),
        (single.clone(), 575, ("ended", "media")),
    ] {
        assert_eq!(outcome(&gone(&occurrence, seconds)), expected, "at {seconds}");
    }
    let mut unhealed = on_air();
    unhealed.policy.heal = false;
    assert_eq!(outcome(&gone(&unhealed, 600)), ("failed", "lost"));
}

#[test]
fn a_heal_returns_in_progress_and_counts_as_a_restart() {
    let lost = gone(&on_air(), 700);
    assert_eq!((&lost.state, lost.lost_at), (&State::Waiting { until: at(702), why: WaitReason::Restart }, Some(at(700))));
    let calling = happen(&lost, Event::Due, 702);
    assert_eq!(request(&calling, 702), Ok((Some(102), Some(Repeat::Forever), Some(50))));
    let back = answer(&calling, &accepted(), at(703));
    assert_eq!((back.state.name(), back.restarts, back.lost_at, back.on_air_at), ("on_air", 1, None, Some(at(0))));
    // What is off the air at its end is lost, with any last code.
    let refused = answer(&calling, &rejected("InvalidParameter.StreamUrl"), at(703));
    assert_eq!(refused.state, State::Waiting { until: at(763), why: WaitReason::Restart });
    assert_eq!(outcome(&happen(&refused, Event::Due, 3571)), ("failed", "lost"));
    // A heal whose answer says that the task runs knows which one.
    let exists = answer(&calling, &rejected("FailedOperation.TaskExist"), at(703));
    assert_eq!((exists.state.name(), exists.task_id.as_deref()), ("on_air", Some("t-1")));
    // But after a doubt it may be another.
    let (doubtful, now) = wait(&answer(&calling, &Answer::bare(Err(Fault::Timeout)), at(703)));
    let exists = answer(&doubtful, &rejected("FailedOperation.TaskExist"), now);
    assert_eq!((exists.state.name(), exists.task_id), ("on_air", None));
}

#[test]
fn what_keeps_vanishing_is_tried_once_a_minute() {
    let mut occurrence = on_air();
    for heal in 0..5 {
        let lost = gone(&occurrence, 100 + heal * 20);
        assert_eq!(lost.state, State::Waiting { until: at(102 + heal * 20), why: WaitReason::Restart });
        occurrence = answer(&happen(&lost, Event::Due, 103 + heal * 20), &accepted(), at(104 + heal * 20));
    }
    let lost = gone(&occurrence, 200);
    assert_eq!(lost.state, State::Waiting { until: at(262), why: WaitReason::Restart }, "the sixth within ten minutes");
    let calling = happen(&lost, Event::Due, 262);
    let State::Waiting { until, .. } = answer(&calling, &rejected("InternalError"), at(262)).state else { panic!("it waits") };
    assert!(until >= at(322), "{until}");
    // Ten minutes after the first the pace is forgotten.
    let later = gone(&occurrence, 730);
    assert_eq!(later.state, State::Waiting { until: at(732), why: WaitReason::Restart });
}

#[test]
fn an_open_end_returns_for_a_while_and_then_had_ended() {
    let live = Playout { live: true, repeat: Repeat::Times(1), length: None, ..example().playout };
    let live = Occurrence { playout: live, end: End::Open, ..example() };
    let lost = gone(&answer(&live, &accepted(), at(0)), 5000);
    assert_eq!((lost.state.name(), lost.closes()), ("waiting", Some(at(5600))));
    assert_eq!(outcome(&happen(&lost, Event::Due, 5601)), ("ended", "media"));
    let media = Occurrence { playout: Playout { live: false, ..lost.playout.clone() }, ..live };
    assert_eq!(outcome(&gone(&answer(&media, &accepted(), at(0)), 50)), ("ended", "media"));
}

#[test]
fn a_yielder_waits_for_the_room_and_not_for_a_time() {
    let yielding = happen(&on_air(), Event::Yield, 100);
    assert_eq!(yielding.state, State::Waiting { until: Timestamp::MAX, why: WaitReason::Yield });
    let free = happen(&yielding, Event::RoomFree, 200);
    let back = answer(&happen(&free, Event::Due, 200), &accepted(), at(201));
    assert_eq!((back.state.name(), back.restarts, back.attempts), ("on_air", 1, 2));
    // Its window closes meanwhile: that its task is gone is still to be seen.
    let closed = happen(&yielding, Event::Due, 3571);
    assert_eq!(closed.state, State::Stopping { outcome: Outcome::EndedPlanned });
    let settled = |verified| happen(&closed, Event::StopSettled { at: at(3580), verified }, 3580);
    assert_eq!((outcome(&settled(true)), outcome(&settled(false))), (("ended", "planned"), ("ended", "unverified")));
    // Its start was taken back unsent, and never made.
    let never = happen(&example(), Event::Yield, 0);
    assert_eq!((never.attempts, outcome(&happen(&never, Event::Due, 3571))), (0, ("skipped", "conflict")));
    // Another show has the room, so nothing is lost.
    assert_eq!(happen(&gone(&on_air(), 700), Event::Yield, 703).lost_at, None);
}

#[test]
fn a_renewal_waits_for_its_own_stop_but_not_for_ever() {
    let renewing = happen(&on_air(), Event::Renew, 100);
    assert_eq!(renewing.state, State::Waiting { until: at(115), why: WaitReason::Restart });
    assert_eq!(happen(&renewing, Event::RoomFree, 101).state, State::Waiting { until: at(101), why: WaitReason::Restart });
    // A stop that does not come through is no reason to give up a show that was on air.
    let mut calling = happen(&renewing, Event::Due, 115);
    let mut now = at(115);
    for _ in 0..100 {
        (calling, now) = wait(&answer_while(&calling, &rejected("FailedOperation.TaskExist"), now, true));
    }
    assert!(!calling.is_done() && now > at(215), "{now}: {:?}", calling.state);
}

#[test]
fn a_renewal_waits_for_no_stop_where_its_task_has_no_name() {
    let unnamed = Occurrence { task_id: None, ..on_air() };
    assert_eq!(happen(&unnamed, Event::Renew, 100).state, State::Waiting { until: at(100), why: WaitReason::Restart });
}

#[test]
fn no_end_of_what_gave_way_is_told_before_its_task_is_seen_gone() {
    let calling = happen(&happen(&on_air(), Event::Renew, 100), Event::Due, 115);
    for reason in [NotSent::Late, NotSent::Limit] {
        assert_eq!(happen(&calling, Event::NotSent(reason), 3571).state, State::Stopping { outcome: Outcome::EndedPlanned });
    }
    let over = happen(&calling, Event::NotSent(NotSent::ContentOver), 600);
    assert_eq!(over.state, State::Stopping { outcome: Outcome::EndedMedia });
    // Its own task still has the robot.
    let exists = rejected("FailedOperation.TaskExist");
    let waiting = answer_while(&calling, &exists, at(115), true);
    let cut = State::Stopping { outcome: Outcome::CutOperator };
    assert_eq!(happen(&waiting, Event::Cut(Outcome::CutOperator), 117).state, cut);
    let wanted = happen(&calling, Event::Cut(Outcome::CutOperator), 115);
    assert_eq!(answer_while(&wanted, &exists, at(116), true).state, cut);
}

#[test]
fn a_task_that_is_taken_back_vouches_for_nothing_while_another_show_has_the_room() {
    let waiting = answer(&example(), &Answer::bare(Err(Fault::Timeout)), at(0));
    let adopted = happen(&waiting, Event::Adopted { task_id: "t-9".into() }, 11);
    let yielding = happen(&adopted, Event::Yield, 100);
    let back = happen(&yielding, Event::TakenBack, 110);
    assert_eq!((&back.state, back.on_air_at, back.evidence, back.in_doubt), (&yielding.state, None, None, true));
    assert_eq!(outcome(&happen(&back, Event::Due, 3571)), ("failed", "in_doubt"));
}

#[test]
fn what_is_wanted_of_an_attempt_under_way_waits_for_its_answer() {
    let wanted = happen(&example(), Event::Cut(Outcome::CutOperator), 1);
    assert_eq!(wanted.state, State::Armed);
    assert_eq!(answer(&wanted, &accepted(), at(2)).state, State::Stopping { outcome: Outcome::CutOperator });
    assert_eq!(outcome(&answer(&wanted, &rejected("InternalError"), at(2))), ("cut", "operator"));
    assert_eq!(outcome(&happen(&wanted, Event::Recovered, 2)), ("cut", "operator"));
    let ended = happen(&example(), Event::End, 1);
    assert_eq!(answer(&ended, &accepted(), at(2)).state, State::Stopping { outcome: Outcome::EndedPlanned });
    assert_eq!(outcome(&answer(&ended, &rejected("InternalError"), at(2))), ("failed", "InternalError"));
}

#[test]
fn a_doubt_adopts_the_task_a_callback_names_and_gives_it_back() {
    let waiting = answer(&example(), &Answer::bare(Err(Fault::Timeout)), at(0));
    let adopted = happen(&waiting, Event::Adopted { task_id: "t-9".into() }, 11);
    assert_eq!((adopted.state.name(), adopted.task_id.as_deref(), adopted.on_air_at), ("on_air", Some("t-9"), Some(at(11))));
    let back = happen(&adopted, Event::TakenBack, 12);
    assert_eq!((back.state.name(), back.task_id.as_deref(), back.in_doubt, back.on_air_at), ("waiting", None, true, None));
    let stopping = happen(&adopted, Event::End, 3600);
    assert_eq!(outcome(&happen(&stopping, Event::TakenBack, 3601)), ("ended", "unverified"));
    let (doubtful, now) = wait(&waiting);
    let unknown = answer(&doubtful, &rejected("FailedOperation.TaskExist"), now);
    let adopted = happen(&unknown, Event::Adopted { task_id: "t-9".into() }, 20);
    assert_eq!(happen(&adopted, Event::TakenBack, 21).state, State::OnAir);
    // What was answered is in no doubt.
    assert!(decide(&on_air(), Event::Adopted { task_id: "t-9".into() }, at(2)).is_err());
}

/// A show on the example's target, so many seconds after its start.
fn show(job: &str, start: i64, conflict: Conflict) -> Occurrence {
    let mut show = example();
    show.key = Key { start: at(start), job: JobId::parse(job).expect("an id") };
    show.playout.robot = job.to_owned();
    show.end = End::Planned(at(start + 3600));
    show.policy.conflict = conflict;
    show
}

#[test]
fn of_two_in_a_room_the_rule_decides_which_one_leaves() {
    use Conflict::{Allow, Preempt, Reject, Yield};
    use Displacement::{Ends, Preempted, Skipped, Yields};
    // Own conflict, other start and conflict, when, and what becomes of the own, which began at 0.
    for (own, other_start, other, now, expected) in [
        (Reject, 1800, Preempt, 1799, None),
        (Reject, 1800, Preempt, 1800, Some(Preempted)),
        (Reject, 1800, Reject, 1800, Some(Preempted)),
        (Reject, -1800, Reject, 0, None),
        (Reject, 3599, Reject, 3599, Some(Ends)),
        (Reject, 3598, Reject, 3598, Some(Preempted)),
        (Yield, 1800, Reject, 1800, Some(Yields)),
        (Yield, -1800, Reject, 0, Some(Yields)),
        (Reject, 1800, Yield, 1800, None),
        (Yield, 1800, Yield, 1800, Some(Yields)),
        (Yield, -1800, Yield, 0, None),
        (Allow, 1800, Allow, 1800, None),
        (Allow, 1800, Reject, 1800, Some(Preempted)),
        // Equal starts: the job's id decides, before either is sent.
        (Reject, 0, Reject, -4, Some(Skipped)),
        (Yield, 0, Reject, -4, Some(Yields)),
        (Reject, 0, Yield, -4, None),
    ] {
        let (own, other) = (show("late", 0, own), show("early", other_start, other));
        assert_eq!(
            displaced_by(&own, &other, at(now)),
            expected,
            "{:?} at {now}, {other_start} {:?}",
            own.policy.conflict,
            other.policy.conflict
        );
    }
    let (mut own, other) = (show("late", 0, Reject), show("early", 0, Reject));
    own.policy.priority = 9;
    assert_eq!((displaced_by(&own, &other, at(-4)), displaced_by(&other, &own, at(-4))), (None, Some(Skipped)));
    let over = Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..show("early", 1800, Reject) };
    assert_eq!(displaced_by(&show("late", 0, Yield), &over, at(1900)), None, "a room is free as soon as its show is being stopped");
}

#[test]
fn a_doubt_says_what_may_play_and_until_when() {
    let mut show = example();
    let of = |show: &Occurrence| OpenDoubt::new(show, at(1));
    let told = |show: &Occurrence| OpenDoubt::describe(&[&of(show)], |at| format!("{at:.0}")).expect("one");
    assert_eq!((of(&show).bound, of(&show).until), (Some(at(3661)), at(3661)));
    assert!(told(&show).ends_with(&format!("in room lobby as robot promo; the cloud ends it by {}", at(3661))), "{}", told(&show));
    show.playout.repeat = Repeat::Times(1);
    // Ten minutes of media, a second late, and the longest idle time.
    assert_eq!((of(&show).bound, of(&show).until), (None, at(1201)));
    assert!(told(&show).contains("it ends with its media, by "), "{}", told(&show));
    show.playout.live = true;
    assert_eq!((of(&show).bound, of(&show).until), (None, at(1) + SignedDuration::from_hours(8 * 24)));
    assert!(told(&show).ends_with("it has no bound in the cloud"), "{}", told(&show));
    let several = [OpenDoubt::new(&show, at(1)), OpenDoubt::new(&show, at(20))];
    let text = OpenDoubt::describe(&several.iter().collect::<Vec<_>>(), |at| format!("{at:.0}")).expect("two");
    assert!(text.starts_with(&format!("no answer proves whether 2 starts, the first sent at {}, began: ", at(1))), "{text}");
    assert_eq!(OpenDoubt::describe(&[], |at| format!("{at:.0}")), None);
}

/// A loop whose start was not answered, and whose task a callback named.
fn adopted() -> Occurrence {
    let waiting = answer(&example(), &Answer::bare(Err(Fault::Timeout)), at(0));
    happen(&waiting, Event::Adopted { task_id: "t-9".into() }, 11)
}

#[test]
fn an_adopted_task_that_no_answer_named_ends_unverified_however_it_ends() {
    let stopping = happen(&adopted(), Event::End, 3600);
    let settled = |verified| happen(&stopping, Event::StopSettled { at: at(3601), verified }, 3602);
    assert_eq!((outcome(&settled(true)), outcome(&settled(false))), (("ended", "unverified"), ("ended", "unverified")));
    assert_eq!(outcome(&happen(&stopping, Event::Gone { at: at(3601), was_seen: true }, 3602)), ("ended", "unverified"));
    assert_eq!(outcome(&happen(&adopted(), Event::Gone { at: at(3590), was_seen: true }, 3592)), ("ended", "unverified"));
    let yielding = happen(&adopted(), Event::Yield, 1000);
    let closed = happen(&yielding, Event::End, 3600);
    assert_eq!(outcome(&happen(&closed, Event::StopSettled { at: at(3600), verified: true }, 3600)), ("ended", "unverified"));
    // What was cut was cut, whoever's it was.
    let cut = happen(&adopted(), Event::Cut(Outcome::CutOperator), 1000);
    assert_eq!(outcome(&happen(&cut, Event::StopSettled { at: at(1001), verified: true }, 1002)), ("cut", "operator"));
}

#[test]
fn an_answer_that_names_a_task_makes_the_end_verified_again_and_task_exist_forgets_what_was_adopted() {
    let lost = happen(&adopted(), Event::Gone { at: at(1000), was_seen: true }, 1002);
    let calling = happen(&lost, Event::Due, 1002);
    let healed = answer(&calling, &accepted(), at(1003));
    let stopping = happen(&healed, Event::End, 3600);
    assert_eq!(outcome(&happen(&stopping, Event::StopSettled { at: at(3601), verified: true }, 3602)), ("ended", "planned"));
    // The adopted task is gone, and one of this robot runs: it was another, and has no name.
    let exists = answer(&calling, &rejected("FailedOperation.TaskExist"), at(1003));
    assert_eq!((exists.state.name(), exists.task_id, exists.adopted), ("on_air", None, None));
}
