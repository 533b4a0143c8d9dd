//! The bodies of the answers, made from the parameters of a request. Does not know HTTP.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::query::{Query, clip};
use super::{AppState, PageState};
use crate::busy::BusySince;
use crate::diagnostic::{escape_json, escape_lines};
use crate::engine::LoopStatus;
use crate::ledger::{HistoryQuery, LedgerError, ROOM_SHOWN, Reader, RoomQuery};
use crate::occurrence::Outcome;
use crate::plan::Upcoming;
use crate::plan::interruptions::{Interrupted, Interruptions};
use crate::report::history::HistoryObject;
use crate::report::parse_time;
use crate::report::plan::PlanObject;
use crate::report::range::PlanRange;
use crate::report::status::{
    self, DaemonView, Health, LedgerView, NEXT_COUNT, StatusInput, StatusObject, TROUBLE_MAX, TROUBLE_REACH,
};
use crate::schedule::{JobId, Schedule, zone_named};

/// The most items of one answer: some 7 MB.
const ITEMS_MAX: u32 = 10_000;

/// The most items of a plan, with the pauses in them: some 15 MB.
const LINES_MAX: usize = 100_000;

/// The longest stretch of a plan: what `check` looks at.
const PLAN_REACH_MAX: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The widest text that can be asked for.
const WIDTH_MAX: usize = 10_000;

/// Rows of history when the request has no `limit`.
const HISTORY_LIMIT_DEFAULT: u32 = 100;

/// A body.
pub(super) enum ViewBody {
    Json(String),
    Text(String),
}

/// The input of a status: what the daemon knows, and what the ledger knows or why it cannot be read. What comes next takes a while to
/// find in a large schedule, and the health does not need it. `zone`: of the times in texts; by default that of most jobs.
pub(super) fn status_input(
    app_state: &AppState,
    now: Timestamp,
    ledger: Result<LedgerView, String>,
    next: Vec<Interrupted>,
    zone: Option<TimeZone>,
) -> StatusInput {
    let seconds = |busy: &BusySince| busy.stands().map(|time| time.as_secs());
    let (loop_stands_s, disk_stands_s) = (seconds(&app_state.busy.turn), seconds(&app_state.busy.disk));
    let findings = app_state.findings.borrow().to_vec();
    let state = LoopStatus { loop_stands_s, disk_stands_s, findings, ..super::ready::loop_status(app_state, now) };
    let in_force = app_state.in_force.borrow().clone();
    let secrets = state.secrets;
    let schedule = &in_force.generation.schedule;
    StatusInput {
        now,
        generation: in_force.generation.number,
        accepted_at: in_force.accepted_at,
        daemon: DaemonView::Running { jobs: schedule.len(), rejected: in_force.rejected.to_vec(), next, state },
        all_off: !schedule.is_empty() && schedule.jobs().all(|job| !job.enabled),
        not_listening: app_state.not_listening.borrow().values().cloned().collect(),
        not_told: app_state.alerts.borrow().lines(),
        failed_chores: app_state.failed_chores.borrow().values().cloned().collect(),
        ledger,
        secrets,
        zone_source: app_state.zones.data.source.clone(),
        zone_version: app_state.zones.data.version.clone(),
        zone: zone.unwrap_or_else(|| schedule.zone()),
    }
}

/// Why there is no body.
pub(super) enum Refused {
    /// The parameters are not valid.
    BadRequest(String),
    /// The ledger cannot be read.
    Unavailable(String),
}

/// A message about a parameter.
impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused::BadRequest(why)
    }
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Refused {
        Refused::Unavailable(format!("the ledger cannot be read: {error}"))
    }
}

/// What the ledger knows of `now`, all of it at one moment.
pub(crate) fn ledger_view(reader: &Reader, now: Timestamp) -> Result<LedgerView, LedgerError> {
    reader.at_one_moment(|reader| view_of(reader, now))
}

/// The same, as one of several questions that are asked at one moment.
pub(super) fn view_of(reader: &Reader, now: Timestamp) -> Result<LedgerView, LedgerError> {
    Ok(LedgerView {
        committed_at: reader.meta()?.committed_at,
        on_air: reader.on_air()?,
        trouble: reader.trouble(now - TROUBLE_REACH, TROUBLE_MAX)?,
        tasks: reader.tasks()?,
        orphans: reader.orphans()?,
        doubts: reader.doubts(now)?,
        holds: reader.holds()?,
    })
}

/// What the ledger of this page knows, or why it cannot be read.
pub(super) fn read_ledger(app_state: &AppState, now: Timestamp) -> Result<LedgerView, String> {
    let ledger = Reader::open_at(&app_state.ledger).and_then(|reader| ledger_view(&reader, now));
    ledger.map_err(|error| error.to_string())
}

