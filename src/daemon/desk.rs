//! Everything that is not over: occurrences and tasks, what they wait for, and what was decided for them in this turn. Refuses to
//! plan, and to send: it says what may be sent.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::call::{Leave, Report};
use super::tasks::Tasks;
use super::voice::{Happening, Weight};
use crate::ledger::{Attempt, LedgerError, Turn};
use crate::occurrence::{
    End, Event, Key, LATE_AFTER, Occurrence, Remedy, State, Task, TaskPhase, TaskStep, Verdict, Why, decide, judge, remedy,
};
use crate::schedule::{JobId, Late};
use crate::trtc::limiter::Ticket;
use crate::trtc::{Answer, Api, Destination};

/// An occurrence that is not over.
struct Live {
    occurrence: Occurrence,
    /// Set while a call of it is under way: how to take it back, and its row.
    call: Option<(Leave, i64)>,
}

/// The desk.
pub(super) struct Desk {
    live: BTreeMap<Key, Live>,
    tasks: Tasks,
    heard: Vec<Happening>,
    recovered_in_doubt: usize,
    rate: u32,
    last_turn: Timestamp,
}

impl Desk {
    pub(super) fn new(rate: u32) -> Desk {
        Desk {
            live: BTreeMap::new(),
            tasks: Tasks::new(rate),
            heard: Vec::new(),
            recovered_in_doubt: 0,
            rate,
            last_turn: Timestamp::MIN,
        }
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// What has happened since it was asked last.
    pub(super) fn heard(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.heard)
    }

    /// How many starts a former daemon may have sent just now.
    pub(super) fn in_doubt_at_recovery(&self) -> usize {
        self.recovered_in_doubt
    }

    /// The jobs of which an occurrence is not over.
    pub(super) fn jobs(&self) -> HashSet<JobId> {
        self.live.keys().map(|key| key.job.clone()).collect()
    }

    /// Claims a new occurrence, armed. False: it has a row already.
    pub(super) fn claim(&mut self, turn: &mut Turn<'_>, occurrence: Occurrence, now: Timestamp) -> Result<bool, LedgerError> {
        if !turn.claim(&occurrence)? {
            return Ok(false);
        }
        self.heard.push(Happening::of(&occurrence, now));
        self.live.insert(occurrence.key.clone(), Live { occurrence, call: None });
        Ok(true)
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
        may_arm: bool,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let key = occurrence.key.clone();
        if occurrence.state == State::Armed && key.start > now && may_arm {
            turn.rearm(&occurrence)?;
            self.live.insert(key, Live { occurrence, call: None });
            return Ok(());
        }
        let was_under_way = matches!(occurrence.state, State::Armed | State::Calling);
        self.recovered_in_doubt += usize::from(was_under_way);
        self.live.insert(key.clone(), Live { occurrence, call: None });
        self.happen(turn, &key, Event::Recovered, now)
    }

    /// Takes over the tasks of a former daemon.
    pub(super) fn recover_tasks(&mut self, tasks: Vec<Task>, now: Timestamp) {
        self.tasks.recover(tasks, now);
    }

    /// Lets the table decide, writes the row, and takes what is over off the desk.
    fn happen(&mut self, turn: &mut Turn<'_>, key: &Key, event: Event, now: Timestamp) -> Result<(), LedgerError> {
        let Some(live) = self.live.get_mut(key) else { return Ok(()) };
        let next = match decide(&live.occurrence, event, now) {
            Ok(next) => next,
            Err(illegal) => {
                // Our bug, and no reason to take every other room down with it: it is said, and the row stays as it is.
                self.heard.push(Happening { at: now, key: Some(key.clone()), weight: Weight::Error, text: illegal.to_string() });
                return Ok(());
            }
        };
        if next == live.occurrence {
            return Ok(());
        }
        turn.update(&next)?;
        let is_news = next.state != live.occurrence.state;
        if next.state == State::Calling {
            turn.attempt(&next)?;
        }
        if is_news && next.state != State::Calling {
            self.heard.push(Happening::of(&next, now));
        }
        if matches!(next.state, State::Stopping { .. }) {
            self.tasks.want_stop(turn, key, now)?;
        }
        if next.is_done() {
            self.live.remove(key);
        } else {
            live.occurrence = next;
            live.call = None;
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
            Report::Unsent { attempt, reason } => {
                turn.unsent(attempt.call())?;
                self.happen(turn, attempt.key(), Event::NotSent(reason), now)
            }
            Report::Answered { attempt, sent_at, answered_at, answer, bound } => {
                turn.answered(attempt.call(), sent_at, answered_at, &answer)?;
                self.answered(turn, attempt.key(), (sent_at, answered_at), &answer, bound)
            }
            Report::Task { row, step, sent_at, answered_at, answer } => {
                self.task_answered(turn, row, step, (sent_at, answered_at), &answer)
            }
        }
    }

