//! Two hosts on one PostgreSQL: real servers, real daemons, and a proxy between them that delays, holds and cuts. The sandbox's request
//! log and the ledger are the judges. Without PostgreSQL each test prints `left out: ...`.

#![cfg(target_os = "linux")]

mod bouncer;
mod messages;
mod postgres;
mod proxied;
mod proxy;
mod servers;
