//! What the verb says of the ledger: what became of a start, why one has no row, and what goes on now.

use std::path::Path;

use ingestd::engine::{Write, Writes};
use ingestd::ledger::Ledger;
use ingestd::occurrence::{End, Failure, Kind, MissedReason, Occurrence, OpenDoubt, Outcome, State, WaitReason};
use ingestd::trtc::Repeat;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::filling::write;
use super::rows::{armed, ended, fault, missed, on_air};
use super::{folder, golden, instant, why};

const SCHEDULE: &str = include_str!("../fixtures/why/schedule.yaml");

fn failed(job: &str, start: Timestamp) -> Occurrence {
    let code = "FailedOperation.RestrictedConcurrency";
    Occurrence {
        state: State::Done { outcome: Outcome::Failed(Failure::Code(code.to_owned())) },
        attempts: 14,
        first_sent_at: Some(start + SignedDuration::from_millis(5)),
        fault: Some(fault(Some(code), "too many tasks")),
        was_in_doubt: true,
        ..armed(job, start)
    }
}

/// A ledger that began on 1 September, saw `news` a month later, and has a row for everything before 28 November 2025.
fn with_rows(schedule: &str, rows: &[Occurrence]) -> TempDir {
    let folder = folder(schedule);
    let mut ledger = Ledger::open(&folder.path().join("state")).expect("a ledger");
    let began = instant("2025-09-01T00:00Z");
    let mut writes = Writes::default();
    for job in ["promo", "night", "steps", "off"] {
        writes.push(Write::RecordJobSeen { job: job.to_owned(), at: began });
    }
    writes.push(Write::RecordJobSeen { job: "news".to_owned(), at: instant("2025-10-01T12:00Z") });
    writes.push(Write::Cursor { at: instant("2025-11-28T00:00Z") });
    ledger.commit(writes, began).expect("committed");
    for row in rows {
        write(&mut ledger, row);
    }
    folder
}

