//! The answer to `why`, for people and for programs: first what happens, then the rules that decide it, then what the
//! ledger has. Does not know how the answer was found.

mod held;
mod record;
mod rules;
mod words;

use std::borrow::Cow;
use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;

pub use record::{Record, stands_for};
use words::{clock, encounter_reason, moment, until};

use super::history::HistoryObject;
use super::plan::{PlanObject, content_note, cut_note};
use super::time::{instant, zone_name};
use super::wrap::wrapped;
use crate::calendar::Dst;
use crate::occurrence::{Failure, Occurrence, Outcome, State};
use crate::plan::encounters::paused_at;
use crate::plan::interruptions::Interruptions;
use crate::plan::why::{Question, Why};
use crate::plan::{End, Planned, planned};
use crate::trtc::advice::SecretPlaces;

/// Starts of a date that the text shows; the rest is counted.
const STARTS_SHOWN: usize = 20;
/// What stands before the occurrence before, and before the next ones.
const LAST: &str = "last before: ";
const NEXT: &str = "next:        ";
/// Most encounters in the room that are listed.
const ENCOUNTERS_MAX: usize = 10;

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    /// It lets the job start.
    Yes,
    /// It keeps the job from starting.
    No,
    /// It changes something, or explains.
    Note,
}

/// One reason of the answer. The keys are the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The field of the job that decides: `at`, `once`, `cron`, `every`, `between`, `days`, `from`, `until`, `except`,
    /// `enabled`, `conflict` or `timezone`; or `clock_change`, or `window` of an earlier start that is open, or `ledger`; or `pause` or
    /// `skip`, the orders of operators.
    pub rule: &'static str,
    /// What it says.
    pub says: Says,
    /// A sentence, with times of the zone of the question; what a rule names is local to the job's zone.
    pub text: String,
}

impl Reason {
    fn new(rule: &'static str, says: Says, text: impl Into<String>) -> Reason {
        Reason { rule, says, text: text.into() }
    }
}

/// A start of a date, as programs read it.
#[derive(Clone, Debug, Serialize)]
pub struct StartObject {
    /// As `plan` prints it.
    pub plan: PlanObject<'static>,
    /// As `history` prints its row; null without a row.
    pub ledger: Option<HistoryObject>,
}

/// The answer as programs read it. The keys and their order are the contract.
#[derive(Clone, Debug, Serialize)]
pub struct WhyObject {
    /// The job's id.
    pub job: String,
    /// The instant that was asked about; of a date its first.
    pub at: String,
    /// The date that was asked about; null when it was an instant.
    pub date: Option<String>,
    /// Whether the plan has a start at that instant, or on that date.
    pub fires: bool,
    /// The start of the occurrence in question: at that instant, the first of that date, else of the window that is
    /// open then; null without one.
    pub start: Option<String>,
    /// The rules, in the order of the text.
    pub reasons: Vec<Reason>,
    /// The last occurrence before the one in question, or else before the instant or the date.
    pub previous: Option<PlanObject<'static>>,
    /// The next three after.
    pub next: Vec<PlanObject<'static>>,
    /// The row of the occurrence in question, as `history` prints it; null without a row, or without a ledger.
    pub ledger: Option<HistoryObject>,
    /// How many starts there are at that instant, or on that date.
    pub count: usize,
    /// The first 100 of them.
    pub starts: Vec<StartObject>,
}

/// The data of the answer.
pub struct WhyInput<'a> {
    /// What the schedule says.
    pub why: &'a Why,
    /// What interrupts the schedule's occurrences.
    pub interruptions: &'a Interruptions<'a>,
    /// What the ledger has, or why it cannot be read.
    pub record: Result<&'a Record, &'a str>,
    /// Where the secrets are kept.
    pub secrets: SecretPlaces,
    /// The present.
    pub now: Timestamp,
}

