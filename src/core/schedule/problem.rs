//! What a parser of one value returns when it cannot read it, and the words that all of them share. Knows spans of one text;
//! refuses to know files and jobs, which the caller adds.

use std::cell::Cell;

use crate::diagnostic::Span;
pub use crate::diagnostic::quote;
use crate::yaml::{Entry, Node};

/// One thing that is wrong at one place of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable name of the kind of problem.
    pub code: &'static str,
    /// What is wrong, without the name of the field.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
    /// Where.
    pub span: Span,
    /// Other places that take part, each with its role.
    pub related: Vec<(Span, &'static str)>,
    /// How many more of its list or mapping come after it, which are only counted.
    pub more: usize,
}

/// Problems that are kept of one list or one mapping. More than are ever told; the others are counted.
const LISTED_MAX: usize = 1_000;

/// Adds a problem, or only counts it where there are very many already.
pub(super) fn add(problems: &mut Vec<Problem>, problem: Problem) {
    let is_full = problems.len() >= LISTED_MAX;
    match problems.last_mut().filter(|_| is_full) {
        Some(last) => last.more += 1 + problem.more,
        None => problems.push(problem),
    }
}

/// How often it is looked for what was meant by a name that nobody knows. Each time every name is compared, and only the first problems
/// are told.
const LOOKS_MAX: u32 = 500;

/// Counts the times that it is looked for what was meant.
#[derive(Default)]
pub(super) struct Looks(Cell<u32>);

impl Looks {
    /// What `find` finds, unless it was looked for too often.
    pub(super) fn find(&self, find: impl FnOnce() -> Option<String>) -> Option<String> {
        let looks = self.0.get();
        self.0.set(looks.saturating_add(1));
        if looks < LOOKS_MAX { find() } else { None }
    }
}

impl Problem {
    /// A problem with the value of a node.
    pub fn of(node: &Node<'_>, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::at(node.span, code, message)
    }

    /// A problem at a place.
    pub fn at(span: Span, code: &'static str, message: impl Into<String>) -> Problem {
        Problem { code, message: message.into(), hint: None, span, related: Vec::new(), more: 0 }
    }

    /// Says how to fix it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Says how to fix it, if anything is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Problem {
        self.hint = hint;
        self
    }

    /// Names another place that takes part.
    pub(super) fn related(mut self, span: Span, role: &'static str) -> Problem {
        self.related.push((span, role));
        self
    }

    /// Points at the key instead of a value that is not there to be seen.
    pub(super) fn point_at_key(&mut self, entry: &Entry<'_>) {
        if entry.value.span == self.span && self.span.start == self.span.end {
            self.span = entry.key_span;
        }
    }

    /// Puts the field's name before the message; `retry` before `` `.cap`: `` makes `` `retry.cap`: ``.
    #[must_use]
    pub fn in_field(mut self, field: &str) -> Problem {
        self.message = match self.message.strip_prefix("`.") {
            Some(inner) => format!("`{field}.{inner}"),
            None => format!("{}: {}", quote(field), self.message),
        };
        self
    }
}

/// One problem where several could have been.
impl From<Problem> for Vec<Problem> {
    fn from(problem: Problem) -> Vec<Problem> {
        vec![problem]
    }
}

/// Longest word that is compared, in characters: no name of ours is as long, and the comparison is quadratic.
const WORD_MAX: usize = 60;

/// The candidate that `word` was most likely meant to be: at most a third of its letters differ.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length > WORD_MAX {
        return None;
    }
    let most = (length / 3).max(1);
    // A letter too few or too many is a difference too, so that most candidates need not be compared.
    let is_near = |candidate: &&str| candidate.chars().count().abs_diff(length) <= most;
    let distance = |candidate: &str| strsim::osa_distance(&word, &candidate.to_lowercase());
    let close = candidates.into_iter().filter(is_near).map(|candidate| (distance(candidate), candidate));
    close.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The same as a hint.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean {}?", quote(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_matched_with_what_it_resembles_only() {
        for (word, expected) in
            [("reapet", Some("repeat")), ("Room", Some("room")), ("rooom", Some("room")), ("xyz", None), ("", None)]
        {
            assert_eq!(nearest(word, ["room", "repeat", "robot"]), expected, "{word}");
        }
    }
}
