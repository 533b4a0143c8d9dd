//! Whether an operator has to act now. Does not know how the result is shown.
//!
//! | health | when |
//! |---|---|
//! | `failing` | the database of a shared ledger does not do what it is asked; nobody owns the air, and this host may not; the ledger cannot be read, or not written; its disk or the daemon's loop stands for 2 s; starts are held because of the clock; no daemon answers; a show that should be on air now is not, because its starts fail; one should be off the air for a minute, and that is not verified |
//! | `degraded` | this host may not own the air, or its folder differs from the accepted schedule; the clock differs from the endpoint's by more than 2 s, or is not synchronised under `require_sync`; an orphan runs; the task of a start in doubt may play on; the schedule files were rejected and the last good schedule stays in force; no job is in force; the daemon does not listen where the settings say; the doctor finds a problem that a show will have; a receiver does not take alerts; a chore of the ledger failed; a show that should be on air now was missed; one is on air that cannot be stopped from here; the stop of one is refused, from the first refusal; one has not been seen on air for 90 s or three watch periods, or cannot be looked at until somebody fixes something; TRTC cannot pull the media of one; one vanished twice before it was seen; a show failed, was missed, ended unverified or was never seen on air, and its window closed less than an hour ago |
//! | `ok` | otherwise |
//!
//! Trouble that is over does not keep the health red: nobody can fix the past, and nobody looks at a light that is
//! always red. It stays in `recent_trouble` for a day and in the ledger for good.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::history::{error_message, result};
use super::super::time::wall;
use super::{DaemonView, LedgerView, StatusInput, task_reasons};
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::LoopStatus;
use crate::finding::{Finding, FindingKind};
use crate::occurrence::{End, Key, MissedReason, Occurrence, OpenDoubt, Orphan, Outcome, State, WaitReason};

/// How long trouble that is over still counts.
const ECHO: SignedDuration = SignedDuration::from_hours(1);

/// Reasons of one kind that are listed one by one.
const ALIKE_MAX: usize = 5;

/// The warning about a clock that nobody keeps right.
pub(in crate::report) const UNSYNCHRONISED: &str = "the clock is not synchronised";

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Nothing to do.
    Ok,
    /// Everything that can be on air is, but somebody should look.
    Degraded,
    /// Something that should be on air is not, something that should not is, or it is unknown.
    Failing,
}

impl Health {
    /// As our JSON shows it.
    pub fn name(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Degraded => "degraded",
            Health::Failing => "failing",
        }
    }
}

/// The health and every reason for it, the worst first.
pub fn assess_health(input: &StatusInput) -> (Health, Vec<String>) {
    let (mut failing, degraded) = reasons(input);
    let health = match (failing.is_empty(), degraded.is_empty()) {
        (false, _) => Health::Failing,
        (true, false) => Health::Degraded,
        (true, true) => Health::Ok,
    };
    failing.extend(degraded);
    (health, failing)
}

