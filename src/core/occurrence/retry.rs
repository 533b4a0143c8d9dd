//! How long to wait before the next attempt: exponential, with full jitter, from values that a restart still knows. It does not
//! know clocks and random sources: the jitter is a hash of what is retried, so a run can be repeated to the millisecond.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Key;
use crate::schedule::RetryPolicy;

/// Returns the delay after attempt `attempt` (1 is the first): uniform in 0..=min(cap, first x 2^(attempt-1)), and at least what the
/// server asked for with `Retry-After`, as far as the cap allows.
pub fn delay(policy: &RetryPolicy, key: &Key, attempt: u32, retry_after: Option<Duration>) -> Duration {
    let doublings = attempt.saturating_sub(1).min(32);
    let ceiling = policy.first.saturating_mul(2_u32.saturating_pow(doublings)).min(policy.cap);
    let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX - 1);
    let jittered = Duration::from_millis(spread(key, attempt) % (ceiling_ms + 1));
    jittered.max(honoured(policy, retry_after))
}

/// Returns how much of a `Retry-After` is waited: at most the cap. A gateway that nobody knows may have written it.
pub(super) fn honoured(policy: &RetryPolicy, retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_default().min(policy.cap)
}

fn spread(key: &Key, attempt: u32) -> u64 {
    let mut hash = Sha256::new();
    hash.update(key.job.as_str());
    hash.update(key.start.as_millisecond().to_be_bytes());
    hash.update(attempt.to_be_bytes());
    let digest = hash.finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::JobId;

    fn policy(first: u64, cap: u64) -> RetryPolicy {
        RetryPolicy { first: Duration::from_secs(first), cap: Duration::from_secs(cap), attempts: 0, also: Vec::new() }
    }

    fn key(second: i64) -> Key {
        Key { start: jiff::Timestamp::from_second(second).expect("in range"), job: JobId::parse("a").expect("an id") }
    }

    #[test]
    fn delays_stay_under_their_ceiling_and_fill_it() {
        for (attempt, ceiling) in [(1, 1_000), (2, 2_000), (5, 16_000), (6, 30_000), (4_000_000_000, 30_000)] {
            let delays: Vec<_> = (0..500).map(|second| delay(&policy(1, 30), &key(second), attempt, None).as_millis()).collect();
            let (least, most) = (delays.iter().min().expect("some"), delays.iter().max().expect("some"));
            assert!(*most <= ceiling && *most > ceiling * 95 / 100, "attempt {attempt}: most {most} of {ceiling}");
            assert!(*least < ceiling / 20, "attempt {attempt}: full jitter begins at zero, not at {least}");
        }
    }

    #[test]
    fn the_server_may_ask_for_more_up_to_the_cap() {
        for (asked, waited) in [(20, 20), (30, 30), (31, 30), (86_400, 30)] {
            let delay = delay(&policy(1, 30), &key(0), 1, Some(Duration::from_secs(asked)));
            assert_eq!(delay, Duration::from_secs(waited), "{asked} s");
        }
    }

    #[test]
    fn the_same_attempt_waits_the_same_time_again() {
        assert_eq!(delay(&policy(1, 30), &key(7), 3, None), delay(&policy(1, 30), &key(7), 3, None));
    }
}
