//! Credentials, tickets and the clock they are made for, as the other side of a socket sees them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ingestd::engine::SecretsRead;
use ingestd::trtc::{Answer, Api, AppKey, Body, Destination, Endpoint, Fault, HttpApi, Request, Secrets, StreamUrl, Success};

use jiff::SignedDuration;

use super::disguise::{DISGUISES, STREAM, Sent, leaks, play_back};
use super::server::{Server, response};
use super::{LIMITS, api, describe, destination, now, secrets, start, well_behaved};

#[tokio::test]
async fn a_clock_offset_moves_signatures_and_tickets_alike() {
    let server = well_behaved();
    let api = api(&server.url());
    api.set_clock_offset(-3_600_500);
    api.call(start(), now()).await;
    let arrived = server.arrived().remove(0);
    assert_eq!(arrived.headers["x-tc-timestamp"], "1699996399");
    let body: serde_json::Value = serde_json::from_slice(&arrived.body).expect("it is JSON");
    let ticket = ingestd::trtc::usersig::decode(body["UserSig"].as_str().expect("a string")).expect("our own");
    assert_eq!(ticket.issued_at_s, 1_699_996_399);
}

#[tokio::test]
async fn secrets_are_read_again_when_asked_and_those_in_use_stay_when_that_fails() {
    let server = well_behaved();
    let endpoint = Endpoint::parse(&server.url()).expect("loopback");
    let readings = Arc::new(Mutex::new(0));
    let api = HttpApi::new(endpoint, LIMITS, {
        let readings = readings.clone();
        move || {
            let mut readings = readings.lock().expect("nobody panicked");
            *readings += 1;
            match *readings {
                2 => Err("`/run/token` cannot be read".to_owned()),
                reading => {
                    let mut secrets = secrets();
                    secrets.credentials.token = Some(format!("token-{}", reading.min(3)).into());
                    if *readings == 5 {
                        let key = AppKey { key: "another".into(), private_map_key: false };
                        secrets.apps.insert("main".to_owned(), key);
                    }
                    Ok(secrets)
                }
            }
        }
    })
    .expect("the first reading succeeds");
    let tokens = || -> Vec<String> { server.arrived().iter().map(|arrived| arrived.headers["x-tc-token"].clone()).collect() };
    api.call(describe("t"), now()).await;
    api.call(describe("t"), now()).await;
    assert_eq!(tokens(), ["token-1", "token-1"]);
    let changed = |name: &str| SecretsRead::Changed { which: vec![name.to_owned()] };
    assert_eq!(api.reread_secrets().await, SecretsRead::Failed { why: "`/run/token` cannot be read".to_owned() });
    api.call(describe("t"), now()).await;
    assert_eq!(tokens()[2..], ["token-1"], "what was read before may be good still");
    assert_eq!(api.reread_secrets().await, changed("account.token"));
    tokio::join!(api.call(describe("t"), now()), api.call(describe("t"), now()));
    assert_eq!(tokens()[3..], ["token-3", "token-3"]);
    assert_eq!(api.reread_secrets().await, SecretsRead::Same);
    assert_eq!(api.reread_secrets().await, changed("apps.main.secret_key"));
    assert_eq!(*readings.lock().expect("nobody panicked"), 5, "nothing is read unless somebody asks");
}

