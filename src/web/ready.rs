//! The answer of `/readyz`: whether shows can be put on air by the schedule that was written last. It asks neither the loop nor the disk,
//! and so never waits. Does not repeat what is in files: everybody who reaches the listener may read it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::AppState;
use crate::engine::{LoopStatus, OFFSET_MAX};
use crate::host::Role;
use crate::metrics::EndpointSeen;

/// So many requests in a row that are not answered make an endpoint that does not answer. One of them may be an accident.
const FAILURES_MAX: u32 = 3;

/// What a request of longer ago showed is not known any more.
const SEEN_FOR: SignedDuration = SignedDuration::from_mins(10);

/// What is looked at, and what is found.
struct Check {
    name: &'static str,
    is_good: bool,
    says: String,
}

fn good(name: &'static str, says: impl Into<String>) -> Check {
    Check { name, is_good: true, says: says.into() }
}

fn bad(name: &'static str, says: impl Into<String>) -> Check {
    Check { name, is_good: false, says: says.into() }
}

/// What is known of the endpoint now.
fn seen(app_state: &AppState, now: Timestamp) -> EndpointSeen {
    let mut seen = app_state.metrics.endpoint();
    if seen.last_at.is_none_or(|at| now.duration_since(at).abs() >= SEEN_FOR) {
        (seen.failures, seen.offset) = (0, None);
    }
    seen
}

/// How the loop stands, with what any request showed of the clock: also one that was no start, stop or describe of a task.
pub(super) fn loop_status(app_state: &AppState, now: Timestamp) -> LoopStatus {
    let status = app_state.status.borrow().clone();
    let offset = seen(app_state, now).offset.filter(|offset| offset.abs() > OFFSET_MAX);
    let offset_ms = offset.and_then(|offset| i64::try_from(offset.as_millis()).ok()).or(status.offset_ms);
    let host = app_state.host.as_ref().map(|host| Arc::new(host.borrow().clone()));
    LoopStatus { host, offset_ms, require_sync: app_state.require_sync, ..status }
}

/// Returns whether everything is good, and a text with a line for each thing that was looked at.
pub(super) fn report(app_state: &AppState, now: Timestamp) -> (bool, String) {
    let seen = seen(app_state, now);
    let checks = [schedule(app_state), clock(app_state, now), ledger(app_state), turns(app_state), endpoint(&seen, now)];
    let checks: Vec<Check> = role(app_state).into_iter().chain(checks).collect();
    let is_ready = checks.iter().all(|check| check.is_good);
    let mut text = if is_ready { "ready\n".to_owned() } else { "not ready\n".to_owned() };
    for Check { name, is_good, says } in checks {
        let verdict = if is_good { "good" } else { "bad" };
        text.extend([name, ": ", verdict, ": ", &says, "\n"]);
    }
    (is_ready, text)
}

/// Of hosts that share a ledger only the owner is ready: so a balancer finds it.
fn role(app_state: &AppState) -> Option<Check> {
    let host = app_state.host.as_ref()?.borrow().clone();
    Some(match host.role {
        Role::Owner => good("role", host.line()),
        Role::Standby => bad("role", host.line()),
    })
}

fn schedule(app_state: &AppState) -> Check {
    let in_force = app_state.in_force.borrow();
    let number = in_force.generation.number;
    if !in_force.rejected.is_empty() {
        return bad(
            "schedule",
            format!("the schedule files were rejected, so generation {number} stays in force (`ingestd status`)"),
        );
    }
    match in_force.generation.schedule.len() {
        0 => good("schedule", format!("generation {number} is in force, and has no job")),
        _ => good("schedule", format!("generation {number} is in force")),
    }
}

fn clock(app_state: &AppState, now: Timestamp) -> Check {
    let status = loop_status(app_state, now);
    if let Some(why) = &status.held {
        return bad("clock", format!("starts are held: {why}"));
    }
    if let Some(why) = status.clock_trouble() {
        return bad("clock", why);
    }
    match status.synchronised {
        Some(true) => good("clock", "it is synchronised"),
        Some(false) => good("clock", "it is not synchronised, and `require_sync` is false"),
        None => good("clock", "nobody says whether it is synchronised"),
    }
}

fn ledger(app_state: &AppState) -> Check {
    match (&app_state.status.borrow().disk, app_state.busy.disk.stands()) {
        (Some(_), _) => bad("ledger", "it cannot be written, so nothing is started (`ingestd status`)"),
        (None, Some(time)) => bad("ledger", format!("its disk has not answered for {} s", time.as_secs())),
        (None, None) => good("ledger", "it can be written"),
    }
}

fn turns(app_state: &AppState) -> Check {
    match app_state.busy.turn.stands() {
        Some(time) => bad("loop", format!("it has been busy with one turn for {} s", time.as_secs())),
        None => good("loop", "it turns"),
    }
}

fn endpoint(seen: &EndpointSeen, now: Timestamp) -> Check {
    let Some(last_at) = seen.last_at else { return good("endpoint", "it has not been asked yet") };
    let ago = now.duration_since(last_at);
    match seen.failures {
        _ if ago.abs() >= SEEN_FOR => good("endpoint", format!("it was last asked {} minutes ago", ago.as_mins())),
        0 => good("endpoint", "it answers"),
        failures if failures < FAILURES_MAX => good("endpoint", "it did not answer the newest request"),
        failures => bad("endpoint", format!("it did not answer the last {failures} requests")),
    }
}
