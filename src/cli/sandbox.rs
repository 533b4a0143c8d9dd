//! `sandbox`: the stand-in endpoint on a loopback address, with well-known credentials, one line for each request. Does not know how
//! it answers.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::oneshot;

use crate::cli::load::{self, Loaded};
use crate::cli::{Context, Exit, Failure, print};
use crate::diagnostic::{Diagnostic, Place};
use crate::report;
use crate::sandbox::{self, Answered, Arrival, CallbackTarget, Delivery, ExistReading, FaultFile, Sandbox, SandboxConfig};
use crate::schedule_files::text_of;
use crate::secret::SecretSource;
use crate::trtc::Action;
use crate::trtc::callback::TaskNews;

/// The part of the help that only `--help` shows.
const FAULT_FILE_HELP: &str = "\
The file of --faults:

  media:                    # how long a medium plays once; 10m for all others, rtmp without end
    https://cdn.example.com/promo.mp4: 1m30s
    https://cdn.example.com/gone.mp4: unreachable    # starts, and callbacks say that it cannot be pulled
    https://cdn.example.com/cam.mp4: { dies: 30s, heals: 2m }    # the same for a time, counted from the sandbox's start
  faults:                   # rules, tried in order
    - { action: start, room: lobby, times: 2, error: ResourceInsufficient.RequestRejection }
    - { action: start, after: 5, times: 1, cut: after }
    - { action: describe, every: 10, delay: 2s }
    - { probability: 0.05, seed: 7, status: 502 }
    - { event: stopped, every: 3, late: 20s }

A rule chooses requests with
  action: start|stop|describe    room: ID    robot: USER_ID (of a stop: those of its task)
  stream: URL     of a start, and of the task of a stop or describe
  after: N        lets the first N that match through
  every: N        then only every Nth
  times: N        at most N times
  probability: P  with a seed: the same seed gives the same row of draws
  event: started|failed|again|stopped    callbacks of that kind
and has one effect:
  error: CODE           this error, in the vendor's envelope
  status: 300..599      an HTML page; retry_after: 3s adds the header
  body: TEXT            HTTP 200 with a body that is not an envelope
  hang: true            no answer, the connection stays open
  cut: before|after     the connection is closed, before or after the action took effect
  delay: 2s             the answer leaves later, the effect is at once
  cold_delay: 150ms     the first request on a connection arrives later
  vanish: 20s           the task ends by itself after that time
  accept: true          it seems to work, and nothing happens: a start gives the id of a task that never
                        runs, a stop leaves its task on air, a describe says InProgress
  late: 20s             a callback leaves later
  repeat: 2             a callback is delivered so many times more
  swap: true            a callback is delivered behind the next one
  drop: true            a callback never leaves
With done: true beside error, status, body or hang the action takes effect although its answer is lost.
After delay and vanish the following rules are tried too; of the other effects the first that fires decides.";

/// Runs a stand-in for TRTC's endpoint on this machine, to rehearse schedules: nothing goes on air
///
/// It verifies signatures, checks parameters, counts requests, keeps tasks and ends them as TRTC would, and prints the settings
/// that point a daemon at it. Requests are shown as they arrive. It runs until it is interrupted.
#[derive(Debug, clap::Args)]
#[command(after_long_help = FAULT_FILE_HELP)]
pub(crate) struct Args {
    /// The loopback address to listen on, such as 127.0.0.1:8621; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,

    /// What goes wrong on purpose, and how long media plays (see --help)
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,

    /// What a second start of a robot does: `room_user` and `user` refuse it with `TaskExist` (in the same room, in any room),
    /// `displace` ends the older task, `both` lets both run
    #[arg(long, value_name = "READING", default_value_t, value_parser = exist_reading)]
    exist: ExistReading,

    /// Refuse string rooms outside the alphabet of the vendor's client SDKs, and ones that begin or end with a space: it is not known
    /// whether TRTC does
    #[arg(long)]
    strict_rooms: bool,

    /// Where callbacks go, such as `http://127.0.0.1:8622/trtc/callback`: 701 when a stream starts or cannot, 702 when it ends
    #[arg(long, value_name = "URL", requires = "callback_key_file", value_parser = callback_url)]
    callbacks: Option<String>,

