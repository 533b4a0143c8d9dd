//! How long it takes to judge a large schedule for conflicts: 10,000 jobs, of which 2,000 share 500 rooms. Prints, and judges
//! nothing: `cargo bench --bench conflicts`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use ingestd::plan::conflicts::check_conflicts;
use ingestd::schedule::{Schedule, Settings, Source, read};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

fn main() {
    // `cargo test --all-targets` starts benchmarks too, without this.
    if std::env::args().any(|argument| argument == "--bench") {
        all();
    }
}

fn all() {
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a constant");
    time("rooms of four jobs, every hour and every day, and 8,000 jobs alone", &large(""), now);
    time(
        "the same, and in each of the rooms two that meet",
        &large("  {room}-late: {at: \"21:55\", for: 4m, room: {room}}\n"),
        now,
    );
    let odd = |minutes: &str| large(&format!("  {{room}}-odd: {{cron: \"{minutes} */3 * *\", for: 1m, room: {{room}}}}\n"));
    time("the same rooms, each with a job of odd dates", &odd("55 3"), now);
    // So many odd starts that every window of 400 days is looked at.
    time("the same rooms, each with a job of very many odd dates", &odd("55 */2"), now);
}

fn time(what: &str, text: &str, now: Timestamp) {
    let read_begins = Instant::now();
    let schedule = schedule(text, now);
    let read_s = read_begins.elapsed().as_secs_f64();
    let begin = Instant::now();
    let conflicts = check_conflicts(&schedule, now);
    let judged_s = begin.elapsed().as_secs_f64();
    let (jobs, clashes) = (schedule.len(), conflicts.clashes.len());
    let how_far = conflicts.shortfall().unwrap_or_else(|| "400 days ahead".to_owned());
    println!("{what}: {jobs} jobs read in {read_s:.2} s and judged in {judged_s:.2} s: {clashes} conflicts; {how_far}");
}

/// Five hundred rooms of four jobs, half of them where clocks change; in each what `more` says; and 8,000 jobs in rooms of their own.
fn large(more: &str) -> String {
    let mut text = String::from("timezone: Asia/Shanghai\ndefaults: {stream: \"https://cdn.example.com/a.mp4\"}\njobs:\n");
    for room in 0..500 {
        let room = format!("room-{room}");
        let zone = if room.ends_with(['0', '2', '4', '6', '8']) { ", timezone: America/New_York" } else { "" };
        let jobs = "  {room}-hourly: {every: 1h, for: 10m, room: {room}}\n\
            \x20 {room}-jingle: {cron: \"20 * * * *\", for: 10m, room: {room}}\n\
            \x20 {room}-morning: {at: \"09:40\", for: 15m, room: {room}}\n\
            \x20 {room}-evening: {at: \"21:40\", to: \"21:58\", days: mon..fri, room: {room}}\n";
        let jobs = format!("{jobs}{more}").replace("{room}", &room).replace("}\n", &format!("{zone}}}\n"));
        text.push_str(&jobs);
    }
    for job in 0..8_000 {
        let (hour, minute) = (job % 24, job % 60);
        let trigger = match job % 4 {
            0 => format!("at: \"{hour:02}:{minute:02}\", for: 2h"),
            1 => "every: 30m, for: 20m".to_owned(),
            2 => format!("cron: \"{minute} * * * *\", for: 30m, timezone: America/New_York"),
            _ => format!("at: \"{hour:02}:{minute:02}\", to: \"{hour:02}:{minute:02}\", timezone: Europe/Dublin"),
        };
        writeln!(text, "  alone-{job}: {{{trigger}, room: alone-{job}}}").expect("text grows");
    }
    text
}

fn schedule(text: &str, now: Timestamp) -> Schedule {
    let source = Source { name: Arc::from("bench.yaml"), text: text.to_owned() };
    let reading = read(&[source], &Settings::default(), &TimeZoneDatabase::bundled(), now);
    reading.schedule.unwrap_or_else(|| panic!("{:?}", reading.diagnostics.first()))
}
