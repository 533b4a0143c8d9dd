//! Jobs that follow other jobs: what `after` reads as, what `plan` shows of a marathon, and that one film hands over to the next, without a
//! conflict.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use ingestd::diagnostic::Severity;
use ingestd::plan::{Upcoming, conflicts};
use ingestd::schedule::difference::Difference;
use ingestd::schedule::{Reading, Schedule, Settings, Source, read};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

fn instant(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// 20:00 in Shanghai, a Sunday.
const NOW: &str = "2026-11-22T12:00:00Z";

fn reading(files: &[&str]) -> Reading {
    let source = |(index, text): (usize, &&str)| Source {
        name: format!("{index}.yaml").into(),
        text: format!(
            "timezone: Asia/Shanghai\ndefaults: {{room: cinema, stream: \"https://cdn.example.com/f.mp4\", length: 90m}}\njobs:\n{text}"
        ),
    };
    let sources: Vec<_> = files.iter().enumerate().map(source).collect();
    let settings = Settings {
        apps: Some(BTreeMap::from([(Arc::from("main"), 1)])),
        region: Some(Arc::from("ap-singapore")),
        ..Settings::default()
    };
    read(&sources, &settings, &TimeZoneDatabase::bundled(), instant(NOW))
}

fn schedule(files: &[&str]) -> Schedule {
    let reading = reading(files);
    assert!(reading.diagnostics.iter().all(|problem| problem.severity != Severity::Error), "{:?}", reading.diagnostics);
    reading.schedule.expect("no error")
}

/// The first occurrences in the local time of Shanghai: `job 23 18:00:00 to 19:30:00`.
fn planned(schedule: &Schedule, count: usize) -> Vec<String> {
    let zone = TimeZoneDatabase::bundled().get("Asia/Shanghai").expect("a zone");
    let local = |at: Timestamp, form: &str| zone.to_datetime(at).strftime(form).to_string();
    let row = |one: ingestd::plan::Planned| {
        let end = one.end.at().map_or("open".to_owned(), |end| local(end, "%H:%M:%S%.f"));
        format!("{} {} to {end}", one.job.id, local(one.start.at, "%d %H:%M:%S%.f"))
    };
    Upcoming::new(schedule, instant(NOW)).take(count).map(row).collect()
}

/// The films of an evening, in two files, named before what they follow.
const MARATHON: [&str; 2] = [
    "  third: {after: second, length: 100m}\n  first: {at: 18:00, days: mon..fri}\n",
    "  second: {after: first, seek: 30s, tempo: 1.25}\n  last: {after: third, for: 30m, repeat: forever}\n",
];

#[test]
fn a_marathon_starts_each_film_where_the_one_before_ends() {
    let schedule = schedule(&MARATHON);
    let evening = [
        "first 23 18:00:00 to 19:30:00",
        // (90 min - 30 s) / 1.25
        "second 23 19:30:00 to 20:41:36",
        "third 23 20:41:36 to 22:21:36",
        "last 23 22:21:36 to 22:51:36",
        "first 24 18:00:00 to 19:30:00",
    ];
    assert_eq!(planned(&schedule, 5), evening);
    assert_eq!(schedule.job("third").and_then(|job| job.after.as_ref()).map(ToString::to_string).as_deref(), Some("second"));
    let conflicts = conflicts::check_conflicts(&schedule, instant(NOW));
    assert!(conflicts.clashes.is_empty(), "a seam is a hand-over: {:?}", conflicts.clashes);
}

#[test]
fn what_moves_the_first_changes_all_that_follow() {
    let before = schedule(&MARATHON);
    let later = MARATHON[0].replace("18:00", "18:05");
    let after = schedule(&[&later, MARATHON[1]]);
    let changed = |after: &Schedule| Difference::between(&before, after).lines().join(", ");
    assert_eq!(changed(&after), "changed first, changed last, changed second, changed third");
    let longer = MARATHON[1].replace("seek: 30s", "seek: 40s");
    assert_eq!(changed(&schedule(&[MARATHON[0], &longer])), "changed last, changed second, changed third");
    assert_eq!(changed(&schedule(&MARATHON)), "");
}

#[test]
fn ends_by_the_clock_count_in_the_zone_of_the_job_that_has_them() {
    let schedule = schedule(&[
        "  news: {at: 20:00, to: 07:00, timezone: America/New_York, room: a}\n  talk: {after: news, for: 1500ms, room: b}\n  \
         song: {after: talk, to: 21:00, room: c}\n",
    ]);
    // 20:00 in New York is 09:00 in Shanghai.
    let rows = ["news 23 09:00:00 to 20:00:00", "talk 23 20:00:00 to 20:00:01.5", "song 23 20:00:01.5 to 21:00:00"];
    // What followed the news of the day before comes first.
    assert_eq!(planned(&schedule, 5)[2..], rows);
}

#[test]
fn several_may_follow_one_and_a_default_may_be_dropped() {
    let file = "  song: {at: [18:00, 19:00], length: 10m}\n  left: {after: song, for: 5m, room: a}\n  right: {after: song, for: 5m, room: b}\n";
    let rows = ["song 23 18:00:00 to 18:10:00", "left 23 18:10:00 to 18:15:00", "right 23 18:10:00 to 18:15:00"];
    assert_eq!(planned(&schedule(&[file]), 3), rows);
}

#[test]
fn what_follows_and_meets_another_show_is_a_conflict() {
    let more = format!("{}  rival: {{at: 20:00, for: 5m}}\n", MARATHON[0]);
    let conflicts = conflicts::check_conflicts(&schedule(&[&more, MARATHON[1]]), instant(NOW));
    let clashes: Vec<_> =
        conflicts.clashes.iter().map(|clash| format!("{} {}", clash.earlier.job.id, clash.later.job.id)).collect();
    assert_eq!(clashes, ["second rival"]);
}

#[test]
fn a_chain_is_as_long_as_it_may_be_and_no_longer() {
    let chain = |count: usize| {
        let follower = |number: usize| format!("  f{number:04}: {{after: f{:04}, length: 30s}}\n", number - 1);
        let root = "  f0000: {at: 21:00, length: 30s}\n".to_owned();
        std::iter::once(root).chain((1..count).map(follower)).collect::<String>()
    };
    let longest = schedule(&[&chain(1_000)]);
    assert_eq!(planned(&longest, 1_000)[999], "f0999 23 05:19:30 to 05:20:00");
    let errors = |text: &str| -> Vec<(&'static str, Option<String>)> {
        let problem = reading(&[text]).diagnostics.into_iter().filter(|problem| problem.severity == Severity::Error);
        problem.map(|problem| (problem.code, problem.job)).collect()
    };
    assert_eq!(errors(&chain(1_003)), [("chain-too-long", Some("f1000".to_owned()))]);
    // What ends by the clock follows what ends by the clock, a day for each: every one in a room of its own.
    let follower = |number: usize| format!("  t{number:02}: {{after: t{:02}, to: 18:00, room: r{number}}}\n", number - 1);
    let by_clock = |count: usize| {
        std::iter::once("  t00: {at: 18:00, days: mon, to: 18:00}\n".to_owned()).chain((1..count).map(follower)).collect::<String>()
    };
    assert_eq!(planned(&schedule(&[&by_clock(11)]), 1).len(), 1);
    assert_eq!(errors(&by_clock(13)), [("chain-too-long", Some("t11".to_owned()))]);
}

#[test]
fn the_program_shows_what_follows_what() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("schedules")).expect("writable");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
    let settings = "account: {region: ap-singapore}\nlisten: none\napps: {main: {sdk_app_id: 1, secret_key: {env: KEY}}}\n";
    write("ingestd.yaml", settings);
    let head = "timezone: Asia/Shanghai\ndefaults: {room: cinema, stream: \"https://cdn.example.com/f.mp4\", length: 90m}\njobs:\n";
    write("schedules/a.yaml", &format!("{head}  first: {{at: 18:00}}\n  second: {{after: first}}\n"));
    let plan = |format: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
        command.env_clear().current_dir(folder.path()).stdin(Stdio::null()).args(["--config", "ingestd.yaml", "plan"]);
        let output =
            command.args(["--from", "2030-01-01", "--count", "2", "--format", format]).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let table = "
 START (+08:00)       END    JOB     AFTER  ROOM         STREAM
 2030-01-01 18:00:00  19:30  first          main/cinema  https://cdn.example.com/f.mp4
 2030-01-01 19:30:00  21:00  second  first  main/cinema  https://cdn.example.com/f.mp4
";
    assert_eq!(plan("table"), table.trim_start_matches('\n'));
    let json = plan("json");
    let after: Vec<serde_json::Value> =
        json.lines().map(|row| serde_json::from_str::<serde_json::Value>(row).expect("an object")["after"].take()).collect();
    assert_eq!(after, [serde_json::Value::Null, "first".into()]);
    let csv = plan("csv");
    assert!(csv.lines().nth(2).is_some_and(|row| row.ends_with(",ap-singapore,,,,,,first,")), "{csv}");
}
