//! What the rundown page says, without a browser: every trouble of the status stands on it, with what to do, and every answer of it has the
//! policy that keeps it to itself. What it looks like is another's.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::SignedDuration;

use super::served::{Served, now, schedule};
use super::troubled::{DRAWN, troubled};

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

/// So many rooms, and in each a start every ten seconds.
async fn crowded(rooms: usize) -> Served {
    let mut text = "timezone: UTC\ndefaults: {app: main, region: ap-singapore}\njobs:\n".to_owned();
    for room in 0..rooms {
        let media = "stream: 'https://cdn.example.com/a.mp4', length: 5s";
        writeln!(text, "  bell-{room}: {{every: 10s, room: room-{room}, {media}}}").expect("a string takes it");
    }
    let zones = ingestd::zones::Zones::newest();
    let crowded = Arc::new(schedule(&text, &zones));
    Served::with(|in_force| in_force.generation.schedule = crowded, true).await
}

#[tokio::test]
async fn what_cannot_all_be_drawn_is_said_and_takes_no_place_from_a_shorter_time() {
    let served = crowded(12).await;
    let later = now() + SignedDuration::from_hours(6);
    for (path, clips) in [(format!("/?zoom=hour&at={later}"), false), ("/?zoom=day&at=2027-02-02".to_owned(), true)] {
        let html = served.get(&path).await.body;
        assert_eq!(html.contains("<p id=\"p-clip\" class=\"clip\">"), clips, "{path}");
        assert!(html.contains("class=\"b planned"), "{path} has no show");
    }
}

#[tokio::test]
async fn who_has_a_version_of_another_view_is_told_everything() {
    let served = Served::new().await;
    let parts = async |query: String| served.get(&format!("/page/parts?{query}")).await.json();
    let hour = parts("zoom=hour".to_owned()).await;
    let version = hour["version"].as_str().expect("a version").to_owned();
    let ids = |answer: &serde_json::Value| answer["parts"].as_array().expect("parts").len();
    let known = parts(format!("zoom=hour&since={version}")).await;
    assert!(known["since"] == version.as_str() && ids(&known) < ids(&hour), "{known}");
    let other = parts(format!("zoom=6h&since={version}")).await;
    assert!(other["since"].is_null() && other["order"].is_array() && ids(&other) == ids(&hour), "{other}");
}
