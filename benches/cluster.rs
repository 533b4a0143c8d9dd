//! Two hosts on PostgreSQL, and one on each ledger: what a take-over takes, and what the database costs. Real daemons, in release, real
//! servers. Prints, and judges nothing but what the judge of the tests does:
//! `cargo bench --bench cluster [-- kills|boots|release|instant|durable] [TIMES]`. The figures are this host's.

#[cfg(target_os = "linux")]
#[path = "../tests/cluster/postgres.rs"]
#[expect(dead_code, reason = "the tests of two hosts need more of it")]
mod postgres;

#[cfg(target_os = "linux")]
#[path = "../tests/cluster/proxy.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod proxy;

#[cfg(target_os = "linux")]
#[path = "../tests/cluster/messages.rs"]
mod messages;

#[cfg(target_os = "linux")]
#[path = "../tests/cluster/requests.rs"]
mod requests;

#[cfg(target_os = "linux")]
#[path = "../tests/daemon/rig.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod rig;

#[cfg(target_os = "linux")]
#[path = "../tests/cluster/cluster.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod cluster;

#[cfg(target_os = "linux")]
#[path = "../tests/cluster/judge.rs"]
mod judge;

#[cfg(target_os = "linux")]
#[path = "../tests/cluster/again.rs"]
mod again;

#[cfg(target_os = "linux")]
fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this.
    if std::env::args().any(|argument| argument == "--bench") {
        bench::all();
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod bench {
    use std::time::{Duration, Instant};

    use jiff::Timestamp;
    use rustix::process::Signal;

    use super::again::{both_at_once, cut_connections, killed_again_and_again, spread};
    use super::cluster::{Cluster, LEASE};
    use super::rig::{Rig, looping, once, soon, wait_at_most, wait_for, wait_until};

    /// Starts at one instant.
    const INSTANT: usize = 100;
    /// Starts at one instant with a limit that never holds: what durable claims and records take.
    const DURABLE: usize = 2_000;

    pub(crate) fn all() {
        let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let times = arguments.iter().find_map(|argument| argument.parse().ok());
        let wanted = |name: &str| {
            arguments.iter().all(|argument| argument.parse::<usize>().is_ok()) || arguments.iter().any(|argument| argument == name)
        };
        println!("{} processors, a lease of {} s", std::thread::available_parallelism().map_or(0, usize::from), LEASE.as_secs());
        println!("{:<44} {:>6} {:>10} {:>10}", "", "times", "median", "most");
        if wanted("release") {
            release(times.unwrap_or(20));
        }
        if wanted("boots") {
            boots(times.unwrap_or(200));
        }
        if wanted("kills") {
            kills(times.unwrap_or(100));
        }
        if wanted("instant") {
            instant();
        }
        if wanted("durable") {
            durable();
        }
    }

    fn row(what: &str, figures: &[Duration]) {
        let (median, most) = spread(figures);
        println!("{what:<44} {:>6} {:>7} ms {:>7} ms", figures.len(), median.as_millis(), most.as_millis());
    }

    fn kills(times: usize) {
        let Some(cluster) = Cluster::new(cut_connections()) else { return };
        row("kill -9 to the next start", &killed_again_and_again(&cluster, times));
    }

    fn boots(times: usize) {
        let mut figures = Vec::new();
        for _ in 0..times {
            let Some(cluster) = Cluster::new(Vec::new()) else { return };
            cluster.jobs(&looping("show", soon(600), "2s"));
            figures.push(both_at_once(&cluster));
        }
        row("both started at once, until one owns", &figures);
    }

    /// SIGTERM until the other owns, again and again, with a stream on air.
    fn release(times: usize) {
        let Some(cluster) = Cluster::new(Vec::new()) else { return };
        let start = soon(16);
        cluster.jobs(&looping("stays", start, "12h"));
        cluster.started();
        cluster.wait_on_air("stays");
        let mut figures = Vec::new();
        for _ in 0..times {
            let owner = usize::from(cluster.nodes[1].owns());
            let (owner, other) = (&cluster.nodes[owner], &cluster.nodes[1 - owner]);
            owner.signal(Signal::TERM);
            let begin = Instant::now();
            wait_until("the other owns", || other.owns().then_some(()));
            figures.push(begin.elapsed());
            owner.with(super::rig::Process::exit_code);
            owner.start();
            wait_until("it waits", || owner.status());
        }
        row("SIGTERM until the other owns", &figures);
        assert_eq!(cluster.sandbox().tasks().iter().filter(|task| task.runs()).count(), 1, "no stream leaves the air");
    }

    /// One daemon and its ledger: a file, or a database of a server on this host.
    fn on_each_ledger(rate: u32, starts: usize) -> Option<[Duration; 2]> {
        let jobs = |start: Timestamp| {
            let job = |number: usize| {
                let at = once(start);
                format!(
                    "  j{number:04}: {{ once: {at}, for: 10m, room: {number}, stream: https://cdn.example.com/a.mp4, length: 1m }}\n"
                )
            };
            (1..=starts).map(job).collect::<String>()
        };
        let last = |rig: &Rig, start: Timestamp| {
            let on_air = || rig.sandbox.tasks();
            let tasks =
                wait_at_most(Duration::from_mins(5), "all are on air", || Some(on_air()).filter(|tasks| tasks.len() >= starts));
            tasks.iter().map(|task| task.started_at.duration_since(start).unsigned_abs()).max().unwrap_or_default()
        };
        let rated = |rig: &Rig| rig.more_settings(&format!("rate: {rate}"));
        let rig = Rig::with(Vec::new(), |sandbox| sandbox.rate = rate);
        rated(&rig);
        let start = soon(12);
        rig.jobs(&jobs(start));
        let daemon = rig.started();
        let file = last(&rig, start);
        daemon.kill();
        let cluster = Cluster::with(Vec::new(), |sandbox| sandbox.rate = rate)?;
        let node = &cluster.nodes[0];
        rated(&node.rig);
        let start = soon(25);
        node.rig.jobs(&jobs(start));
        node.start();
        wait_until("it owns", || node.owns().then_some(()));
        wait_for(start);
        Some([file, last(&node.rig, start)])
    }

    fn instant() {
        let Some([file, database]) = on_each_ledger(20, INSTANT) else { return };
        println!(
            "\n{INSTANT} starts at one instant, the last is on air after: {} ms with SQLite, {} ms with PostgreSQL ({:.3}x)",
            file.as_millis(),
            database.as_millis(),
            database.as_secs_f64() / file.as_secs_f64()
        );
    }

    fn durable() {
        let Some(took) = on_each_ledger(1_000, DURABLE) else { return };
        let [file, database] = took.map(|took| f64::from(u32::try_from(DURABLE).unwrap_or_default()) / took.as_secs_f64());
        println!(
            "{DURABLE} starts at one instant with a limit of 1,000 a second: {file:.0} a second with SQLite, {database:.0} with PostgreSQL"
        );
    }
}
