//! Occurrences to come as `plan` shows them: for programs ([`PlanObject`]), and as rows of a table. Does not know how they were found.

mod csv;
mod object;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr as _;

use super::table::{Column, Narrow, Table};
use super::time::{WallClock, brief_beside, wall};
use crate::plan::holds::{Held, HoldReason};
use crate::plan::interruptions::{Cut, Interrupted, Pause};
use crate::plan::{End, Planned};
use crate::schedule::Job;
use crate::trtc::Room;
pub use csv::{CsvLine, csv_line};
pub use object::{CSV_NAMES, PlanObject, PlanObjects};

/// Occurrences for people, in one table or part by part in constant memory.
pub struct PlanTable {
    clock: WallClock,
    columns: Vec<Column>,
    objects: PlanObjects,
    has_header: bool,
}

const COLUMNS: usize = 8;
/// Pauses that a cell shows; JSON has all of them.
const PAUSES_SHOWN: usize = 10;

impl PlanTable {
    /// For these occurrences and no others, times being those of `zone`.
    pub fn new(occurrences: &[Interrupted], zone: &TimeZone, reveal: bool) -> PlanTable {
        let clock = WallClock::new(zone, occurrences.iter().map(|listed| listed.occurrence.start.at));
        PlanTable { columns: columns(&clock, [0; COLUMNS]), clock, objects: PlanObjects::new(reveal), has_header: true }
    }

    /// For occurrences of these jobs, part by part: the columns are as wide as the jobs need, so that the parts fit together.
    pub fn in_parts(jobs: &[&Arc<Job>], zone: &TimeZone, reveal: bool) -> PlanTable {
        let widest = |of: &dyn Fn(&Job) -> usize| jobs.iter().map(|job| of(job)).max().unwrap_or_default();
        let clock = WallClock::of_any(zone);
        let after = widest(&|job| job.after.as_ref().map_or(0, |after| after.as_str().len()));
        let id = widest(&|job| job.id.as_str().len());
        let target = widest(&|job| target(job).width());
        let widths = [clock.width(), "00:01:30".len(), id, after, target, "repeat".len(), NOTE_WIDTH, 0];
        PlanTable { columns: columns(&clock, widths), clock, objects: PlanObjects::new(reveal), has_header: true }
    }

    /// The next rows; the first part has the header.
    pub fn part<'a>(&mut self, occurrences: impl IntoIterator<Item = &'a Interrupted>) -> Table {
        let rows = occurrences.into_iter().map(|listed| self.row(listed).to_vec()).collect();
        Table { columns: self.columns.clone(), has_header: std::mem::take(&mut self.has_header), rows }
    }

    fn row(&mut self, listed: &Interrupted) -> [String; COLUMNS] {
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
            self.objects.stream(job, start),
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
