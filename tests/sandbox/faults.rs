//! Every kind of fault, seen from the client's side of the connection. A delay is only ever measured from below, and a wait is
//! for something that happens.

use std::time::{Duration, Instant};

use ingestd::sandbox::{Answered, EndReason, FaultEffect, FaultPlan, FaultRule, Replacement};
use ingestd::trtc::Action;
use tokio::time::timeout;

use super::client::Ask;
use super::{PATIENCE, Rig};

const DELAY: Duration = Duration::from_millis(80);
/// A delay that no test waits out.
const FOR_EVER: Duration = Duration::from_mins(10);

fn replace(with: Replacement, done: bool) -> FaultRule {
    FaultRule::new(FaultEffect::Replace { with, done })
}

async fn with(rule: FaultRule) -> Rig {
    Rig::with(|config| config.faults = FaultPlan::new(vec![rule])).await
}

#[tokio::test]
async fn an_error_replaces_the_answer_and_the_effect_happens_only_if_it_is_said() {
    for done in [false, true] {
        let rig =
            with(replace(Replacement::Error("InternalError.InternalError".to_owned()), done).action(Action::Start).times(1)).await;
        assert_eq!(rig.code(&Ask::start()).await, "InternalError.InternalError");
        assert_eq!(rig.sandbox.tasks().len(), usize::from(done));
        assert_eq!(rig.sandbox.arrivals()[0].effect, done);
        let second = if done { "FailedOperation.TaskExist" } else { "ok" };
        assert_eq!(rig.code(&Ask::start()).await, second);
    }
}

#[tokio::test]
async fn a_status_comes_as_a_page_and_a_body_as_it_is() {
    let rig = with(replace(Replacement::Status { status: 502, retry_after: Some(Duration::from_secs(3)) }, false).times(1)).await;
    let reply = rig.wire().await.ask(&Ask::start()).await;
    assert_eq!((reply.status, reply.header("content-type"), reply.header("retry-after")), (502, Some("text/html"), Some("3")));
    assert!(reply.body.contains("<title>502 Bad Gateway</title>"), "{}", reply.body);
    rig.sandbox.inject(FaultPlan::new(vec![replace(Replacement::Body("{\"Response\":{}}".to_owned()), false).times(1)]));
    let reply = rig.wire().await.ask(&Ask::start()).await;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("retry-after")), (200, "{\"Response\":{}}", None));
    assert_eq!(rig.code(&Ask::start()).await, "ok");
    let answered: Vec<_> = rig.sandbox.arrivals().into_iter().map(|arrival| arrival.answered).collect();
    assert_eq!(answered, [Answered::Status(502), Answered::Body, Answered::Ok]);
}

#[tokio::test]
async fn a_cut_ends_the_connection_before_or_after_the_effect() {
    for done in [false, true] {
        let rig = with(replace(Replacement::Cut, done).times(1)).await;
        let mut wire = rig.wire().await;
        wire.send(&Ask::start()).await;
        assert!(wire.reply().await.is_none());
        assert_eq!(rig.sandbox.tasks().len(), usize::from(done));
        assert_eq!(rig.sandbox.arrivals()[0].answered, Answered::Cut);
    }
}

#[tokio::test]
async fn a_hang_says_nothing_and_keeps_the_connection_until_the_end() {
    for done in [false, true] {
        let rig = with(replace(Replacement::Hang, done)).await;
        let mut feed = rig.sandbox.subscribe();
        let mut wire = rig.wire().await;
        wire.send(&Ask::start()).await;
        let arrival = timeout(PATIENCE, feed.recv()).await.expect("it arrives").expect("it is recorded");
        assert_eq!((arrival.answered, arrival.effect), (Answered::Hang, done));
        assert!(wire.is_silent());
        assert_eq!(rig.sandbox.tasks().len(), usize::from(done));
        rig.shut_down().await;
        assert!(wire.reply().await.is_none());
    }
}

