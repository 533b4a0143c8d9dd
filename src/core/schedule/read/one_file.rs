//! The jobs of one file: its keys, its defaults, and each job by itself. What must be unique over files is not looked at. Refuses to know how
//! a single value is read.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::file::{File, Parsed, parse};
use super::keys::{empty_file, not_a_mapping, unknown_top_level};
use super::{FileJobs, Files, FoundJob};
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::schedule::chains::Chained;
use crate::schedule::combine::{chain_has_no_dates, combine, idle_defaults};
use crate::schedule::fields;
use crate::schedule::job::JobId;
use crate::schedule::linter::{self, Linter, WarningSpans};
use crate::schedule::names::bad_job_id;
use crate::schedule::policy::RetryPolicy;
use crate::schedule::problem::{Problem, quote};
use crate::schedule::raw::{RawJob, Slot};
use crate::schedule::resolve::{JobContext, resolve};
use crate::schedule::schema::PASSED_OVER;
use crate::schedule::shared::Shared;
use crate::yaml::{Entry, Kind};

/// What the whole file says to each of its jobs.
struct FileWide {
    zone: Slot<TimeZone>,
    defaults: RawJob,
    /// Where the defaults stand.
    span: Option<Span>,
    /// The jobs that found no zone.
    zoneless: Vec<(String, Span)>,
}

impl FileWide {
    fn inherited(&self, span: Span) -> bool {
        self.span.is_some_and(|defaults| defaults.start <= span.start && span.end <= defaults.end)
    }
}

/// Reads one file after the other, and keeps what their jobs share. Several may read at the same time.
pub struct FileReader<'f, 'r> {
    files: &'f Files<'r>,
    shared: Shared<'f>,
    linter: Linter,
    retry: Arc<RetryPolicy>,
    found: FileJobs,
}

impl<'f, 'r> FileReader<'f, 'r> {
    pub(super) fn new(files: &'f Files<'r>) -> FileReader<'f, 'r> {
        FileReader {
            files,
            shared: Shared::new(files.zones, files.now, &files.calendars),
            linter: files.linter(),
            retry: Arc::default(),
            found: FileJobs::default(),
        }
    }

    /// Reads the source of that number.
    pub fn read(&mut self, number: usize) -> FileJobs {
        let parsed = self.files.take_parsed(number).unwrap_or_else(|| parse(&self.files.sources[number]));
        self.found = FileJobs { is_whole: parsed.document.problems.is_empty(), ..FileJobs::default() };
        if let Some(file) = open(parsed, &mut self.found) {
            self.file(file);
        }
        std::mem::take(&mut self.found)
    }

    fn file(&mut self, mut file: File<'_>) {
        let entries = std::mem::take(&mut file.entries);
        let mut wide = FileWide { zone: Slot::default(), defaults: RawJob::default(), span: None, zoneless: Vec::new() };
        let mut jobs = None;
        for entry in entries {
            match entry.key.as_ref() {
                "timezone" => {
                    let zone = self.shared.zone(&entry.value);
                    let mut problems = wide.zone.put(&entry, zone);
                    for problem in &mut problems {
                        problem.point_at_key(&entry);
                    }
                    file.text.report(&mut self.found.diagnostics, problems.into_iter().map(|problem| problem.in_field("timezone")));
                }
                "calendars" => {}
                // A home for YAML anchors.
                key if key.starts_with(PASSED_OVER) => {}
                "defaults" => self.defaults(&file, &entry, &mut wide),
                "jobs" => jobs = Some(entry),
                _ => file.text.report(&mut self.found.diagnostics, [unknown_top_level(&entry)]),
            }
        }
        if let Some(entry) = jobs {
            self.jobs(&file, entry, &mut wide);
        }
    }

    fn defaults(&mut self, file: &File<'_>, entry: &Entry<'_>, wide: &mut FileWide) {
        let Some(entries) = entry.value.entries() else {
            file.text.report(&mut self.found.diagnostics, [not_a_mapping(entry, "fields of a job")]);
            return;
        };
        wide.span = Some(Span { start: entry.key_span.start, end: entry.value.span.end });
        let mut problems = fields::read(entries, &mut wide.defaults, &mut self.shared);
        problems.extend(combine(&mut wide.defaults, |_| false));
        problems.extend(idle_defaults(&wide.defaults));
        file.text.report(&mut self.found.diagnostics, problems);
    }

    fn jobs(&mut self, file: &File<'_>, entry: Entry<'_>, wide: &mut FileWide) {
        let Kind::Map(_) = &entry.value.kind else {
            file.text.report(&mut self.found.diagnostics, [not_a_mapping(&entry, "names with their fields")]);
            return;
        };
        let Kind::Map(entries) = entry.value.kind else { return };
        for entry in entries {
            self.job(file, &entry, wide);
            // Each job's nodes are dropped before the next is read: a file of 100,000 jobs is never held twice.
            drop(entry);
        }
        if let Some((name, span)) = wide.zoneless.first() {
            let message = match wide.zoneless.len() {
                1 => format!("the job {} has no `timezone`", quote(name)),
                count => format!("{} and {} more of this file's jobs have no `timezone`", quote(name), count - 1),
            };
            let problem = Problem::at(*span, "missing", message)
                .hint("write `timezone: Asia/Shanghai`, or where it is, at the top of the file");
            self.found.diagnostics.push(file.text.diagnostic(problem, Severity::Error, Some(name)));
        }
    }

