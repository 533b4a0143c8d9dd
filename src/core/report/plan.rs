//! Occurrences to come as `plan` shows them: the JSON object of the contract, a row of a table, a line of CSV. Does not
//! know how they were found.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use super::table::{Column, Narrow, Table};
use super::time::{WallClock, brief_beside, instant, local, wall, zone_name};
use crate::plan::holds::{Held, HoldReason};
use crate::plan::interruptions::{Cut, Interrupted, Pause};
use crate::plan::{End, Planned};
use crate::schedule::Job;
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
    /// When another takes the room, by the plan, and this one is cut: at `start` if it is not started; null when nobody does. Where
    /// `end` is open: if it still plays then.
    pub cut_at: Option<String>,
    /// The job whose occurrence takes it; null when `cut_at` is.
    pub cut_by: Option<String>,
    /// When its media is over, if that is before `end` and before `cut_at`: nothing is seen from then on. Null for every other.
    pub content_end: Option<String>,
    /// The job that a chained occurrence follows; null for every other.
    pub after: Option<String>,
    /// What operators hold it back for; null when nothing does, or when that is not known.
    pub held: Option<HeldObject>,
    /// What plays instead while its media cannot be had, shown as `stream` is; null when the job has none. Not in CSV.
    pub fallback: Option<String>,
}

/// `held` of [`PlanObject`]: an operator's order, by which it is not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldObject {
    /// `skip` or `pause`.
    pub why: &'static str,
    /// When the pause is over; null for a skip, and for a pause that somebody must end.
    pub until: Option<String>,
    /// Who ordered it.
    pub by: String,
    /// The note that they gave with it.
    pub note: Option<String>,
}

impl HeldObject {
    fn new(held: &Held) -> HeldObject {
        let Held { why, until, source } = held;
        HeldObject { why: why.name(), until: until.map(instant), by: source.who.clone(), note: source.note.clone() }
    }

    fn words(&self) -> String {
        let until = self.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        let note = self.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("{}{until} by {}{note}", self.why, self.by)
    }
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
    pub fn new(listed: &Interrupted, reveal: bool) -> PlanObject {
        let occurrence = &listed.occurrence;
        let job = &occurrence.job;
        let start = occurrence.start.at;
        let stream = job.stream_at(start);
        PlanObject {
            job: job.id.to_string(),
            start: instant(start),
            end: occurrence.end.at().map(instant),
            local_start: local(start, &job.when.zone),
            timezone: zone_name(&job.when.zone).to_owned(),
            app: job.app.as_ref().map(|app| app.name.to_string()),
            sdk_app_id: job.app.as_ref().and_then(|app| app.sdk_app_id),
            room: job.room.to_string(),
            room_type: job.room.type_name(),
            robot: job.robot.expand(job.id.as_str(), &job.room, start),
            stream: stream.shown(reveal),
            region: job.region.as_ref().map(ToString::to_string),
            dst: occurrence.dst.map(crate::calendar::Dst::name),
            pauses: listed.pauses.as_ref().map(|pauses| pauses.iter().map(PauseObject::new).collect()),
            cut_at: listed.cut.as_ref().map(|cut| instant(cut.at)),
            cut_by: listed.cut.as_ref().map(|cut| cut.job.to_string()),
            content_end: listed.content_end().map(instant),
            after: job.after.as_ref().map(ToString::to_string),
            held: listed.held.as_ref().map(HeldObject::new),
            fallback: job.fallback_at(start).map(|url| url.shown(reveal)),
        }
    }
}

/// The first line of CSV: the keys of [`PlanObject`], but for `fallback`.
pub const CSV_NAMES: &str = "job,start,end,local_start,timezone,app,sdk_app_id,room,room_type,robot,stream,region,dst,pauses,\
    cut_at,cut_by,content_end,after,held";

