//! One task that TRTC runs for us: when to describe it, when to stop it, when to count it as gone. A stop belongs to
//! the task, and goes on after its occurrence is done. Does not know sockets and the ledger; `now` is an argument.

use jiff::{SignedDuration, Timestamp};

use super::Key;
use crate::trtc::error::{Class, classify};
use crate::trtc::{Action, Answer, Destination, Room, Success, TaskStatus};

/// Gone is NotExist twice, this far apart.
const CONFIRM_GONE_AFTER: SignedDuration = SignedDuration::from_secs(2);
/// A task this young does not count as gone: the vendor's own view of it may lag behind its start.
const TOO_YOUNG: SignedDuration = SignedDuration::from_secs(10);
/// Media that runs over its length by this much is stopped.
const OVERRUN: SignedDuration = SignedDuration::from_secs(30);
/// When media that should be over is looked at, after its end: the endpoint calls a task `InProgress` while it idles.
const LOOKS_AT_END: [SignedDuration; 5] =
    [SignedDuration::ZERO, SignedDuration::from_secs(3), SignedDuration::from_secs(8), SignedDuration::from_secs(15), OVERRUN];
/// A stop that takes longer raises an alert.
const ALERT_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// A loop that could not be stopped counts as gone this long after its MaxDuration.
const BOUND_SLACK: SignedDuration = SignedDuration::from_mins(2);
/// But only after so many tries: a daemon that comes back late must ask the endpoint first.
const TRIES_BEFORE_BELIEF: u32 = 2;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// On air, and described from time to time.
    Watched {
        /// When NotExist was first seen, if the last answer was that.
        missing_since: Option<Timestamp>,
    },
    /// It must be stopped.
    StopWanted {
        /// Since when.
        since: Timestamp,
        /// Stops sent.
        tries: u32,
    },
    /// Its stop was accepted; Describe has not said NotExist yet.
    Verifying {
        /// When the stop was accepted.
        stopped_at: Timestamp,
        /// Describes sent since.
        tries: u32,
    },
    /// Off the air.
    Gone {
        /// Since when, as far as we know.
        at: Timestamp,
        /// False when only its bound says so.
        verified: bool,
    },
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its row in the ledger.
    pub row: i64,
    /// The opaque handle.
    pub task_id: String,
    /// Whose account, application and region.
    pub destination: Destination,
    /// Where it plays.
    pub room: Room,
    /// The occurrence it was started for.
    pub key: Key,
    /// Its robot: a later start of the same robot must know that it is still there.
    pub robot: String,
    /// When its start was accepted.
    pub started_at: Timestamp,
    /// When the cloud ends it by itself, if it is a loop.
    pub bound: Option<Timestamp>,
    /// When its media should end, if that is its end.
    pub media_end: Option<Timestamp>,
    /// Where it stands.
    pub phase: TaskPhase,
    /// When to do the next thing; nothing is under way until then.
    pub next_at: Timestamp,
    /// Whether its alert was raised.
    pub alerted: bool,
    /// Whether it ever had to be stopped: then the stop ended it, and not the media.
    pub was_stopped: bool,
}

/// A task that this daemon did not start, as far as it knows: only a callback named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The opaque handle.
    pub task_id: String,
    /// The application whose callback named it, and the account's region.
    pub destination: Destination,
    /// When the vendor saw it.
    pub seen_at: Timestamp,
    /// The job that most likely started it.
    pub likely_job: Option<String>,
    /// Since when an operator wants it stopped.
    pub stop_wanted: Option<Timestamp>,
}

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
    Failed,
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
            _ => TaskEvent::Failed,
        }
    }
}

impl Task {
    /// Whether it may still have media on air: no stop was accepted.
    pub fn may_play(&self) -> bool {
        matches!(self.phase, TaskPhase::Watched { .. } | TaskPhase::StopWanted { .. })
    }

    /// Whether it is over: nothing more must be done for it.
    pub fn is_gone(&self) -> bool {
        matches!(self.phase, TaskPhase::Gone { .. })
    }

    /// Whether it must be stopped and no stop was accepted yet.
    pub fn is_stop_wanted(&self) -> bool {
        matches!(self.phase, TaskPhase::StopWanted { .. })
    }

    /// Moves what the cloud counts by the time that passes, after the clock was set by so much.
    pub fn clock_moved(&mut self, by: SignedDuration) {
        for at in [Some(&mut self.started_at), self.bound.as_mut(), self.media_end.as_mut()].into_iter().flatten() {
            *at = at.checked_add(by).unwrap_or(*at);
        }
    }

    /// Handles a clock that was set back: a step whose time is now far ahead is made at once, and what was seen before
    /// is forgotten.
    pub fn clock_went_back(&mut self, now: Timestamp) {
        if let TaskPhase::Watched { missing_since } = &mut self.phase {
            *missing_since = None;
        }
        self.next_at = self.next_at.min(now);
    }

