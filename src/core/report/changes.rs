//! What an edit does, as `plan --against` shows it: a line of a diff, the JSON object, and which occurrences on air it
//! affects. Does not know how differences are found and how the daemon applies them.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::plan::{PlanObject, end, place};
use super::time::{brief_beside, instant, wall};
use crate::occurrence::{Kind, Occurrence, State};
use crate::plan::changes::{ChangeKind, PlanChange};
use crate::plan::interruptions::Interruptions;
use crate::plan::{End, Planned, find};
use crate::schedule::{Job, OnRemove, Schedule};

/// One difference as programs read it. The keys and their order are the contract.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeObject {
    /// `added`, `removed`, `changed` or `moved`.
    pub change: &'static str,
    /// The fields in which the two differ.
    pub fields: Vec<&'static str>,
    /// As it was; null when it was added.
    pub before: Option<PlanObject<'static>>,
    /// As it will be; null when it was removed.
    pub after: Option<PlanObject<'static>>,
}

impl ChangeObject {
    /// Of a difference; each side with what interrupts it in its schedule. `reveal` shows whole stream URLs.
    pub fn new(change: PlanChange, before: &Interruptions<'_>, after: &Interruptions<'_>, reveal: bool) -> ChangeObject {
        let object = |side: Option<Planned>, interruptions: &Interruptions<'_>| {
            side.map(|side| PlanObject::new(Cow::Owned(interruptions.of(side)), reveal))
        };
        ChangeObject {
            change: change.kind.name(),
            fields: change.fields,
            before: object(change.before, before),
            after: object(change.after, after),
        }
    }
}

/// A difference as a line of a diff, the job's column as wide as `width`. Times are those of `zone`.
pub fn line(change: &PlanChange, width: usize, zone: &TimeZone, reveal: bool) -> String {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    let Some(shown) = before.or(after) else { return String::new() };
    let (sign, what) = match (change.kind, before.zip(after)) {
        (ChangeKind::Added, _) => ('+', target(&shown.job)),
        (ChangeKind::Removed, _) => ('-', target(&shown.job)),
        (ChangeKind::Changed | ChangeKind::Moved, None) => ('~', String::new()),
        (ChangeKind::Changed, Some((before, after))) => ('~', fields(change, before, after, zone, reveal)),
        (ChangeKind::Moved, Some((before, after))) => {
            let moved = format!("start -> {}", brief_beside(after.start.at, before.start.at, zone));
            let others = fields(change, before, after, zone, reveal);
            ('~', if others.is_empty() { moved } else { format!("{moved}, {others}") })
        }
    };
    format!("{sign} {}  {:<8}  {:<width$}  {what}", wall(shown.start.at, zone), end(shown, zone), shown.job.id.as_str())
}

/// `end -> 21:00:00, room -> main/foyer, volume`. With values where they help.
fn fields(change: &PlanChange, before: &Planned, after: &Planned, zone: &TimeZone, reveal: bool) -> String {
    let stream = |one: &Planned| one.job.stream_at(one.start.at).shown(reveal);
    let fallback = |one: &Planned| one.job.fallback_at(one.start.at).map_or("none".to_owned(), |url| url.shown(reveal));
    let robot = |one: &Planned| one.job.robot.expand(one.job.id.as_str(), &one.job.room, one.start.at);
    let fields = change.fields.iter().map(|field| {
        let (old, new) = match *field {
            "end" => (end(before, zone), end(after, zone)),
            "app" | "room" => (target(&before.job), target(&after.job)),
            "robot" => (robot(before), robot(after)),
            "stream" => (stream(before), stream(after)),
            "fallback" => (fallback(before), fallback(after)),
            _ => return (*field).to_owned(),
        };
        if old == new { (*field).to_owned() } else { format!("{field} -> {new}") }
    });
    fields.collect::<Vec<_>>().join(", ")
}

fn target(job: &Job) -> String {
    place(job.app.as_ref().map(|app| app.name.as_ref()), &job.room)
}

