//! The verb `schema`: the JSON Schema of schedule files or of the settings, for editors. Reads no file but the zone data. Does
//! not know what is in a schema.

use super::{Context, Exit, Failure, print};
use crate::zones::Zones;
use crate::{config, schedule};

/// The JSON Schema of schedule files or settings, with which an editor completes, explains and underlines
///
/// Draft-07, for any editor with `yaml-language-server`. The time zones are those that `check` knows here.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of which files
    #[arg(value_enum, value_name = "schedule|config", hide_possible_values = true)]
    of: Of,
}

/// The files that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// Schedule files
    Schedule,
    /// The settings, `ingestd.yaml`
    Config,
}

pub(crate) fn run(_: &Context, args: Args) -> Result<Exit, Failure> {
    let schema = match args.of {
        Of::Schedule => schedule::schema::schema(&Zones::newest().database),
        Of::Config => config::schema(),
    };
    print(&format!("{schema:#}\n"))?;
    Ok(Exit::Good)
}
