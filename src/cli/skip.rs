//! The verb `skip`: tells the daemon to hold one start back. Does not know how that is done.

use super::order::{NoteArgs, job_id};
use super::zone::ZoneArgs;
use super::{Context, Exit, Failure, order};

/// Skips one start of a job
///
/// The order goes to the running daemon over its control socket. The start is recorded as `skipped (operator)`, with who gave the order; the
/// start after it is as planned. What has begun is not skipped: `stop` takes it off the air. `resume JOB --at START` takes a skip back
/// while its start is still to come.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job
    #[arg(value_name = "JOB", value_parser = job_id)]
    job: String,

    /// This start [default: the next]
    #[arg(long, value_name = "START", allow_hyphen_values = true)]
    at: Option<String>,

    #[command(flatten)]
    note: NoteArgs,

    #[command(flatten)]
    zone: ZoneArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { job, at, note, zone } = args;
    let order = order::of_start(context, Some(job), at, &zone)?;
    order::give(context, "/v1/skip", note.with(order))
}
