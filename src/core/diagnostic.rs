//! What is wrong with a file, where, and how to fix it. Knows spans and words. Does not know YAML, schedules, or the
//! source of the text.

mod collected;
mod draw;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use collected::MORE;
pub use collected::{Collected, Counts, TOLD_BYTES_MAX, within_bounds};
pub use draw::render;

/// How bad it is. An error keeps a schedule from being accepted; a warning and a note do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be accepted.
    Error,
    /// Valid, but probably not intended.
    Warning,
    /// Valid, and ordinary; somebody may want to know it.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        })
    }
}

/// A stretch of one file's text, as byte offsets. Compact, because every YAML node carries one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

/// A place in a named file: what an editor can jump to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was given.
    pub file: Arc<str>,
    /// 1-based line; 0 when the whole file is meant.
    pub line: u32,
    /// 1-based column, counted in characters; 0 when the whole line is meant.
    pub column: u32,
    /// The same as byte offsets.
    pub span: Span,
}

impl Place {
    /// The whole file.
    pub fn file(name: impl Into<Arc<str>>) -> Place {
        Place { file: name.into(), line: 0, column: 0, span: Span::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(formatter, "{}", self.file),
            (line, 0) => write!(formatter, "{}:{line}", self.file),
            (line, column) => write!(formatter, "{}:{line}:{column}", self.file),
        }
    }
}

/// Bytes between two marks of a [`LineIndex`]: at most so many are counted for each column.
const MARK_BYTES: usize = 1_024;

/// Turns byte offsets of one text into lines and columns, in logarithmic time; a file of one very long line takes no
/// longer.
pub struct LineIndex<'a> {
    text: &'a str,
    line_starts: Vec<u32>,
    /// How many characters begin before each multiple of [`MARK_BYTES`].
    marks: Vec<u32>,
}

impl<'a> LineIndex<'a> {
    /// Indexes `text` once.
    pub fn new(text: &'a str) -> LineIndex<'a> {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| offset(at + 1))).collect();
        let mut before = 0;
        let counts = text.as_bytes().chunks(MARK_BYTES).map(|chunk| {
            before += characters(chunk);
            before
        });
        let marks = std::iter::once(0).chain(counts).collect();
        LineIndex { text, line_starts, marks }
    }

    /// How many characters begin before a byte.
    fn characters_before(&self, at: usize) -> u32 {
        let mark = at / MARK_BYTES;
        self.marks[mark] + characters(&self.text.as_bytes()[mark * MARK_BYTES..at])
    }

    /// The 1-based line and column (in characters) of a byte offset.
    pub fn locate(&self, at: u32) -> (u32, u32) {
        let line = self.line_starts.partition_point(|start| *start <= at).max(1);
        let start = self.line_starts[line - 1] as usize;
        let end = self.text.floor_char_boundary((at as usize).min(self.text.len()));
        let start = start.min(end);
        let before = if end - start <= MARK_BYTES {
            characters(&self.text.as_bytes()[start..end])
        } else {
            self.characters_before(end) - self.characters_before(start)
        };
        (offset(line), before + 1)
    }

    /// The place of `span` in the file called `file`.
    pub fn place(&self, file: &Arc<str>, span: Span) -> Place {
        let (line, column) = self.locate(span.start);
        Place { file: Arc::clone(file), line, column, span }
    }
}

/// How many characters of UTF-8 begin in these bytes.
fn characters(bytes: &[u8]) -> u32 {
    offset(bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count())
}

/// A length as the `u32` that spans use. Sources are limited to far less than 4 GiB when they are read.
pub fn offset(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error, warning or note.
    pub severity: Severity,
    /// A stable name of the kind of problem, in kebab case: `unknown-key`.
    pub code: &'static str,
    /// What is wrong: lower case, no final period, backticks round values.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// The job it concerns.
    pub job: Option<String>,
    /// How to fix it.
    pub hint: Option<String>,
    /// Other places that matter, each with its role.
    pub related: Vec<(Place, String)>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, message.into())
    }

    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, message.into())
    }

    fn new(severity: Severity, code: &'static str, message: String) -> Diagnostic {
        Diagnostic { severity, code, message, place: None, job: None, hint: None, related: Vec::new() }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Diagnostic {
        self.place = Some(place);
        self
    }

    /// Says which job.
    #[must_use]
    pub fn job(mut self, job: impl Into<String>) -> Diagnostic {
        self.job = Some(job.into());
        self
    }

    /// Says how to fix it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// Names another place that matters.
    #[must_use]
    pub fn related(mut self, place: Place, role: impl Into<String>) -> Diagnostic {
        self.related.push((place, role.into()));
        self
    }

    /// Whether this is no problem of its own, and says how many more there are.
    pub fn tells_of_more(&self) -> bool {
        self.code == MORE
    }

    /// The JSON object of `check --format json`.
    pub fn json(&self) -> DiagnosticObject {
        let place = self.place.as_ref();
        let number = |value: u32| (value > 0).then_some(value);
        DiagnosticObject {
            severity: self.severity,
            code: self.code,
            message: self.message.clone(),
            file: place.map(|place| place.file.as_ref().to_owned()),
            line: place.and_then(|place| number(place.line)),
            column: place.and_then(|place| number(place.column)),
            job: self.job.clone(),
            hint: self.hint.clone(),
        }
    }
}

