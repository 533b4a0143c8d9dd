//! What a step wants written becomes durable, and what it permits is handed out. Does not decide anything, and does not know SQL.
//!
//! When the disk fails, what was decided stays here and is written with the next step that can be: streams on air must be stopped
//! at their end whether or not that can be written down, and only what needs a durable row waits for one.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Ledger, LedgerError};
use crate::engine::{Known, Write, Writes};
use crate::occurrence::Key;

/// The durable permission to send one start. Made only here, handed out only after its row is on the disk, consumed by the call:
/// it cannot be sent twice.
#[derive(Debug)]
pub struct Attempt {
    key: Key,
    call: i64,
}

impl Attempt {
    /// The occurrence.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The row of its call.
    pub fn call(&self) -> i64 {
        self.call
    }

    /// Whether later writes take the permission back: its row goes, its call goes, or a newer claim stands.
    pub(crate) fn is_taken_back_by(&self, later: &Writes) -> bool {
        later.list().iter().any(|write| match write {
            Write::Attempt { key, .. } | Write::Rearm { key, .. } | Write::Remove(key) => *key == self.key,
            Write::Unsent { call } => *call == self.call,
            _ => false,
        })
    }
}

/// What a write permits: the call in this row, or the call of this attempt, whose row stands since before a restart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Permitted {
    Call(i64),
    Attempt(u32),
}

impl Ledger {
    /// Makes a step durable, with whatever could not be written before, and hands out its permissions to send. `now` is kept as
    /// the time of the newest commit. A step that writes nothing does not touch the disk.
    ///
    /// Errors: it could not be written. What was decided is kept, and the next commit tries again; unless the error says that it
    /// can never be ([`LedgerError::is_passing`]): then it is dropped.
    pub fn commit(&mut self, writes: Writes, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        self.pending.extend(writes);
        if self.pending.is_empty() {
            return Ok(Vec::new());
        }
        // What goes into a file that nobody finds any more is not durable.
        match self.check_file().and_then(|()| self.apply(now)) {
            Ok(attempts) => {
                self.pending = Writes::default();
                Ok(attempts)
            }
            Err(error) => {
                if !error.is_passing() {
                    self.pending = Writes::default();
                }
                Err(error)
            }
        }
    }

    /// Whether something was decided that could not be written yet.
    pub fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether there is a row of that name, open or done, on the disk or waiting to be written. A row that says `missed` counts only
    /// where `missed_counts`.
    pub fn has(&self, key: &Key, missed_counts: bool) -> Result<bool, LedgerError> {
        match self.pending.knows(key, missed_counts) {
            Known::Yes => Ok(true),
            Known::No => Ok(false),
            Known::Unknown if missed_counts => self.holds(key),
            Known::Unknown | Known::UnlessMissed => self.holds_unless_missed(key),
        }
    }

    /// Whether a task of that id was ever ours, or an orphan that is gone.
    pub fn knows_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        if self.pending.knows_task(task_id) { Ok(true) } else { self.holds_task(task_id) }
    }

    /// The permissions that these writes give: one for each call that is not taken back by a later one. Asked in the transaction
    /// that writes them.
    pub(super) fn permissions(
        writes: &[Write],
        mut call_of: impl FnMut(&Key, u32) -> Result<i64, LedgerError>,
    ) -> Result<Vec<Attempt>, LedgerError> {
        // By key: what waits since a failed commit may have been claimed again, and the newest claim stands.
        let mut calls: HashMap<&Key, Permitted> = HashMap::new();
        let mut keys: Vec<&Key> = Vec::new();
        for write in writes {
            match write {
                Write::Attempt { key, call, .. } => {
                    calls.insert(key, Permitted::Call(*call));
                    keys.push(key);
                }
                Write::Rearm { key, attempt } => {
                    calls.insert(key, Permitted::Attempt(*attempt));
                    keys.push(key);
                }
                Write::Remove(key) => drop(calls.remove(key)),
                Write::Unsent { call } => calls.retain(|_, permitted| *permitted != Permitted::Call(*call)),
                _ => {}
            }
        }
        let attempt = |(key, permitted): (&Key, Permitted)| {
            let call = match permitted {
                Permitted::Call(call) => call,
                Permitted::Attempt(attempt) => call_of(key, attempt)?,
            };
            Ok(Attempt { key: key.clone(), call })
        };
        // In the order in which they were claimed first.
        let in_order = keys.into_iter().filter_map(|key| calls.remove(key).map(|permitted| (key, permitted)));
        in_order.map(attempt).collect()
    }
}
