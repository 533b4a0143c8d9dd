//! The servers themselves: what the cases rely on.

use std::process::Command;

use super::bouncer::Bouncer;
use super::postgres::{Database, Server, Stop, programs, url};

/// Runs SQL as a daemon would connect.
pub(crate) fn ask(url: &str, sql: &str) -> Result<String, String> {
    ask_all(url, &[sql])
}

/// The same with a message for each.
pub(crate) fn ask_all(url: &str, statements: &[&str]) -> Result<String, String> {
    let mut psql = Command::new(programs().expect("a server runs").join("psql"));
    psql.args(["-X", "-q", "-A", "-t"]).args(statements.iter().flat_map(|sql| ["-c", sql])).arg(url);
    let output = psql.output().expect("psql starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn a_server_keeps_what_was_committed_when_it_is_stopped_in_any_way() {
    let Some(server) = Server::start() else { return };
    assert_eq!(ask(&server.url(), "CREATE TABLE t (n int)"), Ok(String::new()));
    for (number, how) in [Stop::Fast, Stop::Immediate].into_iter().enumerate() {
        assert_eq!(ask(&server.url(), &format!("INSERT INTO t VALUES ({number})")), Ok(String::new()));
        server.stop(how);
        let refused = ask(&server.url(), "SELECT 1").expect_err("nothing listens");
        assert!(refused.contains("Connection refused"), "{refused}");
        server.run();
    }
    server.pause();
    let asked = std::thread::spawn({
        let url = server.url();
        move || ask(&url, "SELECT count(*) FROM t")
    });
    std::thread::park_timeout(std::time::Duration::from_millis(200));
    assert!(!asked.is_finished(), "it was stopped");
    server.resume();
    assert_eq!(asked.join().expect("no panic"), Ok("2".to_owned()));
    assert_eq!(server.psql("SHOW fsync"), "on");
}

#[test]
fn a_standby_follows_lacks_rows_when_detached_and_can_be_promoted() {
    let Some(primary) = Server::start() else { return };
    primary.psql("CREATE TABLE t (n int)");
    let standby = Server::standby_of(&primary);
    primary.psql("INSERT INTO t VALUES (1)");
    primary.wait_replayed_by(&standby);
    assert_eq!(standby.psql("SELECT count(*) FROM t"), "1");
    primary.wait_for_standbys();
    standby.detach();
    primary.psql("SET synchronous_commit = local; INSERT INTO t VALUES (2)");
    standby.promote();
    assert_eq!(standby.psql("INSERT INTO t VALUES (3) RETURNING (SELECT count(*) FROM t)"), "1");
    primary.demote();
    let hosts = url(&[primary.address(), standby.address()], "ingestd") + "&target_session_attrs=read-write";
    assert_eq!(ask(&hosts, "SELECT inet_server_port()"), Ok(standby.address().port().to_string()));
    assert_eq!(primary.psql("SELECT count(*) FROM t"), "2");
}

#[test]
fn databases_of_the_shared_server_are_apart_and_one_goes_with_its_test() {
    let (Some(one), Some(other)) = (Database::new(), Database::new()) else { return };
    one.psql("CREATE TABLE t ()");
    assert_eq!(other.psql("SELECT to_regclass('t') IS NULL"), "t");
    assert_eq!(ask(&one.url(), "SELECT current_database()"), Ok(one.name().to_owned()));
    let name = one.name().to_owned();
    drop(one);
    assert_eq!(other.psql(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")), "0");
}

#[test]
fn a_bouncer_is_passed_and_comes_back_on_its_port() {
    let Some(server) = Server::start() else { return };
    let Some(mut bouncer) = Bouncer::start(&server) else { return };
    let url = url(&[bouncer.address()], "ingestd");
    assert_eq!(ask(&url, "SELECT current_user"), Ok("ingestd".to_owned()));
    bouncer.restart();
    assert_eq!(ask(&url, "SELECT current_user"), Ok("ingestd".to_owned()));
}

#[test]
fn what_shifts_a_clock_is_there() {
    if let Some(library) = super::clocks::library() {
        let mut date = Command::new("date");
        date.args(["+%Y"]).env("LD_PRELOAD", library).env("FAKETIME", "-20y");
        let told = String::from_utf8(date.output().expect("`date` starts").stdout).expect("digits");
        let year: i16 = told.trim().parse().expect("a year");
        assert_eq!(year, jiff::Zoned::now().year() - 20);
    }
}
