//! What the chores of a large ledger cost, and what they do to the air: prune, backup and integrity of 5 million occurrences while 20
//! starts a second play. The limit is 40 a second here: at the limit itself a start may wait for its turn without any chore. The real
//! program, in release, against a sandbox on this host. Prints, and judges nothing:
//! `cargo bench --bench chores [-- OCCURRENCES]`. It wants some 15 GB in `$TMPDIR` and some 15 minutes.

#[cfg(target_os = "linux")]
#[path = "../tests/ledger/filling.rs"]
mod filling;
#[cfg(target_os = "linux")]
#[path = "../tests/daemon/rig.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod rig;
#[cfg(target_os = "linux")]
#[path = "../tests/ledger/rows.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod rows;

#[cfg(target_os = "linux")]
#[path = "shared/years.rs"]
mod years;

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
    use std::fs;
    use std::time::{Duration, Instant};

    use ingestd::ledger::FILE;
    use jiff::Timestamp;

    use super::rig::{Process, Rig};
    use super::years::fill;

    const OCCURRENCES: u64 = 5_000_000;

    /// How many the prune leaves.
    const LEFT: u64 = 1_000_000;

    /// Nothing is measured for so long after a boot: what was missed before it is made up for.
    const BOOT: Duration = Duration::from_secs(15);

    /// How long the air is measured without a chore.
    const BASE: Duration = Duration::from_mins(1);

    /// Longer than all three chores take.
    const PATIENCE: Duration = Duration::from_mins(40);

    /// Requests a second, for each action: twice as many as are sent.
    const RATE: u32 = 40;

    const CHORES: [&str; 3] = ["backup", "prune", "integrity"];

    pub(crate) fn all() {
        let occurrences = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(OCCURRENCES);
        println!("{} processors; load before: {}", std::thread::available_parallelism().map_or(0, usize::from), load());
        let rig = Rig::with(Vec::new(), |config| config.rate = RATE);
        rig.more_settings(&format!("rate: {RATE}"));
        let begun = Instant::now();
        fill(&rig.path("state"), occurrences);
        let bytes = fs::metadata(rig.path("state").join(FILE)).map_or(0, |found| found.len());
        println!("a ledger of {occurrences} occurrences, {} MB, made in {:.0?}", bytes / 1_000_000, begun.elapsed());
        rig.jobs(&jobs());
        let daemon = rig.started();
        std::thread::sleep(BOOT);
        let from = Timestamp::now();
        std::thread::sleep(BASE);
        print_starts("without a chore", &rig, from, Timestamp::now());
        daemon.stop();
        let most = LEFT.min(occurrences / 5);
        rig.more_settings(&format!(
            "chores:\n  backup: {{to: copies, keep: 1, cron: '* * * * *'}}\n  prune: {{most: {most}, cron: '* * * * *'}}\n  integrity: {{cron: '* \
             * * * *'}}"
        ));
        let daemon = rig.started();
        for chore in CHORES {
            let from = wait_for(&daemon, &format!("the chore `{chore}` begins"));
            let until = wait_for(&daemon, &format!("the chore `{chore}` is done"));
            println!("{chore}: {:.1} s", until.duration_since(from).as_secs_f64());
            print_starts("  while it ran", &rig, from, until);
        }
        println!("{}", daemon.log().lines().filter(|line| line.contains("is done: ")).take(3).collect::<Vec<_>>().join("\n"));
        println!("over the limit: {}; load after: {}", rig.sandbox.rejections(), load());
        daemon.stop();
    }

    fn load() -> String {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    }

    /// 20 starts each second; each is on air for three.
    fn jobs() -> String {
        let job = |number: u32| {
            format!(
                "  j{number:03}: {{ cron: '{}-59/5 * * * * *', for: 3s, room: {}, stream: https://cdn.example.com/a.mp4, length: 1m, preflight: false }}\n",
                number % 5,
                number + 1
            )
        };
        (0..100).map(job).collect()
    }

    /// Waits for a line of the log. Returns when it was there.
    fn wait_for(daemon: &Process, line: &str) -> Timestamp {
        let begun = Instant::now();
        while !daemon.log().contains(line) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for: {line}");
            // Each look reads the whole log: seldom, so that it does not measure itself.
            std::thread::sleep(Duration::from_secs(1));
        }
        Timestamp::now()
    }

    /// How late starts were in a span, by the sandbox.
    fn print_starts(what: &str, rig: &Rig, from: Timestamp, until: Timestamp) {
        let arrivals = rig.sandbox.arrivals().into_iter();
        let starts = arrivals.filter(|arrival| arrival.action == "StartStreamIngest" && arrival.at >= from && arrival.at < until);
        // Each is planned for a whole second, and has its turn within it.
        let mut late: Vec<i32> = starts.map(|arrival| arrival.at.subsec_nanosecond() / 1_000).collect();
        late.sort_unstable();
        let at = |percent: usize| {
            let index = (late.len() * percent).div_ceil(100).max(1) - 1;
            late.get(index).map_or_else(|| "none".to_owned(), |us| format!("{}.{:03} ms", us / 1_000, us % 1_000))
        };
        println!("{what}: from the instant to arriving: p50 {}, p99 {}, max {} ({} starts)", at(50), at(99), at(100), late.len());
    }
}
