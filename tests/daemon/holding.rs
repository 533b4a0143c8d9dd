//! `pause`, `skip`, `resume` and `fire`, with the real program: the orders survive kill -9 and a reload, and every verb shows them.

use ingestd::occurrence::{Kind, State};
use ingestd::sandbox::FaultRule;
use ingestd::trtc::Action;
use jiff::Timestamp;
use serde_json::Value;

use super::rig::{Process, Rig, get, looping, once, soon, wait_for};

fn line(rig: &Rig, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = rig.verb(arguments);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}: {stdout}");
    stdout
}

fn objects(rig: &Rig, arguments: &[&str]) -> Vec<Value> {
    line(rig, arguments).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON")
}

fn utc(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[test]
fn what_operators_hold_back_survives_a_kill_and_a_reload_and_is_shown_until_it_is_settled() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let (first, later) = (soon(8), soon(3600));
    let jobs = [looping("one", first, "1h"), looping("two", first, "1h"), looping("three", later, "1h")].concat();
    rig.jobs(&jobs);
    let daemon = rig.started();
    let me = format!("uid {}", rustix::process::geteuid().as_raw());
    assert!(line(&rig, &["skip", "two", "--note", "the guest is ill"]).starts_with("two "));
    assert!(line(&rig, &["pause", "one", "--for", "30m", "--note", "works, in the hall"]).starts_with("`one` is paused until "));
    assert!(line(&rig, &["pause", "three", "--indefinite"]).starts_with("`three` is paused until "));
    daemon.kill();
    // Without a daemon the ledger's file says it.
    let plan = objects(&rig, &["plan", "--format", "json"]);
    let held = |job: &str| plan.iter().find(|row| row["job"] == job).expect("the row stays")["held"].clone();
    let by = |held: &Value| held["by"].as_str().is_some_and(|by| by.starts_with(&me));
    assert_eq!(
        (&held("two")["why"], &held("two")["until"], &held("two")["note"]),
        (&"skip".into(), &Value::Null, &"the guest is ill".into())
    );
    assert!(held("one")["until"].is_string() && held("three")["until"].is_null() && by(&held("one")) && by(&held("two")));
    let daemon = rig.started();
    // A reload ends no pause, also of a job that was away meanwhile.
    rig.jobs(&looping("one", first, "1h"));
    line(&rig, &["reload", "--force"]);
    rig.jobs(&jobs);
    line(&rig, &["reload", "--force"]);
    let table = line(&rig, &["plan"]);
    assert!(table.contains("not started: skipped by uid") && table.contains(": the guest is ill"), "{table}");
    let status = status(&daemon);
    let pauses: Vec<&Value> = status["pauses"].as_array().expect("a list").iter().map(|pause| &pause["job"]).collect();
    assert_eq!((pauses, &status["health"]), (vec![&"one".into(), &"three".into()], &"ok".into()), "{status}");
    assert_eq!(status["next"][0]["held"]["why"], "pause", "{status}");
    let text = line(&rig, &["status"]);
    assert!(text.contains("held back") && text.contains("three: paused since ") && text.contains("two: its start at "), "{text}");
    let why = line(&rig, &["why", "two"]);
    assert!(why.contains("not started: skipped by uid"), "{why}");

    wait_for(first);
    let (one, two) = (rig.wait_done("one"), rig.wait_done("two"));
    let outcome = |job: &str| {
        let row = objects(&rig, &["history", "--job", job, "--format", "json"]).remove(0);
        (row["outcome"].clone(), row["reason"].clone(), row["note"].clone(), row["attempts"].clone())
    };
    // The doctor asks for a task that cannot be.
    let starts = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest").count();
    assert_eq!((one.attempts, two.attempts, starts), (0, 0, 0));
    assert_eq!(outcome("one"), ("skipped".into(), "paused".into(), "works, in the hall".into(), 0.into()));
    assert_eq!(outcome("two"), ("skipped".into(), "operator".into(), "the guest is ill".into(), 0.into()));
    let why = line(&rig, &["why", "one"]);
    assert!(
        why.contains("its job was paused by an operator, by the order of uid") && why.contains("(works, in the hall)"),
        "{why}"
    );

    // It moves nothing into the past: the window is open, and is not entered.
    assert!(line(&rig, &["resume", "one"]).contains("what was skipped stays skipped"));
    assert!(line(&rig, &["resume", "three", "--note", "they are done"]).contains(&later.to_string()));
    let (code, _, stderr) = rig.verb(&["resume", "three"]);
    assert_eq!((code, stderr.as_str()), (Some(1), "error: `three` is not paused by itself: none of its starts is held back\n"));
    let plan = objects(&rig, &["plan", "--format", "json"]);
    assert_eq!((plan.len(), &plan[0]["start"], &plan[0]["held"]), (1, &utc(later).into(), &Value::Null));
    assert_eq!(rig.row("one").expect("its row").state, one.state);
    daemon.stop();
}

