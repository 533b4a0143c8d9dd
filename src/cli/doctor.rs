//! The verb `doctor`: examines what would go wrong at air time, prints it, and adds what a running daemon has found. Starts and stops
//! nothing. Does not know what is examined.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use super::format::ObjectFormat;
use super::{Context, Exit, Failure, ask, findings, load};
use crate::clock::{self, Clock as _, SystemClock};
use crate::config::Settings;
use crate::diagnostic::{Severity, escape_json, escape_lines};
use crate::doctor::{self, Doctor, shows_of};
use crate::finding::{Finding, FindingKind};
use crate::probe::{LOOKS_AT_ONCE, Prober};
use crate::schedule::Schedule;
use crate::secret::SecretSource;
use crate::trtc::HttpApi;
use crate::trtc::client::Limits;
use crate::zones::Zones;

/// How long the daemon may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Shows whose media takes a while to look at, if it cannot be reached.
const MANY_SHOWS: usize = 50;

/// What would go wrong at air time, and how to fix it
///
/// It reads the settings, the schedule and each secret. It asks the endpoint for a task that cannot be, once for each application and region
/// that jobs use: so it finds out about DNS, TLS, the clock, the account's keys, the permission to call DescribeStreamIngest, and the
/// applications. It looks at the media of the next 24 hours as `probe` does. It starts and stops nothing, so whether the keys may call
/// StartStreamIngest and StopStreamIngest, and whether an application's key is right, it cannot tell: it says so in notes.
///
/// Where this user cannot read the secrets of the service, the running daemon is asked what it has found: it does the same at boot, each
/// hour and after a reload.
///
/// As JSON one object a line: `{severity, kind, about, what, advice}`, `severity` being `problem` or `note`.
///
/// The exit code is 1 when there is a problem.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print it; as JSON one object a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ObjectFormat,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let zones = Zones::newest();
    let loaded = load::read_playable(&settings, &zones.database, clock::now());
    let mut found = Vec::new();
    if let Some(first) = loaded.diagnostics.iter().find(|problem| problem.severity == Severity::Error) {
        let folder = settings.schedules.display().to_string();
        let what = format!("the schedule files are refused: {first}");
        found.push(Finding::problem(FindingKind::Schedule, folder, what, "`ingestd check` shows every problem"));
    }
    found.extend(examine(&settings, loaded.value)?);
    found.sort();
    found.dedup();
    let mut out = context.stdout();
    let printed = found.iter().try_for_each(|finding| match args.format {
        ObjectFormat::Table => out.write_all(escape_lines(&findings::lines(finding)).as_bytes()),
        ObjectFormat::Json => {
            let json = serde_json::to_string(finding).expect("a struct of plain values is JSON");
            writeln!(out, "{}", escape_json(&json))
        }
    });
    printed.and_then(|()| out.flush()).map_err(Failure::Output)?;
    // If stderr is closed there is no other place to write it to.
    let _ = writeln!(io::stderr(), "{}", findings::summary(&found));
    Ok(if found.iter().any(Finding::is_problem) { Exit::Problem } else { Exit::Good })
}

fn examine(settings: &Settings, schedule: Option<Schedule>) -> Result<Vec<Finding>, Failure> {
    let source = settings.clone();
    // Why the secrets cannot be read stands among the findings.
    let api = load::read_account(settings)
        .is_ok()
        .then(|| HttpApi::new(settings.account.endpoint.clone(), Limits::STANDARD, move || load::read_account(&source)));
    let api = api.transpose().map_err(Failure::new)?.map(Arc::new);
    let secrets = load::secret_places(settings);
    let prober = Prober::new(settings.media_hosts.clone()).map_err(Failure::new)?;
    let doctor = Arc::new(Doctor { api, queues: None, metrics: None, settings: settings.clone(), secrets, prober });
    let runtime = super::run::runtime()?;
    let mut found = runtime.block_on(async {
        let synchronised = SystemClock::new().ok().and_then(|clock| clock.synchronised());
        let mut found = doctor.examine(schedule.as_ref(), synchronised).await.unwrap_or_default();
        if let Some(schedule) = &schedule {
            let shows = shows_of(&doctor, schedule, clock::now());
            if shows.len() > MANY_SHOWS {
                load::note(&format!(
                    "the media of {} shows is looked at, {LOOKS_AT_ONCE} at once: this may take minutes",
                    shows.len()
                ));
            }
            found.extend(doctor.look_at_all(&shows).await);
        }
        found
    });
    // A resolver that does not answer must not keep the process.
    runtime.shutdown_background();
    // A daemon has the secrets of its service, which its operators may not read.
    let elsewhere = doctor::sources(settings).into_iter().filter(|(_, source)| !matches!(source, SecretSource::Credential(_)));
    let elsewhere: BTreeSet<String> = elsewhere.map(|(name, _)| name).collect();
    let is_of_shell = |one: &Finding| one.kind == FindingKind::Secret && one.is_problem() && elsewhere.contains(&one.about);
    if doctor.api.is_none() || found.iter().any(is_of_shell) {
        match of_daemon(settings) {
            Ok(of_daemon) => {
                found.retain(|finding| !is_of_shell(finding));
                found.extend(of_daemon);
            }
            Err(why) if doctor.api.is_none() => found.push(untried(&why)),
            Err(_) => {}
        }
    }
    Ok(found)
}

fn untried(why: &str) -> Finding {
    let what =
        format!("the account's keys were not tried, because they cannot be read here, and no daemon says what it found: {why}");
    Finding::note(FindingKind::Key, "account", what, "start the daemon, or run this as its user with its secrets")
}

/// What the running daemon has found. Errors: why it does not say it.
fn of_daemon(settings: &Settings) -> Result<Vec<Finding>, String> {
    let answer = ask::over_control(settings, ask::question("/api/v1/status?format=json"), ANSWER_TIME_MAX);
    let answer = answer.map_err(|none| none.message())?;
    if answer.status != StatusCode::OK {
        return Err(answer.error());
    }
    let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    serde_json::from_value(status["findings"].clone()).map_err(|_| "it is of another version".to_owned())
}
