//! The stream of server-sent events: which parts of the page are others now. A connection of this listener does not last, so a stream ends after
//! a while and the browser asks again, with the version that it has. There are as many as leave places of the listener to others. It does not
//! know what is in a part.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::hub;
use super::parts::Rendered;
use super::view::View;
use crate::web::{PageState, blocking, clock, error};

/// How long a stream lasts at least: less than a connection.
const LIFE: Duration = Duration::from_secs(18);
/// They do not all end at once.
const SPREAD: u64 = 6;
/// Something is said after so long, so that both sides know that the other is there.
const BEAT: Duration = Duration::from_secs(5);
/// Who does not read loses the stream.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives each stream its own length.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// The stream of a view.
pub(super) async fn events(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (view, query) = match View::parse(&query.unwrap_or_default(), &headers, &shared, &["since"]) {
        Ok(parsed) => parsed,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    let Ok(place) = Arc::clone(&shared.hub.streams).try_acquire_owned() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "as many follow the page as can: ask for `/page/parts` now and then");
    };
    let Some(watched) = shared.hub.shared(view) else { return hub::too_many() };
    let known = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut known = known.or_else(|| query.text("since").map(str::to_owned));
    let mut newest = watched.follow(&shared).await;
    if let Err(response) = watched.fresh(&shared).await {
        return response;
    }
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let end = Instant::now() + LIFE + Duration::from_secs(number % SPREAD);
    tokio::spawn(async move {
        // Held for as long as the stream is.
        let (_place, _watched) = (place, watched);
        let mut first = Some(Bytes::from_static(b"retry: 500\n\n"));
        loop {
            let rendered = newest.borrow_and_update().clone();
            let mut event = None;
            if let Some(rendered) = rendered.filter(|rendered| known.as_deref() != Some(rendered.name().as_str())) {
                let name = rendered.name();
                let Ok(made) = event_since(&shared, rendered, known.replace(name)).await else { return };
                event = Some(made);
            }
            // An event is made once for many: what time it is, each is told by itself.
            let beat = Bytes::from(format!("event: beat\ndata: {}\n\n", clock::now().as_millisecond()));
            for bytes in first.take().into_iter().chain(event).chain([beat]) {
                if !matches!(timeout(PATIENCE, sender.send(bytes)).await, Ok(Ok(()))) {
                    return;
                }
            }
            tokio::select! {
                () = sleep_until(end) => return,
                () = sender.closed() => return,
                changed = timeout_at(Instant::now() + BEAT, newest.changed()) => {
                    if matches!(changed, Ok(Err(_))) {
                        return;
                    }
                }
            }
        }
    });
    let mut response = Response::new(Body::new(Frames(receiver)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A proxy that collects an answer before it passes it on would keep all of it.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// What of a picture is newer than a version.
async fn event_since(shared: &Arc<PageState>, rendered: Arc<Rendered>, known: Option<String>) -> Result<Bytes, Response> {
    match rendered.known_event(known.as_deref()) {
        Some(event) => Ok(event),
        None => blocking(shared, Arc::clone(&shared.reads), move |_| rendered.event_since(known.as_deref())).await,
    }
}

/// The body of a stream.
struct Frames(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
