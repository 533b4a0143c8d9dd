//! What is owed: every planned occurrence is settled once, from the cursor to a little ahead of now. Downtime, a suspend and a
//! stall are just a long way from the cursor to now. Does not know what becomes of an occurrence after it is armed.
//!
//! Two sweeps share the way. Ahead of now, starts are armed. Behind it, in the backlog, what was missed is recorded, in batches, and
//! never while a start is near: first the show that can still go on air, then the record of those that cannot. No step takes longer the
//! more jobs there are (`away`); what must be asked of all of them is asked before the loop runs, or before it is told (`prepare`).

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::airings::Airings;
use super::away::{Away, JobsToAsk, MayBeOpen, OpenWindow};
use super::backlog::Backlog;
use super::claim::{armed, hold_back, pass_over, start_late};
use super::prepare::{Generation, PastGeneration, Ready};
use super::step::{Records, Step};
use super::write::Write;
use crate::lease::ARM_AHEAD;
use crate::occurrence::{MissedReason, Outcome, SkippedReason};
use crate::plan::holds::Holds;
use crate::plan::{Planned, Upcoming};
use crate::schedule::JobId;

/// The backlog stands aside while a start is this near.
const STAND_ASIDE: SignedDuration = SignedDuration::from_millis(100);

/// How far the schedule is settled, and the sweeps that settle it.
pub(super) struct Agenda {
    generation: Generation,
    upcoming: Upcoming,
    /// Set while `upcoming` is on its way to now: no start is armed before it is there.
    away: Option<Away>,
    /// Jobs that may have windows that are open already.
    may_be_open: JobsToAsk,
    /// Windows that are open already, to be started before anything else. What nobody can say now is asked again.
    open_windows: VecDeque<OpenWindow>,
    /// Every start before it is armed, has a row, or is in the backlog.
    until: Timestamp,
    /// Oldest first; only the first is swept.
    backlogs: VecDeque<Backlog>,
    /// What jobs that came back missed meanwhile, and which jobs these are. It is swept before the rest, and the cursor does not wait
    /// for it: the ledger has these jobs as away until it is done.
    returned: VecDeque<(Backlog, BTreeSet<JobId>)>,
    /// A new ledger on a host whose clock is not right yet: nothing is owed before it is.
    begins_when_released: bool,
    /// Why nothing was settled since `until`, should that be long ago.
    absent: MissedReason,
    /// What starts before is not started: nobody knows what was on air then, since the ledger is a backup.
    restored_at: Option<Timestamp>,
    /// What operators hold back.
    pub(super) holds: Holds,
    /// How long before its start an occurrence is armed.
    pub(super) arm_ahead: SignedDuration,
    /// While taking over: from here on a row may have been lost with the database that had it.
    pub(super) rows_lost_since: Option<Timestamp>,
}

impl Agenda {
    /// Begins at `now` under `accepted`, with a backlog from `cursor` to `now` under the schedules that were in force then. Until
    /// `restored_at` nobody knows what was on air.
    pub(super) fn new(
        accepted: Generation,
        past: Vec<PastGeneration>,
        (cursor, restored_at): (Timestamp, Option<Timestamp>),
        now: Timestamp,
    ) -> Agenda {
        let upcoming = Upcoming::new(&accepted.schedule, now);
        let mut backlogs = VecDeque::new();
        let mut from = cursor;
        let last = PastGeneration { generation: accepted.clone(), until: now };
        for PastGeneration { generation, until } in past.into_iter().chain([last]) {
            let until = until.min(now);
            let restored = restored_at.unwrap_or(from).min(until);
            for (until, absent) in [(restored, MissedReason::Restored), (until, MissedReason::Down)] {
                if from < until {
                    backlogs.push_back(Backlog::new(generation.clone(), from, until, absent));
                    from = until;
                }
            }
        }
        Agenda {
            generation: accepted,
            upcoming,
            away: None,
            may_be_open: JobsToAsk::default(),
            open_windows: VecDeque::new(),
            // What is armed beyond now already has its row, and what the accepted schedule adds there has none.
            until: now,
            backlogs,
            returned: VecDeque::new(),
            begins_when_released: false,
            absent: MissedReason::Down,
            restored_at,
            holds: Holds::default(),
            arm_ahead: ARM_AHEAD,
            rows_lost_since: None,
        }
    }

    /// The schedule in force.
    pub(super) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// These jobs came back, and are owed what is in this backlog.
    pub(super) fn owe(&mut self, backlog: Backlog, jobs: BTreeSet<JobId>) {
        self.returned.push_back((backlog, jobs));
    }

    /// The generation under which the time from the cursor on is settled.
    pub(super) fn cursor_generation(&self) -> i64 {
        self.backlogs.front().map_or(self.generation.number, |backlog| backlog.generation.number)
    }

    /// Every start before it is settled: what the ledger keeps.
    pub(super) fn cursor(&self) -> Timestamp {
        self.backlogs.front().map_or(self.until, |backlog| backlog.cursor)
    }

