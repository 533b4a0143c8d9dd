//! The rundown as a value: the looks of what the ledger has, and what the plots count. What it looks like in a browser is another's.

use std::sync::Arc;

use ingestd::occurrence::{Evidence, Failure, MissedReason, Occurrence, Outcome, State, WaitReason};
use ingestd::plan::Upcoming;
use ingestd::plan::interruptions::{Interrupted, Interruptions};
use ingestd::report::rundown::{AirStep, Bar, Bucket, Language, Look, RowInRange, Rundown, RundownInput, Shown};
use ingestd::report::status::{DaemonView, LedgerView};
use ingestd::schedule::{Schedule, Settings, Source, read};
use ingestd::zones::Zones;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::health::{input, minutes, now};
use super::rows::{armed, ended, fault, missed, on_air};

/// At 10:00, three are to come: two at one instant, and one after them.
const JOBS: &str = "\
timezone: UTC
defaults: {app: main, region: ap-singapore, stream: 'https://cdn.example.com/a.mp4', length: 5m, repeat: forever, for: 30m}
jobs:
  one: {once: 2026-11-22 11:00, room: a}
  two: {once: 2026-11-22 11:00, room: b}
  three: {once: 2026-11-22 11:30, room: a}
";

fn schedule() -> Schedule {
    let source = Source { name: Arc::from("a.yaml"), text: JOBS.to_owned() };
    let settings =
        Settings { apps: Some([(Arc::from("main"), 1)].into()), region: Some(Arc::from("ap-singapore")), ..Settings::default() };
    read(&[source], &settings, &Zones::newest().database, now()).schedule.expect("a schedule")
}

/// The rundown of 9:00 to 13:00, with these rows.
fn rundown(rows: &[Occurrence], language: Language) -> Rundown {
    let mut status = input(LedgerView::default());
    if let DaemonView::Running { state, .. } = &mut status.daemon {
        state.written_rate = 20;
    }
    let schedule = schedule();
    let interruptions = Interruptions::new(&schedule);
    let planned: Vec<Interrupted> = Upcoming::new(&schedule, now()).map(|planned| interruptions.of(planned)).collect();
    let in_range: Vec<RowInRange> = rows.iter().map(|row| RowInRange { occurrence: row.clone(), tasks: Vec::new() }).collect();
    let input = RundownInput {
        status: &status,
        schedule: &schedule,
        rows: &in_range,
        planned: &planned,
        recent: rows,
        drawn: "",
        is_clipped: false,
    };
    let range = minutes(-60)..minutes(180);
    Rundown::new(&input, &Shown { now: now(), range: range.clone(), plotted: range, zone: &TimeZone::UTC, language })
}

fn bar(row: Occurrence, language: Language) -> Bar {
    let rundown = rundown(&[row], language);
    let row = rundown.rooms.iter().find(|room| room.room == "lobby").expect("the room of the row");
    row.bars[0].clone()
}

