//! What an edit does to a plan: the occurrences that it adds, removes, changes and moves. Does not know what is on air.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::iter::Peekable;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{End, Planned};
use crate::schedule::JobId;

/// A date is over everywhere this long after its midnight in UTC: no zone was ever further behind.
const FURTHEST_BEHIND: SignedDuration = SignedDuration::from_hours(16);

/// What an edit did to an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the later plan has it.
    Added,
    /// Only the earlier plan has it.
    Removed,
    /// Both have it, with differences.
    Changed,
    /// It starts at another time of the same local date.
    Moved,
}

impl ChangeKind {
    /// As our JSON writes it.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
            ChangeKind::Moved => "moved",
        }
    }
}

/// A difference between two plans.
#[derive(Clone, Debug)]
pub struct PlanChange {
    /// What the edit did to it.
    pub kind: ChangeKind,
    /// As it was; `None` when it was added.
    pub before: Option<Planned>,
    /// As it will be; `None` when it was removed.
    pub after: Option<Planned>,
    /// In which fields of its job the two differ, of those that decide what is played, where, and until when.
    pub fields: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// A difference that is not returned yet.
enum PendingChange {
    /// Only one plan has it so far. Whether it was moved is known when its date is over.
    Unpaired(Side, Planned),
    Known(PlanChange),
}

/// The differences between two plans, by start (for a moved one: the start in the earlier plan). Holds the differences
/// of a day or two.
pub struct PlanChanges<B: Iterator<Item = Planned>, A: Iterator<Item = Planned>> {
    before: Peekable<B>,
    after: Peekable<A>,
    pending: BTreeMap<(Timestamp, JobId), PendingChange>,
    /// What stands alone, by local date and job, in the order of starts.
    unpaired: BTreeMap<(Date, JobId), Vec<(Timestamp, Side)>>,
}

impl<B: Iterator<Item = Planned>, A: Iterator<Item = Planned>> PlanChanges<B, A> {
    /// Of two plans, each by (start, job id).
    pub fn new(before: B, after: A) -> PlanChanges<B, A> {
        let (before, after) = (before.peekable(), after.peekable());
        PlanChanges { before, after, pending: BTreeMap::new(), unpaired: BTreeMap::new() }
    }

    /// Takes the next start of either plan; `None` when both are over.
    fn step(&mut self) -> Option<Timestamp> {
        let key = |occurrence: &Planned| (occurrence.start.at, occurrence.job.id.clone());
        let order = match (self.before.peek(), self.after.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => (before.start.at, &before.job.id).cmp(&(after.start.at, &after.job.id)),
        };
        let before = if order.is_le() { self.before.next() } else { None };
        let after = if order.is_ge() { self.after.next() } else { None };
        match (before, after) {
            (Some(before), Some(after)) => {
                let (key, fields) = (key(&before), differing(&before, &after));
                let at = key.0;
                if !fields.is_empty() {
                    let change = PlanChange { kind: ChangeKind::Changed, before: Some(before), after: Some(after), fields };
                    self.pending.insert(key, PendingChange::Known(change));
                }
                Some(at)
            }
            (Some(before), None) => Some(self.add_unpaired(Side::Before, before)),
            (None, Some(after)) => Some(self.add_unpaired(Side::After, after)),
            (None, None) => None,
        }
    }

    fn add_unpaired(&mut self, side: Side, occurrence: Planned) -> Timestamp {
        let at = occurrence.start.at;
        let date = occurrence.job.when.zone.to_datetime(at).date();
        self.unpaired.entry((date, occurrence.job.id.clone())).or_default().push((at, side));
        self.pending.insert((at, occurrence.job.id.clone()), PendingChange::Unpaired(side, occurrence));
        at
    }

