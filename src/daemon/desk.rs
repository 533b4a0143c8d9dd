//! Everything that is not over: occurrences and tasks, what they wait for, and what was decided for them in this turn. Refuses to
//! plan, and to send: it says what may be sent.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::call::Leave;
use super::callbacks::Callbacks;
use super::live::{Live, UnderWay};
use super::rooms::Rooms;
use super::tasks::{Tasks, Way};
use super::voice::{Happening, Weight};
use crate::ledger::{Attempt, LedgerError, Turn};
use crate::occurrence::{Event, Key, MissedReason, Occurrence, State, Task, TaskStep, WaitReason, decide};
use crate::schedule::JobId;
use crate::trtc::Destination;
use crate::trtc::limiter::Priority;

/// What becomes of armed rows whose start is ahead, when a daemon takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    /// They are armed again.
    Again,
    /// Nothing was sent, and nothing is to be for now.
    TakenBack,
    /// The clock cannot say whether they were sent.
    InDoubt,
}

/// What a call is given to be sent.
pub(super) struct Errand {
    pub(super) occurrence: Occurrence,
    pub(super) leave: Leave,
    pub(super) way: watch::Receiver<Way>,
}

/// The desk.
pub(super) struct Desk {
    pub(super) live: BTreeMap<Key, Live>,
    pub(super) tasks: Tasks,
    pub(super) rooms: Rooms,
    pub(super) callbacks: Callbacks,
    pub(super) heard: Vec<Happening>,
    recovered_in_doubt: usize,
    rate: u32,
    last_turn: Timestamp,
    /// The endpoint's clock minus this one, where that had to be taken.
    pub(super) offset_ms: Option<i64>,
    /// WaitReason no start may leave, if none may.
    pub(super) held: Option<MissedReason>,
}

impl Desk {
    pub(super) fn new(rate: u32) -> Desk {
        Desk {
            live: BTreeMap::new(),
            tasks: Tasks::new(rate),
            rooms: Rooms::default(),
            callbacks: Callbacks::default(),
            heard: Vec::new(),
            recovered_in_doubt: 0,
            rate,
            last_turn: Timestamp::MIN,
            offset_ms: None,
            held: None,
        }
    }

    pub(super) fn last_turn(&self) -> Timestamp {
        self.last_turn
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// What has happened since it was asked last.
    pub(super) fn heard(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.heard)
    }

    pub(super) fn say(&mut self, at: Timestamp, key: &Key, weight: Weight, text: String) {
        self.heard.push(Happening { at, key: Some(key.clone()), weight, text });
    }

    /// How many starts a former daemon may have sent just now.
    pub(super) fn in_doubt_at_recovery(&self) -> usize {
        self.recovered_in_doubt
    }

    /// The jobs of which an occurrence is on air, or on its way there.
    pub(super) fn jobs(&self) -> HashSet<JobId> {
        let stays = |live: &&Live| !matches!(live.occurrence.state, State::Stopping { .. });
        self.live.values().filter(stays).map(|live| live.occurrence.key.job.clone()).collect()
    }

    /// Claims a new occurrence, armed. False: it has a row already.
    pub(super) fn claim(&mut self, turn: &mut Turn<'_>, occurrence: Occurrence, now: Timestamp) -> Result<bool, LedgerError> {
        if !turn.claim(&occurrence)? {
            return Ok(false);
        }
        self.heard.push(Happening::of(&occurrence, now));
        self.add(occurrence);
        Ok(true)
    }

    fn add(&mut self, occurrence: Occurrence) {
        self.rooms.enter(&occurrence);
        self.live.insert(occurrence.key.clone(), Live::new(occurrence));
    }

    pub(super) fn take_off(&mut self, key: &Key) {
        if let Some(live) = self.live.remove(key) {
            self.rooms.leave(&live.occurrence);
        }
    }

    /// Records a new occurrence that is over already. False: it has a row.
    pub(super) fn record(&mut self, turn: &mut Turn<'_>, occurrence: &Occurrence, now: Timestamp) -> Result<bool, LedgerError> {
        let is_new = turn.record(occurrence)?;
        if is_new {
            self.heard.push(Happening::of(occurrence, now));
        }
        Ok(is_new)
    }

    /// Takes over a row of a former daemon.
    pub(super) fn recover(
        &mut self,
        turn: &mut Turn<'_>,
        occurrence: Occurrence,
        armed: Armed,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let key = occurrence.key.clone();
        let is_ahead = occurrence.state == State::Armed && key.start > now && occurrence.wanted.is_none();
        if is_ahead && armed == Armed::TakenBack && !occurrence.joined {
            return turn.remove(&key);
        }
        let is_armed = is_ahead && armed == Armed::Again;
        let was_under_way = matches!(occurrence.state, State::Armed | State::Calling) && !is_armed;
        self.add(occurrence.clone());
        if is_armed {
            return turn.rearm(&occurrence);
        }
        self.recovered_in_doubt += usize::from(was_under_way);
        if was_under_way || occurrence.in_doubt {
            self.callbacks.note_doubt(&occurrence, occurrence.tried_at.unwrap_or(key.start));
        }
        self.happen(turn, &key, Event::Recovered, now)
    }

    /// Takes over the tasks of a former daemon, after its occurrences.
    pub(super) fn recover_tasks(&mut self, tasks: Vec<Task>, now: Timestamp) {
        for task in &tasks {
            if let Some(live) = self.live.get_mut(&task.key)
                && live.occurrence.task_id.as_ref() == Some(&task.task_id)
            {
                live.bound = task.bound;
            }
        }
        self.tasks.recover(tasks, now);
    }

