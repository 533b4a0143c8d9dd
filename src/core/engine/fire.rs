//! The order `fire`: a start by hand, now, that is not in the plan. A show of the job that failed or waits in its open window is taken up
//! again; else an extra occurrence begins. Does not know who has a room when the next planned start comes: that is the contest's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::agenda::Agenda;
use super::airing::Airing;
use super::airings::Airings;
use super::claim::{armed, known_job, playout};
use super::contention;
use super::step::{Records, Reply, Step};
use crate::calendar::Start;
use crate::occurrence::{Displacement, End, Key, Kind, Occurrence, State, WaitReason, displaced_by, signed, start_request};
use crate::plan;
use crate::plan::holds::OrderSource;
use crate::schedule::{Conflict, JobId};
use crate::trtc::Room;
use crate::trtc::room::is_user_id;

/// What is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FireOrder {
    /// What this job plays, by its rules.
    pub job: JobId,
    /// For so long; `None`: as the job says.
    pub length: Option<Duration>,
    /// In this room; `None`: in the job's.
    pub room: Option<Room>,
    /// Whether it takes the room, and its robot, from what has them.
    pub preempt: bool,
}

/// Starts by hand. The reply says what was started, and what that costs others.
pub(super) fn fire(
    airings: &mut Airings,
    agenda: &Agenda,
    step: &mut Step,
    records: &dyn Records,
    order: &FireOrder,
    source: OrderSource,
) -> Reply {
    if let Some(reason) = airings.held {
        return Err(format!("no start leaves now ({}): see `ingestd status`", reason.name()));
    }
    let asks_for_the_plan = order.length.is_none() && order.room.is_none();
    if asks_for_the_plan && let Some(told) = try_again(airings, step, &order.job, &source) {
        return Ok(told);
    }
    if asks_for_the_plan && let Some(told) = reopen(airings, step, &order.job, &source) {
        return Ok(told);
    }
    let occurrence = extra(agenda, step, records, order, source)?;
    let Obstacles { lines, keys } = obstacles(airings, &occurrence, step.now);
    if !lines.is_empty() && !order.preempt {
        return Err(format!("{}; `--preempt` takes it from there", lines.join("; ")));
    }
    let key = occurrence.key.clone();
    let mut told = vec![started(&occurrence)];
    if airings.claim(step, records, occurrence) != Some(true) {
        return Err(UNREADABLE.to_owned());
    }
    for other in keys {
        contention::displace(airings, step, &other, Displacement::Preempted);
        told.push(format!("{other}: is cut (preempted)"));
    }
    if agenda.holds.of(&key.job, key.start, step.now).is_some() {
        told.push(format!("`{}` is paused: its planned starts stay held back", key.job));
    }
    Ok(told)
}

const UNREADABLE: &str = "the ledger cannot be read now, and nothing was started: try again";

/// A show of the job that waits for its next attempt is tried at once. `None`: there is none.
fn try_again(airings: &mut Airings, step: &mut Step, job: &JobId, source: &OrderSource) -> Option<Vec<String>> {
    let waits = |airing: &&Airing| {
        let Occurrence { key, state, .. } = &airing.occurrence;
        key.job == *job && matches!(state, State::Waiting { why: WaitReason::Retry | WaitReason::Restart, .. })
    };
    let key = airings.iter().filter(waits).last()?.occurrence.key.clone();
    step.record_retry(&key, &source.who, "started by hand");
    airings.try_fixed(step, &key);
    Some(vec![format!("{key}: was waiting for another attempt, and is tried at once")])
}

/// Takes up a show of the job that failed while its window is open. `None`: there is none, or its room is taken.
fn reopen(airings: &mut Airings, step: &mut Step, job: &JobId, source: &OrderSource) -> Option<Vec<String>> {
    let now = step.now;
    let before = airings.failed.get(job)?.clone();
    let State::Done { outcome } = &before.state else { return None };
    let mut next = before.clone().returned(now);
    // Its first start was to be within this time of its planned start; now it is within this time of the order.
    let passed = Duration::try_from(now.duration_since(before.key.start)).unwrap_or_default();
    next.policy.start_within =
        next.policy.start_within.filter(|_| next.end != End::Never).map(|within| within.saturating_add(passed));
    if next.end == End::Open {
        next.policy.start_within.get_or_insert(passed.saturating_add(crate::schedule::OPEN_START_WITHIN));
    }
    let is_closed = next.end.at().is_some_and(|end| end <= now) || next.closes().is_some_and(|closes| closes <= now);
    if is_closed || start_request(&next, now).is_err() || !obstacles(airings, &next, now).lines.is_empty() {
        return None;
    }
    airings.failed.remove(job);
    let key = next.key.clone();
    let reason = format!("{} ({})", outcome.name(), outcome.reason());
    let when = before.ended_at.unwrap_or(now);
    step.record_retry(&key, &source.who, &format!("started by hand; it ended as {reason} at {when}"));
    airings.reopen(step, next);
    Some(vec![format!("{key}: it ended as {reason}; its window is open, and it is taken up again where it would be by now")])
}

