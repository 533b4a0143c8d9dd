//! What an operator sees, in the log, in `status`, `why` and `history`, when a stop or a look is refused, when media cannot be pulled,
//! and when a show was accepted and never ran. Each is also seen with the daemon down.

use std::net::TcpListener;

use ingestd::occurrence::{Evidence, Outcome, State};
use ingestd::sandbox::{CallbackTarget, FaultEffect, FaultRule};
use ingestd::trtc::Action;
use jiff::Timestamp;
use serde_json::Value;

use super::rig::{Process, Rig, get, looping, once, soon, wait_until};

const CALLBACK_KEY: &str = "evidencekey0000000000";

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON")
}

/// The newest row of a job, as `history --format json` prints it.
fn history(rig: &Rig, job: &str) -> Value {
    let (code, out, error) = rig.verb(&["history", "--job", job, "--format", "json", "--limit", "1"]);
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).expect("JSON")
}

fn has_reason(status: &Value, words: &str) -> bool {
    let reasons = status["reasons"].as_array().into_iter().flatten();
    reasons.filter_map(Value::as_str).any(|reason| reason.contains(words))
}

#[test]
fn a_refused_stop_is_told_at_once_with_its_code_and_the_show_is_not_said_to_be_over() {
    let rig = Rig::new(vec![FaultRule::error("UnauthorizedOperation.CamNoAuth").action(Action::Stop)]);
    rig.listen("127.0.0.1:0");
    rig.jobs(&looping("promo", soon(2), "6s"));
    let daemon = rig.started();
    wait_until("the refusal is told", || daemon.log().contains("the stop of task").then_some(()));
    let log = daemon.log();
    assert!(log.contains("was refused: UnauthorizedOperation.CamNoAuth") && log.contains("it still plays"), "{log}");
    assert!(log.contains("let their user call StartStreamIngest, StopStreamIngest and DescribeStreamIngest"), "{log}");
    assert!(!log.contains("ended ("), "{log}");
    let told = status(&daemon);
    assert_eq!(told["health"], "degraded", "{told}");
    assert!(has_reason(&told, "`promo` should be off the air, and its stop is refused: UnauthorizedOperation.CamNoAuth"), "{told}");
    let show = &told["on_air"][0];
    assert_eq!((&show["state"], &show["stop"]), (&"stopping".into(), &"wanted".into()), "{told}");
    assert_eq!(
        (&show["task_fault"]["action"], &show["task_fault"]["code"]),
        (&"stop".into(), &"UnauthorizedOperation.CamNoAuth".into())
    );
    let (_, why, _) = rig.verb(&["why", "promo"]);
    assert!(why.contains("its stop is refused: UnauthorizedOperation.CamNoAuth"), "{why}");
    assert!(why.contains("it is not known to be off the air") && why.contains("what to do: these keys may not do that"), "{why}");
    let (code, done, _) = rig.verb(&["stop", "promo"]);
    assert!(code == Some(0) && done.contains("stopping already: its stop is refused: UnauthorizedOperation.CamNoAuth"), "{done}");
    // The same with the daemon down.
    daemon.stop();
    let (code, text, _) = rig.verb(&["status"]);
    assert!(code == Some(69) && text.contains("its stop is refused: UnauthorizedOperation.CamNoAuth"), "{text}");
    assert!(text.contains("is stopping: its stop is refused"), "{text}");
    assert_eq!(history(&rig, "promo")["task_fault"]["code"], "UnauthorizedOperation.CamNoAuth");
    // Somebody grants it, and the next daemon goes on.
    rig.sandbox.clear_faults();
    let daemon = rig.started();
    let row = rig.wait_done("promo");
    assert_eq!(row.state, State::Done { outcome: Outcome::EndedPlanned });
    let row = history(&rig, "promo");
    assert_eq!(
        (&row["evidence"], &row["task_fault"]["code"]),
        (&"seen".into(), &"UnauthorizedOperation.CamNoAuth".into()),
        "{row}"
    );
    daemon.stop();
}

#[test]
fn a_stop_without_effect_ends_when_the_task_is_seen_gone() {
    let rig = Rig::new(vec![FaultRule::new(FaultEffect::Accept).action(Action::Stop)]);
    rig.listen("127.0.0.1:0");
    rig.jobs(&looping("promo", soon(2), "6s"));
    let daemon = rig.started();
    wait_until("it is seen to run on", || {
        let told = get(daemon.page(), "/api/v1/status?format=table");
        told.contains("is stopping: its stop was accepted, and it still plays").then_some(())
    });
    assert_eq!(status(&daemon)["on_air"][0]["stop"], "accepted");
    let killed_at = Timestamp::now();
    assert!(rig.tasks("promo").iter().all(|task| rig.sandbox.kill_task(&task.task_id)));
    let row = rig.wait_done("promo");
    let ended_at = row.ended_at.expect("it is over");
    assert!(ended_at >= killed_at && ended_at <= Timestamp::now() && row.end.at().is_some_and(|end| end < killed_at), "{row:?}");
    daemon.stop();
}

