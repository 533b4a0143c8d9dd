//! The proxy itself, before a real server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::postgres::{Database, Server, url};
use super::proxy::{AtCommit, Cut, Proxy, Way};
use super::servers::{ask, ask_all};

/// A database with a table, and a proxy before it.
fn proxied() -> Option<(Database, Proxy, String)> {
    let database = Database::new()?;
    assert_eq!(ask(&database.url(), "CREATE TABLE t (n int)"), Ok(String::new()));
    let proxy = Proxy::to_database(Server::shared()?.address());
    let url = url(&[proxy.address()], database.name());
    Some((database, proxy, url))
}

const TRANSACTION: [&str; 3] = ["BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"];

#[test]
fn a_commit_that_is_cut_before_has_no_effect_and_after_it_has_one() {
    let Some((database, proxy, url)) = proxied() else { return };
    for (what, rows) in [(AtCommit::CutBefore, "0"), (AtCommit::CutAfter, "1")] {
        proxy.at_commit(what, "INSERT INTO t");
        let before = proxy.fired();
        assert_eq!(ask_all(&url, &["BEGIN", "SELECT 1", "COMMIT"]), Ok("1".to_owned()), "another transaction");
        assert_eq!(proxy.fired(), before);
        let told = ask_all(&url, &TRANSACTION).expect_err("it is cut");
        assert!(told.contains("server closed the connection") || told.contains("reset"), "{told}");
        assert_eq!(proxy.fired(), before + 1);
        assert_eq!(database.psql("SELECT count(*) FROM t"), rows, "{what:?}");
        assert_eq!(ask(&url, "SELECT 1"), Ok("1".to_owned()), "once only");
    }
}

#[test]
fn a_commit_that_is_held_is_not_answered() {
    let Some((database, proxy, url)) = proxied() else { return };
    for (what, rows) in [(AtCommit::HoldBefore, "0"), (AtCommit::HoldAfter, "1")] {
        proxy.at_commit(what, "");
        let before = proxy.fired();
        let asking = std::thread::spawn({
            let url = url.clone();
            move || ask_all(&url, &TRANSACTION)
        });
        while proxy.fired() == before {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert_eq!(database.psql("SELECT count(*) FROM t"), rows, "{what:?}");
        assert!(!asking.is_finished());
        proxy.cut(Cut::Fin);
        asking.join().expect("no panic").expect_err("it was cut");
    }
}

#[test]
fn what_is_delayed_comes_later_and_what_is_held_comes_when_it_is_let_go() {
    let Some((_database, proxy, url)) = proxied() else { return };
    for way in [Way::ToServer, Way::ToClient] {
        proxy.delay(way, Duration::from_millis(150));
        let begin = Instant::now();
        assert_eq!(ask(&url, "SELECT 1"), Ok("1".to_owned()));
        assert!(begin.elapsed() > Duration::from_millis(300), "{:?}", begin.elapsed());
        proxy.delay(way, Duration::ZERO);
        proxy.hold(way);
        let asking = std::thread::spawn({
            let url = url.clone();
            move || ask(&url, "SELECT 1")
        });
        std::thread::park_timeout(Duration::from_millis(200));
        assert!(!asking.is_finished());
        proxy.let_go();
        assert_eq!(asking.join().expect("no panic"), Ok("1".to_owned()));
    }
}

#[test]
fn it_refuses_and_points_elsewhere_and_names_and_cancels_are_seen() {
    let Some((_database, proxy, url)) = proxied() else { return };
    proxy.refuse(true);
    ask(&url, "SELECT 1").expect_err("refused");
    proxy.refuse(false);
    let nobody: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    proxy.point_at(nobody);
    ask(&url, "SELECT 1").expect_err("nobody is there");
    proxy.point_at(Server::shared().expect("it runs").address());
    assert_eq!(ask(&url, "SELECT 1"), Ok("1".to_owned()));
    assert_eq!((proxy.cancels(), proxy.named(), proxy.connections()), (0, Vec::new(), 3));
}
