//! Orders to the running daemon, and questions about its ledger, over its control socket: one request and its answer. Does not know what
//! an order does, and what a row means.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::header::{CONTENT_TYPE, HOST, SERVER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Context, Exit, Failure, load, print};
use crate::config::Settings;
use crate::diagnostic::escape_lines;
use crate::ledger::{Excerpt, ExcerptQuery, Reader};
use crate::web;

/// How long the daemon may take: it closes the connection by then itself. Taking up a very large schedule is what takes long.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(5);
/// How long it may take to read its ledger.
const LOOK_TIME_MAX: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What the daemon answers.
#[derive(Default, Deserialize)]
struct OrderAnswer {
    /// What was done, a line each.
    #[serde(default)]
    done: Vec<String>,
    /// Why nothing was.
    error: Option<String>,
    /// The rows that were asked for.
    ledger: Option<Excerpt>,
}

/// Gives an order and prints the answer. Exit 69 when no daemon can be reached, 1 when it refuses.
pub(super) fn give(context: &Context, path: &str, order: Value) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let (status, answer) = send(&settings, path, order, ANSWER_TIME_MAX).map_err(|none| none.failure)?;
    if status != StatusCode::OK {
        return Err(Failure::new(answer.error.unwrap_or_else(|| format!("the daemon answers with HTTP status {status}"))));
    }
    let lines: Vec<&str> = answer.done.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    print(&escape_lines(&lines.concat())).map(|()| Exit::Good)
}

/// The ledger, or the part of it that is asked for: from the running daemon, whose ledger not everybody may read, else from its file. If a
/// daemon is there and does not give it within 5 s, that is told.
pub(super) fn ledger(settings: &Settings, query: &ExcerptQuery) -> Result<Reader, Failure> {
    let folder = settings.state_folder().map_err(Failure::configuration)?;
    let (failure, is_nobody_there) = match excerpt(settings, query) {
        Ok(reader) => return Ok(reader),
        Err(NoAnswer { failure, is_nobody_there }) => (failure, is_nobody_there),
    };
    let read = Reader::open(&folder).map_err(|error| error.to_string());
    match (read, failure) {
        (Ok(reader), Failure::Message { message, .. }) if !is_nobody_there => {
            load::warn(&format!("{message}; what follows is from the ledger's file"));
            Ok(reader)
        }
        (Ok(reader), _) => Ok(reader),
        // Whoever may not read the file may be allowed to ask the daemon.
        (Err(why), Failure::Message { message, hint, .. }) if !is_nobody_there => {
            Err(Failure::Message { exit: Exit::Problem, message: format!("{why}; and {message}"), hint })
        }
        (Err(why), _) => Err(Failure::new(why)),
    }
}

fn excerpt(settings: &Settings, query: &ExcerptQuery) -> Result<Reader, NoAnswer> {
    let failed = |why: String| NoAnswer { failure: Failure::new(why), is_nobody_there: false };
    let query = serde_json::to_value(query).map_err(|error| failed(error.to_string()))?;
    let (status, answer) = send(settings, "/v1/ledger", query, LOOK_TIME_MAX)?;
    let why = match (status, answer.ledger) {
        (StatusCode::OK, Some(excerpt)) => return Reader::of_excerpt(&excerpt).map_err(|error| failed(error.to_string())),
        // One of before does not know the question.
        (status, _) => answer.error.unwrap_or_else(|| format!("it answers with HTTP status {status}")),
    };
    Err(failed(format!("the daemon does not give rows of its ledger: {why}")))
}

/// Why there is no answer.
struct NoAnswer {
    failure: Failure,
    /// Whether nobody listens at the socket: no daemon runs.
    is_nobody_there: bool,
}

impl From<Failure> for NoAnswer {
    fn from(failure: Failure) -> NoAnswer {
        NoAnswer { failure, is_nobody_there: false }
    }
}

/// Sends one request and returns the answer, which may take so long.
fn send(settings: &Settings, path: &str, body: Value, time_max: Duration) -> Result<(StatusCode, OrderAnswer), NoAnswer> {
    let candidates = settings.control_candidates().map_err(Failure::configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        let (stream, socket) = connect(candidates).await?;
        let silent = |why: &str| unreachable(&socket, why, "see `systemctl status ingestd`");
        match timeout(time_max, ask(stream, path, body)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(silent(&why).into()),
            Err(_) => Err(silent(&format!("no answer in {} s", time_max.as_secs())).into()),
        }
    })
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
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "orders are for root and for the socket's group: under the unit, `ingestd-operators` (`usermod -aG ingestd-operators USER`)"
        }
        io::ErrorKind::NotFound => {
            "start it (`systemctl start ingestd`); if it runs, name its socket with `control: PATH` in these settings"
        }
        _ => "it is not running any more: `systemctl start ingestd`, or `ingestd run`",
    };
    let is_nobody_there = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
    Err(NoAnswer { failure: unreachable(&path, &error.to_string(), hint), is_nobody_there })
}

fn unreachable(socket: &Path, why: &str, hint: &str) -> Failure {
    let message = format!("no daemon answers at the control socket `{}` ({why})", socket.display());
    Failure::Message { exit: Exit::Unreachable, message, hint: None }.hint(hint)
}

async fn ask(stream: UnixStream, path: &str, order: Value) -> Result<(StatusCode, OrderAnswer), String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    // It ends with the connection; the request reports what goes wrong there.
    tokio::spawn(connection);
    let request = Request::post(path).header(HOST, "localhost").header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(order.to_string())).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(text)?;
    if !response.headers().get(SERVER).and_then(|server| server.to_str().ok()).is_some_and(web::is_server) {
        return Err("something else listens there".to_owned());
    }
    let status = response.status();
    let body = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())?;
    let answer = serde_json::from_slice(&body).map_err(|_| "its answer is not JSON".to_owned())?;
    Ok((status, answer))
}
