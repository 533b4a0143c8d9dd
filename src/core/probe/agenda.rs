//! When which media is looked at: that of the next 24 hours in time, and each again ten minutes before its show. It plans and
//! remembers; it does not fetch, and has no clock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::judge::Expected;
use crate::engine::OnFallback;
use crate::finding::{Finding, FindingSeverity};
use crate::occurrence::Source;
use crate::plan::Upcoming;
use crate::schedule::{Job, JobId, Schedule};
use crate::trtc::StreamUrl;

/// How long before a start its media is looked at for certain.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// How far ahead media is looked at.
pub const LOOK_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// How long a good look holds.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(1);

/// How long a bad look holds, in the ten minutes before a start; and the least time between two looks at one URL.
const BAD_FOR: SignedDuration = SignedDuration::from_mins(1);

/// The same of a show that is further ahead.
const BAD_FOR_LATER: SignedDuration = SignedDuration::from_mins(10);

/// How often the stream of a show that plays its fallback is looked at.
const ON_FALLBACK: SignedDuration = SignedDuration::from_secs(30);

/// The most URLs of shows that are further ahead than ten minutes: the next ones.
const LATER_MAX: usize = 200;

/// The most starts of one job that are looked at.
const STARTS_MAX: usize = 100;

/// A show to come, and its media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Show {
    /// When it starts.
    pub start: Timestamp,
    /// Its job.
    pub job: JobId,
    /// Its media, with the names of secrets in it.
    pub stream: StreamUrl,
    /// What the job says of it.
    pub expected: Expected,
    /// Whether each start has media of its own, which may come later than now.
    pub is_of_start: bool,
    /// Whether this is the job's fallback.
    pub is_fallback: bool,
}

/// What is looked at once. One URL may be good for one job and too short for another.
type MediaKey = (StreamUrl, Option<Duration>, bool);

impl Show {
    fn key(&self) -> MediaKey {
        (self.stream.clone(), self.expected.length, self.expected.live)
    }

    /// Whether both play the same media, and say the same of it.
    pub fn plays_the_same(&self, other: &Show) -> bool {
        self.key() == other.key()
    }

    /// Returns a finding of its media with the show that needs it. What each start has for itself may come until ten minutes before it:
    /// until then it is a note.
    pub fn tell(&self, finding: &Finding, now: Timestamp) -> Finding {
        let may_come = self.is_of_start && self.start.duration_since(now) > AHEAD;
        let severity = if may_come { FindingSeverity::Note } else { finding.severity };
        let about = format!("{} {}", self.job, finding.about);
        let of = if self.is_fallback { "the fallback of " } else { "" };
        let what = format!("{of}`{}`, which starts at {:.0}: {}", self.job, self.start, finding.what);
        let field = if self.is_fallback { "`fallback`" } else { "`stream`" };
        let advice = finding.advice.replace("`stream`", field);
        Finding { severity, about, what, advice, ..finding.clone() }
    }
}

/// Returns the shows of the next 24 hours whose media is to be looked at, by start; one that has a fallback a second time, for that. Of a
/// job that plays one medium they are its starts in the next ten minutes, or else its next one.
pub fn shows(schedule: &Schedule, now: Timestamp) -> Vec<Show> {
    let (soon, last) = (now.saturating_add(AHEAD), now.saturating_add(LOOK_AHEAD));
    let (Ok(soon), Ok(last)) = (soon, last) else { return Vec::new() };
    let mut shows = Vec::new();
    let looked_at = schedule.jobs().filter(|job| job.enabled && job.preflight);
    let sources = looked_at.flat_map(|job| [(job, Source::Stream), (job, Source::Fallback)]);
    for (job, source) in sources.filter(|(job, source)| *source == Source::Stream || job.fallback.is_some()) {
        let starts = Upcoming::of([job], now).map(|occurrence| occurrence.start.at).take_while(|start| *start <= last);
        let mut found: Vec<Show> = Vec::new();
        for start in starts.take(STARTS_MAX) {
            let Some(show) = show(job, source, start) else { continue };
            if !show.is_of_start && !found.is_empty() && start > soon {
                break;
            }
            found.push(show);
        }
        shows.append(&mut found);
    }
    shows.sort_by(|one, other| (one.start, &one.job, one.is_fallback).cmp(&(other.start, &other.job, other.is_fallback)));
    shows
}

/// `None`: the job has no fallback.
fn show(job: &Arc<Job>, source: Source, start: Timestamp) -> Option<Show> {
    let stream_at = |start| match source {
        Source::Stream => Some(job.stream_at(start)),
        Source::Fallback => job.fallback_at(start),
    };
    let stream = stream_at(start)?;
    // Two weeks, a month and a bit: what changes with the start differs there.
    let other = start.saturating_add(SignedDuration::from_hours(45 * 24 + 7)).unwrap_or(Timestamp::MAX);
    let is_of_start = stream_at(other)? != stream;
    let is_fallback = source == Source::Fallback;
    let expected = match source {
        Source::Stream => Expected { length: job.length, live: job.live },
        Source::Fallback => Expected { length: None, live: stream.is_rtmp() },
    };
    Some(Show { start, job: job.id.clone(), stream, expected, is_of_start, is_fallback })
}

