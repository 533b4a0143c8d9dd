//! Starts that are known to come: what is kept free for them, and how those of one instant wait for each other. Each row is a
//! limiter of its own; nothing here sleeps.

use super::*;

#[test]
fn late_starts_and_retries_leave_only_while_the_starts_to_come_find_a_slot() {
    // (slots, reserved starts in 500 ms, class) -> how many of ten leave now
    for (slots, due, class, expected) in [
        (20, 0, StartClass::Again, 10),
        (20, 15, StartClass::Again, 5),
        (20, 15, StartClass::Late, 5),
        (20, 15, StartClass::OnTime, 10),
        (20, 20, StartClass::Late, 0),
        (20, 100, StartClass::Late, 0),
    ] {
        let mut limiter = Limiter::new(rate(slots));
        for _ in 0..due {
            limiter.reserve(ms(500));
        }
        for _ in 0..10 {
            limiter.enqueue(start(class));
        }
        let granted = std::iter::from_fn(|| limiter.grant(Duration::ZERO)).count();
        assert_eq!(granted, expected, "{slots} {due} {class:?}");
    }
}

#[test]
fn a_start_that_is_overdue_keeps_its_reservation_until_it_is_given_up() {
    let mut limiter = Limiter::new(rate(1));
    let reservation = limiter.reserve(ms(500));
    limiter.enqueue(start(StartClass::Again));
    assert!(limiter.grant(ms(900)).is_none());
    limiter.unreserve(reservation);
    assert!(limiter.grant(ms(900)).is_some());
}

/// The slots of the late start and of the second start become free at 3,365: between the instants of the last two starts, which
/// are 4 ms apart. At 3,364 one slot is free, and the start of that instant takes it: the start of 3,368 finds another.
#[test]
fn a_late_start_whose_slot_frees_between_two_starts_delays_neither() {
    let on_time = |at, answer_after| TestRequest { answer_after, reserved_for: Some(5_000), ..asked(at, StartClass::OnTime) };
    let late = TestRequest { answer_after: 2_000, ..asked(2_115, StartClass::Late) };
    let requests = [on_time(2_118, 2_000), on_time(3_368, 150), on_time(3_364, 150), on_time(2_270, 95), late];
    let (with, without) = reserved_starts_with_and_without_the_others(4, &requests);
    assert_eq!(with, [2_118, 2_270, 3_364, 3_368].map(|at| (at, ms(at))));
    assert_eq!(with, without);
}

#[test]
fn starts_of_one_instant_leave_in_their_order_and_not_as_they_wake() {
    let due = Duration::from_secs(10);
    let mut limiter = Limiter::new(NonZeroU32::new(20).expect("not zero"));
    let reservations: Vec<_> = (0..30).map(|_| limiter.reserve(due)).collect();
    for index in (0_u8..30).rev() {
        let start = Timestamp::UNIX_EPOCH;
        limiter.enqueue(Priority::start(StartClass::OnTime, index / 10, start, format!("job-{index:02}")));
        assert_eq!(limiter.grant(due).is_some(), index == 0, "the last to wake opens the gate");
    }
    let rest: Vec<_> = std::iter::from_fn(|| limiter.grant(due)).map(|(queued, _)| queued.priority.job).collect();
    assert_eq!(rest.len(), 19);
    assert!(rest.iter().all(|job| job.as_str() > "job-09"), "the least of the three priorities waits: {rest:?}");
    drop(reservations);
}

#[test]
fn a_start_that_does_not_come_holds_the_others_for_a_moment_only() {
    let due = Duration::from_secs(10);
    let mut limiter = Limiter::new(NonZeroU32::new(1).expect("not zero"));
    let _ = (limiter.reserve(due), limiter.reserve(due));
    limiter.enqueue(Priority::start(StartClass::OnTime, 5, Timestamp::UNIX_EPOCH, "here"));
    assert!(limiter.grant(due).is_none());
    let until = limiter.wake_at(due).expect("it wakes");
    assert_eq!(until, due + GATHER);
    assert!(limiter.grant(until).is_some());
}

#[test]
fn starts_that_all_find_a_slot_do_not_wait_for_each_other() {
    let due = Duration::from_secs(10);
    let mut limiter = Limiter::new(NonZeroU32::new(20).expect("not zero"));
    let _: Vec<_> = (0..20).map(|_| limiter.reserve(due)).collect();
    limiter.enqueue(Priority::start(StartClass::OnTime, 5, Timestamp::UNIX_EPOCH, "first"));
    assert!(limiter.grant(due).is_some());
}

#[test]
fn a_start_does_not_wait_for_one_that_finds_a_slot_at_its_own_instant() {
    // (when the slot of the only request under way becomes free, whether the first of two starts waits for the second)
    for (frees_at, waits) in [(9_999, false), (10_002, false), (10_003, false), (10_004, true)] {
        let mut limiter = Limiter::new(rate(2));
        limiter.enqueue(Priority::describe());
        let (_, slot) = limiter.grant(Duration::ZERO).expect("a slot is free");
        limiter.sent(slot, ms(frees_at - 1_250));
        let _ = (limiter.reserve(ms(10_000)), limiter.reserve(ms(10_003)));
        limiter.enqueue(start(StartClass::OnTime));
        assert_eq!(limiter.grant(ms(10_000)).is_none(), waits, "free at {frees_at}");
    }
}
