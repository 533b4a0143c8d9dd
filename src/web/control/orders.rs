//! The bodies of the orders that the daemon's loop obeys: JSON to commands. Does not know how they are obeyed.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::super::query::clip;
use super::{ControlRequest, parse};
use crate::diagnostic::needs_escape;
use crate::engine::{Command, FireOrder, StopTarget};
use crate::schedule::JobId;
use crate::schedule::values::parse_duration;
use crate::trtc::Room;

/// The longest note, in bytes.
pub(crate) const NOTE_BYTES_MAX: usize = 500;

/// The body of `/v1/stop`: exactly one of them; with `task` also the name of its application, which need only be there where nobody
/// here knows the task.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StopBody {
    job: Option<String>,
    task: Option<String>,
    app: Option<String>,
    all: Option<bool>,
    note: Option<String>,
}

/// The body of `/v1/skip`: without `at` the next start of the job.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkipBody {
    job: Option<String>,
    at: Option<String>,
    note: Option<String>,
}

/// The body of `/v1/pause`: without `job` every job; `for` or `indefinite`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseBody {
    job: Option<String>,
    #[serde(rename = "for")]
    length: Option<String>,
    indefinite: Option<bool>,
    note: Option<String>,
}

/// The body of `/v1/resume`: without `job` the pause of every job; with `at` the skip of that start.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeBody {
    job: Option<String>,
    at: Option<String>,
    note: Option<String>,
}

/// The body of `/v1/fire`: a room is a number or a text, as in a schedule.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FireBody {
    job: Option<String>,
    #[serde(rename = "for")]
    length: Option<String>,
    room: Option<RoomBody>,
    #[serde(default)]
    preempt: bool,
    note: Option<String>,
}

/// An integer room and a string room of the same digits are two rooms.
#[derive(Deserialize)]
#[serde(untagged)]
enum RoomBody {
    Integer(u64),
    Text(String),
}

pub(super) fn stop(body: &[u8]) -> Result<ControlRequest, String> {
    let body: StopBody = parse(body)?;
    let note = note(body.note.clone())?;
    Ok(ControlRequest::Command(Command::Stop(stop_target(body)?), note))
}

pub(super) fn skip(body: &[u8]) -> Result<ControlRequest, String> {
    let SkipBody { job, at, note: why } = parse(body)?;
    let job = job.ok_or_else(|| {
        "expected which job to skip: `{\"job\": ID}`, and `\"at\": START` for another start than its next".to_owned()
    })?;
    Ok(ControlRequest::Command(Command::Skip { job: job_id(&job)?, start: at.map(instant).transpose()? }, note(why)?))
}

pub(super) fn pause(body: &[u8]) -> Result<ControlRequest, String> {
    let PauseBody { job, length, indefinite, note: why } = parse(body)?;
    let length = match (length, indefinite) {
        (Some(length), None | Some(false)) => Some(length_of(&length)?),
        (None, Some(true)) => None,
        _ => return Err("expected how long: `{\"for\": \"2h\"}`, or `{\"indefinite\": true}`".to_owned()),
    };
    let job = job.map(|job| job_id(&job)).transpose()?;
    Ok(ControlRequest::Command(Command::Pause { job, length }, note(why)?))
}

pub(super) fn resume(body: &[u8]) -> Result<ControlRequest, String> {
    let ResumeBody { job, at, note: why } = parse(body)?;
    if job.is_none() && at.is_some() {
        return Err("expected the job whose start is not to be skipped any more: `{\"job\": ID, \"at\": START}`".to_owned());
    }
    let job = job.map(|job| job_id(&job)).transpose()?;
    Ok(ControlRequest::Command(Command::Resume { job, start: at.map(instant).transpose()? }, note(why)?))
}

pub(super) fn fire(body: &[u8]) -> Result<ControlRequest, String> {
    let FireBody { job, length, room, preempt, note: why } = parse(body)?;
    let job = job.ok_or_else(|| "expected which job to start: `{\"job\": ID}`".to_owned())?;
    let room = room.map(|room| match room {
        RoomBody::Integer(id) => Room::integer(id),
        RoomBody::Text(id) => Room::text(&id),
    });
    let room = room.transpose().map_err(|why| format!("`room`: {why}"))?;
    let length = length.map(|length| length_of(&length)).transpose()?;
    Ok(ControlRequest::Command(Command::Fire(FireOrder { job: job_id(&job)?, length, room, preempt }), note(why)?))
}

fn instant(text: String) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("`at`: expected an instant such as `2026-11-22T10:00:00Z`, found `{}`", clip(&text)))
}

fn job_id(text: &str) -> Result<JobId, String> {
    JobId::parse(text).ok_or_else(|| format!("`{}` is not a job id", clip(text)))
}

/// What is wrong with a length that is too short.
pub(crate) const LENGTH_TOO_SHORT: &str = "expected at least one second";

/// A length of time. One of nothing is a mistake.
fn length_of(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|why| format!("`for`: {}", clip(&why)))?;
    if length < Duration::from_secs(1) { Err(format!("`for`: {LENGTH_TOO_SHORT}, found `{}`", clip(text))) } else { Ok(length) }
}

/// A note: what it says is shown as it is, so it is one line and not endless, and nothing in it acts on the text beside it.
fn note(text: Option<String>) -> Result<Option<String>, String> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    text.as_deref().map_or(Ok(()), check_note).map(|()| text)
}

/// Errors: what is wrong with a note.
pub(crate) fn check_note(text: &str) -> Result<(), String> {
    if text.len() > NOTE_BYTES_MAX {
        return Err(format!("a note has at most {NOTE_BYTES_MAX} bytes; this one has {}: shorten it", text.len()));
    }
    match text.chars().find(|character| needs_escape(*character)) {
        Some(found) => {
            let found = found.escape_default();
            Err(format!("a note is one line of visible characters, found `{found}`: write the note without it"))
        }
        None => Ok(()),
    }
}

fn stop_target(body: StopBody) -> Result<StopTarget, String> {
    match body {
        StopBody { job: Some(job), task: None, app: None, all: None, .. } => job_id(&job).map(StopTarget::Job),
        StopBody { job: None, task: Some(task), app, all: None, .. } if !task.is_empty() => Ok(match app {
            Some(app) => StopTarget::TaskOf { task_id: task, app },
            None => StopTarget::Task(task),
        }),
        StopBody { job: None, task: None, app: None, all: Some(true), .. } => Ok(StopTarget::All),
        _ => Err("expected what to stop: `{\"job\": ID}`, `{\"task\": ID}` or `{\"all\": true}`".to_owned()),
    }
}
