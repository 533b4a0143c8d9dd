//! The verb `resume`: tells the daemon to hold starts back no longer. Does not know how that is done.

use super::order::{NoteArgs, job_id};
use super::zone::ZoneArgs;
use super::{Context, Exit, Failure, order};

/// Ends a pause, or takes a skip back
///
/// The order goes to the running daemon over its control socket. It ends the pause of the job, or, without a job, the pause of every job. What
/// was skipped meanwhile stays skipped: a window that is open is not entered late. A skip that is still to come is taken back with `--at`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The job whose pause ends [default: the pause of every job]
    #[arg(value_name = "JOB", value_parser = job_id)]
    job: Option<String>,

    /// Not the pause: the skip of this start of the job
    #[arg(long, value_name = "START", allow_hyphen_values = true, requires = "job")]
    at: Option<String>,

    #[command(flatten)]
    note: NoteArgs,

    #[command(flatten)]
    zone: ZoneArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { job, at, note, zone } = args;
    let order = order::of_start(context, job, at, &zone)?;
    order::give(context, "/v1/resume", note.with(order))
}
