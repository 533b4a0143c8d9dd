//! One task that TRTC runs for us: what is to be sent for it, and what is under way. Does not know other tasks.

use std::collections::HashMap;
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

use super::notice::Level;
use super::step::Step;
use super::task_notices;
use super::write::Write;
use crate::occurrence::{Look, Target, Task, TaskFault, TaskPhase, TaskStep};
use crate::trtc::limiter::{Priority, StopClass};

/// How long the vendor may try to pull the media after it said that it could not, before somebody must look.
const PULL_PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// What a stop means to the next show in the room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HandOver {
    /// Nobody is known to wait for it.
    None,
    /// A show waits for it, and it goes first.
    Awaited,
    /// It was answered, however: nobody waits any longer.
    Answered,
}

/// A task that is not gone, and what is under way for it.
pub(super) struct TaskState {
    pub(super) task: Task,
    /// A step was decided and is to be sent.
    pub(super) owed: Option<TaskStep>,
    /// What is under way: a describe must not hold a stop back.
    pub(super) describing: bool,
    pub(super) stopping: bool,
    /// Whether a show waits for its stop.
    pub(super) hand_over: HandOver,
    /// When to say that somebody must look, because the vendor cannot pull its media.
    pub(super) pull_alert_at: Option<Timestamp>,
    /// When the vendor pulled its media, by its newest callback that says so.
    pulled_at: Option<Timestamp>,
}

impl TaskState {
    pub(super) fn new(task: Task) -> TaskState {
        // Whoever takes it over says so anew.
        let pull_alert_at = task.unpulled_at.and_then(|at| at.checked_add(PULL_PATIENCE).ok());
        let hand_over = HandOver::None;
        TaskState { task, owed: None, describing: false, stopping: false, hand_over, pull_alert_at, pulled_at: None }
    }

    /// A callback says that the vendor pulled its media `at`. Callbacks may come in another order than that of what they tell.
    pub(super) fn media_is_pulled(&mut self, step: &mut Step, at: Timestamp) {
        self.task.was_seen = true;
        self.pulled_at = self.pulled_at.max(Some(at));
        if let Some(since) = self.task.unpulled_at.take_if(|since| *since <= at) {
            self.pull_alert_at = None;
            task_notices::pulled(step, &self.task, since);
        }
    }

    /// A callback says that the vendor cannot pull its media. Returns whether that is so, and not over already.
    pub(super) fn media_is_not_pulled(&mut self, step: &mut Step, at: Timestamp) -> bool {
        if self.pulled_at.is_some_and(|pulled| pulled >= at) {
            return false;
        }
        if self.task.unpulled_at.is_none() {
            self.task.unpulled_at = Some(at);
            self.pull_alert_at = Some(step.now + PULL_PATIENCE);
            task_notices::unpulled(step, &self.task, Level::Warning);
        }
        true
    }

    /// Whether the next step has to wait for an answer.
    pub(super) fn is_busy(&self) -> bool {
        let holds_back = !self.task.is_stop_wanted() || self.task.look != Look::NotNext;
        self.stopping || (self.describing && holds_back)
    }

    /// When a step of it may leave, among others.
    pub(super) fn priority(&self, owed: TaskStep) -> Priority {
        match (owed, self.task.phase) {
            (TaskStep::Describe, _) => Priority::describe(),
            (TaskStep::Stop, TaskPhase::StopWanted { tries: 0 | 1, .. }) if self.hand_over == HandOver::Awaited => {
                Priority::stop(StopClass::HandOver)
            }
            (TaskStep::Stop, TaskPhase::StopWanted { tries: 0 | 1, .. }) => Priority::stop(StopClass::Planned),
            (TaskStep::Stop, _) => Priority::stop(StopClass::Again),
        }
    }
}

/// Whether a row must say what a look changed, beside its phase.
pub(super) fn is_worth_a_write(before: &Task, task: &Task) -> bool {
    let is_new_fault = match (&before.describe_fault, &task.describe_fault) {
        (last, Some(fault)) => fault.is_news(last.as_ref()),
        (last, None) => last.is_some(),
    };
    let is_seen =
        (before.was_seen, before.is_unseen, before.outlives_stop()) != (task.was_seen, task.is_unseen, task.outlives_stop());
    is_new_fault || is_seen
}

/// The kind of fault for which it cannot be looked at; none, if it can be or was not.
pub(super) fn fault_kind(task: &Task) -> Option<&str> {
    let is_unseen = task.is_unseen.then_some("");
    task.describe_fault.as_ref().map(TaskFault::kind).or(is_unseen)
}

/// Whether it is the task of that id and application.
pub(super) fn is_task(task: &Task, sdk_app_id: u64, task_id: &str) -> bool {
    task.task_id == task_id && task.destination.sdk_app_id == sdk_app_id
}

/// Writes its row.
pub(super) fn write(step: &mut Step, state: &TaskState) {
    step.write(Write::UpdateTask(Box::new(state.task.clone())));
}

/// Where it plays.
pub(super) fn target(task: &Task) -> Target {
    Target { sdk_app_id: task.destination.sdk_app_id, room: task.room.clone() }
}

/// Takes a row out of an index.
pub(super) fn forget<K: Eq + Hash>(index: &mut HashMap<K, Vec<i64>>, key: &K, row: i64) {
    if let Some(rows) = index.get_mut(key) {
        rows.retain(|known| *known != row);
        if rows.is_empty() {
            index.remove(key);
        }
    }
}
