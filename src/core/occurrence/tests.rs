//! The state machine and the request, row by row.

mod agreement;
mod evidence;
mod fallback;
mod fixes;
mod interruptions;
mod retries;
mod task;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::schedule::{Conflict, Late};
use crate::trtc::{Answer, Body, Destination, Fault, Room, StartOptions, StreamUrl, Success, TaskStatus};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).expect("in range")
}

/// A loop of ten-minute media, on air for an hour.
pub(crate) fn example() -> Occurrence {
    let playout = Playout {
        destination: Destination { app: "main".into(), sdk_app_id: 1_400_000_001, region: "ap-singapore".into() },
        room: Room::Text("lobby".into()),
        robot: "promo".into(),
        stream: StreamUrl::new("https://cdn.example.com/promo.mp4"),
        fallback: None,
        instead_of: None,
        live: false,
        length: Some(Duration::from_mins(10)),
        seek: Duration::ZERO,
        repeat: Repeat::Forever,
        options: StartOptions::default(),
    };
    let key = Key { start: at(0), job: JobId::parse("promo").expect("an id") };
    Occurrence::armed(key, End::Planned(at(3600)), playout, Policy::default(), 1)
}

fn rejected(code: &str) -> Answer {
    Answer::bare(Err(Fault::Rejected { code: code.into(), message: "why".into() }))
}

fn accepted() -> Answer {
    Answer::bare(Ok(Success::Started { task_id: "t-1".into() }))
}

/// Sends the attempt that is claimed and lets `answer` come at once.
fn answer(occurrence: &Occurrence, answer: &Answer, now: Timestamp) -> Occurrence {
    answer_while(occurrence, answer, now, false)
}

fn answer_while(occurrence: &Occurrence, answer: &Answer, now: Timestamp, robot_busy: bool) -> Occurrence {
    let judgement = classify(occurrence, answer, false);
    decide(occurrence, Event::Answered { sent_at: now, judgement, robot_busy }, now).expect("legal")
}

/// Lets the wait pass and claims the next attempt.
fn wait(occurrence: &Occurrence) -> (Occurrence, Timestamp) {
    let State::Waiting { until, .. } = occurrence.state else { panic!("does not wait: {occurrence:#?}") };
    (decide(occurrence, Event::Due, until).expect("legal"), until)
}

fn outcome(occurrence: &Occurrence) -> (&str, &str) {
    match &occurrence.state {
        State::Done { outcome } => (outcome.name(), outcome.reason()),
        state => (state.name(), ""),
    }
}

#[test]
fn an_accepted_start_is_on_air_and_its_end_stops_it() {
    let on_air = answer(&example(), &accepted(), at(0));
    assert_eq!((on_air.state.name(), on_air.task_id.as_deref(), on_air.on_air_at), ("on_air", Some("t-1"), Some(at(0))));
    let stopping = decide(&on_air, Event::End, at(3600)).expect("legal");
    assert_eq!(stopping.state.name(), "stopping");
    let done = decide(&stopping, Event::StopSettled { at: at(3601), verified: true }, at(3603)).expect("legal");
    assert_eq!((outcome(&done), done.ended_at), (("ended", "planned"), Some(at(3601))));
    let done = decide(&stopping, Event::StopSettled { at: at(3601), verified: false }, at(3603)).expect("legal");
    assert_eq!(outcome(&done), ("ended", "unverified"));
}

