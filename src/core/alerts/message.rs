//! What one message says: the alerts in it, as an object for programs. Does not know when it is sent, and how a receiver wants it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Alert, text};

/// What there is to tell of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It began.
    Begun,
    /// It was found again, an hour or more after it was told last.
    Again,
    /// It has lasted a day since it was told last.
    Reminder,
    /// It is over.
    Recovered,
}

impl What {
    /// As our JSON writes it.
    pub fn name(self) -> &'static str {
        match self {
            What::Begun => "begun",
            What::Again => "again",
            What::Reminder => "reminder",
            What::Recovered => "recovered",
        }
    }
}

/// One alert in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is told of it.
    pub what: What,
    /// The alert, as it was then.
    pub alert: Alert,
}

/// One message to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The receiver's name.
    pub receiver: String,
    /// The id of the first alert in it. A message that is sent twice has it twice.
    pub id: String,
    /// By their beginnings.
    pub items: Vec<Item>,
    /// How many more wait that did not fit.
    pub more: usize,
}

impl Message {
    /// As plain text of at most so many bytes: the counts and the first three.
    pub fn text(&self, host: &str, bytes_max: usize) -> String {
        text::text(self, host, bytes_max)
    }

    /// As an object. Its keys are a contract: the README has them.
    pub fn json(&self, host: &str, now: Timestamp) -> Value {
        let alerts: Vec<Value> = self.items.iter().map(object).collect();
        json!({
            "id": self.id,
            "host": host,
            "sent_at": instant(now),
            "text": self.text(host, text::BYTES_MAX),
            "alerts": alerts,
            "more": self.more,
        })
    }
}

fn object(Item { what, alert }: &Item) -> Value {
    let end = alert.end.as_ref();
    let text = match (what, end.and_then(|end| end.text.as_deref())) {
        (What::Recovered, Some(text)) => text,
        _ => &alert.text,
    };
    json!({
        "id": alert.id,
        "event": alert.event.name(),
        "what": what.name(),
        "key": alert.key,
        "count": alert.count,
        "text": text,
        "begun": instant(alert.begun),
        "ended": end.map(|end| instant(end.at)),
    })
}

fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}
