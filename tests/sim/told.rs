//! A daemon of the simulation has somebody to tell everything; nothing is sent. Does not judge what is in the queue.

use std::num::NonZeroU32;
use std::path::Path;

use ingestd::alerts::{Alert, AlertEvent, Troubles};
use ingestd::daemon::Setup;
use ingestd::engine::DaemonOptions;
use ingestd::lease::LeaseDeadline;
use ingestd::ledger::Ledger;
use ingestd::trtc::advice::SecretPlaces;
use jiff::SignedDuration;

use crate::scenario::begin;

/// What a daemon begins with.
pub(crate) fn setup(rate: u32, ledger: &Ledger) -> Setup {
    let options = DaemonOptions {
        rate: NonZeroU32::new(rate).expect("not zero"),
        require_sync: false,
        past: begin() - SignedDuration::from_hours(24),
        secrets: SecretPlaces::default(),
        shared: None,
    };
    let all = AlertEvent::WORDS.iter().map(|(_, event)| *event).collect();
    let troubles = Troubles::new(vec![("pager".to_owned(), all)], &ledger.alerts().expect("readable"));
    Setup { options, troubles, changes: None, deadline: LeaseDeadline::never(), may_arrive_until: None }
}

/// Every alert that a run left.
pub(crate) fn alerts(folder: &Path) -> Vec<Alert> {
    let kept = Ledger::open(folder).and_then(|ledger| ledger.alerts()).expect("readable");
    kept.into_iter().map(|kept| kept.alert).collect()
}
