//! What would go wrong at air time is told before it does: by the status of a running daemon within a minute of its boot, and by the
//! verb `doctor`. Nothing is on air, and nothing is started.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use ingestd::sandbox::{FaultRule, SandboxConfig};
use ingestd::trtc::Action;
use serde_json::Value;

use super::media_server::{MediaServer, Thing, mp4};
use super::rig::{Process, Rig, SECRETS, get, once, soon, wait_at_most};

/// How long after its boot a daemon tells what it finds.
const TOLD_WITHIN: Duration = Duration::from_mins(1);

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON")
}

/// The problems of a status: kind and words.
fn problems(status: &Value) -> Vec<(String, String)> {
    let findings = status["findings"].as_array().expect("a list").iter();
    let problems = findings.filter(|finding| finding["severity"] == "problem");
    let text = |finding: &Value, key: &str| finding[key].as_str().expect("a text").to_owned();
    problems.map(|finding| (text(finding, "kind"), text(finding, "what"))).collect()
}

/// Waits until the daemon is examined, and returns its status.
fn examined(daemon: &Process) -> Value {
    wait_at_most(TOLD_WITHIN, "it is examined", || {
        let status = status(daemon);
        status["findings"].as_array().is_some_and(|findings| !findings.is_empty()).then_some(status)
    })
}

/// A job in two hours whose media nobody looks at.
fn later() -> String {
    format!("  show: {{ once: {}, for: 1h, room: show, stream: https://cdn.example.com/a.mp4 }}\n", once(soon(7_200)))
}

/// A daemon on a sandbox that is not as usual.
fn rig(faults: Vec<FaultRule>, change: impl FnOnce(&mut SandboxConfig)) -> Rig {
    let rig = Rig::with(faults, change);
    rig.listen("127.0.0.1:0");
    rig.jobs(&later());
    rig
}

/// What a daemon and the verb find: one problem of this kind, in these words, with this advice.
fn both_tell(rig: &Rig, kind: &str, words: &str, advice: &str) {
    let daemon = rig.started();
    let begin = Instant::now();
    let status = examined(&daemon);
    assert!(begin.elapsed() < TOLD_WITHIN);
    let [(found, what)] = &problems(&status)[..] else { panic!("{status}") };
    assert!(found == kind && what.contains(words), "{found} {what}");
    assert_eq!(status["health"], "degraded", "{status}");
    assert!(
        status["reasons"].as_array().expect("a list").iter().any(|reason| reason.as_str().is_some_and(|text| text.contains(words)))
    );
    let text = get(daemon.page(), "/api/v1/status?format=table");
    assert!(text.contains("before the next shows:") && text.contains(advice), "{text}");
    // Lines of the log are written beside the daemon.
    wait_at_most(TOLD_WITHIN, "it is logged", || daemon.log().contains(words).then_some(()));
    assert_eq!(daemon.log().matches(words).count(), 1, "it is logged once: {}", daemon.log());
    let (code, out, error) = rig.verb(&["doctor"]);
    assert!(code == Some(1) && out.contains(words) && out.contains(advice), "{out}{error}");
    assert!(error.contains("1 problem, "), "{error}");
    let started = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action != "DescribeStreamIngest").count();
    assert_eq!(started, 0, "nothing is started, and nothing is stopped");
    for (_, secret) in SECRETS {
        assert!(!text.contains(secret) && !out.contains(secret) && !daemon.log().contains(secret));
    }
    daemon.stop();
}

#[test]
fn where_nothing_is_wrong_only_notes_are_told() {
    let rig = rig(Vec::new(), |_| {});
    let daemon = rig.started();
    let status = examined(&daemon);
    assert_eq!((problems(&status), &status["health"]), (Vec::new(), &"ok".into()), "{status}");
    let kinds: Vec<&str> =
        status["findings"].as_array().expect("a list").iter().filter_map(|finding| finding["kind"].as_str()).collect();
    assert!(kinds.contains(&"permission") && kinds.contains(&"usersig"), "what cannot be told is a note: {status}");
    let (code, out, error) = rig.verb(&["doctor", "--format", "json"]);
    assert_eq!(code, Some(0), "{out}{error}");
    for line in out.lines() {
        let finding: Value = serde_json::from_str(line).expect("one object a line");
        assert_eq!(finding["severity"], "note", "{line}");
    }
    daemon.stop();
}

#[test]
fn a_wrong_secret_key_is_told() {
    let rig = rig(Vec::new(), |sandbox| sandbox.secret_key = "another-key".to_owned());
    both_tell(&rig, "key", "the account's keys are refused: AuthFailure.SignatureFailure", "`account.secret_key`");
}

#[test]
fn a_missing_permission_is_told() {
    let fault = FaultRule::error("AuthFailure.UnauthorizedOperation").action(Action::Describe);
    both_tell(
        &rig(vec![fault], |_| {}),
        "permission",
        "may not call DescribeStreamIngest",
        "let their user call StartStreamIngest",
    );
}

