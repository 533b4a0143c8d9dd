//! When the secrets are read again, and what is tried then. Does not read them, and never sees one.

use jiff::{SignedDuration, Timestamp};

use super::airings::Airings;
use super::notice::Level;
use super::step::{Call, Step};
use crate::occurrence::Key;

/// The least time between two readings, however many answers ask for one.
const READ_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// How often the secrets are read while a show waits for others, or while they cannot be read.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// Who reads them again when nobody asked.
const DAEMON: &str = "ingestd";

/// What came of reading the secrets again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretsRead {
    /// They are what they were.
    Same,
    /// Some differ, and are used from now on.
    Changed {
        /// Which, by their names in the settings: `account.secret_key`.
        which: Vec<String>,
    },
    /// Those that were read before stay in use.
    Failed {
        /// Why; it names places, and shows no secret.
        why: String,
    },
}

/// When they are read again.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    next_at: Option<Timestamp>,
    read_at: Option<Timestamp>,
    /// When others were taken last: a request that left before was made with the former ones.
    changed_at: Option<Timestamp>,
    /// Why they cannot be read, as was told.
    told: Option<String>,
}

impl Secrets {
    /// An answer says that the secrets are not taken.
    pub(super) fn ask(&mut self, now: Timestamp) {
        // A clock that was set back must not keep them from being read.
        let earliest = self.read_at.filter(|read_at| *read_at <= now).map_or(now, |read_at| now.max(read_at + READ_EVERY));
        self.next_at = Some(self.next_at.map_or(earliest, |next_at| next_at.min(earliest)));
    }

    /// Has them read, if it is time.
    pub(super) fn send(&mut self, step: &mut Step) {
        if self.next_at.take_if(|at| *at <= step.now).is_some() {
            self.read_at = Some(step.now);
            step.calls.push(Call::RereadSecrets);
        }
    }

    /// Why they cannot be read again, if they cannot.
    pub(super) fn unread(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// When they are read next.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.next_at
    }

    /// The clock was set back.
    pub(super) fn clock_went_back(&mut self, now: Timestamp) {
        self.next_at = self.next_at.map(|at| at.min(now));
    }

    /// Takes in what a reading brought, for which `who` asked, or nobody. What failed for its secrets is tried at once with others.
    /// Returns what is to be said of it.
    pub(super) fn take(&mut self, airings: &mut Airings, step: &mut Step, read: SecretsRead, who: Option<&str>) -> Vec<String> {
        self.read_at = Some(step.now);
        match read {
            SecretsRead::Same => {
                self.told = None;
                // What asked meanwhile is answered by a reading of its own.
                let look = (!waiting(airings).is_empty()).then(|| step.now + LOOK_EVERY);
                self.next_at = [self.next_at, look].into_iter().flatten().min();
                Vec::new()
            }
            SecretsRead::Changed { which } => {
                (self.told, self.next_at, self.changed_at) = (None, None, Some(step.now));
                vec![change(airings, step, &which, who.unwrap_or(DAEMON))]
            }
            SecretsRead::Failed { why } => {
                let look = step.now + LOOK_EVERY;
                self.next_at = Some(self.next_at.map_or(look, |next_at| next_at.min(look)));
                let text = format!("the secrets cannot be read again, and those that were read before stay in use: {why}");
                if self.told.as_ref() != Some(&why) {
                    step.notify(Level::Error, text.clone());
                }
                self.told = Some(why);
                vec![text]
            }
        }
    }

    /// Whether a request that left then was made with former secrets.
    pub(super) fn changed_since(&self, sent_at: Timestamp) -> bool {
        self.changed_at.is_some_and(|changed_at| sent_at <= changed_at)
    }

    /// A start was refused that had left before other secrets were taken: it is tried with them.
    pub(super) fn try_refused(&self, airings: &mut Airings, step: &mut Step, key: &Key, sent_at: Timestamp) {
        if self.changed_since(sent_at) && airings.get(key).is_some_and(|airing| airing.occurrence.needs_secrets()) {
            airings.try_fixed(step, key);
        }
    }
}

/// What waits for other secrets.
pub(super) fn waiting(airings: &Airings) -> Vec<Key> {
    let waiting = airings.iter().filter(|airing| airing.occurrence.needs_secrets());
    waiting.map(|airing| airing.occurrence.key.clone()).collect()
}

/// Others are used from now on.
fn change(airings: &mut Airings, step: &mut Step, which: &[String], who: &str) -> String {
    let which: Vec<_> = which.iter().map(|name| format!("`{name}`")).collect();
    let text = format!("the secrets were read again; {} changed", which.join(", "));
    step.notify(Level::Info, text.clone());
    step.record_action(who.to_owned(), "secrets", text.clone());
    for key in waiting(airings) {
        step.notify_of(&key, Level::Info, format!("{} changed: it is tried again at once", which.join(", ")));
        step.record_retry(&key, who, &text);
        airings.try_fixed(step, &key);
    }
    airings.tasks.hurry_stops(step.now);
    text
}