#[test]
fn each_code_is_tried_soon_as_often_as_its_class_allows_and_fails_when_the_window_closes() {
    // Code, and how many attempts leave in the first 50 s when it is all that ever comes (0: as long as the backoff goes on).
    for (code, soon) in [
        ("InvalidParameter.StreamUrl", 1),
        ("AuthFailure.SecretIdNotFound", 1),
        ("UnauthorizedOperation", 1),
        ("InvalidParameter.SomethingNew", 1),
        ("InvalidParameter.UserSig", 2),
        ("AuthFailure.TokenFailure", 2),
        ("InternalError.HttpParseFailed", 2),
        ("AuthFailure.SignatureExpire", 3),
        ("FailedOperation.RequestOutdated", 3),
        ("InternalError.InternalError", 0),
        ("ResourceInsufficient.RequestRejection", 0),
        ("RequestLimitExceeded.UinLimitExceeded", 0),
        ("LimitExceeded.ConcurrencyLimit", 0),
        ("FailedOperation.RestrictedConcurrency", 0),
    ] {
        let mut occurrence = answer(&example(), &rejected(code), at(0));
        let mut sent = vec![at(0)];
        while !occurrence.is_done() && occurrence.attempts < 500 {
            let (calling, now) = wait(&occurrence);
            sent.extend((!calling.is_done()).then_some(now));
            occurrence = if calling.is_done() { calling } else { answer(&calling, &rejected(code), now) };
        }
        assert_eq!(outcome(&occurrence), ("failed", code));
        assert_eq!(sent.last(), Some(&(at(3570) - SignedDuration::from_millis(100))), "{code}: an open window is not given up");
        if soon > 0 {
            assert_eq!(sent.iter().filter(|sent| **sent < at(50)).count(), soon, "{code}");
            assert!((60..75).contains(&sent.len()), "{code}: slowly, and not {} times", sent.len());
        } else {
            // The mean delay is at most 15 s.
            assert!(occurrence.attempts > 150, "{code}: {occurrence:#?}");
        }
    }
}

#[test]
fn attempts_and_codes_of_the_job_change_that() {
    let mut capped = example();
    Arc::make_mut(&mut capped.policy.retry).attempts = 2;
    let (calling, now) = wait(&answer(&capped, &rejected("InternalError"), at(0)));
    let waiting = answer(&calling, &rejected("InternalError"), now);
    assert_eq!(waiting.state, State::Waiting { until: Timestamp::MAX, why: WaitReason::Retry });
    // Nothing gives it a third attempt: not a clock that was set, and not a room that is free.
    for event in [Event::Due, Event::EndpointBack, Event::RoomFree] {
        let next = decide(&waiting, event, at(1800)).expect("legal");
        let next = if next == waiting { next } else { decide(&next, Event::Due, at(1800)).expect("legal") };
        assert_eq!((next.state, next.attempts), (waiting.state.clone(), 2));
    }
    let done = decide(&waiting, Event::Due, at(3571)).expect("legal");
    assert_eq!((outcome(&done), done.attempts), (("failed", "InternalError"), 2));

    let mut lenient = example();
    Arc::make_mut(&mut lenient.policy.retry).also = vec!["InvalidParameter.StreamUrl".into()];
    let State::Waiting { until, .. } = answer(&lenient, &rejected("InvalidParameter.StreamUrl"), at(0)).state else {
        panic!("it waits")
    };
    assert!(until <= at(1), "{until}");
}

#[test]
fn the_last_code_names_the_failure_and_without_one_what_may_have_begun() {
    for (faults, reason) in [
        (vec![Fault::Connect("refused".into())], "unreachable"),
        (vec![Fault::Timeout], "in_doubt"),
        (vec![Fault::Timeout, Fault::Connect("refused".into())], "in_doubt"),
        (vec![Fault::Status(502)], "in_doubt"),
    ] {
        let mut occurrence = Occurrence { end: End::Planned(at(60)), ..example() };
        let mut now = at(0);
        for fault in faults.iter().cycle().take(500) {
            occurrence = answer(&occurrence, &Answer::bare(Err(fault.clone())), now);
            if occurrence.is_done() {
                break;
            }
            (occurrence, now) = wait(&occurrence);
        }
        assert_eq!(outcome(&occurrence), ("failed", reason), "{faults:?}");
    }
}

