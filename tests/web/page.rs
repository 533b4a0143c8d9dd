//! What the rundown page says, without a browser: every trouble of the status stands on it, with what to do, and every answer of it has the
//! policy that keeps it to itself. What it looks like is another's.

use std::sync::Arc;

use ingestd::alerts::sender::AlertStatus;
use ingestd::chores::Chore;
use ingestd::engine::{Write, Writes};
use ingestd::finding::{Finding, FindingKind};
use ingestd::occurrence::{Occurrence, State, Task, WaitReason};
use ingestd::web::Access;
use jiff::SignedDuration;
use tokio::sync::watch;

use super::filling::write;
use super::rows::{armed, fault, on_air, task};
use super::served::{Served, now};

/// As `check` draws it.
const DRAWN: &str = "error[unknown-key]: unknown key `reapet`\n --> live.yaml:3:5\n  |\n3 |     reapet: <2>\n  |     ^^^^^^";

/// A daemon with everything wrong that its status knows.
async fn troubled() -> Served {
    let change = |(app, in_force): &mut (ingestd::web::AppState, ingestd::web::InForce)| {
        in_force.rejected = [ingestd::diagnostic::Diagnostic::error("unknown-key", "unknown key `reapet`")].into();
        in_force.drawn = Arc::from(DRAWN);
        let not_told = vec!["the receiver webhook has taken no alert for 5 minutes: no answer".to_owned()];
        app.alerts = watch::Sender::new(AlertStatus { reasons: not_told, ..AlertStatus::default() }).subscribe();
        let place = "the daemon does not listen on 127.0.0.1:8622 (`callbacks`): it is taken".to_owned();
        app.not_listening = watch::Sender::new([("callbacks".to_owned(), place)].into()).subscribe();
        app.failed_chores = watch::Sender::new([(Chore::Backup, "the chore `backup` failed: full".to_owned())].into()).subscribe();
        let usersig = Finding::problem(FindingKind::Usersig, "main", "the key of `main` does not sign", "see the console");
        app.findings = watch::Sender::new([usersig].into()).subscribe();
    };
    let served = Served::at("127.0.0.1:0", Access::default(), change, true).await;
    served.status.send_modify(|status| {
        status.held = Some("the clock went back by 3 s".to_owned());
        status.offset_ms = Some(4_000);
        status.synchronised = Some(false);
        status.disk = Some("no space is left".to_owned());
    });
    let mut ledger = served.ledger();
    let start = now() - SignedDuration::from_mins(10);
    let row = on_air("evening", start);
    let number = write(&mut ledger, &row).expect("it has a task");
    let unseen = Task { row: number, seen_at: start, is_unseen: true, ..task(&row) };
    let mut writes = Writes::default();
    writes.push(Write::UpdateTask(Box::new(unseen)));
    ledger.commit(writes, now()).expect("committed");
    let waiting = State::Waiting { until: now() + SignedDuration::from_secs(9), why: WaitReason::Retry };
    let fault = Some(fault(Some("InvalidParameter.StreamUrl"), "<b>bad</b>"));
    let film = armed("film", now() - SignedDuration::from_mins(1));
    write(&mut ledger, &Occurrence { state: waiting, attempts: 4, fault, ..film });
    served
}

/// The text of HTML, without its marks.
fn said(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&")
}

#[tokio::test]
async fn every_trouble_of_the_status_stands_on_the_page_with_what_to_do() {
    let served = troubled().await;
    let status = served.get("/api/v1/status").await.json();
    let texts = |name: &str| -> Vec<String> {
        let texts = status[name].as_array().expect("a list").iter();
        texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let (reasons, warnings) = (texts("reasons"), texts("warnings"));
    for kind in
        ["held", "ledger cannot be written", "schedule files", "not listen", "no alert", "does not sign", "`film`", "`evening`"]
    {
        assert!(reasons.iter().any(|reason| reason.contains(kind)), "{kind}: {reasons:#?}");
    }
    let value = served.get("/api/v1/rundown").await.json();
    let needs = value["needs"].as_array().expect("a list");
    assert_eq!(needs.len(), reasons.len() + warnings.len());
    let page = said(&served.get("/").await.body).replace('`', "");
    for (need, reason) in needs.iter().zip(reasons.iter().chain(&warnings)) {
        let (what, advice) = (need["what"].as_str().expect("a text"), need["advice"].as_str());
        // What the doctor found, the status tells with its advice in one line.
        assert!(reason == what || Some(reason.clone()) == advice.map(|advice| format!("{what}: {advice}")), "{what}: {reason}");
        for text in [Some(what), advice, need["command"].as_str(), need["drawn"].as_str()].into_iter().flatten() {
            assert!(page.contains(&text.replace('`', "")), "{text} is not on the page: {page}");
        }
        let says_what_to_do = advice.is_some() || need["command"].is_string() || reason.contains("chore");
        assert!(says_what_to_do, "{need}");
    }
    assert!(page.contains(&DRAWN.replace('`', "")), "{page}");
    assert!(page.contains(&format!("{} need you", reasons.len())));
}

#[tokio::test]
async fn what_the_service_says_is_inert_on_the_page() {
    let served = troubled().await;
    for path in ["/", "/?lang=zh"] {
        let html = served.get(path).await.body;
        assert!(html.contains("&lt;b&gt;bad&lt;/b&gt;") && !html.contains("<b>bad"), "{html}");
        assert!(!html.contains("hush"), "a secret is shown");
    }
}

#[tokio::test]
async fn every_page_has_the_policy_and_no_script_or_style_of_its_own() {
    let served = Served::new().await;
    let story = format!("/occurrence?job=evening&start={}", now());
    for path in ["/", "/?zoom=week&lang=zh&timezone=UTC", &story] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        for part in ["<style", " style=", " onclick=", "javascript:", "://"] {
            assert!(!answer.body.contains(part), "{path} has {part}");
        }
        assert_eq!(answer.body.matches("<script").count(), 1, "{path}");
    }
    for (path, status) in [("/?zoom=year", 400), ("/?at=soon", 400), ("/?hush=1", 400), ("/occurrence?job=none&start=now", 400)] {
        assert_eq!(served.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn the_calendar_is_what_plan_makes() {
    let served = Served::new().await;
    let answer = served.get("/calendar.ics").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/calendar; charset=utf-8")));
    let events = answer.body.matches("BEGIN:VEVENT").count();
    assert!(answer.body.starts_with("BEGIN:VCALENDAR\r\n") && answer.body.ends_with("END:VCALENDAR\r\n"));
    assert!(events > 60 && answer.body.contains("SUMMARY:evening") && answer.body.contains("SUMMARY:film"), "{events}");
    assert!(!answer.body.contains("hush") && !answer.body.contains("SUMMARY:off"));
}
