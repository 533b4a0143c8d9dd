//! The listener for the vendor's callbacks, the only one that the internet can reach: `POST /trtc/callback`. The signature is verified
//! over the bytes as they came, before anything is parsed. Refuses to know what a callback changes: the daemon knows. A refused
//! callback has no effect but a line in the log, which holds its length and the reason, and nothing of its content.
//!
//! Status 200 promises that what the callback says is on the disk, or changes nothing: the vendor does not send it again. Everything
//! that could not be settled in 2 s, or written in a turn of the daemon, is answered 503, and comes again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_LENGTH, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::{error, json};
use crate::daemon::Handle;
use crate::engine::Receipt;
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
/// How long the daemon may take to write down what a callback says. The vendor waits 5 s.
const RECEIPT_TIME_MAX: Duration = Duration::from_secs(2);
/// The least time between two readings of the keys.
const READ_APART: Duration = Duration::from_secs(5);
/// Lines about refused callbacks: so many in each period, so that nobody outside can fill the disk with them.
const OF_REFUSALS: Quota = Quota { lines: 30, period: Duration::from_mins(1), name: "minute" };
/// Lines about requests that are no callbacks. Scanners send many, and must not hide what is wrong with callbacks.
const OF_STRANGERS: Quota = Quota { lines: 10, period: Duration::from_mins(1), name: "minute" };
/// Lines about callbacks that change nothing. The vendor may send very many.
const OF_NO_EFFECT: Quota = Quota { lines: 1, period: Duration::from_hours(1), name: "hour" };

/// The key of each application's callbacks, by its `SdkAppId`.
pub type Keys = BTreeMap<u64, SecretString>;

/// Reads the keys again. Error: why they cannot be read.
pub type ReadKeys = Arc<dyn Fn() -> Result<Keys, String> + Send + Sync>;

/// The keys in use. A key that was replaced shows in a signature that is wrong: then they are read again, at most every 5 s, since anybody
/// can send a wrong signature.
pub struct KeyRing {
    keys: Mutex<Arc<Keys>>,
    read: ReadKeys,
    read_at: Mutex<Option<Instant>>,
    /// One reading at a time, also of a disk that does not answer.
    reading: Arc<Semaphore>,
    /// Why they cannot be read, as was told.
    told: Mutex<Option<String>>,
}

impl KeyRing {
    /// With the keys as they are now.
    pub fn new(keys: Keys, read: ReadKeys) -> KeyRing {
        KeyRing {
            keys: Mutex::new(Arc::new(keys)),
            read,
            read_at: Mutex::default(),
            reading: Arc::new(Semaphore::new(1)),
            told: Mutex::default(),
        }
    }

    /// One with the same keys, for another listener.
    #[must_use]
    pub fn again(&self) -> KeyRing {
        KeyRing::new(self.keys().as_ref().clone(), Arc::clone(&self.read))
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the keys, if others are there than before.
    async fn reread(&self) -> Option<Arc<Keys>> {
        {
            let mut read_at = self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
            if read_at.is_some_and(|at| at.elapsed() < READ_APART) {
                return None;
            }
            *read_at = Some(Instant::now());
        }
        let one_at_a_time = Arc::clone(&self.reading).try_acquire_owned().ok()?;
        let read = Arc::clone(&self.read);
        let reading = tokio::task::spawn_blocking(move || {
            let keys = read();
            drop(one_at_a_time);
            keys
        });
        // A file's disk may not answer: whoever sent the callback does not wait for it.
        let (new, failed) = match timeout(RECEIPT_TIME_MAX, reading).await {
            Ok(Ok(Ok(new))) => (Some(Arc::new(new)), None),
            Ok(Ok(Err(why))) => (None, Some(why)),
            Ok(Err(_)) | Err(_) => (None, Some("reading them takes too long".to_owned())),
        };
        let before = std::mem::replace(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner), failed.clone());
        if let Some(why) = failed.filter(|why| before.as_ref() != Some(why)) {
            tracing::warn!("the keys of the callbacks cannot be read again: {why}; the former ones stay in use");
        }
        let new = new?;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let is_other = |(one, other): (&SecretString, &SecretString)| one.expose_secret() != other.expose_secret();
        let are_others = keys.len() != new.len() || keys.values().zip(new.values()).any(is_other);
        are_others.then(|| {
            tracing::info!("the keys of the callbacks were read again, and changed");
            *keys = Arc::clone(&new);
            new
        })
    }
}

struct ReceiverState {
    keys: KeyRing,
    handle: Handle,
    refusals: LineCount,
    strangers: LineCount,
    other_groups: LineCount,
    old: LineCount,
}

