//! What good schedule files mean: each way to write a field, and what becomes of defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingestd::calendar::Trigger;
use ingestd::diagnostic::any_error;
use ingestd::schedule::{EndRule, Job, Settings, Source, read, reference};
use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

fn settings() -> Settings {
    Settings {
        apps: Some(BTreeMap::from([(Arc::from("main"), 1_400_000_001)])),
        region: Some(Arc::from("ap-singapore")),
        ..Settings::default()
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().expect("a constant")
}

/// The job `a` of a file, which must be good.
fn job_of(text: &str) -> Arc<Job> {
    let sources = [Source { name: Arc::from("f.yaml"), text: text.to_owned() }];
    let reading = read(&sources, &settings(), &TimeZoneDatabase::bundled(), now());
    assert!(!any_error(&reading.diagnostics), "{text}: {:?}", reading.diagnostics);
    Arc::clone(reading.schedule.expect("no error").job("a").expect("the job is there"))
}

/// A job with what is required, and `fields` over it.
fn job(fields: &str) -> Arc<Job> {
    job_of(&format!(
        "timezone: Asia/Shanghai\ndefaults: {{at: \"18:00\", room: lobby, stream: \"https://h/a.mp4\"}}\njobs: {{a: {{{fields}}}}}\n"
    ))
}

/// The first three starts after `now()`, as local times.
fn starts(job: &Job) -> Vec<String> {
    job.when.after(now()).take(3).map(|start| job.when.zone.to_datetime(start.at).strftime("%a %d %H:%M:%S").to_string()).collect()
}

#[test]
fn each_way_to_write_a_trigger_starts_when_it_says() {
    for (fields, expected) in [
        ("at: 18:00", ["Mon 23 18:00:00", "Tue 24 18:00:00", "Wed 25 18:00:00"]),
        ("at: '18:00:30'", ["Mon 23 18:00:30", "Tue 24 18:00:30", "Wed 25 18:00:30"]),
        ("at: [20:00, 06:00]", ["Mon 23 06:00:00", "Mon 23 20:00:00", "Tue 24 06:00:00"]),
        ("at: 18:00, days: mon..fri", ["Mon 23 18:00:00", "Tue 24 18:00:00", "Wed 25 18:00:00"]),
        ("at: 18:00, days: fri..mon", ["Mon 23 18:00:00", "Fri 27 18:00:00", "Sat 28 18:00:00"]),
        ("at: 18:00, days: [sat, sun]", ["Sat 28 18:00:00", "Sun 29 18:00:00", "Sat 05 18:00:00"]),
        ("at: 18:00, days: [mon..tue, sat]", ["Mon 23 18:00:00", "Tue 24 18:00:00", "Sat 28 18:00:00"]),
        ("at: 18:00, days: daily", ["Mon 23 18:00:00", "Tue 24 18:00:00", "Wed 25 18:00:00"]),
        ("at: 18:00, days: wed", ["Wed 25 18:00:00", "Wed 02 18:00:00", "Wed 09 18:00:00"]),
        ("at: 18:00, from: 2026-12-01", ["Tue 01 18:00:00", "Wed 02 18:00:00", "Thu 03 18:00:00"]),
        ("at: 18:00, from: 2026-11-24 18:00:01", ["Wed 25 18:00:00", "Thu 26 18:00:00", "Fri 27 18:00:00"]),
        ("at: 18:00, except: [2026-11-24..2026-11-30, 2026-12-02]", ["Mon 23 18:00:00", "Tue 01 18:00:00", "Thu 03 18:00:00"]),
        ("cron: '30 9 * * mon-fri'", ["Mon 23 09:30:00", "Tue 24 09:30:00", "Wed 25 09:30:00"]),
        ("every: 8h", ["Mon 23 00:00:00", "Mon 23 08:00:00", "Mon 23 16:00:00"]),
        ("every: 30m, between: 23:00..00:30, days: sun", ["Sun 22 23:00:00", "Sun 22 23:30:00", "Mon 23 00:00:00"]),
        (
            "once: [2026-12-25 20:00, 2026-12-24 20:00, 2026-12-31 23:59:50]",
            ["Thu 24 20:00:00", "Fri 25 20:00:00", "Thu 31 23:59:50"],
        ),
    ] {
        assert_eq!(starts(&job(fields)), expected, "{fields}");
    }
    assert_eq!(starts(&job("at: 18:00, until: 2026-11-24")).len(), 2, "a date is inclusive");
    assert_eq!(starts(&job("at: 18:00, until: 2026-11-24 18:00")).len(), 1, "a date with a time is exclusive");
}

#[test]
fn each_field_becomes_what_it_says() {
    /// Some part of a job, as text.
    type Part = fn(&Job) -> String;
    let app: Part = |job| format!("{:?}", job.app.as_ref().map(|app| (app.name.as_ref(), app.sdk_app_id)));
    let robot: Part = |job| job.robot.expand(job.id.as_str(), &job.room, Timestamp::UNIX_EPOCH);
    let table: &[(&str, Part, &str)] = &[
        ("", |job| format!("{:?}", job.room), "Text(\"lobby\")"),
        ("room: 42", |job| format!("{:?}", job.room), "Integer(42)"),
        ("room: {id: \"42\", type: string}", |job| format!("{:?}", job.room), "Text(\"42\")"),
        ("room: {id: 42, type: integer}", |job| format!("{:?}", job.room), "Integer(42)"),
        ("room: \"no\"", |job| format!("{:?}", job.room), "Text(\"no\")"),
        ("room: 12-34", |job| format!("{:?}", job.room), "Text(\"12-34\")"),
        ("room: 直播间", |job| job.room.to_string(), "直播间"),
        ("", app, "Some((\"main\", Some(1400000001)))"),
        ("app: main", app, "Some((\"main\", Some(1400000001)))"),
        ("", robot, "a"),
        ("robot: \"{room}_{job}_x\"", robot, "lobby_a_x"),
        ("robot: \"{job}-{start}\"", robot, "a-19700101T000000Z"),
        ("", |job| job.region.as_deref().unwrap_or("none").to_owned(), "ap-singapore"),
        ("region: ap-mumbai", |job| job.region.as_deref().unwrap_or("none").to_owned(), "ap-mumbai"),
        (
            "stream: \"RTMPS://h/app/key\"",
            |job| format!("{} {}", job.live, job.stream.written().reveal()),
            "true RTMPS://h/app/key",
        ),
        ("stream: \"https://h/节目.mp4\"", |job| job.stream.written().reveal().to_owned(), "https://h/节目.mp4"),
        ("stream: \"http://[::1]:8080/a?b=c#d\"", |job| job.stream.written().reveal().to_owned(), "http://[::1]:8080/a?b=c#d"),
        ("live: true", |job| job.live.to_string(), "true"),
        ("length: 1m30s", |job| format!("{:?}", job.length), "Some(90s)"),
        ("length: 1d2h3m4s5ms", |job| format!("{:?}", job.length), "Some(93784.005s)"),
        ("seek: 10s, length: 11s", |job| format!("{:?}", job.seek), "10s"),
        ("repeat: 3", |job| format!("{:?}", job.repeat), "Times(3)"),
        ("repeat: forever, for: 7d", |job| format!("{:?} {:?}", job.repeat, job.end), "Forever For(604800s)"),
        ("tempo: 1", |job| format!("{:?}", job.options.tempo.map(ingestd::trtc::Tempo::percent)), "Some(100)"),
        ("tempo: 1.50", |job| format!("{:?}", job.options.tempo.map(ingestd::trtc::Tempo::percent)), "Some(150)"),
        ("tempo: 0.75", |job| format!("{:?}", job.options.tempo.map(ingestd::trtc::Tempo::percent)), "Some(75)"),
        ("volume: 0", |job| format!("{:?}", job.options.volume), "Some(0)"),
        (
            "volume: 200, progress: true, auto_push: false",
            |job| format!("{:?} {:?} {:?}", job.options.volume, job.options.progress, job.options.auto_push),
            "Some(200) Some(true) Some(false)",
        ),
        ("idle_timeout: 10m", |job| format!("{:?}", job.options.idle_timeout), "Some(600)"),
        ("to: 00:00", |job| format!("{:?}", job.end), "To(00:00:00)"),
        ("to: never", |job| format!("{:?}", job.end == EndRule::Never), "true"),
        ("", |job| format!("{:?}", job.end), "Media"),
        ("late: skip", |job| format!("{:?}", job.policy.late), "Skip"),
        ("start_within: 90s", |job| format!("{:?}", job.policy.start_within), "Some(90s)"),
        (
            "",
            |job| {
                format!(
                    "{} {:?} {:?} {}",
                    job.policy.retry.attempts, job.policy.retry.first, job.policy.retry.cap, job.policy.priority
                )
            },
            "0 1s 30s 5",
        ),
        (
            "retry: {attempts: 3, also: [FailedOperation.NotAllowed]}",
            |job| format!("{:?}", job.policy.retry.also),
            "[\"FailedOperation.NotAllowed\"]",
        ),
        ("conflict: reject, heal: true, on_remove: finish", |job| format!("{} {}", job.enabled, job.preflight), "true true"),
        ("preflight: false", |job| job.preflight.to_string(), "false"),
        ("enabled: false, note: 42", |job| format!("{} {:?}", job.enabled, job.note), "false Some(\"42\")"),
    ];
    for (fields, part, expected) in table {
        assert_eq!(part(&job(fields)), *expected, "{fields}");
    }
}

#[test]
fn defaults_apply_by_groups_and_retry_key_by_key() {
    let job = |fields: &str| {
        job_of(&format!(
            "timezone: UTC\ndefaults:\n  every: 30m\n  between: 09:00..21:00\n  days: mon..fri\n  for: 10m\n  timezone: Asia/Tokyo\n  \
             room: lobby\n  stream: https://h/a.mp4\n  retry: {{first: 2s, attempts: 7}}\njobs: {{a: {{{fields}}}}}\n"
        ))
    };
    assert!(matches!(job("").when.trigger, Trigger::Every { between: Some(_), .. }));
    assert_eq!(job("").when.zone.iana_name(), Some("Asia/Tokyo"));
    assert_eq!(job("timezone: Europe/London").when.zone.iana_name(), Some("Europe/London"));
    let own = job("every: 1h");
    assert!(matches!(own.when.trigger, Trigger::Every { between: None, days, .. } if days == ingestd::calendar::Days::DAILY));
    assert!(matches!(job("at: 18:00").when.trigger, Trigger::At { days, .. } if days == ingestd::calendar::Days::DAILY));
    assert!(matches!(job("to: 20:00").end, EndRule::To(_)));
    let retry = Arc::clone(&job("retry: {attempts: 1}").policy.retry);
    assert_eq!((retry.first.as_secs(), retry.cap.as_secs(), retry.attempts), (2, 30, 1));
}

#[test]
fn without_settings_names_of_applications_are_left_alone() {
    let text = "timezone: UTC\njobs:\n  a: {at: 18:00, room: r, stream: https://h/a.mp4, app: any}\n  b: {at: 18:00, room: r, stream: https://h/a.mp4}\n";
    let sources = [Source { name: Arc::from("f.yaml"), text: text.to_owned() }];
    let reading = read(&sources, &Settings::default(), &TimeZoneDatabase::bundled(), now());
    let schedule = reading.schedule.expect("no error");
    let app = |id: &str| schedule.job(id).expect("it is there").app.clone();
    assert_eq!(app("a").map(|app| (app.name.to_string(), app.sdk_app_id)), Some(("any".to_owned(), None)));
    assert_eq!(app("b"), None);
}

#[test]
fn calendars_are_shared_by_all_files_in_any_order() {
    let jobs = "timezone: UTC\njobs: {a: {at: 18:00, room: r, stream: https://h/a.mp4, except: [holidays, 2026-11-24]}}\n";
    let calendars = "calendars: {holidays: [2026-11-22, 2026-11-23], empty: []}\n";
    let source = |name: &str, text: &str| Source { name: Arc::from(name), text: text.to_owned() };
    let reading = read(&[source("a.yaml", jobs), source("b.yaml", calendars)], &settings(), &TimeZoneDatabase::bundled(), now());
    let schedule = reading.schedule.expect("no error");
    assert_eq!(starts(schedule.job("a").expect("it is there"))[0], "Wed 25 18:00:00");
}

#[test]
fn a_default_of_the_manual_is_what_a_job_gets_that_does_not_write_the_field() {
    let plain = job("at: 18:00");
    let fields = reference::fields().into_iter().map(|field| (field, "", ""));
    let keys = reference::retry_keys().into_iter().map(|key| (key, "retry: {", "}"));
    let mut held = 0;
    for (key, before, after) in fields.chain(keys).filter(|(key, ..)| key.default_is_value) {
        let default = key.default.expect("it has one");
        let quote = if default.contains('{') { "'" } else { "" };
        let written = format!("at: 18:00, {before}{}: {quote}{default}{quote}{after}", key.name);
        assert!(job(&written).says_the_same(&plain), "{written}");
        held += 1;
    }
    assert!(held >= 14, "only {held} defaults");
}

#[test]
fn each_field_is_explained_in_one_sentence() {
    for key in reference::fields().into_iter().chain(reference::retry_keys()) {
        let sentence = key.doc.starts_with(|first: char| first.is_ascii_uppercase()) && key.doc.ends_with('.');
        assert!(sentence && !key.doc.contains(". "), "{}: {}", key.name, key.doc);
        assert!(!key.values.is_empty() && !key.values.ends_with('.'), "{}: {}", key.name, key.values);
    }
}

#[test]
fn a_file_without_any_value_has_no_jobs_and_is_no_error() {
    for text in ["", "# nothing yet\n", "---\n", "---\n...\n", "--- # later\n", "null\n", "~\n", "---\nnull\n", "\n\n", "{}\n"] {
        let sources = [Source { name: Arc::from("f.yaml"), text: text.to_owned() }];
        let reading = read(&sources, &settings(), &TimeZoneDatabase::bundled(), now());
        assert!(reading.schedule.is_some_and(|schedule| schedule.is_empty()), "{text:?}: {:?}", reading.diagnostics);
        assert!(!reading.diagnostics.is_empty(), "{text:?} is told");
    }
}