    fn answered(
        &mut self,
        turn: &mut Turn<'_>,
        key: &Key,
        (sent_at, answered_at): (Timestamp, Timestamp),
        answer: &Answer,
        bound: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        let Some(live) = self.live.get(key) else { return Ok(()) };
        let judgement = judge(&live.occurrence, answer);
        let robot_busy = self.tasks.robot_is_busy(&live.occurrence);
        if robot_busy && judgement.verdict == Verdict::Exists {
            self.tasks.make_way(turn, &live.occurrence, answered_at)?;
        }
        self.happen(turn, key, Event::Answered { sent_at, judgement, robot_busy }, answered_at)?;
        let Some(live) = self.live.get(key) else { return Ok(()) };
        if live.occurrence.state == State::OnAir
            && let Some(task_id) = live.occurrence.task_id.clone()
        {
            let media_end = media_end(&live.occurrence, sent_at);
            self.tasks.add(turn, &live.occurrence, task_id, bound, media_end, answered_at)?;
        }
        Ok(())
    }

    /// Does what an answer asks of the client, whichever action it answers: a stop must not fail for a clock that is off.
    fn heed<A: Api>(&mut self, answer: &Answer, answered_at: Timestamp, api: &A) {
        match remedy(answer, answered_at) {
            Some(Remedy::TakeClock { offset_ms }) => {
                api.set_clock_offset(offset_ms);
                let text = format!("this clock is {offset_ms} ms behind the endpoint's, which requests are signed for from now on");
                self.heard.push(Happening::general(answered_at, Weight::Error, text));
            }
            Some(Remedy::RereadCredentials) => api.reread_credentials(),
            None => {}
        }
    }

    fn task_answered(
        &mut self,
        turn: &mut Turn<'_>,
        row: i64,
        step: TaskStep,
        times: (Timestamp, Timestamp),
        answer: &Answer,
    ) -> Result<(), LedgerError> {
        let Some(news) = self.tasks.answered(turn, row, step, times, answer)? else { return Ok(()) };
        self.task_news(turn, &news, times.1)
    }

    /// Tells an occurrence what became of its task.
    fn task_news(&mut self, turn: &mut Turn<'_>, task: &Task, now: Timestamp) -> Result<(), LedgerError> {
        let TaskPhase::Gone { at, verified } = task.phase else { return Ok(()) };
        let is_current = self.live.get(&task.key).is_some_and(|live| live.occurrence.task_id.as_ref() == Some(&task.task_id));
        if !is_current {
            return Ok(());
        }
        let event = if task.was_stopped { Event::StopSettled { at, verified } } else { Event::Gone { at } };
        self.happen(turn, &task.key, event, now)
    }

    /// Does what time alone makes due: waiting attempts, planned ends, tasks.
    pub(super) fn act_on_time(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<(), LedgerError> {
        if now < self.last_turn {
            self.clock_went_back(now);
        }
        self.last_turn = now;
        let due: Vec<_> = self.live.values().filter_map(|live| due(&live.occurrence, now)).collect();
        for (key, event) in due {
            self.happen(turn, &key, event, now)?;
        }
        let (settled, alerts) = self.tasks.act_on_time(turn, now)?;
        self.heard.extend(alerts);
        for task in settled {
            self.task_news(turn, &task, now)?;
        }
        Ok(())
    }

    /// The clock was set back: nothing that waits for a moment of the time before may wait until it comes again.
    fn clock_went_back(&mut self, now: Timestamp) {
        self.tasks.clock_went_back(now);
        for live in self.live.values_mut() {
            if let State::Waiting { until, .. } = &mut live.occurrence.state {
                let longest = SignedDuration::try_from(live.occurrence.terms.retry.cap).unwrap_or(SignedDuration::MAX);
                let soonest = now.max(live.occurrence.key.start);
                *until = soonest.checked_add(longest).map_or(*until, |latest| latest.min(*until));
            }
        }
    }

    /// The occurrence that `attempt` permits to send, and how to take it back.
    pub(super) fn begin_call(&mut self, attempt: &Attempt) -> Option<(Occurrence, Leave)> {
        let live = self.live.get_mut(attempt.key())?;
        let leave = Leave::default();
        live.call = Some((leave.clone(), attempt.call()));
        Some((live.occurrence.clone(), leave))
    }

    /// Stops and describes that are to be sent now.
    pub(super) fn task_calls(&mut self) -> Vec<(i64, TaskStep, (Destination, String), Ticket)> {
        self.tasks.calls()
    }

    /// The earliest thing that time makes due.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        let live = self.live.values().filter_map(|live| wake(&live.occurrence)).min();
        [live, self.tasks.next_wake()].into_iter().flatten().min()
    }

