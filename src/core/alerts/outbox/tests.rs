//! Each rule of the queue, in simulated time.

use super::super::{AlertEnd, id_of};
use super::*;

mod ahead;
mod refusing;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_975_200 + second).expect("an instant")
}

fn all() -> Vec<AlertEvent> {
    AlertEvent::WORDS.iter().map(|(_, event)| *event).collect()
}

fn receiver(name: &str) -> Receiver {
    Receiver { name: name.to_owned(), on: all(), spreads: false }
}

fn alert(key: &str, second: i64) -> Alert {
    let begun = at(second);
    let (event, key, text) = (AlertEvent::Failed, key.to_owned(), "x".to_owned());
    let (id, receivers) = (id_of(event, &key, begun), vec!["a".to_owned(), "b".to_owned()]);
    Alert { id, event, key, begun, newest: begun, count: 1, text, tell_from: begun, lasts: false, end: None, receivers }
}

fn ended(alert: Alert, second: i64) -> Alert {
    Alert { end: Some(AlertEnd { at: at(second), text: Some("over".to_owned()) }), lasts: false, ..alert }
}

fn outbox() -> Outbox {
    Outbox::new(vec![receiver("a")], Vec::new())
}

fn failed(why: &str) -> Result<(), Failed> {
    Err(Failed { why: why.to_owned(), retry_after: None, of_content: false })
}

/// Plays to `until`: each message with its second, as `take` answers it.
fn play(
    outbox: &mut Outbox,
    from: i64,
    until: i64,
    mut take: impl FnMut(i64) -> Result<(), Failed>,
) -> Vec<(i64, Vec<(What, String)>)> {
    let (mut seen, mut now) = (Vec::new(), at(from));
    loop {
        for Message { receiver, items, .. } in outbox.due(now) {
            let second = now.as_second() - at(0).as_second();
            let answer = take(second);
            if answer.is_ok() {
                seen.push((second, items.into_iter().map(|item| (item.what, item.alert.key)).collect()));
            }
            outbox.answered(&receiver, answer, now);
        }
        match outbox.next_wake() {
            Some(wake) if wake <= at(until) => now = wake.max(now + SignedDuration::from_millis(1)),
            _ => return seen,
        }
    }
}

fn items(what: What, keys: &[&str]) -> Vec<(What, String)> {
    keys.iter().map(|key| (what, (*key).to_owned())).collect()
}

#[test]
fn the_first_waits_ten_seconds_for_its_like_and_then_there_is_a_digest_each_minute() {
    let mut outbox = outbox();
    outbox.put(alert("one", 0));
    outbox.put(alert("two", 9));
    assert_eq!(play(&mut outbox, 0, 10, |_| Ok(())), [(10, items(What::Begun, &["one", "two"]))]);
    outbox.put(alert("three", 12));
    outbox.put(alert("four", 60));
    assert_eq!(play(&mut outbox, 12, 600, |_| Ok(())), [(70, items(What::Begun, &["three", "four"]))]);
    outbox.put(alert("five", 600));
    assert_eq!(play(&mut outbox, 600, 700, |_| Ok(())), [(610, items(What::Begun, &["five"]))]);
}

#[test]
fn each_is_told_once_and_its_end_after_it() {
    let mut outbox = outbox();
    outbox.put(alert("one", 0));
    assert_eq!(play(&mut outbox, 0, 100_000, |_| Ok(())), [(10, items(What::Begun, &["one"]))]);
    outbox.put(ended(alert("one", 0), 100_000));
    assert_eq!(play(&mut outbox, 100_000, 300_000, |_| Ok(())), [(100_010, items(What::Recovered, &["one"]))]);
    assert!(outbox.alerts.is_empty(), "nothing is kept of what is over and told");
}

#[test]
fn what_is_over_before_it_was_told_is_told_with_its_end() {
    let mut outbox = outbox();
    outbox.put(alert("one", 0));
    outbox.put(ended(alert("one", 0), 5));
    let both = vec![(What::Begun, "one".to_owned()), (What::Recovered, "one".to_owned())];
    assert_eq!(play(&mut outbox, 5, 300, |_| Ok(())), [(10, both)]);
}

