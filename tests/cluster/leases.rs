//! The lease alone, without daemons: two keepers whose ways to the database are held, cut and slowed at random. However that goes, never
//! may both send.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ingestd::ledger::postgres::Address;
use ingestd::ledger::postgres::keeper::{Keeper, KeeperSetup, Told};
use ingestd::ledger::postgres::owner::Process;
use ingestd_core::lease::{LeaseDeadline, LeaseLength};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;

use super::again::Moments;
use super::postgres::{Database, Server, url};
use super::proxy::{AtCommit, Cut, Proxy, Way};

/// How long it goes on; `INGESTD_LEASES=600` for longer.
const SECONDS: u64 = 40;

/// What one owns by: its newest deadline.
type Owned = Arc<Mutex<Option<LeaseDeadline>>>;

/// Takes the air whenever it is free, and keeps it for as long as that goes.
async fn own_again_and_again(name: &str, url: String, origin: Instant, owned: Owned, terms: Arc<Mutex<Vec<i64>>>) {
    let address = Arc::new(Address::parse(&SecretString::from(url)).expect("a URL"));
    let clock = Arc::new(move || (Timestamp::now(), origin.elapsed()));
    let (migrate, lease, told) = (Arc::clone(&address), LeaseLength::MIN, watch::channel(Told::default()).1);
    let process = Process { id: name.to_owned(), host: name.to_owned(), version: "0.1.0".to_owned() };
    let mut keeper = Keeper::new(KeeperSetup { address, migrate, station: "main".into(), lease, process, schema: 1, clock, told });
    loop {
        let (taken, deadline) = keeper.wait_for_turn().await;
        terms.lock().expect("nobody panicked").push(taken.term.0);
        *owned.lock().expect("nobody panicked") = Some(deadline.clone());
        keeper.keep(taken.term, &deadline).await;
        assert!(deadline.is_deposed());
    }
}

/// One thing that happens to a way to the database.
fn harm(proxy: &Proxy, moments: &mut Moments) {
    let way = if moments.next(2) == 0 { Way::ToServer } else { Way::ToClient };
    match moments.next(17) {
        0 => proxy.hold(way),
        1 => proxy.isolate(),
        2 => proxy.cut(Cut::Rst),
        3 => proxy.cut(Cut::Fin),
        4 => proxy.delay(way, Duration::from_millis(moments.next(2_500))),
        5 => proxy.at_commit(AtCommit::CutBefore, ""),
        6 => proxy.at_commit(AtCommit::CutAfter, ""),
        7 => proxy.at_commit(AtCommit::HoldBefore, ""),
        8 => proxy.at_commit(AtCommit::HoldAfter, ""),
        9 => proxy.refuse(true),
        _ => {
            proxy.let_go();
            proxy.refuse(false);
            for way in [Way::ToServer, Way::ToClient] {
                proxy.delay(way, Duration::ZERO);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_on_the_way_never_may_two_send() {
    // Servers are started by a thread that may block.
    let made = tokio::task::spawn_blocking(|| Some((Database::new()?, Server::shared()?.address()))).await.expect("no panic");
    let Some((database, server)) = made else { return };
    let seconds = std::env::var("INGESTD_LEASES").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS);
    let seed = Timestamp::now().as_microsecond().unsigned_abs();
    println!("harm from seed {seed}");
    let proxies =
        tokio::task::spawn_blocking(move || [Proxy::to_database(server), Proxy::to_database(server)]).await.expect("ports");
    let (origin, terms) = (Instant::now(), Arc::default());
    let owned: [Owned; 2] = Default::default();
    for (index, proxy) in proxies.iter().enumerate() {
        let (url, owned, terms) = (url(&[proxy.address()], database.name()), Arc::clone(&owned[index]), Arc::clone(&terms));
        tokio::spawn(async move { own_again_and_again(["one", "two"][index], url, origin, owned, terms).await });
    }
    let mut moments = Moments(seed);
    let mut next_harm = Duration::from_secs(2);
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    // On a busy machine it takes a while until the air has gone from one to the other.
    let is_one = || terms.lock().expect("nobody panicked").len() < 2;
    while origin.elapsed() < Duration::from_secs(seconds) || is_one() && origin.elapsed() < Duration::from_secs(seconds * 4) {
        let now = origin.elapsed();
        let may_send = owned
            .each_ref()
            .map(|owned| owned.lock().expect("nobody panicked").as_ref().is_some_and(|deadline| deadline.allows(now)));
        assert_ne!(may_send, [true, true], "both may send at {now:?}, seed {seed}");
        if now >= next_harm {
            harm(&proxies[usize::from(moments.next(2) == 0)], &mut moments);
            next_harm = now + Duration::from_millis(100 + moments.next(900));
        }
        looks.tick().await;
    }
    let terms = terms.lock().expect("nobody panicked").clone();
    println!("{} terms in {seconds} s: {terms:?}", terms.len());
    assert!(terms.is_sorted() && terms.windows(2).all(|pair| pair[0] != pair[1]), "each term is one owner's");
    assert!(terms.len() > 1, "the air went from one to the other");
    assert!(proxies.iter().all(|proxy| proxy.cancels() == 0 && proxy.named().is_empty()));
    tokio::task::spawn_blocking(move || drop((database, proxies))).await.expect("it is removed");
}
