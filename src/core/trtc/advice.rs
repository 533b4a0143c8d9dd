//! What an operator can do about an error code, with the verb or the command that makes it count. Does not know which occurrence had
//! it, and never opens a secret.

/// Error codes, or their first parts, with an advice of their own, the more special before the more general (TRTC.md
/// section 2).
const BY_CODE: [(&str, &str, Then); 40] = [
    ("AuthFailure.SignatureExpire", CLOCK, Then::Nothing),
    (
        "AuthFailure.TokenFailure",
        "the temporary keys have expired: renew `account.token` and the keys that belong to it",
        Then::Account,
    ),
    ("AuthFailure.UnauthorizedOperation", GRANT, Then::Nothing),
    ("AuthFailure", "the account's keys were refused: check `account.secret_id` and `account.secret_key`", Then::Account),
    ("UnauthorizedOperation", GRANT, Then::Nothing),
    ("IpNotInWhitelist", "the account takes no requests from this host's address: add it in the console", Then::Nothing),
    ("IpInBlacklist", "the account takes no requests from this host's address: allow it in the console", Then::Nothing),
    ("FailedOperation.NotAllowed", UNLOCK, Then::Nothing),
    ("FailedOperation.NotRtmpFunction", UNLOCK, Then::Nothing),
    ("FailedOperation.NotAbility", UNLOCK, Then::Nothing),
    ("FailedOperation.RequestOutdated", CLOCK, Then::Nothing),
    ("FailedOperation.RestrictedConcurrency", QUOTA, Then::Nothing),
    ("FailedOperation.SdkAppIdNotExist", APP, Then::Settings),
    ("FailedOperation.SdkAppIdNotUnderAppId", APP, Then::Settings),
    (
        "FailedOperation.TaskExist",
        "another task plays as this robot: find who started it, or give the job a robot of its own",
        Then::Job,
    ),
    (
        "InvalidParameter.UserSig",
        "the UserSig was refused: check the clock, and `secret_key` and `sdk_app_id` of the application",
        Then::App,
    ),
    ("InvalidParameter.SdkAppId", APP, Then::Settings),
    ("InvalidParameter.InvalidSdkAppId", APP, Then::Settings),
    ("InvalidParameter.RoomId", ROOM, Then::Job),
    ("InvalidParameter.StrRoomId", ROOM, Then::Job),
    ("FailedOperation.RoomNotExist", ROOM, Then::Job),
    ("InvalidParameter.StreamUrl", "the service does not take this stream URL: correct the job", Then::Job),
    ("InvalidParameter", "the service does not take a value of the job: see the message, and correct the job", Then::Job),
    ("InvalidParameterValue", "the service does not take a value of the job: see the message, and correct the job", Then::Job),
    (
        "UnknownParameter",
        "this endpoint does not know a field of the job; the international one has no `tempo`, `progress` and `idle_timeout`: remove the \
         field that the message names",
        Then::Job,
    ),
    (
        "MissingParameter",
        "this endpoint wants what ingestd does not send: check `account.endpoint`, and that no proxy changes requests",
        Then::Settings,
    ),
    ("InvalidAction", ENDPOINT, Then::Settings),
    ("NoSuchVersion", ENDPOINT, Then::Settings),
    ("NoSuchProduct", ENDPOINT, Then::Settings),
    ("UnsupportedProtocol", ENDPOINT, Then::Settings),
    (
        "InvalidRequest",
        "the request did not arrive as it was sent: check `account.endpoint`, and a proxy in between",
        Then::Settings,
    ),
    ("ActionOffline", "the service has withdrawn this action: look for a newer ingestd", Then::Nothing),
    ("RequestSizeLimitExceeded", "the request is too long: shorten `stream` of the job", Then::Job),
    (
        "ResourceNotFound",
        "the service does not find what the request names: check `sdk_app_id` and `region` in the settings",
        Then::Settings,
    ),
    (
        "UnsupportedRegion",
        "the service is not in this region: correct `region` of the job, or of the settings",
        Then::JobOrSettings,
    ),
    ("UnsupportedOperation.TaskLimit", QUOTA, Then::Nothing),
    (
        "RequestLimitExceeded",
        "too many requests at once: spread the starts, or lower `rate` if something else uses the account too",
        Then::Settings,
    ),
    ("LimitExceeded", QUOTA, Then::Nothing),
    (
        "UnsupportedOperation",
        "the service does not do this for the application: see the message, and ask Tencent Cloud",
        Then::Nothing,
    ),
    ("ResourceInsufficient", "the service had no room for it: try another `region` if that goes on", Then::Job),
];

const CLOCK: &str = "this host's clock is wrong: synchronise it";
const GRANT: &str = "these keys may not do that: let their user call StartStreamIngest, StopStreamIngest and DescribeStreamIngest";
const UNLOCK: &str = "the application's package does not include stream ingestion: have it unlocked by Tencent Cloud";
const QUOTA: &str = "the account's quota of running tasks is used up: have it raised, or let fewer run at once";
const APP: &str = "the account has no such application: check `sdk_app_id` in the settings";

const ROOM: &str =
    "the service does not take this room: see the message, and correct `room` of the job; a number and a text are different rooms";
const ENDPOINT: &str = "this endpoint does not have the action: `account.endpoint` is `https://trtc.tencentcloudapi.com`";

