//! From the text of schedule files to a [`Schedule`]: raw YAML is read leniently, judged strictly, and only what is valid gets
//! out. Refuses to know files, clocks and the API.

mod chains;
mod combine;
pub mod difference;
mod fields;
mod job;
mod linter;
mod moments;
mod names;
mod options;
pub mod places;
mod policy;
pub mod problem;
mod raw;
mod read;
pub mod reference;
mod resolve;
mod retry;
mod robots;
pub mod schema;
mod shared;
mod stream_template;
mod table;
mod unknown_job;
pub mod value_kind;
pub mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;

pub use job::{App, EndRule, Job, JobId, RobotTemplate};
pub use policy::{Conflict, Late, OPEN_START_WITHIN, OnRemove, Policy, RetryPolicy};
pub use read::{AllJobs, FileJobs, FileReader, Files, Parsed, may_have_calendars, parse, read};
pub use shared::zone_named;
pub use stream_template::StreamTemplate;

use crate::diagnostic::{Counts, Diagnostic};
use crate::trtc::Site;
pub use crate::trtc::StreamUrl;

/// A schedule file: its name, as messages show it, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name.
    pub name: Arc<str>,
    /// The text.
    pub text: String,
}

/// What the daemon's settings give a schedule: the applications and the default region.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Applications by name with their `SdkAppId`; `None` when no settings were at hand.
    pub apps: Option<BTreeMap<Arc<str>, u64>>,
    /// The account's region.
    pub region: Option<Arc<str>>,
    /// The names of the secrets that streams may refer to; `None` when no settings were at hand.
    pub secrets: Option<BTreeSet<Arc<str>>>,
    /// The vendor's site that the settings ask; `None`: none were at hand, or the endpoint is a rehearsal's.
    pub site: Option<Site>,
}

/// What came of reading all sources.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The schedule; present exactly when there is no error.
    pub schedule: Option<Schedule>,
    /// The problems, in the order of the sources and of their lines: at most 200 of each severity, and last how many more there are.
    pub diagnostics: Vec<Diagnostic>,
    /// How many problems there are, told or not.
    pub counts: Counts,
    /// How many jobs the sources name, good or not.
    pub jobs: usize,
}

/// The validated, immutable whole of all sources.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    jobs: BTreeMap<JobId, Arc<Job>>,
    settings: Settings,
}

impl Schedule {
    /// The jobs, by id.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs.values()
    }

    /// The job of that id.
    pub fn job(&self, id: &str) -> Option<&Arc<Job>> {
        self.jobs.get(id)
    }

    /// The applications of the settings: name, `SdkAppId` and the account's region. None where no region is known.
    pub fn apps(&self) -> impl Iterator<Item = (&str, u64, &str)> {
        let apps = self.settings.apps.iter().flatten();
        let region = self.settings.region.as_deref();
        apps.filter_map(move |(name, sdk_app_id)| Some((name.as_ref(), *sdk_app_id, region?)))
    }

    /// The zone of most jobs; of two that as many jobs have, that of the first job by id. In it are bare dates, and the times that we
    /// show. UTC without a job.
    pub fn zone(&self) -> TimeZone {
        let mut counts: Vec<(&TimeZone, usize)> = Vec::new();
        let mut places: HashMap<Option<&str>, usize> = HashMap::new();
        for zone in self.jobs.values().map(|job| &job.when.zone) {
            let place = *places.entry(zone.iana_name()).or_insert(counts.len());
            match counts.get_mut(place) {
                Some((_, count)) => *count += 1,
                None => counts.push((zone, 1)),
            }
        }
        let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
        most.map_or(TimeZone::UTC, |(zone, _)| zone.clone())
    }

    /// How many jobs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether it has no job.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}
