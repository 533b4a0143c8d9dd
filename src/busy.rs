//! Since when somebody is busy with one thing, told without asking that somebody: who asks never waits. Does not know who it is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So long one thing may take. What takes longer stands, and is told.
pub const STANDS_AFTER: Duration = Duration::from_secs(2);

/// Since when one thing is done. Clones tell of the same.
#[derive(Clone, Debug, Default)]
pub struct BusySince(Arc<Mutex<Option<Instant>>>);

impl BusySince {
    /// One thing begins now.
    pub fn begin(&self) {
        self.set(Some(Instant::now()));
    }

    /// It is done.
    pub fn end(&self) {
        self.set(None);
    }

    /// Returns how long the same thing has been done, if that is longer than it may take.
    pub fn stands(&self) -> Option<Duration> {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed()).filter(|time| *time >= STANDS_AFTER)
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// The two whom everything waits for.
#[derive(Clone, Debug, Default)]
pub struct Busy {
    /// The daemon's loop, with one turn.
    pub turn: BusySince,
    /// The ledger's disk, with one commit or query.
    pub disk: BusySince,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_two_seconds_stands_until_it_is_done() {
        let busy = BusySince::default();
        assert_eq!(busy.stands(), None);
        busy.begin();
        tokio::time::advance(Duration::from_millis(1_999)).await;
        assert_eq!(busy.stands(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(busy.stands(), Some(STANDS_AFTER));
        busy.end();
        assert_eq!(busy.stands(), None);
    }
}
