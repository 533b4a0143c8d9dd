//! The control socket: HTTP and JSON on a Unix socket, for the operators whom its mode lets in. Every order that changes something
//! comes this way, with the user who gave it. Refuses to know what an order does: that is the daemon's, and reading a schedule is
//! the business of whoever made the [`Reloader`].
//!
//! ```text
//! $ curl --unix-socket /run/ingestd/control.sock -d '{"job": "evening-promo"}' http://localhost/v1/stop
//! {"done":["evening-promo: is taken off the air"]}
//! ```

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::query::shown;
use super::{error, json, stamped};
use crate::daemon::Handle;
use crate::engine::{Command, Order, Reply, StopTarget};
use crate::listener::{self, Limits, NoBody, read_body};
use crate::schedule::JobId;

/// What is taken from clients. A reload of a very large schedule takes its time, and waits for another.
const LIMITS: Limits =
    Limits { connections: 16, header_time: Duration::from_secs(5), connection_time: Some(Duration::from_mins(5)) };
/// The longest body: an order is a line.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// How long a body may take.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// Its owner and its group may give orders, nobody else.
const MODE: u32 = 0o660;
/// Where orders go.
const PATHS: [&str; 3] = ["/v1/stop", "/v1/reload", "/v1/clock/confirm"];

/// Takes the schedule files again: who asked, and whether what was held is wanted all the same.
pub type Reloader = Arc<dyn Fn(String, bool) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync>;

/// Makes the socket, in place of one that a daemon left behind. Under any usual umask only its owner can reach it before it has its
/// mode.
///
/// Errors: something listens there, there is something that is no socket, or the path cannot be bound (it may be too long: a
/// socket's has about 100 bytes).
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is something else of that name"));
        }
        Ok(_) if Probe::connect(path).is_ok() => {
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

struct Shared {
    handle: Handle,
    reloader: Reloader,
}

/// Serves until `shutdown`, then finishes what is being answered.
pub async fn serve(listener: UnixListener, handle: Handle, reloader: Reloader, shutdown: impl Future<Output = ()>) {
    let shared = Arc::new(Shared { handle, reloader });
    listener::serve(listener, LIMITS, shutdown, |_, stream: &UnixStream| {
        let shared = Arc::clone(&shared);
        let who = stream.peer_cred().map_or_else(|_| "an unknown user".to_owned(), |peer| format!("uid {}", peer.uid()));
        service_fn(move |request| {
            let (shared, who) = (Arc::clone(&shared), who.clone());
            async move { Ok::<_, Infallible>(stamped(answer(&shared, who, request).await)) }
        })
    })
    .await;
}

/// What `POST /v1/stop` says: exactly one of them.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    job: Option<String>,
    task: Option<String>,
    all: Option<bool>,
}

/// What `POST /v1/reload` may say.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reload {
    #[serde(default)]
    force: bool,
}

/// What `POST /v1/clock/confirm` may say: nothing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {}

async fn answer(shared: &Shared, who: String, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if !PATHS.contains(&path) {
        return error(StatusCode::NOT_FOUND, &format!("there is nothing here: there are {}", PATHS.join(", ")));
    }
    if head.method != Method::POST {
        let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "orders are posted");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let body = match timeout(BODY_TIME_MAX, read_body(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(NoBody::TooLong)) => {
            return error(StatusCode::PAYLOAD_TOO_LARGE, &format!("an order has at most {BODY_BYTES_MAX} bytes"));
        }
        Ok(Err(NoBody::Broken)) => return error(StatusCode::BAD_REQUEST, "the body did not arrive whole"),
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
    };
    let what = match path {
        "/v1/stop" => read::<Stop>(&body).and_then(target).map(Command::Stop),
        "/v1/clock/confirm" => read::<Confirm>(&body).map(|Confirm {}| Command::ConfirmClock),
        _ => match read::<Reload>(&body) {
            Ok(Reload { force }) => return told((shared.reloader)(who, force).await),
            Err(why) => Err(why),
        },
    };
    match what {
        Ok(command) => told(shared.handle.order(Order { who, command }).await),
        Err(why) => error(StatusCode::BAD_REQUEST, &why),
    }
}

/// A body; none at all says as much as `{}`.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, String> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| format!("the body is not what is due here: {}", shown(&error.to_string())))
}

fn target(stop: Stop) -> Result<StopTarget, String> {
    match stop {
        Stop { job: Some(job), task: None, all: None } => {
            JobId::parse(&job).map(StopTarget::Job).ok_or_else(|| format!("`{}` is no job id", shown(&job)))
        }
        Stop { job: None, task: Some(task), all: None } if !task.is_empty() => Ok(StopTarget::Task(task)),
        Stop { job: None, task: None, all: Some(true) } => Ok(StopTarget::All),
        _ => Err("say what to stop: `{\"job\": ID}`, `{\"task\": ID}` or `{\"all\": true}`".to_owned()),
    }
}

fn told(reply: Reply) -> Response<Body> {
    match reply {
        Ok(lines) => json(StatusCode::OK, serde_json::json!({ "done": lines }).to_string()),
        Err(why) => error(StatusCode::CONFLICT, &why),
    }
}
