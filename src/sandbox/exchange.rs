//! A request as it arrived, and the vendor's error for one that is refused. Does not decide which requests are refused.

use std::borrow::Cow;

use axum::body::Bytes;
use hyper::{HeaderMap, Method};

/// A request as it came off the connection.
pub(super) struct Received {
    /// The method.
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    /// The headers.
    pub(super) headers: HeaderMap,
    /// The body's bytes. When it was longer than the sandbox reads, what is kept is empty.
    pub(super) body: Bytes,
    /// Whether the body was longer than the sandbox reads.
    pub(super) too_long: bool,
    /// Which connection it came on, from 1.
    pub(super) connection: u64,
}

/// Why a request is not done: a code of the vendor's, and words for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ErrorReply {
    /// `Error.Code`
    pub(super) code: Cow<'static, str>,
    /// `Error.Message`
    pub(super) message: Cow<'static, str>,
}

impl ErrorReply {
    pub(super) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> ErrorReply {
        ErrorReply { code: code.into(), message: message.into() }
    }
}
