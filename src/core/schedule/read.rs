//! The walk through all files: first the calendars of all, then the jobs of each, by themselves, and last what must be unique over files.
//! Files may be read side by side. Collects every problem with its place. Refuses to know how a single value is read.

mod calendars;
mod file;
mod keys;
mod one_file;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use super::chains::{Chained, link};
use super::job::{Job, JobId, RobotTemplate};
use super::linter::Linter;
use super::shared::Calendars;
use super::{Reading, Schedule, Settings, Source, robots};
use crate::calendar::Dates;
use crate::diagnostic::{Collected, Diagnostic, Place};
pub use calendars::may_have_calendars;
pub use file::{Parsed, parse};
pub use one_file::FileReader;

/// Reads all sources at once. Returns the problems of all files, in the order of the files and of their lines: at most
/// 200 of each severity, and last how many more there are.
///
/// `zones` finds time zones; `now` decides what has passed and which clock changes are near, and nothing else.
pub fn read(sources: &[Source], settings: &Settings, zones: &TimeZoneDatabase, now: Timestamp) -> Reading {
    let early = sources.iter().enumerate().filter(|(_, source)| may_have_calendars(source));
    let files =
        Files::new(Vec::new(), (sources, early.map(|(number, source)| (number, parse(source))).collect()), settings, zones, now);
    let mut all = AllJobs::default();
    let mut reader = files.reader();
    (0..sources.len()).for_each(|number| all.add(reader.read(number)));
    files.finish(all)
}

/// All sources, when the calendars are known and the jobs are not.
pub struct Files<'r> {
    sources: &'r [Source],
    /// What was parsed for the sake of calendars, until its jobs are read.
    parsed: Vec<Mutex<Option<Parsed<'r>>>>,
    settings: &'r Settings,
    zones: &'r TimeZoneDatabase,
    now: Timestamp,
    calendars: Calendars,
    /// No exceptions, kept once.
    no_dates: Arc<Dates>,
    plain_robot: RobotTemplate,
    /// The problems so far.
    diagnostics: Collected,
}

impl<'r> Files<'r> {
    /// Reads the calendars. `parsed` are those of the sources that [`may_have_calendars`], each with its number. Of other files it is known that
    /// they could not be loaded: `problems` says why, and comes first in the answer.
    pub fn new(
        problems: Vec<Diagnostic>,
        (sources, parsed): (&'r [Source], Vec<(usize, Parsed<'r>)>),
        settings: &'r Settings,
        zones: &'r TimeZoneDatabase,
        now: Timestamp,
    ) -> Files<'r> {
        let mut diagnostics = Collected::default();
        diagnostics.extend(problems);
        let mut calendars = Calendars { may_lack: diagnostics.any_error(), ..Calendars::default() };
        let kept: Vec<_> = sources.iter().map(|_| Mutex::new(None)).collect();
        for (number, parsed) in parsed {
            calendars.read(&parsed, &mut diagnostics);
            *kept[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(parsed);
        }
        let (no_dates, plain_robot) = (Arc::default(), RobotTemplate::new("{job}"));
        Files { sources, parsed: kept, settings, zones, now, calendars, no_dates, plain_robot, diagnostics }
    }

    /// A reader of the jobs of one file after the other.
    pub fn reader(&self) -> FileReader<'_, 'r> {
        FileReader::new(self)
    }

    fn take_parsed(&self, number: usize) -> Option<Parsed<'r>> {
        self.parsed[number].lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn linter(&self) -> Linter {
        Linter::new(self.now, self.settings.site)
    }

    /// What all files come to, once the jobs of each were added in their order.
    pub fn finish(mut self, all: AllJobs) -> Reading {
        let some_lack = self.calendars.may_lack || all.some_lack;
        let AllJobs { mut jobs, chained, bad, named, first, diagnostics, some_lack: _ } = all;
        self.diagnostics.append(first);
        self.diagnostics.append(diagnostics);
        let mut linter = self.linter();
        self.diagnostics.extend(link(chained, &mut jobs, &bad, some_lack, &mut linter));
        self.diagnostics.extend(robots::shared_over_targets(jobs.values()));
        let all_off = !jobs.is_empty() && jobs.values().all(|job| !job.enabled);
        if !self.diagnostics.any_error() && (jobs.is_empty() || all_off) {
            let why = if all_off { "every job is switched off" } else { "no file has a job" };
            self.diagnostics.push(Diagnostic::warning("no-jobs", format!("{why}: nothing will go on air")));
        }
        let good = !self.diagnostics.any_error();
        let order: HashMap<&str, usize> = self.sources.iter().enumerate().map(|(at, source)| (source.name.as_ref(), at)).collect();
        let key = |diagnostic: &Diagnostic| {
            let place = diagnostic.place.as_ref();
            let file = place.and_then(|place| order.get(place.file.as_ref()).copied());
            (file, place.map(|place| place.span.start), diagnostic.code)
        };
        let counts = self.diagnostics.counts();
        let (mut diagnostics, more) = self.diagnostics.into_parts();
        diagnostics.sort_by_key(key);
        diagnostics.extend(more);
        let schedule = good.then(|| Schedule { jobs, settings: self.settings.clone() });
        Reading { schedule, diagnostics, counts, jobs: named }
    }
}