#[test]
fn media_that_trtc_cannot_pull_is_trouble_at_once_and_a_note_for_good() {
    // The daemon must know its port before the sandbox can send callbacks.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let url = format!("http://{port}/trtc/callback");
    let rig = Rig::with(Vec::new(), |sandbox| {
        sandbox.callbacks = Some(CallbackTarget { url, key: CALLBACK_KEY.to_owned().into() });
        sandbox.media.unreachable.insert("https://cdn.example.com/gone.mp4".to_owned());
    });
    rig.write("callback-key", CALLBACK_KEY);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(rig.path("callback-key"), private).expect("our own file");
    rig.listen("127.0.0.1:0");
    let settings = std::fs::read_to_string(rig.path("ingestd.yaml")).expect("it was written");
    let settings = settings.replace("private_map_key: true", "private_map_key: true, callback_key: { file: callback-key }");
    rig.write("ingestd.yaml", &format!("{settings}callbacks: {port}\n"));
    let start = soon(2);
    rig.jobs(&[looping("gone", start, "12s"), looping("good", start, "12s")].concat());
    let daemon = rig.started();
    let told = wait_until("it is told", || Some(status(&daemon)).filter(|told| told["health"] != "ok"));
    assert_eq!(told["health"], "degraded", "{told}");
    assert!(has_reason(&told, "TRTC cannot pull the media of `gone` since "), "{told}");
    let show = told["on_air"].as_array().into_iter().flatten().find(|show| show["job"] == "gone").expect("it is on air");
    assert!(show["unpulled_since"].is_string() && show["evidence"] == "unpulled", "{told}");
    let (_, why, _) = rig.verb(&["why", "gone"]);
    assert!(why.contains("TRTC cannot pull its media"), "{why}");
    rig.wait_row("good", "confirmed", |row| row.evidence == Some(Evidence::Confirmed));
    rig.wait_done("gone");
    rig.wait_done("good");
    daemon.stop();
    let row = history(&rig, "gone");
    assert_eq!((&row["outcome"], &row["reason"], &row["evidence"]), (&"ended".into(), &"planned".into(), &"unpulled".into()));
    assert_eq!(history(&rig, "good")["evidence"], "confirmed");
    let (_, table, _) = rig.verb(&["history"]);
    assert!(
        table.split_whitespace().collect::<Vec<_>>().join(" ").contains("ended (planned), its media could not be pulled"),
        "{table}"
    );
    let at = start.to_string();
    let (_, why, _) = rig.verb(&["why", "gone", "--at", &at]);
    assert!(why.contains("TRTC said that it cannot pull its media, and never took that back"), "{why}");
    let (code, text, _) = rig.verb(&["status"]);
    assert!(code == Some(69) && text.contains("ended (planned), its media could not be pulled"), "{text}");
}

#[test]
fn a_show_that_was_accepted_and_never_ran_says_so() {
    let rig = Rig::new(vec![FaultRule::new(FaultEffect::Accept).action(Action::Start).robot("dead")]);
    rig.listen("127.0.0.1:0");
    let start = soon(2);
    // Without a length nobody knows when its media ends.
    let single = |job: &str| {
        format!("  {job}: {{ once: {}, for: 20s, room: {job}, stream: 'https://cdn.example.com/{job}.mp4' }}\n", once(start))
    };
    rig.jobs(&[single("dead"), single("alive")].concat());
    let daemon = rig.started();
    assert_eq!(rig.wait_done("dead").state, State::Done { outcome: Outcome::EndedMedia });
    assert_eq!(rig.wait_done("alive").state, State::Done { outcome: Outcome::EndedPlanned });
    assert!(daemon.log().contains("ended (media), never seen on air"), "{}", daemon.log());
    let told = status(&daemon);
    assert!(has_reason(&told, "`dead` of") && has_reason(&told, "never seen on air") && told["health"] == "degraded", "{told}");
    assert_eq!((&history(&rig, "dead")["evidence"], &history(&rig, "alive")["evidence"]), (&"unseen".into(), &"seen".into()));
    daemon.stop();
}

#[test]
fn looks_that_are_refused_for_good_are_one_line_and_one_reason() {
    let rig = Rig::new(vec![FaultRule::error("AuthFailure.UnauthorizedOperation").action(Action::Describe)]);
    rig.listen("127.0.0.1:0");
    let start = soon(2);
    let jobs: Vec<_> = (0..8).map(|number| looping(&format!("show-{number}"), start, "10m")).collect();
    rig.jobs(&jobs.concat());
    let daemon = rig.started();
    let told = wait_until("all are looked at", || {
        let told = status(&daemon);
        let is_told = has_reason(&told, "and 3 more cannot be looked at: AuthFailure.UnauthorizedOperation");
        // The doctor asks too, and tells of the key.
        (is_told && has_reason(&told, "may not call DescribeStreamIngest")).then_some(told)
    });
    assert_eq!((&told["health"], told["reasons"].as_array().map(Vec::len)), (&"degraded".into(), Some(2)), "{told}");
    assert_eq!(told["on_air"][0]["task_fault"]["action"], "describe");
    assert_eq!(daemon.log().matches("cannot be looked at").count(), 1, "{}", daemon.log());
    // They are looked at again within half a minute.
    rig.sandbox.clear_faults();
    wait_until("all is well", || (status(&daemon)["health"] == "ok").then_some(()));
    assert_eq!(daemon.log().matches("is seen on air again").count(), 1, "{}", daemon.log());
    daemon.stop();
}
