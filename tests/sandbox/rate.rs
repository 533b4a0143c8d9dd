//! The rate slides over arrivals, for each action by itself; nothing here waits for a second to pass.

use super::client::Ask;
use super::{BEGIN_MS, Rig};

/// Describes of a task that is not there: no effect, only the rate.
fn any_request() -> Ask {
    Ask::describe("nobody")
}

#[tokio::test]
async fn the_21st_request_of_any_second_is_refused() {
    let rig = Rig::new().await;
    let mut wire = rig.wire().await;
    // Twenty around the turn of a second of the clock: a bucket for each would take twenty more after it.
    for at in 0..20 {
        rig.at_ms(900 + at * 10);
        assert_eq!(wire.ask(&any_request()).await.code(), "ok");
    }
    for (at_ms, expected) in
        [(1100, "RequestLimitExceeded"), (1899, "RequestLimitExceeded"), (1920, "ok"), (1920, "RequestLimitExceeded")]
    {
        rig.at_ms(at_ms);
        assert_eq!(wire.ask(&any_request()).await.code(), expected, "at {at_ms} ms");
    }
    assert_eq!(rig.sandbox.rejections(), 3);
}

#[tokio::test]
async fn what_is_refused_is_what_the_arrivals_say() {
    let rig = Rig::new().await;
    let mut wire = rig.wire().await;
    // Bursts and lulls around the rate, from a row of numbers that looks random and is the same each time.
    let mut at_ms = 0;
    let mut state: u64 = 1;
    for _ in 0..400 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        at_ms += i64::try_from((state >> 33) % 100).expect("small");
        rig.at_ms(at_ms);
        wire.ask(&any_request().at(rig.now_s())).await;
    }
    let arrivals = rig.sandbox.arrivals();
    let mut refused = 0;
    for (at, arrival) in arrivals.iter().enumerate() {
        let width = jiff::SignedDuration::from_secs(1);
        let before = arrivals[..at].iter().filter(|earlier| arrival.at.duration_since(earlier.at) < width).count();
        assert_eq!(arrival.over_rate, before >= 20, "{before} in the second before number {at}");
        assert_eq!(arrival.answered.to_string() == "RequestLimitExceeded", arrival.over_rate);
        refused += u64::from(arrival.over_rate);
    }
    assert!((50..350).contains(&refused), "{refused} of 400: the row must go over the rate, and stay under it");
    assert_eq!(rig.sandbox.rejections(), refused);
}

#[tokio::test]
async fn sixty_at_once_are_twenty_and_forty_too_many() {
    let rig = Rig::new().await;
    let asking = (0..60).map(|_| {
        let address = rig.address;
        tokio::spawn(async move { super::Wire::connect(address).await.ask(&any_request()).await.code() })
    });
    let mut ok = 0;
    for asked in asking.collect::<Vec<_>>() {
        ok += usize::from(asked.await.expect("it does not panic") == "ok");
    }
    assert_eq!((ok, rig.sandbox.rejections()), (20, 40));
}

#[tokio::test]
async fn each_action_has_its_own_rate_and_every_arrival_counts() {
    let rig = Rig::with(|config| config.rate = 2).await;
    let mut wire = rig.wire().await;
    let mut forged = any_request();
    forged.secret_key.push('x');
    // A request that authentication refuses counts; over the rate, its answer still says what is wrong with it.
    for _ in 0..3 {
        assert_eq!(wire.ask(&forged).await.code(), "AuthFailure.SignatureFailure");
    }
    assert_eq!(wire.ask(&any_request()).await.code(), "RequestLimitExceeded");
    assert_eq!(wire.ask(&Ask::start()).await.code(), "ok");
    assert_eq!(wire.ask(&Ask::stop("nobody")).await.code(), "InvalidParameter.TaskId");
    assert_eq!(rig.sandbox.rejections(), 2);
    // A refused start does nothing.
    for robot in ["a", "b"] {
        wire.ask(&Ask::start().robot(robot)).await;
    }
    assert_eq!(rig.sandbox.tasks().len(), 2);
}

#[tokio::test]
async fn a_clock_that_was_set_back_locks_no_client_out() {
    let rig = Rig::with(|config| config.rate = 1).await;
    rig.at_ms(60_000);
    assert_eq!(rig.code(&any_request().at(BEGIN_MS / 1000)).await, "ok");
    rig.at_ms(0);
    assert_eq!(rig.code(&any_request()).await, "ok");
}
