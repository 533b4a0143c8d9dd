//! The verb `reload`: tells the daemon to read the schedule files again. Does not read them itself: the daemon does.

use serde_json::json;

use super::{Context, Exit, Failure, order};

/// Puts the edited schedule files in force
///
/// The running daemon reads and checks all of them. If anything is wrong, the schedule in force stays in force. `systemctl reload ingestd` and
/// SIGHUP do the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also accept a schedule that drops more than half of the jobs, and more than five: that may be an accident, and needs this option
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    order::give(context, "/v1/reload", json!({ "force": args.force }))
}
