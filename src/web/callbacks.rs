//! The listener for the vendor's callbacks, the only one that the internet can reach: `POST /trtc/callback`. The signature is verified
//! over the bytes as they came, before anything is parsed. Refuses to know what a callback changes: the daemon knows. A refused
//! callback has no effect but a line in the log, which holds its length and the reason, and nothing of its content.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_LENGTH, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::{error, json};
use crate::daemon::Handle;
use crate::listener::{self, ListenerLimits, NoBody, read_body};
use crate::trtc::callback::{Callback, verify};

/// The path that is written into the console of TRTC.
pub const PATH: &str = "/trtc/callback";

/// The limits for clients. The vendor waits 5 s for an answer and sends again for a minute, so a callback that found no free
/// connection comes again. No address takes all places: a hundred slow connections of one do not keep the vendor out.
const LIMITS: ListenerLimits = ListenerLimits {
    connections: 64,
    share: Some(32),
    header_time: Duration::from_secs(5),
    connection_time: Some(Duration::from_secs(10)),
};
/// The longest body. One of ours has 120 bytes; the longest of the vendor's other callbacks a few KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take: as long as the vendor would wait for the answer.
const BODY_TIME_MAX: Duration = Duration::from_secs(5);
/// Lines that refusals write in each [`QUOTA_PERIOD`], so that nobody outside can fill the disk with them.
const QUOTA: u32 = 30;
/// See [`QUOTA`].
const QUOTA_PERIOD: Duration = Duration::from_mins(1);

/// The key of each application's callbacks, by its `SdkAppId`.
pub type Keys = BTreeMap<u64, SecretString>;

struct ReceiverState {
    keys: Keys,
    handle: Handle,
    refusals: Mutex<Refusals>,
}

/// Serves until `shutdown`, then finishes what is being answered.
pub async fn serve(listener: TcpListener, keys: Keys, handle: Handle, shutdown: impl Future<Output = ()>) {
    let shared = Arc::new(ReceiverState { keys, handle, refusals: Mutex::default() });
    listener::serve(listener, LIMITS.within_descriptors(), shutdown, |_, _| {
        let shared = Arc::clone(&shared);
        service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer(&shared, request).await) }
        })
    })
    .await;
}

async fn answer(shared: &ReceiverState, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.uri.path() != PATH {
        return error(StatusCode::NOT_FOUND, "there is no such path here");
    }
    if head.method != Method::POST {
        let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "a callback has the method POST");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let announced = only(&head.headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    let body = match timeout(BODY_TIME_MAX, read_body(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(NoBody::TooLong)) => {
            return shared.refuse(StatusCode::PAYLOAD_TOO_LARGE, announced, "it is longer than a callback can be");
        }
        Ok(Err(NoBody::Broken)) => return shared.refuse(StatusCode::BAD_REQUEST, announced, "its body did not arrive completely"),
        Err(_) => return shared.refuse(StatusCode::REQUEST_TIMEOUT, announced, "its body took too long"),
    };
    let length = Some(body.len());
    let sdk_app_id = match shared.signer(&head.headers, &body) {
        Ok(sdk_app_id) => sdk_app_id,
        Err(reason) => return shared.refuse(StatusCode::UNAUTHORIZED, length, reason),
    };
    match Callback::parse(sdk_app_id, &body) {
        Ok(Some(callback)) => {
            tracing::debug!(sdk_app_id, task = callback.task_id, news = ?callback.news, "callback");
            if !shared.handle.callback(callback) {
                return shared.refuse(StatusCode::SERVICE_UNAVAILABLE, length, "the daemon is busy");
            }
        }
        Ok(None) => tracing::debug!(sdk_app_id, length, "a callback of another kind: nothing to do"),
        Err(reason) => return shared.refuse(StatusCode::BAD_REQUEST, length, reason),
    }
    json(StatusCode::OK, "{\"code\":0}".to_owned())
}

impl ReceiverState {
    /// The application whose key signed these bytes.
    fn signer(&self, headers: &HeaderMap, body: &[u8]) -> Result<u64, &'static str> {
        let sdk_app_id = only(headers, "sdkappid").and_then(|id| id.parse().ok()).ok_or("it names no application (`SdkAppId`)")?;
        let sign = only(headers, "sign").ok_or("it is not signed")?;
        let key = self.keys.get(&sdk_app_id).ok_or("its application is not in the settings")?;
        if verify(key.expose_secret(), body, sign) { Ok(sdk_app_id) } else { Err("its signature is wrong") }
    }

    /// `length`: of the body, as far as it is known.
    fn refuse(&self, status: StatusCode, length: Option<usize>, reason: &str) -> Response<Body> {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match refusals.count(Instant::now()) {
            count if count < QUOTA => tracing::warn!(length, status = status.as_u16(), "callback refused: {reason}"),
            QUOTA => tracing::warn!("callback refused: {reason}; further refusals of this minute are not logged"),
            _ => {}
        }
        error(status, reason)
    }
}

/// How many refusals this period has seen.
#[derive(Default)]
struct Refusals {
    since: Option<Instant>,
    count: u32,
}

impl Refusals {
    /// Counts one more, and returns how many were before it.
    fn count(&mut self, now: Instant) -> u32 {
        if self.since.is_none_or(|since| now.duration_since(since) >= QUOTA_PERIOD) {
            *self = Refusals { since: Some(now), count: 0 };
        }
        self.count += 1;
        self.count - 1
    }
}

/// The value of a header that is there once, and is text.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next()?, values.next());
    if second.is_none() { first.to_str().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_anew_each_minute() {
        let mut refusals = Refusals::default();
        let begin = Instant::now();
        assert_eq!([0, 1, 59].map(|second| refusals.count(begin + Duration::from_secs(second))), [0, 1, 2]);
        assert_eq!([60, 61].map(|second| refusals.count(begin + Duration::from_secs(second))), [0, 1]);
    }
}
