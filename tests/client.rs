//! The promise about the API over HTTP: each way of failing has a variant of its own, by what it proves, and no request is ever sent
//! twice. Real sockets; the servers are a few lines each, because a proper one cannot misbehave.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use ingestd::trtc::tc3::Covered;
use ingestd::trtc::{
    Action, Answer, Api, AppKey, Body, Credentials, Destination, Endpoint, Fault, HttpApi, Limits, Request, Room, Secrets,
    StartOptions, StartParams, StreamUrl, Success, TaskStatus,
};
use jiff::Timestamp;

#[path = "client/broken.rs"]
mod broken;
#[path = "client/disguise.rs"]
mod disguise;
#[path = "client/sandbox.rs"]
mod sandbox;
#[path = "client/secrets.rs"]
mod secrets;
#[path = "client/server.rs"]
mod server;
use server::{Connection, Server, response};

/// Short, so that waiting for them is short too, and long enough for a busy machine to answer within.
const LIMITS: Limits = Limits {
    connect: Duration::from_millis(700),
    answer: Duration::from_millis(1_500),
    warm: Duration::from_secs(3),
    idle: Duration::from_secs(30),
    body_bytes: 4096,
};

const STARTED: &str = r#"{"Response":{"TaskId":"-gC+W.","RequestId":"r-1"}}"#;

fn secrets() -> Secrets {
    Secrets {
        streams: BTreeMap::new(),
        credentials: Credentials { secret_id: "AKIDTEST".to_owned(), secret_key: "the secret key".into(), token: None },
        apps: BTreeMap::from([("main".to_owned(), AppKey { key: "the app's key".into(), private_map_key: false })]),
    }
}

fn api(url: &str) -> HttpApi {
    api_within(url, LIMITS)
}

fn api_within(url: &str, limits: Limits) -> HttpApi {
    let endpoint = Endpoint::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    HttpApi::new(endpoint, limits, || Ok(secrets())).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a time of our days")
}

fn destination() -> Destination {
    Destination { app: "main".to_owned(), sdk_app_id: 1_400_000_000, region: "ap-singapore".to_owned() }
}

fn start() -> Request {
    let params = StartParams {
        room: Room::Integer(42),
        user_id: "robot".to_owned(),
        stream_url: StreamUrl::new("https://media.example.com/show.mp4?sign=0123456789"),
        seek_second: None,
        repeat: None,
        max_duration: None,
        options: StartOptions::default(),
    };
    let valid_until = Timestamp::from_second(1_700_003_600).expect("a time of our days");
    Request { destination: destination(), body: Body::Start { params: Box::new(params), valid_until } }
}

fn describe(task_id: &str) -> Request {
    Request { destination: destination(), body: Body::Describe { task_id: task_id.to_owned() } }
}

