//! What `plan` shows beside the list: the peaks against the rate, what an edit does, and a calendar.

#[path = "preview/against.rs"]
mod against;
#[path = "preview/calendar.rs"]
mod calendar;
#[path = "ledger/filling.rs"]
mod filling;
#[path = "ledger/rows.rs"]
#[expect(dead_code, reason = "other tests need other rows")]
mod rows;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use ingestd::plan::Upcoming;
use ingestd::plan::forecast::{Forecast, RequestKind, forecast};
use ingestd::schedule::{Schedule, Settings, Source, read};
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};

fn instant(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// Jobs of Shanghai, each given by its fields after room and stream.
fn yaml<'a>(jobs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = "timezone: Asia/Shanghai\njobs:\n".to_owned();
    for (id, fields) in jobs {
        let stream = if fields.contains("stream:") { "" } else { "stream: \"https://cdn.example.com/a.mp4\", " };
        let room = if fields.contains("room:") { String::new() } else { format!("room: {id}, ") };
        writeln!(text, "  {id}: {{{room}{stream}{fields}}}").expect("a string takes everything");
    }
    text
}

fn schedule(text: String) -> Schedule {
    let source = Source { name: Arc::from("test.yaml"), text };
    let reading = read(&[source], &Settings::default(), &TimeZoneDatabase::bundled(), instant("2026-01-01T00:00Z"));
    reading.schedule.unwrap_or_else(|| panic!("{:?}", reading.diagnostics))
}

/// A folder with settings that allow two a second, and these schedule files.
fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "account: {region: ap-singapore}\nlisten: none\nstate: state\nrate: 2\n\
        apps: {main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}}\n";
    std::fs::write(folder.path().join("ingestd.yaml"), settings).expect("writable");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("in the folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }
    folder
}

