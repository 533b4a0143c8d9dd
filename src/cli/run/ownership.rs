//! What a process keeps whatever role it has, and by which right it owns the air. Does not know how the air is taken.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::alerts::AlertEvent;
use crate::cli::Failure;
use crate::clock::SystemClock;
use crate::daemon::Handle;
use crate::host::HostStanding;
use crate::lease::LeaseDeadline;
use crate::systemd;

/// What stays the same for as long as the process lives, whatever it does.
pub(super) struct Host {
    pub(super) clock: SystemClock,
    pub(super) manager: Arc<systemd::Manager>,
}

impl Host {
    pub(super) fn new() -> Result<Host, Failure> {
        let clock = SystemClock::new().map_err(|error| failed("take a timer from the kernel", &error))?;
        let manager = Arc::new(systemd::Manager::from_environment().map_err(|error| failed("reach systemd", &error))?);
        Ok(Host { clock, manager })
    }
}

/// By which right the air is owned.
pub(super) struct Ownership {
    pub(super) deadline: LeaseDeadline,
    pub(super) may_arrive_until: Option<Timestamp>,
    /// Whether the ledger may lack the newest rows.
    pub(super) rows_may_be_lost: bool,
    pub(super) standing: Option<watch::Receiver<HostStanding>>,
    /// True once another owns.
    pub(super) deposed: watch::Receiver<bool>,
    /// Orders to read the schedule again that came since it was this one's to read.
    pub(super) reload: watch::Receiver<u64>,
    /// What is to be told of the change: what happened, what it concerns, in words.
    pub(super) news: Vec<(AlertEvent, String, String)>,
}

impl Ownership {
    /// Nobody shares the ledger. `reload`: orders to read the schedule again, from the first moment of the process.
    pub(super) fn alone(reload: watch::Receiver<u64>) -> Ownership {
        // It never changes.
        let (_, deposed) = watch::channel(false);
        Ownership {
            deadline: LeaseDeadline::never(),
            may_arrive_until: None,
            rows_may_be_lost: false,
            standing: None,
            deposed,
            reload,
            news: Vec::new(),
        }
    }
}

pub(super) fn failed(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot {what}: {error}"))
}

/// Says that it stops.
pub(super) fn stopping(manager: &systemd::Manager) {
    tracing::info!("stopping: streams on air stay on air");
    systemd::log_failure(manager.stopping());
}

/// Tells of a change of the owner. It is an event, and is over when everybody has had the time to be told.
pub(super) async fn tell_news(news: Vec<(AlertEvent, String, String)>, handle: Handle) {
    for (event, key, text) in &news {
        handle.raise(*event, key, text.clone()).await;
    }
    tokio::time::sleep(NEWS_LAST).await;
    for (event, key, _) in &news {
        handle.clear(*event, key, "this host owns the air since then").await;
    }
}

/// How long a change of the owner is news: longer than alerts wait for their like.
const NEWS_LAST: Duration = Duration::from_mins(1);
