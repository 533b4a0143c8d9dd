//! `retry`, a mapping of its own in a job: the table of its keys, and reading it. Refuses to know how its delays go together.

use std::time::Duration;

use serde_json::Value;

use super::places;
use super::problem::{Problem, did_you_mean, quote};
use super::raw::{RawJob, RawRetry, Written};
use super::shared::Shared;
use super::value_kind::{Custom, FieldReader, IntRange, MinDuration, into_slot, mapping};
use crate::yaml::Entry;

/// Most attempts that can be asked for.
const ATTEMPTS_MAX: u64 = 10_000;
const MILLISECOND: Duration = Duration::from_millis(1);

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it says, in one sentence.
    pub(super) doc: &'static str,
    /// What holds when it is not written.
    pub(super) default: &'static str,
    pub(super) reader: &'static dyn FieldReader<RawRetry>,
}

/// Every key.
pub(super) static KEYS: [Key; 4] = [
    Key {
        name: "first",
        doc: "The longest first delay; at most cap.",
        default: "1s",
        reader: &into_slot!(RawRetry, MinDuration(MILLISECOND), first),
    },
    Key { name: "cap", doc: "The longest delay.", default: "30s", reader: &into_slot!(RawRetry, MinDuration(MILLISECOND), cap) },
    Key {
        name: "attempts",
        doc: "Attempts for each start or restart; with 0 as many as the window allows.",
        default: "0",
        reader: &into_slot!(RawRetry, IntRange::new(0, ATTEMPTS_MAX), attempts),
    },
    Key {
        name: "also",
        doc: "Error codes, or families such as AuthFailure, that are retried beside the transient ones.",
        default: "[]",
        reader: &into_slot!(
            RawRetry,
            Custom("a list of error codes", |node, _| Ok(places::codes(node)?.into()), places::codes_schema),
            also
        ),
    },
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
            let Some(known) = KEYS.iter().find(|known| known.name == key) else {
                raw.refused = true;
                let problem = Problem::at(entry.key_span, "unknown-key", format!("unknown key {}", quote(key)));
                problems.push(problem.maybe_hint(did_you_mean(key, KEYS.iter().map(|known| known.name))));
                continue;
            };
            let found = known.reader.read(entry, raw, shared);
            problems.extend(found.into_iter().map(|problem| problem.in_field(&format!(".{key}"))));
        }
        problems
    }

    fn schema(&self) -> Option<Value> {
        let doc = |key: &Key| format!("{} Default: {}.", key.doc, key.default);
        let keys = KEYS.iter().filter_map(|key| Some((key.name, doc(key), key.reader.schema()?)));
        Some(mapping(keys, &[]))
    }

    fn values(&self) -> String {
        "a mapping of the keys below".to_owned()
    }

    fn written(&self, _: &RawJob) -> Option<Written> {
        None
    }

    fn refused(&self, raw: &RawJob) -> bool {
        raw.retry.refused || KEYS.iter().any(|key| key.reader.refused(&raw.retry))
    }
}
