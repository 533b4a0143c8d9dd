//! What an edit of the schedule does to what is under way. Does not know what the edit adds: that is the agenda's.

use std::time::Duration;

use super::airing::{Airing, Edit};
use super::airings::Airings;
use super::claim::playout;
use super::notice::Level;
use super::step::Step;
use crate::occurrence::{End, Event, Key, Kind, Occurrence, Outcome, Playout, State, WaitReason};
use crate::plan;
use crate::schedule::{OPEN_START_WITHIN, OnRemove, Policy, Schedule};

/// Another schedule is in force: what is under way follows it. A start that is armed or queued and that the edit does not change stays
/// as it is, in its place among those that wait for the limiter. One that it changes is taken back: before its time it loses its row,
/// and is armed anew under the new schedule if that has it. Returns what it does
/// to shows on air that it drops, a line each.
pub(super) fn apply(airings: &mut Airings, step: &mut Step, edition: Edition<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for key in airings.keys() {
        if !follows(airings, &key) {
            continue;
        }
        let planned = edition.find(airings, &key);
        if let Some(airing) = airings.get(&key).filter(|airing| airing.is_claimed()) {
            if planned.as_ref().is_some_and(|planned| is_same(airing, planned)) {
                airings.set_edit(&key, None);
                continue;
            }
            airings.take_back_for_edit(step, &key);
        }
        match planned {
            Some(planned) => apply_to(airings, step, &key, planned, edition),
            None => told.extend(remove(airings, step, &key)),
        }
    }
    told
}

/// A schedule that is in force from now on.
#[derive(Clone, Copy)]
pub(super) struct Edition<'a> {
    pub(super) schedule: &'a Schedule,
    /// The one before; `None`: nobody knows it.
    pub(super) former: Option<&'a Schedule>,
    pub(super) generation: i64,
    /// Who had it accepted.
    pub(super) who: &'a str,
}

/// What an occurrence under way is by a schedule.
struct AsPlanned {
    end: End,
    policy: Policy,
    playout: Playout,
}

impl Edition<'_> {
    /// What the schedule makes of an occurrence under way; `None`: it does not have it. Of a show that was started again by hand
    /// `start_within` counts from that order: what the order added to it stays.
    fn find(&self, airings: &Airings, key: &Key) -> Option<AsPlanned> {
        let occurrence = &airings.get(key)?.occurrence;
        let planned = plan::find(self.schedule, key.job.as_str(), key.start)?;
        let former = self.former.and_then(|former| plan::find(former, key.job.as_str(), key.start));
        let own = start_bound(&occurrence.policy, occurrence.end);
        let added = former.and_then(|former| own?.checked_sub(start_bound(&former.job.policy, former.end)?));
        let mut policy = planned.job.policy.clone();
        if let Some(added) = added.filter(|added| !added.is_zero()) {
            policy.start_within = start_bound(&policy, planned.end).map(|bound| bound.saturating_add(added));
        }
        Some(AsPlanned { end: planned.end, policy, playout: playout(&planned.job, key.start) })
    }
}

/// How long after its start a show may be tried until it is first on air; `None`: as long as its window allows.
pub(super) fn start_bound(policy: &Policy, end: End) -> Option<Duration> {
    policy.start_within.or_else(|| (end == End::Open).then_some(OPEN_START_WITHIN))
}

/// Whether the plan has this occurrence as it is.
fn is_same(airing: &Airing, planned: &AsPlanned) -> bool {
    let Occurrence { end, policy, playout: sent, .. } = &airing.occurrence;
    (*end, policy, sent.scheduled()) == (planned.end, &planned.policy, &planned.playout)
}

/// The schedule is the one that a daemon before had, and the settings may be others: an application's number and the region of jobs
/// that name none are a part of what is sent. An edit that a show on air had not taken yet is found again, too.
pub(super) fn apply_settings(airings: &mut Airings, step: &mut Step, schedule: &Schedule, generation: i64) {
    let edition = Edition { schedule, former: Some(schedule), generation, who: SETTINGS };
    let differs = |key: &Key| {
        let planned = edition.find(airings, key)?;
        (planned.playout != *airings.get(key)?.occurrence.playout.scheduled()).then_some(planned)
    };
    let followers = airings.keys().into_iter().filter(|key| follows(airings, key));
    let differing: Vec<_> = followers.filter_map(|key| differs(&key).map(|planned| (key, planned))).collect();
    for (key, planned) in differing {
        airings.take_back_one(step, &key);
        apply_to(airings, step, &key, planned, edition);
    }
}

/// Who changed what is sent, where it was not an edit of the schedule.
const SETTINGS: &str = "settings";

