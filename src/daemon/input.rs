//! What the running daemon is told from outside, as values: orders of an operator, a schedule that was accepted, the vendor's
//! callbacks. Refuses to know how they arrive.

use tokio::sync::{mpsc, oneshot};

use super::Prepared;
use crate::schedule::JobId;
use crate::trtc::callback::Callback;

/// How many inputs may wait for the loop, which takes all of them in one turn.
const WAITING_MAX: usize = 1_024;

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
    pub what: What,
}

/// What is to be done.
#[derive(Clone)]
pub enum What {
    /// Take off the air.
    Stop(StopTarget),
    /// Play another schedule from now on. It was read, judged and kept already.
    Accept {
        /// The schedule, and what was worked out about it.
        prepared: Box<Prepared>,
        /// What differs from the one before, a line each.
        changes: Vec<String>,
    },
    /// Believe the clock.
    ConfirmClock,
}

/// What came of an order: lines for whoever gave it; or why it was refused.
pub type Reply = Result<Vec<String>, String>;

/// One thing the loop is told.
pub enum Input {
    /// An order, and where its reply goes.
    Order(Order, oneshot::Sender<Reply>),
    /// A callback of the vendor, its signature verified.
    Callback(Callback),
}

/// A way to tell a running daemon something. Clones lead to the same one.
#[derive(Clone)]
pub struct Handle {
    inputs: mpsc::Sender<Input>,
}

/// The other end of every [`Handle`].
pub type Inputs = mpsc::Receiver<Input>;

impl Handle {
    /// A handle and the end that the loop reads.
    pub fn new() -> (Handle, Inputs) {
        let (inputs, receiver) = mpsc::channel(WAITING_MAX);
        (Handle { inputs }, receiver)
    }

    /// Gives an order and waits for what came of it. It is recorded by then, unless the ledger cannot be written: then a line of the
    /// reply says so, and it is recorded when it can be.
    pub async fn order(&self, order: Order) -> Reply {
        let gone = || "the daemon is shutting down".to_owned();
        let (sender, reply) = oneshot::channel();
        self.inputs.send(Input::Order(order, sender)).await.map_err(|_| gone())?;
        reply.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Hands on a callback. False: it could not be taken now; the vendor sends it again.
    pub fn callback(&self, callback: Callback) -> bool {
        self.inputs.try_send(Input::Callback(callback)).is_ok()
    }
}
