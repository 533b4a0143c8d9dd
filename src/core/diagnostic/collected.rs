//! Problems as they are found, within limits: a file may have a problem in each of a million lines, and nobody reads more than the first
//! of them. Does not know what a problem is about.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{Diagnostic, Severity, Span, clip};

/// Problems of one severity that are kept.
const KEPT_MAX: usize = 200;

/// When the kept problems of one severity have so many bytes of JSON together, no more are kept: the names of files and of their keys
/// may be long.
const KEPT_BYTES_MAX: usize = 64_000;

/// The most bytes of diagnostics that are told in one place: the log, an answer, the output of a verb.
pub const TOLD_BYTES_MAX: usize = 190_000;

/// Problems that are remembered, so that one that is found again is told and counted once.
const SEEN_MAX: usize = 100_000;

/// How many problems of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([usize; 3]);

impl Counts {
    /// Of those in a list.
    pub fn of(diagnostics: &[Diagnostic]) -> Counts {
        let mut counts = Counts::default();
        for diagnostic in diagnostics {
            counts.0[index(diagnostic.severity)] += 1;
        }
        counts
    }

    /// Of one severity.
    pub fn get(self, severity: Severity) -> usize {
        self.0[index(severity)]
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Counts) -> Counts {
        Counts(std::array::from_fn(|at| self.0[at] + other.0[at]))
    }

    /// The sentence that tells of so many problems that are not told; none if there are none. `kept` of each severity are told.
    fn left_out(self, kept: Counts) -> Option<Diagnostic> {
        let severities =
            [Severity::Error, Severity::Warning, Severity::Note].into_iter().filter(|severity| self.get(*severity) > 0);
        let severities: Vec<Severity> = severities.collect();
        let texts: Vec<String> = severities.iter().map(|severity| counted(self.get(*severity), *severity)).collect();
        severities.first().map(|worst| {
            let text = format!("{}: only the first {} of a kind are told", texts.join(", "), kept.get(*worst));
            Diagnostic::new(*worst, MORE, text).hint("fix those before, then check again")
        })
    }
}

/// The code of the sentence that tells how many problems are not told.
pub(super) const MORE: &str = "more";

fn counted(count: usize, severity: Severity) -> String {
    format!("{count} more {severity}{}", if count == 1 { "" } else { "s" })
}

/// Returns the first diagnostics whose texts together have at most [`TOLD_BYTES_MAX`] bytes, each with its text, as `text` writes it.
/// If some are left out, the last ones say how many.
pub fn within_bounds(diagnostics: &[Diagnostic], text: impl Fn(&Diagnostic) -> String) -> Vec<(Cow<'_, Diagnostic>, String)> {
    let mut told = Vec::new();
    let mut bytes = 0;
    for (at, diagnostic) in diagnostics.iter().enumerate() {
        let written = text(diagnostic);
        bytes += written.len();
        if bytes > TOLD_BYTES_MAX {
            let (kept, rest) = diagnostics.split_at(at);
            let more = Counts::of(rest).left_out(Counts::of(kept));
            told.extend(more.map(|more| {
                let written = text(&more);
                (Cow::Owned(more), written)
            }));
            break;
        }
        told.push((Cow::Borrowed(diagnostic), written));
    }
    told
}

/// The first problems of each severity, and how many more there are.
#[derive(Debug, Default)]
pub struct Collected {
    list: Vec<Diagnostic>,
    /// What was found already: one problem may be found once for each of many jobs.
    seen: HashSet<u64>,
    kept: Counts,
    kept_bytes: [usize; 3],
    left_out: Counts,
}

