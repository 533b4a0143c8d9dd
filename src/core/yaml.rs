//! YAML text to a tree of nodes with spans, within limits. Knows the language (anchors, merge keys, duplicate keys,
//! scalar styles). Refuses to know what any key means, and never guesses a type: a scalar is its text.
//!
//! Why not a serde deserializer: it stops at the first problem of a file, and an operator needs all of them at once.

mod build;
mod fault;

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, LineIndex, Span};

/// One node and where it stands.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Its place in the text; of an aliased node, the place where it was written.
    pub span: Span,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind<'a> {
    /// A scalar: its text after escapes, and whether it was written without quotes.
    Scalar {
        /// The text.
        text: Cow<'a, str>,
        /// False when quoted, a block scalar, or tagged `!!str`: then `"42"` is text and not a number.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node<'a>>),
    /// A mapping, in the order written, merge keys applied; no key occurs twice.
    Map(Vec<Entry<'a>>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The key's text.
    pub key: Cow<'a, str>,
    /// The key's place.
    pub key_span: Span,
    /// The value.
    pub value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// True for an empty plain scalar, `~` or `null`: a key without a value.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, in words for a message.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { plain: true, .. } => "a value",
            Kind::Scalar { plain: false, .. } => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[Entry<'a>]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Scalar { .. } | Kind::List(_) => None,
        }
    }
}

/// The document of one file. `None` when it is empty or too broken to be read; `problems` then says why. Duplicate keys
/// and bad merges are problems beside a document.
pub struct Document<'a> {
    /// The root node.
    pub root: Option<Node<'a>>,
    /// What is wrong with the YAML itself.
    pub problems: Vec<Diagnostic>,
}

/// Reads `text`, which is called `file` in every problem.
pub fn parse<'a>(file: &Arc<str>, text: &'a str, index: &LineIndex<'_>) -> Document<'a> {
    build::document(file, text, index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node<'_>>, Vec<String>) {
        let file: Arc<str> = Arc::from("f.yaml");
        let document = parse(&file, text, &LineIndex::new(text));
        (document.root, document.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn scalars_keep_their_text_and_their_style() {
        let (root, problems) = read("a: 18:00\nb: \"42\"\nc: 0123\n");
        assert!(problems.is_empty(), "{problems:?}");
        let root = root.expect("a document");
        let kinds: Vec<_> =
            root.entries().expect("a map").iter().map(|entry| (entry.key.to_string(), format!("{:?}", entry.value.kind))).collect();
        assert_eq!(kinds[0].1, r#"Scalar { text: "18:00", plain: true }"#);
        assert_eq!(kinds[1].1, r#"Scalar { text: "42", plain: false }"#);
        assert_eq!(kinds[2].1, r#"Scalar { text: "0123", plain: true }"#);
    }

    #[test]
    fn merge_keys_yield_to_own_keys() {
        let (root, problems) = read("x: &d {a: 1, b: 2}\ny: {<<: *d, b: 3}\n");
        assert!(problems.is_empty(), "{problems:?}");
        let root = root.expect("a document");
        let merged: Vec<_> = root.entries().expect("a map")[1]
            .value
            .entries()
            .expect("a map")
            .iter()
            .map(|entry| format!("{}={}", entry.key, entry.value.text().unwrap_or("")))
            .collect();
        assert_eq!(merged, ["b=3", "a=1"]);
    }

    #[test]
    fn faults_of_the_yaml_itself_name_their_line() {
        for (text, expected) in [
            ("a: 1\na: 2\n", "f.yaml:2:1: `a` is written twice in this mapping"),
            (
                "a: 1\n---\nb: 2\n",
                "f.yaml:2:1: a second YAML document starts here (one file is one document: remove the `---`, or move what follows into a file of its own)",
            ),
            ("a: !secret x\n", "f.yaml:1:12: the tag `!secret` is not allowed here (remove the tag)"),
            ("a:\n  b: 1\n\tc: 2\n", "f.yaml:3:"),
            ("a: \0\n", "f.yaml:1:4: the file holds a NUL byte"),
        ] {
            let (_, problems) = read(text);
            assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn a_bomb_of_aliases_stops_at_the_limit() {
        let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (name, last) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            let aliases = vec![format!("*{last}"); 10].join(", ");
            text = format!("{text}{name}: &{name} [{aliases}]\n");
        }
        let (root, problems) = read(&text);
        assert!(root.is_none());
        assert!(problems[0].contains("the aliases of this file expand to more than"), "{problems:?}");
    }

    #[test]
    fn deep_nesting_is_refused_and_not_followed() {
        let text = "[".repeat(100_000);
        let (root, problems) = read(&text);
        assert!(root.is_none());
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}
