//! The order `fire`: a start by hand, now, that is not in the plan. A show of the job that failed or waits in its open window is taken up
//! again; else an extra occurrence begins. Does not know who has a room when the next planned start comes: that is the contest's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::agenda::Agenda;
use super::airing::Airing;
use super::airings::Airings;
use super::claim::{armed, known_job, playout};
use super::contention;
use super::reopen::{self, Obstacles, obstacles};
use super::step::{Records, Reply, Step};
use crate::calendar::Start;
use crate::occurrence::{Displacement, End, Key, Kind, Occurrence, State, WaitReason, signed};
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
    if asks_for_the_plan && let Some(reply) = reopen::by_hand(airings, agenda, step, &order.job, &source) {
        return reply;
    }
    let left_behind = reopen::left_behind(airings, agenda, &order.job, step.now);
    let occurrence = extra(agenda, step, records, order, source)?;
    let Obstacles { lines, keys } = obstacles(airings, &occurrence, step.now);
    if !lines.is_empty() && !order.preempt {
        let lines = lines.join("; ");
        let own = airings
            .iter()
            .map(|airing| &airing.occurrence)
            .find(|other| other.key.job == order.job && other.state == State::OnAir && keys.contains(&other.key));
        return Err(match own {
            Some(own) => format!("{} is on air already: {lines}; `--preempt` takes it from there, and cuts that show", own.key),
            None => format!("{lines}; `--preempt` takes it from there"),
        });
    }
    let key = occurrence.key.clone();
    let mut told: Vec<String> = std::iter::once(started(&occurrence)).chain(left_behind).collect();
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

/// A show of the job that waits for its next attempt is tried at once. `None`: no show of it waits.
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
