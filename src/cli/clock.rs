//! The verb `clock`: tells the daemon that this host's clock is right. Does not read the clock, and does not check it.

use serde_json::json;

use super::{Context, Exit, Failure, order};

/// Tells the daemon that the clock is right
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: ClockCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ClockCommand {
    /// Ends a clock hold: starts leave again by the clock as it is now
    ///
    /// A daemon whose clock jumped, or went back behind a time that it recorded, starts nothing until an operator says that the clock is
    /// right.
    Confirm,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        ClockCommand::Confirm => order::give(context, "/v1/clock/confirm", json!({})),
    }
}
