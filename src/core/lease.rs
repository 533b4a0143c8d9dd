//! The lease by which one of several hosts owns the air: its term, its length, until when its owner may send, and when a standby may
//! follow. Does not know databases and clocks: who asks says what time it is, and by which clock.
//!
//! Two clocks are used, and never compared. When a lease ends is told by the database's clock, and only standbys go by it. Until when an
//! owner may send is told by its own time since boot, counted from *before* it asked for the lease. So however long the database took
//! to answer, and whatever a wall clock shows, the owner is silent before anybody may follow.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The owner begins no start for so long before its lease ends: what two clocks may differ by in their speed, and the last steps to the
/// network. A start whose connection is still to be made, 3 s at most, may leave after the end; [`MAY_ARRIVE_WITHIN`] covers it.
pub const SILENT_BEFORE_END: Duration = Duration::from_secs(2);

/// How long a request that left may take to arrive: the limit of connecting (3 s) and that of an answer (10 s).
pub const MAY_ARRIVE_WITHIN: SignedDuration = SignedDuration::from_secs(13);

/// How much longer than the lease ahead of its instant a start is armed. It is what a host without a lease arms ahead.
pub const ARM_AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// How far the clocks of two hosts that may own differ at most: each by 500 ms from the database's.
pub const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(1);

/// Which owner it is: each take-over counts one up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub i64);

impl Term {
    /// The one after it.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How long a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLength(Duration);

impl LeaseLength {
    /// The shortest: one that is shorter ends while a database answers slowly.
    pub const MIN: LeaseLength = LeaseLength(Duration::from_secs(5));

    /// The longest: shows stay off the air for so long.
    pub const MAX: LeaseLength = LeaseLength(Duration::from_mins(5));

    /// What it is where nobody says.
    pub const DEFAULT: LeaseLength = LeaseLength(Duration::from_secs(15));

    /// A lease of that length; `None`: it is shorter than 5 s or longer than 5 min.
    pub fn new(length: Duration) -> Option<LeaseLength> {
        (LeaseLength::MIN.0..=LeaseLength::MAX.0).contains(&length).then_some(LeaseLength(length))
    }

    /// The length.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// How long after one renewal was sent the next one is: two may fail before the lease ends.
    pub fn renewed_every(self) -> Duration {
        self.0 / 3
    }

    /// Until when, by time since boot, its owner may send, if it asked for the lease at `asked_at`, before the request left.
    pub fn deadline(self, asked_at: Duration) -> Duration {
        asked_at + self.0.saturating_sub(SILENT_BEFORE_END)
    }

    /// How long before its instant a start is armed, so that it leaves although the database stands for as long as the lease lasts.
    pub fn arm_ahead(self) -> SignedDuration {
        SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX).saturating_add(ARM_AHEAD)
    }
}

/// What the row of a station says of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure {
    /// Of the newest owner.
    pub term: Term,
    /// When its lease ends, by the database's clock.
    pub ends_at: Timestamp,
    /// Whether it gave it back: it sends nothing more.
    pub is_released: bool,
}

/// What a standby may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Somebody owns. It may be looked again at any time, and there is nothing to take before this, by the database's clock.
    Wait {
        /// When the lease ends, if it is not renewed.
        until: Timestamp,
    },
    /// It may take over, in this term.
    Take {
        /// The new term.
        term: Term,
        /// Until when a start that the former owner was sending may arrive, by the database's clock. `None`: it gave its lease back.
        may_arrive_until: Option<Timestamp>,
    },
}

impl Tenure {
    /// What a standby may do at `now`, by the database's clock.
    pub fn claim(self, now: Timestamp) -> Claim {
        if !self.is_released && now < self.ends_at {
            return Claim::Wait { until: self.ends_at };
        }
        let arrives = self.ends_at.saturating_add(MAY_ARRIVE_WITHIN).unwrap_or(Timestamp::MAX);
        Claim::Take { term: self.term.next(), may_arrive_until: (!self.is_released).then_some(arrives) }
    }
}

/// There is no lease, so that it never ends.
const NEVER: u64 = u64::MAX;

/// Another owns. It is never taken back.
const DEPOSED: u64 = 0;

/// Until when starts may leave, by time since boot. Whoever renews the lease writes it, and every start reads it just before its first
/// byte. Clones lead to the same one.
#[derive(Clone, Debug)]
pub struct LeaseDeadline(Arc<AtomicU64>);

impl LeaseDeadline {
    /// Of a host that shares its ledger with nobody.
    pub fn never() -> LeaseDeadline {
        LeaseDeadline(Arc::new(AtomicU64::new(NEVER)))
    }

    /// Of a lease that was just acquired.
    pub fn until(deadline: Duration) -> LeaseDeadline {
        LeaseDeadline(Arc::new(AtomicU64::new(millis(deadline))))
    }

    /// The lease was renewed: starts may leave until then. An answer that comes late takes nothing back, and a host that was deposed stays so.
    pub fn renew(&self, deadline: Duration) {
        let later = |known| (known != DEPOSED).then(|| millis(deadline).max(known));
        // Both ways it says what is to be said.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
    }