#[test]
fn a_wrong_application_is_told() {
    let fault = FaultRule::error("FailedOperation.SdkAppIdNotExist").action(Action::Describe);
    both_tell(&rig(vec![fault], |_| {}), "app", "the application `main` is refused", "`sdk_app_id`");
}

#[test]
fn a_clock_ten_minutes_off_is_told() {
    let rig = rig(Vec::new(), |sandbox| sandbox.clock_offset_ms = 600_000);
    both_tell(&rig, "clock", "s behind the endpoint's", "synchronise it");
}

#[test]
fn an_endpoint_that_is_not_there_is_told() {
    let rig = rig(Vec::new(), |_| {});
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    rig.settings(free, "listen: 127.0.0.1:0");
    both_tell(&rig, "network", "nothing listens there", "no show starts before it can be reached");
}

#[test]
fn what_is_fixed_is_over_after_a_reload() {
    let rig = rig(Vec::new(), |_| {});
    rig.write("secret-key", "another-key");
    let daemon = rig.started();
    assert_eq!(problems(&examined(&daemon)).len(), 1);
    rig.write("secret-key", SECRETS[1].1);
    let (code, out, error) = rig.verb(&["reload"]);
    assert_eq!(code, Some(0), "{out}{error}");
    wait_at_most(TOLD_WITHIN, "the problem is over", || problems(&status(&daemon)).is_empty().then_some(()));
    assert_eq!(status(&daemon)["health"], "ok");
    wait_at_most(TOLD_WITHIN, "it is logged", || {
        daemon.log().contains("this is over: the account's keys are refused").then_some(())
    });
    daemon.stop();
}

#[test]
fn media_that_is_not_there_is_told_before_its_show_and_is_over_when_it_comes() {
    let rig = rig(Vec::new(), |_| {});
    rig.more_settings("media_hosts: [127.0.0.1]");
    let media = MediaServer::at("127.0.0.1");
    let job = |name: &str, more: &str| {
        let url = media.url(&format!("/{name}.mp4?sign=hush-sign"));
        format!("  {name}: {{ once: {}, for: 1h, room: {name}, stream: '{url}', length: 1m{more} }}\n", once(soon(540)))
    };
    rig.jobs(&[job("show", ""), job("other", ", preflight: false")].concat());
    let daemon = rig.started();
    let found = wait_at_most(TOLD_WITHIN, "the media is told", || {
        let found = problems(&status(&daemon));
        (!found.is_empty()).then_some(found)
    });
    let [(kind, what)] = &found[..] else { panic!("{found:?}") };
    assert!(kind == "media" && what.starts_with("`show`, which starts at ") && what.contains("/show.mp4` is not there"), "{what}");
    assert_eq!(status(&daemon)["health"], "degraded");
    assert!(!daemon.log().contains("hush") && !get(daemon.page(), "/api/v1/status").contains("hush"));
    let (code, out, _) = rig.verb(&["doctor"]);
    assert!(code == Some(1) && out.contains("HTTP status 404") && !out.contains("hush"), "{out}");

    media.put("/show.mp4", Thing::File(mp4(60, 100_000, true)));
    // It is looked at again each minute, and at once after a reload.
    assert_eq!(rig.verb(&["reload"]).0, Some(0));
    wait_at_most(TOLD_WITHIN, "the problem is over", || problems(&status(&daemon)).is_empty().then_some(()));
    assert!(!media.requests().iter().any(|request| request.contains("/other.mp4")), "{:?}", media.requests());
    assert!(media.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", media.requests());
    daemon.stop();
}

#[test]
fn a_secret_that_cannot_be_read_is_told() {
    let rig = rig(Vec::new(), |_| {});
    rig.more_settings("secrets: { cam-1: { file: cam-1 }, cam-2: { credential: cam-2 } }");
    let (code, out, error) = rig.verb(&["doctor"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(
        out.contains("problem (secret): `secrets.cam-1`: cannot read the secret file") && out.contains("`secrets.cam-2`"),
        "{out}"
    );
}

#[test]
fn where_the_secrets_cannot_be_read_the_running_daemon_says_what_it_found() {
    let rig = rig(Vec::new(), |_| {});
    let daemon = rig.started();
    examined(&daemon);
    std::fs::remove_file(rig.path("secret-key")).expect("it was written");
    let (code, out, error) = rig.verb(&["doctor"]);
    assert!(code == Some(0) && out.contains("note (usersig)") && !out.contains("secret-key"), "{out}{error}");
    daemon.stop();
    let (code, out, error) = rig.verb(&["doctor"]);
    assert!(code == Some(1) && out.contains("`account.secret_key`: cannot read the secret file"), "{out}{error}");
    assert!(out.contains("the account's keys were not tried") && out.contains("no daemon answers"), "{out}");
}
