//! What an order of an operator leaves on an occurrence: who gave it; and holding back what was armed already. Does not know why an operator
//! wants that.

use jiff::Timestamp;

use super::Airings;
use crate::engine::Step;
use crate::engine::airing::Airing;
use crate::occurrence::{Event, Key, Kind, Occurrence, Outcome, SkippedReason, State};
use crate::plan::holds::OrderSource;

impl Airings {
    /// Keeps a planned show that failed while its window is open. One that was started by hand is not the plan's: another order starts
    /// another.
    pub(in crate::engine) fn keep_failed(&mut self, occurrence: Occurrence, now: Timestamp) {
        self.failed.retain(|_, failed| failed.end.at().is_none_or(|end| now < end));
        let is_latest = self.failed.get(&occurrence.key.job).is_none_or(|known| known.key.start <= occurrence.key.start);
        if is_latest && occurrence.kind == Kind::Planned && occurrence.end.at().is_none_or(|end| now < end) {
            self.failed.insert(occurrence.key.job.clone(), occurrence);
        }
    }

    /// Keeps who ordered that it be cut. It is written with what the order changes. What is cut because its job left may come back: an
    /// order keeps it off the air.
    pub(in crate::engine) fn set_ordered_by(&mut self, key: &Key, by: &OrderSource) {
        let cuttable = |airing: &&mut Airing| match &airing.occurrence.state {
            State::Stopping { outcome } => *outcome == Outcome::CutRemoved,
            state => !matches!(state, State::Done { .. }),
        };
        if let Some(airing) = self.open.get_mut(key).filter(cuttable) {
            (airing.occurrence.ordered_by, airing.occurrence.order_note) = (Some(by.who.clone()), by.note.clone());
        }
    }

    /// Skips a planned occurrence of which nothing was sent. False: something was, or it was started by hand; it stays as it is.
    pub(in crate::engine) fn skip_unsent(&mut self, step: &mut Step, key: &Key, reason: SkippedReason, by: &OrderSource) -> bool {
        let Some(airing) = self.get(key) else { return false };
        let occurrence = &airing.occurrence;
        let was_sent = occurrence.first_sent_at.is_some() || occurrence.was_in_doubt || occurrence.on_air_at.is_some();
        if was_sent || occurrence.wanted.is_some() || occurrence.kind != Kind::Planned {
            return false;
        }
        let is_unsent = match occurrence.state {
            State::Armed | State::Calling => occurrence.attempts <= 1 && self.take_back(step, key),
            State::Waiting { .. } => occurrence.attempts == 0,
            State::OnAir | State::Stopping { .. } | State::Done { .. } => false,
        };
        if is_unsent {
            self.set_ordered_by(key, by);
            self.transition(step, key, Event::Skipped(reason));
        }
        is_unsent
    }
}
