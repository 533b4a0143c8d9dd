//! The database fails over: to a standby that has everything, or that lacks the newest rows; the synchronous one is gone; the former
//! primary still answers reads.

use std::time::Duration;

use super::cluster::Cluster;
use super::deaths::late;
use super::postgres::{Server, Stop};
use super::rig::{looping, soon, wait_for, wait_until};

/// A cluster on a primary and its standby.
fn on_two() -> Option<Cluster> {
    let primary = Server::start()?;
    let standby = Server::standby_of(&primary);
    Some(Cluster::on(vec![primary, standby], Vec::new()))
}

#[test]
fn a_promoted_standby_that_lacks_the_newest_rows_costs_no_second_stream() {
    let Some(cluster) = on_two() else { return };
    let (one, two) = (soon(18), soon(50));
    cluster.jobs(&(looping("one", one, "1m") + &looping("two", two, "20s")));
    cluster.started();
    let (primary, standby) = (cluster.server(0), cluster.server(1));
    primary.wait_replayed_by(standby);
    // Before the first is claimed: nothing of it is there.
    wait_for(one - Duration::from_secs(11));
    standby.detach();
    cluster.wait_on_air("one");
    primary.stop(Stop::Immediate);
    standby.promote();
    let row = cluster.wait_on_air("one");
    assert!(row.is_doubt(), "its window is open and it had no row: {row:?}");
    let row = cluster.wait_on_air("two");
    assert!(late(&row) < Duration::from_millis(1_500), "{row:?}");
    cluster.judge(&[("one", one), ("two", two)]);
    let effective = cluster.nodes[0].rig.arrived("one").iter().filter(|arrival| arrival.effect).count();
    assert_eq!(effective, 1, "there was a stream already");
}

#[test]
fn a_synchronous_standby_that_is_gone_stops_claims_and_costs_no_second_stream() {
    let Some(cluster) = on_two() else { return };
    let start = soon(30);
    cluster.server(0).wait_for_standbys();
    cluster.jobs(&looping("show", start, "1m"));
    cluster.started();
    // Before it is claimed: no commit is one now, although its rows can be read.
    wait_for(start - Duration::from_secs(11));
    cluster.server(1).pause();
    wait_for(start + Duration::from_secs(2));
    assert_eq!(cluster.arrived("show"), 0, "its claim is not durable");
    cluster.server(1).resume();
    let row = cluster.wait_on_air("show");
    assert_eq!(cluster.nodes[0].rig.arrived("show").iter().filter(|arrival| arrival.effect).count(), 1, "{row:?}");
    cluster.judge(&[("show", start)]);
}

#[test]
fn a_demoted_primary_that_still_answers_reads_is_left() {
    let Some(cluster) = on_two() else { return };
    let (one, two) = (soon(18), soon(45));
    cluster.jobs(&(looping("one", one, "15s") + &looping("two", two, "15s")));
    cluster.started();
    let (primary, standby) = (cluster.server(0), cluster.server(1));
    cluster.wait_on_air("one");
    primary.wait_replayed_by(standby);
    primary.demote();
    standby.promote();
    wait_until("one owns", || cluster.nodes.iter().any(super::cluster::Node::owns).then_some(()));
    let row = cluster.wait_on_air("two");
    assert!(late(&row) < Duration::from_millis(1_500), "{row:?}");
    cluster.judge(&[("one", one), ("two", two)]);
    assert_eq!(cluster.sandbox().tasks().len(), 2);
}
