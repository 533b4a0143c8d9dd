//! What the ledger has about an occurrence, in words: its row, or why it has none. Does not know the question.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::history::{error_message, fallback_words, result, short, task_fault_words};
use super::super::time::brief_beside;
use super::words::moment;
use crate::advice::row_advice;
use crate::engine::RecordedRetry;
use crate::occurrence::{
    Evidence, Failure, Kind, MissedReason, Occurrence, OpenDoubt, Outcome, Played, SkippedReason, State, WaitReason,
};
use crate::plan::holds::Holds;
use crate::trtc::advice::SecretPlaces;

/// What the ledger has about a job: as much as the answer needs.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Rows by the starts for which they stand.
    pub rows: BTreeMap<Timestamp, Occurrence>,
    /// Starts in doubt whose task may play now, after its occurrence or beside another task of it.
    pub doubts: Vec<OpenDoubt>,
    /// The newest row that starts at the instant or before.
    pub latest: Option<Occurrence>,
    /// Every occurrence that starts before it has a row or needs none; `None` in a new ledger.
    pub cursor: Option<Timestamp>,
    /// When the ledger first saw any job.
    pub began: Option<Timestamp>,
    /// When it first saw this one.
    pub first_seen: Option<Timestamp>,
    /// What operators hold back.
    pub holds: Holds,
    /// What gave the rows that start then another chance.
    pub retries: BTreeMap<Timestamp, Vec<RecordedRetry>>,
}

impl Record {
    /// Why a planned start has no row.
    pub(super) fn absence(&self, start: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
        let time = |at: Timestamp| moment(at, zone);
        match (self.cursor, self.began, self.first_seen) {
            (Some(cursor), ..) if start >= cursor && start <= now => {
                format!("no row: only what starts before {} is settled; does the daemon run?", time(cursor))
            }
            (Some(_) | None, ..) if start > now => "no row yet: it is still to come".to_owned(),
            (None, ..) => "no row: the ledger is new, and nothing has been settled".to_owned(),
            (Some(_), Some(began), _) if start < began => format!("no row: the ledger began after it, {}", time(began)),
            (Some(_), _, Some(seen)) if start < seen => {
                format!("no row: it was not planned then; the daemon first saw this job after it, {}", time(seen))
            }
            (Some(_), _, None) => "no row: it was not planned then; the daemon has never seen this job".to_owned(),
            (Some(_), ..) => {
                "no row: it was not planned then; when it passed, the job was off, or planned otherwise, in the schedule that was in force"
                    .to_owned()
            }
        }
    }
}

/// Whether a row is a summary that stands for this start too.
pub fn stands_for(row: &Occurrence, start: Timestamp) -> bool {
    row.kind == Kind::Summary && row.key.start <= start && row.end.at().is_some_and(|end| start < end)
}

/// A row in one short phrase: its outcome or its state.
pub(super) fn phrase(row: &Occurrence) -> String {
    result(row)
}

/// A row in sentences, each a line: what happened, its error and what to do about it, doubt, task.
pub(super) fn sentences(row: &Occurrence, doubts: &[OpenDoubt], zone: &TimeZone, secrets: SecretPlaces) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", phrase(row), meaning(row, zone))];
    if row.kind == Kind::Summary {
        lines.push(format!("the row is a summary of {} starts that were missed for one reason", row.count));
    }
    if row.kind == Kind::Fired {
        lines.push("an operator started it: no rule of the schedule did".to_owned());
    }
    if row.attempts > 0 {
        let late = row.first_sent_at.map(|sent| {
            let late = sent.duration_since(row.key.start).as_millis();
            if late < 0 {
                format!(", the first {} early", short(-late))
            } else {
                format!(", the first {} after the start", short(late))
            }
        });
        let tries = if row.attempts == 1 { "1 attempt".to_owned() } else { format!("{} attempts", row.attempts) };
        let restarts = match row.restarts {
            0 => String::new(),
            1 => "; put on air again once".to_owned(),
            times => format!("; put on air again {times} times"),
        };
        lines.push(format!("{tries}{}{restarts}", late.unwrap_or_default()));
    }
    if let Some(fault) = &row.fault {
        let code = fault.code.as_ref().map(|code| format!("{code}: ")).unwrap_or_default();
        lines.push(format!("last error: {code}{}", error_message(row).unwrap_or_default()));
    }
    if let (Some(words), Some(fault)) = (task_fault_words(row), &row.task_fault) {
        let count = if fault.in_a_row == 1 { "once".to_owned() } else { format!("{} times", fault.in_a_row) };
        lines.push(format!("{words}, {count} since {}", brief_beside(fault.since, row.key.start, zone)));
    }
    if !row.is_done() && row.evidence == Some(Evidence::Unpulled) {
        lines.push("TRTC cannot pull its media".to_owned());
    }
    lines.extend(fallback_words(row).map(|words| format!("fallback: {words}")));
    lines.extend(played_words(row, zone));
    lines.extend(row_advice(row, secrets).map(|advice| format!("what to do: {advice}")));
    let open: Vec<_> = doubts.iter().filter(|doubt| doubt.key == row.key).collect();
    if row.in_doubt {
        lines.push("in doubt: no answer proves whether a start that was sent began, so it may be on air".to_owned());
    } else if row.was_in_doubt && open.is_empty() {
        lines.push("a start of it was in doubt for a time".to_owned());
    }
    lines.extend(OpenDoubt::describe(&open, |at| moment(at, zone)).map(|text| format!("still in doubt: {text}")));
    let region = &row.playout.destination.region;
    lines.extend(row.task_id.as_ref().map(|task| format!("task {task}, in {region}")));
    lines
}