/// What makes a correction count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It counts at once, or it is made elsewhere.
    Nothing,
    /// The schedule is read again.
    Job,
    /// The settings are read when the daemon starts.
    Settings,
    /// One of the two.
    JobOrSettings,
    /// The account's secrets are read again.
    Account,
    /// The application's key is read again; its number is in the settings.
    App,
}

/// Where a secret is kept, as far as an operator must know to change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretPlace {
    /// In a file that the daemon reads again by itself.
    #[default]
    File,
    /// In a credential of systemd: a copy that is made when the service starts (systemd.exec(5), `LoadCredential=`).
    Credential,
    /// In an environment variable, which is fixed when the service starts.
    Environment,
}

/// Where the secrets are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecretPlaces {
    /// The account's.
    pub account: SecretPlace,
    /// The keys of the applications.
    pub apps: SecretPlace,
}

impl SecretPlace {
    /// Returns the place of several secrets that are changed together: the one that is the hardest to change.
    pub fn of_all(places: impl IntoIterator<Item = SecretPlace>) -> SecretPlace {
        let places: Vec<SecretPlace> = places.into_iter().collect();
        let hardest_first = [SecretPlace::Credential, SecretPlace::Environment];
        hardest_first.into_iter().find(|place| places.contains(place)).unwrap_or_default()
    }

    /// What makes another secret count, as the rest of a sentence.
    pub fn takes_effect(self) -> &'static str {
        match self {
            SecretPlace::File => "a corrected file is read again by itself",
            SecretPlace::Credential => {
                "correct the file that `LoadCredential=` names; systemd copies it when the service starts: `systemctl restart \
                 ingestd`, and shows stay on air"
            }
            SecretPlace::Environment => {
                "a variable is fixed when the service starts: correct it, then `systemctl restart ingestd`, and shows stay on air"
            }
        }
    }
}

/// Returns what to do about an error code; `None` where there is nothing to do.
pub fn advice_on_code(code: &str, secrets: SecretPlaces) -> Option<String> {
    const RELOAD: &str = "then `ingestd reload`";
    const RESTART: &str = "then `systemctl restart ingestd`, which reads the settings; shows stay on air";
    let begins = |start: &str| code.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let (_, advice, then) = BY_CODE.iter().find(|(start, ..)| begins(start))?;
    Some(match then {
        Then::Nothing => (*advice).to_owned(),
        Then::Job => format!("{advice}, {RELOAD}"),
        Then::Settings => format!("{advice}, {RESTART}"),
        Then::JobOrSettings => format!("{advice}, {RELOAD} or {}", RESTART.trim_start_matches("then ")),
        Then::Account => format!("{advice}; {}", secrets.account.takes_effect()),
        Then::App => format!("{advice}; {}", secrets.apps.takes_effect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_gets_the_advice_of_its_own_before_that_of_its_family() {
        for (at, (code, advice, _)) in BY_CODE.iter().enumerate() {
            let given = advice_on_code(code, SecretPlaces::default()).expect("it is listed");
            assert!(given.starts_with(advice), "`{code}`, entry {at}, is hidden by one before it");
        }
        for (code, words) in [
            ("AuthFailure.SecretIdNotFound", Some("keys were refused")),
            ("InvalidParameter.StrRoomId", Some("see the message")),
            ("RequestLimitExceeded.UinLimitExceeded", Some("too many requests")),
            ("InvalidParameterValue.Length", Some("see the message")),
            ("UnknownParameter", Some("`tempo`")),
            ("UnknownParameters", None),
            ("InvalidAction", Some("`account.endpoint`")),
            ("InternalError", None),
            ("", None),
        ] {
            let advice = advice_on_code(code, SecretPlaces::default());
            assert_eq!(advice.is_some(), words.is_some(), "{code}");
            assert!(advice.clone().unwrap_or_default().contains(words.unwrap_or_default()), "{code}: {advice:?}");
        }
    }

    #[test]
    fn the_advice_on_a_refused_secret_names_what_makes_another_count() {
        let of = |code: &str, account, apps| advice_on_code(code, SecretPlaces { account, apps }).expect("it is listed");
        for code in ["AuthFailure.SecretIdNotFound", "AuthFailure.TokenFailure", "AuthFailure.SignatureFailure"] {
            let by_place = |place| of(code, place, SecretPlace::default());
            assert!(by_place(SecretPlace::File).contains("read again by itself"));
            for place in [SecretPlace::Credential, SecretPlace::Environment] {
                let advice = by_place(place);
                assert!(advice.contains("`systemctl restart ingestd`") && !advice.contains("reload"), "{advice}");
            }
        }
        let app = of("InvalidParameter.UserSig", SecretPlace::File, SecretPlace::Credential);
        assert!(app.contains("`LoadCredential=`") && app.contains("shows stay on air"), "{app}");
        let settings = of("FailedOperation.SdkAppIdNotExist", SecretPlace::File, SecretPlace::File);
        assert!(settings.contains("restart") && !settings.contains("reload"), "{settings}");
        let job = of("InvalidParameter.StreamUrl", SecretPlace::File, SecretPlace::File);
        assert!(job.ends_with("correct the job, then `ingestd reload`"), "{job}");
    }

    #[test]
    fn of_several_places_the_one_that_needs_a_restart_counts() {
        use SecretPlace::{Credential, Environment, File};
        for (places, place) in [
            (vec![], File),
            (vec![File, File], File),
            (vec![File, Environment], Environment),
            (vec![Environment, Credential, File], Credential),
        ] {
            assert_eq!(SecretPlace::of_all(places.clone()), place, "{places:?}");
        }
    }
}
