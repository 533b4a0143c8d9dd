//! Which media is looked at when. It fetches nothing.

use jiff::tz::TimeZoneDatabase;

use super::*;
use crate::finding::FindingKind;
use crate::occurrence::Key;
use crate::schedule::{Settings, Source, read};

fn at(minutes: i64) -> Timestamp {
    "2026-11-22T12:00:00Z".parse::<Timestamp>().expect("an instant") + SignedDuration::from_mins(minutes)
}

fn bad() -> Finding {
    Finding::problem(FindingKind::Media, "u", "`u` is not there", "put it there")
}

fn schedule(jobs: &str) -> Schedule {
    let text = format!("timezone: UTC\ndefaults: {{app: main, region: ap-singapore, room: r, for: 1m}}\njobs:\n{jobs}");
    let source = Source { name: "a.yaml".into(), text };
    let reading = read(&[source], &Settings::default(), &TimeZoneDatabase::bundled(), at(0));
    reading.schedule.unwrap_or_else(|| panic!("{:?}", reading.diagnostics))
}

fn starts(jobs: &str) -> Vec<String> {
    let shows = shows(&schedule(jobs), at(0));
    shows.iter().map(|show| format!("{} {}", show.job, show.start.strftime("%d %H:%M"))).collect()
}

#[test]
fn the_shows_of_a_day_are_looked_at_and_of_one_medium_the_next() {
    assert_eq!(starts("  a: {at: '18:00', stream: 'https://h/a.mp4'}\n"), ["a 22 18:00"]);
    assert_eq!(starts("  a: {at: ['12:05', '12:08', '12:30'], stream: 'https://h/a.mp4'}\n"), ["a 22 12:05", "a 22 12:08"]);
    let dated = "  a: {at: ['13:00', '18:00'], stream: 'https://h/{start:%H}.mp4'}\n";
    assert_eq!(starts(dated), ["a 22 13:00", "a 22 18:00"]);
    assert_eq!(starts("  a: {at: '13:00', stream: 'https://h/a.mp4', preflight: false}\n"), [""; 0]);
    assert_eq!(starts("  a: {at: '13:00', stream: 'https://h/a.mp4', enabled: false}\n"), [""; 0]);
    assert_eq!(starts("  a: {once: '2026-11-24 13:00', stream: 'https://h/a.mp4'}\n"), [""; 0]);
}

#[test]
fn media_of_a_start_is_told_from_media_that_is_there_before() {
    for (stream, is_of_start) in [
        ("https://h/a.mp4", false),
        ("https://h/{job}.mp4", false),
        ("https://h/{date}.mp4", true),
        ("https://h/{start:%H}.mp4", true),
    ] {
        let schedule = schedule(&format!("  a: {{at: '13:00', stream: '{stream}'}}\n"));
        assert_eq!(shows(&schedule, at(0))[0].is_of_start, is_of_start, "{stream}");
    }
}

/// The minutes in which the media of a show at `start` is looked at, when each look is good from minute `good_from` on.
fn looks(start: i64, good_from: i64) -> Vec<i64> {
    let schedule = schedule(&format!("  a: {{once: '{}', stream: 'https://h/a.mp4'}}\n", at(start).strftime("%F %T")));
    let mut agenda = Agenda::default();
    let mut minutes = Vec::new();
    for minute in 0..start + 5 {
        let shows = shows(&schedule, at(minute));
        for show in agenda.due(&shows, at(minute)).into_iter().cloned().collect::<Vec<_>>() {
            agenda.looked(&show, at(minute), if minute >= good_from { vec![] } else { vec![bad()] });
            minutes.push(minute);
        }
    }
    minutes
}

#[test]
fn good_media_is_looked_at_once_an_hour_and_ten_minutes_before_for_certain() {
    assert_eq!(looks(180, 0), [0, 60, 120, 170]);
    assert_eq!(looks(5, 0), [0]);
    assert_eq!(looks(11, 0), [0, 1]);
}

