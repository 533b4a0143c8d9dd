//! Where the rundown comes from: the schedule in force, the daemon's own status, and the ledger, each read within limits. Whoever waits for a
//! disk waits on a thread of its own. It does not know how it is shown.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::view::{View, station_day};
use crate::ledger::Reader;
use crate::occurrence::{Key, Occurrence};
use crate::plan::interruptions::{Interrupted, Interruptions};
use crate::plan::{Planned, Upcoming, find};
use crate::report::calendar as ics;
use crate::report::rundown::{Anchor, RowInRange, Rundown, RundownInput, Shown, StationDay, Tick, ticks};
use crate::report::status::{LedgerView, NEXT_COUNT};
use crate::web::query::Query;
use crate::web::views::{Refused, status_input, view_of};
use crate::web::{LEDGER_WAIT, PageState, blocking, clock, error};

/// The most rows, and the most occurrences of the plan, that are looked at: of the time that is shown, and of the time that is plotted.
const MOST: u32 = 20_000;
/// The starts whose lateness is plotted.
const RECENT: u32 = 120;
/// How far ahead the plots look, also at the end of the day.
const FORECAST: SignedDuration = SignedDuration::from_hours(7);
/// The calendar has what starts so soon, and so many at most.
const CALENDAR_REACH: SignedDuration = SignedDuration::from_hours(31 * 24);
const CALENDAR_MAX: usize = 10_000;

/// A rundown with what it takes to draw it.
pub(super) struct Made {
    pub(super) rundown: Rundown,
    pub(super) day: StationDay,
    pub(super) ticks: Vec<Tick>,
}

/// What the ledger has of the time that is shown.
#[derive(Default)]
struct FromLedger {
    rows: Vec<RowInRange>,
    is_clipped: bool,
    recent: Vec<Occurrence>,
}

/// The rundown of a view, now.
pub(super) async fn rundown(shared: &Arc<PageState>, view: &View) -> Result<Made, Response> {
    let now = clock::now();
    let day = station_day(shared);
    let range = view.range(now, &day).map_err(|why| error(axum::http::StatusCode::BAD_REQUEST, &why))?;
    let plotted = plotted(&range, now, &day);
    let reads = Arc::clone(&shared.ledger_reads);
    let wanted = [range.clone(), plotted.clone()];
    let read = blocking(shared, reads, move |shared| read(shared, &wanted, now));
    let ledger = match timeout(LEDGER_WAIT, read).await {
        Ok(ledger) => ledger?,
        Err(_) => Err(format!("it has not answered for {} s", LEDGER_WAIT.as_secs())),
    };
    let view = view.clone();
    let reads = Arc::clone(&shared.reads);
    blocking(shared, reads, move |shared| make(shared, &view, day, Times { now, range, plotted }, ledger)).await
}

/// The instants of a rundown.
struct Times {
    now: Timestamp,
    range: Range<Timestamp>,
    plotted: Range<Timestamp>,
}

/// The station's day, and the next hours where it is over soon; or what is shown, where that is not in it.
fn plotted(range: &Range<Timestamp>, now: Timestamp, day: &StationDay) -> Range<Timestamp> {
    let today = day.around(now);
    let is_today = range.start < today.end && today.start < range.end;
    // By the hour, so that the plots stand still.
    let hour = Timestamp::from_second(now.as_second().div_euclid(3_600) * 3_600).unwrap_or(now);
    let ahead = hour.checked_add(FORECAST).unwrap_or(today.end);
    if is_today { today.start..today.end.max(ahead) } else { range.clone() }
}

/// What the ledger has of the time that is shown, and then, so that it takes no place from that, of the time that is plotted.
fn read(shared: &PageState, [range, plotted]: &[Range<Timestamp>; 2], now: Timestamp) -> Result<(LedgerView, FromLedger), String> {
    let reader = Reader::open_at(&shared.app_state.ledger).map_err(|error| error.to_string())?;
    let read = reader.at_one_moment(|reader| {
        let (mut rows, is_clipped) = reader.rows_in(range, MOST)?;
        if range != plotted {
            let known: HashSet<Key> = rows.iter().map(|row| row.occurrence.key.clone()).collect();
            let (more, _) = reader.rows_in(plotted, MOST)?;
            rows.extend(more.into_iter().filter(|row| !known.contains(&row.occurrence.key)));
        }
        let recent = reader.newest_sent(now, RECENT)?;
        Ok((view_of(reader, now)?, FromLedger { rows, is_clipped, recent }))
    });
    read.map_err(|error| error.to_string())
}

