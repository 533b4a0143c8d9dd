//! One task that no occurrence has: when it is stopped, when it is asked for, when it is over. Does not know other tasks, and why it is
//! to be stopped.

use jiff::{SignedDuration, Timestamp};

use super::step::Call;
use crate::occurrence::{LONGEST_TASK, Orphan, TaskEvent, TaskFault, TaskStep, describe_fault};
use crate::trtc::error::{Class, classify};
use crate::trtc::{Answer, TaskStatus};

/// How long between two tries to stop it, at first.
const RETRY: SignedDuration = SignedDuration::from_secs(5);

/// The longest such time.
const RETRY_MAX: SignedDuration = SignedDuration::from_mins(1);

/// When it is first asked for.
const FIRST_LOOK: SignedDuration = SignedDuration::from_mins(5);

/// How soon it is asked for again after `NotExist`.
const CONFIRM: SignedDuration = SignedDuration::from_secs(10);

/// What became of a stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StopEnd {
    /// It was accepted.
    Stopped,
    /// The task was over.
    WasOver,
    /// It can never succeed, for this reason.
    Refused(String),
    /// It is tried again, for this reason.
    Again(String),
}

/// What a look showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It plays, or may.
    Plays,
    /// It is over.
    Gone,
    /// Nobody has seen it for too long.
    TooOld,
}

/// An orphan, and what is under way for it.
pub(super) struct OrphanState {
    pub(super) orphan: Orphan,
    /// The number of the reply that awaits its stop, and who gave the order.
    pub(super) asked_by: Option<(u64, String)>,
    /// What its stops fail with.
    stop_fault: Option<TaskFault>,
    /// When to try to stop it; `None`: nobody wants that, or a stop is under way.
    stop_at: Option<Timestamp>,
    stops: i32,
    /// When to ask for it; `None`: a question is under way.
    look_at: Option<Timestamp>,
    is_missing: bool,
    /// Questions that were answered since it was seen last.
    looks: u32,
    last_seen: Timestamp,
}

impl OrphanState {
    pub(super) fn new(orphan: Orphan, now: Timestamp) -> OrphanState {
        OrphanState {
            asked_by: None,
            stop_fault: None,
            stop_at: orphan.stop_wanted.map(|_| now),
            stops: 0,
            look_at: Some(now + FIRST_LOOK),
            is_missing: false,
            looks: 0,
            last_seen: orphan.seen_at,
            orphan,
        }
    }

    pub(super) fn want_stop(&mut self, now: Timestamp) {
        self.orphan.stop_wanted.get_or_insert(now);
        self.stop_at = Some(now);
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        self.stop_at = self.stop_at.map(|at| at.min(now));
        self.look_at = self.look_at.map(|at| at.min(now + FIRST_LOOK));
        self.last_seen = self.last_seen.min(now);
    }

    /// When it is to be stopped.
    pub(super) fn stop_at(&self) -> Option<Timestamp> {
        self.stop_at.filter(|_| self.orphan.stop_wanted.is_some())
    }

    /// When it is to be asked for.
    pub(super) fn look_at(&self) -> Option<Timestamp> {
        self.look_at.filter(|_| self.orphan.stop_wanted.is_none())
    }

    /// The stop, which is under way from now on.
    pub(super) fn take_stop(&mut self) -> Call {
        self.stop_at = None;
        self.call(TaskStep::Stop)
    }

    /// The question, which is under way from now on.
    pub(super) fn take_look(&mut self) -> Call {
        self.look_at = None;
        self.call(TaskStep::Describe)
    }

    fn call(&self, step: TaskStep) -> Call {
        Call::Orphan { step, destination: self.orphan.destination.clone(), task_id: self.orphan.task_id.clone() }
    }

    /// Takes in the answer to a stop.
    pub(super) fn stopped(&mut self, answer: &Answer, now: Timestamp) -> StopEnd {
        let Err(fault) = &answer.result else { return StopEnd::Stopped };
        let class = classify(fault);
        if class == Class::TaskGone {
            return StopEnd::WasOver;
        }
        self.stops = self.stops.saturating_add(1);
        self.stop_at = Some(now + (RETRY * self.stops).min(RETRY_MAX));
        let (code, message) = describe_fault(fault);
        let why = code.map_or(message.clone(), |code| format!("{code}: {message}"));
        if class == Class::Permanent { StopEnd::Refused(why) } else { StopEnd::Again(why) }
    }

    /// The fault of a stop that failed, if it is another than the last one's.
    pub(super) fn new_stop_fault(&mut self, answer: &Answer, now: Timestamp) -> Option<TaskFault> {
        let fault = TaskFault::of(TaskStep::Stop, answer.result.as_ref().err()?, self.stop_fault.as_ref(), now);
        let is_new = fault.in_a_row == 1;
        self.stop_fault = Some(fault.clone());
        is_new.then_some(fault)
    }

    /// Takes in the answer to a describe. `period`: until the next.
    pub(super) fn looked(&mut self, answer: &Answer, period: SignedDuration, now: Timestamp) -> Look {
        let mut wait = period;
        self.looks = self.looks.saturating_add(1);
        match TaskStep::Describe.answered(answer) {
            TaskEvent::Described(TaskStatus::NotExist) if self.is_missing => return Look::Gone,
            TaskEvent::Described(TaskStatus::NotExist) => {
                self.is_missing = true;
                wait = CONFIRM;
            }
            TaskEvent::Described(TaskStatus::InProgress) => (self.is_missing, self.looks, self.last_seen) = (false, 0, now),
            _ => {}
        }
        self.look_at = Some(now + wait);
        if self.looks >= 2 && now.duration_since(self.last_seen) > LONGEST_TASK { Look::TooOld } else { Look::Plays }
    }
}
