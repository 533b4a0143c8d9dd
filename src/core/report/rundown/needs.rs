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
use crate::report::status::{DaemonView, Health, LedgerView, StatusInput, UNSYNCHRONISED, reasons, warnings};
use crate::trtc::advice::SecretPlaces;

/// Rows of [`lately`].
const LATELY_MAX: usize = 12;
/// The command that draws what is wrong with schedule files.
const CHECK: &str = "ingestd check";

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
pub(super) fn needs(status: &StatusInput, drawn: &str) -> Vec<Need> {
    let (failing, degraded) = reasons(status);
    let failing = failing.iter().map(|reason| need(status, drawn, reason, Health::Failing));
    let degraded = degraded.iter().map(|reason| need(status, drawn, reason, Health::Degraded));
    let known = warnings(status).into_iter().map(|warning| need(status, drawn, &warning, Health::Ok));
    failing.chain(degraded).chain(known).collect()
}

fn need_of(what: &str, weight: Health) -> Need {
    Need { weight, what: what.to_owned(), advice: None, command: None, drawn: None, job: None, start: None }
}

fn need(status: &StatusInput, drawn: &str, reason: &str, weight: Health) -> Need {
    let plain = need_of(reason, weight);
    if let Some((advice, command)) = remedy(status, reason) {
        let drawn = (command == CHECK && !drawn.is_empty()).then(|| drawn.to_owned());
        return Need { advice: Some(advice.to_owned()), command: Some(command.to_owned()), drawn, ..plain };
    }
    if let DaemonView::Running { state, .. } = &status.daemon
        && let Some(Finding { what, advice, .. }) = state.findings.iter().find(|finding| finding.line() == reason)
    {
        let advice = (!advice.is_empty()).then(|| advice.clone());
        return Need { what: what.clone(), advice, command: Some("ingestd doctor".to_owned()), ..plain };
    }
    let Ok(ledger) = &status.ledger else { return plain };
    let rows = || ledger.trouble.iter().chain(&ledger.on_air);
    // A reason that is about a show begins with its job.
    match rows().find(|row| about(reason).is_some_and(|job| job == row.key.job.as_str())) {
        Some(row) => Need {
            advice: row_advice(row, status.secrets),
            command: command(reason).or_else(|| Some(format!("ingestd why {}", row.key.job))),
            job: Some(row.key.job.to_string()),
            start: Some(crate::report::instant(row.key.start)),
            ..plain
        },
        None => Need { command: command(reason), ..plain },
    }
}

/// What to do about a reason that is about the daemon itself, and the command to type.
fn remedy(status: &StatusInput, reason: &str) -> Option<(&'static str, &'static str)> {
    let DaemonView::Running { rejected, state, .. } = &status.daemon else {
        return Some(("see why it does not answer", "systemctl status ingestd"));
    };
    let is_of = |lines: &[String]| lines.iter().any(|line| line == reason);
    if !rejected.is_empty() && reason.starts_with("the schedule files have") {
        return Some(("fix the files: they are read again when they change, or with `ingestd reload`", CHECK));
    }
    if state.held.is_some() && reason.starts_with("starts are held: ") {
        return Some(("synchronise the clock of this host; if it is right as it is, say so", "ingestd clock confirm"));
    }
    if state.clock_trouble().is_some_and(|trouble| trouble == reason) || reason == UNSYNCHRONISED {
        return Some(("synchronise the clock of this host", "timedatectl timesync-status"));
    }
    if reason.starts_with("the ledger cannot be") || reason.starts_with("the ledger's disk has not answered") {
        return Some(("make room on its disk, and see whether the disk is well", "ingestd doctor"));
    }
    if is_of(&status.not_told) {
        return Some(("see that the receiver can be reached, and that its address and key are right", "ingestd alert test"));
    }
    if is_of(&status.not_listening) {
        return Some(("free that place, or name another in the settings and restart the daemon", "ingestd doctor"));
    }
    None
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
