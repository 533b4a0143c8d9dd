//! What is owed: every planned occurrence is settled once, from the cursor to a little ahead of now. Downtime, a suspend and a
//! stall are just a long way from the cursor to now. Does not know what becomes of an occurrence after it is armed.
//!
//! Two sweeps share the way. Ahead of now, starts are armed. Behind it, in the backlog, what was missed is recorded, in batches, and
//! never while a start is near: first the show that can still go on air, then the record of those that cannot.

use std::collections::{HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::airings::Airings;
use super::backlog::Backlog;
use super::claim::{armed, latest_open, pass_over, start_late};
use super::prepare::{Generation, PastGeneration, Ready};
use super::step::{Records, Step};
use super::write::Write;
use crate::occurrence::{MissedReason, Outcome, SkippedReason};
use crate::plan::{Planned, Upcoming};
use crate::schedule::JobId;

/// How long before its start an occurrence is armed.
pub(super) const ARM_AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// The backlog stands aside while a start is this near.
const STAND_ASIDE: SignedDuration = SignedDuration::from_millis(100);

/// A window that is open already and may have no row.
struct OpenWindow {
    planned: Planned,
    /// Another window of its job plays, and it is skipped.
    is_job_busy: bool,
}

/// How far the schedule is settled, and the sweeps that settle it.
pub(super) struct Agenda {
    generation: Generation,
    upcoming: Upcoming,
    /// The next start, of which nobody could say whether it has a row.
    unread: Option<Planned>,
    /// Windows that are open already, to be started before anything else. What nobody can say now is asked again.
    open_windows: VecDeque<OpenWindow>,
    /// Every start before it is armed, has a row, or is in the backlog.
    until: Timestamp,
    /// Oldest first; only the first is swept.
    backlogs: VecDeque<Backlog>,
    /// A new ledger on a host whose clock is not right yet: nothing is owed before it is.
    begins_when_released: bool,
    /// Why nothing was settled since `until`, should that be long ago.
    absent: MissedReason,
}

impl Agenda {
    /// Begins at `now` under `accepted`, with a backlog from `cursor` to `now` under the schedules that were in force then.
    pub(super) fn new(accepted: Generation, past: Vec<PastGeneration>, cursor: Timestamp, now: Timestamp) -> Agenda {
        let upcoming = Upcoming::new(&accepted.schedule, now);
        let mut backlogs = VecDeque::new();
        let mut from = cursor;
        let last = PastGeneration { generation: accepted.clone(), until: now };
        for PastGeneration { generation, until } in past.into_iter().chain([last]) {
            let until = until.min(now);
            if from < until {
                backlogs.push_back(Backlog::new(generation, from, until, MissedReason::Down));
                from = until;
            }
        }
        Agenda {
            generation: accepted,
            upcoming,
            unread: None,
            open_windows: VecDeque::new(),
            // What is armed beyond now already has its row, and what the accepted schedule adds there has none.
            until: now,
            backlogs,
            begins_when_released: false,
            absent: MissedReason::Down,
        }
    }

    /// The generation under which the time from the cursor on is settled.
    pub(super) fn cursor_generation(&self) -> i64 {
        self.backlogs.front().map_or(self.generation.number, |backlog| backlog.generation.number)
    }

    /// Every start before it is settled: what the ledger keeps.
    pub(super) fn cursor(&self) -> Timestamp {
        self.backlogs.front().map_or(self.until, |backlog| backlog.cursor)
    }

    /// Settles to [`ARM_AHEAD`] of now.
    pub(super) fn advance(&mut self, airings: &mut Airings, step: &mut Step, records: &dyn Records) {
        let now = step.now;
        if self.next_start().is_some_and(|start| start < now && self.until < now) {
            self.fall_back(now);
        }
        if self.start_open_windows(airings, step, records).is_none() {
            return;
        }
        while self.next_start().is_some_and(|start| start <= now + ARM_AHEAD) {
            let Some(planned) = self.unread.take().or_else(|| self.upcoming.next()) else { break };
            if planned.start.at < self.until {
                continue;
            }
            if airings.claim(step, records, armed(&planned, self.generation.number, false)).is_none() {
                self.unread = Some(planned);
                return;
            }
        }
        self.until = self.until.max(now + ARM_AHEAD);
        self.absent = MissedReason::Down;
        self.sweep(airings, step, records);
        if !step.writes.is_empty() {
            step.write(Write::Cursor { at: self.cursor() });
        }
    }

    fn next_start(&self) -> Option<Timestamp> {
        self.unread.as_ref().map(|planned| planned.start.at).or_else(|| self.upcoming.peek())
    }

    /// Starts the windows that are open already. `None`: nobody can say now which of the rest have rows. A crash before that loses
    /// none: the next daemon looks for open windows itself.
    pub(super) fn start_open_windows(&mut self, airings: &mut Airings, step: &mut Step, records: &dyn Records) -> Option<()> {
        let generation = self.generation.number;
        while let Some(OpenWindow { planned, is_job_busy }) = self.open_windows.front() {
            if armed(planned, generation, true).start_closes().is_some_and(|closes| closes <= step.now) {
                // It closed while nobody could say whether it has a row. What is owed of it is in the backlog.
            } else if *is_job_busy {
                pass_over(step, records, planned, generation, Outcome::Skipped(SkippedReason::Conflict))?;
            } else {
                start_late(airings, step, records, planned, generation)?;
            }
            self.open_windows.pop_front();
        }
        Some(())
    }

    /// The loop was away: a stall, a suspend, a clock that was set forward. What passed meanwhile goes to the backlog, and shows
    /// that are still open are started first.
    fn fall_back(&mut self, now: Timestamp) {
        let from = self.until;
        let open = self.generation.schedule.jobs().filter_map(|job| latest_open(job, from, now));
        let open = open.map(|planned| OpenWindow { planned, is_job_busy: false }).collect();
        self.queue(open);
        self.leave_behind(now);
        self.upcoming = Upcoming::new(&self.generation.schedule, now);
        self.unread = None;
    }

    /// What lies between what is settled and `now` goes to the backlog.
    fn leave_behind(&mut self, now: Timestamp) {
        let from = self.until;
        if now <= from {
            return;
        }
        match self.backlogs.back_mut() {
            Some(newest)
                if newest.until == from && newest.absent == self.absent && newest.generation.number == self.generation.number =>
            {
                newest.until = now;
            }
            _ => self.backlogs.push_back(Backlog::new(self.generation.clone(), from, now, self.absent)),
        }
        self.until = now;
    }

    /// Queues what is open at `now`, to be started if it has no row: what is owed since `cursor`, and of what lies before it the
    /// newest window of each job that has nothing on air.
    pub(super) fn queue_open(&mut self, busy: &HashSet<JobId>, cursor: Timestamp, now: Timestamp) {
        let from = |job: &JobId| if busy.contains(job) { cursor } else { Timestamp::MIN };
        let open = self.generation.schedule.jobs().filter_map(|job| latest_open(job, from(&job.id), now));
        let open = open.map(|planned| OpenWindow { planned, is_job_busy: false }).collect();
        self.queue(open);
    }

    /// Of several open windows of a job only the latest is started.
    fn queue(&mut self, open: Vec<OpenWindow>) {
        if !self.open_windows.is_empty() {
            let jobs: HashSet<&JobId> = open.iter().map(|window| &window.planned.job.id).collect();
            self.open_windows.retain(|window| !jobs.contains(&window.planned.job.id));
        }
        self.open_windows.extend(open);
    }

    /// Another schedule is in force from `now` on. What is open under it and has no row is queued to be started; of a job whose earlier
    /// window still plays, it is queued to be passed over. No work here grows with the schedule: starts are waiting.
    pub(super) fn accept(&mut self, airings: &Airings, step: &mut Step, ready: Ready) {
        let now = step.now;
        // What was planned before, and not settled because the loop was away or starts were held, is owed all the same.
        self.leave_behind(now);
        self.generation = ready.generation;
        self.restart(now, ready.upcoming);
        for added in &ready.added {
            step.write(Write::RecordJobSeen { job: added.to_string(), at: now });
        }
        // While the clock is held nothing is started; what is open then is started when the clock is believed.
        if airings.held != Some(MissedReason::Clock) {
            let busy = airings.jobs();
            let open = ready.may_be_open.values().filter_map(|job| latest_open(job, Timestamp::MIN, now));
            let is_busy = |planned: &Planned| busy.contains(&planned.job.id);
            let open = open.map(|planned| OpenWindow { is_job_busy: is_busy(&planned), planned }).collect();
            self.queue(open);
        }
        step.write(Write::Generation { number: self.generation.number, accepted_at: now });
        step.write(Write::Cursor { at: self.cursor() });
        step.write(Write::CursorGeneration(self.cursor_generation()));
    }

    /// From `at` on nothing is settled: a start that was taken back, a clock that had been ahead. What has a row by then keeps it.
    pub(super) fn restart_at(&mut self, at: Timestamp) {
        self.restart(at, Upcoming::new(&self.generation.schedule, at));
    }

    /// The same, with the starts from then on.
    fn restart(&mut self, at: Timestamp, upcoming: Upcoming) {
        self.backlogs.retain(|backlog| backlog.cursor < at);
        for backlog in &mut self.backlogs {
            backlog.until = backlog.until.min(at);
        }
        self.until = at;
        self.upcoming = upcoming;
        self.unread = None;
        self.open_windows.clear();
    }

    /// Starts are held for the clock: what is open is looked for again when the clock is believed.
    pub(super) fn forget_open(&mut self) {
        self.open_windows.clear();
    }

    /// Nothing is owed before the clock is believed for the first time.
    pub(super) fn begins_when_released(&mut self) {
        self.begins_when_released = true;
    }

    /// The clock is believed again. True: it had been ahead, and what was settled for times still to come is to be taken back.
    pub(super) fn released(&mut self, now: Timestamp) -> bool {
        let was_ahead = self.until > now + ARM_AHEAD;
        if was_ahead || std::mem::take(&mut self.begins_when_released) {
            self.restart_at(now);
        }
        was_ahead
    }

    /// Nothing is settled for now, for this reason.
    pub(super) fn pause(&mut self, reason: MissedReason) {
        self.absent = reason;
    }

    fn sweep(&mut self, airings: &Airings, step: &mut Step, records: &dyn Records) {
        if stands_aside(step.now, airings) {
            return;
        }
        let Some(oldest) = self.backlogs.front_mut() else { return };
        if oldest.write_batch(step, records, self.generation.number) {
            self.backlogs.pop_front();
            step.write(Write::CursorGeneration(self.cursor_generation()));
        }
    }

    /// When there is something to settle again.
    pub(super) fn next_wake(&self, now: Timestamp, airings: &Airings) -> Option<Timestamp> {
        let arm = self.next_start().map(|start| start - ARM_AHEAD);
        let sweep = (!self.backlogs.is_empty()).then(|| if stands_aside(now, airings) { now + STAND_ASIDE } else { now });
        [arm, sweep].into_iter().flatten().min()
    }
}

/// Whether a start is too near for a batch of the backlog.
fn stands_aside(now: Timestamp, airings: &Airings) -> bool {
    airings.next_armed(now).is_some_and(|start| start.duration_since(now) < STAND_ASIDE)
}
