//! What somebody is told: each trouble is one row from its beginning to its end, written with what found it.

use std::time::Duration;

use ingestd::alerts::{AlertEvent, Troubles};
use ingestd::daemon::Setup;
use ingestd::engine::{Command, DaemonOptions, StopTarget};
use ingestd::lease::LeaseDeadline;
use ingestd::ledger::{FILE, Ledger};
use ingestd::schedule::JobId;
use ingestd::trtc::Action;
use jiff::SignedDuration;
use rusqlite::{Connection, OpenFlags};

use crate::story::{Story, lost, refused};

const PROMO: &str = "  promo: {at: '10:00', for: 1h, repeat: forever, length: 1m}\n";

/// A daemon that has somebody to tell everything.
pub(crate) fn setup(options: DaemonOptions, ledger: &Ledger) -> Setup {
    let all = AlertEvent::WORDS.iter().map(|(_, event)| *event).collect();
    let troubles = Troubles::new(vec![("pager".to_owned(), all)], &ledger.alerts().expect("readable"));
    Setup { options, troubles, changes: None, deadline: LeaseDeadline::never(), may_arrive_until: None }
}

/// The rows, oldest first: event, subject, count, whether it lasts or how it ended.
pub(crate) fn alerts(story: &Story) -> Vec<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(story.folder.path().join(FILE), flags).expect("the ledger opens");
    let sql = "SELECT event || ' ' || subject || iif(count > 1, ' x' || count, '') || \
        iif(ended_ms IS NOT NULL, iif(ended_text IS NULL, ', told', ', over: ' || ended_text), iif(lasts, ', lasts', ', past')) \
        FROM alert ORDER BY begun_ms, id";
    let mut statement = connection.prepare(sql).expect("the table is there");
    let rows = statement.query_map([], |row| row.get(0)).expect("it can be asked");
    rows.collect::<Result<_, _>>().expect("texts")
}

/// The words of the newest.
fn text(story: &Story) -> String {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(story.folder.path().join(FILE), flags).expect("the ledger opens");
    connection.query_row("SELECT text FROM alert ORDER BY begun_ms DESC LIMIT 1", [], |row| row.get(0)).expect("a row")
}

