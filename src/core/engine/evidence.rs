//! What answers and callbacks show about a show: that it was seen on air, that its media cannot be pulled, that a request for its task
//! is refused. Does not know whose an unknown task is.

use jiff::Timestamp;

use super::airings::Airings;
use super::step::Step;
use crate::occurrence::{FallbackReason, Playout, State, TaskStep};
use crate::trtc::callback::{Callback, TaskNews};
use crate::trtc::{Answer, Fault};

/// Takes in the answer to a stop or a describe.
pub(super) fn on_task_answered(
    airings: &mut Airings,
    step: &mut Step,
    (row, action): (i64, TaskStep),
    times: (Timestamp, Timestamp),
    answer: &Answer,
) {
    let key = airings.tasks.get(row).map(|task| task.key.clone());
    let airing = key.and_then(|key| airings.get(&key));
    let answer = &mask(answer, airing.map(|airing| &airing.occurrence.playout));
    let Some((task, has_changed)) = airings.tasks.answered(step, row, action, times, answer) else { return };
    if let Some(airing) = airings.get(&task.key) {
        let next = airing.occurrence.with_task(&task);
        if next != airing.occurrence {
            airings.update(step, next);
        }
    }
    if has_changed {
        airings.apply_task(step, &task, action);
    }
}

/// The message of an answer may quote the URL, which the request did not have, so that the client could not mask it.
fn mask(answer: &Answer, playout: Option<&Playout>) -> Answer {
    let mut answer = answer.clone();
    if let (Err(Fault::Rejected { message, .. } | Fault::NotAnEnvelope(message)), Some(playout)) = (&mut answer.result, playout) {
        *message = playout.mask(message);
    }
    answer
}

/// What a callback says of a task that is known. It changes no state: the task is looked at now, and media that cannot be pulled has a
/// fallback play, if there is one.
pub(super) fn on_known_task(airings: &mut Airings, step: &mut Step, callback: &Callback) {
    let Callback { sdk_app_id, task_id, news, at } = callback;
    let is_news = airings.tasks.on_callback(step, callback);
    let Some(task) = airings.tasks.find(*sdk_app_id, task_id) else { return };
    let Some(airing) = airings.get(&task.key) else { return };
    if airing.occurrence.task_id.as_ref() != Some(task_id) {
        return;
    }
    let mut next = airing.occurrence.clone();
    match news {
        TaskNews::Started => next.confirm(*at),
        TaskNews::StartFailed if is_news => {
            next.cannot_be_pulled();
            if next.state == State::OnAir {
                next.stream_is_missing(FallbackReason::Unpulled, step.now);
            }
        }
        TaskNews::StartFailed | TaskNews::StartAgain | TaskNews::Stopped => {}
    }
    if next != airing.occurrence {
        airings.update(step, next);
    }
}