impl Collected {
    /// Adds one, unless it is there already or too many of its kind are.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.place.as_ref().map(|place| (&place.file, place.span));
        if self.admits(diagnostic.severity, (diagnostic.code, &diagnostic.message), place) {
            self.keep(diagnostic);
        }
    }

    /// Whether a problem is to be given to [`Collected::keep`]; if not, it is counted here. Its line and its column need be found only then.
    pub fn admits(&mut self, severity: Severity, (code, message): (&str, &str), place: Option<(&Arc<str>, Span)>) -> bool {
        let kind = index(severity);
        let mut hasher = DefaultHasher::new();
        (kind, code, message, place).hash(&mut hasher);
        let found = hasher.finish();
        // What comes behind very many problems is counted, and may be counted twice.
        if self.seen.contains(&found) || (self.seen.len() < SEEN_MAX && !self.seen.insert(found)) {
            return false;
        }
        let is_kept = self.kept.0[kind] < KEPT_MAX && self.kept_bytes[kind] < KEPT_BYTES_MAX;
        if !is_kept {
            self.left_out.0[kind] += 1;
        }
        is_kept
    }

    /// Keeps one that is admitted.
    pub fn keep(&mut self, mut diagnostic: Diagnostic) {
        let kind = index(diagnostic.severity);
        clip(&mut diagnostic.message);
        diagnostic.hint.iter_mut().for_each(clip);
        self.kept_bytes[kind] += diagnostic.json().to_string().len();
        self.kept.0[kind] += 1;
        self.list.push(diagnostic);
    }

    /// Counts so many more that nobody keeps.
    pub fn count(&mut self, severity: Severity, more: usize) {
        self.left_out.0[index(severity)] += more;
    }

    /// Adds all of them.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }

    /// Adds what was collected apart: problems of other places than those that are here.
    pub fn append(&mut self, other: Collected) {
        self.left_out = self.left_out.plus(other.left_out);
        self.extend(other.list);
    }

    /// Whether one was an error, kept or not.
    pub fn any_error(&self) -> bool {
        self.kept.get(Severity::Error) > 0
    }

    /// How many were found, kept or not.
    pub fn counts(&self) -> Counts {
        self.kept.plus(self.left_out)
    }

    /// Returns those that are kept, and the sentence that tells of the others, which comes last.
    pub fn into_parts(self) -> (Vec<Diagnostic>, Option<Diagnostic>) {
        let more = self.left_out.left_out(self.kept);
        (self.list, more)
    }
}

fn index(severity: Severity) -> usize {
    match severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Note => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Place;
    use super::*;

    #[test]
    fn the_first_of_each_kind_are_kept_and_the_others_are_counted() {
        let mut collected = Collected::default();
        for number in 0..1_000 {
            collected.push(Diagnostic::warning("odd", format!("warning {number}")));
        }
        assert!(!collected.any_error());
        collected.push(Diagnostic::error("bad", "the error behind them"));
        // One that is found again for each job is one.
        for _ in 0..1_000 {
            collected.push(Diagnostic::error("bad", "a default").at(Place::file("a.yaml")));
        }
        assert!(collected.any_error());
        let counts = collected.counts();
        assert_eq!((counts.get(Severity::Error), counts.get(Severity::Warning), counts.get(Severity::Note)), (2, 1_000, 0));
        let (kept, more) = collected.into_parts();
        assert_eq!(kept.len(), KEPT_MAX + 2);
        let more = more.expect("some are left out");
        assert_eq!(
            (more.severity, more.message.as_str()),
            (Severity::Warning, "800 more warnings: only the first 200 of a kind are told")
        );
        assert!(Collected::default().into_parts().1.is_none());
    }

    #[test]
    fn long_names_and_long_messages_are_kept_within_bounds_too() {
        let mut collected = Collected::default();
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            for number in 0..1_000 {
                let long =
                    Diagnostic { severity, ..Diagnostic::error("bad", format!("{number}{}", "直".repeat(1_000_000 / 100))) };
                collected.push(long.at(Place::file("n".repeat(4_000))).hint("h".repeat(100_000)));
            }
        }
        let counts = collected.counts();
        assert_eq!(counts.get(Severity::Note), 1_000);
        let (kept, more) = collected.into_parts();
        let bytes: usize = kept.iter().map(|kept| kept.json().to_string().len()).sum();
        assert!(kept.len() >= 15 && bytes <= 3 * (KEPT_BYTES_MAX + 9_000), "{} of {bytes} bytes", kept.len());
        assert!(more.expect("some are left out").message.starts_with(&format!("{} more errors", 1_000 - kept.len() / 3)));
    }

    #[test]
    fn what_is_told_in_one_place_is_bounded_and_says_what_is_left_out() {
        let list: Vec<Diagnostic> = (0..1_000).map(|number| Diagnostic::error("bad", format!("{number:01000}"))).collect();
        let told = within_bounds(&list, ToString::to_string);
        let bytes: usize = told.iter().map(|(_, text)| text.len()).sum();
        assert!(bytes < 200_000 && told.len() == 191, "{} of {bytes} bytes", told.len());
        let more = &told.last().expect("they are told").1;
        assert!(more.starts_with("810 more errors: only the first 190 of a kind are told"), "{more}");
        assert_eq!(within_bounds(&list[..3], ToString::to_string).len(), 3);
    }
}
