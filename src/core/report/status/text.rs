//! The status for people: what is wrong first, then what is on air and for how long, what comes next, what went wrong
//! lately and what to do about it. Does not know how wide a terminal is.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::super::history::{error_message, result, short, task_fault_words};
use super::super::plan::{end, note, place};
use super::super::table::{Column, Narrow, Table};
use super::super::time::{WallClock, wall, wall_beside};
use super::super::wrap::wrapped;
use super::{DaemonView, LedgerView, StatusInput, assess_health, warnings};
use crate::advice::row_advice;
use crate::diagnostic::needs_escape;
use crate::engine::LoopStatus;
use crate::finding::Finding;
use crate::occurrence::{End, Occurrence, State, TaskPhase};
use crate::plan::holds::{Holds, OrderSource};
use crate::plan::{self, interruptions::Interrupted};
use crate::trtc::Repeat;

/// Rows of trouble that the text shows; the rest is counted.
const TROUBLE_SHOWN: usize = 10;

/// The text of a status, with a line end. With a width no line is wider, if it can be broken: for a terminal.
pub fn text(input: &StatusInput, width: Option<usize>) -> String {
    let (health, reasons) = assess_health(input);
    let mut out = String::new();
    let mut line = |text: &str| add(&mut out, text, width);
    line(health.name());
    for reason in &reasons {
        line(&format!("  {reason}"));
    }
    for warning in warnings(input) {
        line(&format!("  warning: {warning}"));
    }
    let title = |what: &str| WallClock::new(&input.zone, [input.now]).heading(what);
    line("");
    if let DaemonView::Running { state: LoopStatus { host: Some(host), .. }, .. } = &input.daemon {
        line(&host.line());
    }
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
            if let (DaemonView::Silent { .. }, Some(at)) = (&input.daemon, ledger.committed_at) {
                line(&format!("what follows is from the ledger, as it was written last at {}", wall(at, &input.zone)));
            }
            section(&mut out, &title("on air"), &on_air(ledger, input, width), width);
        }
        Err(_) => line("what is on air is not known: the ledger cannot be read"),
    }
    if let DaemonView::Running { state: LoopStatus { findings, .. }, .. } = &input.daemon
        && !findings.is_empty()
    {
        section(&mut out, "before the next shows", &found(findings), width);
    }
    if let Some(holds) = input.holds()
        && let held @ [_, ..] = held(holds, input).as_slice()
    {
        section(&mut out, &title("held back"), held, width);
    }
    if let DaemonView::Running { next, .. } = &input.daemon {
        section(&mut out, &title("next"), &coming(next, input, width), width);
    }
    if let Ok(ledger) = &input.ledger {
        section(&mut out, &title("trouble in the last 24 hours"), &trouble(ledger, input), width);
    }
    let (version, source) = (&input.zone_version, &input.zone_source);
    out.push('\n');
    add(&mut out, &format!("ingestd {}, zone data {version} ({source})", env!("CARGO_PKG_VERSION")), width);
    out
}

fn schedule(input: &StatusInput) -> String {
    let accepted = input.accepted_at.map(|at| format!(", accepted at {}", wall(at, &input.zone))).unwrap_or_default();
    match &input.daemon {
        DaemonView::Running { jobs, .. } => format!("generation {}{accepted}: {}", input.generation, count(*jobs, "job")),
        DaemonView::Silent { .. } => format!("generation {}{accepted}", input.generation),
    }
}

fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// Adds a line; its further lines, where it is broken, are indented by six more.
fn add(out: &mut String, text: &str, width: Option<usize>) {
    let indent = text.len() - text.trim_start_matches(' ').len();
    for line in wrapped(text.trim_end(), indent + 6, width) {
        let _ = writeln!(out, "{line}");
    }
}

fn section(out: &mut String, title: &str, lines: &[String], width: Option<usize>) {
    let nothing = if lines.is_empty() { " nothing" } else { "" };
    out.push('\n');
    add(out, &format!("{title}:{nothing}"), width);
    for line in lines {
        add(out, &format!("  {line}"), width);
    }
}