#[test]
fn where_nobody_can_say_what_is_held_back_the_plan_says_so() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    let (code, _, stderr) = rig.verb(&["plan"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "no daemon ever ran here");
    rig.started().stop();
    std::fs::write(rig.path("state").join(ingestd::ledger::FILE), "no ledger").expect("ours");
    let (code, stdout, stderr) = rig.verb(&["plan", "--format", "json"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.starts_with("warning: what operators hold back with `pause` and `skip` is not known: "), "{stderr}");
    assert!(stdout.contains("\"held\":null"), "{stdout}");
}

#[test]
fn a_start_by_hand_is_recorded_beside_the_plan_and_a_failed_show_is_taken_up_again_also_after_a_kill() {
    let refused = FaultRule::error("FailedOperation.RestrictedConcurrency").action(Action::Start).robot("film").times(2);
    let rig = Rig::new(vec![refused]);
    let (first, later) = (soon(2), soon(3600));
    let stream = "stream: https://cdn.example.com/a.mp4, length: 1m, repeat: forever";
    let film = format!(
        "  film: {{ once: {}, for: 1h, start_within: 3s, retry: {{first: 200ms, attempts: 2}}, room: film, {stream} }}\n",
        once(first)
    );
    rig.jobs(&[film, looping("show", later, "1h")].concat());
    let daemon = rig.started();
    let told = line(&rig, &["fire", "show", "--for", "30m", "--note", "the guest is early"]);
    assert!(told.starts_with("show ") && told.contains(": starts now in room show, robot show until "), "{told}");
    assert_eq!(rig.wait_on_air("show").kind, Kind::Fired);
    let (code, _, stderr) = rig.verb(&["fire", "show"]);
    assert!(code == Some(1) && stderr.contains(" has room show; `--preempt` takes it from there"), "{stderr}");
    let failed = rig.wait_done("film");
    assert_eq!((failed.attempts, failed.on_air_at), (2, None));
    daemon.kill();
    let daemon = rig.started();
    assert_eq!(rig.row("show").expect("its row").state, State::OnAir, "a kill takes nothing off the air");
    let told = line(&rig, &["fire", "film"]);
    assert!(told.contains("it ended as failed (FailedOperation.RestrictedConcurrency); its window is open"), "{told}");
    let film = rig.wait_on_air("film");
    assert_eq!((film.key, film.kind, film.attempts), (failed.key, Kind::Planned, 3));
    let why = line(&rig, &["why", "film"]);
    assert!(why.contains("started by hand; it ended as failed"), "{why}");
    let fired = objects(&rig, &["history", "--job", "show", "--format", "json"]).remove(0);
    assert_eq!((&fired["kind"], &fired["note"]), (&"fired".into(), &"the guest is early".into()), "{fired}");
    let plan = objects(&rig, &["plan", "--job", "show", "--format", "json"]);
    assert_eq!((plan.len(), &plan[0]["start"]), (1, &utc(later).into()), "the planned start stays");
    daemon.stop();
}
