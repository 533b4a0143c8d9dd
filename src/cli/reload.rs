//! The verb `reload`: tells the daemon to read the schedule files again. Refuses to read them itself: `check` does.

use serde_json::json;

use super::{Context, Exit, Failure, order};

/// Puts the edited schedule files in force
///
/// The running daemon reads and judges all of them. If anything is wrong, the schedule in force stays. `systemctl reload ingestd` and
/// SIGHUP do the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also when it drops more than half of the jobs, and more than five: without this it is held, as it may be an accident
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    order::give(context, "/v1/reload", json!({ "force": args.force }))
}
