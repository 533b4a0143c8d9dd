//! What an occurrence is told of its tasks: when they are gone, how it ends. Does not know how tasks are stopped and looked at.

use jiff::Timestamp;

use super::Airings;
use crate::engine::Step;
use crate::occurrence::{Event, Key, State, Task, TaskPhase, TaskStep, WaitReason};

impl Airings {
    /// Ends what was stopping when the daemon before ended, and has no task any more.
    pub(in crate::engine) fn settle_all(&mut self, step: &mut Step) {
        let stopping = self.iter().filter(|airing| matches!(airing.occurrence.state, State::Stopping { .. }));
        let keys: Vec<_> =
            stopping.map(|airing| airing.occurrence.key.clone()).filter(|key| !self.tasks.has_task_of(key)).collect();
        for key in keys {
            // Nobody here knows what was seen of it.
            if let Some(airing) = self.open.get_mut(&key) {
                airing.was_given_up = true;
            }
            self.settle(step, &key, step.now);
        }
    }

    /// Ends what is stopping and has no task any more, at `at`: it is not stopped again.
    pub(super) fn settle(&mut self, step: &mut Step, key: &Key, at: Timestamp) {
        if let Some(airing) = self.open.get(key)
            && matches!(airing.occurrence.state, State::Stopping { .. })
            && !self.tasks.has_task_of(key)
        {
            let verified = !airing.was_given_up;
            // An earlier task may be the last to be seen gone, and is not the last that went.
            let at = airing.last_gone.map_or(at, |last| last.max(at));
            self.transition(step, key, Event::StopSettled { at, verified });
        }
    }

    /// Tells an occurrence what became of its task after `action` was answered.
    pub(in crate::engine) fn apply_task(&mut self, step: &mut Step, task: &Task, action: TaskStep) {
        let Some(airing) = self.open.get_mut(&task.key) else { return };
        let is_on_air = airing.occurrence.state == State::OnAir;
        airing.was_given_up |= !is_on_air && matches!(task.phase, TaskPhase::Gone { verified: false, .. });
        if let TaskPhase::Gone { at, .. } = task.phase {
            airing.last_gone = airing.last_gone.max(Some(at));
        }
        if airing.occurrence.task_id.as_ref() != Some(&task.task_id) {
            // An earlier one of it, that was the last to be seen gone.
            if let TaskPhase::Gone { at, .. } = task.phase {
                self.settle(step, &task.key, at);
            }
            return;
        }
        let event = match (&airing.occurrence.state, task.phase) {
            // It hands over to itself, and its stop was answered.
            (State::Waiting { why: WaitReason::Restart, .. }, _) if action == TaskStep::Stop => Event::RoomFree,
            (State::OnAir | State::Stopping { .. }, TaskPhase::Gone { at, verified }) if task.stop_wanted_at.is_some() => {
                Event::StopSettled { at, verified }
            }
            (State::OnAir | State::Stopping { .. }, TaskPhase::Gone { at, .. }) => Event::Gone { at, was_seen: task.was_seen },
            _ => return,
        };
        self.transition(step, &task.key, event);
    }
}
