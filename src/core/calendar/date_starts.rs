//! The starts of one date: written times at a clock change, and elapsed steps in a window. It is arithmetic on the few
//! stretches of a day, so a day costs the same with one start and with 86,400. Does not know bounds.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::wall::{self, DAY_SECONDS, Stretch};
use super::{Dst, Start};

/// What happens to a written time at a clock change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClockChangeRule {
    /// In a gap shifted by the gap; in a repeat the first: `at`.
    Shift,
    /// In a gap carried to its end; in a repeat the first: `cron` of a fixed time.
    Carry,
    /// In a gap left out; in a repeat both: `cron` with a wildcard hour or minute.
    Elapse,
}

/// The first start at `lower` or later among the times written for `date`. `next` gives the first written second of the day at
/// or after a second of the day; `calm` is a stretch that is known.
pub(super) fn first_written(
    (zone, calm): (&TimeZone, Option<&Stretch>),
    date: Date,
    lower: i64,
    rule: ClockChangeRule,
    next: impl Fn(u32) -> Option<u32>,
) -> Option<Start> {
    let midnight = wall::midnight(date);
    let first_between = |from: i64, to: i64| {
        let from = u32::try_from(from.clamp(0, DAY_SECONDS)).expect("a second of the day");
        next(from).map(i64::from).filter(|second| *second < to)
    };
    let mut first: Option<Start> = None;
    let mut add = |at: i64, written: i64, dst: Option<Dst>| {
        if let (Some(at), Some(written)) = (wall::timestamp(at), wall::wall_time(written)) {
            let start = Start { at, written, dst };
            first = Some(first.map_or(start, |other| earlier(other, start)));
        }
    };
    let mut before: Option<&Stretch> = None;
    let stretches = wall::stretches(zone, midnight, calm);
    for stretch in stretches.iter() {
        let mut from = stretch.from.max(lower) + stretch.offset - midnight;
        match before {
            Some(before) if before.offset < stretch.offset => {
                let gap = (stretch.from + before.offset - midnight, stretch.from + stretch.offset - midnight);
                if rule == ClockChangeRule::Shift
                    && let Some(second) = first_between(gap.0.max(lower + before.offset - midnight), gap.1)
                {
                    add(midnight + second - before.offset, midnight + second, Some(Dst::Gap));
                } else if rule == ClockChangeRule::Carry && stretch.from >= lower && first_between(gap.0, gap.1).is_some() {
                    add(stretch.from, stretch.from + stretch.offset, Some(Dst::Gap));
                }
            }
            // The part that this stretch repeats was seen before.
            Some(before) if rule != ClockChangeRule::Elapse => from = from.max(stretch.from + before.offset - midnight),
            _ => {}
        }
        if let Some(second) = first_between(from, stretch.to + stretch.offset - midnight) {
            let written = midnight + second;
            let repeated = !stretches.is_ordinary() && wall::wall_time(written).is_some_and(|local| wall::is_repeated(zone, local));
            add(written - stretch.offset, written, repeated.then_some(Dst::Repeat));
        }
        before = Some(stretch);
    }
    first
}

/// Returns the earlier of two starts. Of two at one instant: the one whose written time exists, marked as affected by
/// the gap that moved the other one to it.
pub(super) fn earlier(left: Start, right: Start) -> Start {
    match left.at.cmp(&right.at) {
        std::cmp::Ordering::Less => left,
        std::cmp::Ordering::Greater => right,
        std::cmp::Ordering::Equal if left.dst == right.dst => left,
        std::cmp::Ordering::Equal => {
            let kept = if left.dst == Some(Dst::Gap) { right } else { left };
            Start { dst: Some(Dst::Gap), ..kept }
        }
    }
}

/// The first start at `lower` or later of the sorted one-shots.
pub(super) fn first_once(zone: &TimeZone, written: &[DateTime], lower: i64) -> Option<Start> {
    // Local time and UTC differ by less than a day, and so do a written time and the one it is moved to, a lost day included.
    let slack = 2 * DAY_SECONDS;
    let mut first: Option<Start> = None;
    let nearest = written.partition_point(|local| wall::wall_seconds(*local) < lower - slack);
    for local in &written[nearest..] {
        if first.is_some_and(|first| wall::wall_seconds(*local) > first.at.as_second() + slack) {
            break;
        }
        let (at, dst) = wall::resolve(zone, *local);
        if at >= lower {
            let start = Start { at: wall::timestamp(at)?, written: *local, dst };
            first = Some(first.map_or(start, |other| earlier(other, start)));
        }
    }
    first
}

/// The window of `every` that begins on `date`, and whether its start was moved by a gap. A second time not after the first is
/// on the next day.
pub(super) fn window(zone: &TimeZone, date: Date, between: (Time, Time)) -> Option<((i64, i64), Option<Dst>)> {
    let written = date.to_datetime(between.0);
    let (begin, dst) = wall::resolve(zone, written);
    let (end, _) = end_after(zone, begin, written, between.1)?;
    Some(((begin, end), dst.filter(|dst| *dst == Dst::Gap)))
}

/// The first wall-clock time `to` after the written time, as an instant. If that is not after the start at `at`, for
/// any reason, it is the start + the written difference.
pub(super) fn end_after(zone: &TimeZone, at: i64, written: DateTime, to: Time) -> Option<(i64, Option<Dst>)> {
    let date = if to > written.time() { written.date() } else { written.date().tomorrow().ok()? };
    let written_end = date.to_datetime(to);
    let (end, dst) = wall::resolve(zone, written_end);
    let difference = wall::wall_seconds(written_end) - wall::wall_seconds(written);
    Some((if end > at { end } else { at + difference }, dst))
}

/// The first start at `lower` or later among the steps from the window's begin (inclusive) to its end (exclusive). `moved` says
/// that a gap moved the window.
pub(super) fn first_step(zone: &TimeZone, window: (i64, i64), step: i64, lower: i64, moved: Option<Dst>) -> Option<Start> {
    let (begin, end) = window;
    let steps = (lower - begin).max(0).saturating_add(step - 1).checked_div(step)?;
    let at = begin + steps * step;
    if at >= end {
        return None;
    }
    let at = wall::timestamp(at)?;
    let written = zone.to_datetime(at);
    let dst = moved.or_else(|| wall::is_repeated(zone, written).then_some(Dst::Repeat));
    Some(Start { at, written, dst })
}
