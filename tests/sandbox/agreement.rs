//! Our own client meets the sandbox: what it asks is what the sandbox understood, and each fault comes back as what it proves.
//! The one file here that uses the client; that the sandbox is right by itself is shown by the others. What becomes of a task
//! through the client is left to the client's own tests.

use std::collections::BTreeMap;
use std::time::Duration;

use ingestd::sandbox::{
    FaultEffect, FaultPlan, FaultRule, Replacement, WELL_KNOWN_APP_KEY, WELL_KNOWN_SDK_APP_ID, WELL_KNOWN_SECRET_ID,
    WELL_KNOWN_SECRET_KEY,
};
use ingestd::trtc::{
    Answer, Api, AppKey, Body, Credentials, Destination, Endpoint, Fault, HttpApi, Limits, Repeat, Request, Room, Secrets,
    StartOptions, StartParams, StreamUrl, Success,
};
use jiff::{SignedDuration, Timestamp};

use super::{BEGIN_MS, Rig, STRICT_APP, STRICT_APP_KEY};

/// Short, because one test waits for the end of it.
const ANSWER_TIME: Duration = Duration::from_secs(2);

fn client(rig: &Rig) -> HttpApi {
    let endpoint = Endpoint::parse(&format!("http://{}", rig.address)).expect("an endpoint");
    let key = |key: &str, private_map_key| AppKey { key: key.into(), private_map_key };
    let secrets = move || {
        let credentials =
            Credentials { secret_id: WELL_KNOWN_SECRET_ID.to_owned(), secret_key: WELL_KNOWN_SECRET_KEY.into(), token: None };
        let apps =
            BTreeMap::from([("main".to_owned(), key(WELL_KNOWN_APP_KEY, false)), ("strict".to_owned(), key(STRICT_APP_KEY, true))]);
        Ok(Secrets { credentials, streams: BTreeMap::new(), apps })
    };
    HttpApi::new(endpoint, Limits { answer: ANSWER_TIME, ..Limits::STANDARD }, secrets).expect("a client")
}

fn params(room: Room) -> StartParams {
    StartParams {
        room,
        user_id: "robot_1".to_owned(),
        stream_url: StreamUrl::new("https://media.example.com/节目.mp4?sign=a%2Bb&t=1"),
        seek_second: None,
        repeat: None,
        max_duration: None,
        options: StartOptions::default(),
    }
}

fn start(app: &str, params: StartParams) -> Request {
    let sdk_app_id = if app == "main" { WELL_KNOWN_SDK_APP_ID } else { STRICT_APP };
    let body = Body::Start { params: Box::new(params), valid_until: now() + SignedDuration::from_hours(2) };
    Request { destination: Destination { app: app.to_owned(), sdk_app_id, region: "ap-singapore".to_owned() }, body }
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(BEGIN_MS).expect("an instant")
}

fn task(answer: &Answer) -> String {
    match &answer.result {
        Ok(Success::Started { task_id }) => task_id.clone(),
        other => panic!("no task: {other:?}"),
    }
}

#[tokio::test]
async fn what_the_client_asks_is_what_the_sandbox_understood() {
    let rig = Rig::new().await;
    let client = client(&rig);
    let full = StartParams {
        seek_second: Some(90),
        repeat: Some(Repeat::Forever),
        max_duration: Some(121),
        options: StartOptions::largest(),
        ..params(Room::Integer(4_294_967_294))
    };
    let times = StartParams { repeat: Some(Repeat::Times(1000)), ..params(Room::Text("直播间-1".to_owned())) };
    for (app, asked) in [("main", full), ("main", times.clone()), ("strict", times), ("strict", params(Room::Integer(1)))] {
        let answer = client.call(start(app, asked.clone()), now()).await;
        let task_id = task(&answer);
        let understood = rig.sandbox.tasks().into_iter().find(|task| task.task_id == task_id).expect("it runs");
        assert_eq!(understood.params, asked);
        assert_eq!(answer.server_date, Some(now()));
    }
}

#[tokio::test]
async fn each_fault_comes_back_as_what_it_proves() {
    let rig = Rig::new().await;
    let client = client(&rig);
    for (with, expected) in [
        (Replacement::Error("ResourceUnavailable".to_owned()), "rejected ResourceUnavailable"),
        (Replacement::Status { status: 502, retry_after: Some(Duration::from_secs(7)) }, "status 502, retry after 7"),
        (Replacement::Body("<html>".to_owned()), "no envelope"),
        (Replacement::Cut, "cut"),
        (Replacement::Hang, "timeout"),
    ] {
        rig.sandbox.inject(FaultPlan::new(vec![FaultRule::new(FaultEffect::Replace { with, done: true }).times(1)]));
        let answer = client.call(start("main", params(Room::Integer(1))), now()).await;
        let retry_after = answer.retry_after.map(|after| format!(", retry after {}", after.as_secs())).unwrap_or_default();
        let seen = match answer.result {
            Err(Fault::Rejected { code, .. }) => format!("rejected {code}"),
            Err(Fault::Status(status)) => format!("status {status}{retry_after}"),
            Err(Fault::NotAnEnvelope(_)) => "no envelope".to_owned(),
            Err(Fault::Cut(_)) => "cut".to_owned(),
            Err(Fault::Timeout) => "timeout".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(seen, expected);
    }
    let arrivals = rig.sandbox.arrivals();
    assert_eq!(arrivals.len(), 5, "nothing was sent twice: {arrivals:?}");
    assert_eq!(arrivals.iter().filter(|arrival| arrival.effect).count(), 1, "the first took effect; after it the task exists");
}
