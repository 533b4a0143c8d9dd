//! One source as YAML: parsed, and then as a mapping whose places have lines. Does not know what its keys mean.

use std::sync::Arc;

use crate::diagnostic::{Collected, Diagnostic, LineIndex, Place, Severity, Span};
use crate::schedule::Source;
use crate::schedule::problem::Problem;
use crate::yaml::{self, Document, Entry};

/// A source whose YAML was read: what its jobs are is not looked at. Sources know nothing of each other in this.
pub struct Parsed<'s> {
    pub(super) text: Text<'s>,
    pub(super) document: Document<'s>,
}

/// Reads the YAML of one source.
pub fn parse(source: &Source) -> Parsed<'_> {
    let index = LineIndex::new(&source.text);
    let document = yaml::parse(&source.name, &source.text, &index);
    Parsed { text: Text { name: Arc::clone(&source.name), index }, document }
}

/// Where something stands in a file.
pub(super) struct Text<'s> {
    pub(super) name: Arc<str>,
    pub(super) index: LineIndex<'s>,
}

impl Text<'_> {
    pub(super) fn place(&self, span: Span) -> Place {
        self.index.place(&self.name, span)
    }

    pub(super) fn diagnostic(&self, problem: Problem, severity: Severity, job: Option<&str>) -> Diagnostic {
        let place = self.place(problem.span);
        let related = problem.related.into_iter().map(|(span, role)| (self.place(span), role.to_owned())).collect();
        Diagnostic {
            severity,
            code: problem.code,
            message: problem.message,
            place: Some(place),
            job: job.map(str::to_owned),
            hint: problem.hint,
            related,
        }
    }

    /// Adds a problem, whose line is found only if it is kept.
    pub(super) fn tell(&self, to: &mut Collected, problem: Problem, severity: Severity, job: Option<&str>) {
        to.count(severity, problem.more);
        if to.admits(severity, (problem.code, &problem.message), Some((&self.name, problem.span))) {
            to.keep(self.diagnostic(problem, severity, job));
        }
    }

    /// Adds errors.
    pub(super) fn report(&self, to: &mut Collected, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            self.tell(to, problem, Severity::Error, None);
        }
    }
}

/// A file whose YAML could be read.
pub(super) struct File<'s> {
    pub(super) text: Text<'s>,
    pub(super) entries: Vec<Entry<'s>>,
    /// The keys `<<` that were refused.
    pub(super) merges: Vec<Span>,
}
