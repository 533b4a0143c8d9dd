//! Two hosts on one PostgreSQL: real servers, real daemons, and proxies between them that delay, hold and cut. The sandbox's request
//! log and the ledger are the judges. Without PostgreSQL each test prints `left out: ...`.

#![cfg(target_os = "linux")]

mod again;
mod bouncer;
mod clocks;
mod cluster;
mod commits;
mod deaths;
mod failovers;
mod judge;
mod judged;
mod leases;
mod many;
mod messages;
mod outages;
mod pooled;
mod postgres;
mod proxied;
mod proxy;
mod requests;
#[path = "../daemon/rig.rs"]
#[expect(dead_code, reason = "the tests of one daemon use the rest")]
mod rig;
mod roles;
mod servers;
mod silence;
