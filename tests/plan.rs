//! What is to come: the end and the order of occurrences, and the verb `plan` as programs and people read it.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use ingestd::plan::{End, Planned, Upcoming};
use ingestd::schedule::{Schedule, Settings, Source, read};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

fn instant(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// A schedule of jobs in New York, each given by its fields after `room` and `stream`.
fn schedule(jobs: &[(&str, &str)]) -> Schedule {
    let source = Source { name: Arc::from("test.yaml"), text: yaml(jobs) };
    let reading = read(&[source], &Settings::default(), &TimeZoneDatabase::bundled(), instant("2026-01-01T00:00Z"));
    reading.schedule.unwrap_or_else(|| panic!("{:?}", reading.diagnostics))
}

fn yaml(jobs: &[(&str, &str)]) -> String {
    let jobs = jobs.iter().map(|(id, fields)| {
        let stream = if fields.contains("stream:") { "" } else { "stream: \"https://cdn.example.com/a.mp4\", " };
        let room = if fields.contains("room:") { String::new() } else { format!("room: {id}, ") };
        format!("  {id}: {{{room}{stream}{fields}}}\n")
    });
    std::iter::once("timezone: America/New_York\njobs:\n".to_owned()).chain(jobs).collect()
}

fn from(schedule: &Schedule, from: &str) -> Upcoming {
    Upcoming::new(schedule, instant(from))
}

fn first(fields: &str) -> Planned {
    from(&schedule(&[("job", fields)]), "2026-03-08T00:00Z").next().expect("it starts")
}

fn ends(at: &str, follows_media: bool) -> End {
    if follows_media { End::Media(instant(at)) } else { End::Planned(instant(at)) }
}

#[test]
fn an_occurrence_ends_by_its_rule() {
    for (fields, expected, dst) in [
        (r#"at: "18:00", for: 2h"#, ends("2026-03-09T00:00Z", false), None),
        // Elapsed, over the hour that New York leaves out on 8 March; `to` is what the clock shows.
        (r#"at: "01:00", for: 2h"#, ends("2026-03-08T08:00Z", false), None),
        (r#"at: "01:00", to: "03:00""#, ends("2026-03-08T07:00Z", false), None),
        (r#"at: "01:00", to: "02:30""#, ends("2026-03-08T07:30Z", false), Some("gap")),
        (r#"at: "02:30", to: "05:00""#, ends("2026-03-08T09:00Z", false), Some("gap")),
        (r#"at: "18:00", to: never"#, End::Never, None),
        (r#"at: "18:00""#, End::Open, None),
        (r#"at: "18:00", length: 10s"#, ends("2026-03-08T22:00:10Z", true), None),
        (r#"at: "18:00", length: 10s, repeat: 3, seek: 5s"#, ends("2026-03-08T22:00:25Z", true), None),
        // 10 s at one and a half times the speed: rounded up to the millisecond.
        (r#"at: "18:00", length: 10s, tempo: 1.5"#, ends("2026-03-08T22:00:06.667Z", true), None),
        (r#"at: "18:00", length: 10s, seek: 4s, repeat: 2, tempo: 0.5"#, ends("2026-03-08T22:00:32Z", true), None),
        // A live source has no length that counts.
        (r#"at: "18:00", stream: "rtmp://live.example.com/a/b""#, End::Open, None),
    ] {
        let occurrence = first(fields);
        assert_eq!((occurrence.end, occurrence.dst.map(ingestd::calendar::Dst::name)), (expected, dst), "{fields}");
    }
}

#[test]
fn occurrences_come_by_start_and_then_by_job() {
    let schedule = schedule(&[
        ("b", r#"at: ["09:00", "10:00"], for: 1m"#),
        ("a", r#"at: "10:00", for: 1m"#),
        ("c", r#"once: "2026-06-01 09:30", for: 1m"#),
        ("silent", r#"at: "09:15", for: 1m, enabled: false"#),
    ]);
    let upcoming = from(&schedule, "2026-06-01T13:00Z");
    assert_eq!(upcoming.peek(), Some(instant("2026-06-01T13:00Z")));
    let order: Vec<_> = upcoming.take(6).map(|next| format!("{} {}", next.job.id, next.start.at.strftime("%d %H:%M"))).collect();
    assert_eq!(order, ["b 01 13:00", "c 01 13:30", "a 01 14:00", "b 01 14:00", "b 02 13:00", "a 02 14:00"]);
}

#[test]
fn the_zone_of_a_schedule_is_that_of_most_jobs() {
    let of = |zones: &[&str]| {
        let job = |(index, zone): (usize, &&str)| (format!("j{index}"), format!("at: \"18:00\", for: 1h, timezone: {zone}"));
        let jobs: Vec<_> = zones.iter().enumerate().map(job).collect();
        let jobs: Vec<_> = jobs.iter().map(|(id, fields)| (id.as_str(), fields.as_str())).collect();
        schedule(&jobs).zone().iana_name().map(str::to_owned)
    };
    let [berlin, shanghai, utc] = ["Europe/Berlin", "Asia/Shanghai", "UTC"];
    assert_eq!(of(&[berlin, shanghai, shanghai]).as_deref(), Some(shanghai));
    assert_eq!(of(&[shanghai, berlin, utc, berlin]).as_deref(), Some(berlin));
    // As many of each: that of the first job by id, so that it does not depend on chance.
    assert_eq!(of(&[shanghai, berlin]).as_deref(), Some(shanghai));
    assert_eq!(of(&[berlin, shanghai]).as_deref(), Some(berlin));
    assert_eq!(Schedule::default().zone(), jiff::tz::TimeZone::UTC);
}

#[test]
fn what_is_over_comes_to_an_end() {
    let once = schedule(&[("once", r#"once: ["2026-06-01 09:30", "2026-06-02 09:30"], for: 1m"#)]);
    let mut upcoming = from(&once, "2026-06-02T00:00Z");
    assert_eq!(upcoming.by_ref().count(), 1);
    assert_eq!(upcoming.peek(), None);
    assert_eq!(from(&Schedule::default(), "2026-06-02T00:00Z").count(), 0);
}

/// A folder with settings and these jobs, and a run of the verb in it.
fn folder(jobs: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "account: {region: ap-singapore}\nlisten: none\n\
        apps: {main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}}\n";
    std::fs::write(folder.path().join("ingestd.yaml"), settings).expect("writable");
    std::fs::create_dir(folder.path().join("schedules")).expect("writable");
    std::fs::write(folder.path().join("schedules/test.yaml"), yaml(jobs)).expect("writable");
    folder
}

fn command(folder: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    // TZ: the zone of local arguments.
    command.env_clear().env("TZ", "Asia/Shanghai").current_dir(folder.path());
    command.arg("plan").args(arguments).stdin(Stdio::null());
    command
}

fn plan(folder: &tempfile::TempDir, arguments: &[&str]) -> Output {
    command(folder, &[&["--config", "ingestd.yaml"], arguments].concat()).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

const JOBS: [(&str, &str); 2] = [
    ("night", r#"cron: "30 2 * * *", stream: "rtmp://live.example.com/app/key?x=1""#),
    ("morning", r#"at: "09:00", to: "10:30", robot: "{job}-{start}", stream: "https://a:b@cdn.example.com/p.mp4?sig=1""#),
];

fn jobs() -> tempfile::TempDir {
    let folder = folder(&JOBS);
    let number =
        "timezone: Asia/Shanghai\njobs: {number: {every: 24h, room: 42, length: 90s, stream: \"https://cdn.example.com/a.mp4\"}}\n";
    std::fs::write(folder.path().join("schedules/number.yaml"), number).expect("writable");
    folder
}

#[test]
fn json_is_the_object_of_the_contract() {
    let folder = jobs();
    let output = plan(&folder, &["--from", "2026-03-08", "--to", "2026-03-09", "--format", "json"]);
    // A bare date is one of the zone of most jobs.
    let expected = concat!(
        r#"{"job":"night","start":"2026-03-08T07:00:00.000Z","end":null,"local_start":"2026-03-08T03:00:00-04:00","#,
        r#""timezone":"America/New_York","app":"main","sdk_app_id":1400000001,"room":"night","room_type":"string","robot":"night","#,
        r#""stream":"rtmp://live.example.com/app/","region":"ap-singapore","dst":"gap","#,
        r#""pauses":null,"cut_at":null,"cut_by":null,"content_end":null,"after":null,"held":null,"fallback":null}"#,
        "\n",
        r#"{"job":"morning","start":"2026-03-08T13:00:00.000Z","end":"2026-03-08T14:30:00.000Z","local_start":"2026-03-08T09:00:00-04:00","#,
        r#""timezone":"America/New_York","app":"main","sdk_app_id":1400000001,"room":"morning","room_type":"string","#,
        r#""robot":"morning-20260308T130000Z","stream":"https://cdn.example.com/p.mp4","region":"ap-singapore","dst":null,"#,
        r#""pauses":null,"cut_at":null,"cut_by":null,"content_end":null,"after":null,"held":null,"fallback":null}"#,
        "\n",
        r#"{"job":"number","start":"2026-03-08T16:00:00.000Z","end":"2026-03-08T16:01:30.000Z","local_start":"2026-03-09T00:00:00+08:00","#,
        r#""timezone":"Asia/Shanghai","app":"main","sdk_app_id":1400000001,"room":"42","room_type":"integer","robot":"number","#,
        r#""stream":"https://cdn.example.com/a.mp4","region":"ap-singapore","dst":null,"#,
        r#""pauses":null,"cut_at":null,"cut_by":null,"content_end":null,"after":null,"held":null,"fallback":null}"#,
        "\n",
    );
    assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn csv_and_the_table_say_the_same() {
    let folder = jobs();
    let range = ["--from", "2026-03-08", "--count", "3", "--format"];
    let csv = plan(&folder, &[&range[..], &["csv"]].concat());
    let expected = "job,start,end,local_start,timezone,app,sdk_app_id,room,room_type,robot,stream,region,dst,pauses,cut_at,cut_by,\
        content_end,after,held\n\
        night,2026-03-08T07:00:00.000Z,,2026-03-08T03:00:00-04:00,America/New_York,main,1400000001,night,string,\
        night,rtmp://live.example.com/app/,ap-singapore,gap,,,,,,\n\
        morning,2026-03-08T13:00:00.000Z,2026-03-08T14:30:00.000Z,2026-03-08T09:00:00-04:00,America/New_York,main,1400000001,morning,\
        string,morning-20260308T130000Z,https://cdn.example.com/p.mp4,ap-singapore,,,,,,,\n\
        number,2026-03-08T16:00:00.000Z,2026-03-08T16:01:30.000Z,2026-03-09T00:00:00+08:00,Asia/Shanghai,main,1400000001,42,integer,\
        number,https://cdn.example.com/a.mp4,ap-singapore,,,,,,,\n";
    assert_eq!(text(&csv.stdout), expected);
    let table = plan(&folder, &[&range[..], &["table"]].concat());
    let expected = "
 START (-04:00)       END       JOB      ROOM          DST  STREAM
 2026-03-08 03:00:00  open      night    main/night    gap  rtmp://live.example.com/app/
 2026-03-08 09:00:00  10:30     morning  main/morning       https://cdn.example.com/p.mp4
 2026-03-08 12:00:00  12:01:30  number   main/42            https://cdn.example.com/a.mp4
";
    assert_eq!(text(&table.stdout), expected.trim_start_matches('\n'));
}

#[test]
fn a_filler_is_one_row_with_its_pauses() {
    let filler = ("filler", r#"at: "04:00", to: "04:00", room: foyer, conflict: yield"#);
    let news = ("news", r#"at: "18:00", length: 90s, room: foyer"#);
    let relay = ("relay", r#"at: "23:30", room: foyer, stream: "rtmp://live.example.com/app/key""#);
    let folder = folder(&[filler, news, relay]);
    let range = ["--from", "2026-12-01T08:00Z", "--count", "2", "--format"];
    let json = plan(&folder, &[&range[..], &["json"]].concat());
    let rows: Vec<serde_json::Value> =
        text(&json.stdout).lines().map(|row| serde_json::from_str(row).expect("an object")).collect();
    let expected = serde_json::json!([
        { "job": "news", "start": "2026-12-01T23:00:00.000Z", "end": "2026-12-01T23:01:30.000Z" },
        { "job": "relay", "start": "2026-12-02T04:30:00.000Z", "end": null },
    ]);
    assert_eq!((&rows[0]["job"], &rows[0]["pauses"]), (&"filler".into(), &expected));
    assert_eq!((&rows[1]["job"], &rows[1]["pauses"]), (&"news".into(), &serde_json::Value::Null));
    let csv = plan(&folder, &[&range[..], &["csv"]].concat());
    let lines: Vec<String> = text(&csv.stdout).lines().map(str::to_owned).collect();
    let pauses = "2026-12-01T23:00:00.000Z/2026-12-01T23:01:30.000Z news; 2026-12-02T04:30:00.000Z/.. relay";
    assert!(lines[1].starts_with("filler,") && lines[1].ends_with(&format!(",ap-singapore,,{pauses},,,,,")), "{lines:?}");
    assert!(lines[2].ends_with(",ap-singapore,,,,,,,"), "{lines:?}");
    let table = plan(&folder, &[&range[..], &["table"]].concat());
    let expected = "
 START (-05:00)       END          JOB     ROOM        NOTE                                                   STREAM
 2026-12-01 04:00:00  12-02 04:00  filler  main/foyer  paused 18:00 to 18:01:30 by news, from 23:30 by relay  https://cdn.example.com/a.mp4
 2026-12-01 18:00:00  18:01:30     news    main/foyer                                                         https://cdn.example.com/a.mp4
";
    assert_eq!(text(&table.stdout), expected.trim_start_matches('\n'));
}

#[test]
fn a_row_says_who_cuts_it_and_when_its_media_is_over() {
    let folder = folder(&[
        ("news", r#"at: "19:00", for: 30m, room: hall, length: 90s, repeat: forever, conflict: preempt"#),
        ("relay", r#"at: "16:00", room: hall, stream: "rtmp://live.example.com/app/key""#),
        ("show", r#"at: "18:00", to: "20:00", room: hall, length: 90s, repeat: forever"#),
        ("trailer", r#"at: "12:00", to: "13:00", length: 90s, repeat: 10"#),
    ]);
    let range = ["--from", "2026-12-01", "--count", "4", "--format"];
    let table = plan(&folder, &[&range[..], &["table"]].concat());
    let expected = "
 START (-05:00)       END    JOB      ROOM          NOTE                             STREAM
 2026-12-01 12:00:00  13:00  trailer  main/trailer  media over 12:15                 https://cdn.example.com/a.mp4
 2026-12-01 16:00:00  open   relay    main/hall     cut 18:00 by show at the latest  rtmp://live.example.com/app/
 2026-12-01 18:00:00  20:00  show     main/hall     cut 19:00 by news                https://cdn.example.com/a.mp4
 2026-12-01 19:00:00  19:30  news     main/hall                                      https://cdn.example.com/a.mp4
";
    assert_eq!(text(&table.stdout), expected.trim_start_matches('\n'));
    let json = plan(&folder, &[&range[..], &["json"]].concat());
    let rows = text(&json.stdout).lines().map(|row| serde_json::from_str::<serde_json::Value>(row).expect("an object"));
    let told: Vec<String> = rows.map(|row| format!("{} {} {}", row["cut_at"], row["cut_by"], row["content_end"])).collect();
    let expected = [
        r#"null null "2026-12-01T17:15:00.000Z""#,
        r#""2026-12-01T23:00:00.000Z" "show" null"#,
        r#""2026-12-02T00:00:00.000Z" "news" null"#,
        "null null null",
    ];
    assert_eq!(told, expected);
    let csv = plan(&folder, &[&range[..], &["csv"]].concat());
    let line = text(&csv.stdout).lines().find(|line| line.starts_with("show,")).expect("its line");
    assert!(line.ends_with(",,,2026-12-02T00:00:00.000Z,news,,,"), "{line}");
}

#[test]
fn a_range_without_a_start_says_when_the_next_one_is() {
    let folder = jobs();
    let empty = ["--from", "2026-03-08 09:01", "--to", "2026-03-08 10:00"];
    let next = "no start in this range; the next start is of `number` at 2026-03-08 12:00:00 -04:00\n";
    assert_eq!(text(&plan(&folder, &empty).stdout), next);
    let of_night = plan(&folder, &[&empty[..], &["--job", "night", "--timezone", "Asia/Shanghai"]].concat());
    assert_eq!(text(&of_night.stdout), "no start in this range; the next start is of `night` at 2026-03-08 15:00:00 +08:00\n");
    for (format, head) in [("json", ""), ("csv", "job,start,"), ("ics", "BEGIN:VCALENDAR\r\n")] {
        let output = plan(&folder, &[&empty[..], &["--format", format]].concat());
        assert!(text(&output.stderr).ends_with(next), "{format}: {}", text(&output.stderr));
        assert!(text(&output.stdout).starts_with(head) && !text(&output.stdout).contains("no start"), "{format}");
    }
    let over = self::folder(&[("once", r#"once: "2026-03-08 18:00", for: 1h"#)]);
    for options in [&["--from", "2026-03-09"][..], &["--from", "2026-03-09", "--count", "3"]] {
        let output = plan(&over, options);
        assert_eq!(text(&output.stdout), "no start in this range; there is none after it either\n");
        assert_eq!(output.status.code(), Some(0));
    }
    let forecast = plan(&folder, &[&empty[..], &["--forecast"]].concat());
    let told = text(&forecast.stderr);
    assert!(
        told.ends_with("nothing starts or is stopped in this range; the next start is of `number` at 2026-03-08 12:00:00 -04:00\n"),
        "{told}"
    );
}

#[test]
fn a_range_bounds_starts_and_a_job_can_be_chosen() {
    let folder = jobs();
    let starts = |arguments: &[&str]| {
        let output = plan(&folder, &[&["--format", "csv"], arguments].concat());
        let rows = text(&output.stdout).lines().skip(1);
        rows.map(|row| row.split(',').take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
    };
    for (arguments, expected) in [
        (&["--from", "2026-03-08T13:00:00Z", "--to", "2026-03-08T13:00:00.001Z"][..], "morning 2026-03-08T13:00:00.000Z"),
        (&["--from", "2026-03-08T13:00:00.001Z", "--to", "2026-03-08T16:00:00Z"], ""),
        (&["--from", "2026-03-08T13:00:00Z", "--to", "2026-03-08T13:00:00Z"], ""),
        // A day by default.
        (&["--from", "2026-03-08T13:00Z", "--job", "morning"], "morning 2026-03-08T13:00:00.000Z"),
        (
            &["--from", "2026-03-08T13:00Z", "--job", "morning", "--count", "2"],
            "morning 2026-03-08T13:00:00.000Z, morning 2026-03-09T13:00:00.000Z",
        ),
    ] {
        assert_eq!(starts(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn a_stream_url_is_shown_whole_only_when_it_is_asked_for() {
    let folder = jobs();
    for format in ["json", "csv", "table"] {
        let arguments = ["--from", "2026-03-08", "--count", "3", "--format", format];
        for (reveal, whole) in [(&[][..], false), (&["--reveal"], true)] {
            let output = plan(&folder, &[&arguments[..], reveal].concat());
            for secret in ["a:b@", "sig=1", "/key"] {
                assert_eq!(text(&output.stdout).contains(secret), whole, "{format}: {secret}");
                assert!(!text(&output.stderr).contains(secret));
            }
        }
    }
}

#[test]
fn arguments_that_make_no_sense_say_what_would() {
    let folder = jobs();
    for (arguments, code, words) in [
        (&["--from", "tomorrow"][..], 2, "`tomorrow` is not a time: write RFC 3339"),
        (&["--from", "2026-03-08", "--to", "2026-03-07"], 2, "the range ends before it begins"),
        (&["--to", "now+1d", "--count", "2"], 2, "cannot be used with"),
        (&["--count", "0"], 2, "0 is not in 1.."),
        (&["--job", "evening"], 1, "there is no job `evening`"),
        (&["--job", "evening"], 1, "there are `morning`, `night`, `number`"),
    ] {
        let output = plan(&folder, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn without_settings_the_schedules_of_this_folder_are_planned_with_a_warning() {
    let folder = jobs();
    let output = command(&folder, &["--from", "2026-03-08", "--count", "1", "--format", "json"]).output().expect("it starts");
    if std::path::Path::new("/etc/ingestd/ingestd.yaml").exists() {
        // This host runs the daemon, and its settings are taken.
        return;
    }
    assert!(text(&output.stderr).contains("warning[no-settings]"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(r#""app":null,"sdk_app_id":null"#), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains(r#""region":null"#));
}

#[test]
fn a_bad_schedule_is_told_in_full_and_ends_with_code_78() {
    let folder = folder(&[("job", r#"at: "25:00", fro: 1h"#)]);
    let output = plan(&folder, &[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("25:00") && text(&output.stderr).contains("fro"), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_long_plan_is_streamed_and_a_closed_pipe_ends_it() {
    let folder = folder(&[("seconds", "every: 1s, length: 1s")]);
    for format in ["json", "csv", "table"] {
        // Sixty years of seconds: nothing that is gathered first would ever come out.
        let arguments = ["--config", "ingestd.yaml", "--from", "2026-01-01", "--to", "2086-01-01", "--format", format];
        let mut child = command(&folder, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let read: io::Result<Vec<String>> = lines.by_ref().take(2000).collect();
        assert_eq!(read.expect("text").len(), 2000);
        drop(lines);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{format}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("error"), "{format}: {}", text(&output.stderr));
    }
}
