//! The API over HTTP. It knows connections, limits of time and size, and what each way of failing proves. It does not know when to
//! send and when to try again: it never sends a request twice.
//!
//! Why not a client's usual comforts: a redirect, an automatic retry or a replay could start a second stream in a room. The one
//! thing that may happen unseen is that a kept connection turns out to be closed before anything was written to it; then the
//! request goes out on a new one, for the first time.
//!
//! Proxies: an encrypted endpoint is reached through `HTTPS_PROXY` when the environment names one, as operators behind a proxy
//! expect; a loopback endpoint never is. Compression is not asked for, so that a compressed answer to a start is not an envelope; like
//! every broken answer it is looked through for a TaskId, which can be asked for.

use std::error::Error as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use secrecy::ExposeSecret;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) use self::causes::causes;
use self::causes::{no_connection, proxy_of};
use self::endpoint::Endpoint;
use self::prepared::PreparedStarts;
pub use self::secrets::Secrets;
use super::action::{Action, Answer, Body, Fault, Request};
use super::request::{SignedRequest, sign};
use super::{Api, RecentSecrets, SecretMask, envelope};
use crate::engine::SecretsRead;

pub(crate) mod causes;
pub mod endpoint;
mod prepared;
mod secrets;

/// How long and how large things may get.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From looking up the name to the end of the TLS handshake.
    pub connect: Duration,
    /// From sending (connecting included) to the last byte of the answer.
    pub answer: Duration,
    /// All of a warming.
    pub warm: Duration,
    /// How long an unused connection is kept. The server closes it after 60 s (TRTC.md section 10), and a request that meets a
    /// connection just then is cut: this must be well before. Before a start after a longer pause, warming opens connections.
    pub idle: Duration,
    /// Of an answer. The vendor's have a few hundred bytes.
    pub body_bytes: usize,
}

impl Limits {
    /// Those of DESIGN.md section 5.
    pub const STANDARD: Limits = Limits {
        connect: Duration::from_secs(3),
        answer: Duration::from_secs(10),
        warm: Duration::from_secs(3),
        idle: Duration::from_secs(30),
        body_bytes: 1 << 20,
    };
}

/// How often the kernel asks whether the other side is still there, so that a dead connection is known before it is needed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The longest wait that a server can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// The longest text about a connection that is kept. Ours are shorter; a certificate may hold any number of names, and its maker writes
/// them.
const CAUSES_CHARS_MAX: usize = 500;

type Source = Arc<dyn Fn() -> Result<Secrets, String> + Send + Sync>;

/// The API of an endpoint. Keep it for as long as the process lives: it holds the connections.
pub struct HttpApi {
    client: reqwest::Client,
    endpoint: Endpoint,
    limits: Limits,
    source: Source,
    secrets: RwLock<Arc<Secrets>>,
    /// One reading at a time, also of a disk that does not answer.
    reading: Arc<tokio::sync::Mutex<()>>,
    clock_offset_ms: AtomicI64,
    prepared: PreparedStarts,
    recent: Mutex<RecentSecrets>,
    /// For messages.
    proxy: Option<String>,
}