/// What an edit gave a show that was on air or on its way there then: it is off the air by now, and takes that.
pub(super) fn apply_kept(airings: &mut Airings, step: &mut Step) {
    let kept = airings.iter().filter(|airing| airing.takes_edits());
    let kept: Vec<_> = kept.filter_map(|airing| Some((airing.occurrence.clone(), airing.edit.clone()?))).collect();
    for (before, Edit { playout, generation, who }) in kept {
        airings.set_edit(&before.key, None);
        let mut next = before.clone();
        next.take_edit(playout, generation);
        airings.update(step, next);
        try_edited(airings, step, &before, &who);
    }
}

fn follows(airings: &Airings, key: &Key) -> bool {
    let is_over = |occurrence: &Occurrence| occurrence.kind == Kind::Fired || matches!(occurrence.state, State::Stopping { .. });
    airings.get(key).is_some_and(|airing| !is_over(&airing.occurrence))
}

fn apply_to(airings: &mut Airings, step: &mut Step, key: &Key, planned: AsPlanned, edition: Edition<'_>) {
    let Edition { generation, who, .. } = edition;
    let Some(airing) = airings.get(key) else { return };
    let before = airing.occurrence.clone();
    let AsPlanned { end, policy, playout: sent } = planned;
    let mut next = Occurrence { end, policy, ..before.clone() };
    // What is on air, or was sent and may be, keeps its source, target and robot until it is off the air.
    let edit = if airing.takes_edits() {
        next.take_edit(sent, generation);
        None
    } else {
        (sent != *before.playout.scheduled()).then(|| Edit { playout: sent, generation, who: who.to_owned() })
    };
    airings.set_edit(key, edit);
    if next == before {
        return;
    }
    let is_end_moved = next.end != before.end;
    let is_past = is_end_moved && next.end.at().is_some_and(|end| end <= step.now);
    airings.update(step, next.clone());
    if is_end_moved {
        airings.tasks.end_with(step, &next);
    }
    if is_past {
        airings.transition(step, key, Event::Cut(Outcome::CutEdited));
        return;
    }
    try_edited(airings, step, &before, who);
}

/// Tries what waits after an attempt that failed again at once, if the edit changed what is sent or how it is retried.
fn try_edited(airings: &mut Airings, step: &mut Step, before: &Occurrence, who: &str) {
    let key = &before.key;
    let Some(airing) = airings.get(key) else { return };
    let next = &airing.occurrence;
    let mut fields = before.playout.scheduled().differing(next.playout.scheduled());
    if before.policy.retry != next.policy.retry {
        fields.push("retry");
    }
    let is_waiting = matches!(next.state, State::Waiting { why: WaitReason::Retry | WaitReason::Restart, .. });
    if fields.is_empty() || !is_waiting || next.attempts == 0 {
        return;
    }
    let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
    let fields = fields.join(", ");
    let doubt = if before.in_doubt { left_behind(&before.playout, &next.playout) } else { String::new() };
    let level = if before.in_doubt { Level::Warning } else { Level::Info };
    step.notify_of(key, level, format!("an edit changed {fields}: it is tried again at once{doubt}"));
    step.record_retry(key, who, &format!("an edit changed {fields}"));
    airings.try_fixed(step, key);
}

/// What becomes of a start in doubt when the next attempt sends something else.
fn left_behind(before: &Playout, next: &Playout) -> String {
    if before.has_place_of(next) {
        return format!("; an attempt without an answer may be on air, and then it plays {}", before.stream.redacted());
    }
    let place = format!("room {}, robot {}, region {}", before.room, before.robot, before.destination.region);
    format!("; an attempt without an answer may be on air where it was ({place}), and is not looked for there any more")
}

/// Its job left the schedule, or its start moved. Returns what becomes of it, if it was on air or may have been.
fn remove(airings: &mut Airings, step: &mut Step, key: &Key) -> Option<String> {
    let airing = airings.get(key)?;
    let was_on_air = airing.occurrence.on_air_at.is_some() || airing.awaits_answer() || airing.occurrence.in_doubt;
    let finishes = airing.occurrence.policy.on_remove == OnRemove::Finish;
    let told = was_on_air.then(|| {
        let becomes = if finishes { "plays to its end (`on_remove: finish`)" } else { "is stopped (`on_remove: stop`)" };
        format!("the schedule does not have `{key}` any more, which is on air: it {becomes}")
    });
    if let Some(told) = &told {
        step.notify_of(key, Level::Warning, told.clone());
    }
    if !(was_on_air && finishes) {
        airings.transition(step, key, Event::Cut(Outcome::CutRemoved));
    }
    told
}
