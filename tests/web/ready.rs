//! What `/readyz` says, and when it is 503. It answers while the loop or the disk stands.

use std::time::Duration;

use ingestd::busy::STANDS_AFTER;
use ingestd::diagnostic::Diagnostic;
use ingestd::engine::LoopStatus;
use ingestd::trtc::{Action, Answer, Fault, Success};
use ingestd::web::Access;
use jiff::{SignedDuration, Timestamp};

use super::served::{Served, now};

/// The status of the answer, and the line of that name.
async fn ready(served: &Served, name: &str) -> (u16, String) {
    let answer = served.get("/readyz").await;
    let first = if answer.status == 200 { "ready" } else { "not ready" };
    assert_eq!(answer.body.lines().next(), Some(first), "{}", answer.body);
    let line = answer.body.lines().find(|line| line.starts_with(&format!("{name}: ")));
    (answer.status, line.unwrap_or_else(|| panic!("no {name}: {}", answer.body)).to_owned())
}

#[tokio::test]
async fn a_daemon_that_nothing_is_wrong_with_is_ready_and_says_what_it_looked_at() {
    let served = Served::new().await;
    let answer = served.get("/readyz").await;
    let expected = "ready\nschedule: good: generation 12 is in force\nclock: good: nobody says whether it is synchronised\n\
                    ledger: good: it can be written\nloop: good: it turns\nendpoint: good: it has not been asked yet\n";
    assert_eq!((answer.status, answer.body.as_str()), (200, expected));
}

#[tokio::test]
async fn a_schedule_that_was_rejected_is_not_ready() {
    let served = Served::new().await;
    served.in_force.send_modify(|first| first.rejected = vec![Diagnostic::error("bad", "hush")].into());
    let (status, line) = ready(&served, "schedule").await;
    assert_eq!(status, 503);
    assert!(line.starts_with("schedule: bad: the schedule files were rejected, so generation 12 stays") && !line.contains("hush"));
}

#[tokio::test]
async fn a_clock_that_is_held_is_not_ready_and_one_that_is_not_synchronised_is_unless_that_is_required() {
    for require_sync in [false, true] {
        let served = Served::at("127.0.0.1:0", Access::default(), |state| state.0.require_sync = require_sync, true).await;
        let set = |change: &dyn Fn(&mut LoopStatus)| served.status.send_modify(|status| change(status));
        set(&|status| status.synchronised = Some(true));
        assert_eq!(ready(&served, "clock").await, (200, "clock: good: it is synchronised".to_owned()));
        set(&|status| status.synchronised = Some(false));
        let (status, line) = ready(&served, "clock").await;
        assert_eq!(status, if require_sync { 503 } else { 200 });
        assert!(line.contains("is not synchronised, and `require_sync` is"), "{line}");
        set(&|status| status.held = Some("the clock was set".to_owned()));
        assert_eq!(ready(&served, "clock").await, (503, "clock: bad: starts are held: the clock was set".to_owned()));
    }
}

#[tokio::test]
async fn a_clock_that_differs_from_the_endpoints_by_more_than_two_seconds_is_not_ready() {
    let served = Served::new().await;
    let see = |off: i64, ago: i64| {
        let at = now() - SignedDuration::from_secs(ago);
        let date = Some(at + SignedDuration::from_secs(off));
        let answer = Answer { server_date: date, ..Answer::bare(Ok(Success::Stopped)) };
        for _ in 0..2 {
            served.app_state.metrics.count(Action::Stop, "main", (at, at), &answer);
        }
    };
    see(2, 0);
    assert_eq!(ready(&served, "clock").await.0, 200);
    see(-8, 0);
    assert_eq!(ready(&served, "clock").await, (503, "clock: bad: this clock is 7 s ahead of the endpoint's".to_owned()));
    see(8, 0);
    assert_eq!(ready(&served, "clock").await, (503, "clock: bad: this clock is 8 s behind the endpoint's".to_owned()));
    // The status and the metrics go by the same rule.
    let health = |body: String| body.contains("\"health\":\"degraded\"") && body.contains("this clock is 8 s behind");
    assert!(health(served.get("/api/v1/status").await.body));
    assert!(served.get("/metrics").await.body.contains("ingestd_health{state=\"degraded\"} 1.0\n"));
    see(8, 700);
    assert_eq!(ready(&served, "clock").await.0, 200, "the clock may have been put right since");
    assert!(!health(served.get("/api/v1/status").await.body));
}

#[tokio::test]
async fn a_ledger_that_cannot_be_written_is_not_ready() {
    let served = Served::new().await;
    served.status.send_modify(|status| status.disk = Some("hush".to_owned()));
    let (status, line) = ready(&served, "ledger").await;
    assert_eq!((status, line.as_str()), (503, "ledger: bad: it cannot be written, so nothing is started (`ingestd status`)"));
}

#[tokio::test]
async fn a_loop_or_a_disk_that_stands_is_not_ready() {
    let served = Served::new().await;
    for (busy, name) in [(&served.busy.turn, "loop"), (&served.busy.disk, "ledger")] {
        let begin = tokio::time::Instant::now();
        busy.begin();
        while ready(&served, name).await.0 == 200 {
            assert!(begin.elapsed() < STANDS_AFTER + Duration::from_secs(5), "{name}");
        }
        busy.end();
        assert_eq!(ready(&served, name).await.0, 200, "{name}");
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_three_requests_in_a_row_is_not_ready() {
    let served = Served::new().await;
    let count = |at: Timestamp, result| served.app_state.metrics.count(Action::Describe, "main", (at, at), &Answer::bare(result));
    let refused = || Err(Fault::Rejected { code: "AuthFailure.SecretIdNotFound".to_owned(), message: String::new() });
    for expected in [200, 200, 503, 503] {
        count(now(), Err(Fault::Timeout));
        assert_eq!(ready(&served, "endpoint").await.0, expected);
    }
    assert_eq!(ready(&served, "endpoint").await.1, "endpoint: bad: it did not answer the last 4 requests");
    count(now(), refused());
    assert_eq!(ready(&served, "endpoint").await, (200, "endpoint: good: it answers".to_owned()), "whatever it says");
    let long_ago = now() - SignedDuration::from_mins(20);
    for _ in 0..5 {
        count(long_ago, Err(Fault::Timeout));
    }
    let (status, line) = ready(&served, "endpoint").await;
    assert_eq!((status, line.as_str()), (200, "endpoint: good: it was last asked 20 minutes ago"), "nobody knows how it is now");
}
