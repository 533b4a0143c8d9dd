//! From an answer to what it means for one occurrence: the class of its fault, how often it came, and whether a start is now in
//! doubt. Does not know the occurrence's next state.

use std::time::Duration;

use super::{LastFault, Occurrence, State};
use crate::trtc::error::{self, Class};
use crate::trtc::{Answer, Fault, Success};

/// Tries of a fault with an unknown code, before it is tried slowly.
const UNKNOWN_TRIES: u32 = 3;
/// Tries of a fault that a new signature or new credentials may fix.
const ONCE_MORE_TRIES: u32 = 2;

/// Tries of a fault that the server's clock may fix: two answers must agree on that clock, and one may be wrong. When the last one
/// shows the clock, the request is signed for it once more.
const CLOCK_TRIES: u32 = 3;

/// What an answer to a start means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A task runs.
    Accepted {
        /// Its handle.
        task_id: String,
    },
    /// `TaskExist`: the state machine decides whose task it is.
    Exists,
    /// Worth another attempt.
    Again {
        /// The server's `Retry-After`: a hint, which is honoured up to the policy's cap and the close of the window.
        retry_after: Option<Duration>,
        /// How soon.
        pace: Pace,
    },
    /// The same request cannot succeed before somebody changes something: the job, the settings, the secrets, or the account at the
    /// vendor's. It is tried slowly, because nobody tells us of the last.
    NeedsFix,
}

/// How soon the next attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At once: the clock was corrected.
    AtOnce,
    /// With exponential backoff.
    Backoff,
    /// Once a minute, or more often towards the close of the window: waiting has not helped so far, and may still.
    Slow,
}

/// A verdict, with what goes into the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether the start may have begun although no success came.
    pub doubt: bool,
    /// The fault, counted.
    pub fault: Option<LastFault>,
    /// `RequestId`, if the request reached the service.
    pub request_id: Option<String>,
}

/// What the client must do after an answer to any action, in every state of its occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Take the server's clock, once it is known.
    TakeClock,
    /// Read the secrets again.
    RereadSecrets,
}

/// Returns what the client must do before the next request, after `answer`.
pub fn remedy(answer: &Answer) -> Option<Remedy> {
    let fault = answer.result.as_ref().err()?;
    match (error::classify(fault), fault) {
        (Class::Clock, _) => Some(Remedy::TakeClock),
        (_, Fault::Rejected { code, .. }) if error::is_about_secrets(code) => Some(Remedy::RereadSecrets),
        (_, Fault::Unsendable(_)) => Some(Remedy::RereadSecrets),
        _ => None,
    }
}

/// Classifies the answer to a start. `clock_was_taken`: the server's clock is taken since this answer.
pub fn classify(occurrence: &Occurrence, answer: &Answer, clock_was_taken: bool) -> Judgement {
    let mut judgement = Judgement { verdict: Verdict::NeedsFix, doubt: false, fault: None, request_id: answer.request_id.clone() };
    let fault = match &answer.result {
        Ok(Success::Started { task_id }) => {
            judgement.verdict = Verdict::Accepted { task_id: task_id.clone() };
            return judgement;
        }
        Ok(_) => &Fault::NotAnEnvelope("the answer of another action".to_owned()),
        Err(fault) => fault,
    };
    let counted = count(occurrence.fault.as_ref(), fault);
    let class = error::classify(fault);
    judgement.doubt = !error::proves_nothing_began(fault) && class != Class::TaskExists;
    judgement.verdict = match class {
        Class::TaskExists => Verdict::Exists,
        Class::Clock if clock_was_taken && counted.in_a_row <= CLOCK_TRIES => {
            Verdict::Again { retry_after: answer.retry_after, pace: Pace::AtOnce }
        }
        class => match pace(class, &counted, &occurrence.policy.retry.also) {
            Some(pace) => Verdict::Again { retry_after: answer.retry_after, pace },
            None => Verdict::NeedsFix,
        },
    };
    judgement.fault = Some(counted);
    judgement
}

