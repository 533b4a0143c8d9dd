//! What a fault means: whether to try again, and whether it proves that nothing began (DESIGN.md section 5, Retry and Doubt).
//! One table of codes. Pure; it does not know schedules, attempts and time. It never looks at messages: the vendor says that they
//! may change.

use super::action::Fault;

/// What to do about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It goes away by itself: the request is tried again until time or attempts run out.
    Transient,
    /// A new ticket or a secret that is read again may fix it: once more, then slowly.
    RetryOnce,
    /// Not known: 3 attempts, then slowly.
    Unknown,
    /// The clocks disagree: 3 attempts, and the server's is taken when two answers agree on it.
    Clock,
    /// A task of this robot or room runs already; the state machine decides whose it is.
    TaskExists,
    /// The task is not there any more. For a stop, that is success.
    TaskGone,
    /// The same request cannot succeed before somebody changes something: it is tried slowly.
    Permanent,
}

/// The class of a fault.
pub fn classify(fault: &Fault) -> Class {
    match fault {
        Fault::Rejected { code, message: _ } => classify_code(code),
        // Something between us and the service answered, or nothing did.
        Fault::Status(_) | Fault::NotAnEnvelope(_) | Fault::Connect(_) | Fault::Cut(_) | Fault::Timeout => Class::Transient,
        // Somebody may be replacing a secret file just now; a few more attempts show it.
        Fault::Unsendable(_) => Class::Unknown,
    }
}

/// The class of an `Error.Code`: by the exact code, else by the part before the dot, else [`Class::Unknown`].
pub fn classify_code(code: &str) -> Class {
    rule(code).0
}

/// Whether a code or a family of codes is in the table.
pub(super) fn is_known(code: &str) -> bool {
    RULES.iter().any(|(listed, ..)| *listed == code)
}

/// Whether the fault proves that the request began nothing. A start whose fault does not is in doubt.
pub fn proves_nothing_began(fault: &Fault) -> bool {
    match fault {
        Fault::Connect(_) | Fault::Unsendable(_) => true,
        Fault::Status(_) | Fault::NotAnEnvelope(_) | Fault::Cut(_) | Fault::Timeout => false,
        Fault::Rejected { code, message: _ } => rule(code).1 == Proof::Nothing,
    }
}

/// Whether the server says that we send too fast. The limiter then widens its margin.
pub fn rejected_by_rate(fault: &Fault) -> bool {
    match fault {
        Fault::Status(status) => *status == 429,
        Fault::Rejected { code, message: _ } => family(code) == "RequestLimitExceeded" || is_frequency(code),
        Fault::NotAnEnvelope(_) | Fault::Connect(_) | Fault::Cut(_) | Fault::Timeout | Fault::Unsendable(_) => false,
    }
}

/// Whether a code proves that the request that got it began nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// It does: the request was turned away.
    Nothing,
    /// It does not.
    Doubt,
}

fn rule(code: &str) -> (Class, Proof) {
    let find = |wanted: &str| RULES.iter().find(|(listed, ..)| *listed == wanted).map(|(_, class, proof)| (*class, *proof));
    if let Some(found) = find(code) {
        return found;
    }
    if is_frequency(code) {
        return (Class::Transient, Proof::Nothing);
    }
    find(family(code)).unwrap_or((Class::Unknown, Proof::Doubt))
}

/// The code of a start whose stream the vendor does not take.
pub const STREAM_URL: &str = "InvalidParameter.StreamUrl";

/// Whether a code says that the account or the application is not who it says: other secrets may be. A signature that is too old is
/// not among them, because the clock is the reason.
pub fn is_about_secrets(code: &str) -> bool {
    let is_refused = matches!(family(code), "AuthFailure" | "UnauthorizedOperation") || code == "InvalidParameter.UserSig";
    is_refused && classify_code(code) != Class::Clock
}

/// Whether a code says that the service itself failed: it fails for everybody, and works again for everybody. Limits and quotas are
/// not among them.
pub fn is_endpoint_trouble(code: &str) -> bool {
    let is_failure = matches!(family(code), "InternalError" | "ServiceUnavailable" | "ResourceUnavailable");
    is_failure && classify_code(code) == Class::Transient
}

/// The part before the first dot.
pub(crate) fn family(code: &str) -> &str {
    code.split('.').next().unwrap_or(code)
}

