//! Starts at the planned end of something else, link by link, back to a pattern that the clock knows. Refuses to know jobs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::date_starts::end_after;
use super::wall;
use super::{Dates, Start, When};

/// Longest window that `to` makes: a day, and as much as a zone ever moved its date.
pub const TO_MAX: Duration = Duration::from_hours(49);

/// What lies between a start and the one that follows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// So much elapsed time, whole milliseconds.
    Lasts(Duration),
    /// It ends at the first such wall-clock time after its own in this zone, as [`When::end_at`] has it.
    To(Time, TimeZone),
}

impl Link {
    /// The end of what starts at `start`, whose wall-clock time was `written`; its local time where none was.
    fn end(&self, start: Timestamp, written: Option<DateTime>) -> Option<Timestamp> {
        match self {
            Link::Lasts(length) => start.checked_add(*length).ok(),
            Link::To(to, zone) => {
                let written = written.unwrap_or_else(|| zone.to_datetime(start));
                wall::timestamp(end_after(zone, start.as_second(), written, *to)?.0)
            }
        }
    }

    /// No end is further from its start.
    fn reach(&self) -> Duration {
        match self {
            Link::Lasts(length) => *length,
            Link::To(..) => TO_MAX,
        }
    }
}

/// A pattern, and what lies between its starts and those that follow from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    root: Arc<When>,
    /// At least one. No two neighbours are of fixed length: they are one.
    links: Vec<Link>,
}

impl Chain {
    /// The starts that follow those of `before` by `link`.
    pub fn following(before: &When, link: Link) -> Chain {
        let super::Trigger::After(chain) = &before.trigger else {
            return Chain { root: Arc::new(before.clone()), links: vec![link] };
        };
        let mut links = chain.links.clone();
        match (links.last_mut(), &link) {
            (Some(Link::Lasts(length)), Link::Lasts(more)) => *length = length.saturating_add(*more),
            _ => links.push(link),
        }
        Chain { root: Arc::clone(&chain.root), links }
    }

    /// The pattern at its beginning.
    pub fn root(&self) -> &When {
        &self.root
    }

    /// No start is further from that of the root.
    pub fn reach(&self) -> Duration {
        self.links.iter().map(Link::reach).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// How many of its links end by a wall clock: with each of them more starts of the root must be looked at.
    pub fn wall_ends(&self) -> usize {
        self.links.iter().filter(|link| matches!(link, Link::To(..))).count()
    }

    /// The time from every start of the root to what follows from it, where that is always the same.
    pub(super) fn fixed(&self) -> Option<Duration> {
        match self.links[..] {
            [Link::Lasts(length)] => Some(length),
            _ => None,
        }
    }

    /// The zones whose clocks decide.
    pub fn zones(&self) -> impl Iterator<Item = &TimeZone> {
        let ends = self.links.iter().filter_map(|link| match link {
            Link::To(_, zone) => Some(zone),
            Link::Lasts(_) => None,
        });
        std::iter::once(&self.root.zone).chain(ends)
    }

    /// The same from another root, with these zones instead.
    pub(super) fn with(&self, root: When, zone: impl Fn(&TimeZone) -> TimeZone) -> Chain {
        let links = self.links.iter().map(|link| match link {
            Link::To(to, old) => Link::To(*to, zone(old)),
            Link::Lasts(length) => Link::Lasts(*length),
        });
        Chain { root: Arc::new(root), links: links.collect() }
    }

    /// What follows from a start of the root. `None` past the year 9999.
    fn end(&self, start: Start) -> Option<Timestamp> {
        let mut written = Some(start.written);
        self.links.iter().try_fold(start.at, |at, link| link.end(at, written.take()))
    }

    /// The first at `instant` or later.
    pub(super) fn not_before(&self, instant: Timestamp) -> Option<Timestamp> {
        let earliest = instant.checked_sub(self.reach()).unwrap_or(Timestamp::MIN);
        let first = self.root.not_before(earliest)?;
        if self.fixed().is_some() {
            return self.end(first);
        }
        // Where a wall clock ends them, a later start may end earlier, at a change; but none ends before it starts.
        let mut best: Option<Timestamp> = None;
        for start in std::iter::successors(Some(first), |start| self.root.next_after(start.at)) {
            if best.is_some_and(|best| best <= start.at) {
                break;
            }
            let end = self.end(start)?;
            if end >= instant {
                best = Some(best.map_or(end, |best| best.min(end)));
            }
        }
        best
    }

    /// The last before `instant`.
    pub(super) fn latest_before(&self, instant: Timestamp) -> Option<Timestamp> {
        let reach = self.reach();
        let earliest = instant.checked_sub(reach).ok()?;
        let before = self.root.latest_before(earliest);
        if self.fixed().is_some() {
            return self.end(before?);
        }
        let from = before.map_or(earliest, |before| before.at.checked_sub(reach).unwrap_or(Timestamp::MIN));
        let ends = self.root.between(from, instant).filter_map(|start| self.end(start));
        ends.filter(|end| *end < instant).max()
    }
}

impl When {
    /// What its starts go back to: itself, unless they follow others.
    pub fn root(&self) -> &When {
        match &self.trigger {
            super::Trigger::After(chain) => chain.root(),
            _ => self,
        }
    }

    /// The zones whose clocks decide when it starts, its own first.
    pub fn zones(&self) -> impl Iterator<Item = &TimeZone> {
        let chain = match &self.trigger {
            super::Trigger::After(chain) => Some(chain.zones()),
            _ => None,
        };
        std::iter::once(&self.zone).chain(chain.into_iter().flatten())
    }

    /// How long before a start what decides it may lie; zero unless it follows others.
    pub fn reach(&self) -> Duration {
        match &self.trigger {
            super::Trigger::After(chain) => chain.reach(),
            _ => Duration::ZERO,
        }
    }

    /// The same without exceptions; `None` when it has none.
    pub fn without_exceptions(&self) -> Option<When> {
        if self.root().except.is_empty() {
            return None;
        }
        let mut plain = self.clone();
        match &self.trigger {
            super::Trigger::After(chain) => {
                let root = chain.root().without_exceptions()?;
                plain.trigger = super::Trigger::After(Arc::new(chain.with(root, TimeZone::clone)));
            }
            _ => plain.except = Arc::new(Dates::default()),
        }
        Some(plain)
    }

    /// The same without bounds and exceptions, if clocks stood as they do at `reference`.
    #[must_use]
    pub fn still(&self, reference: Timestamp) -> When {
        let fixed = |zone: &TimeZone| TimeZone::fixed(zone.to_offset(reference));
        let trigger = match &self.trigger {
            super::Trigger::After(chain) => super::Trigger::After(Arc::new(chain.with(chain.root().still(reference), fixed))),
            other => other.clone(),
        };
        When { trigger, zone: fixed(&self.zone), from: None, until: None, except: Arc::default() }
    }
}
