//! What is wrong with the keys of a file itself, in words. Does not know what stands below them.

use super::fields;
use super::problem::{Problem, did_you_mean, quote};
use super::schema::TOP_LEVEL;
use crate::yaml::Entry;

/// A value of a key that holds a mapping, and is none.
pub(super) fn not_a_mapping(entry: &Entry<'_>, of: &str) -> Problem {
    let key = entry.key.as_ref();
    if entry.value.is_null() {
        return Problem::at(entry.key_span, "no-value", format!("`{key}`: expected a mapping of {of}, found no value"))
            .hint("write one, or remove the key");
    }
    Problem::of(&entry.value, "wrong-type", format!("`{key}`: expected a mapping of {of}, found {}", entry.value.describe()))
}

/// A key that no file has.
pub(super) fn unknown_top_level(entry: &Entry<'_>) -> Problem {
    let key = entry.key.as_ref();
    let problem = Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", quote(key)));
    if fields::FIELDS.iter().any(|field| field.name == key) {
        return problem.hint("a field for all jobs of the file goes under `defaults`");
    }
    match did_you_mean(key, TOP_LEVEL.iter().map(|top| top.name)) {
        Some(hint) => problem.hint(hint),
        None if entry.value.entries().is_some() => {
            problem.hint("a job goes under `jobs`; a mapping that only holds YAML anchors has a key that begins with `x-`")
        }
        None => problem.hint(
            "the keys of a file are `timezone`, `calendars`, `defaults` and `jobs`; a key that begins with `x-` is passed over",
        ),
    }
}
