//! Many starts at one instant, and many deaths: never more than the rate, one outcome for each.

use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

use super::again::{cut_connections, killed_again_and_again, spread};
use super::cluster::{Cluster, LEASE, Node};
use super::rig::{looping, soon, wait_until};

/// Starts at one instant.
const STARTS: usize = 300;

/// The owner goes after a third of them.
fn taken_over_amid(go: impl Fn(&Node)) {
    let Some(cluster) = Cluster::alone(Vec::new()) else { return };
    let start = soon(22);
    let names: Vec<String> = (0..STARTS).map(|number| format!("j{number:03}")).collect();
    cluster.jobs(&names.iter().map(|name| looping(name, start, "90s")).collect::<String>());
    let (first, _) = cluster.started();
    let starts =
        || cluster.sandbox().arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest").collect::<Vec<_>>();
    wait_until("a third has started", || (starts().len() >= STARTS / 3).then_some(()));
    go(first);
    wait_until("all are on air", || {
        let rows = cluster.rows();
        (rows.len() == STARTS && rows.iter().all(|row| row.on_air_ms.is_some())).then_some(())
    });
    let starts = starts();
    let last = starts.iter().map(|arrival| arrival.at).max().expect("300");
    let planned: Vec<(&str, Timestamp)> = names.iter().map(|name| (name.as_str(), start)).collect();
    let rows = cluster.judge_now(&planned);
    let doubts = rows.iter().filter(|row| row.is_doubt()).count();
    let most = starts.iter().map(|one| {
        let second = one.at + SignedDuration::from_secs(1);
        starts.iter().filter(|other| other.at >= one.at && other.at < second).count()
    });
    println!(
        "{} starts, the last after {} ms, {doubts} in doubt, at most {} within a second",
        starts.len(),
        last.duration_since(start).as_millis(),
        most.max().unwrap_or_default()
    );
    let effective = starts.iter().filter(|arrival| arrival.effect).count();
    assert_eq!(effective, STARTS, "each has one stream");
}

#[test]
fn three_hundred_starts_across_a_death_are_never_more_than_the_rate() {
    taken_over_amid(Node::kill9);
}

#[test]
fn three_hundred_starts_across_a_release_are_never_more_than_the_rate() {
    taken_over_amid(|node| node.signal(Signal::TERM));
}

#[test]
fn killed_again_and_again_the_other_starts_when_the_lease_is_over() {
    let Some(cluster) = Cluster::alone(cut_connections()) else { return };
    let times = std::env::var("INGESTD_KILLS").ok().and_then(|times| times.parse().ok()).unwrap_or(10);
    let (median, most) = spread(&killed_again_and_again(&cluster, times));
    println!("{times} deaths: the next start after {median:?} in the middle, {most:?} at most");
    // How fast it is, the bench says: here nobody waits for more than the lease's end.
    assert!(most < LEASE * 2, "{most:?}");
}
