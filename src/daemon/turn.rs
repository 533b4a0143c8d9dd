//! One turn of the loop: a step of the engine, one commit, and then the calls. And what a disk that fails or stands changes in it. Waits
//! for nothing but the commit, and for that only a moment. Decides nothing.

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::input::{AlertMessage, Message};
use super::records::DiskRecords;
use super::{Daemon, Mail, read};
use crate::busy::STANDS_AFTER;
use crate::clock::Clock;
use crate::engine::{Call, CallReport, ClockReading, Incoming, Input, Level, Notice, OrderReply, Receipt, Reply, Step};
use crate::ledger::thread::Report;
use crate::ledger::{Attempt, LedgerError};
use crate::trtc::Api;

/// What came of the writes of a step: permissions, an error, or nothing yet.
type Written = Option<Result<Vec<Attempt>, LedgerError>>;

impl<C: Clock, A: Api> Daemon<C, A> {
    /// One turn. What could not be read is asked again in the next turn; what was decided in this one stands.
    ///
    /// Errors: the ledger cannot be read or written, and never will be.
    pub(super) async fn turn(&mut self, mail: Mail) -> Result<(), LedgerError> {
        self.busy.turn.begin();
        self.look_soon = false;
        let reading = read(&self.caller.clock);
        let Mail { reports, messages, disk } = mail;
        let mut notices = Vec::new();
        self.weigh_lease(reading, &mut notices, self.engine.now(reading));
        let late = self.take_in(disk, &mut notices, self.engine.now(reading))?;
        self.start(late);
        let Sorted { incoming, orders, callbacks, alerts } = sort(reports, messages);
        let (mut step, unread) = self.step(incoming, reading);
        self.add_alerts(&mut step, alerts);
        let Step { now, writes, calls, notices: more, replies, late_replies, receipts, .. } = step;
        notices.extend(more);
        let mut others = Vec::new();
        let written = self.disk.commit(writes, now, &mut others).await;
        let mut attempts = self.weigh(unread, written, &mut notices, now)?;
        attempts.extend(self.take_in(others, &mut notices, now)?);
        self.make(calls);
        self.start(attempts);
        self.reply(orders, replies);
        self.reply_late(late_replies);
        acknowledge(callbacks, receipts, !self.disk.is_behind());
        if let Some(time) = self.busy.turn.stands() {
            let text =
                format!("one turn of the loop took {} s: nothing was started and nothing was stopped meanwhile", time.as_secs());
            notices.push(Notice::new(now, Level::Warning, text));
        }
        self.tell(&notices);
        self.feed_watchdog(now);
        self.busy.turn.end();
        Ok(())
    }

    /// A step of the engine, and why the ledger could not be read in it.
    fn step(&mut self, incoming: Incoming, reading: ClockReading) -> (Step, Option<LedgerError>) {
        let records = DiskRecords::new(&self.disk);
        let step = self.engine.step(incoming, reading, self.disk.is_behind(), &records);
        (step, records.into_error())
    }

    /// Takes in what the disk reports late.
    fn take_in(&mut self, reports: Vec<Report>, notices: &mut Vec<Notice>, now: Timestamp) -> Result<Vec<Attempt>, LedgerError> {
        let mut attempts = Vec::new();
        for report in reports {
            match report {
                Report::Committed(committed) => {
                    let written = Some(self.disk.committed(committed));
                    attempts.extend(self.weigh(None, written, notices, now)?);
                }
                Report::Inspected(found) => {
                    let warning = |text| Notice::new(now, Level::Warning, text);
                    notices.extend(found.warnings.into_iter().map(warning));
                    self.disk.set_trouble(found.trouble);
                    self.weigh_trouble(notices, now);
                }
            }
        }
        Ok(attempts)
    }

    /// What may be sent after a commit, and what a disk that fails, stands or works again means.
    fn weigh(
        &mut self,
        unread: Option<LedgerError>,
        written: Written,
        notices: &mut Vec<Notice>,
        now: Timestamp,
    ) -> Result<Vec<Attempt>, LedgerError> {
        let (attempts, error) = match (written, unread) {
            (Some(Ok(attempts)), None) if !self.disk.stands() => {
                self.disk_stands_since = None;
                self.weigh_trouble(notices, now);
                return Ok(attempts);
            }
            (Some(Ok(attempts)), Some(error)) if !error.is_standing() => (Some(attempts), error),
            (Some(Err(error)), _) => (None, error),
            (written, _) => {
                self.weigh_standing(written.is_some(), notices, now);
                return written.unwrap_or_else(|| Ok(Vec::new()));
            }
        };
        if !error.is_passing() {
            return Err(error);
        }
        self.engine.ledger_failed(attempts.is_some());
        let verb = if attempts.is_some() { "read" } else { "written" };
        self.disk_fails(&format!("cannot be {verb} ({error})"), error.to_string(), notices, now);
        Ok(attempts.unwrap_or_default())
    }

    /// The commit, or a question, is not answered yet. A moment is nothing to tell; what was claimed waits all the same.
    fn weigh_standing(&mut self, is_written: bool, notices: &mut Vec<Notice>, now: Timestamp) {
        self.engine.ledger_failed(is_written);
        let elapsed = self.caller.clock.elapsed();
        let since = *self.disk_stands_since.get_or_insert(elapsed);
        let stands = elapsed.saturating_sub(since);
        if stands >= STANDS_AFTER && self.disk_error.is_none() {
            let text = format!("has not answered for {} s", stands.as_secs());
            self.disk_fails(&text, format!("its disk {text}"), notices, now);
        }
    }

