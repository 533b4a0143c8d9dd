//! Two daemons that share a database: which of them owns, what the other answers, and how they change. Without PostgreSQL each test prints
//! `left out: ...`.

#![cfg(all(target_os = "linux", feature = "postgres"))]

#[path = "cluster/postgres.rs"]
#[expect(dead_code, reason = "the tests of two hosts need more of it")]
mod postgres;
#[path = "daemon/rig.rs"]
#[expect(dead_code, reason = "the tests of one daemon use the rest")]
mod rig;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use postgres::{Database, PASSWORD};
use rig::{Process, Rig, get, looping, soon, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A daemon of this database.
fn node(url: &str) -> Rig {
    let rig = Rig::new(Vec::new());
    rig.write("database-url", url);
    std::fs::create_dir(rig.path("state")).expect("writable");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(rig.path("database-url"), private).expect("our own file");
    let more = "listen: 127.0.0.1:0\ncontrol: control.sock\nledger: {postgres: {file: database-url}, lease: 5s}";
    rig.settings(rig.endpoint, more);
    rig
}

fn status(process: &Process) -> Value {
    serde_json::from_str(&get(process.page(), "/api/v1/status")).expect("it is JSON")
}

fn has_role(process: &Process, role: &str) -> bool {
    status(process)["host"]["role"] == role
}

/// The status line of an answer.
fn head(page: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(page).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn one_owns_and_the_other_waits_answers_and_follows_within_a_second() {
    let Some(database) = Database::new() else { return };
    let (one, two) = (node(&database.url()), node(&database.url()));
    for rig in [&one, &two] {
        rig.jobs(&looping("show", soon(600), "10s"));
    }
    let mut first = one.started();
    wait_until("it owns", || has_role(&first, "owner").then_some(()));
    let second = two.started();
    let host = |process: &Process| status(process)["host"].clone();
    wait_until("it knows who owns", || (host(&second)["term"] == 1).then_some(()));
    assert_eq!(host(&second)["role"], "standby");
    assert!(head(first.page(), "/readyz").contains(" 200 "), "{}", head(first.page(), "/readyz"));
    assert!(head(second.page(), "/readyz").contains(" 503 "));
    for process in [&first, &second] {
        assert!(head(process.page(), "/healthz").contains(" 200 "));
    }
    let metrics = get(second.page(), "/metrics");
    assert!(metrics.contains("ingestd_role{role=\"standby\"} 1") && metrics.contains("ingestd_term 1"), "{metrics}");
    assert!(metrics.contains("ingestd_lease_seconds "), "{metrics}");
    let (code, _, stderr) = two.verb(&["reload"]);
    assert!(code != Some(0) && stderr.contains("owns the air"), "{stderr}");
    // A release hands over.
    let released = Instant::now();
    first.signal(Signal::TERM);
    wait_until("the other owns", || has_role(&second, "owner").then_some(()));
    assert!(released.elapsed() < Duration::from_millis(2_500), "{:?}", released.elapsed());
    assert_eq!(first.exit_code(), Some(0), "{}", first.log());
    assert!(head(second.page(), "/readyz").contains(" 200 "));
    // The same again, after a kill: when the lease has ended.
    let first = one.started();
    wait_until("it waits", || (host(&first)["term"] == 2).then_some(()));
    let killed = Instant::now();
    second.kill();
    wait_until("the other owns", || has_role(&first, "owner").then_some(()));
    assert!(killed.elapsed() < Duration::from_secs(8), "{:?}", killed.elapsed());
    for rig in [&one, &two] {
        for (path, text) in rig.traces() {
            assert!(!rig::contains(&text, PASSWORD), "{}", path.display());
        }
    }
}

#[test]
fn who_loses_the_air_waits_again_in_the_same_process() {
    let Some(database) = Database::new() else { return };
    let one = node(&database.url());
    one.jobs(&looping("show", soon(600), "10s"));
    let mut first = one.started();
    wait_until("it owns", || has_role(&first, "owner").then_some(()));
    wait_until("it plays", || first.log().contains("ready jobs=").then_some(()));
    let take = "UPDATE ingestd.station SET term = term + 1, owner = 'another', host = 'another-host', \
                lease_end = clock_timestamp() + interval '8 seconds'";
    database.psql(take);
    wait_until("it waits", || has_role(&first, "standby").then_some(()));
    assert_eq!(status(&first)["host"]["owner"], "another-host");
    wait_until("it owns again", || has_role(&first, "owner").then_some(()));
    assert_eq!(status(&first)["host"]["term"], 3);
    first.signal(Signal::TERM);
    assert_eq!(first.exit_code(), Some(0), "{}", first.log());
    assert_eq!(database.psql("SELECT released FROM ingestd.station"), "t");
}

#[test]
fn a_database_that_does_not_answer_at_boot_is_waited_for() {
    let one = node("postgres://ingestd:nobody@127.0.0.1:9/ingestd?sslmode=disable");
    one.jobs(&looping("show", soon(600), "10s"));
    let mut first = one.started();
    wait_until("it says so", || (status(&first)["health"] == "failing").then_some(()));
    assert!(head(first.page(), "/healthz").contains(" 200 "));
    first.signal(Signal::TERM);
    assert_eq!(first.exit_code(), Some(0), "{}", first.log());
}