/// Rows in columns, indented by what a section indents them: each line has a space before it.
fn columns<const N: usize>(
    narrow: [(u8, Narrow); N],
    rows: impl Iterator<Item = [String; N]>,
    width: Option<usize>,
) -> Vec<String> {
    let columns = narrow.map(|(rank, narrow)| Column::new("", rank, narrow)).to_vec();
    let table = Table { columns, has_header: false, rows: rows.map(Vec::from).collect() };
    let lines = table.lines(width.map(|width| width.saturating_sub(1)));
    lines.into_iter().map(|line| line.strip_prefix(' ').map_or(line.clone(), str::to_owned)).collect()
}

fn on_air(ledger: &LedgerView, input: &StatusInput, width: Option<usize>) -> Vec<String> {
    let narrow =
        [(0, Narrow::Stays), (2, Narrow::CutEnd(10)), (3, Narrow::WholeOrNone), (1, Narrow::CutEnd(20)), (4, Narrow::CutEnd(20))];
    let rows = ledger.on_air.iter().map(|row| {
        let room = place(Some(&row.playout.destination.app), &row.playout.room);
        let since = row.on_air_at.map(|at| format!("since {}", clock(at, input))).unwrap_or_default();
        let fallback = if row.plays_fallback() { "its fallback plays; " } else { "" };
        [row.key.job.to_string(), room, since, format!("{fallback}{}", left(row, ledger, input)), bound(row, ledger, input)]
    });
    columns(narrow, rows, width)
}

/// The time, with a date where it is not today's.
fn clock(at: Timestamp, input: &StatusInput) -> String {
    wall_beside(at, input.now, &input.zone)
}

/// How long it still runs.
fn left(row: &Occurrence, ledger: &LedgerView, input: &StatusInput) -> String {
    let now = input.now;
    if let State::Stopping { .. } = row.state {
        return match ledger.task_of(row).map(|task| (task.phase, task.outlives_stop(), &task.stop_fault)) {
            Some((TaskPhase::StopWanted { .. }, false, Some(fault))) => format!("is stopping: its stop {}", fault.verb()),
            Some((_, true, _)) => "is stopping: its stop was accepted, and it still plays".to_owned(),
            Some((TaskPhase::Verifying { .. }, ..)) => "is stopping: its stop was accepted, and it is not seen gone yet".to_owned(),
            _ => "is stopping".to_owned(),
        };
    }
    match row.end {
        End::Planned(end) if end <= now => format!("should have ended at {}", clock(end, input)),
        End::Planned(end) => format!("until {}, {} more", clock(end, input), span(end.duration_since(now))),
        End::Media(end) if row.plays_fallback() => format!("until {}, {} more", clock(end, input), span(end.duration_since(now))),
        End::Open if row.plays_fallback() => {
            let until = row.stops_at().map(|at| format!("until {} at most", clock(at, input)));
            until.unwrap_or_else(|| "until its stream is back".to_owned())
        }
        End::Media(end) if end <= now => format!("its media ended about {}", clock(end, input)),
        End::Media(end) => format!("its media ends about {}, in {}", clock(end, input), span(end.duration_since(now))),
        End::Open => "until its media ends".to_owned(),
        End::Never => "without an end".to_owned(),
    }
}

fn span(length: SignedDuration) -> String {
    short(length.as_millis())
}

/// What ends it if no daemon runs. DESIGN section 5, End: a loop is always bounded, a live source never.
fn bound(row: &Occurrence, ledger: &LedgerView, input: &StatusInput) -> String {
    let newest = ledger.task_of(row);
    match newest.and_then(|task| task.bound) {
        Some(bound) => format!("the cloud ends it at {}", clock(bound, input)),
        None if newest.is_none() => "no task id: it cannot be stopped from here".to_owned(),
        None if row.playout.live => "live, not bounded by the cloud: only a stop ends it".to_owned(),
        None if row.playout.repeat == Repeat::Forever => "the cloud's bound is not known".to_owned(),
        None => "ends with its media".to_owned(),
    }
}

