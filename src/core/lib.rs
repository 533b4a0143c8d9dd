//! What `ingestd` decides: the schedule, the calendar, the plan, the state machine of one occurrence, the engine between them,
//! the vendor's API as values, and what people read. `now` is an argument, and effects are values.
//!
//! This is a crate of its own so that the compiler checks its border: no async runtime, database, HTTP client or
//! terminal is among its dependencies. `clippy.toml` beside this file refuses what the standard library and jiff have
//! (clocks, files, sockets, threads, the process).

mod advice;
pub mod alerts;
pub mod calendar;
pub mod diagnostic;
pub mod doctor;
pub mod engine;
pub mod finding;
pub mod host;
pub mod lease;
pub mod occurrence;
pub mod plan;
pub mod probe;
pub mod report;
pub mod schedule;
pub mod trtc;
mod words;
pub mod yaml;
