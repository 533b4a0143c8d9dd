//! The calendars of all files, which are read before any job: a job may name one that stands in another file. Does not know jobs.

use std::sync::Arc;

use super::file::Parsed;
use super::keys::not_a_mapping;
use crate::calendar::{DateRange, Dates};
use crate::diagnostic::{Collected, Diagnostic};
use crate::schedule::Source;
use crate::schedule::moments::{dates, each};
use crate::schedule::names::{NAME_SYNTAX, is_calendar_name};
use crate::schedule::problem::{Problem, quote};
use crate::schedule::shared::{Calendar, Calendars};
use crate::yaml::Kind;

/// Whether a source may have calendars. Only such a one is parsed before the jobs of all files are read. A key that is not there letter by
/// letter is written with a `\\`.
pub fn may_have_calendars(source: &Source) -> bool {
    source.text.contains("calendars") || source.text.contains('\\')
}

impl Calendars {
    /// Reads those of one file.
    pub(super) fn read(&mut self, parsed: &Parsed<'_>, diagnostics: &mut Collected) {
        let Parsed { text: file, document } = parsed;
        self.may_lack |= !document.problems.is_empty();
        let Some(root) = document.root.as_ref().filter(|root| !root.is_null()) else { return };
        let Some(entries) = root.entries() else {
            self.may_lack = true;
            return;
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == "calendars") else { return };
        let Some(entries) = entry.value.entries() else {
            self.may_lack = true;
            file.report(diagnostics, [not_a_mapping(entry, "names with their dates")]);
            return;
        };
        for entry in entries {
            let name = entry.key.as_ref();
            let place = file.place(entry.key_span);
            if !is_calendar_name(name) {
                let problem = Problem::at(entry.key_span, "bad-name", format!("expected a calendar's name, found {}", quote(name)))
                    .hint(NAME_SYNTAX);
                file.report(diagnostics, [problem]);
            }
            if let Some(first) = self.by_name.get(name) {
                let twice = Diagnostic::error("duplicate-calendar", format!("the calendar {} is named twice", quote(name)));
                diagnostics.push(
                    twice.at(place).related(first.place.clone(), "first named here").hint("calendars are shared by all files"),
                );
                continue;
            }
            let ranges = match &entry.value.kind {
                Kind::List(nodes) if nodes.is_empty() => Ok(Vec::new()),
                Kind::List(nodes) => each(&entry.value, nodes, dates),
                Kind::Scalar { .. } | Kind::Map(_) => dates(&entry.value).map(|range| vec![range]).map_err(Vec::from),
            };
            let ranges = ranges.unwrap_or_else(|mut problems| {
                for problem in &mut problems {
                    problem.point_at_key(entry);
                }
                file.report(diagnostics, problems.into_iter().map(|problem| problem.in_field(name)));
                Vec::new()
            });
            let calendar: Arc<str> = Arc::from(name);
            let named = |(first, last)| DateRange { first, last, calendar: Some(Arc::clone(&calendar)) };
            let ranges: Vec<DateRange> = ranges.into_iter().map(named).collect();
            let dates = Arc::new(Dates::new(ranges.iter().cloned()));
            self.by_name.insert(name.to_owned(), Calendar { ranges, dates, place });
        }
    }
}
