//! A `TaskId` out of a broken answer to a start. Such an answer proves nothing, but the task that it names can be asked for: if it runs, the
//! start was accepted; if it does not exist, the answer means what its fault means. Until that is known the start is not answered.
//! Does not know what an answer means.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::step::{Call, Step};
use crate::occurrence::{Key, TaskEvent, TaskStep};
use crate::trtc::{Answer, Destination, TaskStatus};

/// How long between two questions after `NotExist`: the vendor's own view may lag behind a start.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(3);

/// How long between two questions that are not answered.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// How long it is asked in vain: as long as a start may be unanswered.
const ASK_MAX: SignedDuration = SignedDuration::from_secs(10);

/// A start that was answered. Here: whose answer is broken and names a task.
pub(super) struct Candidate {
    pub(super) key: Key,
    /// The row of its call.
    pub(super) call: i64,
    /// When the start left.
    pub(super) sent_at: Timestamp,
    /// When the cloud ends its task by itself.
    pub(super) bound: Option<Timestamp>,
    /// The answer.
    pub(super) answer: Answer,
    /// Whether the server's clock is taken since.
    pub(super) clock_was_taken: bool,
}

/// What is known of a candidate now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// It runs.
    Runs,
    /// It does not exist.
    Gone,
    /// It is asked again.
    Open,
    /// Nobody can say.
    Unknown,
}

struct CandidateState {
    candidate: Candidate,
    destination: Destination,
    since: Timestamp,
    is_missing: bool,
    /// When to ask; `None`: a question is under way.
    next_at: Option<Timestamp>,
}

/// All of them, by TaskId.
#[derive(Default)]
pub(super) struct Candidates {
    open: BTreeMap<String, CandidateState>,
}

impl Candidates {
    pub(super) fn add(&mut self, step: &Step, task_id: String, destination: Destination, candidate: Candidate) {
        let state = CandidateState { candidate, destination, since: step.now, is_missing: false, next_at: Some(step.now) };
        self.open.insert(task_id, state);
    }

    pub(super) fn contains(&self, task_id: &str) -> bool {
        self.open.contains_key(task_id)
    }

    /// Takes in an answer to a question.
    pub(super) fn answered(&mut self, task_id: &str, answer: &Answer, now: Timestamp) -> Finding {
        let Some(state) = self.open.get_mut(task_id) else { return Finding::Open };
        let wait = match TaskStep::Describe.answered(answer) {
            TaskEvent::Described(TaskStatus::InProgress) => return Finding::Runs,
            TaskEvent::Described(TaskStatus::NotExist) if state.is_missing => return Finding::Gone,
            TaskEvent::Described(TaskStatus::NotExist) => {
                state.is_missing = true;
                LOOK_AGAIN
            }
            _ if now.duration_since(state.since).abs() >= ASK_MAX => return Finding::Unknown,
            _ => ASK_AGAIN,
        };
        state.next_at = Some(now + wait);
        Finding::Open
    }

    /// It is decided what becomes of it.
    pub(super) fn take(&mut self, task_id: &str) -> Option<Candidate> {
        self.open.remove(task_id).map(|state| state.candidate)
    }

    /// Nothing is asked any more: all that are not decided.
    pub(super) fn take_all(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.open).into_values().map(|state| state.candidate).collect()
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        for state in self.open.values_mut() {
            state.next_at = state.next_at.map(|at| at.min(now));
            state.since = state.since.min(now);
        }
    }

    /// Hands out the questions that are to be asked now.
    pub(super) fn send(&mut self, step: &mut Step) {
        let now = step.now;
        for (task_id, state) in self.open.iter_mut().filter(|(_, state)| state.next_at.is_some_and(|at| at <= now)) {
            state.next_at = None;
            let (destination, task_id) = (state.destination.clone(), task_id.clone());
            step.calls.push(Call::Orphan { step: TaskStep::Describe, destination, task_id });
        }
    }

    /// When the next one is to be asked for.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.open.values().filter_map(|state| state.next_at).min()
    }
}
