//! `plan --against`: what an edit does to the plan and to what is on air. Does not work out the difference.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Context, Exit, Failure, chosen, warn};
use crate::cli::order;
use crate::config::Settings;
use crate::ledger::ExcerptQuery;
use crate::occurrence::Occurrence;
use crate::plan::changes::{ChangeKind, PlanChanges};
use crate::plan::interruptions::Interruptions;
use crate::plan::{Planned, Upcoming};
use crate::report::changes::{ChangeObject, TouchedObject, line, touched, touched_line};
use crate::report::range::PlanRange;
use crate::schedule::{Job, Schedule};

/// What is asked for.
pub(super) struct AgainstOptions<'a> {
    pub(super) job: Option<&'a str>,
    pub(super) range: PlanRange,
    pub(super) now: Timestamp,
    pub(super) zone: &'a TimeZone,
    pub(super) is_json: bool,
    pub(super) reveal: bool,
}

/// How many differences there are of a kind.
#[derive(Default)]
struct Counts {
    added: u64,
    removed: u64,
    changed: u64,
    moved: u64,
}

impl Counts {
    fn count(&mut self, kind: ChangeKind) {
        *match kind {
            ChangeKind::Added => &mut self.added,
            ChangeKind::Removed => &mut self.removed,
            ChangeKind::Changed => &mut self.changed,
            ChangeKind::Moved => &mut self.moved,
        } += 1;
    }
}

/// `schedules` is that of the settings' files, and the edited one.
pub(super) fn run(
    context: &Context,
    settings: Option<&Settings>,
    schedules: &[Schedule; 2],
    asked: &AgainstOptions<'_>,
) -> Result<Exit, Failure> {
    let [before, after] = schedules;
    let jobs = match asked.job {
        // One of the two may lack it: that is what is to be shown.
        Some(id) if before.job(id).is_some() || after.job(id).is_some() => {
            [before, after].map(|schedule| schedule.job(id).into_iter().collect())
        }
        job => [chosen(before, job)?, after.jobs().collect()],
    };
    let looked_at = settings.and_then(on_air);
    let is_looked_at = looked_at.is_some();
    let mut on_air = looked_at.unwrap_or_default();
    on_air.retain(|occurrence| asked.job.is_none_or(|job| occurrence.key.job.as_str() == job));
    let touched = touched(&on_air, (before, after), asked.now);
    let mut counts = Counts::default();
    let mut out = context.stdout();
    let mut print = || -> io::Result<()> {
        for (occurrence, effect) in &touched {
            let line = if asked.is_json {
                serde_json::to_string(&TouchedObject::new(occurrence, *effect))?
            } else {
                touched_line(occurrence, *effect, asked.zone)
            };
            writeln!(out, "{line}")?;
        }
        let width = jobs.iter().flatten().map(|job| job.id.as_str().len()).max().unwrap_or_default();
        let interruptions = [Interruptions::new(before), Interruptions::new(after)];
        for change in PlanChanges::new(plan(&jobs[0], asked.range), plan(&jobs[1], asked.range)) {
            counts.count(change.kind);
            let line = if asked.is_json {
                serde_json::to_string(&ChangeObject::new(change, &interruptions[0], &interruptions[1], asked.reveal))?
            } else {
                line(&change, width, asked.zone, asked.reveal)
            };
            writeln!(out, "{}", line.trim_end())?;
        }
        out.flush()
    };
    print().map_err(Failure::Output)?;
    let Counts { added, removed, changed, moved } = counts;
    // If stderr is closed there is no other place to write it to.
    let touched = if is_looked_at { format!("; of what is on air {} touched", touched.len()) } else { String::new() };
    let _ = writeln!(io::stderr(), "{added} added, {removed} removed, {changed} changed, {moved} moved{touched}");
    Ok(Exit::Good)
}

/// The occurrences of the range.
fn plan(jobs: &[&Arc<Job>], range: PlanRange) -> impl Iterator<Item = Planned> {
    Upcoming::of(jobs.iter().copied(), range.from).take_while(move |occurrence| occurrence.start.at < range.to)
}

/// What is on air, by the running daemon or else by the ledger's file; `None`, with a warning, when neither can be asked.
fn on_air(settings: &Settings) -> Option<Vec<Occurrence>> {
    let reader = order::ledger(settings, &ExcerptQuery::OnAir {}).map_err(|failure| failure.message());
    let read = reader.and_then(|reader| reader.on_air().map_err(|error| error.to_string()));
    read.inspect_err(|why| warn(&format!("what is on air is not looked at: {why}"))).ok()
}
