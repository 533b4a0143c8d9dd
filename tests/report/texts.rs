//! What is printed, word by word: the text of a status, the table and the CSV of a history.

use std::time::Duration;

use ingestd::engine::LoopStatus;
use ingestd::occurrence::{
    End, Evidence, Failure, Kind, MissedReason, Occurrence, Outcome, Playout, State, Task, TaskFault, TaskPhase, TaskStep,
    WaitReason,
};
use ingestd::plan::holds::Holds;
use ingestd::report::history::{CSV_NAMES, HistoryObject, table};
use ingestd::report::plan::csv_line;
use ingestd::report::status::{DaemonView, LedgerView, StatusInput, StatusObject, text};
use ingestd::schedule::{Settings, Source};
use ingestd::trtc::advice::SecretPlace;
use ingestd::trtc::{PerAction, Repeat, Room};
use jiff::SignedDuration;

use super::health::{input, minutes, now};
use super::rows::{armed, ended, fault, missed, on_air, task};

const SCHEDULE: &str = "\
timezone: Asia/Shanghai
defaults: {app: main, region: ap-singapore}
jobs:
  film: {at: '21:00', room: 42, stream: 'rtmp://live.example.com/app/hush-key', note: \"the big\\none\"}
  promo: {at: '18:30', room: lobby, stream: 'https://cdn.example.com/promo.mp4', length: 90s, repeat: forever, for: 2h}
";

fn next() -> Vec<ingestd::plan::interruptions::Interrupted> {
    let source = Source { name: std::sync::Arc::from("test.yaml"), text: SCHEDULE.to_owned() };
    let settings = Settings {
        apps: Some([(std::sync::Arc::from("main"), 1)].into()),
        region: Some(std::sync::Arc::from("r")),
        ..Settings::default()
    };
    let zones = jiff::tz::TimeZoneDatabase::bundled();
    let reading = ingestd::schedule::read(&[source], &settings, &zones, now());
    let schedule = reading.schedule.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics));
    let interruptions = ingestd::plan::interruptions::Interruptions::new(&schedule);
    ingestd::plan::Upcoming::new(&schedule, now()).take(3).map(|occurrence| interruptions.of(occurrence)).collect()
}

/// On air: a loop, a live source without an end, a film of known length, a task without an id.
fn ledger() -> LedgerView {
    let promo = on_air("promo", minutes(-30));
    let live = on_air("relay", minutes(-600));
    let live = Occurrence {
        end: End::Open,
        playout: Playout { live: true, room: Room::Integer(42), repeat: Repeat::Times(1), ..live.playout.clone() },
        ..live
    };
    let film = on_air("film", minutes(-10));
    let film = Occurrence {
        end: End::Media(minutes(80)),
        playout: Playout {
            repeat: Repeat::Times(1),
            length: Some(Duration::from_mins(90)),
            room: Room::Text("42".to_owned()),
            ..film.playout.clone()
        },
        ..film
    };
    let nameless = Occurrence { task_id: None, ..on_air("filler", minutes(-5)) };
    let unbound = |row: &Occurrence| Task { bound: None, ..task(row) };
    let tasks = vec![task(&promo), unbound(&live), unbound(&film)];
    let refused = Occurrence {
        state: State::Done { outcome: Outcome::Failed(Failure::Code("AuthFailure.SecretIdNotFound".to_owned())) },
        fault: Some(fault(Some("AuthFailure.SecretIdNotFound"), "The SecretId is not found.")),
        ended_at: Some(minutes(-300)),
        end: End::Planned(minutes(-200)),
        ..armed("news", minutes(-300))
    };
    let down =
        Occurrence { kind: Kind::Summary, count: 12, ..missed("jingle", minutes(-700), Outcome::Missed(MissedReason::Down)) };
    LedgerView {
        committed_at: Some(minutes(-1)),
        on_air: vec![live, promo, film, nameless],
        trouble: vec![refused, down],
        tasks,
        orphans: Vec::new(),
        doubts: Vec::new(),
        holds: Holds::default(),
    }
}

