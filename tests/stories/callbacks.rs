//! Callbacks that were answered survive a kill at every point, and so does what follows from them.

use ingestd::engine::{Command, Receipt, StopTarget};
use ingestd::ledger::Reader;
use ingestd::occurrence::{OpenDoubt, Orphan};
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::trtc::{Action, Fault};

use crate::story::{InjectedFault, Story, at, lost};

const PROMO: &str = "  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n";
const LIVE: &str = "  promo: {at: '10:00', for: 1h, live: true}\n  film: {at: '10:00', for: 30m, live: true, room: hall}\n";

fn callback(task_id: &str, news: TaskNews, time: &str) -> Callback {
    Callback { sdk_app_id: 1_400_000_001, task_id: task_id.to_owned(), news, at: at(time) }
}

/// What the listener would hear: `None`, if the daemon ended first or did not say it in time.
async fn deliver(story: &Story, callback: Callback) -> Option<Receipt> {
    story.handle().callback(callback).expect("there is room").await.ok()
}

fn orphans(story: &Story) -> Vec<Orphan> {
    Reader::open(story.folder.path()).and_then(|reader| reader.orphans()).expect("readable")
}

fn doubts(story: &Story, now: &str) -> Vec<OpenDoubt> {
    Reader::open(story.folder.path()).and_then(|reader| reader.doubts(at(now))).expect("readable")
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_was_answered_while_its_start_is_awaited_survives_a_kill() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(lost("promo", 1));
    story.until("10:00:01").await;
    assert_eq!(deliver(&story, callback("t-1", TaskNews::Started, "10:00:00.500")).await, Some(Receipt::Taken));
    story.kill().await;
    story.start();
    story.until("11:30").await;
    // The next attempt found that it is there, and the callback says under which name.
    assert_eq!(story.sent().last().map(String::as_str), Some("11:00:00.000 stop t-1: ok"));
    assert_eq!(story.history()[0].confirmed_at, Some(at("10:00:00.500")));
    assert_eq!((story.rows(), story.on_air()), (vec!["promo 10:00 ended (unverified)".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_was_not_taken_when_the_daemon_died_is_not_answered_and_its_repetition_is_as_good() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(lost("promo", 1));
    story.until("10:00:01").await;
    let receipt = story.handle().callback(callback("t-1", TaskNews::Started, "10:00:00.500")).expect("there is room");
    // The loop has not had a turn since.
    story.kill().await;
    assert!(receipt.await.is_err());
    story.start();
    for _ in 0..3 {
        assert_eq!(deliver(&story, callback("t-1", TaskNews::Started, "10:00:00.500")).await, Some(Receipt::Taken));
    }
    story.until("11:30").await;
    assert_eq!(story.sent().last().map(String::as_str), Some("11:00:00.000 stop t-1: ok"));
    assert!(orphans(&story).is_empty());
    // One that is told to stop answers no more either.
    let receipt = story.handle().callback(callback("x", TaskNews::Started, "11:29:59")).expect("there is room");
    story.stop().await;
    assert!(receipt.await.is_err() || !orphans(&story).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_confirmation_of_a_known_task_survives_a_kill() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:00:05").await;
    assert_eq!(deliver(&story, callback("t-1", TaskNews::Started, "10:00:01")).await, Some(Receipt::Taken));
    story.kill().await;
    assert_eq!(story.history()[0].confirmed_at, Some(at("10:00:01")));
    story.start();
    // What is sent again, or is an hour old, changes nothing.
    assert_eq!(deliver(&story, callback("t-1", TaskNews::Started, "10:00:02")).await, Some(Receipt::Taken));
    assert_eq!(deliver(&story, callback("t-0", TaskNews::Started, "09:00:01")).await, Some(Receipt::Old));
    story.until("11:30").await;
    assert_eq!(
        (story.history()[0].confirmed_at, story.rows()),
        (Some(at("10:00:01")), vec!["promo 10:00 ended (planned)".to_owned()])
    );
    assert!(orphans(&story).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_task_that_was_told_before_its_start_survives_a_kill() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(lost("promo", 1));
    story.until("10:00:01").await;
    assert_eq!(deliver(&story, callback("t-1", TaskNews::Stopped, "10:00:00.900")).await, Some(Receipt::Taken));
    story.vanish("t-1");
    story.kill().await;
    story.start();
    assert_eq!(deliver(&story, callback("t-1", TaskNews::Started, "10:00:00.500")).await, Some(Receipt::Taken));
    story.until("11:30").await;
    assert!(!story.sent().iter().any(|line| line.contains("stop t-1")), "it was over before anybody knew it");
    assert!(orphans(&story).is_empty());
    assert_eq!((story.rows(), story.on_air()), (vec!["promo 10:00 ended (planned)".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_not_answered_and_is_taken_when_it_is_sent_again() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:10").await;
    let blocker = rusqlite::Connection::open(story.folder.path().join("ingestd.db")).expect("it opens");
    blocker.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    let stranger = || callback("stranger", TaskNews::Started, "10:09:59");
    assert_eq!(deliver(&story, stranger()).await, Some(Receipt::Refused));
    blocker.execute_batch("COMMIT").expect("let go");
    assert_eq!(deliver(&story, stranger()).await, Some(Receipt::Taken));
    assert_eq!(orphans(&story).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_tasks_of_two_doubts_are_stopped_at_the_later_end_whenever_the_daemon_dies() {
    for killed_at in ["10:00:05", "10:00:11", "10:20", "10:45", "never"] {
        let mut story = Story::begin("09:59", LIVE);
        story.inject_fault(lost("promo", 1));
        story.inject_fault(lost("film", 1));
        story.until("10:00:01").await;
        for task_id in ["t-1", "t-2"] {
            assert_eq!(deliver(&story, callback(task_id, TaskNews::Started, "10:00:00.500")).await, Some(Receipt::Taken));
        }
        if killed_at != "never" {
            story.until(killed_at).await;
            story.kill().await;
            story.start();
        }
        story.until("10:59:50").await;
        assert_eq!(story.on_air().len(), 2, "{killed_at}");
        story.until("11:00:30").await;
        assert_eq!(story.on_air(), [""; 0], "{killed_at}: {:#?}", story.said());
        assert_eq!(story.rows(), ["promo 10:00 ended (unverified)", "film 10:00 ended (unverified)"], "{killed_at}");
        assert!(orphans(&story).is_empty() && doubts(&story, "11:00:30").is_empty(), "{killed_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubt_beside_a_good_end_is_listed_until_its_bound_and_told_once() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(lost("promo", 1));
    story.until("10:00:05").await;
    // Under another reading of `TaskExist` the second start would be accepted beside the first.
    story.vanish("t-1");
    story.until("10:30").await;
    story.kill().await;
    story.start();
    story.until("10:40").await;
    let told = |story: &Story| story.said().iter().filter(|line| line.contains("a task that nobody can name may play")).count();
    assert_eq!(told(&story), 1);
    let [doubt] = &doubts(&story, "10:40")[..] else { panic!("one doubt") };
    assert_eq!((doubt.room.to_string().as_str(), doubt.robot.as_str(), doubt.sent_at), ("lobby", "promo", at("10:00")));
    assert_eq!(doubt.bound, Some(at("11:01")));
    story.until("11:00:30").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)"]);
    assert_eq!((doubts(&story, "11:00:30").len(), doubts(&story, "11:01").len(), told(&story)), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_a_task_that_nobody_knows_says_what_came_of_it() {
    let story = Story::begin("09:59", LIVE);
    story.inject_fault(lost("promo", 1));
    story.until("10:00:05").await;
    let stop = |task_id: &str, app: Option<&str>| {
        let task_id = task_id.to_owned();
        story.order(Command::Stop(match app {
            Some(app) => StopTarget::TaskOf { task_id, app: app.to_owned() },
            None => StopTarget::Task(task_id),
        }))
    };
    for (task_id, app, words) in [
        ("t-9", None, "name its application: `ingestd stop --task t-9 --app NAME`"),
        ("t-9", Some("other"), "there is no application `other`: the applications are `main`"),
        ("a b", Some("main"), "expected a TaskId of 1 to 256 visible ASCII characters"),
        ("", Some("main"), "expected a TaskId of 1 to 256 visible ASCII characters"),
        (&"x".repeat(257), None, "expected a TaskId of 1 to 256 visible ASCII characters"),
    ] {
        let why = stop(task_id, app).await.expect_err("it is refused");
        assert!(why.contains(words), "{task_id}: {why}");
    }
    assert_eq!(stop("t-9", Some("main")).await, Ok(vec!["task t-9 of `main`: it is over already".to_owned()]));
    story.inject_fault(InjectedFault { action: Action::Stop, of: "t-8", fault: Fault::Timeout, effect: false, times: 1 });
    let said = stop("t-8", Some("main")).await.expect("it is tried again");
    assert_eq!(said, ["task t-8 of `main`: not stopped yet (no answer in time); ingestd keeps trying"]);
    story.until("10:01").await;
    assert!(orphans(&story).is_empty(), "the next try found that it is over");
    let connection = rusqlite::Connection::open(story.folder.path().join("ingestd.db")).expect("it opens");
    let mut statement = connection.prepare("SELECT who || ': ' || detail FROM act WHERE what = 'stop' ORDER BY id").expect("SQL");
    let acts: Vec<String> = statement.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a text")).collect();
    assert_eq!(
        acts,
        [
            "uid 1000: task t-9 of `main`, which is not known here: StopStreamIngest is sent",
            "uid 1000: task t-9 of `main`: it is over already",
            "uid 1000: task t-8 of `main`, which is not known here: StopStreamIngest is sent",
            "uid 1000: task t-8 of `main`: not stopped yet (no answer in time); ingestd keeps trying",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_unknown_task_that_an_operator_stops_ends_the_only_doubt() {
    let story = Story::begin("09:59", PROMO);
    story.inject_fault(lost("promo", 1));
    story.until("10:00:05").await;
    story.rename("t-1", "elsewhere");
    story.until("10:20").await;
    assert_eq!(doubts(&story, "10:20").len(), 1);
    let stop = StopTarget::TaskOf { task_id: "t-1".to_owned(), app: "main".to_owned() };
    let said = story.order(Command::Stop(stop)).await.expect("it runs");
    assert_eq!(
        said,
        ["task t-1 of `main`: stopped", "promo 2026-12-01T10:00:00Z: this was the task of its start sent at 2026-12-01T10:00:00Z",]
    );
    assert!(doubts(&story, "10:20").is_empty());
    assert_eq!(story.on_air(), ["promo in lobby"]);
}

#[tokio::test(start_paused = true)]
async fn what_trtc_cannot_pull_is_told_after_a_minute_although_the_daemon_died_meanwhile() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:00:02").await;
    assert_eq!(deliver(&story, callback("t-1", TaskNews::StartFailed, "10:00:01")).await, Some(Receipt::Taken));
    story.until("10:00:10").await;
    story.kill().await;
    let told = |story: &Story| story.said().iter().filter(|line| line.contains("cannot pull")).count();
    assert_eq!(told(&story), 1);
    story.start();
    story.until("10:01").await;
    assert_eq!(told(&story), 0, "this daemon has not told it yet");
    story.until("10:01:02").await;
    assert_eq!(told(&story), 1);
}