/// How soon a start is tried again after a fault; `None`: somebody must change something first.
fn pace(class: Class, fault: &LastFault, also: &[String]) -> Option<Pace> {
    let is_listed = fault.code.as_ref().is_some_and(|code| is_listed(also, code));
    match class {
        _ if is_listed => Some(Pace::Backoff),
        Class::Transient | Class::TaskExists => Some(Pace::Backoff),
        Class::Unknown if fault.in_a_row < UNKNOWN_TRIES => Some(Pace::Backoff),
        Class::Unknown => Some(Pace::Slow),
        Class::RetryOnce if fault.in_a_row < ONCE_MORE_TRIES => Some(Pace::Backoff),
        Class::Clock if fault.in_a_row < CLOCK_TRIES => Some(Pace::Backoff),
        Class::RetryOnce | Class::Clock | Class::TaskGone | Class::Permanent => None,
    }
}

impl Occurrence {
    /// Whether its starts are refused until somebody changes something. What was changed since its last attempt counts as fixed.
    pub fn needs_fix(&self) -> bool {
        let Some(fault @ LastFault { code: Some(code), .. }) = &self.fault else { return false };
        let is_waiting = matches!(self.state, State::Waiting { .. } | State::Calling);
        is_waiting && fault.in_a_row > 0 && pace(error::classify_code(code), fault, &self.policy.retry.also).is_none()
    }

    /// Whether it failed for secrets that were refused, missing or not usable: others may be taken.
    pub fn needs_secrets(&self) -> bool {
        let is_about_secrets = |fault: &LastFault| match &fault.code {
            Some(code) => error::is_about_secrets(code),
            None => fault.message.starts_with(UNSENDABLE),
        };
        matches!(self.state, State::Waiting { .. }) && self.fault.as_ref().is_some_and(is_about_secrets)
    }

    /// Whether its last attempt failed for a trouble of the endpoint that goes away by itself, for everybody at once.
    pub fn awaits_endpoint(&self) -> bool {
        let is_trouble = |fault: &LastFault| match &fault.code {
            Some(code) => error::is_endpoint_trouble(code),
            None => !fault.is_unsendable(),
        };
        matches!(self.state, State::Waiting { .. }) && self.fault.as_ref().is_some_and(is_trouble)
    }
}

impl LastFault {
    /// Whether it kept a request from being made: something is missing on this host.
    pub(crate) fn is_unsendable(&self) -> bool {
        self.code.is_none() && self.message.starts_with(UNSENDABLE)
    }
}

/// How the message of a fault begins that kept a request from being built.
const UNSENDABLE: &str = "cannot be sent: ";

/// Whether a list of codes and families has this code.
fn is_listed(list: &[String], code: &str) -> bool {
    list.iter().any(|listed| listed == code || listed == error::family(code))
}

fn count(last: Option<&LastFault>, fault: &Fault) -> LastFault {
    let (code, message) = describe(fault);
    let in_a_row = match last {
        Some(last) if last.code == code && (code.is_some() || last.message == message) => last.in_a_row.saturating_add(1),
        _ => 1,
    };
    LastFault { code, message, in_a_row }
}

/// The vendor's code, if there is one, and a message for people.
pub fn describe(fault: &Fault) -> (Option<String>, String) {
    match fault {
        Fault::Rejected { code, message } => (Some(code.clone()), message.clone()),
        Fault::Status(status) => (None, format!("HTTP status {status} without an envelope")),
        Fault::NotAnEnvelope(body) => (None, format!("not the vendor's envelope: {body}")),
        Fault::Connect(reason) => (None, format!("cannot connect: {reason}")),
        Fault::Cut(reason) => (None, format!("the connection broke: {reason}")),
        Fault::Timeout => (None, "no answer in time".to_owned()),
        Fault::Unsendable(reason) => (None, format!("{UNSENDABLE}{reason}")),
    }
}
