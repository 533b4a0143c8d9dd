//! What keeps the daemon from starting, what does not, and what it says of either.

use ingestd::ledger::{FILE, VERSION};
use jiff::SignedDuration;
use rusqlite::Connection;
use serde_json::Value;

use super::rig::{Process, Rig, get, looping, soon, wait_until};

/// The exit code and what it said.
fn refused(mut process: Process) -> (Option<i32>, String) {
    (process.exit_code(), process.log())
}

#[test]
fn a_second_daemon_on_the_same_folder_is_refused() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    let mut first = rig.started();
    let (code, said) = refused(rig.start());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: another ingestd runs on `") && said.contains("one daemon for one state folder"), "{said}");
    assert!(first.runs());
    first.stop();
    rig.started().stop();
}

#[test]
fn a_broken_schedule_is_refused_when_there_is_no_other() {
    let rig = Rig::new(Vec::new());
    rig.schedule("timezone: UTC\njobs:\n  show: {at: noon}\n");
    let (code, said) = refused(rig.start());
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("rig.yaml:3:") && said.contains("error["), "{said}");
}

#[test]
fn a_broken_schedule_leaves_the_last_good_one_in_force_and_the_status_says_so() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let jobs = looping("show", soon(3), "5s");
    rig.jobs(&jobs);
    rig.started().stop();
    rig.jobs(&format!("{jobs}  bad: {{at: noon, colour: red}}\n"));

    let daemon = rig.started();
    let status: Value = serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON");
    assert_eq!(status["health"], "degraded", "{status}");
    assert_eq!((&status["generation"], &status["schedule"]["jobs"]), (&1.into(), &1.into()), "{status}");
    let rejected = status["schedule"]["rejected"].as_array().expect("a list");
    let lines: Vec<_> = rejected.iter().map(|problem| &problem["line"]).collect();
    assert!(rejected.len() >= 2 && lines.iter().all(|line| **line == 4), "{status}");
    assert!(daemon.log().contains("rig.yaml:4:"), "{}", daemon.log());
    rig.wait_on_air("show");
    daemon.stop();
}

/// Two loops that share the lobby for half an hour.
fn clash(start: jiff::Timestamp) -> String {
    let show = looping("show", start, "1h").replace("room: show", "room: lobby");
    let other = looping("other", start + SignedDuration::from_mins(30), "1h").replace("room: other", "room: lobby");
    format!("{show}{other}")
}

#[test]
fn a_conflict_within_35_days_keeps_a_schedule_out_and_a_later_one_is_a_warning() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let days = |days: i64| soon(days * 24 * 3600);
    rig.jobs(&clash(days(34)));
    let (code, said) = refused(rig.start());
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("error[conflict]: `other` begins in the room `lobby`"), "{said}");

    rig.jobs(&clash(days(36)));
    let daemon = rig.started();
    assert!(daemon.log().contains("warning[conflict]: `other` begins in the room `lobby`"), "{}", daemon.log());
    daemon.stop();

    rig.jobs(&clash(days(33)));
    let daemon = rig.started();
    let status: Value = serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON");
    let rejected = &status["schedule"]["rejected"];
    assert_eq!((&status["health"], &status["generation"]), (&"degraded".into(), &1.into()), "{status}");
    assert_eq!((rejected[0]["code"].as_str(), rejected[0]["job"].as_str()), (Some("conflict"), Some("other")), "{status}");
    daemon.stop();
}

#[test]
fn a_ledger_from_a_newer_version_is_left_alone() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    std::fs::create_dir(rig.path("state")).expect("writable");
    let file = rig.path("state").join(FILE);
    let ledger = Connection::open(&file).expect("a database");
    ledger.pragma_update(None, "user_version", VERSION + 1).expect("it can be written");
    drop(ledger);
    let (code, said) = refused(rig.start());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a newer ingestd wrote it") && said.contains("ingestd.db"), "{said}");
    let ledger = Connection::open(&file).expect("a database");
    let tables: u32 = ledger.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).expect("an answer");
    assert_eq!(tables, 0);
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    std::fs::remove_file(rig.path("app-key")).expect("it was written");
    let (code, said) = refused(rig.start());
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("`apps.main.secret_key`") && said.contains("app-key"), "{said}");
    rig.write("app-key", "x");
    let daemon = rig.start();
    wait_until("it is ready now", || daemon.log().contains(" ready ").then_some(()));
    assert!(daemon.log().contains("can be read by every user of this host"), "{}", daemon.log());
}

#[test]
fn each_problem_is_logged_with_its_own_severity_and_notes_are_for_check_alone() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let good = looping("show", soon(3600), "1h");
    rig.jobs(&good);
    rig.started().stop();
    // A note, a warning and an error.
    let relay = "  relay: {at: \"18:00\", for: 1h, room: relay, stream: \"rtmp://live.example.com/a/b\"}\n";
    let odd = "  odd: {at: \"18:00\", for: 1h, room: 大厅, stream: \"https://cdn.example.com/a.mp4\", length: 1h}\n";
    rig.jobs(&format!("{good}{relay}{odd}  bad: {{at: noon}}\n"));
    let (_, found, _) = rig.verb(&["check", "--format", "json"]);
    assert!(["error", "warning", "note"].iter().all(|severity| found.contains(&format!("\"severity\":\"{severity}\""))), "{found}");

    let daemon = rig.started();
    let of = |level: &str, words: &str| daemon.log().lines().any(|line| line.contains(level) && line.contains(words));
    assert!(of(" ERROR ", "noon") && of(" WARN ", "found `大`"), "{}", daemon.log());
    assert!(!daemon.log().contains("a live source has no bound"), "{}", daemon.log());
    let status: Value = serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON");
    let rejected = status["schedule"]["rejected"].as_array().expect("a list");
    assert!(!rejected.is_empty() && rejected.iter().all(|problem| problem["severity"] != "note"), "{status}");
    assert!(
        status["reasons"][0].as_str().is_some_and(|reason| reason.contains("3 errors") && reason.contains("rig.yaml:6:")),
        "{status}"
    );
    daemon.stop();
}
