//! When a show plays its fallback, and when it is back on its stream: what looks at media and the vendor say, and what follows for one
//! show. Pure. Does not know who looks, and how a show leaves the air.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{End, Occurrence, Playout, State, start_request};
use crate::trtc::error::STREAM_URL;
use crate::trtc::{Repeat, StreamUrl};
use crate::words::words;

/// How long a look tells something. Media that is missing is looked at each minute before its show, and every 30 s while a fallback plays.
const LOOK_HOLDS: SignedDuration = SignedDuration::from_mins(3);

/// How long a show stays on its fallback after it went back to its stream in vain; each further time twice as long.
const RETURN_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// The longest of these waits.
const RETURN_WAIT_MAX: SignedDuration = SignedDuration::from_mins(10);

/// A stream that played for so long was gone back to for good: what fails then is counted anew.
const PLAYED_WELL: SignedDuration = SignedDuration::from_mins(10);

/// The most changes between stream and fallback that are kept of a show: the last ones.
const PLAYED_MAX: usize = 100;

/// What of a job plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its `stream`.
    Stream,
    /// Its `fallback`.
    Fallback,
}

/// Why a stream cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackReason {
    /// A look before the start did not find it.
    Preflight,
    /// The vendor answered `InvalidParameter.StreamUrl`.
    Refused,
    /// A callback said that the vendor cannot pull it.
    Unpulled,
}

words!(FallbackReason { Preflight = "preflight", Refused = "refused", Unpulled = "unpulled" });

impl FallbackReason {
    /// In words, as what follows "its stream cannot be had: ".
    pub fn words(self) -> &'static str {
        match self {
            FallbackReason::Preflight => "it was not there when it was looked at before the start",
            FallbackReason::Refused => "TRTC refuses it (InvalidParameter.StreamUrl)",
            FallbackReason::Unpulled => "TRTC cannot pull it",
        }
    }
}

/// Since when a stream cannot be had, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamTrouble {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: FallbackReason,
}

/// What a show played for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// The stream or the fallback, with the names of secrets in it.
    pub url: StreamUrl,
    /// Since when.
    pub from: Timestamp,
    /// Until when; `None`: it plays, or is to be put on air again.
    pub to: Option<Timestamp>,
}

/// What is remembered of a show that has a fallback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FallbackRecord {
    /// While it is there, the fallback is to play.
    pub trouble: Option<StreamTrouble>,
    /// How often lately it went back to its stream.
    pub returns: u32,
    /// Whether the vendor refused the fallback too, when it was tried last. Then both are tried in turn, and no more often than a show
    /// without a fallback is.
    pub is_refused: bool,
    /// What it played when, oldest first; empty for a show that never played its fallback.
    pub played: Vec<Played>,
}

/// What looks at media saw lately.
#[derive(Clone, Debug, Default)]
pub struct KnownMedia {
    looks: HashMap<StreamUrl, MediaLook>,
}

/// What came of the newest look at media: when it began, and whether the media was there.
#[derive(Clone, Copy, Debug)]
struct MediaLook {
    began: Timestamp,
    is_there: bool,
}

impl KnownMedia {
    /// Takes in what came of a look that began then.
    pub fn learn(&mut self, url: StreamUrl, began: Timestamp, is_there: bool) {
        self.looks.retain(|_, look| began.duration_since(look.began) < LOOK_HOLDS);
        if self.looks.get(&url).is_none_or(|known| known.began <= began) {
            self.looks.insert(url, MediaLook { began, is_there });
        }
    }

    /// The clock was set: when something was looked at is not known any more.
    pub fn forget(&mut self) {
        self.looks.clear();
    }

    /// Whether the newest look did not find it.
    fn is_missing(&self, url: &StreamUrl, now: Timestamp) -> bool {
        self.looks.get(url).is_some_and(|look| !look.is_there && now.duration_since(look.began) < LOOK_HOLDS)
    }

    /// When the newest look began, if that found it.
    fn found_at(&self, url: &StreamUrl) -> Option<Timestamp> {
        self.looks.get(url).filter(|look| look.is_there).map(|look| look.began)
    }
}

