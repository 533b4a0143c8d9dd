//! What the YAML parser could not read, in an operator's words and with a hint for the habits that we can name.

use granit_parser::{ErrorKind, ScanError};

use crate::diagnostic::{Diagnostic, Span, offset};

/// Deepest nesting. Schedules need four levels; the rest is room for mistakes, and what keeps recursion bounded.
pub(super) const DEPTH_MAX: usize = 32;

/// The problem, and where it stands: inside `text`, except for an empty one.
pub(super) fn describe(error: &ScanError, text: &str) -> (Diagnostic, Span) {
    let kind = error.kind();
    let at = text.floor_char_boundary(error.marker().byte_offset().unwrap_or(0).min(text.len()));
    // The parser names the start of the token it was reading, which for a tab is the line before it.
    let start = if is_tab(kind) { at + text[at..].find('\t').unwrap_or(0) } else { at };
    let end = text.ceil_char_boundary((start + 1).min(text.len()));
    let span = Span { start: offset(start), end: offset(end) };
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    let (code, message) = match in_our_words(kind) {
        Some(told) => told,
        None => ("yaml", format!("not valid YAML: {}", error.info())),
    };
    let problem = Diagnostic::error(code, message);
    match hint(kind, line) {
        Some(hint) => (problem.hint(hint), span),
        None => (problem, span),
    }
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
        kind if is_tab(kind) => "a tab stands where YAML allows only spaces".to_owned(),
        ErrorKind::UnclosedQuotedScalar => "this quoted text is never closed".to_owned(),
        ErrorKind::UnclosedFlowCollection { open } => format!("this `{open}` is never closed"),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => format!("`{open}` is closed by `{close}`"),
        ErrorKind::UnknownAnchor => "this alias (`*name`) names no anchor (`&name`) before it".to_owned(),
        ErrorKind::MissingAnchorOrAliasName => "`*` or `&` without a name".to_owned(),
        ErrorKind::UnexpectedCharacter { character } => format!("a value cannot begin with `{}`", character.escape_default()),
        ErrorKind::RecursionLimitExceeded => return Some(("yaml-too-deep", format!("nested deeper than {DEPTH_MAX} levels"))),
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed => "a `:` stands where no key can be".to_owned(),
        ErrorKind::ExpectedBlockMappingKey => "a key such as `room: lobby` is due here".to_owned(),
        _ => return None,
    };
    Some(("yaml", words))
}

fn hint(kind: &ErrorKind, line: &str) -> Option<&'static str> {
    let placeholder = ["{job}", "{room}", "{start}"].iter().any(|name| line.contains(name));
    match kind {
        kind if is_tab(kind) => Some("indent with spaces"),
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName if line.contains("cron") => {
            Some("put the expression in quotes: `cron: \"*/5 * * * *\"`")
        }
        ErrorKind::UnknownAnchor | ErrorKind::MissingAnchorOrAliasName | ErrorKind::UnexpectedCharacter { .. } => {
            Some("put a text that begins with such a character in quotes")
        }
        ErrorKind::InvalidColonPlacement | ErrorKind::ExpectedFlowSequenceSeparator | ErrorKind::ExpectedFlowMappingSeparator => {
            Some("is a `[` or `{` before this place never closed?")
        }
        _ if placeholder => Some("put the template in quotes: `robot: \"{room}-{job}\"`"),
        ErrorKind::MappingValueNotAllowed | ErrorKind::MappingKeyNotAllowed => {
            Some("put a text that holds `: ` in quotes; or this line is indented wrongly")
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::ExpectedBlockSequenceEntry => Some("look at the indentation of this line and of the one before"),
        _ => None,
    }
}
