//! The verb `prune`: deletes old rows of the ledger now. Reads no secret, and does not ask the daemon: rows go beside it.

use jiff::SignedDuration;

use super::{Context, Exit, Failure, load, print};
use crate::clock;
use crate::ledger::{self, KEPT_ALWAYS, Retention};
use crate::schedule::values::{format_duration, parse_duration};
use crate::user;

/// Deletes old rows of the ledger, also while the daemon writes it
///
/// Nothing goes that is open or owed, nor anything of the last 48 hours. The space is used again; the file does not become smaller. Only
/// the daemon's user and root can write the ledger.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long rows are kept, at least 2d [default: `keep` of `chores` in the settings]
    #[arg(long, value_name = "DURATION", value_parser = keep)]
    keep: Option<SignedDuration>,

    /// How many occurrences are kept, the newest [default: `most` of `chores` in the settings]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..))]
    most: Option<u64>,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let place = super::place::place(&settings).map_err(Failure::configuration)?;
    // What is written here counts alone.
    let retention = match (Retention { keep: args.keep, most: args.most }, settings.chores.prune) {
        (Retention { keep: None, most: None }, Some((planned, _))) => planned,
        (Retention { keep: None, most: None }, None) => {
            let hint = "write `--keep DURATION` such as `--keep 400d`, or `--most N`";
            return Err(Failure::usage("expected what is to be kept, found nothing").hint(hint));
        }
        (written, _) => written,
    };
    let now = clock::now();
    let failed = |error: ledger::LedgerError| Failure::new(error.to_string());
    let pruned = ledger::prune(&place, retention, now).map_err(failed)?;
    ledger::record_chore(&place, "prune", &user::own(), now, Ok(&pruned.to_string())).map_err(failed)?;
    print(&format!("{pruned}\n"))?;
    Ok(Exit::Good)
}

fn keep(text: &str) -> Result<SignedDuration, String> {
    let keep = SignedDuration::try_from(parse_duration(text)?).map_err(|error| error.to_string())?;
    let least = KEPT_ALWAYS.unsigned_abs();
    if keep < KEPT_ALWAYS { Err(format!("expected at least {}", format_duration(least))) } else { Ok(keep) }
}
