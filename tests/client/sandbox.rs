//! Our client against our sandbox, which rebuilds what it verifies on its own: they agree because both follow the vendor.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingestd::sandbox::{self, Sandbox, SandboxConfig, WELL_KNOWN_APP_KEY, WELL_KNOWN_SDK_APP_ID};
use ingestd::trtc::error::{Class, classify, proves_nothing_began};
use ingestd::trtc::{
    Answer, Api, AppKey, Body, Credentials, Destination, Endpoint, HttpApi, Repeat, Request, Room, Secrets, StartOptions,
    StartParams, StreamUrl, Success, TaskStatus,
};
use tokio::net::TcpListener;

use super::{LIMITS, now};

/// A sandbox whose clock stands still at `now()` but for its offset, and a client that knows its keys and `token`.
async fn rehearsal(change: impl FnOnce(&mut SandboxConfig), token: impl Fn() -> Option<String> + Send + Sync + 'static) -> HttpApi {
    let mut config = SandboxConfig::well_known();
    change(&mut config);
    let private_map_key = config.apps[&WELL_KNOWN_SDK_APP_ID].private_map_key;
    let (secret_id, secret_key) = (config.secret_id.clone(), config.secret_key.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let sandbox = Sandbox::new(config, Arc::new(now));
    // It ends with the test's runtime.
    tokio::spawn(async move { sandbox.serve(listener, std::future::pending()).await });
    let endpoint = Endpoint::parse(&url).expect("loopback");
    let secrets = move || {
        let token = token().map(Into::into);
        let credentials = Credentials { secret_id: secret_id.clone(), secret_key: secret_key.clone().into(), token };
        let app = AppKey { key: WELL_KNOWN_APP_KEY.into(), private_map_key };
        Ok(Secrets { credentials, streams: BTreeMap::new(), apps: BTreeMap::from([("main".to_owned(), app)]) })
    };
    HttpApi::new(endpoint, LIMITS, secrets).expect("they are read")
}

fn request(body: Body) -> Request {
    let destination = Destination { app: "main".to_owned(), sdk_app_id: WELL_KNOWN_SDK_APP_ID, region: "ap-singapore".to_owned() };
    Request { destination, body }
}

/// A start with every parameter there is.
fn start(room: Room) -> Request {
    let params = StartParams {
        room,
        user_id: "robot".to_owned(),
        stream_url: StreamUrl::new("https://media.example.com/节目.mp4"),
        seek_second: Some(3),
        repeat: Some(Repeat::Forever),
        max_duration: Some(60),
        options: StartOptions::largest(),
    };
    request(Body::Start { params: Box::new(params), valid_until: now() + jiff::SignedDuration::from_hours(2) })
}

fn started(answer: &Answer) -> String {
    match &answer.result {
        Ok(Success::Started { task_id }) => task_id.clone(),
        other => panic!("{other:?}"),
    }
}

/// The class of a refusal, and whether it proves that nothing began.
fn refused(answer: &Answer) -> (Class, bool) {
    let fault = answer.result.as_ref().expect_err("it is refused");
    assert!(answer.request_id.is_some(), "{answer:?}");
    (classify(fault), proves_nothing_began(fault))
}

#[tokio::test]
async fn a_task_lives_and_ends_with_and_without_advanced_permission_control() {
    for private_map_key in [false, true] {
        for room in [Room::Integer(42), Room::Text("直播间-1".to_owned())] {
            let change = |config: &mut SandboxConfig| {
                let key = sandbox::SandboxApp { key: WELL_KNOWN_APP_KEY.to_owned(), private_map_key };
                config.apps.insert(WELL_KNOWN_SDK_APP_ID, key);
            };
            let api = rehearsal(change, || None).await;
            let task_id = started(&api.call(start(room.clone()), now()).await);
            let describe = || api.call(request(Body::Describe { task_id: task_id.clone() }), now());
            let stop = || api.call(request(Body::Stop { task_id: task_id.clone() }), now());
            assert_eq!(describe().await.result, Ok(Success::Described(TaskStatus::InProgress)));
            assert_eq!(refused(&api.call(start(room), now()).await), (Class::TaskExists, true));
            assert_eq!(stop().await.result, Ok(Success::Stopped));
            assert_eq!(describe().await.result, Ok(Success::Described(TaskStatus::NotExist)));
            assert_eq!(refused(&stop().await).0, Class::TaskGone);
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_mended_with_the_servers_date() {
    let hour_ms = 3_600_000;
    let api = rehearsal(|config| config.clock_offset_ms = hour_ms, || None).await;
    let answer = api.call(start(Room::Integer(42)), now()).await;
    assert_eq!(refused(&answer), (Class::Clock, true));
    let server_date = answer.server_date.expect("a server says its date");
    api.set_clock_offset(server_date.as_millisecond() - now().as_millisecond());
    started(&api.call(start(Room::Integer(42)), now()).await);
}

#[tokio::test]
async fn a_token_that_expired_is_fixed_by_reading_it_again() {
    let reading = std::sync::atomic::AtomicUsize::new(0);
    let token = move || Some(["old", "new"][reading.fetch_add(1, std::sync::atomic::Ordering::Relaxed)].to_owned());
    let api = rehearsal(|config| config.token = Some("new".to_owned()), token).await;
    assert_eq!(refused(&api.call(start(Room::Integer(42)), now()).await), (Class::RetryOnce, true));
    api.reread_secrets().await;
    started(&api.call(start(Room::Integer(42)), now()).await);
}
