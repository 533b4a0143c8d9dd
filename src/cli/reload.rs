//! The verb `reload`: tells the daemon to read the schedule files again. Does not read them itself: the daemon does.

use serde_json::json;

use super::{Context, Exit, Failure, order};

/// Puts the edited schedule files in force
///
/// The running daemon reads and checks all of them. If anything is wrong, the schedule in force stays in force. A file that is smaller than
/// what is in force is read when it has not changed for 10 s, and the answer says so. `systemctl reload ingestd` and
/// SIGHUP do the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also accept what may be an accident: a schedule that drops more than half of the jobs, and more than five; a file that had jobs and
    /// has none now. And do not wait 10 s for a file that became smaller, which may be half copied
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    order::give(context, "/v1/reload", json!({ "force": args.force }))
}
