//! The listeners of a running daemon. This file is the read-only one: `/healthz`, `/readyz`, `/metrics`, and the status, the plan and
//! the history as JSON, made by the same code as the command line's. It refuses to change anything: orders come over [`control`], which
//! answers the same questions, and the vendor's callbacks over [`callbacks`], each with a listener of its own.
//!
//! A client of a loopback port may be a web page whose name was made to resolve to this host, or a script with a bug. So only our own
//! names are accepted in `Host`, every count and time is bounded, and no other origin may read an answer. The ledger is read on
//! threads of their own, by few at once, so that no question delays a start. `/healthz` waits for neither the loop nor the ledger, the status 2 s
//! for the ledger: they tell when one of them stands.

mod access;
pub mod callbacks;
pub mod control;
mod host;
mod metrics;
mod next_start;
mod page;
mod query;
mod ready;
mod token;
mod views;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use hyper::body::Body as _;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::alerts::sender::AlertStatus;
use crate::alerts::testing::AlertTester;
use crate::busy::Busy;
use crate::chores::FailedChores;
use crate::clock;
use crate::config::PageSettings;
use crate::diagnostic::{Diagnostic, escape_json};
use crate::doctor::Findings;
use crate::engine::{Generation, LoopStatus};
use crate::host::HostStanding;
use crate::ledger::Place;
use crate::listener::{self, ListenerLimits};
use crate::metrics::Metrics;
use crate::occurrence::Occurrence;
use crate::report::status::{Health, LedgerView, assess_health};
use crate::zones::Zones;
pub use access::Access;
use access::{Door, FromPeer, admit};
pub(crate) use control::{LENGTH_TOO_SHORT, check_note};
use metrics::Format;
pub use next_start::NextStart;
pub use token::{ListenToken, ReadToken};
use views::Refused;
pub(crate) use views::ledger_view;

/// The `Server` header of every answer, so that a client sees which program listens on the port.
const SERVER: &str = concat!("ingestd/", env!("CARGO_PKG_VERSION"));

/// The header of the status that says the health, for whoever does not read the body.
pub(crate) const HEALTH: &str = "x-ingestd-health";

/// Whether a `Server` header is one of ours, of whatever version.
pub(crate) fn is_server(header: &str) -> bool {
    header.starts_with("ingestd/")
}

/// The limits for clients. So many may follow the page, each with a connection of its own, and sixty-four beside them may ask something; a
/// request is one line.
const LIMITS: ListenerLimits = ListenerLimits {
    connections: 576 + ASKED_MIN,
    share: None,
    header_time: Duration::from_secs(5),
    connection_time: Some(Duration::from_secs(30)),
};

/// Connections that are left for questions, however many follow the page.
const ASKED_MIN: usize = 64;

/// The most answers that are made at one time, the same of the status alone, and the most that read the ledger, for each of the two listeners
/// that answer: so many threads may be busy beside the daemon's own. They are counted apart, because a disk that stands keeps its readers.
const READS_MAX: usize = 2;

/// How long the status waits for the ledger. Whoever asks waits for 5 s.
const LEDGER_WAIT: Duration = Duration::from_secs(2);

/// How long the history waits for it: less than a connection lasts.
const HISTORY_WAIT: Duration = Duration::from_secs(20);

/// The schedule that is in force.
#[derive(Clone)]
pub struct InForce {
    /// The schedule, with its number.
    pub generation: Generation,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// What is wrong with the schedule files, if they were rejected and this is the last good schedule.
    pub rejected: Arc<[Diagnostic]>,
    /// The first errors of that as `check` draws them; empty, where there are none.
    pub drawn: Arc<str>,
}

impl InForce {
    /// Of schedule files with which nothing is wrong.
    pub fn good(generation: Generation, accepted_at: Option<Timestamp>) -> InForce {
        InForce { generation, accepted_at, rejected: Arc::default(), drawn: Arc::default() }
    }
}

/// Why the daemon does not listen where the settings say, by the name and the place of the listener.
pub type NotListening = BTreeMap<String, String>;

/// What is served.
#[derive(Clone)]
pub struct AppState {
    /// Where the ledger is.
    pub ledger: Place,
    /// The schedule in force, and its successors.
    pub in_force: watch::Receiver<InForce>,
    /// What only the running daemon knows.
    pub status: watch::Receiver<LoopStatus>,
    /// How long its loop and its ledger's disk have been busy.
    pub busy: Busy,
    /// How this host stands among those that share the ledger; `None`: it shares it with nobody.
    pub host: Option<watch::Receiver<HostStanding>>,
    /// Why it does not listen where it should.
    pub not_listening: watch::Receiver<NotListening>,
    /// What the doctor and the preflight have found.
    pub findings: watch::Receiver<Findings>,
    /// How it stands with those who are told of trouble.
    pub alerts: watch::Receiver<AlertStatus>,
    /// Sends a test to each receiver when an operator asks for it; `None`: nobody is to be told.
    pub alert_tester: Option<AlertTester>,
    /// Which chores of the ledger failed when they were last done.
    pub failed_chores: watch::Receiver<FailedChores>,
    /// The zone data by which the schedule was read.
    pub zones: Zones,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Returns how many log lines were dropped.
    pub log_lines_dropped: fn() -> u64,
    /// When it was started.
    pub started_at: Timestamp,
    /// Whether a clock that is not synchronised keeps it from being ready.
    pub require_sync: bool,
    /// When the day of the page begins, and where.
    pub page: PageSettings,
}

