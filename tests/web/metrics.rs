//! What `/metrics` shows, in both text formats. `tests/oracles/promtool.py` asks Prometheus' own tool of a real daemon.

use std::collections::BTreeMap;

use ingestd::alerts::sender::AlertStatus;
use ingestd::diagnostic::Diagnostic;
use ingestd::finding::{Finding, FindingKind};
use ingestd::occurrence::{Occurrence, State, WaitReason};
use ingestd::trtc::{Action, Answer, Fault};
use ingestd::web::{Access, AppState, InForce};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::client::Response;
use super::filling::write;
use super::rows::{ended, fault, on_air};
use super::served::{PATIENCE, Served, now};

/// The samples by their name with their labels, as they are written.
fn samples(body: &str) -> BTreeMap<&str, f64> {
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').map(|(name, value)| (name, value.parse().expect("a number"))).expect("a sample"))
        .collect()
}

async fn scrape(served: &Served, accept: &str) -> Response {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    let answer = served.send(&request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

#[tokio::test]
async fn metrics_have_our_prefix_a_help_and_no_label_but_a_few() {
    let served = Served::new().await;
    write(&mut served.ledger(), &on_air("evening", now() - SignedDuration::from_mins(1)));
    served.app_state.metrics.count(Action::Start, "main", (now(), now()), &Answer::bare(Err(Fault::Timeout)));
    let answer = scrape(&served, "*/*").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let helped: Vec<&str> = answer.body.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    for sample in samples(&answer.body).keys() {
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        assert!(name.starts_with("ingestd_") && helped.contains(&family), "{sample}");
        for label in labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('=').map(|(name, _)| name)) {
            assert!(["action", "app", "code", "kind", "le", "state", "version"].contains(&label), "{sample}");
        }
    }
    let types = answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, kind) in types {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(["counter", "gauge", "histogram"].contains(&kind), "{name} is a {kind}, which not everybody reads");
    }
    for secret in ["evening", "lobby", "hush", "cdn.example.com"] {
        assert!(!answer.body.contains(secret), "{secret}: {}", answer.body);
    }
}