/// `*.FreqOverLimit` and `*.RestrictedFrequency`, in any family.
fn is_frequency(code: &str) -> bool {
    code.split_once('.').is_some_and(|(_, suffix)| matches!(suffix, "FreqOverLimit" | "RestrictedFrequency"))
}

use Class::{Clock, Permanent, RetryOnce, TaskExists, TaskGone, Transient, Unknown};
use Proof::{Doubt, Nothing};

/// Exact codes and families: the codes of TRTC.md section 2 with the classes of DESIGN.md section 5. A code that has no row
/// takes its family's.
const RULES: &[(&str, Class, Proof)] = &[
    // Capacity, limits, quota: nothing began, and there may be room later.
    ("FailedOperation.RestrictedConcurrency", Transient, Nothing),
    ("LimitExceeded", Transient, Nothing),
    ("RequestLimitExceeded", Transient, Nothing),
    ("ResourceInsufficient", Transient, Nothing),
    ("UnsupportedOperation.TaskLimit", Transient, Nothing),
    // The service failed, perhaps after it had begun.
    ("FailedOperation.QueryTaskInfoFailed", Transient, Doubt),
    ("InternalError", Transient, Doubt),
    ("InternalError.HttpParseFailed", RetryOnce, Doubt),
    ("ResourceUnavailable", Transient, Doubt),
    ("ServiceUnavailable", Transient, Doubt),
    // The vendor says little, and new suffixes are to be expected.
    ("FailedOperation", Unknown, Doubt),
    ("ResourceInUse", Unknown, Doubt),
    // The account: authentication, permission, entitlement.
    ("AuthFailure", Permanent, Nothing),
    ("AuthFailure.SignatureExpire", Clock, Nothing),
    ("AuthFailure.TokenFailure", RetryOnce, Nothing),
    ("FailedOperation.NotAbility", Permanent, Nothing),
    ("FailedOperation.NotAllowed", Permanent, Nothing),
    ("FailedOperation.NotRtmpFunction", Permanent, Nothing),
    ("FailedOperation.RequestOutdated", Clock, Nothing),
    ("FailedOperation.SdkAppIdNotExist", Permanent, Nothing),
    ("FailedOperation.SdkAppIdNotUnderAppId", Permanent, Nothing),
    ("IpInBlacklist", Permanent, Nothing),
    ("IpNotInWhitelist", Permanent, Nothing),
    ("UnauthorizedOperation", Permanent, Nothing),
    // The request: parameters and the form of it.
    ("ActionOffline", Permanent, Nothing),
    ("DryRunOperation", Permanent, Nothing),
    ("InvalidAction", Permanent, Nothing),
    ("InvalidParameter", Permanent, Nothing),
    ("InvalidParameter.UserSig", RetryOnce, Nothing),
    ("InvalidParameterValue", Permanent, Nothing),
    ("InvalidRequest", Permanent, Nothing),
    ("MissingParameter", Permanent, Nothing),
    ("NoSuchProduct", Permanent, Nothing),
    ("NoSuchVersion", Permanent, Nothing),
    ("RequestSizeLimitExceeded", Permanent, Nothing),
    ("ResourceNotFound", Permanent, Nothing),
    ("UnknownParameter", Permanent, Nothing),
    ("UnsupportedOperation", Permanent, Nothing),
    ("UnsupportedProtocol", Permanent, Nothing),
    ("UnsupportedRegion", Permanent, Nothing),
    // The answer was too large: the action may have happened.
    ("ResponseSizeLimitExceeded", Permanent, Doubt),
    // The task. `TaskExist` proves that this request began nothing; an earlier one may have.
    ("FailedOperation.TaskExist", TaskExists, Nothing),
    ("FailedOperation.TaskFinished", TaskGone, Doubt),
    ("FailedOperation.TaskNotExist", TaskGone, Doubt),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code of TRTC.md section 2, table by table, then codes that are listed nowhere.
    #[rustfmt::skip]
    const CODES: &[(&str, Class, Proof)] = &[
        // 2.1 StartStreamIngest
        ("FailedOperation.NotAllowed", Permanent, Nothing),
        ("FailedOperation.NotRtmpFunction", Permanent, Nothing),
        ("FailedOperation.RestrictedConcurrency", Transient, Nothing),
        ("FailedOperation.TaskExist", TaskExists, Nothing),
        ("InternalError.HttpParseFailed", RetryOnce, Doubt),
        ("InternalError.InternalError", Transient, Doubt),
        ("InvalidParameter.BodyParamsError", Permanent, Nothing),
        ("InvalidParameter.RoomId", Permanent, Nothing),
        ("InvalidParameter.SdkAppId", Permanent, Nothing),
        ("InvalidParameter.StrRoomId", Permanent, Nothing),
        (STREAM_URL, Permanent, Nothing),
        ("InvalidParameter.TaskId", Permanent, Nothing),
        ("InvalidParameter.UserSig", RetryOnce, Nothing),
        ("MissingParameter.RoomId", Permanent, Nothing),
        ("MissingParameter.SdkAppId", Permanent, Nothing),
        ("MissingParameter.TaskId", Permanent, Nothing),
        ("ResourceInsufficient.RequestRejection", Transient, Nothing),
        // 2.2 Stop, Describe, Update
        ("FailedOperation.TaskFinished", TaskGone, Doubt),
        ("FailedOperation.QueryTaskInfoFailed", Transient, Doubt),
        ("InternalError.DBError", Transient, Doubt),
        ("FailedOperation.TaskNotExist", TaskGone, Doubt),
        // 2.2, the product's other codes
        ("FailedOperation.NotAbility", Permanent, Nothing),
        ("FailedOperation.SdkAppIdNotExist", Permanent, Nothing),
        ("FailedOperation.SdkAppIdNotUnderAppId", Permanent, Nothing),
        ("UnauthorizedOperation.SdkAppId", Permanent, Nothing),
        ("AuthFailure", Permanent, Nothing),
        ("AuthFailure.UnRealNameAuthenticated", Permanent, Nothing),
        ("AuthFailure.UnsupportedOperation", Permanent, Nothing),
        ("FailedOperation.RestrictedFrequency", Transient, Nothing),
        ("OperationDenied.FreqOverLimit", Transient, Nothing),
        ("FailedOperation.RequestOutdated", Clock, Nothing),
        ("LimitExceeded.ConcurrencyLimit", Transient, Nothing),
        ("UnsupportedOperation.TaskLimit", Transient, Nothing),
        ("MissingParameter.UserId", Permanent, Nothing),
        ("MissingParameter.UserSig", Permanent, Nothing),
        ("UnknownParameter", Permanent, Nothing),
        // 2.3 the platform's
        ("ActionOffline", Permanent, Nothing),
        ("AuthFailure.InvalidAuthorization", Permanent, Nothing),
        ("AuthFailure.InvalidSecretId", Permanent, Nothing),
        ("AuthFailure.MFAFailure", Permanent, Nothing),
        ("AuthFailure.SecretIdNotFound", Permanent, Nothing),
        ("AuthFailure.SignatureExpire", Clock, Nothing),
        ("AuthFailure.SignatureFailure", Permanent, Nothing),
        ("AuthFailure.TokenFailure", RetryOnce, Nothing),
        ("AuthFailure.UnauthorizedOperation", Permanent, Nothing),
        ("DryRunOperation", Permanent, Nothing),
        ("FailedOperation", Unknown, Doubt),
        ("InternalError", Transient, Doubt),
        ("InvalidAction", Permanent, Nothing),
        ("NoSuchVersion", Permanent, Nothing),
        ("NoSuchProduct", Permanent, Nothing),
        ("InvalidParameter", Permanent, Nothing),
        ("InvalidParameterValue", Permanent, Nothing),
        ("MissingParameter", Permanent, Nothing),
        ("InvalidRequest", Permanent, Nothing),
        ("IpInBlacklist", Permanent, Nothing),
        ("IpNotInWhitelist", Permanent, Nothing),
        ("LimitExceeded", Transient, Nothing),
        ("RequestLimitExceeded", Transient, Nothing),
        ("RequestLimitExceeded.GlobalRegionUinLimitExceeded", Transient, Nothing),
        ("RequestLimitExceeded.IPLimitExceeded", Transient, Nothing),
        ("RequestLimitExceeded.UinLimitExceeded", Transient, Nothing),
        ("RequestSizeLimitExceeded", Permanent, Nothing),
        ("ResponseSizeLimitExceeded", Permanent, Doubt),
        ("ResourceInUse", Unknown, Doubt),
        ("ResourceInsufficient", Transient, Nothing),
        ("ResourceNotFound", Permanent, Nothing),
        ("ResourceUnavailable", Transient, Doubt),
        ("ServiceUnavailable", Transient, Doubt),
        ("UnauthorizedOperation", Permanent, Nothing),
        ("UnsupportedOperation", Permanent, Nothing),
        ("UnsupportedProtocol", Permanent, Nothing),
        ("UnsupportedRegion", Permanent, Nothing),
        // Listed nowhere: by family, by suffix, or unknown.
        ("InvalidParameter.Tempo", Permanent, Nothing),
        ("InternalError.NewTrouble", Transient, Doubt),
        ("FailedOperation.NewTrouble", Unknown, Doubt),
        ("ResourceInUse.NewTrouble", Unknown, Doubt),
        ("OperationDenied.NewTrouble", Unknown, Doubt),
        ("OperationDenied", Unknown, Doubt),
        ("FreqOverLimit", Unknown, Doubt),
        ("Brand.New.Code", Unknown, Doubt),
        ("internalerror", Unknown, Doubt),
        ("", Unknown, Doubt),
    ];

    #[test]
    fn every_listed_code_has_its_class_and_its_proof() {
        for &(code, class, proof) in CODES {
            let fault = Fault::Rejected { code: code.to_owned(), message: "RequestLimitExceeded: internal error".to_owned() };
            assert_eq!(classify(&fault), class, "{code}");
            assert_eq!(proves_nothing_began(&fault), proof == Nothing, "{code}");
            let rate = code.starts_with("RequestLimitExceeded")
                || code.ends_with(".FreqOverLimit")
                || code.ends_with(".RestrictedFrequency");
            assert_eq!(rejected_by_rate(&fault), rate, "{code}");
        }
    }

    #[test]
    fn a_fault_without_a_code_is_transient_and_only_an_unsent_one_proves_anything() {
        let text = String::new;
        for (fault, class, proof) in [
            (Fault::Connect(text()), Transient, Nothing),
            (Fault::Unsendable(text()), Unknown, Nothing),
            (Fault::Cut(text()), Transient, Doubt),
            (Fault::Timeout, Transient, Doubt),
            (Fault::Status(429), Transient, Doubt),
            (Fault::Status(502), Transient, Doubt),
            (Fault::NotAnEnvelope(text()), Transient, Doubt),
        ] {
            assert_eq!(classify(&fault), class, "{fault:?}");
            assert_eq!(proves_nothing_began(&fault), proof == Nothing, "{fault:?}");
            assert_eq!(rejected_by_rate(&fault), fault == Fault::Status(429), "{fault:?}");
        }
    }

    #[test]
    fn every_refusal_of_who_we_are_is_about_secrets_and_a_failure_of_the_service_is_its_trouble() {
        let named = |wanted: fn(&str) -> bool| CODES.iter().map(|(code, ..)| *code).filter(|code| wanted(code)).collect::<Vec<_>>();
        let mut about_secrets = named(is_about_secrets);
        about_secrets.sort_unstable();
        about_secrets.dedup();
        assert_eq!(
            about_secrets,
            [
                "AuthFailure",
                "AuthFailure.InvalidAuthorization",
                "AuthFailure.InvalidSecretId",
                "AuthFailure.MFAFailure",
                "AuthFailure.SecretIdNotFound",
                "AuthFailure.SignatureFailure",
                "AuthFailure.TokenFailure",
                "AuthFailure.UnRealNameAuthenticated",
                "AuthFailure.UnauthorizedOperation",
                "AuthFailure.UnsupportedOperation",
                "InvalidParameter.UserSig",
                "UnauthorizedOperation",
                "UnauthorizedOperation.SdkAppId",
            ]
        );
        let trouble = [
            "InternalError.InternalError",
            "InternalError.DBError",
            "InternalError",
            "ResourceUnavailable",
            "ServiceUnavailable",
            "InternalError.NewTrouble",
        ];
        assert_eq!(named(is_endpoint_trouble), trouble);
    }

    #[test]
    fn no_code_has_two_rules() {
        let codes: std::collections::BTreeSet<&str> = RULES.iter().map(|(code, ..)| *code).collect();
        assert_eq!(codes.len(), RULES.len());
    }
}