#[test]
fn each_state_has_a_look_and_says_so_in_both_languages() {
    let done = |outcome, row| Occurrence { state: State::Done { outcome }, ..row };
    let waiting = State::Waiting { until: minutes(1), why: WaitReason::Retry };
    let start = minutes(-20);
    let at_end = Some(minutes(-5));
    let code = || Failure::Code("AuthFailure".to_owned());
    let rows = [
        (armed("show", start), Look::Armed, "armed", "就绪"),
        (
            Occurrence { state: State::Calling, attempts: 2, ..armed("show", start) },
            Look::Trying,
            "trying · 2 attempts",
            "尝试中 · 2 次请求",
        ),
        (
            Occurrence { state: waiting, attempts: 2, ..armed("show", start) },
            Look::Waiting,
            "tries again 10:01:00",
            "重试 10:01:00",
        ),
        (on_air("show", start), Look::OnAir, "on air · to ", "播出中 · 至 "),
        (Occurrence { restarts: 2, ..on_air("show", start) }, Look::OnAir, "healed twice", "恢复 2 次"),
        (
            Occurrence { state: State::Stopping { outcome: Outcome::EndedPlanned }, ..on_air("show", start) },
            Look::Stopping,
            "stopping",
            "正在停止",
        ),
        (Occurrence { ended_at: at_end, ..ended("show", start) }, Look::Ended, "ended · 09:55", "已结束 · 09:55"),
        (
            Occurrence {
                ended_at: at_end,
                ordered_by: Some("uid 7".to_owned()),
                ..done(Outcome::CutOperator, on_air("show", start))
            },
            Look::Cut,
            "cut · 09:55 · operator · by uid 7",
            "被切断 · 09:55 · 操作员 · 由 uid 7",
        ),
        (
            Occurrence { fault: Some(fault(Some("AuthFailure"), "no")), ..done(Outcome::Failed(code()), armed("show", start)) },
            Look::Failed,
            "failed · AuthFailure",
            "失败 · AuthFailure",
        ),
        (missed("show", start, Outcome::Missed(MissedReason::Down)), Look::Missed, "missed · down", "错过 · 服务未运行"),
    ];
    for (row, look, english, chinese) in rows {
        let (one, other) = (bar(row.clone(), Language::English), bar(row, Language::Chinese));
        assert_eq!((one.look, other.look), (look, look), "{english}");
        assert!(one.text.contains(english), "{english}: {}", one.text);
        assert!(other.text.contains(chinese), "{chinese}: {}", other.text);
    }
}

#[test]
fn what_was_joined_late_begins_where_it_was_put_on_air() {
    let sent = Some(minutes(-15));
    let late = Occurrence { first_sent_at: sent, on_air_at: sent, evidence: Some(Evidence::Seen), ..on_air("show", minutes(-20)) };
    let bar = bar(late, Language::English);
    assert_eq!((bar.is_late, bar.from, bar.start), (true, minutes(-15), minutes(-20)));
    assert!(bar.text.contains("5 min 0 s late"), "{}", bar.text);
}

#[test]
fn the_plots_count_what_left_and_what_the_plan_will_send_beside_the_limit() {
    let late = |job: &str, minute: i64, milliseconds: i64| {
        let sent = minutes(minute) + SignedDuration::from_millis(milliseconds);
        Occurrence { first_sent_at: Some(sent), ended_at: Some(minutes(minute + 10)), ..ended(job, minutes(minute)) }
    };
    let joined = Occurrence { first_sent_at: Some(minutes(-20)), ended_at: Some(minutes(-5)), ..ended("joined", minutes(-50)) };
    let rows = [late("a", -40, 1), late("b", -40, 3), late("c", -40, 9), joined];
    let plots = rundown(&rows, Language::English).plots;
    assert_eq!(plots.lateness.milliseconds, [1, 3, 9], "what was joined in progress is not late");
    assert_eq!((plots.lateness.p50, plots.lateness.p99, plots.limit), (Some(3), Some(9), 20));
    // Two start at 11:00, and at 11:30 two end and one starts: starts and stops have a limit each.
    let bucket = |at: Timestamp, most, is_forecast| Bucket { at, most, is_forecast };
    assert_eq!(plots.peak, Some(bucket(minutes(60), 2, true)));
    let forecast: Vec<Bucket> = plots.requests.iter().filter(|bucket| bucket.is_forecast).copied().collect();
    assert_eq!(forecast, [bucket(minutes(60), 2, true), bucket(minutes(90), 2, true), bucket(minutes(120), 1, true)]);
    assert_eq!(plots.requests.iter().find(|bucket| !bucket.is_forecast).map(|bucket| bucket.most), Some(3));
    let to_come: Vec<AirStep> = plots.on_air.iter().filter(|step| step.at > minutes(0)).copied().collect();
    let step = |at, count| AirStep { at, count };
    assert_eq!(to_come[to_come.len() - 3..], [step(minutes(60), 2), step(minutes(90), 1), step(minutes(120), 0)]);
}
