//! The verb `reload`: tells the daemon to read the schedule files again. Does not read them itself: the daemon does.

use serde_json::json;

use super::log::is_journal;
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
    let order = json!({ "force": args.force });
    // As `ExecReload=` of the daemon's unit (systemd.exec(5) says what sets the variable) this writes into the same journal as the daemon,
    // which has told all of it.
    let is_told = is_journal() && std::env::var_os("MAINPID").is_some();
    if is_told { order::give_unheard(context, "/v1/reload", order) } else { order::give(context, "/v1/reload", order) }
}
