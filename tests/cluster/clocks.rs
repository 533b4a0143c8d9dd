//! A node whose clock is off: it says so, and does not own. libfaketime shifts the clock of one daemon; the program has no way to do that.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;

use super::cluster::{Cluster, Node, role};
use super::deaths::late;
use super::rig::{looping, soon, wait_for, wait_until};

/// libfaketime, from Debian's package.
pub(crate) fn library() -> Option<PathBuf> {
    let path = PathBuf::from(format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH));
    if !path.exists() {
        println!("left out: libfaketime is not installed (Debian: `apt-get install faketime`)");
        return None;
    }
    Some(path)
}

/// Starts the daemon of a node with its wall clock shifted.
fn start_shifted(node: &Node, library: &PathBuf, shift: &str) {
    let log = node.rig.path("stderr-0");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.env_clear().env("LD_PRELOAD", library).env("FAKETIME", shift).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    node.is(node.rig.spawn(&mut command, File::create(&log).expect("writable"), log));
}

fn off_by(shift: &str) {
    let Some(library) = library() else { return };
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    let [first, second] = &cluster.nodes;
    let start = soon(45);
    cluster.jobs(&looping("show", start, "10s"));
    // It is alone, and does not own all the same.
    start_shifted(second, &library, shift);
    wait_until("it waits", || second.status().filter(|status| role(status) == "standby"));
    wait_until("it says why", || second.reasons().iter().any(|reason| reason.contains("clock")).then_some(()));
    first.start();
    wait_until("the other owns", || first.owns().then_some(()));
    first.kill9();
    wait_for(Timestamp::now() + super::cluster::LEASE + Duration::from_secs(2));
    assert!(!second.owns(), "{:?}", second.reasons());
    second.kill9();
    second.start();
    wait_until("with the right clock it owns", || second.owns().then_some(()));
    let row = cluster.wait_on_air("show");
    assert!(late(&row) < Duration::from_millis(1_500), "{row:?}");
    cluster.judge(&[("show", start)]);
}

#[test]
fn a_node_whose_clock_is_two_seconds_off_does_not_own() {
    off_by("+2s");
}

#[test]
fn a_node_whose_clock_is_an_hour_behind_does_not_own() {
    off_by("-1h");
}
