//! Which occurrences share a room, and what becomes of them when they meet there: conflicts, yields, hand-overs. Refuses to know
//! the rule by which one gives way to another, and when anything was planned.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::desk::Desk;
use super::live::Live;
use super::tasks::Way;
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{Displacement, Event, Key, Occurrence, Outcome, SkippedReason, State, Target, WaitReason, displaced_by};

/// Who is in which room, or waits for it.
#[derive(Default)]
pub(super) struct Rooms {
    keys: HashMap<Target, BTreeSet<Key>>,
    /// The rooms that more than one occurrence is in: all that is ever looked at.
    contested: BTreeSet<Target>,
}

impl Rooms {
    pub(super) fn enter(&mut self, occurrence: &Occurrence) {
        let target = occurrence.playout.target();
        let keys = self.keys.entry(target.clone()).or_default();
        keys.insert(occurrence.key.clone());
        if keys.len() > 1 {
            self.contested.insert(target);
        }
    }

    pub(super) fn leave(&mut self, occurrence: &Occurrence) {
        let target = occurrence.playout.target();
        let Some(keys) = self.keys.get_mut(&target) else { return };
        keys.remove(&occurrence.key);
        if keys.len() < 2 {
            self.contested.remove(&target);
        }
        if keys.is_empty() {
            self.keys.remove(&target);
        }
    }

    pub(super) fn are_contested(&self, target: &Target) -> bool {
        self.contested.contains(target)
    }

    fn meetings(&self) -> impl Iterator<Item = &BTreeSet<Key>> {
        self.contested.iter().filter_map(|target| self.keys.get(target))
    }
}

impl Desk {
    /// Settles who has each room that several want, lets those return whose room is free, and clears the way for starts.
    pub(super) fn settle_rooms(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<(), LedgerError> {
        let meetings: Vec<Vec<Key>> = self.rooms.meetings().map(|keys| keys.iter().cloned().collect()).collect();
        for key in meetings.iter().flatten() {
            if let Some(fate) = self.fate(key, now) {
                self.oust(turn, key, fate, now)?;
            }
        }
        let is_yielding =
            |occurrence: &Occurrence| matches!(occurrence.state, State::Waiting { until, why: WaitReason::Yield } if until > now);
        let yielding: Vec<_> =
            self.live.values().filter(|live| is_yielding(&live.occurrence)).map(|live| live.occurrence.key.clone()).collect();
        for key in yielding {
            if self.fate(&key, now).is_none() && self.held.is_none() {
                self.happen(turn, &key, Event::RoomFree, now)?;
                self.happen(turn, &key, Event::Due, now)?;
            }
        }
        for (key, live) in &self.live {
            if live
                .call
                .as_ref()
                .is_some_and(|call| self.rooms.are_contested(&live.occurrence.playout.target()) || call.is_in_way())
            {
                self.clear_way(key);
            }
        }
        Ok(())
    }

    /// The worst that those who share its room do to an occurrence.
    fn fate(&self, key: &Key, now: Timestamp) -> Option<Displacement> {
        let own = &self.live.get(key)?.occurrence;
        let others = self.rooms.keys.get(&own.playout.target())?;
        let able = others.iter().filter_map(|other| self.live.get(other)).filter(|other| !self.cannot_leave(other));
        let fates = able.filter_map(|other| displaced_by(own, &other.occurrence, now));
        fates.max()
    }

    /// Whether a show was claimed and cannot be sent for now: it takes no room from anybody.
    fn cannot_leave(&self, live: &Live) -> bool {
        self.held.is_some() && live.is_claimed() && live.call.is_none()
    }

    /// What the starts of others that are under way are to a start of `own`: those that give way to it can be stopped only once
    /// they are answered.
    pub(super) fn starts_in_way(&self, own: &Live) -> Way {
        let occurrence = &own.occurrence;
        let sent_at = occurrence.key.start.max(self.last_turn());
        let others = self.rooms.keys.get(&occurrence.playout.target()).into_iter().flatten();
        let starting =
            others.filter_map(|key| self.live.get(key)).filter(|other| other.awaits_answer() && !other.plays_beside(own));
        let gives_way = |other: &Occurrence| {
            other.key != occurrence.key && (other.wanted.is_some() || displaced_by(other, occurrence, sent_at).is_some())
        };
        // Nobody knows whether it will be answered, so that even the same robot is not waited for longer.
        let is_in_way = starting.map(|other| &other.occurrence).any(gives_way);
        if is_in_way { Way::Occupied } else { Way::Free }
    }

    fn oust(&mut self, turn: &mut Turn<'_>, key: &Key, fate: Displacement, now: Timestamp) -> Result<(), LedgerError> {
        let Some(live) = self.live.get(key) else { return Ok(()) };
        let state = live.occurrence.state.clone();
        let event = match fate {
            Displacement::Yields => Event::Yield,
            Displacement::Ends => Event::End,
            Displacement::Preempted | Displacement::Skipped => Event::Cut(Outcome::CutPreempted),
        };
        match state {
            State::Waiting { why: WaitReason::Yield, .. } if fate == Displacement::Yields => Ok(()),
            State::OnAir | State::Waiting { .. } => self.happen(turn, key, event, now),
            State::Armed | State::Calling if live.occurrence.wanted.is_some() => Ok(()),
            State::Armed | State::Calling => {
                let was_never_sent = live.occurrence.attempts == 1 && live.occurrence.first_sent_at.is_none();
                if !self.take_back(turn, key)? {
                    // It is on its way: what becomes of it is known when it is answered.
                    return if fate == Displacement::Yields { Ok(()) } else { self.happen(turn, key, event, now) };
                }
                match fate {
                    Displacement::Yields => self.happen(turn, key, Event::Yield, now),
                    _ if was_never_sent => self.happen(turn, key, Event::Skipped(SkippedReason::Conflict), now),
                    _ => {
                        self.happen(turn, key, Event::Postponed, now)?;
                        self.happen(turn, key, event, now)
                    }
                }
            }
            State::Stopping { .. } | State::Done { .. } => Ok(()),
        }
    }

    /// The next instant at which one occurrence takes a room from another.
    pub(super) fn next_meeting(&self, after: Timestamp) -> Option<Timestamp> {
        self.rooms.meetings().flat_map(|keys| keys.iter().map(|key| key.start)).filter(|start| *start > after).min()
    }
}
