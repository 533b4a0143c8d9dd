//! How punctual the daemon is: the real program, in release, over real HTTP against a sandbox on this host. Prints, and judges
//! nothing: `cargo bench --bench on_time [-- STARTS]`. The figures are this host's, and what else it did meanwhile is in them.
//! It ends with where the time goes from the instant to the arrival, beside a bare timer of the kernel in the same seconds.
//! `cargo bench --bench on_time -- alerts [STARTS]` compares starts with nobody to tell, and with 1,000 alerts for a receiver that hangs.

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
    use std::fs::File;
    use std::net::TcpListener;
    use std::process::Command;
    use std::time::Duration;

    use ingestd::occurrence::Occurrence;
    use ingestd::sandbox::{FaultEffect, FaultRule};
    use ingestd::trtc::Action;
    use jiff::Timestamp;
    use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

    use super::rig::{Rig, get, once, soon};

    /// Starts at successive seconds, unless an argument says otherwise.
    const STARTS: u32 = 200;
    /// Starts at one instant.
    const BURST: u32 = 100;
    /// Starts of which each step is looked at.
    const STEPPED: u32 = 60;
    /// Alerts, all of shows that are refused.
    const ALERTS: u32 = 1_000;

    pub(crate) fn all() {
        let starts = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(STARTS);
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        println!("{processors} processors; load before: {}", load());
        if std::env::args().any(|argument| argument == "alerts") {
            told(starts);
        } else {
            burst(BURST, "connections are warm", Vec::new());
            burst(3 * BURST, "connections are warm", Vec::new());
            burst(BURST, "each connection costs 150 ms", vec![FaultRule::new(FaultEffect::ColdDelay(Duration::from_millis(150)))]);
            successive(starts);
            steps();
        }
        println!("load after: {}", load());
    }

    /// What the host has to do: 1, 5 and 15 minutes.
    fn load() -> String {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
    }

    /// One start a second; each is on air for four, so that claims, starts, stops and describes fall on the same instants.
    fn successive(starts: u32) {
        let rig = Rig::new(Vec::new());
        let first = soon(8);
        let at = |number: u32| first + Duration::from_secs(number.into());
        let job = |number: u32| {
            let start = once(at(number));
            format!(
                "  j{number:03}: {{ once: {start}, for: 4s, room: {}, stream: https://cdn.example.com/a.mp4, length: 1m }}\n",
                number + 1
            )
        };
        rig.jobs(&(0..starts).map(job).collect::<String>());
        let daemon = rig.started();
        sleep_until(at(starts) + Duration::from_secs(6));
        let instants: BTreeMap<String, Timestamp> = (0..starts).map(|number| (format!("j{number:03}"), at(number))).collect();
        println!("{starts} starts, one a second ({} on air, {} over the limit):", on_air(&rig), rig.sandbox.rejections());
        let left = rig.rows().iter().filter_map(|row| Some(row.first_sent_at?.duration_since(row.key.start).as_micros())).collect();
        print_row("from the instant to leaving, by the ledger (whole ms)", left);
        let arrivals = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest");
        let arrived =
            arrivals.filter_map(|arrival| Some(arrival.at.duration_since(*instants.get(arrival.robot.as_ref()?)?).as_micros()));
        print_row("from the instant to arriving, by the sandbox", arrived.collect());
        daemon.stop();
    }

    /// What a start does from its instant on, in the words of the daemon's log. To write those takes some microseconds too.
    const STEPS: [&str; 4] = ["its instant has come", "it may leave", "signed", "handed to a connection"];

    /// Where the time goes. Nothing but a start happens at a whole second, and half a second later a bare timer is waited for.
    fn steps() {
        let rig = Rig::new(Vec::new());
        let first = soon(8);
        let at = |number: u32| first + Duration::from_secs(number.into());
        let job = |number: u32| line(&format!("j{number:03}"), at(number), "10m", number + 1);
        rig.jobs(&(0..STEPPED).map(job).collect::<String>());
        let log = rig.path("stderr-steps");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
        let written = File::create(&log).expect("writable");
        let daemon = rig.spawn(command.env_clear().env("INGESTD_LOG", "info,ingestd=trace"), written, log);
        let bare = (0..STEPPED).map(|number| wait_bare(at(number) + Duration::from_millis(500))).collect();
        sleep_until(at(STEPPED) + Duration::from_secs(2));
        let mut seen: BTreeMap<&str, Vec<i128>> = BTreeMap::new();
        let (mut number, mut next) = (0, 0);
        for line in daemon.log().lines() {
            if line.contains(STEPS[0]) {
                let job = line.split_once("job=").and_then(|(_, rest)| rest.trim_matches('"').strip_prefix('j'));
                (number, next) = (job.and_then(|job| job.parse().ok()).expect("it says whose"), 0);
            }
            let Some(step) = STEPS.get(next).filter(|step| line.contains(**step)) else { continue };
            let time: Timestamp = line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a line has its time");
            seen.entry(step).or_default().push(time.duration_since(at(number)).as_micros());
            next += 1;
        }
        println!("{STEPPED} starts, one a second, from the instant on ({} on air):", on_air(&rig));
        print_row("a bare timer is read", bare);
        for step in STEPS {
            print_row(step, seen.remove(step).expect("it was written"));
        }
        let arrivals = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest");
        let late = |at: Timestamp| at.duration_since(Timestamp::from_second(at.as_second()).expect("of our days")).as_micros();
        print_row("it arrived at the sandbox", arrivals.map(|arrival| late(arrival.at)).collect());
        daemon.stop();
    }

    /// Waits for an instant with a timer of the kernel and nothing else; answers by how many microseconds it came back late.
    fn wait_bare(at: Timestamp) -> i128 {
        let timer = rustix::time::timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC).expect("a timer");
        let it_value = Timespec { tv_sec: at.as_second(), tv_nsec: at.subsec_nanosecond().into() };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &once).expect("a time of our days");
        rustix::io::read(&timer, &mut [0_u8; 8]).expect("it fires");
        Timestamp::now().duration_since(at).as_micros()
    }

    /// The same starts twice, each second with others that are refused, 1,000 in all: first nobody is told, then each is an alert for a
    /// receiver that takes connections and never answers.
    fn told(starts: u32) {
        let hangs = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let place = hangs.local_addr().expect("it is bound");
        for (what, alerts) in [
            ("nobody is told", String::new()),
            ("1,000 alerts and a receiver that hangs", format!("alerts:\n  - webhook: 'http://{place}/'\n")),
        ] {
            let refused =
                |number| FaultRule::error("InvalidParameter.StreamUrl").action(Action::Start).robot(&format!("bad-{number}"));
            let rig = Rig::new((0..ALERTS).map(refused).collect());
            rig.listen("127.0.0.1:0");
            rig.more_settings(&alerts);
            let first = soon(8);
            let at = |number: u32| first + Duration::from_secs(number.into());
            let of_second = ALERTS.div_ceil(starts);
            let good = |number: u32| line(&format!("j{number:03}"), at(number), "4s", number + 1);
            let bad = |number: u32| line(&format!("bad-{number}"), at(number / of_second), "30m", 10_000 + number);
            rig.jobs(&(0..starts).map(good).chain((0..ALERTS).map(bad)).collect::<String>());
            let daemon = rig.started();
            sleep_until(at(starts) + Duration::from_secs(20));
            let (rows, metrics) = (rig.rows(), get(daemon.page(), "/metrics"));
            let count = |is_wanted: &dyn Fn(&Occurrence) -> bool| rows.iter().filter(|row| is_wanted(row)).count();
            let is_good = |row: &Occurrence| row.key.job.as_str().starts_with('j');
            let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap_or(" ?").trim().to_owned();
            println!(
                "{starts} starts, one a second, and {of_second} refused with each ({what}): {} on air, {} refused, {} alerts wait, {} \
                 receivers fail",
                count(&|row| is_good(row) && row.on_air_at.is_some()),
                count(&|row| !is_good(row) && row.fault.is_some()),
                value("ingestd_alerts_waiting "),
                value("ingestd_alert_receivers_failing ")
            );
            let left = rows.iter().filter(|row| is_good(row));
            let left = left.filter_map(|row| Some(row.first_sent_at?.duration_since(row.key.start).as_micros())).collect();
            print_row("from the instant to leaving, by the ledger (whole ms)", left);
            let arrivals = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest");
            let arrived = arrivals.filter_map(|arrival| {
                let number = arrival.robot.as_ref()?.strip_prefix('j')?.parse().ok()?;
                Some(arrival.at.duration_since(at(number)).as_micros())
            });
            print_row("from the instant to arriving, by the sandbox", arrived.collect());
            println!("  load meanwhile: {}", load());
            daemon.stop();
        }
        drop(hangs);
    }

    fn line(job: &str, start: Timestamp, window: &str, room: u32) -> String {
        let start = once(start);
        format!("  {job}: {{ once: {start}, for: {window}, room: {room}, stream: https://cdn.example.com/a.mp4, length: 1m }}\n")
    }

    fn burst(count: u32, what: &str, faults: Vec<FaultRule>) {
        let rig = Rig::new(faults);
        let start = soon(8);
        let job = |number: u32| {
            let at = once(start);
            format!(
                "  j{number:03}: {{ once: {at}, for: 1m, room: {number}, stream: https://cdn.example.com/a.mp4, length: 1m }}\n"
            )
        };
        rig.jobs(&(1..=count).map(job).collect::<String>());
        let daemon = rig.started();
        // 20 a second, and some seconds more.
        sleep_until(start + Duration::from_secs((count / 20 + 4).into()));
        let arrivals = rig.sandbox.arrivals().into_iter().filter(|arrival| arrival.action == "StartStreamIngest");
        let mut after: Vec<i128> = arrivals.map(|arrival| arrival.at.duration_since(start).as_micros()).collect();
        after.sort_unstable();
        let on_air_ms = rig.rows().iter().filter_map(|row| Some(row.on_air_at?.duration_since(start).as_millis())).max();
        println!("{count} starts at one instant, {what}: {} on air, {} over the limit", on_air(&rig), rig.sandbox.rejections());
        println!("  the last on air after {} ms", on_air_ms.unwrap_or_default());
        let twentieth = after.get(19).copied().unwrap_or_default();
        println!(
            "  arrived after: the first {}, the twentieth {}, the last {}",
            ms(after[0]),
            ms(twentieth),
            ms(after[after.len() - 1])
        );
        daemon.stop();
    }

    fn on_air(rig: &Rig) -> usize {
        rig.rows().iter().filter(|row| row.on_air_at.is_some()).count()
    }

    /// Sleeps through: looking now and then would be measured too.
    fn sleep_until(at: Timestamp) {
        std::thread::sleep(Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
    }

    fn print_row(what: &str, mut microseconds: Vec<i128>) {
        microseconds.sort_unstable();
        let at = |percent: usize| ms(microseconds[(microseconds.len() * percent).div_ceil(100).max(1) - 1]);
        println!("  {what}: p50 {}, p99 {}, max {} ({} starts)", at(50), at(99), at(100), microseconds.len());
    }

    fn ms(microseconds: i128) -> String {
        format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
    }
}
