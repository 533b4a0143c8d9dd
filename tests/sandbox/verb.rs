//! The verb: the real program listens, says how to point a daemon at it, shows what arrives, and refuses what it must. What it
//! answers is tested without a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};

use super::client::{Ask, Wire};

fn sandbox(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.arg("sandbox").args(arguments).stdin(Stdio::null()).env_clear();
    command
}

fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = sandbox(arguments).output().expect("the program starts");
    assert!(stdout.is_empty());
    (status.code(), String::from_utf8(stderr).expect("text"))
}

/// The program, ended with the test that started it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn file_of(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("it can be written");
    file
}

#[tokio::test]
async fn it_greets_with_settings_shows_requests_and_ends_on_a_signal() {
    let faults = file_of("faults:\n  - {action: start, robot: doubtful, error: InternalError.InternalError, done: true}\n");
    let path = faults.path().to_str().expect("a path of UTF-8");
    let arguments = ["--listen", "127.0.0.1:0", "--faults", path, "--exist", "user"];
    let mut running = Running(sandbox(&arguments).stdout(Stdio::piped()).spawn().expect("the program starts"));
    let mut lines = BufReader::new(running.0.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let greeting: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("# Requests")).collect();
    let endpoint = greeting.iter().find_map(|line| line.trim().strip_prefix("endpoint: http://")).expect("an endpoint");
    let address: SocketAddr = endpoint.parse().expect("an address");
    assert!(greeting.iter().any(|line| line.starts_with("export TENCENTCLOUD_SECRET_KEY=")), "{greeting:?}");

    let now_s = Timestamp::now().as_second();
    let mut wire = Wire::connect(address).await;
    for (ask, code, shown) in [
        (Ask::start_at(now_s), "ok", "  start     10000             robot_1           ok"),
        (Ask::start_at(now_s).field("RoomId", "2"), "FailedOperation.TaskExist", "robot_1           FailedOperation.TaskExist"),
        (Ask::start_at(now_s).robot("doubtful"), "InternalError.InternalError", "InternalError.InternalError (done)"),
        (Ask::stop("x").at(now_s), "InvalidParameter.TaskId", "  stop      -                 -                 InvalidParameter"),
    ] {
        assert_eq!(wire.ask(&ask).await.code(), code);
        let line = lines.next().expect("a line for each request");
        assert!(line.contains(shown), "{line}");
    }
    let pid = Pid::from_raw(i32::try_from(running.0.id()).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::TERM).expect("it runs");
    assert_eq!(running.0.wait().expect("it ends").code(), Some(0));
}

#[test]
fn it_refuses_other_addresses_than_loopback() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let (code, stderr) = refused(&["--listen", address]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("expected a loopback address") && stderr.contains("help: "), "{stderr}");
    }
}

#[test]
fn what_is_wrong_with_its_arguments_is_said() {
    let (code, stderr) = refused(&["--listen", "127.0.0.1:0", "--exist", "room"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("`room_user`, `user`, `displace`, `both`"), "{stderr}");
    let (code, stderr) = refused(&["--listen", "127.0.0.1:0", "--faults", "no-such-file.yaml"]);
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains("no-such-file.yaml") && stderr.contains("cannot read the faults"), "{stderr}");
    let faults = file_of("faults:\n  - {action: start, delay: soon}\n  - {hang: true, every: 0}\n");
    let (code, stderr) = refused(&["--listen", "127.0.0.1:0", "--faults", faults.path().to_str().expect("UTF-8")]);
    assert_eq!(code, Some(78), "{stderr}");
    assert!(stderr.contains(":2:28") && stderr.contains("^^^^") && stderr.contains(":3:25"), "{stderr}");
}

#[test]
fn an_address_in_use_is_a_failure_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let (code, stderr) = refused(&["--listen", &address]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains(&format!("cannot listen on `{address}`")), "{stderr}");
}

