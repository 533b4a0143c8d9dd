//! One request to the running daemon and its answer: over its control socket, or at the port of its page. Does not know what is asked.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, SERVER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{Exit, Failure, load};
use crate::config::Settings;
use crate::web;

/// The longest answer that is read. A thousand shows on air are 1 MB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// After this time without an answer whoever waits longer is told so.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// What the daemon answers.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Why it is not what was asked for: the daemon's own words, or its status.
    pub(super) fn error(&self) -> String {
        let error = serde_json::from_slice::<Value>(&self.body).ok();
        let error = error.as_ref().and_then(|body| body["error"].as_str());
        error.map_or_else(|| format!("the daemon answers with HTTP status {}", self.status), str::to_owned)
    }
}

/// Why there is no answer over the control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nobody listens there: no daemon runs, or not with these settings.
    NobodyThere,
    /// This user may not ask there, or the settings name no place for it.
    NotAsked,
    /// Somebody listens there, and does not answer as a daemon does.
    Silent,
}

/// No answer over the control socket.
pub(super) struct NoAnswer {
    pub(super) silence: Silence,
    pub(super) failure: Failure,
}

impl NoAnswer {
    /// The failure in words, without advice.
    pub(super) fn message(&self) -> String {
        self.failure.message()
    }
}

impl From<Failure> for NoAnswer {
    fn from(failure: Failure) -> NoAnswer {
        NoAnswer { silence: Silence::NotAsked, failure }
    }
}

/// A question that changes nothing.
pub(super) fn question(path_and_query: &str) -> Request<Body> {
    Request::get(path_and_query).body(Body::empty()).expect("a path and an encoded query")
}

/// An order, or a question with a body.
pub(super) fn order(path: &str, body: &Value) -> Request<Body> {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json");
    request.body(Body::from(body.to_string())).expect("a path of ours")
}

/// Sends a request over the control socket. The answer may take so long; if it takes more than 5 s, stderr says that it is waited for.
pub(super) fn over_control(settings: &Settings, request: Request<Body>, time_max: Duration) -> Result<Answer, NoAnswer> {
    let candidates = settings.control_candidates().map_err(Failure::configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let (stream, socket) = connect(candidates).await?;
        answer(stream, with_host(request, "localhost"), time_max).await.map_err(|why| NoAnswer {
            silence: Silence::Silent,
            failure: unreachable(&socket, &why, "see `systemctl status ingestd`"),
        })
    })
}

/// Sends a request to the page, which everybody on this host may ask.
pub(super) fn at_page(address: SocketAddr, request: Request<Body>, time_max: Duration) -> Result<Answer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        // The address is on this host: a proxy is never used, and no redirect followed.
        let stream = timeout(time_max, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| no_answer(time_max))?.map_err(|error| error.to_string())?;
        answer(stream, with_host(request, &address.to_string()), time_max).await
    })
}

fn with_host(mut request: Request<Body>, host: &str) -> Request<Body> {
    request.headers_mut().insert(HOST, host.parse().expect("a name or an address"));
    request
}

fn no_answer(time: Duration) -> String {
    format!("no answer in {} s", time.as_secs())
}

/// The first socket at which something listens. A socket of which nobody takes connections any more refuses them: it does not wait.
async fn connect(candidates: Vec<PathBuf>) -> Result<(UnixStream, PathBuf), NoAnswer> {
    let mut first: Option<(PathBuf, io::Error)> = None;
    for path in candidates {
        match UnixStream::connect(&path).await {
            Ok(stream) => return Ok((stream, path)),
            // Of several sockets, one that exists says more about the cause than one that does not.
            Err(error) => match &first {
                Some((_, former)) if former.kind() != io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotFound => {}
                _ => first = Some((path, error)),
            },
        }
    }
    let (path, error) = first.ok_or_else(|| Failure::configuration("the settings name no place for the control socket"))?;
    let (silence, hint) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            Silence::NotAsked,
            "orders are for root and for the socket's group: under the unit, `ingestd-operators` (`usermod -aG ingestd-operators USER`)",
        ),
        io::ErrorKind::NotFound => (
            Silence::NobodyThere,
            "start it (`systemctl start ingestd`); if it runs, name its socket with `control: PATH` in these settings",
        ),
        io::ErrorKind::ConnectionRefused if !is_socket(&path) => (
            Silence::NobodyThere,
            "expected a socket, found something else: name the daemon's socket with `control: PATH` in these settings",
        ),
        io::ErrorKind::ConnectionRefused => {
            (Silence::NobodyThere, "it is not running any more: `systemctl start ingestd`, or `ingestd run`")
        }
        _ => (Silence::NotAsked, "see `systemctl status ingestd`"),
    };
    Err(NoAnswer { silence, failure: unreachable(&path, &error.to_string(), hint) })
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

fn unreachable(socket: &Path, why: &str, hint: &str) -> Failure {
    let message = format!("no daemon answers at the control socket `{}` ({why})", socket.display());
    Failure::Message { exit: Exit::Unreachable, message, hint: None }.hint(hint)
}

/// The answer within so long.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Body>,
    time_max: Duration,
) -> Result<Answer, String> {
    let mut asked = pin!(exchange(stream, request));
    let first = timeout(time_max.min(TOLD_AFTER), asked.as_mut()).await;
    match first {
        Ok(answer) => answer,
        Err(_) if time_max <= TOLD_AFTER => Err(no_answer(time_max)),
        Err(_) => {
            load::note(&format!(
                "the daemon has not answered for {} s; this waits for it, {} s at most (to end the wait does not take the order back)",
                TOLD_AFTER.as_secs(),
                time_max.as_secs()
            ));
            timeout(time_max.saturating_sub(TOLD_AFTER), asked).await.unwrap_or_else(|_| Err(no_answer(time_max)))
        }
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, request: Request<Body>) -> Result<Answer, String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    // It ends with the connection; the request reports what goes wrong there.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(text)?;
    if !response.headers().get(SERVER).and_then(|server| server.to_str().ok()).is_some_and(web::is_server) {
        return Err("something else listens there".to_owned());
    }
    let (head, body) = response.into_parts();
    let too_long = |_| format!("its answer breaks off, or is longer than {} MiB", ANSWER_BYTES_MAX >> 20);
    let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX).await.map_err(too_long)?;
    Ok(Answer { status: head.status, headers: head.headers, body })
}