fn plan(folder: &tempfile::TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.env_clear().env("TZ", "Asia/Shanghai").current_dir(folder.path()).stdin(Stdio::null());
    command.args(["--config", "ingestd.yaml", "plan"]).args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

fn forecast_of(schedule: &Schedule, from: &str, to: &str, rate: u32) -> Forecast {
    let range = instant(from)..instant(to);
    forecast(Upcoming::open_at(schedule.jobs(), range.start), &range, NonZeroU32::new(rate).expect("a rate"))
}

fn told(forecast: &Forecast) -> Vec<String> {
    let peaks = forecast.peaks.iter();
    peaks.map(|peak| format!("{} {} {} {}", peak.kind.name(), peak.at, peak.due, peak.wait.as_millis())).collect()
}

#[test]
fn a_peak_waits_and_its_backlog_carries_over() {
    let seconds = ["18:00:00", "18:00:00", "18:00:00", "18:00:00", "18:00:00", "18:00:01", "18:00:05", "18:00:05"];
    let jobs: Vec<_> =
        seconds.iter().enumerate().map(|(index, at)| (format!("j{index}"), format!("at: \"{at}\", to: \"19:00\""))).collect();
    let schedule = schedule(yaml(jobs.iter().map(|(id, fields)| (id.as_str(), fields.as_str()))));
    let forecast = forecast_of(&schedule, "2026-03-02T00:00Z", "2026-03-03T00:00Z", 2);
    // Of five, the last leaves two seconds later, beside the one of the second after theirs: that one waits for its
    // neighbours only. All eight are stopped at once.
    let expected = ["stop 2026-03-02T11:00:00Z 8 3000", "start 2026-03-02T10:00:00Z 5 2000", "start 2026-03-02T10:00:01Z 1 1000"];
    assert_eq!(told(&forecast), expected);
    assert_eq!(forecast.over, 3);
    assert_eq!(forecast.largest.map(|peak| (peak.kind, peak.due)), Some((RequestKind::Stop, 8)));
    assert_eq!(forecast.latest_start.map(|peak| peak.at), Some(instant("2026-03-02T10:00:00Z")));
    assert_eq!(told(&forecast_of(&schedule, "2026-03-02T00:00Z", "2026-03-03T00:00Z", 8)), Vec::<String>::new());
}

#[test]
fn only_what_happens_in_the_range_counts_and_only_ends_that_are_asked_for() {
    let schedule = schedule(yaml([
        ("a", r#"at: "18:00", for: 3h"#),
        ("b", r#"at: "19:00", to: "21:00""#),
        ("media", r#"at: "19:00", length: 2h"#),
        ("open", r#"at: "20:00""#),
        ("endless", r#"at: "20:00", to: never, conflict: preempt, repeat: forever"#),
    ]));
    // Two ends, one of a show that began before; and at 20:00 two starts, which is the end of the range before.
    let forecast = |from, to| told(&forecast_of(&schedule, from, to, 1));
    assert_eq!(forecast("2026-03-02T10:30Z", "2026-03-02T11:00Z"), Vec::<String>::new());
    assert_eq!(forecast("2026-03-02T11:30Z", "2026-03-02T12:00Z"), Vec::<String>::new());
    assert_eq!(forecast("2026-03-02T11:30Z", "2026-03-02T12:00:01Z"), ["start 2026-03-02T12:00:00Z 2 1000"]);
    assert_eq!(forecast("2026-03-02T12:30Z", "2026-03-02T13:00Z"), Vec::<String>::new());
    assert_eq!(forecast("2026-03-02T12:30Z", "2026-03-02T13:00:00.001Z"), ["stop 2026-03-02T13:00:00Z 2 1000"]);
}

/// Whole seconds and whole seconds only: so many are planned, so many leave, the rest is the backlog of the next
/// second.
fn by_counting(due: &BTreeMap<i64, u64>, rate: u64) -> BTreeMap<i64, (u64, u64)> {
    let (mut backlog, mut peaks) = (0, BTreeMap::new());
    let (Some(first), Some(last)) = (due.keys().next(), due.keys().last()) else { return peaks };
    for second in *first..=*last {
        let due = due.get(&second).copied().unwrap_or(0);
        let waits = (backlog + due).saturating_sub(1) / rate;
        if due > 0 && waits > 0 {
            peaks.insert(second, (due, waits));
        }
        backlog = (backlog + due).saturating_sub(rate);
    }
    peaks
}

#[test]
fn it_agrees_with_counting_second_by_second() {
    let mut seed = 1_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for round in 0..200 {
        let (rate, spread) = (1 + random(4), 5 + random(40));
        let origin = instant("2026-03-02T10:00:00Z").as_second();
        let (mut starts, mut stops, mut jobs) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for number in 0..=random(60) {
            let (start, length) =
                (i64::try_from(random(spread)).expect("small"), i64::try_from(1 + random(spread)).expect("small"));
            *starts.entry(origin + start).or_insert(0) += 1;
            *stops.entry(origin + start + length).or_insert(0) += 1;
            jobs.push((format!("j{number}"), format!("once: \"2026-03-02 18:00:{start:02}\", for: {length}s")));
        }
        let schedule = schedule(yaml(jobs.iter().map(|(id, fields)| (id.as_str(), fields.as_str()))));
        let forecast = forecast_of(&schedule, "2026-03-02T09:00Z", "2026-03-02T12:00Z", u32::try_from(rate).expect("small"));
        let (starts, stops) = (by_counting(&starts, rate), by_counting(&stops, rate));
        assert_eq!(forecast.over, (starts.len() + stops.len()) as u64, "round {round}");
        let mut expected: Vec<_> = starts
            .iter()
            .map(|peak| (RequestKind::Start, peak))
            .chain(stops.iter().map(|peak| (RequestKind::Stop, peak)))
            .collect();
        expected.sort_by_key(|(asked, (at, (due, wait)))| (u64::MAX - wait, u64::MAX - due, **at, *asked));
        let told: Vec<_> = forecast.peaks.iter().map(|peak| (peak.kind, peak.at.as_second(), peak.due, peak.wait)).collect();
        let expected = expected
            .into_iter()
            .take(20)
            .map(|(asked, (at, (due, wait)))| (asked, *at, *due, SignedDuration::from_secs(i64::try_from(*wait).expect("small"))));
        assert_eq!(told, expected.collect::<Vec<_>>(), "round {round}");
    }
}

#[test]
fn the_verb_prints_peaks_and_sums_them_up() {
    let jobs = ["a", "b", "c", "d", "e"].map(|id| (id, r#"at: "18:00", for: 90s"#));
    let folder = folder(&[("schedules/a.yaml", yaml(jobs))]);
    let range = ["--forecast", "--from", "2026-03-02", "--to", "2026-03-03"];
    let table = plan(&folder, &range);
    let expected = "
 AT (+08:00)          REQUESTS  LAST ONE WAITS
 2026-03-02 18:00:00  5 starts  2 s
 2026-03-02 18:01:30  5 stops   2 s
";
    assert_eq!(text(&table.stdout), expected.trim_start_matches('\n'), "{}", text(&table.stderr));
    let summary = "in 2 seconds more requests are planned than may leave; the largest peak is 5 starts at 2026-03-02 18:00:00 +08:00, and 2 a second \
        may leave; the latest start leaves 2 s late, at 2026-03-02 18:00:02 +08:00\n";
    assert!(text(&table.stderr).ends_with(summary), "{}", text(&table.stderr));
    let json = plan(&folder, &[&range[..], &["--format", "json"]].concat());
    let expected = "{\"action\":\"start\",\"at\":\"2026-03-02T10:00:00.000Z\",\"due\":5,\"rate\":2,\"wait_ms\":2000}\n\
        {\"action\":\"stop\",\"at\":\"2026-03-02T10:01:30.000Z\",\"due\":5,\"rate\":2,\"wait_ms\":2000}\n";
    assert_eq!(text(&json.stdout), expected);
    let one = plan(&folder, &[&range[..], &["--job", "a"]].concat());
    assert_eq!((text(&one.stdout), one.status.code()), ("", Some(0)));
    let summary = "the largest peak is 1 start at 2026-03-02 18:00:00 +08:00, and 2 a second may leave: nothing waits\n";
    assert!(text(&one.stderr).ends_with(summary), "{}", text(&one.stderr));
    for (more, words) in [(["--format", "csv"], "is printed as a table or as JSON only"), (["--count", "3"], "cannot be used with")]
    {
        let output = plan(&folder, &[&range[..1], &more[..]].concat());
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}
