//! How the daemon ends: armed starts are taken back, sent ones awaited, streams on air stay on air. Refuses to stop anything.

use jiff::{SignedDuration, Timestamp};

use super::{Daemon, Mail, report_of};
use crate::clock::Clock;
use crate::ledger::LedgerError;
use crate::trtc::Api;

/// How long a shutdown waits for requests that were sent: their limit of time is the same.
const SHUTDOWN_WAIT: SignedDuration = SignedDuration::from_secs(10);

impl<C: Clock, A: Api> Daemon<C, A> {
    pub(super) async fn shut_down(mut self, mut mail: Mail, hurry: impl Future<Output = ()>) -> Result<(), LedgerError> {
        let now = self.now();
        let mut turn = self.ledger.turn();
        let cursor = self.horizon.cursor().min(self.desk.take_back_unsent(&mut turn, now)?.unwrap_or(Timestamp::MAX));
        turn.set_cursor(cursor)?;
        let mut last = turn.commit(now).map(drop);
        let deadline = self.line.clock.now() + SHUTDOWN_WAIT;
        tokio::pin!(hurry);
        while self.desk.awaits_answers() {
            tokio::select! {
                biased;
                () = &mut hurry => break,
                Some(ended) = self.calls.join_next() => mail.reports.extend(report_of(ended)),
                () = self.line.clock.sleep_until(deadline) => break,
            }
            last = self.take_last(&mut mail);
        }
        last = self.take_last(&mut mail).and(last.or_else(|error| if error.is_passing() { Ok(()) } else { Err(error) }));
        self.desk.say_what_stays(self.now());
        self.tell();
        self.calls.shutdown().await;
        // A disk that fails is no reason to hurry: whatever can be written is, and what cannot is said.
        last
    }

    fn take_last(&mut self, mail: &mut Mail) -> Result<(), LedgerError> {
        let now = self.now();
        let mut turn = self.ledger.turn();
        for report in mail.reports.drain(..) {
            self.desk.take_report(&mut turn, report, now, self.line.api.as_ref())?;
        }
        turn.commit(now)?;
        Ok(())
    }
}
