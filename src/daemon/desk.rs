//! Everything that is not over: occurrences and tasks, what they wait for, and what was decided for them in this turn. Refuses to
//! plan, and to send: it says what may be sent.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::call::{Leave, Report};
use super::callbacks::Callbacks;
use super::live::{Live, UnderWay};
use super::rooms::Rooms;
use super::tasks::{Tasks, Way};
use super::voice::{Happening, Weight};
use crate::ledger::{Attempt, LedgerError, Turn};
use crate::occurrence::{
    Event, Key, MissedReason, NotSent, Occurrence, Remedy, State, Task, TaskPhase, TaskStep, Verdict, Why, decide, judge, remedy,
};
use crate::schedule::JobId;
use crate::trtc::limiter::Ticket;
use crate::trtc::{Answer, Api, Destination};

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
    /// Why no start may leave, if none may.
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
        if was_under_way {
            self.callbacks.note_doubt(&occurrence, occurrence.tried_at.unwrap_or(key.start));
        }
        if let Some(tried_at) = occurrence.tried_at.filter(|_| was_under_way || occurrence.in_doubt) {
            self.callbacks.note_doubt(&occurrence, tried_at);
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
        let is_news = next.state != live.occurrence.state;
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

    /// Takes in what a call brought back.
    pub(super) fn take_report<A: Api>(
        &mut self,
        turn: &mut Turn<'_>,
        report: Report,
        now: Timestamp,
        api: &A,
    ) -> Result<(), LedgerError> {
        if let Report::Answered { answered_at, answer, .. } | Report::Task { answered_at, answer, .. } = &report {
            self.heed(answer, *answered_at, api);
        }
        match report {
            Report::Warmed => Ok(()),
            Report::Orphan { task_id, answer } => {
                self.orphan_answered(turn, &task_id, &answer, now);
                Ok(())
            }
            Report::Unsent { attempt, reason } => {
                let is_current = |live: &Live| live.call.as_ref().is_some_and(|call| call.row == attempt.call());
                if !self.live.get(attempt.key()).is_some_and(is_current) {
                    // It was taken back meanwhile, and whoever did that has said what becomes of it.
                    return Ok(());
                }
                turn.unsent(attempt.call())?;
                let held_back = self.live.get(attempt.key()).and_then(|live| live.held_back).or(self.held);
                let reason = held_back.filter(|_| reason == NotSent::Late).map_or(reason, NotSent::Held);
                self.happen(turn, attempt.key(), Event::NotSent(reason), now)
            }
            Report::Answered { attempt, sent_at, answered_at, answer, bound } => {
                turn.answered(attempt.call(), sent_at, answered_at, &answer)?;
                self.answered(turn, attempt.key(), sent_at, &answer, bound, now)
            }
            Report::Task { row, step, sent_at, answered_at, answer } => {
                let Some(task) = self.tasks.answered(turn, row, step, (sent_at, answered_at), &answer, now)? else { return Ok(()) };
                self.task_news(turn, &task, step, now)
            }
        }
    }

    fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        sent_at: Timestamp,
        answer: &Answer,
        bound: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let Some(live) = self.live.get_mut(key) else { return Ok(()) };
        live.call = None;
        let judgement = judge(&live.occurrence, answer);
        let robot_busy = self.tasks.robot_is_busy(&live.occurrence);
        if robot_busy && judgement.verdict == Verdict::Exists {
            self.tasks.make_way(turn, &live.occurrence, now)?;
        }
        if let Verdict::Accepted { task_id } = &judgement.verdict {
            self.heed_answer(turn, key, &task_id.clone(), now)?;
        }
        let Some(live) = self.live.get(key) else { return Ok(()) };
        let before = live.occurrence.clone();
        if judgement.doubt {
            self.callbacks.note_doubt(&before, sent_at);
        }
        let media_end = live.media_end(sent_at);
        let is_exists = judgement.verdict == Verdict::Exists;
        // The task is added first: if its stop is wanted already, the stop needs something to stop.
        let accepted = match &judgement.verdict {
            Verdict::Accepted { task_id } => Some(task_id.clone()),
            _ => None,
        };
        if let Some(task_id) = &accepted {
            self.tasks.add(turn, &before, task_id.clone(), bound, media_end, now)?;
        }
        self.happen(turn, key, Event::Answered { sent_at, judgement, robot_busy }, now)?;
        let Some(live) = self.live.get_mut(key) else { return Ok(()) };
        if accepted.is_some() {
            live.bound = bound;
        }
        // A heal was told that what it lost is there.
        if is_exists
            && live.occurrence.state == State::OnAir
            && let Some(task_id) = live.occurrence.task_id.clone()
        {
            let bound = live.bound;
            let occurrence = live.occurrence.clone();
            let media_end = live.media_end(sent_at);
            self.tasks.add(turn, &occurrence, task_id, bound, media_end, now)?;
        }
        Ok(())
    }

    /// Does what an answer asks of the client, whichever action it answers: a stop must not fail for a clock that is off.
    fn heed<A: Api>(&mut self, answer: &Answer, answered_at: Timestamp, api: &A) {
        match remedy(answer, answered_at) {
            Some(Remedy::TakeClock { offset_ms }) => {
                api.set_clock_offset(offset_ms);
                self.offset_ms = Some(offset_ms);
                let text = format!("this clock is {offset_ms} ms behind the endpoint's, which requests are signed for from now on");
                self.heard.push(Happening::general(answered_at, Weight::Error, text));
            }
            Some(Remedy::RereadCredentials) => api.reread_credentials(),
            None => {}
        }
    }

    /// Tells an occurrence what became of its task.
    fn task_news(&mut self, turn: &mut Turn<'_>, task: &Task, step: TaskStep, now: Timestamp) -> Result<(), LedgerError> {
        let Some(live) = self.live.get(&task.key) else { return Ok(()) };
        if live.occurrence.task_id.as_ref() != Some(&task.task_id) {
            return Ok(());
        }
        let event = match (&live.occurrence.state, task.phase) {
            // It hands over to itself, and its stop was answered.
            (State::Waiting { why: Why::Restart, .. }, _) if step == TaskStep::Stop => Event::RoomFree,
            (State::OnAir | State::Stopping { .. }, TaskPhase::Gone { at, verified }) if task.was_stopped => {
                Event::StopSettled { at, verified }
            }
            (State::OnAir | State::Stopping { .. }, TaskPhase::Gone { at, .. }) => Event::Gone { at },
            _ => return Ok(()),
        };
        self.happen(turn, &task.key, event, now)
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

    /// The clock was set: the cloud ends tasks by the time that passes, whatever this host's clock shows.
    pub(super) fn clock_moved(&mut self, turn: &mut Turn<'_>, by: SignedDuration) -> Result<(), LedgerError> {
        for live in self.live.values_mut() {
            live.bound = live.bound.and_then(|bound| bound.checked_add(by).ok());
        }
        self.tasks.clock_moved(turn, by)
    }

    /// The clock was set back: nothing that waits for a moment of the time before may wait until it comes again.
    fn clock_went_back(&mut self, now: Timestamp) {
        self.tasks.clock_went_back(now);
        self.callbacks.clock_went_back(now);
        for live in self.live.values_mut() {
            if let State::Waiting { until, why: Why::Retry | Why::Restart } = &mut live.occurrence.state {
                let longest = SignedDuration::try_from(live.occurrence.terms.retry.cap).unwrap_or(SignedDuration::MAX);
                let soonest = now.max(live.occurrence.key.start);
                *until = soonest.checked_add(longest).map_or(*until, |latest| latest.min(*until));
            }
        }
    }

    /// What a call needs to send what `attempt` permits. `None`: it is not wanted any more.
    pub(super) fn begin_call(&mut self, attempt: &Attempt) -> Option<Errand> {
        let live = self.live.get_mut(attempt.key())?;
        if !matches!(live.occurrence.state, State::Armed | State::Calling) || live.occurrence.wanted.is_some() {
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
        let way = self.tasks.way(&live.occurrence, is_welcome);
        call.way.send_if_modified(|before| std::mem::replace(before, way) != way);
    }

    /// Stops and describes that are to be sent now.
    pub(super) fn task_calls(&mut self) -> Vec<(i64, TaskStep, (Destination, String), Ticket)> {
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
