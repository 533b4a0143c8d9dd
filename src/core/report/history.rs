//! As-run rows as `history` shows them: the JSON object of the contract, a line of CSV, a row of a table. Does not know
//! how they were found.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::plan::place;
use super::table::{Column, Narrow, Table};
use super::time::{WallClock, instant, wall_beside};
use crate::occurrence::{Evidence, Occurrence, Played, State, StreamTrouble, TaskStep};

/// One row as programs read it. The keys and their order are the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryObject {
    /// The job's id.
    pub job: String,
    /// The planned start.
    pub start: String,
    /// The end of the window; null when it is open.
    pub end: Option<String>,
    /// `planned`, `fired` or `summary`.
    pub kind: &'static str,
    /// `armed`, `calling`, `waiting`, `on_air`, `stopping` or `done`.
    pub state: &'static str,
    /// `ended`, `cut`, `failed`, `missed` or `skipped`; null until the state is `done`.
    pub outcome: Option<&'static str>,
    /// Why it ended so; null until the state is `done`.
    pub reason: Option<String>,
    /// Milliseconds from the start to the first request; null when none was sent.
    pub late_ms: Option<i64>,
    /// When the first request was sent.
    pub first_sent_at: Option<String>,
    /// When the accepting answer came.
    pub on_air_at: Option<String>,
    /// When it went off the air, or its attempts ended.
    pub ended_at: Option<String>,
    /// All its start requests.
    pub attempts: u32,
    /// Times it was put on air again.
    pub restarts: u32,
    /// Whether a start of it was ever in doubt.
    pub in_doubt: bool,
    /// The newest task's id.
    pub task_id: Option<String>,
    /// When a callback said that it plays; null where callbacks are off, or none came.
    pub confirmed_at: Option<String>,
    /// What shows that it was on air: `confirmed` (a callback said so), `seen` (a Describe said `InProgress`), `unpulled` (a callback
    /// said that its media cannot be pulled, and nothing took that back) or `unseen` (its start was accepted, and nothing more was
    /// said). Null when it never was on air, and in rows of a version that did not record it.
    pub evidence: Option<&'static str>,
    /// The name of the application.
    pub app: String,
    /// The region.
    pub region: String,
    /// The room's id.
    pub room: String,
    /// `integer` or `string`.
    pub room_type: &'static str,
    /// The robot.
    pub robot: String,
    /// The media, without what may be secret in it.
    pub stream: String,
    /// The code of the last fault.
    pub error_code: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
    /// The RequestId of the last answer.
    pub request_id: Option<String>,
    /// What the describes of its task fail with, or what its stops failed with last; null when nothing is wrong with them.
    pub task_fault: Option<TaskFaultObject>,
    /// The generation of the schedule it came from.
    pub generation: i64,
    /// How many occurrences it stands for; more than 1 only for summaries.
    pub count: u32,
    /// Who gave the order that started it, cut it, or held it back, such as `uid 1000 (anna)`; null when no order did, and in rows of a
    /// version that did not record it.
    pub by: Option<String>,
    /// The note that they gave with it.
    pub note: Option<String>,
    /// What it played when, oldest first: its stream, or its fallback. Empty while it was never on air.
    pub streams: Vec<StreamObject>,
    /// Why its fallback plays, or is to; null while its stream does.
    pub fallback: Option<FallbackObject>,
}

/// One of `streams` of [`HistoryObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamObject {
    /// The URL, without what may be secret in it.
    pub stream: String,
    /// Since when. Short interruptions, after which the same is put on air again, are not told apart.
    pub from: String,
    /// Until when; null while it plays.
    pub to: Option<String>,
}

/// `fallback` of [`HistoryObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FallbackObject {
    /// Since when its stream cannot be had.
    pub since: String,
    /// `preflight` (a look before the start did not find it), `refused` (TRTC answered `InvalidParameter.StreamUrl`) or `unpulled` (a
    /// callback said that TRTC cannot pull it).
    pub why: &'static str,
    /// The URL that plays instead, without what may be secret in it.
    pub stream: String,
}

