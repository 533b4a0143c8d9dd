//! Edits of the schedule while it plays, and what operators stop.

use ingestd::engine::{Command, SecretsRead, StopTarget};
use ingestd::schedule::JobId;
use ingestd::trtc::{Action, Fault};

use crate::story::{InjectedFault, Story, refused};

const PROMO: &str = "  promo: {at: '10:00', for: 1h, repeat: forever}\n";

fn job(id: &str) -> Command {
    Command::Stop(StopTarget::Job(JobId::parse(id).expect("an id")))
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_edited_is_followed() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:10").await;
    story.reload("  promo: {at: '10:00', for: 2h, repeat: forever, stream: https://cdn.example.com/other.mp4}\n").await;
    story.until("11:30").await;
    // The cloud would have ended it at 11:01: it hands over to itself ten minutes before.
    let sent = story.sent();
    assert_eq!(
        sent[..3],
        ["10:00:00.000 start promo lobby: t-1", "10:51:00.000 stop t-1: ok", "10:51:00.020 start promo lobby: t-2"]
    );
    story.reload("  promo: {at: '10:00', for: 100m, repeat: forever}\n").await;
    story.until("11:50").await;
    assert_eq!(story.sent(), ["11:40:00.000 stop t-2: ok"]);
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)"]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_past_already_cuts() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:30").await;
    story.reload("  promo: {at: '10:00', for: 20m, repeat: forever}\n").await;
    story.until("10:31").await;
    assert_eq!((story.on_air(), story.rows()), (vec![], vec!["promo 10:00 cut (edited)".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_removed_finishes_or_stops_as_it_says() {
    let jobs = "  stays: {at: '10:00', for: 1h, repeat: forever}\n  \
                goes: {at: '10:00', for: 1h, repeat: forever, room: hall, on_remove: stop}\n  \
                moved: {at: '10:00', for: 1h, repeat: forever, room: foyer}\n";
    let mut story = Story::begin("09:59", jobs);
    story.until("10:10").await;
    story.reload("  moved: {at: '10:05', for: 1h, repeat: forever, room: foyer}\n").await;
    story.until("12:00").await;
    let mut rows = story.rows();
    rows.sort();
    let expected = [
        "goes 10:00 cut (removed)",
        "moved 10:00 ended (planned)",
        "moved 10:05 skipped (conflict)",
        "stays 10:00 ended (planned)",
    ];
    assert_eq!(rows, expected);
}

#[tokio::test(start_paused = true)]
async fn an_armed_start_is_taken_back_by_an_edit() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("09:59:58").await;
    assert_eq!(story.rows(), ["promo 10:00 armed"]);
    story
        .reload("  promo: {at: '10:30', for: 1h, repeat: forever}\n  new: {at: '09:30', for: 50m, repeat: forever, room: hall}\n")
        .await;
    story.until("10:45").await;
    let sent = story.sent();
    assert_eq!(sent[..2], ["09:59:58.000 start new hall: t-1", "10:20:00.000 stop t-1: ok"], "what is open is started, and late");
    assert_eq!(sent[2], "10:30:00.000 start promo lobby: t-2");
    assert_eq!(story.rows(), ["new 09:30 ended (planned)", "promo 10:30 on_air"]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_before_it_is_on_air_applies_from_the_next_attempt() {
    let mut story = Story::begin("09:59", "  promo: {at: '10:00', for: 1h, repeat: forever, retry: {first: 30s}}\n");
    story.inject_fault(refused(Action::Start, "promo", "ResourceInsufficient", 1));
    story.until("10:00:01").await;
    story.reload("  promo: {at: '10:00', for: 1h, repeat: forever, room: hall, robot: other}\n").await;
    story.until("10:01").await;
    assert_eq!(story.on_air(), ["other in hall"]);
    let row = &story.history()[0];
    assert_eq!((row.attempts, row.playout.robot.as_str(), row.generation), (2, "other", 2));
}

#[tokio::test(start_paused = true)]
async fn an_operator_stops_a_job_a_task_or_all() {
    let jobs = "  one: {at: '10:00', for: 1h, repeat: forever}\n  two: {at: '10:00', for: 1h, repeat: forever, room: hall}\n  \
                three: {at: '10:00', for: 1h, repeat: forever, room: foyer}\n";
    let story = Story::begin("09:59", jobs);
    assert_eq!(story.order(job("one")).await.expect_err("nothing runs"), "nothing of `one` is on air or on its way there");
    story.until("10:10").await;
    let done = story.order(job("one")).await.expect("it runs");
    assert!(done.len() == 1 && done[0].starts_with("one 2026-12-01T10:00:00Z: stopping (task t-"), "{done:?}");
    let of_two = story.history().into_iter().find(|row| row.key.job.as_str() == "two").and_then(|row| row.task_id).expect("a task");
    story.order(Command::Stop(StopTarget::Task(of_two))).await.expect("it runs");
    story.until("10:11").await;
    assert_eq!(story.on_air(), ["three in foyer"]);
    story.order(Command::Stop(StopTarget::All)).await.expect("one runs");
    story.until("10:12").await;
    let mut rows = story.rows();
    rows.sort();
    assert_eq!(rows, ["one 10:00 cut (operator)", "three 10:00 cut (operator)", "two 10:00 cut (operator)"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_start_that_is_under_way() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:00:00.005").await;
    let done = story.order(job("promo")).await.expect("it is under way");
    assert!(done[0].ends_with("its start is under way; it is stopped as soon as that is answered"), "{done:?}");
    story.until("10:01").await;
    assert_eq!((story.on_air(), story.rows()), (vec![], vec!["promo 10:00 cut (operator)".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_reload_while_a_start_waits_for_its_room_loses_no_hour() {
    let jobs = "  loop: {every: 1h, for: 1h, repeat: forever, length: 10m}\n";
    let mut story = Story::begin("09:59", jobs);
    story.until("10:30").await;
    story.inject_fault(refused(Action::Stop, "t-2", "InternalError", 2));
    story.until("11:00:01.500").await;
    story.reload(&format!("{jobs}  other: {{at: '15:00', for: 1h, repeat: forever, room: hall}}\n")).await;
    story.until("11:30").await;
    assert_eq!(story.on_air(), ["loop in lobby"]);
    assert!(story.rows().contains(&"loop 11:00 on_air".to_owned()), "{:?}", story.rows());
}

#[tokio::test(start_paused = true)]
async fn a_doubt_whose_job_is_removed_is_looked_for_like_a_stream_on_air() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(InjectedFault { action: Action::Start, of: "promo", fault: Fault::Timeout, effect: true, times: 1 });
    story.until("10:00:10.500").await;
    story.reload("  other: {at: '15:00', for: 1h, repeat: forever, room: hall}\n").await;
    story.until("11:01").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (unverified)"], "it was found on air, and played to its end");
}

#[tokio::test(start_paused = true)]
async fn what_began_since_a_schedule_was_prepared_is_started_and_what_ended_is_not() {
    let mut story = Story::begin("09:58", "  other: {at: '15:00', for: 1h, repeat: forever, room: hall}\n");
    story.until("10:00:10").await;
    let jobs = "  begun: {at: '10:00', for: 1h, repeat: forever, room: hall}\n  \
                open: {at: '09:30', for: 1h, repeat: forever, room: foyer}\n  \
                over: {at: '09:59:40', for: 15s, repeat: forever, room: attic}\n  \
                ahead: {at: '10:00:12', for: 1h, repeat: forever, room: yard}\n";
    story.reload_prepared("09:59:50", jobs).await;
    story.until("10:00:11").await;
    let mut on_air = story.on_air();
    on_air.sort();
    assert_eq!(on_air, ["begun in hall", "open in foyer"]);
    story.until("10:00:13").await;
    assert!(story.sent().iter().any(|sent| sent.starts_with("10:00:12.000 start ahead")));
    // Somebody set the clock back meanwhile.
    let more = "  next: {at: '10:00:20', for: 1h, repeat: forever, room: shed}\n  \
                new: {at: '09:55', for: 1h, repeat: forever, room: barn}\n";
    story.reload_prepared("10:00:30", &format!("{jobs}{more}")).await;
    story.until("10:00:21").await;
    for on_air in ["next in shed", "new in barn"] {
        assert!(story.on_air().contains(&on_air.to_owned()), "{:?}", story.on_air());
    }
    assert_eq!(story.rows().iter().filter(|row| row.contains("over")).count(), 0, "{:?}", story.rows());
}

/// A hundred starts at one instant that must not be late, of which 20 a second may leave.
fn hundred(stream: &str) -> String {
    let job = |number| format!("  j{number:03}: {{at: '10:00', for: 1h, room: {number}, late: skip, stream: {stream}}}\n");
    (1..=100).map(job).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reload_leaves_a_start_that_it_does_not_change_in_the_queue() {
    let jobs = hundred("https://cdn.example.com/a.mp4");
    let undisturbed = Story::begin("09:59", &jobs);
    undisturbed.until("10:01").await;
    let mut story = Story::begin("09:59", &jobs);
    for (time, other) in [("09:59:58", "11:00"), ("10:00:00.005", "11:01"), ("10:00:02.900", "11:02")] {
        story.until(time).await;
        story.reload(&format!("{jobs}  other: {{at: '{other}', for: 1h}}\n")).await;
    }
    story.until("10:01").await;
    assert!(story.rows().iter().all(|row| row.ends_with("on_air")), "{:?}", story.rows());
    assert!(story.history().iter().all(|row| row.attempts == 1), "each is claimed once");
    assert_eq!(story.sent(), undisturbed.sent(), "each leaves when it would without a reload");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_punctual_is_not_late_because_an_edit_takes_it_back_from_the_queue() {
    let mut story = Story::begin("09:59", &hundred("https://cdn.example.com/a.mp4"));
    for (time, stream) in [("10:00:02.500", "b"), ("10:00:03.500", "c")] {
        story.until(time).await;
        story.reload(&hundred(&format!("https://cdn.example.com/{stream}.mp4"))).await;
    }
    story.until("10:01").await;
    assert!(story.rows().iter().all(|row| row.ends_with("on_air")), "{:?}", story.rows());
    let played = |stream: &str| {
        let url = format!("https://cdn.example.com/{stream}.mp4");
        story.history().iter().filter(|row| row.playout.stream.reveal() == url).count()
    };
    assert!(played("b") > 0 && played("c") > 0, "the edit applies to what was not sent");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_must_not_be_late_and_is_added_after_its_start_is_missed() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:00:03").await;
    story.reload(&format!("{PROMO}  late: {{at: '10:00', for: 1h, room: hall, late: skip}}\n")).await;
    story.until("10:01").await;
    assert_eq!(story.rows(), ["promo 10:00 on_air", "late 10:00 missed (late)"]);
}

#[tokio::test(start_paused = true)]
async fn a_show_that_is_fixed_while_nobody_is_there_is_tried_by_the_next_daemon() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(refused(Action::Start, "promo", "InvalidParameter.StreamUrl", 1));
    story.until("10:00:10").await;
    story.stop().await;
    story.edit("  promo: {at: '10:00', for: 1h, repeat: forever, robot: other}\n");
    story.start();
    story.until("10:00:11").await;
    let sent = story.sent();
    assert_eq!((sent.len(), sent[1].as_str()), (2, "10:00:10.000 start other lobby: t-1"), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn other_settings_are_taken_by_the_next_daemon_though_the_schedule_is_the_same() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(refused(Action::Start, "promo", "FailedOperation.SdkAppIdNotExist", 1));
    story.until("10:00:10").await;
    story.stop().await;
    story.set_app(1_400_000_002, PROMO);
    story.start();
    story.until("10:00:11").await;
    let row = &story.history()[0];
    assert_eq!((row.attempts, row.state.name(), row.playout.destination.sdk_app_id), (2, "on_air", 1_400_000_002));
}

#[tokio::test(start_paused = true)]
async fn refused_secrets_are_read_again_and_by_the_next_daemon_too() {
    let mut story = Story::begin("09:59", PROMO);
    story.inject_fault(refused(Action::Start, "promo", "AuthFailure.SecretIdNotFound", 2));
    story.until("10:00:20").await;
    // The service was restarted, because a credential is read only then.
    story.stop().await;
    story.start();
    story.until("10:00:21").await;
    assert_eq!(story.sent().len(), 2, "it is tried at once, and refused again");
    story.cloud().secrets = Some(SecretsRead::Changed { which: vec!["account.secret_id".to_owned()] });
    story.until("10:00:35").await;
    assert_eq!(story.rows(), ["promo 10:00 on_air"], "nobody asked: a show waits for it");
    let reader = ingestd::ledger::Reader::open(story.folder.path()).expect("readable");
    let retries = reader.retries(&story.history()[0].key).expect("readable");
    let retries: Vec<_> = retries.iter().map(|retry| format!("{}: {}", retry.who, retry.why)).collect();
    assert_eq!(
        retries,
        [
            "restart: the secrets were read when the daemon began",
            "ingestd: the secrets were read again; `account.secret_id` changed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_an_edit_left_behind_survives_a_restart() {
    let mut story = Story::begin("09:59", PROMO);
    let lost = InjectedFault { action: Action::Start, of: "promo", fault: Fault::Timeout, effect: true, times: 1 };
    story.inject_fault(lost);
    story.until("10:00:05").await;
    story.reload("  promo: {at: '10:00', for: 1h, repeat: forever, stream: https://cdn.example.com/other.mp4}\n").await;
    story.until("10:00:10.015").await;
    assert_eq!(story.history()[0].playout.stream.reveal(), "https://cdn.example.com/other.mp4");
    story.kill().await;
    story.start();
    story.until("10:01").await;
    let row = &story.history()[0];
    let plays = row.playout.stream.reveal();
    assert_eq!((row.state.name(), plays), ("on_air", "https://cdn.example.com/x.mp4"), "what began before the edit plays");
}