impl PlanObject {
    /// The values under [`CSV_NAMES`]; what is null is empty. A pause is `START/END JOB`, an unknown end is `..`, as in
    /// ISO 8601; between two stands a semicolon. What holds it back is `skip by WHO: NOTE`, or `pause until END by WHO: NOTE`.
    pub fn csv(&self) -> [Cow<'_, str>; 19] {
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
            text(&self.cut_at),
            text(&self.cut_by),
            text(&self.content_end),
            text(&self.after),
            self.held.as_ref().map(HeldObject::words).unwrap_or_default().into(),
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

/// Occurrences for people, in one table or part by part in constant memory.
pub struct PlanTable {
    clock: WallClock,
    columns: Vec<Column>,
    reveal: bool,
    has_header: bool,
}

const COLUMNS: usize = 8;
/// Pauses that a cell shows; JSON has all of them.
const PAUSES_SHOWN: usize = 10;

impl PlanTable {
    /// For these occurrences and no others, times being those of `zone`.
    pub fn new(occurrences: &[Interrupted], zone: &TimeZone, reveal: bool) -> PlanTable {
        let clock = WallClock::new(zone, occurrences.iter().map(|listed| listed.occurrence.start.at));
        PlanTable { columns: columns(&clock, [0; COLUMNS]), clock, reveal, has_header: true }
    }

    /// For occurrences of these jobs, part by part: the columns are as wide as the jobs need, so that the parts fit together.
    pub fn in_parts(jobs: &[&Arc<Job>], zone: &TimeZone, reveal: bool) -> PlanTable {
        let widest = |of: &dyn Fn(&Job) -> usize| jobs.iter().map(|job| of(job)).max().unwrap_or_default();
        let clock = WallClock::of_any(zone);
        let after = widest(&|job| job.after.as_ref().map_or(0, |after| after.as_str().len()));
        let id = widest(&|job| job.id.as_str().len());
        let target = widest(&|job| target(job).width());
        let widths = [clock.width(), "00:01:30".len(), id, after, target, "repeat".len(), NOTE_WIDTH, 0];
        PlanTable { columns: columns(&clock, widths), clock, reveal, has_header: true }
    }

    /// The next rows; the first part has the header.
    pub fn part<'a>(&mut self, occurrences: impl IntoIterator<Item = &'a Interrupted>) -> Table {
        let rows = occurrences.into_iter().map(|listed| self.row(listed).to_vec()).collect();
        Table { columns: self.columns.clone(), has_header: std::mem::take(&mut self.has_header), rows }
    }

    fn row(&self, listed: &Interrupted) -> [String; COLUMNS] {
        let occurrence = &listed.occurrence;
        let job = &occurrence.job;
        let start = occurrence.start.at;
        [
            self.clock.cell(start),
            end(occurrence, self.clock.zone()),
            job.id.to_string(),
            job.after.as_ref().map_or_else(String::new, ToString::to_string),
            target(job),
            occurrence.dst.map_or("", crate::calendar::Dst::name).to_owned(),
            note(listed, self.clock.zone()),
            job.stream_at(start).shown(self.reveal),
        ]
    }
}

/// The width of a note about a cut, where others are not known yet.
const NOTE_WIDTH: usize = 24;

fn columns(clock: &WallClock, widths: [usize; COLUMNS]) -> Vec<Column> {
    let columns = [
        Column::new(clock.heading("START"), 0, Narrow::Stays),
        Column::new("END", 3, Narrow::WholeOrNone),
        Column::new("JOB", 1, Narrow::Stays),
        Column::new("AFTER", 6, Narrow::WholeOrNone),
        Column::new("ROOM", 4, Narrow::CutEnd(10)),
        Column::new("DST", 5, Narrow::WholeOrNone),
        Column::new("NOTE", 2, Narrow::CutEnd(16)),
        Column::new("STREAM", 7, Narrow::CutMiddle(32)),
    ];
    columns.into_iter().zip(widths).map(|(column, width)| Column { width, ..column }).collect()
}

/// The end on the wall clock of a zone, beside the start, or the word that stands for it.
pub(super) fn end(occurrence: &Planned, zone: &TimeZone) -> String {
    match occurrence.end {
        End::Planned(at) | End::Media(at) => brief_beside(at, occurrence.start.at, zone),
        End::Open => "open".to_owned(),
        End::Never => "never".to_owned(),
    }
}

/// What holds an occurrence back, or interrupts it, and whether its media is over before its window.
pub(super) fn note(listed: &Interrupted, zone: &TimeZone) -> String {
    let start = listed.occurrence.start.at;
    if let Some(held) = held_note(listed, zone) {
        return held;
    }
    let cut = cut_note(listed, zone).into_iter();
    let pauses = listed.pauses.as_deref().filter(|pauses| !pauses.is_empty()).map(|pauses| pauses_words(pauses, start, zone));
    cut.chain(pauses).chain(content_note(listed, zone)).collect::<Vec<_>>().join("; ")
}

/// What holds it back: by whom, until when, and why.
pub(super) fn held_note(listed: &Interrupted, zone: &TimeZone) -> Option<String> {
    let Held { why, until, source } = listed.held.as_ref()?;
    let what = match (why, until) {
        (HoldReason::Skip, _) => "skipped".to_owned(),
        (HoldReason::Pause, Some(until)) => format!("paused until {}", brief_beside(*until, listed.occurrence.start.at, zone)),
        (HoldReason::Pause, None) => "paused".to_owned(),
    };
    let note = source.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
    Some(format!("not started: {what} by {}{note}", source.who))
}

/// When its media is over, if that is before its window.
pub(super) fn content_note(listed: &Interrupted, zone: &TimeZone) -> Option<String> {
    listed.content_end().map(|at| format!("media over {}", brief_beside(at, listed.occurrence.start.at, zone)))
}

/// Who cuts it, and when.
pub(super) fn cut_note(listed: &Interrupted, zone: &TimeZone) -> Option<String> {
    let Interrupted { occurrence, cut, .. } = listed;
    let Cut { job, at } = cut.as_ref()?;
    let start = occurrence.start.at;
    if *at == start {
        return Some(format!("not started: {job} has the room"));
    }
    let by = if *job == occurrence.job.id { "its next start".to_owned() } else { job.to_string() };
    let latest = if occurrence.end == End::Open { " at the latest" } else { "" };
    Some(format!("cut {} by {by}{latest}", brief_beside(*at, start, zone)))
}

fn pauses_words(pauses: &[Pause], start: Timestamp, zone: &TimeZone) -> String {
    let words = |pause: &Pause| match pause.end {
        Some(end) => {
            format!("{} to {} by {}", brief_beside(pause.start, start, zone), brief_beside(end, pause.start, zone), pause.job)
        }
        None => format!("from {} by {}", brief_beside(pause.start, start, zone), pause.job),
    };
    let mut listed: Vec<String> = pauses.iter().take(PAUSES_SHOWN).map(words).collect();
    if let more @ 1.. = pauses.len().saturating_sub(PAUSES_SHOWN) {
        listed.push(format!("and {more} more"));
    }
    format!("paused {}", listed.join(", "))
}

/// What to say beside a range without a start. `next` is the first start after it, if there is one.
pub fn next_start(next: Option<&Planned>, zone: &TimeZone) -> String {
    match next {
        Some(next) => format!("the next start is of `{}` at {}", next.job.id, wall(next.start.at, zone)),
        None => "there is none after it either".to_owned(),
    }
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
