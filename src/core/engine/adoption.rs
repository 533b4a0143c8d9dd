//! Whose task it is (DESIGN section 5, Callbacks): a task that is known is described at once; one that is not is adopted by the only
//! start it can be of, or listed as an orphan. Changes nothing else by what a callback says.
//!
//! A callback names a task and nothing else, so that a pairing is a conclusion: one task, one start, and nothing else that fits either.
//! What speaks against it later takes it back. An adopted task is stopped at its show's end like any other, since a stream of ours that
//! nobody stops is worse than most mistakes; but nobody vouches for that end.

use std::collections::BTreeSet;

use super::airing::Airing;
use super::airings::Airings;
use super::doubts::fits;
use super::evidence;
use super::notice::Level;
use super::orphans::{Orphans, Unknown};
use super::step::{Receipt, Records, Step};
use crate::occurrence::{Event, Key, Occurrence, Orphan, State};
use crate::trtc::callback::{Callback, TaskNews};
use jiff::Timestamp;

/// Takes in a callback. `is_old`: what it tells happened too long ago for the vendor to tell it now.
pub(super) fn on_callback(
    airings: &mut Airings,
    orphans: &mut Orphans,
    step: &mut Step,
    callback: Callback,
    is_old: bool,
) -> Receipt {
    let app = callback.sdk_app_id;
    if is_old {
        return Receipt::Old;
    }
    if airings.tasks.find(app, &callback.task_id).is_some() {
        evidence::on_known_task(airings, step, &callback);
        return Receipt::Taken;
    }
    if callback.news == TaskNews::Stopped {
        let may_be_of =
            |airing: &Airing| is_of(app, &airing.occurrence) && (airing.awaits_answer() || is_doubt(&airing.occurrence));
        let is_needed = airings.iter().any(may_be_of);
        orphans.ended(step, callback, is_needed);
        return Receipt::Taken;
    }
    let under_way = || airings.iter().filter(|airing| is_of(app, &airing.occurrence) && airing.awaits_answer());
    orphans.keep(step, callback, || under_way().filter_map(Airing::call_row).collect())
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
    let mut unknown = Vec::new();
    for callback in orphans.placeable(is_awaited) {
        let is_running = airings.tasks.find(callback.sdk_app_id, &callback.task_id).is_some();
        match step.knows_task(records, &callback.task_id) {
            Some(false) if !is_running => unknown.push(callback),
            None if !is_running => return,
            _ => take_out(airings, orphans, step, &callback.task_id),
        }
    }
    let ids: BTreeSet<String> = unknown.iter().map(|callback| callback.task_id.clone()).collect();
    for callback in unknown {
        let task_id = callback.task_id.clone();
        if place(airings, orphans, step, callback, &ids) {
            take_out(airings, orphans, step, &task_id);
        }
    }
    if std::mem::take(&mut orphans.may_group) {
        for (sdk_app_id, at) in orphans.ungrouped() {
            if orphans.doubts.of(sdk_app_id, at).next().is_some() {
                group(orphans, step, sdk_app_id, at);
            }
        }
    }
}

/// It is known whose a task is: what callbacks told of it is taken in.
fn take_out(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, task_id: &str) {
    orphans.may_group = true;
    for callback in orphans.placed(step, task_id) {
        evidence::on_known_task(airings, step, &callback);
    }
}

