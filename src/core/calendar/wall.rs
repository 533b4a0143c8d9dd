//! The wall clock of a zone: which instants a local date has, and which instant a written time means. All instants here are
//! whole seconds since 1970, because zones change by whole seconds. Does not know triggers.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::Dst;

/// Seconds of a day without a clock change.
pub(super) const DAY_SECONDS: i64 = 86_400;

/// No zone was ever further from UTC than this (Manila and Alaska before their dates changed: 15 h 56 min).
const OFFSET_SECONDS_MAX: i64 = 16 * 3600;

/// A time during which a zone's offset does not change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// The first instant.
    pub(super) from: i64,
    /// The first instant after it.
    pub(super) to: i64,
    /// Local time minus UTC.
    pub(super) offset: i64,
}

impl Stretch {
    /// Whether it goes on until the day after a local date is over, wherever that date is.
    pub(super) fn outlasts_day_after(&self, date: Date) -> bool {
        midnight(date) + 2 * DAY_SECONDS + OFFSET_SECONDS_MAX <= self.to
    }
}

/// The instant `seconds`, when jiff can express it: the years -9999 to 9999.
pub(super) fn timestamp(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok()
}

/// The last whole second that is not after `instant`.
pub(super) fn floor(instant: Timestamp) -> i64 {
    // jiff keeps seconds and nanoseconds of one sign, so before 1970 a fraction counts downwards.
    instant.as_second() - i64::from(instant.subsec_nanosecond() < 0)
}

/// The first whole second that is not before `instant`.
pub(super) fn ceil(instant: Timestamp) -> i64 {
    instant.as_second() + i64::from(instant.subsec_nanosecond() > 0)
}

/// Midnight of `date` as if the zone were UTC.
pub(super) fn midnight(date: Date) -> i64 {
    wall_seconds(date.at(0, 0, 0, 0))
}

/// A local time as seconds, as if the zone were UTC.
pub(super) fn wall_seconds(local: DateTime) -> i64 {
    // The very last day of year 9999 cannot be converted; no search goes there.
    Offset::UTC.to_timestamp(local).unwrap_or(Timestamp::MAX).as_second()
}

/// The local time that `seconds` means, as if the zone were UTC. `None` outside the years jiff knows.
pub(super) fn wall_time(seconds: i64) -> Option<DateTime> {
    timestamp(seconds).map(|instant| Offset::UTC.to_datetime(instant))
}

/// The instant of a written time, RFC 5545 (Temporal "compatible"): in a gap shifted forward by the gap, in a repeat the first.
pub(super) fn resolve(zone: &TimeZone, written: DateTime) -> (i64, Option<Dst>) {
    let (offset, dst) = match zone.to_ambiguous_timestamp(written).offset() {
        AmbiguousOffset::Unambiguous { offset } => (offset, None),
        AmbiguousOffset::Gap { before, .. } => (before, Some(Dst::Gap)),
        AmbiguousOffset::Fold { before, .. } => (before, Some(Dst::Repeat)),
    };
    (wall_seconds(written) - i64::from(offset.seconds()), dst)
}

/// Whether the local time comes twice.
pub(super) fn is_repeated(zone: &TimeZone, local: DateTime) -> bool {
    matches!(zone.to_ambiguous_timestamp(local).offset(), AmbiguousOffset::Fold { .. })
}

/// The first instant of a local date: midnight, or the end of the gap that contains it. For a date that the zone left
/// out: the instant at which it was left out.
pub(super) fn first_instant(zone: &TimeZone, date: Date) -> i64 {
    let written = date.to_datetime(Time::midnight());
    let wall = wall_seconds(written);
    match zone.to_ambiguous_timestamp(written).offset() {
        AmbiguousOffset::Unambiguous { offset: before } | AmbiguousOffset::Fold { before, .. } => {
            wall - i64::from(before.seconds())
        }
        AmbiguousOffset::Gap { before, after } => {
            let before_the_gap = wall - i64::from(after.seconds());
            let transition = timestamp(before_the_gap)
                .and_then(|instant| zone.following(instant).find(|transition| transition.offset() == after));
            transition.map_or(wall - i64::from(before.seconds()), |transition| transition.timestamp().as_second())
        }
    }
}

/// Every stretch that holds an instant of the local date whose [`midnight`] is given, in order, and the neighbours that
/// a gap or a repeat joins to them. One stretch: an ordinary day. `known` is a stretch that somebody looked up before: the zone is not
/// asked again for what it covers.
pub(super) fn stretches(zone: &TimeZone, midnight: i64, known: Option<&Stretch>) -> Stretches {
    let (begin, end) = (midnight - OFFSET_SECONDS_MAX, midnight + DAY_SECONDS + OFFSET_SECONDS_MAX);
    match known {
        Some(known) if known.from <= begin && end <= known.to => Stretches { rest: Vec::new(), last: Some(*known) },
        _ => stretches_between(zone, begin, end),
    }
}

/// The stretch from some days before an instant to some days after it, if no clock changes in it. No clock changes before the first
/// instant that jiff knows.
pub(super) fn calm(zone: &TimeZone, seconds: i64, before: i64, after: i64) -> Option<Stretch> {
    let begin = (seconds - before * DAY_SECONDS).max(Timestamp::MIN.as_second());
    let stretches = stretches_between(zone, begin, seconds + after * DAY_SECONDS);
    stretches.last.filter(|_| stretches.is_ordinary())
}

/// Every stretch from one instant to another, the first and the last cut there.
fn stretches_between(zone: &TimeZone, begin: i64, end: i64) -> Stretches {
    let Some(instant) = timestamp(begin) else { return Stretches::default() };
    let mut from = begin;
    let mut offset = zone.to_offset(instant);
    let mut rest = Vec::new();
    for transition in zone.following(instant) {
        let at = transition.timestamp().as_second();
        if at >= end {
            break;
        }
        if transition.offset() != offset {
            rest.push(Stretch { from, to: at, offset: i64::from(offset.seconds()) });
            (from, offset) = (at, transition.offset());
        }
    }
    Stretches { rest, last: Some(Stretch { from, to: end, offset: i64::from(offset.seconds()) }) }
}

/// The stretches of one day, without an allocation on an ordinary one.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    rest: Vec<Stretch>,
    last: Option<Stretch>,
}

impl Stretches {
    /// Whether no clock changes on that day or near it.
    pub(super) fn is_ordinary(&self) -> bool {
        self.rest.is_empty()
    }

    /// In order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stretch> {
        self.rest.iter().chain(&self.last)
    }
}
