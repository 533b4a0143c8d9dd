//! The preview and the daemon agree on who has a room: random pairs of windows, asked of both.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

use super::*;
use crate::plan::encounters::{EncounterEffect, encounters};
use crate::plan::interruptions::Interruptions;
use crate::plan::{Planned, Upcoming};
use crate::schedule::{Schedule, Settings, Source, read};

/// When every schedule here is read: before all its windows.
const READ_AT: &str = "2026-11-22T12:00:00Z";

/// The fields of a job whose window begins in the hour after midnight.
fn any_job() -> impl Strategy<Value = String> {
    let start = prop::sample::select(vec!["00:00:00", "00:00:01", "00:00:02", "00:30:00", "00:59:58", "00:59:59", "01:00:00"]);
    let end = prop::sample::select(vec!["for: 1s", "for: 2s", "for: 30m", "for: 1h", "length: 1h", "to: never", "live: false"]);
    let conflict = prop::sample::select(vec!["reject", "preempt", "yield", "allow"]);
    let robot = prop::sample::select(vec!["{job}", "announcer"]);
    (start, end, conflict, robot, 4..=6_u8).prop_map(|(start, end, conflict, robot, priority)| {
        format!("once: 2026-12-01 {start}, {end}, conflict: {conflict}, robot: \"{robot}\", priority: {priority}")
    })
}

fn schedule(first: &str, second: &str) -> Schedule {
    let defaults = r#"defaults: {room: lobby, app: main, stream: "https://cdn.example.com/a.mp4"}"#;
    let text = format!("timezone: UTC\n{defaults}\njobs:\n  first: {{{first}}}\n  second: {{{second}}}\n");
    let source = Source { name: Arc::from("test.yaml"), text: text.clone() };
    let settings = Settings {
        apps: Some(BTreeMap::from([(Arc::from("main"), 1)])),
        region: Some(Arc::from("ap-singapore")),
        ..Settings::default()
    };
    let reading = read(&[source], &settings, &TimeZoneDatabase::bundled(), READ_AT.parse().expect("an instant"));
    reading.schedule.unwrap_or_else(|| panic!("{:?}\n{text}", reading.diagnostics))
}

/// The planned occurrence as the daemon holds it before its start.
fn occurrence(planned: &Planned) -> Occurrence {
    let mut occurrence = example();
    let job = &planned.job;
    occurrence.key = Key { start: planned.start.at, job: job.id.clone() };
    occurrence.end = planned.end;
    occurrence.playout.robot = job.robot.expand(job.id.as_str(), &job.room, planned.start.at);
    occurrence.policy.conflict = job.policy.conflict;
    occurrence.policy.priority = job.policy.priority;
    occurrence
}

/// What the daemon does when the preview says so of `own`.
fn expected(effect: EncounterEffect, own: &Planned, other: &Planned) -> Option<Displacement> {
    let loses = match effect {
        EncounterEffect::Yields | EncounterEffect::IsCut | EncounterEffect::IsCutIfOnAir => true,
        EncounterEffect::Clashes { wins, .. } => !wins,
        EncounterEffect::IsYieldedTo | EncounterEffect::PlaysBeside | EncounterEffect::Takes => false,
    };
    let displacement = if own.job.policy.conflict == Conflict::Yield {
        Displacement::Yields
    } else if own.start.at == other.start.at {
        Displacement::Skipped
    } else {
        Displacement::Preempted
    };
    loses.then_some(displacement)
}

/// Whether the window is open at an instant, as far as the plan knows: an open end counts only at the start.
fn is_open(window: &Planned, at: Timestamp) -> bool {
    window.end.at().map_or(window.end == End::Never || window.start.at == at, |end| at < end)
}

/// Whether the plan knows when the window ends.
fn counts(window: &Planned) -> bool {
    window.end != End::Open
}

proptest! {
    #[test]
    fn the_preview_and_the_daemon_give_the_room_to_the_same_occurrence(first in any_job(), second in any_job()) {
        let schedule = schedule(&first, &second);
        let windows: Vec<Planned> = Upcoming::new(&schedule, READ_AT.parse().expect("an instant")).collect();
        let [one, other] = windows.as_slice() else { panic!("two windows, not {}", windows.len()) };
        let now = one.start.at.max(other.start.at);
        for (own, other) in [(one, other), (other, one)] {
            let displaced = displaced_by(&occurrence(own), &occurrence(other), now);
            match encounters(&schedule, own, own.start.at, |_| true).first() {
                Some(encounter) => prop_assert_eq!(displaced, expected(encounter.effect, own, other)),
                // The first is over, or ends within the time of a hand-over. A window that has an open end does not count in a plan
                // after its start, but the daemon meets it.
                None if counts(own) && counts(other) => {
                    prop_assert!(matches!(displaced, None | Some(Displacement::Ends | Displacement::Yields)), "{:?}", displaced);
                }
                None => {}
            }
            if own.job.policy.conflict == Conflict::Yield && is_open(own, now) && is_open(other, now) {
                let pauses = Interruptions::new(&schedule).of(own.clone()).pauses.expect("it yields");
                prop_assert_eq!(!pauses.is_empty(), displaced == Some(Displacement::Yields), "{:?}", pauses);
            }
            let cut = Interruptions::new(&schedule).of(own.clone()).cut;
            let is_cut = matches!(displaced, Some(Displacement::Preempted | Displacement::Skipped));
            prop_assert_eq!(cut.as_ref().map(|cut| (&cut.job, cut.at)), is_cut.then_some((&other.job.id, other.start.at)));
        }
    }
}
