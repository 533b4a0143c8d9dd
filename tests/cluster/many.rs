//! Many starts at one instant, and many deaths: never more than the rate, one outcome for each.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

use super::cluster::{Cluster, LEASE, Node};
use super::rig::{looping, soon, wait_for, wait_until};

/// Starts at one instant.
const STARTS: usize = 300;

/// The owner goes after a third of them.
fn taken_over_amid(go: impl Fn(&Node)) {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
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

/// How long a round of a kill takes at most: the lease, the wait for what may arrive, and the start of a daemon.
const ROUND_S: usize = 14;

/// Kills the owner again and again at random moments, while a show begins each second. Returns, for each time, how long after its death
/// the next start left.
pub(crate) fn killed_again_and_again(cluster: &Cluster, times: usize) -> Vec<Duration> {
    let first = soon(16);
    let names: Vec<String> = (0..times * ROUND_S).map(|number| format!("k{number:04}")).collect();
    let starts = names.iter().zip(0_i64..).map(|(name, number)| (name.as_str(), first + SignedDuration::from_secs(number)));
    let planned: Vec<(&str, Timestamp)> = starts.collect();
    cluster.jobs(&planned.iter().map(|(name, start)| looping(name, *start, "25s")).collect::<String>());
    cluster.started();
    wait_for(first);
    let mut moments = Moments(Timestamp::now().as_microsecond().unsigned_abs());
    let mut waits = Vec::new();
    for _ in 0..times {
        let owner = wait_until("one owns and the other waits", || {
            let owner = cluster.nodes.iter().find(|node| node.owns())?;
            cluster.nodes.iter().all(|node| node.status().is_some()).then_some(owner)
        });
        wait_for(Timestamp::now() + Duration::from_millis(moments.next(2_000)));
        owner.kill9();
        let dead = Timestamp::now();
        let of_other = || cluster.nodes.iter().filter(|node| !std::ptr::eq(*node, owner)).flat_map(|node| node.endpoint.sent());
        let next = wait_until("the other starts", || of_other().find(|sent| sent.at > dead));
        waits.push(next.at.duration_since(dead).unsigned_abs());
        owner.start();
    }
    cluster.judge(&planned);
    waits
}

/// The median and the greatest.
pub(crate) fn spread(waits: &[Duration]) -> (Duration, Duration) {
    let mut sorted = waits.to_vec();
    sorted.sort();
    (sorted.get(sorted.len() / 2).copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default())
}

#[test]
fn killed_again_and_again_the_other_starts_within_the_lease_and_a_second() {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    let times = std::env::var("INGESTD_KILLS").ok().and_then(|times| times.parse().ok()).unwrap_or(10);
    let (median, most) = spread(&killed_again_and_again(&cluster, times));
    println!("{times} deaths: the next start after {median:?} in the middle, {most:?} at most");
    // A busy machine has a second more.
    assert!(most < LEASE + Duration::from_secs(2), "{most:?}");
}

/// Splitmix64, from the clock.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}