#[tokio::test]
async fn whoever_reads_open_metrics_gets_it() {
    let served = Served::new().await;
    let answer = scrape(&served, "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3").await;
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(answer.body.ends_with("\n# EOF\n"), "{}", answer.body);
    assert!(
        answer.body.contains("# TYPE ingestd_log_lines_dropped counter\ningestd_log_lines_dropped_total 7\n"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("# UNIT ingestd_start_lateness_seconds seconds\n"), "{}", answer.body);
    assert!(!answer.body.contains("\n\n"));
}

#[tokio::test]
async fn metrics_say_what_was_counted_and_how_it_is() {
    let served = Served::new().await;
    let start = now() - SignedDuration::from_mins(1);
    let mut ledger = served.ledger();
    write(&mut ledger, &on_air("evening", start));
    write(&mut ledger, &ended("film", start - SignedDuration::from_hours(30)));
    let waits = State::Waiting { until: Timestamp::MAX, why: WaitReason::Retry };
    let off = Occurrence { state: waits, attempts: 3, fault: Some(fault(Some("InternalError"), "x")), ..on_air("news", start) };
    write(&mut ledger, &Occurrence { on_air_at: None, task_id: None, ..off });
    let rejected = Answer::bare(Err(Fault::Rejected { code: "InternalError.Hush".to_owned(), message: "hush".to_owned() }));
    for _ in 0..3 {
        served.app_state.metrics.count(Action::Start, "main", (now(), now()), &rejected);
    }
    served.app_state.metrics.start_lateness.observe(std::time::Duration::from_millis(3));
    served.status.send_modify(|status| {
        (status.synchronised, status.written_rate) = (Some(false), 20);
    });
    served.in_force.send_modify(|first| first.rejected = vec![Diagnostic::error("bad", "bad")].into());
    let answer = scrape(&served, "*/*").await;
    let samples = samples(&answer.body);
    for (name, value) in [
        ("ingestd_requests_total{action=\"start\",app=\"main\",code=\"InternalError.Hush\"}", 3.0),
        ("ingestd_start_lateness_seconds_bucket{le=\"0.0025\"}", 0.0),
        ("ingestd_start_lateness_seconds_bucket{le=\"0.005\"}", 1.0),
        ("ingestd_start_lateness_seconds_bucket{le=\"+Inf\"}", 1.0),
        ("ingestd_start_lateness_seconds_count", 1.0),
        ("ingestd_limiter_waiting{action=\"describe\"}", 8.0),
        ("ingestd_limiter_rate_configured", 20.0),
        ("ingestd_clock_synchronised", 0.0),
        ("ingestd_starts_held", 0.0),
        ("ingestd_schedule_jobs", 4.0),
        ("ingestd_schedule_rejected", 1.0),
        ("ingestd_generation", 12.0),
        ("ingestd_shows_on_air", 1.0),
        ("ingestd_shows_off_air", 1.0),
        ("ingestd_unseen_tasks", 0.0),
        ("ingestd_ledger_readable", 1.0),
        ("ingestd_ledger_writable", 1.0),
        ("ingestd_loop_standing_seconds", 0.0),
        ("ingestd_health{state=\"ok\"}", 0.0),
        ("ingestd_health{state=\"failing\"}", 1.0),
        ("ingestd_log_lines_dropped_total", 7.0),
        ("ingestd_endpoint_failures", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}: {}", answer.body);
    }
    let accepted: Timestamp = "2026-11-22T08:00:00Z".parse().expect("an instant");
    let accepted_at = samples["ingestd_generation_accepted_timestamp_seconds"];
    assert!((accepted_at - accepted.as_duration().as_secs_f64()).abs() < 0.001, "{accepted_at}");
    let next = samples["ingestd_next_start_timestamp_seconds"];
    assert!(next >= now().as_duration().as_secs_f64(), "{next} is not ahead");
    assert!(samples["ingestd_process_resident_memory_bytes"] > 1e6 && samples["ingestd_process_open_fds"] > 3.0);
    assert!(samples["ingestd_process_start_time_seconds"].abs() < f64::EPSILON, "the tests start at the epoch");
    assert!(!samples.contains_key("ingestd_clock_offset_seconds"), "what nobody knows is not there");
}

#[tokio::test]
async fn metrics_count_problems_by_kind_and_say_how_it_stands_with_those_who_are_told() {
    let problem = |about: &str| Finding::problem(FindingKind::Media, about, "is not there", "");
    let note = Finding::note(FindingKind::Usersig, "main", "cannot be told", "");
    let findings = watch::Sender::new(vec![problem("a"), problem("b"), note].into());
    let heartbeats = [("beat".to_owned(), "refused".to_owned())].into();
    let alerts = AlertStatus { reasons: vec!["`pager` hangs".to_owned()], waiting: 7, heartbeats, ended: Vec::new() };
    let alerts = watch::Sender::new(alerts);
    let change = |state: &mut (AppState, InForce)| (state.0.findings, state.0.alerts) = (findings.subscribe(), alerts.subscribe());
    let served = Served::at("127.0.0.1:0", Access::default(), change, true).await;
    let answer = scrape(&served, "*/*").await;
    let samples = samples(&answer.body);
    for (name, value) in [
        ("ingestd_findings{kind=\"media\"}", 2.0),
        ("ingestd_findings{kind=\"usersig\"}", 0.0),
        ("ingestd_findings{kind=\"key\"}", 0.0),
        ("ingestd_alerts_waiting", 7.0),
        ("ingestd_alert_receivers_failing", 1.0),
        ("ingestd_heartbeats_failing", 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}: {}", answer.body);
    }
    assert!(!answer.body.contains("pager") && !answer.body.contains("beat\""), "{}", answer.body);
}

#[tokio::test]
async fn the_next_start_follows_the_schedule() {
    let served = Served::new().await;
    assert!(samples(&scrape(&served, "*/*").await.body).contains_key("ingestd_next_start_timestamp_seconds"));
    served.in_force.send_modify(|first| {
        first.generation = ingestd::engine::Generation { number: 13, schedule: std::sync::Arc::default() };
    });
    assert!(!samples(&scrape(&served, "*/*").await.body).contains_key("ingestd_next_start_timestamp_seconds"));
}

#[tokio::test]
async fn a_scrape_does_not_wait_for_a_ledger_that_does_not_answer() {
    let served = Served::new().await;
    let other = rusqlite::Connection::open(served.folder.path().join("ingestd.db")).expect("it opens");
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("nobody else has it");
    let begin = tokio::time::Instant::now();
    let answer = scrape(&served, "*/*").await;
    assert!(begin.elapsed() < PATIENCE / 4);
    let samples = samples(&answer.body);
    assert_eq!((samples["ingestd_ledger_readable"], samples["ingestd_health{state=\"failing\"}"]), (0.0, 1.0));
    assert!(!samples.contains_key("ingestd_shows_on_air"), "what cannot be read is not there");
}
