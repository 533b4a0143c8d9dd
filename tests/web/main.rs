//! The promises about the listeners. The read-only one answers what the command line prints, in exactly the promised shape, and only
//! to requests for its own host. Orders and callbacks reach the daemon only from those who may give them. No listener can be exhausted.
//! Real HTTP over real sockets.

mod access;
mod admission;
mod answers;
mod callbacks;
mod client;
mod control;
#[path = "../ledger/filling.rs"]
mod filling;
mod metrics;
mod page;
mod ready;
#[path = "../ledger/rows.rs"]
mod rows;
mod served;
mod standing;
mod troubled;
