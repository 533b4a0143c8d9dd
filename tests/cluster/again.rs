//! What is done again and again, by the tests a few times, by the benchmark many: deaths under load, and both nodes started at once.

use std::time::Duration;

use ingestd::sandbox::{FaultEffect, FaultRule, Replacement};
use jiff::{SignedDuration, Timestamp};

use super::cluster::{Cluster, LEASE, Node, role};
use super::rig::{looping, soon, wait_for, wait_until};

/// Starts both at once on a new database. Returns how long it took until one owned and the other waited.
pub(crate) fn both_at_once(cluster: &Cluster) -> Duration {
    let begin = std::time::Instant::now();
    cluster.nodes.iter().for_each(Node::start);
    let roles = wait_until("one owns and the other waits", || {
        let statuses = [cluster.nodes[0].status()?, cluster.nodes[1].status()?];
        let roles = statuses.each_ref().map(|status| role(status).to_owned());
        roles.contains(&"owner".to_owned()).then_some(roles).filter(|roles| roles.contains(&"standby".to_owned()))
    });
    let took = begin.elapsed();
    assert_ne!(roles[0], roles[1]);
    took
}

/// How long a round of a kill takes at most: the lease, the wait for what may arrive, and the start of a daemon.
const ROUND_S: usize = 14;

/// Longer than a start is armed ahead.
const NEAR: Duration = Duration::from_secs(20);

/// Connections to the endpoint that are cut now and then, before a request takes effect and after it.
pub(crate) fn cut_connections() -> Vec<FaultRule> {
    let cut = |done, every| FaultRule::new(FaultEffect::Replace { with: Replacement::Cut, done }).every(every);
    vec![cut(false, 11), cut(true, 13)]
}

/// Whoever follows later than this after the end of the lease says why.
const LATE: Duration = Duration::from_secs(1);

/// Kills the owner again and again at random moments, while a show begins each second. Returns, for each time, how long after its death
/// the next start left.
pub(crate) fn killed_again_and_again(cluster: &Cluster, times: usize) -> Vec<Duration> {
    let first = soon(16);
    let names: Vec<String> = (0..times * ROUND_S).map(|number| format!("k{number:04}")).collect();
    let starts = names.iter().zip(0_i64..).map(|(name, number)| (name.as_str(), first + SignedDuration::from_secs(number)));
    let mut planned: Vec<(&str, Timestamp)> = starts.collect();
    let jobs = |planned: &[(&str, Timestamp)]| planned.iter().map(|(name, start)| looping(name, *start, "25s")).collect::<String>();
    cluster.jobs(&jobs(&planned));
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
        let wait = next.at.duration_since(dead).unsigned_abs();
        if wait > LEASE + LATE {
            let other = cluster.nodes.iter().find(|node| !std::ptr::eq(*node, owner));
            let log = other.map(Node::log).unwrap_or_default();
            let since: Vec<&str> = log.lines().filter(|line| *line >= dead.to_string().as_str()).take(40).collect();
            eprintln!("dead at {dead}, and the next start left after {} ms:\n{}", wait.as_millis(), since.join("\n"));
        }
        waits.push(wait);
        owner.start();
    }
    // A round took less than it may: what is not near is not waited for.
    let near = Timestamp::now() + NEAR;
    planned.retain(|(_, start)| *start < near);
    cluster.jobs(&jobs(&planned));
    let owner = wait_until("one owns", || cluster.nodes.iter().find(|node| node.owns()));
    let (code, stdout, stderr) = owner.rig.verb(&["reload", "--force"]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    cluster.judge(&planned);
    waits
}

/// The median and the greatest.
pub(crate) fn spread(waits: &[Duration]) -> (Duration, Duration) {
    let mut sorted = waits.to_vec();
    sorted.sort();
    (sorted.get(sorted.len() / 2).copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default())
}

/// Splitmix64, from the clock.
pub(crate) struct Moments(pub(crate) u64);

impl Moments {
    pub(crate) fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}
