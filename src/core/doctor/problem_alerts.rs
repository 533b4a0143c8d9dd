//! Which alerts the problems of the doctor and of the preflight are: one trouble for each kind and thing, from the first time that it is
//! found until it is known to be over. Sends nothing, and does not know who is told.

use std::collections::BTreeMap;

use crate::alerts::{Alert, AlertEvent};
use crate::engine::AlertMessage;
use crate::finding::{Finding, FindingKind};
use crate::probe::MediaState;

/// What was raised and is not over.
#[derive(Debug, Default)]
pub struct ProblemAlerts {
    /// By event and key: the words that were told last, and what is wrong in short.
    open: BTreeMap<(AlertEvent, String), (String, String)>,
}

impl ProblemAlerts {
    /// Takes over what the daemon before left open: it is over only when that is known.
    pub fn new<'a>(kept: impl IntoIterator<Item = &'a Alert>) -> ProblemAlerts {
        let ours = kept.into_iter().filter(|alert| alert.end.is_none() && is_ours(alert.event));
        ProblemAlerts { open: ours.map(|alert| ((alert.event, alert.key.clone()), (String::new(), alert.text.clone()))).collect() }
    }

    /// Returns what is new or over, or has other words. `is_examined`: whether an examination has ended since the start; before that what is
    /// not found may still be so. `media`: what is known of the media that a finding is about.
    pub fn compare(&mut self, findings: &[Finding], is_examined: bool, media: impl Fn(&str) -> MediaState) -> Vec<AlertMessage> {
        let mut found: BTreeMap<(AlertEvent, String), (String, String)> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.is_problem()) {
            // The first of the same kind and thing is the one that is told.
            found.entry(entry_of(finding)).or_insert_with(|| (finding.line(), finding.what.clone()));
        }
        let mut messages = Vec::new();
        self.open.retain(|entry, (_, what)| {
            let over = if found.contains_key(entry) { None } else { over(entry, what, is_examined, &media) };
            let is_open = over.is_none();
            messages.extend(over.map(|text| AlertMessage::Clear { event: entry.0, key: entry.1.clone(), text }));
            is_open
        });
        for (entry, (text, what)) in found {
            if self.open.get(&entry).is_none_or(|(told, _)| *told != text) {
                messages.push(AlertMessage::Raise { event: entry.0, key: entry.1.clone(), text: text.clone() });
                self.open.insert(entry, (text, what));
            }
        }
        messages
    }
}

fn is_ours(event: AlertEvent) -> bool {
    matches!(event, AlertEvent::Doctor | AlertEvent::Preflight)
}

fn entry_of(finding: &Finding) -> (AlertEvent, String) {
    match finding.kind {
        FindingKind::Media => (AlertEvent::Preflight, finding.about.clone()),
        kind => (AlertEvent::Doctor, format!("{} {}", kind.name(), finding.about)),
    }
}

/// How something that is not found now is over, in words; `None`: it may still be so.
fn over((event, key): &(AlertEvent, String), what: &str, is_examined: bool, media: impl Fn(&str) -> MediaState) -> Option<String> {
    let how = match event {
        AlertEvent::Preflight => match media(key) {
            MediaState::Open => return None,
            MediaState::Good => "the newest look finds the media good",
            MediaState::Unused => "the show has begun, or is not planned any more",
        },
        _ if is_examined => "the doctor does not find this any more",
        _ => return None,
    };
    Some(format!("{how}; it was: {what}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use AlertEvent::{Doctor, Preflight};
    use MediaState::{Good, Open, Unused};

    fn key(words: &str) -> Finding {
        Finding::problem(FindingKind::Key, "account", words, "fix it")
    }

    fn media() -> Finding {
        Finding::problem(FindingKind::Media, "show https://h/a.mp4", "`https://h/a.mp4` is not there", "")
    }

    fn raised(event: AlertEvent, key: &str, text: &str) -> AlertMessage {
        AlertMessage::Raise { event, key: key.to_owned(), text: text.to_owned() }
    }

    fn cleared(event: AlertEvent, key: &str, text: &str) -> AlertMessage {
        AlertMessage::Clear { event, key: key.to_owned(), text: text.to_owned() }
    }

    fn kept(event: AlertEvent, key: &str) -> Alert {
        Alert {
            id: String::new(),
            event,
            key: key.to_owned(),
            begun: Timestamp::UNIX_EPOCH,
            newest: Timestamp::UNIX_EPOCH,
            count: 1,
            text: "is wrong".to_owned(),
            tell_from: Timestamp::UNIX_EPOCH,
            lasts: true,
            end: None,
            receivers: Vec::new(),
        }
    }

    #[test]
    fn a_problem_is_one_trouble_until_it_is_not_found_and_a_note_is_none() {
        let mut alerts = ProblemAlerts::default();
        let note = Finding::note(FindingKind::Usersig, "main", "cannot be told", "");
        let found = [key("refused"), note.clone()];
        assert_eq!(alerts.compare(&found, true, |_| Unused), [raised(Doctor, "key account", "refused: fix it")]);
        assert_eq!(alerts.compare(&found, true, |_| Unused), []);
        let over = cleared(Doctor, "key account", "the doctor does not find this any more; it was: refused");
        assert_eq!(alerts.compare(&[note], true, |_| Unused), [over]);
        assert_eq!(alerts.compare(&[], true, |_| Unused), []);
    }

    #[test]
    fn other_words_are_the_same_trouble_and_two_problems_of_one_thing_are_one() {
        let mut alerts = ProblemAlerts::default();
        assert_eq!(alerts.compare(&[key("599 s"), key("b")], true, |_| Unused).len(), 1);
        assert_eq!(alerts.compare(&[key("600 s")], true, |_| Unused), [raised(Doctor, "key account", "600 s: fix it")]);
    }

    #[test]
    fn media_is_over_when_a_look_finds_it_good_or_no_show_to_come_plays_it_and_not_before() {
        let about = "show https://h/a.mp4";
        for (state, how) in
            [(Good, "the newest look finds the media good"), (Unused, "the show has begun, or is not planned any more")]
        {
            let mut alerts = ProblemAlerts::default();
            assert_eq!(alerts.compare(&[media()], false, |_| Open), [raised(Preflight, about, "`https://h/a.mp4` is not there")]);
            assert_eq!(alerts.compare(&[], true, |_| Open), [], "it is to be looked at again");
            let over = cleared(Preflight, about, &format!("{how}; it was: `https://h/a.mp4` is not there"));
            assert_eq!(alerts.compare(&[], false, |_| state), [over], "{state:?}");
        }
    }

    #[test]
    fn what_the_daemon_before_told_is_over_only_when_it_is_known_to_be() {
        let before = [kept(Doctor, "key account"), kept(Preflight, "show https://h/a.mp4"), kept(AlertEvent::Disk, "ledger")];
        let mut alerts = ProblemAlerts::new(&before);
        assert_eq!(alerts.compare(&[], false, |_| Open), [], "nothing was looked at yet");
        let over = cleared(Doctor, "key account", "the doctor does not find this any more; it was: is wrong");
        assert_eq!(alerts.compare(&[], true, |_| Open), [over], "and others are not ours");
        assert_eq!(alerts.compare(&[media()], true, |_| Open).len(), 1, "it is found again: the words may be others");
        assert_eq!(alerts.compare(&[], true, |_| Good).len(), 1);
    }
}
