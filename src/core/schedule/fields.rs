//! What a field of a job is, and reading those that are written. Unknown keys, defaults, suggestions and the JSON Schema come
//! from one table, so that a field is added in one place. Refuses to know how fields go together.

use super::problem::{Problem, add, did_you_mean, quote};
use super::raw::{RawEnd, RawJob, RawTrigger, Written};
use super::schema::PASSED_OVER;
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

/// What holds for a job when neither it nor its file's `defaults` write a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum FieldDefault {
    /// As if this had been written.
    Value(&'static str),
    /// What this says.
    Rule(&'static str),
    /// Nothing.
    None,
}

/// One field of a job. `defaults` may hold every field.
pub(super) struct Field {
    /// Its key.
    pub(super) name: &'static str,
    /// Its group.
    pub(super) group: Group,
    /// What it says, in one sentence.
    pub(super) doc: &'static str,
    /// What holds when it is not written.
    pub(super) default: FieldDefault,
    /// How it is read, and which values there are.
    pub(super) reader: &'static dyn FieldReader<RawJob>,
}

impl Field {
    /// The default, as people read it.
    pub(super) fn default_text(&self) -> Option<&'static str> {
        match self.default {
            FieldDefault::Value(text) | FieldDefault::Rule(text) => Some(text),
            FieldDefault::None => None,
        }
    }

    /// The sentence and the default, for whoever hovers over the key in an editor.
    pub(super) fn description(&self) -> String {
        let values = self.reader.values();
        let default = self.default_text().map_or_else(String::new, |default| format!(" Default: {default}."));
        format!("{} Values: {values}.{default}", self.doc)
    }
}

/// The fields of a group that are written, each with its place.
pub(super) fn written(raw: &RawJob, of: impl Fn(Group) -> bool) -> Vec<(&'static str, Written)> {
    FIELDS.iter().filter(|field| of(field.group)).filter_map(|field| Some((field.name, field.reader.written(raw)?))).collect()
}

/// Whether a field was written and refused.
pub(super) fn any_refused(raw: &RawJob) -> bool {
    FIELDS.iter().any(|field| field.reader.refused(raw))
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
                for problem in found {
                    add(&mut problems, problem.in_field(field.name));
                }
            }
            None => add(&mut problems, unknown_key(entry)),
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
    let passed_over = key.starts_with(PASSED_OVER).then(|| {
        "a key that begins with `x-` is passed over at the top of the file only; a remark goes into `note`, or behind a `#`"
            .to_owned()
    });
    let hint = habit.or(passed_over).or_else(|| did_you_mean(key, FIELDS.iter().map(|field| field.name)));
    Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", quote(key))).maybe_hint(hint)
}
