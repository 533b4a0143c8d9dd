//! The way to Tencent RTC's stream-ingest API: the HTTP client, and the queue that holds requests to the limit. What the API is
//! (actions, error classes, signatures, callbacks, the limiter's rule) is decided in `ingestd_core::trtc` and passed on here.

pub mod client;
pub mod queue;

pub use client::endpoint::Endpoint;
pub use client::{HttpApi, Limits, Secrets};
pub use ingestd_core::trtc::*;