#[test]
fn task_exist_is_ours_only_where_we_may_have_begun_it() {
    let exists = rejected("FailedOperation.TaskExist");
    // After a doubt.
    let (doubtful, now) = wait(&answer(&example(), &Answer::bare(Err(Fault::Timeout)), at(0)));
    let ours = answer(&doubtful, &exists, now);
    assert_eq!((ours.state.name(), ours.task_id.as_deref(), ours.was_in_doubt), ("on_air", None, true));
    // On the first try for a window that was open already.
    let joined = answer(&Occurrence { joined: true, ..example() }, &exists, at(100));
    assert_eq!(joined.state.name(), "on_air");
    // Not while an earlier task of the same robot is not verified gone.
    assert_eq!(answer_while(&doubtful, &exists, now, true).state.name(), "waiting");
    // Anything else is somebody's: soon at first, then slowly to the close of the window, then failed.
    let mut foreign = answer(&example(), &exists, at(0));
    let mut now = at(0);
    while !foreign.is_done() {
        (foreign, now) = wait(&foreign);
        foreign = answer(&foreign, &exists, now);
    }
    assert_eq!(outcome(&foreign), ("failed", "FailedOperation.TaskExist"));
    assert_eq!(now, at(3570) - SignedDuration::from_millis(100));
    // A doubt stays a doubt until something proves it wrong. `TaskExist` itself is not a doubt.
    assert!(!foreign.was_in_doubt);
}

#[test]
fn on_air_without_a_task_id_ends_unverified() {
    let (doubtful, now) = wait(&answer(&example(), &Answer::bare(Err(Fault::Cut("x".into()))), at(0)));
    let on_air = answer(&doubtful, &rejected("FailedOperation.TaskExist"), now);
    assert_eq!(outcome(&decide(&on_air, Event::End, at(3600)).expect("legal")), ("ended", "unverified"));
}

#[test]
fn what_came_back_unsent_was_missed_or_failed() {
    for (reason, expected) in [(NotSent::Late, "late"), (NotSent::Limit, "limit"), (NotSent::ContentOver, "content_over")] {
        let done = decide(&example(), Event::NotSent(reason), at(0)).expect("legal");
        assert_eq!((outcome(&done), done.attempts), (("missed", expected), 0));
    }
    let (calling, now) = wait(&answer(&example(), &rejected("InternalError"), at(0)));
    let done = decide(&calling, Event::NotSent(NotSent::Limit), now).expect("legal");
    assert_eq!((outcome(&done), done.attempts), (("failed", "InternalError"), 1));
}

#[test]
fn a_row_that_was_under_way_is_recovered_in_doubt() {
    let recovered = decide(&example(), Event::Recovered, at(10)).expect("legal");
    assert_eq!((recovered.state.name(), recovered.in_doubt, recovered.was_in_doubt), ("waiting", true, true));
    let too_late = decide(&example(), Event::Recovered, at(3590)).expect("legal");
    assert_eq!(outcome(&too_late), ("failed", "in_doubt"));
    let mut skipping = example();
    skipping.policy.late = Late::Skip;
    assert_eq!(decide(&skipping, Event::Recovered, at(1)).expect("legal").state.name(), "waiting");
    assert_eq!(outcome(&decide(&skipping, Event::Recovered, at(3)).expect("legal")), ("failed", "in_doubt"));
    // A crash loop cannot go beyond the cap: the attempt was counted when it was claimed.
    let mut capped = example();
    Arc::make_mut(&mut capped.policy.retry).attempts = 1;
    let used_up = decide(&capped, Event::Recovered, at(1)).expect("legal");
    assert_eq!((&used_up.state, used_up.in_doubt), (&State::Waiting { until: Timestamp::MAX, why: WaitReason::Retry }, true));
    assert_eq!(outcome(&decide(&used_up, Event::Due, at(3571)).expect("legal")), ("failed", "in_doubt"));
}

#[test]
fn what_the_table_does_not_know_is_refused_by_name() {
    let done = decide(&example(), Event::NotSent(NotSent::Late), at(0)).expect("legal");
    for event in
        [Event::Due, Event::End, Event::Recovered, Event::Gone { at: at(1), was_seen: true }, Event::NotSent(NotSent::Late)]
    {
        assert_eq!(decide(&done, event, at(2)).expect_err("an outcome is final").state, "done");
    }
    assert_eq!(
        decide(&example(), Event::Due, at(0)).expect_err("armed waits for no one").to_string(),
        "Due cannot happen to an occurrence that is armed"
    );
}

