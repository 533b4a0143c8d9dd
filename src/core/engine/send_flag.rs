//! Whether a start may still be taken back. The engine and the call agree on it without a lock: whoever changes it first wins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const PENDING: u8 = 0;
const SENT: u8 = 1;
const TAKEN_BACK: u8 = 2;

/// The flag of one start. Clones lead to the same one.
#[derive(Clone, Debug, Default)]
pub struct SendFlag(Arc<AtomicU8>);

impl SendFlag {
    /// Takes the start back. False: it was sent.
    pub fn take_back(&self) -> bool {
        self.0.compare_exchange(PENDING, TAKEN_BACK, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether it was sent.
    pub fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire) == SENT
    }

    /// Whether it was taken back.
    pub fn is_taken_back(&self) -> bool {
        self.0.load(Ordering::Acquire) == TAKEN_BACK
    }

    /// The call is about to send. False: it was taken back.
    pub fn send(&self) -> bool {
        self.0.compare_exchange(PENDING, SENT, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
