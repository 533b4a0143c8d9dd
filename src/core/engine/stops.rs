//! What an operator's `stop` does to what is on air or on its way there. Does not know who asked, and how.

use super::airings::Airings;
use super::orphans::Orphans;
use super::step::{Reply, Step};
use crate::occurrence::{Event, Key, Outcome, State};
use crate::schedule::JobId;

/// What is to be taken off the air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopTarget {
    /// Whatever runs of a job.
    Job(JobId),
    /// One task, an orphan included.
    Task(String),
    /// Everything that runs.
    All,
}

/// Takes off the air. The reply says what becomes of each occurrence, or that there is nothing to stop.
pub(super) fn stop(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, target: &StopTarget) -> Reply {
    let mut keys = airings.keys();
    match target {
        StopTarget::All => {}
        StopTarget::Job(job) => keys.retain(|key| &key.job == job),
        StopTarget::Task(task_id) => {
            let is_its = |key: &Key| airings.get(key).is_some_and(|airing| airing.occurrence.task_id.as_ref() == Some(task_id));
            keys.retain(is_its);
            if keys.is_empty() {
                return if airings.tasks.want_stop_of(step, task_id) || orphans.want_stop(step, task_id) {
                    Ok(vec![format!("task {task_id}: stopping")])
                } else {
                    Err(format!("no task {task_id} is known to run"))
                };
            }
        }
    }
    let lines: Vec<_> = keys.iter().filter_map(|key| stop_one(airings, step, key)).collect();
    match (lines.is_empty(), target) {
        (false, _) => Ok(lines),
        (true, StopTarget::Job(job)) => Err(format!("nothing of `{job}` is on air or on its way there")),
        (true, StopTarget::All | StopTarget::Task(_)) => Err("nothing is on air or on its way there".to_owned()),
    }
}

fn stop_one(airings: &mut Airings, step: &mut Step, key: &Key) -> Option<String> {
    let airing = airings.get(key)?;
    let occurrence = &airing.occurrence;
    let cut = Event::Cut(Outcome::CutOperator);
    let what = match &occurrence.state {
        State::OnAir => {
            let what = match (&occurrence.task_id, occurrence.end.at()) {
                (Some(task_id), _) => format!("stopping (task {task_id})"),
                (None, Some(end)) => format!("{UNKNOWN_TASK}, and plays until {end} or later"),
                (None, None) => format!("{UNKNOWN_TASK}, and plays until it is over"),
            };
            airings.transition(step, key, cut);
            what
        }
        State::Stopping { .. } => {
            let states = airings.tasks.stop_states(key).join("; ");
            if states.is_empty() { "stopping already".to_owned() } else { format!("stopping already: {states}") }
        }
        State::Waiting { .. } => {
            airings.transition(step, key, cut);
            "was waiting for another attempt, and is not started again".to_owned()
        }
        State::Armed if occurrence.attempts == 1 && !airing.awaits_answer() && step.now < key.start => return None,
        State::Armed | State::Calling => {
            if airings.take_back(step, key) {
                airings.transition(step, key, Event::Postponed);
                airings.transition(step, key, cut);
                "was about to be tried again, and is not".to_owned()
            } else {
                airings.transition(step, key, cut);
                "its start is under way; it is stopped as soon as that is answered".to_owned()
            }
        }
        State::Done { .. } => return None,
    };
    Some(format!("{} {}: {what}", key.job, key.start))
}

const UNKNOWN_TASK: &str = "it is on air, but its TaskId is not known: it cannot be stopped from here";
