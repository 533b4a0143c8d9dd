//! Starts at the planned end of another start, link by link, back to a pattern of the clock. Does not know jobs.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::date_starts::end_after;
use super::wall;
use super::{Dates, Start, When};

/// The longest window that `to` makes: a day, plus the largest move of a zone's date.
pub const TO_MAX: Duration = Duration::from_hours(49);

/// The time between a start and the start that follows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Elapsed time, whole milliseconds.
    Lasts(Duration),
    /// The window ends at the first such wall-clock time after its start in this zone, as in [`When::end_at`].
    To(Time, TimeZone),
}

impl Link {
    /// Returns the end of the window that starts at `start`, whose wall-clock time was `written` (the local time if
    /// none was written).
    fn end(&self, start: Timestamp, written: Option<DateTime>) -> Option<Timestamp> {
        match self {
            Link::Lasts(length) => start.checked_add(*length).ok(),
            Link::To(to, zone) => {
                let written = written.unwrap_or_else(|| zone.to_datetime(start));
                wall::timestamp(end_after(zone, start.as_second(), written, *to)?.0)
            }
        }
    }

    /// The longest distance of an end from its start.
    fn reach(&self) -> Duration {
        match self {
            Link::Lasts(length) => *length,
            Link::To(..) => TO_MAX,
        }
    }
}

/// A pattern, and the links between its starts and the starts that follow from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    root: Arc<When>,
    /// At least one. Two neighbours of fixed length are joined into one.
    links: Vec<Link>,
}

impl Chain {
    /// Returns the starts that follow those of `before` by `link`.
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

    /// The longest distance of a start from the start of the root.
    pub fn reach(&self) -> Duration {
        self.links.iter().map(Link::reach).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// How many of its links end by a wall clock: each of them makes the search look at more starts of the root.
    pub fn wall_ends(&self) -> usize {
        self.links.iter().filter(|link| matches!(link, Link::To(..))).count()
    }

    /// The time from a start of the root to the start that follows from it, if it is always the same.
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

    /// Returns the start that follows from a start of the root. `None` after the year 9999.
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
        // With an end by the wall clock, a later start may end earlier at a clock change; but no window ends before it
        // starts.
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
    /// The pattern from which its starts follow: itself, unless they follow others.
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

    /// How long before a start the root's start may be; zero unless it follows others.
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

    /// The same without bounds and exceptions, with the offset that its zones have at `reference`.
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
