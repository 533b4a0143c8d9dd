//! The verb `demo`: sandbox, daemon, example schedule and page in one process, with nothing to set up. The daemon is the one of
//! `run`, over real HTTP and on a real ledger. Does not know what it plays.

mod demo_folder;
mod event_printer;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;

use crate::cli::run::{Service, Signals, runtime};
use crate::cli::{Context, Exit, Failure, load, order, print};
use crate::config::RATE_DEFAULT;
use crate::ledger::{HistoryQuery, Reader};
use crate::occurrence::{LATE_AFTER, Occurrence};
use crate::report::history::table;
use crate::sandbox::Sandbox;
use crate::schedule::values::parse_duration;
use demo_folder::DemoFolder;
use event_printer::EventPrinter;

/// Where the page listens without `--listen`, if the port is free: the daemon's usual address.
const PAGE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8620);
/// A port that the system chooses.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// What an operator orders when the demo begins, as the verbs `skip` and `pause` do.
const ORDERS: [(&str, &str); 2] = [
    ("/v1/skip", r#"{"job": "called-off", "note": "rain"}"#),
    ("/v1/pause", r#"{"job": "on-hold", "indefinite": true, "note": "until the sponsor has paid"}"#),
];
/// How often they are given until the daemon takes them, and how long it is waited between two times.
const ORDER_TRIES: (u32, Duration) = (50, Duration::from_millis(100));
/// As many rows as a day of the demo can leave.
const ROWS_MAX: u32 = 100_000;

/// Shows how it works: an example schedule of a minute, against a stand-in for TRTC on this machine
///
/// There is nothing to set up, and nothing goes on air: the sandbox answers instead of TRTC, and a few things go wrong on purpose. The
/// demo prints what happens as it happens, then what the ledger has recorded. Everything is in a temporary folder, which is removed at
/// the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long it runs; in a minute it shows everything
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = length)]
    length: Duration,

    /// The loopback address of the page [default: 127.0.0.1:8620, or any port if that is taken]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

fn length(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text)?;
    let known = Duration::from_secs(1)..=Duration::from_hours(24);
    if known.contains(&length) { Ok(length) } else { Err("it takes from `1s` to `1d`".to_owned()) }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    if let Some(address) = args.listen.filter(|address| !address.ip().is_loopback()) {
        return Err(Failure::usage(format!("expected a loopback address for the page, found `{address}`"))
            .hint("write `127.0.0.1:8620`, and reach it from elsewhere through a tunnel"));
    }
    let folder = DemoFolder::make().map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
    let sandbox = Sandbox::new(demo_folder::sandbox(), Arc::new(crate::clock::now));
    let runtime = runtime()?;
    let signals = Signals::new(&runtime)?;
    runtime.block_on(play(context, &args, &folder, &sandbox, signals))?;
    let query = HistoryQuery { limit: ROWS_MAX, ..HistoryQuery::default() };
    let rows = Reader::open(&folder.state()).and_then(|reader| reader.history(&query));
    let rows = rows.map_err(|error| Failure::new(error.to_string()))?;
    let mut shown = Vec::new();
    super::table::print(&mut shown, &table(&rows, &jiff::tz::TimeZone::UTC)).map_err(Failure::Output)?;
    print(&format!(
        "\nWhat the ledger has recorded (`history`):\n\n{}\n\n{}\n",
        String::from_utf8_lossy(&shown).trim_end(),
        figures(&rows, sandbox.rejections())
    ))?;
    Ok(Exit::Good)
}

async fn play(context: &Context, args: &Args, folder: &DemoFolder, sandbox: &Sandbox, signals: Signals) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| Failure::new(format!("cannot listen on a loopback address: {error}"));
    let endpoint = TcpListener::bind(ANY).await.map_err(cannot)?;
    let page = page(args.listen).await?;
    let (endpoint_address, page_address) = (endpoint.local_addr().map_err(cannot)?, page.local_addr().map_err(cannot)?);
    folder
        .set(endpoint_address, page_address, crate::clock::now(), args.length)
        .map_err(|error| Failure::new(format!("cannot write to `{}`: {error}", folder.folder().display())))?;
    print(&greeting(page_address, folder, args.length))?;
    let stand_in = sandbox.clone();
    // It ends with the runtime.
    tokio::spawn(async move { stand_in.serve(endpoint, std::future::pending()).await });
    let context = Context { config: Some(folder.settings()), ..context.clone() };
    let service = Service::prepare(&context, load::load_settings(&context)?, false)?;
    tokio::spawn(give_orders(context.clone()));
    let (printer, happenings, gone) = EventPrinter::begin(context.colour_stdout());
    let length = args.length;
    let end = async move {
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            _ = gone => {}
        }
    };
    // The printer may have ended: then `end` is ready already.
    let observe = move |happening: &crate::engine::Notice| drop(happenings.send(happening.clone()));
    let played = Box::pin(service.play(signals, Some(page), Box::new(observe), end)).await;
    printer.end().and(played)
}

