//! The status for people: what is wrong first, then what is on air and for how long, what comes next, what went wrong
//! lately and what to do about it. Does not know terminals: it never breaks a line.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::super::history::{error_message, result, short, task_fault_words};
use super::super::plan::place;
use super::super::table::Table;
use super::super::time::local;
use super::{DaemonView, LedgerView, StatusInput, assess_health, warnings};
use crate::advice::row_advice;
use crate::diagnostic::needs_escape;
use crate::engine::LoopStatus;
use crate::occurrence::{End, Occurrence, State, TaskPhase};
use crate::plan::{self, pauses::WithPauses};
use crate::trtc::Repeat;
use crate::trtc::advice::SecretPlaces;

/// Rows of trouble that the text shows; the rest is counted.
const TROUBLE_SHOWN: usize = 10;

/// The text of a status, with a line end.
pub fn text(input: &StatusInput) -> String {
    let (health, reasons) = assess_health(input);
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(health.name());
    for reason in &reasons {
        line(&format!("  {reason}"));
    }
    for warning in warnings(input) {
        line(&format!("  warning: {warning}"));
    }
    line("");
    line(&schedule(input));
    if let DaemonView::Running { state: LoopStatus { watch_period_s, queue, rate, written_rate, .. }, .. } = &input.daemon {
        let waiting: Vec<String> = queue.iter().map(|(action, count)| format!("{count} {}s", action.word())).collect();
        let (last, others) = waiting.split_last().expect("there are actions");
        let others = others.join(", ");
        line(&format!("{others} and {last} wait for the limiter; what is on air is looked at every {watch_period_s} s"));
        let lowered = rate.iter().filter(|(_, rate)| *rate < written_rate);
        let lowered: Vec<String> = lowered.map(|(action, rate)| format!("{rate} {}s", action.word())).collect();
        if !lowered.is_empty() {
            let lowered = lowered.join(", ");
            line(&format!(
                "{lowered} a second may leave, and not {written_rate}: the endpoint rejects more; it rises again slowly"
            ));
        }
    }
    match &input.ledger {
        Ok(ledger) => {
            if let (DaemonView::Silent { .. } | DaemonView::Unasked, Some(at)) = (&input.daemon, ledger.committed_at) {
                line(&format!("what follows is from the ledger, as it was written last at {at:.0}"));
            }
            section(&mut out, "on air, in UTC", &on_air(ledger, input.now));
        }
        Err(_) => line("what is on air is not known: the ledger cannot be read"),
    }
    if let DaemonView::Running { next, .. } = &input.daemon {
        section(&mut out, "next, in the time of its zone", &coming(next, input.now));
    }
    if let Ok(ledger) = &input.ledger {
        section(&mut out, "trouble in the last 24 hours, in UTC", &trouble(ledger, input.now, input.secrets));
    }
    let (version, source) = (&input.zone_version, &input.zone_source);
    let _ = writeln!(out, "\ningestd {}, zone data {version} ({source})", env!("CARGO_PKG_VERSION"));
    out
}

fn schedule(input: &StatusInput) -> String {
    let accepted = input.accepted_at.map(|at| format!(", accepted at {at:.0}")).unwrap_or_default();
    match &input.daemon {
        DaemonView::Running { jobs, .. } => format!("generation {}{accepted}: {}", input.generation, count(*jobs, "job")),
        DaemonView::Silent { .. } | DaemonView::Unasked => format!("generation {}{accepted}", input.generation),
    }
}

fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    let nothing = if lines.is_empty() { " nothing" } else { "" };
    let _ = writeln!(out, "\n{title}:{nothing}");
    for line in lines {
        let _ = writeln!(out, "  {}", line.trim_end());
    }
}

/// Rows in columns that are as wide as they need to be.
fn columns<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    let table = Table { rows: rows.map(Vec::from).collect(), ..Table::default() };
    // Each line has a space before it; these are indented already.
    table.lines().into_iter().map(|line| line.strip_prefix(' ').map_or(line.clone(), str::to_owned)).collect()
}

