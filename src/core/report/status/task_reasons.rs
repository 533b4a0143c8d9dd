//! What is wrong with the tasks of shows, as reasons of the health: stops that do not come through, tasks that are not seen, media
//! that cannot be pulled. What many have alike is one reason with their names. Does not know what the health is.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::time::wall;
use super::LedgerView;
use crate::occurrence::{End, Occurrence, State, Task, TaskFault, UNSEEN_LOSSES_MAX};

/// A stop takes a few seconds; what takes longer is a fault. The daemon raises its alert then too.
const STOP_PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// The most names of one reason.
const NAMES_MAX: usize = 5;

/// What should be off the air and is not known to be, for longer than a stop takes.
pub(super) fn overruns(ledger: &LedgerView, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let is_late = |since: Timestamp| now.duration_since(since) >= STOP_PATIENCE;
    let tasks = ledger.tasks.iter().filter_map(|task| Some((task, task.stop_owed_since().filter(|since| is_late(*since))?)));
    let of_tasks = tasks.map(|(task, since)| {
        let state = stop_state(task).map(|state| format!(": {state}")).unwrap_or_default();
        let whose = if is_newest(ledger, task) { "" } else { "an earlier task of " };
        format!("{whose}`{}` should be off the air since {} and is not known to be{state}", task.key.job, wall(since, zone))
    });
    // Its end has come, and its stop was not even wanted.
    let is_forgotten = |row: &&Occurrence| {
        let is_over = matches!((&row.state, row.end), (State::OnAir, End::Planned(end)) if is_late(end));
        is_over && !ledger.tasks.iter().any(|task| task.key == row.key && task.stop_owed_since().is_some())
    };
    let of_rows = ledger.on_air.iter().filter(is_forgotten).map(|row| {
        let since = row.end.at().unwrap_or(now);
        format!("`{}` should be off the air since {} and is not known to be", row.key.job, wall(since, zone))
    });
    of_tasks.chain(of_rows).collect()
}

/// Stops that fail since less than the time after which that is worse.
pub(super) fn refused_stops(ledger: &LedgerView, now: Timestamp) -> Vec<String> {
    let is_recent = |task: &&Task| task.stop_owed_since().is_some_and(|since| now.duration_since(since) < STOP_PATIENCE);
    let failing = ledger.tasks.iter().filter(is_recent).filter_map(|task| Some((task, task.stop_fault.as_ref()?)));
    alike(failing)
        .into_values()
        .map(|(tasks, fault)| {
            let (it, its) = if tasks.len() == 1 { ("it", "its stop") } else { ("they", "their stops") };
            let fails = verb(fault, tasks.len());
            format!("{} should be off the air, and {its} {fails}: {}; {it} may still play", names(&tasks), fault.words())
        })
        .collect()
}

/// Tasks on air that are not seen for too long, or cannot be looked at until somebody fixes something.
pub(super) fn unseen(ledger: &LedgerView, zone: &TimeZone) -> Vec<String> {
    let watched = ledger.tasks.iter().filter(|task| task.is_watched());
    let (with, without): (Vec<_>, Vec<_>) = watched.partition(|task| task.describe_fault.is_some());
    let faults = with.into_iter().filter_map(|task| Some((task, task.describe_fault.as_ref()?)));
    let faults = faults.filter(|(task, fault)| task.is_unseen || fault.is_lasting());
    let mut reasons: Vec<_> = alike(faults)
        .into_values()
        .map(|(tasks, fault)| {
            let unseen = tasks.iter().filter(|task| task.is_unseen).map(|task| task.seen_at).min();
            let have = if tasks.len() == 1 { "has" } else { "have" };
            match unseen {
                Some(since) => {
                    format!("{} {have} not been seen on air since {}: {}", names(&tasks), wall(since, zone), fault.words())
                }
                None => format!("{} cannot be looked at: {}", names(&tasks), fault.words()),
            }
        })
        .collect();
    let silent: Vec<&Task> = without.into_iter().filter(|task| task.is_unseen).collect();
    if let Some(since) = silent.iter().map(|task| task.seen_at).min() {
        let have = if silent.len() == 1 { "has" } else { "have" };
        reasons.push(format!("{} {have} not been seen on air since {}", names(&silent), wall(since, zone)));
    }
    reasons
}

/// A show that plays its fallback, and why.
pub(super) fn on_fallback(row: &Occurrence, zone: &TimeZone) -> Option<String> {
    let trouble = row.fallback.trouble.filter(|_| row.state == State::OnAir && row.plays_fallback())?;
    let (job, since) = (&row.key.job, wall(trouble.since, zone));
    Some(format!("`{job}` plays its fallback since {since}: its stream cannot be had: {}", trouble.why.words()))
}

/// Media that the vendor cannot pull.
pub(super) fn unpulled(ledger: &LedgerView, zone: &TimeZone) -> Option<String> {
    let tasks: Vec<&Task> = ledger.tasks.iter().filter(|task| task.unpulled_at.is_some()).collect();
    let since = tasks.iter().filter_map(|task| task.unpulled_at).min()?;
    let rooms = if tasks.len() == 1 { "its room" } else { "their rooms" };
    Some(format!(
        "TRTC cannot pull the media of {} since {}: can it be reached from there? Look into {rooms}",
        names(&tasks),
        wall(since, zone)
    ))
}

/// A show that vanishes again and again before it was seen.
pub(super) fn vanishing(row: &Occurrence) -> Option<String> {
    let losses = row.unseen_losses;
    let is_trouble = losses >= UNSEEN_LOSSES_MAX && row.state == State::OnAir;
    is_trouble.then(|| format!("`{}` has vanished {losses} times before it was seen on air", row.key.job))
}

/// How far the stop of a task has come, in words.
fn stop_state(task: &Task) -> Option<String> {
    match (&task.stop_fault, &task.describe_fault) {
        (Some(fault), _) => Some(format!("its stop {}: {}", fault.verb(), fault.words())),
        (None, _) if task.outlives_stop() => Some("its stop was accepted, and the endpoint says that it still plays".to_owned()),
        (None, Some(fault)) => Some(format!("its stop was accepted, and the look at it {}: {}", fault.verb(), fault.words())),
        (None, None) => None,
    }
}

fn is_newest(ledger: &LedgerView, task: &Task) -> bool {
    ledger.on_air.iter().any(|row| row.key == task.key && row.task_id.as_ref() == Some(&task.task_id))
}

/// Tasks by the kind of their fault, with the first of each kind.
fn alike<'a>(faults: impl Iterator<Item = (&'a Task, &'a TaskFault)>) -> BTreeMap<(bool, &'a str), (Vec<&'a Task>, &'a TaskFault)> {
    let mut kinds: BTreeMap<_, (Vec<&Task>, &TaskFault)> = BTreeMap::new();
    for (task, fault) in faults {
        kinds.entry((fault.code.is_some(), fault.kind())).or_insert_with(|| (Vec::new(), fault)).0.push(task);
    }
    kinds
}

fn verb(fault: &TaskFault, count: usize) -> &'static str {
    match (count, fault.code.is_some()) {
        (1, _) => fault.verb(),
        (_, true) => "are refused",
        (_, false) => "fail",
    }
}

/// The jobs of tasks: `a`, `b` and 3 more.
fn names(tasks: &[&Task]) -> String {
    let mut names: Vec<String> = tasks.iter().take(NAMES_MAX).map(|task| format!("`{}`", task.key.job)).collect();
    if let more @ 1.. = tasks.len().saturating_sub(NAMES_MAX) {
        names.push(format!("{more} more"));
    }
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}
