//! Shows whose looks and stops are refused or lost: when that is told, and how they end all the same.

use std::time::Duration;

use ingestd::clock::Clock as _;
use ingestd::engine::LoopStatus;
use ingestd::ledger::Reader;
use ingestd::occurrence::Evidence;
use ingestd::report::status::{DaemonView, Health, LedgerView, StatusInput, TROUBLE_MAX, TROUBLE_REACH, assess_health};
use ingestd::trtc::advice::SecretPlaces;
use ingestd::trtc::{Action, Fault};
use jiff::SignedDuration;

use crate::story::{InjectedFault, Story, at, refused};

const RELAY: &str = "  relay: {at: '10:00', for: 1h, stream: 'rtmp://live.example.com/app/key'}\n";

/// What `status` says now, from the ledger.
fn health(story: &Story) -> (Health, Vec<String>) {
    let now = story.clock.now();
    let reader = Reader::open(story.folder.path()).expect("readable");
    let ledger = LedgerView {
        committed_at: None,
        on_air: reader.on_air().expect("readable"),
        trouble: reader.trouble(now - TROUBLE_REACH, TROUBLE_MAX).expect("readable"),
        tasks: reader.tasks().expect("readable"),
        orphans: reader.orphans().expect("readable"),
        doubts: reader.doubts(now).expect("readable"),
        holds: reader.holds().expect("readable"),
    };
    assess_health(&StatusInput {
        now,
        generation: 1,
        accepted_at: None,
        daemon: DaemonView::Running { jobs: 1, rejected: Vec::new(), next: Vec::new(), state: LoopStatus::default() },
        not_listening: Vec::new(),
        not_told: Vec::new(),
        failed_chores: Vec::new(),
        all_off: false,
        ledger: Ok(ledger),
        secrets: SecretPlaces::default(),
        zone_source: "bundled".to_owned(),
        zone_version: "2026f".to_owned(),
        zone: jiff::tz::TimeZone::UTC,
    })
}

fn ok() -> (Health, Vec<String>) {
    (Health::Ok, Vec::new())
}

