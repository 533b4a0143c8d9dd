//! The verb `history`: what really happened, from the ledger, for which it asks the running daemon. Reads no secrets, and of the schedule
//! only its zone and the names of its jobs. Does not know what a row means and how it looks.

use std::io::Write;
use std::slice;

use jiff::Timestamp;

use super::format::Format;
use super::zone::{ZoneArgs, ZoneOfFiles};
use super::{Context, Exit, Failure};
use super::{load, order, place};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::{escape_json, escape_lines};
use crate::ledger::{ExcerptQuery, HistoryQuery, ROOM_SHOWN, ROWS_MAX, Reader, RoomQuery};
use crate::occurrence::{Occurrence, Outcome};
use crate::report::history::{CSV_NAMES, HistoryObject, table};
use crate::report::plan::csv_line;
use crate::report::time::{TimeArgument, parse_argument, parse_time};
use crate::zones::Zones;

/// What really happened, newest first
///
/// One row for everything that was planned, and its outcome. The running daemon is asked for the rows over its control socket, so that
/// its operators need no other right; without a daemon the ledger's file is read. On a terminal the table is as wide as the terminal:
/// what is less important is cut or left out. Elsewhere nothing is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this job, which may have left the schedule
    #[arg(long, value_name = "ID", value_parser = order::job_id)]
    job: Option<String>,

    /// Only this room, as the table shows it: `42`, `lobby`, `main/lobby`; digits in double quotes are a string room
    #[arg(long, value_name = "ROOM", value_parser = room)]
    room: Option<RoomQuery>,

    /// Only starts from then on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    /// Only starts before then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,

    /// Only this outcome
    #[arg(long, value_name = "OUTCOME", value_parser = clap::builder::PossibleValuesParser::new(Outcome::NAMES))]
    outcome: Option<String>,

    /// At most so many rows
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// How to print them
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,

    #[command(flatten)]
    zone: ZoneArgs,
}

fn room(shown: &str) -> Result<RoomQuery, String> {
    RoomQuery::parse(shown).map_err(|why| format!("expected {ROOM_SHOWN}: {why}"))
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { job, room, since, until, outcome, limit, format, zone } = args;
    let now = clock::now();
    let settings = load::load_settings(context)?;
    let zones = Zones::newest();
    let zone = zone.of_files(&settings, &zones, now)?;
    let instant = |text: String| match parse_argument(&text, now)? {
        TimeArgument::At(at) => Ok(at),
        TimeArgument::Local(_) | TimeArgument::Date(_) => parse_time(&text, now, zone.get()),
    };
    let instant = |text: Option<String>| text.map(instant).transpose().map_err(Failure::usage);
    let [since_ms, until_ms] = [instant(since)?, instant(until)?].map(|at| at.map(Timestamp::as_millisecond));
    let query = HistoryQuery { job, room, since_ms, until_ms, outcome, limit };
    if query.has_no_time() {
        return Err(Failure::usage("expected `--until` after `--since`, found no time between them".to_owned()));
    }
    let rows = read(&settings, &query)?;
    if rows.is_empty()
        && let Some(id) = &query.job
    {
        explain_absence(&settings, &query, id)?;
    }
    let mut out = context.stdout();
    print(&mut out, &rows, format, &zone).and_then(|()| out.flush()).map_err(Failure::Output)?;
    Ok(Exit::Good)
}

fn read(settings: &Settings, query: &HistoryQuery) -> Result<Vec<Occurrence>, Failure> {
    let reader = if query.limit > ROWS_MAX {
        // More than a daemon gives.
        let place = place::place(settings).map_err(Failure::configuration)?;
        Reader::open_at(&place).map_err(|error| Failure::new(error.to_string()))?
    } else {
        order::ledger(settings, &ExcerptQuery::History(query.clone()))?
    };
    reader.history(query).map_err(|error| Failure::new(error.to_string()))
}

/// Says why there is no row of a job. Error: neither the ledger nor the schedule has a job of that name.
fn explain_absence(settings: &Settings, query: &HistoryQuery, id: &str) -> Result<(), Failure> {
    let HistoryQuery { job: _, room, since_ms, until_ms, outcome, limit: _ } = query;
    let is_narrow = room.is_some() || since_ms.is_some() || until_ms.is_some() || outcome.is_some();
    let any = HistoryQuery { job: query.job.clone(), limit: 1, ..HistoryQuery::default() };
    if is_narrow && !read(settings, &any)?.is_empty() {
        return Ok(());
    }
    let schedule =
        load::read_schedule(slice::from_ref(&settings.schedules), Some(settings), &Zones::newest().database, clock::now()).value;
    match schedule {
        Some(schedule) => {
            load::job(&schedule, id)?;
            load::note(&format!("`{id}` has no row yet: nothing of it was due since this ledger began"));
        }
        // What the schedule has is not known.
        None => load::warn(&format!("the ledger has no row of `{id}`, and the schedule files cannot be read: see `ingestd check`")),
    }
    Ok(())
}

fn print(out: &mut impl Write, rows: &[Occurrence], format: Format, zone: &ZoneOfFiles<'_>) -> std::io::Result<()> {
    match format {
        Format::Table if rows.is_empty() => writeln!(out, "no row matches"),
        Format::Table => super::table::print(out, &table(rows, zone.get())),
        Format::Json => rows.iter().try_for_each(|row| {
            let json = serde_json::to_string(&HistoryObject::new(row))?;
            writeln!(out, "{}", escape_json(&json))
        }),
        Format::Csv => {
            writeln!(out, "{CSV_NAMES}")?;
            rows.iter().try_for_each(|row| writeln!(out, "{}", escape_lines(&csv_line(&HistoryObject::new(row).csv()))))
        }
    }
}
