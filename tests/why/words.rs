//! What the verb says of the schedule alone, as golden texts; its JSON; and what it says to arguments that make no sense. All dates
//! are past, so that the texts stay what they are.

use serde_json::{Value, json};

use super::{folder, golden, why};

const SCHEDULE: &str = include_str!("../fixtures/why/schedule.yaml");

#[test]
fn each_telling_case_reads_as_its_golden_text() {
    let folder = folder(SCHEDULE);
    let cases: [(&str, &[&str]); 24] = [
        ("fires", &["promo", "--at", "2025-11-27 18:00"]),
        ("saturday", &["promo", "--at", "2025-11-29 18:00"]),
        ("saturday-as-a-date", &["promo", "--at", "2025-11-29"]),
        ("holiday", &["promo", "--at", "2025-12-25 18:00"]),
        ("excepted-date", &["promo", "--at", "2025-11-11"]),
        ("before-from", &["promo", "--at", "2025-01-06 18:00"]),
        ("after-until", &["promo", "--at", "2026-02-02 18:00"]),
        ("inside-a-window", &["promo", "--at", "2025-11-27 19:00"]),
        ("every-rule-at-once", &["promo", "--at", "2026-12-26T16:59:30.5Z"]),
        ("disabled", &["off", "--at", "2025-11-27 10:00"]),
        ("cron-on-a-tuesday", &["monday", "--at", "2025-11-25 09:05"]),
        ("steps-by-the-day-of-their-window", &["steps", "--at", "2025-11-29 00:30"]),
        ("steps-of-a-saturday-window", &["steps", "--at", "2025-11-30 00:30"]),
        ("steps-of-a-date", &["steps", "--at", "2025-11-28"]),
        ("once-another-day", &["premiere", "--at", "2025-05-02"]),
        ("gap-at", &["night", "--at", "2025-03-30 02:30"]),
        ("gap-cron", &["cron-night", "--at", "2025-03-30 02:30"]),
        ("repeat-at-the-second", &["night", "--at", "2025-10-26T02:30:00+01:00"]),
        ("repeat-cron", &["cron-night", "--at", "2025-10-26 02:30"]),
        ("end-in-a-repeat", &["to-night", "--at", "2025-10-25 22:00"]),
        ("filler-paused", &["filler", "--at", "2025-11-27 18:10"]),
        ("chained", &["encore", "--at", "2025-05-01 21:30"]),
        ("chained-another-time", &["encore", "--at", "2025-05-01 20:00"]),
        ("preempted", &["news", "--at", "2025-12-24 18:00"]),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .filter_map(|(name, arguments)| {
            let (code, stdout, stderr) = why(folder.path(), arguments);
            assert_eq!((code, stderr.as_str()), (Some(0), ""), "{name}");
            golden(name, &stdout)
        })
        .collect();
    assert!(wrong.is_empty(), "these differ from their golden texts (UPDATE_GOLDEN=1 writes them):\n{}", wrong.join("\n"));
}

#[test]
fn json_is_one_object_with_every_key_and_without_secrets() {
    let folder = folder(SCHEDULE);
    let ask = |arguments: &[&str]| -> Value {
        let (code, stdout, stderr) = why(folder.path(), &[arguments, &["--format", "json"]].concat());
        assert_eq!((code, stderr.as_str(), stdout.lines().count()), (Some(0), "", 1), "{stdout}");
        assert!(!stdout.contains("hush"), "{stdout}");
        serde_json::from_str(&stdout).expect("an object")
    };
    let no = ask(&["promo", "--at", "2025-12-25 18:00"]);
    let keys = ["job", "at", "date", "fires", "start", "reasons", "previous", "next", "ledger", "count", "starts"];
    let mut found: Vec<_> = no.as_object().expect("an object").keys().map(String::as_str).collect();
    found.sort_unstable();
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let text = "`except: holidays` names 2025-12-24..2025-12-26, and with it 2025-12-25";
    assert_eq!(no["reasons"][0], json!({ "rule": "except", "says": "no", "text": text }));
    assert_eq!(
        (&no["fires"], &no["start"], &no["at"], &no["previous"]["start"], &no["next"][0]["start"], &no["date"]),
        (
            &json!(false),
            &Value::Null,
            &json!("2025-12-25T17:00:00.000Z"),
            &json!("2025-12-23T17:00:00.000Z"),
            &json!("2025-12-29T17:00:00.000Z"),
            &Value::Null
        )
    );
    let date = ask(&["steps", "--at", "2025-11-28"]);
    assert_eq!((&date["fires"], &date["count"], &date["date"]), (&json!(true), &json!(8), &json!("2025-11-28")));
    assert_eq!(date["starts"].as_array().map(Vec::len), Some(8));
    assert_eq!(
        (&date["starts"][7]["plan"]["start"], &date["starts"][7]["ledger"]),
        (&json!("2025-11-28T22:45:00.000Z"), &Value::Null)
    );
    let filler = ask(&["filler", "--at", "2025-11-27 18:10"]);
    assert_eq!((&filler["fires"], &filler["start"]), (&json!(false), &json!("2025-11-27T03:00:00.000Z")));
}

#[test]
fn the_present_comes_first() {
    let folder = folder(
        "timezone: UTC\ndefaults: {stream: \"https://h/a.mp4\"}\njobs:\n  always: {room: a, at: \"00:00\", to: \"00:00\"}\n  \
         past: {room: b, once: 2025-01-01 10:00, for: 1h}\n  off: {room: c, at: \"10:00\", for: 1h, enabled: false}\n  \
         future: {room: d, once: 2150-01-01 10:00, for: 1h}\n",
    );
    for (job, first, more) in [
        ("always", "now: `always` should be on air", "  inside the window of the start at "),
        ("past", "now: `past` is off, and will not start again", "last before: Wed 2025-01-01 10:00 +00:00, on until 11:00"),
        ("off", "now: `off` is switched off", "  `enabled: false`: the job is switched off, and plans nothing"),
        ("future", "now: `future` is off, and starts next at Thu 2150-01-01 10:00 +00:00", "next:        Thu 2150-01-01"),
    ] {
        let (code, stdout, _) = why(folder.path(), &[job]);
        assert_eq!((code, stdout.lines().next()), (Some(0), Some(first)), "{stdout}");
        assert!(stdout.lines().any(|line| line.starts_with(more)), "{stdout}");
        assert!(stdout.contains("  by the schedule alone: there is no ledger at `state/ingestd.db`"), "{stdout}");
    }
    let (_, stdout, _) = why(folder.path(), &["future", "--at", "2150-01-01 10:00"]);
    assert_eq!(stdout.lines().next(), Some("yes: `future` starts at Thu 2150-01-01 10:00 +00:00, on until 11:00"));
}

#[test]
fn arguments_that_make_no_sense_get_a_hint() {
    let folder = folder(SCHEDULE);
    for (arguments, code, words) in [
        (&["promoo"][..], 1, "error: there is no job `promoo`\n  help: did you mean `promo`?"),
        (&["zzzzzzzzz"], 1, "help: there are `cron-night`, `encore`, `filler`"),
        (&["promo", "--at", "tomorrow"], 2, "`tomorrow` is not a time"),
        (&["promo", "--at", "9999-12-31"], 2, "outside the years"),
        (&["promo", "--format", "csv"], 2, "invalid value 'csv'"),
        (&[], 2, "<JOB>"),
    ] {
        let (found, stdout, stderr) = why(folder.path(), arguments);
        assert_eq!((found, stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}
