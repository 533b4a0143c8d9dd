//! A connection ends, or hangs, at a COMMIT: it took effect or not, and nobody says which. The daemon looks, and goes on.

use std::time::Duration;

use super::cluster::Cluster;
use super::deaths::late;
use super::proxy::AtCommit;
use super::rig::{looping, soon, wait_for, wait_until};

/// At the claim of a show, and at what is written when it is on air.
fn at_commit(what: AtCommit) {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    let (one, two) = (soon(18), soon(20));
    cluster.jobs(&(looping("one", one, "15s") + &looping("two", two, "15s")));
    // Before anything is claimed.
    let (first, _) = cluster.started();
    let proxy = &first.databases[0];
    proxy.at_commit(what, "occurrence");
    wait_until("it has happened at a claim", || (proxy.fired() == 1).then_some(()));
    wait_for(two - Duration::from_millis(500));
    proxy.at_commit(what, "occurrence");
    wait_until("it has happened at a record", || (proxy.fired() == 2).then_some(()));
    for job in ["one", "two"] {
        let row = cluster.wait_row(job, "on air", |row| row.on_air_ms.is_some());
        assert!(late(&row) < Duration::from_millis(1_500), "{row:?}");
    }
    cluster.judge(&[("one", one), ("two", two)]);
    for job in ["one", "two"] {
        let effective = cluster.nodes[0].rig.arrived(job).iter().filter(|arrival| arrival.effect).count();
        assert_eq!(effective, 1);
    }
}

#[test]
fn a_commit_that_is_cut_before_it_takes_effect_is_done_again() {
    at_commit(AtCommit::CutBefore);
}

#[test]
fn a_commit_that_is_cut_after_it_took_effect_is_recognised() {
    at_commit(AtCommit::CutAfter);
}

#[test]
fn a_commit_that_hangs_before_it_takes_effect_is_given_up_and_done_again() {
    at_commit(AtCommit::HoldBefore);
}

#[test]
fn a_commit_that_hangs_after_it_took_effect_is_recognised() {
    at_commit(AtCommit::HoldAfter);
}