impl HttpApi {
    /// Reads the secrets for the first time and prepares to connect. Fails when they cannot be read, or when the host has
    /// no certificates to trust. `source` is called again by [`Api::reread_secrets`], on a thread that may wait for
    /// files.
    pub fn new(
        endpoint: Endpoint,
        limits: Limits,
        source: impl Fn() -> Result<Secrets, String> + Send + Sync + 'static,
    ) -> Result<HttpApi, String> {
        let secrets = source()?;
        let mut builder = reqwest::Client::builder()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("ingestd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .pool_idle_timeout(limits.idle)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE);
        if endpoint.is_loopback() {
            builder = builder.no_proxy();
        }
        if !endpoint.is_encrypted() {
            // A rehearsal needs no certificates, so it must not fail for the lack of any.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| format!("cannot prepare HTTPS connections: {}", causes(error)))?;
        Ok(HttpApi {
            client,
            proxy: proxy_of(&endpoint, |name| std::env::var(name).ok()),
            endpoint,
            limits,
            source: Arc::new(source),
            secrets: RwLock::new(Arc::new(secrets)),
            reading: Arc::default(),
            clock_offset_ms: AtomicI64::new(0),
            prepared: PreparedStarts::default(),
            recent: Mutex::default(),
        })
    }

    /// The secrets in use.
    fn secrets(&self) -> Arc<Secrets> {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the secrets once more. A reading that takes too long keeps others from beginning until it ends.
    async fn read_secrets(&self) -> Result<Secrets, String> {
        let too_long = |_| "reading them takes too long".to_owned();
        let one_at_a_time = timeout(self.limits.answer, Arc::clone(&self.reading).lock_owned()).await.map_err(too_long)?;
        let source = self.source.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let read = source();
            drop(one_at_a_time);
            read
        });
        let read = timeout(self.limits.answer, reading).await.map_err(too_long)?;
        read.map_err(|_| "this is a bug of ingestd: see the log".to_owned())?
    }

    /// What the endpoint's clock shows at `now`, and by how much it differs from this host's.
    fn endpoint_time(&self, now: Timestamp) -> Result<(Timestamp, SignedDuration), String> {
        let offset = SignedDuration::from_millis(self.clock_offset_ms.load(Ordering::Relaxed));
        Ok((now.checked_add(offset).map_err(|_| "the clock is off by centuries".to_owned())?, offset))
    }

    /// One that is signed for this second already, or else a new one.
    fn signed(&self, request: Request, now: Timestamp) -> Result<SignedRequest, String> {
        let secrets = self.secrets();
        let second = self.endpoint_time(now)?.0.as_second();
        let prepared = self.prepared.take(&request, second, &secrets);
        prepared.map_or_else(|| self.sign(request, &secrets, now), Ok)
    }

    fn sign(&self, mut request: Request, secrets: &Secrets, now: Timestamp) -> Result<SignedRequest, String> {
        let (now, offset) = self.endpoint_time(now)?;
        let mut of_stream = Vec::new();
        if let Body::Start { params, valid_until } = &mut request.body {
            let url = params.stream_url.clone();
            let found: Result<Vec<_>, String> = url.secret_names().map(|name| secrets.stream(name)).collect();
            of_stream = found?;
            params.stream_url = url.filled(|name| secrets.stream(name).ok().cloned())?;
            // The caller gives it by this host's clock; the endpoint checks it by its own.
            *valid_until = valid_until.saturating_add(offset).unwrap_or(Timestamp::MAX);
        }
        let app = secrets.apps.get(&request.destination.app);
        let mut signed = sign(&request, self.endpoint.host(), &secrets.credentials, app, now)?;
        for secret in of_stream {
            signed.hide(secret);
        }
        Ok(signed)
    }

    /// `until`: when the answer must be there. What has come of a body by then is looked through all the same.
    async fn exchange(&self, action: Action, request: SignedRequest, until: Instant) -> Answer {
        let mask = self.mask(action, &request);
        let request = match self.build(request) {
            Ok(request) => request,
            Err(why) => return Answer::bare(Err(Fault::Unsendable(why))),
        };
        tracing::trace!("handed to a connection");
        let mut response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) => return Answer::bare(Err(fault_of(error, &mask, &self.endpoint, self.proxy.as_deref()))),
        };
        let status = response.status().as_u16();
        let server_date = date(response.headers());
        let mut body = Vec::new();
        let (result, request_id) = match timeout_at(until, self.body(&mut response, &mut body)).await {
            Ok(Ok(true)) => envelope::read(action, status, &body, &mask),
            Ok(Ok(false)) if status == 200 => {
                (Err(Fault::NotAnEnvelope(format!("more than {} bytes", self.limits.body_bytes))), None)
            }
            Ok(Ok(false)) => (Err(Fault::Status(status)), None),
            Ok(Err(error)) => (Err(Fault::Cut(mask.quote(&causes(error), CAUSES_CHARS_MAX))), None),
            Err(_) => (Err(Fault::Timeout), None),
        };
        let is_broken = action == Action::Start && result.is_err();
        Answer {
            result,
            http_status: Some(status),
            request_id,
            server_date,
            retry_after: retry_after(response.headers(), server_date),
            candidate: if is_broken { envelope::candidate(&body, &mask) } else { None },
        }
    }

    /// What is hidden in the answer: the secrets of this request, of the starts before it, and of all streams: what was started
    /// before this daemon is stopped and described by it.
    fn mask(&self, action: Action, request: &SignedRequest) -> SecretMask {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut mask = request.mask().clone();
        for secret in self.secrets().streams.values().flatten() {
            mask.add(secret.expose_secret());
        }
        let mask = mask.with_earlier(&recent);
        if action == Action::Start {
            recent.remember(request.mask());
        }
        mask
    }

    fn build(&self, request: SignedRequest) -> Result<reqwest::Request, String> {
        let (headers, body) = request.into_parts();
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, text) in headers {
            // A header's value may be secret, so an error names the header only.
            let mut value = HeaderValue::from_str(&text).map_err(|_| format!("the header `{name}` cannot be sent"))?;
            value.set_sensitive(true);
            map.insert(HeaderName::from_static(name), value);
        }
        self.client.post(self.endpoint.url()).headers(map).body(body).build().map_err(causes)
    }

    /// Reads the body. False: it is larger than we read, and there is more.
    async fn body(&self, response: &mut reqwest::Response, body: &mut Vec<u8>) -> Result<bool, reqwest::Error> {
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.limits.body_bytes {
                return Ok(false);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(true)
    }
}

