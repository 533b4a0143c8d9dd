//! The verb `alert`: a test to each receiver, and what came back. The running daemon sends it; without one the verb does. Does not queue
//! anything.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::ask::{self, Answer, Silence};
use super::{Context, Exit, Failure, load, print};
use crate::alerts::deliver::{Deliverer, host_name};
use crate::alerts::testing::{AlertTester, Tested};
use crate::config::{AlertReceiver, Settings};
use crate::diagnostic::escape_lines;

/// How long the daemon may take: a program as a receiver has half of it.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(1);

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
    /// The running daemon sends it, with its own secrets and settings. Without a daemon the verb sends it itself, and reads the secrets; those
    /// that systemd loads are readable to the daemon alone. It ends with 1 if a receiver did not take the test.
    Test,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    match args.command {
        AlertCommand::Test => test(context),
    }
}

fn test(context: &Context) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let tested = match ask::over_control(&settings, ask::order("/v1/alert-test", &json!({})), ANSWER_TIME_MAX) {
        Ok(answer) => of_daemon(&answer, &settings)?,
        Err(none) if none.silence == Silence::NobodyThere => of_this_verb(settings)?,
        Err(none) => return Err(none.failure),
    };
    if tested.is_empty() {
        return Err(Failure::new("the settings name no receiver").hint("write them under `alerts` (see `ingestd help config`)"));
    }
    let mut text = String::new();
    for Tested { receiver, why } in &tested {
        let _ = match why {
            None => writeln!(text, "{receiver}: taken"),
            Some(why) => writeln!(text, "{receiver}: not taken: {}", escape_lines(why)),
        };
    }
    print(&text)?;
    Ok(if tested.iter().any(|tested| tested.why.is_some()) { Exit::Problem } else { Exit::Good })
}

/// The answer of `/v1/alert-test`.
#[derive(Deserialize)]
struct DaemonAnswer {
    tested: Vec<Tested>,
}

fn of_daemon(answer: &Answer, settings: &Settings) -> Result<Vec<Tested>, Failure> {
    if answer.status != StatusCode::OK {
        return Err(Failure::new(answer.error()));
    }
    let read = serde_json::from_slice(&answer.body);
    let DaemonAnswer { tested } = read.map_err(|_| Failure::new("the daemon's answer is not what this verb reads"))?;
    let is_tested = |receiver: &&AlertReceiver| tested.iter().any(|tested| tested.receiver == receiver.name);
    let (known, new): (Vec<&AlertReceiver>, Vec<&AlertReceiver>) = settings.alerts.iter().partition(is_tested);
    if !new.is_empty() || known.len() < tested.len() {
        load::note("the daemon started with other settings, and tests their receivers: restart it (`systemctl restart ingestd`)");
    }
    Ok(tested)
}

fn of_this_verb(settings: Settings) -> Result<Vec<Tested>, Failure> {
    let hidden = load::secret_sources(&settings).cloned().collect();
    let deliverer = Deliverer::new(host_name()).map_err(Failure::new)?.hiding(hidden);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    Ok(runtime.block_on(AlertTester::new(settings.alerts, deliverer).test()))
}
