//! The rundown: what the page shows, as one plain value. Rows of rooms with bars, what is on air and what comes, what needs somebody, and
//! the plots. It is made of what `status`, `plan` and `history` are made of, by the same functions. It does not know HTML, and who looks.

mod bars;
mod lanes;
mod language;
mod lists;
mod needs;
mod plots;
#[cfg(test)]
mod tests;
mod view_range;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use super::instant;
use super::plan::place;
use super::status::{Health, StatusInput, assess_health};
use crate::occurrence::Occurrence;
use crate::plan::interruptions::Interrupted;
use crate::schedule::Schedule;
use crate::trtc::Room;
use crate::words::words;
pub use language::Language;
pub use lists::{NextItem, OnAirItem};
pub use needs::{Need, TroubleItem};
pub use plots::{AirStep, Bucket, Lateness, Plots};
pub use view_range::{Anchor, StationDay, Tick, Zoom, ticks};

/// How a bar looks: what the occurrence is, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// It is to come.
    Planned,
    /// It comes back after another had the room.
    Returns,
    /// Its request is ready.
    Armed,
    /// A request of it is under way.
    Trying,
    /// It is off the air: for its next attempt, or because another has the room.
    Waiting,
    /// It is on air.
    OnAir,
    /// It is on air with its fallback.
    Fallback,
    /// Its end has come, and it is not seen gone.
    Stopping,
    /// It was on air until its end.
    Ended,
    /// It was taken off the air before.
    Cut,
    /// It never was on air, or not at its end.
    Failed,
    /// It had no chance.
    Missed,
    /// It was not wanted.
    Skipped,
}

words!(Look {
    Planned = "planned",
    Returns = "returns",
    Armed = "armed",
    Trying = "trying",
    Waiting = "waiting",
    OnAir = "on_air",
    Fallback = "fallback",
    Stopping = "stopping",
    Ended = "ended",
    Cut = "cut",
    Failed = "failed",
    Missed = "missed",
    Skipped = "skipped",
});

impl Serialize for Look {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

fn as_instant<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant(*at))
}

#[expect(clippy::ref_option, reason = "serde asks for it so")]
pub(super) fn as_instant_or_null<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_str(&instant(*at)),
        None => serializer.serialize_none(),
    }
}

/// A row of the ledger in the time that is shown, and when each of its tasks ran, oldest first.
#[derive(Clone, Debug)]
pub struct RowInRange {
    /// The row.
    pub occurrence: Occurrence,
    /// Begun when, and gone when. Empty where the row was put on air once.
    pub tasks: Vec<(Timestamp, Option<Timestamp>)>,
}

/// How it is shown.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// The present.
    pub now: Timestamp,
    /// The time that the rows have.
    pub range: Range<Timestamp>,
    /// The time that the plots have.
    pub plotted: Range<Timestamp>,
    /// The zone of the times in texts.
    pub zone: &'a TimeZone,
    /// The language.
    pub language: Language,
}

/// What a rundown is made of.
#[derive(Clone, Debug)]
pub struct RundownInput<'a> {
    /// What the status is made of.
    pub status: &'a StatusInput,
    /// The schedule in force.
    pub schedule: &'a Schedule,
    /// What the ledger has in the time that is shown, or plotted.
    pub rows: &'a [RowInRange],
    /// What the plan has from now on in that time, and what is open now.
    pub planned: &'a [Interrupted],
    /// The newest rows that were sent, oldest first.
    pub recent: &'a [Occurrence],
    /// What `check` draws of schedule files that were not accepted; empty, where all were.
    pub drawn: &'a str,
    /// Whether there is more in that time than is read.
    pub is_clipped: bool,
}

/// The value.
#[derive(Clone, Debug, Serialize)]
pub struct Rundown {
    /// The present.
    #[serde(serialize_with = "as_instant")]
    pub now: Timestamp,
    /// The first instant that is shown.
    #[serde(serialize_with = "as_instant")]
    pub from: Timestamp,
    /// The first instant after.
    #[serde(serialize_with = "as_instant")]
    pub to: Timestamp,
    /// The health, as the status tells it.
    pub health: Health,
    /// The generation of the schedule in force.
    pub generation: i64,
    /// The rooms, by name.
    pub rooms: Vec<RoomRow>,
    /// What is on air; null when the ledger cannot be read.
    pub on_air: Option<Vec<OnAirItem>>,
    /// What comes next; null when no daemon answers.
    pub next: Option<Vec<NextItem>>,
    /// What is wrong now: the reasons of the status, each with what to do.
    pub needs: Vec<Need>,
    /// What went wrong lately.
    pub lately: Vec<TroubleItem>,
    /// The plots.
    pub plots: Plots,
    /// Whether there is more in that time than is shown.
    pub is_clipped: bool,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoomRow {
    /// The application's name, where more than one is in use.
    pub app: Option<String>,
    /// Its name; a string of digits has quotes.
    pub room: String,
    /// What happens in it, by start.
    pub bars: Vec<Bar>,
    /// How many bars are beside each other at most.
    pub lanes: usize,
}

/// An occurrence in a row, or a part of one, or many that are too narrow to be told apart.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own in the JSON")]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// The job; of many, the first one's.
    pub job: String,
    /// The start by which it is named.
    #[serde(serialize_with = "as_instant")]
    pub start: Timestamp,
    /// How it looks.
    pub look: Look,
    /// Where it begins.
    #[serde(serialize_with = "as_instant")]
    pub from: Timestamp,
    /// Where it ends.
    #[serde(serialize_with = "as_instant")]
    pub to: Timestamp,
    /// Whether its end is not known, or it has no end.
    pub is_open: bool,
    /// Whether another cuts it at its end.
    pub is_cut: bool,
    /// Whether it was joined in progress.
    pub is_late: bool,
    /// When it was put on air again.
    #[serde(serialize_with = "instants")]
    pub healed: Vec<Timestamp>,
    /// What is to be said beside the job.
    pub text: String,
    /// How many it stands for.
    pub count: usize,
    /// Whether some of them are of other jobs.
    pub is_mixed: bool,
    /// Which line of its row it is in.
    pub lane: usize,
}

