//! Stops and reloads by an operator's verbs, and callbacks by the vendor, reach a running daemon.

use std::net::TcpListener;
use std::time::Duration;

use ingestd::occurrence::{Outcome, State};
use ingestd::sandbox::{CallbackTarget, EndReason, FaultEffect, FaultRule, Replacement};
use ingestd::trtc::Action;
use rustix::process::Signal;

use super::rig::{Rig, looping, soon, wait_until};

const CALLBACK_KEY: &str = "hush-callback-key-5d2";

fn cut(reason: Outcome) -> State {
    State::Done { outcome: reason }
}

#[test]
fn an_edit_is_put_in_force_without_a_restart_and_a_broken_one_is_not() {
    let rig = Rig::new(Vec::new());
    let start = soon(2);
    let show = looping("show", start, "1m");
    rig.jobs(&show);
    let mut daemon = rig.started();
    let task = rig.wait_on_air("show").task_id;

    rig.schedule("timezone: UTC\njobs:\n  show: { onec: tomorrow }\n");
    let (code, _, error) = rig.verb(&["reload"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("rig.yaml:3:11") && error.contains("onec"), "{error}");
    assert!(daemon.log().contains("rig.yaml:3:11"), "{}", daemon.log());

    let clash = looping("clash", start + Duration::from_secs(45), "1m").replace("room: clash", "room: show");
    rig.jobs(&[show.clone(), clash].concat());
    let (code, _, error) = rig.verb(&["reload"]);
    assert!(code == Some(1) && error.contains("`clash`") && error.contains("`show`"), "two shows in one room: {error}");

    rig.jobs(&[show.clone(), looping("second", start, "1m")].concat());
    let (code, done, error) = rig.verb(&["reload"]);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{done}");
    assert!(done.contains("second"), "{done}");
    let second = rig.wait_on_air("second");
    assert_eq!((second.generation, second.joined), (2, true), "a window that is open is joined");
    assert_eq!(rig.row("show").and_then(|row| row.task_id), task, "what is on air stays as it is");

    rig.jobs(&show);
    daemon.signal(Signal::HUP);
    wait_until("the hang-up is a reload", || daemon.log().contains("generation=3").then_some(()));
    assert_eq!(rig.row("second").map(|row| row.state), Some(State::OnAir), "what left the schedule plays to its end");

    let (code, done, _) = rig.verb(&["stop", "second"]);
    assert_eq!(code, Some(0));
    assert!(done.contains("stopping"), "{done}");
    assert_eq!(rig.wait_done("second").state, cut(Outcome::CutOperator));
    let (code, _, error) = rig.verb(&["stop", "second"]);
    assert!(code == Some(1) && error.contains("nothing of `second` is on air"), "{error}");
    let (code, ..) = rig.verb(&["stop", "--all"]);
    assert_eq!((code, rig.wait_done("show").state), (Some(0), cut(Outcome::CutOperator)));
    let ends: Vec<_> = ["show", "second"].iter().flat_map(|robot| rig.tasks(robot)).filter_map(|task| task.ended).collect();
    assert!(ends.len() == 2 && ends.iter().all(|(_, why)| *why == EndReason::Stopped), "{ends:?}");
    assert!(daemon.runs());
    daemon.stop();
    assert_eq!(rig.verb(&["stop", "--all"]).0, Some(69), "no daemon is there");
}

#[test]
fn a_reload_that_drops_most_of_the_schedule_is_held_until_it_is_meant() {
    let rig = Rig::new(Vec::new());
    let jobs: Vec<_> = (0..12).map(|number| looping(&format!("j{number}"), soon(3_600), "1m")).collect();
    rig.jobs(&jobs.concat());
    let daemon = rig.started();
    rig.jobs(&jobs[..3].concat());
    let (code, _, error) = rig.verb(&["reload"]);
    assert!(code == Some(1) && error.contains("reload --force"), "{error}");
    let (code, done, error) = rig.verb(&["reload", "--force"]);
    assert_eq!(code, Some(0), "{error}{done}");
    let (code, done, _) = rig.verb(&["reload"]);
    assert!(code == Some(0) && done.contains("generation 2 stays in force"), "{done}");
    let (code, done, _) = rig.verb(&["clock", "confirm"]);
    assert!(code == Some(0) && done.contains("the clock is believed"), "{done}");
    daemon.stop();
}

#[test]
fn a_callback_names_the_task_of_a_start_that_was_never_answered() {
    // The daemon must know its port before the sandbox can send callbacks.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let hang = FaultRule::new(FaultEffect::Replace { with: Replacement::Hang, done: true }).action(Action::Start).times(1);
    let url = format!("http://{port}/trtc/callback");
    let rig = Rig::with(vec![hang], |sandbox| {
        sandbox.callbacks = Some(CallbackTarget { url, key: CALLBACK_KEY.to_owned().into() });
    });
    rig.write("callback-key", CALLBACK_KEY);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(rig.path("callback-key"), private).expect("our own file");
    let settings = std::fs::read_to_string(rig.path("ingestd.yaml")).expect("it was written");
    let settings = settings.replace("private_map_key: true", "private_map_key: true, callback_key: { file: callback-key }");
    rig.write("ingestd.yaml", &format!("{settings}callbacks: {port}\n"));
    rig.jobs(&looping("show", soon(2), "25s"));
    let daemon = rig.started();
    let row = rig.wait_done("show");
    // It is stopped like any other, but only the callback says that it was its own.
    assert_eq!(row.state, State::Done { outcome: Outcome::EndedUnverified }, "{}", daemon.log());
    assert_eq!((row.attempts, row.was_in_doubt, row.confirmed_at.is_some(), row.task_id.is_some()), (1, true, true, true));
    let [task] = &rig.tasks("show")[..] else { panic!("it was begun once") };
    assert!(task.ended.is_some_and(|(_, why)| why == EndReason::Stopped) && Some(&task.task_id) == row.task_id.as_ref());
    assert!(!daemon.log().contains(CALLBACK_KEY));
    daemon.stop();
}