const ON_AIR: &str = "\
on air (+00:00):
  relay   main/42     since 00:00:00  until its media ends                          live, not bounded by the cloud: only a stop ends it
  promo   main/lobby  since 09:30:00  until 11:30:00, 1 h 30 min more               the cloud ends it at 11:31:00
  film    main/\"42\"   since 09:50:00  its media ends about 11:20:00, in 1 h 20 min  ends with its media
  filler  main/lobby  since 09:55:00  until 11:55:00, 1 h 55 min more               no task id: it cannot be stopped from here
";

const TROUBLE: &str = "\
trouble in the last 24 hours (+00:00):
  2026-11-22 05:00:00  news  main/lobby  failed (AuthFailure.SecretIdNotFound): The SecretId is not found.
      the account's keys were refused: check `account.secret_id` and `account.secret_key`; a corrected file is read again by itself
  2026-11-21 22:20:00  jingle  main/lobby  missed (down), 12 times
      no daemon ran at its start, or its job was not in the schedule then: see why in the service's log
";

const NEXT: &str = "\
next (+00:00):
  2026-11-22 10:30:00  in 30 min 0 s   promo  main/lobby  until 12:30
  2026-11-22 13:00:00  in 3 h 0 min    film   main/42     until its media ends  the big one
  2026-11-23 10:30:00  in 24 h 30 min  promo  main/lobby  until 12:30
";

fn footer() -> String {
    format!("ingestd {}, zone data 2026b (bundled)\n", env!("CARGO_PKG_VERSION"))
}

#[test]
fn the_text_of_a_status_says_what_matters_first() {
    let mut input = input(ledger());
    input.daemon = DaemonView::Running {
        jobs: 5,
        rejected: Vec::new(),
        next: next(),
        state: LoopStatus {
            watch_period_s: 30,
            queue: PerAction::new(|action| [2, 0, 1].get(action as usize).copied().unwrap_or_default()),
            ..LoopStatus::default()
        },
    };
    let head = "\
degraded
  `filler` is on air without a task id, so it cannot be stopped from here

generation 12, accepted at 2026-11-22 08:00:00 +00:00: 5 jobs
2 starts, 0 stops and 1 describes wait for the limiter; what is on air is looked at every 30 s
";
    assert_eq!(text(&input, None), [head, ON_AIR, NEXT, TROUBLE, &footer()].join("\n"));
}

#[test]
fn a_rate_that_is_lowered_is_shown() {
    let mut input = input(ledger());
    let DaemonView::Running { state, .. } = &mut input.daemon else { panic!("it runs") };
    state.written_rate = 20;
    state.rate = PerAction::new(|action| if action.word() == "start" { 10 } else { 20 });
    let line = "\n10 starts a second may leave, and not 20: the endpoint rejects more; it rises again slowly\n";
    assert!(text(&input, None).contains(line), "{}", text(&input, None));
}

#[test]
fn a_credential_that_was_refused_is_changed_by_a_restart_and_no_reload() {
    let mut input = input(ledger());
    input.secrets.account = SecretPlace::Credential;
    let told = text(&input, None);
    let advice = told.lines().find(|line| line.contains("keys were refused")).expect("the advice");
    assert!(advice.contains("`systemctl restart ingestd`, and shows stay on air") && !advice.contains("reload"), "{advice}");
}

#[test]
fn without_a_daemon_the_text_says_what_that_means_and_how_old_it_is() {
    let why = "no daemon answers at `127.0.0.1:8620` (Connection refused)".to_owned();
    let head = "\
failing
  no daemon answers at `127.0.0.1:8620` (Connection refused): nothing is started, and nothing is stopped
  `filler` is on air without a task id, so it cannot be stopped from here

generation 12, accepted at 2026-11-22 08:00:00 +00:00
what follows is from the ledger, as it was written last at 2026-11-22 09:59:00 +00:00
";
    let told = text(&StatusInput { daemon: DaemonView::Silent { why }, ..input(ledger()) }, None);
    assert_eq!(told, [head, ON_AIR, TROUBLE, &footer()].join("\n"));
}

