//! Simulated time: tokio's paused clock under a wall clock that begins where a run wants it to, can be set, and can be suspended.
//! Does not know who reads it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingestd::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The simulated clock. Clones show the same time.
#[derive(Clone)]
pub(crate) struct SimClock {
    base: Timestamp,
    origin: Instant,
    shared: Arc<Shared>,
}

struct Shared {
    set: Mutex<Set>,
    changed: Notify,
}

#[derive(Clone, Copy, Default)]
struct Set {
    /// The wall clock minus the true time.
    error: SignedDuration,
    /// How long the host was suspended.
    slept: Duration,
    synchronised: Option<bool>,
}

impl SimClock {
    pub(crate) fn starting_at(base: Timestamp) -> SimClock {
        let shared = Shared { set: Mutex::default(), changed: Notify::new() };
        SimClock { base, origin: Instant::now(), shared: Arc::new(shared) }
    }

    fn set(&self) -> Set {
        *self.shared.set.lock().expect("no panic under the lock")
    }

    fn change(&self, change: impl FnOnce(&mut Set)) {
        change(&mut self.shared.set.lock().expect("no panic under the lock"));
        self.shared.changed.notify_waiters();
    }

    /// What a clock that is right would show: the cloud's time, and that of the checkers.
    pub(crate) fn truth(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.since_boot()).expect("a test lasts days, not centuries");
        self.base + since
    }

    /// How wrong the wall clock is.
    pub(crate) fn error(&self) -> SignedDuration {
        self.set().error
    }

    /// Sets the wall clock forward, or back.
    pub(crate) fn step(&self, by: SignedDuration) {
        self.change(|set| set.error += by);
    }

    /// The host sleeps: time goes by, and no timer runs.
    pub(crate) fn suspend(&self, length: Duration) {
        self.change(|set| set.slept += length);
    }

    /// Somebody keeps it right from now on, or does not.
    pub(crate) fn synchronise(&self, synchronised: Option<bool>) {
        self.change(|set| set.synchronised = synchronised);
    }

    /// Waits for the true time.
    pub(crate) async fn until(&self, at: Timestamp) {
        while self.truth() < at {
            let wait = Duration::try_from(at.duration_since(self.truth())).unwrap_or_default();
            tokio::time::sleep(wait).await;
        }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.truth() + self.error()
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn since_boot(&self) -> Duration {
        self.origin.elapsed() + self.set().slept
    }

    fn synchronised(&self) -> Option<bool> {
        self.set().synchronised
    }

    fn synchronised_at(&self) -> Option<Timestamp> {
        None
    }

    async fn wake_at(&self, at: Timestamp) {
        let changed = self.shared.changed.notified();
        let far = self.now() + SignedDuration::from_hours(24 * 3650);
        let wait = Duration::try_from(at.min(far).duration_since(self.now())).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = changed => {}
        }
    }
}
