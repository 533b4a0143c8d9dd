//! What is on air and what comes next, as items of two lists. It does not know how they are counted down.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Shown, as_instant, as_instant_or_null, bars};
use crate::occurrence::{End, Occurrence, TaskPhase};
use crate::plan;
use crate::plan::interruptions::Interrupted;
use crate::report::plan::{note, place};
use crate::report::status::{DaemonView, LedgerView, StatusInput};
use crate::schedule::Job;

/// One that is on air.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OnAirItem {
    /// The job.
    pub job: String,
    /// Its start.
    #[serde(serialize_with = "as_instant")]
    pub start: Timestamp,
    /// Where it plays.
    pub room: String,
    /// The robot.
    pub robot: String,
    /// The task; null while it is not known.
    pub task: Option<String>,
    /// When it went on air.
    #[serde(serialize_with = "as_instant_or_null")]
    pub since: Option<Timestamp>,
    /// When it ends, or is cut; null when that is not known, or never.
    #[serde(serialize_with = "as_instant_or_null")]
    pub until: Option<Timestamp>,
    /// When the cloud ends it, whatever happens here; null when it does not, or that is not known.
    #[serde(serialize_with = "as_instant_or_null")]
    pub bound: Option<Timestamp>,
    /// How many requests it took.
    pub attempts: u32,
    /// Whether its fallback plays.
    pub is_fallback: bool,
    /// Whether something is wrong with it.
    pub is_troubled: bool,
    /// Milliseconds of its window that its media does not fill; null when it does.
    pub under_ms: Option<i64>,
    /// Its state in words, as its bar has it.
    pub text: String,
}

impl OnAirItem {
    pub(super) fn new(row: &Occurrence, listed: Option<&Interrupted>, ledger: &LedgerView, shown: &Shown<'_>) -> OnAirItem {
        let task = ledger.tasks.iter().rfind(|task| task.key == row.key);
        let window = match row.end {
            End::Planned(at) | End::Media(at) => Some(at),
            End::Open | End::Never => None,
        };
        let cut = listed.and_then(|listed| listed.cut.as_ref()).map(|cut| cut.at);
        let stops = task.is_some_and(|task| matches!(task.phase, TaskPhase::StopWanted { .. } | TaskPhase::Verifying { .. }));
        let is_fallback = row.plays_fallback();
        let is_unseen = task.is_some_and(|task| task.is_unseen || task.unpulled_at.is_some());
        OnAirItem {
            job: row.key.job.to_string(),
            start: row.key.start,
            room: place(Some(&row.playout.destination.app), &row.playout.room),
            robot: row.playout.robot.clone(),
            task: row.task_id.clone(),
            since: row.on_air_at,
            until: cut.or(window),
            bound: task.and_then(|task| task.bound),
            attempts: row.attempts,
            is_fallback,
            is_troubled: is_fallback
                || is_unseen
                || row.task_fault.is_some()
                || row.task_id.is_none()
                || stops && window < Some(shown.now),
            under_ms: listed.and_then(under_ms),
            text: bars::text_of_row(row, listed, shown),
        }
    }
}

/// One that is to come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NextItem {
    /// The job.
    pub job: String,
    /// Its start.
    #[serde(serialize_with = "as_instant")]
    pub start: Timestamp,
    /// Its end; null when that is not known, or never.
    #[serde(serialize_with = "as_instant_or_null")]
    pub end: Option<Timestamp>,
    /// Where it plays.
    pub room: String,
    /// Whether operators hold it back.
    pub is_held: bool,
    /// Milliseconds of its window that its media does not fill; null when it does.
    pub under_ms: Option<i64>,
    /// What `plan` notes of it: who cuts it, its pauses, what holds it back.
    pub note: String,
    /// The note of its job.
    pub about: Option<String>,
}

/// What comes next, as the status has it.
pub(super) fn next(status: &StatusInput, shown: &Shown<'_>) -> Option<Vec<NextItem>> {
    let DaemonView::Running { next, .. } = &status.daemon else { return None };
    Some(next.iter().map(|listed| item(listed, shown)).collect())
}

fn item(listed: &Interrupted, shown: &Shown<'_>) -> NextItem {
    let plan::Planned { job, start, end, .. } = &listed.occurrence;
    NextItem {
        job: job.id.to_string(),
        start: start.at,
        end: end.at(),
        room: room(job),
        is_held: listed.held.is_some(),
        under_ms: under_ms(listed),
        note: note(listed, shown.zone),
        about: job.note.as_deref().map(str::to_owned),
    }
}

fn room(job: &Job) -> String {
    place(job.app.as_ref().map(|app| app.name.as_ref()), &job.room)
}

/// How much of its window its media does not fill.
fn under_ms(listed: &Interrupted) -> Option<i64> {
    let over = listed.content_end()?;
    let end = listed.cut.as_ref().map(|cut| cut.at).or(listed.occurrence.end.at())?;
    let under = end.duration_since(over);
    (under > SignedDuration::ZERO).then(|| i64::try_from(under.as_millis()).unwrap_or(i64::MAX))
}