#[test]
fn a_quiet_night_is_a_short_text_and_an_unreadable_ledger_says_so() {
    let head = "ok\n\ngeneration 12, accepted at 2026-11-22 08:00:00 +00:00: 3 jobs\n\
        0 starts, 0 stops and 0 describes wait for the limiter; what is on air is looked at every 30 s\n";
    let quiet = "on air (+00:00): nothing\n\nnext (+00:00): nothing\n\ntrouble in the last 24 hours (+00:00): nothing\n";
    assert_eq!(text(&input(LedgerView::default()), None), [head, quiet, &footer()].join("\n"));
    let told = text(&StatusInput { ledger: Err("disk I/O error".to_owned()), ..input(LedgerView::default()) }, None);
    assert!(told.starts_with("failing\n  the ledger cannot be read: disk I/O error\n"), "{told}");
    assert!(told.contains("\nwhat is on air is not known: the ledger cannot be read\n"), "{told}");
}

#[test]
fn trouble_without_end_is_cut_short() {
    let trouble = (1..=40).map(|minute| missed("promo", minutes(-minute), Outcome::Missed(MissedReason::Late))).collect();
    let told = text(&input(LedgerView { trouble, ..LedgerView::default() }), None);
    assert_eq!(told.matches("missed (late)\n").count(), 10 + 5, "ten rows, and five reasons: {told}");
    assert!(told.contains("\n  and 30 more: see `ingestd history`\n"), "{told}");
}

#[test]
fn a_row_of_history_is_one_line() {
    let waiting = State::Waiting { until: minutes(1), why: WaitReason::Retry };
    let doubt = Occurrence {
        state: waiting,
        attempts: 3,
        in_doubt: true,
        was_in_doubt: true,
        first_sent_at: Some(minutes(-1) + SignedDuration::from_millis(3_456)),
        fault: Some(fault(None, "no answer in time")),
        ..armed("promo", minutes(-1))
    };
    let night = Occurrence { ended_at: Some(minutes(24 * 60)), was_in_doubt: true, restarts: 2, ..ended("night", minutes(0)) };
    let ledger = ledger();
    let rows = ledger.on_air.iter().chain(&ledger.trouble).chain([&doubt, &night]);
    let expected = "\
START (+00:00)       JOB     ROOM        RESULT                                 LATE   TRIES  ON AIR                     NOTE
2026-11-22 00:00:00  relay   main/42     on air                                 5 ms   1      00:00:00 -
2026-11-22 09:30:00  promo   main/lobby  on air                                 5 ms   1      09:30:00 -
2026-11-22 09:50:00  film    main/\"42\"   on air                                 5 ms   1      09:50:00 -
2026-11-22 09:55:00  filler  main/lobby  on air                                 5 ms   1      09:55:00 -                 no task id
2026-11-22 05:00:00  news    main/lobby  failed (AuthFailure.SecretIdNotFound)         1                                 The SecretId is not found.
2026-11-21 22:20:00  jingle  main/lobby  missed (down)                                                                   stands for 12 occurrences
2026-11-22 09:59:00  promo   main/lobby  waiting (retry)                        3.4 s  3                                 may be on air; no answer in time
2026-11-22 10:00:00  night   main/lobby  ended (planned)                        5 ms   1      10:00:00 - 11-23 10:00:00  restarted 2 times; was in doubt
";
    let told: Vec<_> = table(rows, &jiff::tz::TimeZone::UTC).lines(None).iter().map(|line| line.trim().to_owned()).collect();
    assert_eq!(told, expected.lines().collect::<Vec<_>>());
}

fn refused_stop() -> TaskFault {
    let (code, message) = (Some("UnauthorizedOperation".to_owned()), "no".to_owned());
    TaskFault { step: TaskStep::Stop, code, message, since: minutes(-1), in_a_row: 4 }
}