#[tokio::test]
async fn a_delayed_answer_comes_late_and_its_effect_at_once() {
    let rig = with(FaultRule::new(FaultEffect::Delay(FOR_EVER)).times(1)).await;
    let mut feed = rig.sandbox.subscribe();
    let mut wire = rig.wire().await;
    wire.send(&Ask::start()).await;
    timeout(PATIENCE, feed.recv()).await.expect("it arrives").expect("it is recorded");
    assert!(wire.is_silent());
    assert_eq!(rig.sandbox.tasks().len(), 1);
    rig.sandbox.inject(FaultPlan::new(vec![FaultRule::new(FaultEffect::Delay(DELAY)).times(1)]));
    let sent = Instant::now();
    assert_eq!(rig.code(&Ask::describe("nobody")).await, "ok");
    assert!(sent.elapsed() >= DELAY);
}

#[tokio::test]
async fn a_cold_connection_delays_its_first_request_before_it_arrives() {
    let rig = Rig::new().await;
    let mut warm = rig.wire().await;
    assert_eq!(warm.ask(&Ask::describe("nobody")).await.code(), "ok");
    rig.sandbox.inject(FaultPlan::new(vec![
        FaultRule::new(FaultEffect::ColdDelay(DELAY)).room("10000"),
        FaultRule::new(FaultEffect::ColdDelay(FOR_EVER)).robot("stuck"),
    ]));
    let mut stuck = rig.wire().await;
    stuck.send(&Ask::start().robot("stuck").field("RoomId", "2")).await;
    let sent = Instant::now();
    let mut cold = rig.wire().await;
    assert_eq!(cold.ask(&Ask::start()).await.code(), "ok");
    assert!(sent.elapsed() >= DELAY);
    // The connections that are warm by now are not held up, whatever the rules say.
    rig.sandbox.inject(FaultPlan::new(vec![FaultRule::new(FaultEffect::ColdDelay(FOR_EVER))]));
    for wire in [&mut warm, &mut cold] {
        assert_eq!(wire.ask(&Ask::start().robot("r").field("RoomId", "3")).await.status, 200);
    }
    let connections: Vec<_> = rig.sandbox.arrivals().iter().map(|arrival| arrival.connection).collect();
    assert_eq!(connections, [1, 3, 1, 3], "the stuck request has not arrived");
}

#[tokio::test]
async fn a_task_vanishes_after_the_time_the_rule_says() {
    let rig = with(FaultRule::new(FaultEffect::Vanish(Duration::from_secs(20))).robot("robot_1")).await;
    let task_id = rig.start(&Ask::start().field("RepeatNum", -1)).await;
    let other = rig.start(&Ask::start().robot("other").field("RepeatNum", -1)).await;
    rig.at_ms(19_999);
    assert_eq!(rig.status(&task_id).await, "InProgress");
    rig.at_ms(20_000);
    assert_eq!(rig.status(&task_id).await, "NotExist");
    assert_eq!(rig.status(&other).await, "InProgress");
    let tasks = rig.sandbox.tasks();
    assert!(tasks.iter().any(|task| task.ended.is_some_and(|(_, reason)| reason == EndReason::Vanished)), "{tasks:?}");
}

#[tokio::test]
async fn a_task_whose_id_no_client_knows_can_vanish_too() {
    let rig = with(FaultRule::new(FaultEffect::Vanish(Duration::from_secs(20)))).await;
    rig.sandbox.inject(FaultPlan::new(vec![FaultRule::new(FaultEffect::Delay(DELAY)), replace(Replacement::Cut, true).after(1)]));
    rig.start(&Ask::start().field("RepeatNum", -1)).await;
    let mut wire = rig.wire().await;
    wire.send(&Ask::start().robot("doubtful").field("RepeatNum", -1)).await;
    assert!(wire.reply().await.is_none());
    let runs = || rig.sandbox.tasks().iter().map(ingestd::sandbox::SandboxTask::runs).collect::<Vec<_>>();
    assert_eq!(runs(), [true, true]);
    rig.at_ms(20_000);
    // The cut stands before the rule that lets tasks vanish, and ends the walk: only the first task was seen by it.
    assert_eq!(runs(), [true, false]);
    rig.sandbox.clear_faults();
    rig.sandbox
        .inject(FaultPlan::new(vec![FaultRule::new(FaultEffect::Vanish(Duration::from_secs(5))), replace(Replacement::Cut, true)]));
    let mut wire = rig.wire().await;
    wire.send(&Ask::start_at(rig.now_s()).robot("lost").field("RepeatNum", -1)).await;
    assert!(wire.reply().await.is_none());
    assert_eq!(runs(), [true, true, false]);
    rig.at_ms(25_000);
    assert_eq!(runs(), [true, false, false]);
}

