//! The verb `help`: the help of a verb, as clap has it, or a page of the manual as text. What stands in either is not known here.

use clap::Parser;

use super::{Arguments, Context, Exit, Failure, man, print};

/// Shows the help of a verb, or the manual of schedule files or settings
///
/// `ingestd help plan` shows the help of the verb `plan`. `ingestd help schedule` shows every field of a schedule file, and `ingestd
/// help config` shows every key of the settings.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A verb, `schedule`, or `config`; without it the help of the program
    #[arg(value_name = "VERB|schedule|config")]
    words: Vec<String>,
}

pub(crate) fn run(_: &Context, args: Args) -> Result<Exit, Failure> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    match words[..] {
        ["schedule"] => print(&man::schedule_text())?,
        ["config"] => print(&man::settings_text())?,
        _ => {
            let asked = ["ingestd"].into_iter().chain(words).chain(["--help"]);
            let answer = Arguments::try_parse_from(asked).expect_err("`--help` is never an order");
            answer.print().map_err(Failure::Output)?;
            return Ok(if answer.use_stderr() { Exit::Usage } else { Exit::Good });
        }
    }
    Ok(Exit::Good)
}
