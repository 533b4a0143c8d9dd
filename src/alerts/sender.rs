//! The task that sends, beside the loop and off the air path: it takes what is new from the loop, sends what the outbox says, and gives
//! back to the loop what was told, which is written with the next step. A receiver that hangs holds up nobody. Decides nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::deliver::{Deliverer, host_name};
use super::heartbeat::beat;
use super::testing::AlertTester;
use super::{Alert, Failed, Kept, Message, Outbox, Troubles, receivers};
use crate::busy::Busy;
use crate::clock::Clock;
use crate::config::{AlertReceiver, AlertTo};
use crate::daemon::{AlertMessage, Handle};
use crate::secret::SecretSource;

/// How it stands with the receivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertStatus {
    /// Why alerts do not go out, a line for each receiver.
    pub reasons: Vec<String>,
    /// How many alerts wait, each counted for each receiver.
    pub waiting: usize,
    /// Why a heartbeat is not taken, by its name.
    pub heartbeats: BTreeMap<String, String>,
    /// What does not work any more, because it ended by a bug, a line each.
    pub ended: Vec<String>,
}

impl AlertStatus {
    /// Everything that somebody should know, a line each.
    pub fn lines(&self) -> Vec<String> {
        let heartbeat = |(name, why): (&String, &String)| format!("the heartbeat `{name}` is not taken: {why}");
        let ended = self.ended.iter().cloned();
        ended.chain(self.reasons.iter().cloned()).chain(self.heartbeats.iter().map(heartbeat)).collect()
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
    /// `secrets` are the places of what no program may show.
    ///
    /// Errors: the host has no certificates to trust.
    pub fn new(
        settings: &[AlertReceiver],
        kept: Vec<Kept>,
        secrets: Vec<SecretSource>,
    ) -> Result<(Alerts, Troubles, UnboundedSender<Alert>), String> {
        let receivers = receivers(settings);
        let wanted = receivers.iter().map(|receiver| (receiver.name.clone(), receiver.on.clone())).collect();
        let troubles = Troubles::new(wanted, &kept);
        let (sender, changed) = unbounded_channel();
        let (outbox, deliverer) = (Outbox::new(receivers, kept), Deliverer::new(host_name())?.hiding(secrets));
        let status = watch::Sender::new(AlertStatus::default());
        Ok((Alerts { settings: settings.to_vec(), outbox, changed, deliverer, status }, troubles, sender))
    }

    /// What sends a test to each receiver when an operator asks for it.
    pub fn tester(&self) -> AlertTester {
        AlertTester::new(self.settings.clone(), self.deliverer.clone())
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
                let beating = beat(name.clone(), to, self.deliverer.clone(), busy.clone(), self.status.clone());
                tasks.spawn(watched(format!("the heartbeat `{name}` is not sent"), self.status.clone(), beating));
            }
        }
        tasks.spawn(watched("no alert is sent".to_owned(), self.status.clone(), self.run(clock, handle)));
        Sending { _tasks: tasks }
    }

    async fn run(self, clock: impl Clock, handle: Handle) {
        let deliverer = self.deliverer.clone();
        let send = move |receiver: Arc<AlertReceiver>, message: Message, now: Timestamp| {
            let deliverer = deliverer.clone();
            async move { deliverer.send(&receiver, &message, now).await }
        };
        self.run_with(clock, handle, send).await;
    }

    /// `send` sends one message; it may fail in any way.
    async fn run_with<F>(
        mut self,
        clock: impl Clock,
        handle: Handle,
        send: impl Fn(Arc<AlertReceiver>, Message, Timestamp) -> F + Send,
    ) where
        F: Future<Output = Result<(), Failed>> + Send + 'static,
    {
        let receivers: BTreeMap<String, Arc<AlertReceiver>> =
            self.settings.iter().map(|receiver| (receiver.name.clone(), Arc::new(receiver.clone()))).collect();
        let mut sends: JoinSet<Result<(), Failed>> = JoinSet::new();
        let mut sent_to: HashMap<Id, String> = HashMap::new();
        loop {
            let now = clock.now();
            for message in self.outbox.due(now) {
                let Some(receiver) = receivers.get(&message.receiver).map(Arc::clone) else { continue };
                let name = message.receiver.clone();
                let task = sends.spawn(send(receiver, message, now));
                sent_to.insert(task.id(), name);
            }
            for dropped in self.outbox.newly_dropped() {
                tracing::error!("{dropped}");
            }
            self.publish(now);
            let wake = self.outbox.next_wake().unwrap_or(Timestamp::MAX);
            tokio::select! {
                changed = self.changed.recv() => match changed {
                    Some(alert) => self.outbox.put(alert),
                    // The loop is gone.
                    None => return,
                },
                Some(ended) = sends.join_next_with_id() => {
                    let (id, answer) = ended.unwrap_or_else(|error| (error.id(), Err(bug())));
                    let Some(receiver) = sent_to.remove(&id) else { continue };
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

/// Runs a task that must not end. When it panics, that is a bug of ours: it is logged, and the status says what does not work from then
/// on. Shows go on air without it, so the daemon goes on.
async fn watched(what: String, status: watch::Sender<AlertStatus>, task: impl Future<Output = ()> + Send + 'static) {
    // It ends with this future.
    let mut one = JoinSet::new();
    one.spawn(task);
    if let Some(Err(error)) = one.join_next().await
        && error.is_panic()
    {
        let line = format!("{what}: what sends it ended by a bug of ingestd: see the log, and restart the daemon");
        tracing::error!("{line}");
        status.send_modify(|status| status.ended.push(line));
    }
}

/// A task that sends has panicked. The receiver is tried again as after any failure.
fn bug() -> Failed {
    Failed { why: "sending it ended by a bug of ingestd: see the log".to_owned(), retry_after: None, of_content: true }
}

/// Says once that a receiver takes nothing, and that it does again.
fn log(status: &AlertStatus, receiver: &str, answer: &Result<(), Failed>) {
    let name = format!("`{receiver}`");
    let was_failing = status.reasons.iter().any(|reason| reason.starts_with(&format!("the receiver {name} has taken no alert")));
    match answer {
        Err(Failed { why, .. }) if !was_failing => {
            tracing::warn!("alerts to {name} do not go out: {why}; they wait, and are sent again");
        }
        Ok(()) if was_failing => tracing::info!("alerts to {name} go out again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alerts::{AlertEvent, Signal};
    use crate::clock::SystemClock;
    use crate::daemon::Message as Told;

    #[tokio::test]
    async fn what_must_not_end_and_does_by_a_panic_is_told_in_the_status() {
        let status = watch::Sender::new(AlertStatus::default());
        watched("no alert is sent".to_owned(), status.clone(), async { panic!("a bug") }).await;
        let lines = status.borrow().lines();
        assert!(lines.len() == 1 && lines[0].starts_with("no alert is sent: what sends it ended by a bug"), "{lines:?}");
        watched("the loop is gone".to_owned(), status.clone(), async {}).await;
        assert_eq!(status.borrow().lines().len(), 1, "whoever ends with the daemon is no bug");
    }

    #[tokio::test]
    async fn a_send_that_panics_is_a_failure_and_is_tried_again() {
        let to = AlertTo::Exec { command: vec!["/nonexistent/tell".to_owned()] };
        let settings = [AlertReceiver { name: "a".to_owned(), to, on: vec![AlertEvent::Failed] }];
        let (alerts, mut troubles, changes) = Alerts::new(&settings, Vec::new(), Vec::new()).expect("certificates");
        // It began long ago: nothing waits for its like.
        let long_ago = Timestamp::UNIX_EPOCH;
        for write in troubles.take(vec![Signal::raise(AlertEvent::Failed, "promo", "x", long_ago)], long_ago) {
            if let super::super::AlertWrite::Put(alert) = write {
                changes.send(*alert).expect("it is taken");
            }
        }
        let (handle, mut messages) = Handle::new();
        let tries = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let send = move |_: Arc<AlertReceiver>, _: Message, _: Timestamp| {
            let count = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                assert!(count > 0, "the first one panics");
                Ok(())
            }
        };
        let status = alerts.status();
        let running = tokio::spawn(alerts.run_with(SystemClock::new().expect("a clock"), handle, send));
        let told = tokio::time::timeout(Duration::from_secs(30), messages.recv()).await.expect("it is told in time");
        assert!(matches!(told, Some(Told::Alert(AlertMessage::Told(told))) if told.len() == 1));
        assert!(status.has_changed().is_ok());
        running.abort();
    }
}
