//! Whose task it is (DESIGN section 5, Callbacks): a task that is known is described at once; one that is not is adopted by the only
//! start it can be of, or listed as an orphan. Changes nothing else by what a callback says.

use std::collections::BTreeSet;

use super::airing::Airing;
use super::airings::Airings;
use super::evidence;
use super::notice::Level;
use super::orphans::{Orphans, Unknown, fits};
use super::step::{Records, Step};
use crate::occurrence::{Event, Key, Occurrence, Orphan, State};
use crate::trtc::callback::{Callback, TaskNews};
use jiff::Timestamp;

/// Takes in a callback.
pub(super) fn on_callback(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, callback: Callback) {
    if airings.tasks.find(callback.sdk_app_id, &callback.task_id).is_some() {
        evidence::on_known_task(airings, step, &callback);
    } else if callback.news == TaskNews::Stopped {
        orphans.ended(step, &callback.task_id, callback.at);
    } else {
        let app = callback.sdk_app_id;
        let under_way = || airings.iter().filter(|airing| is_of(app, &airing.occurrence) && airing.awaits_answer());
        orphans.keep(callback, || under_way().filter_map(Airing::call_row).collect());
    }
}

/// Decides about unknown tasks for which no answer is awaited any more. What the ledger cannot say now is asked again.
pub(super) fn place_unknown(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, records: &dyn Records) {
    // Whoever is in doubt and tries again is asked first what it finds.
    let asks = |airing: &Airing, callback: &Callback| {
        let occurrence = &airing.occurrence;
        let is_asking = airing.is_claimed() && occurrence.in_doubt;
        is_asking && is_of(callback.sdk_app_id, occurrence) && was_sent_for(callback.at, occurrence)
    };
    let is_awaited = |unknown: &Unknown| {
        airings.iter().any(|airing| {
            airing.call_row().is_some_and(|row| unknown.awaited.contains(&row))
                || unknown.callbacks.iter().any(|callback| asks(airing, callback))
        })
    };
    for task_id in orphans.placeable(is_awaited) {
        let earliest = orphans.callbacks_of(&task_id).iter().min_by_key(|callback| callback.at).cloned();
        if let Some(earliest) = earliest
            && airings.tasks.find(earliest.sdk_app_id, &task_id).is_none()
        {
            match step.knows_task(records, &task_id) {
                Some(true) => {}
                Some(false) => adopt(airings, orphans, step, earliest),
                None => return,
            }
        }
        for callback in orphans.placed(&task_id) {
            evidence::on_known_task(airings, step, &callback);
        }
    }
}

/// Gives a task to the one start it can be of; without exactly one, it is an orphan.
fn adopt(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, callback: Callback) {
    let Callback { sdk_app_id, task_id, news: _, at } = callback;
    let in_app = || airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| is_of(sdk_app_id, occurrence));
    let open = in_app().filter(|occurrence| is_doubt(occurrence) && was_sent_for(at, occurrence));
    let keys: BTreeSet<&Key> = open.map(|occurrence| &occurrence.key).chain(orphans.doubts_of(sdk_app_id, at)).collect();
    let only = keys.first().filter(|_| keys.len() == 1).and_then(|key| airings.get(key));
    if let Some(airing) = only.filter(|airing| is_doubt(&airing.occurrence)) {
        let occurrence = airing.occurrence.clone();
        let (bound, media_end) = (occurrence.bound_if_sent_at(at), airing.media_end(at));
        orphans.settle_doubt(&occurrence.key, at);
        airings.tasks.add(step, &occurrence, task_id.clone(), bound, media_end);
        airings.transition(step, &occurrence.key, Event::Adopted { task_id });
        airings.set_bound(&occurrence.key, bound);
        return;
    }
    let likely = in_app().filter(|occurrence| was_sent_for(at, occurrence)).max_by_key(|occurrence| occurrence.tried_at);
    let likely_job = likely.map(|occurrence| occurrence.key.job.to_string());
    let home = likely.map(|occurrence| &occurrence.playout.destination).or_else(|| orphans.home(sdk_app_id));
    let Some(destination) = home.cloned() else { return };
    let whose = likely_job.as_ref().map_or("no job it could be of is known".to_owned(), |job| format!("most likely of `{job}`"));
    let text = format!("an orphan: task {task_id} runs and nobody here started it, {whose}; `ingestd stop --task` stops it");
    step.notify(Level::Error, text);
    orphans.add(step, Orphan { task_id, destination, seen_at: at, likely_job, stop_wanted: None });
}

/// An answer to a start of `key` names a task: whoever was given it by a callback gives it back.
pub(super) fn release_adopted(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, key: &Key, task_id: &str) {
    orphans.gone(step, task_id);
    let was_given = |occurrence: &Occurrence| occurrence.adopted.is_some() && occurrence.task_id.as_deref() == Some(task_id);
    let mut others = airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| &occurrence.key != key);
    let given = others.find(|occurrence| was_given(occurrence)).map(|occurrence| occurrence.key.clone());
    drop(others);
    let Some(given) = given else { return };
    airings.tasks.disown(step, &given, task_id);
    airings.transition(step, &given, Event::TakenBack);
}

fn is_of(sdk_app_id: u64, occurrence: &Occurrence) -> bool {
    occurrence.playout.destination.sdk_app_id == sdk_app_id
}

/// Whether a task that began `at` may be of a start of this occurrence.
fn was_sent_for(at: Timestamp, occurrence: &Occurrence) -> bool {
    occurrence.doubts.iter().copied().chain(occurrence.tried_at).any(|sent| fits(sent, at))
}

/// Whether a task of this occurrence may run that nobody knows.
fn is_doubt(occurrence: &Occurrence) -> bool {
    match occurrence.state {
        State::Waiting { .. } => occurrence.in_doubt,
        State::OnAir => occurrence.task_id.is_none(),
        _ => false,
    }
}
