//! What is said about the requests for tasks: that they are refused or not answered, and that this is over. What concerns many tasks
//! alike is said once. Does not decide what is sent.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::notice::Level;
use super::step::Step;
use crate::advice::advice_on_task_fault;
use crate::occurrence::{Task, TaskFault, TaskPhase};
use crate::trtc::advice::SecretPlaces;
use crate::trtc::error::proves_nothing_began;
use crate::trtc::{Answer, Fault};

const STILL_PLAYS: &str = "its stop was accepted, and the endpoint says that it still plays";

/// The kinds of faults for which tasks cannot be looked at, as far as they were told. A wrong key with a hundred shows on air is one
/// line.
#[derive(Default)]
pub(super) struct ToldFaults {
    kinds: BTreeSet<String>,
}

impl ToldFaults {
    /// Says that looks at this task fail, if that must be known at once: what somebody has to fix does not go away by itself.
    pub(super) fn look_failed(&mut self, step: &mut Step, task: &Task, secrets: SecretPlaces) {
        let Some(fault) = task.describe_fault.as_ref().filter(|fault| fault.is_lasting()) else { return };
        if self.kinds.insert(fault.kind().to_owned()) {
            let text = format!(
                "task {} cannot be looked at: DescribeStreamIngest {}: {}{}; other tasks with this fault are listed in `status`",
                task.task_id,
                fault.verb(),
                fault.words(),
                advice(fault, secrets)
            );
            step.notify_of(&task.key, Level::Warning, text);
        }
    }

    /// Says that this task has not been seen for too long.
    pub(super) fn unseen(&mut self, step: &mut Step, task: &Task, secrets: SecretPlaces) {
        let kind = task.describe_fault.as_ref().map_or("", TaskFault::kind);
        if self.kinds.insert(kind.to_owned()) {
            let text =
                format!("task {} has not been seen on air since {:.0}{}", task.task_id, task.seen_at, look_fault(task, secrets));
            step.notify_of(&task.key, Level::Warning, text);
        }
    }

    /// Says that this task is seen again, or that it can be looked at again. `is_last`: no other task has the fault that it had.
    pub(super) fn seen_again(&mut self, step: &mut Step, before: &Task, is_last: bool) {
        let kind = before.describe_fault.as_ref().map_or("", TaskFault::kind);
        if is_last && (self.kinds.remove(kind) || before.is_unseen) {
            step.notify_of(&before.key, Level::Info, format!("task {} is seen on air again", before.task_id));
        }
    }

    /// Forgets every kind that no task has any more.
    pub(super) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.kinds.retain(|kind| is_there(kind));
    }
}

/// Says that a stop failed, once for each kind of fault.
pub(super) fn stop_failed(step: &mut Step, (before, task): (&Task, &Task), answer: &Answer, secrets: SecretPlaces) {
    let (Some(fault), Err(cause)) = (&task.stop_fault, &answer.result) else { return };
    if before.stop_fault.as_ref().is_some_and(|last| last.is_like(fault)) {
        return;
    }
    let proves = proves_nothing_began(cause);
    let plays = if proves { "still plays" } else { "may still play" };
    let what = match cause {
        Fault::Rejected { .. } => "was refused",
        Fault::Connect(_) | Fault::Unsendable(_) => "could not be sent",
        Fault::Status(_) | Fault::NotAnEnvelope(_) => "was not answered by the service",
        Fault::Cut(_) | Fault::Timeout => "got no answer",
    };
    let (id, words) = (&task.task_id, fault.words());
    let text = format!("the stop of task {id} {what}: {words}; it {plays}, and its stop is sent again{}", advice(fault, secrets));
    step.notify_of(&task.key, Level::Warning, text);
}

/// Says that the stop of a task that no show has failed.
pub(super) fn orphan_stop_failed(step: &mut Step, task_id: &str, fault: &TaskFault, secrets: SecretPlaces) {
    let (verb, words, advice) = (fault.verb(), fault.words(), advice(fault, secrets));
    let text = format!("the stop of the orphan {task_id} {verb}: {words}; it may still play, and its stop is sent again{advice}");
    step.notify(Level::Warning, text);
}

/// Says that a stop was accepted after others failed.
pub(super) fn stop_accepted(step: &mut Step, before: &Task) {
    if before.stop_fault.is_some() && before.is_stop_wanted() {
        let text = format!("the stop of task {} is accepted now; it is not seen gone yet", before.task_id);
        step.notify_of(&before.key, Level::Info, text);
    }
}

/// Says that a task should have been off the air for a minute.
pub(super) fn not_stopped(step: &mut Step, task: &Task, secrets: SecretPlaces) {
    let state = stop_state(task, secrets).unwrap_or_default();
    let text = format!("task {} is not verified off the air a minute after its end: {state}; ingestd keeps trying", task.task_id);
    step.notify_of(&task.key, Level::Error, text);
}

/// How far its stop has come, in words; `None`: no stop is wanted.
pub(super) fn stop_state(task: &Task, secrets: SecretPlaces) -> Option<String> {
    Some(match task.phase {
        TaskPhase::StopWanted { .. } => match &task.stop_fault {
            Some(fault) => format!("its stop {}: {}", fault.verb(), fault.words()),
            None if task.outlives_stop() => STILL_PLAYS.to_owned(),
            None => "its stop is not answered yet".to_owned(),
        },
        TaskPhase::Verifying { .. } if task.outlives_stop() => STILL_PLAYS.to_owned(),
        TaskPhase::Verifying { .. } => format!("its stop was accepted, and it is not seen gone yet{}", look_fault(task, secrets)),
        TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => return None,
    })
}

/// Says that the vendor cannot pull the media of a task.
pub(super) fn unpulled(step: &mut Step, task: &Task, level: Level) {
    let text = format!("TRTC cannot pull the media of task {}: can its URL be reached from there?", task.task_id);
    step.notify_of(&task.key, level, text);
}

/// Says that the vendor can pull it now.
pub(super) fn pulled(step: &mut Step, task: &Task, since: Timestamp) {
    let text = format!("TRTC pulls the media of task {} now; it could not since {since:.0}", task.task_id);
    step.notify_of(&task.key, Level::Info, text);
}

fn look_fault(task: &Task, secrets: SecretPlaces) -> String {
    match &task.describe_fault {
        Some(fault) => format!(": DescribeStreamIngest {}: {}{}", fault.verb(), fault.words(), advice(fault, secrets)),
        None => String::new(),
    }
}

fn advice(fault: &TaskFault, secrets: SecretPlaces) -> String {
    advice_on_task_fault(fault, secrets).map_or(String::new(), |advice| format!("; {advice}"))
}
