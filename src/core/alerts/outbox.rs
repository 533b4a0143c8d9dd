//! What each receiver is still to be told, and when: a state machine with `now` as an argument. One message to a receiver at a time. Does
//! not send, and does not know what a receiver is.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{Alert, AlertEvent, AlertWrite, Item, Kept, Message, Told, What};

/// The first alert waits so long for others.
const GROUP: SignedDuration = SignedDuration::from_secs(10);

/// Between two messages to one receiver.
const DIGEST: SignedDuration = SignedDuration::from_secs(60);

/// The same trouble, found again, is told again after so long.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// What lasts is told again after so long.
const REMIND: SignedDuration = SignedDuration::from_hours(24);

/// So many alerts fit into a message.
const ITEMS_MAX: usize = 500;

/// The first wait after a message that was not taken. It doubles.
const RETRY_FIRST: Duration = Duration::from_secs(5);

/// The longest wait while a receiver has failed for less than [`RETRY_SOON_FOR`], and after that.
const RETRY_MAX: (Duration, Duration) = (Duration::from_mins(1), Duration::from_mins(5));

/// How long a receiver that fails is tried often.
const RETRY_SOON_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Somebody to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name, in the ledger and in what is shown.
    pub name: String,
    /// What it is told.
    pub on: Vec<AlertEvent>,
    /// Whether it is to be spared the full hour, when everybody sends.
    pub spreads: bool,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// In words, without a secret.
    pub why: String,
    /// How long the receiver asked to wait.
    pub retry_after: Option<Duration>,
}

/// What is to be told, and to whom.
#[derive(Debug, Default)]
pub struct Outbox {
    lines: Vec<Line>,
    /// By their beginnings.
    alerts: BTreeMap<(Timestamp, String), Entry>,
}

#[derive(Debug)]
struct Entry {
    alert: Alert,
    told: BTreeMap<String, Told>,
}

/// How it stands with one receiver.
#[derive(Debug)]
struct Line {
    receiver: Receiver,
    /// When it took the newest message.
    sent_at: Option<Timestamp>,
    under_way: Option<Vec<Item>>,
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Timestamp,
    tries: u32,
    retry_at: Timestamp,
    why: String,
}

impl Outbox {
    /// Takes over what the ledger has. A receiver that was not there when a trouble began is told of it if it is open still.
    pub fn new(receivers: Vec<Receiver>, kept: Vec<Kept>) -> Outbox {
        let line = |receiver| Line { receiver, sent_at: None, under_way: None, failing: None };
        let mut outbox = Outbox { lines: receivers.into_iter().map(line).collect(), alerts: BTreeMap::new() };
        for Kept { mut alert, told } in kept {
            if alert.end.is_none() {
                let wants =
                    |line: &&Line| line.receiver.on.contains(&alert.event) && !alert.receivers.contains(&line.receiver.name);
                let more: Vec<String> = outbox.lines.iter().filter(wants).map(|line| line.receiver.name.clone()).collect();
                alert.receivers.extend(more);
            }
            let key = (alert.begun, alert.id.clone());
            outbox.alerts.insert(key, Entry { alert, told: told.into_iter().collect() });
        }
        outbox.drop_complete();
        outbox
    }

    /// A trouble began, or something became of one.
    pub fn put(&mut self, mut alert: Alert) {
        let key = (alert.begun, alert.id.clone());
        match self.alerts.get_mut(&key) {
            Some(entry) => {
                // Receivers that were added since it began stay.
                alert.receivers = std::mem::take(&mut entry.alert.receivers);
                entry.alert = alert;
            }
            None => drop(self.alerts.insert(key, Entry { alert, told: BTreeMap::new() })),
        }
    }

