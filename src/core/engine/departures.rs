//! Jobs that left the schedule and come back. A show that was cut because its job left goes on while its window is open; and a job that
//! comes back within minutes owes a row for each start that it missed meanwhile. Does not know why a job left: an edit, or a file that
//! was read when half of it was there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::agenda::Agenda;
use super::airings::Airings;
use super::backlog::Backlog;
use super::claim::{has_newer_start, playout};
use super::notice::Level;
use super::prepare::{Dropped, Generation};
use super::step::Step;
use super::write::Write;
use crate::occurrence::{End, Kind, MissedReason, Occurrence, start_request};
use crate::plan::{self, Upcoming};
use crate::schedule::JobId;

/// A job that is back before this is over owes rows for what it missed. After that it is like a new job.
pub const COMES_BACK: SignedDuration = SignedDuration::from_mins(10);

/// Most jobs whose next start is told when an edit drops them.
const TOLD_MAX: usize = 50;

/// What left, and may come back.
#[derive(Default)]
pub(super) struct Departures {
    /// When each job left, of those that left lately.
    left: BTreeMap<JobId, Timestamp>,
    /// Of each job the latest show that was cut because it left, while its window is open.
    cut: BTreeMap<JobId, Occurrence>,
    /// Whether one of these may be planned again.
    may_return: bool,
}

impl Departures {
    /// What the ledger remembers: when jobs left that are not back, or are back and have not all their rows; and the shows that were cut.
    pub(super) fn recover(left: Vec<(JobId, Timestamp)>, cut: Vec<Occurrence>) -> Departures {
        let mut departures = Departures { left: left.into_iter().collect(), ..Departures::default() };
        for occurrence in cut {
            departures.keep(occurrence);
        }
        departures
    }

    fn keep(&mut self, occurrence: Occurrence) {
        let job = &occurrence.key.job;
        // What an operator stopped meanwhile stays off the air.
        if occurrence.ordered_by.is_some() {
            return;
        }
        let is_latest = self.cut.get(job).is_none_or(|known| known.key.start <= occurrence.key.start);
        if occurrence.kind == Kind::Planned && is_latest {
            self.cut.insert(job.clone(), occurrence);
            self.may_return = true;
        }
    }

    /// Another schedule is in force: these jobs left, and these are there that the one before did not have. Returns those that were
    /// due within the hour, a line each.
    pub(super) fn accept(&mut self, agenda: &mut Agenda, step: &mut Step, added: &[JobId], dropped: &[Dropped]) -> Vec<String> {
        let now = step.now;
        self.may_return = true;
        let is_late = |left: Timestamp| left > now || now.duration_since(left) > COMES_BACK;
        self.left.retain(|_, left| !is_late(*left));
        self.owe(agenda, step, added);
        let schedule = Arc::clone(&agenda.generation().schedule);
        for Dropped { id, .. } in dropped.iter().filter(|dropped| schedule.job(dropped.id.as_str()).is_none()) {
            self.left.insert(id.clone(), now);
            step.write(Write::RecordJobLeft { job: id.to_string(), at: now });
        }
        let due: Vec<_> = dropped.iter().filter_map(|Dropped { id, due }| Some((id, (*due)?))).collect();
        let line = |(id, at): &(&JobId, Timestamp)| format!("the schedule does not have `{id}` any more, which was due at {at}");
        let mut told: Vec<String> = due.iter().take(TOLD_MAX).map(line).collect();
        if due.len() > TOLD_MAX {
            told.push(format!("{} more jobs were due within the hour", due.len() - TOLD_MAX));
        }
        for line in &told {
            step.notify(Level::Warning, line.clone());
        }
        told
    }

    /// What these jobs are owed since they left goes to the agenda. Those that are owed nothing are recorded as seen.
    pub(super) fn owe(&mut self, agenda: &mut Agenda, step: &mut Step, present: &[JobId]) {
        let mut back: BTreeMap<Timestamp, BTreeSet<JobId>> = BTreeMap::new();
        for id in present {
            match self.left.remove(id) {
                Some(left) => drop(back.entry(left).or_default().insert(id.clone())),
                None => step.write(Write::RecordJobSeen { job: id.to_string(), at: step.now }),
            }
        }
        let generation = agenda.generation().clone();
        for (left, ids) in back {
            let until = left.saturating_add(COMES_BACK).map_or(step.now, |bound| bound.min(step.now));
            let jobs = ids.iter().filter_map(|id| generation.schedule.job(id.as_str()));
            let upcoming = Upcoming::of(jobs, left);
            agenda.owe(Backlog::of(generation.clone(), upcoming, left, until, MissedReason::Down), ids);
        }
    }

    /// Takes up what was cut because its job left, where the schedule has it again, its window is open, and its job has no newer show.
    pub(super) fn take_up(&mut self, airings: &mut Airings, step: &mut Step, generation: &Generation, who: &str) {
        for occurrence in std::mem::take(&mut airings.removed) {
            self.keep(occurrence);
        }
        if !std::mem::take(&mut self.may_return) || self.cut.is_empty() {
            return;
        }
        let now = step.now;
        self.cut.retain(|_, occurrence| may_return(occurrence, now));
        let busy = airings.jobs(now);
        let planned = |occurrence: &Occurrence| {
            let planned = plan::find(&generation.schedule, occurrence.key.job.as_str(), occurrence.key.start)?;
            (!has_newer_start(&planned.job, occurrence.key.start, now)).then_some(planned)
        };
        let back: Vec<_> = self
            .cut
            .values()
            .filter(|occurrence| !busy.contains(&occurrence.key.job))
            .filter_map(|occurrence| planned(occurrence).map(|planned| (occurrence.key.job.clone(), planned)))
            .collect();
        for (job, planned) in back {
            let Some(before) = self.cut.remove(&job) else { continue };
            let mut next = Occurrence { end: planned.end, policy: planned.job.policy.clone(), ..before.clone().returned(now) };
            next.take_edit(playout(&planned.job, next.key.start), generation.number);
            if next.closes().is_some_and(|closes| closes <= now) || start_request(&next, now).is_err() {
                continue;
            }
            let key = next.key.clone();
            step.notify_of(&key, Level::Info, "the schedule has it again: it goes on".to_owned());
            let when = before.ended_at.unwrap_or(now);
            step.record_retry(&key, who, &format!("the schedule has it again; it was cut (removed) at {when}"));
            airings.reopen(step, next);
        }
    }
}

/// Whether the window of a show that was cut may be open at `now`. Of an open end nobody knows: it counts as long as a job may come back.
fn may_return(occurrence: &Occurrence, now: Timestamp) -> bool {
    match occurrence.end {
        End::Planned(end) | End::Media(end) => now < end,
        End::Open => occurrence.ended_at.is_some_and(|cut| now.duration_since(cut) <= COMES_BACK),
        End::Never => true,
    }
}
