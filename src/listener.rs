//! An HTTP listener that cannot be exhausted: every count and every time has its limit, whoever says nothing makes room for whoever comes,
//! and a shutdown waits for what is being answered. Does not know what is served: the service of a connection is an argument.

mod places;

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub(crate) use places::network;
use places::{Asked, Entry, Places};

/// The most bytes of a request's headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a request that is being answered may take after the shutdown.
const GRACE: Duration = Duration::from_secs(1);
/// How long a request may take to be read that came with the shutdown.
const UNREAD_MAX: Duration = Duration::from_millis(100);
/// The wait after a failed accept: when file descriptors have run out, trying again at once only burns the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much a listener takes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenerLimits {
    /// Open connections; a further one takes the place of one that has asked nothing for a while. It waits in the backlog until then.
    pub(crate) connections: usize,
    /// Open connections of one address; a further one takes the place of another of that address, or is closed.
    pub(crate) share: Option<usize>,
    /// How long a connection may be idle, and a request's headers may take.
    pub(crate) header_time: Duration,
    /// How long a connection may last, whatever it does; with it, a connection serves one request.
    pub(crate) connection_time: Option<Duration>,
}

/// The descriptors that a daemon needs beside its listeners' connections: those of its ledger, its timers, and as many requests as leave at
/// once.
const DESCRIPTORS_KEPT: usize = 48;
/// Listeners of a daemon, which share what is left.
const LISTENERS: usize = 3;
/// The fewest connections that a listener takes.
const CONNECTIONS_MIN: usize = 2;

impl ListenerLimits {
    /// The same, with no more connections than there are descriptors for: those who only look must not take them from what is sent.
    pub(crate) fn within_descriptors(self) -> ListenerLimits {
        let spare = descriptors().saturating_sub(DESCRIPTORS_KEPT) / LISTENERS;
        let connections = self.connections.min(spare.max(CONNECTIONS_MIN));
        ListenerLimits { connections, share: self.share.map(|share| share.min(connections.div_ceil(2))), ..self }
    }

    /// The same for each of so many listeners, which share the connections of one.
    pub(crate) fn shared_by(self, listeners: usize) -> ListenerLimits {
        let connections = (self.connections / listeners.max(1)).max(CONNECTIONS_MIN);
        ListenerLimits { connections, ..self }
    }
}

/// How many descriptors this process may have.
#[cfg(target_os = "linux")]
pub(crate) fn descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn descriptors() -> usize {
    usize::MAX
}

/// Where connections come from. There are two: TCP for those who look and for the vendor, a Unix socket for those who give orders.
pub(crate) trait Accept {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one, and the address that it comes from, if it has one. Nothing is lost when it is dropped before it is ready.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<IpAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        let (stream, from) = TcpListener::accept(self).await?;
        // Without it a small answer may wait for the acknowledgement of another; a failure only costs that time.
        let _ = stream.set_nodelay(true);
        Ok((stream, Some(from.ip())))
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Option<IpAddr>)> {
        UnixListener::accept(self).await.map(|(stream, _)| (stream, None))
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// It is longer than is read; not all of it has been.
    TooLong,
    /// The connection ended, or its bytes are not a body.
    Broken,
}

/// The bytes of a body, `most` at the most; one that announces more is not read at all. The caller sets a limit for the
/// time.
pub(crate) async fn read_body(mut incoming: Incoming, most: usize) -> Result<Bytes, NoBody> {
    if usize::try_from(incoming.size_hint().lower()).map_or(true, |announced| announced > most) {
        return Err(NoBody::TooLong);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(NoBody::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Bytes::from(bytes))
}

/// Accepts until `shutdown`, then lets what is being answered finish. `connected` makes the service of a connection, which it is
/// given with its number.
pub(crate) async fn serve<L, S>(
    listener: L,
    limits: ListenerLimits,
    shutdown: impl Future<Output = ()>,
    mut connected: impl FnMut(u64, &L::Stream) -> S,
) where
    L: Accept,
    S: Service<Request<Incoming>, Response = Response<Body>, Future: Send, Error: Into<Box<dyn Error + Send + Sync>>>,
    S: Send + 'static,
{
    let mut places: Places<AbortHandle> = Places::new(limits.connections, limits.share);
    let (closing, closed) = watch::channel(false);
    let mut connections: JoinSet<()> = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut number = 0;
    loop {
        let free_at = places.free_at(Instant::now());
        let accepted = async {
            match free_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
            listener.accept().await
        };
        tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                places.leave(|handle| handle.id() == id);
            }
            accepted = accepted => match accepted {
                Ok((stream, from)) => {
                    match places.make_room(from, Instant::now()) {
                        Entry::Free => {}
                        Entry::InsteadOf(other) => other.abort(),
                        Entry::Refused => continue,
                    }
                    number += 1;
                    let asked = Asked::default();
                    let service = Marked { service: connected(number, &stream), asked: asked.clone() };
                    let serving = serve_connection(stream, limits, service, closed.clone());
                    let handle = connections.spawn(async move {
                        match limits.connection_time {
                            // A connection that takes too long is closed; there is nobody to report it to.
                            Some(time) => drop(timeout(time, serving).await),
                            None => serving.await,
                        }
                    });
                    places.enter(handle, from, asked, Instant::now());
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    closing.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// A service that notes that it was asked.
struct Marked<S> {
    service: S,
    asked: Asked,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Marked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> S::Future {
        self.asked.set();
        self.service.call(request)
    }
}

async fn serve_connection<I, S>(stream: I, limits: ListenerLimits, service: S, mut closing: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Future: Send, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .keep_alive(limits.connection_time.is_none())
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How a connection ends does not matter to us: there is nobody to report it to.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => {}
    }
    // What was asked in this moment is answered: hyper closes a connection of which it has read nothing.
    if timeout(UNREAD_MAX, connection.as_mut()).await.is_ok() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}
