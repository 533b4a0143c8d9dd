//! A show whose stream cannot be had plays its fallback, and is back on its stream when a look finds that. Never are both in the room.

use ingestd::engine::{MediaWord, Receipt};
use ingestd::occurrence::Occurrence;
use ingestd::schedule::StreamUrl;
use ingestd::trtc::callback::{Callback, TaskNews};
use jiff::SignedDuration;

use crate::story::{Story, at};
use crate::told::alerts;

const REAL: &str = "https://cdn.example.com/x.mp4";
const STILL: &str = "https://cdn.example.com/still.mp4";
const PROMO: &str =
    "  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m, fallback: 'https://cdn.example.com/still.mp4'}\n";

/// The vendor says something of a task now.
async fn hear(story: &Story, task_id: &str, news: TaskNews, time: &str) {
    let callback = Callback { sdk_app_id: 1_400_000_001, task_id: task_id.to_owned(), news, at: at(time) };
    let receipt = story.handle().callback(callback).expect("there is room").await;
    assert_eq!(receipt.ok(), Some(Receipt::Taken));
}

/// Somebody looked at media just now.
async fn look(story: &Story, url: &str, is_there: bool) {
    story.handle().tell_media(MediaWord { url: StreamUrl::new(url), is_there, ago: SignedDuration::from_millis(300) }).await;
}

/// Tells of the stream every 30 s from one minute of the hour to another.
async fn look_until(story: &Story, url: &str, is_there: bool, (from, to): (u32, u32)) {
    for half in from * 2..to * 2 {
        story.until(&format!("10:{:02}:{:02}", half / 2, half % 2 * 30)).await;
        look(story, url, is_there).await;
    }
}

