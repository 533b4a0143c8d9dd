//! What a step wants written becomes durable, and what it permits is handed out. Does not decide anything, and does not know SQL.
//!
//! When the disk fails, what was decided stays here and is written with the next step that can be: streams on air must be stopped
//! at their end whether or not that can be written down, and only what needs a durable row waits for one.

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
        match self.apply(now) {
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

    /// Whether a task of that id was ever ours.
    pub fn knows_task(&self, task_id: &str) -> Result<bool, LedgerError> {
        if self.pending.adds_task(task_id) { Ok(true) } else { self.holds_task(task_id) }
    }

    /// The permissions that these writes give: one for each call that is not taken back by a later one. Asked in the transaction
    /// that writes them.
    pub(super) fn permissions(
        writes: &[Write],
        call_of: impl Fn(&Key, u32) -> Result<i64, LedgerError>,
    ) -> Result<Vec<Attempt>, LedgerError> {
        /// A permission, and the row of its call or which attempt it is.
        type Permitted<'a> = (&'a Key, Result<i64, u32>);
        let mut permitted: Vec<Permitted<'_>> = Vec::new();
        for write in writes {
            match write {
                Write::Attempt { key, call, .. } => {
                    // What waits since a failed commit may have been claimed again.
                    permitted.retain(|(earlier, _)| *earlier != key);
                    permitted.push((key, Ok(*call)));
                }
                Write::Rearm { key, attempt } => permitted.push((key, Err(*attempt))),
                Write::Remove(key) => permitted.retain(|(earlier, _)| *earlier != key),
                Write::Unsent { call } => permitted.retain(|(_, earlier)| *earlier != Ok(*call)),
                _ => {}
            }
        }
        let attempt = |(key, call): Permitted<'_>| {
            let call = call.or_else(|attempt| call_of(key, attempt))?;
            Ok(Attempt { key: key.clone(), call })
        };
        permitted.into_iter().map(attempt).collect()
    }
}
