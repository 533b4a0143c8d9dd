//! What only a ledger that several hosts share must do: its tables are those of a file, a commit that nobody acknowledged is looked for, and
//! who has lost the air writes nothing. Without PostgreSQL each test prints `left out: ...`.

use std::sync::Arc;

use ingestd::engine::{Write, Writes};
use ingestd::ledger::postgres::{Address, Station, indexes};
use ingestd::ledger::sources::{self, Sources};
use ingestd::ledger::{Ledger, Place, Reader};
use ingestd::occurrence::{End, Occurrence};
use ingestd::schedule::Source;
use ingestd_core::lease::Term;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use secrecy::SecretString;

use super::both::{shared, station, take, wait};
use super::filling::write;
use super::postgres::{Database, Server, url};
use super::proxy::{AtCommit, Cut, Proxy};
use super::rows::{armed, ended, fault};
use super::turn::BeginTurn as _;
use super::{at, ledger, raw};

/// What a claim of a show writes.
fn claim(row: &Occurrence, call: i64) -> Writes {
    let mut writes = Writes::default();
    writes.push(Write::Record(Box::new(row.clone())));
    writes.push(Write::Attempt { key: row.key.clone(), call, attempt: 1 });
    writes
}

fn promo() -> Occurrence {
    armed("promo", at("2026-11-22T10:00:00Z"))
}

/// Every column of every table, and whether it may be empty.
fn columns_of_a_file(file: &Connection) -> Vec<String> {
    let sql = "SELECT t.name || '.' || c.name || CASE WHEN c.pk > 0 OR c.\"notnull\" THEN ' not null' ELSE '' END \
        FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY 1";
    let mut statement = file.prepare(sql).expect("SQL");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("texts")
}

#[test]
fn a_station_has_the_columns_of_a_file_and_two_things_more() {
    let Some((database, _ledger)) = shared() else { return };
    let (_folder, file) = ledger();
    let sql = "SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END \
        FROM information_schema.columns WHERE table_schema = 'ingestd_main' ORDER BY 1";
    let found = database.psql(sql);
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    let mut expected = columns_of_a_file(&raw(&file));
    for more in ["accepted.generation not null", "accepted.sources not null", "call.term not null"] {
        expected.push(more.to_owned());
    }
    expected.sort_unstable();
    assert_eq!(found, expected);
    let other = database.psql(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'ingestd_main' \
        AND NOT (data_type = 'bigint' OR (data_type = 'text' AND collation_name IS NOT DISTINCT FROM 'C'))",
    );
    assert_eq!(other, "0", "numbers are BIGINT, and texts are compared byte by byte");
}

#[test]
fn a_commit_that_nobody_acknowledged_is_looked_for_and_permits_one_start() {
    for what in [AtCommit::CutBefore, AtCommit::CutAfter, AtCommit::HoldBefore, AtCommit::HoldAfter] {
        let Some(database) = Database::new() else { return };
        let term = take(&database, false);
        let proxy = Proxy::to_database(Server::shared().expect("it runs").address());
        let by_proxy = Address::parse(&SecretString::from(url(&[proxy.address()], database.name()))).expect("a URL");
        let direct = Arc::clone(station(&database).address());
        let station = Station::new("main", Arc::new(by_proxy), Some(direct)).expect("a name");
        let mut ledger = Ledger::open_station(&station, term).expect("a ledger");
        proxy.at_commit(what, "INSERT INTO call");
        let row = promo();
        let error = ledger.commit(claim(&row, 1), row.key.start).expect_err("nobody acknowledged it");
        assert!(error.is_passing() && ledger.is_behind(), "{what:?}: {error}");
        assert_eq!(proxy.fired(), 1, "{what:?}");
        // What holds the row of the station on the server ends with the connection that was cut.
        proxy.cut(Cut::Fin);
        let mut more = Writes::default();
        more.push(Write::Cursor { at: row.key.start });
        let mut attempts = Vec::new();
        let mut tries = 0;
        while ledger.is_behind() || tries == 0 {
            match ledger.commit(std::mem::take(&mut more), row.key.start) {
                Ok(permitted) => attempts = permitted,
                Err(error) => assert!(error.is_passing() && tries < 10, "{what:?}: {error}"),
            }
            tries += 1;
        }
        assert_eq!(attempts.iter().map(|attempt| (attempt.key().clone(), attempt.call())).collect::<Vec<_>>(), [(row.key, 1)]);
        assert_eq!(database.psql("SELECT count(*), count(DISTINCT occurrence), max(term) FROM ingestd_main.call"), "1|1|1");
        assert_eq!(ledger.meta().expect("readable").cursor, Some(at("2026-11-22T10:00:00Z")), "{what:?}");
    }
}