#[tokio::test]
async fn what_was_signed_before_its_instant_arrives_as_if_it_were_signed_then() {
    let server = well_behaved();
    let token = Arc::new(Mutex::new("token-1"));
    let read = {
        let token = token.clone();
        move || {
            let mut secrets = secrets();
            secrets.credentials.token = Some((*token.lock().expect("nobody panicked")).into());
            Ok(secrets)
        }
    };
    let api = HttpApi::new(Endpoint::parse(&server.url()).expect("loopback"), LIMITS, read).expect("it is read");
    let (at, later) = (now(), now() + SignedDuration::from_millis(400));
    api.call(start(), later).await;
    api.prepare(start(), at);
    api.call(start(), later).await;
    let mut elsewhere = start();
    elsewhere.destination.region = "ap-singapore".to_owned();
    api.prepare(start(), at);
    api.call(elsewhere, later).await;
    api.call(start(), at + SignedDuration::from_secs(1)).await;
    api.prepare(start(), at);
    *token.lock().expect("nobody panicked") = "token-2";
    assert!(matches!(api.reread_secrets().await, SecretsRead::Changed { .. }));
    api.call(start(), later).await;
    api.prepare(start(), at);
    api.set_clock_offset(-2_000);
    api.call(start(), later).await;
    let arrived = server.arrived();
    assert_eq!((&arrived[0].headers, &arrived[0].body), (&arrived[1].headers, &arrived[1].body));
    let of = |name: &str| -> Vec<&str> { arrived[2..].iter().map(|arrived| arrived.headers[name].as_str()).collect() };
    assert_eq!(of("x-tc-region")[0], "ap-singapore");
    assert_eq!(of("x-tc-timestamp"), ["1700000000", "1700000001", "1700000000", "1699999998"]);
    assert_eq!(of("x-tc-token"), ["token-1", "token-1", "token-2", "token-2"]);
}

#[tokio::test]
async fn what_cannot_be_sent_says_why_without_telling_the_secret() {
    let server = well_behaved();
    let elsewhere = Request { destination: Destination { app: "other".to_owned(), ..destination() }, ..start() };
    let fault = |answer: Answer| answer.result.expect_err("it cannot be sent");
    assert_eq!(
        fault(api(&server.url()).call(elsewhere, now()).await),
        Fault::Unsendable("there is no key for the app `other`".to_owned())
    );
    let endpoint = Endpoint::parse(&server.url()).expect("loopback");
    let api = HttpApi::new(endpoint, LIMITS, || {
        let mut secrets = secrets();
        secrets.credentials.token = Some("tok\nen".into());
        Ok(secrets)
    })
    .expect("it is read");
    let answer = api.call(start(), now()).await;
    assert_eq!(fault(answer), Fault::Unsendable("the header `x-tc-token` cannot be sent".to_owned()));
    assert!(server.arrived().is_empty());
}

#[tokio::test]
async fn an_answer_that_plays_a_secret_back_shows_nothing_of_it() {
    let server = play_back();
    let endpoint = Endpoint::parse(&server.url()).expect("loopback");
    let api = HttpApi::new(endpoint, LIMITS, || {
        let mut secrets = secrets();
        secrets.credentials.token = Some("token-c41d88-7f3e9b".into());
        secrets.apps.insert("main".to_owned(), AppKey { key: "the app's key".into(), private_map_key: true });
        Ok(secrets)
    })
    .expect("it is read");
    let (mut leaking, mut secrets) = (Vec::new(), Vec::new());
    for (number, (name, _)) in DISGUISES.iter().enumerate() {
        let mut request = start();
        let Body::Start { params, .. } = &mut request.body else { panic!("a start") };
        params.user_id = (*name).to_owned();
        params.stream_url = StreamUrl::new(STREAM);
        let answer = api.call(request, now()).await;
        let sent = Sent::read(&server.arrived()[number]).expect("a start");
        // Those of earlier starts too: some disguises are made of them.
        secrets.extend(sent.secrets());
        let found = leaks(&format!("{answer:?}"), &secrets);
        if !found.is_empty() {
            leaking.push(format!("{name}: {found:?}"));
        }
        let is_handle = matches!(&answer.result, Ok(Success::Started { task_id }) if task_id != "t");
        if is_handle {
            leaking.push(format!("{name}: it is used as a handle"));
        }
    }
    assert!(leaking.is_empty(), "{}", leaking.join("\n"));
}

#[tokio::test]
async fn an_encrypted_endpoint_is_trusted_as_the_host_says() {
    let Ok(url) = std::env::var("INGESTD_HTTPS_ENDPOINT") else {
        println!("left out: encrypted endpoints; `tests/oracles/https.py` runs them");
        return;
    };
    let result = api(&url).call(describe("t"), now()).await.result;
    let shown = match &result {
        Ok(_) => "answer",
        Err(Fault::Connect(_)) => "connect",
        Err(_) => "another fault",
    };
    assert_eq!(Ok(shown), std::env::var("INGESTD_HTTPS_EXPECTED").as_deref(), "{result:?}");
}

