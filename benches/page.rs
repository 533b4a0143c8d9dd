//! What the rundown page costs: a browser on 10,000 occurrences in 200 rooms, and starts while 500 viewers have the stream of events. Prints,
//! and judges nothing: `cargo bench --bench page`. The browser's part needs what `tests/page` needs.

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
    use std::fmt::Write as _;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::path::Path;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::rig::{Rig, once, soon, wait_for};

    /// Who has the stream of events.
    const VIEWERS: usize = 500;
    /// Starts at successive seconds.
    const STARTS: u32 = 15;

    pub(crate) fn all() {
        many();
        starts("nobody looks", 0);
        starts("viewers have the stream", VIEWERS);
    }

    /// 200 rooms with 50 occurrences in a day each.
    fn many() {
        let rig = Rig::new(Vec::new());
        rig.listen("127.0.0.1:0");
        let mut jobs = String::new();
        for room in 0..200 {
            let media = "stream: https://cdn.example.com/a.mp4, length: 20m, for: 20m";
            let _ = writeln!(jobs, "  r{room:03}: {{ every: 1728s, room: room-{room:03}, {media} }}");
        }
        rig.jobs(&jobs);
        let daemon = rig.started();
        let page = daemon.page();
        // Of tomorrow everything is to come: as much as there can be.
        let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().tomorrow().expect("there is one");
        for path in [format!("/?zoom=day&at={day}"), format!("/page/parts?zoom=day&at={day}")] {
            let begun = Instant::now();
            let size = whole(page, &path).len();
            println!("10,000 occurrences in 200 rooms, {path}: {size} bytes after {} ms", begun.elapsed().as_millis());
            let begun = Instant::now();
            whole(page, &path);
            println!("the same a moment later: after {} ms", begun.elapsed().as_millis());
        }
        let target = Path::new(env!("CARGO_BIN_EXE_ingestd")).ancestors().nth(2).expect("target");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/measure.mjs");
        let modules = target.join("page/node_modules");
        let mut measuring = Command::new("node");
        measuring.arg(script).arg(format!("http://{page}")).arg(day.to_string()).arg("/usr/bin/chromium").arg(modules);
        let measured = measuring.output();
        match measured {
            Ok(output) => println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
            Err(error) => println!("left out: the browser: {error}"),
        }
    }

    fn ask(page: SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(page).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is sent");
        stream
    }

    fn whole(page: SocketAddr, path: &str) -> Vec<u8> {
        let mut answer = Vec::new();
        ask(page, path).read_to_end(&mut answer).expect("an answer");
        answer
    }

    /// How late starts leave while so many have the stream. Each viewer reads, and asks again when its stream ends.
    fn starts(what: &str, viewers: usize) {
        let rig = Rig::new(Vec::new());
        rig.listen("127.0.0.1:0");
        let first = soon(14);
        let mut jobs = String::new();
        for number in 0..STARTS {
            let at = once(first + Duration::from_secs(number.into()));
            let media = "stream: https://cdn.example.com/a.mp4, length: 1m";
            let _ = writeln!(jobs, "  j{number:02}: {{ once: {at}, for: 5s, room: {}, {media} }}", number + 1);
        }
        rig.jobs(&jobs);
        let daemon = rig.started();
        let page = daemon.page();
        let end = first + Duration::from_secs(u64::from(STARTS) + 2);
        let follow = move || {
            let mut events = 0;
            while jiff::Timestamp::now() < end {
                let mut stream = ask(page, "/page/events?zoom=3m");
                stream.set_read_timeout(Some(Duration::from_secs(8))).expect("a socket takes it");
                let mut bytes = [0; 8_192];
                while jiff::Timestamp::now() < end
                    && let Ok(read @ 1..) = stream.read(&mut bytes)
                {
                    events += usize::from(read > 0);
                }
            }
            events
        };
        let small = || std::thread::Builder::new().stack_size(256 * 1024).spawn(follow).expect("a thread");
        let following: Vec<_> = (0..viewers).map(|_| small()).collect();
        wait_for(end);
        let heard: usize = following.into_iter().map(|viewer| viewer.join().expect("it ends")).sum();
        let late = |row: &ingestd::occurrence::Occurrence| Some(row.first_sent_at?.duration_since(row.key.start).as_millis());
        let mut late: Vec<i128> = rig.rows().iter().filter_map(late).collect();
        late.sort_unstable();
        let max = late.last().copied().unwrap_or(-1);
        let half = late.get(late.len() / 2).copied().unwrap_or(-1);
        println!("{what} ({viewers}): {} starts, p50 {half} ms late, at most {max} ms; {heard} reads of events", late.len());
    }
}
