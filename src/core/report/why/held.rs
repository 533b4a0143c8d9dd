//! What operators hold back, as an answer to `why`. Does not know how it was asked for.

use super::super::plan::held_note;
use super::{Reason, Says, WhyInput};
use crate::occurrence::{Occurrence, Outcome, State};
use crate::plan::Planned;

impl WhyInput<'_> {
    /// What operators hold an occurrence back for, in words. What was started all the same is not held back.
    pub(super) fn held(&self, occurrence: &Planned) -> Option<String> {
        let is_skipped = |row: &Occurrence| matches!(row.state, State::Done { outcome: Outcome::Skipped(_) });
        let is_started = self.row(occurrence.start.at).is_some_and(|row| !is_skipped(row));
        held_note(&self.interruptions.of(occurrence.clone()), &self.why.zone).filter(|_| !is_started)
    }

    /// The order as a reason why it does not start.
    pub(super) fn held_reason(&self, occurrence: &Planned) -> Option<Reason> {
        let text = self.held(occurrence)?;
        let why = self.interruptions.of(occurrence.clone()).held?.why;
        Some(Reason::new(why.name(), Says::No, text))
    }
}