/// Gives the orders, once the daemon takes them. Without them the demo shows less, and is as good otherwise.
async fn give_orders(context: Context) {
    for (path, order) in ORDERS {
        let Ok(order) = serde_json::from_str::<Value>(order) else { continue };
        for _ in 0..ORDER_TRIES.0 {
            let (context, order) = (context.clone(), order.clone());
            let given = tokio::task::spawn_blocking(move || order::give_unheard(&context, path, order).is_ok()).await;
            if given.is_ok_and(|is_given| is_given) {
                break;
            }
            tokio::time::sleep(ORDER_TRIES.1).await;
        }
    }
}

/// The page's port: the one that was asked for, else the usual one, else any.
async fn page(wanted: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    let address = wanted.unwrap_or(PAGE);
    let bound = match TcpListener::bind(address).await {
        Err(_) if wanted.is_none() => TcpListener::bind(ANY).await,
        bound => bound,
    };
    bound.map_err(|error| Failure::new(format!("cannot listen on {address}: {error}")).hint("name another with `--listen`"))
}

fn greeting(page: SocketAddr, folder: &DemoFolder, length: Duration) -> String {
    let (schedules, settings) = (folder.schedules(), folder.settings());
    format!(
        "http://{page}/?zoom=3m\n\n\
         That page shows what happens: the daemon plays an example schedule against a stand-in for TRTC on this machine, and nothing goes \
         on air.\n  \
         the schedule   {}\n  \
         to ask         ingestd --config {} status\n  \
         it ends        in {} s, or with Ctrl-C; its folder is removed then\n\n",
        schedules.display(),
        settings.display(),
        length.as_secs(),
    )
}

/// The closing lines. From an instant to leaving is measured where a start was there at its instant: what is joined in progress has
/// none.
fn figures(rows: &[Occurrence], rejections: u64) -> String {
    let late = |row: &Occurrence| Some(row.first_sent_at?.duration_since(row.key.start));
    let planned: u32 = rows.iter().map(|row| row.count).sum();
    let on_air = rows.iter().filter(|row| row.on_air_at.is_some()).count();
    let punctual: Vec<&Occurrence> = rows.iter().filter(|row| late(row).is_some_and(|late| late <= LATE_AFTER)).collect();
    let on_time = punctual.iter().filter(|row| row.on_air_at.is_some()).count();
    let mut late_ms: Vec<i128> = punctual.iter().filter_map(|row| late(row)).map(|late| late.as_millis()).collect();
    late_ms.sort_unstable();
    let left = match late_ms.last() {
        Some(max) => format!("p50 {} ms, p99 {} ms, max {max} ms", percentile(&late_ms, 50), percentile(&late_ms, 99)),
        None => "none left".to_owned(),
    };
    let mut starts: Vec<_> = rows.iter().map(|row| row.key.start).collect();
    starts.sort_unstable();
    let most = starts.chunk_by(|one, other| one == other).map(<[_]>::len).max().unwrap_or(0);
    let rate = RATE_DEFAULT.get();
    let burst = if most > rate as usize { format!(" ({most} at one instant share {rate} a second)") } else { String::new() };
    let open = rows.iter().filter(|row| !row.is_done()).count();
    let undecided = if open == 0 { String::new() } else { format!("; {open} not over when it ended") };
    format!(
        "planned {planned}, on air {on_air}, left on time {on_time}; from the instant to leaving {left}{burst}; rejected by the \
         limit {rejections}{undecided}"
    )
}

/// The smallest value that so many percent do not exceed; `sorted` has at least one.
fn percentile(sorted: &[i128], percent: usize) -> i128 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<i128> = (1..=100).collect();
        for (sorted, percent, expected) in
            [(&hundred[..], 50, 50), (&hundred, 99, 99), (&hundred, 100, 100), (&[7], 50, 7), (&[7], 99, 7), (&[1, 9], 50, 1)]
        {
            assert_eq!(percentile(sorted, percent), expected, "{percent} of {sorted:?}");
        }
    }

    #[test]
    fn its_length_is_a_duration_within_reason() {
        assert_eq!(length("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["0s", "500ms", "2d", "60", "soon", ""] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
