//! What the engine is told from outside, as values: orders of an operator, a schedule that was accepted, the vendor's callbacks.
//! Does not know how they arrive.

use super::prepare::Prepared;
use crate::schedule::JobId;
use crate::trtc::callback::Callback;

/// What is to be taken off the air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopTarget {
    /// Whatever runs of a job.
    Job(JobId),
    /// One task, an orphan included.
    Task(String),
    /// Everything that runs.
    All,
}

/// An order, and who gave it.
#[derive(Clone)]
pub struct Order {
    /// For the ledger: `uid 1000`, `SIGHUP`.
    pub who: String,
    /// What is to be done.
    pub command: Command,
}

/// What is to be done.
#[derive(Clone)]
pub enum Command {
    /// Take off the air.
    Stop(StopTarget),
    /// Play another schedule from now on. It was read, checked and kept already.
    Accept {
        /// The schedule, and what was worked out about it.
        prepared: Box<Prepared>,
        /// What differs from the one before, a line each.
        changes: Vec<String>,
    },
    /// Believe the clock.
    ConfirmClock,
}

/// One thing that the engine is told.
#[derive(Clone)]
pub enum Input {
    /// An order.
    Order(Order),
    /// A callback of the vendor, its signature verified.
    Callback(Callback),
}
