//! What an edit takes away from the schedule files: a file that became smaller may be half copied, and one that lost all its jobs may
//! have been emptied by accident. Compares with the last accepted text. Does not know when the files changed, and does not read them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::schedule::difference::Difference;
use crate::schedule::{Schedule, Source};

/// The most files that are named in one message.
const FILES_NAMED_MAX: usize = 5;

/// A file that is smaller than its accepted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Smaller {
    pub(super) name: Arc<str>,
    /// How much smaller, in words.
    pub(super) how: String,
}

/// How many jobs each file has.
fn jobs_of(schedule: &Schedule) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for job in schedule.jobs() {
        *counts.entry(job.place.file.as_ref()).or_default() += 1;
    }
    counts
}

/// The files that are smaller than what was accepted, in bytes or in jobs, or are not there. Without a schedule only bytes can be
/// compared. A file that is gone counts only where one of its jobs is: it may have another name now.
pub(super) fn smaller((accepted, before): (&[Source], &Schedule), (new, after): (&[Source], Option<&Schedule>)) -> Vec<Smaller> {
    let texts: BTreeMap<&str, &str> = new.iter().map(|source| (source.name.as_ref(), source.text.as_str())).collect();
    let (jobs_before, jobs_after) = (jobs_of(before), after.map(jobs_of));
    let count = |jobs: &BTreeMap<&str, usize>, name: &str| jobs.get(name).copied().unwrap_or(0);
    let lost_jobs = |name: &str| {
        let lost =
            |after: &Schedule| before.jobs().any(|job| job.place.file.as_ref() == name && after.job(job.id.as_str()).is_none());
        after.is_none_or(lost)
    };
    let how = |source: &Source| {
        let name = source.name.as_ref();
        let (bytes, jobs) = (source.text.len(), count(&jobs_before, name));
        let before = size(bytes, Some(jobs));
        let Some(text) = texts.get(name) else {
            return lost_jobs(name).then(|| format!("is not there any more, or cannot be read; it had {before}"));
        };
        let jobs_now = jobs_after.as_ref().map(|jobs| count(jobs, name));
        let is_smaller = text.len() < bytes || jobs_now.is_some_and(|now| now < jobs);
        is_smaller.then(|| format!("is smaller than what is in force ({}, not {before})", size(text.len(), jobs_now)))
    };
    let all = accepted.iter().filter_map(|source| how(source).map(|how| Smaller { name: Arc::clone(&source.name), how }));
    all.collect()
}

/// A size in words. Of a text that is no schedule nobody knows how many jobs it has.
fn size(bytes: usize, jobs: Option<usize>) -> String {
    match jobs {
        Some(1) => format!("{bytes} bytes with 1 job"),
        Some(jobs) => format!("{bytes} bytes with {jobs} jobs"),
        None => format!("{bytes} bytes"),
    }
}

/// Why a schedule is not accepted before an operator confirms it, if it looks like an accident: it drops most jobs, or a file that
/// had jobs is there and has none.
pub(super) fn accident(before: &Schedule, after: &Schedule, new: &[Source], difference: &Difference) -> Option<String> {
    let (removed, of) = (difference.removed.len(), before.len());
    if difference.drops_too_much(of) {
        return Some(format!("this schedule would drop {removed} of {of} jobs"));
    }
    let jobs_after = jobs_of(after);
    let lost = |name: &str| {
        let mut jobs = before.jobs().filter(|job| job.place.file.as_ref() == name);
        jobs.any(|job| after.job(job.id.as_str()).is_none())
    };
    let is_there = |name: &str| new.iter().any(|source| source.name.as_ref() == name);
    let emptied: Vec<_> = jobs_of(before)
        .into_iter()
        .filter(|(name, _)| is_there(name) && !jobs_after.contains_key(name) && lost(name))
        .map(|(name, count)| format!("`{name}` had {count} job{} and has none now", if count == 1 { "" } else { "s" }))
        .collect();
    (!emptied.is_empty()).then(|| few(&emptied, "files like this"))
}

/// The first of them in one line, and how many more there are.
pub(super) fn few(all: &[String], of: &str) -> String {
    let more = all.len().saturating_sub(FILES_NAMED_MAX);
    let shown = all.iter().take(FILES_NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{shown}; and {more} more {of}") } else { shown }
}
