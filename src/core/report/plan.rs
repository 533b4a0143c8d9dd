//! Occurrences to come as `plan` shows them: the JSON object of the contract, a row of a table, a line of CSV. Does not
//! know how they were found.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::table::Table;
use super::time::{instant, local};
use crate::plan::pauses::{Pause, WithPauses};
use crate::plan::{End, Planned};
use crate::schedule::{Conflict, Job};
use crate::trtc::Room;

/// One occurrence as programs read it. The keys and their order are the contract.
#[derive(Clone, Debug, Serialize)]
pub struct PlanObject {
    /// The job's id.
    pub job: String,
    /// The start.
    pub start: String,
    /// The end of the window; null when it is open.
    pub end: Option<String>,
    /// The start in the job's zone, with its offset.
    pub local_start: String,
    /// The job's zone.
    pub timezone: String,
    /// The name of the application; null when no settings were at hand and the job names none.
    pub app: Option<String>,
    /// Its `SdkAppId`; null when no settings were at hand.
    pub sdk_app_id: Option<u64>,
    /// The room's id.
    pub room: String,
    /// `integer` or `string`.
    pub room_type: &'static str,
    /// The robot.
    pub robot: String,
    /// The media, without what may be secret in it unless it is to be revealed.
    pub stream: String,
    /// The region; null when no settings were at hand and the job names none.
    pub region: Option<String>,
    /// Null, `gap` or `repeat`.
    pub dst: Option<&'static str>,
    /// When others have the room of a yielding occurrence, by the plan; null for every other.
    pub pauses: Option<Vec<PauseObject>>,
    /// The job that a chained occurrence follows; null for every other.
    pub after: Option<String>,
}

/// An entry of `pauses` of [`PlanObject`].
#[derive(Clone, Debug, Serialize)]
pub struct PauseObject {
    /// The job whose occurrence has the room.
    pub job: String,
    /// From when on.
    pub start: String,
    /// Until when; null when that is unknown, or when it has no end.
    pub end: Option<String>,
}

impl PauseObject {
    fn new(pause: &Pause) -> PauseObject {
        PauseObject { job: pause.job.to_string(), start: instant(pause.start), end: pause.end.map(instant) }
    }
}

impl PlanObject {
    /// Of an occurrence. `reveal` shows the whole stream URL.
    pub fn new(listed: &WithPauses, reveal: bool) -> PlanObject {
        let occurrence = &listed.occurrence;
        let job = &occurrence.job;
        let start = occurrence.start.at;
        let stream = job.stream_at(start);
        PlanObject {
            job: job.id.to_string(),
            start: instant(start),
            end: occurrence.end.at().map(instant),
            local_start: local(start, &job.when.zone),
            timezone: job.when.zone.iana_name().unwrap_or("UTC").to_owned(),
            app: job.app.as_ref().map(|app| app.name.to_string()),
            sdk_app_id: job.app.as_ref().and_then(|app| app.sdk_app_id),
            room: job.room.to_string(),
            room_type: job.room.type_name(),
            robot: job.robot.expand(job.id.as_str(), &job.room, start),
            stream: stream.shown(reveal),
            region: job.region.as_ref().map(ToString::to_string),
            dst: occurrence.dst.map(crate::calendar::Dst::name),
            pauses: listed.pauses.as_ref().map(|pauses| pauses.iter().map(PauseObject::new).collect()),
            after: job.after.as_ref().map(ToString::to_string),
        }
    }
}

/// The first line of CSV: the keys of [`PlanObject`].
pub const CSV_NAMES: &str = "job,start,end,local_start,timezone,app,sdk_app_id,room,room_type,robot,stream,region,dst,pauses,after";

impl PlanObject {
    /// The values under [`CSV_NAMES`]; what is null is empty. A pause is `START/END JOB`, an unknown end is `..`, as in
    /// ISO 8601; between two stands a semicolon.
    pub fn csv(&self) -> [Cow<'_, str>; 15] {
        let text = |text: &'_ Option<String>| text.clone().unwrap_or_default().into();
        [
            (&self.job).into(),
            (&self.start).into(),
            text(&self.end),
            (&self.local_start).into(),
            (&self.timezone).into(),
            text(&self.app),
            self.sdk_app_id.map(|id| id.to_string()).unwrap_or_default().into(),
            (&self.room).into(),
            self.room_type.into(),
            (&self.robot).into(),
            (&self.stream).into(),
            text(&self.region),
            self.dst.unwrap_or_default().into(),
            self.pauses.iter().flatten().map(pause).collect::<Vec<_>>().join("; ").into(),
            text(&self.after),
        ]
    }
}

/// A line of CSV (RFC 4180) without its end: what holds a comma, a quote or a line end is quoted.
pub fn csv_line<T: AsRef<str>>(values: &[T]) -> String {
    let quoted = values.iter().map(|value| match value.as_ref() {
        plain if !plain.contains([',', '"', '\n', '\r']) => Cow::from(plain),
        text => format!("\"{}\"", text.replace('"', "\"\"")).into(),
    });
    quoted.collect::<Vec<_>>().join(",")
}

/// Occurrences for people, part by part in constant memory. The columns are as wide as the jobs need, so parts fit together.
pub struct PlanTable {
    reveal: bool,
    header: bool,
    /// Which columns there are: those for what a job follows and for pauses only where a job can have some.
    shown: [bool; COLUMNS],
    widths: Vec<usize>,
}

