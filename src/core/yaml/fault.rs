//! What the YAML parser could not read, in an operator's words, with a hint for common mistakes. Does not know what a
//! key means.

use granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::{Diagnostic, Span, needs_escape, offset};

/// Deepest nesting. Schedules need four levels; the rest is room for mistakes, and what keeps recursion bounded.
pub(super) const DEPTH_MAX: usize = 32;

/// The problem of a node within too many others.
pub(super) fn too_deep() -> Diagnostic {
    Diagnostic::error("yaml-too-deep", format!("nested deeper than {DEPTH_MAX} levels"))
        .hint("a job lies two levels deep and its fields three: is a `[` or `{` never closed?")
}

/// Spaces that YAML does not take as spaces, and the colon of other keyboards: an indentation or a key may have them by
/// mistake.
const LOOK_ALIKES: [(char, &str); 3] = [
    ('\u{a0}', "expected a plain space, found a no-break space (U+00A0): type it again"),
    ('\u{3000}', "expected a plain space, found an ideographic space (U+3000): type it again"),
    ('\u{ff1a}', "expected a plain colon and a space, `: `, found a full-width colon (U+FF1A)"),
];

/// The problem, and where it stands: inside `text`, except for an empty one.
pub(super) fn describe(error: &ScanError, text: &str) -> (Diagnostic, Span) {
    let kind = error.kind();
    let at = text.floor_char_boundary(error.marker().byte_offset().unwrap_or(0).min(text.len()));
    // The parser names the start of the token it was reading, which for a tab is the line before it.
    let start = match kind {
        kind if is_tab(kind) => at + text[at..].find('\t').unwrap_or(0),
        ErrorKind::UnexpectedCharacter { character } => at + text[at..].find(*character).unwrap_or(0),
        _ => at,
    };
    let end = text.ceil_char_boundary((start + 1).min(text.len()));
    let span = Span { start: offset(start), end: offset(end) };
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    if matches!(kind, ErrorKind::RecursionLimitExceeded) {
        return (too_deep(), span);
    }
    let (code, message) = match in_our_words(kind) {
        Some(told) => told,
        None => ("yaml", format!("not valid YAML: {}", error.info())),
    };
    let problem = Diagnostic::error(code, message);
    match look_alike(kind, text, line_start).or_else(|| hint(kind, line)) {
        Some(hint) => (problem.hint(hint), span),
        None => (problem, span),
    }
}

/// Returns the hint for a character of this line or the one before that only looks right.
fn look_alike(kind: &ErrorKind, text: &str, line_start: usize) -> Option<&'static str> {
    if !is_of_structure(kind) {
        return None;
    }
    let before = text[..line_start].trim_end_matches(['\n', '\r']).rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[line_start..].find('\n').map_or(text.len(), |newline| line_start + newline);
    // In a note such characters are text.
    let key = |line: &str| line.split([':', '#', '"']).next().unwrap_or("").to_owned();
    let found = |line: &str| LOOK_ALIKES.iter().find(|(character, _)| key(line).contains(*character)).map(|(_, hint)| *hint);
    found(&text[line_start..line_end]).or_else(|| found(&text[before..line_start]))
}

/// Keys and indentation that do not fit each other.
fn is_of_structure(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::MappingValueNotAllowed
            | ErrorKind::MappingKeyNotAllowed
            | ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::InvalidIndentation
            | ErrorKind::SimpleKeyExpected
            | ErrorKind::InvalidSimpleKey
            | ErrorKind::ExpectedBlockSequenceEntry
    )
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
    )
}

fn in_our_words(kind: &ErrorKind) -> Option<(&'static str, String)> {
    let words = match kind {
        kind if is_tab(kind) => "expected spaces, found a tab".to_owned(),
        ErrorKind::UnclosedQuotedScalar => "this quoted text is never closed".to_owned(),
        ErrorKind::UnclosedFlowCollection { open } => format!("this `{open}` is never closed"),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => format!("`{open}` is closed by `{close}`"),
        ErrorKind::UnknownAnchor => "this alias (`*name`) names no anchor (`&name`) before it".to_owned(),
        ErrorKind::MissingAnchorOrAliasName => "`*` or `&` without a name".to_owned(),
        ErrorKind::UnexpectedCharacter { character } if needs_escape(*character) => {
            format!("found an invisible character, U+{:04X}", u32::from(*character))
        }
        ErrorKind::BomInsideDocument => "found a byte order mark (U+FEFF) in the middle of the file".to_owned(),
        ErrorKind::SimpleKeyExpected => "this is not a key: a `:` and a space are missing".to_owned(),
        ErrorKind::UnexpectedCharacter { character } => format!("a value cannot begin with `{}`", character.escape_default()),
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed => "found a `:` where a key is not allowed".to_owned(),
        ErrorKind::ExpectedBlockMappingKey => "expected a key such as `room: lobby`".to_owned(),
        _ => return None,
    };
    Some(("yaml", words))
}

fn hint(kind: &ErrorKind, line: &str) -> Option<&'static str> {
    let placeholder = ["{job}", "{room}", "{start", "{date}", "{secret:"].iter().any(|name| line.contains(name));
    match kind {
        kind if is_tab(kind) => Some("indent with spaces"),
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName if line.contains("cron") => {
            Some("put the expression in quotes: `cron: \"*/5 * * * *\"`")
        }
        ErrorKind::UnexpectedCharacter { character } if needs_escape(*character) => {
            Some("remove it; if you need it, write it as `\\u....` in double quotes")
        }
        ErrorKind::BomInsideDocument => Some("remove it: it is left over from joining files"),
        ErrorKind::UnclosedQuotedScalar => Some("close it with the same quote"),
        ErrorKind::UnclosedFlowCollection { .. } | ErrorKind::MismatchedFlowCollectionEnd { .. } => {
            Some("close each `[` with `]` and each `{` with `}`")
        }
        ErrorKind::UnknownAnchor if line.contains("<<") => Some(
            "write `&name` before a mapping that stands above this line, for example under a key `x-name` at the top of the file",
        ),
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName | ErrorKind::UnexpectedCharacter { .. } => {
            Some("put a text that begins with such a character in quotes")
        }
        ErrorKind::InvalidColonPlacement | ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::ExpectedFlowMappingSeparator => {
            Some("is a `[` or `{` before this place never closed?")
        }
        _ if placeholder => Some("put a text that begins with a brace in quotes: `robot: \"{room}-{job}\"`"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed => {
            Some("put a text that holds `: ` in quotes; or this line is indented wrongly")
        }
        kind if is_of_structure(kind) => Some("look at the indentation of this line and of the one before"),
        _ => None,
    }
}
