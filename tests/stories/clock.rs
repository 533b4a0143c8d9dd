//! The clock of a story: it follows simulated time, and a story sets it. It does not know the daemon.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingestd::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that a story sets.
#[derive(Clone)]
pub(crate) struct StoryClock {
    origin: Instant,
    shared: Arc<Mutex<(Timestamp, Option<bool>)>>,
    synchronised_at: Arc<Mutex<Option<Timestamp>>>,
    set: Arc<tokio::sync::Notify>,
}

impl StoryClock {
    pub(crate) fn new(start: Timestamp) -> StoryClock {
        StoryClock {
            origin: Instant::now(),
            shared: Arc::new(Mutex::new((start, None))),
            synchronised_at: Arc::default(),
            set: Arc::default(),
        }
    }

    /// Sets the wall clock, as an operator or a time server would.
    pub(crate) fn set(&self, by: SignedDuration) {
        self.shared.lock().expect("no panic").0 += by;
        self.set.notify_waiters();
    }

    pub(crate) fn synchronise(&self, synchronised: Option<bool>) {
        self.shared.lock().expect("no panic").1 = synchronised;
        *self.synchronised_at.lock().expect("no panic") = Some(self.now());
        self.set.notify_waiters();
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.origin.elapsed()).expect("a story lasts days");
        self.shared.lock().expect("no panic").0 + elapsed
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn since_boot(&self) -> Duration {
        self.origin.elapsed()
    }

    fn synchronised(&self) -> Option<bool> {
        self.shared.lock().expect("no panic").1
    }

    fn synchronised_at(&self) -> Option<Timestamp> {
        *self.synchronised_at.lock().expect("no panic")
    }

    async fn wake_at(&self, at: Timestamp) {
        let wait = Duration::try_from(at.min(self.now() + SignedDuration::from_hours(24 * 3650)).duration_since(self.now()));
        tokio::select! {
            () = tokio::time::sleep(wait.unwrap_or_default()) => {}
            () = self.set.notified() => {}
        }
    }
}
