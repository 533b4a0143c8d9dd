//! What a field of a job is, and reading those that are written. Unknown keys, defaults, suggestions and the JSON Schema come
//! from one table, so that a field is added in one place. Refuses to know how fields go together.

use super::problem::{Problem, did_you_mean, quote};
use super::raw::{RawEnd, RawJob, RawTrigger};
use super::shared::Shared;
pub(super) use super::table::FIELDS;
use super::value_kind::FieldReader;
use crate::yaml::Entry;

/// Which defaults a field drops when a job writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// The triggers, of which a job has exactly one. They drop the riders' defaults as well.
    Trigger,
    /// What narrows one of these triggers: it drops the same defaults.
    Modifier(&'static [&'static str]),
    /// `for` and `to`.
    End,
    /// Only its own.
    Alone,
}

impl Group {
    /// Whether a field of this group drops the trigger that the defaults have.
    fn is_of_trigger(self) -> bool {
        matches!(self, Group::Trigger | Group::Modifier(_))
    }
}

/// One field of a job.
pub(super) struct Field {
    /// Its key.
    pub(super) name: &'static str,
    /// What it says, in one line, for whoever hovers over it in an editor.
    pub(super) doc: &'static str,
    /// Its group.
    pub(super) group: Group,
    /// How it is read, and what JSON Schema says of it.
    pub(super) reader: &'static dyn FieldReader<RawJob>,
}

/// Reads the entries of a job, or of `defaults`, over what `raw` already holds; returns what is wrong with them.
pub(super) fn read(entries: &[Entry<'_>], raw: &mut RawJob, shared: &mut Shared<'_>) -> Vec<Problem> {
    let writes =
        |of: fn(Group) -> bool| entries.iter().any(|entry| FIELDS.iter().any(|field| of(field.group) && field.name == entry.key));
    if writes(Group::is_of_trigger) {
        raw.trigger = RawTrigger::default();
    }
    if writes(|group| group == Group::End) {
        raw.end = RawEnd::default();
    }
    let mut problems = Vec::new();
    for entry in entries {
        match FIELDS.iter().find(|field| field.name == entry.key) {
            Some(field) => {
                let mut found = field.reader.read(entry, raw, shared);
                for problem in &mut found {
                    problem.point_at_key(entry);
                }
                problems.extend(found.into_iter().map(|problem| problem.in_field(field.name)));
            }
            None => problems.push(unknown_key(entry)),
        }
    }
    problems
}

/// Words that people write for a field of another name.
const COMMON_MISNAMES: [(&str, &str); 12] = [
    ("url", "stream"),
    ("source", "stream"),
    ("media", "stream"),
    ("duration", "for"),
    ("loop", "repeat"),
    ("start", "at"),
    ("time", "at"),
    ("end", "to"),
    ("stop", "to"),
    ("tz", "timezone"),
    ("user", "robot"),
    ("user_id", "robot"),
];

fn unknown_key(entry: &Entry<'_>) -> Problem {
    let key = entry.key.as_ref();
    let habit = COMMON_MISNAMES.iter().find(|(word, _)| word.eq_ignore_ascii_case(key));
    let habit = habit.map(|(_, field)| format!("did you mean `{field}`?"));
    let hint = habit.or_else(|| did_you_mean(key, FIELDS.iter().map(|field| field.name)));
    Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", quote(key))).maybe_hint(hint)
}