#[test]
fn a_window_closes_30_s_or_a_quarter_before_its_end() {
    for (end, within, closes) in [
        (End::Planned(at(3600)), None, Some(3570)),
        (End::Planned(at(60)), None, Some(45)),
        (End::Planned(at(3600)), Some(300), Some(300)),
        (End::Open, None, Some(600)),
        (End::Open, Some(60), Some(60)),
        (End::Never, None, None),
        (End::Never, Some(60), Some(60)),
    ] {
        let mut occurrence = Occurrence { end, ..example() };
        occurrence.policy.start_within = within.map(Duration::from_secs);
        assert_eq!(occurrence.start_closes(), closes.map(at), "{end:?} {within:?}");
    }
}

type SeekRepeatBound = (Option<u64>, Option<Repeat>, Option<u16>);

/// Seek, `RepeatNum` and MaxDuration of a start so many seconds after its instant.
fn request(occurrence: &Occurrence, seconds: i64) -> Result<SeekRepeatBound, ContentOver> {
    let request = start_request(occurrence, at(seconds))?;
    let Body::Start { params, .. } = request.body else { panic!("a start") };
    Ok((params.seek_second, params.repeat, params.max_duration))
}

#[test]
fn a_loop_is_joined_modulo_its_length_and_bounded_by_the_cloud() {
    let forever = Some(Repeat::Forever);
    let promo = example();
    assert_eq!(request(&promo, 0), Ok((None, forever, Some(61))));
    assert_eq!(request(&promo, 1), Ok((None, forever, Some(61))));
    assert_eq!(request(&promo, 700), Ok((Some(100), forever, Some(50))));
    let seeking = Occurrence { playout: Playout { seek: Duration::from_secs(90), ..promo.playout.clone() }, ..promo.clone() };
    assert_eq!(request(&seeking, 0), Ok((Some(90), forever, Some(61))));
    assert_eq!(request(&seeking, 520), Ok((Some(10), forever, Some(53))));
    let options = StartOptions { tempo: Tempo::from_percent(150), ..StartOptions::default() };
    let fast = Occurrence { playout: Playout { options, ..promo.playout.clone() }, ..promo.clone() };
    assert_eq!(request(&fast, 100), Ok((Some(150), forever, Some(60))));
    let unknown = Occurrence { playout: Playout { length: None, ..seeking.playout.clone() }, ..promo.clone() };
    assert_eq!(request(&unknown, 700), Ok((Some(90), forever, Some(50))));
    let over = request(&Occurrence { end: End::Never, ..promo }, 0);
    assert_eq!(over, Ok((None, forever, Some(10_080))));
}

#[test]
fn plays_that_are_over_are_not_repeated() {
    let plays = |plays| Occurrence { playout: Playout { repeat: Repeat::Times(plays), ..example().playout }, ..example() };
    assert_eq!(request(&plays(1), 0), Ok((None, None, None)));
    assert_eq!(request(&plays(3), 1250), Ok((Some(50), None, None)));
    assert_eq!(request(&plays(3), 650), Ok((Some(50), Some(Repeat::Times(2)), None)));
    assert_eq!(request(&plays(3), 1800), Err(ContentOver));
    let unknown = Occurrence { playout: Playout { length: None, ..plays(1).playout }, ..example() };
    assert_eq!(request(&unknown, 650), Ok((Some(650), None, None)));
    let live = Occurrence { playout: Playout { live: true, length: None, ..plays(1).playout }, ..example() };
    assert_eq!(request(&live, 650), Ok((None, None, None)));
}

#[test]
fn a_late_restart_begins_at_the_beginning_until_it_was_on_air() {
    let mut occurrence = Occurrence { playout: Playout { repeat: Repeat::Times(1), ..example().playout }, ..example() };
    occurrence.policy.late = Late::Restart;
    assert_eq!(request(&occurrence, 700), Ok((None, None, None)));
    occurrence.on_air_at = Some(at(10));
    assert_eq!(request(&occurrence, 300), Ok((Some(300), None, None)));
}

#[test]
fn the_signature_outlives_the_window() {
    let until = |occurrence: &Occurrence, seconds| match start_request(occurrence, at(seconds)).expect("content").body {
        Body::Start { valid_until, .. } => valid_until,
        _ => panic!("a start"),
    };
    assert_eq!(until(&example(), 0), at(7200));
    assert_eq!(until(&Occurrence { end: End::Open, ..example() }, 0), at(8 * 86_400));
}
