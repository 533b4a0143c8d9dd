//! Tasks that vanish, starts in doubt, callbacks, a disk that fails, a clock that is set.

use std::time::Duration;

use ingestd::clock::Clock;
use ingestd::engine::{Command, StopTarget};
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::trtc::{Action, Fault};
use jiff::SignedDuration;

use crate::story::{InjectedFault, Story, at};

const PROMO: &str = "  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n";

fn timeout(effect: bool, times: usize) -> InjectedFault {
    InjectedFault { action: Action::Start, of: "promo", fault: Fault::Timeout, effect, times }
}

fn callback(task_id: &str, news: TaskNews, time: &str) -> Callback {
    Callback { sdk_app_id: 1_400_000_001, task_id: task_id.to_owned(), news, at: at(time) }
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_vanishes_is_back_within_a_watch() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:20:05").await;
    story.vanish("t-1");
    story.until("11:30").await;
    let sent = story.sent();
    assert_eq!((sent.len(), &sent[0][..], &sent[2][..]), (3, "10:00:00.000 start promo lobby: t-1", "11:00:00.000 stop t-2: ok"));
    assert!(sent[1].starts_with("10:20:") && sent[1].contains("start promo lobby from "), "{sent:?}");
    let row = &story.history()[0];
    assert_eq!((row.restarts, story.rows()), (1, vec!["promo 10:00 ended (planned)".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_callback_names_the_task_of_a_doubt() {
    let story = Story::begin("09:59", PROMO);
    story.inject_fault(timeout(true, 1));
    story.until("10:00:01").await;
    // It comes while the answer is still awaited, twice.
    assert!(story.handle().callback(callback("t-1", TaskNews::Started, "10:00:00.500")).is_some());
    assert!(story.handle().callback(callback("t-1", TaskNews::Started, "10:00:00.500")).is_some());
    story.until("11:30").await;
    assert_eq!(story.sent(), ["10:00:00.000 start promo lobby: Timeout", "11:00:00.000 stop t-1: ok"]);
    let row = &story.history()[0];
    assert_eq!((row.confirmed_at, row.was_in_doubt, row.attempts), (Some(at("10:00:00.500")), true, 1));
    // Only the callback says that it was ours.
    assert_eq!(story.rows(), ["promo 10:00 ended (unverified)"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_callback_the_doubt_is_on_air_without_a_task_id() {
    let story = Story::begin("09:59", PROMO);
    story.inject_fault(timeout(true, 1));
    story.until("11:30").await;
    let sent = story.sent();
    assert_eq!((sent.len(), story.rows()), (2, vec!["promo 10:00 ended (unverified)".to_owned()]), "{sent:?}");
    assert!(sent[1].ends_with("FailedOperation.TaskExist"), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_this_daemon_did_not_start_is_an_orphan_until_an_operator_stops_it() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:10").await;
    assert!(story.handle().callback(callback("stranger", TaskNews::Started, "10:09:59")).is_some());
    story.until("10:10:01").await;
    let orphans = || ingestd::ledger::Reader::open(story.folder.path()).and_then(|reader| reader.orphans()).expect("readable");
    assert_eq!((orphans().len(), orphans()[0].task_id.as_str()), (1, "stranger"));
    assert!(story.said().iter().any(|line| line.contains("`ingestd stop --task` stops it")));
    story.sent();
    let done = story.order(Command::Stop(StopTarget::Task("stranger".to_owned()))).await.expect("it is known");
    assert_eq!(done, ["task stranger: stopping"]);
    story.until("10:10:05").await;
    assert_eq!(story.sent(), ["10:10:01.000 stop stranger: FailedOperation.TaskFinished"]);
    assert!(orphans().is_empty());
    // Its end and its start come in the wrong order: nothing is left to do.
    assert!(story.handle().callback(callback("other", TaskNews::Stopped, "10:11:02")).is_some());
    assert!(story.handle().callback(callback("other", TaskNews::Started, "10:11:01")).is_some());
    story.until("10:12").await;
    assert!(orphans().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_second_daemon_is_as_sure_as_the_first() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(timeout(true, 1));
    story.until("10:00:00.500").await;
    story.kill().await;
    story.start();
    story.until("10:01").await;
    // The row was armed and may have been sent: the same robot is sent again, and the answer is that it exists.
    assert_eq!(story.rows(), ["promo 10:00 on_air"]);
    assert!(story.history()[0].was_in_doubt);
    assert!(story.handle().callback(callback("t-1", TaskNews::Started, "10:00:00.400")).is_some());
    story.until("11:30").await;
    assert_eq!(story.sent().last().map(String::as_str), Some("11:00:00.000 stop t-1: ok"));
    assert_eq!(story.rows(), ["promo 10:00 ended (unverified)"]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_leaves_streams_on_air_and_takes_back_what_was_armed() {
    let mut story = Story::begin(
        "09:59",
        "  promo: {at: '10:00', for: 1h, repeat: forever}\n  next: {at: '10:30', for: 1h, repeat: forever, room: hall}\n",
    );
    story.until("10:29:58").await;
    assert_eq!(story.rows(), ["promo 10:00 on_air", "next 10:30 armed"]);
    story.stop().await;
    assert_eq!((story.rows(), story.on_air()), (vec!["promo 10:00 on_air".to_owned()], vec!["promo in lobby".to_owned()]));
    story.until("10:30:20").await;
    story.start();
    story.until("11:01").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)", "next 10:30 on_air"]);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_holds_starts_back_and_never_a_stop() {
    let jobs = "  promo: {at: '10:00', for: 1h, repeat: forever}\n  second: {at: '10:30', for: 1h, repeat: forever, length: 10m, room: hall}\n  \
                third: {at: '10:59:59', for: 2s, repeat: forever, room: foyer}\n";
    let story = Story::begin("09:59", jobs);
    story.until("10:29:40").await;
    let blocker = rusqlite::Connection::open(story.folder.path().join("ingestd.db")).expect("it opens");
    blocker.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    story.until("10:29:50").await;
    assert_eq!(story.on_air(), ["promo in lobby"]);
    blocker.execute_batch("COMMIT").expect("let go");
    story.until("10:29:54").await;
    blocker.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    story.until("10:30:05").await;
    assert_eq!(story.on_air(), ["promo in lobby"], "nothing is armed");
    blocker.execute_batch("COMMIT").expect("let go");
    story.until("10:59:50").await;
    blocker.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    story.until("11:00:10").await;
    let sent = story.sent();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(sent[1].starts_with("10:30:0") && sent[1].contains("start second hall from "), "late, and in progress: {sent:?}");
    assert_eq!(sent[2], "11:00:00.000 stop t-1: ok", "a stop waits for no disk");
    blocker.execute_batch("COMMIT").expect("let go");
    story.until("12:30").await;
    let mut rows = story.rows();
    rows.sort();
    assert_eq!(rows, ["promo 10:00 ended (planned)", "second 10:30 ended (planned)", "third 10:59 missed (disk)"]);
    let said = story.said();
    assert!(said.iter().any(|line| line.contains("cannot be written") && line.contains("database is locked")), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("can be written again")), "{said:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_far_forward_starts_nothing_until_it_is_believed() {
    let jobs = "  promo: {at: '10:00', for: 1h, repeat: forever}\n  later: {at: '12:30', for: 2h, repeat: forever, room: hall}\n  \
                short: {at: '11:00', for: 10m, repeat: forever, room: foyer}\n";
    let story = Story::begin("09:59", jobs);
    story.until("10:10").await;
    story.sent();
    story.clock.set(SignedDuration::from_hours(3));
    story.pass(Duration::from_mins(1)).await;
    assert_eq!((story.sent(), story.on_air()), (vec![], vec!["promo in lobby".to_owned()]), "at {}", story.clock.now());
    assert!(story.said().iter().any(|line| line.contains("set forward by 180 min")));
    story.clock.set(SignedDuration::from_hours(-3));
    story.until("10:30").await;
    assert_eq!(story.rows(), ["promo 10:00 on_air"], "nothing was missed");
    // Now it is right that it is three hours later.
    story.clock.set(SignedDuration::from_hours(3));
    story.pass(Duration::from_secs(1)).await;
    story.order(Command::ConfirmClock).await.expect("it is believed");
    story.pass(Duration::from_secs(5)).await;
    let mut rows = story.rows();
    rows.sort();
    assert_eq!(rows, ["later 12:30 on_air", "promo 10:00 ended (planned)", "short 11:00 missed (clock)"]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_fires_nothing_twice_and_ends_by_the_time_that_passed() {
    let jobs = "  promo: {at: '10:00', for: 1h, repeat: forever}\n  next: {at: '10:30', for: 1h, repeat: forever, room: hall}\n";
    let story = Story::begin("09:59", jobs);
    story.until("10:10").await;
    story.clock.set(SignedDuration::from_mins(-60));
    story.pass(Duration::from_hours(1)).await;
    // It shows 10:10 again, and an hour has passed.
    assert_eq!(story.sent(), ["10:00:00.000 start promo lobby: t-1", "10:00:00.000 stop t-1: ok"]);
    story.clock.synchronise(Some(true));
    story.until("10:29").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)"]);
    story.until("10:31").await;
    assert_eq!(story.on_air(), ["next in hall"]);
    story.sent();
    // A small step is simply followed; and the cloud, which counts on, would now end the task before its show.
    story.clock.set(SignedDuration::from_mins(-5));
    story.until("11:31").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)", "next 10:30 ended (planned)"]);
    assert_eq!(story.sent(), ["11:16:00.000 stop t-2: ok", "11:16:00.020 start next hall: t-3", "11:30:00.000 stop t-3: ok"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_cannot_be_written_takes_no_room() {
    let jobs = "  film: {at: '10:00', for: 2h, repeat: forever, length: 10m}\n  \
                break: {at: '10:30', for: 20s, repeat: forever, conflict: preempt}\n";
    let story = Story::begin("09:59", jobs);
    story.until("10:29:50").await;
    let blocker = rusqlite::Connection::open(story.folder.path().join("ingestd.db")).expect("it opens");
    blocker.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    story.until("10:30:40").await;
    assert_eq!(story.on_air(), ["film in lobby"]);
    blocker.execute_batch("COMMIT").expect("let go");
    story.until("12:01").await;
    assert_eq!(story.sent(), ["10:00:00.000 start film lobby: t-1", "12:00:00.000 stop t-1: ok"]);
    assert_eq!(story.rows(), ["film 10:00 ended (planned)", "break 10:30 missed (disk)"]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_under_a_clock_hold_starts_nothing_before_the_clock_is_believed() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:10").await;
    story.sent();
    story.clock.set(SignedDuration::from_hours(2));
    story.pass(Duration::from_secs(5)).await;
    let jobs = "  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n  new: {at: '12:00', for: 1h, repeat: forever, room: hall}\n";
    story.reload(jobs).await;
    story.pass(Duration::from_secs(30)).await;
    assert_eq!((story.sent(), story.on_air()), (vec![], vec!["promo in lobby".to_owned()]));
    story.order(Command::ConfirmClock).await.expect("it is believed");
    story.pass(Duration::from_secs(5)).await;
    assert_eq!(story.on_air(), ["new in hall"]);
}

#[tokio::test(start_paused = true)]
async fn at_boot_a_room_is_settled_before_anything_leaves() {
    let jobs = "  filler: {at: '09:00', for: 3h, repeat: forever, length: 10m, conflict: yield}\n  \
                show: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n";
    let mut story = Story::begin("08:59", jobs);
    story.until("09:30").await;
    story.stop().await;
    story.vanish("t-1");
    story.sent();
    story.until("10:10").await;
    story.start();
    story.until("10:20").await;
    assert_eq!(story.on_air(), ["show in lobby"]);
    let sent = story.sent();
    assert!(!sent.iter().any(|line| line.contains("start filler")), "it is not sent only to be taken off: {sent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_left_by_a_clock_that_was_set_back_since_keeps_its_row_over_a_kill() {
    let mut story = Story::begin("10:59", "  promo: {at: '11:00', for: 1h, repeat: forever}\n");
    story.until("11:00:00.005").await;
    story.clock.set(SignedDuration::from_hours(-1));
    story.order(Command::ConfirmClock).await.expect("it is believed");
    story.kill().await;
    story.start();
    story.until("10:00:01").await;
    let rows = story.history();
    let doubtful: Vec<_> = rows.iter().filter(|row| row.key.start == at("11:00")).map(|row| row.was_in_doubt).collect();
    assert_eq!(doubtful, [true]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_waits_while_the_clock_is_set_back_before_it_leaves_at_its_start() {
    let story = Story::begin("10:00", "  promo: {at: '10:05', for: 1h, repeat: forever}\n");
    let fault = Fault::Connect("as told".into());
    story.inject_fault(InjectedFault { action: Action::Start, of: "promo", fault, effect: false, times: 1_000 });
    story.until("10:00:30").await;
    // By nine minutes, which are believed at once.
    story.clock.set(SignedDuration::from_mins(9));
    story.pass(Duration::from_mins(1)).await;
    story.clock.set(SignedDuration::from_mins(-9));
    story.cloud().injected_faults.clear();
    story.until("10:06").await;
    assert_eq!(story.sent().last().map(String::as_str), Some("10:05:00.000 start promo lobby: t-1"));
}
