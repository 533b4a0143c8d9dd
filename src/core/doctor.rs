//! What would go wrong at air time, as far as a question that starts nothing can tell: from the endpoint's answer to a describe of a
//! task that cannot be, to findings. What the codes mean is in TRTC.md sections 2 and 10. It asks nobody, and reads no secret.

mod problem_alerts;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::engine::OFFSET_MAX;
use crate::finding::{Finding, FindingKind, FindingSeverity};
use crate::schedule::Schedule;
use crate::trtc::advice::{SecretPlaces, advice_on_code};
use crate::trtc::{Answer, Destination, Fault};
pub use problem_alerts::ProblemAlerts;

/// The task that is asked for: no task has this id.
pub const NO_TASK: &str = "ingestd-doctor-asks-for-no-task";

/// A question and its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whom it was sent to.
    pub destination: Destination,
    /// When, by this host's clock.
    pub sent_at: Timestamp,
    /// When the answer came.
    pub answered_at: Timestamp,
    /// The answer.
    pub answer: Answer,
}

/// Returns whom the jobs of a schedule ask: each application with each of its regions, once. Without any job: each of `apps`.
pub fn destinations(schedule: Option<&Schedule>, apps: &[Destination]) -> Vec<Destination> {
    let mut seen = BTreeSet::new();
    let jobs = schedule.into_iter().flat_map(Schedule::jobs).filter(|job| job.enabled);
    let used = jobs.filter_map(|job| {
        let app = job.app.as_ref()?;
        let region = job.region.as_ref()?;
        let is_new = seen.insert((app.name.to_string(), region.to_string()));
        is_new.then_some(Destination { app: app.name.to_string(), sdk_app_id: app.sdk_app_id?, region: region.to_string() })
    });
    let used: Vec<Destination> = used.collect();
    if used.is_empty() { apps.to_vec() } else { used }
}

/// Judges all answers. What holds for the account or the way to it is told once. `endpoint`: how it is called.
pub fn judge_answers(asked: &[Asked], endpoint: &str, secrets: SecretPlaces) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let of_answers = asked.iter().filter_map(|asked| of_answer(asked, endpoint, secrets));
    let found: Vec<Finding> = asked.iter().filter_map(of_clock).chain(of_answers).collect();
    found.into_iter().filter(|finding| seen.insert((finding.kind, finding.about.clone()))).collect()
}

/// By how much the endpoint's clock is ahead of this one, at least, in milliseconds; negative: behind. Its `Date` has whole seconds,
/// and is written at some time between the question and the answer.
pub fn clock_differs_ms(sent_at: Timestamp, answered_at: Timestamp, date: Timestamp) -> i64 {
    let least = date.duration_since(answered_at).as_millis();
    let most = date.duration_since(sent_at).as_millis() + 1_000;
    let differs = if least > 0 { least } else { most.min(0) };
    i64::try_from(differs).unwrap_or(if differs > 0 { i64::MAX } else { i64::MIN })
}

fn of_clock(asked: &Asked) -> Option<Finding> {
    let differs = clock_differs_ms(asked.sent_at, asked.answered_at, asked.answer.server_date?);
    (SignedDuration::from_millis(differs).abs() > OFFSET_MAX).then(|| {
        let way = if differs > 0 { "behind" } else { "ahead of" };
        let seconds = differs.unsigned_abs().div_ceil(1_000);
        Finding::problem(
            FindingKind::Clock,
            "clock",
            format!("this host's clock is {seconds} s {way} the endpoint's: shows start that much off"),
            "synchronise it, for example with `timedatectl set-ntp true`",
        )
    })
}

