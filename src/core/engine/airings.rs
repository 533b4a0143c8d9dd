//! Every occurrence that is not over, with the tasks of all. What changes one of them goes through [`Airings::transition`]: the
//! table decides, the row is written, and what that means for its tasks follows. Does not plan, and does not know what an order or
//! an edit is.

mod former;
mod ordered;
mod settle;
mod taken_back;

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::airing::{Airing, Edit, UnderWay, is_news};
use super::call_report::Blocker;
use super::former::FormerStarts;
use super::notice::{Level, Notice};
use super::occupancy::Occupancy;
use super::send_flag::SendFlag;
use super::step::{Records, Step};
use super::tasks::Tasks;
use super::write::Write;
use crate::lease::ARM_AHEAD;
use crate::occurrence::{Event, Key, KnownMedia, MissedReason, Occurrence, Outcome, State, Task, TaskStep, WaitReason, decide};
use crate::schedule::JobId;

/// While something is on air there is a step at each look. After a longer pause, that it was not seen meanwhile says nothing.
const STALL: SignedDuration = SignedDuration::from_secs(60);

/// All of them.
pub(super) struct Airings {
    open: BTreeMap<Key, Airing>,
    occupancy: Occupancy,
    pub(super) tasks: Tasks,
    /// Why no start may leave, if none may.
    pub(super) held: Option<MissedReason>,
    /// Whether the lease of this host is over, so that not even what was armed leaves.
    pub(super) lease_is_over: bool,
    /// What the owner before may still send.
    pub(super) former: FormerStarts,
    /// How long before its start an occurrence is armed.
    pub(super) arm_ahead: SignedDuration,
    /// What was cut since this was emptied, because its job left the schedule.
    pub(super) removed: Vec<Occurrence>,
    /// Of each job the latest planned show that failed, while its window may be open: it may be taken up again.
    pub(super) failed: BTreeMap<JobId, Occurrence>,
    /// What looks at media saw lately.
    pub(super) media: KnownMedia,
    last_step: Timestamp,
}

impl Airings {
    /// None yet. `rate`: requests a second for each action.
    pub(super) fn new(rate: u32) -> Airings {
        Airings {
            open: BTreeMap::new(),
            occupancy: Occupancy::default(),
            tasks: Tasks::new(rate),
            held: None,
            lease_is_over: false,
            former: FormerStarts::default(),
            arm_ahead: ARM_AHEAD,
            removed: Vec::new(),
            failed: BTreeMap::new(),
            media: KnownMedia::default(),
            last_step: Timestamp::MIN,
        }
    }

    // Looking.

    pub(super) fn get(&self, key: &Key) -> Option<&Airing> {
        self.open.get(key)
    }

