//! The kinds of value that a field takes: how one is read, what JSON Schema says of it and what the manual says of it stand side by
//! side, with one range or one list of words for all three, so that they cannot differ. Refuses to know which fields there are.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::raw::{Slot, Written};
use super::shared::Shared;
use super::values;
use crate::yaml::{Entry, Kind, Node};

/// A kind of value.
pub(super) trait ValueKind: Sync {
    /// What it is read into.
    type Value;
    /// The value, or everything that is wrong with it.
    fn read(&self, node: &Node<'_>, shared: &mut Shared<'_>) -> Result<Self::Value, Vec<Problem>>;
    /// What JSON Schema says of it.
    fn schema(&self) -> Value;
    /// Which values there are, for the manual.
    fn values(&self) -> String;
}

/// How one field is read into a raw mapping `R`.
pub(super) trait FieldReader<R>: Sync {
    /// Reads the entry into its slot; returns what is wrong with it.
    fn read(&self, entry: &Entry<'_>, raw: &mut R, shared: &mut Shared<'_>) -> Vec<Problem>;
    /// What JSON Schema says of its value; nothing for a field whose every value is refused.
    fn schema(&self) -> Option<Value>;
    /// Which values there are, for the manual.
    fn values(&self) -> String;
    /// Where the key and the value stand; nothing when the field is not written, or keeps no places.
    fn written(&self, raw: &R) -> Option<Written>;
    /// Whether it was written and refused.
    fn refused(&self, raw: &R) -> bool;
}

/// A kind of value, and the slot that the value goes into.
pub(super) struct IntoSlot<R, K: ValueKind> {
    pub(super) kind: K,
    pub(super) slot: fn(&R) -> &Slot<K::Value>,
    pub(super) slot_mut: fn(&mut R) -> &mut Slot<K::Value>,
}

/// A value of this kind goes into this slot of that raw mapping: `into_slot!(RawJob, Flag, live)`.
macro_rules! into_slot {
    ($raw:ty, $kind:expr, $($slot:ident).+ $(,)?) => {
        $crate::schedule::value_kind::IntoSlot {
            kind: $kind,
            slot: |raw: &$raw| &raw.$($slot).+,
            slot_mut: |raw: &mut $raw| &mut raw.$($slot).+,
        }
    };
}
pub(super) use into_slot;

impl<R, K: ValueKind> FieldReader<R> for IntoSlot<R, K> {
    fn read(&self, entry: &Entry<'_>, raw: &mut R, shared: &mut Shared<'_>) -> Vec<Problem> {
        let read = self.kind.read(&entry.value, shared);
        (self.slot_mut)(raw).put(entry, read)
    }

    fn schema(&self) -> Option<Value> {
        Some(self.kind.schema())
    }

    fn values(&self) -> String {
        self.kind.values()
    }

    fn written(&self, raw: &R) -> Option<Written> {
        let slot = (self.slot)(raw);
        slot.written.then_some(Written { key: slot.key, span: slot.span })
    }