#[tokio::test(start_paused = true)]
async fn a_live_source_that_nobody_can_look_at_ends_unverified_ten_minutes_after_its_stop() {
    let story = Story::begin("09:59", RELAY);
    story.inject_fault(refused(Action::Describe, "", "InternalError.DBError", 10_000));
    story.until("10:01").await;
    assert_eq!(health(&story), ok(), "it was accepted a minute ago");
    story.until("10:02").await;
    let reason = "`relay` has not been seen on air since 2026-12-01 10:00:00 +00:00: InternalError.DBError (the story says so)";
    assert_eq!(health(&story), (Health::Degraded, vec![reason.to_owned()]));
    story.until("11:05").await;
    assert_eq!(story.rows(), ["relay 10:00 stopping"], "its stop was accepted, and nobody knows whether it is gone");
    let (judged, reasons) = health(&story);
    assert!(
        judged == Health::Failing && reasons[0].contains("its stop was accepted, and the look at it is refused"),
        "{reasons:?}"
    );
    story.until("11:12").await;
    assert_eq!(story.rows(), ["relay 10:00 ended (unverified)"]);
    let row = &story.history()[0];
    assert_eq!((row.evidence, row.ended_at), (Some(Evidence::Unseen), Some(at("11:00:00.020"))));
    assert_eq!(row.task_fault.as_ref().and_then(|fault| fault.code.as_deref()), Some("InternalError.DBError"));
    let said = story.said();
    assert_eq!(said.iter().filter(|line| line.contains("has not been seen on air")).count(), 1, "{said:#?}");
    assert!(said.iter().any(|line| line.contains("ended (unverified)") && line.contains("InternalError.DBError")), "{said:#?}");
    assert_eq!(story.sent().len(), 2, "one start and one stop");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_not_seen_is_told_when_it_is_seen_again() {
    let story = Story::begin("09:59", RELAY);
    story.until("10:10").await;
    story.said();
    let fault = |fault| InjectedFault { action: Action::Describe, of: "", fault, effect: false, times: 3 };
    for cause in [Fault::Connect("refused".to_owned()), Fault::Status(307), Fault::Timeout] {
        story.inject_fault(fault(cause));
    }
    story.until("10:13").await;
    let (judged, reasons) = health(&story);
    assert!(
        judged == Health::Degraded && reasons[0].starts_with("`relay` has not been seen on air since 2026-12-01 10:09:"),
        "{reasons:?}"
    );
    story.until("10:17").await;
    assert_eq!(health(&story), ok());
    let said = story.said();
    let lines: Vec<_> = said.iter().map(|line| line.split(" since ").next().unwrap_or_default()).collect();
    assert_eq!(lines, ["relay: task t-1 has not been seen on air", "relay: task t-1 is seen on air again"], "{said:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_refused_is_trouble_at_once_and_worse_after_a_minute() {
    let story = Story::begin("09:59", RELAY);
    story.inject_fault(refused(Action::Stop, "", "AuthFailure.UnauthorizedOperation", 9));
    story.until("11:00:01").await;
    let (judged, reasons) = health(&story);
    let words = "`relay` should be off the air, and its stop is refused: AuthFailure.UnauthorizedOperation (the story says so)";
    assert!(judged == Health::Degraded && reasons[0].starts_with(words), "{reasons:?}");
    assert_eq!(story.on_air(), ["relay in lobby"]);
    story.until("11:01:10").await;
    let (judged, reasons) = health(&story);
    assert!(
        judged == Health::Failing
            && reasons[0].ends_with("its stop is refused: AuthFailure.UnauthorizedOperation (the story says so)"),
        "{reasons:?}"
    );
    assert_eq!(story.rows(), ["relay 10:00 stopping"]);
    story.until("11:10").await;
    assert_eq!((story.rows(), story.on_air()), (vec!["relay 10:00 ended (planned)".to_owned()], vec![]));
    assert_eq!(health(&story), ok());
}

#[tokio::test(start_paused = true)]
async fn a_yielding_show_whose_stop_is_refused_is_trouble_too() {
    let jobs = "  filler: {at: '09:30', for: 2h, repeat: forever, length: 10m, conflict: yield}\n  show: {at: '10:00', for: 30m, repeat: forever}\n";
    let story = Story::begin("09:29", jobs);
    story.inject_fault(refused(Action::Stop, "", "UnsupportedRegion", 12));
    story.until("10:00:03").await;
    let (judged, reasons) = health(&story);
    assert!(
        judged == Health::Degraded
            && reasons[0].starts_with("`filler` should be off the air, and its stop is refused: UnsupportedRegion"),
        "{reasons:?}"
    );
    story.until("10:02").await;
    let (judged, reasons) = health(&story);
    assert!(
        judged == Health::Failing && reasons[0].starts_with("an earlier task of `filler` should be off the air since"),
        "{reasons:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_yielding_show_that_nobody_saw_gone_ends_unverified() {
    let jobs = "  filler: {at: '09:30', for: 1h, repeat: forever, length: 10m, conflict: yield}\n  show: {at: '10:00', for: 40m, repeat: forever}\n";
    let story = Story::begin("09:59", jobs);
    story.until("09:59:30").await;
    story.inject_fault(refused(Action::Describe, "", "UnsupportedRegion", 1000));
    story.until("10:31").await;
    assert_eq!(story.rows()[0], "filler 09:30 ended (unverified)");
}

#[tokio::test(start_paused = true)]
async fn neither_a_restart_nor_a_clock_that_is_set_makes_a_show_unseen() {
    let mut story = Story::begin("09:59", RELAY);
    story.until("10:10").await;
    story.clock.set(SignedDuration::from_mins(5));
    story.pass(Duration::from_secs(2)).await;
    assert_eq!(health(&story), ok());
    story.stop().await;
    story.until("10:40").await;
    story.start();
    story.pass(Duration::from_secs(2)).await;
    assert_eq!(health(&story), ok());
    story.kill().await;
    story.pass(Duration::from_mins(5)).await;
    story.start();
    story.pass(Duration::from_secs(1)).await;
    assert_eq!(health(&story), ok());
    assert!(!story.said().iter().any(|line| line.contains("has not been seen")));
}