impl FallbackObject {
    fn new(occurrence: &Occurrence) -> Option<FallbackObject> {
        let StreamTrouble { since, why } = occurrence.fallback.trouble.filter(|_| !occurrence.is_done())?;
        let url = occurrence.playout.scheduled().fallback.as_ref()?;
        Some(FallbackObject { since: instant(since), why: why.name(), stream: url.redacted() })
    }
}

/// What it played when, each with its end if that is known. A show that never played its fallback played its stream all the time.
fn played(occurrence: &Occurrence) -> Vec<Played> {
    let record = &occurrence.fallback.played;
    match occurrence.on_air_at {
        Some(from) if record.is_empty() => {
            vec![Played { url: occurrence.playout.stream.clone(), from, to: occurrence.ended_at }]
        }
        _ => record.clone(),
    }
}

/// `task_fault` of [`HistoryObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskFaultObject {
    /// `stop` or `describe`.
    pub action: &'static str,
    /// The vendor's code; null when none came.
    pub code: Option<String>,
    /// Its message, or ours.
    pub message: String,
    /// When it came first.
    pub since: String,
    /// How many times in a row it came. It is written when it is a power of two, so that it may be nearly twice as many.
    pub count: u32,
}

impl HistoryObject {
    /// Of a row.
    pub fn new(occurrence: &Occurrence) -> HistoryObject {
        let playout = &occurrence.playout;
        let outcome = match &occurrence.state {
            State::Done { outcome } => Some(outcome),
            _ => None,
        };
        let late_ms = |sent: Timestamp| sent.as_millisecond() - occurrence.key.start.as_millisecond();
        HistoryObject {
            job: occurrence.key.job.to_string(),
            start: instant(occurrence.key.start),
            end: occurrence.end.at().map(instant),
            kind: occurrence.kind.name(),
            state: occurrence.state.name(),
            outcome: outcome.map(crate::occurrence::Outcome::name),
            reason: outcome.map(|outcome| outcome.reason().to_owned()),
            late_ms: occurrence.first_sent_at.map(late_ms),
            first_sent_at: occurrence.first_sent_at.map(instant),
            on_air_at: occurrence.on_air_at.map(instant),
            ended_at: occurrence.ended_at.map(instant),
            attempts: occurrence.attempts,
            restarts: occurrence.restarts,
            in_doubt: occurrence.was_in_doubt,
            task_id: occurrence.task_id.clone(),
            confirmed_at: occurrence.confirmed_at.map(instant),
            evidence: occurrence.evidence.map(Evidence::name),
            app: playout.destination.app.clone(),
            region: playout.destination.region.clone(),
            room: playout.room.to_string(),
            room_type: playout.room.type_name(),
            robot: playout.robot.clone(),
            stream: playout.scheduled().stream.redacted(),
            error_code: occurrence.fault.as_ref().and_then(|fault| fault.code.clone()),
            error_message: error_message(occurrence),
            request_id: occurrence.request_id.clone(),
            task_fault: occurrence.task_fault.as_ref().map(|fault| TaskFaultObject {
                action: fault.step.action().word(),
                code: fault.code.clone(),
                message: playout.mask(&fault.message),
                since: instant(fault.since),
                count: fault.in_a_row,
            }),
            generation: occurrence.generation,
            count: occurrence.count,
            by: occurrence.ordered_by.clone(),
            note: occurrence.order_note.clone(),
            streams: played(occurrence).into_iter().map(StreamObject::new).collect(),
            fallback: FallbackObject::new(occurrence),
        }
    }
}

impl StreamObject {
    fn new(Played { url, from, to }: Played) -> StreamObject {
        StreamObject { stream: url.redacted(), from: instant(from), to: to.map(instant) }
    }
}

impl TaskFaultObject {
    /// In one text: `stop: CODE (message)`.
    fn words(&self) -> String {
        let TaskFaultObject { action, code, message, .. } = self;
        match code {
            Some(code) if message.is_empty() => format!("{action}: {code}"),
            Some(code) => format!("{action}: {code} ({message})"),
            None => format!("{action}: {message}"),
        }
    }
}

