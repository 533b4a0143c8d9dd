//! How long it takes to look back in a ledger of 5 million shows: a page of 100 rows by time, job, room and outcome, what the page and the
//! status ask for, and what a new daemon takes over. Each with the file in memory and with the file on the disk alone, and the verb as a
//! whole. Prints, and judges nothing: `cargo bench --bench history [-- OCCURRENCES]`. It wants some 8 GB in `$TMPDIR`.

#[path = "../tests/ledger/filling.rs"]
mod filling;
#[path = "shared/measured.rs"]
#[expect(dead_code, reason = "other benches need more of it")]
mod measured;
#[path = "../tests/ledger/rows.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod rows;
#[path = "shared/years.rs"]
mod years;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ingestd::ledger::{FILE, HistoryQuery, Ledger, Reader, RoomQuery};
use jiff::{SignedDuration, Timestamp};

use measured::{Took, measured};

const OCCURRENCES: u64 = 5_000_000;

/// Of each question the median and the most of so many are printed.
const TIMES: usize = 9;

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this.
    if std::env::args().any(|argument| argument == "--bench") {
        let occurrences = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(OCCURRENCES);
        let folder = tempfile::tempdir().expect("a folder");
        all(folder.path(), occurrences);
    }
}

fn all(folder: &Path, occurrences: u64) {
    let state = folder.join("state");
    let begun = Instant::now();
    years::fill(&state, occurrences);
    let bytes = fs::metadata(state.join(FILE)).map_or(0, |found| found.len());
    println!("a ledger of {occurrences} shows, {} MB, made in {:.0?}", bytes / 1_000_000, begun.elapsed());
    println!("{:<38} {:>6} {:>15} {:>15}", "", "rows", "from memory", "from the disk");
    println!("{:<38} {:>6} {:>15} {:>15}", "", "", "median, most ms", "median, most ms");
    for (what, query) in questions() {
        line(&state, what, |reader| reader.history(&query).expect("readable").len());
    }
    let now = Timestamp::now();
    for (what, hours) in [("the page: a day, a week ago", 24 * 7), ("the page: a day, 4 years ago", 24 * 365 * 4)] {
        let from = now - SignedDuration::from_hours(hours);
        line(&state, what, |reader| {
            reader.rows_in(&(from..from + SignedDuration::from_hours(24)), 20_000).expect("readable").0.len()
        });
    }
    line(&state, "the status: on air, trouble of a day", |reader| {
        let trouble = reader.trouble(now - SignedDuration::from_hours(24), 100).expect("readable");
        reader.on_air().expect("readable").len() + trouble.len()
    });
    let times = of_both(&state, |state| {
        let begun = Instant::now();
        let recovered = Ledger::open(state).and_then(|ledger| ledger.recover(now)).expect("readable");
        (recovered.failed.len() + recovered.removed.len(), begun.elapsed())
    });
    print("what a new daemon takes over", times);
    let settings = format!(
        "account: {{secret_id: {{env: A}}, secret_key: {{env: B}}, region: ap-singapore}}\napps: {{main: {{sdk_app_id: 1400000001, secret_key: {{env: C}}}}}}\nstate: {}\nschedules: {}\n",
        state.display(),
        folder.join("none").display()
    );
    fs::write(folder.join("ingestd.yaml"), settings).expect("writable");
    for arguments in [&["--config", "ingestd.yaml", "history", "--room", "room-7"][..], &["--config", "ingestd.yaml", "status"]] {
        let times = of_both(&state, |_| {
            let Took { wall_s, code, .. } = measured(folder, arguments);
            (code.map_or(0, |code| usize::try_from(code).unwrap_or_default()), Duration::from_secs_f64(wall_s))
        });
        print(&format!("`ingestd {}` (its exit code)", arguments[2..].join(" ")), times);
    }
}

/// Pages of 100 rows.
fn questions() -> Vec<(&'static str, HistoryQuery)> {
    let all = || HistoryQuery { limit: 100, ..HistoryQuery::default() };
    let job = || HistoryQuery { job: Some("show-123".to_owned()), ..all() };
    let room = || HistoryQuery { room: Some(RoomQuery::parse("room-42").expect("a room")), ..all() };
    let of = |outcome: &str, query| HistoryQuery { outcome: Some(outcome.to_owned()), ..query };
    let years_ago = Timestamp::now() - SignedDuration::from_hours(24 * 365 * 3);
    let until = |query| HistoryQuery { until_ms: Some(years_ago.as_millisecond()), ..query };
    vec![
        ("the newest", all()),
        ("before a time 3 years ago", until(all())),
        ("of a job", job()),
        ("of a job, 3 years ago", until(job())),
        ("of a room", room()),
        ("of a room, 3 years ago", until(room())),
        ("that ended", of("ended", all())),
        ("that failed", of("failed", all())),
        ("that were missed (none was)", of("missed", all())),
        ("of a job, that failed", of("failed", job())),
        ("of a room, that were cut", of("cut", room())),
    ]
}

type Times = (usize, [Vec<Duration>; 2]);

fn line(state: &Path, what: &str, ask: impl Fn(&Reader) -> usize) {
    let times = of_both(state, |state| {
        let begun = Instant::now();
        let rows = ask(&Reader::open(state).expect("readable"));
        (rows, begun.elapsed())
    });
    print(what, times);
}

/// The answer of each question, and how long it took with the file in memory and without.
fn of_both(state: &Path, ask: impl Fn(&Path) -> (usize, Duration)) -> Times {
    let (answer, _) = ask(state);
    let warm = (0..TIMES).map(|_| ask(state).1).collect();
    let cold = (0..TIMES).map(|_| {
        forget(&state.join(FILE));
        ask(state).1
    });
    let cold = cold.collect();
    (answer, [warm, cold])
}

/// The kernel forgets what it has of the file.
fn forget(file: &Path) {
    let done = Command::new("dd").arg(format!("if={}", file.display())).args(["iflag=nocache", "count=0", "status=none"]).status();
    assert!(done.is_ok_and(|status| status.success()), "`dd` of coreutils is needed");
}

fn print(what: &str, (rows, times): Times) {
    let [warm, cold] = times.map(|mut times| {
        times.sort_unstable();
        let ms = |time: &Duration| time.as_secs_f64() * 1_000.0;
        format!("{:.1}, {:.1}", ms(&times[TIMES / 2]), ms(&times[TIMES - 1]))
    });
    println!("{what:<38} {rows:>6} {warm:>15} {cold:>15}");
}