    /// The disk answers: nothing is wrong, unless what it writes cannot be found again.
    fn weigh_trouble(&mut self, notices: &mut Vec<Notice>, now: Timestamp) {
        if let Some(trouble) = self.disk.trouble().map(str::to_owned) {
            self.engine.ledger_failed(false);
            self.disk_fails(&format!("is lost: {trouble}"), trouble, notices, now);
            return;
        }
        if !self.disk.is_behind() && self.disk_error.take().is_some() {
            self.look_soon = true;
            let text = "the ledger can be written again; what happened meanwhile is recorded".to_owned();
            notices.push(Notice::new(now, Level::Info, text));
        }
    }

    /// Tells once that it fails, and keeps the newest reason for the status.
    fn disk_fails(&mut self, what: &str, error: String, notices: &mut Vec<Notice>, now: Timestamp) {
        if self.disk_error.is_none() {
            let text = format!(
                "the ledger {what}: nothing is started until it can be written; what is on air is watched and stopped all the same"
            );
            notices.push(Notice::new(now, Level::Error, text));
        }
        self.disk_error = Some(error);
    }

    /// Does what a step calls for.
    pub(super) fn make(&mut self, calls: Vec<Call>) {
        for call in calls {
            let caller = self.caller.clone();
            match call {
                Call::Task { row, step, destination, task_id, priority } => {
                    self.calls.spawn(async move { Some(caller.task(row, step, (destination, task_id), priority).await) });
                }
                Call::Orphan { step, destination, task_id } => {
                    self.calls.spawn(async move { Some(caller.orphan(step, destination, task_id).await) });
                }
                Call::Warm { connections } => {
                    self.calls.spawn(async move { Some(caller.warm(connections).await) });
                }
                Call::Block { call, blocker } => {
                    if let Some(sender) = self.blockers.get(&call) {
                        sender.send_replace(blocker);
                    }
                }
                // The call notices that nobody can say more.
                Call::TakenBack { call } => drop(self.blockers.remove(&call)),
                Call::SetClockOffset { offset_ms } => caller.api.set_clock_offset(offset_ms),
                Call::RereadSecrets => {
                    self.calls.spawn(async move { Some(CallReport::SecretsRead(caller.api.reread_secrets().await)) });
                }
            }
        }
    }

    /// Lets the starts go on their way that a commit permits.
    pub(super) fn start(&mut self, attempts: Vec<Attempt>) {
        self.blockers.retain(|_, sender| !sender.is_closed());
        for attempt in attempts {
            let Some(start) = self.engine.begin_start(attempt.key(), attempt.call()) else { continue };
            let (sender, blocker) = watch::channel(start.blocker);
            self.blockers.insert(attempt.call(), sender);
            self.calls.spawn(self.caller.clone().start(attempt, start, blocker));
        }
    }

    fn reply(&mut self, senders: Vec<oneshot::Sender<Reply>>, replies: Vec<OrderReply>) {
        self.late_replies.retain(|_, sender| !sender.is_closed());
        for (sender, reply) in senders.into_iter().zip(replies) {
            match reply {
                OrderReply::Now(reply) => self.send_reply(sender, reply),
                OrderReply::Later(number) => drop(self.late_replies.insert(number, sender)),
            }
        }
    }

    fn reply_late(&mut self, replies: Vec<(u64, Reply)>) {
        for (number, reply) in replies {
            if let Some(sender) = self.late_replies.remove(&number) {
                self.send_reply(sender, reply);
            }
        }
    }

    fn send_reply(&self, sender: oneshot::Sender<Reply>, mut reply: Reply) {
        let later = match &self.disk_error {
            Some(error) => Some(format!("this is recorded as soon as the ledger can be written again: {error}")),
            None if self.disk.is_behind() => Some("this is recorded as soon as the ledger's disk answers".to_owned()),
            None => None,
        };
        if let Ok(lines) = &mut reply {
            lines.extend(later);
        }
        // Whoever asked may be gone; what was done is done.
        let _ = sender.send(reply);
    }
}

/// Says what became of callbacks. What is not on the disk was not taken: whoever sent it sends it again, and that changes nothing twice.
fn acknowledge(senders: Vec<oneshot::Sender<Receipt>>, receipts: Vec<Receipt>, is_written: bool) {
    for (sender, receipt) in senders.into_iter().zip(receipts) {
        let _ = sender.send(if is_written { receipt } else { Receipt::Refused });
    }
}

/// What the engine is told, where its replies and its receipts go, in one order, and what is said about alerts.
struct Sorted {
    incoming: Incoming,
    orders: Vec<oneshot::Sender<Reply>>,
    callbacks: Vec<oneshot::Sender<Receipt>>,
    alerts: Vec<AlertMessage>,
}

fn sort(reports: Vec<CallReport>, messages: Vec<Message>) -> Sorted {
    let incoming = Incoming { reports, inputs: Vec::new() };
    let mut sorted = Sorted { incoming, orders: Vec::new(), callbacks: Vec::new(), alerts: Vec::new() };
    for message in messages {
        match message {
            Message::Callback(callback, sender) => {
                sorted.callbacks.push(sender);
                sorted.incoming.inputs.push(Input::Callback(callback));
            }
            Message::Order(order, sender) => {
                sorted.orders.push(sender);
                sorted.incoming.inputs.push(Input::Order(order));
            }
            Message::Media(word) => sorted.incoming.inputs.push(Input::Media(word)),
            Message::Alert(message) => sorted.alerts.push(message),
        }
    }
    sorted
}
