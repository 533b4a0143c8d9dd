//! What the daemon counts while it works: requests by their answers, how late starts leave, how long requests wait and commits take, and
//! what the endpoint's answers say. What leads to a request is counted without a lock; an answer is counted under one that whoever reads
//! holds for a copy. Does not know how the numbers are shown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::trtc::{Action, Answer, Fault, PerAction};

/// The upper bounds of the buckets, in seconds, for what should take milliseconds.
const BOUNDS: [f64; 17] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];

/// The most kinds of answers that are counted apart. The vendor lists some 60 codes, and an account has few applications; what a broken
/// endpoint makes up beyond that is `other`.
const KINDS_MAX: usize = 512;

/// The longest code that is counted by its name. The longest of the vendor's has 60 characters.
const CODE_MAX: usize = 80;

/// The code of what is not counted by its name.
const OTHER: &str = "other";

/// A `Date` has whole seconds.
const DATE_STEP: SignedDuration = SignedDuration::from_secs(1);

/// Everything that is counted. One for each daemon, shared by the loop, the calls and the pages.
#[derive(Debug, Default)]
pub struct Metrics {
    /// How long after its planned start the first request of a show left.
    pub start_lateness: Histogram,
    /// How long a request waited for the limiter.
    pub queue_wait: PerAction<Histogram>,
    /// How long a commit of the ledger took.
    pub commit_time: Histogram,
    requests: Mutex<BTreeMap<Kind, u64>>,
    endpoint: Mutex<EndpointSeen>,
}

/// Requests that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// The action.
    pub action: Action,
    /// The application, by its name in the settings.
    pub app: String,
    /// What came back: `ok`, the vendor's code, or a word of ours.
    pub code: Cow<'static, str>,
}

/// What the newest requests say of the endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointSeen {
    /// How many requests in a row, the newest among them, were not answered by the service.
    pub failures: u32,
    /// When the newest request was answered, or given up; `None` before the first.
    pub last_at: Option<Timestamp>,
    /// The endpoint's clock minus this one: the smallest difference that the two newest answers with a `Date` allow. What one answer says
    /// alone may be wrong.
    pub offset: Option<SignedDuration>,
    /// The same of the newest one alone.
    newest: Option<SignedDuration>,
}

impl Metrics {
    /// Counts a request by its answer, after the answer came.
    pub fn count(&self, action: Action, app: &str, (sent_at, answered_at): (Timestamp, Timestamp), answer: &Answer) {
        let kind = Kind { action, app: app.to_owned(), code: code(answer) };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = requests.len() < KINDS_MAX || requests.contains_key(&kind);
        let kind = if is_known { kind } else { Kind { code: Cow::Borrowed(OTHER), ..kind } };
        *requests.entry(kind).or_default() += 1;
        drop(requests);
        self.see((sent_at, answered_at), answer);
    }

    /// Remembers what an answer says of the endpoint, and counts no request: one that asks for no task of ours is none.
    pub fn see(&self, (sent_at, answered_at): (Timestamp, Timestamp), answer: &Answer) {
        // What was never sent says nothing of the endpoint.
        if matches!(answer.result, Err(Fault::Unsendable(_))) {
            return;
        }
        let mut seen = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        seen.failures = if is_served(answer) { 0 } else { seen.failures.saturating_add(1) };
        seen.last_at = Some(answered_at);
        if let Some(date) = answer.server_date {
            let newest = smallest_offset(date, sent_at, answered_at);
            seen.offset = Some(seen.newest.map_or(newest, |former| nearer(newest, former)));
            seen.newest = Some(newest);
        }
    }

