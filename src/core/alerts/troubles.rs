//! Which troubles are open: signals in, rows out. A signal that says what is known changes nothing. Does not know who finds troubles,
//! and what a receiver was told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Alert, AlertEnd, AlertEvent, AlertWrite, Kept, id_of};

/// How long an alert is kept after its newest sign.
pub(super) const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How often old ones are removed.
const FORGET_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// How a trouble goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is there until somebody says that it is over.
    Lasts,
    /// It has happened; a later success ends it.
    Past,
    /// It has happened, and that is all.
    Single,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A trouble is there.
    Raise {
        /// What it is.
        event: AlertEvent,
        /// What it concerns.
        key: String,
        /// In words; `None`: as before, or the word of the event.
        text: Option<String>,
        /// By what it was found: another one is another sign of the same trouble.
        newest: Timestamp,
        /// How many of them.
        count: u32,
        /// How it goes on.
        course: Course,
        /// It is told only if it lasts so long.
        patience: SignedDuration,
    },
    /// It is over, if it was there.
    Clear {
        /// What it was.
        event: AlertEvent,
        /// What it concerned.
        key: String,
        /// In words.
        text: String,
        /// By what that is known: it ends no trouble that was found by something later.
        by: Option<Timestamp>,
    },
}

impl Signal {
    /// A trouble that lasts, found now.
    pub fn raise(event: AlertEvent, key: &str, text: impl Into<String>, now: Timestamp) -> Signal {
        let (key, text) = (key.to_owned(), Some(text.into()));
        Signal::Raise { event, key, text, newest: now, count: 1, course: Course::Lasts, patience: SignedDuration::ZERO }
    }

    /// It is over.
    pub fn clear(event: AlertEvent, key: &str, text: impl Into<String>) -> Signal {
        Signal::Clear { event, key: key.to_owned(), text: text.into(), by: None }
    }
}

/// What is open.
#[derive(Debug, Default)]
pub struct Troubles {
    /// The receivers' names, with what each is to be told.
    receivers: Vec<(String, Vec<AlertEvent>)>,
    open: BTreeMap<(AlertEvent, String), Alert>,
    forgot_at: Option<Timestamp>,
}

impl Troubles {
    /// Takes over what the ledger has. Without receivers no trouble is recorded; what is open from before ends all the same: a receiver
    /// that comes later is not told of what is over.
    pub fn new(receivers: Vec<(String, Vec<AlertEvent>)>, kept: &[Kept]) -> Troubles {
        let open = kept.iter().map(|kept| &kept.alert).filter(|alert| alert.end.is_none());
        let open = open.map(|alert| ((alert.event, alert.key.clone()), alert.clone())).collect();
        Troubles { receivers, open, forgot_at: None }
    }

    /// Whether nobody is to be told anything, and nothing is open that may end.
    pub fn is_idle(&self) -> bool {
        self.receivers.is_empty() && self.open.is_empty()
    }

    /// Whether a trouble is open.
    pub fn is_open(&self, event: AlertEvent, key: &str) -> bool {
        self.open.contains_key(&(event, key.to_owned()))
    }

    /// What a state of the daemon means: a trouble while there is a reason, and over when there is no reason. A reason that changes its words
    /// is the same trouble.
    pub fn compare(&self, (event, key): (AlertEvent, &str), reason: Option<&str>, over: &str, now: Timestamp) -> Option<Signal> {
        match (reason, self.is_open(event, key)) {
            (Some(reason), false) => Some(Signal::raise(event, key, reason, now)),
            (None, true) => Some(Signal::clear(event, key, over)),
            _ => None,
        }
    }

    /// Somebody beside the engine raises it, as often as it is looked at: again is no other sign of it, but may have other words.
    pub fn raise_from_outside(&self, event: AlertEvent, key: &str, text: String, now: Timestamp) -> Signal {
        let newest = if self.is_open(event, key) { Timestamp::MIN } else { now };
        Signal::raise(event, key, text, newest)
    }

    /// Takes signals in. Returns what is to be written.
    pub fn take(&mut self, signals: Vec<Signal>, now: Timestamp) -> Vec<AlertWrite> {
        if self.is_idle() {
            return Vec::new();
        }
        self.believe(now);
        let changed: Vec<Alert> = signals.into_iter().filter_map(|signal| self.take_one(signal, now)).collect();
        let mut writes: Vec<AlertWrite> = changed.into_iter().map(|alert| AlertWrite::Put(Box::new(alert))).collect();
        let is_due = self.forgot_at.is_none_or(|at| now.duration_since(at).abs() >= FORGET_EVERY);
        if is_due && let (false, Ok(before)) = (writes.is_empty(), now.checked_sub(KEPT)) {
            self.forgot_at = Some(now);
            self.open.retain(|_, alert| alert.newest >= before || alert.lasts);
            writes.push(AlertWrite::Forget { before });
        }
        writes
    }

