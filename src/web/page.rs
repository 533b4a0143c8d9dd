//! The rundown page: one page that shows what `status`, `plan` and `history` tell, as HTML and SVG that need no script, and live where there
//! is one. Everything that it loads is in this program. It changes nothing: what would is shown as the command to type. It does not know how
//! the values are found ([`data`]), nor what they mean: they come from `report::rundown`.

mod assets;
mod data;
mod document;
mod html;
mod hub;
mod panels;
mod parts;
mod plots;
mod rows;
mod story;
mod stream;
mod timeline;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;

use super::views::Refused;
use super::{PageState, blocking, clock, error, respond, respond_with, views};
pub(super) use hub::Hub;
use view::View;

/// What a browser may do with the page: load what this listener serves, and nothing else. No style and no script stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// The paths of the page.
pub(super) fn routes() -> Router<Arc<PageState>> {
    Router::new()
        .route("/", get(page))
        .route("/occurrence", get(occurrence))
        .route("/page/parts", get(changed_parts))
        .route("/page/events", get(stream::events))
        .route("/page/rundown.css", get(assets::style))
        .route("/page/rundown.js", get(assets::script))
        .route("/page/icon.svg", get(assets::icon))
        .route("/api/v1/rundown", get(value))
        .route("/calendar.ics", get(calendar))
}

/// The page, or why it cannot be shown.
async fn page(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let view = match View::parse(&query.unwrap_or_default(), &headers, &shared, &[]) {
        Ok((view, _)) => view,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    let Some(watched) = shared.hub.shared(view) else { return hub::too_many() };
    match watched.fresh(&shared).await {
        Ok(rendered) => html(StatusCode::OK, document::document(&rendered, watched.view())),
        Err(response) => response,
    }
}

/// What has changed since a version, as the stream of events tells it: for those who cannot have the stream.
async fn changed_parts(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (view, query) = match View::parse(&query.unwrap_or_default(), &headers, &shared, &["since"]) {
        Ok(parsed) => parsed,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    let Some(watched) = shared.hub.shared(view) else { return hub::too_many() };
    let rendered = match watched.fresh(&shared).await {
        Ok(rendered) => rendered,
        Err(response) => return response,
    };
    let tell = move |_: &PageState| rendered.changes_since(query.text("since"));
    match blocking(&shared, Arc::clone(&shared.reads), tell).await {
        Ok(body) => respond(StatusCode::OK, "application/json", body),
        Err(response) => response,
    }
}

/// The value that the page is made of.
async fn value(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let view = match View::parse(&query.unwrap_or_default(), &headers, &shared, &[]) {
        Ok((view, _)) => view,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    let made = match data::rundown(&shared, &view).await {
        Ok(made) => made,
        Err(response) => return response,
    };
    let tell = move |_: &PageState| Ok(views::ViewBody::Json(views::to_json(&made.rundown)));
    respond_with(blocking(&shared, Arc::clone(&shared.reads), tell).await)
}

/// The story of one occurrence, as a page of its own. With scripts it is shown over the rundown.
async fn occurrence(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let (view, query) = match View::parse(&query.unwrap_or_default(), &headers, &shared, &["job", "start"]) {
        Ok(parsed) => parsed,
        Err(why) => return error(StatusCode::BAD_REQUEST, &why),
    };
    let reads = Arc::clone(&shared.ledger_reads);
    let made = blocking(&shared, reads, move |shared| story::page(shared, &view, &query, clock::now()));
    match tokio::time::timeout(super::HISTORY_WAIT, made).await {
        Ok(Ok(Ok(body))) => html(StatusCode::OK, body),
        Ok(Ok(Err(Refused::BadRequest(why)))) => error(StatusCode::BAD_REQUEST, &why),
        Ok(Ok(Err(Refused::Unavailable(why)))) => error(StatusCode::SERVICE_UNAVAILABLE, &why),
        Ok(Err(response)) => response,
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be read: it does not answer"),
    }
}

/// The plan of the next weeks, for a calendar program that looks again and again.
async fn calendar(State(shared): State<Arc<PageState>>, RawQuery(query): RawQuery) -> Response {
    let reads = Arc::clone(&shared.reads);
    match blocking(&shared, reads, move |shared| data::calendar(shared, &query.unwrap_or_default(), clock::now())).await {
        Ok(Ok(body)) => respond(StatusCode::OK, "text/calendar; charset=utf-8", body),
        Ok(Err(Refused::BadRequest(why))) => error(StatusCode::BAD_REQUEST, &why),
        Ok(Err(Refused::Unavailable(why))) => error(StatusCode::SERVICE_UNAVAILABLE, &why),
        Err(response) => response,
    }
}

fn html(status: StatusCode, body: String) -> Response {
    let mut response = respond(status, "text/html; charset=utf-8", body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

/// A body that does not change while this program runs.
fn lasting(content_type: &'static str, body: &'static [u8]) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=31536000, immutable"));
    response
}