/// What a row says was played: `x.mp4 10:00:00.020-10:20:05.000`.
fn played(row: &Occurrence) -> Vec<String> {
    let time = |at: jiff::Timestamp| at.strftime("%H:%M:%S%.3f").to_string();
    let name = |url: &StreamUrl| url.reveal().rsplit('/').next().unwrap_or_default().to_owned();
    let spans = row.fallback.played.iter();
    spans.map(|span| format!("{} {}-{}", name(&span.url), time(span.from), span.to.map(time).unwrap_or_default())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_show_whose_medium_dies_plays_its_fallback_within_five_seconds_and_is_back_when_it_passes() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:20:05").await;
    hear(&story, "t-1", TaskNews::StartFailed, "10:20:04.500").await;
    story.until("10:20:10").await;
    assert_eq!(story.asked(), ["10:00:00.000 x.mp4", "10:20:05.020 still.mp4"], "20 ms after the vendor's word");
    assert_eq!(
        story.sent(),
        ["10:00:00.000 start promo lobby: t-1", "10:20:05.000 stop t-1: ok", "10:20:05.020 start promo lobby: t-2"]
    );
    println!("from the vendor's word to the accepted start of the fallback: 40 ms");
    assert!(story.said().iter().any(|line| line.starts_with("promo: its stream cannot be had: TRTC cannot pull it; its fallback")));
    assert_eq!(alerts(&story).last().map(String::as_str), Some("fallback promo, lasts"));
    // A look that finds nothing changes nothing, and one that began before the vendor's word neither.
    look(&story, REAL, false).await;
    story.handle().tell_media(MediaWord { url: StreamUrl::new(REAL), is_there: true, ago: SignedDuration::from_secs(30) }).await;
    story.until("10:21").await;
    assert_eq!(story.sent(), Vec::<String>::new());
    // It outlives the daemon.
    story.kill().await;
    story.start();
    story.until("10:30:05").await;
    assert_eq!((story.sent(), story.on_air()), (vec![], vec!["promo in lobby".to_owned()]));
    look(&story, REAL, true).await;
    story.until("10:31").await;
    // Where it would be by now: 10:30:05 is five seconds into the fourth play.
    assert_eq!(story.sent(), ["10:30:05.000 stop t-2: ok", "10:30:05.020 start promo lobby from 5 s: t-3"]);
    assert_eq!(story.asked(), ["10:30:05.020 x.mp4"]);
    println!("from the good look to the accepted start of the stream: 40 ms");
    assert!(
        alerts(&story)
            .iter()
            .any(|alert| alert.starts_with("fallback promo, over: `promo` of 2026-12-01T10:00:00Z: plays its stream"))
    );
    story.until("11:05").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)"]);
    let row = &story.history()[0];
    let spans = ["x.mp4 10:00:00.020-10:20:05.000", "still.mp4 10:20:05.040-10:30:05.000", "x.mp4 10:30:05.040-11:00:00.020"];
    assert_eq!((played(row), row.restarts), (spans.map(str::to_owned).to_vec(), 2));
    assert!(!row.plays_fallback());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_has_the_fallback_tried_at_once() {
    let story = Story::begin("09:59", PROMO);
    story.cloud().refused_media = vec!["x.mp4"];
    story.until("10:05").await;
    assert_eq!(story.asked(), ["10:00:00.000 x.mp4", "10:00:00.020 still.mp4"]);
    assert_eq!(alerts(&story), ["fallback promo, lasts"], "it is on air, so it has not failed");
    story.until("11:05").await;
    assert_eq!((story.rows(), story.on_air()), (vec!["promo 10:00 ended (planned)".to_owned()], vec![]));
    assert_eq!(played(&story.history()[0]), ["still.mp4 10:00:00.040-11:00:00.020"]);
    assert_eq!(alerts(&story), ["fallback promo, over: `promo` of 2026-12-01T10:00:00Z: is over"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_missing_before_the_start_is_not_asked_for() {
    let story = Story::begin("09:50", PROMO);
    story.until("09:59").await;
    look(&story, REAL, false).await;
    look(&story, STILL, true).await;
    story.until("10:02").await;
    assert_eq!(story.asked(), ["10:00:00.000 still.mp4"]);
    look(&story, REAL, true).await;
    story.until("10:03").await;
    assert_eq!(story.asked(), ["10:02:00.020 x.mp4"]);
    let row = &story.history()[0];
    assert_eq!((row.attempts, row.fallback.trouble), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_look_too_long_ago_and_a_fallback_that_is_missing_too_change_nothing() {
    let story = Story::begin("09:50", PROMO);
    look(&story, REAL, false).await;
    story.until("10:01").await;
    assert_eq!(story.asked(), ["10:00:00.000 x.mp4"], "ten minutes later nobody knows");
    let story = Story::begin("09:59", PROMO);
    look(&story, REAL, false).await;
    look(&story, STILL, false).await;
    story.until("10:01").await;
    assert_eq!(story.asked(), ["10:00:00.000 x.mp4"]);
}

#[tokio::test(start_paused = true)]
async fn where_both_are_refused_they_are_tried_in_turn_as_slowly_as_one_and_it_fails_for_that() {
    let story = Story::begin("09:59", PROMO);
    story.cloud().refused_media = vec!["x.mp4", "still.mp4"];
    story.until("10:03:30").await;
    let asked = story.asked();
    assert_eq!(asked[..3], ["10:00:00.000 x.mp4", "10:00:00.020 still.mp4", "10:01:00.040 x.mp4"]);
    assert_eq!(asked[3..], ["10:02:00.060 still.mp4", "10:03:00.080 x.mp4"]);
    story.until("11:05").await;
    assert_eq!(story.rows(), ["promo 10:00 failed (InvalidParameter.StreamUrl)"]);
    let alone = Story::begin("09:59", "  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n");
    alone.cloud().refused_media = vec!["x.mp4"];
    alone.until("11:05").await;
    assert_eq!(story.history()[0].attempts, alone.history()[0].attempts + 1, "one more, that was made at once");
    assert_eq!(played(&story.history()[0]), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_passes_here_and_dies_there_is_gone_back_to_ever_more_rarely() {
    let story = Story::begin("09:59", PROMO);
    let mut changes = Vec::new();
    for half in 0..118 {
        story.until(&format!("10:{:02}:{:02}", half / 2, half % 2 * 30)).await;
        look(&story, REAL, true).await;
        story.pass(std::time::Duration::from_secs(3)).await;
        let asked = story.asked();
        let is_real = asked.last().is_some_and(|line| line.ends_with(" x.mp4"));
        changes.extend(asked);
        let task = story.cloud().running.first().map(|(id, ..)| id.clone());
        if let (true, Some(task)) = (is_real, task) {
            let now = format!("10:{:02}:{:02}", half / 2, half % 2 * 30 + 3);
            hear(&story, &task, TaskNews::StartFailed, &now).await;
        }
    }
    let returns: Vec<&str> = changes.iter().filter(|line| line.ends_with(" x.mp4")).map(|line| &line[..8]).collect();
    assert_eq!(
        returns,
        ["10:00:00", "10:00:30", "10:02:00", "10:04:30", "10:09:00", "10:17:30", "10:28:00", "10:38:30", "10:49:00"]
    );
    story.until("11:05").await;
    assert_eq!((story.rows(), story.on_air()), (vec!["promo 10:00 ended (planned)".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn with_an_open_end_a_fallback_plays_as_long_as_a_start_may_be_tried() {
    let job = "  promo: {at: '10:00', live: true, start_within: 20m, fallback: 'https://cdn.example.com/still.mp4'}\n";
    let story = Story::begin("09:59", job);
    story.until("10:10").await;
    hear(&story, "t-1", TaskNews::StartFailed, "10:10").await;
    story.until("10:40").await;
    assert_eq!(story.asked(), ["10:00:00.000 x.mp4", "10:10:00.020 still.mp4"]);
    assert_eq!((story.rows(), story.on_air()), (vec!["promo 10:00 ended (media)".to_owned()], vec![]));
    assert_eq!(played(&story.history()[0])[1], "still.mp4 10:10:00.040-10:30:00.020");
}

#[tokio::test(start_paused = true)]
async fn a_fallback_in_the_place_of_a_single_play_ends_with_the_window() {
    let job = "  promo: {at: '10:00', length: 30m, fallback: 'https://cdn.example.com/still.mp4'}\n";
    let story = Story::begin("09:59", job);
    story.until("10:10").await;
    hear(&story, "t-1", TaskNews::StartFailed, "10:10").await;
    story.until("10:40").await;
    assert_eq!(story.sent().last().map(String::as_str), Some("10:30:00.000 stop t-2: ok"));
    assert_eq!((story.rows(), story.on_air()), (vec!["promo 10:00 ended (planned)".to_owned()], vec![]));
}

#[tokio::test(start_paused = true)]
async fn near_its_end_a_show_is_not_taken_off_the_air_for_its_fallback() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:59:45").await;
    hear(&story, "t-1", TaskNews::StartFailed, "10:59:45").await;
    story.until("11:01").await;
    assert_eq!((story.asked().len(), story.rows()), (1, vec!["promo 10:00 ended (planned)".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn another_stream_is_tried_at_once_while_the_fallback_plays_and_another_volume_is_not() {
    let mut story = Story::begin("09:59", PROMO);
    story.until("10:05").await;
    hear(&story, "t-1", TaskNews::StartFailed, "10:05").await;
    story.until("10:06").await;
    story.reload(&PROMO.replace("length: 10m", "length: 10m, volume: 50")).await;
    story.until("10:07").await;
    assert_eq!(story.asked().len(), 2, "what is on air keeps what it was sent with");
    let fixed = PROMO.replace("length: 10m", "length: 10m, stream: 'https://cdn.example.com/new.mp4'");
    story.reload(&fixed).await;
    story.until("10:08").await;
    assert_eq!(story.asked(), ["10:07:00.020 new.mp4"]);
    assert!(story.said().iter().any(|line| line.contains("an edit changed `stream`, which could not be had")));
    // What is on air keeps its fallback, but what dies is off the air, and then the edit holds.
    story.reload("  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n").await;
    hear(&story, "t-3", TaskNews::StartFailed, "10:08").await;
    story.until("11:05").await;
    assert_eq!(
        (story.asked(), story.rows()),
        (vec!["10:08:00.020 x.mp4".to_owned()], vec!["promo 10:00 ended (planned)".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn looks_that_find_nothing_keep_the_fallback_on_air_to_the_end() {
    let story = Story::begin("09:59", PROMO);
    story.until("10:01").await;
    hear(&story, "t-1", TaskNews::StartFailed, "10:01").await;
    look_until(&story, REAL, false, (2, 58)).await;
    story.until("11:05").await;
    assert_eq!((story.asked().len(), story.rows()), (2, vec!["promo 10:00 ended (planned)".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_refused_has_attempts_of_its_own_when_its_fallback_is_refused() {
    let once = PROMO.replace("length: 10m", "length: 10m, retry: {attempts: 1}");
    // It was on air, and could not be pulled.
    let story = Story::begin("09:59", &once);
    story.cloud().refused_media = vec!["still.mp4"];
    story.until("10:05").await;
    hear(&story, "t-1", TaskNews::StartFailed, "10:05").await;
    story.until("10:05:30").await;
    assert!(story.said().iter().any(|line| line.starts_with("promo: TRTC refuses its fallback too: its stream https://cdn")));
    story.until("10:30").await;
    let expected = ["10:00:00.000 x.mp4", "10:05:00.020 still.mp4", "10:06:00.040 x.mp4"];
    assert_eq!((story.asked(), story.on_air()), (expected.map(str::to_owned).to_vec(), vec!["promo in lobby".to_owned()]));
    // Nobody had asked for it yet.
    let story = Story::begin("09:59", &once);
    story.cloud().refused_media = vec!["still.mp4"];
    look(&story, REAL, false).await;
    story.until("10:30").await;
    assert_eq!(story.asked(), ["10:00:00.000 still.mp4", "10:00:00.020 x.mp4"]);
    assert_eq!(story.on_air(), ["promo in lobby"]);
}

#[tokio::test(start_paused = true)]
async fn where_no_attempt_is_left_nobody_says_that_one_is_made() {
    let story = Story::begin("09:59", &PROMO.replace("length: 10m", "length: 10m, retry: {attempts: 1}"));
    story.cloud().refused_media = vec!["x.mp4", "still.mp4"];
    story.until("10:30").await;
    assert_eq!(story.asked(), ["10:00:00.000 x.mp4", "10:00:00.020 still.mp4"]);
    let said = story.said();
    let about_attempts: Vec<&String> = said.iter().filter(|line| line.contains("tried") || line.contains("used up")).collect();
    assert!(about_attempts.len() == 3, "{about_attempts:#?}");
    assert!(about_attempts[0].contains("after attempt 1; its fallback is tried at once"), "{about_attempts:#?}");
    assert!(about_attempts[1].contains("after attempt 2; `retry.attempts` are used up"), "{about_attempts:#?}");
    assert!(about_attempts[2].contains("its stream https://cdn.example.com/x.mp4 is not tried: `retry.attempts`"), "{said:#?}");
    assert_eq!(alerts(&story), ["failed promo, lasts"]);
}
