//! A disk that does not answer for a while: what is on air is stopped on time, what is permitted is sent on time, nothing else begins, and
//! it is told after two seconds.

use std::time::Duration;

use ingestd::engine::{Command, StopTarget};

use crate::story::Story;

const JOBS: &str = "  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n  \
                    second: {at: '10:30', for: 1h, repeat: forever, length: 10m, room: hall}\n";

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_disk_that_stands() {
    let story = Story::begin("09:59", JOBS);
    story.until("10:59:50").await;
    story.disk_stands(true);
    story.until("11:00:10").await;
    let sent = story.sent();
    let Some(stop) = sent.iter().find(|line| line.contains("stop t-1")) else { panic!("{sent:?}") };
    // The commit of the same turn is waited for, a moment long.
    assert!(stop.starts_with("11:00:00.0") || stop.starts_with("11:00:00.1"), "{stop}");
    story.disk_stands(false);
    story.until("12:00").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)", "second 10:30 ended (planned)"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_armed_before_leaves_at_its_instant() {
    let story = Story::begin("09:59", JOBS);
    story.until("10:29:56").await;
    story.disk_stands(true);
    story.until("10:30:20").await;
    assert_eq!(story.sent()[1..], ["10:30:00.000 start second hall: t-2"]);
    assert_eq!(story.rows(), ["promo 10:00 on_air", "second 10:30 armed"], "its answer is not written yet");
    story.disk_stands(false);
    story.pass(Duration::from_secs(2)).await;
    assert_eq!(story.rows(), ["promo 10:00 on_air", "second 10:30 on_air"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_is_not_sent_before_its_row_is_durable_and_is_joined_then() {
    let story = Story::begin("09:59", JOBS);
    story.until("10:29:50").await;
    // It is armed at 10:29:55, and the commit of that is not answered.
    story.disk_stands(true);
    story.until("10:30:20").await;
    assert_eq!(story.on_air(), ["promo in lobby"], "nothing leaves without a row");
    story.disk_stands(false);
    story.until("10:30:22").await;
    let sent = story.sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[1].starts_with("10:30:20") && sent[1].contains("start second hall from 20 s"), "{sent:?}");
    story.until("12:00").await;
    assert_eq!(story.rows(), ["promo 10:00 ended (planned)", "second 10:30 ended (planned)"]);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_taken_back_meanwhile_is_not_sent_when_the_disk_answers() {
    let mut story = Story::begin("09:59", JOBS);
    story.until("10:29:50").await;
    story.disk_stands(true);
    story.until("10:29:57").await;
    // It leaves the schedule before its permission has come.
    story.reload("  promo: {at: '10:00', for: 1h, repeat: forever, length: 10m}\n").await;
    story.until("10:29:59").await;
    story.disk_stands(false);
    story.until("12:00").await;
    let starts: Vec<String> = story.sent().into_iter().filter(|line| line.contains("start second")).collect();
    assert_eq!((starts, story.rows()), (Vec::new(), vec!["promo 10:00 ended (planned)".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_stands_for_two_seconds_is_told_once_and_its_end_too() {
    let story = Story::begin("09:59", JOBS);
    story.until("10:29:50").await;
    story.said();
    story.disk_stands(true);
    story.until("10:29:56").await;
    assert_eq!(story.disk_error(), None, "a moment is nothing to tell");
    story.until("10:29:58.500").await;
    assert!(
        story.disk_error().is_some_and(|error| error.starts_with("its disk has not answered for ")),
        "{:?}",
        story.disk_error()
    );
    story.until("10:30:30").await;
    story.disk_stands(false);
    story.until("10:30:40").await;
    assert_eq!(story.disk_error(), None);
    let said: Vec<String> = story.said().into_iter().filter(|line| line.starts_with("the ledger ")).collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0].starts_with("the ledger has not answered for 2 s: nothing is started") && said[1].contains("can be written again")
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_is_obeyed_while_the_disk_stands_and_its_reply_says_that_it_is_not_recorded() {
    let story = Story::begin("09:59", JOBS);
    story.until("10:10").await;
    story.disk_stands(true);
    let reply = story.order(Command::Stop(StopTarget::All)).await.expect("it is obeyed");
    assert!(reply.iter().any(|line| line.contains("recorded as soon as the ledger's disk answers")), "{reply:?}");
    story.pass(Duration::from_secs(5)).await;
    assert_eq!(story.on_air(), [""; 0]);
    story.disk_stands(false);
    story.pass(Duration::from_mins(1)).await;
    assert_eq!(story.rows(), ["promo 10:00 cut (operator)"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_ten_seconds_for_the_disk_and_no_longer() {
    let mut story = Story::begin("09:59", JOBS);
    story.until("10:29:58").await;
    story.disk_stands(true);
    let begin = tokio::time::Instant::now();
    story.stop().await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(12), "{took:?}");
    let said = story.said();
    assert!(said.iter().any(|line| line.contains("is not in the ledger: the next start takes over")), "{said:#?}");
    // What is on air stays there, and the armed start is taken over by the next daemon.
    story.start();
    story.until("10:31").await;
    assert_eq!(story.on_air(), ["promo in lobby", "second in hall"]);
}
