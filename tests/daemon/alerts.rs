//! A real daemon tells a receiver of a show that fails: once, over a crash and with another receiver that hangs, and `alert test` says
//! what came back.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use ingestd::sandbox::FaultRule;
use ingestd::trtc::Action;

use super::rig::{Rig, get, looping, soon, wait_until};

/// The part of each URL that nobody may see.
const TOKEN: &str = "hush-5d1c0a77e2";

/// The bodies that a receiver took.
pub(super) type Taken = Arc<Mutex<Vec<serde_json::Value>>>;

/// A receiver that keeps the bodies that it took.
pub(super) fn receiver() -> (u16, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (port, taken) = (listener.local_addr().expect("bound").port(), Taken::default());
    let keep = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_ok() {
                // A beat has no body.
                keep.lock().expect("no panic").push(serde_json::from_slice(&body).unwrap_or_default());
                let _ = reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
            }
        }
    });
    (port, taken)
}

fn settings(port: u16, hangs: u16) -> String {
    format!(
        "alerts:\n  - {{webhook: 'http://127.0.0.1:{port}/{TOKEN}', name: pager, on: [failed, recovered]}}\n  \
         - {{webhook: 'http://127.0.0.1:{hangs}/{TOKEN}', name: hangs}}\n"
    )
}

#[test]
fn a_show_that_fails_is_told_once_over_a_crash_and_a_receiver_that_hangs_delays_nothing() {
    let refused = FaultRule::error("AuthFailure.UnauthorizedOperation").action(Action::Start).robot("bad");
    let rig = Rig::new(vec![refused]);
    let (port, taken) = receiver();
    // It takes connections and never answers.
    let hangs = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rig.more_settings(&settings(port, hangs.local_addr().expect("bound").port()));
    rig.listen("127.0.0.1:0");
    let first = soon(1);
    rig.jobs(&looping("bad", first, "5m"));
    let daemon = rig.started();
    rig.wait_row("bad", "refused", |row| row.fault.is_some());
    // Nothing was sent yet: the first waits ten seconds for others.
    daemon.kill();
    assert!(taken.lock().expect("no panic").is_empty());
    let later = soon(14);
    rig.jobs(&format!("{}{}", looping("bad", first, "5m"), looping("good", later, "5m")));
    let daemon = rig.started();
    wait_until("it is told", || (!taken.lock().expect("no panic").is_empty()).then_some(()));
    let row = rig.wait_on_air("good");
    let late = row.first_sent_at.expect("it was sent").duration_since(row.key.start);
    assert!(late.as_millis() < 500, "a start waits for nobody: {late}");
    let degraded = wait_until("the status says who takes nothing", || {
        let status = get(daemon.page(), "/api/v1/status");
        status.contains("the receiver `hangs` has taken no alert since ").then_some(status)
    });
    assert!(!degraded.contains(TOKEN) && !degraded.contains("`pager`"), "{degraded}");
    let all = taken.lock().expect("no panic").clone();
    assert_eq!(all.len(), 1, "{all:?}");
    let alert = &all[0]["alerts"][0];
    assert_eq!((&alert["event"], &alert["what"], &alert["key"]), (&"failed".into(), &"begun".into(), &"bad".into()));
    assert_eq!(alert["id"], all[0]["id"]);
    let text = alert["text"].as_str().expect("a text");
    assert!(text.contains("AuthFailure.UnauthorizedOperation") && text.contains("`bad` of "), "{text}");
    drop(daemon);
    for (path, bytes) in rig.traces() {
        assert!(!super::rig::contains(&bytes, TOKEN), "{} shows a URL", path.display());
    }
}