/// The reasons that make it failing, and those that make it degraded.
pub(in crate::report) fn reasons(input: &StatusInput) -> (Vec<String>, Vec<String>) {
    let mut failing = Vec::new();
    let mut degraded = Vec::new();
    match &input.daemon {
        DaemonView::Silent { why } => failing.push(format!("{why}: nothing is started, and nothing is stopped")),
        DaemonView::Running { jobs, rejected, state, .. } => {
            let disk = |error: &String| format!("the ledger cannot be written, so nothing is started: {error}");
            failing.extend(state.host.iter().flat_map(|host| host.failing_reasons()));
            degraded.extend(state.host.iter().flat_map(|host| host.degraded_reasons()));
            failing.extend(state.disk.as_ref().map(disk));
            failing.extend(stands(state));
            failing.extend(state.held.as_ref().map(|held| format!("starts are held: {held}")));
            degraded.extend(rejection(rejected, input.generation));
            degraded.extend((*jobs == 0).then(|| "no job is in force: nothing is planned".to_owned()));
            degraded.extend(input.all_off.then(|| "every job is switched off (`enabled: false`): nothing is planned".to_owned()));
            degraded.extend(input.not_listening.iter().cloned());
            degraded.extend(input.not_told.iter().cloned());
            degraded.extend(input.failed_chores.iter().cloned());
            degraded.extend(state.clock_trouble());
            degraded.extend(few(state
                .findings
                .iter()
                .filter(|finding| is_new_reason(finding, state))
                .map(Finding::line)
                .collect()));
        }
    }
    match &input.ledger {
        Err(error) => failing.push(format!("the ledger cannot be read: {error}")),
        Ok(ledger) => {
            failing.extend(few(ledger.trouble.iter().filter_map(|row| failing_start(row, ledger, input.now)).collect()));
            failing.extend(few(task_reasons::overruns(ledger, input.now, &input.zone)));
            degraded.extend(few(task_reasons::refused_stops(ledger, input.now)));
            degraded.extend(few(task_reasons::unseen(ledger, &input.zone)));
            degraded.extend(task_reasons::unpulled(ledger, &input.zone));
            degraded.extend(few(ledger.on_air.iter().filter_map(|row| task_reasons::on_fallback(row, &input.zone)).collect()));
            degraded.extend(few(ledger.on_air.iter().filter_map(task_reasons::vanishing).collect()));
            degraded.extend(few(ledger.trouble.iter().filter_map(|row| gap(row, ledger, input.now)).collect()));
            degraded.extend(few(ledger.on_air.iter().filter_map(unstoppable).collect()));
            degraded.extend(few(ledger.orphans.iter().map(|orphan| of_orphan(orphan, &input.zone)).collect()));
            let doubts = ledger.doubts.iter().filter(|doubt| input.now < doubt.until);
            let mut of_shows: BTreeMap<&Key, Vec<&OpenDoubt>> = BTreeMap::new();
            doubts.for_each(|doubt| of_shows.entry(&doubt.key).or_default().push(doubt));
            let reason = |(key, doubts): (&Key, Vec<&OpenDoubt>)| {
                Some(format!("`{}`: {}", key.job, OpenDoubt::describe(&doubts, |at| wall(at, &input.zone))?))
            };
            degraded.extend(few(of_shows.into_iter().filter_map(reason).collect()));
            degraded.extend(echo(&ledger.trouble, input.now, &input.zone));
        }
    }
    (failing, degraded)
}

/// What somebody should know, although the health does not depend on it: what would hold starts is said there.
pub fn warnings(input: &StatusInput) -> Vec<String> {
    match &input.daemon {
        DaemonView::Running { state, .. } => {
            let unsynchronised = state.synchronised == Some(false) && !state.require_sync;
            let of_host = state.host.iter().flat_map(|host| host.warnings());
            unsynchronised.then(|| UNSYNCHRONISED.to_owned()).into_iter().chain(of_host).collect()
        }
        DaemonView::Silent { .. } => Vec::new(),
    }
}

/// Who does not come to an end: the loop, or the disk, which the loop may not have told yet.
fn stands(state: &LoopStatus) -> Vec<String> {
    let of_loop = |seconds: u64| {
        format!(
            "the daemon's loop has been busy with one turn for {seconds} s: nothing is started and nothing is stopped meanwhile"
        )
    };
    let of_disk = |seconds: u64| format!("the ledger's disk has not answered for {seconds} s: nothing is started until it does");
    let disk = state.disk_stands_s.filter(|_| state.disk.is_none());
    state.loop_stands_s.map(of_loop).into_iter().chain(disk.map(of_disk)).collect()
}

/// A problem of the doctor's. That the clock is off is told once.
fn is_new_reason(finding: &Finding, state: &LoopStatus) -> bool {
    finding.is_problem() && !(finding.kind == FindingKind::Clock && state.offset_ms.is_some())
}

/// The first few, and how many more there are.
fn few(mut reasons: Vec<String>) -> Vec<String> {
    let more = reasons.len().saturating_sub(ALIKE_MAX);
    reasons.truncate(ALIKE_MAX);
    if more > 0 {
        reasons.push(format!("and {more} more like these"));
    }
    reasons
}

fn rejection(rejected: &[Diagnostic], generation: i64) -> Option<String> {
    let mut errors = rejected.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    // A warning of another file may stand before it, and it is not what keeps the schedule from being accepted.
    let first = errors.next()?;
    let others = errors.clone().count();
    let count = match (others, errors.next_back()) {
        (0, _) => "1 error".to_owned(),
        (_, Some(last)) if last.tells_of_more() => format!("more than {others} errors"),
        _ => format!("{} errors", others + 1),
    };
    // A daemon that began with an older one, because the last was not kept, says no more than is true.
    Some(format!(
        "the schedule files have {count}, so generation {generation} is in force, the last good one that is kept: {first}"
    ))
}

