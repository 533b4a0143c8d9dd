//! What follows from what the owner before may still send. Does not know how that is known.

use jiff::Timestamp;

use super::Airings;
use crate::occurrence::Key;

impl Airings {
    /// A start that the owner before sent may arrive until then: nothing of this occurrence is sent before.
    pub(in crate::engine) fn wait_for_former(&mut self, key: &Key, until: Timestamp) {
        if let Some(airing) = self.open.get_mut(key) {
            airing.not_before = airing.not_before.max(Some(until));
        }
    }

    /// Forgets what has arrived, or never will.
    pub(super) fn forget_former(&mut self, now: Timestamp) {
        self.former.forget_before(now);
        for airing in self.open.values_mut().filter(|airing| airing.not_before.is_some_and(|until| until <= now)) {
            airing.not_before = None;
        }
    }
}