/// Gives a task to the one start it can be of, where it is the one task that this start can have begun; else it is an orphan.
/// `placeable`: the unknown tasks that await no answer. False: another that fits as well does, and may turn out to be known.
fn place(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, callback: Callback, placeable: &BTreeSet<String>) -> bool {
    let Callback { sdk_app_id, task_id, news: _, at } = callback;
    let keys = fitting(airings, orphans, sdk_app_id, at);
    if let Some(only) = keys.first().filter(|_| keys.len() == 1) {
        let others = orphans.others(sdk_app_id, &task_id);
        let rivals: Vec<_> = others.iter().filter(|(_, at)| fitting(airings, orphans, sdk_app_id, *at) == keys).collect();
        if rivals.iter().any(|(id, _)| !placeable.contains(id) && orphans.get(id).is_none()) {
            return false;
        }
        let airing = airings.get(only).filter(|airing| is_doubt(&airing.occurrence));
        match airing.map(|airing| airing.occurrence.clone()) {
            Some(occurrence) if rivals.is_empty() => {
                adopt(airings, orphans, step, &occurrence, (task_id, at));
                return true;
            }
            // Its occurrence is over, or has another task. It has a name now, and whoever wants can stop it.
            None if rivals.is_empty() => orphans.doubts.settle(step, only, at),
            _ => {}
        }
    }
    if keys.is_empty() {
        take_back_rival(airings, orphans, step, sdk_app_id, at);
    }
    list(airings, orphans, step, sdk_app_id, (task_id, at));
    true
}

/// The occurrences of which a start in doubt may have begun a task of that application `at`.
fn fitting(airings: &Airings, orphans: &Orphans, sdk_app_id: u64, at: Timestamp) -> BTreeSet<Key> {
    let in_app = airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| is_of(sdk_app_id, occurrence));
    let open =
        in_app.filter(|occurrence| is_doubt(occurrence) && was_sent_for(at, occurrence) && !orphans.has_task_of(&occurrence.key));
    let doubts = orphans.doubts.of(sdk_app_id, at).map(|doubt| &doubt.key);
    open.map(|occurrence| &occurrence.key).chain(doubts).cloned().collect()
}

fn adopt(
    airings: &mut Airings,
    orphans: &mut Orphans,
    step: &mut Step,
    occurrence: &Occurrence,
    (task_id, at): (String, Timestamp),
) {
    let media_end = airings.get(&occurrence.key).and_then(|airing| airing.media_end(at));
    let bound = occurrence.bound_if_sent_at(at);
    orphans.doubts.settle(step, &occurrence.key, at);
    orphans.gone(step, &task_id);
    airings.tasks.add(step, occurrence, task_id.clone(), bound, media_end);
    let text =
        format!("task {task_id} is taken for its own: only a callback names it, and nothing else fits; its end will be unverified");
    airings.transition(step, &occurrence.key, Event::Adopted { task_id });
    airings.set_bound(&occurrence.key, bound);
    step.notify_of(&occurrence.key, Level::Warning, text);
}

/// A task that began `at` fits no start in doubt. If it fits one that adopted another task, either can be its own: neither is stopped.
fn take_back_rival(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, sdk_app_id: u64, at: Timestamp) {
    let is_rival = |occurrence: &Occurrence| {
        let was_sent = occurrence.doubts.iter().any(|sent| fits(*sent, at));
        is_of(sdk_app_id, occurrence) && occurrence.adopted.is_some() && occurrence.task_id.is_some() && was_sent
    };
    let rivals: Vec<Occurrence> =
        airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| is_rival(occurrence)).cloned().collect();
    for rival in rivals {
        let Some(task_id) = rival.task_id.clone() else { continue };
        let text = format!("task {task_id} is not taken for its own any more: a callback names another that fits too");
        step.notify_of(&rival.key, Level::Warning, text);
        let began = rival.confirmed_at.unwrap_or(at);
        give_back(airings, orphans, step, &rival.key, &task_id);
        list(airings, orphans, step, sdk_app_id, (task_id, began));
    }
}

