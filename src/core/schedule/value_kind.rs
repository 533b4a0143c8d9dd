//! The kinds of value that a field takes: how one is read and what JSON Schema says of it stand side by side, with one range or
//! one list of words for both, so that an editor and the reader cannot come to differ. Refuses to know which fields there are.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::raw::Slot;
use super::shared::Shared;
use super::values;
use crate::yaml::{Entry, Node};

/// A kind of value.
pub(super) trait ValueKind: Sync {
    /// What it is read into.
    type Value;
    /// The value, or everything that is wrong with it.
    fn read(&self, node: &Node<'_>, shared: &mut Shared<'_>) -> Result<Self::Value, Vec<Problem>>;
    /// What JSON Schema says of it.
    fn schema(&self) -> Value;
}

/// How one field is read into a raw mapping `R`.
pub(super) trait FieldReader<R>: Sync {
    /// Reads the entry into its slot; returns what is wrong with it.
    fn read(&self, entry: &Entry<'_>, raw: &mut R, shared: &mut Shared<'_>) -> Vec<Problem>;
    /// What JSON Schema says of its value; nothing for a field whose every value is refused.
    fn schema(&self) -> Option<Value>;
}

/// A form, and the slot that its value goes into.
pub(super) struct IntoSlot<R, F: ValueKind>(pub(super) F, pub(super) fn(&mut R) -> &mut Slot<F::Value>);

impl<R, F: ValueKind> FieldReader<R> for IntoSlot<R, F> {
    fn read(&self, entry: &Entry<'_>, raw: &mut R, shared: &mut Shared<'_>) -> Vec<Problem> {
        let read = self.0.read(&entry.value, shared);
        (self.1)(raw).put(entry, read)
    }

    fn schema(&self) -> Option<Value> {
        Some(self.0.schema())
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
}

/// A value of its own kind: its reader, and what JSON Schema says of it.
pub(super) struct Custom<T>(pub(super) fn(&Node<'_>, &mut Shared<'_>) -> Result<T, Vec<Problem>>, pub(super) fn() -> Value);

impl<T> ValueKind for Custom<T> {
    type Value = T;

    fn read(&self, node: &Node<'_>, shared: &mut Shared<'_>) -> Result<T, Vec<Problem>> {
        (self.0)(node, shared)
    }

    fn schema(&self) -> Value {
        (self.1)()
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
pub fn mapping<'k>(keys: impl IntoIterator<Item = (&'k str, &'k str, Value)>, needed: &[&str]) -> Value {
    let described = |(name, doc, mut schema): (&str, &str, Value)| {
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
