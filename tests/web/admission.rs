//! Which requests are accepted, with which body, and how many at one time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::served::Served;

const PATHS: [&str; 6] = ["/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/plan", "/api/v1/history"];

#[tokio::test]
async fn the_process_says_that_it_is_there() {
    let served = Served::new().await;
    let answer = served.get("/healthz").await;
    assert_eq!((answer.status, answer.body.trim_end()), (200, "ok"));
}

#[tokio::test]
async fn only_requests_that_mean_this_listener_are_answered() {
    let served = Served::new().await;
    let port = served.address.port();
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 200),
        (format!("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"), 200),
        (format!("GET /healthz HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n"), 200),
        ("GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(), 200),
        (format!("GET /healthz HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"), 421),
        ("GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), 421),
        ("GET /nothing HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), 421),
        ("POST /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), 421),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(), 421),
        ("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 421),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 421),
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("GET /metrics HTTP/1.0\r\n\r\n".to_owned(), 421),
        ("GET http://evil.example/healthz HTTP/1.0\r\n\r\n".to_owned(), 421),
    ] {
        let answer = served.send(&request).await;
        assert_eq!(answer.status, status, "{request}");
        if status != 200 {
            assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains("`Host`")), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn it_only_reads_and_names_its_paths() {
    let served = Served::new().await;
    for path in PATHS {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let answer = served.send(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.json()["error"], "this listener only reads: it takes `GET` and `HEAD`");
            assert_eq!(answer.header("allow"), Some("get,head"), "{method} {path}");
        }
        let head = served.send(&format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
    for path in ["/index.html", "/api/v1", "/api/v1/status/", "/api/v2/status", "//healthz", "/metrics/", "/%2e%2e/etc/passwd"] {
        let answer = served.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains("/api/v1/")), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_body_is_not_taken() {
    let served = Served::new().await;
    for body in [
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "Content-Length: 9999999999\r\n\r\n",
    ] {
        for method in ["GET", "POST"] {
            let answer = served.send(&format!("{method} /healthz HTTP/1.1\r\nHost: localhost\r\n{body}")).await;
            assert_eq!((answer.status, answer.json()["error"].as_str()), (413, Some("a question has no body")), "{method} {body}");
        }
    }
}

#[tokio::test]
async fn no_answer_is_kept_guessed_at_or_shown_to_another_origin() {
    let served = Served::new().await;
    let paths = PATHS.into_iter().chain(["/nothing", "/api/v1/history?limit=x"]);
    for path in paths {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n");
        for request in [request.clone(), request.replace("Host: localhost", "Host: evil.example"), request.replace("GET", "POST")] {
            let answer = served.send(&request).await;
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{request}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{request}");
            assert!(answer.header("server").is_some_and(|server| server.starts_with("ingestd/")), "{request}");
            assert!(!answer.head.contains("access-control-"), "{request}: {}", answer.head);
            let content_type = match path {
                "/healthz" | "/readyz" if answer.status == 200 => "text/plain; charset=utf-8",
                "/metrics" if answer.status == 200 => "text/plain; version=0.0.4; charset=utf-8",
                _ => "application/json",
            };
            assert_eq!(answer.header("content-type"), Some(content_type), "{request}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_too_long_is_cut_off() {
    let served = Served::new().await;
    let long = "x".repeat(20_000);
    let many = "a: b\r\n".repeat(100);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
    ] {
        let answer = served.send(&request).await;
        assert!((400..500).contains(&answer.status), "{}", answer.head);
    }
    assert_eq!(served.get("/healthz").await.status, 200);
}

/// Simulated time: where nothing but a timer is waited for, it is over at once.
#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_or_never_finishes_is_given_up_after_five_seconds() {
    let served = Served::new().await;
    for begun in ["", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nx: y"] {
        let mut stream = served.connect().await;
        let connected = Instant::now();
        stream.write_all(begun.as_bytes()).await.expect("written");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("it is closed");
        let waited = connected.elapsed();
        assert!((4..=6).contains(&waited.as_secs()), "{begun:?}: {waited:?}");
        assert!(!String::from_utf8_lossy(&rest).contains(" 200 "), "{begun:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_given_up_and_does_not_keep_its_place() {
    let served = Served::new().await;
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut stream = socket.connect(served.address).await.expect("it listens");
    stream.write_all(b"GET /api/v1/plan?count=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("written");
    // Simulated, and longer than any connection may last.
    assert!(timeout(Duration::from_mins(2), std::future::pending::<()>()).await.is_err());
    let mut bytes = Vec::new();
    // Cut off in the middle of the answer: whether that is an end or an error is the kernel's choice.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let promised = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    assert!(promised.is_some_and(|promised| bytes.len() < promised), "{} of {promised:?} bytes", bytes.len());
}

#[tokio::test]
async fn a_further_connection_takes_the_place_of_one_that_asks_nothing() {
    let served = Served::new().await;
    let mut idle = Vec::new();
    // 640, or what the descriptors allow.
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = usize::try_from((descriptors.saturating_sub(48) / 3).min(640)).expect("few");
    for _ in 0..places {
        idle.push(served.connect().await);
    }
    // They are accepted in the order in which they came, so this one is beyond the limit.
    assert_eq!(served.get("/healthz").await.status, 200);
    let mut rest = Vec::new();
    timeout(Duration::from_secs(3), idle[0].read_to_end(&mut rest)).await.expect("it lost its place").expect("readable");
    let mut byte = [0];
    let early = timeout(Duration::from_millis(200), idle[places - 1].peek(&mut byte)).await;
    assert!(early.is_err(), "the last one keeps its place");
}

#[tokio::test]
async fn a_connection_serves_one_request() {
    let served = Served::new().await;
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = served.send(&request.repeat(3)).await;
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(answer.body.trim_end(), "ok");
}

#[tokio::test]
async fn a_shutdown_lets_go_of_everybody_and_of_the_port() {
    let mut served = Served::new().await;
    let mut idle = served.connect().await;
    assert_eq!(served.get("/healthz").await.status, 200);
    served.close();
    let mut rest = Vec::new();
    // Sooner than an idle connection is given up anyway.
    timeout(Duration::from_secs(3), idle.read_to_end(&mut rest)).await.expect("it is closed in time").expect("readable");
    assert_eq!(rest, b"");
    let address = served.address;
    served.closed().await;
    tokio::net::TcpListener::bind(address).await.expect("the port is free");
}
