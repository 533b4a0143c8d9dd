//! What each receiver is still to be told, and when: a state machine with `now` as an argument. One message to a receiver at a time. Does
//! not send, and does not know what a receiver is.

mod line;
mod refused;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::troubles::KEPT;
use super::{Alert, AlertEvent, AlertWrite, Item, Kept, Message, Told, What};
use line::{DROPPED_SHOWN, Failing, Line, hash, later};

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

/// So many alerts are kept here, as many as the ledger gives to a new daemon. More are dropped untold, the oldest first.
const KEPT_MAX: usize = 10_000;

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
    /// Whether the receiver answered, and may take another message: this one is too long, or has a word that it does not take.
    pub of_content: bool,
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
    /// Since when its end is owed.
    end_from: Option<Timestamp>,
}

impl Outbox {
    /// Takes over what the ledger has. A receiver that was not there when a trouble began is told of it if it is open still.
    pub fn new(receivers: Vec<Receiver>, kept: Vec<Kept>) -> Outbox {
        let mut outbox = Outbox { lines: receivers.into_iter().map(Line::new).collect(), alerts: BTreeMap::new() };
        for Kept { mut alert, told } in kept {
            if alert.end.is_none() {
                let wants =
                    |line: &&Line| line.receiver.on.contains(&alert.event) && !alert.receivers.contains(&line.receiver.name);
                let more: Vec<String> = outbox.lines.iter().filter(wants).map(|line| line.receiver.name.clone()).collect();
                alert.receivers.extend(more);
            }
            let key = (alert.begun, alert.id.clone());
            outbox.alerts.insert(key, Entry::new(alert, told.into_iter().collect()));
        }
        outbox.drop_complete();
        outbox
    }

    /// A trouble began, or something became of one.
    pub fn put(&mut self, mut alert: Alert) {
        let key = (alert.begun, alert.id.clone());
        match self.alerts.get_mut(&key) {
            Some(entry) => {
                // Receivers that were added since it began stay, and what was found out about a clock that was ahead.
                alert.receivers = std::mem::take(&mut entry.alert.receivers);
                alert.tell_from = alert.tell_from.min(entry.alert.tell_from);
                *entry = Entry::new(alert, std::mem::take(&mut entry.told));
            }
            None => drop(self.alerts.insert(key, Entry::new(alert, BTreeMap::new()))),
        }
    }

    /// Returns the messages that are to be sent now. Each is under way until [`Outbox::answered`].
    pub fn due(&mut self, now: Timestamp) -> Vec<Message> {
        self.believe(now);
        self.drop_old(now);
        let mut messages = Vec::new();
        for at in 0..self.lines.len() {
            if self.wake_of(&self.lines[at]).is_none_or(|wake| wake > now) {
                continue;
            }
            let Line { receiver, refused, .. } = &self.lines[at];
            let all: Vec<Item> = self.alerts.values().flat_map(|entry| entry.items(receiver, now)).collect();
            let count = all.len();
            let items = refused.choose(all, ITEMS_MAX);
            let Some(first) = items.first() else { continue };
            let (id, receiver, more) = (first.alert.id.clone(), receiver.name.clone(), count - items.len());
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
            line.fail(failed, &items, now);
            return Vec::new();
        }
        (line.sent_at, line.failing) = (Some(now), None);
        for (id, why) in line.refused.taken(&items) {
            let is_it = |entry: &&mut Entry| entry.alert.id == id && entry.alert.receivers.contains(&line.receiver.name);
            if let Some(entry) = self.alerts.values_mut().find(is_it) {
                entry.alert.receivers.retain(|name| *name != line.receiver.name);
                line.drop_untold(
                    1,
                    format!("`{}` of `{}` is refused each time: {why}", entry.alert.event.name(), entry.alert.key),
                    now,
                );
            }
        }
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

    /// Why alerts do not go out, a line for each receiver that does not take them; and what was dropped untold today.
    pub fn reasons(&self, now: Timestamp) -> Vec<String> {
        let failing = |line: &Line| {
            let Failing { since, why, .. } = line.failing.as_ref()?;
            let name = &line.receiver.name;
            let waiting = self.waiting_for(&line.receiver, now);
            Some(format!("the receiver `{name}` has taken no alert since {since:.0}, and {waiting} wait: {why}"))
        };
        let dropped = |line: &Line| {
            let (since, ..) = line.dropped.as_ref()?;
            (now.duration_since(*since) < DROPPED_SHOWN).then(|| line.dropped_in_words()).flatten()
        };
        self.lines.iter().filter_map(failing).chain(self.lines.iter().filter_map(dropped)).collect()
    }

    /// What was dropped untold since this was asked last, a line for each receiver.
    pub fn newly_dropped(&mut self) -> Vec<String> {
        let lines = self.lines.iter_mut().filter(|line| line.unsaid > 0);
        let said = lines.filter_map(|line| {
            line.unsaid = 0;
            line.dropped_in_words()
        });
        said.collect()
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
            line.believe(now);
        }
        for Entry { alert, told, end_from } in self.alerts.values_mut() {
            if alert.begun > now {
                let patience = alert.tell_from.duration_since(alert.begun);
                alert.tell_from = alert.tell_from.min(now.checked_add(patience).unwrap_or(now));
            }
            *end_from = end_from.map(|from| from.min(now));
            for told in told.values_mut() {
                told.at = told.at.min(now);
            }
        }
    }