    /// Returns what to do when `next_at` has come; `None` when the task is gone by its bound.
    pub fn due(&mut self, now: Timestamp) -> Option<TaskStep> {
        let tries = match self.phase {
            TaskPhase::StopWanted { tries, .. } | TaskPhase::Verifying { tries, .. } => tries,
            TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => 0,
        };
        if let Some(bound) = self.bound
            && tries >= TRIES_BEFORE_BELIEF
            && now.duration_since(bound) >= BOUND_SLACK
        {
            self.phase = TaskPhase::Gone { at: bound, verified: false };
            return None;
        }
        match &mut self.phase {
            TaskPhase::Watched { .. } => Some(TaskStep::Describe),
            TaskPhase::StopWanted { tries, .. } => {
                *tries += 1;
                Some(TaskStep::Stop)
            }
            TaskPhase::Verifying { tries, .. } => {
                *tries += 1;
                Some(TaskStep::Describe)
            }
            TaskPhase::Gone { .. } => None,
        }
    }

    /// Applies an event. `watch_period` is the time between two describes of a task on air.
    pub fn take(&mut self, event: TaskEvent, watch_period: SignedDuration, now: Timestamp) {
        self.phase = match (self.phase, event) {
            (TaskPhase::Watched { .. }, TaskEvent::StopWanted) => TaskPhase::StopWanted { since: now, tries: 0 },
            (TaskPhase::Watched { missing_since }, TaskEvent::Described(TaskStatus::NotExist)) => {
                let young = now.duration_since(self.started_at) < TOO_YOUNG;
                match missing_since {
                    Some(since) if now.duration_since(since) >= CONFIRM_GONE_AFTER && !young => {
                        TaskPhase::Gone { at: since, verified: true }
                    }
                    Some(since) => TaskPhase::Watched { missing_since: Some(since) },
                    None => TaskPhase::Watched { missing_since: Some(now) },
                }
            }
            (TaskPhase::Watched { .. }, TaskEvent::Described(TaskStatus::InProgress)) => {
                if self.media_end.is_some_and(|end| now.duration_since(end) >= OVERRUN) {
                    TaskPhase::StopWanted { since: now, tries: 0 }
                } else {
                    TaskPhase::Watched { missing_since: None }
                }
            }
            // A stop that was sent before may still be under way when the next one is answered: either is enough.
            (TaskPhase::StopWanted { .. }, TaskEvent::Stopped) => TaskPhase::Verifying { stopped_at: now, tries: 0 },
            (TaskPhase::Verifying { stopped_at, .. }, TaskEvent::Described(TaskStatus::NotExist)) => {
                // It was gone by its bound at the latest, even if we asked later.
                TaskPhase::Gone { at: self.bound.map_or(stopped_at, |bound| bound.min(stopped_at)), verified: true }
            }
            (phase, _) => phase,
        };
        self.was_stopped |= self.is_stop_wanted();
        self.next_at = self.next(event, watch_period, now);
    }

    /// Whether to raise its alert now; it is raised once.
    pub fn alert_due(&mut self, now: Timestamp) -> bool {
        let since = match self.phase {
            TaskPhase::StopWanted { since, .. } | TaskPhase::Verifying { stopped_at: since, .. } => since,
            TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => return false,
        };
        let due = !self.alerted && now.duration_since(since) >= ALERT_AFTER;
        self.alerted |= due;
        due
    }

    fn next(&self, event: TaskEvent, watch_period: SignedDuration, now: Timestamp) -> Timestamp {
        let wait = match self.phase {
            TaskPhase::Watched { missing_since: Some(_) } => {
                let mature = self.started_at + TOO_YOUNG;
                return (now + CONFIRM_GONE_AFTER).max(mature);
            }
            TaskPhase::Watched { missing_since: None } => return self.next_watch(watch_period, now),
            TaskPhase::StopWanted { since, tries } if event == TaskEvent::Failed => backoff(since, tries, now),
            TaskPhase::Verifying { stopped_at, tries } => backoff(stopped_at, tries, now),
            TaskPhase::StopWanted { .. } | TaskPhase::Gone { .. } => SignedDuration::ZERO,
        };
        now + wait
    }

    fn next_watch(&self, watch_period: SignedDuration, now: Timestamp) -> Timestamp {
        let periodic = now + watch_period;
        let looks = |end: Timestamp| LOOKS_AT_END.iter().filter_map(move |after| end.checked_add(*after).ok());
        let media = self.media_end.into_iter().flat_map(looks).find(|at| *at > now);
        media.map_or(periodic, |at| at.min(periodic))
    }

    /// The first watch of a task that has just started.
    pub fn first_watch(&self, watch_period: SignedDuration) -> Timestamp {
        self.next_watch(watch_period, self.started_at)
    }
}

/// 1, 2, 4 ... 30 s between tries; a minute once the first minute is over.
fn backoff(since: Timestamp, tries: u32, now: Timestamp) -> SignedDuration {
    if now.duration_since(since) >= ALERT_AFTER {
        return SignedDuration::from_mins(1);
    }
    SignedDuration::from_secs((1_i64 << tries.saturating_sub(1).min(5)).min(30))
}
