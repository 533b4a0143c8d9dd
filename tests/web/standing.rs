//! What is answered while the daemon's loop or the ledger's disk stands: `/healthz` and the status wait for neither.

use std::time::Duration;

use ingestd::busy::STANDS_AFTER;
use tokio::time::Instant;

use super::served::{PATIENCE, Served};

#[tokio::test]
async fn the_process_is_not_well_while_its_loop_or_its_disk_stands() {
    let served = Served::new().await;
    for (busy, words) in [(&served.busy.turn, "daemon's loop"), (&served.busy.disk, "ledger's disk")] {
        let begin = Instant::now();
        busy.begin();
        let answer = loop {
            let answer = served.get("/healthz").await;
            if answer.status != 200 {
                break answer;
            }
            assert!(begin.elapsed() < PATIENCE, "{words}");
        };
        assert!(begin.elapsed() >= STANDS_AFTER, "{words}: one long turn is no trouble");
        assert_eq!(answer.status, 503, "{words}");
        assert!(answer.body.contains(words) && answer.body.contains(" for 2 s"), "{}", answer.body);
        let status = served.get("/api/v1/status").await.json();
        assert_eq!(status["health"], "failing", "{status}");
        assert!(status["reasons"][0].as_str().is_some_and(|reason| reason.contains(words)), "{status}");
        busy.end();
        assert_eq!(served.get("/healthz").await.status, 200, "{words}");
        assert_eq!(served.get("/api/v1/status").await.json()["health"], "ok", "{words}");
    }
}

#[tokio::test]
async fn the_status_does_not_wait_for_a_ledger_that_does_not_answer() {
    let served = Served::new().await;
    let other = rusqlite::Connection::open(served.folder.path().join("ingestd.db")).expect("it opens");
    // Whoever reads waits for 5 s, as for a disk that stands.
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("nobody else has it");
    let readers = 5;
    let begin = Instant::now();
    for _ in 0..readers {
        let answer = served.get("/api/v1/status").await;
        let status = answer.json();
        assert_eq!((answer.status, &status["health"], &status["on_air"]), (200, &"failing".into(), &serde_json::Value::Null));
        assert_eq!(status["reasons"][0], "the ledger cannot be read: it has not answered for 2 s", "{status}");
        assert_eq!(served.get("/healthz").await.status, 200);
        assert_eq!(served.get("/api/v1/plan?count=1").await.status, 200, "a plan reads no ledger");
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}
