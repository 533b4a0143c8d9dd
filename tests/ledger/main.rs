//! The promise about the ledger: a claim is unique, an outcome is final, nothing impossible can be written, every released file
//! loads, and a crash loses only what was never durable. It uses real SQLite and real files, and does not mock either.

#[cfg(all(target_os = "linux", feature = "postgres"))]
mod answers;
#[cfg(all(target_os = "linux", feature = "postgres"))]
mod both;
mod checks;
mod chores;
mod crash;
mod files;
mod filling;
#[cfg(all(target_os = "linux", feature = "postgres"))]
mod many_rows;
#[cfg(all(target_os = "linux", feature = "postgres"))]
#[path = "../cluster/messages.rs"]
mod messages;
mod migrations;
#[cfg(all(target_os = "linux", feature = "postgres"))]
#[path = "../cluster/postgres.rs"]
#[expect(dead_code, reason = "the tests of two hosts need more of it")]
mod postgres;
#[cfg(all(target_os = "linux", feature = "postgres"))]
#[path = "../cluster/proxy.rs"]
#[expect(dead_code, reason = "its other tests need the rest")]
mod proxy;
mod questions;
mod refused;
#[cfg(all(target_os = "linux", feature = "postgres"))]
#[path = "../cluster/requests.rs"]
#[expect(dead_code, reason = "its other tests need the rest")]
mod requests;
mod round_trip;
mod rows;
#[cfg(all(target_os = "linux", feature = "postgres"))]
mod shared;
mod turn;

use std::sync::Barrier;
use std::thread;

use ingestd::ledger::{Ledger, Lock};
use ingestd::occurrence::{End, Kind, MissedReason, Occurrence, Outcome, State};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use filling::write;
use rows::{armed, ended, missed, on_air};
use turn::BeginTurn as _;

/// A ledger in a folder of its own.
pub(crate) fn ledger() -> (TempDir, Ledger) {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::open(folder.path()).expect("a new ledger");
    (folder, ledger)
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A connection of its own to the same file, for SQL of the tests.
pub(crate) fn raw(ledger: &Ledger) -> Connection {
    let connection = Connection::open(ledger.path()).expect("the file");
    connection.pragma_update(None, "foreign_keys", true).expect("foreign keys");
    connection
}

fn count(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).expect("a number")
}

#[test]
fn exactly_one_of_several_claims_at_the_same_time_gets_the_attempt() {
    const CLAIMANTS: usize = 4;
    let (folder, ledger) = ledger();
    let start = at("2026-11-22T10:00:00Z");
    for round in 0..20_i64 {
        let start = start + SignedDuration::from_secs(round);
        let barrier = Barrier::new(CLAIMANTS);
        let attempts: usize = thread::scope(|scope| {
            let claimants: Vec<_> = (0..CLAIMANTS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut ledger = Ledger::open(folder.path()).expect("the same ledger");
                        barrier.wait();
                        let mut turn = ledger.turn();
                        let claimed = turn.claim(&armed("promo", start)).expect("an answer");
                        // The second finds the row, either when it claims or when it commits.
                        let attempts = turn.commit(start).unwrap_or_default();
                        assert!(claimed || attempts.is_empty(), "no attempt without a claim");
                        attempts.len()
                    })
                })
                .collect();
            claimants.into_iter().map(|claimant| claimant.join().expect("no panic")).sum()
        });
        assert_eq!(attempts, 1, "round {round}");
    }
    assert_eq!(count(&raw(&ledger), "SELECT count(*) FROM occurrence"), 20);
    assert_eq!(count(&raw(&ledger), "SELECT count(*) FROM call"), 20);
}

#[test]
fn each_attempt_has_a_call_of_its_own() {
    let (_folder, mut ledger) = ledger();
    let row = armed("promo", at("2026-11-22T10:00:00Z"));
    let mut turn = ledger.turn();
    assert!(turn.claim(&row).expect("claimed"));
    assert!(!turn.claim(&row).expect("refused"));
    assert!(!turn.record(&row).expect("refused"));
    let first = turn.commit(row.key.start).expect("committed");
    let mut turn = ledger.turn();
    let second = Occurrence { state: State::Calling, attempts: 2, tries: 2, ..row.clone() };
    turn.update(&second).expect("updated");
    turn.attempt(&second).expect("claimed");
    let second = turn.commit(row.key.start).expect("committed");
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!((first[0].key(), second[0].key()), (&row.key, &row.key));
    assert_ne!(first[0].call(), second[0].call());
    let mut turn = ledger.turn();
    turn.rearm(&row).expect("permitted anew");
    let again = turn.commit(row.key.start).expect("committed");
    assert_eq!(again[0].call(), first[0].call(), "what is armed again is the same attempt");
}