    fn refused(&self, raw: &R) -> bool {
        (self.slot)(raw).refused()
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl ValueKind for Flag {
    type Value = bool;

    fn read(&self, node: &Node<'_>, _: &mut Shared<'_>) -> Result<bool, Vec<Problem>> {
        Ok(values::boolean(node)?)
    }

    fn schema(&self) -> Value {
        json!({"type": "boolean"})
    }

    fn values(&self) -> String {
        "`true` or `false`".to_owned()
    }
}

/// A whole number from the first to the second.
pub(super) struct IntRange<T>(u64, u64, PhantomData<fn() -> T>);

impl<T> IntRange<T> {
    /// From `least` to `most`, both included.
    pub(super) const fn new(least: u64, most: u64) -> IntRange<T> {
        IntRange(least, most, PhantomData)
    }
}

impl<T: TryFrom<u64>> ValueKind for IntRange<T> {
    type Value = T;

    fn read(&self, node: &Node<'_>, _: &mut Shared<'_>) -> Result<T, Vec<Problem>> {
        Ok(values::integer(node, self.0..=self.1)?)
    }

    fn schema(&self) -> Value {
        whole(self.0, self.1)
    }

    fn values(&self) -> String {
        format!("a whole number from {} to {}", self.0, self.1)
    }
}

/// A duration that is at least this.
pub(super) struct MinDuration(pub(super) Duration);

impl ValueKind for MinDuration {
    type Value = Duration;

    fn read(&self, node: &Node<'_>, _: &mut Shared<'_>) -> Result<Duration, Vec<Problem>> {
        Ok(values::duration_from(node, self.0)?)
    }

    fn schema(&self) -> Value {
        values::duration_schema(self.0)
    }

    fn values(&self) -> String {
        format!("a duration of at least {}", values::format_duration(self.0))
    }
}

/// A duration in whole seconds, from the first to the second.
pub(super) struct Seconds(pub(super) u64, pub(super) u64);

impl ValueKind for Seconds {
    type Value = Duration;

    fn read(&self, node: &Node<'_>, _: &mut Shared<'_>) -> Result<Duration, Vec<Problem>> {
        Ok(values::whole_seconds(node, self.0..=self.1)?)
    }

    fn schema(&self) -> Value {
        values::whole_seconds_schema(self.0)
    }

    fn values(&self) -> String {
        let [least, most] = [self.0, self.1].map(|seconds| values::format_duration(Duration::from_secs(seconds)));
        if self.1 == u64::MAX {
            "a duration in whole seconds".to_owned()
        } else {
            format!("a duration from {least} to {most}, in whole seconds")
        }
    }
}

/// One of a few words.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + Sync> ValueKind for Choice<T> {
    type Value = T;

    fn read(&self, node: &Node<'_>, _: &mut Shared<'_>) -> Result<T, Vec<Problem>> {
        Ok(values::choice(node, self.0)?)
    }

    fn schema(&self) -> Value {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        json!({"enum": words})
    }

    fn values(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        values::one_of(&words)
    }
}

/// The same kind of value; what is refused without a hint gets this one, by its text.
pub(super) struct Hinted<K>(pub(super) K, pub(super) fn(&str) -> Option<&'static str>);

impl<K: ValueKind> ValueKind for Hinted<K> {
    type Value = K::Value;

    fn read(&self, node: &Node<'_>, shared: &mut Shared<'_>) -> Result<K::Value, Vec<Problem>> {
        self.0.read(node, shared).map_err(|mut problems| {
            let text = if let Kind::Scalar { text, .. } = &node.kind { text.as_ref() } else { "" };
            for problem in problems.iter_mut().filter(|problem| problem.hint.is_none()) {
                problem.hint = (self.1)(text).map(str::to_owned);
            }
            problems
        })
    }

    fn schema(&self) -> Value {
        self.0.schema()
    }

    fn values(&self) -> String {
        self.0.values()
    }
}

/// A value of its own kind: which values there are, their reader, and what JSON Schema says of them.
pub(super) struct Custom<T>(
    pub(super) &'static str,
    pub(super) fn(&Node<'_>, &mut Shared<'_>) -> Result<T, Vec<Problem>>,
    pub(super) fn() -> Value,
);

impl<T> ValueKind for Custom<T> {
    type Value = T;

    fn read(&self, node: &Node<'_>, shared: &mut Shared<'_>) -> Result<T, Vec<Problem>> {
        (self.1)(node, shared)
    }

    fn schema(&self) -> Value {
        (self.2)()
    }

    fn values(&self) -> String {
        self.0.to_owned()
    }
}

/// A whole number within a range.
pub fn whole(least: u64, most: u64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

/// A text of a pattern, with what editors say when it does not match, and what they offer.
pub fn text_like(pattern: &str, form: &str, examples: &[&str]) -> Value {
    json!({"type": "string", "pattern": pattern, "patternErrorMessage": form, "examples": examples})
}

/// One such value, or a list of them that is not empty.
pub(super) fn one_or_many(one: &Value) -> Value {
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
}

/// The same, with a repeated one refused.
pub(super) fn one_or_many_distinct(one: &Value) -> Value {
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "uniqueItems": true}]})
}

/// Refuses, in a mapping, every key of a group beside another one. `false` names the keys that may not be together, where `oneOf`
/// would blame the whole mapping.
pub fn one_of(mapping: &mut Value, group: &[&str]) {
    for name in group {
        let others = group.iter().filter(|other| *other != name);
        let refused: Map<String, Value> = others.map(|other| ((*other).to_owned(), Value::Bool(false))).collect();
        mapping["dependencies"][name] = json!({"properties": refused});
    }
}

/// A mapping of these keys and no others; each says what it is. `needed` ones must be written.
pub fn mapping<'k, D: Into<Value>>(keys: impl IntoIterator<Item = (&'k str, D, Value)>, needed: &[&str]) -> Value {
    let described = |(name, doc, mut schema): (&str, D, Value)| {
        schema["description"] = doc.into();
        (name.to_owned(), schema)
    };
    let properties: Map<String, Value> = keys.into_iter().map(described).collect();
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !needed.is_empty() {
        schema["required"] = json!(needed);
    }
    schema
}
