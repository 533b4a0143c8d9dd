//! The verb `backup`: copies the ledger now. Reads no secret, and does not ask the daemon: a copy can be made beside it.

use std::path::PathBuf;

use super::{Context, Exit, Failure, load, print};
use crate::clock;
use crate::config::BackupPlace;
use crate::diagnostic::escape_lines;
use crate::ledger;

/// Copies the ledger, also while the daemon writes it
///
/// The copy has the rows of one moment, is looked through, and then gets its name: ingestd-TIME.db, in UTC. To restore one: stop the
/// daemon, copy it over `ingestd.db` in the state folder, delete `ingestd.db-wal` and `ingestd.db-shm`, and begin with
/// `ingestd run --as-of now`. The ledger is readable to the daemon's user and root alone, and so is a copy.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the copy [default: that of `chores` in the settings]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,

    /// Deletes all copies in the folder but the newest so many [default: `keep` of `chores` for its folder, else all are kept]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let place = super::place::place(&settings).map_err(Failure::configuration)?;
    let planned = settings.chores.backup.map(|(folder, _)| folder);
    let (to, keep) = match (args.to, planned) {
        (Some(to), planned) => {
            let keep = planned.filter(|planned| planned.to == to).map(|planned| planned.keep);
            (to, args.keep.or(keep))
        }
        (None, Some(BackupPlace { to, keep })) => (to, Some(args.keep.unwrap_or(keep))),
        (None, None) => return Err(Failure::usage("expected a folder for the copy, found none").hint("write `--to DIR`")),
    };
    let made = ledger::backup(&place, &to, keep, clock::now()).map_err(|error| Failure::new(error.to_string()))?;
    print(&format!("{}\n", escape_lines(&made.to_string())))?;
    Ok(Exit::Good)
}
