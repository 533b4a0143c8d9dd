//! How the loop stands, as `status` shows it. Plain values; where they come from is not known here.

use std::sync::Arc;

use super::fallbacks::OnFallback;
use super::server_clock::describe_offset;
use crate::finding::Finding;
use crate::host::HostStanding;
use crate::plan::holds::Holds;
use crate::trtc::PerAction;
use crate::trtc::advice::SecretPlaces;

/// What only a running daemon knows of itself: for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoopStatus {
    /// Seconds between two describes of a task on air.
    pub watch_period_s: u64,
    /// Requests that wait for the limiter.
    pub queue: PerAction<usize>,
    /// Requests that may leave in a second now; fewer than are written while the endpoint rejects that many.
    pub rate: PerAction<usize>,
    /// `rate` of the settings.
    pub written_rate: usize,
    /// Whether somebody keeps the clock right, if anybody knows.
    pub synchronised: Option<bool>,
    /// The endpoint's clock minus this one, in milliseconds, while two of its answers prove that they differ by more than 2 s.
    pub offset_ms: Option<i64>,
    /// Whether a clock that is not synchronised is trouble: `require_sync` of the settings.
    pub require_sync: bool,
    /// Why starts are held for the clock's sake, if they are.
    pub held: Option<String>,
    /// What operators hold back.
    pub holds: Arc<Holds>,
    /// The shows that play their fallback, or are to.
    pub on_fallback: Arc<[OnFallback]>,
    /// Where the secrets are kept.
    pub secrets: SecretPlaces,
    /// Why the secrets cannot be read again, if they cannot.
    pub secrets_unread: Option<String>,
    /// What is wrong with the ledger's disk, if something is.
    pub disk: Option<String>,
    /// How many seconds the loop has been busy with one turn, if that is longer than a turn may take.
    pub loop_stands_s: Option<u64>,
    /// The same of the ledger's disk, with one commit or query.
    pub disk_stands_s: Option<u64>,
    /// What the doctor and the preflight have found, problems first.
    pub findings: Vec<Finding>,
    /// How this host stands among those that share the ledger; nothing, if it shares it with nobody.
    pub host: Option<Arc<HostStanding>>,
}

impl LoopStatus {
    /// Why this clock cannot be relied on, beside what holds starts: the one rule of the status, of `/readyz` and of the metrics. What nobody
    /// knows is no trouble.
    pub fn clock_trouble(&self) -> Option<String> {
        let unsynchronised = self.require_sync && self.synchronised == Some(false);
        let unsynchronised = unsynchronised.then(|| "the clock is not synchronised, and `require_sync` is true".to_owned());
        self.offset_ms.map(describe_offset).or(unsynchronised)
    }
}