/// Returns what a show plays from its next start on; of a show on air, what it is to play now.
///
/// While its stream cannot be had that is its fallback, until a look that began later finds the stream. Before it is on air, looks alone
/// may say that the stream is missing, if they do not say so of the fallback.
pub fn plays(show: &Occurrence, media: &KnownMedia, now: Timestamp) -> Source {
    let scheduled = show.playout.scheduled();
    let Some(fallback) = &scheduled.fallback else { return Source::Stream };
    if let Some(trouble) = &show.fallback.trouble {
        let from = trouble.since.saturating_add(show.fallback.return_wait()).unwrap_or(Timestamp::MAX);
        let is_back = media.found_at(&scheduled.stream).is_some_and(|at| at >= from) && show.has_stream_left(now);
        return if is_back { Source::Stream } else { Source::Fallback };
    }
    let is_ahead = show.state != State::OnAir && !show.fallback.is_refused;
    let is_missing = media.is_missing(&scheduled.stream, now) && !media.is_missing(fallback, now);
    if is_ahead && is_missing { Source::Fallback } else { Source::Stream }
}

impl FallbackRecord {
    /// How long after its trouble began it goes back at the earliest.
    fn return_wait(&self) -> SignedDuration {
        match self.returns {
            0 => SignedDuration::ZERO,
            returns => (RETURN_WAIT * 2_i32.saturating_pow((returns - 1).min(10))).min(RETURN_WAIT_MAX),
        }
    }

    fn push(&mut self, played: Played) {
        if self.played.len() >= PLAYED_MAX {
            self.played.remove(0);
        }
        self.played.push(played);
    }

    /// What played last is off the air.
    pub(super) fn close(&mut self, at: Timestamp) {
        if let Some(last) = self.played.last_mut() {
            last.to.get_or_insert(at);
        }
    }
}

impl Playout {
    /// Returns what the job says: itself, or that in whose place it plays.
    pub fn scheduled(&self) -> &Playout {
        self.instead_of.as_deref().unwrap_or(self)
    }

    /// Returns the playout of its fallback, if it has one: from the beginning, in a loop; what is live plays as it comes.
    pub fn of_fallback(&self) -> Option<Playout> {
        let stream = self.fallback.clone()?;
        let live = stream.is_rtmp();
        let repeat = if live { Repeat::Times(1) } else { Repeat::Forever };
        let (length, seek, instead_of) = (None, Duration::ZERO, Some(Box::new(self.clone())));
        Some(Playout { stream, live, length, seek, repeat, fallback: None, instead_of, ..self.clone() })
    }

    /// Returns `text`, written by somebody who may repeat what was sent, without the secret parts of any of its URLs.
    pub fn mask(&self, text: &str) -> String {
        let scheduled = self.scheduled();
        let others = scheduled.fallback.iter().chain(self.instead_of.iter().map(|playout| &playout.stream));
        others.fold(self.stream.mask(text), |text, url| url.mask(&text))
    }
}

impl Occurrence {
    /// Whether it plays its fallback, or asked for it last.
    pub fn plays_fallback(&self) -> bool {
        self.playout.instead_of.is_some()
    }

    /// Whether it is to play something else than it asked for last.
    pub fn wants_other_source(&self) -> bool {
        self.fallback.trouble.is_some() != self.plays_fallback()
    }

    /// Whether its stream was just refused, and its fallback was not yet.
    pub(crate) fn falls_back(&self) -> bool {
        self.was_refused_media() && self.playout.fallback.is_some() && !self.fallback.is_refused
    }

    /// Why its stream could not be had, if its fallback was just refused and its stream was not: that has tries of its own.
    pub(crate) fn goes_back_unrefused(&self) -> Option<FallbackReason> {
        let trouble = self.fallback.trouble.filter(|_| self.plays_fallback() && self.was_refused_media())?;
        Some(trouble.why).filter(|why| *why != FallbackReason::Refused)
    }