    /// Lets the table decide, writes the row, and takes what is over off the desk.
    pub(super) fn happen(&mut self, turn: &mut Turn<'_>, key: &Key, event: Event, now: Timestamp) -> Result<(), LedgerError> {
        let Some(live) = self.live.get_mut(key) else { return Ok(()) };
        let next = match decide(&live.occurrence, event, now) {
            Ok(next) => next,
            Err(illegal) => {
                // Our bug, and no reason to take every other room down with it: it is said, and the row stays as it is.
                self.say(now, key, Weight::Error, illegal.to_string());
                return Ok(());
            }
        };
        if next == live.occurrence {
            return Ok(());
        }
        turn.update(&next)?;
        let waits_for = |state: &State| match state {
            State::Waiting { why, .. } => Some(*why),
            _ => None,
        };
        // What waits for the same thing for a shorter time is no news.
        let waits_on = waits_for(&next.state).is_some_and(|why| waits_for(&live.occurrence.state) == Some(why));
        let is_news = next.state != live.occurrence.state && !waits_on;
        if next.state == State::Calling && is_news {
            turn.attempt(&next)?;
        }
        if is_news && next.state != State::Calling {
            self.heard.push(Happening::of(&next, now));
        }
        let leaves_air =
            live.occurrence.state == State::OnAir && matches!(next.state, State::Waiting { .. }) && next.lost_at.is_none();
        let is_stopped = matches!(next.state, State::Stopping { .. });
        let target = next.playout.target();
        if next.is_done() {
            self.take_off(key);
        } else {
            if !matches!(next.state, State::Armed | State::Calling) {
                live.call = None;
            }
            live.occurrence = next;
        }
        if leaves_air || is_stopped {
            // What takes the room, or comes back to it, waits for this stop.
            let hands_over = leaves_air || self.rooms.are_contested(&target);
            self.tasks.want_stop(turn, key, hands_over, now)?;
        }
        Ok(())
    }

    /// Does what time alone makes due: waiting attempts, planned ends, renewals, tasks.
    pub(super) fn act_on_time(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<(), LedgerError> {
        if now < self.last_turn {
            self.clock_went_back(now);
        }
        self.last_turn = now;
        let due: Vec<_> = self.live.values().filter_map(|live| live.due(self.held, now)).collect();
        for (key, event) in due {
            self.happen(turn, &key, event, now)?;
        }
        let (settled, alerts) = self.tasks.act_on_time(turn, now)?;
        self.heard.extend(alerts);
        for task in settled {
            self.task_news(turn, &task, TaskStep::Describe, now)?;
        }
        Ok(())
    }

    /// The clock was set: the cloud ends tasks by the time that passes, whatever this host's clock shows, and callbacks tell by a
    /// clock of their own when a task began.
    pub(super) fn clock_moved(&mut self, turn: &mut Turn<'_>, by: SignedDuration) -> Result<(), LedgerError> {
        for live in self.live.values_mut() {
            live.bound = live.bound.and_then(|bound| bound.checked_add(by).ok());
            let was_sent = live.awaits_answer();
            if live.occurrence.move_sent(by, was_sent) {
                turn.update(&live.occurrence)?;
            }
        }
        self.callbacks.clock_moved(by);
        self.tasks.clock_moved(turn, by)
    }

    /// The clock was set back: nothing that waits for a moment of the time before may wait until it comes again.
    fn clock_went_back(&mut self, now: Timestamp) {
        self.tasks.clock_went_back(now);
        self.callbacks.clock_went_back(now);
        for live in self.live.values_mut() {
            if let State::Waiting { until, why: WaitReason::Retry | WaitReason::Restart } = &mut live.occurrence.state {
                let longest = SignedDuration::try_from(live.occurrence.policy.retry.cap).unwrap_or(SignedDuration::MAX);
                let soonest = now.max(live.occurrence.key.start);
                *until = soonest.checked_add(longest).map_or(*until, |latest| latest.min(*until));
            }
        }
    }

    /// What a call needs to send what `attempt` permits. `None`: it is not wanted any more.
    pub(super) fn begin_call(&mut self, attempt: &Attempt) -> Option<Errand> {
        let live = self.live.get_mut(attempt.key())?;
        if !live.is_claimed() || live.occurrence.wanted.is_some() {
            return None;
        }
        let leave = Leave::default();
        let (sender, way) = watch::channel(Way::Free);
        live.call = Some(UnderWay { leave: leave.clone(), row: attempt.call(), way: sender });
        let occurrence = live.occurrence.clone();
        self.clear_way(attempt.key());
        Some(Errand { occurrence, leave, way })
    }

    /// Says to the call of an occurrence what stands between it and its room.
    pub(super) fn clear_way(&self, key: &Key) {
        let Some(live) = self.live.get(key) else { return };
        let Some(call) = &live.call else { return };
        let is_welcome = |other: &Key| self.live.get(other).is_some_and(|other| other.plays_beside(live));
        let way = self.tasks.way(&live.occurrence, is_welcome).max(self.starts_in_way(live));
        call.way.send_if_modified(|before| std::mem::replace(before, way) != way);
    }

    /// Stops and describes that are to be sent now.
    pub(super) fn task_calls(&mut self) -> Vec<(i64, TaskStep, (Destination, String), Priority)> {
        self.tasks.calls()
    }

    /// The earliest thing that time makes due.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let held = self.held.is_some();
        let live = self.live.values().filter_map(|live| live.wake(held)).min();
        [live, self.tasks.next_wake(), self.next_meeting(self.last_turn), self.callbacks.next_wake()].into_iter().flatten().min()
    }

    pub(super) fn watch_period(&self) -> SignedDuration {
        self.tasks.watch_period()
    }
}
