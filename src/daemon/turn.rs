//! One turn of the loop: a step of the engine, one commit, and then the calls. And what a disk that fails changes in it. Does not wait
//! for anything, and decides nothing.

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::input::Message;
use super::records::LedgerRecords;
use super::{Daemon, Mail, read};
use crate::clock::Clock;
use crate::engine::{Call, Incoming, Input, Level, Notice, OrderReply, Receipt, Reply, Step};
use crate::ledger::{Attempt, LedgerError};
use crate::trtc::Api;

impl<C: Clock, A: Api> Daemon<C, A> {
    /// One turn. What could not be read is asked again in the next turn; what was decided in this one stands.
    ///
    /// Errors: the ledger cannot be read or written, and never will be.
    pub(super) fn turn(&mut self, mail: Mail) -> Result<(), LedgerError> {
        let reading = read(&self.caller.clock);
        let (incoming, orders, callbacks) = sort(mail);
        let records = LedgerRecords::new(&self.ledger);
        let step = self.engine.step(incoming, reading, self.ledger.is_behind(), &records);
        let unread = records.into_error();
        let Step { now, writes, calls, mut notices, replies, late_replies, receipts, .. } = step;
        let committed = self.ledger.commit(writes, now);
        let is_written = committed.is_ok();
        let attempts = self.weigh(unread, committed, &mut notices, now)?;
        self.make(calls);
        self.start(attempts);
        self.reply(orders, replies);
        self.reply_late(late_replies);
        acknowledge(callbacks, receipts, is_written);
        self.tell(&notices);
        self.feed_watchdog(now);
        Ok(())
    }

    /// What may be sent after a commit, and what a disk that fails or works again means.
    fn weigh(
        &mut self,
        unread: Option<LedgerError>,
        committed: Result<Vec<Attempt>, LedgerError>,
        notices: &mut Vec<Notice>,
        now: Timestamp,
    ) -> Result<Vec<Attempt>, LedgerError> {
        self.look_soon = false;
        let (attempts, error) = match (committed, unread) {
            (Ok(attempts), None) => {
                self.look_soon = self.disk.is_some();
                if self.disk.take().is_some() {
                    let text = "the ledger can be written again; what happened meanwhile is recorded".to_owned();
                    notices.push(Notice { at: now, key: None, level: Level::Info, text });
                }
                return Ok(attempts);
            }
            (Ok(attempts), Some(error)) => (Some(attempts), error),
            (Err(error), _) => (None, error),
        };
        if !error.is_passing() {
            return Err(error);
        }
        self.engine.ledger_failed(attempts.is_some());
        if self.disk.is_none() {
            let verb = if attempts.is_some() { "read" } else { "written" };
            let text = format!(
                "the ledger cannot be {verb} ({error}): nothing is started until it can; what is on air is watched and stopped all the same"
            );
            notices.push(Notice { at: now, key: None, level: Level::Error, text });
        }
        self.disk = Some(error.to_string());
        Ok(attempts.unwrap_or_default())
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
                Call::RereadCredentials => caller.api.reread_credentials(),
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
        if let (Ok(lines), Some(error)) = (&mut reply, &self.disk) {
            lines.push(format!("this is recorded as soon as the ledger can be written again: {error}"));
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

/// What the engine is told, and where its replies and its receipts go, in one order.
fn sort(mail: Mail) -> (Incoming, Vec<oneshot::Sender<Reply>>, Vec<oneshot::Sender<Receipt>>) {
    let (mut orders, mut callbacks) = (Vec::new(), Vec::new());
    let inputs = mail.messages.into_iter().map(|message| match message {
        Message::Callback(callback, sender) => {
            callbacks.push(sender);
            Input::Callback(callback)
        }
        Message::Order(order, sender) => {
            orders.push(sender);
            Input::Order(order)
        }
    });
    let inputs = inputs.collect();
    (Incoming { reports: mail.reports, inputs }, orders, callbacks)
}
