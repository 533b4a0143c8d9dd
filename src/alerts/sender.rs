//! The task that sends, beside the loop and off the air path: it takes what is new from the loop, sends what the outbox says, and gives
//! back to the loop what was told, which is written with the next step. A receiver that hangs holds up nobody. Decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::deliver::{Deliverer, host_name};
use super::heartbeat::beat;
use super::{Alert, Failed, Kept, Outbox, Troubles, receivers};
use crate::busy::Busy;
use crate::clock::Clock;
use crate::config::{AlertReceiver, AlertTo};
use crate::daemon::{AlertMessage, Handle};

/// How it stands with the receivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertStatus {
    /// Why alerts do not go out, a line for each receiver.
    pub reasons: Vec<String>,
    /// How many alerts wait, each counted for each receiver.
    pub waiting: usize,
    /// Why a heartbeat is not taken, by its name.
    pub heartbeats: BTreeMap<String, String>,
}

impl AlertStatus {
    /// Everything that somebody should know, a line each.
    pub fn lines(&self) -> Vec<String> {
        let heartbeat = |(name, why): (&String, &String)| format!("the heartbeat `{name}` is not taken: {why}");
        self.reasons.iter().cloned().chain(self.heartbeats.iter().map(heartbeat)).collect()
    }
}

/// What sends, before the daemon is there.
pub struct Alerts {
    settings: Vec<AlertReceiver>,
    outbox: Outbox,
    changed: UnboundedReceiver<Alert>,
    deliverer: Deliverer,
    status: watch::Sender<AlertStatus>,
}

/// It sends until this is dropped.
pub struct Sending {
    // They end with the set.
    _tasks: JoinSet<()>,
}

impl Alerts {
    /// Takes over what the ledger has. Returns also what the loop needs: what is open, and where it says what changed.
    ///
    /// Errors: the host has no certificates to trust.
    pub fn new(settings: &[AlertReceiver], kept: Vec<Kept>) -> Result<(Alerts, Troubles, UnboundedSender<Alert>), String> {
        let receivers = receivers(settings);
        let wanted = receivers.iter().map(|receiver| (receiver.name.clone(), receiver.on.clone())).collect();
        let troubles = Troubles::new(wanted, &kept);
        let (sender, changed) = unbounded_channel();
        let (outbox, deliverer) = (Outbox::new(receivers, kept), Deliverer::new(host_name())?);
        let status = watch::Sender::new(AlertStatus::default());
        Ok((Alerts { settings: settings.to_vec(), outbox, changed, deliverer, status }, troubles, sender))
    }

    /// How it stands with the receivers, kept up to date.
    pub fn status(&self) -> watch::Receiver<AlertStatus> {
        self.status.subscribe()
    }

    /// Begins to send, and to beat.
    pub fn start(self, clock: impl Clock, handle: Handle, busy: &Busy) -> Sending {
        let mut tasks = JoinSet::new();
        for AlertReceiver { name, to, .. } in &self.settings {
            if let AlertTo::Heartbeat { url, every } = to {
                let to = (url.clone(), *every);
                tasks.spawn(beat(name.clone(), to, self.deliverer.clone(), busy.clone(), self.status.clone()));
            }
        }
        tasks.spawn(self.run(clock, handle));
        Sending { _tasks: tasks }
    }

    async fn run(mut self, clock: impl Clock, handle: Handle) {
        let receivers: BTreeMap<String, Arc<AlertReceiver>> =
            self.settings.iter().map(|receiver| (receiver.name.clone(), Arc::new(receiver.clone()))).collect();
        let mut sends: JoinSet<(String, Result<(), Failed>)> = JoinSet::new();
        loop {
            let now = clock.now();
            for message in self.outbox.due(now) {
                let Some(receiver) = receivers.get(&message.receiver).map(Arc::clone) else { continue };
                let deliverer = self.deliverer.clone();
                sends.spawn(async move {
                    let answer = deliverer.send(&receiver, &message, now).await;
                    (message.receiver, answer)
                });
            }
            self.publish(now);
            let wake = self.outbox.next_wake().unwrap_or(Timestamp::MAX);
            tokio::select! {
                changed = self.changed.recv() => match changed {
                    Some(alert) => self.outbox.put(alert),
                    // The loop is gone.
                    None => return,
                },
                Some(Ok((receiver, answer))) = sends.join_next() => {
                    log(&self.status.borrow(), &receiver, &answer);
                    let told = self.outbox.answered(&receiver, answer, clock.now());
                    if !told.is_empty() {
                        handle.alert(AlertMessage::Told(told)).await;
                    }
                }
                () = clock.wake_at(wake) => {}
            }
            while let Ok(alert) = self.changed.try_recv() {
                self.outbox.put(alert);
            }
        }
    }

    fn publish(&self, now: Timestamp) {
        let (reasons, waiting) = (self.outbox.reasons(now), self.outbox.waiting(now));
        self.status.send_if_modified(|status| {
            let is_new = status.reasons != reasons || status.waiting != waiting;
            (status.reasons, status.waiting) = (reasons, waiting);
            is_new
        });
    }
}

/// Says once that a receiver takes nothing, and that it does again.
fn log(status: &AlertStatus, receiver: &str, answer: &Result<(), Failed>) {
    let name = format!("`{receiver}`");
    let was_failing = status.reasons.iter().any(|reason| reason.contains(&name));
    match answer {
        Err(Failed { why, .. }) if !was_failing => {
            tracing::warn!("alerts to {name} do not go out: {why}; they wait, and are sent again");
        }
        Ok(()) if was_failing => tracing::info!("alerts to {name} go out again"),
        _ => {}
    }
}
