//! What a commit takes in a file and in a station on a real PostgreSQL of this host: one claim, and the claims of 300 starts at one instant.
//! Prints a table. Does not know what a network between them adds.

#[cfg(all(target_os = "linux", feature = "postgres"))]
#[path = "../tests/cluster/postgres.rs"]
#[expect(dead_code, reason = "the tests of two hosts need more of it")]
mod postgres;
#[cfg(all(target_os = "linux", feature = "postgres"))]
#[path = "../tests/ledger/rows.rs"]
#[expect(dead_code, reason = "the tests need the rest")]
mod rows;

#[cfg(all(target_os = "linux", feature = "postgres"))]
fn main() {
    measure::all();
}

#[cfg(not(all(target_os = "linux", feature = "postgres")))]
fn main() {}

#[cfg(all(target_os = "linux", feature = "postgres"))]
mod measure {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use ingestd::engine::{Write, Writes};
    use ingestd::ledger::Ledger;
    use ingestd::ledger::postgres::owner::{self, Process};
    use ingestd::ledger::postgres::{Address, Blocking, Station};
    use ingestd_core::lease::LeaseLength;
    use jiff::{SignedDuration, Timestamp};
    use secrecy::SecretString;

    use super::postgres::Database;
    use super::rows::armed;

    /// So many commits of one claim.
    const COMMITS: usize = 1_000;
    /// So many commits of many claims.
    const BURSTS: usize = 20;
    /// So many claims in each of those.
    const TOGETHER: usize = 300;

    pub(super) fn all() {
        println!("{:<12} {:>12} {:>12} {:>12} {:>14} {:>16}", "ledger", "commits/s", "p50", "p99", "longest", "300 claims, p50");
        let folder = tempfile::tempdir().expect("a folder");
        table("file", &mut Ledger::open(folder.path()).expect("a ledger"));
        let Some(database) = Database::new() else { return };
        table("PostgreSQL", &mut station(&database));
    }

    fn station(database: &Database) -> Ledger {
        let address = Arc::new(Address::parse(&SecretString::from(database.url())).expect("a URL"));
        let process = Process { id: "bench".to_owned(), host: "bench".to_owned(), version: "0".to_owned() };
        let mut blocking = Blocking::new(Arc::clone(&address)).expect("a runtime");
        let taken = blocking.run(async |connection| {
            owner::prepare(connection, "main").await?;
            owner::take(connection, "main", &process, LeaseLength::MAX).await
        });
        let term = taken.expect("an answer").expect("nobody has it").term;
        let station = Station::new("main", address, None).expect("a name");
        Ledger::open_station(&station, term).expect("a ledger")
    }

    fn table(name: &str, ledger: &mut Ledger) {
        let mut call = 0;
        let mut times = |commits: usize, together: usize| -> Vec<Duration> {
            let commit = |_| {
                let mut writes = Writes::default();
                for _ in 0..together {
                    call += 1;
                    let row = armed("promo", Timestamp::UNIX_EPOCH + SignedDuration::from_secs(call));
                    writes.push(Write::Record(Box::new(row.clone())));
                    writes.push(Write::Attempt { key: row.key, call, attempt: 1 });
                }
                let begin = Instant::now();
                assert_eq!(ledger.commit(writes, Timestamp::UNIX_EPOCH).expect("committed").len(), together);
                begin.elapsed()
            };
            let mut times: Vec<Duration> = (0..commits).map(commit).collect();
            times.sort_unstable();
            times
        };
        let (one, many) = (times(COMMITS, 1), times(BURSTS, TOGETHER));
        let whole: Duration = one.iter().sum();
        let a_second = f64::from(u32::try_from(one.len()).expect("a thousand")) / whole.as_secs_f64();
        let [p50, p99, longest] = [one.len() / 2, one.len() * 99 / 100, one.len() - 1].map(|at| format!("{:.1?}", one[at]));
        println!("{name:<12} {a_second:>12.0} {p50:>12} {p99:>12} {longest:>14} {:>16}", format!("{:.1?}", many[many.len() / 2]));
    }
}