/// Starts the program with these further arguments; the address it listens on, and its lines from then on.
fn listening(more: &[&str]) -> (Running, SocketAddr, impl Iterator<Item = String> + use<>) {
    let arguments = [&["--listen", "127.0.0.1:0"], more].concat();
    let mut running = Running(sandbox(&arguments).stdout(Stdio::piped()).spawn().expect("the program starts"));
    let mut lines = BufReader::new(running.0.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let greeting: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("# Requests")).collect();
    let endpoint = greeting.iter().find_map(|line| line.trim().strip_prefix("endpoint: http://")).expect("an endpoint");
    let address = endpoint.parse().expect("an address");
    (running, address, lines)
}

#[tokio::test]
async fn each_reading_can_be_chosen() {
    let exists = "FailedOperation.TaskExist";
    for (reading, same_room, other_room, first_runs) in [
        ("room_user", exists, "ok", true),
        ("user", exists, exists, true),
        ("displace", "ok", "ok", false),
        ("both", "ok", "ok", true),
    ] {
        let (_running, address, _lines) = listening(&["--exist", reading]);
        let now_s = Timestamp::now().as_second();
        let mut wire = Wire::connect(address).await;
        let start = Ask::start_at(now_s).field("RepeatNum", -1);
        let first = wire.ask(&start).await.response()["TaskId"].as_str().expect("a task").to_owned();
        assert_eq!(wire.ask(&start).await.code(), same_room, "{reading}");
        assert_eq!(wire.ask(&start.field("RoomId", "2")).await.code(), other_room, "{reading}");
        let described = wire.ask(&Ask::describe(&first).at(now_s)).await;
        assert_eq!(described.response()["Status"], if first_runs { "InProgress" } else { "NotExist" }, "{reading}");
    }
}

#[tokio::test]
async fn it_calls_back_with_a_key_from_a_file_and_shows_that_it_did() {
    let key = file_of("hush-callback-key\n");
    let path = key.path().to_str().expect("a path of UTF-8");
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/trtc/callback", receiver.local_addr().expect("it is bound"));
    let (running, address, mut lines) = listening(&["--callbacks", &url, "--callback-key-file", path]);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", running.0.id())).expect("it runs");
    assert!(!String::from_utf8_lossy(&arguments).contains("hush"));
    let start = Ask::start_at(Timestamp::now().as_second());
    assert_eq!(Wire::connect(address).await.ask(&start).await.code(), "ok");
    let (mut stream, _) = receiver.accept().await.expect("it calls");
    let mut request = Vec::new();
    while !request.ends_with(b"\"Status\":0}}") {
        assert_ne!(tokio::io::AsyncReadExt::read_buf(&mut stream, &mut request).await.expect("a request"), 0);
    }
    let request = String::from_utf8(request).expect("text");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("POST /trtc/callback HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("sdkappid: 1400000001") && head.contains("content-type: application/json"), "{head}");
    let sign = super::client::callback_sign("hush-callback-key", body);
    assert!(request.lines().any(|line| line.to_lowercase().starts_with("sign: ") && line.ends_with(&sign)), "{request}");
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("it is taken");
    let shown = lines.by_ref().take(2).find(|line| line.contains("callback")).expect("a line of it");
    assert!(shown.ends_with("  callback  10000             robot_1           started: status 200"), "{shown}");
}

#[test]
fn callbacks_need_a_url_and_a_key_file() {
    let key = file_of("k\n");
    let path = key.path().to_str().expect("a path of UTF-8");
    for (more, code, words) in [
        (&["--callbacks", "http://127.0.0.1:1/"][..], 2, "--callback-key-file"),
        (&["--callback-key-file", path], 2, "--callbacks"),
        (&["--callbacks", "127.0.0.1:1", "--callback-key-file", path], 2, "expected an http or https URL"),
        (&["--callbacks", "http://127.0.0.1:1/", "--callback-key-file", "no-such-file"], 78, "cannot read the secret file"),
    ] {
        let (exit, stderr) = refused(&[&["--listen", "127.0.0.1:0"], more].concat());
        assert_eq!(exit, Some(code), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
    }
}
