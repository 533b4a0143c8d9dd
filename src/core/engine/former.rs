//! What the owner before may still send, although it owns no more: a request that left before its lease ended arrives within seconds.
//! Until then nobody sends the same again, and no other start by the same robot goes into that room. Does not know how that is known.

use jiff::Timestamp;

use super::call_report::Blocker;
use crate::occurrence::{Key, Occurrence, Target};

/// A start that may still arrive.
struct OnItsWay {
    key: Key,
    target: Target,
    robot: String,
    until: Timestamp,
}

/// All of them.
#[derive(Default)]
pub(super) struct FormerStarts {
    open: Vec<OnItsWay>,
}

impl FormerStarts {
    /// A start of this occurrence may arrive until then.
    pub(super) fn add(&mut self, occurrence: &Occurrence, until: Timestamp) {
        let (key, playout) = (occurrence.key.clone(), &occurrence.playout);
        self.open.push(OnItsWay { key, target: playout.target(), robot: playout.robot.clone(), until });
    }

    /// Forgets what has arrived by now, or never will.
    pub(super) fn forget_before(&mut self, now: Timestamp) {
        self.open.retain(|start| start.until > now);
    }

    /// What they are to a start of another occurrence: its robot may be in its room by then.
    pub(super) fn blocker(&self, own: &Occurrence) -> Blocker {
        let playout = &own.playout;
        let is_its = |start: &OnItsWay| start.key != own.key && start.robot == playout.robot && start.target == playout.target();
        if self.open.iter().any(is_its) { Blocker::SameRobot } else { Blocker::Nothing }
    }

    /// When the first of them has arrived.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.open.iter().map(|start| start.until).min()
    }
}