/// What an answer says of keys, permissions, the application and the way to the endpoint. `None`: all of these are good.
fn of_answer(asked: &Asked, endpoint: &str, secrets: SecretPlaces) -> Option<Finding> {
    let Destination { app, region, .. } = &asked.destination;
    let unreachable = |why: String, advice: &str| {
        Some(Finding::problem(FindingKind::Network, endpoint, format!("the endpoint `{endpoint}` does not answer: {why}"), advice))
    };
    let (code, message) = match &asked.answer.result {
        Ok(_) => return None,
        Err(Fault::Rejected { code, message }) => (code.as_str(), message.as_str()),
        // It names the host, and says what to check.
        Err(Fault::Connect(why)) => {
            return Some(Finding::problem(FindingKind::Network, endpoint, why.clone(), "no show starts before it can be reached"));
        }
        Err(Fault::Timeout) => {
            return unreachable("no answer in time".to_owned(), "check this host's network, and a proxy in between");
        }
        Err(Fault::Cut(why)) => return unreachable(format!("the connection was cut ({why})"), "check what is between"),
        Err(Fault::Status(status)) => {
            return unreachable(format!("HTTP status {status}"), "something else may answer there, such as a proxy; else wait");
        }
        Err(Fault::NotAnEnvelope(found)) => {
            return unreachable(
                format!("what answers is not the service's ({found})"),
                "something else answers there, such as a proxy: check `account.endpoint`",
            );
        }
        Err(Fault::Unsendable(why)) => {
            return Some(Finding::problem(
                FindingKind::Secret,
                "account",
                format!("requests cannot be signed: {why}"),
                "put the secret where the settings say",
            ));
        }
    };
    let (severity, kind, about) = class(code, app, region)?;
    let said = if message.is_empty() { code.to_owned() } else { format!("{code} ({message})") };
    let what = match kind {
        FindingKind::Key => format!("the account's keys are refused: {said}"),
        FindingKind::Permission => format!("the account's keys may not call DescribeStreamIngest: {said}"),
        FindingKind::App => format!("the application `{app}` is refused: {said}"),
        FindingKind::Region => format!("the region `{region}` is refused: {said}"),
        _ => format!("the endpoint refuses a question about `{app}` in `{region}`: {said}"),
    };
    let advice = advice_on_code(code, secrets).unwrap_or_default();
    Some(Finding { severity, ..Finding::problem(kind, about, what, advice) })
}

