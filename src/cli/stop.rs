//! The verb `stop`: tells the daemon to stop what is on air. Does not know how that is done.

use serde_json::json;

use super::order::{NoteArgs, job_id};
use super::{Context, Exit, Failure, order};
use crate::trtc::callback::is_task_id;

/// Stops what is on air
///
/// The order goes to the running daemon over its control socket. What is stopped is recorded as `cut (operator)`; the next occurrence
/// of the job starts as planned.
///
/// A task that the daemon does not know is stopped with `--task ID --app NAME`; what TRTC answers is printed and recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,

    /// The application of the task, by its name in `apps`; needed only for a task that the daemon does not know
    #[arg(long, value_name = "NAME", requires = "task", conflicts_with_all = ["job", "all"])]
    app: Option<String>,

    #[command(flatten)]
    note: NoteArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Whatever is on air of this job
    #[arg(value_name = "JOB", value_parser = job_id)]
    job: Option<String>,

    /// This task; it may be an orphan, a task that `status` lists and that this daemon did not start
    #[arg(long, value_name = "ID", allow_hyphen_values = true, value_parser = task_id)]
    task: Option<String>,

    /// Everything that is on air
    #[arg(long)]
    all: bool,
}

fn task_id(text: &str) -> Result<String, String> {
    let named = is_task_id(text).then(|| text.to_owned());
    named.ok_or_else(|| "a TaskId is 1 to 256 visible ASCII characters".to_owned())
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { target, app, note } = args;
    let order = match target {
        Target { job: Some(job), .. } => json!({ "job": job }),
        Target { task: Some(task), .. } => match app {
            Some(app) => json!({ "task": task, "app": app }),
            None => json!({ "task": task }),
        },
        Target { all, .. } => json!({ "all": all }),
    };
    order::give(context, "/v1/stop", note.with(order))
}