    /// The first armed start at or after `from`.
    pub(super) fn next_armed(&self, from: Timestamp) -> Option<Timestamp> {
        self.live
            .values()
            .filter(|live| live.occurrence.state == State::Armed)
            .map(|live| live.occurrence.key.start)
            .find(|start| *start >= from)
    }

    /// How many starts are armed for `[from, to)`.
    pub(super) fn armed_between(&self, from: Timestamp, to: Timestamp) -> usize {
        let armed = self.live.values().filter(|live| live.occurrence.state == State::Armed);
        armed.filter(|live| (from..to).contains(&live.occurrence.key.start)).count()
    }

    pub(super) fn watch_period(&self) -> SignedDuration {
        self.tasks.watch_period()
    }

    /// Whether a start was sent whose answer has not come.
    pub(super) fn awaits_answers(&self) -> bool {
        self.live.values().any(|live| live.call.is_some() && matches!(live.occurrence.state, State::Armed | State::Calling))
    }

    /// Takes back every start that was not sent. Answers the earliest start of a row that went. A late claim keeps its row, and
    /// waits: the cursor is past its start, and what lies between was never owed.
    pub(super) fn take_back_unsent(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        let mut earliest: Option<Timestamp> = None;
        let mut gone = Vec::new();
        for (key, live) in &mut self.live {
            let Some((_, call)) = live.call.take_if(|(leave, _)| leave.take_back()) else { continue };
            if live.occurrence.state == State::Armed && !live.occurrence.joined {
                turn.remove(key)?;
                earliest = Some(earliest.map_or(key.start, |start| start.min(key.start)));
                gone.push(key.clone());
                continue;
            }
            turn.unsent(call)?;
            live.occurrence.attempts -= 1;
            live.occurrence.tries -= 1;
            live.occurrence.state = State::Waiting { until: now, why: Why::Retry };
            turn.update(&live.occurrence)?;
        }
        for key in gone {
            self.live.remove(&key);
        }
        Ok(earliest)
    }

    /// Names what stays on air when the daemon ends, and how long it runs.
    pub(super) fn say_what_stays(&mut self, now: Timestamp) {
        for live in self.live.values().filter(|live| live.occurrence.on_air_at.is_some()) {
            let until = live
                .occurrence
                .end
                .at()
                .map_or("with no planned end".to_owned(), |end| format!("until {end} if a daemon is there to stop it"));
            let bound = self
                .tasks
                .bound_of(&live.occurrence.key)
                .map_or("it has no bound in the cloud".to_owned(), |bound| format!("the cloud ends it at {bound}"));
            let text = format!("stays on air in room {} {until}; {bound}", live.occurrence.playout.room);
            self.heard.push(Happening { at: now, key: Some(live.occurrence.key.clone()), weight: Weight::Info, text });
        }
    }
}

/// How long an occurrence without an end is taken to be on air when nobody knows its task: as long as its UserSig holds.
const UNKNOWN_TASK_MAX: SignedDuration = SignedDuration::from_hours(8 * 24);

/// What time has made due for an occurrence.
fn due(occurrence: &Occurrence, now: Timestamp) -> Option<(Key, Event)> {
    let event = match occurrence.state {
        State::Waiting { .. } => Event::Due,
        State::OnAir => Event::End,
        State::Armed | State::Calling | State::Stopping { .. } | State::Done { .. } => return None,
    };
    (wake(occurrence)? <= now).then(|| (occurrence.key.clone(), event))
}

/// When time alone makes something due for an occurrence.
fn wake(occurrence: &Occurrence) -> Option<Timestamp> {
    match (&occurrence.state, occurrence.end) {
        (State::Waiting { until, .. }, _) => Some(*until),
        (State::OnAir, End::Planned(end)) => Some(end),
        // Its end follows from the media, and its task tells; without a task nobody can.
        (State::OnAir, End::Media(end)) if occurrence.task_id.is_none() => Some(end),
        (State::OnAir, End::Open | End::Never) if occurrence.task_id.is_none() => {
            occurrence.on_air_at.and_then(|since| since.checked_add(UNKNOWN_TASK_MAX).ok())
        }
        _ => None,
    }
}

/// When the media of a task should have played out, where that is the end of its occurrence. A late start that plays from the
/// beginning ends later by as much.
fn media_end(occurrence: &Occurrence, sent_at: Timestamp) -> Option<Timestamp> {
    let End::Media(end) = occurrence.end else { return None };
    let late = sent_at.duration_since(occurrence.key.start);
    let starts_over = occurrence.terms.late == Late::Restart && occurrence.restarts == 0 && late > LATE_AFTER;
    Some(if starts_over { end + late } else { end })
}
