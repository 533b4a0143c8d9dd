//! How the daemon ends: armed starts are taken back, sent ones awaited, streams on air stay on air. Does not stop anything.

use jiff::SignedDuration;

use super::{Daemon, Mail, read, report_of};
use crate::clock::Clock;
use crate::engine::Step;
use crate::ledger::LedgerError;
use crate::trtc::Api;

/// How long a shutdown waits for requests that were sent: their limit of time is the same.
const SHUTDOWN_WAIT: SignedDuration = SignedDuration::from_secs(10);

impl<C: Clock, A: Api> Daemon<C, A> {
    pub(super) async fn shut_down(mut self, mut mail: Mail, hurry: impl Future<Output = ()>) -> Result<(), LedgerError> {
        let step = self.engine.shut_down(read(&self.caller.clock));
        let mut last = self.write_last(step);
        let deadline = self.caller.clock.now() + SHUTDOWN_WAIT;
        tokio::pin!(hurry);
        while self.engine.awaits_answers() {
            tokio::select! {
                biased;
                () = &mut hurry => break,
                Some(ended) = self.calls.join_next() => mail.reports.extend(report_of(ended)),
                () = self.caller.clock.sleep_until(deadline) => break,
            }
            last = self.take_last(&mut mail);
        }
        last = self.take_last(&mut mail).and(last.or_else(|error| if error.is_passing() { Ok(()) } else { Err(error) }));
        let staying = self.engine.staying_on_air(read(&self.caller.clock));
        self.tell(&staying);
        self.calls.shutdown().await;
        // A disk that fails is no reason to hurry: whatever can be written is, and what cannot is told.
        last
    }

    fn take_last(&mut self, mail: &mut Mail) -> Result<(), LedgerError> {
        let step = self.engine.take_last(std::mem::take(&mut mail.reports), read(&self.caller.clock));
        self.write_last(step)
    }

    /// Nothing is called any more.
    fn write_last(&mut self, step: Step) -> Result<(), LedgerError> {
        let Step { now, writes, notices, .. } = step;
        let written = self.ledger.commit(writes, now).map(drop);
        self.tell(&notices);
        written
    }
}
