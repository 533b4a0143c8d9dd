//! Tasks over the wire: how they end, what a second start does, who may ask. The arithmetic of ends is tested beside it.

use std::time::Duration;

use ingestd::sandbox::{EndReason, ExistReading, WELL_KNOWN_SDK_APP_ID};

use super::client::Ask;
use super::{Rig, STRICT_APP};

#[tokio::test]
async fn a_task_is_started_described_and_stopped() {
    let rig = Rig::new().await;
    let task_id = rig.start(&Ask::start().field("RepeatNum", -1)).await;
    assert!(task_id.contains('+') && task_id.contains('-') && task_id.contains('.'), "{task_id}");
    assert_eq!(rig.status(&task_id).await, "InProgress");
    assert_eq!(rig.code(&Ask::stop(&task_id)).await, "ok");
    assert_eq!(rig.status(&task_id).await, "NotExist");
    assert_eq!(rig.code(&Ask::stop(&task_id)).await, "FailedOperation.TaskFinished");
    assert_eq!(rig.code(&Ask::stop("never")).await, "InvalidParameter.TaskId");
    assert_eq!(rig.status("never").await, "NotExist");
    let mut elsewhere = Ask::stop(&task_id);
    elsewhere.region = "ap-jakarta".to_owned();
    assert_eq!(rig.code(&elsewhere).await, "InvalidParameter.TaskId");
    assert_eq!(rig.code(&Ask::stop(&task_id).field("SdkAppId", STRICT_APP)).await, "InvalidParameter.TaskId");
    let ids: std::collections::BTreeSet<_> = rig.sandbox.tasks().into_iter().map(|task| task.task_id).collect();
    assert_eq!(ids, [task_id].into());
}

#[tokio::test]
async fn tasks_end_by_the_clock_as_their_parameters_say() {
    let url = "https://media.example.com/90.mp4";
    let rig = Rig::with(|config| {
        config.media.default = Duration::from_mins(1);
        config.media.by_url.insert(url.to_owned(), Duration::from_secs(90));
    })
    .await;
    let bounded = rig.start(&Ask::start().robot("bounded").field("RepeatNum", -1).field("MaxDuration", 2)).await;
    let endless = rig.start(&Ask::start().robot("endless").field("RepeatNum", -1)).await;
    let once = rig.start(&Ask::start().robot("once").field("MaxDuration", 60)).await;
    let listed = Ask::start().robot("listed").field("StreamUrl", url).field("SeekSecond", 30).field("Tempo", 0.5);
    let listed = rig.start(&listed.field("IdleTimeout", 10)).await;
    for (at_ms, running) in [
        (64_999, vec![&bounded, &endless, &once, &listed]),
        (65_000, vec![&bounded, &endless, &listed]),
        (119_999, vec![&bounded, &endless, &listed]),
        (120_000, vec![&endless, &listed]),
        (129_999, vec![&endless, &listed]),
        (130_000, vec![&endless]),
        (864_000_000, vec![&endless]),
    ] {
        rig.at_ms(at_ms);
        for task_id in [&bounded, &endless, &once, &listed] {
            let expected = if running.contains(&task_id) { "InProgress" } else { "NotExist" };
            assert_eq!(rig.status(task_id).await, expected, "{task_id} at {at_ms} ms");
        }
    }
    let ends: Vec<_> = rig.sandbox.tasks().iter().map(|task| task.ended.map(|(_, reason)| reason)).collect();
    assert_eq!(ends, [None, Some(EndReason::Media), Some(EndReason::MaxDuration), Some(EndReason::Media)]);
}

#[tokio::test]
async fn a_second_start_does_what_the_reading_says() {
    let exists = "FailedOperation.TaskExist";
    for (reading, same_room, other_room) in [
        (ExistReading::RoomUser, exists, "ok"),
        (ExistReading::User, exists, exists),
        (ExistReading::Displace, "ok", "ok"),
        (ExistReading::Both, "ok", "ok"),
    ] {
        let rig = Rig::with(|config| config.exist = reading).await;
        let first = rig.start(&Ask::start()).await;
        assert_eq!(rig.code(&Ask::start()).await, same_room, "{reading}");
        let displaced = if reading == ExistReading::Displace { "NotExist" } else { "InProgress" };
        assert_eq!(rig.status(&first).await, displaced, "{reading}");
        assert_eq!(rig.code(&Ask::start().field("RoomId", "2")).await, other_room, "{reading}");
        assert_eq!(rig.code(&Ask::start().robot("another")).await, "ok", "{reading}");
        assert_eq!(ExistReading::parse(&reading.to_string()), Some(reading));
    }
}

#[tokio::test]
async fn a_task_can_be_made_to_vanish() {
    let rig = Rig::new().await;
    let task_id = rig.start(&Ask::start()).await;
    assert!(rig.sandbox.kill_task(&task_id) && !rig.sandbox.kill_task(&task_id));
    assert_eq!(rig.status(&task_id).await, "NotExist");
    assert_eq!(rig.sandbox.tasks()[0].ended.map(|(_, reason)| reason), Some(EndReason::Vanished));
}

#[tokio::test]
async fn arrivals_say_what_came_and_hold_no_secret() {
    let rig = Rig::new().await;
    let mut feed = rig.sandbox.subscribe();
    let url = "https://user:hunter2@media.example.com/show.mp4?sign=abc";
    let task_id = rig.start(&Ask::start().field("StreamUrl", url)).await;
    rig.code(&Ask::stop(&task_id)).await;
    rig.code(&Ask::start().field("RoomId", "x\u{1b}[2J".repeat(100))).await;
    let arrivals = rig.sandbox.arrivals();
    let shown: Vec<_> = arrivals.iter().map(|arrival| (arrival.action.as_str(), arrival.room.as_deref(), arrival.effect)).collect();
    assert_eq!(shown[..2], [("StartStreamIngest", Some("10000"), true), ("StopStreamIngest", Some("10000"), true)]);
    assert_eq!(arrivals[0].task_id.as_ref(), Some(&task_id));
    assert_eq!(arrivals[1].robot.as_deref(), Some("robot_1"));
    let hostile = arrivals[2].room.as_deref().expect("a room");
    assert!(hostile.chars().count() == 128 && !hostile.contains('\u{1b}'), "{hostile:?}");
    assert_eq!(feed.try_recv().as_ref(), Ok(&arrivals[0]));
    let everything = format!("{arrivals:?} {:?}", rig.sandbox.tasks());
    assert!(!everything.contains("hunter2") && !everything.contains("sign=abc"), "{everything}");
    assert!(everything.contains(&WELL_KNOWN_SDK_APP_ID.to_string()));
}