    /// Returns how many requests of each kind there were.
    pub fn requests(&self) -> BTreeMap<Kind, u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what the newest requests say of the endpoint.
    pub fn endpoint(&self) -> EndpointSeen {
        *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the service itself answered: an envelope, whatever is in it.
fn is_served(answer: &Answer) -> bool {
    matches!(answer.result, Ok(_) | Err(Fault::Rejected { .. }))
}

/// What came back, in one word. A code is only counted by its name if it looks like one.
fn code(answer: &Answer) -> Cow<'static, str> {
    match &answer.result {
        Ok(_) => Cow::Borrowed("ok"),
        Err(Fault::Rejected { code, .. }) => {
            let is_code =
                (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
            if is_code { Cow::Owned(code.clone()) } else { Cow::Borrowed(OTHER) }
        }
        Err(Fault::Status(status)) => Cow::Owned(format!("http_{status}")),
        Err(Fault::NotAnEnvelope(_)) => Cow::Borrowed("not_an_envelope"),
        Err(Fault::Connect(_)) => Cow::Borrowed("unreachable"),
        Err(Fault::Cut(_)) => Cow::Borrowed("cut"),
        Err(Fault::Timeout) => Cow::Borrowed("timeout"),
        Err(Fault::Unsendable(_)) => Cow::Borrowed("unsendable"),
    }
}

/// The difference of the clocks that is nearest to none, of those that a `Date` allows: the answer was written between the two times.
fn smallest_offset(date: Timestamp, sent_at: Timestamp, answered_at: Timestamp) -> SignedDuration {
    let least = date.duration_since(answered_at);
    let most = date.duration_since(sent_at) + DATE_STEP;
    SignedDuration::ZERO.min(most).max(least)
}

/// What both prove: none, if one says that this clock is ahead and the other that it is behind.
fn nearer(one: SignedDuration, other: SignedDuration) -> SignedDuration {
    if one.signum() != other.signum() {
        SignedDuration::ZERO
    } else if other.abs() < one.abs() {
        other
    } else {
        one
    }
}

/// How often something took how long. Counting is one addition without a lock.
#[derive(Debug)]
pub struct Histogram {
    /// How many fell under each bound and not under the one before; the last one is of what is longer than all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

/// What a histogram counted.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramCounts {
    /// The upper bound of each bucket in seconds, and how many fell into it and not into the one before. The last bound is `f64::MAX`.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were in all.
    pub count: u64,
    /// How long they took together, in seconds.
    pub sum: f64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: std::array::from_fn(|_| AtomicU64::new(0)), microseconds: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    /// Returns what was counted until now.
    pub fn counts(&self) -> HistogramCounts {
        let bounds = BOUNDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_micros(self.microseconds.load(Ordering::Relaxed)).as_secs_f64();
        HistogramCounts { buckets, count, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trtc::Success;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + milliseconds).expect("in range")
    }

    fn rejected(code: &str) -> Answer {
        Answer::bare(Err(Fault::Rejected { code: code.to_owned(), message: String::new() }))
    }

    #[test]
    fn requests_are_counted_by_action_application_and_code() {
        let metrics = Metrics::default();
        let count = |action, answer: &Answer| metrics.count(action, "main", (at(0), at(5)), answer);
        count(Action::Start, &Answer::bare(Ok(Success::Stopped)));
        count(Action::Start, &rejected("FailedOperation.RestrictedConcurrency"));
        count(Action::Start, &rejected("FailedOperation.RestrictedConcurrency"));
        count(Action::Stop, &Answer::bare(Err(Fault::Timeout)));
        count(Action::Describe, &Answer::bare(Err(Fault::Status(503))));
        count(Action::Describe, &rejected("a code\" of\nnobody"));
        let counted: Vec<_> =
            metrics.requests().into_iter().map(|(kind, count)| (kind.action, kind.code.into_owned(), count)).collect();
        assert_eq!(
            counted,
            [
                (Action::Start, "FailedOperation.RestrictedConcurrency".to_owned(), 2),
                (Action::Start, "ok".to_owned(), 1),
                (Action::Stop, "timeout".to_owned(), 1),
                (Action::Describe, "http_503".to_owned(), 1),
                (Action::Describe, "other".to_owned(), 1),
            ]
        );
    }

    #[test]
    fn an_endpoint_that_makes_up_codes_does_not_fill_the_memory() {
        let metrics = Metrics::default();
        for number in 0..10 * KINDS_MAX {
            metrics.count(Action::Start, "main", (at(0), at(5)), &rejected(&format!("InternalError.Nr{number}")));
        }
        let counted = metrics.requests();
        assert_eq!(counted.len(), KINDS_MAX + 1);
        assert_eq!(counted.values().sum::<u64>(), 10 * KINDS_MAX as u64, "each is counted");
    }

    #[test]
    fn the_endpoint_answers_while_the_service_says_anything() {
        let metrics = Metrics::default();
        assert_eq!(metrics.endpoint(), EndpointSeen::default());
        let failures = |answer: Answer| {
            metrics.count(Action::Describe, "main", (at(0), at(5)), &answer);
            metrics.endpoint().failures
        };
        assert_eq!(failures(Answer::bare(Err(Fault::Timeout))), 1);
        assert_eq!(failures(Answer::bare(Err(Fault::Status(502)))), 2);
        assert_eq!(failures(Answer::bare(Err(Fault::Unsendable("no key".to_owned())))), 2, "it was not asked");
        assert_eq!(failures(rejected("AuthFailure.SecretIdNotFound")), 0);
    }

    #[test]
    fn the_clock_is_off_by_no_more_than_an_answer_proves() {
        let off = |date: i64, sent: i64, answered: i64| {
            let metrics = Metrics::default();
            let answer = Answer { server_date: Some(at(date)), ..rejected("X") };
            metrics.count(Action::Describe, "main", (at(sent), at(answered)), &answer);
            metrics.endpoint().offset.map(|offset| offset.as_millis())
        };
        assert_eq!(off(0, 100, 140), Some(0), "the header has whole seconds");
        assert_eq!(off(0, 2_500, 2_540), Some(-1_500), "this clock is ahead");
        assert_eq!(off(3_000, 0, 40), Some(2_960), "this clock is behind");
        assert_eq!(off(3_000, 0, 5_000), Some(0), "a slow answer proves little");
    }

    #[test]
    fn one_answer_of_a_wrong_clock_is_not_believed_beside_another() {
        let metrics = Metrics::default();
        let off = |seconds: i64| {
            let answer = Answer { server_date: Some(at(seconds * 1_000)), ..rejected("X") };
            metrics.count(Action::Describe, "main", (at(0), at(0)), &answer);
            metrics.endpoint().offset.map(|offset| offset.as_secs())
        };
        assert_eq!([off(0), off(600), off(0)], [Some(0); 3]);
        assert_eq!([off(600), off(590), off(595)], [Some(0), Some(590), Some(590)]);
        assert_eq!(off(-600), Some(0), "they do not agree");
        assert_eq!(off(0), Some(0), "it was put right");
    }

    #[test]
    fn a_time_is_counted_once_and_in_the_smallest_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for milliseconds in [0, 1, 2, 999, 1_000, 10_000_000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let HistogramCounts { buckets, count, sum } = histogram.counts();
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.0025, 1), (1.0, 2), (f64::MAX, 1)]);
        assert_eq!((count, sum), (6, 10_002.002));
    }
}
