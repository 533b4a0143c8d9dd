//! Whether the running daemon refused its schedule files when it read them last, for the verbs that go by the files. Does not know what is
//! wrong with them, and what was edited since.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;

use super::ask::{self, Silence};
use super::load::warn;
use crate::config::Settings;
use crate::schedule::difference::is_too_much;

/// How long the daemon may take to say it: whoever looks at a plan waits no longer. It waits 2 s for its ledger.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(3);

/// What is read of a status.
#[derive(Deserialize)]
struct Status {
    generation: i64,
    schedule: ScheduleInForce,
}

#[derive(Deserialize)]
struct ScheduleInForce {
    jobs: Option<usize>,
    rejected: Option<Vec<Problem>>,
}

#[derive(Deserialize)]
struct Problem {
    severity: String,
    message: String,
}

/// Warns, if a daemon runs that refused its files when it read them last. Without a daemon, or without its answer, nothing is said.
pub(super) fn tell_of_files(settings: &Settings) {
    let _is_told = status(settings).is_some_and(|status| tell_rejected(&status));
}

/// The same; and warns of good files with so few jobs that the next reload will be held, whatever their names.
pub(super) fn tell_before_reload(settings: &Settings, jobs: usize) {
    let Some(status) = status(settings) else { return };
    let before = status.schedule.jobs.unwrap_or_default();
    if !tell_rejected(&status) && is_too_much(before.saturating_sub(jobs), before) {
        warn(&format!(
            "the daemon plays {before} jobs, and these files have {jobs}: a reload holds them until `ingestd reload --force`"
        ));
    }
}

/// True: there was something to tell.
fn tell_rejected(Status { generation, schedule }: &Status) -> bool {
    let Some(problems) = &schedule.rejected else { return false };
    let first = problems.iter().find(|problem| problem.severity == "error").or(problems.first());
    let why = first.map(|problem| format!(" ({})", problem.message)).unwrap_or_default();
    warn(&format!(
        "the daemon refused its schedule files when it read them last{why}: it plays generation {generation}; `ingestd status` says more, \
         and `ingestd reload` has it read them again"
    ));
    true
}

fn status(settings: &Settings) -> Option<Status> {
    let question = || ask::question("/api/v1/status?format=json");
    let answer = match (ask::over_control(settings, question(), ANSWER_TIME_MAX), settings.listen) {
        (Ok(answer), _) => answer,
        (Err(none), Some(page)) if none.silence == Silence::NotAsked => ask::at_page(page, question(), ANSWER_TIME_MAX).ok()?,
        (Err(_), _) => return None,
    };
    let is_good = answer.status == StatusCode::OK;
    serde_json::from_slice(&answer.body).ok().filter(|_| is_good)
}
