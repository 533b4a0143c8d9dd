//! The owner lives and is not heard: stopped, cut off, slow. It has to be silent before the other follows.

use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;

use super::cluster::{Cluster, LEASE, role};
use super::deaths::{late, one_show};
use super::proxy::{Cut, Proxy, Way};
use super::rig::{looping, soon, wait_for, wait_until};

#[test]
fn stopped_across_a_start_it_sends_nothing_when_it_goes_on() {
    let Some((cluster, start)) = one_show(Vec::new(), "1m") else { return };
    let [first, second] = &cluster.nodes;
    wait_for(start - Duration::from_secs(2));
    first.signal(Signal::STOP);
    let stopped = Timestamp::now();
    cluster.wait_arrived("show", 1);
    assert!(second.owns());
    wait_for(stopped + LEASE + Duration::from_secs(20));
    first.signal(Signal::CONT);
    wait_until("it waits", || first.status().filter(|status| role(status) == "standby"));
    let row = cluster.wait_done("show");
    assert!(row.on_air_ms.is_some(), "{row:?}");
    cluster.judge(&[("show", start)]);
    assert_eq!(cluster.arrived("show"), 1);
}

/// The owner's way to the database is harmed a second before a show: that one leaves it still, and the next leaves the other, on time.
fn cut_off(harm: impl Fn(&Proxy), heal: impl Fn(&Proxy)) {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    let (one, two) = (soon(18), soon(18 + 10));
    cluster.jobs(&(looping("one", one, "40s") + &looping("two", two, "20s")));
    let (first, second) = cluster.started();
    wait_for(one - Duration::from_secs(1));
    harm(&first.databases[0]);
    cluster.wait_arrived("one", 1);
    let sent = |node: &super::cluster::Node, robot: &str| node.endpoint.sent().iter().any(|sent| sent.robot == robot);
    assert!(sent(first, "one") && !sent(second, "one"), "it is armed, and leaves without the database");
    wait_until("the other owns", || second.owns().then_some(()));
    let row = cluster.wait_row("two", "on air", |row| row.state == "on_air");
    assert!(sent(second, "two") && !sent(first, "two"));
    assert!(late(&row) < Duration::from_millis(1_500) && !row.is_doubt(), "{row:?}");
    heal(&first.databases[0]);
    wait_until("the first waits", || first.status().filter(|status| role(status) == "standby"));
    cluster.judge(&[("one", one), ("two", two)]);
}

#[test]
fn cut_off_from_the_database_only_it_sends_what_is_armed_until_its_deadline() {
    cut_off(Proxy::isolate, Proxy::let_go);
}

#[test]
fn without_answers_of_the_database_it_falls_silent() {
    cut_off(|proxy| proxy.hold(Way::ToClient), Proxy::let_go);
}

#[test]
fn with_answers_and_no_way_to_the_database_it_falls_silent() {
    cut_off(|proxy| proxy.hold(Way::ToServer), Proxy::let_go);
}

#[test]
fn with_connections_refused_it_falls_silent() {
    let refuse = |proxy: &Proxy| {
        proxy.refuse(true);
        proxy.cut(Cut::Fin);
    };
    cut_off(refuse, |proxy| proxy.refuse(false));
}

#[test]
fn ten_seconds_of_latency_are_no_connection() {
    let both = |proxy: &Proxy, delay: Duration| [Way::ToServer, Way::ToClient].iter().for_each(|way| proxy.delay(*way, delay));
    cut_off(|proxy| both(proxy, Duration::from_secs(5)), |proxy| both(proxy, Duration::ZERO));
}

#[test]
fn cut_off_from_the_endpoint_only_it_stays_the_owner_and_tries() {
    let Some((cluster, start)) = one_show(Vec::new(), "40s") else { return };
    let [first, second] = &cluster.nodes;
    wait_for(start - Duration::from_secs(1));
    first.endpoint.refuse(true);
    first.endpoint.cut(Cut::Rst);
    wait_for(start + LEASE + Duration::from_secs(3));
    assert!(first.owns() && !second.owns());
    first.endpoint.refuse(false);
    cluster.wait_on_air("show");
    cluster.judge(&[("show", start)]);
    assert!(second.endpoint.sent().is_empty());
}