    /// Another owns, or the lease was given back: nothing is sent any more, whatever comes later.
    pub fn depose(&self) {
        self.0.store(DEPOSED, Ordering::Release);
    }

    /// Whether another owns, or the lease was given back.
    pub fn is_deposed(&self) -> bool {
        self.0.load(Ordering::Acquire) == DEPOSED
    }

    /// Whether a start may leave at `since_boot`.
    pub fn allows(&self, since_boot: Duration) -> bool {
        match self.0.load(Ordering::Acquire) {
            NEVER => true,
            deadline => since_boot.as_millis() < u128::from(deadline),
        }
    }

    /// How long starts may leave yet; `None`: for ever.
    pub fn left(&self, since_boot: Duration) -> Option<Duration> {
        match self.0.load(Ordering::Acquire) {
            NEVER => None,
            deadline => Some(Duration::from_millis(deadline).saturating_sub(since_boot)),
        }
    }
}

/// Rounded down: a deadline never moves later by that.
fn millis(deadline: Duration) -> u64 {
    u64::try_from(deadline.as_millis()).unwrap_or(NEVER).clamp(DEPOSED + 1, NEVER - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    #[test]
    fn a_lease_is_between_5_s_and_5_min() {
        assert_eq!([4, 5, 15, 300, 301].map(|length| LeaseLength::new(S(length)).is_some()), [false, true, true, true, false]);
        assert_eq!(LeaseLength::DEFAULT.arm_ahead(), SignedDuration::from_secs(20));
        assert_eq!(LeaseLength::DEFAULT.renewed_every(), S(5));
    }

    #[test]
    fn the_owner_counts_from_before_it_asked_less_2_s() {
        assert_eq!(LeaseLength::DEFAULT.deadline(S(100)), S(113));
        assert_eq!(LeaseLength::MIN.deadline(S(100)), S(103));
    }

    #[test]
    fn a_standby_follows_a_lease_that_ended_or_was_given_back() {
        let tenure = Tenure { term: Term(7), ends_at: at(15), is_released: false };
        assert_eq!(tenure.claim(at(14)), Claim::Wait { until: at(15) });
        assert_eq!(tenure.claim(at(15)), Claim::Take { term: Term(8), may_arrive_until: Some(at(28)) });
        let released = Tenure { is_released: true, ..tenure };
        assert_eq!(released.claim(at(1)), Claim::Take { term: Term(8), may_arrive_until: None });
    }

    #[test]
    fn a_deadline_only_moves_on_and_one_who_is_deposed_stays_so() {
        let deadline = LeaseDeadline::until(S(10));
        let other = deadline.clone();
        assert!(other.allows(S(9)) && !other.allows(S(10)));
        deadline.renew(S(20));
        deadline.renew(S(15));
        assert!(other.allows(S(19)) && !other.allows(S(20)));
        assert_eq!(other.left(S(12)), Some(S(8)));
        deadline.depose();
        deadline.renew(S(30));
        assert!(other.is_deposed() && !other.allows(Duration::ZERO));
    }

    #[test]
    fn without_a_lease_starts_always_leave() {
        let deadline = LeaseDeadline::never();
        deadline.renew(S(1));
        assert!(deadline.allows(Duration::MAX) && deadline.left(S(1)).is_none() && !deadline.is_deposed());
    }

    proptest! {
        /// Each renewal is asked for by the owner's clock, and reaches the database some time later. Whatever the delays, and however the
        /// clocks are set, the owner is silent for 2 s when another may take over, and at least a third of the lease is left for the next.
        #[test]
        fn nobody_follows_before_the_owner_is_silent(
            length_s in 5_u64..=300,
            renewals in proptest::collection::vec((0_u64..20_000, proptest::option::of(0_u64..2_000)), 1..20),
            boot_ms in 1_u64..1_000_000_000,
            database_s in -1_000_000_i64..1_000_000,
        ) {
            let length = LeaseLength::new(S(length_s)).expect("within the bounds");
            let (mut asked_ms, mut ends_ms) = (0, None);
            let deadline = LeaseDeadline::until(Duration::from_millis(1));
            for (pause_ms, arrives) in renewals {
                asked_ms += pause_ms;
                // What is not renewed in time is another's.
                if ends_ms.is_some_and(|ends: u64| ends < asked_ms + 2_000) {
                    break;
                }
                // One that does not arrive moves neither.
                let Some(delay_ms) = arrives else { continue };
                ends_ms = Some(asked_ms + delay_ms + length_s * 1_000);
                deadline.renew(length.deadline(Duration::from_millis(boot_ms + asked_ms)));
            }
            let Some(ends_ms) = ends_ms else { return Ok(()) };
            let by_database = |ms: u64| at(database_s) + SignedDuration::from_millis(ms.cast_signed());
            let tenure = Tenure { term: Term(1), ends_at: by_database(ends_ms), is_released: false };
            let takes = |ms: u64| matches!(tenure.claim(by_database(ms)), Claim::Take { .. });
            prop_assert!(takes(ends_ms) && !takes(ends_ms - 1));
            prop_assert!(!deadline.allows(Duration::from_millis(boot_ms + ends_ms - 2_000)));
        }
    }
}