    /// Whether the vendor refused what was to be played.
    pub(crate) fn was_refused_media(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.code.as_deref() == Some(STREAM_URL))
    }

    /// The stream that was asked for last cannot be had, as the vendor said at `now`.
    pub fn stream_is_missing(&mut self, why: FallbackReason, now: Timestamp) {
        if self.plays_fallback() || self.playout.fallback.is_none() || self.fallback.trouble.is_some() {
            return;
        }
        let since = self.fallback.played.last().filter(|last| last.to.is_none()).map(|last| last.from);
        if since.is_some_and(|since| now.duration_since(since) >= PLAYED_WELL) {
            self.fallback.returns = 0;
        }
        self.fallback.trouble = Some(StreamTrouble { since: now, why });
    }

    /// The vendor refused the fallback, too. `retry.attempts` count for each of the two: a stream that was not refused has its own.
    pub fn fallback_is_refused(&mut self) {
        if self.goes_back_unrefused().is_some() {
            self.tries = 0;
        }
        self.fallback.is_refused = true;
        self.go_back();
    }

    /// Returns a show that is claimed as it is to be sent: with its stream, or with its fallback.
    #[must_use]
    pub fn with_source(mut self, media: &KnownMedia, now: Timestamp) -> Occurrence {
        self.decide_source(plays(&self, media, now), now);
        self.change_source(now);
        self
    }

    /// What it plays next is decided.
    pub fn decide_source(&mut self, source: Source, now: Timestamp) {
        match (source, self.fallback.trouble.is_some()) {
            (Source::Fallback, false) => {
                self.fallback.trouble = Some(StreamTrouble { since: now, why: FallbackReason::Preflight });
            }
            (Source::Stream, true) => self.go_back(),
            _ => {}
        }
    }

    /// What it plays is taken off the air.
    pub fn close_played(&mut self, now: Timestamp) {
        self.fallback.close(now);
    }

    fn go_back(&mut self) {
        self.fallback.trouble = None;
        self.fallback.returns = self.fallback.returns.saturating_add(1);
    }

    /// It asks for the other source from its next attempt on. It is off the air, or about to be.
    pub fn change_source(&mut self, now: Timestamp) {
        if !self.wants_other_source() {
            return;
        }
        let off_at = self.lost_at.unwrap_or(now);
        let scheduled = self.playout.instead_of.as_deref().cloned();
        let Some(next) = scheduled.or_else(|| self.playout.of_fallback()) else { return };
        // It begins to play something else: what it played so far is worth a word.
        if let (true, Some(from)) = (self.fallback.played.is_empty(), self.on_air_at) {
            self.fallback.push(Played { url: self.playout.stream.clone(), from, to: None });
        }
        self.fallback.close(off_at);
        self.replace_playout(next);
    }

    /// It is on air. As long as it never played its fallback, its row says when.
    pub(super) fn note_played(&mut self, now: Timestamp) {
        let (url, plays_fallback) = (self.playout.stream.clone(), self.plays_fallback());
        self.fallback.is_refused &= !plays_fallback;
        match self.fallback.played.last() {
            None if !plays_fallback => {}
            Some(last) if last.to.is_none() && last.url == url => {}
            _ => {
                self.fallback.close(now);
                self.fallback.push(Played { url, from: now, to: None });
            }
        }
    }

    /// Whether something of its stream is left to play at `now`.
    fn has_stream_left(&self, now: Timestamp) -> bool {
        match &self.playout.instead_of {
            None => true,
            Some(scheduled) => start_request(&Occurrence { playout: (**scheduled).clone(), ..self.clone() }, now).is_ok(),
        }
    }

    /// When it must be off the air. With an open end a fallback plays as long as a start may be tried, and no longer: nothing else would
    /// ever end it.
    pub fn stops_at(&self) -> Option<Timestamp> {
        if self.end != End::Open || !self.plays_fallback() {
            return self.end.at();
        }
        let played = || self.fallback.played.last().map(|last| last.from);
        let since = self.fallback.trouble.map(|trouble| trouble.since).or_else(played)?;
        since.checked_add(self.within_open_end()).ok()
    }
}
