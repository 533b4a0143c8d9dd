//! Every state, with every field, comes back from the ledger as it was written. How it is stored is not tested here.

use std::sync::Arc;
use std::time::Duration;

use ingestd::ledger::{HistoryQuery, Ledger, Reader};
use ingestd::occurrence::{
    Adopted, End, Evidence, Failure, FallbackReason, FallbackRecord, HEALS_FAST, Key, Kind, LastFault, Occurrence, Outcome, Played,
    Playout, Policy, Replaced, State, StreamTrouble, Task, TaskFault, TaskPhase, TaskStep, WaitReason,
};
use ingestd::schedule::{Conflict, JobId, Late, OnRemove, RetryPolicy, StreamUrl};
use ingestd::trtc::start_options::{START_PARAMETERS, Takes};
use ingestd::trtc::{Destination, Repeat, Room, StartOptions, Tempo};
use jiff::{SignedDuration, Timestamp};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::filling::write;
use super::rows::{on_air, task};
use super::{at, ledger, rows};
use crate::turn::BeginTurn as _;

/// How many rows are tried. Each has some fifty values; all are in one ledger.
const CASES: u32 = 300;

fn instant() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(|ms| Timestamp::from_millisecond(ms).expect("a time of this age or the next"))
}

fn milliseconds() -> impl Strategy<Value = Duration> {
    (0..400_000_000_000_u64).prop_map(Duration::from_millis)
}

fn room() -> impl Strategy<Value = Room> {
    let text = "[^\\p{C}]{1,16}".prop_map(|id| Room::text(&id).expect("a room"));
    prop_oneof![(1..=u32::MAX).prop_map(Room::Integer), text, Just(Room::Text("42".to_owned()))]
}

fn repeat() -> impl Strategy<Value = Repeat> {
    prop_oneof![Just(Repeat::Forever), (1..=1000_u16).prop_map(Repeat::Times)]
}

/// Each parameter, or none, with any value that it takes.
fn options() -> impl Strategy<Value = StartOptions> {
    let value = |takes| match takes {
        Takes::Whole { least, most } | Takes::Seconds { least, most } => (least..=most).prop_map(Value::from).boxed(),
        Takes::Flag => any::<bool>().prop_map(Value::from).boxed(),
        Takes::Tempo => select(Tempo::all().collect::<Vec<_>>()).prop_map(|tempo| tempo.factor().into()).boxed(),
    };
    START_PARAMETERS.map(|parameter| option::of(value(parameter.takes))).prop_map(|values| {
        let mut options = StartOptions::default();
        for (parameter, value) in START_PARAMETERS.into_iter().zip(values) {
            if let Some(value) = value {
                parameter.set(&mut options, &value).expect("it is in range");
            }
        }
        options
    })
}

fn playout() -> impl Strategy<Value = Playout> {
    let destination = ("[a-z0-9]{1,9}", 1..=u64::from(u32::MAX), "[a-z-]{4,12}")
        .prop_map(|(app, sdk_app_id, region)| Destination { app, sdk_app_id, region });
    let urls = ("https?://[!-~]{1,40}", option::of("https?://[!-~]{1,40}"), any::<bool>());
    let media = (urls, any::<bool>(), option::of(milliseconds()), milliseconds(), repeat())
        .prop_map(|(urls, live, length, seek, repeat)| (urls, live, length, seek, repeat));
    (destination, room(), "[A-Za-z0-9_-]{1,32}", media, options()).prop_map(|(destination, room, robot, media, options)| {
        let ((stream, fallback, plays_fallback), live, length, seek, repeat) = media;
        let (stream, fallback) = (StreamUrl::new(&stream), fallback.as_deref().map(StreamUrl::new));
        let instead_of = None;
        let scheduled = Playout { destination, room, robot, stream, fallback, instead_of, live, length, seek, repeat, options };
        scheduled.of_fallback().filter(|_| plays_fallback).unwrap_or(scheduled)
    })
}

