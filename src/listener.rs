//! An HTTP listener that cannot be exhausted: every count and every time has its limit, and a shutdown waits for what is being
//! answered. Refuses to know what is served: a connection's service is an argument.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The most bytes of a request's headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// How long a request that is being answered may take after the shutdown.
const GRACE: Duration = Duration::from_secs(1);
/// The wait after a failed accept: when file descriptors have run out, trying again at once only burns the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much a listener takes at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Open connections; further ones wait in the backlog.
    pub(crate) connections: usize,
    /// How long a connection may be idle, and a request's headers may take.
    pub(crate) header_time: Duration,
    /// How long a connection may last, whatever it does; with it, a connection serves one request.
    pub(crate) connection_time: Option<Duration>,
}

/// Accepts until `shutdown`, then lets what is being answered finish. `connected` makes the service of a connection, which it is
/// given the number of.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
    mut connected: impl FnMut(u64) -> S,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Future: Send, Error: Into<Box<dyn Error + Send + Sync>>>,
    S: Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut number = 0;
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, slot)
        };
        tokio::select! {
            () = shutdown.as_mut() => break,
            Some(_) = connections.join_next() => {}
            (accepted, slot) = accepted => match accepted {
                Ok((stream, _)) => {
                    number += 1;
                    let serving = serve_connection(stream, limits, connected(number), closed.clone());
                    connections.spawn(async move {
                        match limits.connection_time {
                            // Whoever takes too long is cut off; there is nobody to tell.
                            Some(time) => drop(timeout(time, serving).await),
                            None => serving.await,
                        }
                        drop(slot);
                    });
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(listener);
    closing.send_replace(true);
    while connections.join_next().await.is_some() {}
}

async fn serve_connection<S>(stream: TcpStream, limits: Limits, service: S, mut closing: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Future: Send, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    // Without it a small answer may wait for the acknowledgement of another; a failure only costs that time.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .keep_alive(limits.connection_time.is_none())
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How a connection ends is the client's business: there is nobody to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}
