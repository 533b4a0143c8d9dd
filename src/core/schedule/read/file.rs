//! One source as YAML: parsed, and then as a mapping whose places have lines. Does not know what its keys mean.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, LineIndex, Place, Severity, Span};
use crate::schedule::Source;
use crate::schedule::problem::Problem;
use crate::yaml::{self, Document, Entry};

/// A source whose YAML was read: what its jobs are is not looked at. Sources know nothing of each other in this.
pub struct Parsed<'s> {
    pub(super) index: LineIndex<'s>,
    pub(super) document: Document<'s>,
}

/// Reads the YAML of one source.
pub fn parse(source: &Source) -> Parsed<'_> {
    let index = LineIndex::new(&source.text);
    let document = yaml::parse(&source.name, &source.text, &index);
    Parsed { index, document }
}

/// A file whose YAML could be read.
pub(super) struct File<'s> {
    pub(super) name: Arc<str>,
    pub(super) index: LineIndex<'s>,
    pub(super) entries: Vec<Entry<'s>>,
    /// The keys `<<` that were refused.
    pub(super) merges: Vec<Span>,
}

impl File<'_> {
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
}
