//! The verb `plan`: what is to come, from the schedule files. Reads no secrets. A daemon is asked only whether it plays these files, and what
//! operators hold back. Does not know how starts are found and what they look like.

mod against;
mod forecast;

use std::borrow::Cow;
use std::io::{self, Write};
use std::iter::Peekable;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::in_force;
use super::load::{self, warn};
use super::zone::ZoneArgs;
use super::{Context, Exit, Failure, order};
use crate::clock;
use crate::config::RATE_DEFAULT;
use crate::plan::Upcoming;
use crate::plan::holds::Holds;
use crate::plan::interruptions::{Interrupted, Interruptions};
use crate::report::calendar;
use crate::report::plan::{CSV_NAMES, CsvLine, PlanObjects, PlanTable, next_start};
use crate::report::range::PlanRange;
use crate::schedule::{Job, Schedule};
use crate::zones::Zones;

/// How many parts of the plan are made before the first of them is printed, at most.
const PARTS_AHEAD: usize = 4;

/// Rows that are made together, and rows of a table that are laid out together. More would cost memory: then the columns are as wide in each part.
const TABLE_ROWS: usize = 500;

/// Occurrences to come, and what they ask for
///
/// The plan is that of the schedule files. Where a running daemon refused them when it read them last, stderr says so.
///
/// A row is what will happen by the plan: who cuts an occurrence, and when (`cut_at`, `cut_by`; with an open end: if it still plays
/// then), when others have the room of one that yields (`pauses`), and when media is over before its window (`content_end`). What operators
/// hold back keeps its row, with `held` (`{why, until, by, note}`, `why` being `skip` or `pause`): the running daemon is asked for it,
/// or its ledger's file is read. A range without a start says when the next one is. On a terminal the table is as wide as the terminal: what is less important is cut or left
/// out. Elsewhere nothing is.
///
/// `--forecast` looks for the seconds in which more starts, or more stops, are planned than `rate` of the settings lets leave (20
/// without settings), and says how long the last of each then waits: at most 20 such seconds, the worst first, as a table or
/// as objects `{action, at, due, rate, wait_ms}`, one a line, `action` being `start` or `stop`. Stops are those at ends that `for`
/// and `to` set; retries, returns, hand-overs and slow answers come on top. A line on stderr sums it up.
///
/// `--against DIR` shows what would change if DIR, an edited copy, were the schedule: the occurrences of the range that it adds,
/// removes, changes (same start, another end, room, stream, robot or parameter) and moves (another start on the same local date), and
/// which streams on air it touches, by the ledger. As a diff, `-`, `+`, `~`, and `!` for what is on air; or as objects, one a line:
/// `{change, fields, before, after}`, the last two as this verb prints occurrences, or null; and before them `{change, job, start,
/// effect, end_before, end_after}` with the change `on_air` and the effect `finishes`, `stops`, `ends` or `cut`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The first instant of a start [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,

    /// The first instant after them [default: a day after `--from`]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "count")]
    to: Option<String>,

    /// So many occurrences, however far ahead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// Only those of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,

    /// The peaks of starts and stops instead, against the rate
    #[arg(long, conflicts_with_all = ["count", "reveal"])]
    forecast: bool,

    /// What would change if these schedule files were in force instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["count", "forecast"])]
    against: Option<PathBuf>,

    /// How to print them
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,

    /// Show stream URLs whole: they may hold passwords and stream keys
    #[arg(long)]
    reveal: bool,

    #[command(flatten)]
    zone: ZoneArgs,
}

/// `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// One object a line
    Json,
    /// With a line of names first
    Csv,
    /// A calendar (RFC 5545): an event for each, in UTC
    Ics,
}

