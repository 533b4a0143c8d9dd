//! `retry`, a mapping of its own in a job: the table of its keys, and reading it. Refuses to know how its delays go together.

use std::time::Duration;

use serde_json::Value;

use super::places;
use super::problem::{Problem, did_you_mean, quote};
use super::raw::{RawJob, RawRetry};
use super::shared::Shared;
use super::value_kind::{Custom, FieldReader, IntRange, IntoSlot, MinDuration, mapping};
use crate::yaml::Entry;

/// Most attempts that can be asked for.
const ATTEMPTS_MAX: u64 = 10_000;
const MILLISECOND: Duration = Duration::from_millis(1);

/// One key: its name, what it says in an editor, how it is read.
type Key = (&'static str, &'static str, &'static dyn FieldReader<RawRetry>);

/// Every key.
static KEYS: [Key; 4] = [
    (
        "first",
        "The longest first delay; at most cap. Default: 1s.",
        &IntoSlot(MinDuration(MILLISECOND), |raw: &mut RawRetry| &mut raw.first),
    ),
    ("cap", "The longest delay. Default: 30s.", &IntoSlot(MinDuration(MILLISECOND), |raw: &mut RawRetry| &mut raw.cap)),
    (
        "attempts",
        "Attempts for each start or restart; 0, the default: as long as the window allows.",
        &IntoSlot(IntRange::new(0, ATTEMPTS_MAX), |raw: &mut RawRetry| &mut raw.attempts),
    ),
    (
        "also",
        "Error codes that are retried beside the transient ones.",
        &IntoSlot(Custom(|node, _| Ok(places::codes(node)?.into()), places::codes_schema), |raw: &mut RawRetry| &mut raw.also),
    ),
];

/// The field.
pub(super) struct Retry;

impl FieldReader<RawJob> for Retry {
    fn read(&self, entry: &Entry<'_>, raw: &mut RawJob, shared: &mut Shared<'_>) -> Vec<Problem> {
        let raw = &mut raw.retry;
        let Some(entries) = entry.value.entries() else {
            raw.refused = true;
            return vec![
                Problem::of(&entry.value, "wrong-type", format!("expected a mapping, found {}", entry.value.describe()))
                    .hint("write `{first: 1s, cap: 30s, attempts: 0, also: []}`, or some of these keys"),
            ];
        };
        let mut problems = Vec::new();
        for entry in entries {
            let key = entry.key.as_ref();
            let Some((_, _, reader)) = KEYS.iter().find(|(name, ..)| *name == key) else {
                raw.refused = true;
                let problem = Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", quote(key)));
                problems.push(problem.maybe_hint(did_you_mean(key, KEYS.iter().map(|(name, ..)| *name))));
                continue;
            };
            let found = reader.read(entry, raw, shared);
            problems.extend(found.into_iter().map(|problem| problem.in_field(&format!(".{key}"))));
        }
        problems
    }

    fn schema(&self) -> Option<Value> {
        let keys = KEYS.iter().filter_map(|(name, doc, reader)| Some((*name, *doc, reader.schema()?)));
        Some(mapping(keys, &[]))
    }
}
