//! Problems as they are found, within limits: a file may have a problem in each of a million lines, and nobody reads more than the first
//! of them. Does not know what a problem is about.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Diagnostic, Severity};

/// Problems of one severity that are kept. All of them, drawn, take less than 200 kB.
const KEPT_MAX: usize = 200;

/// The first problems of each severity, and how many more there are.
#[derive(Debug, Default)]
pub struct Collected {
    list: Vec<Diagnostic>,
    /// What was found already: one problem may be found once for each of many jobs.
    seen: HashSet<u64>,
    kept: [usize; 3],
    left_out: [usize; 3],
}

impl Collected {
    /// Adds one, unless it is there already or too many of its kind are.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let kind = index(diagnostic.severity);
        let mut hasher = DefaultHasher::new();
        (diagnostic.code, &diagnostic.message, diagnostic.place.as_ref().map(|place| (&place.file, place.span))).hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            return;
        }
        if self.kept[kind] == KEPT_MAX {
            self.left_out[kind] += 1;
            return;
        }
        self.kept[kind] += 1;
        self.list.push(diagnostic);
    }

    /// Adds all of them.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }

    /// Whether one was an error, kept or not.
    pub fn any_error(&self) -> bool {
        self.kept[index(Severity::Error)] > 0
    }

    /// Returns those that are kept, and the sentence that tells of the others, which comes last.
    pub fn into_parts(self) -> (Vec<Diagnostic>, Option<Diagnostic>) {
        let severities = [Severity::Error, Severity::Warning, Severity::Note];
        let counts = severities.into_iter().filter_map(|severity| {
            let count = self.left_out[index(severity)];
            let plural = if count == 1 { "" } else { "s" };
            (count > 0).then(|| (severity, format!("{count} more {severity}{plural}")))
        });
        let (worst, texts): (Vec<_>, Vec<_>) = counts.unzip();
        let more = worst.first().map(|severity| {
            let text = format!("{}: only the first {KEPT_MAX} of a kind are told", texts.join(", "));
            Diagnostic::new(*severity, "more", text).hint("fix those before, then check again")
        });
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
        let (kept, more) = collected.into_parts();
        assert_eq!(kept.len(), KEPT_MAX + 2);
        let more = more.expect("some are left out");
        assert_eq!(
            (more.severity, more.message.as_str()),
            (Severity::Warning, "800 more warnings: only the first 200 of a kind are told")
        );
        assert!(Collected::default().into_parts().1.is_none());
    }
}
