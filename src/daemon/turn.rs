//! One turn of the loop: what has come in, what is due, what is owed; then one commit. And what an order, the clock and the disk
//! change in it. Refuses to wait for anything.

use jiff::Timestamp;

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
    pub(super) fn turn(&mut self, mail: Mail) -> Result<(), LedgerError> {
        let reading = read(&self.line.clock);
        let mut change = self.hold.judge(reading);
        let is_confirmed = |input: &Input| matches!(input, Input::Order(Order { what: What::ConfirmClock, .. }, _));
        if mail.inputs.iter().any(is_confirmed) && self.hold.reason().is_some() {
            self.hold.confirm(reading);
            change = Some(Change::Released);
        }
        let now = self.hold.now(reading);
        let clock = self.hold.reason().map(|_| MissedReason::Clock);
        self.desk.held = clock.or(self.ledger.is_behind().then_some(MissedReason::Disk));
        let mut turn = self.ledger.turn();
        for report in mail.reports {
            self.desk.take_report(&mut turn, report, now, self.line.api.as_ref())?;
        }
        if let Some(change) = change {
            clock_changed(change, (&mut self.desk, &mut self.horizon, &mut turn), now)?;
        }
        for input in mail.inputs {
            match input {
                Input::Callback(callback) => self.desk.take_callback(&mut turn, callback, now)?,
                Input::Order(order, sender) => {
                    let reply = obey(order, (&mut self.desk, &mut self.horizon, &mut turn), now)?;
                    self.replies.push((sender, reply));
                }
            }
        }
        self.desk.settle_callbacks(&mut turn, now)?;
        self.desk.act_on_time(&mut turn, now)?;
        match self.desk.held {
            Some(reason) => self.horizon.pause(reason),
            None => self.horizon.settle(&mut turn, &mut self.desk, now)?,
        }
        self.desk.settle_rooms(&mut turn, now)?;
        let attempts = match turn.commit(now) {
            Ok(attempts) => {
                self.disk_works(now);
                attempts
            }
            Err(error) if error.is_passing() => {
                self.disk_fails(&error, now);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        for (sender, reply) in self.replies.drain(..) {
            // Whoever asked may be gone; what was done is recorded.
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

/// The loop's rooms, for one turn.
type Office<'a, 'ledger> = (&'a mut Desk, &'a mut Horizon, &'a mut Turn<'ledger>);

/// Starts are held from now on, or are not any more.
fn clock_changed(change: Change, (desk, horizon, turn): Office<'_, '_>, now: Timestamp) -> Result<(), LedgerError> {
    match change {
        Change::Held(reason) => {
            desk.heard.push(Happening::general(now, Weight::Error, format!("starts are held: {reason}")));
            if let Some(earliest) = desk.take_back_unsent(turn, now)? {
                horizon.restart_at(earliest.min(horizon.cursor()));
                turn.set_cursor(horizon.cursor())?;
            }
        }
        Change::Released => {
            let text = format!("the clock is believed again, and starts go on; it shows {now}");
            desk.heard.push(Happening::general(now, Weight::Info, text));
            if horizon.cursor() > now {
                horizon.restart_at(now);
                turn.unmiss(now);
                turn.set_cursor(now)?;
            }
            horizon.start_open(turn, desk, horizon.cursor(), now)?;
        }
    }
    Ok(())
}

fn obey(order: Order, (desk, horizon, turn): Office<'_, '_>, now: Timestamp) -> Result<Reply, LedgerError> {
    let Order { who, what } = order;
    let (verb, reply) = match what {
        What::Stop(target) => ("stop", desk.stop(turn, &target, now)?),
        What::Accept { generation, changes } => {
            desk.follow(turn, &generation.schedule, generation.number, now)?;
            horizon.follow(turn, desk, generation, now)?;
            ("reload", Ok(changes))
        }
        What::ConfirmClock => ("clock confirm", Ok(vec![format!("the clock is believed: it shows {now}")])),
    };
    if let Ok(lines) = &reply {
        turn.act(now, &who, verb, &lines.join("\n"));
    }
    Ok(reply)
}
