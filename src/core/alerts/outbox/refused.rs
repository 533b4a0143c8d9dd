//! Which messages a receiver refuses for what they say. One such message must not keep back what is behind it, and a receiver that refuses
//! everything for a while must lose nothing. Does not know when a message is sent.

use std::collections::BTreeMap;

use super::Item;

/// An alert that was refused alone so often steps back behind the others.
const ALONE_MAX: u32 = 3;

/// It is given up when that has happened so often, each time with another message taken after it.
const ROUNDS_MAX: u32 = 2;

/// What a receiver refuses.
#[derive(Debug)]
pub(super) struct Refused {
    /// So many alerts fit into the next message.
    fit: usize,
    /// By their ids.
    alone: BTreeMap<String, Alone>,
}

#[derive(Debug, Default)]
struct Alone {
    times: u32,
    rounds: u32,
    why: String,
}

impl Default for Refused {
    fn default() -> Refused {
        Refused { fit: usize::MAX, alone: BTreeMap::new() }
    }
}

impl Refused {
    /// Whether an alert has stepped back.
    pub(super) fn is_held(&self, id: &str) -> bool {
        self.alone.get(id).is_some_and(|alone| alone.times >= ALONE_MAX)
    }

    /// Returns what of it goes into the next message: what has stepped back goes alone, when there is nothing else.
    pub(super) fn choose(&self, items: Vec<Item>, most: usize) -> Vec<Item> {
        let (held, mut free): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| self.is_held(&item.alert.id));
        if free.is_empty() {
            let times = |item: &Item| self.alone.get(&item.alert.id).map_or(0, |alone| alone.times);
            return held.into_iter().min_by_key(times).into_iter().collect();
        }
        free.truncate(most.min(self.fit).max(1));
        free
    }

    /// A message was refused: the next one has half as many alerts. One that was alone in it is remembered.
    pub(super) fn refuse(&mut self, items: &[Item], why: &str) {
        let [only] = items else {
            self.fit = items.len() / 2;
            return;
        };
        let alone = self.alone.entry(only.alert.id.clone()).or_default();
        alone.times = alone.times.saturating_add(1);
        why.clone_into(&mut alone.why);
    }

    /// A message was taken. Returns the alerts that are given up, by their ids, with why: they were refused alone, while the receiver
    /// took others before and after that.
    pub(super) fn taken(&mut self, items: &[Item]) -> Vec<(String, String)> {
        self.fit = self.fit.saturating_mul(2);
        for item in items {
            self.alone.remove(&item.alert.id);
        }
        for alone in self.alone.values_mut().filter(|alone| alone.times >= ALONE_MAX) {
            (alone.times, alone.rounds) = (0, alone.rounds + 1);
        }
        self.alone.extract_if(.., |_, alone| alone.rounds >= ROUNDS_MAX).map(|(id, alone)| (id, alone.why)).collect()
    }
}