/// A start whose stream refers to two secrets.
fn start_by_reference() -> Request {
    let Request { destination, body } = start();
    let Body::Start { mut params, valid_until } = body else { panic!("it is a start") };
    params.stream_url = StreamUrl::new("https://media.example.com/{secret:folder}/show.mp4?sign={secret:sign}");
    Request { destination, body: Body::Start { params, valid_until } }
}

#[tokio::test]
async fn a_secret_of_the_settings_is_filled_in_when_it_is_sent_and_may_come_later() {
    // The server says what it got: nothing of it may be seen in the answer.
    let server = Server::start(|connection| {
        if let Some(arrived) = connection.read() {
            let body: serde_json::Value = serde_json::from_slice(&arrived.body).expect("JSON");
            let said = format!("cannot pull {}", body["StreamUrl"].as_str().expect("a text"));
            let error = serde_json::json!({"Response": {"Error": {"Code": "InternalError", "Message": said}, "RequestId": "r"}});
            connection.write(response("200 OK", "", error.to_string().as_bytes()));
        }
    });
    let readings = std::sync::atomic::AtomicUsize::new(0);
    let source = move || {
        let is_first = readings.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        let folder = if is_first { Err("`secrets.folder`: it is not there".to_owned()) } else { Ok("hush-folder".into()) };
        let streams = BTreeMap::from([("folder".to_owned(), folder), ("sign".to_owned(), Ok("hush&/sign".into()))]);
        Ok(Secrets { streams, ..secrets() })
    };
    let endpoint = Endpoint::parse(&server.url()).expect("an endpoint");
    let api = HttpApi::new(endpoint, LIMITS, source).expect("it can be made");
    let missing = api.call(start_by_reference(), now()).await.result.expect_err("a secret is missing");
    assert_eq!(missing, Fault::Unsendable("`secrets.folder`: it is not there".to_owned()));
    assert_eq!(api.reread_secrets().await, SecretsRead::Changed { which: vec!["secrets.folder".to_owned()] });
    let answer = api.call(start_by_reference(), now()).await;
    let Err(Fault::Rejected { message, .. }) = &answer.result else { panic!("{answer:?}") };
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 1, "what lacks a secret is not sent");
    let body = String::from_utf8_lossy(&arrived[0].body).into_owned();
    assert!(body.contains("https://media.example.com/hush-folder/show.mp4?sign=hush%26%2Fsign"), "{body}");
    assert!(!message.contains("hush"), "{message}");
    let unknown = StreamUrl::new("https://h/{secret:other}");
    let Request { destination, body: Body::Start { mut params, valid_until } } = start() else { panic!("it is a start") };
    params.stream_url = unknown;
    let answer = api.call(Request { destination, body: Body::Start { params, valid_until } }, now()).await;
    assert_eq!(answer.result, Err(Fault::Unsendable("the settings have no secret `other`".to_owned())));
}

#[tokio::test]
async fn what_a_daemon_before_started_shows_no_secret_either() {
    let server = Server::start(|connection| {
        if connection.read().is_some() {
            let said = "cannot pull https://media.example.com/hush-folder/show.mp4?sign=hush%26%2Fsign";
            let error = serde_json::json!({"Response": {"Error": {"Code": "InternalError", "Message": said}, "RequestId": "r"}});
            connection.write(response("200 OK", "", error.to_string().as_bytes()));
        }
    });
    let streams = BTreeMap::from([("folder".to_owned(), Ok("hush-folder".into())), ("sign".to_owned(), Ok("hush&/sign".into()))]);
    let source = move || Ok(Secrets { streams: streams.clone(), ..secrets() });
    let api = HttpApi::new(Endpoint::parse(&server.url()).expect("an endpoint"), LIMITS, source).expect("it can be made");
    let answer = api.call(describe("t"), now()).await;
    let Err(Fault::Rejected { message, .. }) = &answer.result else { panic!("{answer:?}") };
    assert!(message.contains("cannot pull") && !message.contains("hush"), "{message}");
}
