//! What is owed: every planned occurrence is settled once, from the cursor to a little ahead of now. Downtime, a suspend and a
//! stall are just a long way from the cursor to now. Refuses to know what becomes of an occurrence once it is armed.
//!
//! Two sweeps share the way. Ahead of now, starts are armed. Behind it, in the backlog, what was missed is written down, in
//! batches, and never while a start is due: first the show that can still go on air, then the record of those that cannot.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::backlog::Backlog;
use super::claim::{armed, latest_open, pass_over, start_late};
use super::desk::Desk;
use super::prepare::Ready;
use super::{Former, Generation};
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{MissedReason, Outcome, SkippedReason};
use crate::plan::Upcoming;

/// How long before its start an occurrence is armed.
pub(super) const ARM_AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// The backlog stands aside while a start is due this soon.
const STAND_ASIDE: SignedDuration = SignedDuration::from_millis(100);

/// How far the schedule is settled, and the sweeps that settle it.
pub(super) struct Horizon {
    generation: Generation,
    upcoming: Upcoming,
    /// Every start before it is armed, has a row, or is in the backlog.
    until: Timestamp,
    /// Oldest first; only the first is swept.
    backlogs: VecDeque<Backlog>,
    /// A new ledger on a host whose clock is not right yet: nothing is owed before it is.
    begins_when_released: bool,
    /// WaitReason nothing was settled since `until`, should that be long ago.
    absent: MissedReason,
}

impl Horizon {
    /// Begins at `now` under `accepted`, with a backlog from `cursor` to `now` under the schedules that were in force then.
    pub(super) fn new(accepted: Generation, former: Vec<Former>, cursor: Timestamp, now: Timestamp) -> Horizon {
        let upcoming = Upcoming::new(&accepted.schedule, now);
        let mut backlogs = VecDeque::new();
        let mut from = cursor;
        let last = Former { generation: accepted.clone(), until: now };
        for Former { generation, until } in former.into_iter().chain([last]) {
            let until = until.min(now);
            if from < until {
                backlogs.push_back(Backlog::new(generation, from, until, MissedReason::Down));
                from = until;
            }
        }
        // What is armed beyond now already has its row, and what the accepted schedule adds there has none.
        Horizon { generation: accepted, upcoming, until: now, backlogs, begins_when_released: false, absent: MissedReason::Down }
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
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>, desk: &mut Desk, now: Timestamp) -> Result<(), LedgerError> {
        if self.upcoming.peek().is_some_and(|start| start < now && self.until < now) {
            self.fall_back(turn, desk, now)?;
        }
        while self.upcoming.peek().is_some_and(|start| start <= now + ARM_AHEAD) {
            let Some(planned) = self.upcoming.next() else { break };
            if planned.start.at >= self.until
                && let Err(error) = desk.claim(turn, armed(&planned, self.generation.number, false), now)
            {
                self.upcoming = Upcoming::new(&self.generation.schedule, planned.start.at);
                return Err(error);
            }
        }
        self.until = self.until.max(now + ARM_AHEAD);
        self.absent = MissedReason::Down;
        self.sweep(turn, desk, now)?;
        if turn.has_written() {
            turn.set_cursor(self.cursor())?;
        }
        Ok(())
    }

    /// The loop was away: a stall, a suspend, a clock that was set forward. What passed meanwhile goes to the backlog, and shows
    /// that are still open are started first.
    fn fall_back(&mut self, turn: &mut Turn<'_>, desk: &mut Desk, now: Timestamp) -> Result<(), LedgerError> {
        let from = self.until;
        for job in self.generation.schedule.jobs() {
            if let Some(planned) = latest_open(job, from, now) {
                start_late(turn, desk, &planned, self.generation.number, now)?;
            }
        }
        self.leave_behind(now);
        self.upcoming = Upcoming::new(&self.generation.schedule, now);
        Ok(())
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

    /// Starts what is open at `now` and has no row: what is owed since `cursor`, and of what lies before it the newest window of
    /// each job that has nothing on air.
    pub(super) fn start_open(
        &self,
        turn: &mut Turn<'_>,
        desk: &mut Desk,
        cursor: Timestamp,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let busy = desk.jobs();
        for job in self.generation.schedule.jobs() {
            let from = if busy.contains(&job.id) { cursor } else { Timestamp::MIN };
            if let Some(planned) = latest_open(job, from, now) {
                start_late(turn, desk, &planned, self.generation.number, now)?;
            }
        }
        Ok(())
    }

    /// Another schedule is in force from `now` on. What is open under it and has no row is started; of a job whose former window
    /// still plays, it is passed over. No work here grows with the schedule: starts are waiting.
    pub(super) fn follow(&mut self, turn: &mut Turn<'_>, desk: &mut Desk, ready: Ready, now: Timestamp) -> Result<(), LedgerError> {
        // What was planned before, and not settled because the loop was away or starts were held, is owed all the same.
        self.leave_behind(now);
        self.generation = ready.generation;
        self.restart(now, ready.upcoming);
        let busy = desk.jobs();
        let number = self.generation.number;
        for added in &ready.added {
            turn.record_job_seen(added.as_str(), now)?;
        }
        for job in ready.may_be_open.values() {
            if desk.held == Some(MissedReason::Clock) {
                // What is open is started when the clock is believed.
                continue;
            }
            let Some(planned) = latest_open(job, Timestamp::MIN, now) else { continue };
            if busy.contains(&job.id) {
                pass_over(turn, desk, &planned, (number, Outcome::Skipped(SkippedReason::Conflict)), now)?;
            } else {
                start_late(turn, desk, &planned, number, now)?;
            }
        }
        turn.set_generation(number, now)?;
        turn.set_cursor(self.cursor())?;
        turn.set_cursor_generation(self.cursor_generation())
    }

    /// From `at` on nothing is settled: a reload, a start that was taken back, a clock that had been ahead. What has a row by then
    /// keeps it.
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

    fn sweep(&mut self, turn: &mut Turn<'_>, desk: &mut Desk, now: Timestamp) -> Result<(), LedgerError> {
        if stands_aside(now, desk) {
            return Ok(());
        }
        let Some(oldest) = self.backlogs.front_mut() else { return Ok(()) };
        if oldest.write_batch(turn, desk, self.generation.number, now)? {
            self.backlogs.pop_front();
            turn.set_cursor_generation(self.cursor_generation())?;
        }
        Ok(())
    }

    /// When there is something to settle again.
    pub(super) fn next_wake(&self, now: Timestamp, desk: &Desk) -> Option<Timestamp> {
        let arm = self.upcoming.peek().map(|start| start - ARM_AHEAD);
        let sweep = (!self.backlogs.is_empty()).then(|| if stands_aside(now, desk) { now + STAND_ASIDE } else { now });
        [arm, sweep].into_iter().flatten().min()
    }
}

/// Whether a start is due too soon for a batch of the backlog.
fn stands_aside(now: Timestamp, desk: &Desk) -> bool {
    desk.next_armed(now).is_some_and(|start| start.duration_since(now) < STAND_ASIDE)
}
