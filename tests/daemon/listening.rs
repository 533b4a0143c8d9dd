//! Several addresses of the page: each of them answers, one that is taken keeps none of the others, and the token is asked for where
//! others can reach the daemon.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;

use super::rig::{Rig, looping, soon, wait_until};

const TOKEN: &str = "hush-token-of-the-page";

/// The head and the body of an answer.
fn get(address: SocketAddr, path: &str, token: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    TcpListener::bind("0.0.0.0:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

#[test]
fn each_address_of_the_list_answers_and_the_token_is_asked_for_where_others_reach_it() {
    let rig = Rig::new(Vec::new());
    let [first, second, taken] = [free_port(), free_port(), free_port()];
    let _other = TcpListener::bind(("127.0.0.1", taken)).expect("it was free");
    rig.listen(&format!("[\"0.0.0.0:{second}\", \"127.0.0.1:{taken}\", \"127.0.0.1:{first}\"]"));
    rig.more_settings("listen_public: true\nlisten_token: {file: listen-token}");
    rig.write("listen-token", TOKEN);
    rig.jobs(&looping("show", soon(2), "1h"));
    let daemon = rig.started();
    let (loopback, public) = (SocketAddr::from(([127, 0, 0, 1], first)), SocketAddr::from(([127, 0, 0, 1], second)));
    rig.wait_on_air("show");
    let started = "ingestd_requests_total{action=\"start\",app=\"main\",code=\"ok\"} 1\n";
    for (address, token) in [(loopback, ""), (public, TOKEN)] {
        wait_until("the start is counted", || get(address, "/metrics", token).filter(|answer| answer.contains(started)));
    }
    let metrics = get(loopback, "/metrics", "").expect("it answers");
    assert!(metrics.contains("\ningestd_start_lateness_seconds_count 1\n"), "{metrics}");
    assert!(!metrics.contains("\ningestd_commit_seconds_count 0\n"), "commits are counted");
    assert!(get(public, "/metrics", "hush-wrong-token").expect("it answers").starts_with("HTTP/1.1 401 "));
    assert!(get(public, "/readyz", "").expect("it answers").starts_with("HTTP/1.1 200 "));
    let (_, status, _) = rig.verb(&["status", "--format", "json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let reasons = status["reasons"].to_string();
    assert!(reasons.contains(&format!("the page does not listen on 127.0.0.1:{taken}")), "{reasons}");
    assert!(!reasons.contains(&first.to_string()) && !reasons.contains(&second.to_string()), "{reasons}");
    assert!(!daemon.log().contains("hush"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_token_that_cannot_be_read_keeps_no_show_off_the_air_and_is_asked_for_when_it_can_be() {
    let rig = Rig::new(Vec::new());
    let [page, public] = [free_port(), free_port()];
    rig.listen(&format!("[\"127.0.0.1:{page}\", \"0.0.0.0:{public}\"]"));
    rig.more_settings("listen_public: true\nlisten_token: {file: listen-token}");
    rig.write("listen-token", "hush");
    // The doctor has a note on a secret that everybody can read.
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(rig.path("listen-token"), private).expect("it is ours");
    rig.jobs(&looping("show", soon(2), "1h"));
    let daemon = rig.started();
    let (page, public) = (SocketAddr::from(([127, 0, 0, 1], page)), SocketAddr::from(([127, 0, 0, 1], public)));
    rig.wait_on_air("show");
    let expected = "`listen_token`: expected a token of at least 16 characters, found one of 4";
    let status = || get(page, "/api/v1/status", "").expect("it answers");
    assert!(status().contains("\"health\":\"degraded\"") && status().contains(expected), "{}", status());
    assert!(daemon.log().contains(expected), "{}", daemon.log());
    assert!(get(public, "/metrics", "hush").expect("it answers").starts_with("HTTP/1.1 503 "));
    assert!(get(public, "/healthz", "").expect("it answers").starts_with("HTTP/1.1 200 "));
    rig.write("listen-token", TOKEN);
    wait_until("it is read again", || get(public, "/metrics", TOKEN)?.starts_with("HTTP/1.1 200 ").then_some(()));
    wait_until("that is told", || (!status().contains("`listen_token`")).then_some(()));
    assert!(get(public, "/metrics", "hush").expect("it answers").starts_with("HTTP/1.1 401 "));
    daemon.stop();
}