    /// Decides about the dates before this one, or about all dates: which starts were moved, added, removed.
    fn pair_dates_before(&mut self, before: Option<Date>) {
        while let Some(entry) = self.unpaired.first_entry().filter(|entry| before.is_none_or(|date| entry.key().0 < date)) {
            let ((_, job), starts) = entry.remove_entry();
            for (from, to) in pairs(&starts) {
                let (Some(PendingChange::Unpaired(_, from)), Some(PendingChange::Unpaired(_, to))) =
                    (self.pending.remove(&(from, job.clone())), self.pending.remove(&(to, job.clone())))
                else {
                    continue;
                };
                let key = (from.start.at, job.clone());
                let fields = differing(&from, &to);
                let change = PlanChange { kind: ChangeKind::Moved, before: Some(from), after: Some(to), fields };
                self.pending.insert(key, PendingChange::Known(change));
            }
            for (at, _) in starts {
                if let Some(pending) = self.pending.get_mut(&(at, job.clone()))
                    && let PendingChange::Unpaired(side, occurrence) = pending
                {
                    let occurrence = Some(occurrence.clone());
                    let (kind, before, after) = match side {
                        Side::Before => (ChangeKind::Removed, occurrence, None),
                        Side::After => (ChangeKind::Added, None, occurrence),
                    };
                    *pending = PendingChange::Known(PlanChange { kind, before, after, fields: Vec::new() });
                }
            }
        }
    }
}

impl<B: Iterator<Item = Planned>, A: Iterator<Item = Planned>> Iterator for PlanChanges<B, A> {
    type Item = PlanChange;

    fn next(&mut self) -> Option<PlanChange> {
        loop {
            if let Some(first) = self.pending.first_entry()
                && matches!(first.get(), PendingChange::Known(_))
                && let PendingChange::Known(change) = first.remove()
            {
                return Some(change);
            }
            match self.step() {
                Some(at) => {
                    let behind = at.saturating_sub(FURTHEST_BEHIND).unwrap_or(Timestamp::MIN);
                    self.pair_dates_before(Some(TimeZone::UTC.to_datetime(behind).date()));
                }
                None if self.pending.is_empty() => return None,
                None => self.pair_dates_before(None),
            }
        }
    }
}

/// Returns which starts were moved to which: the nearest pairs first, and of equal ones the earlier. The nearest two
/// are always neighbours, so only neighbours are compared.
fn pairs(starts: &[(Timestamp, Side)]) -> Vec<(Timestamp, Timestamp)> {
    let gap = |left: usize, right: usize| Reverse((starts[right].0.duration_since(starts[left].0), left, right));
    let differ = |left: usize, right: usize| starts[left].1 != starts[right].1;
    let mut left_of: Vec<Option<usize>> = (0..starts.len()).map(|index| index.checked_sub(1)).collect();
    let mut right_of: Vec<Option<usize>> = (1..=starts.len()).map(|index| (index < starts.len()).then_some(index)).collect();
    let mut paired = vec![false; starts.len()];
    let neighbours = (1..starts.len()).filter(|right| differ(right - 1, *right));
    let mut gaps: BinaryHeap<_> = neighbours.map(|right| gap(right - 1, right)).collect();
    let mut pairs = Vec::new();
    while let Some(Reverse((_, left, right))) = gaps.pop() {
        if paired[left] || paired[right] {
            continue;
        }
        (paired[left], paired[right]) = (true, true);
        let (from, to) = if starts[left].1 == Side::Before { (left, right) } else { (right, left) };
        pairs.push((starts[from].0, starts[to].0));
        let (outer_left, outer_right) = (left_of[left], right_of[right]);
        if let Some(left) = outer_left {
            right_of[left] = outer_right;
        }
        if let Some(right) = outer_right {
            left_of[right] = outer_left;
        }
        if let Some((left, right)) = outer_left.zip(outer_right).filter(|(left, right)| differ(*left, *right)) {
            gaps.push(gap(left, right));
        }
    }
    pairs
}

/// Returns the fields in which two occurrences of a job differ. An end that moved with its start is not one of them.
fn differing(before: &Planned, after: &Planned) -> Vec<&'static str> {
    let length = |one: &Planned| one.end.at().map(|end| end.duration_since(one.start.at));
    let rule = |one: &Planned| match one.end {
        End::Planned(_) => 0,
        End::Media(_) => 1,
        End::Open => 2,
        End::Never => 3,
    };
    let start = before.start.at;
    let robot = |one: &Planned| one.job.robot.expand(one.job.id.as_str(), &one.job.room, start);
    let (old, new) = (before.job.as_ref(), after.job.as_ref());
    let same_robot = (old.robot == new.robot && old.room == new.room) || robot(before) == robot(after);
    let end = ((rule(before), length(before)) != (rule(after), length(after))).then_some("end");
    let sent = old.sent_differing(new).filter(|name| *name != "robot" || !same_robot);
    end.into_iter().chain(sent).collect()
}
