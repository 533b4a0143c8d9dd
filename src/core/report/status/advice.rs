//! What an operator can do about an outcome. Does not know which occurrence had it.

use crate::occurrence::{Failure, MissedReason, Outcome};
use crate::trtc::advice::{SecretPlaces, advice_on_code};

/// What to do about it; `None` where there is nothing to do.
pub(in crate::report) fn advice(outcome: &Outcome, secrets: SecretPlaces) -> Option<String> {
    let advice = match outcome {
        Outcome::Failed(Failure::Code(code)) => return advice_on_code(code, secrets),
        Outcome::Failed(Failure::Unreachable) => {
            "no request reached the endpoint: check this host's network, and `account.endpoint`, which is read when the service starts"
        }
        Outcome::Failed(Failure::InDoubt) => "it may have been on air all the same: look into the room",
        Outcome::Failed(Failure::Lost) => "its media ended or broke off: check that the stream can be fetched",
        Outcome::EndedUnverified => "it is not verified that it left the air: look into the room",
        Outcome::Missed(MissedReason::Down) => "no daemon ran at its start: see why in the service's log",
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