#[test]
fn bad_media_is_looked_at_each_minute_in_the_last_ten() {
    assert_eq!(looks(30, 99), [0, 10, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
    assert_eq!(looks(30, 22), [0, 10, 20, 21, 22], "once it is good it is left alone");
}

#[test]
fn each_url_is_looked_at_once_for_all_its_shows() {
    let jobs = "  a: {at: '13:00', stream: 'https://h/a.mp4'}\n  b: {at: '14:00', stream: 'https://h/a.mp4'}\n  \
                c: {at: '15:00', stream: 'https://h/a.mp4', length: 30s}\n";
    let shows = shows(&schedule(jobs), at(0));
    let mut agenda = Agenda::default();
    let due: Vec<&str> = agenda.due(&shows, at(0)).iter().map(|show| show.job.as_str()).collect();
    assert_eq!(due, ["a", "c"], "the job `c` says how long it is");
    agenda.looked(&shows[0], at(0), vec![]);
    agenda.looked(&shows[2], at(0), vec![bad()]);
    assert_eq!(agenda.due(&shows, at(9)).len(), 0);
    assert_eq!(agenda.due(&shows, at(-30)).len(), 2, "a clock that was set back is no reason to wait");
    agenda.doubt_bad();
    assert_eq!(agenda.due(&shows, at(9)).len(), 1);
    assert_eq!(agenda.findings(&shows, at(9)).len(), 1, "it is bad until a look says otherwise");
}

#[test]
fn media_is_good_when_it_was_looked_at_and_unused_when_no_show_to_come_plays_it() {
    let shows = shows(&schedule("  a: {at: '13:00', stream: 'https://h/u.mp4'}\n"), at(0));
    let mut agenda = Agenda::default();
    let state = |agenda: &Agenda, about: &str, minute| agenda.state_of(about, &shows, at(minute));
    let (fault, length) = ("a https://h/u.mp4", "a https://h/u.mp4 length");
    assert_eq!(state(&agenda, fault, 0), MediaState::Open, "it was not looked at");
    agenda.looked(&shows[0], at(0), vec![bad()]);
    assert_eq!(state(&agenda, length, 0), MediaState::Open);
    agenda.looked(&shows[0], at(1), vec![]);
    assert_eq!([state(&agenda, fault, 1), state(&agenda, length, 1)], [MediaState::Good; 2]);
    assert_eq!(state(&agenda, fault, 60), MediaState::Unused, "its show has begun");
    for other in ["b https://h/u.mp4", "a https://h/u.mp", "a https://h/u.mp4x", "a"] {
        assert_eq!(state(&agenda, other, 1), MediaState::Unused, "{other}");
    }
}

#[test]
fn a_finding_names_the_next_show_and_media_that_may_still_come_is_a_note() {
    let jobs = "  a: {at: ['13:00', '18:00'], stream: 'https://h/a.mp4'}\n  b: {at: '13:00', stream: 'https://h/{start:%H}.mp4'}\n";
    let schedule = schedule(jobs);
    let mut agenda = Agenda::default();
    for show in shows(&schedule, at(0)) {
        agenda.looked(&show, at(0), vec![bad()]);
    }
    let told = |minute| {
        let findings = agenda.findings(&shows(&schedule, at(minute)), at(minute));
        findings.iter().map(|finding| format!("{} {}", finding.severity.name(), finding.what)).collect::<Vec<_>>()
    };
    let of = |severity: &str, job: &str, time: &str| {
        format!("{severity} `{job}`, which starts at 2026-11-22T{time}:00Z: `u` is not there")
    };
    assert_eq!(told(0), [of("problem", "a", "13:00"), of("note", "b", "13:00")]);
    assert_eq!(told(50), [of("problem", "a", "13:00"), of("problem", "b", "13:00")]);
    let of_tomorrow = of("note", "b", "13:00").replace("11-22", "11-23");
    assert_eq!(told(61), [of("problem", "a", "18:00"), of_tomorrow]);
}
#[test]
fn a_fallback_is_looked_at_too_and_a_stream_each_half_minute_while_its_fallback_plays() {
    let schedule = schedule("  a: {at: '12:05', stream: 'https://h/a.mp4', length: 1m, fallback: 'https://h/still-{date}.mp4'}\n");
    let found = shows(&schedule, at(0));
    let of = |show: &Show| (show.stream.reveal().to_owned(), show.is_fallback, show.expected.length.is_some());
    let expected = [("https://h/a.mp4".to_owned(), false, true), ("https://h/still-2026-11-22.mp4".to_owned(), true, false)];
    assert_eq!(found.iter().map(of).take(2).collect::<Vec<_>>(), expected);
    let mut agenda = Agenda::default();
    agenda.looked(&found[1], at(0), vec![bad()]);
    let told = agenda.findings(&found, at(0));
    assert!(told[0].what.starts_with("the fallback of `a`, which starts at 2026-11-22T12:05:00Z: "), "{told:?}");
    let key = Key { start: at(5), job: JobId::parse("a").expect("an id") };
    let on_fallback = [show_on_fallback(&OnFallback { key, stream: StreamUrl::new("https://h/a.mp4"), live: false })];
    let second = |seconds| at(6) + SignedDuration::from_secs(seconds);
    assert_eq!(agenda.due_on_fallback(&on_fallback, second(0)).len(), 1, "whatever was seen before");
    for found in [vec![bad()], vec![]] {
        agenda.looked(&on_fallback[0], second(0), found);
        let due = [0, 29, 30, -1].map(|seconds| agenda.due_on_fallback(&on_fallback, second(seconds)).len());
        assert_eq!(due, [0, 0, 1, 1]);
    }
    agenda.keep(found.iter().chain(&on_fallback));
    assert_eq!(agenda.due_on_fallback(&on_fallback, second(1)).len(), 0);
}