fn on_air(ledger: &LedgerView, now: Timestamp) -> Vec<String> {
    columns(ledger.on_air.iter().map(|row| {
        let room = place(Some(&row.playout.destination.app), &row.playout.room);
        let since = row.on_air_at.map(|at| format!("since {}", clock(at, now))).unwrap_or_default();
        [row.key.job.to_string(), room, since, left(row, ledger, now), bound(row, ledger, now)]
    }))
}

/// The time, with a date where it is not today's.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let today = at.strftime("%F").to_string() == now.strftime("%F").to_string();
    at.strftime(if today { "%H:%M:%S" } else { "%F %H:%M:%S" }).to_string()
}

/// How long it still runs.
fn left(row: &Occurrence, ledger: &LedgerView, now: Timestamp) -> String {
    if let State::Stopping { .. } = row.state {
        return match ledger.task_of(row).map(|task| (task.phase, task.outlives_stop(), &task.stop_fault)) {
            Some((TaskPhase::StopWanted { .. }, false, Some(fault))) => format!("is stopping: its stop {}", fault.verb()),
            Some((_, true, _)) => "is stopping: its stop was accepted, and it still plays".to_owned(),
            Some((TaskPhase::Verifying { .. }, ..)) => "is stopping: its stop was accepted, and it is not seen gone yet".to_owned(),
            _ => "is stopping".to_owned(),
        };
    }
    match row.end {
        End::Planned(end) if end <= now => format!("should have ended at {}", clock(end, now)),
        End::Planned(end) => format!("until {}, {} more", clock(end, now), span(end.duration_since(now))),
        End::Media(end) if end <= now => format!("its media ended about {}", clock(end, now)),
        End::Media(end) => format!("its media ends about {}, in {}", clock(end, now), span(end.duration_since(now))),
        End::Open => "until its media ends".to_owned(),
        End::Never => "without an end".to_owned(),
    }
}

fn span(length: SignedDuration) -> String {
    short(length.as_millis())
}

/// What ends it if no daemon runs. DESIGN section 5, End: a loop is always bounded, a live source never.
fn bound(row: &Occurrence, ledger: &LedgerView, now: Timestamp) -> String {
    let newest = ledger.task_of(row);
    match newest.and_then(|task| task.bound) {
        Some(bound) => format!("the cloud ends it at {}", clock(bound, now)),
        None if newest.is_none() => "no task id: it cannot be stopped from here".to_owned(),
        None if row.playout.live => "live, not bounded by the cloud: only a stop ends it".to_owned(),
        None if row.playout.repeat == Repeat::Forever => "the cloud's bound is not known".to_owned(),
        None => "ends with its media".to_owned(),
    }
}

fn coming(next: &[WithPauses], now: Timestamp) -> Vec<String> {
    columns(next.iter().map(|WithPauses { occurrence, .. }| {
        let job = &occurrence.job;
        let zone = &job.when.zone;
        let wait = format!("in {}", span(occurrence.start.at.duration_since(now)));
        let end = match occurrence.end {
            plan::End::Planned(at) | plan::End::Media(at) => format!("until {}", local(at, zone)),
            plan::End::Open => "until its media ends".to_owned(),
            plan::End::Never => "without an end".to_owned(),
        };
        let room = place(job.app.as_ref().map(|app| app.name.as_ref()), &job.room);
        let note = job.note.as_deref().unwrap_or_default().replace(needs_escape, " ");
        [local(occurrence.start.at, zone), wait, job.id.to_string(), room, end, note]
    }))
}

fn trouble(ledger: &LedgerView, now: Timestamp, secrets: SecretPlaces) -> Vec<String> {
    let mut lines = Vec::new();
    for row in ledger.trouble.iter().take(TROUBLE_SHOWN) {
        let times = if row.count > 1 { format!(", {} times", row.count) } else { String::new() };
        let message = error_message(row).or_else(|| task_fault_words(row));
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        let room = place(Some(&row.playout.destination.app), &row.playout.room);
        let (start, job) = (clock(row.key.start, now), &row.key.job);
        lines.push(format!("{start}  {job}  {room}  {}{times}{message}", result(row)));
        lines.extend(row_advice(row, secrets).map(|advice| format!("    {advice}")));
    }
    if let more @ 1.. = ledger.trouble.len().saturating_sub(TROUBLE_SHOWN) {
        lines.push(format!("and {more} more: see `ingestd history`"));
    }
    lines
}