    /// The file of the key that signs them: the one of `callback_key` in the daemon's settings
    #[arg(long, value_name = "PATH", requires = "callbacks")]
    callback_key_file: Option<PathBuf>,
}

fn callback_url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text.to_owned()),
        _ => Err("expected an http or https URL".to_owned()),
    }
}

fn exist_reading(name: &str) -> Result<ExistReading, String> {
    let known = ExistReading::ALL.map(|(name, _)| format!("`{name}`"));
    ExistReading::parse(name).ok_or_else(|| format!("the readings are {}", known.join(", ")))
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Args { listen, faults, exist, strict_rooms, callbacks, callback_key_file } = args;
    if !listen.ip().is_loopback() {
        return Err(Failure::usage(format!("expected a loopback address for the sandbox, found `{listen}`"))
            .hint("its credentials are known to everybody: write `127.0.0.1:8621`, and reach it from elsewhere through a tunnel"));
    }
    let FaultFile { faults, media } = match faults {
        Some(path) => read_faults(&path).accept(context)?.unwrap_or_default(),
        None => FaultFile::default(),
    };
    let callbacks = match callbacks.zip(callback_key_file) {
        Some((url, path)) => {
            let key = SecretSource::File(path).read().map_err(Failure::configuration)?;
            Some(CallbackTarget { url, key })
        }
        None => None,
    };
    let config = SandboxConfig { media, faults, exist, strict_rooms, callbacks, ..SandboxConfig::well_known() };
    // Requests are served on threads of their own, so that a slow terminal delays no answer.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(config, listen))
}

/// Reads the file of faults, with everything that is wrong with it.
fn read_faults(path: &Path) -> Loaded<FaultFile> {
    let failed = |diagnostics, texts| Loaded::new(None, diagnostics, texts);
    let source = match load::read_file(path) {
        Ok(bytes) => text_of(path, bytes),
        Err(error) => {
            let place = Place::file(path.to_string_lossy().into_owned());
            Err(Diagnostic::error("unreadable", format!("cannot read the faults: {error}")).at(place))
        }
    };
    let source = match source {
        Ok(source) => source,
        Err(problem) => return failed(vec![problem], BTreeMap::new()),
    };
    match sandbox::read_fault_file(&source.name, &source.text) {
        Ok(read) => Loaded::new(Some(read), Vec::new(), BTreeMap::new()),
        Err(diagnostics) => failed(diagnostics, BTreeMap::from([(source.name, source.text)])),
    }
}