    /// By start, then job.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Airing> {
        self.open.values()
    }

    /// By start, then job. A copy, so that each may be changed in turn.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.open.keys().cloned().collect()
    }

    pub(super) fn occupancy(&self) -> &Occupancy {
        &self.occupancy
    }

    /// The time of the newest step in which the time was looked at.
    pub(super) fn last_step(&self) -> Timestamp {
        self.last_step
    }

    /// The jobs of which an occurrence is on air, or on its way there, at `now`.
    pub(super) fn jobs(&self, now: Timestamp) -> HashSet<JobId> {
        let is_far = |airing: &Airing| airing.is_far(now, self.arm_ahead);
        let stays = |airing: &&Airing| !matches!(airing.occurrence.state, State::Stopping { .. }) && !is_far(airing);
        self.iter().filter(stays).map(|airing| airing.occurrence.key.job.clone()).collect()
    }

    /// Whether a start was sent whose answer has not come.
    pub(super) fn awaits_answers(&self) -> bool {
        self.iter().any(Airing::awaits_answer)
    }

    /// The first armed start at or after `from`.
    pub(super) fn next_armed(&self, from: Timestamp) -> Option<Timestamp> {
        let armed = self.iter().filter(|airing| airing.occurrence.state == State::Armed);
        armed.map(|airing| airing.occurrence.key.start).find(|start| *start >= from)
    }

    /// How many starts are armed for `[from, to)`.
    pub(super) fn armed_between(&self, from: Timestamp, to: Timestamp) -> usize {
        let armed = self.iter().filter(|airing| airing.occurrence.state == State::Armed);
        armed.filter(|airing| (from..to).contains(&airing.occurrence.key.start)).count()
    }

    /// When the time of the first of them comes.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let held = self.held.is_some();
        let airings = self.iter().filter_map(|airing| airing.wake(held)).min();
        [airings, self.tasks.next_wake(), self.former.next_wake()].into_iter().flatten().min()
    }

    // Coming and going.

    /// Claims a new occurrence, armed, and its first attempt; if its stream is known to be missing, for its fallback. False: it has a row
    /// already; `None`: nobody can say now.
    pub(super) fn claim(&mut self, step: &mut Step, records: &dyn Records, occurrence: Occurrence) -> Option<bool> {
        let occurrence = occurrence.with_source(&self.media, step.now);
        let is_new = record(step, records, &occurrence)?;
        if is_new {
            claim_attempt(step, &occurrence);
            self.add(occurrence);
        }
        Some(is_new)
    }

    /// Takes one in that was done, and goes on.
    pub(super) fn reopen(&mut self, step: &mut Step, occurrence: Occurrence) {
        step.write(Write::Reopen(Box::new(occurrence.clone())));
        self.add(occurrence);
    }

    /// Takes one in that has its row.
    pub(super) fn add(&mut self, occurrence: Occurrence) {
        self.occupancy.enter(&occurrence);
        self.open.insert(occurrence.key.clone(), Airing::new(occurrence));
    }

    fn remove(&mut self, key: &Key) {
        if let Some(airing) = self.open.remove(key) {
            self.occupancy.leave(&airing.occurrence);
        }
    }

    /// Takes over the tasks of the daemon before, after its occurrences.
    pub(super) fn recover_tasks(&mut self, tasks: Vec<Task>, now: Timestamp) {
        for task in &tasks {
            if let Some(airing) = self.open.get_mut(&task.key)
                && airing.occurrence.task_id.as_ref() == Some(&task.task_id)
            {
                airing.bound = task.bound;
            }
        }
        self.tasks.recover(tasks, now);
    }

    // Changing one.

    /// Lets the table decide, writes the row, and takes out what is over.
    pub(super) fn transition(&mut self, step: &mut Step, key: &Key, event: Event) {
        let Some(airing) = self.open.get_mut(key) else { return };
        let next = match decide(&airing.occurrence, event.clone(), step.now) {
            Ok(next) => next,
            Err(illegal) => {
                // Our bug, and no reason to take every other room down with it: it is told, and the row stays as it is.
                step.notify_of(key, Level::Error, illegal.to_string());
                return;
            }
        };
        if next == airing.occurrence {
            return;
        }
        step.write(Write::Update(Box::new(next.clone())));
        let is_news = is_news(&airing.occurrence, &next);
        if is_news && next.state == State::Calling {
            claim_attempt(step, &next);
        } else if is_news {
            let mut notice = Notice::of(&next, step.now);
            if let Some(retry_after) = event.retry_after() {
                notice.add_hint(&next, retry_after);
            }
            if matches!(next.state, State::Waiting { .. }) {
                airing.told_slow = notice.add_slow(&next, &event, airing.told_slow.take(), self.tasks.secrets);
            }
            step.notices.push(notice);
        }
        let leaves_air =
            airing.occurrence.state == State::OnAir && matches!(next.state, State::Waiting { .. }) && next.lost_at.is_none();
        let is_stopped = matches!(next.state, State::Stopping { .. });
        let target = next.playout.target();
        if next.is_done() {
            self.remove(key);
            match &next.state {
                State::Done { outcome: Outcome::CutRemoved } => self.removed.push(next),
                State::Done { outcome: Outcome::Failed(_) } => self.keep_failed(next, step.now),
                _ => {}
            }
        } else {
            if !matches!(next.state, State::Armed | State::Calling) {
                airing.call = None;
            }
            airing.occurrence = next;
        }
        if leaves_air || is_stopped {
            // What takes the room, or comes back to it, waits for this stop.
            let hands_over = leaves_air || self.occupancy.is_contested(&target);
            self.tasks.want_stop(step, key, hands_over);
            self.settle(step, key, step.now);
        }
    }

    /// Gives an occurrence what an edit or a callback changed, without a change of its state, and writes the row.
    pub(super) fn update(&mut self, step: &mut Step, next: Occurrence) {
        let Some(airing) = self.open.get_mut(&next.key) else { return };
        step.write(Write::Update(Box::new(next.clone())));
        if next.playout.target() == airing.occurrence.playout.target() {
            airing.occurrence = next;
            return;
        }
        self.occupancy.leave(&airing.occurrence);
        self.occupancy.enter(&next);
        airing.occurrence = next;
    }

    /// Keeps what an edit has an occurrence play, until it is off the air.
    pub(super) fn set_edit(&mut self, key: &Key, edit: Option<Edit>) {
        if let Some(airing) = self.open.get_mut(key) {
            airing.edit = edit;
        }
    }

    /// What failed may be fixed: it is tried at once, and what fails then is told anew.
    pub(super) fn try_fixed(&mut self, step: &mut Step, key: &Key) {
        if let Some(airing) = self.open.get_mut(key) {
            airing.told_slow = None;
        }
        self.transition(step, key, Event::Fixed);
    }

    pub(super) fn set_bound(&mut self, key: &Key, bound: Option<Timestamp>) {
        if let Some(airing) = self.open.get_mut(key) {
            airing.bound = bound;
        }
    }

    /// What a call needs to send what was permitted in this row; `None`: it is not wanted any more. More may stand between it and
    /// its room than is said here: whoever has the room is asked by the caller.
    pub(super) fn begin_start(&mut self, key: &Key, row: i64) -> Option<(Occurrence, SendFlag)> {
        let airing = self.open.get_mut(key)?;
        if !airing.is_claimed() || airing.occurrence.wanted.is_some() {
            return None;
        }
        if airing.occurrence.key.start > self.last_step {
            // Its permission came in time all the same.
            airing.held_back = None;
        }
        let flag = SendFlag::default();
        if std::mem::take(&mut airing.was_punctual) {
            flag.note_punctual();
        }
        airing.call = Some(UnderWay { flag: flag.clone(), row, blocker: Blocker::Nothing });
        Some((airing.occurrence.clone(), flag))
    }

    /// Remembers what stands between a start under way and its room. Returns the row of its call if that is something else now.
    pub(super) fn set_blocker(&mut self, key: &Key, blocker: Blocker) -> Option<i64> {
        let call = self.open.get_mut(key)?.call.as_mut()?;
        (std::mem::replace(&mut call.blocker, blocker) != blocker).then_some(call.row)
    }

    /// The answer to its call came.
    pub(super) fn end_call(&mut self, key: &Key) {
        if let Some(airing) = self.open.get_mut(key) {
            airing.call = None;
        }
    }

    // Time.

    /// Does what the time has come for: waiting attempts, planned ends, renewals, tasks.
    pub(super) fn act_on_time(&mut self, step: &mut Step) {
        if step.now < self.last_step {
            self.clock_went_back(step.now);
        }
        if step.now.duration_since(self.last_step) >= STALL {
            self.tasks.watch_anew(step.now);
        }
        self.last_step = step.now;
        self.forget_former(step.now);
        let events: Vec<_> = self.iter().filter_map(|airing| airing.event_of_time(self.held, step.now)).collect();
        for (key, event) in events {
            self.transition(step, &key, event);
        }
        self.act_on_tasks(step);
    }

    /// Decides what is to be sent for tasks now.
    pub(super) fn act_on_tasks(&mut self, step: &mut Step) {
        for task in self.tasks.act_on_time(step) {
            self.apply_task(step, &task, TaskStep::Describe);
        }
    }

    /// The clock was set: the cloud ends tasks by the time that passes, whatever this host's clock shows, and callbacks say by a
    /// clock of their own when a task began.
    pub(super) fn clock_moved(&mut self, step: &mut Step, by: SignedDuration) {
        for airing in self.open.values_mut() {
            airing.bound = airing.bound.and_then(|bound| bound.checked_add(by).ok());
            let was_sent = airing.awaits_answer();
            if airing.occurrence.move_sent(by, was_sent) {
                step.write(Write::Update(Box::new(airing.occurrence.clone())));
            }
        }
        self.tasks.clock_moved(step, by);
        self.media.forget();
    }

    /// The clock was set back: what waits for a moment of the time before must not wait until it comes again.
    fn clock_went_back(&mut self, now: Timestamp) {
        self.tasks.clock_went_back(now);
        for airing in self.open.values_mut() {
            if let State::Waiting { until, why: WaitReason::Retry | WaitReason::Restart } = &mut airing.occurrence.state {
                let longest = SignedDuration::try_from(airing.occurrence.policy.retry.cap).unwrap_or(SignedDuration::MAX);
                let start = airing.occurrence.key.start;
                // Where its start is still to come, it is sent then.
                let latest = if start > now { Some(start) } else { now.checked_add(longest).ok() };
                *until = latest.map_or(*until, |latest| latest.min(*until));
            }
        }
    }
}

/// Records a new occurrence. False: it has a row; `None`: nobody can say now.
pub(super) fn record(step: &mut Step, records: &dyn Records, occurrence: &Occurrence) -> Option<bool> {
    if step.has(records, &occurrence.key)? {
        return Some(false);
    }
    step.write(Write::Record(Box::new(occurrence.clone())));
    step.notices.push(Notice::of(occurrence, step.now));
    Some(true)
}

/// Claims the attempt that an occurrence counts already. Crash before: it still waits. After: it is in doubt.
fn claim_attempt(step: &mut Step, occurrence: &Occurrence) {
    let call = step.numbers.next_call();
    step.write(Write::Attempt { key: occurrence.key.clone(), call, attempt: occurrence.attempts });
}
