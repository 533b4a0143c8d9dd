//! What would go wrong at air time is told before it does: by the status, an alert and a metric of a running daemon within a minute of
//! its boot, and by the verb `doctor`. Nothing is on air, and nothing is started. How long each took is printed.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use ingestd::sandbox::{FaultRule, SandboxConfig};
use ingestd::trtc::Action;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::alerts::{Taken, receiver};
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

/// Has somebody told of everything. Returns what they take.
fn pager(rig: &Rig) -> Taken {
    let (port, taken) = receiver();
    rig.more_settings(&format!("alerts:\n  - webhook: 'http://127.0.0.1:{port}/'\n"));
    taken
}

/// The alerts that were told: event, what of it, and words.
fn alerts(taken: &Taken) -> Vec<(String, String, String)> {
    let messages = taken.lock().expect("no panic").clone();
    let text = |alert: &Value, key: &str| alert[key].as_str().expect("a text").to_owned();
    let of = |message: Value| message["alerts"].as_array().expect("a list").clone();
    let alerts = messages.into_iter().flat_map(of);
    alerts.map(|alert| (text(&alert, "event"), text(&alert, "what"), text(&alert, "text"))).collect()
}

/// Waits until a problem is told in each of three ways, and prints how long after `begin` that was.
fn told(daemon: &Process, taken: &Taken, begin: Instant, (kind, words): (&str, &str)) {
    let (mut status, mut metric, mut alert) = (None, None, None);
    let event = if kind == "media" { "preflight" } else { "doctor" };
    wait_at_most(TOLD_WITHIN, "it is told in three ways", || {
        let is_in_status = || problems(&self::status(daemon)).iter().any(|(found, what)| found == kind && what.contains(words));
        let sample = format!("ingestd_findings{{kind=\"{kind}\"}} 1.0\n");
        let is_in_metrics = || get(daemon.page(), "/metrics").contains(&sample);
        let is_alert = || alerts(taken).iter().any(|(found, what, text)| found == event && what == "begun" && text.contains(words));
        status = status.or_else(|| is_in_status().then(|| begin.elapsed()));
        metric = metric.or_else(|| is_in_metrics().then(|| begin.elapsed()));
        alert = alert.or_else(|| is_alert().then(|| begin.elapsed()));
        (status.is_some() && metric.is_some() && alert.is_some()).then_some(())
    });
    assert_eq!(alerts(taken).len(), 1, "it is one alert, told once: {:?}", alerts(taken));
    let ways = [("status", status), ("metric", metric), ("alert", alert)];
    for (way, after) in ways {
        let after = after.expect("it was waited for");
        println!("{kind}: {words}: told by {way} after {:.1} s", after.as_secs_f64());
        assert!(after < TOLD_WITHIN);
    }
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
    let (taken, begin) = (pager(rig), Instant::now());
    let daemon = rig.started();
    told(&daemon, &taken, begin, (kind, words));
    let status = examined(&daemon);
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
    let (taken, begin) = (pager(&rig), Instant::now());
    let daemon = rig.started();
    told(&daemon, &taken, begin, ("key", "the account's keys are refused"));
    // A crash and a restart tell nothing again.
    daemon.kill();
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
    assert!(get(daemon.page(), "/metrics").contains("ingestd_findings{kind=\"key\"} 0.0\n"));
    let (event, _, text) =
        wait_at_most(TOLD_WITHIN * 2, "that is told", || alerts(&taken).into_iter().find(|(_, what, _)| what == "recovered"));
    assert!(event == "doctor" && text.starts_with("the doctor does not find this any more"), "{text}");
    // The message whose answer was not recorded when the daemon was killed may come twice, with the same id.
    let messages = taken.lock().expect("no panic").clone();
    assert!(messages.iter().all(|message| message["id"] == messages[0]["id"]), "{messages:?}");
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
    assert_eq!(daemon.log().matches("this is over").count(), 1, "not before a look finds it good: {}", daemon.log());
    assert!(!media.requests().iter().any(|request| request.contains("/other.mp4")), "{:?}", media.requests());
    assert!(media.requests().iter().all(|request| request.starts_with("GET ")), "{:?}", media.requests());
    daemon.stop();
}

#[test]
fn media_that_is_not_there_is_told_ten_minutes_before_its_show_and_is_over_with_its_show_or_its_job() {
    let rig = rig(Vec::new(), |_| {});
    let media = MediaServer::at("127.0.0.1");
    rig.more_settings("media_hosts: [127.0.0.1]");
    let taken = pager(&rig);
    // Media of a date may come until ten minutes before: that is in some seconds.
    let start = soon(600 + 12);
    let url = media.url("/{start:%H%M%S}.mp4");
    rig.jobs(&format!("  show: {{ once: {}, for: 1h, room: show, stream: '{url}' }}\n", once(start)));
    let daemon = rig.started();
    let status = examined(&daemon);
    assert_eq!((problems(&status), alerts(&taken)), (Vec::new(), Vec::new()), "{status}");
    let ten_minutes_before = start - SignedDuration::from_mins(10);
    let due = Instant::now() + Duration::try_from(ten_minutes_before.duration_since(Timestamp::now())).expect("ahead");
    told(&daemon, &taken, due, ("media", "is not there: the server answers with HTTP status 404"));
    // Nobody plays it any more.
    rig.jobs(&later());
    assert_eq!(rig.verb(&["reload"]).0, Some(0));
    let told = wait_at_most(TOLD_WITHIN * 2, "that is told", || {
        let told = alerts(&taken);
        (told.len() > 1).then_some(told)
    });
    let [_, (event, what, text)] = &told[..] else { panic!("{told:?}") };
    assert!(event == "preflight" && what == "recovered" && text.contains("is not planned any more"), "{text}");
    assert!(rig.sandbox.arrivals().iter().all(|arrival| arrival.action == "DescribeStreamIngest"), "nothing is started");
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
