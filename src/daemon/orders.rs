//! What operators and reloads do to what is under way: stops, and edits of the schedule. Refuses to know who asked, and how.

use jiff::Timestamp;

use super::claim::playout;
use super::desk::Desk;
use super::input::{Reply, StopTarget};
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{Event, Key, Kind, Outcome, State};
use crate::plan;
use crate::schedule::{OnRemove, Schedule};

impl Desk {
    /// Takes off the air. The reply says what becomes of each occurrence, or that there is nothing.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>, target: &StopTarget, now: Timestamp) -> Result<Reply, LedgerError> {
        let keys: Vec<Key> = match target {
            StopTarget::Job(job) => self.live.keys().filter(|key| &key.job == job).cloned().collect(),
            StopTarget::All => self.live.keys().cloned().collect(),
            StopTarget::Task(task_id) => {
                let is_its = |live: &&super::live::Live| live.occurrence.task_id.as_ref() == Some(task_id);
                let current: Vec<_> = self.live.values().filter(is_its).map(|live| live.occurrence.key.clone()).collect();
                if current.is_empty() {
                    let is_there = self.tasks.want_stop_of(turn, task_id, now)? || self.stop_orphan(turn, task_id, now);
                    let being_stopped = || vec![format!("task {task_id} is being stopped")];
                    return Ok(is_there.then(being_stopped).ok_or_else(|| format!("no task {task_id} is known to run")));
                }
                current
            }
        };
        let mut lines = Vec::new();
        for key in keys {
            lines.extend(self.stop_one(turn, &key, now)?);
        }
        let what = match target {
            StopTarget::Job(job) => format!("of `{job}`"),
            _ => "at all".to_owned(),
        };
        Ok(if lines.is_empty() { Err(format!("nothing {what} is on air or on its way there")) } else { Ok(lines) })
    }

    fn stop_one(&mut self, turn: &mut Turn<'_>, key: &Key, now: Timestamp) -> Result<Option<String>, LedgerError> {
        let Some(live) = self.live.get(key) else { return Ok(None) };
        let task_id = live.occurrence.task_id.clone();
        let until = live.occurrence.end.at().map_or("until it is over".to_owned(), |end| format!("until {end} or later"));
        let cut = Event::Cut(Outcome::CutOperator);
        let (is_first, state) = (live.occurrence.attempts == 1, live.occurrence.state.clone());
        let what = match state {
            State::OnAir => {
                self.happen(turn, key, cut, now)?;
                match task_id {
                    Some(task_id) => format!("is taken off the air (task {task_id})"),
                    None => format!("is on air, and nobody was told its TaskId: it cannot be stopped from here, and plays {until}"),
                }
            }
            State::Stopping { .. } => "is being stopped already".to_owned(),
            State::Waiting { .. } => {
                self.happen(turn, key, cut, now)?;
                "was waiting for another attempt, and is not started again".to_owned()
            }
            State::Armed if is_first && !live.awaits_answer() && now < key.start => return Ok(None),
            State::Armed | State::Calling => {
                if self.take_back(turn, key)? {
                    self.happen(turn, key, Event::Postponed, now)?;
                    self.happen(turn, key, cut, now)?;
                    "was about to be tried again, and is not".to_owned()
                } else {
                    self.happen(turn, key, cut, now)?;
                    "its start is under way; it is stopped as soon as that is answered".to_owned()
                }
            }
            State::Done { .. } => return Ok(None),
        };
        Ok(Some(format!("{} {}: {what}", key.job, key.start)))
    }

    /// Another schedule is in force: what is under way follows it. Starts that were armed and not sent are gone from the desk,
    /// and are armed anew under the new schedule if it has them.
    pub(super) fn follow(
        &mut self,
        turn: &mut Turn<'_>,
        schedule: &Schedule,
        number: i64,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.take_back_unsent(turn, now)?;
        let keys: Vec<_> = self.live.keys().cloned().collect();
        for key in keys {
            let Some(live) = self.live.get_mut(&key) else { continue };
            if live.occurrence.kind == Kind::Fired || matches!(live.occurrence.state, State::Stopping { .. }) {
                continue;
            }
            let Some(planned) = plan::find(schedule, key.job.as_str(), key.start) else {
                self.removed(turn, &key, now)?;
                continue;
            };
            let mut next = live.occurrence.clone();
            next.end = planned.end;
            next.policy = planned.job.policy.clone();
            let may_still_change = next.on_air_at.is_none() && !next.in_doubt && matches!(next.state, State::Waiting { .. });
            if may_still_change {
                next.playout = playout(&planned.job, key.start);
                next.generation = number;
            }
            if next == live.occurrence {
                continue;
            }
            let is_past = next.end != live.occurrence.end && next.end.at().is_some_and(|end| end <= now);
            turn.update(&next)?;
            if next.end != live.occurrence.end {
                self.tasks.end_with(turn, &next)?;
            }
            if next.playout != live.occurrence.playout {
                self.rooms.leave(&live.occurrence);
                self.rooms.enter(&next);
            }
            live.occurrence = next;
            if is_past {
                self.happen(turn, &key, Event::Cut(Outcome::CutEdited), now)?;
            }
        }
        Ok(())
    }

    /// Its job left the schedule, or its start moved.
    fn removed(&mut self, turn: &mut Turn<'_>, key: &Key, now: Timestamp) -> Result<(), LedgerError> {
        let Some(live) = self.live.get(key) else { return Ok(()) };
        let was_on_air = live.occurrence.on_air_at.is_some() || live.awaits_answer() || live.occurrence.in_doubt;
        if was_on_air && live.occurrence.policy.on_remove == OnRemove::Finish {
            return Ok(());
        }
        self.happen(turn, key, Event::Cut(Outcome::CutRemoved), now)
    }
}