/// What one file has.
#[derive(Default)]
pub struct FileJobs {
    /// Its jobs with good names, in their order.
    jobs: Vec<FoundJob>,
    /// How many it names.
    named: usize,
    /// What is wrong with its YAML.
    syntax: Vec<Diagnostic>,
    diagnostics: Collected,
    /// Whether it is known which jobs it has.
    is_whole: bool,
}

/// A job that a file names.
enum FoundJob {
    /// Nothing is wrong with it.
    Good(Arc<Job>),
    /// Nothing is wrong with it, as far as is known without the job that it follows.
    Chained(Box<Chained>),
    /// Something is wrong with it. Its name is taken.
    Bad(Box<(JobId, Place)>),
}

impl FoundJob {
    fn name(&self) -> (&JobId, &Place) {
        match self {
            FoundJob::Good(job) => (&job.id, &job.place),
            FoundJob::Chained(chained) => chained.name(),
            FoundJob::Bad(bad) => (&bad.0, &bad.1),
        }
    }
}

/// What the files have that were added so far.
#[derive(Default)]
pub struct AllJobs {
    jobs: BTreeMap<JobId, Arc<Job>>,
    /// Those that follow others, until these are known.
    chained: BTreeMap<JobId, Chained>,
    bad: BTreeMap<JobId, Place>,
    named: usize,
    /// What is wrong with YAML, and which names are there twice: told before what is wrong with jobs, of which there may be very many.
    first: Collected,
    diagnostics: Collected,
    /// Of some files it is not known which jobs they have.
    some_lack: bool,
}

impl AllJobs {
    /// Adds what the next file has.
    pub fn add(&mut self, file: FileJobs) {
        let FileJobs { jobs, named, syntax, diagnostics, is_whole } = file;
        self.first.extend(syntax);
        self.named += named;
        self.some_lack |= !is_whole;
        self.diagnostics.append(diagnostics);
        for job in jobs {
            self.insert(job);
        }
    }

    fn insert(&mut self, new: FoundJob) {
        let (id, place) = new.name();
        let of_chained = || self.chained.get(id).map(|chained| chained.name().1);
        let first = match (of_chained().or_else(|| self.bad.get(id)), self.jobs.entry(id.clone())) {
            (Some(first), _) => first.clone(),
            (None, Entry::Occupied(first)) => first.get().place.clone(),
            (None, Entry::Vacant(free)) => {
                match new {
                    FoundJob::Good(job) => _ = free.insert(job),
                    FoundJob::Chained(chained) => _ = self.chained.insert(chained.name().0.clone(), *chained),
                    FoundJob::Bad(bad) => _ = self.bad.insert(bad.0, bad.1),
                }
                return;
            }
        };
        let twice = Diagnostic::error("duplicate-job", format!("the job `{id}` is named twice")).at(place.clone());
        let twice = twice.job(id.as_str()).related(first, "first named here");
        self.first.push(twice.hint("a job's name is unique over all files"));
    }
}
