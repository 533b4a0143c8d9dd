//! The verb `history`: what really happened, from the ledger alone. Reads no secrets, of the schedule only its zone, and asks no daemon.
//! Does not know what a row means and how it looks.

use std::io::Write;
use std::path::Path;

use super::format::Format;
use super::load;
use super::zone::{ZoneArgs, ZoneOfFiles};
use super::{Context, Exit, Failure};
use crate::clock;
use crate::ledger::{HistoryQuery, Reader};
use crate::occurrence::{Occurrence, Outcome};
use crate::report::history::{CSV_NAMES, HistoryObject, table};
use crate::report::plan::csv_line;
use crate::report::time::{TimeArgument, parse_argument, parse_time};
use crate::schedule::JobId;
use crate::zones::Zones;

/// What really happened, newest first
///
/// One row for everything that was planned, and its outcome. The ledger is read beside the daemon, or without one. On a terminal the table
/// is as wide as the terminal: what is less important is cut or left out. Elsewhere nothing is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this job, which may have left the schedule
    #[arg(long, value_name = "ID", value_parser = job_id)]
    job: Option<String>,

    /// Only starts from then on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

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

fn job_id(text: &str) -> Result<String, String> {
    JobId::parse(text)
        .map(|id| id.to_string())
        .ok_or_else(|| "a job id is 1 to 32 of `a` to `z`, `0` to `9`, `_` and `-`, a letter or digit first".to_owned())
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { job, since, outcome, limit, format, zone } = args;
    let now = clock::now();
    let settings = load::load_settings(context)?;
    let zones = Zones::newest();
    let zone = zone.of_files(&settings, &zones, now)?;
    let instant = |text: String| match parse_argument(&text, now)? {
        TimeArgument::At(at) => Ok(at),
        TimeArgument::Local(_) | TimeArgument::Date(_) => parse_time(&text, now, zone.get()),
    };
    let since = since.map(instant).transpose().map_err(Failure::usage)?;
    let folder = settings.state_folder().map_err(Failure::configuration)?;
    let rows = read(&folder, &HistoryQuery { job, since, outcome, limit })?;
    let mut out = context.stdout();
    print(&mut out, &rows, format, &zone).and_then(|()| out.flush()).map_err(Failure::Output)?;
    Ok(Exit::Good)
}

fn read(folder: &Path, query: &HistoryQuery) -> Result<Vec<Occurrence>, Failure> {
    Reader::open(folder).and_then(|reader| reader.history(query)).map_err(|error| Failure::new(error.to_string()))
}

fn print(out: &mut impl Write, rows: &[Occurrence], format: Format, zone: &ZoneOfFiles<'_>) -> std::io::Result<()> {
    match format {
        Format::Table if rows.is_empty() => writeln!(out, "no row matches"),
        Format::Table => super::table::print(out, &table(rows, zone.get())),
        Format::Json => rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut *out, &HistoryObject::new(row))?;
            out.write_all(b"\n")
        }),
        Format::Csv => {
            writeln!(out, "{CSV_NAMES}")?;
            rows.iter().try_for_each(|row| writeln!(out, "{}", csv_line(&HistoryObject::new(row).csv())))
        }
    }
}
