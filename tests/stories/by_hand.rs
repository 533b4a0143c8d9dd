//! What operators start by hand, hold back and correct: what a show plays that failed, and what stays held back over a restart.

use std::time::Duration;

use ingestd::engine::{Command, FireOrder};
use ingestd::schedule::JobId;
use ingestd::trtc::{Action, Room};

use crate::story::{Story, lost, refused};

/// It may start until 10:00:30.
const FILM: &str =
    "  film: {at: '10:00', for: 1h, start_within: 30s, repeat: forever, length: 10m, retry: {first: 1s, attempts: 2}}\n";
const OTHER: &str = "  other: {at: '23:00', for: 1h, repeat: forever, room: hall}\n";

fn id(job: &str) -> JobId {
    JobId::parse(job).expect("an id")
}

fn fire(job: &str) -> Command {
    Command::Fire(FireOrder { job: id(job), length: None, room: None, preempt: false })
}

fn pause(job: &str, minutes: Option<u64>) -> Command {
    Command::Pause { job: Some(id(job)), length: minutes.map(|minutes| Duration::from_secs(minutes * 60)) }
}

/// A story in which the film failed at 10:00:30.
async fn failed(film: &str, faults: usize) -> Story {
    let story = Story::begin("09:59", &[film, OTHER].concat());
    story.inject_fault(refused(Action::Start, "film", "FailedOperation.RestrictedConcurrency", faults));
    story.until("10:01").await;
    assert_eq!(story.rows(), ["film 10:00 failed (FailedOperation.RestrictedConcurrency)"]);
    story.sent();
    story
}

