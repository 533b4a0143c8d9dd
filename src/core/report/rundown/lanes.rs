//! How the bars of a room are laid out: those that are too narrow to be told apart become one, and never across now; those that overlap
//! stand in lines below each other. It does not know what they show.

use jiff::SignedDuration;

use super::{Bar, Look, Shown};

/// How many dots wide the rows are taken to be. They may be wider.
const WIDTH: i64 = 1_200;
/// A bar that is narrower is merged with its like.
const NARROW: i64 = 3;
/// The farthest that two are from each other that are merged.
const GAP: i64 = 2;
/// Most lines of a row.
const LANES_MAX: usize = 6;
/// Of two that follow each other, one may leave the room so much after the other has it.
const OVERLAP: SignedDuration = SignedDuration::from_secs(3);

/// The bars in the order of their beginnings, each with its line, and how many lines there are.
pub(super) fn laid_out(mut bars: Vec<Bar>, shown: &Shown<'_>) -> (Vec<Bar>, usize) {
    bars.sort_by(|one, other| (one.from, one.start, &one.job).cmp(&(other.from, other.start, &other.job)));
    let dot = shown.range.end.duration_since(shown.range.start) / i32::try_from(WIDTH).unwrap_or(i32::MAX);
    let mut merged: Vec<Bar> = Vec::with_capacity(bars.len());
    for bar in bars {
        match merged.last_mut() {
            Some(last) if is_mergeable(last, &bar, dot, shown) => {
                last.count += bar.count;
                last.is_mixed |= bar.is_mixed || bar.job != last.job;
                last.to = last.to.max(bar.to);
            }
            _ => merged.push(bar),
        }
    }
    let mut ends = Vec::new();
    for bar in &mut merged {
        let is_free = |end: &jiff::Timestamp| end.duration_since(bar.from) <= OVERLAP.max(dot);
        let lane = ends.iter().position(is_free).unwrap_or_else(|| ends.len().min(LANES_MAX - 1));
        match ends.get_mut(lane) {
            Some(end) => *end = bar.to,
            None => ends.push(bar.to),
        }
        bar.lane = lane;
    }
    (merged, ends.len().max(1))
}

/// Whether nobody can tell the two apart: of one look, both narrow, near each other, and on one side of now. What is on air now, and what
/// went wrong, stays by itself.
fn is_mergeable(last: &Bar, bar: &Bar, dot: SignedDuration, shown: &Shown<'_>) -> bool {
    let narrow = |bar: &Bar| bar.to.duration_since(bar.from) < dot * i32::try_from(NARROW).unwrap_or(1) * merged_width(bar);
    let near = bar.from.duration_since(last.to) < dot * i32::try_from(GAP).unwrap_or(1);
    let one_side = last.to <= shown.now && bar.to <= shown.now || last.from > shown.now && bar.from > shown.now;
    let alike = last.look == bar.look && matches!(bar.look, Look::Planned | Look::Ended | Look::Skipped | Look::Missed);
    alike && one_side && near && narrow(last) && narrow(bar)
}

/// A bar that is merged already may be as wide as those in it.
fn merged_width(bar: &Bar) -> i32 {
    i32::try_from(bar.count).unwrap_or(i32::MAX).saturating_mul(2).min(1_000)
}