struct PageState {
    app_state: AppState,
    reads: Arc<Semaphore>,
    /// Of the status alone: no long answer to another question keeps it waiting.
    status_reads: Arc<Semaphore>,
    ledger_reads: Arc<Semaphore>,
    next_start: Mutex<NextStart>,
    hub: page::Hub,
}

/// What is served at every address of the read-only listener. Clones share their limits.
#[derive(Clone)]
pub struct Pages {
    reads: Router,
    access: Access,
    /// How many connections each address takes.
    limits: ListenerLimits,
}

impl Pages {
    /// Of a daemon, at so many addresses.
    pub fn new(app_state: AppState, access: Access, addresses: usize) -> Pages {
        let limits = LIMITS.within_descriptors().shared_by(addresses);
        // Whoever follows the page leaves places to those who ask.
        let streams = limits.connections.saturating_sub(ASKED_MIN).max(limits.connections / 2) * addresses.max(1);
        Pages { reads: reads(app_state, streams), access, limits }
    }

    /// Serves one address until `shutdown`, then finishes what is being answered.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let Pages { reads, access, limits } = self;
        // A socket that is bound has an address; one that does not say it takes the names that every loopback listener takes.
        let bound = listener.local_addr().map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip());
        // No other host takes all places.
        let share = if bound.is_loopback() { None } else { Some(limits.connections.div_ceil(2)) };
        let admitted = reads.layer(from_fn_with_state(Door { bound, access }, admit)).layer(from_fn(stamp));
        let service = TowerToHyperService::new(admitted);
        let from_peer = |_, stream: &TcpStream| {
            let peer = stream.peer_addr().ok().map(|address| address.ip());
            FromPeer { service: service.clone(), peer }
        };
        listener::serve(listener, ListenerLimits { share, ..limits }, shutdown, from_peer).await;
    }
}

/// What is only read, by whomever the listener lets in.
fn reads(app_state: AppState, streams: usize) -> Router {
    let places = || Arc::new(Semaphore::new(READS_MAX));
    let (reads, status_reads, ledger_reads) = (places(), places(), places());
    let shared = Arc::new(PageState {
        app_state,
        reads,
        status_reads,
        ledger_reads,
        next_start: Mutex::default(),
        hub: page::Hub::new(streams),
    });
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .route("/api/v1/status", get(status))
        .route("/api/v1/plan", get(plan))
        .route("/api/v1/history", get(history))
        .merge(page::routes())
        .method_not_allowed_fallback(async || {
            error(StatusCode::METHOD_NOT_ALLOWED, "this listener only reads: it takes `GET` and `HEAD`")
        })
        .fallback(async || {
            error(
                StatusCode::NOT_FOUND,
                "there is no such path here: the paths are `/`, `/occurrence`, `/calendar.ics`, `/healthz`, `/readyz`, `/metrics` and `/api/v1/{status,plan,history,rundown}`",
            )
        })
        .with_state(shared)
        .layer(from_fn(without_body))
}

/// Refuses requests with a body.
async fn without_body(request: Request, next: Next) -> Response {
    if !request.body().is_end_stream() {
        return error(StatusCode::PAYLOAD_TOO_LARGE, "a question has no body");
    }
    next.run(request).await
}

async fn stamp(request: Request, next: Next) -> Response {
    stamped(next.run(request).await)
}

/// Adds the headers that every answer has.
fn stamped(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static(SERVER));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether the process does its work: it asks nobody, and so never waits.
async fn healthz(State(shared): State<Arc<PageState>>) -> Response {
    let Busy { turn, disk } = &shared.app_state.busy;
    let stands = |who: &str, time: Duration| format!("the {who} has been busy with one thing for {} s\n", time.as_secs());
    let standing =
        [turn.stands().map(|time| stands("daemon's loop", time)), disk.stands().map(|time| stands("ledger's disk", time))];
    let standing: String = standing.into_iter().flatten().collect();
    if standing.is_empty() { text(StatusCode::OK, "ok\n".to_owned()) } else { text(StatusCode::SERVICE_UNAVAILABLE, standing) }
}

