//! The ledger as the engine asks it. Does not decide what an answer that cannot be had means.

use std::cell::RefCell;

use crate::engine::Records;
use crate::ledger::{Ledger, LedgerError};
use crate::occurrence::Key;

/// The questions of one step. Keeps the first error, since the engine hears only that nobody can say now.
pub(super) struct LedgerRecords<'a> {
    ledger: &'a Ledger,
    error: RefCell<Option<LedgerError>>,
}

impl<'a> LedgerRecords<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> LedgerRecords<'a> {
        LedgerRecords { ledger, error: RefCell::new(None) }
    }

    pub(super) fn into_error(self) -> Option<LedgerError> {
        self.error.into_inner()
    }

    fn keep<T>(&self, answer: Result<T, LedgerError>) -> Option<T> {
        answer.map_err(|error| self.error.borrow_mut().get_or_insert(error).is_passing()).ok()
    }
}

impl Records for LedgerRecords<'_> {
    fn has(&self, key: &Key, missed_counts: bool) -> Option<bool> {
        self.keep(self.ledger.has(key, missed_counts))
    }

    fn knows_task(&self, task_id: &str) -> Option<bool> {
        self.keep(self.ledger.knows_task(task_id))
    }
}