#[test]
fn what_became_of_a_start_reads_as_its_golden_text() {
    let at = |day: &str| instant(&format!("2025-11-{day}T17:00Z"));
    let summary = Occurrence {
        kind: Kind::Summary,
        count: 40,
        end: End::Planned(instant("2025-11-22T01:10Z")),
        ..missed("steps", instant("2025-11-14T21:00Z"), Outcome::Missed(MissedReason::Down))
    };
    let by_hand = Occurrence { kind: Kind::Fired, ..ended("off", instant("2025-11-20T12:34:56Z")) };
    let rows = [
        failed("promo", at("27")),
        missed("promo", at("26"), Outcome::Missed(MissedReason::Down)),
        ended("promo", at("25")),
        summary,
        by_hand,
    ];
    let folder = with_rows(SCHEDULE, &rows);
    let cases: [(&str, &[&str]); 10] = [
        ("failed", &["promo", "--at", "2025-11-27 18:00"]),
        ("missed-down", &["promo", "--at", "2025-11-26 18:00"]),
        ("ended", &["promo", "--at", "2025-11-25 19:30"]),
        ("a-date-with-its-outcome", &["promo", "--at", "2025-11-25"]),
        ("summed-up", &["steps", "--at", "2025-11-21 22:15"]),
        ("by-hand", &["off", "--at", "2025-11-20T12:34:56Z"]),
        ("before-the-ledger", &["promo", "--at", "2025-08-01 18:00"]),
        ("before-the-job", &["news", "--at", "2025-10-01 09:00"]),
        ("not-owed", &["promo", "--at", "2025-11-24 18:00"]),
        ("not-settled", &["promo", "--at", "2025-11-28 18:00"]),
    ];
    let reported = cases.into_iter().filter_map(|(name, arguments)| {
        let (code, stdout, stderr) = why(folder.path(), arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{name}");
        assert!(!stdout.contains("hush"), "{stdout}");
        golden(name, &stdout)
    });
    let wrong: Vec<String> = reported.collect();
    assert!(wrong.is_empty(), "these differ from their golden texts (UPDATE_GOLDEN=1 writes them):\n{}", wrong.join("\n"));
    let (_, stdout, _) = why(folder.path(), &["promo", "--at", "2025-11-27 18:00", "--format", "json"]);
    let object: Value = serde_json::from_str(&stdout).expect("an object");
    assert_eq!(object["ledger"]["error_code"], "FailedOperation.RestrictedConcurrency");
    assert_eq!(object["starts"][0]["ledger"], object["ledger"]);
}

/// The first line and the rest of the answer about `always`, which is in its window all day, with this row.
fn answer_about_now(row: impl Fn(Timestamp) -> Occurrence) -> (String, String) {
    let jobs = "timezone: UTC\njobs: {always: {room: a, stream: \"https://h/a.mp4\", at: \"00:00\", to: \"00:00\"}}\n";
    let folder = with_rows(jobs, &[]);
    let start = |folder: &Path| -> Timestamp {
        let (_, stdout, _) = why(folder, &["always", "--format", "json"]);
        let object: Value = serde_json::from_str(&stdout).expect("an object");
        instant(object["start"].as_str().expect("a window is open"))
    };
    // Midnight may come between two questions.
    loop {
        let mut ledger = Ledger::open(&folder.path().join("state")).expect("a ledger");
        let before = start(folder.path());
        write(&mut ledger, &row(before));
        let (_, stdout, _) = why(folder.path(), &["always"]);
        if start(folder.path()) == before {
            let (first, rest) = stdout.split_once('\n').expect("lines");
            return (first.to_owned(), rest.to_owned());
        }
    }
}

#[test]
fn the_present_is_what_the_ledger_says() {
    let (first, rest) = answer_about_now(|start| on_air("always", start));
    assert_eq!(first, "now: `always` is on air");
    assert!(rest.contains("\n  ledger: on air: on air since 00:00\n"), "{rest}");
    assert!(rest.contains("\n    task -task+of.always, in ap-singapore\n"), "{rest}");
    let (first, rest) = answer_about_now(|start| Occurrence { in_doubt: true, ..failed("always", start) });
    assert_eq!(first, "now: `always` is not on air: failed (FailedOperation.RestrictedConcurrency)");
    assert!(rest.contains("\n    in doubt: no answer proves whether a start that was sent began, so it may be on air\n"), "{rest}");
    assert!(rest.contains("\n    what to do: the account's quota of running tasks is used up"), "{rest}");
    let retry = |start: Timestamp| Occurrence {
        state: State::Waiting { until: start + SignedDuration::from_hours(3), why: WaitReason::Retry },
        ..failed("always", start)
    };
    let (first, rest) = answer_about_now(retry);
    assert_eq!(first, "now: `always` is not settled: waiting (retry)");
    assert!(rest.contains("the last attempt failed, and the next leaves at 03:00"), "{rest}");
}

#[test]
fn a_show_that_is_on_past_its_end_is_one_of_the_schedule() {
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("in range");
    let start = now - SignedDuration::from_hours(2);
    let row = || Occurrence { end: End::Planned(now - SignedDuration::from_hours(1)), ..on_air("show", start) };
    let stopping = State::Stopping { outcome: Outcome::EndedPlanned };
    let once = start.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let jobs = |job: &str| format!("timezone: UTC\njobs: {{show: {{room: a, stream: \"https://h/a.mp4\", {job}}}}}\n");
    let moment = |at: Timestamp| {
        at.strftime(if at.as_second() % 60 == 0 { "%a %Y-%m-%d %H:%M +00:00" } else { "%a %Y-%m-%d %H:%M:%S +00:00" })
    };
    let ask = |job: &str, row: &Occurrence| why(with_rows(&jobs(job), std::slice::from_ref(row)).path(), &["show"]).1;
    let has = format!("\n  ledger has the row for {}", moment(start));
    for (state, word) in [(State::OnAir, "on air"), (stopping, "stopping")] {
        let told = ask(&format!("once: {once}, for: 1h"), &Occurrence { state, ..row() });
        let expected = format!("{has}, which was to end at {}: {word}: ", moment(now - SignedDuration::from_hours(1)));
        assert!(told.contains(&expected) && !told.contains("does not plan"), "{told}");
    }
    let media =
        ask(&format!("once: {once}, length: 1h"), &Occurrence { end: End::Media(now - SignedDuration::from_hours(1)), ..row() });
    assert!(media.contains(&format!("{has}, whose media was to end at ")), "{media}");
    // The schedule has no such start any more.
    let edited = ask("once: 2150-01-01 10:00, for: 1h", &row());
    let expected = format!("\n  ledger has a row for {}, which the schedule does not plan: on air: ", moment(start));
    assert!(edited.contains(&expected), "{edited}");
}

#[test]
fn a_ledger_that_cannot_be_read_leaves_the_schedule() {
    let folder = folder(SCHEDULE);
    std::fs::write(folder.path().join("state/ingestd.db"), "no database").expect("writable");
    let (code, stdout, _) = why(folder.path(), &["promo", "--at", "2025-11-27 18:00"]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("yes: `promo` was to start at Thu 2025-11-27 18:00 +01:00, on until 20:00\n"), "{stdout}");
    assert!(stdout.contains("\n  by the schedule alone: "), "{stdout}");
}

#[test]
fn a_start_that_is_still_in_doubt_is_told_with_what_may_play() {
    // It was sent to a live source, which nothing ends: it is told for eight days.
    let start = Timestamp::now() - SignedDuration::from_mins(30);
    let start = Timestamp::from_second(start.as_second()).expect("in range");
    let mut row = Occurrence { was_in_doubt: true, ..ended("promo", start) };
    (row.playout.live, row.playout.repeat) = (true, Repeat::Times(1));
    let folder = with_rows(SCHEDULE, std::slice::from_ref(&row));
    let ask = |folder: &TempDir| why(folder.path(), &["promo", "--at", &start.to_string()]).1;
    assert!(ask(&folder).contains("a start of it was in doubt for a time"), "{}", ask(&folder));
    let mut ledger = Ledger::open(&folder.path().join("state")).expect("a ledger");
    let mut writes = Writes::default();
    writes.push(Write::AddDoubt(Box::new(OpenDoubt::new(&row, start))));
    ledger.commit(writes, Timestamp::now()).expect("committed");
    drop(ledger);
    let told = ask(&folder);
    assert!(told.contains("still in doubt: a start sent at ") && told.contains("it has no bound in the cloud"), "{told}");
    assert!(told.contains("in room lobby as robot promo") && !told.contains("for a time"), "{told}");
}
