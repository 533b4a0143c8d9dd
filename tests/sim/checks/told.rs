//! Nobody is surprised: what went wrong is in the queue of alerts, whatever the crashes, for the two are written together; and no trouble
//! is open twice. Does not know when and how it is told.

use std::collections::BTreeSet;

use ingestd::alerts::AlertEvent;

use super::{Faults, line, outcome, reason};
use crate::run::Run;

pub(super) fn check(run: &Run, faults: &mut Faults) {
    for row in &run.rows {
        let events: &[AlertEvent] = match (outcome(row), reason(row)) {
            ("failed", "lost") => &[AlertEvent::Lost],
            ("failed", _) => &[AlertEvent::Failed],
            ("missed", _) => &[AlertEvent::Missed],
            ("cut", _) => &[AlertEvent::Cut],
            (_, "unverified") => &[AlertEvent::StopUnverified],
            _ => continue,
        };
        let job = row.key.job.as_str();
        let show = row.key.to_string();
        let is_told = run.alerts.iter().any(|alert| {
            // What was found while the clock was ahead began then, and its newest sign is brought back to the clock of now.
            let is_its = alert.key == job && alert.newest.max(alert.begun) >= row.key.start;
            let is_its = is_its || alert.key == show || row.task_id.as_deref() == Some(alert.key.as_str());
            events.contains(&alert.event) && is_its
        });
        if !is_told {
            faults.add("what went wrong is told", line(row));
        }
    }
    let mut open = BTreeSet::new();
    for alert in run.alerts.iter().filter(|alert| alert.end.is_none()) {
        if !open.insert((alert.event, &alert.key)) {
            faults.add("no trouble is open twice", format!("{} {}", alert.event.name(), alert.key));
        }
    }
}
