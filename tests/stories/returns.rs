//! Jobs that leave the schedule and come back: a file that was read when half of it was there, an edit that was a mistake.

use ingestd::engine::{Command, StopTarget};
use ingestd::schedule::JobId;
use ingestd::trtc::Action;

use crate::story::{Story, refused};

const OTHER: &str = "  other: {at: '23:00', for: 10m, repeat: forever, room: attic}\n";

/// A job that is cut when it leaves the schedule, beside another that stays.
fn film(fields: &str) -> String {
    format!("{OTHER}  film: {{{fields}, repeat: forever, length: 10m, on_remove: stop}}\n")
}

/// Without a job from one time to another.
async fn away(story: &mut Story, jobs: &str, from: &str, to: &str) {
    story.until(from).await;
    story.reload(OTHER).await;
    story.until(to).await;
    story.reload(jobs).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_back_in_its_window_goes_on_air_in_progress_with_one_row() {
    let jobs = film("at: '18:00', to: '20:00'");
    let mut story = Story::begin("17:50", &jobs);
    away(&mut story, &jobs, "17:59", "18:05").await;
    story.until("18:06").await;
    assert_eq!((story.rows(), story.on_air()), (vec!["film 18:00 on_air".to_owned()], vec!["film in lobby".to_owned()]));
    assert_eq!(story.sent(), ["18:05:00.000 start film lobby from 300 s: t-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_back_and_must_not_be_late_is_missed() {
    let jobs = film("at: '18:00', to: '20:00', late: skip");
    let mut story = Story::begin("17:50", &jobs);
    away(&mut story, &jobs, "17:59", "18:05").await;
    story.until("18:06").await;
    assert_eq!((story.rows(), story.on_air().len()), (vec!["film 18:00 missed (late)".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn windows_that_began_and_ended_while_a_job_was_away_have_rows() {
    let jobs = film("every: 2m, for: 1m");
    let mut story = Story::begin("17:59:10", &jobs);
    away(&mut story, &jobs, "17:59:58", "18:05:30").await;
    story.until("18:06:30").await;
    let expected = ["18:00 missed (down)", "18:02 missed (down)", "18:04 missed (down)", "18:06 on_air"];
    assert_eq!(story.rows(), expected.map(|row| format!("film {row}")));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_back_after_ten_minutes_is_a_new_job() {
    let jobs = film("every: 2m, for: 1m");
    let mut story = Story::begin("17:59:10", &jobs);
    away(&mut story, &jobs, "17:59:58", "18:10:50").await;
    story.until("18:12:30").await;
    assert_eq!(story.rows(), ["film 18:12 on_air"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_never_there_owes_nothing_from_before() {
    let mut story = Story::begin("17:50", OTHER);
    story.until("18:05:30").await;
    story.reload(&film("every: 2m, for: 1m")).await;
    story.until("18:05:50").await;
    assert_eq!(story.rows(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_show_that_was_cut_because_its_job_left_goes_on_when_the_job_is_back() {
    let jobs = film("at: '18:00', to: '20:00'");
    let mut story = Story::begin("17:50", &jobs);
    away(&mut story, &jobs, "18:30", "18:32").await;
    story.until("18:33").await;
    let sent = story.sent();
    let expected =
        ["18:00:00.000 start film lobby: t-1", "18:30:00.000 stop t-1: ok", "18:32:00.000 start film lobby from 120 s: t-2"];
    assert_eq!(sent, expected);
    let row = &story.history()[0];
    assert_eq!((row.state.name(), row.restarts, row.ended_at), ("on_air", 1, None));
    let reader = ingestd::ledger::Reader::open(story.folder.path()).expect("readable");
    let notes = reader.retries(&row.key).expect("readable");
    assert!(notes.len() == 1 && notes[0].why.contains("it was cut (removed) at 2026-12-01T18:30:00"), "{notes:?}");
    story.until("20:01").await;
    assert_eq!(story.rows(), ["film 18:00 ended (planned)"]);
}

#[tokio::test(start_paused = true)]
async fn what_left_is_known_to_the_next_daemon() {
    let (film, brief) = (film("at: '18:00', to: '20:00'"), "  brief: {every: 2m, for: 1m, repeat: forever, room: hall}\n");
    let jobs = format!("{film}{brief}");
    for is_killed in [false, true] {
        let mut story = Story::begin("17:59:10", &jobs);
        story.until("18:01:30").await;
        story.reload(OTHER).await;
        story.until("18:03:30").await;
        if is_killed {
            story.kill().await;
        } else {
            story.stop().await;
        }
        story.until("18:05:30").await;
        story.edit(&jobs);
        story.start();
        story.until("18:05:40").await;
        let mut rows = story.rows();
        rows.sort();
        assert_eq!(
            rows,
            ["brief 18:00 ended (planned)", "brief 18:02 missed (down)", "brief 18:04 missed (down)", "film 18:00 on_air"],
            "killed: {is_killed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_comes_back_while_its_show_is_being_stopped_goes_on_after_that() {
    let jobs = film("at: '18:00', to: '20:00'");
    let mut story = Story::begin("17:50", &jobs);
    story.inject_fault(refused(Action::Stop, "t-1", "InternalError", 3));
    away(&mut story, &jobs, "18:30", "18:30:01").await;
    story.until("18:31").await;
    assert_eq!((story.rows(), story.on_air()), (vec!["film 18:00 on_air".to_owned()], vec!["film in lobby".to_owned()]));
    assert_eq!(story.history()[0].restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_show_that_was_cut_stays_cut_beside_a_newer_one_of_its_job() {
    let jobs = film("at: ['18:00', '18:30'], for: 20m");
    let mut story = Story::begin("17:50", &jobs);
    away(&mut story, &jobs, "18:19", "18:31").await;
    story.until("18:32").await;
    assert_eq!(story.rows(), ["film 18:00 cut (removed)", "film 18:30 on_air"]);
}

#[tokio::test(start_paused = true)]
async fn a_show_that_was_cut_stays_cut_when_its_window_is_over_or_its_start_moved() {
    for (fields, back) in [("at: '18:00', for: 20m", "18:25"), ("at: '18:00', for: 20m", "18:19:50")] {
        let mut story = Story::begin("17:50", &film(fields));
        away(&mut story, &film(fields), "18:10", back).await;
        story.until("18:26").await;
        assert_eq!(story.rows(), ["film 18:00 cut (removed)"], "{back}");
    }
    let mut story = Story::begin("17:50", &film("at: '18:00', for: 1h"));
    away(&mut story, &film("at: '18:05', for: 1h"), "18:10", "18:12").await;
    story.until("18:13").await;
    assert_eq!(story.rows(), ["film 18:00 cut (removed)", "film 18:05 on_air"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_drops_what_is_on_air_or_due_within_the_hour_names_it() {
    let stays = "  stays: {at: '18:00', to: '20:00', repeat: forever, room: hall}\n";
    let soon =
        "  soon: {at: '19:09', for: 1h, repeat: forever, room: yard}\n  off: {at: '18:20', for: 1m, repeat: forever, room: shed}\n";
    let later = "  later: {at: '19:11', for: 1h, repeat: forever, room: barn}\n";
    let mut story = Story::begin("17:50", &format!("{}{stays}{soon}{later}", film("at: '18:00', to: '20:00'")));
    story.until("18:10").await;
    story.said();
    let off = "  off: {at: '18:20', for: 1m, repeat: forever, room: shed, enabled: false}\n";
    let reply = story.reload(&format!("{OTHER}{off}")).await;
    let told = |what: &str| format!("the schedule does not have {what}");
    let expected = [
        told("`film 2026-12-01T18:00:00Z` any more, which is on air: it is stopped (`on_remove: stop`)"),
        told("`stays 2026-12-01T18:00:00Z` any more, which is on air: it plays to its end (`on_remove: finish`)"),
        told("`off` any more, which was due at 2026-12-01T18:20:00Z"),
        told("`soon` any more, which was due at 2026-12-01T19:09:00Z"),
    ];
    assert_eq!(reply[1..], expected);
    let said = story.said();
    assert!(expected.iter().all(|line| said.iter().any(|said| said.ends_with(line.as_str()))), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_stopped_while_its_job_was_away_stays_off_the_air() {
    let jobs = film("at: '18:00', to: '20:00'");
    let mut story = Story::begin("17:50", &jobs);
    story.until("18:10").await;
    story.inject_fault(refused(Action::Stop, "t-1", "InternalError", 4));
    story.reload(OTHER).await;
    let film = JobId::parse("film").expect("an id");
    story.order(Command::Stop(StopTarget::Job(film))).await.expect("it is stopping already");
    story.reload(&jobs).await;
    story.until("18:30").await;
    assert_eq!((story.rows(), story.on_air().len()), (vec!["film 18:00 cut (removed)".to_owned()], 0));
    assert_eq!(story.history()[0].ordered_by.as_deref(), Some("uid 1000"));
}

#[tokio::test(start_paused = true)]
async fn a_show_that_goes_on_says_nothing_of_the_stops_of_before() {
    let jobs = film("at: '18:00', to: '20:00'");
    let mut story = Story::begin("17:50", &jobs);
    story.until("18:10").await;
    story.inject_fault(refused(Action::Stop, "t-1", "InternalError", 2));
    away(&mut story, &jobs, "18:10:00", "18:11").await;
    story.until("18:12").await;
    let row = &story.history()[0];
    assert_eq!((row.state.name(), row.task_id.as_deref(), &row.task_fault), ("on_air", Some("t-2"), &None));
}
