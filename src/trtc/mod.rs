//! Tencent RTC's stream-ingest API: actions and their parameters, error classes, the TC3 signature, UserSig and PrivateMapKey
//! (pure), and the limiter and the HTTP client that use them. Refuses to know schedules, occurrences and the ledger.

pub mod action;
pub mod callback;
pub mod client;
pub mod envelope;
pub mod error;
pub mod limiter;
pub mod queue;
pub mod request;
pub mod room;
pub mod tc3;
pub mod usersig;

pub use action::{Action, Answer, Api, Body, Destination, Fault, Repeat, Request, StartParams, Success, TaskStatus, Tempo};
pub use client::endpoint::Endpoint;
pub use client::{HttpApi, Limits, Secrets};
pub use request::{AppKey, Credentials};
pub use room::Room;