#[tokio::test(start_paused = true)]
async fn a_show_that_somebody_must_fix_is_told_at_once_and_is_over_when_it_is_on_air() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(refused(Action::Start, "", "AuthFailure.SecretIdNotFound", 3));
    story.until("10:00:05").await;
    assert_eq!(alerts(&story), ["failed promo, lasts"]);
    let told = text(&story);
    assert!(told.starts_with("`promo` of 2026-12-01T10:00:00Z: AuthFailure.SecretIdNotFound"), "{told}");
    // A crash changes nothing of it.
    story.kill().await;
    story.start();
    story.until("10:30").await;
    assert_eq!(alerts(&story), ["failed promo, over: `promo` of 2026-12-01T10:00:00Z: is on air"]);
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_over_when_its_show_is_taken_off_by_an_operator() {
    let story = Story::begin("09:59", PROMO);
    story.inject_fault(refused(Action::Start, "", "AuthFailure.SecretIdNotFound", 10_000));
    story.until("10:00:05").await;
    assert_eq!(alerts(&story), ["failed promo, lasts"]);
    let job = JobId::parse("promo").expect("an id");
    story.order(Command::Stop(StopTarget::Job(job))).await.expect("it is obeyed");
    story.until("10:10").await;
    let told = alerts(&story);
    assert!(told.contains(&"failed promo, over: `promo` of 2026-12-01T10:00:00Z: was cut".to_owned()), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_show_that_failed_is_one_trouble_with_the_next_that_fails_until_one_is_on_air() {
    let story = Story::begin("09:59", PROMO);
    story.inject_fault(refused(Action::Start, "", "InternalError", 10_000));
    story.until("11:01").await;
    assert_eq!(alerts(&story), ["failed promo, past"]);
    story.clock_days(1).await;
    assert_eq!(alerts(&story), ["failed promo x2, past"]);
    story.cloud().injected_faults.clear();
    story.clock_days(1).await;
    assert_eq!(alerts(&story), ["failed promo x2, over: `promo` of 2026-12-03T10:00:00Z: is on air"]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_started_is_told_by_the_step_that_finds_it() {
    let mut story = Story::begin("09:58", PROMO);
    story.until("09:59").await;
    story.kill().await;
    story.until("11:30").await;
    story.start();
    story.pass(Duration::from_secs(1)).await;
    assert_eq!(alerts(&story), ["missed promo, past"]);
    story.kill().await;
    story.start();
    story.clock_days(1).await;
    assert_eq!(alerts(&story), ["missed promo, over: `promo` of 2026-12-02T10:00:00Z: is on air"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_not_verified_is_told_of_its_task_until_that_is_gone() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:30").await;
    story.inject_fault(refused(Action::Stop, "", "InternalError", 8));
    story.until("11:00:30").await;
    assert_eq!(alerts(&story), Vec::<String>::new(), "a minute is allowed");
    story.pass(Duration::from_secs(50)).await;
    assert_eq!(alerts(&story), ["stop_unverified t-1, lasts"]);
    story.until("12:00").await;
    assert_eq!(alerts(&story), ["stop_unverified t-1, over: task t-1 is off the air"]);
}

#[tokio::test(start_paused = true)]
async fn a_show_that_nobody_was_there_to_stop_is_told_when_it_is_stopped() {
    let mut story = Story::begin("09:59", "  relay: {at: '10:00', for: 1h, stream: 'rtmp://live.example.com/app/key'}\n");
    story.until("10:30").await;
    story.kill().await;
    story.until("11:30").await;
    story.start();
    story.until("11:35").await;
    assert_eq!(alerts(&story), ["stop_unverified t-1, told"]);
    let told = text(&story);
    assert!(told.starts_with("`relay` of 2026-12-01T10:00:00Z: ended (planned), 1800 s after its planned end"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_show_that_is_not_seen_is_told_until_it_is_seen() {
    let story = Story::begin("09:59", PROMO);
    story.inject_fault(refused(Action::Describe, "", "InternalError.DBError", 8));
    story.until("10:02").await;
    assert_eq!(alerts(&story), ["unseen promo, lasts"]);
    story.until("10:50").await;
    assert_eq!(alerts(&story), ["unseen promo, over: `promo` of 2026-12-01T10:00:00Z: is seen on air"]);
}

#[tokio::test(start_paused = true)]
async fn a_show_that_keeps_vanishing_is_one_trouble_until_it_stays() {
    let story = Story::begin("09:59", PROMO);
    for number in 1..=7 {
        story.pass(Duration::from_secs(80)).await;
        story.vanish(&format!("t-{number}"));
    }
    story.pass(Duration::from_secs(80)).await;
    let seen = alerts(&story);
    assert!(seen.len() == 1 && seen[0].starts_with("lost promo"), "{seen:?}");
    story.until("11:30").await;
    let over = alerts(&story);
    assert!(over.len() == 1 && over[0].starts_with("lost promo, over: `promo` of 2026-12-01T10:00:00Z: is"), "{over:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cut_is_told_once_with_who_ordered_it_and_has_no_end() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:10").await;
    let job = JobId::parse("promo").expect("an id");
    story.order(Command::Stop(StopTarget::Job(job))).await.expect("it is obeyed");
    story.until("10:20").await;
    assert_eq!(alerts(&story), ["cut promo 2026-12-01T10:00:00Z, told"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_held_is_told_until_it_is_believed() {
    let story = Story::begin("09:00", PROMO);
    story.pass(Duration::from_mins(1)).await;
    story.clock.set(SignedDuration::from_hours(2));
    story.pass(Duration::from_secs(5)).await;
    assert_eq!(alerts(&story), ["clock held, lasts"]);
    story.order(Command::ConfirmClock).await.expect("it is obeyed");
    story.pass(Duration::from_secs(5)).await;
    let over = "clock held, over: the clock is believed again, and starts go on";
    assert!(alerts(&story).contains(&over.to_owned()), "{:?}", alerts(&story));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_stands_is_told_and_written_when_it_answers() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:59").await;
    story.disk_stands(true);
    story.until("11:05").await;
    assert_eq!(alerts(&story), Vec::<String>::new(), "nothing can be written");
    story.disk_stands(false);
    story.until("11:06").await;
    assert_eq!(alerts(&story), ["disk ledger, over: the ledger can be written again"]);
}

#[tokio::test(start_paused = true)]
async fn what_others_raise_is_one_trouble_however_often_they_raise_it() {
    let mut story = Story::begin("09:00", PROMO);
    for text in ["the key is wrong", "the key is still wrong"] {
        story.handle().raise(AlertEvent::Doctor, "secret_key", text).await;
        story.pass(Duration::from_hours(1)).await;
    }
    assert_eq!((alerts(&story), text(&story).as_str()), (vec!["doctor secret_key, lasts".to_owned()], "the key is still wrong"));
    story.kill().await;
    story.start();
    story.handle().clear(AlertEvent::Doctor, "secret_key", "the key is right").await;
    story.handle().clear(AlertEvent::Preflight, "promo", "nobody raised it").await;
    story.pass(Duration::from_secs(1)).await;
    assert_eq!(alerts(&story), ["doctor secret_key, over: the key is right"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_in_doubt_whose_task_may_play_beside_another_is_told_until_it_cannot_play_any_more() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(lost("promo", 1));
    story.until("10:00:05").await;
    story.vanish("t-1");
    story.until("10:30").await;
    let key = "promo 2026-12-01T10:00:00Z";
    assert_eq!(alerts(&story), [format!("stop_unverified {key}, lasts")]);
    story.kill().await;
    story.start();
    story.until("10:40").await;
    assert_eq!(alerts(&story), [format!("stop_unverified {key}, lasts")], "a crash tells nothing again");
    assert!(text(&story).starts_with("`promo` of 2026-12-01T10:00:00Z: no answer proves whether a start"), "{}", text(&story));
    story.until("11:10").await;
    let over = "`promo` of 2026-12-01T10:00:00Z: the task of its start in doubt was found, or cannot play any more";
    assert_eq!(alerts(&story), [format!("stop_unverified {key}, over: {over}")]);
}