fn instants<S: Serializer>(at: &[Timestamp], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(at.iter().map(|at| instant(*at)))
}

impl Rundown {
    /// Of its input.
    pub fn new(input: &RundownInput<'_>, shown: &Shown<'_>) -> Rundown {
        let (health, _) = assess_health(input.status);
        let ledger = input.status.ledger.as_ref().ok();
        let plans: HashMap<(&str, Timestamp), &Interrupted> =
            input.planned.iter().map(|listed| ((listed.occurrence.job.id.as_str(), listed.occurrence.start.at), listed)).collect();
        Rundown {
            now: shown.now,
            from: shown.range.start,
            to: shown.range.end,
            health,
            generation: input.status.generation,
            rooms: rooms(input, &plans, shown),
            on_air: ledger
                .map(|ledger| ledger.on_air.iter().map(|row| OnAirItem::new(row, plan_of(&plans, row), ledger, shown)).collect()),
            next: lists::next(input.status, shown),
            needs: needs::needs(input.status, input.drawn),
            lately: ledger.map(|ledger| needs::lately(ledger, input.status.secrets, shown)).unwrap_or_default(),
            plots: Plots::new(input, shown),
            is_clipped: input.is_clipped,
        }
    }
}

/// The plan of each occurrence, by job and start.
type Plans<'a> = HashMap<(&'a str, Timestamp), &'a Interrupted>;

/// What the schedule in force has of a row.
fn plan_of<'a>(plans: &Plans<'a>, row: &Occurrence) -> Option<&'a Interrupted> {
    plans.get(&(row.key.job.as_str(), row.key.start)).copied()
}

/// A room of an application.
type RoomKey<'a> = (&'a str, &'a Room);

/// Every room of the schedule, and those that only the ledger has.
fn rooms(input: &RundownInput<'_>, plans: &Plans<'_>, shown: &Shown<'_>) -> Vec<RoomRow> {
    let mut rooms: BTreeMap<RoomKey<'_>, Vec<Bar>> = BTreeMap::new();
    for job in input.schedule.jobs().filter(|job| job.enabled) {
        let app = job.app.as_ref().map_or("", |app| app.name.as_ref());
        rooms.entry((app, &job.room)).or_default();
    }
    let is_shown = |bar: &Bar| bar.from < shown.range.end && bar.to > shown.range.start;
    let mut known: HashSet<(&str, Timestamp)> = HashSet::new();
    for row in input.rows {
        let playout = &row.occurrence.playout;
        known.insert((row.occurrence.key.job.as_str(), row.occurrence.key.start));
        let bars = bars::of_row(row, plan_of(plans, &row.occurrence), shown);
        let bars = bars.into_iter().filter(is_shown);
        rooms.entry((playout.destination.app.as_str(), &playout.room)).or_default().extend(bars);
    }
    for listed in input.planned {
        let job = &listed.occurrence.job;
        let start = listed.occurrence.start.at;
        // What began and has no row is told by the status: its row comes in a moment, or is not owed.
        if start < shown.now || known.contains(&(job.id.as_str(), start)) {
            continue;
        }
        let app = job.app.as_ref().map_or("", |app| app.name.as_ref());
        let bars = bars::of_plan(listed, shown).into_iter().filter(is_shown);
        rooms.entry((app, &job.room)).or_default().extend(bars);
    }
    let mut apps: Vec<&str> = rooms.keys().map(|(app, _)| *app).collect();
    apps.dedup();
    let shows_app = apps.len() > 1;
    let row = |((app, room), bars): (RoomKey<'_>, Vec<Bar>)| {
        let (bars, lanes) = lanes::laid_out(bars, shown);
        RoomRow { app: shows_app.then(|| app.to_owned()), room: place(None, room), bars, lanes }
    };
    rooms.into_iter().map(row).collect()
}
