//! The owner dies, at each moment of a start. The other sends what was not sent; what may have been sent is a doubt, and is repeated when
//! nothing of the dead one can arrive any more.

use std::time::Duration;

use ingestd::sandbox::{FaultEffect, FaultRule};
use ingestd::trtc::Action;
use jiff::Timestamp;

use super::cluster::{Cluster, LEASE, MAY_ARRIVE, Row};
use super::proxy::Way;
use super::rig::{looping, soon, wait_for};

/// How long after its instant the first request of a row left.
pub(crate) fn late(row: &Row) -> Duration {
    Duration::from_millis(u64::try_from(row.first_sent_ms.expect("it was sent") - row.start_ms).expect("not before its instant"))
}

/// One show, and a cluster that runs before it is claimed.
pub(crate) fn one_show(faults: Vec<FaultRule>, window: &str) -> Option<(Cluster, Timestamp)> {
    let cluster = Cluster::new(faults)?;
    let start = soon(18);
    cluster.jobs(&looping("show", start, window));
    cluster.started();
    Some((cluster, start))
}

#[test]
fn killed_between_claim_and_send_the_other_sends_it_on_time() {
    let Some((cluster, start)) = one_show(Vec::new(), "10s") else { return };
    cluster.wait_row("show", "armed", |row| row.state == "armed");
    cluster.nodes[0].kill9();
    let row = cluster.wait_on_air("show");
    assert!(late(&row) < Duration::from_millis(1_500) && !row.is_doubt(), "{row:?}");
    assert!(cluster.nodes[1].owns());
    cluster.judge(&[("show", start)]);
    assert_eq!(cluster.arrived("show"), 1);
}

#[test]
fn killed_just_before_the_instant_it_may_have_been_sent_and_is_repeated_when_nothing_can_arrive() {
    let Some((cluster, start)) = one_show(Vec::new(), "30s") else { return };
    wait_for(start - Duration::from_millis(500));
    cluster.nodes[0].kill9();
    assert_eq!(cluster.arrived("show"), 0);
    let row = cluster.wait_on_air("show");
    assert!(row.is_doubt(), "{row:?}");
    let first = cluster.sandbox().arrivals().into_iter().find(|one| one.robot.as_deref() == Some("show")).expect("it is on air");
    let after = first.at.duration_since(start);
    // The lease was renewed within its last third, and not after the kill.
    let (soonest, latest) = (LEASE / 2 + MAY_ARRIVE, LEASE + MAY_ARRIVE + Duration::from_secs(2));
    assert!(after.unsigned_abs() > soonest && after.unsigned_abs() < latest, "{after:?} after its instant");
    cluster.judge(&[("show", start)]);
    assert_eq!(cluster.arrived("show"), 1);
}

#[test]
fn killed_between_send_and_answer_its_stream_is_found() {
    let slow = FaultRule::new(FaultEffect::Delay(Duration::from_secs(4))).action(Action::Start).times(1);
    let Some((cluster, start)) = one_show(vec![slow], "30s") else { return };
    cluster.wait_arrived("show", 1);
    cluster.nodes[0].kill9();
    found_again(&cluster, start);
}

#[test]
fn killed_between_answer_and_record_its_stream_is_found() {
    let Some((cluster, start)) = one_show(Vec::new(), "30s") else { return };
    wait_for(start - Duration::from_millis(300));
    cluster.nodes[0].databases[0].hold(Way::ToServer);
    cluster.wait_arrived("show", 1);
    // Its answer left with it; what the daemon wrote of it does not come through.
    wait_for(Timestamp::now() + Duration::from_millis(300));
    cluster.nodes[0].kill9();
    cluster.nodes[0].databases[0].cut(super::proxy::Cut::Rst);
    found_again(&cluster, start);
}

/// The other repeats the start, hears that it exists, and stops it at its end.
fn found_again(cluster: &Cluster, start: Timestamp) {
    cluster.wait_arrived("show", 2);
    let row = cluster.wait_done("show");
    assert!(row.is_doubt() && row.on_air_ms.is_some(), "{row:?}");
    cluster.judge(&[("show", start)]);
    let effective = cluster.nodes[0].rig.arrived("show").iter().filter(|arrival| arrival.effect).count();
    assert_eq!(effective, 1, "the second is told that there is one: {:?}", cluster.nodes[0].rig.arrived("show"));
}