#[test]
fn the_end_is_told_only_to_those_who_were_told_of_the_trouble_and_want_it() {
    let quiet = Receiver { on: vec![AlertEvent::Failed], ..receiver("a") };
    let other = Receiver { on: vec![AlertEvent::Recovered], ..receiver("c") };
    let mut outbox = Outbox::new(vec![quiet, other], Vec::new());
    outbox.put(alert("one", 0));
    assert_eq!(play(&mut outbox, 0, 60, |_| Ok(())), [(10, items(What::Begun, &["one"]))]);
    outbox.put(ended(alert("one", 0), 60));
    assert_eq!(play(&mut outbox, 60, 900, |_| Ok(())), []);
}

#[test]
fn what_lasts_no_longer_than_its_patience_is_not_told() {
    let mut outbox = outbox();
    let patient = || Alert { tell_from: at(60), ..alert("one", 0) };
    outbox.put(patient());
    outbox.put(ended(patient(), 59));
    assert_eq!(play(&mut outbox, 59, 99, |_| Ok(())), []);
    outbox.put(Alert { tell_from: at(160), ..alert("two", 100) });
    assert_eq!(play(&mut outbox, 100, 900, |_| Ok(())), [(170, items(What::Begun, &["two"]))]);
}

#[test]
fn what_lasts_is_told_each_day_and_what_has_happened_is_not() {
    let mut outbox = outbox();
    outbox.put(Alert { lasts: true, ..alert("lasts", 0) });
    outbox.put(alert("past", 0));
    let day = 86_400;
    let told = play(&mut outbox, 0, 2 * day + 100, |_| Ok(()));
    let expected = [
        (10, items(What::Begun, &["lasts", "past"])),
        (day + 20, items(What::Reminder, &["lasts"])),
        (2 * day + 30, items(What::Reminder, &["lasts"])),
    ];
    let sorted = told.into_iter().map(|(second, mut items)| {
        items.sort();
        (second, items)
    });
    assert_eq!(sorted.collect::<Vec<_>>(), expected);
}

#[test]
fn a_job_that_fails_each_minute_is_told_once_an_hour_with_its_count() {
    let mut outbox = outbox();
    let mut told = Vec::new();
    for minute in 0..150_u32 {
        let second = i64::from(minute) * 60;
        outbox.put(Alert { newest: at(second), count: minute + 1, ..alert("one", 0) });
        told.extend(play(&mut outbox, second, second + 59, |_| Ok(())));
    }
    let expected =
        [(10, items(What::Begun, &["one"])), (3_620, items(What::Again, &["one"])), (7_230, items(What::Again, &["one"]))];
    assert_eq!(told, expected);
}

#[test]
fn an_outage_of_an_hour_loses_nothing_and_is_tried_at_most_a_minute_apart_at_first() {
    let mut outbox = outbox();
    outbox.put(alert("one", 0));
    outbox.put(alert("two", 1_800));
    let mut tries = Vec::new();
    let told = play(&mut outbox, 0, 7_200, |second| {
        tries.push(second);
        if second < 3_600 { failed("HTTP status 500") } else { Ok(()) }
    });
    let [(second, taken)] = &told[..] else { panic!("one message, found {told:?}") };
    assert!((3_600..=3_910).contains(second), "{second}");
    assert_eq!(taken, &items(What::Begun, &["one", "two"]));
    let gaps: Vec<i64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, at) in gaps.iter().zip(&tries) {
        assert!(*gap <= if at - 10 < 600 { 60 } else { 300 }, "{gap} s at {at}");
    }
    assert!(gaps[0] <= 5 && tries.iter().filter(|at| **at < 610).count() > 12, "{tries:?}");
    assert!(outbox.reasons(at(7_200)).is_empty());
}

