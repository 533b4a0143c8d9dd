//! The verb `check`: every problem of settings and schedule files, drawn or as JSON. Reads no secrets. A daemon is asked only whether it
//! takes these files. Does not know what a problem is.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Context, Exit, Failure, in_force, load, print};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::{Counts, Diagnostic, Severity, any_error, render, within_bounds};
use crate::doctor;
use crate::finding::Finding;
use crate::plan::conflicts::{Conflicts, Strictness, check_conflicts};
use crate::schedule::{Job, Schedule};
use crate::schedule_files;
use crate::zones::Zones;

/// Every problem of schedule files, with its place and how to fix it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Schedule files, and folders of them [default: the folder that the settings name]
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,

    /// How to print them
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,

    /// Show notes too: what is true of many an ordinary job, such as a live source without a bound in the cloud
    #[arg(short, long)]
    verbose: bool,
}

/// How problems are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people: each with its line, the place underlined
    #[default]
    Table,
    /// One object a line
    Json,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let load::LoadedSettings { loaded: settings, schedules } = load::read_settings_and_folder(context);
    let given = settings.value.as_ref().map(Settings::for_schedule).unwrap_or_default();
    let is_daemons = args.paths.is_empty();
    let paths = if is_daemons { Vec::from_iter(schedules) } else { args.paths };
    let now = clock::now();
    let (sources, reading) = schedule_files::read(&paths, &given, &Zones::newest().database, now);
    let conflicts = reading.schedule.as_ref().map(|schedule| check_conflicts(schedule, now));
    let of_settings = settings.texts.iter().map(|(name, text)| (Arc::clone(name), text.as_str()));
    let texts = of_settings.chain(sources.iter().map(|source| (Arc::clone(&source.name), source.text.as_str()))).collect();
    let of_conflicts: Vec<_> = conflicts.iter().flat_map(|conflicts| conflicts.diagnostics(Strictness::Check)).collect();
    let counts = settings.counts.plus(reading.counts).plus(Counts::of(&of_conflicts));
    let of_unit: Vec<_> = settings.value.iter().filter(|_| is_daemons).flat_map(unit_warnings).collect();
    let counts = counts.plus(Counts::of(&of_unit));
    let mut diagnostics: Vec<_> =
        settings.diagnostics.into_iter().chain(of_unit).chain(reading.diagnostics).chain(of_conflicts).collect();
    let failed = any_error(&diagnostics);
    let told = match args.format {
        Format::Table => {
            diagnostics.retain(|diagnostic| args.verbose || diagnostic.severity != Severity::Note);
            render(&diagnostics, &texts, context.colour_stdout())
        }
        Format::Json => within_bounds(&diagnostics, |one| format!("{}\n", one.json())).into_iter().map(|(_, line)| line).collect(),
    };
    print(&told)?;
    // If stderr is closed there is no other place to write it to.
    if let Some(shortfall) = conflicts.as_ref().and_then(Conflicts::shortfall) {
        let _ = writeln!(io::stderr(), "{shortfall}");
    }
    let off = reading.schedule.iter().flat_map(Schedule::jobs).filter(|job| !job.enabled).count();
    if paths.is_empty() {
        let _ = writeln!(io::stderr(), "no schedule file was checked, because the settings do not say where they are: name them");
    }
    let unread = if conflicts.is_none() && !paths.is_empty() { "; conflicts are looked for when no error is left" } else { "" };
    let _ = writeln!(io::stderr(), "{}{unread}", summary(sources.len(), (reading.jobs, off), counts));
    if let Some(schedule) = reading.schedule.as_ref().filter(|_| !failed) {
        let _ = writeln!(io::stderr(), "{}", next_day(schedule, now));
        settings.value.iter().filter(|_| is_daemons).for_each(|settings| in_force::tell_before_reload(settings, schedule.len()));
    }
    Ok(if failed { Exit::Problem } else { Exit::Good })
}

/// What the unit of this host does not give to the daemon with these settings.
fn unit_warnings(settings: &Settings) -> Vec<Diagnostic> {
    let problems = doctor::unit_problems(settings).into_iter();
    problems.map(|Finding { what, advice, .. }| Diagnostic::warning("credential", what).hint(advice)).collect()
}

/// `3 files, 12 jobs, 1 of them off: no errors, 1 warning, 2 notes (-v shows them)`.
fn summary(files: usize, (jobs, off): (usize, usize), counts: Counts) -> String {
    let of = |severity| counts.get(severity);
    let counted = |count: usize, noun: &str| match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    };
    let (errors, warnings) = (counted(of(Severity::Error), "error"), counted(of(Severity::Warning), "warning"));
    let off = if off == 0 { String::new() } else { format!(", {off} of them off") };
    let notes = match of(Severity::Note) {
        0 => String::new(),
        count => format!(", {} (`-v` shows them)", counted(count, "note")),
    };
    format!("{}, {}{off}: {errors}, {warnings}{notes}", counted(files, "file"), counted(jobs, "job"))
}

/// Starts that are counted: a job may start each second, and there may be very many jobs.
const STARTS_MAX: usize = 1_000_000;

/// Returns how many starts come in a day, and the first of them, with its date, time and offset.
fn next_day(schedule: &Schedule, now: Timestamp) -> String {
    let end = now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
    let mut count = 0;
    let mut first: Option<(Timestamp, &Job)> = None;
    for job in schedule.jobs().filter(|job| job.enabled) {
        let mut starts = job.when.between(now, end);
        let Some(start) = starts.next() else { continue };
        count += 1 + starts.take(STARTS_MAX - count.min(STARTS_MAX)).count();
        if first.is_none_or(|(at, _)| start.at < at) {
            first = Some((start.at, job));
        }
    }
    let Some((at, job)) = first else { return "no start in the next 24 hours".to_owned() };
    let starts = match count {
        1 => "1 start".to_owned(),
        count if count > STARTS_MAX => format!("more than {STARTS_MAX} starts"),
        count => format!("{count} starts"),
    };
    let at = at.to_zoned(job.when.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    format!("{starts} in the next 24 hours, the first of `{}` at {at}", job.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_in_words() {
        let note = Diagnostic { severity: Severity::Note, ..Diagnostic::warning("x", "x") };
        let counted = "1 file, 3 jobs, 1 of them off: no errors, no warnings, 1 note (`-v` shows them)";
        assert_eq!(summary(1, (3, 1), Counts::of(&[note])), counted);
        let diagnostics = [Diagnostic::error("x", "x"), Diagnostic::warning("x", "x"), Diagnostic::warning("x", "x")];
        assert_eq!(summary(1, (12, 0), Counts::of(&diagnostics)), "1 file, 12 jobs: 1 error, 2 warnings");
        assert_eq!(summary(2, (0, 0), Counts::default()), "2 files, no jobs: no errors, no warnings");
    }
}
