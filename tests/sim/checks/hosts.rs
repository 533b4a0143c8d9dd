//! Two hosts on one ledger: who owned no more has fallen silent before the next owner sends. Does not know what happened to them.

use ingestd::trtc::Action;

use super::Faults;
use crate::endpoint::Send;
use crate::run::Run;

pub(super) fn check(run: &Run, faults: &mut Faults) {
    no_start_follows_one_of_a_newer_term(run, faults);
    what_may_arrive_is_waited_for(run, faults);
}

/// A start of an owner that was cut off is not sent again before it has arrived, or never will.
fn what_may_arrive_is_waited_for(run: &Run, faults: &mut Faults) {
    let state = run.api.state();
    let starts: Vec<&Send> = state.sends.iter().filter(|send| send.action == Action::Start && send.claims.len() == 1).collect();
    for (index, again) in starts.iter().enumerate() {
        let is_same = |first: &&&Send| first.subject == again.subject && first.claims[0].start == again.claims[0].start;
        let Some(first) = starts[..index].iter().rev().find(is_same) else { continue };
        let after = run.take_overs.iter().find(|(term, _)| *term == first.term + 1);
        let Some((_, Some(until))) = after.filter(|_| first.term < again.term && first.answered.is_none()) else { continue };
        if again.at + run.plan.skew() < *until {
            faults.add("what may arrive is waited for", format!("until {until}: {first:?}, then {again:?}"));
        }
    }
}

fn no_start_follows_one_of_a_newer_term(run: &Run, faults: &mut Faults) {
    let mut newest = 0;
    for send in run.api.state().sends.iter().filter(|send| send.action == Action::Start) {
        if send.term < newest {
            faults.add("no start of an older term follows one of a newer", format!("after one of term {newest}: {send:?}"));
        }
        newest = newest.max(send.term);
    }
}
