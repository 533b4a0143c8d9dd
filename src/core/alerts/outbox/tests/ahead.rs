//! What was found, told or ended while the clock was ahead, after the clock was set back.

use super::super::super::{Course, Signal, Troubles};
use super::*;

#[test]
fn what_began_or_was_told_while_the_clock_was_ahead_is_told_after_it_was_set_back() {
    let ahead = 1_000_000;
    // It was not told yet, and ends after the clock was set back: by its instants it ends before it began.
    let mut outbox = outbox();
    outbox.put(alert("one", ahead));
    assert!(outbox.due(at(0)).is_empty());
    outbox.put(ended(alert("one", ahead), 50));
    let both = vec![(What::Begun, "one".to_owned()), (What::Recovered, "one".to_owned())];
    assert_eq!(play(&mut outbox, 50, 100, |_| Ok(())).into_iter().flat_map(|(_, items)| items).collect::<Vec<_>>(), both);
    // The same after a restart.
    let kept = Kept { alert: ended(alert("one", ahead), 50), told: Vec::new() };
    let mut outbox = Outbox::new(vec![receiver("a")], vec![kept]);
    assert_eq!(play(&mut outbox, 60, 100, |_| Ok(())).into_iter().flat_map(|(_, items)| items).collect::<Vec<_>>(), both);
}

#[test]
fn an_end_and_a_reminder_of_a_time_ahead_are_not_waited_for() {
    let ahead = 10_000_000;
    let told = |recovered| vec![("a".to_owned(), Told { at: at(ahead), count: 1, recovered })];
    let over = Kept { alert: ended(alert("over", 0), ahead), told: told(false) };
    let mut outbox = Outbox::new(vec![receiver("a")], vec![over]);
    assert_eq!(play(&mut outbox, 100, 200, |_| Ok(())), [(110, items(What::Recovered, &["over"]))]);
    let lasts = Kept { alert: Alert { lasts: true, ..alert("lasts", 0) }, told: told(false) };
    let again = Kept { alert: Alert { count: 2, ..alert("again", 0) }, told: told(false) };
    let mut outbox = Outbox::new(vec![receiver("a")], vec![lasts, again]);
    let told = play(&mut outbox, 100, 100_000, |_| Ok(()));
    assert_eq!(told, [(3_710, items(What::Again, &["again"])), (86_510, items(What::Reminder, &["lasts"]))]);
}

#[test]
fn a_trouble_of_a_time_ahead_is_ended_by_what_is_found_after_the_clock_was_set_back() {
    let mut troubles = Troubles::new(vec![("a".to_owned(), all())], &[]);
    let raise = |second: i64| Signal::Raise {
        event: AlertEvent::Failed,
        key: "promo".to_owned(),
        text: None,
        newest: at(second),
        count: 1,
        course: Course::Past,
        patience: SignedDuration::ZERO,
    };
    let ahead = 1_000_000;
    troubles.take(vec![raise(ahead)], at(ahead));
    let on_air = |second: i64| Signal::Clear {
        event: AlertEvent::Failed,
        key: "promo".to_owned(),
        text: "on air".to_owned(),
        by: Some(at(second)),
    };
    troubles.take(vec![], at(0));
    let writes = troubles.take(vec![on_air(60)], at(60));
    assert!(matches!(&writes[..], [AlertWrite::Put(alert), ..] if alert.end.is_some()), "{writes:?}");
}