impl Api for HttpApi {
    async fn call(&self, request: Request, now: Timestamp) -> Answer {
        let action = request.body.action();
        let signed = match self.signed(request, now) {
            Ok(signed) => signed,
            Err(why) => return Answer::bare(Err(Fault::Unsendable(why))),
        };
        tracing::trace!("signed");
        let until = Instant::now() + self.limits.answer;
        let exchange = timeout_at(until, self.exchange(action, signed, until));
        exchange.await.unwrap_or_else(|_| Answer::bare(Err(Fault::Timeout)))
    }

    fn prepare(&self, request: Request, at: Timestamp) {
        let Ok((endpoint_at, _)) = self.endpoint_time(at) else { return };
        let second = endpoint_at.as_second();
        if !self.prepared.has_room(second) {
            return;
        }
        let secrets = self.secrets();
        // What cannot be signed fails when it is called.
        if let Ok(signed) = self.sign(request.clone(), &secrets, at) {
            self.prepared.keep(request, second, secrets, signed);
        }
    }

    /// Asks `count` times at once for `/`, unsigned. That is not an action and counts for no limit; the answer is read
    /// and dropped, and the connections are kept.
    async fn warm(&self, count: usize) {
        let mut requests = JoinSet::new();
        for _ in 0..count {
            let request = self.client.get(self.endpoint.url()).send();
            let body_bytes = self.limits.body_bytes;
            requests.spawn(async move {
                let Ok(mut response) = request.await else { return };
                let mut read = 0;
                while let Ok(Some(chunk)) = response.chunk().await {
                    read += chunk.len();
                    if read > body_bytes {
                        return;
                    }
                }
            });
        }
        // Those that are not done by then are dropped with the set.
        let _in_time = timeout(self.limits.warm, async { while requests.join_next().await.is_some() {} }).await;
    }

    fn set_clock_offset(&self, offset_ms: i64) {
        self.clock_offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    async fn reread_secrets(&self) -> SecretsRead {
        let mut secrets = match self.read_secrets().await {
            Ok(secrets) => secrets,
            Err(why) => return SecretsRead::Failed { why },
        };
        let former = self.secrets();
        let unread = secrets.keep_readable(&former).join("; ");
        let which = former.differing(&secrets);
        match (which.is_empty(), unread.is_empty()) {
            (true, true) => return SecretsRead::Same,
            (true, false) => return SecretsRead::Failed { why: unread },
            (false, true) => {}
            // Nobody waits for the one that stays.
            (false, false) => tracing::warn!("{unread}; the former one stays in use"),
        }
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(secrets);
        SecretsRead::Changed { which }
    }
}

/// What a failure to get an answer proves. Only a connection that never came about, or hyper handing the request back
/// unwritten, proves that nothing was sent.
fn fault_of(error: reqwest::Error, mask: &SecretMask, endpoint: &Endpoint, proxy: Option<&str>) -> Fault {
    let unsent = error.is_connect() || handed_back(&error);
    let built = error.is_builder();
    let is_connection = error.is_connect();
    let causes = causes(error);
    let why = mask.quote(&causes, CAUSES_CHARS_MAX);
    match (unsent, built) {
        (true, _) if is_connection => Fault::Connect(no_connection(endpoint, proxy, &why)),
        (true, _) => Fault::Connect(why),
        (false, true) => Fault::Unsendable(why),
        (false, false) => Fault::Cut(why),
    }
}

/// Whether hyper gave the request back because the connection closed before any of it was written.
fn handed_back(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// The `Date` header.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

/// The `Retry-After` header: seconds, or a date, which is counted from the server's own.
fn retry_after(headers: &HeaderMap, server_date: Option<Timestamp>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(http_date(text)?.duration_since(server_date?)).unwrap_or(Duration::ZERO),
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
