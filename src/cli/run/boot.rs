//! Which schedule a daemon begins with: the folder's if it is good, the last accepted one if not, or if the folder's looks like an
//! accident. What a restart finds is judged as a reload judges it. Does not know what is under way.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use super::agreement::of_this_host;
use super::folder_snapshot::stamp;
use super::reload::{CHANGES_SHOWN_MAX, first_lines, held, not_taken, resting, summary};
use super::rest::Rests;
use super::shrinkage::{accident, smaller};
use crate::cli::load;
use crate::cli::{Context, Exit, Failure};
use crate::config::Settings;
use crate::diagnostic::Diagnostic;
use crate::engine::{Generation, Meta, PastGeneration};
use crate::ledger::sources::{self, Sources};
use crate::schedule::difference::Difference;
use crate::schedule::{self, Schedule, Source};

/// The schedule that is in force, and what is wrong with the one in the folder if that is another.
pub(super) struct AcceptedSchedule {
    pub(super) generation: Generation,
    pub(super) since: Option<Timestamp>,
    /// What it was read from.
    pub(super) sources: Vec<Source>,
    pub(super) rejected: Vec<Diagnostic>,
    /// The first errors of that as `check` draws them.
    pub(super) drawn: Arc<str>,
    /// Whether the folder is to be read again although it does not change.
    pub(super) reads_again: bool,
}

/// A generation whose sources are kept, and still make a schedule.
struct Kept {
    number: i64,
    sources: Vec<Source>,
    schedule: Schedule,
}

/// Where schedules come from, and by what they are read.
pub(super) struct Boot<'a> {
    pub(super) context: &'a Context,
    pub(super) settings: &'a Settings,
    pub(super) zones: &'a TimeZoneDatabase,
    /// Where sources are kept.
    pub(super) kept_in: &'a Sources,
    /// What the ledger remembers.
    pub(super) meta: &'a Meta,
    pub(super) now: Timestamp,
    /// Whether what is accepted stays in force, whatever is in the folder: the host takes over from another.
    pub(super) keeps: bool,
}

