//! `ingestd` puts media on air in Tencent RTC rooms by the clock. Operators write YAML schedules; a daemon under systemd calls
//! `StartStreamIngest` at each start, keeps trying until the window closes, takes the stream off the air at its end, and writes
//! down exactly one outcome for everything that was planned. This page is the map of the house.
//!
//! # One natural way
//!
//! ```text
//! schedules/*.yaml
//!    | schedule::source    read files: name + text, within limits
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
//! occurrence::decide       (occurrence, event, now) -> occurrence; one table, live and in recovery      pure
//!    | ledger              record, then act
//!    v
//! report                   ledger + plan -> text, JSON, CSV                                pure
//! ```
//!
//! Two halves: a core that decides and a shell that does. In the core there is no clock, file, socket, database, async runtime
//! or log; `now` is an argument. `tests/tidy.rs` holds the border. The daemon is one loop that owns all state: it sleeps until
//! the next thing to do, reads what has happened as values, asks the core, writes the ledger, and only then lets requests leave.
//! Requests run as tasks of their own and come back as values, so neither a slow disk nor a slow answer delays another start.
//!
//! # Invariants
//!
//! - **Exactly one row for each planned occurrence**, named by (job, start) for ever. The row is unique in the ledger, an outcome
//!   is final, and the cursor says up to where everything has one ([`ledger::Turn`]).
//! - **No start leaves without a durable row.** Sending needs a [`ledger::Attempt`], which only a commit hands out, which cannot
//!   be cloned, and which the call consumes. Between the armed row and the request there is no further commit: nothing but the
//!   network stands between the clock and the request.
//! - **"Sent, but no answer" is its own thing.** A start is in doubt unless its fault proves that nothing began
//!   ([`trtc::error`]); every doubt is recorded as one.
//! - **What one turn decides is one transaction**, and no transaction is held over an await. A turn that cannot be written waits in
//!   memory with its permissions; stops wait for nobody.
//! - **Time is believed before it is used.** Each turn first holds the wall clock against boot time; starts go by the one, ends by
//!   the other when they disagree.
//! - **One occurrence has a room at a time**, unless both allow it. What may not meet is refused when a schedule is read
//!   ([`plan::conflicts`]); who gives way, whatever got through, is decided when they meet ([`occurrence::displaced_by`]).
//! - **The core never reads the time.** [`clock`] is the only file that does, and the only one that waits for an instant.
//! - **A secret has no way out.** UserSig and signatures are made when a request is sent and die with it; stream URLs are shown
//!   only through [`schedule::StreamUrl::redacted`].
//!
//! # The rooms, in reading order
//!
//! | room | half | what lives there |
//! |---|---|---|
//! | [`diagnostic`], [`yaml`] | core | what is wrong with a text, where, and how to mend it; text to nodes |
//! | [`calendar`] | core | civil pattern + zone to instants; the two rules for clock changes |
//! | [`schedule`] | core | raw YAML to a valid [`schedule::Schedule`]; one table of fields, for the reader and for [`schedule::schema`]; `schedule::source` reads the files |
//! | [`plan`] | core | the occurrences of a range, and the end of each; conflicts and pauses; why one starts or not |
//! | [`trtc`] | core, shell | parameters, error classes, TC3, UserSig (core); limiter, HTTP client (shell) |
//! | [`occurrence`] | core | the state machine, the request for an instant, retries, tasks |
//! | [`ledger`] | shell | SQLite: claim, record, recover, query |
//! | [`daemon`] | shell | the loop: settle what is owed, arm, send, watch, heal, hand over, stop, follow edits, recover |
//! | [`report`] | core | what people and programs read |
//! | [`web`], `listener` | shell | the read-only page's JSON, the vendor's callbacks, operators' orders; the careful listener under all |
//! | [`sandbox`] | shell | a stand-in for the endpoint: rehearsal, `demo`, tests |
//! | [`config`], [`secret`], [`clock`], [`zones`], [`systemd`] | shell | settings, where secrets are kept, time, zone data, `sd_notify` |
//! | [`cli`] | shell | one file a verb; `run` is where the daemon is put together |
//!
//! # Why not ...
//!
//! - **... a job scheduler's library?** `tokio-cron-scheduler` polls every 500 ms, drops starts that share a second, keeps the
//!   offset of the day a job was registered, and cannot tell a job its planned instant. We plan ahead, arm, and wait on a timerfd.
//! - **... serde for YAML?** A deserializer stops at a file's first fault, and an operator is owed all of them.
//! - **... a thread for the database?** The loop runs on a thread of its own already, and writes between two sleeps. A start that
//!   is due meanwhile was armed before.
//! - **... a trait for every room?** There are two, where a second implementation is real: [`clock::Clock`] and [`trtc::Api`].
//!   SQLite is never mocked.

mod listener;

pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod ledger;
pub mod sandbox;
pub mod schedule_files;
pub mod secret;
pub mod systemd;
pub mod trtc;
pub mod web;
pub mod zones;

pub use ingestd_core::{calendar, diagnostic, engine, occurrence, plan, report, schedule, yaml};
