//! Who is answered at an address that other hosts reach: whoever has the token, and everybody who only asks whether it works.

use std::sync::Arc;

use ingestd::web::{Access, ListenToken};
use secrecy::SecretString;

use super::client::Response;
use super::served::Served;

const TOKEN: &str = "hush-token-of-the-tests";

const OTHERS: [&str; 6] = ["/metrics", "/api/v1/status", "/api/v1/plan", "/api/v1/history", "/", "/nothing"];

fn access(has_token: bool) -> Access {
    let token = ListenToken::new(Arc::new(|| Ok(SecretString::from(TOKEN.to_owned()))));
    Access { hosts: [Arc::from("ingestd.example.com")].into(), token: has_token.then(|| Arc::new(token)) }
}

async fn public(has_token: bool) -> Served {
    Served::at("0.0.0.0:0", access(has_token), |_| {}, true).await
}

async fn get(served: &Served, path: &str, authorization: &str) -> Response {
    let given = if authorization.is_empty() { String::new() } else { format!("Authorization: {authorization}\r\n") };
    served.send(&format!("GET {path} HTTP/1.1\r\nHost: ingestd.example.com\r\n{given}\r\n")).await
}

#[tokio::test]
async fn without_a_token_an_address_that_others_reach_says_only_whether_it_works() {
    let served = public(false).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&served, path, "").await.status, 200, "{path}");
    }
    for path in OTHERS {
        for given in [String::new(), format!("Bearer {TOKEN}")] {
            let answer = get(&served, path, &given).await;
            assert_eq!(answer.status, 403, "{path}");
            assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains("`listen_token`")), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn the_token_opens_what_others_reach_as_a_bearer_token_and_as_a_password() {
    let served = public(true).await;
    let basic = |pair: &str| format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair));
    for path in OTHERS {
        let answer = get(&served, path, "").await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("basic realm=\"ingestd\", charset=\"utf-8\""), "a browser asks then");
        for given in [format!("Bearer {TOKEN}"), basic(&format!("anna:{TOKEN}")), basic(&format!(":{TOKEN}"))] {
            let answer = get(&served, path, &given).await;
            let expected = if path == "/nothing" { 404 } else { 200 };
            assert_eq!(answer.status, expected, "{path} {given}");
            assert!(!answer.body.contains(TOKEN) && !answer.head.contains(TOKEN));
        }
    }
    let order = format!("POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    assert_eq!(served.send(&order).await.status, 405, "it only reads all the same");
    let other = format!("GET /metrics HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    assert_eq!(served.send(&other).await.status, 421);
}

#[tokio::test]
async fn who_guesses_has_to_wait_and_whether_it_works_is_said_all_the_same() {
    let served = public(true).await;
    let mut tries = 0;
    let refused = loop {
        let answer = get(&served, "/metrics", "Bearer hush-wrong").await;
        tries += 1;
        match answer.status {
            401 => assert!(tries < 20, "it goes on for ever"),
            429 => break answer,
            other => panic!("{other}: {}", answer.body),
        }
    };
    assert!(tries > 5, "a slip of the finger is forgiven");
    let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=7).contains(&wait), "{wait}");
    assert!(!refused.body.contains("hush"), "{}", refused.body);
    assert_eq!(get(&served, "/healthz", "").await.status, 200);
}

#[tokio::test]
async fn nobody_asks_for_the_token_on_a_loopback_address() {
    let served = Served::at("127.0.0.1:0", access(true), |_| {}, true).await;
    assert_eq!(get(&served, "/metrics", "").await.status, 200);
    assert_eq!(get(&served, "/api/v1/status", "Bearer wrong").await.status, 200);
}

#[tokio::test]
async fn a_balancer_that_names_no_host_hears_whether_it_works_and_nothing_else() {
    for served in [public(true).await, Served::at("127.0.0.1:0", access(true), |_| {}, true).await] {
        for (path, expected) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 421), ("/api/v1/status", 421)] {
            let answer = served.send(&format!("GET {path} HTTP/1.0\r\n\r\n")).await;
            assert_eq!(answer.status, expected, "{path}");
        }
        let foreign = served.send("GET /healthz HTTP/1.0\r\nHost: evil.example\r\n\r\n").await;
        assert_eq!(foreign.status, 421, "a page of another name");
    }
}