impl WhyInput<'_> {
    /// The answer for programs.
    pub fn object(&self) -> WhyObject {
        let why = self.why;
        let plan = |occurrence: &Planned| PlanObject::new(Cow::Owned(self.interruptions.of(occurrence.clone())), false);
        let date = match why.asked {
            Question::Date(date) => Some(date.to_string()),
            Question::Now(_) | Question::At(_) | Question::Wall(_) => None,
        };
        let start = |occurrence: &Planned| StartObject {
            plan: plan(occurrence),
            ledger: self.row(occurrence.start.at).map(HistoryObject::new),
        };
        WhyObject {
            job: why.job.id.to_string(),
            at: instant(why.at),
            date,
            fires: why.count > 0,
            start: why.occurrence().map(|occurrence| instant(occurrence.start.at)),
            reasons: self.reasons(),
            previous: why.previous.as_ref().map(plan),
            next: why.next.iter().map(plan).collect(),
            ledger: self.relevant_row().map(HistoryObject::new),
            count: why.count,
            starts: why.starts.iter().map(start).collect(),
        }
    }

    /// The answer for people: the first line says what happens, and the others why. With a line end. With a width no line is wider, if it
    /// can be broken: for a terminal.
    pub fn text(&self, width: Option<usize>) -> String {
        let mut out = String::new();
        for line in self.lines() {
            let indent = line.len() - line.trim_start_matches(' ').len();
            let is_labelled = [LAST, NEXT].iter().any(|label| line.starts_with(label.trim_end()));
            let hang = 4 + if is_labelled { LAST.len() } else { indent };
            for line in wrapped(&line, hang, width) {
                let _ = writeln!(out, "{line}");
            }
        }
        out
    }

    fn lines(&self) -> Vec<String> {
        let mut out = vec![self.headline()];
        out.extend(self.reasons().into_iter().map(|reason| format!("  {}", reason.text)));
        if matches!(self.why.asked, Question::Date(_)) {
            for occurrence in self.why.starts.iter().take(STARTS_SHOWN) {
                out.push(format!("  {}", self.line(occurrence)));
            }
            if let more @ 1.. = self.why.count.saturating_sub(STARTS_SHOWN) {
                out.push(format!("  and {more} more: see `ingestd plan`"));
            }
        }
        if let Some(previous) = &self.why.previous {
            out.push(format!("{LAST}{}", self.line(previous)));
        }
        let mut label = NEXT;
        for next in &self.why.next {
            out.push(format!("{label}{}", self.line(next)));
            label = "             ";
        }
        if self.why.next.is_empty() && self.why.job.enabled {
            out.push(format!("{NEXT}none, the job will not start again"));
        }
        out
    }

    fn row(&self, start: Timestamp) -> Option<&Occurrence> {
        self.record.ok().and_then(|record| record.rows.get(&start))
    }

    /// Returns the row of the occurrence in question. The ledger may have one that the plan has not: of an edited
    /// schedule, or of a start by hand.
    fn relevant_row(&self) -> Option<&Occurrence> {
        let of_the_plan = self.why.occurrence().and_then(|occurrence| self.row(occurrence.start.at));
        let by_instant = || self.row(self.why.at).filter(|_| !matches!(self.why.asked, Question::Date(_)));
        let still_open = || {
            let latest = self.record.ok()?.latest.as_ref()?;
            (matches!(self.why.asked, Question::Now(_)) && !latest.is_done()).then_some(latest)
        };
        of_the_plan.or_else(by_instant).or_else(still_open)
    }

    fn headline(&self) -> String {
        let why = self.why;
        let zone = &why.zone;
        let id = &why.job.id;
        let at = moment(why.at, zone);
        match (why.asked, why.starts.first()) {
            (Question::Now(_), _) => self.headline_now(),
            (Question::Date(date), Some(_)) => {
                let times = if why.count == 1 { "once".to_owned() } else { format!("{} times", why.count) };
                format!("yes: `{id}` starts {times} on {}, in `{}`", date.strftime("%a %Y-%m-%d"), zone_name(zone))
            }
            (Question::Date(date), None) => {
                format!("no: `{id}` does not start on {}, in `{}`", date.strftime("%a %Y-%m-%d"), zone_name(zone))
            }
            (Question::At(_) | Question::Wall(_), Some(start)) => {
                let verb = if why.at <= self.now { "was to start" } else { "starts" };
                let row = self.row(why.at).map(|row| format!("; {}", record::phrase(row))).unwrap_or_default();
                let paused = paused_at(&why.encounters, why.at).map(|by| format!(", and yields at once to `{}`", by.other.job.id));
                let listed = self.interruptions.of(start.clone());
                let cut = self.held(start).or_else(|| cut_note(&listed, zone)).map(|note| format!("; {note}")).unwrap_or_default();
                format!("yes: `{id}` {verb} at {at}, {}{cut}{}{row}", until(start, why.at, zone), paused.unwrap_or_default())
            }
            (Question::At(_) | Question::Wall(_), None) => {
                let paused = paused_at(&why.encounters, why.at).map(|by| format!(", and is paused then by `{}`", by.other.job.id));
                let row = self.row(why.at).map(|row| format!(" by the schedule, but has a row: {}", record::phrase(row)));
                format!("no: `{id}` does not start at {at}{}{}", paused.unwrap_or_default(), row.unwrap_or_default())
            }
        }
    }

    fn headline_now(&self) -> String {
        let why = self.why;
        let id = &why.job.id;
        if let Some(row) = self.relevant_row() {
            let what = match &row.state {
                State::OnAir => "is on air".to_owned(),
                State::Done { outcome } if self.may_play_on(row, outcome) => {
                    format!("may still be on air: {}", record::phrase(row))
                }
                State::Done { .. } => format!("is not on air: {}", record::phrase(row)),
                _ => format!("is not settled: {}", record::phrase(row)),
            };
            let paused = paused_at(&why.encounters, why.at).map(|by| format!(", by the plan paused by `{}`", by.other.job.id));
            return format!("now: `{id}` {what}{}", paused.unwrap_or_default());
        }
        if !why.job.enabled {
            return format!("now: `{id}` is switched off");
        }
        if let Some(by) = paused_at(&why.encounters, why.at) {
            return format!("now: `{id}` should be paused, while `{}` has the room", by.other.job.id);
        }
        match why.occurrence() {
            Some(open) if open.end == End::Open => format!("now: `{id}` may be on air: it is unknown when its media ends"),
            Some(_) => match self.record {
                Ok(_) => format!("now: `{id}` should be on air, and the ledger has no row of it"),
                Err(_) => format!("now: `{id}` should be on air"),
            },
            None => match why.next.first() {
                Some(next) => {
                    let held = self.held(next).map(|held| format!("; {held}")).unwrap_or_default();
                    format!("now: `{id}` is off, and starts next at {}{held}", moment(next.start.at, &why.zone))
                }
                None => format!("now: `{id}` is off, and will not start again"),
            },
        }
    }

    /// Whether nobody can say that it left the air.
    fn may_play_on(&self, row: &Occurrence, outcome: &Outcome) -> bool {
        let has_doubt = self.record.is_ok_and(|record| record.doubts.iter().any(|doubt| doubt.key == row.key));
        has_doubt || matches!(outcome, Outcome::EndedUnverified | Outcome::Failed(Failure::InDoubt))
    }

    /// The rules, then what is open and what it meets, then the ledger.
    fn reasons(&self) -> Vec<Reason> {
        let why = self.why;
        let mut reasons: Vec<Reason> = self.question_text().into_iter().chain(self.other_zone()).collect();
        match (why.asked, why.starts.first(), &why.open) {
            (_, Some(start), _) => reasons.extend(rules::start_reasons(start, why.asked)),
            // The present is inside a window: today's rules do not matter.
            (Question::Now(_), None, Some(_)) => {}
            _ => reasons.extend(rules::refusals(why)),
        }
        if let Some(open) = why.open.as_ref().filter(|_| why.starts.is_empty()) {
            reasons.push(self.window(open));
        }
        let own = why.occurrence();
        reasons.extend(own.and_then(|own| self.held_reason(own)));
        reasons.extend(own.iter().flat_map(|own| {
            why.encounters.iter().take(ENCOUNTERS_MAX).map(|encounter| encounter_reason(own, encounter, &why.zone))
        }));
        if let more @ 1.. = why.encounters.len().saturating_sub(ENCOUNTERS_MAX) {
            reasons.push(Reason::new("conflict", Says::Note, format!("and {more} more in its room: see `ingestd plan`")));
        }
        if !matches!(why.asked, Question::Date(_)) {
            reasons.extend(self.ledger_reasons());
        } else if let Err(why_not) = self.record {
            reasons.push(Reason::new("ledger", Says::Note, without_ledger(why_not)));
        }
        reasons
    }

    /// What a clock change did to the time that was asked about.
    fn question_text(&self) -> Option<Reason> {
        let Question::Wall(written) = self.why.asked else { return None };
        if self.why.starts.first().is_some_and(|start| start.start.dst.is_some()) {
            // The start says it itself.
            return None;
        }
        let zone = &self.why.zone;
        let (shown, at) = (clock(written), self.why.at);
        let text = match self.why.moved? {
            Dst::Gap => format!("asked about {shown}, which does not exist on {}: taken as {}", written.date(), moment(at, zone)),
            Dst::Repeat => format!("asked about {shown}, which comes twice on {}: taken as the first", written.date()),
        };
        Some(Reason::new("clock_change", Says::Note, text))
    }

    /// Where the rules of the job are read, if that is another zone than the one that is shown.
    fn other_zone(&self) -> Option<Reason> {
        let zone = &self.why.job.when.zone;
        let at = moment(self.why.at, zone);
        let what = if matches!(self.why.asked, Question::Date(_)) { "this date begins at" } else { "the clock shows" };
        let text = format!("`timezone: {}`: its rules are read there, where {what} {at}", zone_name(zone));
        (*zone != self.why.zone).then(|| Reason::new("timezone", Says::Note, text))
    }

    fn window(&self, open: &Planned) -> Reason {
        let zone = &self.why.zone;
        let text =
            format!("inside the window of the start at {}, {}", moment(open.start.at, zone), until(open, open.start.at, zone));
        Reason::new("window", Says::Note, text)
    }

    fn ledger_reasons(&self) -> Vec<Reason> {
        let zone = &self.why.zone;
        let note = |text: String| Reason::new("ledger", Says::Note, text);
        let record = match self.record {
            Ok(record) => record,
            Err(why_not) => return vec![note(without_ledger(why_not))],
        };
        let meant = self.why.occurrence();
        match (self.relevant_row(), meant) {
            (Some(row), _) => {
                let start = row.key.start;
                let of_another = if meant.is_none() { self.of_another(row) } else { String::new() };
                let retries = record.retries.get(&start).map(Vec::as_slice).unwrap_or_default();
                let told = record::sentences(row, &record.doubts, zone, self.secrets);
                let mut lines = told.into_iter().chain(record::retries(retries, start, zone));
                let first = lines.next().map(|line| note(format!("ledger{of_another}: {line}")));
                first.into_iter().chain(lines.map(|line| note(format!("  {line}")))).collect()
            }
            (None, Some(occurrence)) => vec![note(format!("ledger: {}", record.absence(occurrence.start.at, self.now, zone)))],
            (None, None) => Vec::new(),
        }
    }

    /// Whose row it is, if it is not of the occurrence that is meant: of an earlier one that is not over yet, or of none that is planned.
    fn of_another(&self, row: &Occurrence) -> String {
        let (job, start) = (&self.why.job, row.key.start);
        let shown = moment(start, &self.why.zone);
        let planned = job.when.not_before(start).filter(|found| found.at == start && job.enabled).map(|found| planned(job, found));
        match planned.map(|planned| planned.end) {
            Some(End::Planned(end)) if end <= self.now => {
                format!(" has the row for {shown}, which was to end at {}", moment(end, &self.why.zone))
            }
            Some(End::Media(end)) if end <= self.now => {
                format!(" has the row for {shown}, whose media was to end at {}", moment(end, &self.why.zone))
            }
            Some(_) => format!(" has the row for {shown}"),
            None => format!(" has a row for {shown}, which the schedule does not plan"),
        }
    }

    /// An occurrence in a line, with its outcome if it has one.
    fn line(&self, occurrence: &Planned) -> String {
        let row = self.row(occurrence.start.at).map(|row| format!("  {}", record::phrase(row))).unwrap_or_default();
        let dst = match occurrence.start.dst {
            Some(dst) => format!("  ({})", if dst == Dst::Gap { "moved by a clock change" } else { "its hour comes twice" }),
            None => String::new(),
        };
        let at = occurrence.start.at;
        let zone = &self.why.zone;
        let listed = self.interruptions.of(occurrence.clone());
        let notes = [self.held(occurrence), cut_note(&listed, zone), content_note(&listed, zone)];
        let window: Vec<String> = std::iter::once(until(occurrence, at, zone)).chain(notes.into_iter().flatten()).collect();
        format!("{}, {}{dst}{row}", moment(at, zone), window.join("; "))
    }
}

fn without_ledger(why_not: &str) -> String {
    format!("by the schedule alone: {why_not}")
}