/// Lists a task as an orphan.
fn list(airings: &Airings, orphans: &mut Orphans, step: &mut Step, sdk_app_id: u64, (task_id, at): (String, Timestamp)) {
    let in_app = || airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| is_of(sdk_app_id, occurrence));
    let likely = in_app().filter(|occurrence| was_sent_for(at, occurrence)).max_by_key(|occurrence| occurrence.tried_at);
    let doubt = orphans.doubts.of(sdk_app_id, at).last();
    let likely_job = likely.map(|occurrence| &occurrence.key).or(doubt.map(|doubt| &doubt.key)).map(|key| key.job.to_string());
    let home = likely.map(|occurrence| &occurrence.playout.destination).or_else(|| orphans.home(sdk_app_id));
    let Some(destination) = home.cloned() else {
        let why = "no region of its application is known, so it cannot be stopped from here";
        step.notify(Level::Error, format!("task {task_id} runs and nobody here started it; {why}"));
        return;
    };
    let whose = likely_job.as_ref().map_or("no job it could be of is known".to_owned(), |job| format!("most likely of `{job}`"));
    let text = format!("an orphan: task {task_id} runs and nobody here started it, {whose}; `ingestd stop --task` stops it");
    step.notify(Level::Error, text);
    orphans.add(step, Orphan { task_id, destination, seen_at: at, likely_job, stop_wanted: None, of: Vec::new() });
}

/// Where exactly as many tasks are unknown as starts are in doubt that they can be of, and each of these was told that its task runs,
/// no pairing is needed to stop all of them when all these shows are over.
fn group(orphans: &mut Orphans, step: &mut Step, sdk_app_id: u64, at: Timestamp) {
    let (mut keys, mut tasks) = (BTreeSet::new(), BTreeSet::from([at]));
    // Every task that can be of one of these starts, every start that can have begun one of these tasks, and so on.
    loop {
        let before = (keys.len(), tasks.len());
        for at in &tasks {
            keys.extend(orphans.doubts.of(sdk_app_id, *at).map(|doubt| doubt.key.clone()));
        }
        let fits_one = |at: &Timestamp| orphans.doubts.of(sdk_app_id, *at).any(|doubt| keys.contains(&doubt.key));
        tasks.extend(orphans.others(sdk_app_id, "").into_iter().map(|(_, at)| at).filter(fits_one));
        if (keys.len(), tasks.len()) == before {
            break;
        }
    }
    let of_group = |orphan: &&Orphan| orphan.of.is_empty() && tasks.contains(&orphan.seen_at);
    let ids: Vec<String> = orphans.listed(sdk_app_id).filter(of_group).map(|orphan| orphan.task_id.clone()).collect();
    // A task among them that nobody has placed yet may be the one too many.
    let count = orphans.others(sdk_app_id, "").into_iter().filter(|(_, at)| tasks.contains(at)).count();
    if keys.is_empty() || ids.len() != keys.len() || count != ids.len() || !orphans.doubts.all_found(&keys) {
        return;
    }
    for task_id in &ids {
        orphans.set_group(step, task_id, &keys);
    }
    orphans.doubts.settle_all(step, &keys);
    let jobs: Vec<String> = keys.iter().map(|key| format!("`{}`", key.job)).collect();
    let (ids, jobs) = (ids.join(", "), jobs.join(", "));
    let text = format!(
        "{ids}: as many tasks as starts in doubt, of {jobs}; which is whose is not known: they are stopped when all of these are over"
    );
    step.notify(Level::Warning, text);
}

/// An answer to a start of `key` names a task: whoever was given it by a callback gives it back.
pub(super) fn release_adopted(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, key: &Key, task_id: &str) {
    orphans.gone(step, task_id);
    let was_given = |occurrence: &Occurrence| occurrence.adopted.is_some() && occurrence.task_id.as_deref() == Some(task_id);
    let mut others = airings.iter().map(|airing| &airing.occurrence).filter(|occurrence| &occurrence.key != key);
    let given = others.find(|occurrence| was_given(occurrence)).map(|occurrence| occurrence.key.clone());
    drop(others);
    if let Some(given) = given {
        give_back(airings, orphans, step, &given, task_id);
    }
}

/// A task that an occurrence adopted is another's, or may be: its start is in doubt again.
fn give_back(airings: &mut Airings, orphans: &mut Orphans, step: &mut Step, key: &Key, task_id: &str) {
    let before = airings.get(key).map(|airing| airing.occurrence.clone());
    airings.tasks.disown(step, key, task_id);
    airings.transition(step, key, Event::TakenBack);
    if let Some(occurrence) = before {
        orphans.doubts.reopen(step, &occurrence);
    }
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
