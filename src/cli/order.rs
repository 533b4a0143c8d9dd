//! Orders to the running daemon, over its control socket: one request, and its answer is printed. Does not know what an order does.

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
use crate::web;

/// How long the daemon may take: it closes the connection by then itself. Taking up a very large schedule is what takes long.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(5);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What the daemon answers.
#[derive(Default, Deserialize)]
struct OrderAnswer {
    /// What was done, a line each.
    #[serde(default)]
    done: Vec<String>,
    /// Why nothing was.
    error: Option<String>,
}

/// Gives an order and prints the answer. Exit 69 when no daemon can be reached, 1 when it refuses.
pub(super) fn give(context: &Context, path: &str, order: Value) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let candidates = settings.control_candidates().map_err(Failure::configuration)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let (status, answer) = runtime.block_on(async {
        let (stream, socket) = connect(candidates).await?;
        let silent = |why: &str| unreachable(&socket, why, "see `systemctl status ingestd`");
        match timeout(ANSWER_TIME_MAX, ask(stream, path, order)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(silent(&why)),
            Err(_) => Err(silent(&format!("no answer in {} s", ANSWER_TIME_MAX.as_secs()))),
        }
    })?;
    if status != StatusCode::OK {
        return Err(Failure::new(answer.error.unwrap_or_else(|| format!("the daemon answers with HTTP status {status}"))));
    }
    let lines: Vec<&str> = answer.done.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    print(&lines.concat()).map(|()| Exit::Good)
}

/// The first socket at which something listens.
async fn connect(candidates: Vec<PathBuf>) -> Result<(UnixStream, PathBuf), Failure> {
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
    Err(unreachable(&path, &error.to_string(), hint))
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