/// The extra occurrence.
fn extra(
    agenda: &Agenda,
    step: &Step,
    records: &dyn Records,
    order: &FireOrder,
    source: OrderSource,
) -> Result<Occurrence, String> {
    let FireOrder { job: id, length, room, preempt } = order;
    let job = known_job(&agenda.generation().schedule, id)?;
    let mut key = Key { start: Timestamp::from_millisecond(step.now.as_millisecond()).unwrap_or(step.now), job: id.clone() };
    // A planned start of this instant keeps its row.
    while step.has(records, &key).ok_or_else(|| UNREADABLE.to_owned())?
        || job.when.not_before(key.start).is_some_and(|next| next.at == key.start)
    {
        key.start = key.start.checked_add(SignedDuration::from_millis(1)).map_err(|_| UNREADABLE.to_owned())?;
    }
    let start = Start { at: key.start, written: job.when.zone.to_datetime(key.start), dst: None };
    let planned = plan::planned(&job, start);
    let mut occurrence = Occurrence {
        kind: Kind::Fired,
        ordered_by: Some(source.who),
        order_note: source.note,
        ..armed(&planned, agenda.generation().number, false)
    };
    if let Some(length) = length {
        let end = key.start.checked_add(signed(*length));
        occurrence.end =
            End::Planned(end.map_err(|_| "expected a shorter time: this one is past the last year of the calendar".to_owned())?);
    }
    if let Some(room) = room {
        occurrence.playout = playout(&job, key.start);
        occurrence.playout.robot = job.robot.expand(id.as_str(), room, key.start);
        occurrence.playout.room = room.clone();
        if !is_user_id(&occurrence.playout.robot) {
            return Err(format!(
                "in room {room} the robot of `{id}` would be `{}`, which is not a UserId",
                occurrence.playout.robot
            ));
        }
    }
    if *preempt && occurrence.policy.conflict == Conflict::Yield {
        occurrence.policy.conflict = Conflict::Preempt;
    }
    Ok(occurrence)
}

/// What has the room, or the robot, of something that is to be started.
#[derive(Default)]
struct Obstacles {
    lines: Vec<String>,
    keys: Vec<Key>,
}

fn obstacles(airings: &Airings, fired: &Occurrence, now: Timestamp) -> Obstacles {
    let mut found = Obstacles::default();
    let is_there = |airing: &&Airing| !matches!(airing.occurrence.state, State::Stopping { .. } | State::Done { .. });
    for other in airings.iter().filter(is_there).map(|airing| &airing.occurrence) {
        let (theirs, own) = (&other.playout, &fired.playout);
        let in_one_room = theirs.target() == own.target();
        let is_taken = in_one_room && takes_from(fired, other, now);
        let has_robot = !in_one_room && theirs.destination.sdk_app_id == own.destination.sdk_app_id && theirs.robot == own.robot;
        if is_taken || has_robot {
            let what =
                if is_taken { format!("room {}", theirs.room) } else { format!("robot {}, in room {}", theirs.robot, theirs.room) };
            found.lines.push(format!("{} has {what}", other.key));
            found.keys.push(other.key.clone());
        }
    }
    found
}

/// Whether one of the two would be off the air for the other. What yields, or ends now, loses nothing; a planned start that comes takes the
/// room at its instant.
fn takes_from(fired: &Occurrence, other: &Occurrence, now: Timestamp) -> bool {
    let loses = displaced_by(other, fired, now).is_some_and(|displacement| displacement >= Displacement::Preempted);
    let gives_way = other.key.start <= now && displaced_by(fired, other, now).is_some();
    loses || gives_way
}

fn started(occurrence: &Occurrence) -> String {
    let until = match occurrence.end {
        End::Planned(end) => format!(" until {end}"),
        End::Media(end) => format!(" until its media ends, about {end}"),
        End::Open => " until its media ends".to_owned(),
        End::Never => " without an end".to_owned(),
    };
    let (room, robot) = (&occurrence.playout.room, &occurrence.playout.robot);
    format!("{}: starts now in room {room}, robot {robot}{until}", occurrence.key)
}

/// A planned start needs the robot that something started by hand has in another room: that one gives way.
pub(super) fn free_robots(airings: &mut Airings, step: &mut Step) {
    let is_fired = |airing: &&Airing| {
        let is_over = matches!(airing.occurrence.state, State::Stopping { .. } | State::Done { .. });
        airing.occurrence.kind == Kind::Fired && !is_over && airing.occurrence.wanted.is_none()
    };
    let needs = |fired: &Occurrence| {
        let (own, now) = (&fired.playout, step.now);
        airings.iter().map(|airing| &airing.occurrence).any(|other| {
            let theirs = &other.playout;
            let is_its = theirs.destination.sdk_app_id == own.destination.sdk_app_id && theirs.robot == own.robot;
            let is_later = other.kind == Kind::Planned && fired.key.start < other.key.start && other.key.start <= now;
            is_its && is_later && theirs.target() != own.target() && !matches!(other.state, State::Stopping { .. })
        })
    };
    let keys: Vec<Key> = airings
        .iter()
        .filter(is_fired)
        .filter(|airing| needs(&airing.occurrence))
        .map(|airing| airing.occurrence.key.clone())
        .collect();
    for key in keys {
        contention::displace(airings, step, &key, Displacement::Preempted);
    }
}