    /// Settles to so far ahead of now as starts are armed.
    pub(super) fn advance(&mut self, airings: &mut Airings, step: &mut Step, records: &dyn Records) {
        let now = step.now;
        // A stall, a suspend, a clock that was set forward.
        let was_away = self.until < now && self.upcoming.peek().is_some_and(|start| start < now);
        if was_away && self.away.is_none() {
            self.away = Some(Away::owing(now, self.absent));
        }
        if !self.come_back() {
            return;
        }
        if self.start_open_windows(airings, step, records).is_none() {
            return;
        }
        while self.upcoming.peek().is_some_and(|start| start <= now + self.arm_ahead) {
            let Some(planned) = self.upcoming.first() else { break };
            let is_settled = planned.start.at < self.until;
            if !is_settled && self.claim(airings, step, records, &planned).is_none() {
                return;
            }
            self.upcoming.next();
        }
        self.until = self.until.max(now + self.arm_ahead);
        self.absent = MissedReason::Down;
        self.sweep(airings, step, records);
        if !step.writes.is_empty() {
            step.write(Write::Cursor { at: self.cursor() });
        }
    }

    /// Arms a start, or records that operators hold it back. `None`: nobody can say now whether it has a row.
    fn claim(&self, airings: &mut Airings, step: &mut Step, records: &dyn Records, planned: &Planned) -> Option<()> {
        let generation = self.generation.number;
        match self.holds.of(&planned.job.id, planned.start.at, step.now) {
            Some(held) => hold_back(step, records, planned, generation, held),
            None => airings.claim(step, records, armed(planned, generation, false)).map(drop),
        }
    }

    /// Drops what holds nothing back any more.
    pub(super) fn drop_holds(&mut self, step: &mut Step) {
        for hold in self.holds.take_over(self.cursor().min(step.now)) {
            step.write(Write::HoldOver(Box::new(hold)));
        }
    }

    /// The first start that is not settled is not before this.
    pub(super) fn settled_until(&self) -> Timestamp {
        self.until
    }

    /// Asks some of the jobs that may have open windows, and starts those that are open. `None`: nobody can say now which of the rest
    /// have rows. A crash before that loses none: the next daemon looks for open windows itself.
    pub(super) fn start_open_windows(&mut self, airings: &mut Airings, step: &mut Step, records: &dyn Records) -> Option<()> {
        let open = self.may_be_open.ask_some(step.now);
        self.queue(open);
        let generation = self.generation.number;
        while let Some(OpenWindow { planned, is_job_busy }) = self.open_windows.front() {
            let held = self.holds.of_late(&planned.job.id, planned.start.at, step.now);
            if self.restored_at.is_some_and(|restored| planned.start.at < restored) {
                // It may be on air. What is owed of it is in the backlog.
            } else if armed(planned, generation, true).start_closes().is_some_and(|closes| closes <= step.now) {
                // It closed while nobody could say whether it has a row. What is owed of it is in the backlog.
            } else if let Some(held) = held {
                hold_back(step, records, planned, generation, held)?;
            } else if *is_job_busy {
                pass_over(step, records, planned, generation, Outcome::Skipped(SkippedReason::Conflict))?;
            } else {
                let may_be_on_air = self.rows_lost_since.is_some_and(|since| since <= planned.start.at);
                start_late(airings, step, records, planned, (generation, may_be_on_air))?;
            }
            self.open_windows.pop_front();
        }
        Some(())
    }

    /// Takes the search on to where the loop came back. Each job that it skips is asked for a window that is still open; what passed
    /// meanwhile goes to the backlog in the end. True: it is there.
    fn come_back(&mut self) -> bool {
        let Some(mut away) = self.away.take() else { return true };
        let (known, from) = (away.skipped.len(), self.until);
        let is_there = away.go_on(&mut self.upcoming);
        let jobs = away.skipped[known..].iter().map(|skipped| Arc::clone(self.upcoming.job_of(skipped)));
        self.may_be_open.add(jobs.map(|job| MayBeOpen { job, from, is_busy: false }));
        if !is_there {
            self.away = Some(away);
            return false;
        }
        let Away { to, absent, skipped } = away;
        if let Some(absent) = absent {
            let passed = self.upcoming.of_skipped(skipped);
            self.backlogs.push_back(Backlog::of(self.generation.clone(), passed, from, to, absent));
            self.until = to;
        }
        true
    }

    /// Goes on with the starts of another schedule. What lies between what is settled and `now` goes to the backlog, with the search for
    /// it: nothing is searched anew.
    fn go_over_to(&mut self, upcoming: Upcoming, now: Timestamp) {
        let mut before = std::mem::replace(&mut self.upcoming, upcoming);
        let away = self.away.take();
        if now <= self.until {
            return;
        }
        match away {
            Some(Away { absent: Some(_), skipped, .. }) => before.put_back(&skipped),
            // A reload while starts are held, or just after that.
            Some(Away { absent: None, .. }) => before = Upcoming::new(&self.generation.schedule, self.until),
            None => {}
        }
        self.backlogs.push_back(Backlog::of(self.generation.clone(), before, self.until, now, self.absent));
    }