#[tokio::test]
async fn an_action_that_only_seems_to_work_has_no_effect() {
    let accept = |action| FaultRule::new(FaultEffect::Accept).action(action).times(1);
    let rig = with(accept(Action::Start)).await;
    let never_ran = rig.start(&Ask::start().field("RepeatNum", -1)).await;
    assert_eq!(rig.status(&never_ran).await, "NotExist");
    assert_eq!(rig.code(&Ask::stop(&never_ran)).await, "FailedOperation.TaskFinished");
    let task_id = rig.start(&Ask::start().field("RepeatNum", -1)).await;
    rig.sandbox.inject(FaultPlan::new(vec![accept(Action::Stop), accept(Action::Describe).after(1)]));
    assert_eq!(rig.code(&Ask::stop(&task_id)).await, "ok");
    assert_eq!(rig.status(&task_id).await, "InProgress");
    assert_eq!(rig.code(&Ask::stop(&task_id)).await, "ok");
    assert_eq!(rig.status(&task_id).await, "InProgress", "that is not so");
    assert_eq!(rig.status(&task_id).await, "NotExist");
    let effects: Vec<_> = rig.sandbox.arrivals().iter().map(|arrival| arrival.effect).collect();
    assert_eq!(effects, [false, true, false, true, false, true, true, false, true]);
}

#[tokio::test]
async fn rules_find_the_room_and_the_robot_of_a_task() {
    let rig =
        with(FaultRule::error("FailedOperation.QueryTaskInfoFailed").action(Action::Describe).room("10000").robot("robot_1")).await;
    let task_id = rig.start(&Ask::start()).await;
    let other = rig.start(&Ask::start().robot("other")).await;
    assert_eq!(rig.code(&Ask::describe(&task_id)).await, "FailedOperation.QueryTaskInfoFailed");
    assert_eq!(rig.code(&Ask::describe(&other)).await, "ok");
    rig.sandbox.clear_faults();
    assert_eq!(rig.code(&Ask::describe(&task_id)).await, "ok");
}

#[tokio::test]
async fn a_faulted_request_counts_towards_the_rate() {
    let rig = Rig::with(|config| {
        config.rate = 1;
        config.faults = FaultPlan::new(vec![replace(Replacement::Status { status: 502, retry_after: None }, false).times(2)]);
    })
    .await;
    let mut wire = rig.wire().await;
    assert_eq!(wire.ask(&Ask::describe("nobody")).await.status, 502);
    assert_eq!(wire.ask(&Ask::describe("nobody")).await.status, 502);
    assert_eq!(wire.ask(&Ask::describe("nobody")).await.code(), "RequestLimitExceeded");
    assert_eq!(rig.sandbox.rejections(), 2);
}

#[tokio::test]
async fn a_shutdown_lets_an_answer_finish_and_closes_idle_connections() {
    let rig = with(FaultRule::new(FaultEffect::Delay(DELAY)).times(1)).await;
    let mut feed = rig.sandbox.subscribe();
    let mut idle = rig.wire().await;
    let mut wire = rig.wire().await;
    wire.send(&Ask::start()).await;
    timeout(PATIENCE, feed.recv()).await.expect("it arrives").expect("it is recorded");
    let (reply, ()) = tokio::join!(wire.reply(), rig.shut_down());
    assert_eq!(reply.expect("the answer").code(), "ok");
    assert!(idle.reply().await.is_none());
}
