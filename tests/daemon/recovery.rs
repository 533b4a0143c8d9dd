//! Kills and downtime: one outcome for everything, and every doubt recorded.

use std::time::Duration;

use ingestd::occurrence::{MissedReason, Outcome, State};
use ingestd::sandbox::{EndReason, FaultEffect, FaultRule, Replacement};
use ingestd::trtc::Action;

use super::rig::{Rig, looping, soon, wait_for, wait_until};

#[test]
fn killed_on_air_the_next_start_takes_over_and_stops_it_at_its_end() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(2), "6s"));
    let daemon = rig.started();
    rig.wait_on_air("show");
    daemon.kill();
    assert_eq!(rig.wait_on_air("show").attempts, 1);

    let daemon = rig.started();
    let row = rig.wait_done("show");
    assert_eq!(row.state, State::Done { outcome: Outcome::EndedPlanned });
    assert_eq!((row.attempts, row.was_in_doubt, rig.rows().len(), rig.arrived("show").len()), (1, false, 1, 1));
    let ends: Vec<_> = rig.tasks("show").iter().filter_map(|task| task.ended).map(|(_, why)| why).collect();
    assert_eq!(ends, [EndReason::Stopped]);
    daemon.stop();
}

#[test]
fn killed_between_claim_and_answer_the_next_start_records_the_doubt_and_one_outcome() {
    let hang = |robot, done| {
        FaultRule::new(FaultEffect::Replace { with: Replacement::Hang, done }).action(Action::Start).robot(robot).times(1)
    };
    let rig = Rig::new(vec![hang("begun", true), hang("lost", false)]);
    let start = soon(2);
    rig.jobs(&["begun", "lost"].map(|job| looping(job, start, "9s")).concat());
    let daemon = rig.started();
    for job in ["begun", "lost"] {
        wait_until("it is sent", || rig.arrived(job).first().cloned());
    }
    daemon.kill();
    for job in ["begun", "lost"] {
        assert_eq!(rig.row(job).expect("claimed before it was sent").state, State::Armed);
    }

    let daemon = rig.started();
    let begun = rig.wait_done("begun");
    assert_eq!(begun.state, State::Done { outcome: Outcome::EndedUnverified });
    assert_eq!((begun.attempts, begun.was_in_doubt, begun.task_id.as_ref()), (2, true, None));
    let lost = rig.wait_done("lost");
    assert_eq!(lost.state, State::Done { outcome: Outcome::EndedPlanned });
    assert_eq!((lost.attempts, lost.was_in_doubt, lost.task_id.is_some()), (2, true, true));
    assert_eq!(rig.rows().len(), 2);
    // The one that was not begun was begun once, late, and sought to where the show was by then.
    let [task] = &rig.tasks("lost")[..] else { panic!("one task") };
    let sent_ms = rig.start_calls("lost")[1].sent_ms.expect("it was sent");
    let elapsed_ms = sent_ms - start.as_millisecond();
    let sought = (elapsed_ms >= 2_000).then(|| (elapsed_ms / 1_000).unsigned_abs());
    assert_eq!(task.params.seek_second, sought);
    // The first call of each has no answer, and never will.
    assert!(rig.start_calls("begun")[0].answered_ms.is_none() && rig.start_calls("lost")[0].answered_ms.is_none());
    daemon.stop();
}

#[test]
fn what_passed_while_nobody_was_there_is_missed_and_what_is_open_is_joined_in_progress() {
    let rig = Rig::new(Vec::new());
    let start = soon(2);
    rig.jobs(&[looping("over", start, "2s"), looping("open", start, "20s")].concat());
    rig.started().stop();
    assert_eq!(rig.rows(), [], "what was armed was taken back");
    wait_for(start + Duration::from_secs(3));

    let daemon = rig.started();
    let over = rig.wait_done("over");
    assert_eq!(over.state, State::Done { outcome: Outcome::Missed(MissedReason::Down) });
    assert_eq!((over.attempts, rig.arrived("over").len()), (0, 0));
    let open = rig.wait_on_air("open");
    assert_eq!((open.attempts, open.joined, rig.rows().len()), (1, true, 2));
    let late = open.first_sent_at.expect("it was sent").duration_since(start).as_secs();
    let [task] = &rig.tasks("open")[..] else { panic!("one task") };
    assert_eq!(task.params.seek_second, Some(late.unsigned_abs()));
    assert!(late >= 3);
    daemon.stop();
}