/// A value of an enum, by its table of words.
fn of_words<T: Copy + std::fmt::Debug + 'static>(words: &'static [(&'static str, T)]) -> impl Strategy<Value = T> {
    select(words).prop_map(|(_, value)| value)
}

fn task_fault() -> impl Strategy<Value = TaskFault> {
    let step = select(vec![TaskStep::Stop, TaskStep::Describe]);
    (step, fault(), instant()).prop_map(|(step, LastFault { code, message, in_a_row }, since)| TaskFault {
        step,
        code,
        message,
        since,
        in_a_row,
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let retry = (milliseconds(), milliseconds(), any::<u32>(), prop::collection::vec("[A-Z][A-Za-z.]{1,20}", 0..3))
        .prop_map(|(first, cap, attempts, also)| Arc::new(RetryPolicy { first, cap, attempts, also }));
    let conflict = of_words(Conflict::WORDS);
    let on_remove = of_words(OnRemove::WORDS);
    let late = of_words(Late::WORDS);
    (late, option::of(milliseconds()), retry, 0..=9_u8, conflict, any::<bool>(), on_remove).prop_map(
        |(late, start_within, retry, priority, conflict, heal, on_remove)| Policy {
            late,
            start_within,
            conflict,
            retry,
            heal,
            on_remove,
            priority,
        },
    )
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![instant().prop_map(End::Planned), instant().prop_map(End::Media), Just(End::Open), Just(End::Never)]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let failures = prop_oneof![
        "[A-Z][A-Za-z]{1,20}(\\.[A-Z][A-Za-z]{1,20})?".prop_map(Failure::Code),
        Just(Failure::Unreachable),
        Just(Failure::InDoubt),
        Just(Failure::Lost),
    ];
    prop_oneof![select(Outcome::without_code().collect::<Vec<_>>()), failures.prop_map(Outcome::Failed)]
}

fn state() -> impl Strategy<Value = State> {
    let off = select(Outcome::ENDED_OR_CUT.to_vec());
    prop_oneof![
        Just(State::Armed),
        Just(State::Calling),
        (instant(), of_words(WaitReason::WORDS)).prop_map(|(until, why)| State::Waiting { until, why }),
        Just(State::OnAir),
        off.prop_map(|outcome| State::Stopping { outcome }),
        outcome().prop_map(|outcome| State::Done { outcome }),
    ]
}

fn fault() -> impl Strategy<Value = LastFault> {
    (option::of("[A-Z][A-Za-z.]{1,20}"), ".{0,60}", 1..1_000_u32).prop_map(|(code, message, in_a_row)| LastFault {
        code,
        message,
        in_a_row,
    })
}

/// What is remembered of a fallback.
fn fallback() -> impl Strategy<Value = FallbackRecord> {
    let trouble = option::of((instant(), of_words(FallbackReason::WORDS)));
    let trouble = trouble.prop_map(|trouble| trouble.map(|(since, why)| StreamTrouble { since, why }));
    let played = ("https?://[!-~]{1,40}", instant(), option::of(instant()));
    let played = played.prop_map(|(url, from, to)| Played { url: StreamUrl::new(&url), from, to });
    (trouble, 0..9_u32, any::<bool>(), prop::collection::vec(played, 0..3))
        .prop_map(|(trouble, returns, is_refused, played)| FallbackRecord { trouble, returns, is_refused, played })
}

/// A row that the state machine can write.
pub(crate) fn occurrence() -> impl Strategy<Value = Occurrence> {
    let name = (instant(), "[a-z0-9][a-z0-9_-]{0,31}", select(vec![Kind::Planned, Kind::Fired]));
    let counts = (1..1_000_u32, 0..1_000_u32, 0..50_u32, 0..i64::MAX);
    let doubts = (any::<bool>(), any::<bool>(), any::<bool>());
    let times = (option::of(instant()), option::of(instant()), option::of(instant()), option::of(instant()), option::of(instant()));
    let off = option::of(select(Outcome::ENDED_OR_CUT.to_vec()));
    let adopted = option::of(of_words(Adopted::WORDS));
    let losses = (
        off,
        option::of(instant()),
        option::of(instant()),
        prop::collection::vec(instant(), 0..=HEALS_FAST),
        prop::collection::vec(instant(), 0..4),
        adopted,
    );
    let texts = (option::of("[!-~]{1,40}"), option::of(fault()), option::of("[!-~]{1,40}"));
    let seen = (option::of(of_words(Evidence::WORDS)), 0..4_u32, option::of(task_fault()));
    let sent = playout().prop_map(|sent| Replaced::Media(Box::new(sent)));
    let played = (playout(), prop_oneof![Just(Replaced::Nothing), Just(Replaced::Place), sent], fallback());
    let parts = (name, end(), played, policy(), state(), counts, doubts, (times, losses, seen), texts);
    parts.prop_map(|(name, end, played, policy, state, counts, doubts, (times, losses, seen), texts)| {
        let (start, job, kind) = name;
        let (playout, replaced, fallback) = played;
        let (attempts, tries, restarts, generation) = counts;
        let (was_in_doubt, in_doubt, joined) = doubts;
        let (exists_since, first_sent_at, on_air_at, ended_at, confirmed_at) = times;
        let (wanted, tried_at, lost_at, heals, doubts, adopted) = losses;
        let (task_id, fault, request_id) = texts;
        let (evidence, unseen_losses, task_fault) = seen;
        let row = Occurrence {
            key: Key { start, job: JobId::parse(&job).expect("a job id") },
            kind,
            count: 1,
            end,
            playout,
            policy,
            generation,
            state,
            attempts,
            tries: tries.min(attempts),
            restarts,
            was_in_doubt,
            in_doubt: in_doubt && was_in_doubt,
            joined,
            exists_since,
            first_sent_at,
            on_air_at,
            ended_at,
            wanted,
            tried_at,
            lost_at,
            heals,
            doubts,
            adopted,
            confirmed_at,
            evidence,
            unseen_losses,
            ordered_by: (unseen_losses > 1).then(|| "uid 1000 (anna)".to_owned()),
            order_note: (unseen_losses > 2).then(|| "the guest is late".to_owned()),
            task_fault,
            task_id,
            replaced,
            fallback,
            fault,
            request_id,
        };
        possible(row)
    })
}

/// Makes a row one that the state machine can write: what is on air, or ended, has been put on air, and what was missed has not.
fn possible(mut row: Occurrence) -> Occurrence {
    let start = row.key.start;
    if !matches!(row.state, State::Armed | State::Calling) {
        row.wanted = None;
    }
    match &row.state {
        State::OnAir | State::Stopping { .. } => row.on_air_at = row.on_air_at.or(Some(start)),
        State::Done { outcome } if outcome.name() == "ended" => {
            row.on_air_at = row.on_air_at.or(Some(start));
            row.ended_at = row.ended_at.or(Some(start));
        }
        State::Done { outcome } if outcome.name() == "missed" => row.on_air_at = None,
        _ => {}
    }
    row.lost_at = row.lost_at.filter(|_| row.on_air_at.is_some());
    row.evidence = row.evidence.filter(|_| row.on_air_at.is_some());
    row
}

#[test]
fn every_state_and_every_field_come_back() {
    let (folder, ledger) = ledger();
    let ledger = std::cell::RefCell::new(ledger);
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&occurrence(), |row| {
        write(&mut ledger.borrow_mut(), &row);
        let query = HistoryQuery {
            job: Some(row.key.job.to_string()),
            since_ms: Some(row.key.start.as_millisecond()),
            limit: 9,
            ..Default::default()
        };
        let read = Reader::open(folder.path()).and_then(|reader| reader.history(&query)).expect("readable");
        prop_assert!(read.contains(&row), "{read:#?}");
        let recovered = ledger.borrow().recover(Timestamp::MIN).expect("readable").occurrences;
        prop_assert_eq!(recovered.contains(&row), !row.is_done());
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn an_occurrence_without_a_call_comes_back() {
    let (_folder, mut ledger) = ledger();
    let start = at("2026-11-22T10:00:00Z");
    let planned = rows::missed("down", start, Outcome::Missed(ingestd::occurrence::MissedReason::Down));
    let summary = Occurrence { kind: Kind::Summary, count: 12_000, ..rows::missed("many", start, planned_outcome(&planned)) };
    for row in [planned, summary] {
        write(&mut ledger, &row);
        assert_eq!(all(&ledger).into_iter().find(|read| read.key == row.key), Some(row));
    }
}

fn planned_outcome(row: &Occurrence) -> Outcome {
    let State::Done { outcome } = &row.state else { panic!("it is done") };
    outcome.clone()
}

fn all(ledger: &Ledger) -> Vec<Occurrence> {
    let folder = ledger.path().parent().expect("a folder");
    let query = HistoryQuery { limit: 1_000, ..HistoryQuery::default() };
    Reader::open(folder).and_then(|reader| reader.history(&query)).expect("readable")
}

#[test]
fn an_occurrence_that_waits_for_ever_comes_back() {
    let (_folder, mut ledger) = ledger();
    let start = at("2026-11-22T10:00:00Z");
    let state = State::Waiting { until: Timestamp::MAX, why: WaitReason::Yield };
    let row = Occurrence { state, end: End::Planned(Timestamp::MAX), task_id: None, ..on_air("filler", start) };
    write(&mut ledger, &row);
    assert_eq!(ledger.recover(Timestamp::MIN).expect("readable").occurrences, [row]);
}

#[test]
fn every_phase_of_a_task_comes_back() {
    let start = at("2026-11-22T10:00:00Z");
    let later = start + SignedDuration::from_mins(1);
    let phases = [
        (TaskPhase::Watched { missing_since: None }, TaskPhase::Watched { missing_since: None }),
        // That it was missing once is not stored: it is described again.
        (TaskPhase::Watched { missing_since: Some(later) }, TaskPhase::Watched { missing_since: None }),
        (TaskPhase::StopWanted { since: later, tries: 3 }, TaskPhase::StopWanted { since: later, tries: 3 }),
        (TaskPhase::Verifying { stopped_at: later, tries: 5 }, TaskPhase::Verifying { stopped_at: later, tries: 0 }),
    ];
    for (written, read) in phases {
        let (_folder, mut ledger) = ledger();
        let row = on_air("promo", start);
        let number = write(&mut ledger, &row).expect("a task");
        let fault = |step, code: Option<&str>| {
            let (code, message) = (code.map(str::to_owned), "as told".to_owned());
            Some(TaskFault { step, code, message, since: later, in_a_row: 8 })
        };
        let mut task = Task {
            row: number,
            phase: written,
            media_end: None,
            alerted: true,
            seen_at: later,
            was_seen: true,
            is_unseen: true,
            unpulled_at: Some(later),
            stop_fault: fault(TaskStep::Stop, Some("UnauthorizedOperation")),
            describe_fault: fault(TaskStep::Describe, None),
            ..task(&row)
        };
        let mut turn = ledger.turn();
        turn.update_task(&task).expect("updated");
        turn.commit(start).expect("committed");
        task.phase = read;
        task.stop_wanted_at = (!task.is_watched()).then_some(later);
        assert_eq!(ledger.recover(Timestamp::MIN).expect("readable").tasks, [task.clone()]);
        let reader = Reader::open(ledger.path().parent().expect("a folder")).expect("readable");
        assert_eq!(reader.tasks().expect("readable"), [task]);
    }
}

#[test]
fn a_task_that_is_gone_is_not_recovered_and_a_stop_is_never_forgotten() {
    let (_folder, mut ledger) = ledger();
    let start = at("2026-11-22T10:00:00Z");
    let row = on_air("promo", start);
    let number = write(&mut ledger, &row).expect("a task");
    let mut update = |phase: TaskPhase| {
        let mut turn = ledger.turn();
        turn.update_task(&Task { row: number, phase, ..task(&row) }).expect("updated");
        turn.commit(start).expect("committed");
        ledger.recover(Timestamp::MIN).expect("readable").tasks.into_iter().map(|task| task.phase).collect::<Vec<_>>()
    };
    let wanted = TaskPhase::StopWanted { since: start, tries: 2 };
    assert_eq!(update(wanted), [wanted]);
    // A stop that was wanted once stays wanted, with its first time and its tries.
    let later = start + SignedDuration::from_mins(1);
    assert_eq!(update(TaskPhase::StopWanted { since: later, tries: 0 }), [wanted]);
    assert_eq!(update(TaskPhase::Watched { missing_since: None }), [wanted]);
    // Of two stops that were accepted the newest counts, also when the task was seen to run since.
    let verifying = |stopped_at| TaskPhase::Verifying { stopped_at, tries: 0 };
    assert_eq!(update(verifying(start)), [verifying(start)]);
    assert_eq!(update(verifying(later)), [verifying(later)]);
    assert_eq!(update(TaskPhase::StopWanted { since: later, tries: 2 }), [verifying(later)]);
    assert_eq!(update(TaskPhase::Gone { at: later, verified: true }), []);
}
