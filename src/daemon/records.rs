//! The ledger as the engine asks it. Does not decide what an answer that cannot be had means.

use std::cell::RefCell;

use super::disk::Disk;
use crate::engine::Records;
use crate::ledger::LedgerError;
use crate::occurrence::Key;

/// The questions of one step. Keeps the first error, since the engine hears only that nobody can say now.
pub(super) struct DiskRecords<'a> {
    disk: &'a Disk,
    error: RefCell<Option<LedgerError>>,
}

impl<'a> DiskRecords<'a> {
    pub(super) fn new(disk: &'a Disk) -> DiskRecords<'a> {
        DiskRecords { disk, error: RefCell::new(None) }
    }

    pub(super) fn into_error(self) -> Option<LedgerError> {
        self.error.into_inner()
    }

    fn keep<T>(&self, answer: Result<T, LedgerError>) -> Option<T> {
        answer.map_err(|error| self.error.borrow_mut().get_or_insert(error).is_passing()).ok()
    }
}

impl Records for DiskRecords<'_> {
    fn has(&self, key: &Key, missed_counts: bool) -> Option<bool> {
        self.keep(self.disk.has(key, missed_counts))
    }

    fn knows_task(&self, task_id: &str) -> Option<bool> {
        self.keep(self.disk.knows_task(task_id))
    }
}