/// Serves until `shutdown`, then finishes what is being answered.
pub async fn serve(listener: TcpListener, keys: KeyRing, handle: Handle, shutdown: impl Future<Output = ()>) {
    let count = LineCount::new;
    let (refusals, strangers) = (count(OF_REFUSALS), count(OF_STRANGERS));
    let (other_groups, old) = (count(OF_NO_EFFECT), count(OF_NO_EFFECT));
    let shared = Arc::new(ReceiverState { keys, handle, refusals, strangers, other_groups, old });
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
    let announced = only(&head.headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
    if let Some((status, reason)) = stranger(&head) {
        shared.strangers.warn(announced, status, reason);
        let mut response = error(status, reason);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        return response;
    }
    let body = match timeout(BODY_TIME_MAX, read_body(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(NoBody::TooLong)) => {
            return shared.refuse(StatusCode::PAYLOAD_TOO_LARGE, announced, "it is longer than a callback can be");
        }
        Ok(Err(NoBody::Broken)) => return shared.refuse(StatusCode::BAD_REQUEST, announced, "its body did not arrive completely"),
        Err(_) => return shared.refuse(StatusCode::REQUEST_TIMEOUT, announced, "its body took too long"),
    };
    let length = Some(body.len());
    let sdk_app_id = match shared.signer(&head.headers, &body).await {
        Ok(sdk_app_id) => sdk_app_id,
        Err(reason) => return shared.refuse(StatusCode::UNAUTHORIZED, length, reason),
    };
    match Callback::parse(sdk_app_id, &body) {
        Ok(Some(callback)) => {
            if let Err(reason) = shared.hand_on(callback).await {
                return shared.refuse(StatusCode::SERVICE_UNAVAILABLE, length, reason);
            }
        }
        Ok(None) => shared.other_groups.info(length, "a callback of another kind than a task's start or stop changes nothing"),
        Err(reason) => return shared.refuse(StatusCode::BAD_REQUEST, length, reason),
    }
    json(StatusCode::OK, "{\"code\":0}".to_owned())
}

/// Why a request is no callback, whatever its body says.
fn stranger(head: &Parts) -> Option<(StatusCode, &'static str)> {
    let path = head.uri.path();
    if path != PATH {
        let has_slash = path.trim_end_matches('/') == PATH;
        let with_slash = "its path has a slash at its end: write `/trtc/callback` into the console of TRTC";
        let reason = if has_slash { with_slash } else { "its path is not `/trtc/callback`" };
        return Some((StatusCode::NOT_FOUND, reason));
    }
    (head.method != Method::POST).then_some((StatusCode::METHOD_NOT_ALLOWED, "its method is not POST"))
}

impl ReceiverState {
    /// The application whose key signed these bytes.
    async fn signer(&self, headers: &HeaderMap, body: &[u8]) -> Result<u64, &'static str> {
        let sdk_app_id = only(headers, "sdkappid").and_then(|id| id.parse().ok()).ok_or("it names no application (`SdkAppId`)")?;
        let sign = only(headers, "sign").ok_or("it is not signed")?;
        let is_signed = |keys: &Keys| keys.get(&sdk_app_id).map(|key| verify(key.expose_secret(), body, sign));
        match is_signed(&self.keys.keys()).ok_or("its application is not in the settings")? {
            true => Ok(sdk_app_id),
            false if self.keys.reread().await.is_some_and(|keys| is_signed(&keys) == Some(true)) => Ok(sdk_app_id),
            false => Err("its signature is wrong"),
        }
    }

    /// Hands a callback to the daemon, and waits until what it says is on the disk. Errors: why it must be sent again.
    async fn hand_on(&self, callback: Callback) -> Result<(), &'static str> {
        tracing::debug!(sdk_app_id = callback.sdk_app_id, task = callback.task_id, news = ?callback.news, "callback");
        let receipt = self.handle.callback(callback).ok_or("the daemon is busy")?;
        match timeout(RECEIPT_TIME_MAX, receipt).await {
            Ok(Ok(Receipt::Taken)) => Ok(()),
            Ok(Ok(Receipt::Old)) => {
                self.old.info(None, "a callback of something that happened more than 15 min ago changes nothing");
                Ok(())
            }
            Ok(Ok(Receipt::Refused)) => Err("it cannot be recorded now"),
            Ok(Err(_)) => Err("the daemon is shutting down"),
            Err(_) => Err("it was not recorded in time"),
        }
    }

    /// `length`: of the body, as far as it is known.
    fn refuse(&self, status: StatusCode, length: Option<usize>, reason: &str) -> Response<Body> {
        self.refusals.warn(length, status, reason);
        error(status, reason)
    }
}

/// How many lines may be written in a period.
#[derive(Clone, Copy)]
struct Quota {
    lines: u32,
    period: Duration,
    name: &'static str,
}

/// Lines of one kind, and how many this period has seen.
struct LineCount {
    quota: Quota,
    period: Mutex<Period>,
}

impl LineCount {
    fn new(quota: Quota) -> LineCount {
        LineCount { quota, period: Mutex::default() }
    }

    /// How many lines were wanted in this period before this one.
    fn count(&self) -> u32 {
        self.period.lock().unwrap_or_else(PoisonError::into_inner).count(self.quota.period, Instant::now())
    }

    fn warn(&self, length: Option<usize>, status: StatusCode, reason: &str) {
        let (count, Quota { lines, name, .. }) = (self.count(), self.quota);
        match count {
            count if count < lines => tracing::warn!(length, status = status.as_u16(), "callback refused: {reason}"),
            count if count == lines => {
                tracing::warn!("callback refused: {reason}; further refusals of this {name} are not logged");
            }
            _ => {}
        }
    }

    fn info(&self, length: Option<usize>, text: &str) {
        if self.count() < self.quota.lines {
            tracing::info!(length, "{text}; this is logged once an {}", self.quota.name);
        }
    }
}

#[derive(Default)]
struct Period {
    since: Option<Instant>,
    count: u32,
}

impl Period {
    /// Counts one more, and returns how many were before it.
    fn count(&mut self, length: Duration, now: Instant) -> u32 {
        if self.since.is_none_or(|since| now.duration_since(since) >= length) {
            *self = Period { since: Some(now), count: 0 };
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
    fn lines_are_counted_anew_in_each_period() {
        let mut period = Period::default();
        let begin = Instant::now();
        let mut count = |second| period.count(Duration::from_mins(1), begin + Duration::from_secs(second));
        assert_eq!([0, 1, 59].map(&mut count), [0, 1, 2]);
        assert_eq!([60, 61].map(&mut count), [0, 1]);
    }
}
