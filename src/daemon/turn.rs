//! One turn of the loop: what has come in, what is due, what is owed; then one commit. And what an order, the clock and the disk
//! change in it. Refuses to wait for anything.

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use super::desk::Desk;
use super::hold::Change;
use super::input::{Input, Order, Reply, What};
use super::settle::Horizon;
use super::voice::{Happening, Weight};
use super::{Daemon, Mail, read};
use crate::clock::Clock;
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::MissedReason;
use crate::trtc::Api;

impl<C: Clock, A: Api> Daemon<C, A> {
    /// One turn: what the clock shows, what has happened, what is due, what is owed; then one commit, and then the calls.
    pub(super) fn turn(&mut self, mut mail: Mail) -> Result<(), LedgerError> {
        let reading = read(&self.line.clock);
        let mut change = self.hold.judge(reading);
        let is_confirmed = |input: &Input| matches!(input, Input::Order(Order { what: What::ConfirmClock, .. }, _));
        if mail.inputs.iter().any(is_confirmed) && self.hold.reason().is_some() {
            self.hold.confirm(reading);
            change = Some(Change::Released);
        }
        let now = self.hold.now(reading);
        let moved = self.hold.take_moved();
        for report in &mut mail.reports {
            report.tell_by(now, reading.boot);
        }
        let clock = self.hold.reason().map(|_| MissedReason::Clock);
        self.desk.held = clock.or(self.ledger.is_behind().then_some(MissedReason::Disk));
        let mut turn = self.ledger.turn();
        let office = Office { desk: &mut self.desk, horizon: &mut self.horizon, turn: &mut turn, replies: &mut self.replies };
        // What could not be read is asked again in the next turn; what was decided before that stands.
        let worked = office.work(mail, (change, moved), self.line.api.as_ref(), now);
        self.look_soon = false;
        let attempts = match (worked, turn.commit(now)) {
            (Ok(()), Ok(attempts)) => {
                self.look_soon = self.disk.is_some();
                self.disk_works(now);
                attempts
            }
            (Err(error), Ok(attempts)) if error.is_passing() => {
                self.disk_fails(&error, now);
                attempts
            }
            (Ok(()) | Err(_), Err(error)) | (Err(error), Ok(_)) if error.is_passing() => {
                self.disk_fails(&error, now);
                Vec::new()
            }
            (_, Err(error)) | (Err(error), _) => return Err(error),
        };
        for (sender, mut reply) in self.replies.drain(..) {
            if let (Ok(lines), Some(error)) = (&mut reply, &self.disk) {
                lines.push(format!("this is recorded as soon as the ledger can be written again: {error}"));
            }
            // Whoever asked may be gone; what was done is done.
            let _ = sender.send(reply);
        }
        self.tell();
        self.send(attempts);
        self.warm(now);
        if let Some(watchdog) = &mut self.watchdog
            && (now >= watchdog.next || now < watchdog.next - watchdog.period)
        {
            (watchdog.tell)();
            watchdog.next = now + watchdog.period;
        }
        Ok(())
    }

    fn disk_works(&mut self, now: Timestamp) {
        if self.disk.take().is_some() {
            let text = "the ledger can be written again; what happened meanwhile is recorded".to_owned();
            self.desk.heard.push(Happening::general(now, Weight::Info, text));
        }
    }

    fn disk_fails(&mut self, error: &LedgerError, now: Timestamp) {
        self.horizon.pause(MissedReason::Disk);
        // What is owed is not looked at again before a moment has passed.
        self.desk.held.get_or_insert(MissedReason::Disk);
        self.desk.hold_back_claims(MissedReason::Disk);
        if self.disk.is_none() {
            let text = format!(
                "the ledger cannot be written ({error}): nothing is started until it can; what is on air is watched and stopped all the same"
            );
            self.desk.heard.push(Happening::general(now, Weight::Error, text));
        }
        self.disk = Some(error.to_string());
    }
}

/// What is worked with in one turn.
struct Office<'a, 'ledger> {
    desk: &'a mut Desk,
    horizon: &'a mut Horizon,
    turn: &'a mut Turn<'ledger>,
    replies: &'a mut Vec<(oneshot::Sender<Reply>, Reply)>,
}

impl Office<'_, '_> {
    fn work<A: Api>(
        mut self,
        mail: Mail,
        (change, moved): (Option<Change>, Option<SignedDuration>),
        api: &A,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        // First of all what nobody would tell again; none of it asks the disk.
        if let Some(by) = moved {
            self.desk.clock_moved(self.turn, by)?;
        }
        let is_released = change == Some(Change::Released);
        if let Some(Change::Held(reason)) = change {
            self.hold(&reason, now)?;
        }
        for report in mail.reports {
            self.desk.take_report(self.turn, report, now, api)?;
        }
        self.desk.act_on_time(self.turn, now)?;
        if is_released {
            self.release(now)?;
        }
        for input in mail.inputs {
            match input {
                Input::Callback(callback) => self.desk.take_callback(self.turn, callback, now)?,
                Input::Order(order, sender) => {
                    let reply = self.obey(order, now)?;
                    self.replies.push((sender, reply));
                }
            }
        }
        self.desk.settle_callbacks(self.turn, now)?;
        match self.desk.held {
            Some(reason) => self.horizon.pause(reason),
            None => self.horizon.settle(self.turn, self.desk, now)?,
        }
        self.desk.settle_rooms(self.turn, now)
    }

    /// Starts are held from now on.
    fn hold(&mut self, reason: &str, now: Timestamp) -> Result<(), LedgerError> {
        self.desk.heard.push(Happening::general(now, Weight::Error, format!("starts are held: {reason}")));
        if let Some(earliest) = self.desk.take_back_unsent(self.turn, now)? {
            self.horizon.restart_at(earliest);
            self.turn.set_cursor(self.horizon.cursor())?;
        }
        Ok(())
    }

    /// The clock is believed again.
    fn release(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        let text = format!("the clock is believed again, and starts go on; it shows {now}");
        self.desk.heard.push(Happening::general(now, Weight::Info, text));
        if self.horizon.released(now) {
            self.turn.delete_missed_since(now);
            self.turn.set_cursor(self.horizon.cursor())?;
        }
        let cursor = self.horizon.cursor();
        self.horizon.start_open(self.turn, self.desk, cursor, now)
    }

    fn obey(&mut self, order: Order, now: Timestamp) -> Result<Reply, LedgerError> {
        let Order { who, what } = order;
        let (verb, reply) = match what {
            What::Stop(target) => ("stop", self.desk.stop(self.turn, &target, now)?),
            What::Accept { prepared, changes } => {
                let ready = prepared.ready(now);
                self.desk.callbacks.learn(&ready.homes);
                self.desk.follow(self.turn, &ready.generation.schedule, ready.generation.number, now)?;
                self.horizon.follow(self.turn, self.desk, ready, now)?;
                ("reload", Ok(changes))
            }
            What::ConfirmClock => ("clock confirm", Ok(vec![format!("the clock is believed: it shows {now}")])),
        };
        if let Ok(lines) = &reply {
            self.turn.act(now, &who, verb, &lines.join("\n"));
        }
        Ok(reply)
    }
}
