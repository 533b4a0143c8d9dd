//! What the manual says of the keys of a schedule file, taken from the tables that the reader goes by. How a page looks is not known
//! here.

use super::fields::{FIELDS, FieldDefault};
use super::retry;
use super::schema::TOP_LEVEL;

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReference {
    /// Its name.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub doc: &'static str,
    /// Which values there are, in words.
    pub values: String,
    /// What holds when it is not written.
    pub default: Option<&'static str>,
    /// Whether the default is a value that could be written.
    pub default_is_value: bool,
}

/// Returns the fields of a job, in the order of the manual.
pub fn fields() -> Vec<KeyReference> {
    let reference = |field: &super::fields::Field| KeyReference {
        name: field.name,
        doc: field.doc,
        values: field.reader.values(),
        default: field.default_text(),
        default_is_value: matches!(field.default, FieldDefault::Value(_)),
    };
    FIELDS.iter().map(reference).collect()
}

/// Returns the keys of `retry`.
pub fn retry_keys() -> Vec<KeyReference> {
    let reference = |key: &retry::Key| KeyReference {
        name: key.name,
        doc: key.doc,
        values: key.reader.values(),
        default: Some(key.default),
        default_is_value: true,
    };
    retry::KEYS.iter().map(reference).collect()
}

/// Returns the keys of a file, each with what it says.
pub fn top_level() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOP_LEVEL.iter().map(|top| (top.name, top.doc))
}