/// What a show played its fallback for, and how long, in words; nothing for one that never did.
pub(super) fn fallback_words(occurrence: &Occurrence) -> Option<String> {
    let trouble = occurrence.fallback.trouble.filter(|_| !occurrence.is_done());
    let because = trouble.map(|trouble| format!("its stream cannot be had: {}", trouble.why.words()));
    let of_fallback = |played: &&Played| played.url != occurrence.playout.scheduled().stream;
    let times: Vec<&Played> = occurrence.fallback.played.iter().filter(of_fallback).collect();
    let plays = times.last().is_some_and(|last| last.to.is_none());
    let length = |played: &Played| played.to.map(|to| to.duration_since(played.from).as_millis()).unwrap_or_default();
    let total: i128 = times.iter().map(|played| length(played)).sum();
    let told = match times.len() {
        0 => None,
        _ if plays => Some("plays its fallback".to_owned()),
        1 => Some(format!("played its fallback for {}", short(total))),
        count => Some(format!("played its fallback {count} times, {} in all", short(total))),
    };
    let words: Vec<String> = told.into_iter().chain(because).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// What is wrong with the requests for its task, in words: `its stop is refused: CODE (message)`.
pub(super) fn task_fault_words(occurrence: &Occurrence) -> Option<String> {
    let fault = occurrence.task_fault.as_ref()?;
    let stopped = occurrence.is_done() && fault.step == TaskStep::Stop;
    let verb = match (stopped, fault.code.is_some()) {
        (true, true) => "was refused",
        (true, false) => "failed",
        (false, _) => fault.verb(),
    };
    let what = if fault.step == TaskStep::Stop { "its stop" } else { "the look at it" };
    Some(occurrence.playout.mask(&format!("{what} {verb}: {}", fault.words())))
}

/// The last fault's message. The vendor may quote the URL that it was sent, so the URL is redacted here as everywhere.
pub(super) fn error_message(occurrence: &Occurrence) -> Option<String> {
    occurrence.fault.as_ref().map(|fault| occurrence.playout.mask(&fault.message))
}

/// The first line of CSV: the keys of [`HistoryObject`], but for `streams` and `fallback`, which are no single values.
pub const CSV_NAMES: &str = "job,start,end,kind,state,outcome,reason,late_ms,first_sent_at,on_air_at,ended_at,attempts,restarts,\
    in_doubt,task_id,confirmed_at,evidence,app,region,room,room_type,robot,stream,error_code,error_message,request_id,task_fault,\
    generation,count,by,note";

impl HistoryObject {
    /// The values under [`CSV_NAMES`]; what is null is empty.
    pub fn csv(&self) -> [Cow<'_, str>; 31] {
        let text = |text: &Option<String>| Cow::from(text.clone().unwrap_or_default());
        [
            (&self.job).into(),
            (&self.start).into(),
            text(&self.end),
            self.kind.into(),
            self.state.into(),
            self.outcome.unwrap_or_default().into(),
            text(&self.reason),
            self.late_ms.map(|late| late.to_string()).unwrap_or_default().into(),
            text(&self.first_sent_at),
            text(&self.on_air_at),
            text(&self.ended_at),
            self.attempts.to_string().into(),
            self.restarts.to_string().into(),
            self.in_doubt.to_string().into(),
            text(&self.task_id),
            text(&self.confirmed_at),
            self.evidence.unwrap_or_default().into(),
            (&self.app).into(),
            (&self.region).into(),
            (&self.room).into(),
            self.room_type.into(),
            (&self.robot).into(),
            (&self.stream).into(),
            text(&self.error_code),
            text(&self.error_message),
            text(&self.request_id),
            self.task_fault.as_ref().map(TaskFaultObject::words).unwrap_or_default().into(),
            self.generation.to_string().into(),
            self.count.to_string().into(),
            text(&self.by),
            text(&self.note),
        ]
    }
}

/// Rows for people, times being those of `zone`.
pub fn table<'a>(occurrences: impl IntoIterator<Item = &'a Occurrence, IntoIter: Clone>, zone: &TimeZone) -> Table {
    let occurrences = occurrences.into_iter();
    let clock = WallClock::new(zone, occurrences.clone().map(|occurrence| occurrence.key.start));
    Table {
        columns: vec![
            Column::new(clock.heading("START"), 0, Narrow::Stays),
            Column::new("JOB", 1, Narrow::Stays),
            Column::new("ROOM", 3, Narrow::CutEnd(10)),
            Column::new("RESULT", 2, Narrow::CutEnd(24)),
            Column::new("LATE", 6, Narrow::WholeOrNone),
            Column::new("TRIES", 7, Narrow::WholeOrNone),
            Column::new("ON AIR", 5, Narrow::WholeOrNone),
            Column::new("NOTE", 4, Narrow::CutEnd(24)),
        ],
        has_header: true,
        rows: occurrences.map(|occurrence| row(occurrence, &clock).to_vec()).collect(),
    }
}

