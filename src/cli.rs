//! The command line: arguments to a verb, its result to an exit code. One file for each verb. Does not know what a verb does.
//!
//! A verb's file exports two things, and two lines here add it: its `mod`, and its name in `verbs!`.
//!
//! ```text
//! /// Says one line about the verb: this is its text in `--help`.
//! #[derive(Debug, clap::Args)]
//! pub(crate) struct Args { /* .. */ }
//!
//! pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> { /* .. */ }
//! ```
//!
//! Data goes to stdout (through [`Context::stdout`] or [`print()`]), everything else to stderr.

mod alert;
mod ask;
mod backup;
mod check;
mod clock;
mod completions;
mod demo;
mod doctor;
mod findings;
mod fire;
mod format;
mod help;
mod history;
mod in_force;
mod ledger;
pub mod load;
mod log;
mod man;
mod order;
mod pause;
mod place;
mod plan;
mod probe;
mod prune;
mod reload;
mod resume;
mod run;
mod sandbox;
mod schema;
mod skip;
mod status;
mod stop;
mod table;
mod why;
mod zone;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::diagnostic::escape_lines;

/// Declares the enum of verbs and the call of each. `mod` stays outside, where rustfmt finds it.
macro_rules! verbs {
    ($($name:ident => $module:ident),* $(,)?) => {
        #[derive(Debug, clap::Subcommand)]
        enum Verb {
            $($name($module::Args),)*
        }

        fn dispatch(context: &Context, verb: Verb) -> Result<Exit, Failure> {
            match verb {
                $(Verb::$name(args) => $module::run(context, args),)*
            }
        }
    };
}

verbs! {
    Run => run,
    Check => check,
    Plan => plan,
    Why => why,
    Probe => probe,
    Doctor => doctor,
    Status => status,
    History => history,
    Fire => fire,
    Stop => stop,
    Skip => skip,
    Pause => pause,
    Resume => resume,
    Reload => reload,
    Clock => clock,
    Alert => alert,
    Backup => backup,
    Prune => prune,
    Ledger => ledger,
    Sandbox => sandbox,
    Demo => demo,
    Schema => schema,
    Completions => completions,
    Man => man,
    Help => help,
}

/// Where the daemon's settings are unless `--config` names another file.
pub const CONFIG_DEFAULT: &str = "/etc/ingestd/ingestd.yaml";

/// Puts media on air in Tencent RTC rooms by the clock.
#[derive(Debug, Parser)]
#[command(name = "ingestd", version, subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
struct Arguments {
    /// The daemon's settings [default: /etc/ingestd/ingestd.yaml]
    #[arg(long, global = true, value_name = "PATH", env = "INGESTD_CONFIG")]
    config: Option<PathBuf>,

    /// How log lines are written to stderr; which ones, `$INGESTD_LOG` says (`info`, `ingestd=debug`)
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t)]
    log: LogFormat,

    #[command(subcommand)]
    verb: Verb,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people, and for the journal
    #[default]
    Text,
    /// One object a line
    Json,
}

/// How the program ends: the numbers of `sysexits.h`, so that scripts and systemd can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: success. A reader that closed its pipe early had all that it wanted, so that is success too.
    Good,
    /// 1: a problem was found (`check`), or the verb failed.
    Problem,
    /// 2: the arguments are not valid.
    Usage,
    /// 69 (`EX_UNAVAILABLE`): the daemon could not be reached.
    Unreachable,
    /// 78 (`EX_CONFIG`): the settings or the schedule keep the program from starting. systemd does not restart after it.
    Configuration,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Good => 0,
            Exit::Problem => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 69,
            Exit::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why a verb failed.
#[derive(Debug)]
pub enum Failure {
    /// Stderr already says why; nothing more is printed.
    Explained(Exit),
    /// To be printed as `error: message`, and `help: hint`.
    Message {
        /// How the program ends.
        exit: Exit,
        /// What is wrong: lower case, no final period, backticks round values.
        message: String,
        /// How to fix it.
        hint: Option<String>,
    },
    /// Stdout could not be written. A broken pipe is success.
    Output(io::Error),
}

