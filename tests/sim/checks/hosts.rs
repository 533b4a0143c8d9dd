//! Two hosts on one ledger: who owned no more has fallen silent before the next owner sends. Does not know what happened to them.

use ingestd::trtc::Action;

use super::Faults;
use crate::run::Run;

pub(super) fn check(run: &Run, faults: &mut Faults) {
    let mut newest = 0;
    for send in run.api.state().sends.iter().filter(|send| send.action == Action::Start) {
        if send.term < newest {
            faults.add("no start of an older term follows one of a newer", format!("after one of term {newest}: {send:?}"));
        }
        newest = newest.max(send.term);
    }
}
