//! The way to Tencent RTC's stream-ingest API: what sends a request, the HTTP client that does, and the queue that holds requests to
//! the limit. What the API is (actions, error classes, signatures, callbacks, the limiter's rule) is not here: `ingestd_core::trtc`
//! decides it, and this module passes it on.

use jiff::Timestamp;

use crate::engine::SecretsRead;

pub mod client;
pub mod queue;

pub use client::endpoint::Endpoint;
pub use client::{HttpApi, Limits, Secrets};
pub use ingestd_core::trtc::*;

/// The endpoint, or a simulation of it. Implementations enforce their own limits of time, so that a call always comes back:
/// 3 s to connect, 10 s for an answer.
pub trait Api: Send + Sync + 'static {
    /// Sends one request, signed for `now`, and waits for its answer. Never sends it twice. Dropping the future abandons the
    /// request; it may or may not have been sent.
    fn call(&self, request: Request, now: Timestamp) -> impl Future<Output = Answer> + Send;

    /// Does what can be done before `at` for a start that is to leave then: a call of the same request in that second need not sign it.
    /// Best effort; nothing is sent. Does nothing unless an implementation has something to do.
    fn prepare(&self, _request: Request, _at: Timestamp) {}

    /// Opens connections so that `count` requests can leave at once without a handshake. Best effort.
    fn warm(&self, count: usize) -> impl Future<Output = ()> + Send;

    /// Takes the server's clock: every later signature and UserSig is made for `now + offset_ms`. The offset is server minus here.
    fn set_clock_offset(&self, offset_ms: i64);

    /// Reads the secrets again, and uses them for every later request. What cannot be read, or takes too long, changes nothing.
    fn reread_secrets(&self) -> impl Future<Output = SecretsRead> + Send;
}