impl Failure {
    /// The verb failed: exit 1.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure::Message { exit: Exit::Problem, message: message.into(), hint: None }
    }

    /// The settings are wrong: exit 78.
    pub fn configuration(message: impl Into<String>) -> Failure {
        Failure::Message { exit: Exit::Configuration, message: message.into(), hint: None }
    }

    /// The arguments are wrong in a way that clap cannot see: exit 2.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Message { exit: Exit::Usage, message: message.into(), hint: None }
    }

    /// Says how to fix it.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Failure {
        if let Failure::Message { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// What is wrong, without advice, for a message that goes on.
    fn message(&self) -> String {
        match self {
            Failure::Message { message, .. } => message.clone(),
            Failure::Output(error) => error.to_string(),
            Failure::Explained(_) => "see above".to_owned(),
        }
    }

    /// How the program ends.
    pub fn exit(&self) -> Exit {
        match self {
            Failure::Explained(exit) | Failure::Message { exit, .. } => *exit,
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
            Failure::Output(_) => Exit::Problem,
        }
    }
}

/// What stderr shows; empty when stderr already shows it, or when there is nothing to show.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Message { message, hint, .. } => {
                // It may name a file, or repeat what a server said.
                writeln!(formatter, "error: {}", escape_lines(message))?;
                hint.iter().try_for_each(|hint| writeln!(formatter, "  help: {}", escape_lines(hint)))
            }
            Failure::Output(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                writeln!(formatter, "error: cannot write to stdout: {error}")
            }
            Failure::Explained(_) | Failure::Output(_) => Ok(()),
        }
    }
}

/// What every verb gets beside its own arguments.
#[derive(Clone, Debug)]
pub struct Context {
    /// `--config` or `$INGESTD_CONFIG`; `None` when neither was given, which means [`CONFIG_DEFAULT`].
    pub config: Option<PathBuf>,
    /// How log lines are written.
    pub log: LogFormat,
}

impl Context {
    /// Stdout, locked and buffered: flush it, and turn its errors into [`Failure::Output`].
    pub fn stdout(&self) -> BufWriter<StdoutLock<'static>> {
        BufWriter::new(io::stdout().lock())
    }

    /// Whether stdout takes colour: it is a terminal, and `$NO_COLOR` is not set.
    pub fn colour_stdout(&self) -> bool {
        colour(io::stdout().is_terminal())
    }

    /// The same of stderr.
    pub fn colour_stderr(&self) -> bool {
        colour(io::stderr().is_terminal())
    }
}

/// <https://no-color.org>: set to anything but the empty text.
fn colour(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes `text` to stdout as it is.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Output)
}

/// Shows help, or what is wrong with the arguments. These are repeated, and may hold what acts on a terminal.
fn tell(error: &clap::Error) -> io::Result<()> {
    let text = error.to_string();
    match escape_lines(&text) {
        Cow::Owned(escaped) if error.use_stderr() => io::stderr().write_all(escaped.as_bytes()),
        _ => error.print(),
    }
}

/// The whole program: parse, run the verb, say what went wrong.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let Arguments { config, log, verb } = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // Help and version come here too.
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Good };
            return tell(&error).map_or_else(|error| report_failure(&Failure::Output(error)), |()| exit);
        }
    };
    let context = Context { config, log };
    let log_lines = match log::install(log) {
        Ok(log_lines) => log_lines,
        Err(failure) => return report_failure(&failure),
    };
    let result = dispatch(&context, verb).or_else(|failure| log::tell_failure(&context, failure));
    let is_read = log_lines.close();
    // Who does not read the log does not read this either, and it would wait for them.
    result.unwrap_or_else(|failure| if is_read { report_failure(&failure) } else { failure.exit() })
}

/// The definition of the arguments.
fn command() -> clap::Command {
    Arguments::command()
}

/// Writes to stderr what went wrong. If stderr is closed there is no other place to write it to.
fn report_failure(failure: &Failure) -> Exit {
    let _ = io::stderr().write_all(failure.to_string().as_bytes());
    failure.exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_failure_says_what_is_wrong_and_how_to_fix_it() {
        let failure = Failure::configuration("`x` is wrong").hint("write `y`");
        assert_eq!((failure.to_string().as_str(), failure.exit().code()), ("error: `x` is wrong\n  help: write `y`\n", 78));
        let pipe = Failure::Output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((pipe.to_string().as_str(), pipe.exit().code()), ("", 0));
    }
}