#[test]
fn what_is_known_of_the_air_is_told_beside_the_outcome() {
    let of = |evidence, task_fault| Occurrence { evidence, task_fault, ..ended("promo", minutes(-130)) };
    let running = |evidence| Occurrence { evidence, ..on_air("promo", minutes(-5)) };
    let cut = |evidence| Occurrence { state: State::Done { outcome: Outcome::CutOperator }, ..of(evidence, None) };
    for (row, result, note) in [
        (of(Some(Evidence::Confirmed), None), "ended (planned)", ""),
        (of(Some(Evidence::Seen), None), "ended (planned)", ""),
        // An older program did not record it.
        (of(None, None), "ended (planned)", ""),
        (of(Some(Evidence::Unseen), None), "ended (planned), never seen on air", ""),
        (of(Some(Evidence::Unpulled), None), "ended (planned), its media could not be pulled", ""),
        (cut(Some(Evidence::Unseen)), "cut (operator), never seen on air", ""),
        (running(Some(Evidence::Unseen)), "on air", ""),
        (running(Some(Evidence::Unpulled)), "on air", "its media cannot be pulled"),
        (of(Some(Evidence::Seen), Some(refused_stop())), "ended (planned)", "its stop was refused: UnauthorizedOperation (no)"),
        (
            Occurrence { task_fault: Some(refused_stop()), ..running(None) },
            "on air",
            "its stop is refused: UnauthorizedOperation (no)",
        ),
    ] {
        let table = table([&row], &jiff::tz::TimeZone::UTC);
        assert_eq!((&table.rows[0][3][..], &table.rows[0][7][..]), (result, note));
    }
    // The endpoint may quote the URL.
    let fault = TaskFault { message: format!("no such task of {}", super::rows::STREAM), ..refused_stop() };
    let row = Occurrence { task_fault: Some(fault), ..running(None) };
    let told = format!("{:?} {:?}", table([&row], &jiff::tz::TimeZone::UTC).rows, HistoryObject::new(&row));
    assert!(!told.contains("hush") && told.contains("no such task"), "{told}");
}

#[test]
fn what_stops_says_how_far_it_is() {
    let row = Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..on_air("promo", minutes(-30)) };
    let phase = |phase, stop_fault, seen_at| Task { phase, stop_fault, seen_at, stop_wanted_at: Some(minutes(-1)), ..task(&row) };
    let wanted = TaskPhase::StopWanted { since: minutes(-1), tries: 1 };
    let verifying = TaskPhase::Verifying { stopped_at: minutes(-1), tries: 1 };
    for (task, words, stop) in [
        (phase(wanted, None, minutes(-2)), "is stopping ", "\"stop\":\"wanted\""),
        (phase(wanted, Some(refused_stop()), minutes(-2)), "is stopping: its stop is refused ", "\"stop\":\"wanted\""),
        (
            phase(verifying, None, minutes(-2)),
            "is stopping: its stop was accepted, and it is not seen gone yet ",
            "\"stop\":\"accepted\"",
        ),
        (phase(verifying, None, minutes(0)), "is stopping: its stop was accepted, and it still plays ", "\"stop\":\"accepted\""),
    ] {
        let input = input(LedgerView { on_air: vec![row.clone()], tasks: vec![task], ..LedgerView::default() });
        let told = text(&input, None);
        assert!(told.contains(words), "{words}: {told}");
        let json = serde_json::to_string(&StatusObject::new(&input)).expect("JSON");
        assert!(json.contains(stop) && json.contains("\"unseen_since\":null,\"unpulled_since\":null"), "{json}");
    }
}

#[test]
fn a_line_of_csv_has_the_keys_of_the_json() {
    let row = Occurrence {
        was_in_doubt: true,
        evidence: Some(Evidence::Seen),
        task_fault: Some(refused_stop()),
        fault: Some(fault(Some("InternalError"), "try, \"again\"\nlater")),
        ..ended("promo", now())
    };
    let object = HistoryObject::new(&row);
    let json = serde_json::to_string(&object).expect("JSON");
    let mut rest = json.as_str();
    for name in CSV_NAMES.split(',') {
        let key = format!("\"{name}\":");
        rest = &rest[rest.find(&key).unwrap_or_else(|| panic!("{name} is not there, or not in its place: {json}")) + key.len()..];
    }
    assert_eq!(CSV_NAMES.split(',').count(), object.csv().len());
    assert_eq!(
        csv_line(&object.csv()),
        "promo,2026-11-22T10:00:00.000Z,2026-11-22T12:00:00.000Z,planned,done,ended,planned,5,2026-11-22T10:00:00.005Z,\
        2026-11-22T10:00:00.040Z,2026-11-22T12:00:00.000Z,1,0,true,-task+of.promo,,seen,main,ap-singapore,lobby,string,promo,\
        https://cdn.example.com/promo.mp4,InternalError,\"try, \"\"again\"\"\nlater\",6b8b4567-0000,stop: UnauthorizedOperation (no),7,1,,"
    );
}