/// Returns a show that plays its fallback, with its stream, which may be there again.
pub fn show_on_fallback(show: &OnFallback) -> Show {
    let OnFallback { key, stream, live } = show;
    let expected = Expected { length: None, live: *live };
    let (start, job, stream) = (key.start, key.job.clone(), stream.clone());
    Show { start, job, stream, expected, is_of_start: false, is_fallback: false }
}

/// A look at a URL: when, and what came of it.
#[derive(Debug)]
struct Looked {
    at: Timestamp,
    findings: Vec<Finding>,
    /// Somebody may have fixed it since.
    is_doubted: bool,
}

impl Looked {
    fn is_good(&self) -> bool {
        !self.findings.iter().any(Finding::is_problem)
    }
}

/// What is known now of media that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaState {
    /// The newest look found nothing wrong.
    Good,
    /// It is bad, or is still to be looked at.
    Open,
    /// No show to come plays it.
    Unused,
}

/// What was looked at, by URL, and so what is to be looked at next.
#[derive(Debug, Default)]
pub struct Agenda {
    looks: HashMap<MediaKey, Looked>,
}

impl Agenda {
    /// Returns the shows whose media is to be looked at now: each URL once, those that start first before the others.
    pub fn due<'a>(&self, shows: &'a [Show], now: Timestamp) -> Vec<&'a Show> {
        let mut due: Vec<&Show> = Vec::new();
        let (mut seen, mut later) = (HashSet::new(), 0);
        for show in shows.iter().filter(|show| show.start > now) {
            if !seen.insert(show.key()) {
                continue;
            }
            let is_soon = show.start.duration_since(now) <= AHEAD;
            if !is_soon {
                later += 1;
                if later > LATER_MAX {
                    break;
                }
            }
            if self.looks.get(&show.key()).is_none_or(|look| is_due(look, show, is_soon, now)) {
                due.push(show);
            }
        }
        due
    }

    /// Returns which of these, the shows that play their fallback, are to be looked at now: each URL once.
    pub fn due_on_fallback<'a>(&self, shows: &'a [Show], now: Timestamp) -> Vec<&'a Show> {
        let mut seen = HashSet::new();
        let is_due = |look: &Looked| {
            let age = now.duration_since(look.at);
            age.is_negative() || age >= ON_FALLBACK
        };
        let due = shows.iter().filter(|show| seen.insert(show.key()) && self.looks.get(&show.key()).is_none_or(is_due));
        due.collect()
    }

    /// Remembers what came of a look.
    pub fn looked(&mut self, show: &Show, at: Timestamp, findings: Vec<Finding>) {
        self.looks.insert(show.key(), Looked { at, findings, is_doubted: false });
    }

    /// Returns what is known to be wrong with the media of these shows, each URL once, with the show that needs it first.
    pub fn findings(&self, shows: &[Show], now: Timestamp) -> Vec<Finding> {
        let mut seen = HashSet::new();
        let first = shows.iter().filter(|show| show.start > now && seen.insert(show.key()));
        let looks = first.filter_map(|show| Some((show, self.looks.get(&show.key())?)));
        looks.flat_map(|(show, look)| look.findings.iter().map(|finding| show.tell(finding, now))).collect()
    }

    /// Forgets what none of these shows plays.
    pub fn keep<'a>(&mut self, shows: impl IntoIterator<Item = &'a Show>) {
        let keys: HashSet<MediaKey> = shows.into_iter().map(Show::key).collect();
        self.looks.retain(|known, _| keys.contains(known));
    }

    /// What was bad is looked at again now: somebody may have fixed it. Until then it counts as bad.
    pub fn doubt_bad(&mut self) {
        self.looks.values_mut().for_each(|look| look.is_doubted = !look.is_good());
    }

    /// Returns what is known of the media that a finding of [`Show::tell`] is about.
    pub fn state_of(&self, about: &str, shows: &[Show], now: Timestamp) -> MediaState {
        let plays = |show: &&Show| {
            let of_job = about.strip_prefix(show.job.as_str()).and_then(|rest| rest.strip_prefix(' '));
            let rest = of_job.and_then(|rest| rest.strip_prefix(show.stream.redacted().as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let players = shows.iter().filter(|show| show.start > now).filter(plays);
        let is_good = |show: &Show| self.looks.get(&show.key()).is_some_and(Looked::is_good);
        players.fold(MediaState::Unused, |state, show| match state {
            MediaState::Unused | MediaState::Good if is_good(show) => MediaState::Good,
            _ => MediaState::Open,
        })
    }
}

fn is_due(look: &Looked, show: &Show, is_soon: bool, now: Timestamp) -> bool {
    let age = now.duration_since(look.at);
    // The clock may have been set back.
    if age.is_negative() || look.is_doubted {
        return true;
    }
    let holds = match (look.is_good(), is_soon) {
        (true, _) => GOOD_FOR,
        (false, true) => BAD_FOR,
        (false, false) => BAD_FOR_LATER,
    };
    let is_of_before = is_soon && look.at < show.start.saturating_sub(AHEAD).unwrap_or(Timestamp::MIN);
    age >= holds || (is_of_before && age >= BAD_FOR)
}

#[cfg(test)]
mod tests {
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
        let jobs =
            "  a: {at: ['13:00', '18:00'], stream: 'https://h/a.mp4'}\n  b: {at: '13:00', stream: 'https://h/{start:%H}.mp4'}\n";
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
        let schedule =
            schedule("  a: {at: '12:05', stream: 'https://h/a.mp4', length: 1m, fallback: 'https://h/still-{date}.mp4'}\n");
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
}
