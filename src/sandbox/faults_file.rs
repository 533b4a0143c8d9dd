//! The fault plan as an operator writes it. Knows YAML nodes and our words; refuses to know requests, sockets and where the text
//! came from.
//!
//! ```yaml
//! media:                                # how long a medium plays once; 10m for all others, rtmp without end
//!   https://cdn.example.com/promo.mp4: 1m30s
//! faults:                               # tried in order
//!   - { action: start, room: lobby, times: 2, error: ResourceInsufficient.RequestRejection }
//!   - { action: start, after: 5, times: 1, cut: after }
//!   - { action: describe, every: 10, delay: 2s }
//!   - { probability: 0.05, seed: 7, status: 502 }
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `action` | `start`, `stop` or `describe`; without it all three, and requests for other actions |
//! | `room`, `robot` | of the request; for stops and describes those of the task |
//! | `after: n` | the first n requests that match are let through |
//! | `every: n` | then only every nth that matches |
//! | `times: n` | at most n times |
//! | `probability: p`, `seed: n` | only with this probability; the same seed gives the same row of draws |
//!
//! and exactly one effect:
//!
//! | effect | what happens |
//! |---|---|
//! | `error: CODE` | this error in the vendor's envelope, HTTP 200 |
//! | `status: 502` | 300 to 599 with an HTML page; with `retry_after: 3s` the header of that name |
//! | `body: "..."` | HTTP 200 with this text, which is no envelope |
//! | `hang: true` | no answer, the connection stays open (10 minutes at most) |
//! | `cut: before`, `cut: after` | the connection is closed without a byte: before or after the action took effect |
//! | `delay: 2s` | the answer leaves later; the action takes effect at once |
//! | `cold_delay: 150ms` | the request arrives later, if it is the first on its connection |
//! | `vanish: 20s` | the task that a start makes ends by itself after that time |
//!
//! `done: true` beside `error`, `status`, `body` or `hang` says that the action takes effect all the same: what a start in
//! doubt is made of. Which rules meet a request, and in what order, is told at [`FaultPlan`].

use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, LineIndex, Span};
use crate::trtc::Action;
use crate::yaml::{self, Entry, Kind, Node};

use super::faults::{Effect, FaultPlan, Instead, Rule};
use super::{ExistReading, MediaLengths};
