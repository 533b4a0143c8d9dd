//! Names of jobs and calendars as operators write them. Refuses to know which names there are.

use std::borrow::Cow;

use super::job::JobId;
use super::problem::{Problem, quote};
use super::values;
use crate::diagnostic::{Span, needs_escape};
use crate::yaml::Node;

/// The alphabet of names, for messages.
pub(super) const NAME_SYNTAX: &str = "a name begins with a letter and is up to 32 of `a-z`, `0-9`, `_` and `-`";

/// The name of another job.
pub(super) fn of_job(node: &Node<'_>) -> Result<JobId, Problem> {
    let name = values::text(node, "a job's name")?;
    JobId::parse(name).ok_or_else(|| {
        let problem = Problem::of(node, "bad-name", format!("expected a job's name, found {}", quote(name)));
        problem.hint("write the name of one job, as it stands under `jobs`")
    })
}

/// What is wrong with the name of a job, at its key.
pub(super) fn bad_job_id(name: &str, key: Span) -> Problem {
    let fixed: Cow<'_, str> = name.trim().to_lowercase().replace(needs_escape, "").replace([' ', '.', '/'], "-").into();
    let hint = match JobId::parse(&fixed) {
        Some(id) => format!("write `{id}`"),
        None => "a job's name is up to 32 of `a-z`, `0-9`, `_` and `-`, and begins with a letter or a digit".to_owned(),
    };
    Problem::at(key, "bad-name", format!("expected a job's name, found {}", quote(name))).hint(hint)
}

/// Whether a calendar may be named so.
pub(super) fn is_calendar_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase()) && JobId::parse(name).is_some()
}
