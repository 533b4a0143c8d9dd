//! The words of a message: plain text, for people in a chat. Does not know chats.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::{Alert, AlertEvent, Item, Message, What};

/// The longest text where no receiver says less: a person reads it on a telephone.
pub(super) const BYTES_MAX: usize = 3_000;

/// So many alerts are shown with their words.
const SHOWN: usize = 3;

/// So many further alerts are named by their ids.
const NAMED: usize = 20;

/// Room for the first line, the last line and the ids.
const AROUND: usize = 800;

/// Returns the message as text: one alert in its own words, or the counts and the first three.
pub(super) fn text(message: &Message, host: &str, bytes_max: usize) -> String {
    let shown = message.items.len().min(SHOWN);
    let room = bytes_max.saturating_sub(AROUND) / shown.max(1);
    let place = if host.is_empty() { "ingestd".to_owned() } else { format!("ingestd on {}", short(host, 100)) };
    let mut text = match &message.items[..] {
        [only] if message.more == 0 => format!("{place}: {}", short(&line(only), room)),
        items => {
            let mut text = format!("{place}: {}", counts(items, message.more));
            for item in items.iter().take(SHOWN) {
                let _ = write!(text, "\n- {} [{}]", short(&line(item), room), item.alert.id);
            }
            let more = items.len() - shown + message.more;
            if more > 0 {
                let ids: Vec<&str> = items.iter().skip(SHOWN).take(NAMED).map(|item| item.alert.id.as_str()).collect();
                let named = if ids.is_empty() { String::new() } else { format!(" [{}]", ids.join(", ")) };
                let _ = write!(text, "\nand {more} more{named}: see `ingestd status` and `ingestd history`");
            }
            text
        }
    };
    let _ = write!(text, "\n[{}]", message.id);
    text
}

/// A message that says only that messages arrive.
pub fn test_message(receiver: &str, now: Timestamp) -> Message {
    let alert = Alert {
        id: super::hex(&now.as_millisecond().to_be_bytes()[2..]),
        event: AlertEvent::Recovered,
        key: "test".to_owned(),
        begun: now,
        newest: now,
        count: 1,
        text: "a test: alerts reach this receiver; nothing is wrong".to_owned(),
        tell_from: now,
        lasts: false,
        end: None,
        receivers: vec![receiver.to_owned()],
    };
    let (receiver, id) = (receiver.to_owned(), alert.id.clone());
    Message { receiver, id, items: vec![Item { what: What::Begun, alert }], more: 0 }
}

/// `5 alerts: 3 failed, 1 missed, 1 recovered`.
fn counts(items: &[Item], more: usize) -> String {
    let mut counts: BTreeMap<AlertEvent, usize> = BTreeMap::new();
    for item in items {
        let event = if item.what == What::Recovered { AlertEvent::Recovered } else { item.alert.event };
        *counts.entry(event).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(event, count)| format!("{count} {}", event.name())).collect();
    format!("{} alerts: {}", items.len() + more, counts.join(", "))
}

fn line(Item { what, alert }: &Item) -> String {
    let Alert { event, begun, count, text, .. } = alert;
    let name = event.name();
    match what {
        What::Begun if alert.key == "test" && *event == AlertEvent::Recovered => text.clone(),
        What::Begun if *count > 1 => format!("{name}, {count} times: {text}"),
        What::Begun => format!("{name}: {text}"),
        What::Again => format!("{name} again, {count} times since {begun:.0}: {text}"),
        What::Reminder => format!("{name} still, since {begun:.0}: {text}"),
        What::Recovered => match &alert.end {
            Some(end) => {
                let words = end.text.as_deref().unwrap_or("it is over");
                format!("recovered ({name} for {}): {words}", length(end.at.duration_since(*begun)))
            }
            None => format!("recovered ({name}): it is over"),
        },
    }
}

/// `1h 5m`, `5m 3s`, `3s`.
fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}

/// The beginning, on one line.
fn short(text: &str, bytes_max: usize) -> String {
    let line = text.replace(['\n', '\r'], " ");
    if line.len() <= bytes_max {
        return line;
    }
    format!("{}...", &line[..line.floor_char_boundary(bytes_max.saturating_sub(3))])
}

