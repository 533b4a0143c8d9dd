//! What is asked about a task, and what an answer means for it. Does not know when it is asked.

use crate::trtc::error::{Class, classify};
use crate::trtc::{Action, Answer, Success, TaskStatus};

/// What to do for a task now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStep {
    /// Send DescribeStreamIngest.
    Describe,
    /// Send StopStreamIngest.
    Stop,
}

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEvent {
    /// It must be stopped.
    StopWanted,
    /// A stop was accepted, or said that the task is over.
    Stopped,
    /// A describe answered.
    Described(TaskStatus),
    /// A stop or a describe failed.
    Failed(TaskStep),
}

impl TaskStep {
    /// The request that it is.
    pub fn action(self) -> Action {
        match self {
            TaskStep::Describe => Action::Describe,
            TaskStep::Stop => Action::Stop,
        }
    }

    /// What an answer to it means.
    pub fn answered(self, answer: &Answer) -> TaskEvent {
        match (self, &answer.result) {
            (TaskStep::Stop, Ok(Success::Stopped)) => TaskEvent::Stopped,
            (TaskStep::Stop, Err(fault)) if classify(fault) == Class::TaskGone => TaskEvent::Stopped,
            (TaskStep::Describe, Ok(Success::Described(status))) => TaskEvent::Described(*status),
            // The service says it either way (TRTC.md section 2.2).
            (TaskStep::Describe, Err(fault)) if classify(fault) == Class::TaskGone => TaskEvent::Described(TaskStatus::NotExist),
            _ => TaskEvent::Failed(self),
        }
    }
}
