//! The database is down, over a start and over an end. What is armed leaves until the owner's deadline, stops are sent all the same, and
//! what happened is written when it can be.

use std::time::Duration;

use jiff::Timestamp;

use super::cluster::{Cluster, LEASE, Node, Row};
use super::deaths::late;
use super::postgres::{Server, Stop};
use super::rig::{looping, soon, wait_at_most, wait_for};

/// Shows that begin and end a second after the database went, within what the owner has left of a lease of 5 s, and one that begins after it is
/// back. The outage is of whole seconds, as starts are.
fn down_for(outage: Duration) -> Option<(Cluster, Vec<Row>)> {
    let cluster = Cluster::on(vec![Server::start()?], Vec::new());
    let down = soon(26);
    let up = down + outage;
    let (ends, begins, then) = (down - Duration::from_secs(9), down + Duration::from_secs(1), up + Duration::from_secs(25));
    let window = format!("{}s", outage.as_secs() + 20);
    cluster.jobs(&(looping("ends", ends, "10s") + &looping("begins", begins, &window) + &looping("then", then, "5s")));
    cluster.started();
    cluster.wait_on_air("ends");
    wait_for(down);
    cluster.server(0).stop(Stop::Immediate);
    wait_for(begins + Duration::from_secs(2));
    let stops = cluster.sandbox().arrivals();
    let stop = stops.iter().find(|one| one.action == "StopStreamIngest" && one.robot.as_deref() == Some("ends"));
    let stop = stop.unwrap_or_else(|| panic!("no stop at its end: {stops:#?}"));
    assert!(stop.at.duration_since(begins).unsigned_abs() < Duration::from_millis(1_500), "{stop:?}");
    wait_at_most(outage + Duration::from_secs(45), "the database may come back", || (Timestamp::now() >= up).then_some(()));
    cluster.server(0).run();
    let planned: [(&str, Timestamp); 3] = [("ends", ends), ("begins", begins), ("then", then)];
    let rows = cluster.judge(&planned);
    for node in &cluster.nodes {
        assert!(!node.rig.path("state/ledger.db").exists() && !has_sqlite(node), "no SQLite file is made");
    }
    let row = |job: &str| rows.iter().find(|row| row.job == job).expect("judged");
    let arrivals = cluster.sandbox().arrivals();
    let begun = arrivals.iter().find(|one| one.action == "StartStreamIngest" && one.robot.as_deref() == Some("begins"));
    let begun = begun.unwrap_or_else(|| panic!("it was armed: {arrivals:#?}"));
    assert!(begun.at.duration_since(begins).unsigned_abs() < Duration::from_millis(1_500), "it was armed: {begun:?}");
    assert!(late(row("then")) < Duration::from_millis(1_500), "{:?}", row("then"));
    Some((cluster, rows))
}

/// The same owner wrote when it left.
fn is_recorded(rows: &[Row]) {
    let begins = rows.iter().find(|row| row.job == "begins").expect("judged");
    assert!(late(begins) < Duration::from_millis(1_500), "{begins:?}");
}

fn has_sqlite(node: &Node) -> bool {
    node.rig.path("state").join(ingestd::ledger::FILE).exists()
}

#[test]
fn a_database_that_is_down_for_five_seconds_costs_nothing() {
    let Some((cluster, rows)) = down_for(Duration::from_secs(5)) else { return };
    is_recorded(&rows);
    assert_eq!(cluster.arrived("then"), 1);
}

#[test]
fn a_database_that_is_down_for_two_fifths_of_a_lease_costs_nothing() {
    // The lease is renewed each third: what is left of it when the database goes may be two thirds.
    let Some((_cluster, rows)) = down_for(LEASE * 2 / 5) else { return };
    is_recorded(&rows);
}

#[test]
fn a_database_that_is_down_for_most_of_a_lease_costs_nothing_on_the_air() {
    // The lease may be over when it is back: whoever comes first owns then, and the other host has a doubt of a start that it did not see.
    down_for(LEASE * 4 / 5);
}

#[test]
fn a_database_that_is_down_for_a_minute_more_than_a_lease_costs_what_was_not_armed() {
    let Some((cluster, rows)) = down_for(LEASE + Duration::from_mins(1)) else { return };
    is_recorded(&rows);
    let begins = rows.iter().find(|row| row.job == "begins").expect("judged");
    assert_eq!(begins.outcome.as_deref(), Some("ended"), "{begins:?}");
    let effective = cluster.nodes[0].rig.arrived("begins").iter().filter(|arrival| arrival.effect).count();
    assert_eq!(effective, 1);
}
