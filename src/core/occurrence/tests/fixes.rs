//! A fault that somebody must fix: how it waits, what an edit and other secrets give it, and who has its room meanwhile.

use super::*;
use crate::schedule::Conflict;

const WRONG: &str = "InvalidParameter.StreamUrl";

fn happen(occurrence: &Occurrence, event: Event, seconds: i64) -> Occurrence {
    decide(occurrence, event, at(seconds)).expect("legal")
}

fn no_answer() -> Answer {
    Answer::bare(Err(Fault::Timeout))
}

/// The same show with other media.
fn other_media(occurrence: &Occurrence) -> Playout {
    Playout { stream: StreamUrl::new("https://cdn.example.com/other.mp4"), ..occurrence.playout.clone() }
}

#[test]
fn a_window_without_an_end_is_tried_slowly_for_ever() {
    let mut endless = answer(&Occurrence { end: End::Never, ..example() }, &rejected(WRONG), at(0));
    for _ in 0..2_000 {
        let (calling, now) = wait(&endless);
        endless = answer(&calling, &rejected(WRONG), now);
    }
    assert_eq!((endless.state.name(), endless.tried_at), ("waiting", Some(at(120_000))));
}

#[test]
fn what_may_be_fixed_has_all_its_tries_again_and_uses_the_first_at_once() {
    let mut capped = example();
    Arc::make_mut(&mut capped.policy.retry).attempts = 1;
    let waiting = answer(&capped, &rejected("InvalidParameter.UserSig"), at(0));
    assert!(waiting.has_no_tries_left());
    let fixed = happen(&waiting, Event::Fixed, 100);
    assert_eq!(fixed.state, State::Waiting { until: at(100), why: WaitReason::Retry });
    let calling = happen(&fixed, Event::Due, 100);
    assert_eq!((calling.state.name(), calling.attempts, calling.tries), ("calling", 2, 1));
    // The class counts anew, too: a new UserSig may be refused once.
    let mut soon = answer(&example(), &rejected("InvalidParameter.UserSig"), at(0));
    soon = answer(&wait(&soon).0, &rejected("InvalidParameter.UserSig"), at(1));
    assert!(soon.needs_fix());
    let fixed = happen(&soon, Event::Fixed, 10);
    assert!(!fixed.needs_fix(), "nobody knows that it is not fixed");
    let again = answer(&happen(&fixed, Event::Due, 10), &rejected("InvalidParameter.UserSig"), at(10));
    let State::Waiting { until, .. } = again.state else { panic!("it waits") };
    assert!(until <= at(11), "{until}");
    // What yields waits for its room still.
    let yielding = happen(&waiting, Event::Yield, 50);
    assert_eq!(happen(&yielding, Event::Fixed, 100).state, yielding.state);
}

#[test]
fn an_attempt_in_doubt_keeps_its_media_until_an_answer_says_which_of_the_two_plays() {
    let doubtful = answer(&example(), &no_answer(), at(0));
    let mut edited = doubtful.clone();
    edited.take_edit(other_media(&doubtful), 2);
    assert_eq!((edited.playout.stream.reveal(), edited.in_doubt), ("https://cdn.example.com/other.mp4", true));
    let calling = happen(&edited, Event::Due, 20);
    let exists = answer(&calling, &rejected("FailedOperation.TaskExist"), at(20));
    assert_eq!((exists.state.name(), &exists.playout, &exists.replaced), ("on_air", &doubtful.playout, &Replaced::Nothing));
    let accepted = answer(&calling, &accepted(), at(20));
    assert_eq!((accepted.state.name(), &accepted.playout, &accepted.replaced), ("on_air", &edited.playout, &Replaced::Nothing));
    let adopted = happen(&edited, Event::Adopted { task_id: "t-9".into() }, 15);
    assert_eq!((adopted.state.name(), &adopted.playout), ("on_air", &doubtful.playout));
    // A second edit changes what is sent next, and not what was sent.
    let mut twice = edited.clone();
    twice.take_edit(Playout { stream: StreamUrl::new("https://cdn.example.com/third.mp4"), ..doubtful.playout.clone() }, 3);
    assert_eq!(twice.replaced, Replaced::Media(Box::new(doubtful.playout)));
}

#[test]
fn an_edit_that_moves_a_show_leaves_the_doubt_where_it_was() {
    let doubtful = answer(&example(), &no_answer(), at(0));
    for place in ["region", "room", "robot", "app"] {
        let mut moved = doubtful.clone();
        let mut playout = doubtful.playout.clone();
        match place {
            "region" => playout.destination.region = "ap-jakarta".into(),
            "room" => playout.room = Room::Text("hall".into()),
            "robot" => playout.robot = "other".into(),
            _ => playout.destination.sdk_app_id = 1_400_000_002,
        }
        moved.take_edit(playout, 2);
        assert_eq!((moved.in_doubt, moved.was_in_doubt, &moved.replaced), (false, true, &Replaced::Place), "{place}");
        // Whatever is there was begun by somebody else.
        let exists = answer(&happen(&moved, Event::Due, 20), &rejected("FailedOperation.TaskExist"), at(20));
        assert_eq!(exists.state.name(), "waiting", "{place}");
        let on_air = answer(&happen(&moved, Event::Due, 20), &accepted(), at(20));
        assert_eq!((on_air.state.name(), on_air.replaced), ("on_air", Replaced::Nothing), "{place}");
    }
    // The same of a show that vanished: its task is not where it is now.
    let lost = happen(&answer(&example(), &accepted(), at(0)), Event::Gone { at: at(100), was_seen: true }, 102);
    let mut moved = lost.clone();
    moved.take_edit(Playout { robot: "other".into(), ..lost.playout.clone() }, 2);
    let exists = answer(&happen(&moved, Event::Due, 103), &rejected("FailedOperation.TaskExist"), at(103));
    assert_eq!(exists.state.name(), "waiting");
}

