//! The verb `why`: which rule makes a job start, or not, and what the ledger says came of it. Reads no secrets. Asks
//! the running daemon for the rows. Does not know the rules and their words.

use std::io::Write;

use jiff::Timestamp;

use super::format::ObjectFormat;
use super::zone::ZoneArgs;
use super::{Context, Exit, Failure};
use super::{in_force, load, order};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::{escape_json, escape_lines};
use crate::ledger::{ExcerptQuery, record_of, starts_of};
use crate::plan::interruptions::Interruptions;
use crate::plan::why::{Question, Why, why};
use crate::report::time::{TimeArgument, parse_argument};
use crate::report::why::{Record, WhyInput};
use crate::zones::Zones;

/// Which rule makes a job start, or not, and what came of it
///
/// At an instant: whether it is a start; which of `at`, `once`, `cron`, `every`, `days`, `from`, `until`, `except` and `enabled` says
/// yes or no to it; what a clock change did to it; what else is in its room then, and which of them has it; and the ledger's row of
/// it, or why there is no row. On a date: all its starts, or why there is no start. Without `--at`: what the job does now, and what comes.
///
/// The schedule is the files as they are now; the ledger may remember another, and where a running daemon refused them when it read
/// them last, stderr says so. The running daemon is asked for its rows, over its control
/// socket; without a daemon the ledger's file is read. Without a ledger the answer is from the schedule alone.
///
/// As JSON one object: `{job, at, date, fires, start, reasons, previous, next, ledger, count, starts}`. `fires` says whether the plan
/// has a start at that instant, or on that date, and `count` how many; `starts` are the first 100 of them, `{plan, ledger}` each.
/// `start` is that of the occurrence that is meant: which starts then, or else whose window is open then. `reasons` are `{rule, says,
/// text}`, `says` being `yes`, `no` or `note`. `previous`, `next` (three) and `plan` are as `plan` prints them, `ledger` as
/// `history` does, or null. `date` is null unless `--at` was a date.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    job: String,

    /// The instant, or a date: all of it [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ObjectFormat,

    #[command(flatten)]
    zone: ZoneArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { job, at, format, zone } = args;
    let now = clock::now();
    let asked = match at.map(|at| parse_argument(&at, now)).transpose().map_err(Failure::usage)? {
        None => Question::Now(now),
        Some(TimeArgument::At(at)) => Question::At(at),
        Some(TimeArgument::Local(local)) => Question::Wall(local),
        Some(TimeArgument::Date(date)) => Question::Date(date),
    };
    let zones = Zones::newest();
    let settings = load::read_settings(context).accept(context)?;
    let schedule = load::load_schedule(context, settings.as_ref(), &zones.database, now)?;
    settings.iter().for_each(in_force::tell_of_files);
    let job = load::job(&schedule, &job)?;
    let zone = zone.of_schedule(&schedule, &zones)?;
    let mut why =
        why(&schedule, job, asked, &zone).ok_or_else(|| Failure::usage("`--at` is outside the years that can be planned"))?;
    let secrets = settings.as_ref().map(load::secret_places).unwrap_or_default();
    let record = settings
        .ok_or_else(|| "without settings the place of the ledger is not known".to_owned())
        .and_then(|settings| record(&settings, &why));
    let holds = record.as_ref().map(|record| record.holds.clone()).unwrap_or_default();
    let interruptions = Interruptions::new(&schedule).with_holds(&holds, now);
    why.meet(&schedule, |occurrence| interruptions.is_held(occurrence));
    let input =
        WhyInput { why: &why, interruptions: &interruptions, record: record.as_ref().map_err(String::as_str), secrets, now };
    let mut out = context.stdout();
    let printed = match format {
        ObjectFormat::Table => out.write_all(escape_lines(&input.text(super::table::width())).as_bytes()),
        ObjectFormat::Json => {
            let json = serde_json::to_string(&input.object()).expect("a struct of plain values is JSON");
            writeln!(out, "{}", escape_json(&json))
        }
    };
    printed.and_then(|()| out.flush()).map_err(Failure::Output)?;
    Ok(Exit::Good)
}

/// What the ledger has about the answer's starts, or why it cannot be asked.
fn record(settings: &Settings, why: &Why) -> Result<Record, String> {
    let starts_ms = starts_of(why).into_iter().map(Timestamp::as_millisecond).collect();
    let query = ExcerptQuery::Job { job: why.job.id.to_string(), starts_ms };
    let reader = order::ledger(settings, &query).map_err(|failure| failure.message())?;
    reader.at_one_moment(|reader| record_of(reader, why, clock::now())).map_err(|error| error.to_string())
}
