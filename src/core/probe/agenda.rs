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
mod tests;