    /// What was found while the clock was ahead is not newer than what is found now.
    fn believe(&mut self, now: Timestamp) {
        for alert in self.open.values_mut().filter(|alert| alert.begun > now) {
            alert.newest = alert.newest.min(now);
        }
    }

    fn take_one(&mut self, signal: Signal, now: Timestamp) -> Option<Alert> {
        match signal {
            Signal::Clear { event, key, text, by } => {
                let entry = (event, key);
                let newest = self.open.get(&entry)?.newest;
                if by.is_some_and(|by| by < newest) {
                    return None;
                }
                let mut alert = self.open.remove(&entry)?;
                alert.end = Some(AlertEnd { at: now, text: Some(text) });
                alert.lasts = false;
                Some(alert)
            }
            Signal::Raise { event, key, text, newest, count, course, patience } => {
                let entry = (event, key.clone());
                let lasts = course == Course::Lasts;
                if let Some(alert) = self.open.get_mut(&entry) {
                    let before = alert.clone();
                    if newest > alert.newest {
                        alert.count = alert.count.saturating_add(count);
                        alert.newest = newest;
                    }
                    alert.text = text.unwrap_or_else(|| before.text.clone());
                    alert.lasts = lasts;
                    return (*alert != before).then(|| alert.clone());
                }
                let wants = |(_, on): &&(String, Vec<AlertEvent>)| on.contains(&event);
                let receivers: Vec<String> = self.receivers.iter().filter(wants).map(|(name, _)| name.clone()).collect();
                if receivers.is_empty() {
                    return None;
                }
                let alert = Alert {
                    id: id_of(event, &key, now),
                    event,
                    text: text.unwrap_or_else(|| format!("{} ({key})", event.name())),
                    key,
                    begun: now,
                    newest,
                    count,
                    tell_from: now.checked_add(patience).unwrap_or(now),
                    lasts,
                    end: (course == Course::Single).then_some(AlertEnd { at: now, text: None }),
                    receivers,
                };
                if alert.end.is_none() {
                    self.open.insert(entry, alert.clone());
                }
                Some(alert)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_975_200 + second).expect("an instant")
    }

    fn all() -> Vec<AlertEvent> {
        AlertEvent::WORDS.iter().map(|(_, event)| *event).collect()
    }

    fn troubles() -> Troubles {
        let mut troubles = Troubles::new(vec![("a".to_owned(), all()), ("b".to_owned(), vec![AlertEvent::Disk])], &[]);
        troubles.forgot_at = Some(at(0));
        troubles
    }

    fn one(writes: Vec<AlertWrite>) -> Alert {
        let [AlertWrite::Put(alert)] = &writes[..] else { panic!("one row, found {writes:?}") };
        (**alert).clone()
    }

    #[test]
    fn a_trouble_is_one_row_from_its_beginning_to_its_end() {
        let mut troubles = troubles();
        let raise = |text: &str, second| vec![Signal::raise(AlertEvent::Failed, "promo", text, at(second))];
        let begun = one(troubles.take(raise("no key", 0), at(0)));
        assert_eq!((begun.count, begun.lasts, begun.end.is_none()), (1, true, true));
        assert_eq!(begun.receivers, ["a"], "only those who want the event");
        assert_eq!(troubles.take(raise("no key", 0), at(1)), [], "the same sign again changes nothing");
        let again = one(troubles.take(raise("no key still", 60), at(60)));
        assert_eq!((again.id.as_str(), again.count, again.text.as_str()), (begun.id.as_str(), 2, "no key still"));
        let over = one(troubles.take(vec![Signal::clear(AlertEvent::Failed, "promo", "on air")], at(90)));
        assert_eq!((over.id, over.end), (begun.id, Some(AlertEnd { at: at(90), text: Some("on air".to_owned()) })));
        assert_eq!(troubles.take(vec![Signal::clear(AlertEvent::Failed, "promo", "on air")], at(91)), []);
        assert_ne!(one(troubles.take(raise("no key", 100), at(100))).id, again.id, "what begins later is another trouble");
    }

    #[test]
    fn an_earlier_show_does_not_end_the_trouble_of_a_later_one() {
        let mut troubles = troubles();
        troubles.take(vec![Signal::raise(AlertEvent::Missed, "promo", "down", at(60))], at(60));
        let clear = |second| Signal::Clear {
            event: AlertEvent::Missed,
            key: "promo".to_owned(),
            text: "on air".to_owned(),
            by: Some(at(second)),
        };
        assert_eq!(troubles.take(vec![clear(0)], at(61)), []);
        assert!(one(troubles.take(vec![clear(60)], at(62))).end.is_some());
    }

    #[test]
    fn what_has_no_end_is_over_at_once_and_each_is_a_row() {
        let mut troubles = troubles();
        let cut = || Signal::Raise {
            event: AlertEvent::Cut,
            key: "promo".to_owned(),
            text: None,
            newest: at(0),
            count: 1,
            course: Course::Single,
            patience: SignedDuration::ZERO,
        };
        let first = one(troubles.take(vec![cut()], at(0)));
        assert_eq!((first.end, first.text.as_str()), (Some(AlertEnd { at: at(0), text: None }), "cut (promo)"));
        assert_ne!(one(troubles.take(vec![cut()], at(5))).id, first.id);
    }

    #[test]
    fn a_state_is_told_when_it_changes_and_not_when_its_words_do() {
        let mut troubles = troubles();
        let disk = (AlertEvent::Disk, "ledger");
        let mut turn = |reason: Option<&str>, second| {
            let signal = troubles.compare(disk, reason, "it can be written", at(second));
            troubles.take(signal.into_iter().collect(), at(second))
        };
        assert_eq!(turn(None, 0), []);
        assert_eq!(one(turn(Some("full"), 1)).receivers, ["a", "b"]);
        assert_eq!(turn(Some("full still"), 2), []);
        assert_eq!(one(turn(None, 3)).end.expect("over").text.as_deref(), Some("it can be written"));
    }

    #[test]
    fn without_a_receiver_that_wants_it_nothing_is_recorded() {
        let mut troubles = Troubles::new(vec![("b".to_owned(), vec![AlertEvent::Disk])], &[]);
        assert_eq!(troubles.take(vec![Signal::raise(AlertEvent::Failed, "promo", "x", at(0))], at(0)), []);
        assert!(!troubles.is_open(AlertEvent::Failed, "promo"));
    }

    #[test]
    fn an_old_one_goes_and_one_that_lasts_stays() {
        let mut troubles = troubles();
        let past = |key: &str, course| Signal::Raise {
            event: AlertEvent::Missed,
            key: key.to_owned(),
            text: None,
            newest: at(0),
            count: 1,
            course,
            patience: SignedDuration::ZERO,
        };
        troubles.take(vec![past("old", Course::Past), past("lasting", Course::Lasts)], at(0));
        let month = 31 * 24 * 3_600;
        let writes = troubles.take(vec![Signal::raise(AlertEvent::Disk, "ledger", "full", at(month))], at(month));
        assert!(
            matches!(writes[..], [AlertWrite::Put(_), AlertWrite::Forget { before }] if before == at(month) - KEPT),
            "{writes:?}"
        );
        assert!(troubles.is_open(AlertEvent::Missed, "lasting") && !troubles.is_open(AlertEvent::Missed, "old"));
    }

    #[test]
    fn without_receivers_what_is_open_from_before_ends_all_the_same() {
        let mut before = troubles();
        let kept = |alert| Kept { alert, told: Vec::new() };
        let alert = one(before.take(vec![Signal::raise(AlertEvent::Disk, "ledger", "full", at(0))], at(0)));
        let mut troubles = Troubles::new(Vec::new(), &[kept(alert.clone())]);
        assert!(!troubles.is_idle());
        let signal = troubles.compare((AlertEvent::Disk, "ledger"), None, "it can be written", at(60));
        troubles.forgot_at = Some(at(0));
        let over = one(troubles.take(signal.into_iter().collect(), at(60)));
        assert_eq!((over.id.as_str(), over.end.as_ref().map(|end| end.at)), (alert.id.as_str(), Some(at(60))));
        assert!(troubles.is_idle());
        // A receiver that comes later is not told that there is the trouble.
        let receiver = super::super::Receiver { name: "new".to_owned(), on: all(), spreads: false };
        let mut outbox = super::super::Outbox::new(vec![receiver], vec![kept(over)]);
        assert!(outbox.due(at(1_000)).is_empty());
    }
}