async fn serve(config: SandboxConfig, listen: SocketAddr) -> Result<Exit, Failure> {
    let cannot = |error: io::Error| Failure::new(format!("cannot listen on `{listen}`: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let listener = TcpListener::bind(listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let sandbox = Sandbox::new(config, Arc::new(crate::clock::now));
    let (arrivals, deliveries) = (sandbox.subscribe(), sandbox.subscribe_deliveries());
    print(&greeting(address))?;
    let (shutdown, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move { sandbox.serve(listener, async { drop(stopped.await) }).await });
    let shown = tokio::select! {
        shown = show(arrivals, deliveries) => shown,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    drop(shutdown);
    serving.await.map_err(|error| Failure::new(format!("the listener failed: {error}")))?;
    shown.map(|()| Exit::Good)
}

/// Prints every arrival and every delivery, until stdout fails.
async fn show(mut arrivals: Receiver<Arrival>, mut deliveries: Receiver<Delivery>) -> Result<(), Failure> {
    loop {
        let shown = tokio::select! {
            arrival = arrivals.recv() => arrival.map(|arrival| line(&arrival)),
            delivery = deliveries.recv() => delivery.map(|delivery| delivery_line(&delivery)),
        };
        match shown {
            Ok(line) => print(&line)?,
            Err(RecvError::Lagged(lost)) => print(&format!("{lost} requests came faster than they could be shown\n"))?,
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

/// One attempt to deliver a callback in one line, like a request's.
fn delivery_line(delivery: &Delivery) -> String {
    let Delivery { at, news, attempt, status } = delivery;
    let what = match news.news {
        TaskNews::Started => "started",
        TaskNews::StartFailed => "failed",
        TaskNews::StartAgain => "again",
        TaskNews::Stopped => "stopped",
    };
    let answer = status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
    let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
    format!("{}  callback  {:<16}  {:<16}  {what}: {answer}{again}\n", report::instant(*at), news.room, news.robot)
}

/// One request in one line: when, what, where, who, answer.
fn line(arrival: &Arrival) -> String {
    let action = Action::from_name(&arrival.action).map_or(arrival.action.as_str(), |action| action.word());
    let or_dash = |text: Option<&str>| text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
    let done = if arrival.effect && arrival.answered != Answered::Ok { " (done)" } else { "" };
    let over = if arrival.over_rate { " (over the rate)" } else { "" };
    let (action, room, robot) = (or_dash(Some(action)), or_dash(arrival.room.as_deref()), or_dash(arrival.robot.as_deref()));
    format!("{}  {action:<8}  {room:<16}  {robot:<16}  {}{done}{over}\n", report::instant(arrival.at), arrival.answered)
}

/// Where it listens and how a daemon is pointed at it, to be pasted as it is.
fn greeting(address: SocketAddr) -> String {
    let (secret_id, secret_key) = (sandbox::WELL_KNOWN_SECRET_ID, sandbox::WELL_KNOWN_SECRET_KEY);
    let (app, key) = (sandbox::WELL_KNOWN_SDK_APP_ID, sandbox::WELL_KNOWN_APP_KEY);
    format!(
        "\
# The sandbox stands in for TRTC's endpoint at http://{address}: nothing goes on air. Its credentials are not secret.
# For ingestd.yaml:
account:
  region: ap-singapore
  endpoint: http://{address}
apps:
  main:
    sdk_app_id: {app}
    secret_key: {{ env: SANDBOX_APP_KEY }}
state: state    # a folder beside these settings; what aired is kept there

# For the shell that starts the daemon:
export TENCENTCLOUD_SECRET_ID={secret_id}
export TENCENTCLOUD_SECRET_KEY={secret_key}
export SANDBOX_APP_KEY={key}

# Requests as they arrive: time, action, room, robot, answer.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Source;

    #[test]
    fn what_it_greets_with_are_settings_without_a_fault() {
        let greeting = greeting("127.0.0.1:8621".parse().expect("an address"));
        let (settings, _) = greeting.split_once("# For the shell").expect("two parts");
        let source = Source { name: Arc::from("ingestd.yaml"), text: settings.to_owned() };
        let read = crate::config::read(&source, Path::new("."));
        assert_eq!(read.diagnostics, []);
        let settings = read.settings.expect("settings");
        assert_eq!(settings.account.endpoint.to_string(), "http://127.0.0.1:8621");
        assert_eq!(settings.apps["main"].sdk_app_id, sandbox::WELL_KNOWN_SDK_APP_ID);
    }

    #[test]
    fn a_line_says_what_the_client_saw_and_what_happened() {
        let arrival = Arrival {
            at: "2026-11-22T10:00:00.25Z".parse().expect("an instant"),
            connection: 1,
            action: "StartStreamIngest".to_owned(),
            region: "ap-singapore".to_owned(),
            room: Some("lobby".to_owned()),
            robot: Some("evening-promo".to_owned()),
            task_id: None,
            answered: Answered::Ok,
            effect: true,
            over_rate: false,
        };
        let cut = Arrival { answered: Answered::Cut, over_rate: true, ..arrival.clone() };
        let other = Arrival { action: String::new(), room: None, robot: None, effect: false, ..arrival.clone() };
        for (arrival, expected) in [
            (arrival, "2026-11-22T10:00:00.250Z  start     lobby             evening-promo     ok\n"),
            (cut, "2026-11-22T10:00:00.250Z  start     lobby             evening-promo     cut (done) (over the rate)\n"),
            (other, "2026-11-22T10:00:00.250Z  -         -                 -                 ok\n"),
        ] {
            assert_eq!(line(&arrival), expected);
        }
    }
}
