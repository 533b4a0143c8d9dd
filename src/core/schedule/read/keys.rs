//! What is wrong with a file as a whole and with its own keys, in words. Does not know the fields of a job.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place};
use crate::schedule::fields;
use crate::schedule::problem::{Problem, did_you_mean, quote};
use crate::schedule::schema::TOP_LEVEL;
use crate::yaml::{Entry, Kind};

/// A file without any value: empty, comments only, `---`, `null`.
pub(super) fn empty_file(name: &Arc<str>) -> Diagnostic {
    let empty = Diagnostic::warning("empty-file", "the file holds nothing").at(Place::file(Arc::clone(name)));
    empty.hint("remove it, or give it `jobs`")
}

/// A key of a file whose value should be a mapping.
pub(super) fn not_a_mapping(entry: &Entry<'_>, of: &str) -> Problem {
    let key = entry.key.as_ref();
    if entry.value.is_null() {
        return Problem::at(entry.key_span, "no-value", format!("`{key}`: expected a mapping of {of}, found no value"))
            .hint("write one, or remove the key");
    }
    let message = format!("`{key}`: expected a mapping of {of}, found {}", entry.value.describe());
    let hint =
        matches!(entry.value.kind, Kind::List(_)).then(|| "write `name: ...` on each line, without a `-` before it".to_owned());
    Problem::of(&entry.value, "wrong-type", message).maybe_hint(hint)
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
