//! The promises of the rundown about the plan: pauses and cuts stand where they will be, what is held back looks so, and nothing is merged
//! across now. Where the values come from is another's.

use std::ops::Range;
use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::{Bar, Language, Look, Shown, bars, lanes};
use crate::plan::Upcoming;
use crate::plan::holds::{Hold, Holds, JobPause, OrderSource};
use crate::plan::interruptions::Interruptions;
use crate::schedule::{Schedule, Settings, Source, read};

const JOBS: &str = "\
timezone: UTC
defaults: {app: main, region: ap-singapore, stream: 'https://cdn.example.com/a.mp4', length: 5m, repeat: forever}
jobs:
  filler: {once: 2026-11-29 10:00, for: 4h, room: foyer, conflict: yield}
  news: {once: 2026-11-29 11:00, for: 30m, room: foyer}
  warm-up: {once: 2026-11-29 10:00, for: 4h, room: arena}
  kick-off: {once: 2026-11-29 12:00, for: 1h, room: arena, conflict: preempt}
";

static UTC: TimeZone = TimeZone::UTC;

fn at(text: &str) -> Timestamp {
    format!("2026-11-29T{text}:00Z").parse().expect("an instant")
}

fn schedule() -> Schedule {
    let source = Source { name: Arc::from("a.yaml"), text: JOBS.to_owned() };
    let settings =
        Settings { apps: Some([(Arc::from("main"), 1)].into()), region: Some(Arc::from("ap-singapore")), ..Settings::default() };
    let reading = read(&[source], &settings, &TimeZoneDatabase::bundled(), at("08:00"));
    reading.schedule.unwrap_or_else(|| panic!("{:#?}", reading.diagnostics))
}

fn shown(now: &str, range: Range<Timestamp>, language: Language) -> Shown<'static> {
    Shown { now: at(now), plotted: range.clone(), range, zone: &UTC, language }
}

/// The bars of a job: look, beginning, end, text.
fn drawn(job: &str, holds: &Holds, language: Language) -> Vec<(Look, Timestamp, Timestamp, String)> {
    let schedule = schedule();
    let interruptions = Interruptions::new(&schedule).with_holds(holds, at("09:00"));
    let planned = Upcoming::new(&schedule, at("09:00")).find(|planned| planned.job.id.as_str() == job).expect("it is planned");
    let shown = shown("09:00", at("08:00")..at("20:00"), language);
    let bars = bars::of_plan(&interruptions.of(planned), &shown);
    bars.into_iter().map(|bar| (bar.look, bar.from, bar.to, bar.text)).collect()
}

#[test]
fn one_that_yields_is_drawn_with_its_pause_and_its_return() {
    let bars = drawn("filler", &Holds::default(), Language::English);
    let expected = [
        (Look::Planned, at("10:00"), at("11:00"), "10:00–14:00 · yields at 11:00 to news".to_owned()),
        (Look::Returns, at("11:30"), at("14:00"), "returns 11:30".to_owned()),
    ];
    assert_eq!(bars, expected);
    assert_eq!(drawn("filler", &Holds::default(), Language::Chinese)[0].3, "10:00–14:00 · 11:00 让给 news");
}

#[test]
fn one_that_is_cut_ends_where_the_other_takes_the_room() {
    let bars = drawn("warm-up", &Holds::default(), Language::English);
    assert_eq!(bars, [(Look::Planned, at("10:00"), at("12:00"), "10:00–14:00 · cut 12:00 by kick-off".to_owned())]);
}

#[test]
fn what_operators_hold_back_looks_so_and_says_by_whom() {
    let source = OrderSource { who: "uid 7 (anna)".to_owned(), note: Some("rain".to_owned()) };
    let pause = JobPause { job: None, since: at("08:00"), until: None, source };
    let bars = drawn("warm-up", &Holds::new([Hold::Pause(pause)]), Language::English);
    assert_eq!((bars[0].0, bars[0].3.as_str()), (Look::Skipped, "not started: paused by uid 7 (anna): rain"));
}

fn narrow(from: Timestamp) -> Bar {
    Bar {
        job: "bell".to_owned(),
        start: from,
        look: if from < at("12:00") { Look::Ended } else { Look::Planned },
        from,
        to: from + SignedDuration::from_secs(60),
        is_open: false,
        is_cut: false,
        is_late: false,
        healed: Vec::new(),
        text: String::new(),
        count: 1,
        is_mixed: false,
        lane: 0,
    }
}

#[test]
fn bars_that_nobody_can_tell_apart_are_merged_and_never_across_now() {
    let day = at("00:00")..at("00:00") + SignedDuration::from_hours(24);
    let all = |minutes: i64| {
        (-minutes..minutes).map(|minute| narrow(at("12:00") + SignedDuration::from_mins(minute))).collect::<Vec<_>>()
    };
    let (bars, lanes) = lanes::laid_out(all(20), &shown("12:00", day.clone(), Language::English));
    assert_eq!(lanes, 1);
    let counts: Vec<_> = bars.iter().map(|bar| (bar.look, bar.count)).collect();
    assert!(counts.len() < 8, "{counts:?}");
    assert_eq!(bars.iter().map(|bar| bar.count).sum::<usize>(), 40, "none is lost");
    for bar in &bars {
        assert!(bar.to <= at("12:00") || bar.from >= at("12:00"), "{bar:?} is across now");
    }
    assert!(bars.iter().all(|bar| !bar.is_mixed));
    let other = |bar: Bar| Bar { job: "gong".to_owned(), ..bar };
    let (bars, _) = lanes::laid_out(
        all(20).into_iter().flat_map(|bar| [bar.clone(), other(bar)]).collect(),
        &shown("12:00", day, Language::English),
    );
    assert!(bars.iter().filter(|bar| bar.count > 1).all(|bar| bar.is_mixed), "they are of two jobs: {bars:?}");
    // In an hour there is room for each.
    let (bars, _) = lanes::laid_out(all(20), &shown("12:00", at("11:30")..at("12:30"), Language::English));
    assert_eq!(bars.len(), 40);
}

#[test]
fn what_plays_beside_another_has_a_line_of_its_own_and_what_follows_has_not() {
    let hours = |from: &str, to: &str| Bar { to: at(to), ..narrow(at(from)) };
    let view = shown("12:00", at("08:00")..at("20:00"), Language::English);
    let (bars, lanes) = lanes::laid_out(vec![hours("13:00", "15:00"), hours("14:00", "16:00"), hours("15:00", "17:00")], &view);
    assert_eq!((lanes, bars.iter().map(|bar| bar.lane).collect::<Vec<_>>()), (2, vec![0, 1, 0]));
}
