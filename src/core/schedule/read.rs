//! The walk through all files: top-level keys, calendars, defaults, jobs; what must be unique over files. Collects every problem
//! with its place. Refuses to know how a single value is read.

mod file;
mod keys;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::chains::{Chained, link};
use super::combine::{chain_has_no_dates, combine};
use super::job::{Job, JobId, RobotTemplate};
use super::linter::{self, Linter, WarningSpans};
use super::moments::{dates, each};
use super::names::{NAME_SYNTAX, bad_job_id, is_calendar_name};
use super::policy::RetryPolicy;
use super::problem::{Problem, quote};
use super::raw::{RawJob, Slot};
use super::resolve::{JobContext, resolve};
use super::schema::PASSED_OVER;
use super::shared::{Calendar, Shared};
use super::{Reading, Schedule, Settings, Source, fields, robots};
use crate::calendar::{DateRange, Dates};
use crate::diagnostic::{Collected, Diagnostic, Place, Severity, Span};
use crate::yaml::{Entry, Kind};
use file::File;
pub use file::{Parsed, parse};
use keys::{empty_file, not_a_mapping, unknown_top_level};

/// Reads all sources at once. Returns the problems of all files, in the order of the files and of their lines: at most
/// 200 of each severity, and last how many more there are.
///
/// `zones` finds time zones; `now` decides what has passed and which clock changes are near, and nothing else.
pub fn read(sources: &[Source], settings: &Settings, zones: &TimeZoneDatabase, now: Timestamp) -> Reading {
    read_beside(Vec::new(), (sources, sources.iter().map(parse).collect()), settings, zones, now)
}

/// The same as [`read`] for sources that are parsed, each in its place, and beside which others could not be loaded: `problems` says why,
/// and comes first in the answer.
pub fn read_beside<'s>(
    problems: Vec<Diagnostic>,
    (sources, parsed): (&'s [Source], Vec<Parsed<'s>>),
    settings: &Settings,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Reading {
    let mut reader = Reader {
        settings,
        shared: Shared::new(zones, now),
        linter: Linter::new(now, settings.site),
        no_dates: Arc::new(Dates::default()),
        plain_robot: RobotTemplate::new("{job}"),
        retry: Arc::default(),
        jobs: BTreeMap::new(),
        chained: BTreeMap::new(),
        job_places: HashMap::new(),
        jobs_named: 0,
        diagnostics: Collected::default(),
    };
    reader.diagnostics.extend(problems);
    reader.shared.calendars_may_lack = reader.diagnostics.any_error();
    debug_assert_eq!(sources.len(), parsed.len());
    let files: Vec<File<'_>> = sources.iter().zip(parsed).filter_map(|(source, parsed)| reader.open(source, parsed)).collect();
    for file in &files {
        reader.calendars(file);
    }
    for file in files {
        reader.file(file);
    }
    reader.finish(sources)
}

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

struct Reader<'r> {
    settings: &'r Settings,
    shared: Shared<'r>,
    linter: Linter,
    no_dates: Arc<Dates>,
    plain_robot: RobotTemplate,
    retry: Arc<RetryPolicy>,
    jobs: BTreeMap<JobId, Arc<Job>>,
    /// Those that follow others, until these are known.
    chained: BTreeMap<JobId, Chained>,
    job_places: HashMap<JobId, Place>,
    jobs_named: usize,
    diagnostics: Collected,
}

