//! Whether a start may still be taken back. The engine and the call agree on it without a lock: whoever changes it first wins. And
//! whether the start was punctual, which a call judges once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

const PENDING: u8 = 0;
const SENT: u8 = 1;
const TAKEN_BACK: u8 = 2;

/// The flag of one start. Clones lead to the same one.
#[derive(Clone, Debug, Default)]
pub struct SendFlag(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    was_punctual: AtomicBool,
}

impl SendFlag {
    /// Takes the start back. False: it was sent.
    pub fn take_back(&self) -> bool {
        self.change(TAKEN_BACK)
    }

    /// Whether it was sent.
    pub fn is_sent(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == SENT
    }

    /// Whether it was taken back.
    pub fn is_taken_back(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == TAKEN_BACK
    }

    /// The call is about to send. False: it was taken back.
    pub fn send(&self) -> bool {
        self.change(SENT)
    }

    /// The start could be queued in time: however long it waits from now on, it is not late.
    pub fn note_punctual(&self) {
        self.0.was_punctual.store(true, Ordering::Release);
    }

    /// Whether it could be queued in time, by this call or by one before it that an edit took back.
    pub fn was_punctual(&self) -> bool {
        self.0.was_punctual.load(Ordering::Acquire)
    }

    fn change(&self, to: u8) -> bool {
        self.0.state.compare_exchange(PENDING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
