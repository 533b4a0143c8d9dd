//! What an operator can do about an outcome, an error code, or a request that fails. Does not know which occurrence had it, and how
//! it is told: the log, `status` and `why` say the same.

use crate::occurrence::{Evidence, Failure, LastFault, MissedReason, Occurrence, Outcome, State, TaskFault};
use crate::trtc::advice::{SecretPlaces, advice_on_code};

const NO_ANSWER: &str = "the service itself did not answer: check this host's network, a proxy in between, and `account.endpoint`";

/// What to do about it; `None` where there is nothing to do.
fn advice(outcome: &Outcome, secrets: SecretPlaces) -> Option<String> {
    let advice = match outcome {
        Outcome::Failed(Failure::Code(code)) => return advice_on_code(code, secrets),
        Outcome::Failed(Failure::Unreachable) => {
            "no request reached the endpoint: check this host's network, and `account.endpoint`, which is read when the service starts"
        }
        Outcome::Failed(Failure::InDoubt) => "it may have been on air all the same: look into the room",
        Outcome::Failed(Failure::Lost) => "its media ended or broke off: check that the stream can be fetched",
        Outcome::EndedUnverified => "it is not verified that it left the air: look into the room",
        Outcome::Missed(MissedReason::Down) => {
            "no daemon ran at its start, or its job was not in the schedule then: see why in the service's log"
        }
        Outcome::Missed(MissedReason::Late) => "its start came too late: see `late` and `start_within` of its job",
        Outcome::Missed(MissedReason::Limit) => "more starts at once than the rate allows: spread them, or have the limit raised",
        Outcome::Missed(MissedReason::Disk) => "the ledger could not be written: make room on its disk",
        Outcome::Missed(MissedReason::Clock) => "the clock could not be trusted: synchronise it",
        Outcome::Missed(MissedReason::ContentOver | MissedReason::Restored)
        | Outcome::Skipped(_)
        | Outcome::EndedPlanned
        | Outcome::EndedMedia
        | Outcome::CutOperator
        | Outcome::CutPreempted
        | Outcome::CutRemoved
        | Outcome::CutEdited => return None,
    };
    Some(advice.to_owned())
}

/// The same of a fault of a task's requests. One without a code did not come from the service.
pub(crate) fn advice_on_task_fault(fault: &TaskFault, secrets: SecretPlaces) -> Option<String> {
    fault.code.as_deref().map_or_else(|| Some(NO_ANSWER.to_owned()), |code| advice_on_code(code, secrets))
}

/// What to do about a row; `None` where there is nothing to do, or nothing is known.
pub(crate) fn row_advice(row: &Occurrence, secrets: SecretPlaces) -> Option<String> {
    let of_start = || row.fault.as_ref().and_then(|fault| advice_on_code(fault.code.as_deref()?, secrets));
    let of_task = || row.task_fault.as_ref().and_then(|fault| advice_on_task_fault(fault, secrets));
    match &row.state {
        // What kept it off the air says more than that it was.
        State::Done { outcome: Outcome::Failed(Failure::Lost) } if of_start().is_some() => of_start(),
        State::Done { outcome: Outcome::Failed(Failure::Unreachable) }
            if row.fault.as_ref().is_some_and(LastFault::is_unsendable) =>
        {
            Some("its request could not be made: the error says what is missing here".to_owned())
        }
        State::Done { outcome } => {
            let of_evidence = || row.evidence.filter(|_| row.evidence_note().is_some()).and_then(advice_on_evidence);
            advice(outcome, secrets).or_else(|| of_evidence().map(str::to_owned))
        }
        State::Waiting { .. } | State::Calling => of_start(),
        State::OnAir if row.evidence == Some(Evidence::Unpulled) => advice_on_evidence(Evidence::Unpulled).map(str::to_owned),
        State::OnAir | State::Stopping { .. } => of_task(),
        State::Armed => None,
    }
}

/// The same of a show that nobody is known to have seen.
fn advice_on_evidence(evidence: Evidence) -> Option<&'static str> {
    match evidence {
        Evidence::Unpulled => Some("TRTC could not pull its media: check that its URL can be reached from there"),
        Evidence::Unseen => Some("nobody said that it played: check that its media can be fetched, and look into the room"),
        Evidence::Confirmed | Evidence::Seen => None,
    }
}
