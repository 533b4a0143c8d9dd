//! `ingestd` puts media on air in Tencent RTC rooms by the clock. Operators write YAML schedules. A daemon under systemd calls
//! `StartStreamIngest` at each start, tries again until the window closes, stops the stream at its end, and records exactly one
//! outcome for everything that was planned. This page is the map of the code: it says where things are, and not how they work.
//!
//! # From a file to a record
//!
//! ```text
//! schedules/*.yaml
//!    | schedule_files      read files: name + text, within limits
//!    v
//! yaml                     text -> nodes with spans
//!    | schedule            every problem at once, each with file:line:column
//!    v
//! Schedule                 what we will do: typed, immutable, one generation
//!    | calendar, plan      (schedule, range) -> occurrences                                   pure
//!    v
//! Occurrence
//!    | ledger              arm: claim (job, start) durably, ahead of time
//!    v
//! Attempt                  waits for the instant, passes the limiter, is built and signed for *now*, and sent
//!    | trtc                sign -> send -> Answer
//!    v
//! engine                   (what has happened, now) -> writes + calls + notices                     pure
//!    |                     for one occurrence it asks occurrence::decide: one table, live and in recovery
//!    | ledger              record, then act
//!    v
//! report                   ledger + plan -> text, JSON, CSV                                pure
//! ```
//!
//! There are two halves: a core that decides and a shell that acts. The core is a crate of its own, `src/core`. It has no clock, file,
//! socket, database, async runtime or log; `now` is an argument. The compiler holds its border, because the core has no dependency
//! that could do these things; for the standard library and jiff, `src/core/clippy.toml` does, and `tests/border.rs` tests each entry.
//! The shell is this crate. It re-exports the modules of the core, so that `crate::schedule` is `ingestd_core::schedule`.
//!
//! The daemon is one loop that owns all state. It sleeps until the next thing to do, collects what has happened as values, takes a step of the engine,
//! writes the ledger, and only then lets requests be sent. Requests run as tasks of their own and come back as values, and the ledger is
//! written on a thread of its own. So neither a slow disk nor a slow answer delays another start or a stop.
//!
//! # Invariants
//!
//! - **Exactly one row for each planned occurrence**, named by (job, start) for ever. The row is unique in the ledger, an outcome
//!   is final, and before the cursor everything has an outcome ([`engine::Write::Cursor`]). Two outcomes can be taken back: a show that was
//!   cut because its job left the schedule goes on when the job is back in its window, and one that failed when an operator starts it
//!   again ([`engine::Write::Reopen`]).
//! - **No start is sent without a durable row.** Sending needs a [`ledger::Attempt`]. Only a commit gives one, it cannot be cloned, and
//!   the call consumes it. Between the armed row and the request there is no further commit: nothing but the network stands between
//!   the clock and the request.
//! - **"Sent, but no answer" is a case of its own.** A start is in doubt unless its fault proves that nothing began
//!   ([`trtc::error`]); every doubt is recorded as one.
//! - **What one step decides is one transaction**, and no transaction is held over an await. A step that cannot be written waits in
//!   memory with its permissions; stops do not wait for it. What the ledger cannot answer now is asked again, and no input is lost.
//! - **The time is checked before it is used.** Each step first compares the wall clock with boot time. When they disagree, starts use
//!   the one and ends the other.
//! - **One occurrence has a room at a time**, unless both allow it. Jobs that may not meet are refused when a schedule is read
//!   ([`plan::conflicts`]). If two meet all the same, [`occurrence::displaced_by`] says which one gives way.
//! - **The core never reads the time.** [`clock`] is the only file that does, and the only one that waits for an instant.
//! - **A secret is never shown.** UserSig and signatures are made when a request is sent, and dropped with it; stream URLs are shown
//!   only through [`schedule::StreamUrl::redacted`].
//!
//! # The modules, in reading order
//!
//! | module | half | what it contains |
//! |---|---|---|
//! | [`diagnostic`], [`yaml`] | core | what is wrong with a text, where, and how to fix it; text to nodes |
//! | [`calendar`] | core | civil pattern + zone to instants; the two rules for clock changes |
//! | [`schedule`] | core | raw YAML to a valid [`schedule::Schedule`]; one table of fields, for the reader and for [`schedule::schema`] |
//! | [`plan`] | core | the occurrences of a range, and the end of each; conflicts and pauses; why one starts or not |
//! | [`trtc`] | core, shell | parameters, error classes, TC3, UserSig, limiter (core); queue, HTTP client (shell) |
//! | [`occurrence`] | core | the state machine, the request for an instant, retries, tasks |
//! | [`engine`] | core | what is decided between occurrences: what is owed, who has a room, whose task it is, edits, stops, the clock |
//! | [`lease`] | core | by which lease one of several hosts owns the air, and until when it may send |
//! | [`finding`] | core | what may go wrong before a show: one value, which status, alerts and metrics read |
//! | [`probe`] | core, shell | whether media is there: what may be reached, what a relay trips over, when it is looked at (core); fetching (shell) |
//! | [`doctor`] | core, shell | what would go wrong at air time: what an answer says (core); asking, and the watch of a running daemon (shell) |
//! | [`alerts`] | core, shell | what is told in time, to whom, when and in which words (core); sending (shell) |
//! | [`report`], `advice` | core | what people and programs read; what to do about a fault |
//! | [`schedule_files`] | shell | folders and files to the texts of a schedule |
//! | [`ledger`] | shell | SQLite, or PostgreSQL: commit a step, give its permissions, recover, query; the sources of accepted schedules |
//! | [`daemon`] | shell | the loop: collect, take a step, write, send; the calls; the shutdown |
//! | [`web`], `listener` | shell | the JSON, the health and the metrics of the read-only page, the vendor's callbacks, the orders of operators; the listener with limits under all |
//! | [`sandbox`] | shell | a stand-in for the endpoint: rehearsal, `demo`, tests |
//! | [`config`], [`secret`], [`clock`], [`zones`], [`user`], [`systemd`] | shell | settings, where secrets are kept, time, zone data, users, `sd_notify` |
//! | `background` | shell | threads that give way to the air: for reading a schedule, and for the chores |
//! | [`chores`] | shell | what is done for the ledger now and then: prune, integrity, backup |
//! | [`busy`] | shell | how long the loop, or the disk, has been busy with one thing |
//! | [`metrics`] | shell | what is counted while it works: requests, lateness, waits, commits |
//! | [`cli`] | shell | one file for each verb; `run` is where the daemon is put together |
//!
//! # Why not ...
//!
//! - **... a job scheduler's library?** It runs the chores. For shows, `tokio-cron-scheduler` polls every 500 ms, drops starts that share a second, keeps the
//!   offset of the day on which a job was registered, and does not give a job its planned instant. We plan ahead, arm, and wait on a
//!   timerfd.
//! - **... serde for YAML?** A deserializer stops at the first fault of a file, and an operator needs all of them.
//! - **... a write in the loop?** A disk may stand for seconds, and the loop stops streams. So the ledger has a thread
//!   ([`ledger::thread`]). The loop hands over what a step decides and waits for the commit, 100 ms at most. Then it goes on: nothing is
//!   claimed before the disk answers, stops are sent all the same, and the permissions come as a report. In simulated time a commit is
//!   made in the loop, so that the real thread decides no order.
//! - **... a trait for every module?** There are three, where a second implementation is real: [`clock::Clock`], [`trtc::Api`], and
//!   [`engine::Records`] (the ledger, and the tables of `tests/engine`). SQLite is never mocked.

#![cfg_attr(
    not(feature = "postgres"),
    expect(
        dead_code,
        clippy::unnecessary_wraps,
        reason = "what only a ledger that several hosts share needs is compiled and not used"
    )
)]

mod background;
mod listener;

pub mod alerts;
pub mod busy;
pub mod chores;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod doctor;
pub mod ledger;
pub mod metrics;
pub mod probe;
pub mod sandbox;
pub mod schedule_files;
pub mod secret;
pub mod systemd;
pub mod trtc;
pub mod user;
pub mod web;
pub mod zones;

pub use ingestd_core::{calendar, diagnostic, engine, finding, host, lease, occurrence, plan, report, schedule, yaml};
