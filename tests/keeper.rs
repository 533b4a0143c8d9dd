//! Who owns the air, on a real PostgreSQL: taking, renewing, giving back, and two who try at once. Without PostgreSQL each test prints
//! `left out: ...`.

#![cfg(all(target_os = "linux", feature = "postgres"))]

#[path = "cluster/postgres.rs"]
#[expect(dead_code, reason = "the tests of two hosts need more of it")]
mod postgres;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ingestd::ledger::postgres::keeper::{Keeper, KeeperSetup, Standing, Told};
use ingestd::ledger::postgres::owner::{self, Process};
use ingestd::ledger::postgres::{Address, Connection, Type};
use ingestd_core::lease::LeaseLength;
use jiff::{SignedDuration, Timestamp};
use postgres::Database;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

fn address(database: &Database) -> Arc<Address> {
    Arc::new(Address::parse(&SecretString::from(database.url())).expect("a URL"))
}

fn process(name: &str) -> Process {
    Process { id: format!("id-of-{name}"), host: name.to_owned(), version: "0.1.0".to_owned() }
}

/// A keeper whose wall clock is off by so much.
fn keeper(database: &Database, name: &str, off: SignedDuration) -> Keeper {
    let origin = Instant::now();
    let clock = Arc::new(move || (Timestamp::now() + off, origin.elapsed()));
    let (address, process) = (address(database), process(name));
    let told = watch::channel(Told::default()).1;
    let (migrate, lease) = (Arc::clone(&address), LeaseLength::MIN);
    Keeper::new(KeeperSetup { address, migrate, station: "main".into(), lease, process, schema: 1, clock, told })
}

/// Waits until a keeper's standing is as wanted.
async fn wait(standing: &mut watch::Receiver<Standing>, what: &str, wanted: impl FnMut(&Standing) -> bool) -> Standing {
    timeout(SOON, standing.wait_for(wanted)).await.expect(what).expect("the keeper is there").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_air_goes_from_one_to_the_next_when_it_is_given_back_or_the_lease_ends() {
    let Some(database) = Database::new() else { return };
    let (mut one, mut two) = (keeper(&database, "one", SignedDuration::ZERO), keeper(&database, "two", SignedDuration::ZERO));
    let (taken, _) = timeout(SOON, one.wait_for_turn()).await.expect("nobody has it");
    assert_eq!((taken.term.0, taken.may_arrive_until, taken.former, taken.is_alone), (1, None, None, true));
    let mut seen = two.standing();
    let waiting = tokio::spawn(async move {
        let taken = two.wait_for_turn().await;
        (two, taken)
    });
    wait(&mut seen, "it sees who has it", |standing| standing.look.is_some()).await;
    one.release(true).await.expect("it is given back");
    let released = Instant::now();
    let (mut two, (taken, deadline)) = timeout(SOON, waiting).await.expect("it is free").expect("no panic");
    assert!(released.elapsed() < Duration::from_secs(3), "{:?}", released.elapsed());
    assert_eq!((taken.term.0, taken.may_arrive_until, taken.former, taken.is_alone), (2, None, Some(process("one")), false));
    // It renews past its first lease, and nobody follows.
    let mut standing = two.standing();
    let first = deadline.left(Duration::ZERO);
    let keeping = tokio::spawn(async move { two.keep(taken.term, &deadline).await });
    let renewed =
        |standing: &Standing| standing.look.as_ref().is_some_and(|look| look.tenure.ends_at > look.now && look.nodes.len() == 1);
    wait(&mut standing, "it is renewed", renewed).await;
    assert!(timeout(Duration::from_secs(6), one.wait_for_turn()).await.is_err(), "two renews");
    // It is killed: its lease ends, and what it sent may arrive.
    keeping.abort();
    let killed = Instant::now();
    let (taken, _) = timeout(SOON, one.wait_for_turn()).await.expect("the lease ends");
    assert!(killed.elapsed() < Duration::from_secs(8), "{:?}", killed.elapsed());
    assert_eq!(taken.term.0, 3);
    assert!(taken.may_arrive_until.is_some() && taken.unowned_ms < 3_000, "{taken:?}");
    assert!(first.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_try_at_once_one_owns() {
    let Some(database) = Database::new() else { return };
    let address = address(&database);
    for round in 1..=50 {
        let station = format!("round-{round}");
        let tries = ["one", "two"].map(|name| {
            let (address, station) = (Arc::clone(&address), station.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await.expect("it is there");
                owner::prepare(&mut connection, &station).await.expect("the tables are made");
                let taken = owner::take(&mut connection, &station, &process(name), LeaseLength::DEFAULT).await;
                taken.expect("an answer").is_some()
            })
        });
        let mut owners = 0;
        for tried in tries {
            owners += u32::from(tried.await.expect("no panic"));
        }
        assert_eq!(owners, 1, "{station}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_left_open_holds_nobody_up_for_long() {
    let Some(database) = Database::new() else { return };
    let address = address(&database);
    let mut left = Connection::open(&address).await.expect("it is there");
    owner::prepare(&mut left, "main").await.expect("the tables are made");
    let (locked, is_locked) = tokio::sync::oneshot::channel();
    let stopped = tokio::spawn(async move {
        let done = left.transaction(async |connection| {
            connection.query("SELECT FROM ingestd.station WHERE name = $1 FOR UPDATE", &[(&"main", Type::TEXT)]).await?;
            let _ = locked.send(());
            // A process that was stopped here.
            std::future::pending::<()>().await;
            Ok(())
        });
        done.await
    });
    is_locked.await.expect("it holds the row");
    let mut other = keeper(&database, "other", SignedDuration::ZERO);
    let begun = Instant::now();
    timeout(SOON, other.wait_for_turn()).await.expect("the server ends the transaction");
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    stopped.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_may_not_own_and_says_so() {
    let Some(database) = Database::new() else { return };
    let mut keeper = keeper(&database, "one", SignedDuration::from_secs(2));
    let mut standing = keeper.standing();
    let waiting = tokio::spawn(async move { keeper.wait_for_turn().await });
    let found = wait(&mut standing, "it is refused", |standing| !standing.refusals.is_empty()).await;
    assert!(found.refusals[0].contains("clock"), "{:?}", found.refusals);
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_its_term_is_deposed_and_a_database_that_is_gone_is_told() {
    let Some(database) = Database::new() else { return };
    let mut one = keeper(&database, "one", SignedDuration::ZERO);
    let mut standing = one.standing();
    let (taken, deadline) = timeout(SOON, one.wait_for_turn()).await.expect("nobody has it");
    database.psql("UPDATE ingestd.station SET term = term + 1, owner = 'another'");
    timeout(SOON, one.keep(taken.term, &deadline)).await.expect("it is told");
    assert!(deadline.is_deposed());
    assert_eq!(standing.borrow_and_update().term, None);
    database.psql("DROP SCHEMA ingestd CASCADE");
    let waiting = tokio::spawn(async move { one.wait_for_turn().await });
    let found = wait(&mut standing, "it fails", |standing| standing.failing.is_some()).await;
    assert!(found.failing.is_some_and(|(_, why)| why.contains("ingestd")));
    waiting.abort();
}