#[test]
fn an_outcome_is_final() {
    let start = at("2026-11-22T10:00:00Z");
    let done = [
        ended("ended", start),
        Occurrence { ended_at: Some(start), state: failed("InternalError"), ..armed("failed", start) },
        missed("missed", start, Outcome::Missed(MissedReason::Down)),
    ];
    for row in done {
        let (_folder, mut ledger) = ledger();
        write(&mut ledger, &row);
        let before = everything(&ledger);
        let others = [
            State::Armed,
            State::OnAir,
            State::Stopping { outcome: Outcome::CutOperator },
            failed("another"),
            State::Done { outcome: Outcome::EndedMedia },
        ];
        for state in others {
            let mut turn = ledger.turn();
            assert!(!turn.claim(&armed(row.key.job.as_str(), start)).expect("an answer"), "its row stays for ever");
            turn.update(&Occurrence { state: state.clone(), ..row.clone() }).expect("decided");
            let error = turn.commit(start).expect_err("it is done");
            assert_eq!(error.to_string(), format!("the row of {} is not there or done already; 0 rows changed", row.key));
            assert!(!error.is_passing());
            let mut turn = ledger.turn();
            turn.remove(&row.key).expect("decided");
            turn.commit(start).expect_err("it is not armed");
        }
        assert_eq!(everything(&ledger), before, "{}", row.key);
    }
}

fn failed(code: &str) -> State {
    State::Done { outcome: Outcome::Failed(ingestd::occurrence::Failure::Code(code.to_owned())) }
}

/// Every value of every row of `occurrence`, as text.
fn everything(ledger: &Ledger) -> Vec<String> {
    let connection = raw(ledger);
    let mut statement = connection.prepare("SELECT * FROM occurrence ORDER BY id").expect("a statement");
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect::<rusqlite::Result<Vec<_>>>().map(|row| row.join(" "))
    });
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

#[test]
fn a_row_that_is_not_there_is_not_updated() {
    let (_folder, mut ledger) = ledger();
    let mut turn = ledger.turn();
    turn.update(&on_air("promo", at("2026-11-22T10:00:00Z"))).expect("decided");
    turn.commit(at("2026-11-22T10:00:00Z")).expect_err("there is no row");
    let mut turn = ledger.turn();
    turn.attempt(&armed("promo", at("2026-11-22T10:00:00Z"))).expect("decided");
    turn.commit(at("2026-11-22T10:00:00Z")).expect_err("there is no row");
}

#[test]
fn a_summary_stays_one_row_when_it_counts_more() {
    let (_folder, mut ledger) = ledger();
    let start = at("2026-11-22T10:00:00Z");
    let one = missed("promo", start, Outcome::Missed(MissedReason::Down));
    for count in 1..=3 {
        let end = End::Planned(start + SignedDuration::from_hours(count.into()));
        let mut turn = ledger.turn();
        turn.summarise(&Occurrence { kind: Kind::Summary, count, end, ..one.clone() }).expect("counted");
        turn.commit(start).expect("committed");
    }
    let connection = raw(&ledger);
    assert_eq!(count(&connection, "SELECT count(*) FROM occurrence"), 1);
    assert_eq!(count(&connection, "SELECT count FROM occurrence"), 3);
    assert_eq!(count(&connection, "SELECT (end_ms - start_ms) / 3600000 FROM occurrence"), 3);
}

#[test]
fn two_daemons_cannot_use_one_state_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let lock = Lock::take(folder.path()).expect("the first");
    let error = Lock::take(folder.path()).expect_err("the second").to_string();
    assert!(error.starts_with("another ingestd runs on `") && error.contains(&folder.path().display().to_string()), "{error}");
    drop(lock);
    Lock::take(folder.path()).expect("it was released");
    let error = Lock::take(&folder.path().join("absent")).expect_err("no such folder").to_string();
    assert!(error.starts_with("cannot open the lock `"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_the_ledger() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, mut ledger) = ledger();
    write(&mut ledger, &armed("promo", at("2026-11-22T10:00:00Z")));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        names.push(entry.file_name().to_string_lossy().into_owned());
        assert_eq!(mode, 0o600, "{}: {mode:o}", entry.path().display());
    }
    names.sort();
    assert_eq!(names, ["ingestd.db", "ingestd.db-shm", "ingestd.db-wal"]);
}

#[test]
fn no_column_is_for_a_secret() {
    let (_folder, mut ledger) = ledger();
    write(&mut ledger, &on_air("promo", at("2026-11-22T10:00:00Z")));
    let connection = raw(&ledger);
    let columns = "SELECT t.name || '.' || c.name FROM pragma_table_list t, pragma_table_info(t.name) c WHERE t.schema = 'main' \
        AND t.name NOT LIKE 'sqlite_%' UNION SELECT 'spec.' || j.key FROM occurrence, json_each(occurrence.spec) j";
    let mut statement = connection.prepare(columns).expect("a statement");
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).expect("names").collect::<Result<_, _>>().expect("names");
    assert!(names.contains(&"spec.stream".to_owned()) && names.contains(&"call.request_id".to_owned()), "{names:?}");
    let telling = ["secret", "sig", "token", "password", "credential", "key", "auth"];
    let suspects: Vec<_> = names.iter().filter(|name| telling.iter().any(|word| name.contains(word))).collect();
    // `meta.key` is the name of an entry, and not a secret key.
    assert_eq!(suspects, ["meta.key"]);
}
