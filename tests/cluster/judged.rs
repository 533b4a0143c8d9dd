//! The judge itself: it sees what it is there for.

use ingestd::sandbox::SandboxTask;
use ingestd::trtc::{Room, StartOptions, StartParams, StreamUrl};
use jiff::Timestamp;

use super::cluster::{Cluster, Row};
use super::judge::{Life, in_order, once_at_a_time};
use super::requests::Sent;
use super::rig::{looping, soon};

#[test]
fn the_judge_sees_an_older_owner_that_sends() {
    let sent = |second: i64, life: Life| {
        let at = Timestamp::from_second(second).expect("an instant");
        (life, Sent { at, life: life.1, robot: "show".to_owned() })
    };
    let (old, new) = ((0, 1), (1, 1));
    let once = |_| 1;
    assert_eq!(in_order(vec![sent(1, old), sent(3, new), sent(2, old), sent(4, new)], once), Ok(()));
    let late = vec![sent(1, old), sent(2, new), sent(3, old)];
    assert!(in_order(late.clone(), once).expect_err("it is older").contains("1970-01-01T00:00:03Z was sent by (0, 1)"));
    assert_eq!(in_order(late, |life| if life == old { 2 } else { 1 }), Ok(()), "it took over once more");
}

#[test]
fn the_judge_sees_two_streams_in_a_room() {
    let at = Timestamp::now();
    let task = |number: u32| SandboxTask {
        task_id: format!("task-{number}"),
        sdk_app_id: 1,
        region: "ap-singapore".to_owned(),
        params: StartParams {
            room: Room::Integer(1),
            user_id: "show".to_owned(),
            stream_url: StreamUrl::new("https://cdn.example.com/a.mp4"),
            seek_second: None,
            repeat: None,
            max_duration: None,
            options: StartOptions::default(),
        },
        started_at: at,
        bound: None,
        ended: None,
    };
    let tasks = [task(1), task(2)];
    let at = at.as_millisecond();
    let row = |doubt: bool| {
        let row = serde_json::json!({
            "job": "show", "start_ms": at - 60_000, "state": "on_air", "outcome": null, "attempts": 2, "was_in_doubt": doubt,
            "first_sent_ms": at, "on_air_ms": at, "generation": 1,
        });
        serde_json::from_value::<Row>(row).expect("a row")
    };
    assert!(once_at_a_time(&[row(false)], &tasks).expect_err("two").contains("at once, and no doubt"));
    assert_eq!(once_at_a_time(&[row(true)], &tasks), Ok(()));
}

#[test]
fn the_judge_knows_who_sent_a_start() {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    // Two daemons with a ledger each, which know nothing of each other.
    for node in &cluster.nodes {
        node.rig.settings(node.endpoint.address(), "listen: none");
    }
    let start = soon(3);
    cluster.jobs(&looping("show", start, "1m"));
    cluster.nodes.iter().for_each(super::cluster::Node::start);
    cluster.wait_arrived("show", 2);
    for node in &cluster.nodes {
        let sent: Vec<(String, u64)> = node.endpoint.sent().into_iter().map(|one| (one.robot, one.life)).collect();
        assert_eq!(sent, [("show".to_owned(), 1)]);
        assert!(node.databases[0].connections() == 0 && node.log().contains(" ready "));
    }
}
