//! How the daemon ends: armed starts are taken back, sent ones awaited, streams on air stay on air. Does not stop anything.

use jiff::SignedDuration;

use super::{Daemon, Mail, Message, read, report_of};
use crate::clock::Clock;
use crate::engine::{Level, Notice, Step};
use crate::ledger::LedgerError;
use crate::ledger::thread::Report;
use crate::trtc::Api;

/// How long a shutdown waits for requests that were sent: their limit of time is the same.
const SHUTDOWN_WAIT: SignedDuration = SignedDuration::from_secs(10);

impl<C: Clock, A: Api> Daemon<C, A> {
    pub(super) async fn shut_down(&mut self, mut mail: Mail, hurry: impl Future<Output = ()>) -> Result<(), LedgerError> {
        // What is permitted now is taken back at once.
        let mut last = self.take_reports(std::mem::take(&mut mail.disk));
        let step = self.engine.shut_down(read(&self.caller.clock));
        last = worst(last, self.write_last(step).await);
        let deadline = self.caller.clock.now() + SHUTDOWN_WAIT;
        tokio::pin!(hurry);
        loop {
            last = worst(last, self.take_last(&mut mail).await);
            if !self.engine.awaits_answers() && !self.disk.is_outstanding() {
                break;
            }
            tokio::select! {
                biased;
                () = &mut hurry => break,
                Some(ended) = self.calls.join_next() => mail.reports.extend(report_of(ended)),
                report = self.disk.report() => mail.disk.push(report),
                () = self.caller.clock.sleep_until(deadline) => break,
            }
        }
        last = worst(last, self.take_last(&mut mail).await);
        let mut notices = self.engine.staying_on_air(read(&self.caller.clock));
        if self.disk.is_behind() {
            let text = "what was decided last is not in the ledger: the next start takes over from what is there".to_owned();
            notices.push(Notice::new(self.caller.clock.now(), Level::Error, text));
        }
        self.tell(&notices);
        self.calls.shutdown().await;
        last
    }

    async fn take_last(&mut self, mail: &mut Mail) -> Result<(), LedgerError> {
        let Mail { reports, disk, mut messages } = std::mem::take(mail);
        let first = self.take_reports(disk);
        let mut step = self.engine.take_last(reports, read(&self.caller.clock));
        while let Ok(message) = self.messages.try_recv() {
            messages.push(message);
        }
        // Orders hear that the daemon ends; what was told stays told.
        let of_alerts = |message| if let Message::Alert(message) = message { Some(message) } else { None };
        let alerts = messages.into_iter().filter_map(of_alerts).collect();
        self.add_alerts(&mut step, alerts);
        worst(first, self.write_last(step).await)
    }

    /// Nothing is called any more.
    async fn write_last(&mut self, step: Step) -> Result<(), LedgerError> {
        let Step { now, writes, notices, .. } = step;
        let mut others = Vec::new();
        let written = self.disk.commit(writes, now, &mut others).await;
        self.tell(&notices);
        worst(self.take_reports(others), written.map_or(Ok(()), |written| written.map(drop)))
    }

    /// Nothing that is permitted now is sent any more.
    fn take_reports(&mut self, reports: Vec<Report>) -> Result<(), LedgerError> {
        let mut last = Ok(());
        for report in reports {
            if let Report::Committed(committed) = report {
                last = worst(last, self.disk.committed(committed).map(drop));
            }
        }
        last
    }
}

/// The first error that stays. A disk that fails is no reason to fail: whatever can be written is, and what cannot is told.
fn worst(one: Result<(), LedgerError>, other: Result<(), LedgerError>) -> Result<(), LedgerError> {
    let lasting = |error: LedgerError| if error.is_passing() { Ok(()) } else { Err(error) };
    one.or_else(lasting).and(other.or_else(lasting))
}
