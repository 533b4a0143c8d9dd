//! Occurrences and tasks from their rows, and the JSON of an occurrence's `spec`. It does not know transactions. A row
//! that cannot be read is an error with its place, never a guess: the ledger is what tells what aired.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::database::{Row, RowError};
use crate::occurrence::{
    Adopted, End, Evidence, FallbackReason, FallbackRecord, Key, Kind, LastFault, Look, Occurrence, Outcome, Played, Playout,
    Policy, Replaced, State, StreamTrouble, Task, TaskFault, TaskPhase, TaskStep, WaitReason,
};
use crate::schedule::JobId;
use crate::trtc::{Destination, Repeat, Room, StartOptions, StreamUrl};

/// What of an occurrence never changes, as the `spec` column holds it. Field names are part of the released schema; the options and
/// the policy say their own.
#[derive(Serialize, Deserialize)]
struct Spec {
    app: String,
    sdk_app_id: u64,
    region: String,
    room: String,
    room_type: String,
    robot: String,
    stream: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback: Option<String>,
    /// What the fallback plays in the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instead_of: Option<Box<Spec>>,
    live: bool,
    length_ms: Option<u64>,
    seek_ms: u64,
    repeat: i32,
    end: String,
    #[serde(flatten)]
    options: StartOptions,
    #[serde(flatten)]
    policy: Policy,
    /// What an attempt in doubt sent before an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubted: Option<Box<Spec>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    was_moved: bool,
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The `spec` column of an occurrence.
pub(super) fn spec(occurrence: &Occurrence) -> String {
    let doubted = match &occurrence.replaced {
        Replaced::Media(sent) => Some(Box::new(spec_of(occurrence, sent))),
        Replaced::Nothing | Replaced::Place => None,
    };
    let spec = Spec { doubted, was_moved: occurrence.replaced == Replaced::Place, ..spec_of(occurrence, &occurrence.playout) };
    serde_json::to_string(&spec).expect("a struct of plain values is JSON")
}

fn spec_of(occurrence: &Occurrence, playout: &Playout) -> Spec {
    let Playout { destination, room, robot, stream, fallback, instead_of, live, length, seek, repeat, options } = playout;
    Spec {
        app: destination.app.clone(),
        sdk_app_id: destination.sdk_app_id,
        region: destination.region.clone(),
        room: room.to_string(),
        room_type: room.type_name().to_owned(),
        robot: robot.clone(),
        stream: stream.reveal().to_owned(),
        fallback: fallback.as_ref().map(|url| url.reveal().to_owned()),
        instead_of: instead_of.as_ref().map(|scheduled| Box::new(spec_of(occurrence, scheduled))),
        live: *live,
        length_ms: length.map(milliseconds),
        seek_ms: milliseconds(*seek),
        repeat: match repeat {
            Repeat::Forever => -1,
            Repeat::Times(plays) => i32::from(*plays),
        },
        end: occurrence.end.name().to_owned(),
        options: *options,
        policy: occurrence.policy.clone(),
        doubted: None,
        was_moved: false,
    }
}

/// The specs that a query has read: many rows of a job have the same, which is parsed once. They take no more memory than the answer, which
/// holds a copy for each row.
#[derive(Default)]
pub(super) struct Specs(HashMap<String, Rc<Spec>>);

impl Specs {
    fn of(&mut self, row: &Row<'_>) -> Result<Rc<Spec>, RowError> {
        let text: String = row.get("spec")?;
        if let Some(known) = self.0.get(&text) {
            return Ok(Rc::clone(known));
        }
        let spec = Rc::new(parse_spec(&text)?);
        self.0.insert(text, Rc::clone(&spec));
        Ok(spec)
    }
}

/// An occurrence from its row. Columns are read in the order of [`SELECT_OCCURRENCE`](super::columns::SELECT_OCCURRENCE): the next one is
/// then found at once. Another order takes more time, and changes nothing.
pub(super) fn occurrence(row: &Row<'_>, specs: &mut Specs) -> Result<Occurrence, RowError> {
    let key = key(row)?;
    let end_at = instant_or_none(row, "end_ms")?;
    let kind: String = row.get("kind")?;
    let kind = Kind::from_name(&kind).ok_or_else(|| broken("kind", &kind))?;
    let (count, generation) = (row.get("count")?, row.get("generation")?);
    let spec = specs.of(row)?;
    Ok(Occurrence {
        key,
        kind,
        count,
        end: End::from_parts(&spec.end, end_at).ok_or_else(|| broken("end", &spec.end))?,
        generation,
        state: state(row)?,
        attempts: row.get("attempts")?,
        tries: row.get("tries")?,
        restarts: row.get("restarts")?,
        was_in_doubt: row.get("was_in_doubt")?,
        in_doubt: row.get("in_doubt")?,
        joined: row.get("joined")?,
        exists_since: instant_or_none(row, "exists_since_ms")?,
        first_sent_at: instant_or_none(row, "first_sent_ms")?,
        on_air_at: instant_or_none(row, "on_air_ms")?,
        ended_at: instant_or_none(row, "ended_ms")?,
        confirmed_at: instant_or_none(row, "confirmed_ms")?,
        task_id: row.get("task_id")?,
        fault: fault(row)?,
        request_id: row.get("request_id")?,
        wanted: outcome(row, ["wanted_outcome", "wanted_reason"])?,
        tried_at: instant_or_none(row, "tried_ms")?,
        lost_at: instant_or_none(row, "lost_ms")?,
        heals: read_instants(row, "heals")?,
        doubts: read_instants(row, "doubts")?,
        adopted: adopted(row)?,
        evidence: evidence(row)?,
        unseen_losses: row.get::<Option<u32>>("unseen_losses")?.unwrap_or_default(),
        task_fault: read_task_fault(row, "task_fault")?,
        ordered_by: row.get("ordered_by")?,
        order_note: row.get("order_note")?,
        fallback: read_fallback(row)?,
        playout: playout(&spec)?,
        replaced: match spec.doubted.as_deref() {
            Some(sent) => Replaced::Media(Box::new(playout(sent)?)),
            None if spec.was_moved => Replaced::Place,
            None => Replaced::Nothing,
        },
        policy: spec.policy.clone(),
    })
}

fn fault(row: &Row<'_>) -> Result<Option<LastFault>, RowError> {
    let code: Option<String> = row.get("error_code")?;
    let Some(message) = row.get("error_message")? else { return Ok(None) };
    Ok(Some(LastFault { code, message, in_a_row: row.get("error_in_a_row")? }))
}

/// The `heals` and `doubts` columns of an occurrence: milliseconds, oldest first.
pub(super) fn instants(instants: &[Timestamp]) -> String {
    let milliseconds: Vec<_> = instants.iter().map(|at| at.as_millisecond()).collect();
    serde_json::to_string(&milliseconds).expect("a list of numbers is JSON")
}

fn read_instants(row: &Row<'_>, column: &str) -> Result<Vec<Timestamp>, RowError> {
    let text: String = row.get(column)?;
    let milliseconds: Vec<i64> = serde_json::from_str(&text).map_err(|_| broken(column, &text))?;
    milliseconds.into_iter().map(|value| from_millisecond(value).ok_or_else(|| broken(column, &text))).collect()
}

fn adopted(row: &Row<'_>) -> Result<Option<Adopted>, RowError> {
    let name: Option<String> = row.get("adopted")?;
    name.map(|name| Adopted::from_name(&name).ok_or_else(|| broken("adopted", &name))).transpose()
}

fn evidence(row: &Row<'_>) -> Result<Option<Evidence>, RowError> {
    let name: Option<String> = row.get("evidence")?;
    name.map(|name| Evidence::from_name(&name).ok_or_else(|| broken("evidence", &name))).transpose()
}

/// A fault of a task's requests, as the columns `task_fault`, `stop_fault` and `describe_fault` hold it.
#[derive(Serialize, Deserialize)]
struct FaultSpec {
    action: String,
    code: Option<String>,
    message: String,
    since_ms: i64,
    in_a_row: u32,
}

/// The columns of a task's faults.
pub(super) fn task_fault(fault: &TaskFault) -> String {
    let TaskFault { step, code, message, since, in_a_row } = fault;
    let spec = FaultSpec {
        action: step.action().word().to_owned(),
        code: code.clone(),
        message: message.clone(),
        since_ms: since.as_millisecond(),
        in_a_row: *in_a_row,
    };
    serde_json::to_string(&spec).expect("a struct of plain values is JSON")
}

fn read_task_fault(row: &Row<'_>, column: &str) -> Result<Option<TaskFault>, RowError> {
    let Some(text) = row.get::<Option<String>>(column)? else { return Ok(None) };
    let read = |text: &str| {
        let FaultSpec { action, code, message, since_ms, in_a_row } = serde_json::from_str(text).ok()?;
        let step = [TaskStep::Stop, TaskStep::Describe].into_iter().find(|step| step.action().word() == action)?;
        Some(TaskFault { step, code, message, since: from_millisecond(since_ms)?, in_a_row })
    };
    read(&text).map(Some).ok_or_else(|| broken(column, &text))
}

/// The `fallback` column of an occurrence.
#[derive(Serialize, Deserialize)]
struct FallbackSpec {
    since_ms: Option<i64>,
    why: Option<String>,
    returns: u32,
    is_refused: bool,
    played: Vec<(String, i64, Option<i64>)>,
}

/// What is remembered of a fallback; nothing of a show that has nothing to remember.
pub(super) fn fallback(record: &FallbackRecord) -> Option<String> {
    if *record == FallbackRecord::default() {
        return None;
    }
    let FallbackRecord { trouble, returns, is_refused, played } = record;
    let ms = |at: Timestamp| at.as_millisecond();
    let spec = FallbackSpec {
        since_ms: trouble.map(|trouble| ms(trouble.since)),
        why: trouble.map(|trouble| trouble.why.name().to_owned()),
        returns: *returns,
        is_refused: *is_refused,
        played: played.iter().map(|Played { url, from, to }| (url.reveal().to_owned(), ms(*from), to.map(ms))).collect(),
    };
    Some(serde_json::to_string(&spec).expect("a struct of plain values is JSON"))
}

fn read_fallback(row: &Row<'_>) -> Result<FallbackRecord, RowError> {
    let Some(text) = row.get::<Option<String>>("fallback")? else { return Ok(FallbackRecord::default()) };
    let read = |text: &str| {
        let FallbackSpec { since_ms, why, returns, is_refused, played } = serde_json::from_str(text).ok()?;
        let trouble = match since_ms.zip(why) {
            Some((since, why)) => Some(StreamTrouble { since: from_millisecond(since)?, why: FallbackReason::from_name(&why)? }),
            None => None,
        };
        let one = |(url, from, to): (String, i64, Option<i64>)| {
            let to = match to {
                Some(to) => Some(from_millisecond(to)?),
                None => None,
            };
            Some(Played { url: StreamUrl::new(&url), from: from_millisecond(from)?, to })
        };
        let played = played.into_iter().map(one).collect::<Option<Vec<_>>>()?;
        Some(FallbackRecord { trouble, returns, is_refused, played })
    };
    // It holds URLs: the message does not repeat it.
    read(&text).ok_or_else(|| broken("fallback", "a text"))
}

pub(super) fn key(row: &Row<'_>) -> Result<Key, RowError> {
    let job: String = row.get("job")?;
    Ok(Key { start: instant(row, "start_ms")?, job: JobId::parse(&job).ok_or_else(|| broken("job", &job))? })
}

fn read_spec(row: &Row<'_>) -> Result<Spec, RowError> {
    parse_spec(&row.get::<String>("spec")?)
}

fn parse_spec(text: &str) -> Result<Spec, RowError> {
    // What cannot be read is read once more by way of a value, so that the error does not name a line and a column of what nobody sees.
    let read = serde_json::from_str(text).or_else(|_| serde_json::from_str(text).and_then(serde_json::from_value));
    read.map_err(|error| {
        RowError::unreadable("spec", format!("the ledger holds a spec that no version of ingestd writes: {error}"))
    })
}

fn playout(spec: &Spec) -> Result<Playout, RowError> {
    Ok(Playout {
        destination: Destination { app: spec.app.clone(), sdk_app_id: spec.sdk_app_id, region: spec.region.clone() },
        room: Room::from_parts(&spec.room, &spec.room_type).ok_or_else(|| broken("room", &spec.room))?,
        robot: spec.robot.clone(),
        stream: StreamUrl::new(&spec.stream),
        fallback: spec.fallback.as_deref().map(StreamUrl::new),
        instead_of: spec.instead_of.as_deref().map(playout).transpose()?.map(Box::new),
        live: spec.live,
        length: spec.length_ms.map(Duration::from_millis),
        seek: Duration::from_millis(spec.seek_ms),
        repeat: match (spec.repeat, u16::try_from(spec.repeat)) {
            (-1, _) => Repeat::Forever,
            (_, Ok(plays)) => Repeat::Times(plays),
            (other, Err(_)) => return Err(broken("repeat", &other.to_string())),
        },
        options: spec.options,
    })
}

fn state(row: &Row<'_>) -> Result<State, RowError> {
    let name: String = row.get("state")?;
    let until = instant_or_none(row, "wait_until_ms")?;
    let why: Option<String> = row.get("wait_why")?;
    let why = why.map(|why| WaitReason::from_name(&why).ok_or_else(|| broken("wait_why", &why))).transpose()?;
    let wait = until.zip(why);
    State::from_parts(&name, wait, outcome(row, ["outcome", "reason"])?).ok_or_else(|| broken("state", &name))
}

fn outcome(row: &Row<'_>, [name, reason]: [&str; 2]) -> Result<Option<Outcome>, RowError> {
    let Some(outcome) = row.get::<Option<String>>(name)? else { return Ok(None) };
    let reason: String = row.get(reason)?;
    Outcome::from_parts(&outcome, &reason).map(Some).ok_or_else(|| broken(name, &format!("{outcome} ({reason})")))
}

/// The task of a row of [`super::columns::TASK_COLUMNS`]. What is owed to it is done at once.
pub(super) fn task(row: &Row<'_>) -> Result<Task, RowError> {
    let wanted = instant_or_none(row, "stop_wanted_ms")?;
    let stopped = instant_or_none(row, "stopped_ms")?;
    let gone = instant_or_none(row, "gone_ms")?;
    let phase = match (wanted, stopped, gone) {
        (_, _, Some(at)) => TaskPhase::Gone { at, verified: row.get("verified")? },
        (_, Some(stopped_at), None) => TaskPhase::Verifying { stopped_at, tries: 0 },
        (Some(since), None, None) => TaskPhase::StopWanted { since, tries: row.get("stop_tries")? },
        (None, None, None) => TaskPhase::Watched { missing_since: None },
    };
    let started_at = instant(row, "started_ms")?;
    let spec = read_spec(row)?;
    Ok(Task {
        row: row.get("id")?,
        task_id: row.get("task_id")?,
        destination: destination(row)?,
        key: key(row)?,
        room: Room::from_parts(&spec.room, &spec.room_type).ok_or_else(|| broken("room", &spec.room))?,
        robot: spec.robot,
        started_at,
        bound: instant_or_none(row, "bound_ms")?,
        media_end: instant_or_none(row, "media_end_ms")?,
        stop_wanted_at: wanted,
        phase,
        next_at: started_at,
        alerted: row.get("alerted")?,
        // A file that an older program wrote does not say when it was seen.
        seen_at: instant_or_none(row, "seen_ms")?.unwrap_or(started_at),
        watched_from: started_at,
        taken_at: started_at,
        was_seen: row.get("was_seen")?,
        is_unseen: row.get("is_unseen")?,
        unpulled_at: instant_or_none(row, "unpulled_ms")?,
        stop_fault: read_task_fault(row, "stop_fault")?,
        describe_fault: read_task_fault(row, "describe_fault")?,
        look: Look::NotNext,
    })
}

/// The playout of a row with a `spec`.
pub(super) fn playout_of(row: &Row<'_>) -> Result<Playout, RowError> {
    playout(&read_spec(row)?)
}

pub(super) fn destination(row: &Row<'_>) -> Result<Destination, RowError> {
    Ok(Destination { app: row.get("app")?, sdk_app_id: sdk_app_id(row)?, region: row.get("region")? })
}

pub(super) fn sdk_app_id(row: &Row<'_>) -> Result<u64, RowError> {
    let sdk_app_id: i64 = row.get("sdk_app_id")?;
    u64::try_from(sdk_app_id).map_err(|_| broken("sdk_app_id", &sdk_app_id.to_string()))
}

pub(super) fn instant(row: &Row<'_>, column: &str) -> Result<Timestamp, RowError> {
    instant_or_none(row, column)?.ok_or_else(|| broken(column, "null"))
}

pub(super) fn instant_or_none(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, RowError> {
    let value: Option<i64> = row.get(column)?;
    value.map(|value| from_millisecond(value).ok_or_else(|| broken(column, &value.to_string()))).transpose()
}

/// The instant that was written as `value`. The calendar's last instant needs a rule of its own: its milliseconds are past jiff's
/// last whole second, and jiff does not read them.
pub(super) fn from_millisecond(value: i64) -> Option<Timestamp> {
    if value == Timestamp::MAX.as_millisecond() { Some(Timestamp::MAX) } else { Timestamp::from_millisecond(value).ok() }
}

pub(super) fn broken(column: &str, value: &str) -> RowError {
    RowError::unreadable(column, format!("the ledger holds `{value}` as {column}, which no version of ingestd writes"))
}
