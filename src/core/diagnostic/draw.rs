//! Diagnostics as a compiler draws them: the line, the place underlined, the hint. Refuses to know what the text means,
//! with one exception: it hides what may be a secret in a URL.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Place, Severity, Span, escape, needs_escape, within_bounds};

/// Places of one file that are this near each other, in bytes, are drawn in one piece.
const NEAR: u32 = 2_048;
/// Longest piece that is drawn, in bytes; the renderer cuts lines that are wider than a screen.
const PIECE_MAX: usize = 16_384;
/// Of a line that is longer, so many bytes before a place and after it are drawn.
const PART_BEFORE: usize = 60;
const PART_AFTER: usize = 120;

/// Draws diagnostics as a compiler does. `texts` holds the text of each file by name; a place whose text is not there is
/// named without its line. The output ends each diagnostic with a blank line. What a URL may hold as a secret (user info,
/// query, the last part of an rtmp path) is drawn as asterisks. All of it has less than 200 kB: the last one says how many are left out.
pub fn render(diagnostics: &[Diagnostic], texts: &BTreeMap<Arc<str>, &str>, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let drawn = within_bounds(diagnostics, |diagnostic| format!("{}\n\n", renderer.render(&[group(diagnostic, texts)])));
    drawn.into_iter().map(|(_, drawn)| drawn).collect()
}

/// A place and what is said beside it; empty for the primary one.
type Marked<'a> = (&'a Place, &'a str);

fn group<'a>(diagnostic: &'a Diagnostic, texts: &BTreeMap<Arc<str>, &'a str>) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = Group::with_title(level.primary_title(escape(&diagnostic.message)).id(diagnostic.code));
    let related = diagnostic.related.iter().map(|(place, role)| (place, role.as_str()));
    for piece in pieces(diagnostic.place.iter().map(|place| (place, "")).chain(related).collect()) {
        group = match (drawn(&piece, texts), cut_out(piece[0].0, texts)) {
            (Some(snippet), _) => group.element(snippet),
            (None, Some(part)) => group.element(origin(piece[0].0)).element(part),
            (None, None) => group.element(origin(piece[0].0)),
        };
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(escape(hint)));
    }
    group
}

/// Places by file and nearness, in the order in which they were given.
fn pieces<'a>(places: Vec<Marked<'a>>) -> Vec<Vec<Marked<'a>>> {
    let mut pieces: Vec<Vec<Marked<'a>>> = Vec::new();
    for (place, role) in places {
        let near = |other: &Place| {
            other.file == place.file && other.line > 0 && place.line > 0 && other.span.start.abs_diff(place.span.start) <= NEAR
        };
        match pieces.iter_mut().find(|piece| piece.iter().any(|(other, _)| near(other))) {
            Some(piece) => piece.push((place, role)),
            None => pieces.push(vec![(place, role)]),
        }
    }
    pieces
}

fn origin(place: &Place) -> Origin<'_> {
    let origin = Origin::path(escape(&place.file));
    match (place.line, place.column) {
        (0, _) => origin,
        (line, 0) => origin.line(line as usize),
        (line, column) => origin.line(line as usize).char_column(column as usize),
    }
}

/// The lines from the first place to the last, with each underlined; nothing when their text is not given or too long.
fn drawn<'a>(piece: &[Marked<'a>], texts: &BTreeMap<Arc<str>, &'a str>) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let first = piece.iter().map(|(place, _)| *place).min_by_key(|place| place.span)?;
    let last = piece.iter().map(|(place, _)| place.span.start).max()?;
    let text = texts.get(&first.file).filter(|_| first.line > 0)?;
    let inside = |at: u32| text.floor_char_boundary((at as usize).min(text.len()));
    // The search ends at the longest piece, so that a very long line is not searched for each of its problems.
    let earliest = text.floor_char_boundary(inside(first.span.start).saturating_sub(PIECE_MAX));
    let latest = text.ceil_char_boundary((inside(last) + PIECE_MAX).min(text.len()));
    let before = text[earliest..inside(first.span.start)].rfind('\n').map(|newline| earliest + newline + 1);
    let start = before.or_else(|| (earliest == 0).then_some(0))?;
    let after = text[inside(last)..latest].find('\n').map(|newline| inside(last) + newline);
    let end = after.or_else(|| (latest == text.len()).then_some(latest))?;
    if end - start > PIECE_MAX {
        return None;
    }
    let window = escape_all(masked(text[start..end].trim_end_matches('\r')));
    let mut snippet = Snippet::source(window.clone()).path(escape(&first.file)).line_start(first.line as usize).fold(true);
    for (place, role) in piece {
        let annotation = if role.is_empty() { AnnotationKind::Primary } else { AnnotationKind::Context }
            .span(visible(&window, place.span, start));
        snippet = snippet.annotation(if role.is_empty() { annotation } else { annotation.label(*role) });
    }
    Some(snippet)
}