fn row(occurrence: &Occurrence, clock: &WallClock) -> [String; 8] {
    let playout = &occurrence.playout;
    let late = occurrence.first_sent_at.map(|sent| sent.duration_since(occurrence.key.start));
    [
        clock.cell(occurrence.key.start),
        occurrence.key.job.to_string(),
        place(Some(&playout.destination.app), &playout.room),
        result(occurrence),
        late.map(|late| short(late.as_millis())).unwrap_or_default(),
        if occurrence.attempts == 0 { String::new() } else { occurrence.attempts.to_string() },
        on_air(occurrence, clock.zone()),
        note(occurrence),
    ]
}

/// The outcome with its reason, or else the state.
pub(super) fn result(occurrence: &Occurrence) -> String {
    match &occurrence.state {
        State::Done { outcome } => {
            let note = occurrence.evidence_note().map(|note| format!(", {note}")).unwrap_or_default();
            format!("{} ({}){note}", outcome.name(), outcome.reason())
        }
        State::OnAir if occurrence.plays_fallback() => "on air with its fallback".to_owned(),
        State::Waiting { why, .. } => format!("waiting ({})", why.name()),
        State::OnAir => "on air".to_owned(),
        state => state.name().to_owned(),
    }
}

/// A length of milliseconds in the unit that is easiest to read.
pub(super) fn short(milliseconds: i128) -> String {
    let seconds = milliseconds / 1000;
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600_000..172_800_000 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// From when to when, with a date where it is not that of the start.
fn on_air(occurrence: &Occurrence, zone: &TimeZone) -> String {
    let Some(from) = occurrence.on_air_at else { return String::new() };
    let until = occurrence.ended_at.map(|until| wall_beside(until, from, zone)).unwrap_or_default();
    format!("{} - {until}", wall_beside(from, occurrence.key.start, zone)).trim_end().to_owned()
}

fn note(occurrence: &Occurrence) -> String {
    let mut notes = Vec::new();
    if occurrence.count > 1 {
        notes.push(format!("stands for {} occurrences", occurrence.count));
    }
    let order_note = occurrence.order_note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    notes.extend(occurrence.ordered_by.iter().map(|who| format!("by {who}{order_note}")));
    notes.extend(fallback_words(occurrence));
    if occurrence.restarts > 0 {
        notes.push(match occurrence.restarts {
            1 => "restarted once".to_owned(),
            restarts => format!("restarted {restarts} times"),
        });
    }
    if occurrence.in_doubt {
        notes.push("may be on air".to_owned());
    } else if occurrence.was_in_doubt {
        notes.push("was in doubt".to_owned());
    }
    if occurrence.on_air_at.is_some() && occurrence.task_id.is_none() {
        notes.push("no task id".to_owned());
    }
    if !occurrence.is_done() && occurrence.evidence == Some(Evidence::Unpulled) {
        notes.push("its media cannot be pulled".to_owned());
    }
    notes.extend(task_fault_words(occurrence));
    notes.extend(error_message(occurrence));
    notes.join("; ")
}