#[tokio::test(start_paused = true)]
async fn a_start_by_hand_of_a_failed_show_plays_what_the_schedule_says_now() {
    let mut story = failed(FILM, 2).await;
    let edited = FILM.replace("length: 10m", "length: 10m, room: hall, volume: 50").replace("for: 1h", "for: 30m");
    let told = story.reload(&[&edited, OTHER].concat()).await;
    assert!(told.iter().any(|line| line.contains("`ingestd fire film` takes it up again until 2026-12-01T10:30:00Z")), "{told:?}");
    story.until("10:02").await;
    assert_eq!(story.sent(), Vec::<String>::new());
    let told = story.order(fire("film")).await.expect("obeyed");
    assert!(told[1].contains("as the schedule says now, which changed room, volume"), "{told:?}");
    story.until("10:40").await;
    assert_eq!(story.sent(), ["10:02:00.000 start film hall from 120 s: t-1", "10:30:00.000 stop t-1: ok"]);
    assert_eq!(story.rows(), ["film 10:00 ended (planned)"]);
    let row = story.history().remove(0);
    assert_eq!((row.generation, row.ordered_by.as_deref()), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_failed_show_of_a_job_that_was_removed_or_switched_off_is_not_taken_up_by_hand() {
    let mut story = failed(FILM, 2).await;
    story.reload(OTHER).await;
    let refused = story.order(fire("film")).await.expect_err("it is gone");
    assert!(refused.contains("the schedule in force does not have `film` any more; write it into the schedule again"), "{refused}");
    story.reload(&[&FILM.replace("for: 1h", "for: 1h, enabled: false"), OTHER].concat()).await;
    let refused = story.order(fire("film")).await.expect_err("it is switched off");
    assert!(refused.contains("`film` is switched off; write `enabled: true`, and reload, or start an extra show"), "{refused}");
    // Its start moved: an extra show begins, and the order says why.
    story.reload(&[&FILM.replace("10:00", "22:00"), OTHER].concat()).await;
    let told = story.order(fire("film")).await.expect("obeyed");
    assert!(told[1].contains("film 2026-12-01T10:00:00Z failed, and is not taken up again"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_edit_by_which_a_failed_show_may_start_later_takes_it_up_again_in_progress() {
    let mut story = failed(FILM, 2).await;
    let unrelated = story.reload(&[FILM, OTHER, "  new: {at: '22:00', for: 1h, repeat: forever, room: new}\n"].concat()).await;
    assert!(unrelated.iter().all(|line| !line.contains("failed")), "{unrelated:?}");
    let told = story.reload(&[&FILM.replace("start_within: 30s", "volume: 50, start_within: 10m"), OTHER].concat()).await;
    assert!(
        told.iter().any(|line| line.contains("an edit changed volume, start_within") && line.contains("is taken up again")),
        "{told:?}"
    );
    story.until("10:30").await;
    assert_eq!(story.sent(), ["10:01:00.000 start film lobby from 60 s: t-1"]);
    assert_eq!(story.rows(), ["film 10:00 on_air"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_while_no_daemon_runs_takes_a_failed_show_up_again() {
    let mut story = failed(FILM, 2).await;
    story.kill().await;
    story.start();
    story.until("10:02").await;
    assert_eq!(story.sent(), Vec::<String>::new(), "nothing was edited");
    story.kill().await;
    story.edit(&[&FILM.replace("start_within: 30s", "start_within: 10m"), OTHER].concat());
    story.start();
    story.until("10:03").await;
    assert_eq!(story.sent(), ["10:02:00.000 start film lobby from 120 s: t-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_takes_nothing_up_that_is_paused_or_too_late_or_whose_room_is_taken_and_says_how_it_is_done() {
    let later = FILM.replace("start_within: 30s", "start_within: 10m");
    let is_told = |told: &[String], why: &str| told.iter().any(|line| line.contains(why) && line.contains("`ingestd fire film`"));
    let mut story = failed(FILM, 2).await;
    story.order(pause("film", None)).await.expect("obeyed");
    let told = story.reload(&[&later, OTHER].concat()).await;
    assert!(is_told(&told, "(`film` is paused)"), "{told:?}");
    let told = story.reload(&[&later.replace("attempts: 2", "attempts: 3"), OTHER].concat()).await;
    assert!(is_told(&told, "(what is sent is the same)"), "{told:?}");
    let told = story.reload(&[&FILM.replace("length", "volume: 50, length"), OTHER].concat()).await;
    assert!(is_told(&told, "(`start_within` is over)"), "{told:?}");
    story.order(Command::Resume { job: Some(id("film")), start: None }).await.expect("obeyed");
    let told = story.reload(&[&later.replace("length", "late: skip, length"), OTHER].concat()).await;
    assert!(is_told(&told, "(`late: skip`)"), "{told:?}");
    story.reload(&[FILM, OTHER].concat()).await;
    let lobby = FireOrder { job: id("other"), length: None, room: Some(room("lobby")), preempt: false };
    story.order(Command::Fire(lobby)).await.expect("obeyed");
    let told = story.reload(&[&later, OTHER].concat()).await;
    assert!(is_told(&told, " has room lobby)"), "{told:?}");
}

fn room(name: &str) -> Room {
    Room::Text(name.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_time_that_a_start_by_hand_gave_a_failed_show() {
    let mut story = failed(FILM, 2).await;
    story.until("10:20").await;
    story.inject_fault(refused(Action::Start, "film", "FailedOperation.RestrictedConcurrency", 1));
    let film = FILM.replace("first: 1s", "first: 30s").replace("attempts: 2", "attempts: 0");
    story.reload(&[&film, OTHER].concat()).await;
    story.order(fire("film")).await.expect("obeyed");
    story.until("10:20:10").await;
    story.reload(&[&film.replace("length", "priority: 1, length"), OTHER].concat()).await;
    story.until("10:20:15").await;
    assert_eq!(story.rows(), ["film 10:00 waiting"]);
    story.kill().await;
    story.edit(&[&film, OTHER].concat());
    story.start();
    story.until("10:21").await;
    assert_eq!(story.rows(), ["film 10:00 on_air"]);
    story.kill().await;
}

#[tokio::test(start_paused = true)]
async fn two_pauses_of_a_job_within_a_millisecond_hold_over_a_restart() {
    let mut story = Story::begin("09:59", FILM);
    story.order(pause("film", Some(5))).await.expect("obeyed");
    story.order(pause("film", None)).await.expect("obeyed");
    story.until("09:59:30").await;
    story.kill().await;
    story.start();
    story.until("10:10").await;
    assert_eq!((story.sent(), story.rows()), (Vec::new(), vec!["film 10:00 skipped (paused)".to_owned()]));
    // A pause that ends where it began leaves nothing behind, and neither does one that begins again there.
    story.order(Command::Resume { job: Some(id("film")), start: None }).await.expect("obeyed");
    story.order(pause("film", None)).await.expect("obeyed");
    story.order(Command::Resume { job: Some(id("film")), start: None }).await.expect("obeyed");
    story.order(pause("film", None)).await.expect("obeyed");
    story.kill().await;
    story.start();
    story.order(Command::Resume { job: Some(id("film")), start: None }).await.expect("it is paused still");
}

#[tokio::test(start_paused = true)]
async fn orders_within_a_millisecond_each_count() {
    let mut story = Story::begin("09:00", &[FILM, OTHER].concat());
    let skip = || Command::Skip { job: id("film"), start: None };
    let start = crate::story::at("10:00");
    story.order(skip()).await.expect("obeyed");
    story.order(Command::Resume { job: Some(id("film")), start: Some(start) }).await.expect("obeyed");
    story.order(skip()).await.expect("obeyed");
    let hall = |name: &str| Command::Fire(FireOrder { job: id("other"), length: None, room: Some(room(name)), preempt: true });
    let first = story.order(hall("one")).await.expect("obeyed");
    let second = story.order(hall("two")).await.expect("obeyed");
    assert!(first[0].starts_with("other 2026-12-01T09:00:00Z: ") && second[0].starts_with("other 2026-12-01T09:00:00.001Z: "));
    story.kill().await;
    story.start();
    story.until("10:10").await;
    let rows = story.rows();
    assert_eq!(rows.iter().filter(|row| row.starts_with("other")).count(), 2, "{rows:?}");
    assert!(rows.contains(&"film 10:00 skipped (operator)".to_owned()), "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_doubt_is_given_back_to_a_show_that_is_taken_up_again_so_that_what_exists_is_its_own() {
    let film = FILM.replace("attempts: 2", "attempts: 1");
    let mut story = Story::begin("09:59", &[&film, OTHER].concat());
    story.inject_fault(lost("film", 1));
    story.until("10:01").await;
    assert_eq!(story.rows(), ["film 10:00 failed (in_doubt)"]);
    // It outlives the daemon.
    story.kill().await;
    story.start();
    story.until("10:02").await;
    story.order(fire("film")).await.expect("obeyed");
    story.until("10:03").await;
    assert_eq!(story.sent()[1..], ["10:02:00.000 start film lobby from 120 s: FailedOperation.TaskExist"]);
    let row = story.history().remove(0);
    assert_eq!((row.state.name(), row.in_doubt, row.task_id), ("on_air", false, None));
    story.until("11:05").await;
    assert_eq!(story.rows(), ["film 10:00 ended (unverified)"]);
}

#[tokio::test(start_paused = true)]
async fn a_doubt_is_given_back_to_a_show_whose_job_left_and_is_back() {
    let film = "  film: {at: '10:00', for: 1h, repeat: forever, length: 10m, on_remove: stop, retry: {attempts: 1}}\n";
    let mut story = Story::begin("09:59", &[film, OTHER].concat());
    story.inject_fault(lost("film", 1));
    story.until("10:05").await;
    story.reload(OTHER).await;
    story.until("10:06").await;
    assert_eq!(story.rows(), ["film 10:00 cut (removed)"]);
    story.reload(&[film, OTHER].concat()).await;
    story.until("10:07").await;
    assert_eq!(story.rows(), ["film 10:00 on_air"]);
    assert_eq!(story.on_air(), ["film in lobby"], "one task, and no second one");
}
