//! The limiter against a model server that counts arrivals.

mod reservations;
mod shared;

use proptest::prelude::*;

use super::*;

const RATE: u32 = 20;

/// A request of a simulated day: when it asks for a slot, and what becomes of it. Times in milliseconds.
#[derive(Clone, Debug)]
struct TestRequest {
    at: u64,
    priority: Priority,
    /// Its arrival, as a share of the time until its answer or its margin, whichever is shorter.
    travels_percent: u64,
    answer_after: u64,
    rejected: bool,
    /// Whether the limiter knows of it beforehand: for so long.
    reserved_for: Option<u64>,
}

/// What one request did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    asked: usize,
    sent: Duration,
    arrived: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SimEvent {
    Answer(usize, SlotId),
    Reserve(usize),
    Ask(usize),
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Runs the limiter through the requests, event by event, and returns them in the order in which they left.
fn simulate(mut limiter: Limiter, requests: &[TestRequest]) -> Vec<Left> {
    let mut events: BTreeSet<(Duration, SimEvent)> = BTreeSet::new();
    for (index, request) in requests.iter().enumerate() {
        events.insert((ms(request.at), SimEvent::Ask(index)));
        if let Some(ahead) = request.reserved_for {
            events.insert((ms(request.at.saturating_sub(ahead)), SimEvent::Reserve(index)));
        }
    }
    let mut queued: BTreeMap<Queued, usize> = BTreeMap::new();
    let mut reservations: BTreeMap<usize, ReservationId> = BTreeMap::new();
    let mut left = Vec::new();
    let mut now = Duration::ZERO;
    loop {
        let next = events.first().map(|(at, _)| *at);
        let Some(at) = [next, limiter.wake_at(now)].into_iter().flatten().min() else { break };
        now = at;
        while events.first().is_some_and(|(at, _)| *at == now) {
            match events.pop_first().expect("it is there").1 {
                SimEvent::Ask(index) => {
                    queued.insert(limiter.enqueue(requests[index].priority.clone()), index);
                }
                SimEvent::Reserve(index) => {
                    reservations.insert(index, limiter.reserve(ms(requests[index].at)));
                }
                SimEvent::Answer(index, slot) => limiter.answered(slot, requests[index].rejected, now),
            }
        }
        while let Some((priority, slot)) = limiter.grant(now) {
            let index = queued.remove(&priority).expect("it was queued");
            let request = &requests[index];
            limiter.sent(slot, now);
            if let Some(reservation) = reservations.remove(&index) {
                limiter.unreserve(reservation);
            }
            events.insert((now + ms(request.answer_after), SimEvent::Answer(index, slot)));
            let travel = ms(request.answer_after).min(MARGIN) * u32::try_from(request.travels_percent).expect("a percentage") / 100;
            left.push(Left { asked: index, sent: now, arrived: now + travel });
        }
    }
    assert_eq!(left.len(), requests.len(), "everything asked for leaves in the end");
    left
}

/// The most arrivals in any window of a second.
fn busiest_second(left: &[Left]) -> usize {
    let mut arrivals: Vec<Duration> = left.iter().map(|request| request.arrived).collect();
    arrivals.sort_unstable();
    let within = |start: usize| arrivals[start..].iter().take_while(|arrival| **arrival < arrivals[start] + WINDOW).count();
    (0..arrivals.len()).map(within).max().unwrap_or(0)
}

fn rate(rate: u32) -> NonZeroU32 {
    NonZeroU32::new(rate).expect("a rate")
}

fn start(class: StartClass) -> Priority {
    Priority::start(class, 5, Timestamp::UNIX_EPOCH, "job")
}

fn asked(at: u64, class: StartClass) -> TestRequest {
    TestRequest { at, priority: start(class), travels_percent: 100, answer_after: 150, rejected: false, reserved_for: None }
}

/// Forty requests: the first twenty are slow on their way, the others quick.
fn crowding() -> Vec<TestRequest> {
    let travels = |index| if index < 20 { 100 } else { 0 };
    (0..40)
        .map(|index| TestRequest { travels_percent: travels(index), answer_after: 800, ..asked(0, StartClass::OnTime) })
        .collect()
}

#[test]
fn delays_that_vary_crowd_no_second_with_the_margin_and_do_without_it() {
    assert_eq!(busiest_second(&simulate(Limiter::new(rate(RATE)), &crowding())), 20);
    assert_eq!(busiest_second(&simulate(Limiter::with_margin(rate(RATE), Duration::ZERO), &crowding())), 40);
}

#[test]
fn a_hundred_starts_at_once_leave_in_under_4_7_s() {
    let requests: Vec<TestRequest> = (0..100).map(|_| asked(0, StartClass::OnTime)).collect();
    let left = simulate(Limiter::new(rate(RATE)), &requests);
    assert_eq!(left.last().map(|last| last.sent), Some(ms(4_600)));
}

#[test]
fn the_first_burst_leaves_whole_and_at_once() {
    let requests: Vec<TestRequest> = (0..20).map(|_| asked(0, StartClass::OnTime)).collect();
    assert!(simulate(Limiter::new(rate(RATE)), &requests).iter().all(|left| left.sent == Duration::ZERO));
}

#[test]
fn starts_leave_by_class_then_priority_then_instant_then_job() {
    let instant = |second| Timestamp::from_second(second).expect("a time of our days");
    let expected = [
        Priority::start(StartClass::OnTime, 9, instant(20), "b"),
        Priority::start(StartClass::OnTime, 5, instant(10), "z"),
        Priority::start(StartClass::OnTime, 5, instant(20), "a"),
        Priority::start(StartClass::OnTime, 5, instant(20), "b"),
        Priority::start(StartClass::Late, 9, instant(0), "a"),
        Priority::start(StartClass::Again, 9, instant(0), "a"),
        Priority::start(StartClass::Again, 0, instant(0), "a"),
    ];
    check_order(&expected);
}

#[test]
fn stops_leave_by_class_and_describes_in_the_order_they_came() {
    check_order(&[
        Priority::stop(StopClass::HandOver),
        Priority::stop(StopClass::HandOver),
        Priority::stop(StopClass::Planned),
        Priority::stop(StopClass::Again),
    ]);
    check_order(&[Priority::describe(), Priority::doctor()]);
    let mut limiter = Limiter::new(rate(2));
    let first = limiter.enqueue(Priority::describe());
    let second = limiter.enqueue(Priority::describe());
    assert_eq!(limiter.grant(Duration::ZERO).map(|(queued, _)| queued), Some(first));
    assert_eq!(limiter.grant(Duration::ZERO).map(|(queued, _)| queued), Some(second));
}

/// They leave in the order given, in any order of asking.
fn check_order(expected: &[Priority]) {
    let mut limiter = Limiter::new(rate(RATE));
    for priority in expected.iter().rev() {
        limiter.enqueue(priority.clone());
    }
    let granted: Vec<Priority> = std::iter::from_fn(|| limiter.grant(Duration::ZERO)).map(|(queued, _)| queued.priority).collect();
    assert_eq!(granted, expected);
}

#[test]
fn a_slot_is_free_a_second_after_the_answer_or_after_the_margin() {
    // (answered after, rejected) -> the next one leaves at
    for (answer, frees_at) in [
        (Some((100, false)), 1_100),
        (Some((250, false)), 1_250),
        (Some((900, false)), 1_250),
        (None, 1_250),
        // A rejection is an answer too: this one has arrived.
        (Some((100, true)), 1_100),
    ] {
        let mut limiter = Limiter::new(rate(1));
        limiter.enqueue(Priority::describe());
        limiter.enqueue(Priority::describe());
        let (_, slot) = limiter.grant(Duration::ZERO).expect("the first leaves at once");
        limiter.sent(slot, Duration::ZERO);
        if let Some((after, rejected)) = answer {
            limiter.answered(slot, rejected, ms(after));
        }
        assert_eq!(limiter.wake_at(ms(900)), Some(ms(frees_at)), "{answer:?}");
        assert!(limiter.grant(ms(frees_at - 1)).is_none(), "{answer:?}");
        assert!(limiter.grant(ms(frees_at)).is_some(), "{answer:?}");
    }
}

#[test]
fn a_rejection_doubles_the_margin_for_a_minute_also_of_what_is_under_way() {
    let mut limiter = Limiter::new(rate(2));
    let send = |limiter: &mut Limiter, at: u64| {
        limiter.enqueue(Priority::describe());
        let (_, slot) = limiter.grant(ms(at)).expect("a slot is free");
        limiter.sent(slot, ms(at));
        slot
    };
    let wake = |limiter: &mut Limiter, now: u64| {
        let queued = limiter.enqueue(Priority::describe());
        let wake = limiter.wake_at(ms(now));
        assert!(limiter.withdraw(&queued));
        wake
    };
    let rejected = send(&mut limiter, 0);
    send(&mut limiter, 50);
    limiter.answered(rejected, true, ms(100));
    assert_eq!(wake(&mut limiter, 100), Some(ms(1_100)));
    assert_eq!(wake(&mut limiter, 1_100), Some(ms(1_550)), "what was under way is held for the doubled margin");
    send(&mut limiter, 60_000);
    assert_eq!(wake(&mut limiter, 60_000), Some(ms(61_500)), "a minute has not passed");
    send(&mut limiter, 61_600);
    assert_eq!(wake(&mut limiter, 61_600), Some(ms(62_850)), "a minute has passed");
}

#[test]
fn what_a_restarted_daemon_may_have_sent_counts_as_just_sent() {
    let mut limiter = Limiter::new(rate(3));
    limiter.count_as_used(2, ms(5_000));
    for _ in 0..2 {
        limiter.enqueue(Priority::describe());
    }
    let (_, slot) = limiter.grant(ms(5_000)).expect("the third slot is free");
    limiter.sent(slot, ms(5_000));
    assert!(limiter.grant(ms(6_249)).is_none());
    assert!(limiter.grant(ms(6_250)).is_some());
}

#[test]
fn a_slot_that_is_not_used_is_free_again_at_once() {
    let mut limiter = Limiter::new(rate(1));
    limiter.enqueue(Priority::describe());
    limiter.enqueue(Priority::describe());
    let (_, slot) = limiter.grant(Duration::ZERO).expect("the first leaves");
    assert!(limiter.grant(ms(10_000)).is_none(), "a slot that was given and not yet used is held");
    limiter.unsent(slot);
    assert!(limiter.grant(Duration::ZERO).is_some());
}

fn class() -> impl Strategy<Value = StartClass> {
    prop_oneof![Just(StartClass::OnTime), Just(StartClass::Late), Just(StartClass::Again)]
}

prop_compose! {
    fn any_request()(
        at in 0_u64..3_000,
        class in class(),
        travels_percent in prop_oneof![Just(0_u64), Just(100), 0_u64..=100],
        answer_after in prop_oneof![Just(1_u64), 1_u64..600, Just(2_000)],
        rejected in prop::bool::weighted(0.1),
        reserved_for in prop::option::of(0_u64..2_000),
    ) -> TestRequest {
        let reserved_for = reserved_for.filter(|_| class == StartClass::OnTime);
        TestRequest { at, priority: start(class), travels_percent, answer_after, rejected, reserved_for }
    }
}

proptest! {
    #[test]
    fn no_second_of_the_servers_ever_holds_more_than_the_rate(
        slots in 1_u32..8,
        requests in prop::collection::vec(any_request(), 0..60),
    ) {
        let left = simulate(Limiter::new(rate(slots)), &requests);
        prop_assert!(busiest_second(&left) <= slots as usize);
    }

    /// Late starts and retries make no difference to reserved starts.
    #[test]
    fn retries_never_delay_a_start_that_was_reserved(
        slots in 1_u32..8,
        requests in prop::collection::vec(any_request(), 0..60),
    ) {
        // A start is armed seconds ahead. There are no rejections here, because one makes held slots last longer
        // afterwards.
        let ahead = |request: TestRequest| TestRequest {
            rejected: false,
            at: request.at + 2_000,
            reserved_for: (request.priority.class == QueueClass::Start(StartClass::OnTime)).then_some(5_000),
            ..request
        };
        let requests: Vec<TestRequest> = requests.into_iter().map(ahead).collect();
        let (with, without) = reserved_starts_with_and_without_the_others(slots, &requests);
        prop_assert_eq!(with, without);
    }
}

/// When starts leave, as (asked at, sent at).
type Departures = Vec<(u64, Duration)>;

/// When each reserved start leaves: among all the requests, and if the reserved starts were alone.
fn reserved_starts_with_and_without_the_others(slots: u32, requests: &[TestRequest]) -> (Departures, Departures) {
    let reserved_starts = |requests: &[TestRequest]| {
        let left = simulate(Limiter::new(rate(slots)), requests);
        let is_reserved = |left: &&Left| requests[left.asked].reserved_for.is_some();
        left.iter().filter(is_reserved).map(|left| (requests[left.asked].at, left.sent)).collect()
    };
    let alone: Vec<TestRequest> = requests.iter().filter(|request| request.reserved_for.is_some()).cloned().collect();
    (reserved_starts(requests), reserved_starts(&alone))
}