/// What it played when, where that changed: a line each.
fn played_words<'a>(row: &'a Occurrence, zone: &'a TimeZone) -> impl Iterator<Item = String> + 'a {
    let time = |at: Timestamp| brief_beside(at, row.key.start, zone);
    row.fallback.played.iter().map(move |Played { url, from, to }| {
        let what = if *url == row.playout.scheduled().stream { "its stream" } else { "its fallback" };
        let until = to.map_or("on".to_owned(), |to| format!("to {}", time(to)));
        format!("{what} {} played from {} {until}", url.redacted(), time(*from))
    })
}

/// What gave the row that starts then another chance, a line each.
pub(super) fn retries(retries: &[RecordedRetry], start: Timestamp, zone: &TimeZone) -> impl Iterator<Item = String> {
    let line = move |RecordedRetry { at, who, why }: &RecordedRetry| {
        format!("tried again at {} by {who}: {why}", brief_beside(*at, start, zone))
    };
    retries.iter().map(line)
}

fn meaning(row: &Occurrence, zone: &TimeZone) -> String {
    let time = |at: Timestamp| brief_beside(at, row.key.start, zone);
    let span = match (row.on_air_at, row.ended_at) {
        // When it vanished is not known of what was tried again until its window closed.
        (Some(from), Some(until)) if is_lost(row) => format!("on air from {}, and not any more at {}", time(from), time(until)),
        (Some(from), Some(until)) => format!("on air from {} to {}", time(from), time(until)),
        (Some(from), None) => format!("on air since {}", time(from)),
        (None, _) => "never on air".to_owned(),
    };
    match &row.state {
        State::Armed => "its request is ready, or was just sent".to_owned(),
        State::Calling => "a start was sent, and its answer is awaited".to_owned(),
        State::Waiting { why: WaitReason::Retry | WaitReason::Restart, .. } if row.has_no_tries_left() => {
            "`retry.attempts` are used up; an edit of what is sent or of `retry`, or other secrets, give it new ones".to_owned()
        }
        State::Waiting { until, why: WaitReason::Retry } => {
            format!("the last attempt failed, and the next leaves at {}", time(*until))
        }
        State::Waiting { why: WaitReason::Yield, .. } => "another job has the room, and it returns after that".to_owned(),
        State::Waiting { until, why: WaitReason::Restart } => {
            format!("it is off the air, and its next start leaves at {}", time(*until))
        }
        State::OnAir => span,
        State::Stopping { .. } => format!("{span}, and stopping: it is not known to be off the air"),
        State::Done { outcome } => match cause(outcome) {
            cause if row.on_air_at.is_some() => format!("{span}; {cause}{}{}", by(row), unseen(row)),
            cause => format!("{cause}{}", by(row)),
        },
    }
}

/// Whether it vanished for good.
fn is_lost(row: &Occurrence) -> bool {
    matches!(row.state, State::Done { outcome: Outcome::Failed(Failure::Lost) })
}

/// Who gave the order.
fn by(row: &Occurrence) -> String {
    let note = row.order_note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
    row.ordered_by.as_ref().map_or_else(String::new, |who| format!(", by the order of {who}{note}"))
}

/// What is to be said beside the cause, where nobody saw it on air.
fn unseen(row: &Occurrence) -> &'static str {
    match row.evidence.filter(|_| row.evidence_note().is_some()) {
        Some(Evidence::Unpulled) => "; but TRTC said that it cannot pull its media, and never took that back",
        Some(Evidence::Unseen) => "; but only the answer to its start says that it was on air",
        Some(Evidence::Confirmed | Evidence::Seen) | None => "",
    }
}

fn cause(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::EndedPlanned => "it reached its planned end",
        Outcome::EndedMedia => "its media came to its end",
        Outcome::EndedUnverified => "its end came, and it is not verified that it left the air",
        Outcome::CutOperator => "an operator took it off the air",
        Outcome::CutPreempted => "a later start took its room",
        Outcome::CutRemoved => "its start left the schedule while it was on air",
        Outcome::CutEdited => "an edit moved its end into the past",
        Outcome::Failed(Failure::Code(_)) => "none of its attempts was accepted",
        Outcome::Failed(Failure::Unreachable) => "no request ever reached the endpoint",
        Outcome::Failed(Failure::InDoubt) => "a start was sent, and it was never proved whether it began",
        Outcome::Failed(Failure::Lost) => Failure::LOST,
        Outcome::Missed(MissedReason::Down) => "no daemon ran while it could be started, or its job was not in the schedule",
        Outcome::Missed(MissedReason::Late) => "its turn came too late: `late: skip`, or too near its end",
        Outcome::Missed(MissedReason::Limit) => "it never got through the rate limit",
        Outcome::Missed(MissedReason::Clock) => "starts were held, because the clock could not be trusted",
        Outcome::Missed(MissedReason::Disk) => "starts were held, because the ledger could not be written",
        Outcome::Missed(MissedReason::ContentOver) => "its media would have been over by then",
        Outcome::Missed(MissedReason::Restored) => "the ledger was restored from a backup that is older",
        Outcome::Skipped(SkippedReason::Paused) => "its job was paused by an operator",
        Outcome::Skipped(SkippedReason::Operator) => "an operator skipped it",
        Outcome::Skipped(SkippedReason::Conflict) => "another occurrence had the room, or a later window of the job was open too",
    }
}