impl Reader<'_> {
    fn open<'s>(&mut self, source: &'s Source, parsed: Parsed<'s>) -> Option<File<'s>> {
        let Parsed { index, document } = parsed;
        self.shared.calendars_may_lack |= !document.problems.is_empty();
        let Some(root) = document.root.filter(|root| !root.is_null()) else {
            if document.problems.is_empty() {
                self.diagnostics.push(empty_file(&source.name));
            }
            self.diagnostics.extend(document.problems);
            return None;
        };
        // What a refused `<<` would have brought is not missing.
        let merges = document.problems.iter().filter(|problem| problem.message.starts_with("`<<`"));
        let merges = merges.filter_map(|problem| Some(problem.place.as_ref()?.span)).collect();
        self.diagnostics.extend(document.problems);
        let span = root.span;
        match root.kind {
            Kind::Map(entries) => Some(File { name: Arc::clone(&source.name), index, entries, merges }),
            Kind::Scalar { .. } | Kind::List(_) => {
                self.shared.calendars_may_lack = true;
                let message = format!(
                    "expected a mapping with the keys `timezone`, `calendars`, `defaults` and `jobs`, found {}",
                    root.describe()
                );
                self.diagnostics.push(Diagnostic::error("wrong-type", message).at(index.place(&source.name, span)));
                None
            }
        }
    }

    fn report(&mut self, file: &File<'_>, problems: Vec<Problem>) {
        for problem in problems {
            self.tell(file, problem, Severity::Error, None);
        }
    }

    /// Adds a problem, whose line is found only if it is kept.
    fn tell(&mut self, file: &File<'_>, problem: Problem, severity: Severity, job: Option<&str>) {
        let place = Some((&file.name, problem.span));
        self.diagnostics.count(severity, problem.more);
        if self.diagnostics.admits(severity, (problem.code, &problem.message), place) {
            self.diagnostics.keep(file.diagnostic(problem, severity, job));
        }
    }

    fn calendars(&mut self, file: &File<'_>) {
        let Some(entry) = file.entries.iter().find(|entry| entry.key == "calendars") else { return };
        let Some(entries) = entry.value.entries() else {
            self.shared.calendars_may_lack = true;
            self.report(file, vec![not_a_mapping(entry, "names with their dates")]);
            return;
        };
        for entry in entries {
            let name = entry.key.as_ref();
            let place = file.place(entry.key_span);
            if !is_calendar_name(name) {
                let problem = Problem::at(entry.key_span, "bad-name", format!("expected a calendar's name, found {}", quote(name)))
                    .hint(NAME_SYNTAX);
                self.report(file, vec![problem]);
            }
            if let Some(first) = self.shared.calendars.get(name) {
                let twice = Diagnostic::error("duplicate-calendar", format!("the calendar {} is named twice", quote(name)));
                self.diagnostics.push(
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
                self.report(file, problems.into_iter().map(|problem| problem.in_field(name)).collect());
                Vec::new()
            });
            let calendar: Arc<str> = Arc::from(name);
            let named = |(first, last)| DateRange { first, last, calendar: Some(Arc::clone(&calendar)) };
            let ranges: Vec<DateRange> = ranges.into_iter().map(named).collect();
            let dates = Arc::new(Dates::new(ranges.iter().cloned()));
            self.shared.calendars.insert(name.to_owned(), Calendar { ranges, dates, place });
        }
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
                    self.report(&file, problems.into_iter().map(|problem| problem.in_field("timezone")).collect());
                }
                "calendars" => {}
                // A home for YAML anchors.
                key if key.starts_with(PASSED_OVER) => {}
                "defaults" => self.defaults(&file, &entry, &mut wide),
                "jobs" => jobs = Some(entry),
                _ => self.report(&file, vec![unknown_top_level(&entry)]),
            }
        }
        if let Some(entry) = jobs {
            self.jobs(&file, entry, &mut wide);
        }
    }

    fn defaults(&mut self, file: &File<'_>, entry: &Entry<'_>, wide: &mut FileWide) {
        let Some(entries) = entry.value.entries() else {
            self.report(file, vec![not_a_mapping(entry, "fields of a job")]);
            return;
        };
        wide.span = Some(Span { start: entry.key_span.start, end: entry.value.span.end });
        let mut problems = fields::read(entries, &mut wide.defaults, &mut self.shared);
        problems.extend(combine(&mut wide.defaults, |_| false));
        problems.extend(super::combine::idle_defaults(&wide.defaults));
        self.report(file, problems);
    }

    fn jobs(&mut self, file: &File<'_>, entry: Entry<'_>, wide: &mut FileWide) {
        let Kind::Map(_) = &entry.value.kind else {
            self.report(file, vec![not_a_mapping(&entry, "names with their fields")]);
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
            self.diagnostics.push(file.diagnostic(problem, Severity::Error, Some(name)));
        }
    }

    fn job(&mut self, file: &File<'_>, entry: &Entry<'_>, wide: &mut FileWide) {
        self.jobs_named += 1;
        let place = file.place(entry.key_span);
        let key = entry.key_span;
        let name = entry.key.as_ref();
        let id = self.job_id(file, name, &place);
        let Some(entries) = entry.value.entries() else {
            let problem = if entry.value.is_null() {
                Problem::at(key, "no-value", format!("the job {} has no fields", quote(name)))
            } else {
                Problem::of(&entry.value, "wrong-type", format!("expected a mapping of fields, found {}", entry.value.describe()))
            };
            self.tell(file, problem, Severity::Error, Some(name));
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
            place,
            zone: zone.unwrap_or(TimeZone::UTC),
            settings: self.settings,
            no_dates: &self.no_dates,
            plain_robot: &self.plain_robot,
            retry: &self.retry,
        };
        let mut warnings = Vec::new();
        match resolve(&raw, &context) {
            Ok(job) if problems.is_empty() && zone_known && id.is_some() => {
                warnings = self.linter.warnings(&job, &raw);
                self.retry = Arc::clone(&job.policy.retry);
                let spans = WarningSpans::of(&job, &raw);
                let to = if wide.inherited(spans.to) { key } else { spans.to };
                match Chained::new(job, file.place(spans.trigger), || file.place(to)) {
                    Ok(chained) => _ = self.chained.entry(chained.id().clone()).or_insert(chained),
                    Err(job) => _ = self.jobs.entry(job.id.clone()).or_insert_with(|| Arc::new(*job)),
                }
            }
            Ok(_) => {}
            Err(more) => problems.extend(more),
        }
        if file.merges.iter().any(|merge| key.start <= merge.start && merge.end <= entry.value.span.end) {
            problems.retain(|problem| problem.code != "missing");
        }
        let errors = problems.into_iter().map(|problem| (Severity::Error, problem));
        for (severity, problem) in errors.chain(warnings.into_iter().map(|problem| (linter::severity(problem.code), problem))) {
            let (problem, job) = blamed(problem, wide, key, name);
            self.tell(file, problem, severity, job);
        }
    }

    /// The job's id, remembered with its place; nothing when it is not valid, which is reported.
    fn job_id(&mut self, file: &File<'_>, name: &str, place: &Place) -> Option<JobId> {
        let Some(id) = JobId::parse(name) else {
            self.report(file, vec![bad_job_id(name, place.span)]);
            return None;
        };
        match self.job_places.get(&id) {
            Some(first) => {
                let twice = Diagnostic::error("duplicate-job", format!("the job `{id}` is named twice")).at(place.clone());
                let twice = twice.job(id.as_str()).related(first.clone(), "first named here");
                self.diagnostics.push(twice.hint("a job's name is unique over all files"));
            }
            None => _ = self.job_places.insert(id.clone(), place.clone()),
        }
        Some(id)
    }

    fn finish(mut self, sources: &[Source]) -> Reading {
        let chained = std::mem::take(&mut self.chained);
        let some_lack = self.shared.calendars_may_lack;
        self.diagnostics.extend(link(chained, &mut self.jobs, &self.job_places, some_lack, &mut self.linter));
        self.diagnostics.extend(robots::shared_over_targets(self.jobs.values()));
        let all_off = !self.jobs.is_empty() && self.jobs.values().all(|job| !job.enabled);
        if !self.diagnostics.any_error() && (self.jobs.is_empty() || all_off) {
            let why = if all_off { "every job is switched off" } else { "no file has a job" };
            self.diagnostics.push(Diagnostic::warning("no-jobs", format!("{why}: nothing will go on air")));
        }
        let good = !self.diagnostics.any_error();
        let order: HashMap<&str, usize> = sources.iter().enumerate().map(|(at, source)| (source.name.as_ref(), at)).collect();
        let key = |diagnostic: &Diagnostic| {
            let place = diagnostic.place.as_ref();
            let file = place.and_then(|place| order.get(place.file.as_ref()).copied());
            (file, place.map(|place| place.span.start), diagnostic.code)
        };
        let counts = self.diagnostics.counts();
        let (mut diagnostics, more) = self.diagnostics.into_parts();
        diagnostics.sort_by_key(key);
        diagnostics.extend(more);
        let schedule = good.then(|| Schedule { jobs: self.jobs, settings: self.settings.clone() });
        Reading { schedule, diagnostics, counts, jobs: self.jobs_named }
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