    /// Has all jobs asked for what is open, to be started if it has no row: what is owed since `cursor`, and of what lies before it the
    /// newest window of each job that has nothing on air.
    pub(super) fn ask_all(&mut self, busy: &HashSet<JobId>, cursor: Timestamp) {
        let from = |job: &JobId| if busy.contains(job) { cursor } else { Timestamp::MIN };
        let jobs = self.generation.schedule.jobs();
        self.may_be_open.add(jobs.map(|job| MayBeOpen { job: Arc::clone(job), from: from(&job.id), is_busy: false }));
    }

    /// Queues what is open at `now`. All at once: nothing else waits before the loop runs.
    pub(super) fn queue_open(&mut self, busy: &HashSet<JobId>, cursor: Timestamp, now: Timestamp) {
        self.ask_all(busy, cursor);
        let open = self.may_be_open.ask_all(now);
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

    /// Another schedule is in force from `now` on. What is open under it and has no row is to be started; of a job whose earlier window
    /// still plays, it is to be passed over. No work here grows with the schedule: starts are waiting.
    pub(super) fn accept(&mut self, airings: &Airings, step: &mut Step, ready: Ready) {
        let now = step.now;
        // What was planned before, and not settled because the loop was away or starts were held, is owed all the same.
        self.go_over_to(ready.upcoming, now);
        self.generation = ready.generation;
        self.begin_at(now);
        // While the clock is held nothing is started; what is open then is started when the clock is believed.
        if airings.held != Some(MissedReason::Clock) {
            let busy = airings.jobs(now);
            let jobs =
                ready.may_be_open.into_iter().map(|(id, job)| MayBeOpen { job, from: Timestamp::MIN, is_busy: busy.contains(&id) });
            self.may_be_open.add(jobs);
        }
        step.write(Write::Generation { number: self.generation.number, accepted_at: now });
        step.write(Write::Cursor { at: self.cursor() });
        step.write(Write::CursorGeneration(self.cursor_generation()));
    }

    /// From `at` on nothing is settled: a start that was taken back, a clock that had been ahead. What has a row by then keeps it.
    pub(super) fn restart_at(&mut self, at: Timestamp) {
        self.begin_at(at);
        self.upcoming.forget();
        self.away = Some(Away::settled(at));
    }

    /// Nothing is settled from then on, and what is open is looked for by others.
    fn begin_at(&mut self, at: Timestamp) {
        self.backlogs.retain(|backlog| backlog.cursor < at);
        for backlog in &mut self.backlogs {
            backlog.until = backlog.until.min(at);
        }
        self.returned.retain(|(backlog, _)| backlog.cursor < at);
        for (backlog, _) in &mut self.returned {
            backlog.until = backlog.until.min(at);
        }
        self.until = at;
        self.away = None;
        self.may_be_open.clear();
        self.open_windows.clear();
    }

    /// Starts are held for the clock: what is open is looked for again when the clock is believed.
    pub(super) fn forget_open(&mut self) {
        self.may_be_open.clear();
        self.open_windows.clear();
    }

    /// Nothing is owed before the clock is believed for the first time.
    pub(super) fn begins_when_released(&mut self) {
        self.begins_when_released = true;
    }

    /// The clock is believed again. True: it had been ahead, and what was settled for times still to come is to be taken back.
    pub(super) fn released(&mut self, now: Timestamp) -> bool {
        let was_ahead = self.until > now + self.arm_ahead;
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
        // What can still be started gets its row first.
        if stands_aside(step.now, airings) || !self.may_be_open.is_empty() {
            return;
        }
        if let Some((owed, jobs)) = self.returned.front_mut() {
            if owed.write_batch(step, records, self.generation.number, &self.holds) {
                // One that left again meanwhile is owed what it misses now.
                for job in jobs.iter().filter(|job| self.generation.schedule.job(job.as_str()).is_some()) {
                    step.write(Write::RecordJobSeen { job: job.to_string(), at: step.now });
                }
                self.returned.pop_front();
            }
            return;
        }
        let Some(oldest) = self.backlogs.front_mut() else { return };
        if oldest.write_batch(step, records, self.generation.number, &self.holds) {
            self.backlogs.pop_front();
            step.write(Write::CursorGeneration(self.cursor_generation()));
        }
    }

    /// When there is something to settle again.
    pub(super) fn next_wake(&self, now: Timestamp, airings: &Airings) -> Option<Timestamp> {
        if self.away.is_some() || !self.may_be_open.is_empty() {
            return Some(now);
        }
        let arm = self.upcoming.peek().map(|start| start - self.arm_ahead);
        let is_swept = self.backlogs.is_empty() && self.returned.is_empty();
        let sweep = (!is_swept).then(|| if stands_aside(now, airings) { now + STAND_ASIDE } else { now });
        [arm, sweep, self.holds.next_over(now)].into_iter().flatten().min()
    }
}

/// Whether a start is too near for a batch of the backlog.
fn stands_aside(now: Timestamp, airings: &Airings) -> bool {
    airings.next_armed(now).is_some_and(|start| start.duration_since(now) < STAND_ASIDE)
}
