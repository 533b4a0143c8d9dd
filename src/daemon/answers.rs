//! What calls bring back, and what becomes of occurrences and tasks by it. Refuses to send, and to look at the clock.

use jiff::Timestamp;

use super::call::Report;
use super::desk::Desk;
use super::live::Live;
use super::voice::{Happening, Weight};
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{Event, Key, NotSent, Remedy, State, Task, TaskPhase, TaskStep, Verdict, WaitReason, classify, remedy};
use crate::trtc::{Answer, Api};

impl Desk {
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
            Report::Answered { attempt, sent_at, answered_at, answer, bound, sent_since_boot: _ } => {
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
        let judgement = classify(&live.occurrence, answer);
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
    pub(super) fn task_news(
        &mut self,
        turn: &mut Turn<'_>,
        task: &Task,
        step: TaskStep,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let Some(live) = self.live.get(&task.key) else { return Ok(()) };
        if live.occurrence.task_id.as_ref() != Some(&task.task_id) {
            return Ok(());
        }
        let event = match (&live.occurrence.state, task.phase) {
            // It hands over to itself, and its stop was answered.
            (State::Waiting { why: WaitReason::Restart, .. }, _) if step == TaskStep::Stop => Event::RoomFree,
            (State::OnAir | State::Stopping { .. }, TaskPhase::Gone { at, verified }) if task.was_stopped => {
                Event::StopSettled { at, verified }
            }
            (State::OnAir | State::Stopping { .. }, TaskPhase::Gone { at, .. }) => Event::Gone { at },
            _ => return Ok(()),
        };
        self.happen(turn, &task.key, event, now)
    }
}
