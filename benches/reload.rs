//! Whether a reload makes starts late: the real program, in release, over real HTTP against a sandbox on this host, fifteen starts a
//! second, and beside them 100,000 jobs that are read again meanwhile. Prints, and judges nothing: `cargo bench --bench reload`.

#[cfg(target_os = "linux")]
#[path = "../tests/daemon/rig.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod rig;

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
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    use jiff::{SignedDuration, Timestamp};

    use super::rig::{Rig, once, soon};

    /// Starts at each second: fewer than the rate lets leave.
    const STARTS: i64 = 15;
    /// For so many seconds.
    const SECONDS: i64 = 24;
    /// Jobs that start in half a day or later, in files of this many.
    const IN_A_FILE: usize = 10_000;
    const FILES: usize = 10;
    /// When the files are read again, in seconds after the first start.
    const RELOADS: [i64; 3] = [3, 10, 17];

    pub(crate) fn all() {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        println!("{processors} processors; load before: {}", load.trim());
        measure("no reload", &[]);
        measure("one job of 100,000 edited and all read again, three times", &RELOADS);
    }

    fn far(file: usize, window: &str, hour: &str) -> String {
        let mut text = "timezone: UTC\njobs:\n".to_owned();
        for number in 0..IN_A_FILE {
            let window = if number == 0 { window } else { "1m" };
            let (minute, second) = (number / 60 % 60, number % 60);
            writeln!(
                text,
                "  far-{file}-{number}: {{ at: \"{hour}:{minute:02}:{second:02}\", for: {window}, room: far-{file}-{number}, stream: \
                 https://cdn.example.com/a.mp4, length: 1m }}"
            )
            .expect("a string takes everything");
        }
        text
    }

    fn measure(what: &str, reloads: &[i64]) {
        let rig = Rig::new(Vec::new());
        let hour = (Timestamp::now() + SignedDuration::from_hours(12)).strftime("%H").to_string();
        for file in 0..FILES {
            rig.write(&format!("schedules/far-{file}.yaml"), &far(file, "1m", &hour));
        }
        let first = soon(35);
        let mut instants: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut jobs = String::new();
        let mut add = |name: &str, fields: &str| {
            writeln!(jobs, "  {name}: {{ {fields}, room: {name}, stream: https://cdn.example.com/a.mp4, length: 1m }}")
                .expect("a string takes everything");
        };
        // Every second each of them follows itself, so that the starts fall between whole seconds too: whenever a schedule is taken
        // up, one is near.
        for number in 0..STARTS {
            let mut before = format!("b-{number}");
            let (at, apart) = (once(first - SignedDuration::from_secs(10)), number * 1_000 / STARTS);
            add(&before, &format!("once: {at}, for: {}ms", 10_000 + apart));
            for second in 0..SECONDS {
                let name = format!("s{second:02}-{number:02}");
                add(&name, &format!("after: {before}, for: 1s"));
                instants.insert(name.clone(), first + SignedDuration::from_millis(second * 1_000 + apart));
                before = name;
            }
        }
        rig.jobs(&jobs);
        let mut daemon = rig.started();
        assert!(Timestamp::now() < first - SignedDuration::from_secs(16), "this host is too slow for these figures");
        println!("{what}:");
        for (index, second) in reloads.iter().enumerate() {
            sleep_until(first + SignedDuration::from_secs(*second));
            rig.write("schedules/far-0.yaml", &far(0, &format!("{}m", index + 2), &hour));
            let begin = Instant::now();
            let (code, out, err) = rig.verb(&["reload"]);
            assert_eq!(code, Some(0), "{out}{err}");
            let took = begin.elapsed().as_millis();
            println!("  a reload, {second} s after the first start, took {took} ms: {}", out.lines().next().unwrap_or_default());
        }
        sleep_until(first + SignedDuration::from_secs(SECONDS + 10));
        assert!(daemon.runs(), "the daemon is gone: these are no figures");
        let rows: BTreeMap<_, _> = rig.rows().into_iter().map(|row| (row.key.job.to_string(), row)).collect();
        let arrivals = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest");
        let arrived: BTreeMap<String, Timestamp> = arrivals.filter_map(|arrival| Some((arrival.robot?, arrival.at))).collect();
        let mut left: Vec<(i128, String)> = Vec::new();
        let mut came: Vec<(i128, String)> = Vec::new();
        for (name, at) in &instants {
            let sent = rows.get(name).and_then(|row| row.first_sent_at).unwrap_or_else(|| panic!("{name} was not started"));
            let arrival = arrived.get(name).unwrap_or_else(|| panic!("{name} did not arrive"));
            left.push((sent.duration_since(*at).as_micros(), name.clone()));
            came.push((arrival.duration_since(*at).as_micros(), name.clone()));
        }
        println!("  {} starts, {} over the limit", instants.len(), rig.sandbox.rejections());
        print_row("from the instant to leaving, by the ledger (whole ms)", left);
        print_row("from the instant to arriving, by the sandbox", came);
        daemon.stop();
    }

    /// Sleeps through: looking now and then would be measured too.
    fn sleep_until(at: Timestamp) {
        std::thread::sleep(Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
    }

    fn print_row(what: &str, mut late: Vec<(i128, String)>) {
        late.sort_unstable();
        let at = |percent: usize| ms(late[(late.len() * percent).div_ceil(100).max(1) - 1].0);
        println!("  {what}: p50 {}, p99 {}, max {} ({})", at(50), at(99), at(100), late[late.len() - 1].1);
    }

    fn ms(microseconds: i128) -> String {
        format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
    }
}
