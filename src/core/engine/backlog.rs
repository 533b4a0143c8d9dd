//! What was planned while nobody could start it: recorded in batches, with the reason. Does not know what is armed, and when there
//! is time for it.

use std::collections::HashMap;

use jiff::Timestamp;

use super::airings::record;
use super::claim::{armed, skipped_reason};
use super::prepare::Generation;
use super::step::{Records, Step};
use super::write::Write;
use crate::occurrence::{Kind, MissedReason, Occurrence, Outcome, SkippedReason, State};
use crate::plan::holds::Holds;
use crate::plan::{Planned, Upcoming};
use crate::schedule::{JobId, Late};

/// Most rows one transaction of the backlog writes: a few tens of milliseconds on a slow disk.
const BATCH: usize = 1_000;

/// Most rows of one job that a backlog writes before it counts the rest in one.
const ROWS_A_JOB: u32 = 1_000;

/// What lies between the cursor and where arming began.
pub(super) struct Backlog {
    pub(super) generation: Generation,
    upcoming: Upcoming,
    /// The next one, of which nobody could say whether it has a row.
    unread: Option<Planned>,
    /// Every start before it is settled.
    pub(super) cursor: Timestamp,
    /// Where it ends.
    pub(super) until: Timestamp,
    /// Why nobody was there.
    pub(super) absent: MissedReason,
    tallies: HashMap<JobId, Tally>,
}

/// What one job has missed in this backlog: rows, and beyond them one summary for each outcome.
#[derive(Default)]
struct Tally {
    rows: u32,
    summaries: Vec<Occurrence>,
}

impl Backlog {
    pub(super) fn new(generation: Generation, cursor: Timestamp, until: Timestamp, absent: MissedReason) -> Backlog {
        let upcoming = Upcoming::new(&generation.schedule, cursor);
        Backlog::of(generation, upcoming, cursor, until, absent)
    }

    /// The same, of the starts of `upcoming`: those from the cursor on, and perhaps more after `until`.
    pub(super) fn of(
        generation: Generation,
        upcoming: Upcoming,
        cursor: Timestamp,
        until: Timestamp,
        absent: MissedReason,
    ) -> Backlog {
        Backlog { generation, upcoming, unread: None, cursor, until, absent, tallies: HashMap::new() }
    }

    fn next_start(&self) -> Option<Timestamp> {
        self.unread.as_ref().map(|planned| planned.start.at).or_else(|| self.upcoming.peek())
    }

    /// Writes one batch; true when nothing is left. What nobody can say now is asked again in a later batch.
    pub(super) fn write_batch(&mut self, step: &mut Step, records: &dyn Records, accepted: i64, holds: &Holds) -> bool {
        for _ in 0..BATCH {
            if self.next_start().is_none_or(|start| self.until <= start) {
                self.cursor = self.until;
                return true;
            }
            let Some(planned) = self.unread.take().or_else(|| self.upcoming.next()) else { continue };
            if self.write(step, records, &planned, accepted, holds).is_none() {
                self.unread = Some(planned);
                return false;
            }
            self.cursor = self.next_start().unwrap_or(self.until).min(self.until);
        }
        false
    }

    fn write(&mut self, step: &mut Step, records: &dyn Records, planned: &Planned, accepted: i64, holds: &Holds) -> Option<()> {
        let claimed = armed(planned, self.generation.number, true);
        let was_replaced = self.generation.number != accepted;
        let held = holds.of(&planned.job.id, planned.start.at, step.now);
        let outcome = match &held {
            Some(held) => Outcome::Skipped(skipped_reason(held.why)),
            None => why_missed(&claimed, was_replaced, self.absent, step.now),
        };
        let (ordered_by, order_note) = held.map_or((None, None), |held| (Some(held.source.who), held.source.note));
        let missed =
            Occurrence { state: State::Done { outcome }, attempts: 0, tries: 0, joined: false, ordered_by, order_note, ..claimed };
        let tally = self.tallies.entry(planned.job.id.clone()).or_default();
        if tally.rows < ROWS_A_JOB {
            tally.rows += u32::from(record(step, records, &missed)?);
            return Some(());
        }
        if step.has(records, &missed.key)? {
            return Some(());
        }
        let known = tally.summaries.iter().position(|summary| summary.state == missed.state);
        let index = known.unwrap_or(tally.summaries.len());
        if known.is_none() {
            tally.summaries.push(Occurrence { kind: Kind::Summary, count: 0, ..missed.clone() });
        }
        let summary = &mut tally.summaries[index];
        summary.count += 1;
        if missed.end.at().is_some() {
            summary.end = missed.end;
        }
        step.write(Write::Summarise(Box::new(summary.clone())));
        Some(())
    }
}

/// Why an occurrence of the backlog had no chance. Those that could still be started have a row by now. `was_replaced`: the
/// schedule that planned it is not in force any more.
fn why_missed(occurrence: &Occurrence, was_replaced: bool, absent: MissedReason, now: Timestamp) -> Outcome {
    let has_closed = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    // Of what was planned before a backup was restored nothing is started.
    if absent == MissedReason::Restored || has_closed(occurrence.end.at()) || has_closed(occurrence.start_within_closes()) {
        return Outcome::Missed(absent);
    }
    if has_closed(occurrence.start_closes()) || occurrence.policy.late == Late::Skip {
        return Outcome::Missed(MissedReason::Late);
    }
    if was_replaced {
        return Outcome::Missed(absent);
    }
    // A later window of the same job is open too, and only the latest is started.
    Outcome::Skipped(SkippedReason::Conflict)
}