/// What an edit does to an occurrence on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditEffect {
    /// Its start left the schedule, and it still plays to its end.
    Finishes,
    /// Its start left the schedule, and it is stopped.
    Stops,
    /// It has another end.
    Ends(End),
    /// It has another end, which is past: it is stopped.
    Cut(End),
}

/// Returns what happens to the occurrences on air when `after` replaces `before` at `now`, as the daemon applies an
/// edit. Unchanged ones are left out.
pub fn touched<'a>(
    on_air: &'a [Occurrence],
    (before, after): (&Schedule, &Schedule),
    now: Timestamp,
) -> Vec<(&'a Occurrence, EditEffect)> {
    let follows = |occurrence: &&Occurrence| occurrence.kind != Kind::Fired && occurrence.state == State::OnAir;
    let rows = on_air.iter().filter(follows).filter_map(|occurrence| {
        let effect = edit_effect(occurrence, after, now)?;
        // What the files before the edit do to it too is not an effect of this edit.
        (self::edit_effect(occurrence, before, now) != Some(effect)).then_some((occurrence, effect))
    });
    rows.collect()
}

fn edit_effect(occurrence: &Occurrence, schedule: &Schedule, now: Timestamp) -> Option<EditEffect> {
    let Some(planned) = find(schedule, occurrence.key.job.as_str(), occurrence.key.start) else {
        return Some(match occurrence.policy.on_remove {
            OnRemove::Finish => EditEffect::Finishes,
            OnRemove::Stop => EditEffect::Stops,
        });
    };
    let end = planned.end;
    let is_past = end.at().is_some_and(|end| end <= now);
    (end != occurrence.end).then_some(if is_past { EditEffect::Cut(end) } else { EditEffect::Ends(end) })
}

/// An occurrence on air that an edit affects, as programs read it.
#[derive(Clone, Debug, Serialize)]
pub struct TouchedObject {
    /// `on_air`: the difference from a change of the plan.
    pub change: &'static str,
    /// The job's id.
    pub job: String,
    /// Its start.
    pub start: String,
    /// `finishes`, `stops`, `ends` or `cut`.
    pub effect: &'static str,
    /// Its end by now; null when it is open.
    pub end_before: Option<String>,
    /// Its end after the edit; null when it is open, and when it is stopped.
    pub end_after: Option<String>,
}

impl TouchedObject {
    /// Of a row and the effect of the edit.
    pub fn new(occurrence: &Occurrence, effect: EditEffect) -> TouchedObject {
        let end_before = occurrence.end.at().map(instant);
        let (effect, end_after) = match effect {
            EditEffect::Finishes => ("finishes", end_before.clone()),
            EditEffect::Stops => ("stops", None),
            EditEffect::Ends(end) => ("ends", end.at().map(instant)),
            EditEffect::Cut(end) => ("cut", end.at().map(instant)),
        };
        let (job, start) = (occurrence.key.job.to_string(), instant(occurrence.key.start));
        TouchedObject { change: "on_air", job, start, effect, end_before, end_after }
    }
}

/// The same for people, times being those of `zone`.
pub fn touched_line(occurrence: &Occurrence, effect: EditEffect, zone: &TimeZone) -> String {
    let end = |end: End| end.at().map_or_else(|| "when its media ends, or never".to_owned(), |at| wall(at, zone));
    let what = match effect {
        EditEffect::Finishes => "it leaves the schedule and plays to its end (`on_remove: finish`)".to_owned(),
        EditEffect::Stops => "it leaves the schedule and is stopped (`on_remove: stop`)".to_owned(),
        EditEffect::Cut(at) => format!("it is stopped, because its new end {} is past", end(at)),
        EditEffect::Ends(at) => format!("it ends {}", end(at)),
    };
    format!("! {} {} is on air: {what}", occurrence.key.job, wall(occurrence.key.start, zone))
}