/// A part of a very long line, around a place. The renderer could only say at which column of the part it is.
fn cut_out<'a>(place: &Place, texts: &BTreeMap<Arc<str>, &'a str>) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let text = texts.get(&place.file).filter(|_| place.line > 0)?;
    let at = (place.span.start as usize).min(text.len());
    let earliest = text.ceil_char_boundary(at.saturating_sub(PART_BEFORE));
    let latest = text.floor_char_boundary((at + PART_AFTER).min(text.len()));
    let at = text.floor_char_boundary(at);
    let start = text[earliest..at].rfind('\n').map_or(earliest, |newline| earliest + newline + 1);
    let end = text[at..latest].find('\n').map_or(latest, |newline| at + newline);
    // What is cut off may hold the beginning of an address, without which nobody can tell what is secret in the rest.
    let words = text[start..end].split(|letter: char| letter.is_whitespace());
    if words.clone().any(|word| word.contains(['/', '?', '@'])) {
        return None;
    }
    let part = escape_all(Cow::Borrowed(text[start..end].trim_end_matches('\r')));
    let annotation = AnnotationKind::Primary.span(visible(&part, place.span, start));
    Some(Snippet::source(part).line_start(place.line as usize).fold(true).annotation(annotation))
}

/// A span the renderer can draw: inside the window, on character boundaries, on one line, at least one byte if there is one.
fn visible(window: &str, span: Span, window_start: usize) -> Range<usize> {
    let inside = |at: u32| window.floor_char_boundary((at as usize).saturating_sub(window_start).min(window.len()));
    let (start, end) = (inside(span.start), inside(span.end));
    let line_end = window[start..].find(['\r', '\n']).map_or(window.len(), |at| start + at);
    let end = end.min(line_end);
    if end > start { start..end } else { start..window.ceil_char_boundary((start + 1).min(window.len())) }
}

/// The text with a sign for each invisible character, which the renderer would send to the terminal; as long as before,
/// in bytes and in characters. Control characters of ASCII it draws itself.
fn escape_all(text: Cow<'_, str>) -> Cow<'_, str> {
    let left_alone = |character: char| character.is_ascii() || !needs_escape(character);
    if text.chars().all(left_alone) {
        return text;
    }
    let sign = |character: char| match character.len_utf8() {
        _ if left_alone(character) => character,
        2 => '¿',
        3 => '\u{fffd}',
        _ => '🚫',
    };
    Cow::Owned(text.chars().map(sign).collect())
}

/// The text with asterisks for what may be secret in its URLs; as long as before, so that every place stays where it is.
fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains("://") && !text.contains('?') {
        return Cow::Borrowed(text);
    }
    let ends_word = |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '{' | '}' | '[' | ']');
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(ends_word) {
        let mut from = 0;
        for secret in secrets(word.trim_end_matches(ends_word)) {
            out.push_str(&word[from..secret.start]);
            out.push_str(&"*".repeat(secret.len()));
            from = secret.end;
        }
        out.push_str(&word[from..]);
    }
    Cow::Owned(out)
}

