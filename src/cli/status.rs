//! The verb `status`: asks the running daemon, else reads the ledger and says so. Reads no secrets, and of the schedule only its zone.
//! Does not know what is healthy and how it looks.

use std::time::Duration;

use hyper::StatusCode;

use super::ask::{self, Answer, Silence};
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

/// The state of the daemon: health, what is on air, what comes next, recent problems
///
/// The running daemon is asked over its control socket, or at `listen` of the settings by those who may not use the socket. If it does not
/// answer, the ledger is read instead, and what only the daemon knows is missing.
///
/// The exit code is 0 when the health is `ok`, 1 when it is `degraded` or `failing`, and 69 when no daemon answers.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only whether the daemon turns, for what restarts it when it does not: 0 while `/healthz` is 200, whatever the health is, 1 while its
    /// loop or its disk hangs, 69 when it does not answer
    #[arg(long, conflicts_with_all = ["format", "timezone"])]
    alive: bool,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: ObjectFormat,

    #[command(flatten)]
    zone: ZoneArgs,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    if args.alive {
        return alive(&settings);
    }
    let zones = Zones::newest();
    let zone = args.zone.of_files(&settings, &zones, clock::now())?;
    let why = match ask(&settings, &args) {
        Ok((answer, is_ok)) => return print(&answer).map(|()| if is_ok { Exit::Good } else { Exit::Problem }),
        Err(why) => why,
    };
    let input = from_ledger(&settings, DaemonView::Silent { why }, &zones, &zone)?;
    let answer = match args.format {
        ObjectFormat::Table => escape_lines(&status::text(&input, table::width())).into_owned(),
        ObjectFormat::Json => {
            let object = serde_json::to_string(&StatusObject::new(&input)).expect("a struct of plain values is JSON");
            format!("{}\n", escape_json(&object))
        }
    };
    print(&answer).map(|()| Exit::Unreachable)
}

/// What the daemon answers and whether its health is `ok`, or why there is no answer. The control socket is this daemon's own; the port of
/// the page may be taken by another program, but everybody may ask there.
fn ask(settings: &Settings, args: &Args) -> Result<(String, bool), String> {
    let question = || ask::question(&format!("/api/v1/status?{}", query(args)));
    let (why, silence) = match ask::over_control(settings, question(), ANSWER_TIME_MAX) {
        Ok(answer) if answer.status == StatusCode::OK => return read(&answer),
        // One of before is asked at its page.
        Ok(answer) => (answer.error(), Silence::NotAsked),
        Err(none) => (none.message(), none.silence),
    };
    let Some(page) = settings.listen.on_this_host().filter(|_| silence != Silence::Silent) else { return Err(why) };
    match ask::at_page(page, question(), ANSWER_TIME_MAX) {
        Ok(answer) if answer.status == StatusCode::OK => {
            if silence == Silence::NobodyThere {
                load::warn(&format!("{why}; what follows says the daemon whose page is at `{page}`, and that may be another"));
            }
            read(&answer)
        }
        Ok(answer) => {
            Err(format!("the daemon at `{page}` does not answer this question, and may be of another version: {}", answer.error()))
        }
        Err(page_why) => Err(format!("{why}, and none at `{page}` ({page_why})")),
    }
}

/// Asks what `/healthz` says.
fn alive(settings: &Settings) -> Result<Exit, Failure> {
    let question = || ask::question("/healthz");
    let answer = match ask::over_control(settings, question(), ANSWER_TIME_MAX) {
        Ok(answer) => answer,
        Err(none) => {
            let page = settings.listen.on_this_host().filter(|_| none.silence == Silence::NotAsked);
            page.and_then(|page| ask::at_page(page, question(), ANSWER_TIME_MAX).ok()).ok_or_else(|| Failure::Message {
                exit: Exit::Unreachable,
                message: none.message(),
                hint: None,
            })?
        }
    };
    print(&escape_lines(&String::from_utf8_lossy(&answer.body)))?;
    Ok(if answer.status == StatusCode::OK { Exit::Good } else { Exit::Problem })
}

fn query(args: &Args) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    match args.format {
        ObjectFormat::Table => query.append_pair("format", "table"),
        ObjectFormat::Json => query.append_pair("format", "json"),
    };
    query.extend_pairs(args.zone.timezone.iter().map(|zone| ("timezone", zone)));
    let width = table::width().filter(|_| matches!(args.format, ObjectFormat::Table));
    query.extend_pairs(width.map(|width| ("width", width.to_string())));
    query.finish()
}

fn read(answer: &Answer) -> Result<(String, bool), String> {
    // A daemon of before does not say it.
    let is_ok = answer.headers.get(web::HEALTH).is_none_or(|health| health == Health::Ok.name());
    let text = String::from_utf8(answer.body.to_vec()).map_err(|_| "the daemon's answer is not text".to_owned())?;
    Ok((text, is_ok))
}

fn from_ledger(settings: &Settings, daemon: DaemonView, zones: &Zones, zone: &ZoneOfFiles<'_>) -> Result<StatusInput, Failure> {
    let now = clock::now();
    let place = super::place::place(settings).map_err(Failure::configuration)?;
    let read = Reader::open_at(&place).and_then(|reader| Ok((reader.meta()?, web::ledger_view(&reader, now)?)));
    let (meta, ledger) =
        read.map_err(|error| Failure::Message { exit: Exit::Unreachable, message: error.to_string(), hint: None })?;
    Ok(StatusInput {
        now,
        generation: meta.generation,
        accepted_at: meta.accepted_at,
        daemon,
        not_listening: Vec::new(),
        not_told: Vec::new(),
        failed_chores: Vec::new(),
        all_off: false,
        ledger: Ok(ledger),
        secrets: load::secret_places(settings),
        zone_source: zones.data.source.clone(),
        zone_version: zones.data.version.clone(),
        zone: zone.get().clone(),
    })
}