/// What operators hold back, a line each.
fn held(holds: &Holds, input: &StatusInput) -> Vec<String> {
    let by = |source: &OrderSource| {
        let note = source.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("by {}{note}", source.who).replace(needs_escape, " ")
    };
    let pauses = holds.pauses(input.now).map(|pause| {
        let what = pause.job.as_ref().map_or("every job".to_owned(), ToString::to_string);
        let until = match pause.until {
            Some(until) => format!("until {}", clock(until, input)),
            None => "until somebody ends it".to_owned(),
        };
        format!("{what}: paused since {} {until}, {}", clock(pause.since, input), by(&pause.source))
    });
    let coming = holds.skips().filter(|skip| skip.start > input.now);
    let skips =
        coming.map(|skip| format!("{}: its start at {} is skipped, {}", skip.job, clock(skip.start, input), by(&skip.source)));
    pauses.chain(skips).collect()
}

fn coming(next: &[Interrupted], input: &StatusInput, width: Option<usize>) -> Vec<String> {
    let starts = next.iter().map(|listed| listed.occurrence.start.at);
    // The heading has the offset of now.
    let times = WallClock::new(&input.zone, starts.chain([input.now]));
    let narrow = [
        (0, Narrow::Stays),
        (4, Narrow::WholeOrNone),
        (1, Narrow::Stays),
        (3, Narrow::CutEnd(10)),
        (2, Narrow::CutEnd(16)),
        (5, Narrow::CutEnd(12)),
    ];
    let rows = next.iter().map(|listed| {
        let occurrence = &listed.occurrence;
        let job = &occurrence.job;
        let start = occurrence.start.at;
        let wait = format!("in {}", span(start.duration_since(input.now)));
        let until = match occurrence.end {
            plan::End::Planned(_) | plan::End::Media(_) => format!("until {}", end(occurrence, &input.zone)),
            plan::End::Open => "until its media ends".to_owned(),
            plan::End::Never => "without an end".to_owned(),
        };
        let interrupted = note(listed, &input.zone);
        let until = if interrupted.is_empty() { until } else { format!("{until}, {interrupted}") };
        let room = place(job.app.as_ref().map(|app| app.name.as_ref()), &job.room);
        [times.cell(start), wait, job.id.to_string(), room, until, job.note.as_deref().unwrap_or_default().replace('\n', " ")]
    });
    columns(narrow, rows, width)
}

/// The problems, each with what to do, and how many notes there are.
fn found(findings: &[Finding]) -> Vec<String> {
    let mut lines = Vec::new();
    let problems: Vec<&Finding> = findings.iter().filter(|finding| finding.is_problem()).collect();
    for Finding { what, advice, .. } in problems.iter().take(TROUBLE_SHOWN) {
        lines.push(what.replace(needs_escape, " "));
        lines.extend((!advice.is_empty()).then(|| format!("    {advice}")));
    }
    if let more @ 1.. = problems.len().saturating_sub(TROUBLE_SHOWN) {
        lines.push(format!("and {more} more problems"));
    }
    let notes = findings.len() - problems.len();
    let checked = if problems.is_empty() { "no problem was found" } else { "" };
    let notes = if notes == 0 { String::new() } else { format!("{}: `ingestd doctor` shows them", count(notes, "note")) };
    let last = [checked, &notes].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    lines.extend((!last.is_empty()).then_some(last));
    lines
}

fn trouble(ledger: &LedgerView, input: &StatusInput) -> Vec<String> {
    let mut lines = Vec::new();
    let shown = ledger.trouble.iter().take(TROUBLE_SHOWN);
    let times = WallClock::new(&input.zone, shown.clone().map(|row| row.key.start).chain([input.now]));
    for row in shown {
        let count = if row.count > 1 { format!(", {} times", row.count) } else { String::new() };
        let message = error_message(row).or_else(|| task_fault_words(row));
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        let room = place(Some(&row.playout.destination.app), &row.playout.room);
        let (start, job) = (times.cell(row.key.start), &row.key.job);
        lines.push(format!("{start}  {job}  {room}  {}{count}{message}", result(row)).replace(needs_escape, " "));
        lines.extend(row_advice(row, input.secrets).map(|advice| format!("    {advice}")));
    }
    if let more @ 1.. = ledger.trouble.len().saturating_sub(TROUBLE_SHOWN) {
        lines.push(format!("and {more} more: see `ingestd history`"));
    }
    lines
}
