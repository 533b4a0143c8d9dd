//! The alerts of a step: what it means to whoever is to be told, and what others say, becomes writes of the same step. Pure; does not
//! decide what a write means, and does not send.

use jiff::Timestamp;

use super::alert_signals::alert_signals;
use super::notice::Notice;
use super::server_clock::describe_offset;
use super::write::{Write, Writes};
use crate::alerts::{Alert, AlertEvent, AlertWrite, Signal, Troubles};

/// Something about alerts that does not come from the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertMessage {
    /// A trouble is there.
    Raise {
        /// What it is.
        event: AlertEvent,
        /// What it concerns.
        key: String,
        /// In words.
        text: String,
    },
    /// It is over, if it was there.
    Clear {
        /// What it was.
        event: AlertEvent,
        /// What it concerned.
        key: String,
        /// In words.
        text: String,
    },
    /// What receivers were told.
    Told(Vec<AlertWrite>),
}

/// What is wrong with the daemon as a whole, if something is.
pub struct States<'a> {
    /// Why starts are held for the clock's sake.
    pub held: Option<&'a str>,
    /// How far the endpoint's clock is from this one.
    pub offset_ms: Option<i64>,
    /// Why the ledger cannot be written or read, as was found in the turn before.
    pub disk: Option<&'a str>,
}

/// What the loop keeps of it.
#[derive(Debug, Default)]
pub struct Alerting {
    troubles: Troubles,
    /// Decided, and not taken yet by whoever sends.
    changed: Vec<Alert>,
}

impl Alerting {
    /// Begins with what is open.
    pub fn new(troubles: Troubles) -> Alerting {
        Alerting { troubles, changed: Vec::new() }
    }

    /// Adds to the writes of a step what they and its signals mean, and what was said from outside.
    pub fn add(
        &mut self,
        writes: &mut Writes,
        notices: &[Notice],
        mut signals: Vec<Signal>,
        states: &States<'_>,
        messages: Vec<AlertMessage>,
        now: Timestamp,
    ) {
        if self.troubles.is_idle() {
            return;
        }
        signals.extend(alert_signals(writes.list(), notices));
        signals.extend(self.of_states(states, now));
        let mut all = Vec::new();
        for message in messages {
            match message {
                AlertMessage::Raise { event, key, text } => signals.push(self.troubles.raise_from_outside(event, &key, text, now)),
                AlertMessage::Clear { event, key, text } => signals.push(Signal::clear(event, &key, text)),
                AlertMessage::Told(told) => all.extend(told),
            }
        }
        all.extend(self.troubles.take(signals, now));
        for write in all {
            if let AlertWrite::Put(alert) = &write {
                self.changed.push((**alert).clone());
            }
            writes.push(Write::Alert(write));
        }
    }

    /// Returns what is new or changed since it was asked last. What could not be written is told all the same: it may be the disk that
    /// fails.
    pub fn take_changed(&mut self) -> Vec<Alert> {
        std::mem::take(&mut self.changed)
    }

    fn of_states(&self, states: &States<'_>, now: Timestamp) -> Vec<Signal> {
        let held = states.held.map(|reason| format!("starts are held: {reason}"));
        let offset = states.offset_ms.map(describe_offset);
        let disk = states.disk.map(|error| format!("nothing is started until the ledger can be written: {error}"));
        let compared = [
            ((AlertEvent::Clock, "held"), held, "the clock is believed again, and starts go on"),
            ((AlertEvent::Clock, "offset"), offset, "this clock and the endpoint's agree again"),
            ((AlertEvent::Disk, "ledger"), disk, "the ledger can be written again"),
        ];
        let signal = |(entry, reason, over): ((AlertEvent, &str), Option<String>, &str)| {
            self.troubles.compare(entry, reason.as_deref(), over, now)
        };
        compared.into_iter().filter_map(signal).collect()
    }
}
