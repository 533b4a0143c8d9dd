//! Reading the fields of a settings file: each kind of value once, each problem with its place, and a record of what may be
//! drawn. Refuses to know which settings there are.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::Key;
use crate::diagnostic::{Diagnostic, LineIndex, Place, Span};
use crate::schedule::problem::{Problem, did_you_mean};
use crate::schedule::values;
use crate::secret::SecretSource;
use crate::yaml::{Entry, Node};

/// What to write where a secret is wanted.
const SECRET_HINT: &str = "write where it is kept: `{env: NAME}`, `{file: PATH}` or `{credential: NAME}`";

/// One file being read.
pub(super) struct SettingsReader<'f> {
    file: &'f Arc<str>,
    index: &'f LineIndex<'f>,
    /// Where relative paths start.
    pub(super) folder: &'f Path,
    /// What was found.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// What may be drawn.
    shown: Vec<Span>,
}

/// The fields of one mapping.
pub(super) struct Fields<'n, 'a> {
    entries: &'n [Entry<'a>],
}

impl<'n, 'a> Fields<'n, 'a> {
    /// The value of a key, if it was written.
    pub(super) fn get(&self, key: &str) -> Option<&'n Node<'a>> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }
}

/// The problem just recorded, for what is still to be said of it.
pub(super) struct Recorded<'f>(&'f mut Diagnostic);

impl Recorded<'_> {
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    pub(super) fn related(self, place: Place, role: &str) -> Self {
        self.0.related.push((place, role.to_owned()));
        self
    }
}