const COLUMNS: usize = 8;
const HEADER: [&str; COLUMNS] = ["START", "END", "JOB", "AFTER", "ROOM", "DST", "PAUSES", "STREAM"];
/// Pauses that a cell shows, one a line; JSON has all of them.
const PAUSES_SHOWN: usize = 10;

impl PlanTable {
    /// For occurrences of these jobs.
    pub fn new(jobs: &[&Arc<Job>], reveal: bool) -> PlanTable {
        let widest = |of: &dyn Fn(&Job) -> usize| jobs.iter().map(|job| of(job)).max().unwrap_or_default();
        let start = "2026-11-22 18:00:00 +08:00".len();
        let after = widest(&|job| job.after.as_ref().map_or(0, |after| after.as_str().len()));
        let pauses = jobs.iter().any(|job| job.policy.conflict == Conflict::Yield);
        let pause = "2026-11-22 18:00:00 to 20:00:00".len();
        let id = widest(&|job| job.id.as_str().len());
        let target = widest(&|job| target(job).len());
        // The last is as wide as there is room.
        let widths = [start, "20:00:00".len(), id, after.max("AFTER".len()), target, "repeat".len(), pause, 0];
        let shown = [true, true, true, after > 0, true, true, pauses, true];
        let widths = widths.into_iter().zip(shown).take(COLUMNS - 1).filter(|(_, shown)| *shown);
        PlanTable { reveal, header: true, shown, widths: widths.map(|(width, _)| width).collect() }
    }

    /// The next rows; the first part has the header.
    pub fn part(&mut self, occurrences: impl Iterator<Item = WithPauses>) -> Table {
        let header = if std::mem::take(&mut self.header) { self.columns(HEADER.map(str::to_owned)).collect() } else { Vec::new() };
        let rows = occurrences.map(|occurrence| self.columns(self.row(&occurrence)).collect()).collect();
        Table { header, rows, min_widths: self.widths.clone() }
    }

    /// The cells of a row that are shown.
    fn columns<T>(&self, row: [T; COLUMNS]) -> impl Iterator<Item = T> {
        row.into_iter().zip(self.shown).filter(|(_, shown)| *shown).map(|(cell, _)| cell)
    }

    fn row(&self, listed: &WithPauses) -> [String; COLUMNS] {
        let occurrence = &listed.occurrence;
        let job = &occurrence.job;
        let stream = job.stream_at(occurrence.start.at);
        [
            start(occurrence),
            end(occurrence),
            job.id.to_string(),
            job.after.as_ref().map_or_else(String::new, ToString::to_string),
            target(job),
            occurrence.dst.map_or("", crate::calendar::Dst::name).to_owned(),
            listed.pauses.as_ref().map_or_else(String::new, |pauses| cell(occurrence, pauses)),
            stream.shown(self.reveal),
        ]
    }
}

/// The start on the wall clock of its zone, with the offset.
pub(super) fn start(occurrence: &Planned) -> String {
    let start = local(occurrence.start.at, &occurrence.job.when.zone);
    let (date, offset) = start.split_at(start.len() - 6);
    format!("{} {offset}", date.replace('T', " "))
}

/// The end on the same clock, or the words that stand for it.
pub(super) fn end(occurrence: &Planned) -> String {
    match occurrence.end {
        End::Planned(at) | End::Media(at) => clock(occurrence, occurrence.start.at, at),
        End::Open => "open".to_owned(),
        End::Never => "never".to_owned(),
    }
}

/// An instant on the wall clock of an occurrence's zone, with its date if that is not the one of `since`.
pub(super) fn clock(occurrence: &Planned, since: Timestamp, at: Timestamp) -> String {
    let zone = &occurrence.job.when.zone;
    let local = zone.to_datetime(at);
    let form = if local.date() == zone.to_datetime(since).date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    local.strftime(form).to_string()
}

/// The pauses of an occurrence, one a line.
fn cell(occurrence: &Planned, pauses: &[Pause]) -> String {
    let line = |pause: &Pause| {
        let start = clock(occurrence, occurrence.start.at, pause.start);
        let end = pause.end.map(|end| format!(" to {}", clock(occurrence, pause.start, end))).unwrap_or_default();
        format!("{start}{end} {}", pause.job)
    };
    let mut lines: Vec<String> = pauses.iter().take(PAUSES_SHOWN).map(line).collect();
    if let more @ 1.. = pauses.len().saturating_sub(PAUSES_SHOWN) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn pause(pause: &PauseObject) -> String {
    format!("{}/{} {}", pause.start, pause.end.as_deref().unwrap_or(".."), pause.job)
}

fn target(job: &Job) -> String {
    place(job.app.as_ref().map(|app| app.name.as_ref()), &job.room)
}

/// Where something plays, so that a string room of digits is not taken for an integer room: `main/lobby`, `main/42`,
/// `main/"42"`.
pub(super) fn place(app: Option<&str>, room: &Room) -> String {
    let app = app.map(|app| format!("{app}/")).unwrap_or_default();
    match room {
        Room::Text(room) if room.bytes().all(|byte| byte.is_ascii_digit()) => format!("{app}\"{room}\""),
        room => format!("{app}{room}"),
    }
}