/// The object of `status`; with `format=table` the text for people. There is an answer also when the ledger cannot be
/// read: then the answer says so.
pub(super) fn status(
    shared: &PageState,
    query: &str,
    now: Timestamp,
    ledger: Result<LedgerView, String>,
) -> Result<(Health, ViewBody), Refused> {
    let query = Query::parse(query, &["format", "timezone", "width"])?;
    let wants_text = query.word("format", &["json", "table"])? == Some("table");
    let width = query.number("width", (1, WIDTH_MAX))?;
    let schedule = Arc::clone(&shared.app_state.in_force.borrow().generation.schedule);
    let zone = zone(shared, &query, &schedule)?;
    let holds = shared.app_state.status.borrow().holds.clone();
    let interruptions = Interruptions::new(&schedule).with_holds(&holds, now);
    let next = Upcoming::new(&schedule, now).take(NEXT_COUNT).map(|occurrence| interruptions.of(occurrence)).collect();
    let input = status_input(&shared.app_state, now, ledger, next, Some(zone));
    let object = StatusObject::new(&input);
    let body = if wants_text {
        ViewBody::Text(escape_lines(&status::text(&input, width)).into_owned())
    } else {
        ViewBody::Json(to_json(&object))
    };
    Ok((object.health, body))
}

/// The zone of times without an offset, and of those in texts: `timezone`, or that of most jobs.
fn zone(shared: &PageState, query: &Query, schedule: &Schedule) -> Result<TimeZone, String> {
    match query.text("timezone") {
        Some(name) => zone_named(&shared.app_state.zones.database, clip(name).as_str()).map_err(|why| format!("`timezone`: {why}")),
        None => Ok(schedule.zone()),
    }
}

/// The objects of `plan`.
pub(super) fn plan(shared: &PageState, query: &str, now: Timestamp) -> Result<ViewBody, Refused> {
    let query = Query::parse(query, &["from", "to", "count", "job", "timezone"])?;
    let count = query.number("count", (1, ITEMS_MAX))?;
    let schedule = Arc::clone(&shared.app_state.in_force.borrow().generation.schedule);
    let range = PlanRange::new(query.text("from"), query.text("to"), count, now, &zone(shared, &query, &schedule)?)?;
    if count.is_none() && range.to.duration_since(range.from) > PLAN_REACH_MAX {
        return Err(Refused::BadRequest("`from` and `to` are more than 400 days apart".to_owned()));
    }
    let upcoming = match query.text("job") {
        None => Upcoming::new(&schedule, range.from),
        Some(id) => {
            let job = schedule.job(id).ok_or_else(|| format!("there is no job `{}`", clip(id)))?;
            Upcoming::of([job], range.from)
        }
    };
    let most = range.count.unwrap_or(ITEMS_MAX + 1);
    let occurrences = upcoming.take_while(|occurrence| occurrence.start.at < range.to).take(most as usize);
    let holds = shared.app_state.status.borrow().holds.clone();
    let interruptions = Interruptions::new(&schedule).with_holds(&holds, now);
    let mut lines = 0;
    let listed = occurrences.map(|occurrence| interruptions.of(occurrence)).take_while(|listed| {
        let fits = lines <= LINES_MAX;
        lines += 1 + listed.pauses.as_ref().map_or(0, Vec::len);
        fits
    });
    let items: Vec<_> = listed.map(|listed| PlanObject::new(Cow::Owned(listed), false)).collect();
    if lines > LINES_MAX {
        return Err(Refused::BadRequest(format!(
            "there are more than {LINES_MAX} occurrences and pauses in this range: ask for a shorter one"
        )));
    }
    if items.len() > ITEMS_MAX as usize {
        return Err(Refused::BadRequest(format!(
            "there are more than {ITEMS_MAX} occurrences in this range: ask for a shorter one"
        )));
    }
    Ok(ViewBody::Json(to_json(&ItemList { items })))
}

/// The objects of `history`.
pub(super) fn history(shared: &PageState, query: &str, now: Timestamp) -> Result<ViewBody, Refused> {
    let query = Query::parse(query, &["job", "room", "since", "until", "outcome", "limit", "timezone"])?;
    let job = match query.text("job") {
        // A job that left the schedule still has its rows. A text that cannot be a job id has no rows.
        Some(id) if JobId::parse(id).is_none() => return Err(Refused::BadRequest(format!("`{}` is not a job id", clip(id)))),
        id => id.map(str::to_owned),
    };
    let schedule = Arc::clone(&shared.app_state.in_force.borrow().generation.schedule);
    let zone = zone(shared, &query, &schedule)?;
    let instant = |name| query.text(name).map(|text| parse_time(text, now, &zone).map(Timestamp::as_millisecond)).transpose();
    let wanted = HistoryQuery {
        job,
        room: query.text("room").map(room).transpose()?,
        since_ms: instant("since")?,
        until_ms: instant("until")?,
        outcome: query.word("outcome", &Outcome::NAMES)?.map(str::to_owned),
        limit: query.number("limit", (1, ITEMS_MAX))?.unwrap_or(HISTORY_LIMIT_DEFAULT),
    };
    if wanted.has_no_time() {
        return Err(Refused::BadRequest("expected `until` after `since`, found no time between them".to_owned()));
    }
    let rows = Reader::open_at(&shared.app_state.ledger)?.history(&wanted)?;
    Ok(ViewBody::Json(to_json(&ItemList { items: rows.iter().map(HistoryObject::new).collect::<Vec<_>>() })))
}

fn room(shown: &str) -> Result<RoomQuery, Refused> {
    RoomQuery::parse(shown)
        .map_err(|why| Refused::BadRequest(format!("`room`: expected {ROOM_SHOWN}, found `{}`: {why}", clip(shown))))
}

/// `{"items": [...]}`: a list in an object, so that something can be added beside it.
#[derive(Serialize)]
struct ItemList<T> {
    items: Vec<T>,
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    escape_json(&serde_json::to_string(value).expect("a struct of plain values is JSON")).into_owned()
}
