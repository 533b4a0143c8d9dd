//! What `TaskExist` is read as. The cloud plays four readings of it, and the rule holds under each as far as the API lets anyone know: after
//! a doubt the task is the show's own, unless an earlier task of its robot is not known to be gone, in whatever room.

use ingestd::occurrence::Occurrence;
use ingestd::trtc::Action;
use jiff::Timestamp;

use super::{Faults, line, outcome, reason, seconds};
use crate::cloud::SimTask;
use crate::endpoint::{AnswerKind, Send, State};
use crate::run::{Run, TaskRow};

pub(super) fn check(run: &Run, faults: &mut Faults) {
    if run.plan.has_steps() {
        return;
    }
    let state = run.api.state();
    for row in &run.rows {
        let starts: Vec<&Send> = state.sends.iter().filter(|send| is_of(send, row)).collect();
        for (index, send) in starts.iter().enumerate() {
            let Some((at, AnswerKind::Exists)) = &send.answered else { continue };
            let may_be_busy =
                robot_is_busy(run, &state, row, *at, |known| learned_gone(&state, known).is_none_or(|learned| learned >= *at));
            let is_busy = robot_is_busy(run, &state, row, *at, |known| known.gone.is_none_or(|gone| gone > *at + seconds(1)));
            // Where an edit moved it, nothing that was sent before says anything.
            let before = starts[..index].iter().filter(|other| other.room == send.room);
            let was_in_doubt = before.clone().any(|other| matches!(other.answered, None | Some((_, AnswerKind::Doubt))));
            let plays =
                state.cloud.tasks.iter().any(|task| {
                    is_its(&state, task, row) && task.room == send.room && task.started_at < send.at && task.is_live(*at)
                });
            if plays && was_in_doubt && !may_be_busy && outcome(row) == "failed" && reason(row) == "FailedOperation.TaskExist" {
                faults.add("what exists after a doubt is its own", line(row));
            }
            // Nothing of it ever played, and the daemon knew whose the robot was.
            let never_played = !state.cloud.tasks.iter().any(|task| is_its(&state, task, row));
            let is_then = row.on_air_at.is_some_and(|on_air| *at <= on_air && on_air <= *at + seconds(1));
            if never_played && is_busy && is_then && row.task_id.is_none() && !run.is_impaired(*at - seconds(1), *at + seconds(1)) {
                faults.add("a robot that is busy elsewhere is waited for", format!("at {at}: {}", line(row)));
            }
        }
    }
}

fn is_of(send: &Send, row: &Occurrence) -> bool {
    let is_claim = matches!(send.claims.as_slice(), [claim] if claim.start == row.key.start);
    send.action == Action::Start && send.subject == row.key.job.as_str() && is_claim
}

/// Whether an occurrence's start began a task.
fn is_its(state: &State, task: &SimTask, row: &Occurrence) -> bool {
    state
        .sends
        .get(task.send)
        .is_some_and(|send| send.subject == row.key.job.as_str() && send.claims.iter().any(|claim| claim.start == row.key.start))
}

/// When the daemon knew that a task was gone, whenever that was; `None`: nobody ever said so.
pub(super) fn learned_gone(state: &State, known: &TaskRow) -> Option<Timestamp> {
    let is_look = |send: &&Send| send.action == Action::Describe && send.subject == known.task_id && send.answered.is_some();
    let (at, answer) = state.sends.iter().rfind(is_look)?.answered.as_ref()?;
    matches!(answer, AnswerKind::Runs(false) | AnswerKind::Stopped).then_some(*at)
}

/// Whether a task of another show with the same robot was known, one that `counts`.
fn robot_is_busy(run: &Run, state: &State, row: &Occurrence, at: Timestamp, counts: impl Fn(&TaskRow) -> bool) -> bool {
    let has_robot = |id: &str| {
        let mut tasks = state.cloud.tasks.iter();
        tasks.any(|task| task.id == id && task.robot == row.playout.robot && task.started_at + seconds(1) < at)
    };
    // A callback may name a task minutes after it began.
    let was_named = |id: &str| {
        let answered = |send: &Send| matches!(&send.answered, Some((then, AnswerKind::Started(task))) if task == id && *then <= at);
        let told = state.callbacks_received.iter().any(|callback| callback.task_id == id && callback.at <= at);
        told || state.sends.iter().any(answered)
    };
    run.tasks.iter().filter(|known| was_named(&known.task_id)).any(|known| {
        let is_other = known.job != row.key.job.as_str() || known.start != row.key.start;
        is_other && counts(known) && has_robot(&known.task_id)
    })
}
