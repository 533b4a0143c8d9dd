//! What is owed: every planned occurrence is settled once, from the cursor to a little ahead of now. Downtime, a suspend and a
//! stall are just a long way from the cursor to now. Refuses to know what becomes of an occurrence once it is armed.
//!
//! Two sweeps share the way. Ahead of now, starts are armed. Behind it, in the backlog, what was missed is written down, in
//! batches, and never while a start is due: first the show that can still go on air, then the record of those that cannot.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::desk::Desk;
use super::{Former, Generation};
use crate::calendar::Start;
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{
    Key, Kind, LATE_AFTER, MissedReason, Occurrence, Outcome, Playout, SkippedReason, State, Terms, start_request,
};
use crate::plan::{self, Upcoming};
use crate::schedule::{EndRule, Job, JobId, Late};
use crate::trtc::Destination;

/// How long before its start an occurrence is armed.
pub(super) const ARM_AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// Most rows one transaction of the backlog writes: a few tens of milliseconds on a slow disk.
const BATCH: usize = 1_000;

/// Most rows of one job that a backlog writes before it counts the rest in one.
const ROWS_A_JOB: u32 = 1_000;

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
}

/// What lies between the cursor and where arming began.
struct Backlog {
    generation: Generation,
    upcoming: Upcoming,
    /// Every start before it is settled.
    cursor: Timestamp,
    /// Where it ends.
    until: Timestamp,
    tallies: HashMap<JobId, Tally>,
}

/// What one job has missed in this backlog: rows, and beyond them one summary for each outcome.
#[derive(Default)]
struct Tally {
    rows: u32,
    summaries: Vec<Occurrence>,
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
                backlogs.push_back(Backlog::new(generation, from, until));
                from = until;
            }
        }
        // What is armed beyond now already has its row, and what the accepted schedule adds there has none.
        Horizon { generation: accepted, upcoming, until: now, backlogs }
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
            if planned.start.at >= self.until {
                desk.claim(turn, armed(&planned, self.generation.number, false), now)?;
            }
        }
        self.until = self.until.max(now + ARM_AHEAD);
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
        match self.backlogs.back_mut() {
            Some(newest) if newest.until == from && newest.generation.number == self.generation.number => newest.until = now,
            _ => self.backlogs.push_back(Backlog::new(self.generation.clone(), from, now)),
        }
        self.upcoming = Upcoming::new(&self.generation.schedule, now);
        self.until = now;
        Ok(())
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

impl Backlog {
    fn new(generation: Generation, cursor: Timestamp, until: Timestamp) -> Backlog {
        let upcoming = Upcoming::new(&generation.schedule, cursor);
        Backlog { generation, upcoming, cursor, until, tallies: HashMap::new() }
    }

    /// Writes one batch; true when nothing is left.
    fn write_batch(&mut self, turn: &mut Turn<'_>, desk: &mut Desk, accepted: i64, now: Timestamp) -> Result<bool, LedgerError> {
        for _ in 0..BATCH {
            match self.upcoming.peek() {
                Some(start) if start < self.until => {}
                _ => {
                    self.cursor = self.until;
                    return Ok(true);
                }
            }
            let Some(planned) = self.upcoming.next() else { continue };
            self.write(turn, desk, &planned, accepted, now)?;
            self.cursor = self.upcoming.peek().unwrap_or(self.until).min(self.until);
        }
        Ok(false)
    }

