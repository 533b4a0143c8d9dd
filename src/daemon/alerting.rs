//! The alerts of the loop: what a step means to whoever is to be told becomes writes of the same step. Does not decide what a write means,
//! and does not send: a task of its own does, and hears of what changed.

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;

use super::input::AlertMessage;
use crate::engine::{DaemonOptions, Notice, Write, Writes, alert_signals, describe_offset};
use ingestd_core::alerts::{Alert, AlertEvent, AlertWrite, Signal, Troubles};

/// What a daemon begins with.
pub struct Setup {
    /// What it goes by.
    pub options: DaemonOptions,
    /// What is open, and who is told.
    pub troubles: Troubles,
    /// To whoever sends: each alert that is new or changed, after it was written, or when the disk fails.
    pub changes: Option<UnboundedSender<Alert>>,
}

/// Nobody is told.
impl From<DaemonOptions> for Setup {
    fn from(options: DaemonOptions) -> Setup {
        Setup { options, troubles: Troubles::default(), changes: None }
    }
}

/// What is wrong with the daemon as a whole, if something is.
pub(super) struct States<'a> {
    /// Why starts are held for the clock's sake.
    pub(super) held: Option<&'a str>,
    /// How far the endpoint's clock is from this one.
    pub(super) offset_ms: Option<i64>,
    /// Why the ledger cannot be written or read, as was found in the turn before.
    pub(super) disk: Option<&'a str>,
}

/// What the loop keeps of it.
pub(super) struct Alerting {
    troubles: Troubles,
    changes: Option<UnboundedSender<Alert>>,
    /// Decided in this turn.
    changed: Vec<Alert>,
}

impl Alerting {
    pub(super) fn new(troubles: Troubles, changes: Option<UnboundedSender<Alert>>) -> Alerting {
        Alerting { troubles, changes, changed: Vec::new() }
    }

    /// Adds to the writes of a step what they mean, and what was said from outside.
    pub(super) fn add(
        &mut self,
        writes: &mut Writes,
        notices: &[Notice],
        states: &States<'_>,
        messages: Vec<AlertMessage>,
        now: Timestamp,
    ) {
        if self.troubles.is_idle() {
            return;
        }
        let mut signals = alert_signals(writes.list(), notices);
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

    /// Lets whoever sends know of it. What could not be written is told all the same: it may be the disk that fails.
    pub(super) fn publish(&mut self) {
        for alert in self.changed.drain(..) {
            if let Some(changes) = &self.changes {
                // Who sends may be ending.
                let _ = changes.send(alert);
            }
        }
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