    fn job(&mut self, file: &File<'_>, entry: &Entry<'_>, wide: &mut FileWide) {
        self.found.named += 1;
        let place = file.text.place(entry.key_span);
        let key = entry.key_span;
        let name = entry.key.as_ref();
        let id = self.job_id(file, name, place.span);
        let Some(entries) = entry.value.entries() else {
            let problem = if entry.value.is_null() {
                Problem::at(key, "no-value", format!("the job {} has no fields", quote(name)))
            } else {
                Problem::of(&entry.value, "wrong-type", format!("expected a mapping of fields, found {}", entry.value.describe()))
            };
            file.text.tell(&mut self.found.diagnostics, problem, Severity::Error, Some(name));
            self.found.jobs.extend(id.map(|id| FoundJob::Bad(Box::new((id, place)))));
            return;
        };
        let mut raw = wide.defaults.clone();
        let mut problems = fields::read(entries, &mut raw, &mut self.shared);
        problems.extend(chain_has_no_dates(&mut raw, |span| wide.inherited(span)));
        problems.extend(combine(&mut raw, |span| wide.inherited(span)));
        if !raw.timezone.written && !wide.zone.written {
            wide.zoneless.push((name.to_owned(), key));
        }
        let zone = if raw.timezone.written { raw.timezone.value.clone() } else { wide.zone.value.clone() };
        let zone_known = zone.is_some();
        // A job without a good name or zone is still judged, for the sake of its other problems, and then dropped.
        let stand_in = JobId::parse("job").expect("it is of the alphabet");
        let context = JobContext {
            id: id.as_ref().unwrap_or(&stand_in),
            place: place.clone(),
            zone: zone.unwrap_or(TimeZone::UTC),
            settings: self.files.settings,
            no_dates: &self.files.no_dates,
            plain_robot: &self.files.plain_robot,
            retry: &self.retry,
        };
        let mut warnings = Vec::new();
        let mut good = None;
        match resolve(&raw, &context) {
            Ok(job) if problems.is_empty() && zone_known && id.is_some() => {
                warnings = self.linter.warnings(&job, &raw);
                self.retry = Arc::clone(&job.policy.retry);
                let spans = WarningSpans::of(&job, &raw);
                let to = if wide.inherited(spans.to) { key } else { spans.to };
                good = Some(match Chained::new(job, file.text.place(spans.trigger), || file.text.place(to)) {
                    Ok(chained) => FoundJob::Chained(Box::new(chained)),
                    Err(job) => FoundJob::Good(Arc::new(*job)),
                });
            }
            Ok(_) => {}
            Err(more) => problems.extend(more),
        }
        self.found.jobs.extend(good.or_else(|| id.map(|id| FoundJob::Bad(Box::new((id, place))))));
        if file.merges.iter().any(|merge| key.start <= merge.start && merge.end <= entry.value.span.end) {
            problems.retain(|problem| problem.code != "missing");
        }
        let errors = problems.into_iter().map(|problem| (Severity::Error, problem));
        for (severity, problem) in errors.chain(warnings.into_iter().map(|problem| (linter::severity(problem.code), problem))) {
            let (problem, job) = blamed(problem, wide, key, name);
            file.text.tell(&mut self.found.diagnostics, problem, severity, job);
        }
    }

    /// The job's id; nothing when it is not valid, which is reported.
    fn job_id(&mut self, file: &File<'_>, name: &str, span: Span) -> Option<JobId> {
        let id = JobId::parse(name);
        if id.is_none() {
            file.text.report(&mut self.found.diagnostics, [bad_job_id(name, span)]);
        }
        id
    }
}

/// The keys of a file. Nothing: it has no value, or another than a mapping.
fn open<'s>(parsed: Parsed<'s>, found: &mut FileJobs) -> Option<File<'s>> {
    let Parsed { text, document } = parsed;
    let FileJobs { syntax, diagnostics, is_whole, .. } = found;
    let Some(root) = document.root.filter(|root| !root.is_null()) else {
        if document.problems.is_empty() {
            diagnostics.push(empty_file(&text.name));
        }
        *syntax = document.problems;
        return None;
    };
    // What a refused `<<` would have brought is not missing.
    let merges = document.problems.iter().filter(|problem| problem.message.starts_with("`<<`"));
    let merges = merges.filter_map(|problem| Some(problem.place.as_ref()?.span)).collect();
    *syntax = document.problems;
    let span = root.span;
    match root.kind {
        Kind::Map(entries) => Some(File { text, entries, merges }),
        Kind::Scalar { .. } | Kind::List(_) => {
            let message = format!(
                "expected a mapping with the keys `timezone`, `calendars`, `defaults` and `jobs`, found {}",
                root.describe()
            );
            diagnostics.push(Diagnostic::error("wrong-type", message).at(text.place(span)));
            *is_whole = false;
            None
        }
    }
}

/// A problem of a job that stands in its file's defaults is told at the job, for which the default is wrong; unless it is wrong
/// for every job, and is told once where it stands.
fn blamed<'n>(mut problem: Problem, wide: &FileWide, key: Span, job: &'n str) -> (Problem, Option<&'n str>) {
    if !wide.inherited(problem.span) {
        return (problem, Some(job));
    }
    if matches!(problem.code, "unknown-app" | "unknown-secret") || linter::is_of_one_value(problem.code) {
        return (problem, None);
    }
    problem.related.push((problem.span, "this default"));
    problem.span = key;
    (problem, Some(job))
}
