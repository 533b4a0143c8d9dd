//! What an operator's `stop` does to what is on air or on its way there. Does not know who asked, and how.

use super::airings::Airings;
use super::orphans::Orphans;
use super::step::{OrderReply, Step};
use super::write::Write;
use crate::occurrence::{Event, Key, Outcome, State};
use crate::plan::holds::OrderSource;
use crate::schedule::JobId;
use crate::trtc::callback::is_task_id;

/// What is to be taken off the air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopTarget {
    /// Whatever runs of a job.
    Job(JobId),
    /// One task, an orphan included.
    Task(String),
    /// One task of an application, known or not.
    TaskOf {
        /// The task.
        task_id: String,
        /// The name of the application in the settings.
        app: String,
    },
    /// Everything that runs.
    All,
}

/// Takes off the air. The reply says what becomes of each occurrence, or that there is nothing to stop.
pub(super) fn stop(
    airings: &mut Airings,
    orphans: &mut Orphans,
    step: &mut Step,
    target: &StopTarget,
    by: &OrderSource,
) -> OrderReply {
    let mut keys = airings.keys();
    match target {
        StopTarget::All => {}
        StopTarget::Job(job) => keys.retain(|key| &key.job == job),
        StopTarget::Task(task_id) => return stop_task(airings, orphans, step, (task_id, None), by),
        StopTarget::TaskOf { task_id, app } => return stop_task(airings, orphans, step, (task_id, Some(app)), by),
    }
    let reply = stop_all(airings, step, &keys, by);
    OrderReply::Now(reply.ok_or_else(|| match target {
        StopTarget::Job(job) => format!("nothing of `{job}` is on air or on its way there"),
        _ => "nothing is on air or on its way there".to_owned(),
    }))
}

/// Stops one task. With the name of its application it need not be known.
fn stop_task(
    airings: &mut Airings,
    orphans: &mut Orphans,
    step: &mut Step,
    (task_id, app): (&str, Option<&String>),
    by: &OrderSource,
) -> OrderReply {
    let refused = |why: String| OrderReply::Now(Err(why));
    if !is_task_id(task_id) {
        return refused(
            "expected a TaskId of 1 to 256 visible ASCII characters: copy it from the callback, the console or the log".to_owned(),
        );
    }
    let of_app = |found: &str| app.filter(|app| *app != found).map(|app| format!("task {task_id} is of `{found}`, not of `{app}`"));
    let is_its = |key: &Key| airings.get(key).is_some_and(|airing| airing.occurrence.task_id.as_deref() == Some(task_id));
    let keys: Vec<Key> = airings.keys().into_iter().filter(is_its).collect();
    let its_app = keys.first().and_then(|key| airings.get(key)).map(|airing| airing.occurrence.playout.destination.app.as_str());
    let its_app = its_app
        .or_else(|| airings.tasks.app_of(task_id))
        .or_else(|| orphans.get(task_id).map(|orphan| orphan.destination.app.as_str()));
    if let Some(why) = its_app.and_then(of_app) {
        return refused(why);
    }
    if let Some(lines) = stop_all(airings, step, &keys, by) {
        return OrderReply::Now(Ok(lines));
    }
    if airings.tasks.want_stop_of(step, task_id) || orphans.want_stop(step, task_id) {
        return OrderReply::Now(Ok(vec![format!("task {task_id}: stopping")]));
    }
    let Some(app) = app else {
        let how = format!("if it runs all the same, name its application: `ingestd stop --task {task_id} --app NAME`");
        return refused(format!("no task {task_id} is known to run; {how}"));
    };
    let Some(home) = orphans.homes().find(|home| &home.app == app).cloned() else {
        let names: Vec<String> = orphans.homes().map(|home| format!("`{}`", home.app)).collect();
        return refused(format!("there is no application `{app}`: the applications are {}", names.join(", ")));
    };
    let noted = by.note.as_ref().map(|note| format!("\nnote: {note}")).unwrap_or_default();
    step.record_action(
        by.who.clone(),
        "stop",
        format!("task {task_id} of `{app}`, which is not known here: StopStreamIngest is sent{noted}"),
    );
    OrderReply::Later(orphans.stop_unknown(step, task_id, home, &by.who))
}

/// Stops what is named. `None`: there is nothing to stop.
fn stop_all(airings: &mut Airings, step: &mut Step, keys: &[Key], by: &OrderSource) -> Option<Vec<String>> {
    let lines: Vec<_> = keys.iter().filter_map(|key| stop_one(airings, step, key, by)).collect();
    (!lines.is_empty()).then_some(lines)
}

fn stop_one(airings: &mut Airings, step: &mut Step, key: &Key, by: &OrderSource) -> Option<String> {
    let before = airings.get(key)?;
    let is_waiting_for_its_start = before.occurrence.state == State::Armed
        && before.occurrence.attempts == 1
        && !before.awaits_answer()
        && step.now < key.start;
    if is_waiting_for_its_start {
        return None;
    }
    airings.set_ordered_by(key, by);
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
        State::Stopping { outcome } => {
            if *outcome == Outcome::CutRemoved {
                step.write(Write::Update(Box::new(occurrence.clone())));
            }
            let states = airings.tasks.stop_states(key).join("; ");
            if states.is_empty() { "stopping already".to_owned() } else { format!("stopping already: {states}") }
        }
        State::Waiting { .. } => {
            airings.transition(step, key, cut);
            "was waiting for another attempt, and is not started again".to_owned()
        }
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
