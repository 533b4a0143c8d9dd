//! The sandbox's socket: hyper without a router, because a cut, a hang or a cold start happens to the connection. Does
//! not know what a request means.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::Sandbox;
use super::endpoint::SandboxReply;
use super::exchange::Received;
use crate::listener::{self, ListenerLimits, NoBody, read_body};

/// The limits for clients. A client at full rate of all actions needs some sixty connections, and keeps them for a minute.
const LIMITS: ListenerLimits =
    ListenerLimits { connections: 512, share: None, header_time: Duration::from_mins(1), connection_time: None };
/// The longest body that is read. A start has some 2 KiB; the vendor takes 10 MB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a hang holds the connection at most: longer than any client waits.
const HANG_MAX: Duration = Duration::from_mins(10);

/// Accepts until `shutdown`, then lets what is being answered finish.
pub(super) async fn serve(sandbox: Sandbox, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    listener::serve(listener, LIMITS, shutdown, |number, _| {
        let sandbox = sandbox.clone();
        let fresh = AtomicBool::new(true);
        service_fn(move |request| answer(sandbox.clone(), request, number, fresh.swap(false, Ordering::Relaxed)))
    })
    .await;
}

/// Ends the connection without a byte: hyper closes it when the service fails.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

async fn answer(sandbox: Sandbox, request: Request<Incoming>, connection: u64, fresh: bool) -> Result<Response<Body>, Cut> {
    let (parts, incoming) = request.into_parts();
    let body = match timeout(BODY_TIME_MAX, read_body(incoming, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Some(body),
        Ok(Err(NoBody::TooLong)) => None,
        Ok(Err(NoBody::Broken)) | Err(_) => return Err(Cut),
    };
    let received = Received {
        method: parts.method,
        path: parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string),
        headers: parts.headers,
        too_long: body.is_none(),
        body: body.unwrap_or_default(),
        connection,
    };
    if fresh {
        pause(sandbox.cold_delay(&received)).await;
    }
    let handled = sandbox.arrive(&received);
    pause(handled.delay).await;
    match handled.reply {
        SandboxReply::Answer { status, content_type, retry_after, body } => {
            let mut response =
                Response::builder().status(status).header(CONTENT_TYPE, content_type).header(DATE, date(sandbox.now()));
            if let Some(retry_after) = retry_after {
                response = response.header(RETRY_AFTER, retry_after.as_secs());
            }
            response.body(Body::from(body)).map_err(|_| Cut)
        }
        SandboxReply::Hang => {
            sleep(HANG_MAX).await;
            Err(Cut)
        }
        SandboxReply::Cut => Err(Cut),
    }
}

/// Waits on the runtime's clock; a delay of nothing yields nothing, so that a clock moved by hand meets no timer.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

/// The `Date` header's form (RFC 9110, IMF-fixdate).
fn date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_written_as_http_wants_it() {
        assert_eq!(date(Timestamp::from_second(784_111_777).expect("an instant")), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
