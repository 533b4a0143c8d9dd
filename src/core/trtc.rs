//! Tencent RTC's stream-ingest API as values: actions and their parameters, error classes, the TC3 signature, UserSig and
//! PrivateMapKey, callbacks, and the rule of the limiter. It does not know sockets, schedules, occurrences and the ledger.

pub mod action;
pub mod advice;
pub mod callback;
pub mod envelope;
pub mod error;
pub mod limiter;
pub mod request;
pub mod room;
mod secret_mask;
mod site;
pub mod start_options;
mod stream_url;
pub mod tc3;
pub mod usersig;

pub use action::{Action, Answer, Body, Destination, Fault, PerAction, Repeat, Request, StartParams, Success, TaskStatus};
pub use request::{AppKey, Credentials};
pub use room::Room;
pub use secret_mask::{RecentSecrets, SecretMask};
pub use site::Site;
pub use start_options::{StartOptions, Tempo};
pub use stream_url::StreamUrl;
pub(crate) use stream_url::as_url_part;
