//! What an operator can do about an outcome, an error code, or a request that fails. Does not know which occurrence had it, and how
//! it is told: the log, `status` and `why` say the same.

use crate::occurrence::{Evidence, Failure, MissedReason, Occurrence, Outcome, State, TaskFault};

/// Error codes, or their first parts, with an advice of their own, the more special before the more general (TRTC.md
/// section 2).
const BY_CODE: &[(&str, &str)] = &[
    ("AuthFailure.SignatureExpire", CLOCK),
    ("AuthFailure.TokenFailure", "the temporary keys have expired: renew `account.token` and the keys that belong to it"),
    ("AuthFailure.UnauthorizedOperation", GRANT),
    ("AuthFailure", "the account's keys were refused: check `account.secret_id` and `account.secret_key`"),
    ("UnauthorizedOperation", GRANT),
    ("IpNotInWhitelist", "the account takes no requests from this host's address: add it in the console"),
    ("IpInBlacklist", "the account takes no requests from this host's address: allow it in the console"),
    ("FailedOperation.NotAllowed", UNLOCK),
    ("FailedOperation.NotRtmpFunction", UNLOCK),
    ("FailedOperation.NotAbility", UNLOCK),
    ("FailedOperation.RequestOutdated", CLOCK),
    ("FailedOperation.RestrictedConcurrency", QUOTA),
    ("FailedOperation.SdkAppIdNotExist", APP),
    ("FailedOperation.SdkAppIdNotUnderAppId", APP),
    ("FailedOperation.TaskExist", "another task plays as this robot: find who started it, or give the job a robot of its own"),
    ("InvalidParameter.UserSig", "the UserSig was refused: check `secret_key` and `sdk_app_id` of the application, and the clock"),
    ("InvalidParameter.StreamUrl", "the service does not take this stream URL: correct the job"),
    ("InvalidParameter", "the service does not take a value of the job: see the message"),
    ("UnsupportedOperation.TaskLimit", QUOTA),
    (
        "UnsupportedRegion",
        "the service does not take this request in the region: write another `region`; what runs there ends in the vendor's console",
    ),
    (
        "RequestLimitExceeded",
        "too many requests at once: spread the starts, or lower `rate` if something else uses the account too",
    ),
    ("LimitExceeded", QUOTA),
    ("ResourceInsufficient", "the service had no room for it: try another `region` if that goes on"),
];

const CLOCK: &str = "this host's clock is wrong: synchronise it";
const GRANT: &str = "these keys may not do that: let their user call StartStreamIngest, StopStreamIngest and DescribeStreamIngest";
const UNLOCK: &str = "the application's package does not include stream ingestion: have it unlocked by Tencent Cloud";
const QUOTA: &str = "the account's quota of running tasks is used up: have it raised, or let fewer run at once";
const NO_ANSWER: &str = "the service itself did not answer: check this host's network, a proxy in between, and `account.endpoint`";
const APP: &str = "the account has no such application: check `sdk_app_id` in the settings";

/// What to do about it; `None` where there is nothing to do.
fn advice(outcome: &Outcome) -> Option<&'static str> {
    Some(match outcome {
        Outcome::Failed(Failure::Code(code)) => return advice_on_code(code),
        Outcome::Failed(Failure::Unreachable) => {
            "no request reached the endpoint: check this host's network, and `account.endpoint`"
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
    })
}

/// The same of an error code.
pub(crate) fn advice_on_code(code: &str) -> Option<&'static str> {
    let begins = |start: &str| code.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    BY_CODE.iter().find(|(start, _)| begins(start)).map(|(_, advice)| *advice)
}

/// The same of a fault of a task's requests. One without a code did not come from the service.
pub(crate) fn advice_on_task_fault(fault: &TaskFault) -> Option<&'static str> {
    fault.code.as_deref().map_or(Some(NO_ANSWER), advice_on_code)
}

/// What to do about a row; `None` where there is nothing to do, or nothing is known.
pub(crate) fn row_advice(row: &Occurrence) -> Option<&'static str> {
    let of_start = || row.fault.as_ref().and_then(|fault| advice_on_code(fault.code.as_deref()?));
    let of_task = || row.task_fault.as_ref().and_then(advice_on_task_fault);
    match &row.state {
        State::Done { outcome } => {
            let of_evidence = || row.evidence.filter(|_| row.evidence_note().is_some()).and_then(advice_on_evidence);
            advice(outcome).or_else(of_evidence)
        }
        State::Waiting { .. } | State::Calling => of_start(),
        State::OnAir if row.evidence == Some(Evidence::Unpulled) => advice_on_evidence(Evidence::Unpulled),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_gets_the_advice_of_its_own_before_that_of_its_family() {
        for (at, (code, advice)) in BY_CODE.iter().enumerate() {
            assert_eq!(advice_on_code(code), Some(*advice), "`{code}`, entry {at}, is hidden by one before it");
        }
        for (code, words) in [
            ("AuthFailure.SecretIdNotFound", Some("keys were refused")),
            ("InvalidParameter.StrRoomId", Some("see the message")),
            ("RequestLimitExceeded.UinLimitExceeded", Some("too many requests")),
            ("InvalidParameterValue", None),
            ("InternalError", None),
            ("", None),
        ] {
            let advice = advice_on_code(code);
            assert_eq!(advice.is_some(), words.is_some(), "{code}");
            assert!(advice.unwrap_or_default().contains(words.unwrap_or_default()), "{code}: {advice:?}");
        }
    }
}
