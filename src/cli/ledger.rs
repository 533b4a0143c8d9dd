//! `ledger copy`: takes a ledger from a file into a database that several hosts share, or back. Does not stop a daemon.

use clap::ValueEnum;

use super::{Context, Exit, Failure};

/// The ledger: `copy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copies the whole ledger between its file in `state` and the station that `ledger` of the settings names, while no daemon runs
    ///
    /// Both are named by the same settings: leave `ledger` in them until the copy is made. What is copied stays where it was. A target that
    /// has rows is refused, and so is a ledger whose daemon runs. The rows are counted at the end.
    Copy {
        /// Where the copy is to be
        #[arg(long, value_enum)]
        to: Target,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Target {
    /// The station on `PostgreSQL`.
    Postgres,
    /// The file in `state`.
    Sqlite,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Command::Copy { to } = args.command;
    copy(context, to)
}

#[cfg(feature = "postgres")]
fn copy(context: &Context, to: Target) -> Result<Exit, Failure> {
    use crate::ledger::{copy_to_folder, copy_to_station};

    let settings = super::load::load_settings(context)?;
    let Some(shared) = &settings.ledger else {
        let hint = "write `ledger: {postgres: {credential: NAME}}` into the settings; take it out again after a copy to SQLite";
        return Err(Failure::configuration("the settings have no `ledger`, so there is no database to copy to or from".to_owned())
            .hint(hint));
    };
    let station = super::place::station(shared).map_err(Failure::configuration)?;
    let folder = settings.state_folder().map_err(Failure::configuration)?;
    let copied = match to {
        Target::Postgres => copy_to_station(&folder, &station),
        Target::Sqlite => copy_to_folder(&station, &folder),
    };
    let copied = copied.map_err(|error| Failure::new(error.to_string()))?;
    super::print(&format!("{copied}\n"))?;
    Ok(Exit::Good)
}

#[cfg(not(feature = "postgres"))]
fn copy(_: &Context, _: Target) -> Result<Exit, Failure> {
    Err(Failure::configuration("this ingestd was built without PostgreSQL".to_owned()))
}