#[test]
fn a_receiver_that_fails_is_named_with_what_waits_and_holds_nobody_else_up() {
    let mut outbox = Outbox::new(vec![receiver("a"), receiver("b")], Vec::new());
    outbox.put(alert("one", 0));
    let messages = outbox.due(at(10));
    assert_eq!(messages.iter().map(|message| message.receiver.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(outbox.waiting(at(10)), 2);
    // `a` hangs: nothing more is sent to it, and `b` is served.
    assert_eq!(outbox.answered("b", Ok(()), at(11)).len(), 1);
    outbox.put(alert("two", 20));
    assert_eq!(outbox.due(at(300)).iter().map(|message| message.receiver.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(outbox.answered("a", failed("no answer in 10 s"), at(300)), []);
    let expected = "the receiver `a` has taken no alert since 2026-11-29T18:05:00Z, and 2 wait: no answer in 10 s";
    assert_eq!(outbox.reasons(at(301)), [expected]);
}

#[test]
fn a_crash_loses_none_and_doubles_only_what_was_not_recorded_with_the_same_id() {
    let mut outbox = outbox();
    let (one, two) = (alert("one", 0), alert("two", 0));
    outbox.put(one.clone());
    outbox.put(two.clone());
    let before = outbox.due(at(10));
    let writes = outbox.answered("a", Ok(()), at(10));
    assert_eq!(writes.len(), 2);
    // Of one of them the answer was recorded.
    let AlertWrite::Told { alert: recorded, told, .. } = &writes[0] else { panic!("{writes:?}") };
    let kept = [one, two].map(|alert| {
        let told = if alert.id == *recorded { vec![("a".to_owned(), *told)] } else { Vec::new() };
        Kept { alert, told }
    });
    let mut after = Outbox::new(vec![receiver("a")], kept.into());
    let again = after.due(at(20));
    let ids = |message: &Message| message.items.iter().map(|item| item.alert.id.clone()).collect::<Vec<_>>();
    let unrecorded: Vec<String> = ids(&before[0]).into_iter().filter(|id| id != recorded).collect();
    assert_eq!((again.len(), ids(&again[0])), (1, unrecorded));
    // With nothing recorded the whole message comes again, under its id.
    let kept = before[0].items.iter().map(|item| Kept { alert: item.alert.clone(), told: Vec::new() }).collect();
    let again = Outbox::new(vec![receiver("a")], kept).due(at(20));
    assert_eq!((&again[0].id, &again[0].items), (&before[0].id, &before[0].items));
}

#[test]
fn a_receiver_that_comes_later_is_told_of_what_is_open_and_not_of_what_is_over() {
    let old = |alert: Alert| Kept { alert: Alert { receivers: vec!["a".to_owned()], ..alert }, told: Vec::new() };
    let kept = vec![old(alert("open", 0)), old(ended(alert("over", 0), 5))];
    let mut outbox = Outbox::new(vec![receiver("new")], kept);
    assert_eq!(play(&mut outbox, 100, 200, |_| Ok(())), [(100, items(What::Begun, &["open"]))]);
}

#[test]
fn the_full_hour_is_left_to_others_where_a_receiver_asks_for_that() {
    let mut seconds = Vec::new();
    for number in 0..50 {
        let spread = Receiver { spreads: true, ..receiver("a") };
        let mut outbox = Outbox::new(vec![spread], Vec::new());
        outbox.put(alert(&format!("show-{number}"), 0));
        seconds.extend(play(&mut outbox, 0, 100, |_| Ok(())).into_iter().map(|(second, _)| second));
    }
    assert_eq!(seconds.len(), 50);
    assert!(seconds.iter().all(|second| (15..=30).contains(second)), "{seconds:?}");
    assert!(seconds.iter().min() != seconds.iter().max());
}

#[test]
fn a_wait_that_was_asked_for_is_kept_within_the_bounds() {
    for (asked, least, most) in [(30, 30, 30), (3_600, 60, 60), (0, 2, 5)] {
        let mut outbox = outbox();
        outbox.put(alert("one", 0));
        outbox.due(at(10));
        outbox.answered(
            "a",
            Err(Failed { why: "429".to_owned(), retry_after: Some(Duration::from_secs(asked)), of_content: false }),
            at(10),
        );
        let wait = outbox.next_wake().expect("it is tried again").duration_since(at(10)).as_secs();
        assert!((least..=most).contains(&wait), "{asked}: {wait}");
    }
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let mut outbox = outbox();
    outbox.put(alert("one", 100_000));
    assert_eq!(play(&mut outbox, 100_000, 100_010, |_| Ok(())).len(), 1);
    outbox.put(alert("two", 0));
    assert_eq!(play(&mut outbox, 0, 100, |_| Ok(())), [(60, items(What::Begun, &["two"]))]);
    outbox.put(alert("three", 50_000));
    play(&mut outbox, 50_000, 50_010, |_| failed("x"));
    outbox.put(alert("four", 0));
    let told = play(&mut outbox, 0, 320, |_| Ok(()));
    assert_eq!(told.into_iter().flat_map(|(_, items)| items).collect::<Vec<_>>(), items(What::Begun, &["four", "three"]));
}

#[test]
fn a_message_takes_five_hundred_alerts_and_the_rest_come_a_minute_later() {
    let mut outbox = outbox();
    for number in 0..501 {
        outbox.put(alert(&format!("show-{number}"), 0));
    }
    let [message] = &outbox.due(at(10))[..] else { panic!("one message") };
    assert_eq!((message.items.len(), message.more), (ITEMS_MAX, 1));
    outbox.answered("a", Ok(()), at(10));
    assert_eq!(
        play(&mut outbox, 10, 100, |_| Ok(())).into_iter().map(|(at, items)| (at, items.len())).collect::<Vec<_>>(),
        [(70, 1)]
    );
}

#[test]
fn a_receiver_that_failed_and_is_owed_nothing_now_is_not_asked_again_and_again() {
    let quiet = Receiver { on: vec![AlertEvent::Failed], ..receiver("a") };
    let mut outbox = Outbox::new(vec![quiet], Vec::new());
    outbox.put(Alert { lasts: true, ..alert("lasts", 0) });
    outbox.put(alert("again", 0));
    play(&mut outbox, 0, 60, |_| Ok(()));
    outbox.put(Alert { newest: at(100), count: 2, ..alert("again", 0) });
    play(&mut outbox, 100, 3_650, |_| failed("down"));
    // What failed is over, and its end is nothing for this receiver: the next is the reminder of tomorrow.
    outbox.put(ended(Alert { count: 2, ..alert("again", 0) }, 3_660));
    assert!(outbox.due(at(3_700)).is_empty());
    assert!(outbox.next_wake().is_some_and(|wake| wake > at(80_000)), "{:?}", outbox.next_wake());
}

#[test]
fn what_a_dead_receiver_is_owed_goes_after_a_month_and_is_said() {
    let mut outbox = outbox();
    outbox.put(ended(alert("old", 0), 60));
    outbox.put(Alert { lasts: true, ..alert("lasts", 0) });
    let month = 30 * 86_400;
    play(&mut outbox, 0, month - 400, |_| failed("down"));
    assert_eq!((outbox.alerts.len(), outbox.waiting(at(month - 400))), (2, 2));
    play(&mut outbox, month + 400, month + 500, |_| failed("down"));
    assert_eq!((outbox.alerts.len(), outbox.waiting(at(month + 500))), (1, 1), "what lasts stays");
    let expected = format!(
        "1 alert to the receiver `a` was dropped untold since {:.0} (see `ingestd history`): they are older than 30 days",
        at(month + 400)
    );
    assert_eq!(outbox.newly_dropped().join(", "), expected);
    assert_eq!(outbox.newly_dropped(), Vec::<String>::new(), "the log has it once");
    assert!(outbox.reasons(at(month + 500)).contains(&expected), "the status has it for a day");
    assert!(!outbox.reasons(at(month + 90_000)).contains(&expected));
}

#[test]
fn of_too_many_that_wait_the_oldest_go_and_are_counted() {
    let mut outbox = outbox();
    outbox.put(Alert { lasts: true, ..alert("lasts", -1) });
    for number in 0..i64::try_from(KEPT_MAX).expect("small") + 99 {
        outbox.put(ended(alert(&format!("show-{number}"), number), number));
    }
    play(&mut outbox, 20_000, 20_000, |_| failed("down"));
    assert_eq!(outbox.alerts.len(), KEPT_MAX);
    let has = |key: &str| outbox.alerts.values().any(|entry| entry.alert.key == key);
    assert_eq!((has("show-99"), has("show-100"), has("lasts")), (false, true, true));
    let reasons = outbox.reasons(at(20_000));
    assert!(reasons[1].starts_with("100 alerts to the receiver `a` were dropped untold"), "{reasons:?}");
}

#[test]
fn what_is_owed_to_nobody_any_more_is_not_looked_at_again() {
    let quiet = Receiver { on: vec![AlertEvent::Failed], ..receiver("a") };
    let mut outbox = Outbox::new(vec![quiet], Vec::new());
    // It ends before anybody had to know: no message is sent, and no answer comes.
    for number in 0..100 {
        let patient = Alert { tell_from: at(60), ..alert(&format!("show-{number}"), 0) };
        outbox.put(patient.clone());
        outbox.put(ended(patient, 5));
    }
    assert!(outbox.due(at(61)).is_empty());
    assert_eq!(outbox.alerts.len(), 0);
}