    /// Returns the messages that are to be sent now. Each is under way until [`Outbox::answered`].
    pub fn due(&mut self, now: Timestamp) -> Vec<Message> {
        self.believe(now);
        let mut messages = Vec::new();
        for at in 0..self.lines.len() {
            if self.wake_of(&self.lines[at]).is_none_or(|wake| wake > now) {
                continue;
            }
            let receiver = &self.lines[at].receiver;
            let all = self.alerts.values().flat_map(|entry| entry.items(receiver, now));
            let mut items: Vec<Item> = all.collect();
            let Some(first) = items.first() else { continue };
            let (id, receiver) = (first.alert.id.clone(), receiver.name.clone());
            let more = items.len().saturating_sub(ITEMS_MAX);
            items.truncate(ITEMS_MAX);
            self.lines[at].under_way = Some(items.clone());
            messages.push(Message { receiver, id, items, more });
        }
        messages
    }

    /// What came of a message. Returns what is to be written: nothing, if it was not taken.
    pub fn answered(&mut self, receiver: &str, answer: Result<(), Failed>, now: Timestamp) -> Vec<AlertWrite> {
        let Some(line) = self.lines.iter_mut().find(|line| line.receiver.name == receiver) else { return Vec::new() };
        let Some(items) = line.under_way.take() else { return Vec::new() };
        if let Err(failed) = answer {
            line.fail(failed, now);
            return Vec::new();
        }
        (line.sent_at, line.failing) = (Some(now), None);
        let mut writes: BTreeMap<String, Told> = BTreeMap::new();
        for Item { what, alert } in items {
            let Some(entry) = self.alerts.get_mut(&(alert.begun, alert.id.clone())) else { continue };
            let told = entry.told.entry(receiver.to_owned()).or_insert(Told { at: now, count: alert.count, recovered: false });
            match what {
                What::Recovered => told.recovered = true,
                What::Begun | What::Again | What::Reminder => (told.at, told.count) = (now, alert.count),
            }
            writes.insert(alert.id, *told);
        }
        self.drop_complete();
        let receiver = receiver.to_owned();
        writes.into_iter().map(|(alert, told)| AlertWrite::Told { alert, receiver: receiver.clone(), told }).collect()
    }

    /// When [`Outbox::due`] is to be asked again; `None`: not before something changes.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.lines.iter().filter_map(|line| self.wake_of(line)).min()
    }

    /// Why alerts do not go out, a line for each receiver that does not take them.
    pub fn reasons(&self, now: Timestamp) -> Vec<String> {
        let reason = |line: &Line| {
            let Failing { since, why, .. } = line.failing.as_ref()?;
            let name = &line.receiver.name;
            let waiting = self.waiting_for(&line.receiver, now);
            Some(format!("the receiver `{name}` has taken no alert since {since:.0}, and {waiting} wait: {why}"))
        };
        self.lines.iter().filter_map(reason).collect()
    }

    /// How many alerts wait, each counted for each receiver.
    pub fn waiting(&self, now: Timestamp) -> usize {
        self.lines.iter().map(|line| self.waiting_for(&line.receiver, now)).sum()
    }

    fn waiting_for(&self, receiver: &Receiver, now: Timestamp) -> usize {
        self.alerts.values().filter(|entry| entry.owed_at(receiver).is_some_and(|at| at <= now)).count()
    }

    /// A clock that was set back keeps nothing waiting until it shows again what it showed before.
    fn believe(&mut self, now: Timestamp) {
        for line in &mut self.lines {
            line.sent_at = line.sent_at.map(|sent| sent.min(now));
            if let Some(failing) = &mut line.failing {
                failing.retry_at = failing.retry_at.min(later(now, RETRY_MAX.1));
            }
        }
        for alert in self.alerts.values_mut().map(|entry| &mut entry.alert).filter(|alert| alert.begun > now) {
            let patience = alert.tell_from.duration_since(alert.begun);
            alert.tell_from = alert.tell_from.min(now.checked_add(patience).unwrap_or(now));
        }
    }

    fn wake_of(&self, line: &Line) -> Option<Timestamp> {
        if line.under_way.is_some() {
            return None;
        }
        let owed = |entry: &Entry| Some((entry.owed_at(&line.receiver)?, entry.alert.id.clone()));
        let (first, id) = self.alerts.values().filter_map(owed).min()?;
        if let Some(Failing { retry_at, .. }) = &line.failing {
            return Some(first.max(*retry_at));
        }
        let grouped = first.checked_add(GROUP).unwrap_or(first);
        let next = line.sent_at.map_or(grouped, |sent| sent.checked_add(DIGEST).unwrap_or(sent));
        let spread = if line.receiver.spreads { Duration::from_secs(5 + hash(&[&id]) % 16) } else { Duration::ZERO };
        Some(later(grouped.max(next), spread))
    }

    fn drop_complete(&mut self) {
        let Outbox { lines, alerts } = self;
        alerts.retain(|_, entry| entry.alert.end.is_none() || lines.iter().any(|line| entry.owed_at(&line.receiver).is_some()));
    }
}

