//! One message that is always refused keeps nothing back; a receiver that refuses everything for a while loses nothing.

use super::*;

fn refused(why: &str) -> Result<(), Failed> {
    Err(Failed { why: why.to_owned(), retry_after: None, of_content: true })
}

/// Plays to `until` with a receiver that refuses what `refuses` says. Returns when each key was taken first, and the number of tries.
fn told(outbox: &mut Outbox, from: i64, until: i64, refuses: impl Fn(i64, &[Item]) -> bool) -> (BTreeMap<String, i64>, usize) {
    let (mut taken, mut tries, mut now) = (BTreeMap::new(), 0, at(from));
    loop {
        for Message { receiver, items, .. } in outbox.due(now) {
            let second = now.as_second() - at(0).as_second();
            tries += 1;
            if refuses(second, &items) {
                outbox.answered(&receiver, refused("HTTP status 413"), now);
                continue;
            }
            for item in &items {
                assert!(taken.insert(item.alert.key.clone(), second).is_none(), "{} is told twice", item.alert.key);
            }
            outbox.answered(&receiver, Ok(()), now);
        }
        match outbox.next_wake() {
            Some(wake) if wake <= at(until) => now = wake.max(now + SignedDuration::from_millis(1)),
            _ => return (taken, tries),
        }
    }
}

fn has(items: &[Item], key: &str) -> bool {
    items.iter().any(|item| item.alert.key == key)
}

#[test]
fn a_message_that_is_too_long_is_cut_in_halves_until_it_is_taken() {
    let mut outbox = outbox();
    for number in 0..500 {
        outbox.put(alert(&format!("show-{number}"), 0));
    }
    let (taken, tries) = told(&mut outbox, 0, 1_800, |_, items| items.len() > 120);
    let last = taken.values().max().expect("told");
    assert_eq!(taken.len(), 500);
    assert!(*last <= 900, "{last} s, {tries} tries");
}

#[test]
fn one_alert_that_is_always_refused_keeps_nothing_back_and_is_given_up_and_said() {
    let mut outbox = outbox();
    for number in 0..50 {
        outbox.put(alert(&format!("show-{number}"), 0));
    }
    let bad = |_: i64, items: &[Item]| has(items, "show-7");
    let (taken, tries) = told(&mut outbox, 0, 3_600, bad);
    let last = taken.values().max().expect("told");
    assert_eq!((taken.len(), taken.contains_key("show-7")), (49, false));
    assert!(*last <= 900, "{last} s, {tries} tries");
    // What comes later does not wait for it.
    outbox.put(alert("later", 4_000));
    let (taken, _) = told(&mut outbox, 4_000, 4_300, bad);
    assert!(taken["later"] <= 4_070, "{taken:?}");
    let reasons = outbox.reasons(at(4_300));
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].starts_with("1 alert to the receiver `a` was dropped untold since "), "{reasons:?}");
    assert!(reasons[0].ends_with("`failed` of `show-7` is refused each time: HTTP status 413"), "{reasons:?}");
    assert_eq!(outbox.waiting(at(4_300)), 0);
}

#[test]
fn one_alert_alone_that_is_always_refused_does_not_hold_up_the_next() {
    let mut outbox = outbox();
    outbox.put(alert("bad", 0));
    let bad = |_: i64, items: &[Item]| has(items, "bad");
    told(&mut outbox, 0, 7_000, bad);
    assert_eq!(outbox.waiting(at(7_000)), 1, "nothing else was taken: it may be the receiver");
    outbox.put(alert("good", 7_000));
    let (taken, _) = told(&mut outbox, 7_000, 7_400, bad);
    assert_eq!(taken, BTreeMap::from([("good".to_owned(), 7_010)]));
}

#[test]
fn a_receiver_that_refuses_everything_for_an_hour_is_told_everything_once() {
    for count in [1, 2, 7, 40] {
        let mut outbox = outbox();
        for number in 0..count {
            outbox.put(alert(&format!("show-{number}"), number));
        }
        let (taken, tries) = told(&mut outbox, 0, 20_000, |second, _| second < 3_600);
        let last = taken.values().max().expect("told");
        assert_eq!(i64::try_from(taken.len()), Ok(count));
        assert!(*last <= 3_600 + 900, "{last} s, {tries} tries");
        assert!(outbox.reasons(at(20_000)).is_empty());
    }
}

#[test]
fn a_receiver_that_breaks_over_one_alert_takes_the_others_after_two_hours() {
    let mut outbox = outbox();
    outbox.put(alert("bad", 0));
    outbox.put(alert("good", 0));
    let mut taken = Vec::new();
    let mut now = at(0);
    while now < at(12_000) {
        for message in outbox.due(now) {
            let answer = if has(&message.items, "bad") { failed("HTTP status 500") } else { Ok(()) };
            taken.extend(answer.is_ok().then(|| (now.as_second() - at(0).as_second(), message.items[0].alert.key.clone())));
            outbox.answered("a", answer, now);
        }
        now = outbox.next_wake().unwrap_or(at(12_000)).max(now + SignedDuration::from_millis(1));
    }
    assert!(matches!(&taken[..], [(7_200..=9_500, key)] if key == "good"), "{taken:?}");
}

#[test]
fn what_was_told_and_is_open_for_a_month_is_told_to_be_over_and_not_begun_again() {
    let mut outbox = outbox();
    outbox.put(alert("monthly", 0));
    assert_eq!(play(&mut outbox, 0, 60, |_| Ok(())), [(10, items(What::Begun, &["monthly"]))]);
    let month = 31 * 86_400;
    assert!(outbox.due(at(month)).is_empty());
    outbox.put(ended(alert("monthly", 0), month));
    assert_eq!(play(&mut outbox, month, month + 100, |_| Ok(())), [(month + 10, items(What::Recovered, &["monthly"]))]);
}
