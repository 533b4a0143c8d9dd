//! The control socket: HTTP and JSON on a Unix socket, for the operators whom its mode lets in. Every order that changes something
//! comes this way, with the user who gave it. `GET` asks what the page is asked, at the same paths: nobody can take this place from the
//! daemon, as its port can be taken. Does not know what an order does: the daemon does. Does not read schedule files: the [`Reloader`]
//! does.
//!
//! ```text
//! $ curl --unix-socket /run/ingestd/control.sock -d '{"job": "evening-promo"}' http://localhost/v1/stop
//! {"done":["evening-promo 2026-11-22T10:00:00Z: stopping (task 5f1c)"]}
//! ```

mod orders;

pub(crate) use orders::{LENGTH_TOO_SHORT, check_note};

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, StatusCode};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::query::clip;
use super::{AppState, error, json, reads, stamped};
use crate::alerts::testing::AlertTester;
use crate::daemon::Handle;
use crate::engine::{Command, Order, Reply};
use crate::ledger::{ExcerptQuery, HistoryQuery, Place, Reader};
use crate::listener::{self, ListenerLimits, NoBody, read_body};
use crate::user;

/// The limits for clients. A reload of a very large schedule takes minutes, and waits for the one before it.
const LIMITS: ListenerLimits = ListenerLimits {
    connections: 16,
    share: None,
    header_time: Duration::from_secs(5),
    connection_time: Some(Duration::from_mins(5)),
};
/// The longest body: an order is one line.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a body may take.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// The most readers of the ledger at one time.
const READERS_MAX: usize = 2;
/// How long the ledger's disk may take. Whoever asks waits for 5 s.
const LOOK_TIME_MAX: Duration = Duration::from_secs(4);
/// Only its owner and its group may give orders.
const MODE: u32 = 0o660;
/// Every verb, with what its body asks for. A new verb is a line here; what is not here does nothing.
const VERBS: &[(&str, ReadBody)] = &[
    ("/v1/stop", orders::stop),
    ("/v1/skip", orders::skip),
    ("/v1/pause", orders::pause),
    ("/v1/resume", orders::resume),
    ("/v1/fire", orders::fire),
    ("/v1/reload", |body| parse(body).map(|ReloadBody { force }| ControlRequest::Reload { force })),
    ("/v1/ledger", |body| parse(body).map(|LedgerBody(query)| ControlRequest::Look(query))),
    ("/v1/alert-test", |body| parse(body).map(|NoFields {}| ControlRequest::TestAlerts)),
    ("/v1/clock/confirm", |body| parse(body).map(|NoFields {}| ControlRequest::Command(Command::ConfirmClock, None))),
];

/// Reads the body of a verb. Errors: what is wrong with the body.
type ReadBody = fn(&[u8]) -> Result<ControlRequest, String>;

/// What a verb asks for.
enum ControlRequest {
    /// The daemon's loop obeys it. With it a note, for the ledger.
    Command(Command, Option<String>),
    /// Rows of the ledger, for those who may not read its file.
    Look(ExcerptQuery),
    /// A test message to each receiver of alerts, and what came back.
    TestAlerts,
    /// The [`Reloader`] does it, and gives the daemon the new schedule.
    Reload {
        /// Whether a schedule that drops most jobs is accepted.
        force: bool,
    },
}

/// Reads the schedule files again. Its arguments: who asked, and whether a schedule that drops most jobs is accepted.
pub type Reloader = Arc<dyn Fn(String, bool) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync>;

/// Makes the socket, and replaces one that a daemon left behind. Before the socket has its mode, only its owner can reach it (under
/// any usual umask).
///
/// Errors: something listens there; something there is not a socket; or the path cannot be bound (it may be too long: the path of
/// a socket has about 100 bytes).
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else has that name, and it is not a socket"));
        }
        Ok(_) if is_listened_to(path) => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there"));
        }
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

/// Whether somebody listens there, also one who takes no connection now. It does not wait. Who cannot find out takes nobody's place.
fn is_listened_to(path: &Path) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let Ok(socket) = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None) else { return true };
    SocketAddrUnix::new(path)
        .is_ok_and(|address| matches!(net::connect(&socket, &address), Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS)))
}

struct ControlState {
    handle: Handle,
    reloader: Reloader,
    /// What the page is asked.
    reads: TowerToHyperService<Router>,
    /// Sends tests to who is told of trouble.
    alert_tester: Option<AlertTester>,
    /// Where the ledger is.
    ledger: Place,
    /// A disk that stands keeps its readers, and no more threads than these.
    readers: Arc<Semaphore>,
}

/// Serves until `shutdown`, then finishes what is being answered.
pub async fn serve(
    listener: UnixListener,
    handle: Handle,
    (reloader, app_state): (Reloader, AppState),
    shutdown: impl Future<Output = ()>,
) {
    let readers = Arc::new(Semaphore::new(READERS_MAX));
    let ledger = app_state.ledger.clone();
    let alert_tester = app_state.alert_tester.clone();
    let reads = TowerToHyperService::new(reads(app_state, 0));
    let state = Arc::new(ControlState { handle, reloader, reads, alert_tester, ledger, readers });
    listener::serve(listener, LIMITS.within_descriptors(), shutdown, |_, stream: &UnixStream| {
        let state = Arc::clone(&state);
        let who = stream.peer_cred().map_or_else(|_| user::UNKNOWN.to_owned(), |peer| user::describe(peer.uid()));
        service_fn(move |request| {
            let (state, who) = (Arc::clone(&state), who.clone());
            async move { Ok::<_, Infallible>(stamped(answer(&state, who, request).await)) }
        })
    })
    .await;
}