#[test]
fn alert_test_says_what_came_back_and_ends_with_1_if_one_failed() {
    let rig = Rig::new(Vec::new());
    let (port, taken) = receiver();
    assert_eq!(rig.verb(&["alert", "test"]).0, Some(1), "nobody is to be told");
    rig.more_settings(&format!("alerts:\n  - webhook: 'http://127.0.0.1:{port}/{TOKEN}'"));
    assert_eq!(rig.verb(&["alert", "test"]), (Some(0), "webhook-1: taken\n".to_owned(), String::new()));
    assert_eq!(taken.lock().expect("no panic").len(), 1);
    rig.more_settings(&format!("  - heartbeat: 'http://127.0.0.1:1/{TOKEN}'\n  - webhook: {{file: absent}}\n    format: slack"));
    let (code, out, _) = rig.verb(&["alert", "test"]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((code, lines[0]), (Some(1), "webhook-1: taken"), "{out}");
    assert!(lines[1].starts_with("heartbeat-2: not taken: ") && lines[1].contains("refused"), "{out}");
    assert!(lines[2].starts_with("slack-3: not taken: cannot read the secret file `"), "{out}");
    assert!(!out.contains(TOKEN), "{out}");
}

#[test]
fn schedule_files_that_are_rejected_are_told_until_they_are_accepted_and_the_heart_beats_meanwhile() {
    let rig = Rig::new(Vec::new());
    let ((port, taken), (beats, beaten)) = (receiver(), receiver());
    let heartbeat = format!("  - {{heartbeat: 'http://127.0.0.1:{beats}/{TOKEN}', every: 10s}}");
    rig.more_settings(&format!("alerts:\n  - webhook: 'http://127.0.0.1:{port}/{TOKEN}'\n{heartbeat}\n"));
    let good = looping("show", soon(3_600), "5m");
    rig.jobs(&good);
    let _daemon = rig.started();
    rig.schedule("timezone: UTC\njobs:\n  show: {at: nonsense}\n");
    assert_eq!(rig.verb(&["reload"]).0, Some(1));
    rig.jobs(&good);
    assert_eq!(rig.verb(&["reload"]).0, Some(0));
    let all = wait_until("it is told", || Some(taken.lock().expect("no panic").clone()).filter(|all| !all.is_empty()));
    assert!(beaten.lock().expect("no panic").len() >= 2, "it beats while the loop turns");
    let alerts = all[0]["alerts"].as_array().expect("a list");
    let told: Vec<_> = alerts.iter().map(|alert| (alert["event"].as_str(), alert["what"].as_str())).collect();
    assert_eq!(told, [(Some("reload_rejected"), Some("begun")), (Some("reload_rejected"), Some("recovered"))], "{alerts:?}");
}

#[test]
fn alert_test_asks_the_running_daemon_whose_secrets_an_operator_cannot_read() {
    let rig = Rig::new(Vec::new());
    let (port, taken) = receiver();
    rig.write("url", &format!("http://127.0.0.1:{port}/{TOKEN}"));
    let command = "[/bin/sh, -c, 'echo no pager >&2; exit 3']";
    // What systemd loads is in a folder that the daemon alone is told of.
    rig.more_settings(&format!("alerts:\n  - webhook: {{credential: url}}\n    name: chat\n  - exec: {command}\n    name: pager"));
    let (code, out, _) = rig.verb(&["alert", "test"]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with("chat: not taken: "), "without a daemon the verb reads the secrets itself: {out}");
    rig.jobs(&looping("show", soon(3_600), "5m"));
    let log = rig.path("stderr-daemon");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.env_clear().env("CREDENTIALS_DIRECTORY", rig.path(""));
    let daemon = rig.spawn(&mut command, std::fs::File::create(&log).expect("writable"), log);
    wait_until("the daemon is ready", || daemon.log().contains(" ready ").then_some(()));
    let expected = "chat: taken\npager: not taken: `/bin/sh` ended with exit status: 3: no pager\n";
    assert_eq!(rig.verb(&["alert", "test"]), (Some(1), expected.to_owned(), String::new()));
    assert_eq!(taken.lock().expect("no panic").len(), 1);
    // One that was written after the start is not known to it.
    rig.more_settings(&format!("  - heartbeat: 'http://127.0.0.1:1/{TOKEN}'"));
    let (code, out, told) = rig.verb(&["alert", "test"]);
    assert_eq!((code, out.as_str()), (Some(1), expected));
    assert!(told.contains("restart it") && !told.contains(TOKEN), "{told}");
}
