//! Why a job starts, or does not start, at an instant or on a date: which rules prevent it, what is open then, what it
//! meets in its room, and what comes before and after. Does not know the ledger and words.

use std::sync::Arc;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::encounters::{Encounter, encounters, open_before};
use super::{Planned, planned};
use crate::calendar::{Dst, RuleRefusal, Start, Trigger, When, day, resolve};
use crate::schedule::{Job, Schedule};

/// Most starts of one date that are kept; the rest is counted.
pub const STARTS_MAX: usize = 100;
/// How many later starts are listed.
const NEXT: usize = 3;
/// The largest clock change: a whole day, where a zone changed its date.
const CHANGE_MAX: SignedDuration = SignedDuration::from_hours(25);

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The present, and what is open then.
    Now(Timestamp),
    /// An instant.
    At(Timestamp),
    /// What the clock on the wall shows in the zone of the question.
    Wall(DateTime),
    /// A whole date in that zone.
    Date(Date),
}

/// A rule that prevents a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartRefusal {
    /// `enabled: false`.
    Disabled,
    /// A rule of its trigger.
    Rule(RuleRefusal),
}

/// The answer, as far as the schedule has it.
#[derive(Clone, Debug)]
pub struct Why {
    /// The job.
    pub job: Arc<Job>,
    /// What was asked.
    pub asked: Question,
    /// The zone of the question, and of the times in the answer.
    pub zone: TimeZone,
    /// The instant; for a date its first.
    pub at: Timestamp,
    /// What a clock change did to the wall-clock time that was asked about.
    pub moved: Option<Dst>,
    /// The starts at that instant, one or none, or on that date: the first 100.
    pub starts: Vec<Planned>,
    /// How many there are.
    pub count: usize,
    /// The rules that say no. Empty exactly when there is a start. Asked about the present: those that say no to its date.
    pub refusals: Vec<StartRefusal>,
    /// The occurrence that began before the instant and whose window is open then, or may be. Not of a date.
    pub open: Option<Planned>,
    /// What the occurrence meets in its room: the one that starts at the instant, else the open one from the instant on.
    pub encounters: Vec<Encounter>,
    /// The last before the one that starts then or is open, or else before the instant or the date.
    pub previous: Option<Planned>,
    /// The next three after.
    pub next: Vec<Planned>,
}

impl Why {
    /// Returns the occurrence in question: the first that starts then, else the one that is open.
    pub fn occurrence(&self) -> Option<&Planned> {
        self.starts.first().or(self.open.as_ref())
    }

    /// Looks at what the occurrence in question meets in its room. What operators hold back is not started, and meets nothing.
    pub fn meet(&mut self, schedule: &Schedule, is_held: impl Fn(&Planned) -> bool) {
        let own = self.occurrence().filter(|own| !matches!(self.asked, Question::Date(_)) && !is_held(own));
        let from = |own: &Planned| if self.starts.is_empty() { self.at } else { own.start.at };
        self.encounters = own.map(|own| encounters(schedule, own, from(own), |other| !is_held(other))).unwrap_or_default();
    }
}

/// Returns the answer. A time or a date without an offset is one of `zone`. `None`: the date is outside the years that the calendar
/// knows.
pub fn why(schedule: &Schedule, job: &Arc<Job>, asked: Question, zone: &TimeZone) -> Option<Why> {
    let when = &job.when;
    let (at, moved) = match asked {
        Question::Now(at) | Question::At(at) => (at, None),
        Question::Wall(written) => instant_of(when, zone, written)?,
        Question::Date(date) => (day(zone, date)?.0, None),
    };
    let after = match asked {
        Question::Date(date) => day(zone, date)?.1,
        _ => at.checked_add(SignedDuration::from_nanos(1)).ok()?,
    };
    let enabled = |start: &Start| job.enabled.then(|| planned(job, *start));
    let starts: Vec<Planned> = when.between(at, after).take(STARTS_MAX).filter_map(|start| enabled(&start)).collect();
    let count = if starts.len() == STARTS_MAX { when.between(at, after).count() } else { starts.len() };
    let rules = match asked {
        Question::Now(_) => when.refusals_on(when.zone.to_datetime(at).date()),
        Question::At(_) | Question::Wall(_) => when.refusals(at),
        Question::Date(_) => when.refusals_between(at, after),
    };
    let disabled = (!job.enabled).then_some(StartRefusal::Disabled);
    let open = match asked {
        Question::Date(_) => None,
        _ if !job.enabled => None,
        _ => open_before(job, at),
    };
    let open_since = open.as_ref().filter(|_| starts.is_empty()).map(|open| open.start.at);
    let mut why = Why {
        job: Arc::clone(job),
        asked,
        zone: zone.clone(),
        at,
        moved,
        starts,
        count,
        refusals: disabled.into_iter().chain(rules.into_iter().map(StartRefusal::Rule)).collect(),
        open,
        encounters: Vec::new(),
        previous: when.latest_before(open_since.unwrap_or(at)).as_ref().and_then(enabled),
        next: if job.enabled {
            when.between(after, Timestamp::MAX).take(NEXT).map(|start| planned(job, start)).collect()
        } else {
            Vec::new()
        },
    };
    why.meet(schedule, |_| false);
    Some(why)
}

/// The instant of a wall-clock time, and what a clock change did to it. In a gap it is where a start that is written
/// for it would be: the `cron` of a fixed time runs at the gap's end, and everything else is shifted.
fn instant_of(when: &When, zone: &TimeZone, written: DateTime) -> Option<(Timestamp, Option<Dst>)> {
    let at = resolve(zone, written)?;
    match zone.to_ambiguous_timestamp(written).offset() {
        AmbiguousOffset::Unambiguous { .. } => Some((at, None)),
        AmbiguousOffset::Fold { .. } => Some((at, Some(Dst::Repeat))),
        AmbiguousOffset::Gap { .. } => {
            let carried = match &when.trigger {
                Trigger::Cron(pattern)
                    if when.zone == *zone && pattern.is_fixed_time() && pattern.mismatches_of_time(written.time()).is_empty() =>
                {
                    let earliest = at.checked_sub(CHANGE_MAX).ok()?;
                    when.between(earliest, at).find(|start| start.dst == Some(Dst::Gap))
                }
                _ => None,
            };
            Some((carried.map_or(at, |start| start.at), Some(Dst::Gap)))
        }
    }
}