impl Format {
    /// For output that is not a list of occurrences: whether as objects.
    fn is_json(self, option: &str) -> Result<bool, Failure> {
        match self {
            Format::Table => Ok(false),
            Format::Json => Ok(true),
            Format::Csv | Format::Ics => Err(Failure::usage(format!("`{option}` is printed as a table or as JSON only"))
                .hint("write `--format table` or `--format json`")),
        }
    }
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { from, to, count, job, forecast, against, format, reveal, zone } = args;
    let now = clock::now();
    let zones = Zones::newest();
    let settings = load::read_settings(context).accept(context)?;
    let schedule = load::load_schedule(context, settings.as_ref(), &zones.database, now)?;
    settings.iter().for_each(in_force::tell_of_files);
    let zone = zone.of_schedule(&schedule, &zones)?;
    let range = PlanRange::new(from.as_deref(), to.as_deref(), count, now, &zone).map_err(Failure::usage)?;
    if let Some(edited) = against {
        let is_json = format.is_json("--against")?;
        let loaded = load::read_schedule(&[edited], settings.as_ref(), &zones.database, now);
        let schedules = [schedule, load::without_warnings(loaded, context)?];
        let asked = against::AgainstOptions { job: job.as_deref(), range, now, zone: &zone, is_json, reveal };
        return against::run(context, settings.as_ref(), &schedules, &asked);
    }
    let jobs = chosen(&schedule, job.as_deref())?;
    if forecast {
        let rate = settings.as_ref().map_or(RATE_DEFAULT, |settings| settings.rate);
        return forecast::run(context, &jobs, range.from..range.to, rate, &zone, format.is_json("--forecast")?);
    }
    let holds = settings.as_ref().and_then(order::holds).unwrap_or_default();
    let printed = thread::scope(|scope| {
        let (parts, made) = mpsc::sync_channel(PARTS_AHEAD);
        scope.spawn(|| plan(&schedule, &jobs, &range, &holds, parts, now));
        let mut out = context.stdout();
        let mut occurrences = made.into_iter().flatten().peekable();
        if occurrences.peek().is_none() {
            let next = Upcoming::of(jobs.iter().copied(), range.to).next();
            let answer = format!("no start in this range; {}", next_start(next.as_ref(), &zone));
            match format {
                Format::Table => writeln!(out, "{answer}"),
                // If stderr is closed there is no other place to write it to.
                Format::Json | Format::Csv | Format::Ics => writeln!(io::stderr(), "{answer}").or(Ok(())),
            }?;
        }
        match format {
            Format::Table => print_table(&mut out, occurrences, &jobs, &zone, reveal),
            Format::Json => print_json(&mut out, occurrences, reveal),
            Format::Csv => print_csv(&mut out, occurrences, reveal),
            Format::Ics => print_ics(&mut out, occurrences, now, reveal),
        }?;
        out.flush()
    });
    printed.map_err(Failure::Output)?;
    Ok(Exit::Good)
}

/// Hands over the occurrences of a range in parts, while others are printed, until nobody takes them any more.
fn plan(
    schedule: &Schedule,
    jobs: &[&Arc<Job>],
    range: &PlanRange,
    holds: &Holds,
    parts: SyncSender<Vec<Interrupted>>,
    now: Timestamp,
) {
    let upcoming = Upcoming::of(jobs.iter().copied(), range.from).followed();
    let in_range = upcoming.take_while(|(occurrence, _)| occurrence.start.at < range.to);
    let occurrences = in_range.take(range.count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX));
    let interruptions = Interruptions::new(schedule).with_holds(holds, now);
    let mut listed = occurrences.map(|(occurrence, next)| interruptions.of_followed(occurrence, next));
    loop {
        let part: Vec<_> = listed.by_ref().take(TABLE_ROWS).collect();
        if part.is_empty() || parts.send(part).is_err() {
            return;
        }
    }
}

/// The jobs to plan, in the order of their ids.
fn chosen<'a>(schedule: &'a Schedule, id: Option<&str>) -> Result<Vec<&'a Arc<Job>>, Failure> {
    let Some(id) = id else { return Ok(schedule.jobs().collect()) };
    let job = load::job(schedule, id)?;
    if !job.enabled {
        warn(&format!("`{id}` is not enabled and plans nothing"));
    }
    Ok(vec![job])
}

fn print_table(
    out: &mut impl Write,
    mut occurrences: Peekable<impl Iterator<Item = Interrupted>>,
    jobs: &[&Arc<Job>],
    zone: &TimeZone,
    reveal: bool,
) -> io::Result<()> {
    let mut rows: Vec<_> = occurrences.by_ref().take(TABLE_ROWS).collect();
    let is_all = occurrences.peek().is_none();
    let mut table = if is_all { PlanTable::new(&rows, zone, reveal) } else { PlanTable::in_parts(jobs, zone, reveal) };
    while !rows.is_empty() {
        super::table::print(out, &table.part(&rows))?;
        rows = occurrences.by_ref().take(TABLE_ROWS).collect();
    }
    Ok(())
}

fn print_json(out: &mut impl Write, occurrences: impl Iterator<Item = Interrupted>, reveal: bool) -> io::Result<()> {
    let (mut objects, mut line) = (PlanObjects::new(reveal), Vec::new());
    for occurrence in occurrences {
        line.clear();
        objects.of(Cow::Owned(occurrence)).write_json(&mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

fn print_csv(out: &mut impl Write, occurrences: impl Iterator<Item = Interrupted>, reveal: bool) -> io::Result<()> {
    writeln!(out, "{CSV_NAMES}")?;
    let (mut objects, mut line) = (PlanObjects::new(reveal), CsvLine::default());
    for occurrence in occurrences {
        line.clear();
        objects.of(Cow::Owned(occurrence)).write_csv(&mut line);
        writeln!(out, "{}", line.as_str())?;
    }
    Ok(())
}

fn print_ics(out: &mut impl Write, occurrences: impl Iterator<Item = Interrupted>, now: Timestamp, reveal: bool) -> io::Result<()> {
    out.write_all(calendar::head().as_bytes())?;
    for listed in occurrences {
        out.write_all(calendar::event(&listed, now, reveal).as_bytes())?;
    }
    out.write_all(calendar::foot().as_bytes())
}