/// Where a word may hold secrets: user info, the last part of an rtmp path, everything from the query on.
fn secrets(word: &str) -> Vec<Range<usize>> {
    let query = word.find(['?', '#']).map_or(word.len(), |at| at + 1);
    let Some(scheme_end) = word.find("://").filter(|at| *at < query) else {
        return word[query..].contains('=').then_some(query..word.len()).into_iter().collect();
    };
    let authority = scheme_end + 3;
    let path_end = if query < word.len() { query - 1 } else { word.len() };
    let path = word[authority..path_end].find('/').map_or(path_end, |at| authority + at);
    let mut found = Vec::new();
    if let Some(at) = word[authority..path].rfind('@') {
        found.push(authority..authority + at);
    }
    let scheme = word[..scheme_end].to_ascii_lowercase();
    if scheme.ends_with("rtmp") || scheme.ends_with("rtmps") {
        let key = word[path..path_end].rfind('/').map_or(path_end, |at| path + at + 1);
        found.push(key..path_end);
    }
    found.push(query..word.len());
    found
}

#[cfg(test)]
mod tests {
    use super::super::LineIndex;
    use super::*;

    #[test]
    fn a_problem_is_drawn_with_its_line_and_its_hint() {
        let file: Arc<str> = Arc::from("live.yaml");
        let text = "jobs:\n  a:\n    reapet: 2\n";
        let place = LineIndex::new(text).place(&file, Span { start: 15, end: 21 });
        let diagnostic = Diagnostic::error("unknown-key", "unknown key `reapet`").at(place).hint("did you mean `repeat`?");
        let drawn = render(&[diagnostic], &BTreeMap::from([(file, text)]), false);
        assert!(drawn.contains("error[unknown-key]: unknown key `reapet`"), "{drawn}");
        assert!(drawn.contains("live.yaml:3:5"), "{drawn}");
        assert!(drawn.contains("^^^^^^"), "{drawn}");
        assert!(drawn.contains("did you mean `repeat`?"), "{drawn}");
    }

    #[test]
    fn places_far_apart_keep_their_own_lines() {
        let file: Arc<str> = Arc::from("live.yaml");
        let text = format!("one: 1\r\n{}two: 2\r\n", "# a comment\r\n".repeat(1_000));
        let index = LineIndex::new(&text);
        let two = u32::try_from(text.find("two").expect("it is there")).expect("short");
        let diagnostic = Diagnostic::error("x", "twice")
            .at(index.place(&file, Span { start: two, end: two + 3 }))
            .related(index.place(&file, Span { start: 0, end: 3 }), "first");
        let drawn = render(&[diagnostic], &BTreeMap::from([(file, text.as_str())]), false);
        assert!(drawn.contains("live.yaml:1002:1") && drawn.contains("1002 | two: 2"), "{drawn}");
        assert!(drawn.contains("1 | one: 1") && drawn.contains("--- first"), "{drawn}");
        assert!(drawn.lines().count() < 12, "{drawn}");
    }

    #[test]
    fn nothing_of_a_file_or_its_name_acts_on_the_terminal() {
        let file: Arc<str> = Arc::from("a\u{1b}[31m\u{9b}.yaml");
        let text = "a: \u{9b}31m\u{1b}[0m\u{200b}\u{200f}\u{e0041}x\u{2028}\u{feff}\u{ad}\n";
        let start = text.find('x').map_or(0, crate::diagnostic::offset);
        let place = LineIndex::new(text).place(&file, Span { start, end: start + 1 });
        let diagnostic = Diagnostic::error("x", "m\u{9b}").at(place).hint("h\u{202e}");
        let drawn = render(&[diagnostic], &BTreeMap::from([(Arc::clone(&file), text)]), false);
        assert!(!drawn.contains(|character: char| character != '\n' && needs_escape(character)), "{drawn:?}");
        assert!(drawn.contains(":1:15") && drawn.contains("a\\u{1b}[31m\\u{9b}.yaml"), "{drawn}");
    }

    #[test]
    fn what_may_be_secret_in_a_url_is_not_drawn() {
        for (text, expected) in [
            ("stream: https://a:b@cdn.example.com/x.mp4?sig=1", "stream: https://***@cdn.example.com/x.mp4?*****"),
            ("{stream: rtmp://h/app/key, at: x}", "{stream: rtmp://h/app/**** at: x}"),
            ("\"rtmps://h/app/key?k=v\" # why?", "\"rtmps://h/app/***?***\" # why?"),
            ("stream: cdn.example.com/x.mp4?sig=1", "stream: cdn.example.com/x.mp4?*****"),
            ("note: really? yes", "note: really? yes"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