#[test]
fn a_connection_that_was_ended_while_nobody_used_it_costs_nothing() {
    let Some((database, mut ledger)) = shared() else { return };
    let row = promo();
    ledger.commit(claim(&row, 1), row.key.start).expect("committed");
    let ended = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = current_database() \
        AND usename = 'ingestd'";
    assert_eq!(database.psql(ended), "t");
    let other = armed("other", row.key.start);
    assert_eq!(ledger.commit(claim(&other, 2), row.key.start).expect("committed").len(), 1);
    assert_eq!(database.psql(ended), "t");
    assert!(ledger.has(&other.key, true).expect("an answer"));
}

#[test]
fn who_has_lost_the_air_writes_nothing() {
    let Some((database, mut ledger)) = shared() else { return };
    let next = take(&database, true);
    assert_eq!(next, Term(2));
    let row = promo();
    let error = ledger.commit(claim(&row, 1), row.key.start).expect_err("another owns the air");
    assert!(error.is_deposed() && !error.is_passing(), "{error}");
    assert!(
        Ledger::open_station(&station(&database), Term(1)).is_ok_and(|mut ledger| ledger.mark_restored(row.key.start).is_err())
    );
    assert_eq!(database.psql("SELECT count(*) FROM ingestd_main.occurrence"), "0");
    let mut ledger = Ledger::open_station(&station(&database), next).expect("a ledger");
    assert_eq!(ledger.commit(claim(&row, 1), row.key.start).expect("committed").len(), 1);
    assert_eq!(database.psql("SELECT term FROM ingestd_main.call"), "2");
}

#[test]
fn who_has_the_same_term_since_a_take_over_was_lost_writes_nothing() {
    let Some((database, _)) = shared() else { return };
    let owner = database.psql("SELECT owner FROM ingestd.station");
    let of = |id: &str| Ledger::open_station(&station(&database).for_process(id), Term(1)).expect("its tables are there");
    let row = promo();
    let error = of("somebody else").commit(claim(&row, 1), row.key.start).expect_err("another has the term");
    assert!(error.is_deposed(), "{error}");
    assert_eq!(of(&owner).commit(claim(&row, 1), row.key.start).expect("committed").len(), 1);
}

#[test]
fn a_start_that_was_armed_again_counts_under_the_lease_of_who_did_so_last() {
    let Some((database, mut ledger)) = shared() else { return };
    let row = promo();
    ledger.commit(claim(&row, 1), row.key.start).expect("committed");
    let ended = |ago: &str| {
        database.psql(&format!("UPDATE ingestd.station SET lease_end = clock_timestamp() - interval '{ago}'"));
    };
    ended("1 h");
    let mut second = Ledger::open_station(&station(&database), take(&database, false)).expect("a ledger");
    let mut writes = Writes::default();
    writes.push(Write::Rearm { key: row.key.clone(), attempt: row.attempts });
    assert_eq!(second.commit(writes, row.key.start).expect("committed").len(), 1);
    ended("3 s");
    let third = Ledger::open_station(&station(&database), take(&database, false)).expect("a ledger");
    let named = third.recover(Timestamp::MIN).expect("readable").may_still_leave;
    assert!(named.len() == 1 && named[0].1 > Timestamp::now(), "the second may have sent it, 3 s ago: {named:?}");
}

#[test]
fn a_start_that_the_owner_before_may_have_sent_is_named_with_the_end_of_its_lease() {
    let Some((database, mut ledger)) = shared() else { return };
    let row = promo();
    ledger.commit(claim(&row, 1), row.key.start).expect("committed");
    assert_eq!(ledger.recover(Timestamp::MIN).expect("readable").may_still_leave, [], "it is our own");
    let ended = "UPDATE ingestd.station SET lease_end = clock_timestamp() - interval '3 s'";
    database.psql(ended);
    let next = take(&database, false);
    let successor = Ledger::open_station(&station(&database), next).expect("a ledger");
    let now = Timestamp::now();
    let named = successor.recover(Timestamp::MIN).expect("readable").may_still_leave;
    let [(key, until)] = &named[..] else { panic!("{named:?}") };
    assert_eq!(*key, row.key);
    let rest = until.duration_since(now);
    assert!(rest > SignedDuration::from_secs(5) && rest <= SignedDuration::from_secs(10), "13 s after the lease: {rest:?}");
    // Counted once, however many take over.
    database.psql(ended);
    let third = Ledger::open_station(&station(&database), take(&database, false)).expect("a ledger");
    let again = third.recover(Timestamp::MIN).expect("readable").may_still_leave;
    assert!(again.len() == 1 && again[0].1.duration_since(*until).abs() < SignedDuration::from_secs(1), "{again:?} {until}");
    database.psql("UPDATE ingestd.term SET released_at = clock_timestamp()");
    assert_eq!(third.recover(Timestamp::MIN).expect("readable").may_still_leave, []);
}