/// A diagnostic as programs read it. The keys and their order are the contract.
#[derive(Clone, Debug, Serialize)]
pub struct DiagnosticObject {
    severity: Severity,
    code: &'static str,
    message: String,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    job: Option<String>,
    hint: Option<String>,
}

/// One line of JSON.
impl fmt::Display for DiagnosticObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escape_json(&serde_json::to_string(self).expect("a struct of plain values is JSON")))
    }
}

/// One line, for a log: `file:line:column: message (hint)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(formatter, "{place}: ")?;
        }
        formatter.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(formatter, " ({hint})")?;
        }
        Ok(())
    }
}

/// Longest piece of a file's text that a message repeats, in characters.
const QUOTED_MAX: usize = 60;

/// Whether a character acts on a terminal or on the text beside it, or is invisible: control characters (those that
/// begin an escape sequence among them), changes of the writing direction, separators of lines, spaces without a width,
/// tags.
pub fn needs_escape(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    ) || character.is_control()
}

/// Returns a text that is safe for a terminal: each character that [`needs_escape`] is written as `\u{202e}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(needs_escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if needs_escape(character) { out.extend(character.escape_default()) } else { out.push(character) }
    }
    Cow::Owned(out)
}

/// The same for a text of several lines: their ends stay.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    if !text.contains(|character: char| character != '\n' && needs_escape(character)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split('\n').map(escape).collect::<Vec<_>>().join("\n"))
}

/// The same for JSON, in which a character may always be written as `\u202e`: what reads it reads the same.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    // JSON has no raw control characters of ASCII but the end of a line, which stands between values, and DEL.
    let is_raw = |character: char| character != '\n' && needs_escape(character);
    if !json.contains(is_raw) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if is_raw(character) {
            out.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Returns a piece of a file's text as a message shows it: in backticks, escaped, and cut if it is long.
pub fn quote(text: &str) -> String {
    if text.is_empty() {
        return "an empty text".to_owned();
    }
    let end = text.char_indices().nth(QUOTED_MAX).map(|(end, _)| end);
    let (piece, more) = (&text[..end.unwrap_or(text.len())], if end.is_some() { "…" } else { "" });
    format!("`{}{more}`", escape(piece))
}

/// Longest message or hint, in bytes: they repeat names, and nobody's are as long.
const SENTENCE_BYTES_MAX: usize = 2_000;

/// Cuts a message or a hint that is too long.
fn clip(sentence: &mut String) {
    if sentence.len() > SENTENCE_BYTES_MAX {
        sentence.truncate(sentence.floor_char_boundary(SENTENCE_BYTES_MAX));
        sentence.push('…');
    }
}

/// True when at least one is an error.
pub fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_a_column_count_characters() {
        let index = LineIndex::new("a: 1\n直播: x\n");
        assert_eq!(index.locate(0), (1, 1));
        assert_eq!(index.locate(5), (2, 1));
        assert_eq!(index.locate(13), (2, 5));
        assert_eq!(index.locate(4000), (3, 1));
    }

    #[test]
    fn a_column_far_into_a_long_line_is_counted_right() {
        let text = format!("# {}\nx: {}", "直".repeat(700), "播a".repeat(3_000));
        let index = LineIndex::new(&text);
        for (at, _) in text.char_indices() {
            let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            let line = 1 + u32::from(line_start > 0);
            assert_eq!(index.locate(offset(at)), (line, offset(text[line_start..at].chars().count() + 1)), "{at}");
        }
    }

    #[test]
    fn what_acts_on_a_terminal_or_is_not_seen_is_written_out() {
        for (text, expected) in [
            ("a\u{9b}31m", "a\\u{9b}31m"),
            ("lob\u{200b}by\u{202e}", "lob\\u{200b}by\\u{202e}"),
            ("\u{feff}a\u{2028}\u{e0041}", "\\u{feff}a\\u{2028}\\u{e0041}"),
            ("直播间 é\u{301} 🎬", "直播间 é\u{301} 🎬"),
        ] {
            assert_eq!(escape(text), expected);
            assert_eq!(quote(text), format!("`{expected}`"));
        }
    }

    #[test]
    fn json_and_texts_of_several_lines_keep_what_they_say() {
        let text = "a\u{202e}b\u{9b}c\u{7f}\u{e0041}直\n";
        assert_eq!(escape_lines(&format!("{text}{text}")), "a\\u{202e}b\\u{9b}c\\u{7f}\\u{e0041}直\n".repeat(2));
        let json = serde_json::to_string(text).expect("JSON");
        let escaped = escape_json(&json);
        assert_eq!(escaped, r#""a\u202eb\u009bc\u007f\udb40\udc41直\n""#);
        assert_eq!(serde_json::from_str::<String>(&escaped).expect("JSON"), text);
    }

    #[test]
    fn what_a_message_repeats_is_short_and_printable() {
        assert_eq!(quote("a\u{1b}[31m\n"), "`a\\u{1b}[31m\\n`");
        assert_eq!(quote(&"x".repeat(100)), format!("`{}…`", "x".repeat(60)));
    }
}