    /// What is owed to nobody goes. So does what a receiver did not take for a month, and the oldest of too many.
    fn drop_old(&mut self, now: Timestamp) {
        self.drop_complete();
        let before = |kept| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        let is_old = |alert: &Alert| match &alert.end {
            Some(end) => end.at < before(KEPT),
            // Its end may come as long as it is open, and is told to those who were told of it.
            None => !alert.lasts && alert.newest < before(KEPT * 2),
        };
        let old: Vec<_> = self.alerts.iter().filter(|(_, entry)| is_old(&entry.alert)).map(|(key, _)| key.clone()).collect();
        self.drop_untold(&old, "they are older than 30 days", now);
        let over = self.alerts.len().saturating_sub(KEPT_MAX);
        if over > 0 {
            // What is open stays as long as there is something else.
            let mut oldest: Vec<_> = self.alerts.iter().map(|(key, entry)| (entry.alert.end.is_none(), key.clone())).collect();
            oldest.sort();
            let oldest: Vec<_> = oldest.into_iter().take(over).map(|(_, key)| key).collect();
            self.drop_untold(&oldest, &format!("more than {KEPT_MAX} wait"), now);
        }
    }

    fn drop_untold(&mut self, keys: &[(Timestamp, String)], why: &str, now: Timestamp) {
        for entry in keys.iter().filter_map(|key| self.alerts.remove(key)) {
            for line in self.lines.iter_mut().filter(|line| entry.owed_at(&line.receiver).is_some()) {
                line.drop_untold(1, why.to_owned(), now);
            }
        }
    }

    fn wake_of<'a>(&'a self, line: &Line) -> Option<Timestamp> {
        if line.under_way.is_some() {
            return None;
        }
        let owed = |entry: &'a Entry| Some((entry.owed_at(&line.receiver)?, entry.alert.id.as_str()));
        let first = |is_wanted: &dyn Fn(&str) -> bool| self.alerts.values().filter_map(owed).filter(|(_, id)| is_wanted(id)).min();
        let of_group = |(first, id): (Timestamp, &str)| {
            let grouped = first.checked_add(GROUP).unwrap_or(first);
            let next = line.sent_at.map_or(grouped, |sent| sent.checked_add(DIGEST).unwrap_or(sent));
            let spread = if line.receiver.spreads { Duration::from_secs(5 + hash(&[id]) % 16) } else { Duration::ZERO };
            later(grouped.max(next), spread)
        };
        match &line.failing {
            Some(Failing { retry_at, of_one, .. }) => {
                let retried = first(&|_| true)?.0.max(*retry_at);
                // One that is refused alone says nothing of the others.
                let others = of_one.then(|| first(&|id| !line.refused.is_held(id)).map(of_group)).flatten();
                Some(others.map_or(retried, |others| others.min(retried)))
            }
            None => first(&|_| true).map(of_group),
        }
    }

    fn drop_complete(&mut self) {
        let Outbox { lines, alerts } = self;
        alerts.retain(|_, entry| entry.alert.end.is_none() || lines.iter().any(|line| entry.owed_at(&line.receiver).is_some()));
    }
}

impl Entry {
    fn new(alert: Alert, told: BTreeMap<String, Told>) -> Entry {
        let end_from = alert.end.as_ref().map(|end| end.at);
        Entry { alert, told, end_from }
    }

    /// Since when something is owed to a receiver, or when it will be; `None`: nothing is.
    fn owed_at(&self, receiver: &Receiver) -> Option<Timestamp> {
        let Alert { begun, end, count, lasts, tell_from, receivers, .. } = &self.alert;
        if !receivers.contains(&receiver.name) {
            return None;
        }
        match (self.told.get(&receiver.name), end) {
            // It was over before anybody had to know. One that ends before it began has seen a clock that was set back.
            (None, Some(end)) if (*begun..*tell_from).contains(&end.at) => None,
            (None, _) => Some(*tell_from),
            (Some(told), Some(end)) => {
                let is_owed = end.text.is_some() && !told.recovered && receiver.on.contains(&AlertEvent::Recovered);
                is_owed.then(|| self.end_from.unwrap_or(end.at))
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

#[cfg(test)]
mod tests;