#[cfg(test)]
mod tests {
    use super::super::{AlertEnd, AlertEvent};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_975_200 + second).expect("an instant")
    }

    fn alert(event: AlertEvent, text: &str) -> Alert {
        let key = "promo".to_owned();
        let (id, text) = ("41884dc06292".to_owned(), text.to_owned());
        let receivers = vec!["a".to_owned()];
        Alert { id, event, key, begun: at(0), newest: at(0), count: 1, text, tell_from: at(0), lasts: true, end: None, receivers }
    }

    fn message(items: Vec<Item>, more: usize) -> Message {
        Message { receiver: "a".to_owned(), id: "41884dc06292".to_owned(), items, more }
    }

    #[test]
    fn one_alert_is_told_in_its_own_words_with_its_id() {
        let failed = alert(AlertEvent::Failed, "`promo` of 18:00: no key");
        for (what, count, expected) in [
            (What::Begun, 1, "failed: `promo` of 18:00: no key"),
            (What::Begun, 3, "failed, 3 times: `promo` of 18:00: no key"),
            (What::Again, 7, "failed again, 7 times since 2026-11-29T18:00:00Z: `promo` of 18:00: no key"),
            (What::Reminder, 1, "failed still, since 2026-11-29T18:00:00Z: `promo` of 18:00: no key"),
        ] {
            let message = message(vec![Item { what, alert: Alert { count, ..failed.clone() } }], 0);
            assert_eq!(message.text("tv1", 2_000), format!("ingestd on tv1: {expected}\n[41884dc06292]"));
        }
        let end = Some(AlertEnd { at: at(3_905), text: Some("`promo` is on air".to_owned()) });
        let over = message(vec![Item { what: What::Recovered, alert: Alert { end, ..failed } }], 0);
        assert_eq!(over.text("", 2_000), "ingestd: recovered (failed for 1h 5m): `promo` is on air\n[41884dc06292]");
    }

    #[test]
    fn a_digest_has_the_counts_the_first_three_and_the_id_of_each() {
        let item = |event, text: &str| Item { what: What::Begun, alert: alert(event, text) };
        let mut items = vec![item(AlertEvent::Failed, "one"), item(AlertEvent::Missed, "two"), item(AlertEvent::Failed, "three")];
        items.push(Item { what: What::Recovered, alert: alert(AlertEvent::Disk, "four") });
        for (at, item) in items.iter_mut().enumerate() {
            item.alert.id = format!("id-{at}");
        }
        let expected = "ingestd on tv1: 6 alerts: 2 failed, 1 missed, 1 recovered\n- failed: one [id-0]\n- missed: two [id-1]\n\
                        - failed: three [id-2]\nand 3 more [id-3]: see `ingestd status` and `ingestd history`\n[41884dc06292]";
        assert_eq!(message(items, 2).text("tv1", 2_000), expected);
    }

    #[test]
    fn a_text_is_never_longer_than_its_receiver_takes() {
        for count in [1, 2, 3, 500] {
            let long = |_| Item { what: What::Again, alert: alert(AlertEvent::StopUnverified, &"\u{8282}\n".repeat(9_000)) };
            let message = message((0..count).map(long).collect(), 9_999);
            for bytes_max in [2_048, BYTES_MAX] {
                let text = message.text(&"h".repeat(300), bytes_max);
                assert!(text.len() <= bytes_max, "{count}: {} of {bytes_max}", text.len());
                assert!(text.ends_with("\n[41884dc06292]"));
            }
        }
    }

    #[test]
    fn the_object_has_every_alert() {
        let end = Some(AlertEnd { at: at(5), text: Some("over".to_owned()) });
        let ended = Alert { end, ..alert(AlertEvent::Disk, "full") };
        let items =
            vec![Item { what: What::Begun, alert: alert(AlertEvent::Failed, "x") }, Item { what: What::Recovered, alert: ended }];
        let object = message(items, 0).json("tv1", at(10));
        assert_eq!((&object["id"], &object["host"], &object["more"]), (&"41884dc06292".into(), &"tv1".into(), &0.into()));
        assert_eq!(object["sent_at"], "2026-11-29T18:00:10.000Z");
        let expected = serde_json::json!([
            {"id": "41884dc06292", "event": "failed", "what": "begun", "key": "promo", "count": 1, "text": "x",
             "begun": "2026-11-29T18:00:00.000Z", "ended": null},
            {"id": "41884dc06292", "event": "disk", "what": "recovered", "key": "promo", "count": 1, "text": "over",
             "begun": "2026-11-29T18:00:00.000Z", "ended": "2026-11-29T18:00:05.000Z"},
        ]);
        assert_eq!(object["alerts"], expected);
    }
}
