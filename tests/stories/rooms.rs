//! Two shows and one room: hand-overs, preempting, yielding, and who goes first.

use ingestd::trtc::{Action, Fault};

use crate::story::{InjectedFault, Story, lost, refused};

#[tokio::test(start_paused = true)]
async fn a_show_that_ends_hands_over_on_the_dot() {
    let story = Story::begin(
        "09:59",
        "  film: {at: '10:00', for: 1h, repeat: forever}\n  news: {at: '11:00', for: 30m, repeat: forever}\n",
    );
    story.until("12:00").await;
    let expected = [
        "10:00:00.000 start film lobby: t-1",
        "11:00:00.000 stop t-1: ok",
        "11:00:00.020 start news lobby: t-2",
        "11:30:00.000 stop t-2: ok",
    ];
    assert_eq!(story.sent(), expected);
    assert_eq!(story.rows(), ["film 10:00 ended (planned)", "news 11:00 ended (planned)"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_fails_keeps_the_next_show_off_for_a_second_at_most() {
    let story = Story::begin(
        "09:59",
        "  film: {at: '10:00', for: 1h, repeat: forever}\n  news: {at: '11:00', for: 30m, repeat: forever}\n",
    );
    story.inject_fault(InjectedFault { action: Action::Stop, of: "t-1", fault: Fault::Timeout, effect: false, times: 1 });
    story.until("12:00").await;
    let sent = story.sent();
    assert_eq!(sent[1..4], ["11:00:00.000 stop t-1: Timeout", "11:00:01.000 start news lobby: t-2", "11:00:11.000 stop t-1: ok"]);
    assert_eq!(story.rows(), ["film 10:00 ended (planned)", "news 11:00 ended (planned)"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_robot_waits_for_its_stop_to_succeed() {
    let story = Story::begin("09:59", "  loop: {every: 1h, for: 1h, repeat: forever, length: 10m}\n");
    story.until("10:30").await;
    story.sent();
    story.inject_fault(refused(Action::Stop, "t-2", "InternalError", 2));
    story.until("11:30").await;
    let expected = [
        "11:00:00.000 stop t-2: InternalError",
        "11:00:01.020 stop t-2: InternalError",
        "11:00:03.040 stop t-2: ok",
        "11:00:03.060 start loop lobby from 3 s: t-3",
    ];
    assert_eq!(story.sent(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_filler_yields_to_shows_and_returns_in_progress() {
    let story = Story::begin(
        "00:00",
        "  filler: {once: '2026-12-01 09:00', to: never, repeat: forever, length: 7m, conflict: yield}\n  \
         show: {at: '10:00', for: 30m, repeat: forever}\n  bad: {at: '11:00', for: 30m, repeat: forever}\n",
    );
    story.inject_fault(refused(Action::Start, "bad", "InvalidParameter.StreamUrl", 100));
    story.until("12:00").await;
    let expected = [
        "09:00:00.000 start filler lobby: t-1",
        "10:00:00.000 stop t-1: ok",
        "10:00:00.020 start show lobby: t-2",
        "10:30:00.000 stop t-2: ok",
        "10:30:00.020 start filler lobby from 360 s: t-3",
        "11:00:00.000 stop t-3: ok",
        "11:00:00.020 start bad lobby: InvalidParameter.StreamUrl",
        "11:00:00.040 start filler lobby from 60 s: t-4",
    ];
    let mut sent = story.sent();
    // What is refused is tried once a minute beside the filler, and keeps it from nothing.
    let slow = sent.extract_if(8.., |line| line.ends_with("start bad lobby: InvalidParameter.StreamUrl")).count();
    assert_eq!((sent, (28..40).contains(&slow)), (expected.map(str::to_owned).to_vec(), true), "{slow} times");
    let bad = story.rows().into_iter().find(|row| row.starts_with("bad"));
    assert_eq!(bad.as_deref(), Some("bad 11:00 failed (InvalidParameter.StreamUrl)"));
    let filler = story.history().into_iter().find(|row| row.key.job.as_str() == "filler").expect("a row");
    assert_eq!((filler.restarts, filler.attempts, filler.state.name()), (2, 3, "on_air"));
}

#[tokio::test(start_paused = true)]
async fn a_show_waits_a_second_for_the_answer_of_a_start_that_gives_way() {
    let story = Story::begin(
        "09:59",
        "  filler: {at: '10:00', for: 1h, repeat: forever, conflict: yield}\n  show: {at: '10:00:05', for: 10m, repeat: forever}\n",
    );
    story.inject_fault(InjectedFault { action: Action::Start, of: "filler", fault: Fault::Timeout, effect: true, times: 1 });
    story.until("10:05").await;
    assert_eq!(story.sent(), ["10:00:00.000 start filler lobby: Timeout", "10:00:06.000 start show lobby: t-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_filler_that_begins_inside_a_show_waits_for_its_end() {
    let story = Story::begin(
        "09:00",
        "  show: {at: '10:00', for: 1h, repeat: forever}\n  \
         filler: {at: '10:30', for: 1h, repeat: forever, length: 7m, conflict: yield}\n  \
         short: {at: '10:31', for: 20m, repeat: forever, conflict: yield, robot: short}\n",
    );
    story.until("12:00").await;
    let expected = [
        "10:00:00.000 start show lobby: t-1",
        "11:00:00.000 stop t-1: ok",
        "11:00:00.020 start filler lobby from 120 s: t-2",
        "11:30:00.000 stop t-2: ok",
    ];
    assert_eq!(story.sent(), expected);
    assert_eq!(story.rows(), ["show 10:00 ended (planned)", "filler 10:30 ended (planned)", "short 10:31 skipped (conflict)"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_start_preempts_and_of_equal_ones_priority_decides() {
    let story = Story::begin(
        "09:59",
        "  film: {at: '10:00', for: 2h, repeat: forever}\n  break: {at: '11:00', for: 10m, repeat: forever, conflict: preempt}\n  \
         alpha: {at: '13:00', for: 10m, repeat: forever}\n  omega: {at: '13:00', for: 10m, repeat: forever, priority: 9}\n",
    );
    story.until("14:00").await;
    let expected = [
        "10:00:00.000 start film lobby: t-1",
        "11:00:00.000 stop t-1: ok",
        "11:00:00.020 start break lobby: t-2",
        "11:10:00.000 stop t-2: ok",
        "13:00:00.000 start omega lobby: t-3",
        "13:10:00.000 stop t-3: ok",
    ];
    assert_eq!(story.sent(), expected);
    let expected = [
        "alpha 13:00 skipped (conflict)",
        "break 11:00 ended (planned)",
        "film 10:00 cut (preempted)",
        "omega 13:00 ended (planned)",
    ];
    let mut rows = story.rows();
    rows.sort();
    assert_eq!(rows, expected);
}

#[tokio::test(start_paused = true)]
async fn two_that_allow_it_play_side_by_side() {
    let jobs = "  one: {at: '10:00', for: 1h, repeat: forever, conflict: allow}\n  \
                two: {at: '10:30', for: 1h, repeat: forever, conflict: allow}\n";
    let story = Story::begin("09:59", jobs);
    story.until("10:45").await;
    assert_eq!(story.on_air(), ["one in lobby", "two in lobby"]);
    story.until("12:00").await;
    assert_eq!(story.rows(), ["one 10:00 ended (planned)", "two 10:30 ended (planned)"]);
}

#[tokio::test(start_paused = true)]
async fn a_show_without_end_is_renewed_before_the_cloud_ends_it() {
    let story = Story::begin("09:59", "  always: {once: '2026-12-01 10:00', to: never, repeat: forever, length: 7m}\n");
    story.clock_days(8).await;
    let sent = story.sent();
    // Seven days less ten minutes after the start, and in progress.
    assert_eq!(
        sent,
        ["10:00:00.000 start always lobby: t-1", "09:50:00.000 stop t-1: ok", "09:50:00.020 start always lobby from 240 s: t-2"]
    );
    let row = &story.history()[0];
    assert_eq!((row.state.name(), row.restarts, row.task_id.as_deref()), ("on_air", 1, Some("t-2")));
}

#[tokio::test(start_paused = true)]
async fn a_show_without_end_whose_task_has_no_name_is_put_on_air_again_when_the_cloud_has_ended_it() {
    let jobs = "  always: {once: '2026-12-01 10:00', to: never, repeat: forever, length: 7m}\n";
    let mut story = Story::begin("09:59", jobs);
    story.inject_fault(lost("always", 1));
    story.until("10:01").await;
    story.kill().await;
    story.start();
    story.clock_days(6).await;
    story.vanish("t-1");
    story.clock_days(2).await;
    // Seven days after the attempt that found it there.
    assert_eq!(
        story.sent(),
        [
            "10:00:00.000 start always lobby: Timeout",
            "10:00:10.316 start always lobby from 10 s: FailedOperation.TaskExist",
            "10:00:10.316 start always lobby from 10 s: t-2"
        ]
    );
    let row = &story.history()[0];
    assert_eq!((row.state.name(), row.task_id.as_deref()), ("on_air", Some("t-2")));
}

#[tokio::test(start_paused = true)]
async fn a_show_that_gave_way_ends_when_its_last_task_went_whichever_is_seen_gone_last() {
    let jobs = "  filler: {at: '10:00', for: 16m, live: true, conflict: yield}\n  \
                news: {at: '10:10', for: 2m, repeat: forever, conflict: preempt}\n  \
                talk: {at: '10:14', for: 10m, repeat: forever, conflict: preempt}\n";
    let story = Story::begin("09:59", jobs);
    // Nobody can say that its first task is gone before its second one is, and before its window closes.
    story.until("10:10:00.005").await;
    story.inject_fault(InjectedFault { action: Action::Describe, of: "t-1", fault: Fault::Timeout, effect: false, times: 12 });
    story.until("10:30").await;
    let filler = story.history().into_iter().find(|row| row.key.job.as_str() == "filler").expect("a row");
    assert_eq!(filler.ended_at.map(|at| at.strftime("%H:%M").to_string()), Some("10:14".to_owned()), "{:?}", story.rows());
}
