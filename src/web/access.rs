//! Who may ask what at an address of the read-only listener: the host that a request names, its body, and the token where other hosts
//! can reach the address. Does not know what is answered.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Incoming;
use hyper::service::Service;

use super::token::{Guess, ListenToken};
use super::{error, host};

/// What everybody may ask who reaches an address: whether the daemon works.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// What the settings allow at the addresses of `listen`.
#[derive(Clone, Default)]
pub struct Access {
    /// Names of this daemon beside its addresses, in small letters.
    pub hosts: Arc<[Arc<str>]>,
    /// What is asked for at addresses that are not loopback. Without it, or while it cannot be read, they answer little.
    pub token: Option<Arc<ListenToken>>,
}

/// One address that is listened on.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) bound: IpAddr,
    pub(super) access: Access,
}

/// The address that a request comes from.
#[derive(Clone, Copy)]
struct Peer(IpAddr);

/// A service that tells requests where they come from.
#[derive(Clone)]
pub(super) struct FromPeer<S> {
    pub(super) service: S,
    pub(super) peer: Option<IpAddr>,
}

impl<S: Service<hyper::Request<Incoming>>> Service<hyper::Request<Incoming>> for FromPeer<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> S::Future {
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(Peer(peer));
        }
        self.service.call(request)
    }
}

/// Refuses requests for another host, and those that need a token and have none.
pub(super) async fn admit(State(door): State<Door>, request: Request, next: Next) -> Response {
    // A balancer asks in HTTP/1.0 and names nobody. A browser always does.
    let is_bare_check = OPEN.contains(&request.uri().path()) && host::names_nobody(&request);
    if !is_bare_check && !host::is_ours(&request, door.bound, &door.access.hosts) {
        let message = "the `Host` of the request is not this listener's: ask for its address or for `localhost`, or write its name into \
                       `listen_hosts` of the settings";
        return error(StatusCode::MISDIRECTED_REQUEST, message);
    }
    if !door.bound.is_loopback()
        && !OPEN.contains(&request.uri().path())
        && let Err(refusal) = door.access.check_token(given_token(request.headers()), peer(&request)).await
    {
        return refusal;
    }
    next.run(request).await
}

impl Access {
    /// Error: the answer to a request without the token.
    async fn check_token(&self, given: Option<Vec<u8>>, peer: IpAddr) -> Result<(), Response> {
        let Some(token) = &self.token else {
            let message = "this address answers only `/healthz` and `/readyz`: the settings have no `listen_token`";
            return Err(error(StatusCode::FORBIDDEN, message));
        };
        let Some(given) = given else { return Err(unauthorized()) };
        token.refresh().await;
        match token.guess(&given, peer) {
            Guess::Right => Ok(()),
            Guess::Wrong { is_news } => {
                if is_news {
                    tracing::warn!(
                        "many requests from {peer} to `listen` had a wrong token: one in 6 s is looked at (told once a minute)"
                    );
                }
                Err(unauthorized())
            }
            Guess::Unread => {
                let message =
                    "this address answers only `/healthz` and `/readyz`: `listen_token` cannot be read (`ingestd status`)";
                Err(error(StatusCode::SERVICE_UNAVAILABLE, message))
            }
            Guess::TooMany { wait } => {
                let message = "too many requests with a wrong token came from this address";
                let mut response = error(StatusCode::TOO_MANY_REQUESTS, message);
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
                Err(response)
            }
        }
    }
}

/// Where a request comes from. Every connection has an address; all without one count as one.
fn peer(request: &Request) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |Peer(peer)| *peer)
}

/// The token of `Authorization: Bearer TOKEN`, or the password of `Authorization: Basic ...`, whoever's name stands before it.
fn given_token(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(given), None) = (given.next(), given.next()) else { return None };
    let (scheme, rest) = given.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// A browser asks for a name and a password then. Any name will do.
fn unauthorized() -> Response {
    let message = "expected the token of `listen_token`: as `Authorization: Bearer TOKEN`, or as the password, with any name";
    let mut response = error(StatusCode::UNAUTHORIZED, message);
    let challenge = HeaderValue::from_static("Basic realm=\"ingestd\", charset=\"UTF-8\"");
    response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
    response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).expect("visible"));
        }
        given_token(&headers).map(|token| String::from_utf8(token).expect("text"))
    }

    #[test]
    fn a_token_is_a_bearer_token_or_a_password() {
        assert_eq!(given(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(given(&["bearer  abc "]).as_deref(), Some("abc"));
        // `anna:a:b`
        assert_eq!(given(&["Basic YW5uYTphOmI="]).as_deref(), Some("a:b"));
        assert_eq!(given(&["basic OmFiYw=="]).as_deref(), Some("abc"), "a name is not needed");
        for none in [&[][..], &["abc"], &["Digest abc"], &["Basic abc"], &["Basic YWJj"], &["Bearer a", "Bearer a"]] {
            assert_eq!(given(none), None, "{none:?}");
        }
    }
}