/// What a code says, the more special before the more general. The codes of the first rows say that everything is good: whoever is told
/// that there is no such task was let in.
fn class(code: &str, app: &str, region: &str) -> Option<(FindingSeverity, FindingKind, String)> {
    const GOOD: [&str; 5] = [
        "InvalidParameter.TaskId",
        "FailedOperation.QueryTaskInfoFailed",
        "FailedOperation.TaskNotExist",
        "FailedOperation.TaskFinished",
        "ResourceNotFound",
    ];
    const CLOCK: [&str; 2] = ["AuthFailure.SignatureExpire", "FailedOperation.RequestOutdated"];
    const APP: [&str; 6] = [
        "FailedOperation.SdkAppIdNotExist",
        "FailedOperation.SdkAppIdNotUnderAppId",
        "UnauthorizedOperation.SdkAppId",
        "InvalidParameter.SdkAppId",
        "InvalidParameter.InvalidSdkAppId",
        "FailedOperation.NotAbility",
    ];
    const PASSING: [&str; 6] = [
        "InternalError",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ResourceUnavailable",
        "ResourceInsufficient",
        "FailedOperation.RestrictedFrequency",
    ];
    let is_of = |family: &&str| code.strip_prefix(*family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let of = |codes: &[&str]| codes.iter().any(is_of);
    let (problem, account) = (FindingSeverity::Problem, || "account".to_owned());
    if of(&GOOD) {
        None
    } else if of(&CLOCK) {
        Some((problem, FindingKind::Clock, "clock".to_owned()))
    } else if of(&APP) {
        Some((problem, FindingKind::App, app.to_owned()))
    } else if of(&["AuthFailure.UnauthorizedOperation", "UnauthorizedOperation"]) {
        Some((problem, FindingKind::Permission, account()))
    } else if of(&["AuthFailure", "IpNotInWhitelist", "IpInBlacklist"]) {
        Some((problem, FindingKind::Key, account()))
    } else if of(&["UnsupportedRegion"]) {
        Some((problem, FindingKind::Region, region.to_owned()))
    } else if of(&PASSING) {
        Some((FindingSeverity::Note, FindingKind::Network, "answer".to_owned()))
    } else {
        Some((problem, FindingKind::Network, format!("{app} {region}")))
    }
}

/// Returns what cannot be told without a start, and so is no reason to worry. `synchronised`: what is known of the clock.
pub fn untold(asked: &[Asked], synchronised: Option<bool>) -> Vec<Finding> {
    let mut notes = Vec::new();
    let is_compared = asked.iter().any(|asked| asked.answer.server_date.is_some());
    let unkept = match synchronised {
        Some(true) => None,
        Some(false) => Some("nobody keeps this host's clock right"),
        None => Some("whether somebody keeps this host's clock right is not known"),
    };
    if let Some(unkept) = unkept {
        let now = if is_compared { ", though now it agrees with the endpoint's" } else { "" };
        let is_off = asked.iter().any(|asked| of_clock(asked).is_some());
        let now = if is_off { "" } else { now };
        notes.push(Finding::note(FindingKind::Clock, "synchronised", format!("{unkept}{now}"), "`timedatectl` says what keeps it"));
    }
    if asked.iter().any(|asked| of_answer(asked, "", SecretPlaces::default()).is_none()) {
        notes.push(Finding::note(
            FindingKind::Permission,
            "start and stop",
            "these keys may call DescribeStreamIngest; whether they may call StartStreamIngest and StopStreamIngest cannot be told \
             without a start",
            "let their user call all three",
        ));
    }
    let apps: BTreeSet<&str> = asked.iter().map(|asked| asked.destination.app.as_str()).collect();
    for app in apps {
        let what =
            format!("whether the `secret_key` of the application `{app}` signs UserSig rightly cannot be told without a start");
        notes.push(Finding::note(FindingKind::Usersig, app, what, "compare it with the SDKSecretKey in the console"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trtc::{Success, TaskStatus};

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + milliseconds).expect("an instant")
    }

    fn asked(app: &str, region: &str, result: Result<Success, Fault>) -> Asked {
        let destination = Destination { app: app.to_owned(), sdk_app_id: 1, region: region.to_owned() };
        Asked {
            destination,
            sent_at: at(0),
            answered_at: at(80),
            answer: Answer { server_date: Some(at(0)), ..Answer::bare(result) },
        }
    }

    fn refused(code: &str) -> Asked {
        asked("main", "ap-singapore", Err(Fault::Rejected { code: code.to_owned(), message: "no".to_owned() }))
    }

    fn judged(asked: &[Asked]) -> Vec<Finding> {
        judge_answers(asked, "https://trtc.example", SecretPlaces::default())
    }

    #[test]
    fn whoever_is_told_that_there_is_no_such_task_was_let_in() {
        let good = asked("main", "ap-singapore", Ok(Success::Described(TaskStatus::NotExist)));
        assert_eq!(judged(&[good]), []);
        for code in ["InvalidParameter.TaskId", "FailedOperation.QueryTaskInfoFailed", "FailedOperation.TaskNotExist"] {
            assert_eq!(judged(&[refused(code)]), [], "{code}");
        }
    }

    #[test]
    fn a_code_tells_what_is_wrong_and_its_advice_what_to_do() {
        use FindingKind::{App, Clock, Key, Network, Permission, Region};
        for (code, kind, about, advice) in [
            ("AuthFailure.SecretIdNotFound", Key, "account", "`account.secret_id`"),
            ("AuthFailure.SignatureFailure", Key, "account", "`account.secret_key`"),
            ("AuthFailure.TokenFailure", Key, "account", "`account.token`"),
            ("AuthFailure.UnauthorizedOperation", Permission, "account", "StopStreamIngest"),
            ("UnauthorizedOperation", Permission, "account", "StopStreamIngest"),
            ("UnauthorizedOperation.SdkAppId", App, "main", ""),
            ("FailedOperation.SdkAppIdNotExist", App, "main", "`sdk_app_id`"),
            ("UnsupportedRegion", Region, "ap-singapore", "`region`"),
            ("AuthFailure.SignatureExpire", Clock, "clock", "synchronise"),
            ("IpNotInWhitelist", Key, "account", "this host's address"),
            ("InvalidAction", Network, "main ap-singapore", "`account.endpoint`"),
        ] {
            let [finding] = &judged(&[refused(code)])[..] else { panic!("{code}") };
            assert_eq!((finding.kind, finding.about.as_str(), finding.is_problem()), (kind, about, true), "{code}");
            assert!(finding.what.contains(code) && finding.advice.contains(advice), "{finding:?}");
        }
        let [finding] = &judged(&[refused("InternalError.DBError")])[..] else { panic!("one") };
        assert!(!finding.is_problem(), "it passes: {finding:?}");
    }

    #[test]
    fn no_answer_is_a_problem_of_the_network() {
        for (fault, words) in [
            (Fault::Connect("no connection to `x`: nothing listens there".to_owned()), "nothing listens there"),
            (Fault::Timeout, "no answer in time"),
            (Fault::Cut("reset".to_owned()), "was cut"),
            (Fault::Status(502), "HTTP status 502"),
            (Fault::NotAnEnvelope("a page of HTML".to_owned()), "is not the service's"),
        ] {
            let [finding] = &judged(&[asked("main", "r", Err(fault))])[..] else { panic!("{words}") };
            assert!(finding.kind == FindingKind::Network && finding.is_problem() && finding.what.contains(words), "{finding:?}");
        }
    }

    #[test]
    fn what_holds_for_all_is_told_once() {
        let wrong = |app: &str, region: &str, code: &str| {
            asked(app, region, Err(Fault::Rejected { code: code.to_owned(), message: String::new() }))
        };
        let key = "AuthFailure.SecretIdNotFound";
        assert_eq!(judged(&[wrong("a", "x", key), wrong("b", "x", key), wrong("b", "y", key)]).len(), 1);
        let app = "FailedOperation.SdkAppIdNotExist";
        assert_eq!(judged(&[wrong("a", "x", app), wrong("b", "x", app), wrong("b", "y", app)]).len(), 2);
        assert_eq!(judged(&[wrong("a", "x", "UnsupportedRegion"), wrong("a", "y", "UnsupportedRegion")]).len(), 2);
    }

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much_and_once() {
        for (date, differs) in [(0, 0), (-900, 0), (-1_500, -500), (80, 0), (1_000, 920), (600_000, 599_920), (-600_000, -599_000)]
        {
            assert_eq!(clock_differs_ms(at(0), at(80), at(date)), differs, "{date}");
        }
        let off = |date| {
            let mut asked = refused("AuthFailure.SignatureExpire");
            asked.answer.server_date = Some(at(date));
            judged(&[asked])
        };
        let [finding] = &off(600_000)[..] else { panic!("one") };
        assert!(finding.what.contains("600 s behind the endpoint's") && finding.is_problem(), "{finding:?}");
        assert!(off(-600_000)[0].what.contains("599 s ahead of"), "{:?}", off(-600_000));
        let good = |date| {
            let mut asked = asked("main", "r", Ok(Success::Described(TaskStatus::NotExist)));
            asked.answer.server_date = Some(at(date));
            judged(&[asked]).len()
        };
        assert_eq!((good(2_000), good(-2_900), good(2_200), good(-3_200)), (0, 0, 1, 1));
    }

    #[test]
    fn what_cannot_be_told_is_a_note() {
        let good = asked("main", "r", Ok(Success::Described(TaskStatus::NotExist)));
        let notes = untold(&[good.clone(), asked("other", "r", Err(Fault::Timeout))], Some(true));
        let kinds: Vec<_> = notes.iter().map(|note| (note.kind.name(), note.about.as_str())).collect();
        assert_eq!(kinds, [("permission", "start and stop"), ("usersig", "main"), ("usersig", "other")]);
        assert!(notes.iter().all(|note| !note.is_problem()));
        assert!(untold(&[good], None)[0].what.contains("is not known, though now it agrees"));
        assert!(untold(&[], Some(false))[0].what.ends_with("nobody keeps this host's clock right"));
    }
}
