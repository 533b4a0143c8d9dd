//! The way into a running daemon: a bounded channel that carries what the engine is told, and brings back what came of an order or of
//! a callback. Does not know what they mean.

use tokio::sync::{mpsc, oneshot};

use crate::engine::{Order, Receipt, Reply};
use crate::trtc::callback::Callback;

/// How many messages may wait for the loop, which takes all of them in one turn.
const WAITING_MAX: usize = 1_024;

/// One thing that the loop is told.
pub enum Message {
    /// An order, and where its reply goes.
    Order(Order, oneshot::Sender<Reply>),
    /// A callback of the vendor, its signature verified, and where it is said what became of it.
    Callback(Callback, oneshot::Sender<Receipt>),
}

/// A way to tell a running daemon something. Clones lead to the same one.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
}

/// The other end of every [`Handle`].
pub type Messages = mpsc::Receiver<Message>;

impl Handle {
    /// A handle and the end that the loop reads.
    pub fn new() -> (Handle, Messages) {
        let (messages, receiver) = mpsc::channel(WAITING_MAX);
        (Handle { messages }, receiver)
    }

    /// Gives an order and waits for what came of it. It is recorded by then, unless the ledger cannot be written: then a line of the
    /// reply says so, and it is recorded when it can be.
    pub async fn order(&self, order: Order) -> Reply {
        let gone = || "the daemon is shutting down".to_owned();
        let (sender, reply) = oneshot::channel();
        self.messages.send(Message::Order(order, sender)).await.map_err(|_| gone())?;
        reply.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Hands on a callback. Returns where it is said what became of it, once that is on the disk; a daemon that ends first says nothing.
    /// `None`: too much waits already.
    pub fn callback(&self, callback: Callback) -> Option<oneshot::Receiver<Receipt>> {
        let (sender, receipt) = oneshot::channel();
        self.messages.try_send(Message::Callback(callback, sender)).ok().map(|()| receipt)
    }
}
