//! The verb `status`: asks the running daemon, else reads the ledger and says so. Reads no secrets, and of the schedule only its zone.
//! Does not know what is healthy and how it looks.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::SERVER;

use super::format::ObjectFormat;
use super::zone::{ZoneArgs, ZoneOfFiles};
use super::{Context, Exit, Failure, load, print, table};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::{escape_json, escape_lines};
use crate::ledger::Reader;
use crate::report::status::{self, DaemonView, Health, StatusInput, StatusObject};
use crate::web;
use crate::zones::Zones;

/// How long the daemon may take to answer: it reads its ledger, on this host.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// The longest answer that is read. A thousand shows on air are 1 MB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The state of the daemon: health, what is on air, what comes next, recent problems
///
/// The running daemon is asked at `listen` of the settings. If it does not answer, the ledger is read instead, and what only the daemon
/// knows is missing.
///
/// The exit code is 0 when the health is `ok`, 1 when it is `degraded` or `failing`, and 69 when no daemon answers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ObjectFormat,

    #[command(flatten)]
    zone: ZoneArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let zones = Zones::newest();
    let zone = args.zone.of_files(&settings, &zones, clock::now())?;
    let daemon = match settings.listen {
        Some(address) => match ask(address, &args) {
            Ok((answer, is_ok)) => return print(&answer).map(|()| if is_ok { Exit::Good } else { Exit::Problem }),
            Err(why) => DaemonView::Silent { why },
        },
        None => DaemonView::Unasked,
    };
    let why = match &daemon {
        DaemonView::Silent { why } => why,
        DaemonView::Unasked | DaemonView::Running { .. } => "the settings say `listen: none`, so no daemon can be asked",
    };
    // If stderr is closed there is no other place to write it to.
    let _ = writeln!(io::stderr(), "warning: {}; what follows is from the ledger", escape_lines(why));
    let input = from_ledger(&settings, daemon, &zones, &zone)?;
    let answer = match args.format {
        ObjectFormat::Table => escape_lines(&status::text(&input, table::width())).into_owned(),
        ObjectFormat::Json => {
            let object = serde_json::to_string(&StatusObject::new(&input)).expect("a struct of plain values is JSON");
            format!("{}\n", escape_json(&object))
        }
    };
    print(&answer).map(|()| Exit::Unreachable)
}

/// What the daemon answers and whether its health is `ok`, or why there is no answer.
fn ask(address: SocketAddr, args: &Args) -> Result<(String, bool), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let asked = runtime.block_on(async { tokio::time::timeout(ANSWER_TIME_MAX, fetch(address, args)).await });
    asked
        .unwrap_or_else(|_| Err(format!("no answer in {} s", ANSWER_TIME_MAX.as_secs())))
        .map_err(|why| format!("no daemon answers at `{address}` ({why})"))
}

async fn fetch(address: SocketAddr, args: &Args) -> Result<(String, bool), String> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    match args.format {
        ObjectFormat::Table => query.append_pair("format", "table"),
        ObjectFormat::Json => query.append_pair("format", "json"),
    };
    query.extend_pairs(args.zone.timezone.iter().map(|zone| ("timezone", zone)));
    let width = table::width().filter(|_| matches!(args.format, ObjectFormat::Table));
    query.extend_pairs(width.map(|width| ("width", width.to_string())));
    let query = query.finish();
    // The address is on this host: no proxy may be used, and no redirect followed.
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().map_err(cause)?;
    let mut response = client.get(format!("http://{address}/api/v1/status?{query}")).send().await.map_err(cause)?;
    let is_ours = response.headers().get(SERVER).and_then(|server| server.to_str().ok()).is_some_and(web::is_server);
    if !is_ours {
        return Err("something else listens there".to_owned());
    }
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("it answers with HTTP status {}", response.status()));
    }
    // A daemon of before does not say it.
    let is_ok = response.headers().get(web::HEALTH).is_none_or(|health| health == Health::Ok.name());
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(cause)? {
        body.extend_from_slice(&part);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(format!("it answers with more than {} MiB", ANSWER_BYTES_MAX >> 20));
        }
    }
    let answer = String::from_utf8(body).map_err(|_| "its answer is not text".to_owned())?;
    Ok((answer, is_ok))
}

/// The innermost cause, which says what happened; the layers around it only say that a request failed.
fn cause(error: reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn from_ledger(settings: &Settings, daemon: DaemonView, zones: &Zones, zone: &ZoneOfFiles<'_>) -> Result<StatusInput, Failure> {
    let now = clock::now();
    let folder = settings.state_folder().map_err(Failure::configuration)?;
    let read = Reader::open(&folder).and_then(|reader| Ok((reader.meta()?, web::ledger_view(&reader, now)?)));
    let (meta, ledger) =
        read.map_err(|error| Failure::Message { exit: Exit::Unreachable, message: error.to_string(), hint: None })?;
    Ok(StatusInput {
        now,
        generation: meta.generation,
        accepted_at: meta.accepted_at,
        daemon,
        not_listening: Vec::new(),
        all_off: false,
        ledger: Ok(ledger),
        secrets: load::secret_places(settings),
        zone_source: zones.data.source.clone(),
        zone_version: zones.data.version.clone(),
        zone: zone.get().clone(),
    })
}
