//! Simulated time: tokio's paused clock under a wall clock that begins where a test wants it to.

use std::time::Duration;

use ingestd::clock::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The simulated clock. Clones show the same time.
#[derive(Clone)]
pub(crate) struct SimClock {
    base: Timestamp,
    origin: Instant,
}

impl SimClock {
    pub(crate) fn starting_at(base: Timestamp) -> SimClock {
        SimClock { base, origin: Instant::now() }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.origin.elapsed();
        self.base + SignedDuration::try_from(elapsed).expect("a test lasts days, not centuries")
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn since_boot(&self) -> Duration {
        self.origin.elapsed()
    }

    fn synchronised(&self) -> Option<bool> {
        None
    }

    async fn wake_at(&self, at: Timestamp) {
        let since_base = Duration::try_from(at.min(self.base + SignedDuration::from_hours(24 * 3650)).duration_since(self.base));
        tokio::time::sleep_until(self.origin + since_base.unwrap_or_default()).await;
    }
}