#[test]
fn a_show_whose_starts_are_refused_keeps_no_yielder_from_the_room() {
    let mut filler =
        answer(&Occurrence { policy: Policy { conflict: Conflict::Yield, ..example().policy }, ..example() }, &accepted(), at(0));
    filler.playout.robot = "filler".into();
    let mut show = example();
    show.key = Key { start: at(600), job: JobId::parse("show").expect("an id") };
    let yields = |show: &Occurrence, now: i64| displaced_by(&filler, show, at(now)).is_some();
    assert!(yields(&show, 600), "it has the room for its first attempt");
    let refused = answer(&show, &rejected(WRONG), at(600));
    assert!(!yields(&refused, 601));
    // Its slow attempts leave without the room.
    let (calling, now) = wait(&refused);
    assert!(!yields(&calling, 660) && now == at(660));
    let on_air = answer(&calling, &accepted(), now);
    assert!(yields(&on_air, 661), "it takes the room when it is on air");
    assert!(yields(&happen(&refused, Event::Fixed, 700), 700), "and for the first attempt after an edit");
    // What is tried again soon, and what may be on air, has the room.
    for waiting in [answer(&show, &rejected("ResourceInsufficient"), at(600)), answer(&show, &no_answer(), at(600))] {
        assert!(yields(&waiting, 601));
    }
    let doubtful = answer(&wait(&answer(&show, &no_answer(), at(600))).0, &rejected(WRONG), at(620));
    assert!(doubtful.needs_fix() && yields(&doubtful, 621));
    // A later start takes the room from it as from any other.
    let rival = Occurrence { key: Key { start: at(900), job: JobId::parse("rival").expect("an id") }, ..example() };
    assert_eq!(displaced_by(&refused, &rival, at(900)), Some(Displacement::Preempted));
}

#[test]
fn what_an_answer_asks_of_the_client_does_not_depend_on_the_action() {
    for code in ["AuthFailure", "AuthFailure.SecretIdNotFound", "AuthFailure.SignatureFailure", "InvalidParameter.UserSig"] {
        assert_eq!(remedy(&rejected(code)), Some(Remedy::RereadSecrets), "{code}");
    }
    assert_eq!(remedy(&Answer::bare(Err(Fault::Unsendable("no key".into())))), Some(Remedy::RereadSecrets));
    assert_eq!(remedy(&rejected("AuthFailure.SignatureExpire")), Some(Remedy::TakeClock));
    for code in ["InvalidParameter.RoomId", "InternalError", "FailedOperation.TaskExist"] {
        assert_eq!(remedy(&rejected(code)), None, "{code}");
    }
}

#[test]
fn a_show_that_is_taken_up_again_has_its_doubt_back_where_it_was_and_nowhere_else() {
    let mut once = example();
    Arc::make_mut(&mut once.policy.retry).attempts = 1;
    let doubtful = answer(&once, &no_answer(), at(0));
    let failed = happen(&doubtful, Event::End, 3600);
    assert_eq!((outcome(&failed), failed.in_doubt), (("failed", "in_doubt"), false));
    let exists = |show: &Occurrence| answer(&happen(show, Event::Due, 100), &rejected("FailedOperation.TaskExist"), at(100));
    let again = failed.clone().returned(at(100));
    assert!(again.in_doubt);
    assert_eq!((exists(&again).state.name(), exists(&again).task_id), ("on_air", None));
    // Elsewhere it is a stranger's.
    let mut moved = again;
    moved.take_edit(Playout { robot: "other".into(), ..once.playout.clone() }, 2);
    assert_eq!((moved.in_doubt, exists(&moved).state.name()), (false, "waiting"));
    // What was proved to be nothing is no doubt, and neither is one that a later answer settled.
    let refused = happen(&answer(&once, &rejected("ResourceInsufficient"), at(0)), Event::End, 3600);
    assert!(!refused.returned(at(100)).in_doubt);
    let on_air = answer(&happen(&happen(&doubtful, Event::Fixed, 20), Event::Due, 20), &accepted(), at(20));
    let cut = happen(&happen(&on_air, Event::Cut(Outcome::CutRemoved), 30), Event::Gone { at: at(31), was_seen: true }, 31);
    assert!(cut.was_in_doubt && !cut.returned(at(100)).in_doubt);
}

#[test]
fn what_a_fallback_in_doubt_plays_is_known_when_its_show_is_taken_up_again() {
    let playout = Playout { fallback: Some(StreamUrl::new("https://cdn.example.com/still.mp4")), ..example().playout };
    let mut show = Occurrence { playout, ..example() };
    show.decide_source(Source::Fallback, at(0));
    show.change_source(at(0));
    let failed = happen(&answer(&show, &no_answer(), at(0)), Event::End, 3600);
    let again = failed.returned(at(100));
    assert!(again.in_doubt && !again.plays_fallback());
    let exists = answer(&happen(&again, Event::Due, 100), &rejected("FailedOperation.TaskExist"), at(100));
    assert!(exists.state == State::OnAir && exists.plays_fallback());
}