/// Whether shows can be put on air. It waits for nobody.
async fn readyz(State(shared): State<Arc<PageState>>) -> Response {
    let (is_ready, report) = ready::report(&shared.app_state, clock::now());
    text(if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
}

async fn status(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery) -> Response {
    let now = clock::now();
    let ledger = match ledger_in_time(&shared, now).await {
        Ok(ledger) => ledger,
        Err(response) => return response,
    };
    let reads = Arc::clone(&shared.status_reads);
    let made = blocking(&shared, reads, move |shared| views::status(shared, &query.unwrap_or_default(), now, ledger));
    let (health, made) = match made.await {
        Ok(Ok((health, body))) => (Some(health), Ok(Ok(body))),
        Ok(Err(refused)) => (None, Ok(Err(refused))),
        Err(response) => (None, Err(response)),
    };
    let mut response = respond_with(made);
    if let Some(health) = health {
        response.headers_mut().insert(HEALTH, HeaderValue::from_static(health.name()));
    }
    response
}

/// What the ledger knows, or why that could not be read in time. Error: the answer when it panics.
async fn ledger_in_time(shared: &Arc<PageState>, now: Timestamp) -> Result<Result<LedgerView, String>, Response> {
    let reads = Arc::clone(&shared.ledger_reads);
    let read = blocking(shared, reads, move |shared| views::read_ledger(&shared.app_state, now));
    match timeout(LEDGER_WAIT, read).await {
        Ok(read) => read,
        Err(_) => Ok(Err(format!("it has not answered for {} s", LEDGER_WAIT.as_secs()))),
    }
}

async fn scrape(State(shared): State<Arc<PageState>>, headers: HeaderMap) -> Response {
    let now = clock::now();
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let format = Format::accepted(&accepted.collect::<Vec<_>>().join(","));
    let ledger = match ledger_in_time(&shared, now).await {
        Ok(ledger) => ledger,
        Err(response) => return response,
    };
    let reads = Arc::clone(&shared.status_reads);
    match blocking(&shared, reads, move |shared| metrics::text(shared, now, ledger, format)).await {
        Ok(body) => respond(StatusCode::OK, format.content_type(), body),
        Err(response) => response,
    }
}

/// Returns the health and every reason for it, as the status tells them, and what is on air. It waits for the ledger, whose disk may not
/// answer.
pub(crate) fn health(app_state: &AppState, now: Timestamp) -> (Health, Vec<String>, Vec<Occurrence>) {
    let input = views::status_input(app_state, now, views::read_ledger(app_state, now), Vec::new(), None);
    let (health, reasons) = assess_health(&input);
    (health, reasons, input.ledger.map_or_else(|_| Vec::new(), |ledger| ledger.on_air))
}

async fn plan(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery) -> Response {
    let reads = Arc::clone(&shared.reads);
    respond_with(blocking(&shared, reads, move |shared| views::plan(shared, &query.unwrap_or_default(), clock::now())).await)
}

async fn history(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery) -> Response {
    let reads = Arc::clone(&shared.ledger_reads);
    let made = blocking(&shared, reads, move |shared| views::history(shared, &query.unwrap_or_default(), clock::now()));
    match timeout(HISTORY_WAIT, made).await {
        Ok(made) => respond_with(made),
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be read: it does not answer"),
    }
}

/// Does work that may wait for a disk on a thread of its own, as soon as one is free. Error: the answer when it panics.
async fn blocking<T: Send + 'static>(
    shared: &Arc<PageState>,
    places: Arc<Semaphore>,
    work: impl FnOnce(&PageState) -> T + Send + 'static,
) -> Result<T, Response> {
    let shared = Arc::clone(shared);
    let place = places.acquire_owned().await.expect("the semaphore is never closed");
    let done = tokio::task::spawn_blocking(move || {
        let made = work(&shared);
        // Held until the work is done, even when the client has gone.
        drop(place);
        made
    });
    // A panic is a bug of ours. It fails this answer, and the daemon goes on.
    done.await.map_err(|_| error(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug of ingestd: see the log"))
}

fn respond_with(made: Result<Result<views::ViewBody, Refused>, Response>) -> Response {
    match made {
        Ok(Ok(views::ViewBody::Json(body))) => json(StatusCode::OK, body),
        Ok(Ok(views::ViewBody::Text(body))) => text(StatusCode::OK, body),
        Ok(Err(Refused::BadRequest(why))) => error(StatusCode::BAD_REQUEST, &why),
        Ok(Err(Refused::Unavailable(why))) => error(StatusCode::SERVICE_UNAVAILABLE, &why),
        Err(response) => response,
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    json(status, escape_json(&serde_json::json!({ "error": message }).to_string()).into_owned())
}

/// A body of JSON, with a line end for those who look at it in a terminal.
fn json(status: StatusCode, mut body: String) -> Response {
    body.push('\n');
    respond(status, "application/json", body)
}

fn text(status: StatusCode, body: String) -> Response {
    respond(status, "text/plain; charset=utf-8", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
