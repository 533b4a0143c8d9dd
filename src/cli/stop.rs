//! The verb `stop`: tells the daemon to stop what is on air. Does not know how that is done.

use serde_json::json;

use super::{Context, Exit, Failure, order};
use crate::schedule::JobId;

/// Stops what is on air
///
/// The order goes to the running daemon over its control socket. What is stopped is recorded as `cut (operator)`; the next occurrence
/// of the job starts as planned.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Args {
    /// Whatever is on air of this job
    #[arg(value_name = "JOB", value_parser = job_id)]
    job: Option<String>,

    /// This task; it may be an orphan, a task that `status` lists and that this daemon did not start
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    task: Option<String>,

    /// Everything that is on air
    #[arg(long)]
    all: bool,
}

fn job_id(text: &str) -> Result<String, String> {
    let named = JobId::parse(text).map(|id| id.to_string());
    named.ok_or_else(|| "a job id is 1 to 32 of `a` to `z`, `0` to `9`, `_` and `-`, a letter or digit first".to_owned())
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let target = match args {
        Args { job: Some(job), .. } => json!({ "job": job }),
        Args { task: Some(task), .. } => json!({ "task": task }),
        Args { all, .. } => json!({ "all": all }),
    };
    order::give(context, "/v1/stop", target)
}