/// The expected result of a start. Texts that we do not write are not compared.
#[derive(Debug, PartialEq)]
enum Expected {
    Started,
    Rejected(&'static str),
    Status(u16),
    NotAnEnvelope,
    Connect,
    Cut,
    Timeout,
}

impl Expected {
    fn of(answer: &Answer, code: &'static str) -> Expected {
        match &answer.result {
            Ok(Success::Started { task_id }) if task_id == "-gC+W." => Expected::Started,
            Ok(other) => panic!("{other:?}"),
            Err(Fault::Rejected { code: found, .. }) if found == code => Expected::Rejected(code),
            Err(Fault::Rejected { code, .. }) => panic!("{code}"),
            Err(Fault::Status(status)) => Expected::Status(*status),
            Err(Fault::NotAnEnvelope(_)) => Expected::NotAnEnvelope,
            Err(Fault::Connect(_)) => Expected::Connect,
            Err(Fault::Cut(_)) => Expected::Cut,
            Err(Fault::Timeout) => Expected::Timeout,
            Err(Fault::Unsendable(why)) => panic!("{why}"),
        }
    }
}

/// One start against a server that reads the request and then writes `bytes`; `then_hold` or it closes. One request arrives.
async fn check(what: &str, bytes: &[u8], then_hold: bool, expected: Expected) -> Answer {
    let bytes = bytes.to_vec();
    let server = Server::start(move |connection| {
        connection.read();
        connection.write(&bytes);
        if then_hold {
            connection.hold();
        }
    });
    let answer = api(&server.url()).call(start(), now()).await;
    let code = if let Expected::Rejected(code) = expected { code } else { "" };
    assert_eq!(Expected::of(&answer, code), expected, "{what}: {answer:?}");
    assert_eq!(server.arrived().len(), 1, "{what}: it arrives once");
    let shown = format!("{answer:?}");
    assert!(!shown.contains("0123456789"), "{what}: {shown}");
    answer
}

#[tokio::test]
async fn an_answer_is_read_by_its_body_at_every_status_and_content_type() {
    let json = "Content-Type: application/json\r\n";
    let error = br#"{"Response":{"Error":{"Code":"InvalidParameter.RoomId","Message":"m"},"RequestId":"r"}}"#;
    let rejected = || Expected::Rejected("InvalidParameter.RoomId");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("{chunked}5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", &STARTED[..5], STARTED.len() - 5, &STARTED[5..]);
    for (what, bytes, expected) in [
        ("plain", response("200 OK", json, STARTED.as_bytes()), Expected::Started),
        ("no content type", response("200 OK", "", STARTED.as_bytes()), Expected::Started),
        ("text/html", response("200 OK", "Content-Type: text/html\r\n", STARTED.as_bytes()), Expected::Started),
        ("chunked", chunks.into_bytes(), Expected::Started),
        ("until the end", [b"HTTP/1.1 200 OK\r\n\r\n", STARTED.as_bytes()].concat(), Expected::Started),
        ("HTTP/1.0", [b"HTTP/1.0 200 OK\r\n\r\n", STARTED.as_bytes()].concat(), Expected::Started),
        (
            "after a 100",
            [b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), response("200 OK", "", STARTED.as_bytes())].concat(),
            Expected::Started,
        ),
        ("error", response("200 OK", json, error), rejected()),
        ("error with a charset", response("200 OK", "Content-Type: application/json; charset=utf-8\r\n", error), rejected()),
        ("error at 503", response("503 Service Unavailable", json, error), rejected()),
        ("html at 502", response("502 Bad Gateway", "Content-Type: text/html\r\n", b"<html>"), Expected::Status(502)),
        ("html at 429", response("429 Too Many Requests", "", b"slow down"), Expected::Status(429)),
        ("nothing at 204", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), Expected::Status(204)),
        ("a redirect is not followed", response("307 Temporary Redirect", "Location: /again\r\n", b""), Expected::Status(307)),
        ("html at 200", response("200 OK", json, b"<html>"), Expected::NotAnEnvelope),
        ("half an envelope at 200", response("200 OK", json, &STARTED.as_bytes()[..20]), Expected::NotAnEnvelope),
        ("the older shape", response("200 OK", json, br#"{"code":4000,"message":"m","codeDesc":"d"}"#), Expected::NotAnEnvelope),
        ("not UTF-8", response("200 OK", json, b"{\"Response\":{\"TaskId\":\"\xff\"}}"), Expected::NotAnEnvelope),
        (
            "compressed unasked",
            response("200 OK", "Content-Encoding: gzip\r\n", b"\x1f\x8b\x08\0\0\0\0\0"),
            Expected::NotAnEnvelope,
        ),
        ("nothing at 200", response("200 OK", "", b""), Expected::NotAnEnvelope),
        ("a large body at 200", response("200 OK", "", &[b' '; 5000]), Expected::NotAnEnvelope),
        ("a large body at 500", response("500 Oh", "", &[b' '; 5000]), Expected::Status(500)),
        ("a large body without end", [chunked.as_bytes(), b"2000\r\n", &[b' '; 0x2000]].concat(), Expected::NotAnEnvelope),
        (
            "an echo",
            response("200 OK", "", b"you asked for https://media.example.com/show.mp4?sign=0123456789"),
            Expected::NotAnEnvelope,
        ),
    ] {
        check(what, &bytes, false, expected).await;
    }
}

#[tokio::test]
async fn a_broken_or_late_answer_is_a_doubt() {
    let half = response("200 OK", "", STARTED.as_bytes());
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for (what, bytes, then_hold, expected) in [
        ("closed without a word", b"".to_vec(), false, Expected::Cut),
        ("closed in the head", b"HTTP/1.1 200".to_vec(), false, Expected::Cut),
        ("closed in the body", half[..half.len() - 5].to_vec(), false, Expected::Cut),
        ("closed in a chunk", head.to_vec(), false, Expected::Cut),
        ("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), false, Expected::Cut),
        ("silent", b"".to_vec(), true, Expected::Timeout),
        ("silent in the head", b"HTTP/1.1 200".to_vec(), true, Expected::Timeout),
        ("silent in the body", half[..half.len() - 5].to_vec(), true, Expected::Timeout),
    ] {
        check(what, &bytes, then_hold, expected).await;
    }
}

#[tokio::test]
async fn without_a_connection_it_is_proved_that_nothing_was_sent() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    let silent = Server::start(Connection::hold);
    let not_tls = Server::start(|connection| {
        connection.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        connection.hold();
    });
    let hangs_up = Server::start(Connection::take_some);
    for (words, url) in [
        ("nothing listens there", format!("http://{closed}")),
        ("nothing listens there", format!("https://{closed}")),
        ("its name cannot be resolved", "https://nowhere.invalid".to_owned()),
        ("does not speak TLS", format!("https://{}", not_tls.address)),
        ("no connection in time", format!("https://{}", silent.address)),
        ("it closed the connection during the handshake", format!("https://{}", hangs_up.address)),
    ] {
        let answer = api(&url).call(start(), now()).await;
        let Err(Fault::Connect(why)) = &answer.result else { panic!("{words}: {answer:?}") };
        assert!(!format!("{answer:?}").contains(&url), "{words}: {answer:?}");
        // The host is named, and what the causes come to.
        let host = url.rsplit('/').next().expect("a host");
        assert!(why.starts_with(&format!("no connection to `{host}`: ")) && why.contains(words), "{url}: {why}");
    }
}

#[tokio::test]
async fn a_connection_closed_at_once_is_a_doubt_or_proof_but_never_a_second_request() {
    for _ in 0..50 {
        let server = Server::start(|_| {});
        let answer = api(&server.url()).call(start(), now()).await;
        assert!(matches!(answer.result, Err(Fault::Cut(_) | Fault::Connect(_))), "{answer:?}");
        assert_eq!(server.accepted(), 1, "no other connection is tried");
    }
}

/// The server closes each connection right behind its answer, unannounced, so that the next call meets a connection that is
/// closed, about to be, or not yet known to be. Hyper may open another one for a request of which nothing was written.
#[tokio::test]
async fn over_a_connection_that_was_closed_while_idle_a_request_arrives_at_most_once() {
    let server = Server::start(|connection| {
        connection.read();
        connection.write(response("200 OK", "", br#"{"Response":{"Status":"InProgress","RequestId":"r"}}"#));
    });
    let api = api(&server.url());
    for index in 0..300 {
        let task_id = format!("task-{index}");
        let answer = api.call(describe(&task_id), now()).await;
        let seen = server
            .arrived()
            .iter()
            .filter(|arrived| String::from_utf8_lossy(&arrived.body).contains(&format!("{task_id}\"")))
            .count();
        match answer.result {
            Ok(Success::Described(TaskStatus::InProgress)) => assert_eq!(seen, 1, "{task_id}"),
            Err(Fault::Cut(_)) => assert!(seen <= 1, "{task_id}"),
            Err(Fault::Connect(_)) => assert_eq!(seen, 0, "{task_id}"),
            other => panic!("{task_id}: {other:?}"),
        }
    }
}

/// The server closes what is idle for a while. The client closes it earlier, so no request meets a connection that is closed just
/// then.
#[tokio::test]
async fn a_connection_that_is_idle_is_closed_by_the_client_before_the_server_closes_it() {
    let (who, mut closed) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |connection| {
        while connection.read().is_some() {
            connection.write(response("200 OK", "", br#"{"Response":{"Status":"InProgress","RequestId":"r"}}"#));
            if let Some(by_client) = connection.idle(Duration::from_secs(5)) {
                // The test may be over.
                let _over = who.send(by_client);
                return;
            }
        }
    });
    let api = api_within(&server.url(), Limits { idle: Duration::from_millis(50), ..LIMITS });
    for connections in 1..=2 {
        let answer = api.call(describe("task-1"), now()).await;
        assert_eq!(answer.result, Ok(Success::Described(TaskStatus::InProgress)));
        assert_eq!(closed.recv().await, Some(true), "the client is the one that closes");
        assert_eq!(server.accepted(), connections);
    }
    // The server closes after 60 s, and our periods are 60 s.
    assert!(Limits::STANDARD.idle <= Duration::from_secs(30));
}

#[tokio::test]
async fn what_the_server_says_besides_is_kept() {
    let headers = "Date: Tue, 14 Nov 2023 22:15:00 GMT\r\nRetry-After: 7\r\n";
    let answer = check("seconds", &response("200 OK", headers, STARTED.as_bytes()), false, Expected::Started).await;
    assert_eq!(answer.http_status, Some(200));
    assert_eq!(answer.request_id.as_deref(), Some("r-1"));
    assert_eq!(answer.server_date, Timestamp::from_second(1_700_000_100).ok());
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));

    for (headers, expected) in [
        ("Date: Tue, 14 Nov 2023 22:15:00 GMT\r\nRetry-After: Tue, 14 Nov 2023 22:15:30 GMT\r\n", Some(30)),
        ("Date: Tue, 14 Nov 2023 22:15:00 GMT\r\nRetry-After: Tue, 14 Nov 2023 22:14:30 GMT\r\n", Some(0)),
        ("Retry-After: 18446744073709551615\r\n", Some(86_400)),
        ("Retry-After: -1\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("", None),
    ] {
        let answer = check(headers, &response("503 Oh", headers, b""), false, Expected::Status(503)).await;
        assert_eq!(answer.retry_after, expected.map(Duration::from_secs), "{headers}");
    }
}

/// A server that answers every request on a connection.
fn well_behaved() -> Server {
    Server::start(|connection| {
        while let Some(arrived) = connection.read() {
            let body = match arrived.headers.get("x-tc-action").map(String::as_str) {
                Some("StartStreamIngest") => STARTED,
                Some("DescribeStreamIngest") => r#"{"Response":{"Status":"NotExist","RequestId":"r"}}"#,
                Some("StopStreamIngest") => r#"{"Response":{"RequestId":"r"}}"#,
                _ => "what?",
            };
            connection.write(response("200 OK", "", body.as_bytes()));
        }
    })
}

#[tokio::test]
async fn what_arrives_is_signed_over_the_very_bytes_and_host_that_arrive() {
    let server = well_behaved();
    let api = api(&server.url());
    let stop = Request { destination: destination(), body: Body::Stop { task_id: "-gC+W.".to_owned() } };
    let expected = [Success::Started { task_id: "-gC+W.".to_owned() }, Success::Described(TaskStatus::NotExist), Success::Stopped];
    for (request, expected) in [start(), describe("-gC+W."), stop].into_iter().zip(expected) {
        let action: Action = request.body.action();
        assert_eq!(api.call(request, now()).await.result, Ok(expected), "{action:?}");
    }
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 3);
    for request in arrived {
        let header = |name: &str| request.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).as_str();
        assert_eq!(request.line, "POST / HTTP/1.1");
        assert_eq!(header("host"), server.address.to_string());
        assert_eq!(header("content-type"), "application/json");
        assert_eq!(header("x-tc-version"), "2019-07-22");
        assert_eq!(header("x-tc-region"), "ap-singapore");
        assert_eq!(header("x-tc-timestamp"), "1700000000");
        assert!(!request.headers.contains_key("x-tc-token"));
        let signed = [("content-type", header("content-type")), ("host", header("host"))];
        let covered = Covered { service: "trtc", headers: &signed, body: &request.body, signed_at: now() };
        assert_eq!(header("authorization"), covered.authorization("AKIDTEST", "the secret key"));
    }
}

#[tokio::test]
async fn warmed_connections_are_the_ones_that_are_used() {
    let server = well_behaved();
    let api = api(&server.url());
    api.warm(5).await;
    assert_eq!(server.accepted(), 5);
    assert!(
        server.arrived().iter().all(|arrived| arrived.line == "GET / HTTP/1.1" && !arrived.headers.contains_key("authorization"))
    );
    let call = || api.call(describe("t"), now());
    tokio::join!(call(), call(), call(), call(), call());
    api.warm(5).await;
    assert_eq!(server.accepted(), 5, "nothing new was opened");
    assert_eq!(server.arrived().len(), 15);
}

#[tokio::test]
async fn warming_ends_in_time_with_every_kind_of_server() {
    let silent = Server::start(Connection::hold);
    let endpoint = Endpoint::parse(&silent.url()).expect("loopback");
    let limits = Limits { warm: Duration::from_millis(100), ..LIMITS };
    HttpApi::new(endpoint, limits, || Ok(secrets())).expect("it is read").warm(3).await;
}

#[tokio::test]
async fn neither_a_proxy_nor_missing_certificates_keep_a_rehearsal_from_its_sandbox() {
    // The environment belongs to the process, so this test runs itself again in another one.
    if std::env::var_os("INGESTD_TEST_CHILD").is_none() {
        let status = std::process::Command::new(std::env::current_exe().expect("we run"))
            .args(["--exact", "neither_a_proxy_nor_missing_certificates_keep_a_rehearsal_from_its_sandbox"])
            .env("INGESTD_TEST_CHILD", "1")
            .envs(["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")))
            .env("SSL_CERT_FILE", "/dev/null")
            .env_remove("SSL_CERT_DIR")
            .status()
            .expect("it runs again");
        assert!(status.success());
        return;
    }
    let server = well_behaved();
    assert!(api(&server.url()).call(start(), now()).await.result.is_ok());
    let encrypted = Endpoint::parse("https://trtc.tencentcloudapi.com").expect("encrypted");
    let error = HttpApi::new(encrypted, LIMITS, || Ok(secrets())).err().expect("there is nothing to trust");
    assert!(error.contains("CA certificates"), "{error}");
}
