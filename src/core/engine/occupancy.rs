//! Which occurrences are in which room of an application, or wait for it. An index only: who gets the room is said in `contention`.

use std::collections::{BTreeSet, HashMap};

use crate::occurrence::{Key, Occurrence, Target};

/// The index.
#[derive(Default)]
pub(super) struct Occupancy {
    keys: HashMap<Target, BTreeSet<Key>>,
    /// The rooms that more than one occurrence is in: all that is ever looked at.
    contested: BTreeSet<Target>,
}

impl Occupancy {
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

    /// Who is in a room.
    pub(super) fn of<'a>(&'a self, target: &Target) -> impl Iterator<Item = &'a Key> + use<'a> {
        self.keys.get(target).into_iter().flatten()
    }

    pub(super) fn is_contested(&self, target: &Target) -> bool {
        self.contested.contains(target)
    }

    /// Everybody in a contested room, room by room.
    pub(super) fn contenders(&self) -> impl Iterator<Item = &Key> {
        self.contested.iter().filter_map(|target| self.keys.get(target)).flatten()
    }
}
