//! How a daemon ends, and what it does when its lease does. Does not know who owns then.

use jiff::{SignedDuration, Timestamp};

use super::Daemon;
use crate::clock::Clock;
use crate::engine::{ClockReading, Level, Notice};
use crate::ledger::LedgerError;
use crate::trtc::Api;

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, and left everything in order: another may follow at once.
    Stopped,
    /// Another host owns the ledger.
    Deposed,
}

/// Who only asks it to end.
impl From<()> for Ended {
    fn from((): ()) -> Ended {
        Ended::Stopped
    }
}

impl<C: Clock, A: Api> Daemon<C, A> {
    /// Ends for good. One that is deposed sends nothing more, from here on.
    pub(super) async fn end(mut self, ended: Result<Ended, LedgerError>) -> Result<Ended, LedgerError> {
        let is_deposed = match &ended {
            Ok(ended) => *ended == Ended::Deposed,
            Err(error) => error.is_deposed(),
        };
        if !is_deposed {
            return ended;
        }
        self.caller.deadline.depose();
        self.calls.shutdown().await;
        let text = "another host owns the ledger: nothing more is sent from here, and streams on air stay on air";
        (self.observe)(&Notice::new(self.caller.clock.now(), Level::Warning, text.to_owned()));
        Ok(Ended::Deposed)
    }

    /// Tells, once each way, whether starts may leave by the lease.
    pub(super) fn weigh_lease(&mut self, reading: ClockReading, notices: &mut Vec<Notice>, now: Timestamp) {
        let is_over = !self.caller.deadline.allows(reading.boot);
        self.engine.set_lease_over(is_over);
        if std::mem::replace(&mut self.lease_is_over, is_over) == is_over {
            return;
        }
        let (level, text) = if is_over {
            let rest = "no start leaves until it is; what is on air is watched and stopped all the same";
            (Level::Error, format!("the lease of this host was not renewed in time: {rest}"))
        } else {
            (Level::Info, "the lease of this host is renewed, and starts go on".to_owned())
        };
        notices.push(Notice::new(now, level, text));
    }

    /// When the lease is over, if it is not renewed.
    pub(super) fn lease_end(&self, now: Timestamp, reading: ClockReading) -> Option<Timestamp> {
        let left = self.caller.deadline.left(reading.boot).filter(|left| !left.is_zero())?;
        now.checked_add(SignedDuration::try_from(left).ok()?).ok()
    }
}
