//! The real program as a process, against a sandbox over real HTTP: faults of the endpoint, signals, kills, downtime, what keeps
//! it from starting, the limit of a second, secrets. Nothing is simulated; every wait is for a condition, and has a bound.

#![cfg(target_os = "linux")]

mod alerts;
mod boot;
mod bounded;
mod chores;
mod demo;
mod descriptors;
#[path = "../client/disguise.rs"]
mod disguise;
mod disk;
mod doctor;
mod doubts;
mod evidence;
mod fallback;
mod faults;
mod fixes;
mod half_copied;
mod held;
mod holding;
mod kills;
mod ledger_file;
mod limit;
mod listening;
mod log_reader;
#[path = "../probe/server.rs"]
#[expect(dead_code, reason = "the tests of the probe use the rest")]
mod media_server;
mod orders;
mod recovery;
mod rig;
mod secrets;
#[path = "../client/server.rs"]
#[expect(dead_code, reason = "the tests of the client use the rest")]
mod server;
mod shutdown;
mod signals;
mod standing;
mod taken;
mod unit;
mod verbs;
mod watching;
