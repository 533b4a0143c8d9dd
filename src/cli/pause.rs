//! The verb `pause`: tells the daemon to hold starts back for a time. Does not know how that is done.

use serde_json::json;

use super::order::{NoteArgs, job_id};
use super::{Context, Exit, Failure, order};

/// Holds back what a job would start, or what every job would start
///
/// The order goes to the running daemon over its control socket. What would start before the pause is over is recorded as `skipped
/// (paused)`, with who gave the order. What is on air stays there, and the answer names it: `stop` takes it off the air. A pause survives
/// a restart and a reload. It has an end, or `--indefinite` says on purpose that it has none. A second order for the same job takes the
/// place of the first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this job [default: every job]
    #[arg(value_name = "JOB", value_parser = job_id)]
    job: Option<String>,

    #[command(flatten)]
    length: Length,

    #[command(flatten)]
    note: NoteArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Length {
    /// For how long: `90s`, `2h`, `1d`
    #[arg(long = "for", value_name = "DURATION", value_parser = order::duration)]
    length: Option<String>,

    /// Until `resume` ends it
    #[arg(long)]
    indefinite: bool,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { job, length, note } = args;
    let mut order = match length.length {
        Some(length) => json!({ "for": length }),
        None => json!({ "indefinite": true }),
    };
    if let Some(job) = job {
        order["job"] = job.into();
    }
    order::give(context, "/v1/pause", note.with(order))
}
