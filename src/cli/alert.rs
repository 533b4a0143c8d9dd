//! The verb `alert`: sends a test to each receiver and says what came back. Does not queue anything, and does not ask the daemon.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Context, Exit, Failure, load, print};
use crate::alerts::deliver::{Deliverer, host_name};
use crate::alerts::test_message;
use crate::clock;
use crate::config::AlertReceiver;
use crate::diagnostic::escape_lines;

/// Tests who is told of trouble
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: AlertCommand,
}

#[derive(Debug, clap::Subcommand)]
enum AlertCommand {
    /// Sends one test message to each receiver of `alerts`, and says what came back
    ///
    /// The verb reads the settings and the secrets itself. Secrets that systemd loads are readable to the daemon alone: for them, run this
    /// with the same `LoadCredential=`. It ends with 1 if a receiver did not take the test.
    Test,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        AlertCommand::Test => test(context),
    }
}

fn test(context: &Context) -> Result<Exit, Failure> {
    let receivers = load::load_settings(context)?.alerts;
    if receivers.is_empty() {
        return Err(Failure::new("the settings name no receiver").hint("write them under `alerts` (see `ingestd help config`)"));
    }
    let deliverer = Deliverer::new(host_name()).map_err(Failure::new)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let answers = runtime.block_on(ask_all(receivers, &deliverer));
    let has_failed = answers.iter().any(|(_, answer)| answer.is_err());
    let mut text = String::new();
    for (name, answer) in answers {
        let _ = match answer {
            Ok(()) => writeln!(text, "{name}: taken"),
            Err(why) => writeln!(text, "{name}: not taken: {}", escape_lines(&why)),
        };
    }
    print(&text)?;
    Ok(if has_failed { Exit::Problem } else { Exit::Good })
}

/// Asks all at once, and answers in the order of the settings.
async fn ask_all(receivers: Vec<AlertReceiver>, deliverer: &Deliverer) -> Vec<(String, Result<(), String>)> {
    let mut asked = JoinSet::new();
    for (at, receiver) in receivers.into_iter().enumerate() {
        let (receiver, deliverer) = (Arc::new(receiver), deliverer.clone());
        asked.spawn(async move {
            let now = clock::now();
            let answer = deliverer.send(&receiver, &test_message(&receiver.name, now), now).await;
            (at, receiver.name.clone(), answer.map_err(|failed| failed.why))
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(at, ..)| *at);
    answers.into_iter().map(|(_, name, answer)| (name, answer)).collect()
}
