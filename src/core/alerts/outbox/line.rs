//! How it stands with one receiver: when it is tried again, what it refuses, and what was dropped untold. Does not know what is owed to it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::refused::Refused;
use super::{Failed, Item, Receiver};

/// The first wait after a message that was not taken. It doubles.
const RETRY_FIRST: Duration = Duration::from_secs(5);

/// The longest wait while a receiver has failed for less than [`RETRY_SOON_FOR`], and after that.
pub(super) const RETRY_MAX: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(5));

/// After so long any failure counts as a refusal of the message: a receiver may break, or hang, over what it says.
const REFUSED_AFTER: SignedDuration = SignedDuration::from_hours(2);

/// How long a receiver that fails is tried often.
const RETRY_SOON_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How long it is shown that alerts were dropped untold.
pub(super) const DROPPED_SHOWN: SignedDuration = SignedDuration::from_hours(24);

/// How it stands with one receiver.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) receiver: Receiver,
    /// When it took the newest message.
    pub(super) sent_at: Option<Timestamp>,
    pub(super) under_way: Option<Vec<Item>>,
    pub(super) failing: Option<Failing>,
    /// What it refuses.
    pub(super) refused: Refused,
    /// Since when alerts were dropped untold, how many, and why the last one was.
    pub(super) dropped: Option<(Timestamp, usize, String)>,
    /// The number of those that were not yet said in the log.
    pub(super) unsaid: usize,
}

#[derive(Debug)]
pub(super) struct Failing {
    pub(super) since: Timestamp,
    pub(super) tries: u32,
    pub(super) retry_at: Timestamp,
    pub(super) why: String,
    /// Whether it was one alert that it has refused alone before: others are not kept waiting by that.
    pub(super) of_one: bool,
}

impl Line {
    pub(super) fn new(receiver: Receiver) -> Line {
        let refused = Refused::default();
        Line { receiver, sent_at: None, under_way: None, failing: None, refused, dropped: None, unsaid: 0 }
    }

    /// A clock that was set back keeps nothing waiting.
    pub(super) fn believe(&mut self, now: Timestamp) {
        self.sent_at = self.sent_at.map(|sent| sent.min(now));
        if let Some(failing) = &mut self.failing {
            failing.since = failing.since.min(now);
            failing.retry_at = failing.retry_at.min(later(now, RETRY_MAX.1));
        }
        if let Some((since, ..)) = &mut self.dropped {
            *since = (*since).min(now);
        }
    }

    pub(super) fn fail(&mut self, Failed { why, retry_after, of_content }: Failed, items: &[Item], now: Timestamp) {
        let (since, tries) = self.failing.as_ref().map_or((now, 1), |last| (last.since.min(now), last.tries.saturating_add(1)));
        let longest = if now.duration_since(since) < RETRY_SOON_FOR { RETRY_MAX.0 } else { RETRY_MAX.1 };
        let ceiling = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(16))).min(longest);
        let half_ms = u64::try_from(ceiling.as_millis() / 2).unwrap_or(u64::MAX);
        let spread = hash(&[&self.receiver.name, &since.to_string(), &tries.to_string()]) % half_ms.max(1);
        let mut wait = Duration::from_millis(half_ms + spread);
        let mut of_one = false;
        if of_content || now.duration_since(since) >= REFUSED_AFTER {
            let is_cut = items.len() > 1;
            self.refused.refuse(items, &why);
            of_one = matches!(items, [only] if self.refused.is_held(&only.alert.id));
            // A smaller message is another one, and the receiver answers.
            wait = if is_cut && of_content { wait.min(RETRY_FIRST) } else { wait };
        }
        let wait = wait.max(retry_after.unwrap_or_default()).min(longest);
        self.failing = Some(Failing { since, tries, retry_at: later(now, wait), why, of_one });
    }

    pub(super) fn drop_untold(&mut self, count: usize, why: String, now: Timestamp) {
        let (since, all) = match &self.dropped {
            Some((since, all, _)) if now.duration_since(*since) < DROPPED_SHOWN => (*since, *all),
            _ => (now, 0),
        };
        self.dropped = Some((since, all + count, why));
        self.unsaid += count;
    }

    pub(super) fn dropped_in_words(&self) -> Option<String> {
        let (since, count, why) = self.dropped.as_ref()?;
        let name = &self.receiver.name;
        let (alerts, were) = if *count == 1 { ("alert", "was") } else { ("alerts", "were") };
        Some(format!(
            "{count} {alerts} to the receiver `{name}` {were} dropped untold since {since:.0} (see `ingestd history`): {why}"
        ))
    }
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A number that looks like chance and is the same each time.
pub(super) fn hash(parts: &[&str]) -> u64 {
    let digest = Sha256::digest(parts.join("\n"));
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}
