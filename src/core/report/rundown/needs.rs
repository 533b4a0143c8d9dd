//! What needs somebody: every reason of the status as it stands there, with what to do about it and what it concerns; and what went wrong
//! lately. Adds no rule of its own about what is wrong. It does not know where it is told besides.

use jiff::Timestamp;
use serde::Serialize;

use super::{Shown, as_instant};
use crate::advice::row_advice;
use crate::finding::Finding;
use crate::occurrence::Occurrence;
use crate::report::history::{error_message, result, task_fault_words};
use crate::report::plan::place;
use crate::report::status::{DaemonView, Health, LedgerView, StatusInput, reasons, warnings};
use crate::trtc::advice::SecretPlaces;

/// Rows of [`lately`].
const LATELY_MAX: usize = 12;

/// One thing that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// `failing`, `degraded`, or `ok` for what is only to be known.
    pub weight: Health,
    /// What is wrong: a reason or a warning of the status, word by word.
    pub what: String,
    /// What to do about it; null where the reason says it, or nothing helps.
    pub advice: Option<String>,
    /// The command to type.
    pub command: Option<String>,
    /// What `check` draws of schedule files that were not accepted.
    pub drawn: Option<String>,
    /// The job of the occurrence that it is about.
    pub job: Option<String>,
    /// The start of that occurrence, as JSON has instants.
    pub start: Option<String>,
}

/// One row that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TroubleItem {
    /// The job.
    pub job: String,
    /// The start.
    #[serde(serialize_with = "as_instant")]
    pub start: Timestamp,
    /// When, on the clock of the page.
    pub at: String,
    /// Where.
    pub room: String,
    /// How it ended, or stands, in the words of `history`.
    pub result: String,
    /// The last error.
    pub error: Option<String>,
    /// The RequestId of the last answer.
    pub request_id: Option<String>,
    /// How many requests it took.
    pub attempts: u32,
    /// What to do about it.
    pub advice: Option<String>,
}

/// Everything of the status that needs somebody, the worst first.
pub(super) fn needs(status: &StatusInput) -> Vec<Need> {
    let (failing, degraded) = reasons(status);
    let failing = failing.iter().map(|reason| need(status, reason, Health::Failing));
    let degraded = degraded.iter().map(|reason| need(status, reason, Health::Degraded));
    let known = warnings(status).into_iter().map(|warning| need_of(&warning, Health::Ok));
    failing.chain(degraded).chain(known).collect()
}

fn need_of(what: &str, weight: Health) -> Need {
    Need { weight, what: what.to_owned(), advice: None, command: None, drawn: None, job: None, start: None }
}

fn need(status: &StatusInput, reason: &str, weight: Health) -> Need {
    let plain = need_of(reason, weight);
    if let DaemonView::Running { rejected, state, .. } = &status.daemon {
        if !rejected.is_empty() && reason.starts_with("the schedule files have") {
            let advice = "fix the files: they are read again when they change".to_owned();
            return Need { advice: Some(advice), command: Some("ingestd check".to_owned()), ..plain };
        }
        if let Some(Finding { what, advice, .. }) = state.findings.iter().find(|finding| finding.line() == reason) {
            let advice = (!advice.is_empty()).then(|| advice.clone());
            return Need { what: what.clone(), advice, command: Some("ingestd doctor".to_owned()), ..plain };
        }
    }
    let Ok(ledger) = &status.ledger else { return plain };
    let rows = || ledger.trouble.iter().chain(&ledger.on_air);
    // A reason that is about a show begins with its job.
    match rows().find(|row| about(reason).is_some_and(|job| job == row.key.job.as_str())) {
        Some(row) => Need {
            advice: row_advice(row, status.secrets),
            job: Some(row.key.job.to_string()),
            start: Some(crate::report::instant(row.key.start)),
            ..plain
        },
        None => Need { command: command(reason), ..plain },
    }
}

/// The job in backticks at the beginning of a reason, or behind the time of what is over.
fn about(reason: &str) -> Option<&str> {
    let rest = reason.strip_prefix("less than an hour ago, ").unwrap_or(reason);
    rest.strip_prefix('`')?.split('`').next()
}

/// The command that a reason names.
fn command(reason: &str) -> Option<String> {
    reason.split('`').find(|part| part.starts_with("ingestd ")).map(str::to_owned)
}

/// What went wrong lately, newest first.
pub(super) fn lately(ledger: &LedgerView, secrets: SecretPlaces, shown: &Shown<'_>) -> Vec<TroubleItem> {
    let item = |row: &Occurrence| TroubleItem {
        job: row.key.job.to_string(),
        start: row.key.start,
        at: shown.second(row.key.start),
        room: place(Some(&row.playout.destination.app), &row.playout.room),
        result: result(row),
        error: error_message(row).or_else(|| task_fault_words(row)),
        request_id: row.request_id.clone(),
        attempts: row.attempts,
        advice: row_advice(row, secrets),
    };
    ledger.trouble.iter().take(LATELY_MAX).map(item).collect()
}
