//! Starts that were claimed and are not to leave: taken back, or held back. Does not know why.

use jiff::Timestamp;

use super::Airings;
use crate::engine::{Call, Step, Write};
use crate::occurrence::{Event, Key, MissedReason, State};

impl Airings {
    /// Asks the call of an occurrence not to send. True: nothing was sent, and nothing will be.
    pub(in crate::engine) fn take_back(&mut self, step: &mut Step, key: &Key) -> bool {
        let Some(airing) = self.open.get_mut(key) else { return false };
        match &airing.call {
            Some(call) if !call.flag.take_back() => return false,
            Some(call) => {
                step.write(Write::Unsent { call: call.row });
                step.calls.push(Call::TakenBack { call: call.row });
            }
            None => {}
        }
        airing.call = None;
        airing.is_claimed()
    }

    /// Takes back every start that was not sent. Returns the earliest start whose row was deleted: the cursor may stay past the others.
    pub(in crate::engine) fn take_back_unsent(&mut self, step: &mut Step) -> Option<Timestamp> {
        let claimed = self.iter().filter(|airing| airing.is_claimed());
        let keys: Vec<_> = claimed.map(|airing| airing.occurrence.key.clone()).collect();
        keys.into_iter().filter(|key| self.take_back_one(step, key)).map(|key| key.start).min()
    }

    /// Takes back one start that an edit changes, if it was not sent. What was punctual stays so.
    pub(in crate::engine) fn take_back_for_edit(&mut self, step: &mut Step, key: &Key) {
        let flag = self.open.get(key).and_then(|airing| airing.call.as_ref()).map(|call| call.flag.clone());
        self.take_back_one(step, key);
        if let Some(airing) = self.open.get_mut(key) {
            airing.was_punctual = flag.is_some_and(|flag| flag.was_punctual());
        }
    }

    /// Takes back one start, if it was not sent. True: its row was deleted. A start whose time has come, a late claim, and a start
    /// that waits for its room keep their rows and wait.
    pub(in crate::engine) fn take_back_one(&mut self, step: &mut Step, key: &Key) -> bool {
        if !self.take_back(step, key) {
            return false;
        }
        let occurrence = &self.open[key].occurrence;
        let is_ahead = occurrence.state == State::Armed && !occurrence.joined && key.start >= step.now;
        if is_ahead {
            step.write(Write::Remove(key.clone()));
            self.remove(key);
        } else {
            self.transition(step, key, Event::Postponed);
        }
        is_ahead
    }

    /// What was claimed in this step could not be written, so it is not sent until it can be.
    pub(in crate::engine) fn hold_back_claims(&mut self, reason: MissedReason) {
        for airing in self.open.values_mut().filter(|airing| airing.is_claimed() && airing.call.is_none()) {
            airing.held_back = Some(reason);
        }
    }

    /// The lease was over when it was to leave: it waits, and if its time passes meanwhile, this is why.
    pub(in crate::engine) fn hold_back(&mut self, key: &Key, reason: MissedReason) {
        if let Some(airing) = self.open.get_mut(key) {
            airing.held_back = Some(reason);
        }
    }
}
