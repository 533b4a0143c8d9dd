//! A rate that somebody else uses too: how many requests the server rejects, and how fast the limiter gives way and comes back.

use super::*;

/// A server that allows so many requests a second, and somebody else who sends so many of them, evenly, until an instant.
struct SharedServer {
    allows: usize,
    others: u64,
    others_until: Duration,
    arrivals: Vec<Duration>,
}

impl SharedServer {
    /// Whether a request that arrives now is rejected. What is over the rate counts too.
    fn rejects(&mut self, now: Duration) -> bool {
        let since = now.saturating_sub(WINDOW);
        self.arrivals.retain(|at| *at > since);
        let others = if now < self.others_until { usize::try_from(self.others).expect("few") } else { 0 };
        self.arrivals.push(now);
        self.arrivals.len() + others > self.allows
    }
}

/// Sends as fast as the limiter lets it until `until`; each is answered after 100 ms. Returns when each was sent, and whether it was
/// rejected.
fn send_all(limiter: &mut Limiter, server: &mut SharedServer, until: Duration) -> Vec<(Duration, bool)> {
    let mut answers: BTreeMap<(Duration, SlotId), bool> = BTreeMap::new();
    let (mut sent, mut now) = (Vec::new(), Duration::ZERO);
    while now < until {
        while answers.first_key_value().is_some_and(|((at, _), _)| *at <= now) {
            let ((_, slot), rejected) = answers.pop_first().expect("it is there");
            limiter.answered(slot, rejected, now);
        }
        limiter.enqueue(Priority::describe());
        while let Some((_, slot)) = limiter.grant(now) {
            limiter.sent(slot, now);
            let rejected = server.rejects(now + ms(50));
            answers.insert((now + ms(100), slot), rejected);
            sent.push((now, rejected));
            limiter.enqueue(Priority::describe());
        }
        let answer = answers.first_key_value().map(|((at, _), _)| *at);
        now = [answer, limiter.wake_at(now)].into_iter().flatten().filter(|at| *at > now).min().unwrap_or(now + ms(10));
    }
    sent
}

fn rejections(sent: &[(Duration, bool)], seconds: std::ops::Range<u64>) -> usize {
    let within =
        |at: Duration| (seconds.start * 1_000..seconds.end * 1_000).contains(&u64::try_from(at.as_millis()).expect("short"));
    sent.iter().filter(|(at, rejected)| *rejected && within(*at)).count()
}

#[test]
fn a_rate_that_is_shared_is_found_by_halving_it_and_comes_back_slowly() {
    let mut limiter = Limiter::new(rate(RATE));
    let mut server = SharedServer { allows: 20, others: 10, others_until: Duration::from_mins(5), arrivals: Vec::new() };
    let sent = send_all(&mut limiter, &mut server, Duration::from_mins(9));
    // The first burst only widens the margin; the second one halves the rate to what is left.
    assert_eq!(rejections(&sent, 0..3), 20, "two bursts of twenty, half of each");
    // One more is tried now and then, and given up again.
    let share =
        f64::from(u32::try_from(rejections(&sent, 3..300)).expect("few")) / f64::from(u32::try_from(sent.len()).expect("few"));
    assert!(share < 0.03, "{share} of all were rejected");
    // The other is gone: one more each ten seconds.
    assert_eq!((rejections(&sent, 301..540), limiter.rate_at(Duration::from_mins(9))), (0, 20));
    let in_second = |second: u64| sent.iter().filter(|(at, _)| at.as_secs() == second).count();
    assert!(in_second(530) + in_second(531) >= 36, "{} and {}", in_second(530), in_second(531));
}

#[test]
fn a_rate_is_never_lowered_below_one() {
    let mut limiter = Limiter::new(rate(RATE));
    let mut server = SharedServer { allows: 20, others: 20, others_until: Duration::from_mins(2), arrivals: Vec::new() };
    let sent = send_all(&mut limiter, &mut server, Duration::from_mins(1));
    assert!(sent.iter().filter(|(at, _)| *at > Duration::from_secs(20)).count() >= 20, "it is tried on");
    assert!((1..=3).contains(&limiter.rate_at(Duration::from_mins(1))));
}

#[test]
fn one_burst_that_crowded_on_its_way_lowers_nothing() {
    let mut limiter = Limiter::new(rate(2));
    let slots: Vec<SlotId> = (0..2)
        .map(|_| {
            limiter.enqueue(Priority::describe());
            let (_, slot) = limiter.grant(Duration::ZERO).expect("a slot is free");
            limiter.sent(slot, Duration::ZERO);
            slot
        })
        .collect();
    for slot in slots {
        limiter.answered(slot, true, ms(100));
    }
    assert_eq!(limiter.rate_at(ms(100)), 2);
}