impl Boot<'_> {
    /// The schedule to begin with. Error: exit 78, where the folder's is bad and no other is kept.
    pub(super) fn accept(&self) -> Result<AcceptedSchedule, Failure> {
        let kept = self.newest_kept();
        if self.keeps
            && let Some(kept) = kept
        {
            return Ok(self.go_on_with(kept, Vec::new(), &[]));
        }
        let loaded = load::read_playable(self.settings, self.zones, self.now);
        let new: Vec<Source> =
            loaded.texts.iter().map(|(name, text)| Source { name: Arc::clone(name), text: text.clone() }).collect();
        let Some(Kept { number, sources, schedule }) = kept else {
            // Errors and warnings are printed as `check` prints them.
            let schedule = loaded.accept(self.context)?.ok_or(Failure::Explained(Exit::Configuration))?;
            return Ok(self.begin_with(new, schedule));
        };
        let rejected = match &loaded.value {
            None => {
                load::log_problems(&loaded.diagnostics);
                tracing::error!(generation = number, "the schedule was rejected; the last good one stays in force");
                loaded.diagnostics
            }
            Some(_) if sources::same(&new, &sources) => {
                let schedule = loaded.accept(self.context)?.ok_or(Failure::Explained(Exit::Configuration))?;
                return Ok(self.go_on_with(Kept { number, sources: new, schedule }, Vec::new(), &[]));
            }
            Some(after) => {
                let difference = Difference::between(&schedule, after);
                let smaller = smaller((&sources, &schedule), (&new, Some(after)));
                let folder = stamp(&self.settings.schedules);
                if let Some(unrested) = Rests::new(&self.settings.schedules, false).unrested(&smaller, folder) {
                    tracing::warn!("{}; until then the last accepted schedule stays in force", resting(&unrested));
                    let kept = self.go_on_with(Kept { number, sources, schedule }, Vec::new(), &[]);
                    return Ok(AcceptedSchedule { reads_again: true, ..kept });
                }
                if let Some(why) = accident(&schedule, after, &new, &difference) {
                    tracing::error!("{why}: held until `ingestd reload --force`");
                    vec![held(&self.settings.schedules, &why)]
                } else {
                    let after = loaded.accept(self.context)?.ok_or(Failure::Explained(Exit::Configuration))?;
                    let next = self.next_number();
                    match self.kept_in.save(next, &new) {
                        Ok(()) => {
                            let accepted = self.begin(next, new, after);
                            log_changes(number, &accepted.generation, &difference);
                            return Ok(accepted);
                        }
                        Err(error) => {
                            let why = cannot_keep(&error);
                            tracing::error!("{why}; the last accepted schedule stays in force");
                            let rejected = vec![not_taken(&self.settings.schedules, &why)];
                            let kept = self.go_on_with(Kept { number, sources, schedule }, rejected, &[]);
                            return Ok(AcceptedSchedule { reads_again: true, ..kept });
                        }
                    }
                }
            }
        };
        Ok(self.go_on_with(Kept { number, sources, schedule }, rejected, &new))
    }

    /// The number of a new generation: numbers only grow.
    fn next_number(&self) -> i64 {
        let newest = self.kept_in.numbers().first().copied().unwrap_or(0);
        self.kept_in.next_number(self.meta.generation.max(self.meta.cursor_generation).max(newest))
    }

    /// Begins a new generation, whose sources are kept.
    fn begin(&self, number: i64, sources: Vec<Source>, schedule: Schedule) -> AcceptedSchedule {
        let generation = Generation { number, schedule: Arc::new(schedule) };
        AcceptedSchedule {
            generation,
            since: Some(self.now),
            sources,
            rejected: Vec::new(),
            drawn: Arc::default(),
            reads_again: false,
        }
    }

    /// The same where there is no other schedule to play: a disk that is full must not keep the daemon down. If its sources cannot be
    /// kept, the next daemon does not know it.
    fn begin_with(&self, sources: Vec<Source>, schedule: Schedule) -> AcceptedSchedule {
        let accepted = self.begin(self.next_number(), sources, schedule);
        if let Err(error) = self.kept_in.save(accepted.generation.number, &accepted.sources) {
            tracing::error!("{}; it is in force all the same", cannot_keep(&error));
        }
        accepted
    }

    /// Goes on with a generation that was in force before, and what was `read` is rejected. If it is not the last one, it is accepted anew.
    fn go_on_with(&self, kept: Kept, rejected: Vec<Diagnostic>, read: &[Source]) -> AcceptedSchedule {
        let Kept { number, sources, schedule } = kept;
        let drawn = load::drawn(&rejected, read);
        if number == self.meta.generation {
            let generation = Generation { number, schedule: Arc::new(schedule) };
            return AcceptedSchedule { generation, since: self.meta.accepted_at, sources, rejected, drawn, reads_again: false };
        }
        let accepted = self.begin_with(sources, schedule);
        tracing::warn!(generation = accepted.generation.number, "generation {number} is in force again");
        AcceptedSchedule { rejected, drawn, ..accepted }
    }

    /// The generation that was accepted last, or the newest older one whose sources can be read and still make a schedule.
    fn newest_kept(&self) -> Option<Kept> {
        let last = self.meta.generation;
        let older = self.kept_in.numbers().into_iter().filter(|number| *number < last);
        (last > 0).then_some(last).into_iter().chain(older).find_map(|number| self.kept(number, true))
    }

    /// The kept sources of a generation and their schedule. What cannot be read is as if it were not there, and `is_told`.
    fn kept(&self, number: i64, is_told: bool) -> Option<Kept> {
        let sources = match self.kept_in.load(number) {
            // Another host may have kept them, whose folder has another path.
            Ok(sources) if self.settings.ledger.is_some() => of_this_host(sources?, &self.settings.schedules),
            Ok(sources) => sources?,
            Err(error) => {
                if is_told {
                    tracing::error!("{error}: the schedule of generation {number} counts as not kept");
                }
                return None;
            }
        };
        let reading = schedule::read(&sources, &self.settings.for_schedule(), self.zones, self.now);
        if is_told && reading.schedule.is_none() {
            tracing::error!(
                "the kept sources of generation {number} make no schedule under these settings: they count as not kept"
            );
        }
        reading.schedule.map(|schedule| Kept { number, sources, schedule })
    }

    /// The schedules that were in force since the ledger's cursor, as far as their sources were kept: a daemon that ended before
    /// everything under one had an outcome may have accepted another.
    pub(super) fn former(&self) -> Vec<PastGeneration> {
        let Meta { generation, cursor_generation, accepted_at, .. } = *self.meta;
        let mut periods = vec![(generation, self.now)];
        if cursor_generation != generation {
            periods.insert(0, (cursor_generation, accepted_at.unwrap_or(self.now)));
        }
        let past = |(number, until)| {
            // What is wrong with the last one is told where it is looked for first.
            let schedule = Arc::new(self.kept(number, number != generation)?.schedule);
            Some(PastGeneration { generation: Generation { number, schedule }, until })
        };
        periods.into_iter().filter_map(past).collect()
    }
}

fn cannot_keep(error: &std::io::Error) -> String {
    format!("cannot keep the schedule's sources: {error}")
}

/// Says what changed while nobody was there.
fn log_changes(before: i64, generation: &Generation, difference: &Difference) {
    tracing::info!("{} since generation {before}", summary(generation, difference));
    for change in first_lines(&difference.lines(), CHANGES_SHOWN_MAX) {
        tracing::info!(generation = generation.number, "{change}");
    }
}