impl Line {
    fn fail(&mut self, Failed { why, retry_after }: Failed, now: Timestamp) {
        let (since, tries) = self.failing.as_ref().map_or((now, 1), |last| (last.since.min(now), last.tries.saturating_add(1)));
        let longest = if now.duration_since(since) < RETRY_SOON_FOR { RETRY_MAX.0 } else { RETRY_MAX.1 };
        let ceiling = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1).min(16))).min(longest);
        let half_ms = u64::try_from(ceiling.as_millis() / 2).unwrap_or(u64::MAX);
        let spread = hash(&[&self.receiver.name, &since.to_string(), &tries.to_string()]) % half_ms.max(1);
        let wait = Duration::from_millis(half_ms + spread).max(retry_after.unwrap_or_default()).min(longest);
        self.failing = Some(Failing { since, tries, retry_at: later(now, wait), why });
    }
}

impl Entry {
    /// Since when something is owed to a receiver, or when it will be; `None`: nothing is.
    fn owed_at(&self, receiver: &Receiver) -> Option<Timestamp> {
        let Alert { end, count, lasts, tell_from, receivers, .. } = &self.alert;
        if !receivers.contains(&receiver.name) {
            return None;
        }
        match (self.told.get(&receiver.name), end) {
            // It was over before anybody had to know.
            (None, Some(end)) if end.at < *tell_from => None,
            (None, _) => Some(*tell_from),
            (Some(told), Some(end)) => {
                let is_owed = end.text.is_some() && !told.recovered && receiver.on.contains(&AlertEvent::Recovered);
                is_owed.then_some(end.at)
            }
            (Some(told), None) => {
                let again = (*count > told.count).then(|| told.at.checked_add(AGAIN).unwrap_or(told.at));
                let reminder = lasts.then(|| told.at.checked_add(REMIND).unwrap_or(told.at));
                again.into_iter().chain(reminder).min()
            }
        }
    }

    /// What a receiver is to be told now.
    fn items(&self, receiver: &Receiver, now: Timestamp) -> Vec<Item> {
        if self.owed_at(receiver).is_none_or(|at| at > now) {
            return Vec::new();
        }
        let item = |what| Item { what, alert: self.alert.clone() };
        let has_recovered = self.alert.end.as_ref().is_some_and(|end| end.text.is_some());
        match self.told.get(&receiver.name) {
            None if has_recovered && receiver.on.contains(&AlertEvent::Recovered) => vec![item(What::Begun), item(What::Recovered)],
            None => vec![item(What::Begun)],
            Some(_) if self.alert.end.is_some() => vec![item(What::Recovered)],
            Some(told) if self.alert.count > told.count => vec![item(What::Again)],
            Some(_) => vec![item(What::Reminder)],
        }
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A number that looks like chance and is the same each time.
fn hash(parts: &[&str]) -> u64 {
    let digest = Sha256::digest(parts.join("\n"));
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests;
