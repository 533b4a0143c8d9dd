//! The way into a running daemon: a bounded channel that carries what the engine is told, and brings back what came of an order or of
//! a callback. Does not know what they mean.

use tokio::sync::{mpsc, oneshot};

pub use crate::engine::AlertMessage;
use crate::engine::{MediaWord, Order, Receipt, Reply};
use crate::trtc::callback::Callback;
use ingestd_core::alerts::AlertEvent;

/// How many messages may wait for the loop, which takes all of them in one turn.
const WAITING_MAX: usize = 1_024;

/// One thing that the loop is told.
pub enum Message {
    /// An order, and where its reply goes.
    Order(Order, oneshot::Sender<Reply>),
    /// A callback of the vendor, its signature verified, and where it is said what became of it.
    Callback(Callback, oneshot::Sender<Receipt>),
    /// What somebody saw who looked at media.
    Media(MediaWord),
    /// Something about alerts. It is written with the next step.
    Alert(AlertMessage),
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

    /// Raises an alert that lasts until [`Handle::clear`]: the same event and key are one trouble, however often it is raised, and each
    /// receiver that wants the event is told once, then once a day. `text` is a sentence that stands alone; it shows no secret, and a URL only
    /// redacted. It is durable with the next step. A daemon that ends drops it: whoever finds the trouble finds it again.
    ///
    /// ```text
    /// handle.raise(AlertEvent::Preflight, "evening-promo", "`evening-promo` of 18:00: its media answers 404").await;
    /// handle.clear(AlertEvent::Preflight, "evening-promo", "its media can be had again").await;
    /// ```
    pub async fn raise(&self, event: AlertEvent, key: &str, text: impl Into<String>) {
        self.alert(AlertMessage::Raise { event, key: key.to_owned(), text: text.into() }).await;
    }

    /// Ends an alert, if it is open: those who were told of it are told `text`.
    pub async fn clear(&self, event: AlertEvent, key: &str, text: impl Into<String>) {
        self.alert(AlertMessage::Clear { event, key: key.to_owned(), text: text.into() }).await;
    }

    /// Tells what a look at media saw: a show may play its fallback, or be back on its stream.
    pub async fn tell_media(&self, word: MediaWord) {
        // Only a daemon that ends does not take it.
        let _ = self.messages.send(Message::Media(word)).await;
    }

    /// Says something about alerts.
    pub async fn alert(&self, message: AlertMessage) {
        // Only a daemon that ends does not take it.
        let _ = self.messages.send(Message::Alert(message)).await;
    }

    /// Hands on a callback. Returns where it is said what became of it, once that is on the disk; a daemon that ends first says nothing.
    /// `None`: too much waits already.
    pub fn callback(&self, callback: Callback) -> Option<oneshot::Receiver<Receipt>> {
        let (sender, receipt) = oneshot::channel();
        self.messages.try_send(Message::Callback(callback, sender)).ok().map(|()| receipt)
    }
}