/// The body of `/v1/reload`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadBody {
    #[serde(default)]
    force: bool,
}

/// The body of `/v1/ledger`: which rows.
#[derive(Deserialize)]
#[serde(transparent)]
struct LedgerBody(ExcerptQuery);

/// Without a body: what `history` shows.
impl Default for LedgerBody {
    fn default() -> LedgerBody {
        LedgerBody(ExcerptQuery::History(HistoryQuery { limit: 100, ..HistoryQuery::default() }))
    }
}

/// The body of a verb that takes nothing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

async fn answer(state: &ControlState, who: String, request: Request<Incoming>) -> Response<Body> {
    let verb = VERBS.iter().find(|(path, _)| *path == request.uri().path());
    if verb.is_none() && matches!(*request.method(), Method::GET | Method::HEAD) {
        let Ok(response) = state.reads.call(request).await;
        return response;
    }
    let (head, body) = request.into_parts();
    let Some((_, read)) = verb else {
        let paths: Vec<&str> = VERBS.iter().map(|(path, _)| *path).collect();
        return error(StatusCode::NOT_FOUND, &format!("there is no such verb here: the verbs are {}", paths.join(", ")));
    };
    if head.method != Method::POST {
        let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "a verb takes the method POST only");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let body = match timeout(BODY_TIME_MAX, read_body(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(NoBody::TooLong)) => {
            return error(StatusCode::PAYLOAD_TOO_LARGE, &format!("an order has at most {BODY_BYTES_MAX} bytes"));
        }
        Ok(Err(NoBody::Broken)) => return error(StatusCode::BAD_REQUEST, "the body did not arrive completely"),
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    let reply = match read(&body) {
        Ok(ControlRequest::Command(command, note)) => state.handle.order(Order { who, note, command }).await,
        Ok(ControlRequest::Reload { force }) => (state.reloader)(who, force).await,
        Ok(ControlRequest::Look(query)) => return look(state, query).await,
        Ok(ControlRequest::TestAlerts) => {
            tracing::info!("{who} tests the receivers of alerts");
            let tested = if let Some(tester) = &state.alert_tester { tester.test().await } else { Vec::new() };
            return json(StatusCode::OK, serde_json::json!({ "tested": tested }).to_string());
        }
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    match reply {
        Ok(lines) => json(StatusCode::OK, serde_json::json!({ "done": lines }).to_string()),
        Err(why) => error(StatusCode::CONFLICT, &why),
    }
}

/// Reads rows of the ledger on a thread of its own.
async fn look(state: &ControlState, query: ExcerptQuery) -> Response<Body> {
    let place_of_ledger = state.ledger.clone();
    let Ok(place) = timeout(LOOK_TIME_MAX, Arc::clone(&state.readers).acquire_owned()).await else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be read now: others are reading it; ask again");
    };
    let read = tokio::task::spawn_blocking(move || {
        let read = Reader::open_at(&place_of_ledger).and_then(|reader| reader.excerpt(&query));
        let answer = read.map(|excerpt| serde_json::json!({ "ledger": excerpt }).to_string());
        // Held until the disk has answered, even when the client has gone.
        drop(place);
        answer
    });
    match timeout(LOOK_TIME_MAX, read).await {
        Ok(Ok(Ok(answer))) => json(StatusCode::OK, answer),
        Ok(Ok(Err(why))) => error(StatusCode::SERVICE_UNAVAILABLE, &format!("the ledger cannot be read: {why}")),
        Ok(Err(_)) => error(StatusCode::INTERNAL_SERVER_ERROR, "this is a bug of ingestd: see the log"),
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be read: its disk does not answer"),
    }
}

/// How a message about a body begins.
const WRONG_BODY: &str = "the body is not what this verb takes";

/// Reads a body. An empty one means `{}`. Only an object names what it asks for: a list would be read by the order of our fields.
fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, String> {
    match body.trim_ascii().first() {
        None => return Ok(T::default()),
        Some(b'{') => {}
        Some(_) => return Err(format!("{WRONG_BODY}: expected an object such as `{{\"job\": ID}}`, found another value")),
    }
    serde_json::from_slice(body).map_err(|error| format!("{WRONG_BODY}: {}", clip(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_whose_owner_takes_no_connection_is_taken_and_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let owner = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
        let address = SocketAddrUnix::new(&path).expect("an address");
        net::bind(&owner, &address).and_then(|()| net::listen(&owner, 0)).expect("it listens");
        // As many as it takes until the next one would wait.
        let mut waiting = Vec::new();
        loop {
            let client = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).expect("a socket");
            match net::connect(&client, &address) {
                Ok(()) => waiting.push(client),
                Err(error) => break assert_eq!(error, Errno::AGAIN),
            }
        }
        let taken = bind(&path).expect_err("somebody listens there");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop((owner, waiting));
        assert!(bind(&path).is_ok(), "what a daemon left behind is replaced");
    }
}