/// A show that should be on air and is not, and whose starts are refused or unanswered.
fn failing_start(row: &Occurrence, ledger: &LedgerView, now: Timestamp) -> Option<String> {
    let so_far = match &row.state {
        State::Waiting { why: WaitReason::Yield, .. } => return None,
        State::Waiting { .. } | State::Calling if row.in_doubt => "may be off the air",
        State::Waiting { .. } | State::Calling => "is off the air",
        State::Done { outcome: Outcome::Failed(_) } if is_wanted(row, ledger, now) => "is off the air and is not tried again",
        _ => return None,
    };
    let attempts = if row.attempts == 1 { "1 attempt".to_owned() } else { format!("{} attempts", row.attempts) };
    Some(format!("`{}` {so_far} after {attempts}: {}", row.key.job, cause(row)))
}

/// The code, the message, or else the result.
fn cause(row: &Occurrence) -> String {
    let code = row.fault.as_ref().and_then(|fault| fault.code.clone());
    match (code, error_message(row)) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code} ({message})"),
        (Some(code), _) => code,
        (None, Some(message)) => message,
        (None, None) => result(row),
    }
}

/// Returns how many shows should be on air now and are not, of those that the ledger names as trouble: all that make the health worse.
pub fn off_air(ledger: &LedgerView, now: Timestamp) -> usize {
    let is_off = |row: &&Occurrence| failing_start(row, ledger, now).is_some() || gap(row, ledger, now).is_some();
    ledger.trouble.iter().filter(is_off).count()
}

/// A show that should be on air and had no chance to be.
fn gap(row: &Occurrence, ledger: &LedgerView, now: Timestamp) -> Option<String> {
    let is_missed = matches!(row.state, State::Done { outcome: Outcome::Missed(reason) } if reason != MissedReason::ContentOver);
    (is_missed && is_wanted(row, ledger, now)).then(|| format!("`{}` is off the air: {}", row.key.job, result(row)))
}

/// Whether its window is still open, and no later occurrence of its job fills it. How long a show with an open end would have
/// lasted is unknown; it counts as wanted as long as it could have been started.
fn is_wanted(row: &Occurrence, ledger: &LedgerView, now: Timestamp) -> bool {
    let is_open = match row.end {
        End::Planned(end) | End::Media(end) => now < end,
        End::Open => row.start_closes().is_none_or(|closes| now < closes),
        End::Never => true,
    };
    is_open && !ledger.on_air.iter().any(|other| other.key.job == row.key.job && other.key.start > row.key.start)
}

fn of_orphan(orphan: &Orphan, zone: &TimeZone) -> String {
    let Orphan { task_id, stop_wanted, of, .. } = orphan;
    if let Some(since) = stop_wanted {
        return format!("task {task_id}, which no show has, is to be stopped since {}, and is not yet", wall(*since, zone));
    }
    if !of.is_empty() {
        let jobs: Vec<String> = of.iter().map(|key| format!("`{}`", key.job)).collect();
        return format!("task {task_id} is on air for one of {}, and is stopped when all of them are over", jobs.join(", "));
    }
    format!("an orphan is on air, which this daemon did not start: `ingestd stop --task {task_id}` stops it")
}

fn unstoppable(row: &Occurrence) -> Option<String> {
    let is_nameless = row.state == State::OnAir && row.task_id.is_none();
    is_nameless.then(|| format!("`{}` is on air without a task id, so it cannot be stopped from here", row.key.job))
}

/// What went wrong and ended a short while ago.
fn echo(trouble: &[Occurrence], now: Timestamp, zone: &TimeZone) -> Option<String> {
    let recent = |row: &&Occurrence| {
        let over_at = [row.ended_at, row.end.at()].into_iter().flatten().max().unwrap_or(row.key.start);
        row.is_done() && over_at <= now && now.duration_since(over_at) < ECHO
    };
    let mut recent = trouble.iter().filter(recent);
    let newest = recent.next()?;
    let example = format!("`{}` of {}: {}", newest.key.job, wall(newest.key.start, zone), result(newest));
    Some(match recent.count() {
        0 => format!("less than an hour ago, {example}"),
        more => format!("less than an hour ago, {example}; and {more} more, see `ingestd history`"),
    })
}
