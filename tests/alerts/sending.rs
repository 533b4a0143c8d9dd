//! What comes back from a receiver, in words that show no secret; programs and hanging receivers.

use ingestd::alerts::deliver::Deliverer;
use ingestd::alerts::{AlertEvent, test_message};
use ingestd::config::{AlertReceiver, AlertTo, UrlSource};
use jiff::Timestamp;
use secrecy::SecretString;

use super::receivers::{KEY, Mood, Receivers, TOKEN};

fn deliverer() -> Deliverer {
    Deliverer::new("tv1".to_owned()).expect("certificates")
}

async fn why(receiver: &AlertReceiver) -> String {
    let now = Timestamp::now();
    deliverer().send(receiver, &test_message(&receiver.name, now), now).await.expect_err("it is not taken").why
}

fn to(to: AlertTo) -> AlertReceiver {
    AlertReceiver { name: "a".to_owned(), to, on: vec![AlertEvent::Failed] }
}

#[tokio::test]
async fn an_error_in_a_body_with_status_200_is_a_failure_and_shows_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, KEY).expect("writable");
    let receivers = Receivers::start().await;
    receivers.set(Mood::Down);
    for receiver in receivers.settings(&key) {
        let why = why(&receiver).await;
        let expected = match receiver.name.as_str() {
            "json" => "HTTP status 500: no ",
            "slack" => "HTTP status 429: rate_limited ",
            "feishu" => "HTTP status 200, `code` 11232 (frequency limited ",
            "dingtalk" => "HTTP status 200, `errcode` 130101 (send too fast ",
            _ => "HTTP status 200, `errcode` 45009 (api freq out of limit ",
        };
        assert!(why.starts_with(expected) && why.contains("[...]"), "{why}");
        assert!(!why.contains(TOKEN) && !why.contains("hush"), "{why}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_by_the_receiver_with_what_to_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, "another-key").expect("writable");
    let receivers = Receivers::start().await;
    for receiver in receivers.settings(&key).into_iter().filter(|receiver| ["feishu", "dingtalk"].contains(&receiver.name.as_str()))
    {
        let why = why(&receiver).await;
        assert!(why.contains("check `key`"), "{why}");
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_read_or_reached_is_told_without_it() {
    let plain = |url: &str| {
        to(AlertTo::Heartbeat {
            url: UrlSource::Plain(SecretString::from(url.to_owned())),
            every: std::time::Duration::from_mins(1),
        })
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("url");
    std::fs::write(&file, format!("not-a-url-{TOKEN}")).expect("writable");
    let kept = to(AlertTo::Heartbeat {
        url: UrlSource::Kept(ingestd::secret::SecretSource::File(file)),
        every: std::time::Duration::from_mins(1),
    });
    let why_kept = why(&kept).await;
    assert!(why_kept.ends_with("it is not a URL") && !why_kept.contains(TOKEN), "{why_kept}");
    // Nothing listens on this port.
    let why_closed = why(&plain(&format!("http://127.0.0.1:1/ping/{TOKEN}?key={TOKEN}"))).await;
    assert!(why_closed.contains("refused") && !why_closed.contains(TOKEN), "{why_closed}");
}

#[tokio::test]
async fn a_program_gets_the_message_on_its_stdin_and_nothing_of_the_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let script = format!("cat > {0}; env >> {0}", out.display());
    let exec = |script: &str| to(AlertTo::Exec { command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec() });
    let now = Timestamp::now();
    deliverer().send(&exec(&script), &test_message("a", now), now).await.expect("it takes it");
    let got = std::fs::read_to_string(&out).expect("written");
    let (object, rest) = got.split_at(got.find('}').map_or(0, |_| got.rfind('}').expect("an object") + 1));
    let object: serde_json::Value = serde_json::from_str(object).expect("JSON");
    assert_eq!((&object["host"], &object["alerts"][0]["id"]), (&"tv1".into(), &object["id"]));
    assert!(rest.contains(&format!("INGESTD_ALERT_ID={}", object["id"].as_str().expect("an id"))), "{rest}");
    assert!(!rest.contains("CARGO"), "{rest}");
    let failed = why(&exec("echo no pager >&2; exit 3")).await;
    assert_eq!(failed, "`/bin/sh` ended with exit status: 3: no pager");
    let absent = why(&to(AlertTo::Exec { command: vec!["/nonexistent/tell".to_owned()] })).await;
    assert!(absent.starts_with("cannot start `/nonexistent/tell`: "), "{absent}");
}

#[tokio::test]
async fn what_a_program_says_is_shown_without_its_arguments_secrets_and_urls() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, "hushhush-of-settings").expect("writable");
    let script = "echo \"$1: cannot POST https://hooks.example.com/services/hush?k=hush with hushhush-of-settings\" >&2; exit 1";
    let command = ["/bin/sh", "-c", script, "tell", "--token=hush-argument"].map(str::to_owned).to_vec();
    let deliverer = deliverer().hiding(vec![ingestd::secret::SecretSource::File(key)]);
    let now = Timestamp::now();
    let answer = deliverer.send(&to(AlertTo::Exec { command }), &test_message("a", now), now).await;
    let why = answer.expect_err("it is not taken").why;
    println!("{why}");
    assert!(why.starts_with("`/bin/sh` ended with exit status: 1: ") && why.contains("https://hooks.example.com/[...]"), "{why}");
    assert!(!why.contains("hush"), "{why}");
}