    fn write(
        &mut self,
        turn: &mut Turn<'_>,
        desk: &mut Desk,
        planned: &plan::Planned,
        accepted: i64,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let claimed = armed(planned, self.generation.number, true);
        let was_replaced = self.generation.number != accepted;
        let state = State::Done { outcome: why_missed(&claimed, was_replaced, now) };
        let missed = Occurrence { state, attempts: 0, tries: 0, joined: false, ..claimed };
        let tally = self.tallies.entry(planned.job.id.clone()).or_default();
        if tally.rows < ROWS_A_JOB {
            tally.rows += u32::from(desk.record(turn, &missed, now)?);
            return Ok(());
        }
        if turn.has(&missed.key)? {
            return Ok(());
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
        turn.summarise(summary)
    }
}

/// The newest occurrence of `job` in `[from, now)` that can still be started.
fn latest_open(job: &Arc<Job>, from: Timestamp, now: Timestamp) -> Option<plan::Planned> {
    if !job.enabled {
        return None;
    }
    let reach = look_back(job).and_then(|reach| now.checked_sub(reach).ok());
    // Where no window bounds the search, a year does: an endless show that began earlier has a row, or a new one is wanted.
    let from = from.max(reach.unwrap_or(now - SignedDuration::from_hours(24 * 366)));
    let newest = newest_start(job, from, now)?;
    let planned = plan::planned(job, newest);
    let closes = armed(&planned, 0, true).start_closes();
    closes.is_none_or(|closes| now < closes).then_some(planned)
}

/// The newest start of `job` in `[from, now)`, found in stretches that double from `now` back: a job that starts every second
/// has its newest in the first of them.
fn newest_start(job: &Job, from: Timestamp, now: Timestamp) -> Option<Start> {
    let mut stretch = SignedDuration::from_mins(1);
    let mut until = now;
    while from < until {
        let since = until.checked_sub(stretch).map_or(from, |since| since.max(from));
        if let Some(newest) = job.when.between(since, until).last() {
            return Some(newest);
        }
        (until, stretch) = (since, stretch * 2);
    }
    None
}

/// The longest a window of this job can be, with room for a clock change; `None`: unknown.
fn look_back(job: &Job) -> Option<SignedDuration> {
    let length = match (job.end, job.start_within) {
        (EndRule::For(length), _) => length,
        (EndRule::To(_), _) => Duration::from_hours(26),
        (EndRule::Media, within) => {
            let media = job.length.zip(times(job)).map(|(length, plays)| length.saturating_mul(plays) * 2);
            media.or(within).unwrap_or(Duration::from_mins(10))
        }
        (EndRule::Never, within) => within?,
    };
    SignedDuration::try_from(length).ok()?.checked_add(SignedDuration::from_secs(1))
}

fn times(job: &Job) -> Option<u32> {
    match job.repeat {
        crate::trtc::Repeat::Times(plays) if !job.live => Some(plays.into()),
        _ => None,
    }
}

/// Claims a show that is open already; or records why it is not started after all.
fn start_late(
    turn: &mut Turn<'_>,
    desk: &mut Desk,
    planned: &plan::Planned,
    generation: i64,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let occurrence = armed(planned, generation, true);
    let is_late = now.duration_since(occurrence.key.start) > LATE_AFTER;
    let outcome = if is_late && occurrence.terms.late == Late::Skip {
        Some(MissedReason::Late)
    } else if start_request(&occurrence, now).is_err() {
        Some(MissedReason::ContentOver)
    } else {
        None
    };
    match outcome {
        None => desk.claim(turn, occurrence, now)?,
        Some(reason) => {
            let state = State::Done { outcome: Outcome::Missed(reason) };
            desk.record(turn, &Occurrence { state, attempts: 0, tries: 0, joined: false, ..occurrence }, now)?
        }
    };
    Ok(())
}

/// Why an occurrence of the backlog had no chance. Those that could still be started have a row by now. `was_replaced`: the
/// schedule that planned it is not in force any more.
fn why_missed(occurrence: &Occurrence, was_replaced: bool, now: Timestamp) -> Outcome {
    let has_closed = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
    if has_closed(occurrence.end.at()) || has_closed(occurrence.start_within_closes()) {
        return Outcome::Missed(MissedReason::Down);
    }
    if has_closed(occurrence.start_closes()) || occurrence.terms.late == Late::Skip {
        return Outcome::Missed(MissedReason::Late);
    }
    if was_replaced {
        return Outcome::Missed(MissedReason::Down);
    }
    // A later window of the same job is open too, and only the latest is started.
    Outcome::Skipped(SkippedReason::Conflict)
}

/// The occurrence as it is claimed: armed, attempt 1.
fn armed(planned: &plan::Planned, generation: i64, joined: bool) -> Occurrence {
    let job = &planned.job;
    Occurrence {
        key: Key { start: planned.start.at, job: job.id.clone() },
        kind: Kind::Planned,
        count: 1,
        end: planned.end,
        playout: playout(job, planned.start.at),
        terms: Terms {
            late: job.late,
            start_within: job.start_within,
            conflict: job.conflict,
            retry: job.retry.as_ref().clone(),
            heal: job.heal,
            on_remove: job.on_remove,
            priority: job.priority,
        },
        generation,
        state: State::Armed,
        attempts: 1,
        tries: 1,
        restarts: 0,
        was_in_doubt: false,
        in_doubt: false,
        joined,
        exists_since: None,
        first_sent_at: None,
        on_air_at: None,
        ended_at: None,
        confirmed_at: None,
        task_id: None,
        fault: None,
        request_id: None,
    }
}

fn playout(job: &Job, start: Timestamp) -> Playout {
    let app = job.app.as_ref().expect("a schedule that is run was read with settings, which name the application of every job");
    let region = job.region.as_ref().expect("a schedule that is run was read with settings, which have a region");
    let destination = Destination {
        app: app.name.as_ref().to_owned(),
        sdk_app_id: app.sdk_app_id.expect("settings give every application its id"),
        region: region.as_ref().to_owned(),
    };
    Playout {
        destination,
        room: job.room.clone(),
        robot: job.robot.expand(job.id.as_str(), &job.room, start),
        stream: job.stream.clone(),
        live: job.live,
        length: job.length,
        seek: job.seek,
        repeat: job.repeat,
        volume: job.volume,
        tempo: job.tempo,
        progress: job.progress,
        auto_push: job.auto_push,
        idle_timeout: job.idle_timeout,
    }
}