impl<'f> SettingsReader<'f> {
    pub(super) fn new(file: &'f Arc<str>, index: &'f LineIndex<'f>, folder: &'f Path) -> SettingsReader<'f> {
        SettingsReader { file, index, folder, diagnostics: Vec::new(), shown: Vec::new() }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        self.index.place(self.file, span)
    }

    pub(super) fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>) -> Recorded<'_> {
        self.record(span, Diagnostic::error(code, message))
    }

    pub(super) fn warning(&mut self, span: Span, code: &'static str, message: impl Into<String>) -> Recorded<'_> {
        self.record(span, Diagnostic::warning(code, message))
    }

    fn record(&mut self, span: Span, diagnostic: Diagnostic) -> Recorded<'_> {
        let place = self.place(span);
        self.diagnostics.push(diagnostic.at(place));
        Recorded(self.diagnostics.last_mut().expect("it was just pushed"))
    }

    /// Takes a problem of the YAML itself. Its message may echo a key or a tag: what does not look like a setting goes.
    pub(super) fn push_redacted(&mut self, mut problem: Diagnostic) {
        let parts: Vec<&str> = problem.message.split('`').collect();
        let said: Vec<&str> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| if at % 2 == 0 || looks_like_a_setting(part) { *part } else { ".." })
            .collect();
        problem.message = said.join("`");
        self.diagnostics.push(problem);
    }

    /// The entries of a mapping called `what`.
    pub(super) fn map<'n, 'a>(&mut self, node: &'n Node<'a>, what: &str) -> Option<&'n [Entry<'a>]> {
        let entries = node.entries();
        if entries.is_none() {
            self.error(node.span, "wrong-type", format!("{what}: expected a mapping, found {}", node.describe()));
        }
        entries
    }

    /// The fields of a mapping called `what`; keys that are not `known` are problems, and so are needed ones that are not there.
    pub(super) fn fields<'n, 'a>(&mut self, node: &'n Node<'a>, what: &str, known: &[Key]) -> Option<Fields<'n, 'a>> {
        let entries = self.map(node, what)?;
        let all = || known.iter().map(|key| key.name);
        for entry in entries {
            let key = entry.key.as_ref();
            self.name(entry);
            if !known.iter().any(|known| known.name == key) {
                let named = if looks_like_a_setting(key) { format!(" `{key}`") } else { String::new() };
                let meant = did_you_mean(key, all());
                self.error(entry.key_span, "unknown-key", format!("unknown key{named} in {what}"))
                    .hint(meant.unwrap_or_else(|| format!("known are {}", all().collect::<Vec<_>>().join(", "))));
            }
        }
        for missing in known.iter().filter(|key| key.needed && !entries.iter().any(|entry| entry.key == key.name)) {
            let start = Span { start: node.span.start, end: node.span.start };
            self.error(start, "missing-key", format!("`{}` is missing in {what}", missing.name));
        }
        Some(Fields { entries })
    }

    /// Where a secret is kept; nothing when the key is not written, or not right.
    pub(super) fn secret(&mut self, fields: &Fields<'_, '_>, key: &str) -> Option<SecretSource> {
        self.secret_source(fields.get(key)?, key)
    }

    /// The same from its node.
    pub(super) fn secret_source(&mut self, node: &Node<'_>, key: &str) -> Option<SecretSource> {
        let written = node.entries().map_or_else(|| node.text(), |entries| entries.first().and_then(|entry| entry.value.text()));
        let plain_text = node.text().is_some() && !node.is_null();
        if plain_text || written.is_some_and(looks_like_a_secret) {
            self.error(node.span, "plain-text-secret", format!("`{key}` is written into this file as plain text"))
                .hint(format!("{SECRET_HINT}; and replace the secret, if others could read this file"));
            return None;
        }
        let source = match node.entries() {
            Some([entry]) => entry.value.text().filter(|text| !text.is_empty()).and_then(|text| match entry.key.as_ref() {
                "env" => SecretSource::env(text),
                "file" => Some(SecretSource::File(self.folder.join(text))),
                "credential" => SecretSource::credential(text),
                _ => None,
            }),
            _ => None,
        };
        match (&source, node.entries()) {
            (Some(_), Some(entries)) => {
                for entry in entries {
                    self.name(entry);
                    self.shown.push(entry.value.span);
                }
            }
            _ => {
                self.error(node.span, "bad-secret", format!("`{key}` does not say where the secret is kept")).hint(SECRET_HINT);
            }
        }
        source
    }

    /// A text that is not empty.
    pub(super) fn text<'n>(&mut self, node: &'n Node<'_>, key: &str, expected: &str) -> Option<&'n str> {
        let text = values::text(node, expected);
        self.take(node, key, text).filter(|text| {
            if text.is_empty() {
                self.error(node.span, "no-value", format!("`{key}`: expected {expected}, found an empty text"));
            }
            !text.is_empty()
        })
    }

    /// A path; a relative one starts from the file's folder.
    pub(super) fn path(&mut self, node: &Node<'_>, key: &str) -> Option<PathBuf> {
        self.text(node, key, "a path").map(|text| self.folder.join(text))
    }

    /// A whole number within a range.
    pub(super) fn integer<T: TryFrom<u64>>(&mut self, node: &Node<'_>, key: &str, range: RangeInclusive<u64>) -> Option<T> {
        self.take(node, key, values::integer(node, range))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, node: &Node<'_>, key: &str) -> Option<bool> {
        self.take(node, key, values::boolean(node))
    }

    /// Keeps what a parser of one value returned. Its problems repeat the value, so one that may be a secret gets other words.
    pub(super) fn take<T>(&mut self, node: &Node<'_>, key: &str, read: Result<T, Problem>) -> Option<T> {
        let secret = node.text().is_some_and(looks_like_a_secret);
        if node.text().is_some() && !secret {
            self.shown.push(node.span);
        }
        match read {
            Ok(value) => Some(value),
            Err(problem) if secret => {
                self.error(problem.span, problem.code, format!("`{key}`: this looks like a secret, which does not belong here"));
                None
            }
            Err(problem) => {
                let Problem { code, message, hint, span, related: _, more: _ } = problem.in_field(key);
                self.error(span, code, message).0.hint = hint;
                None
            }
        }
    }

    /// Lets a key be drawn, if it looks like one.
    pub(super) fn name(&mut self, entry: &Entry<'_>) {
        if looks_like_a_setting(&entry.key) {
            self.shown.push(entry.key_span);
        }
    }

    /// Takes back that a value may be drawn.
    pub(super) fn blot(&mut self, node: &Node<'_>) {
        self.shown.retain(|span| *span != node.span);
    }

    /// The text with everything blotted out but what may be drawn, white space and punctuation of YAML.
    pub(super) fn drawable(&self, text: &str) -> String {
        let mut shown = self.shown.clone();
        shown.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for span in shown {
            let (start, end) = ((span.start as usize).max(at), span.end as usize);
            if start < end && text.is_char_boundary(start) && text.is_char_boundary(end) {
                blot(&text[at..start], &mut out);
                out.push_str(&text[start..end]);
                at = end;
            }
        }
        blot(&text[at..], &mut out);
        out
    }
}

/// As many bytes as `text`, so that spans keep their places.
fn blot(text: &str, out: &mut String) {
    for character in text.chars() {
        if character.is_ascii_whitespace() || ":{}[],-#'\"".contains(character) {
            out.push(character);
        } else {
            out.extend(std::iter::repeat_n('*', character.len_utf8()));
        }
    }
}

/// Whether a key may be repeated in a message: a short word of small letters. Keys and ids of Tencent Cloud have digits or
/// capitals, so a secret that slipped into the place of a key does not look like one.
pub(super) fn looks_like_a_setting(key: &str) -> bool {
    (1..=32).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'))
}

/// Whether a value that should be a name is rather a secret in the wrong place. A `SecretId` has 36 letters and digits, a
/// `SecretKey` 32, an `SDKSecretKey` 64; names of that length have an underscore, a dash, a dot or a slash.
pub(super) fn looks_like_a_secret(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
