//! What the engine is told: what a daemon goes by, orders, callbacks. Plain values; what they lead to is not known here.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::call_report::CallReport;
use super::fire::FireOrder;
use super::prepare::Prepared;
use super::secrets::SecretsRead;
use super::stops::StopTarget;
use crate::lease::LeaseLength;
use crate::schedule::JobId;
use crate::trtc::StreamUrl;
use crate::trtc::advice::SecretPlaces;
use crate::trtc::callback::Callback;

/// What a daemon goes by, beside its schedule.
#[derive(Clone, Copy, Debug)]
pub struct DaemonOptions {
    /// Requests a second for each action.
    pub rate: NonZeroU32,
    /// Whether starts wait, up to 5 min, for a clock that nobody has set since the host booted.
    pub require_sync: bool,
    /// A time that has passed for certain: a clock that shows one long before it is wrong.
    pub past: Timestamp,
    /// Where the secrets are kept, for advice.
    pub secrets: SecretPlaces,
    /// How it shares its ledger with other hosts; `None`: with none.
    pub shared: Option<Shared>,
}

/// How a daemon shares its ledger with other hosts, of which one owns the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// How long its lease is.
    pub lease: LeaseLength,
    /// Whether the ledger may lack the newest rows, because the database is replicated without waiting for the copy. Then what is open and
    /// has no row may be on air.
    pub rows_may_be_lost: bool,
}

/// An order, and who gave it.
#[derive(Clone)]
pub struct Order {
    /// For the ledger: `uid 1000`, `SIGHUP`.
    pub who: String,
    /// Why, in their words.
    pub note: Option<String>,
    /// What is to be done.
    pub command: Command,
}

/// What is to be done.
#[derive(Clone)]
pub enum Command {
    /// Take off the air.
    Stop(StopTarget),
    /// Hold one start back.
    Skip {
        /// The job.
        job: JobId,
        /// Its start; `None`: its next.
        start: Option<Timestamp>,
    },
    /// Hold starts back.
    Pause {
        /// Of this job; `None`: of every job.
        job: Option<JobId>,
        /// For how long; `None`: until somebody ends it.
        length: Option<Duration>,
    },
    /// Start by hand.
    Fire(FireOrder),
    /// End a pause, or take a skip back.
    Resume {
        /// The pause of this job; `None`: the pause of every job.
        job: Option<JobId>,
        /// Instead of the pause: the skip of this start of the job.
        start: Option<Timestamp>,
    },
    /// Play another schedule from now on. It was read, checked and kept already.
    Accept {
        /// The schedule, and what was worked out about it.
        prepared: Box<Prepared>,
        /// What differs from the one before, a line each.
        changes: Vec<String>,
    },
    /// Believe the clock.
    ConfirmClock,
    /// The secrets were read again.
    TakeSecrets(SecretsRead),
}

/// The most lines of a reply that the log repeats.
const LOGGED_MAX: usize = 10;

/// The first lines of a reply in one, and how many more there are.
pub(super) fn few(lines: &[String]) -> String {
    let first = lines.iter().take(LOGGED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if lines.len() > LOGGED_MAX { format!("{first}, and {} more", lines.len() - LOGGED_MAX) } else { first }
}

/// One thing that the engine is told.
#[derive(Clone)]
pub enum Input {
    /// An order.
    Order(Order),
    /// A callback of the vendor, its signature verified.
    Callback(Callback),
    /// Somebody looked at media.
    Media(MediaWord),
}

/// What came of a look at media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaWord {
    /// The URL, with the names of secrets in it.
    pub url: StreamUrl,
    /// Whether there is media.
    pub is_there: bool,
    /// How long ago the look began.
    pub ago: SignedDuration,
}

/// What has come in since the last step.
#[derive(Default)]
pub struct Incoming {
    /// What calls brought back, in the order in which they ended.
    pub reports: Vec<CallReport>,
    /// What was said from outside, in the order in which it came.
    pub inputs: Vec<Input>,
}