#[test]
fn a_text_with_a_nul_is_kept_without_it() {
    let Some((_database, mut ledger)) = shared() else { return };
    let row = Occurrence { fault: Some(fault(None, "a\0b")), ..promo() };
    ledger.commit(claim(&row, 1), row.key.start).expect("committed");
    let found = ledger.recover(Timestamp::MIN).expect("readable").occurrences;
    assert_eq!(found[0].fault, Some(fault(None, "a\u{fffd}b")));
}

#[test]
fn accepted_sources_are_kept_by_the_owner_and_read_by_everybody() {
    let Some((database, _ledger)) = shared() else { return };
    let texts = [Source { name: Arc::from("a.yaml"), text: "jobs: {}\n".to_owned() }];
    let (owner, others) = (Sources::of_owner(station(&database), Term(1)), Sources::at(Place::from(station(&database))));
    assert!(others.load(1).expect("readable").is_none());
    for generation in [9, 10, 11] {
        owner.save(generation, &[]).expect("writable");
    }
    owner.save(2, &texts).expect("writable");
    assert!(sources::same(&others.load(2).expect("readable").expect("kept"), &texts));
    owner.prune(&[2, 11]);
    assert_eq!(others.numbers(), [11, 10, 2]);
    assert_eq!(others.next_number(11), 12);
    assert!(others.save(12, &texts).expect_err("a standby keeps nothing").to_string().contains("only the owner"));
    take(&database, true);
    assert!(owner.save(12, &texts).is_err(), "another owns the air");
    assert_eq!(others.numbers(), [11, 10, 2]);
}

#[test]
fn a_station_that_nobody_made_is_told_from_one() {
    let Some(database) = Database::new() else { return };
    let place = Place::from(station(&database));
    let told =
        |result: Result<Reader, ingestd::ledger::LedgerError>| result.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(told(Reader::open_at(&place)).contains("has the daemon ever run?"), "{}", told(Reader::open_at(&place)));
    take(&database, false);
    assert!(told(Reader::open_at(&place)).contains("has the daemon ever run?"));
}

#[test]
fn a_station_gets_its_indexes_beside_play_and_one_that_was_cut_off_is_built_again() {
    let Some((database, mut ledger)) = shared() else { return };
    let station = station(&database);
    // Of two days. It is found without the index, too.
    let start = at("2026-11-22T10:00:00Z");
    let end = start + SignedDuration::from_hours(48);
    write(&mut ledger, &Occurrence { end: End::Planned(end), ended_at: Some(end), ..ended("long", start) });
    let mut turn = ledger.turn();
    turn.record_job_seen("long", start).expect("a job");
    turn.commit(start).expect("committed");
    let is_found = || {
        let reader = Reader::open_at(&Place::Station(station.clone())).expect("readable");
        let rows = |from: Timestamp| reader.rows_in(&(from..from + SignedDuration::from_hours(1)), 10).expect("readable").0.len();
        [rows(end - SignedDuration::from_secs(1)), rows(end)]
    };
    assert_eq!(is_found(), [1, 0]);
    let added = || {
        let of =
            "FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname ~ '^occurrence_(room|outcome_|failed|removed|long)'";
        database.psql(&format!("SELECT relname || CASE WHEN indisvalid THEN '' ELSE ' (of no use)' END {of} ORDER BY relname"))
    };
    assert_eq!(added(), "");
    wait(indexes::build(&station)).expect("built");
    let all =
        "occurrence_failed\noccurrence_long\noccurrence_outcome_job\noccurrence_outcome_room\noccurrence_removed\noccurrence_room";
    // By the index, and not by its job.
    database.psql("DELETE FROM ingestd_main.job");
    assert_eq!((added(), is_found()), (all.to_owned(), [1, 0]));
    database.psql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ingestd_main.occurrence_room'::regclass");
    assert_ne!(added(), all);
    wait(indexes::build(&station)).expect("built");
    assert_eq!(added(), all);
    drop(ledger);
}

#[test]
fn a_server_that_only_follows_is_read() {
    let Some(primary) = Server::start() else { return };
    let standby = Server::standby_of(&primary);
    let hosts = |servers: &[&Server]| {
        let addresses: Vec<_> = servers.iter().map(|server| server.address()).collect();
        Arc::new(Address::parse(&SecretString::from(url(&addresses, "ingestd"))).expect("a URL"))
    };
    let term = super::both::take_at(&hosts(&[&primary]), false);
    let station = Station::new("main", hosts(&[&primary, &standby]), None).expect("a name");
    let mut ledger = Ledger::open_station(&station, term).expect("a ledger");
    let row = promo();
    ledger.commit(claim(&row, 1), row.key.start).expect("committed");
    primary.wait_replayed_by(&standby);
    primary.stop(super::postgres::Stop::Fast);
    let reader = Reader::open_at(&Place::from(station)).expect("the standby answers");
    assert_eq!(reader.occurrence("promo", row.key.start).expect("readable"), Some(row.clone()));
    let error = ledger.commit(claim(&armed("other", row.key.start), 2), row.key.start).expect_err("it cannot be written");
    assert!(error.is_passing(), "{error}");
}
