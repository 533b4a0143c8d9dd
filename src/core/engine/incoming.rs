//! What the engine is told: orders, callbacks, what calls brought back. Plain values. Does not know how they come in.

use super::call_report::CallReport;
use super::prepare::Prepared;
use super::stops::StopTarget;
use crate::trtc::callback::Callback;

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

/// What has come in since the last step.
#[derive(Default)]
pub struct Incoming {
    /// What calls brought back, in the order in which they ended.
    pub reports: Vec<CallReport>,
    /// What was said from outside, in the order in which it came.
    pub inputs: Vec<Input>,
}