fn make(shared: &PageState, view: &View, day: StationDay, times: Times, ledger: Result<(LedgerView, FromLedger), String>) -> Made {
    let Times { now, range, plotted } = times;
    let (ledger, from_ledger) = match ledger {
        Ok((ledger, from_ledger)) => (Ok(ledger), from_ledger),
        Err(why) => (Err(why), FromLedger::default()),
    };
    let schedule = Arc::clone(&shared.app_state.in_force.borrow().generation.schedule);
    let holds = Arc::clone(&shared.app_state.status.borrow().holds);
    let interruptions = Interruptions::new(&schedule).with_holds(&holds, now);
    let upcoming = |range: &Range<Timestamp>| {
        let end = range.end;
        let from = now.max(range.start);
        Upcoming::open_at(schedule.jobs(), from).take_while(move |planned| planned.start.at < end).take(MOST as usize)
    };
    let key = |planned: &Planned| Key { start: planned.start.at, job: planned.job.id.clone() };
    let mut listed: Vec<_> = upcoming(&range).collect();
    let is_clipped = from_ledger.is_clipped || listed.len() >= MOST as usize;
    let mut known: HashSet<Key> = listed.iter().map(key).collect();
    if range != plotted {
        listed.extend(upcoming(&plotted).filter(|planned| known.insert(key(planned))));
    }
    // What is open and not in the plan from now on, such as media of unknown length.
    let open = from_ledger.rows.iter().filter(|row| !row.occurrence.is_done()).map(|row| &row.occurrence.key);
    listed.extend(open.filter(|key| !known.contains(key)).filter_map(|key| find(&schedule, key.job.as_str(), key.start)));
    let planned: Vec<Interrupted> = listed.into_iter().map(|planned| interruptions.of(planned)).collect();
    let next = Upcoming::new(&schedule, now).take(NEXT_COUNT).map(|occurrence| interruptions.of(occurrence)).collect();
    let zone = view.shown_zone(&day);
    let status = status_input(&shared.app_state, now, ledger, next, Some(zone.clone()));
    let ticks = ticks(&range, &zone, view.language);
    let shown = Shown { now, range, plotted, zone: &zone, language: view.language };
    let FromLedger { rows, recent, .. } = &from_ledger;
    let drawn = Arc::clone(&shared.app_state.in_force.borrow().drawn);
    let input = RundownInput { status: &status, schedule: &schedule, rows, planned: &planned, recent, drawn: &drawn, is_clipped };
    Made { rundown: Rundown::new(&input, &shown), day, ticks }
}

/// The plan as a calendar: what `plan --format ics` prints.
pub(super) fn calendar(shared: &PageState, query: &str, now: Timestamp) -> Result<String, Refused> {
    Query::parse(query, &[])?;
    let schedule = Arc::clone(&shared.app_state.in_force.borrow().generation.schedule);
    let holds = Arc::clone(&shared.app_state.status.borrow().holds);
    let interruptions = Interruptions::new(&schedule).with_holds(&holds, now);
    let end = now.saturating_add(CALENDAR_REACH).unwrap_or(Timestamp::MAX);
    let occurrences = Upcoming::open_at(schedule.jobs(), now).take_while(|planned| planned.start.at < end).take(CALENDAR_MAX);
    let events = occurrences.map(|planned| ics::event(&interruptions.of(planned), now, false));
    Ok(std::iter::once(ics::head()).chain(events).chain([ics::foot()]).collect())
}

/// Where the day before and the day after are, for whoever looks for them.
pub(super) fn days_beside(day: &StationDay, now: Timestamp) -> (Option<Anchor>, Option<Anchor>) {
    let today = day.date(now);
    (today.yesterday().ok().map(Anchor::Date), today.tomorrow().ok().map(Anchor::Date))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plots_have_the_day_and_the_next_hours_also_when_it_is_over_soon() {
        let at = |text: &str| -> Timestamp { text.parse().expect("an instant") };
        let day = StationDay { begins: jiff::civil::time(5, 0, 0, 0), zone: jiff::tz::TimeZone::UTC };
        let shown = at("2026-11-29T00:00:00Z")..at("2026-11-30T12:00:00Z");
        let today = at("2026-11-29T05:00:00Z");
        let noon = plotted(&shown, at("2026-11-29T12:10:00Z"), &day);
        assert_eq!(noon, today..at("2026-11-30T05:00:00Z"));
        let night = plotted(&shown, at("2026-11-30T04:50:00Z"), &day);
        assert_eq!(night, today..at("2026-11-30T11:00:00Z"));
        let other = at("2026-12-06T00:00:00Z")..at("2026-12-07T00:00:00Z");
        assert_eq!(plotted(&other, at("2026-11-29T12:10:00Z"), &day), other);
    }
}
