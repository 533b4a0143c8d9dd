//! The verb `completions`: the script with which a shell completes verbs and options. It is made from clap's definition of the arguments.
//! Does not know where a shell looks for it.

use clap_complete::Shell;

use super::{Context, Exit, Failure, print};

/// The script with which a shell completes verbs and options
///
/// For bash: `ingestd completions bash > /usr/share/bash-completion/completions/ingestd`. The package has those of bash, zsh and fish.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of which shell
    #[arg(value_enum, value_name = "bash|zsh|fish|elvish|powershell", hide_possible_values = true)]
    shell: Shell,
}

pub(crate) fn run(_: &Context, args: Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "ingestd", &mut script);
    print(&String::from_utf8_lossy(&script)).map(|()| Exit::Good)
}
