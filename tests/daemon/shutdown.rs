//! Signals: what stays on air, what is taken back, how long it takes.

use std::time::Duration;

use ingestd::occurrence::{Outcome, State};
use ingestd::sandbox::{EndReason, FaultEffect, FaultRule, Replacement};
use ingestd::trtc::Action;
use rustix::process::Signal;

use super::rig::{Rig, looping, soon, wait_until};

/// Less than the wait for an answer that does not come.
const SECONDS: Duration = Duration::from_secs(8);

#[test]
fn a_stream_on_air_stays_on_air_and_the_next_start_takes_it_off_at_its_end() {
    let rig = Rig::new(Vec::new());
    let start = soon(2);
    rig.jobs(&looping("show", start, "7s"));
    let mut daemon = rig.started();
    rig.wait_on_air("show");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.exit_code_within(SECONDS), Some(0));
    assert!(daemon.log().contains("stays on air in room show"), "{}", daemon.log());
    let [task] = &rig.tasks("show")[..] else { panic!("one task") };
    assert!(task.runs());

    let daemon = rig.started();
    let row = rig.wait_done("show");
    assert_eq!(row.state, State::Done { outcome: Outcome::EndedPlanned });
    assert_eq!((row.attempts, row.restarts, row.was_in_doubt, rig.rows().len()), (1, 0, false, 1));
    let [task] = &rig.tasks("show")[..] else { panic!("one task") };
    let (ended, why) = task.ended.expect("it is off the air");
    assert_eq!(why, EndReason::Stopped);
    assert!(ended >= start + Duration::from_secs(7), "not before its end: {ended}");
    daemon.stop();
}

#[test]
fn a_start_that_is_armed_and_not_due_is_taken_back_and_armed_again() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(6), "2s"));
    let mut daemon = rig.started();
    rig.wait_row("show", "armed", |row| row.state == State::Armed);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.exit_code_within(SECONDS), Some(0));
    assert_eq!(rig.rows(), [], "the row goes");
    assert!(rig.arrived("show").is_empty());

    let daemon = rig.started();
    let row = rig.wait_done("show");
    assert_eq!(row.state, State::Done { outcome: Outcome::EndedPlanned });
    assert_eq!((row.attempts, row.joined, rig.arrived("show").len()), (1, false, 1));
    daemon.stop();
}

#[test]
fn a_second_signal_does_not_wait_for_answers() {
    let rig = Rig::new(vec![FaultRule::new(FaultEffect::Replace { with: Replacement::Hang, done: false }).action(Action::Start)]);
    rig.jobs(&looping("show", soon(2), "1m"));
    let mut daemon = rig.started();
    wait_until("the start is sent", || rig.arrived("show").first().cloned());
    daemon.signal(Signal::TERM);
    wait_until("it stops", || daemon.log().contains("stopping").then_some(()));
    assert!(daemon.runs(), "it waits for the answer");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.exit_code_within(SECONDS), Some(0));
    assert_eq!(rig.row("show").expect("a row").state, State::Armed, "what became of it is not known, and the next start says so");
}

#[test]
fn a_hang_up_does_not_end_it() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(2), "2s"));
    let mut daemon = rig.started();
    daemon.signal(Signal::HUP);
    wait_until("it says so", || daemon.log().contains("reload: nothing changed").then_some(()));
    assert_eq!(rig.wait_done("show").state, State::Done { outcome: Outcome::EndedPlanned });
    assert!(daemon.runs());
    daemon.stop();
}
