//! A station of many rows: no question reads them all, by what PostgreSQL says it read. Does not know how fast that is. Without PostgreSQL
//! the test prints `left out: ...`.

use std::time::{Duration, Instant};

use ingestd::ledger::postgres::indexes;
use ingestd::ledger::{HistoryQuery, Ledger, Place, Reader, RoomQuery};
use jiff::{SignedDuration, Timestamp};

use super::at;
use super::both::{shared, station, take, wait};
use super::filling::write;
use super::postgres::Database;
use super::rows::ended;

/// Shows of 100 jobs, one every ten minutes, each with a window of two hours: each fourth in one busy room, the rest in 75 others.
const SHOWS: u32 = 20_000;

/// The most rows that a question may read: more than any needs, and far fewer than there are.
const READ_MAX: u64 = 1_500;

/// Fills the station with copies of its one row: of a thousand one failed, one was cut because its job was removed, and one
/// took two days more.
const FILL: &str = "DO $$ DECLARE names text; made text; BEGIN
    SELECT string_agg(column_name, ', '), string_agg(CASE
        WHEN column_name = 'id' THEN 't.id + n'
        WHEN column_name = 'job' THEN '''show-'' || n % 100'
        WHEN column_name = 'spec' THEN 'jsonb_set(t.spec::jsonb, ''{room}'', to_jsonb(''room-'' || CASE n % 4 WHEN 0 THEN 0 ELSE n % 100 END))::text'
        WHEN column_name = 'outcome' THEN 'CASE n % 997 WHEN 5 THEN ''failed'' WHEN 6 THEN ''cut'' ELSE t.outcome END'
        WHEN column_name = 'reason' THEN 'CASE n % 997 WHEN 5 THEN ''lost'' WHEN 6 THEN ''removed'' ELSE t.reason END'
        WHEN column_name IN ('end_ms', 'ended_ms') THEN 't.' || column_name
            || ' + n * 600000::bigint + CASE n % 997 WHEN 7 THEN 172800000 ELSE 0 END'
        WHEN column_name LIKE '%\\_ms' THEN 't.' || column_name || ' + n * 600000::bigint'
        ELSE 't.' || column_name END, ', ')
    INTO names, made FROM information_schema.columns WHERE table_schema = 'ingestd_main' AND table_name = 'occurrence';
    EXECUTE format('INSERT INTO ingestd_main.occurrence (%s) SELECT %s FROM ingestd_main.occurrence t, generate_series(1, SHOWS) n',
        names, made);
    INSERT INTO ingestd_main.job (id, first_seen_ms) SELECT DISTINCT job, 0 FROM ingestd_main.occurrence;
END $$";

/// How many rows of occurrences, and entries of their indexes, were read until now. It is known when those who read are gone.
fn read(database: &Database) -> u64 {
    let begin = Instant::now();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ingestd' AND datname = current_database()";
    while database.psql(others) != "0" {
        assert!(begin.elapsed() < Duration::from_secs(30), "a connection stays");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let all = "SELECT t.seq_tup_read + t.idx_tup_fetch + sum(i.idx_tup_read) FROM pg_stat_user_tables t JOIN pg_stat_user_indexes i \
        USING (relid) WHERE t.relname = 'occurrence' GROUP BY t.seq_tup_read, t.idx_tup_fetch";
    database.psql(all).parse().expect("a number")
}

type Question<'a> = Box<dyn Fn(&Reader) -> usize + 'a>;

#[test]
fn no_question_to_a_station_of_many_rows_reads_them_all() {
    let Some((database, mut ledger)) = shared() else { return };
    let first = at("2026-01-01T00:00:00Z");
    write(&mut ledger, &ended("first", first));
    drop(ledger);
    database.psql(&FILL.replace("SHOWS", &SHOWS.to_string()));
    wait(indexes::build(&station(&database))).expect("built");
    database.psql("ANALYZE");
    let now = first + SignedDuration::from_mins(10 * i64::from(SHOWS));
    let middle = first + SignedDuration::from_mins(5 * i64::from(SHOWS));
    let all = || HistoryQuery { limit: 100, ..HistoryQuery::default() };
    let job = || HistoryQuery { job: Some("show-7".to_owned()), ..all() };
    let room = |room: &str| HistoryQuery { room: Some(RoomQuery::parse(room).expect("a room")), ..all() };
    let of = |outcome: &str, query| HistoryQuery { outcome: Some(outcome.to_owned()), ..query };
    let until = |query| HistoryQuery { until_ms: Some(middle.as_millisecond()), ..query };
    let day = |start: Timestamp| start..start + SignedDuration::from_hours(24);
    let history = |query: HistoryQuery| move |reader: &Reader| reader.history(&query).expect("readable").len();
    let questions: [(&str, usize, Question<'_>); 17] = [
        ("the newest", 100, Box::new(history(all()))),
        ("before a time", 100, Box::new(history(until(all())))),
        ("of a job", 100, Box::new(history(job()))),
        ("of a job before a time", 100, Box::new(history(until(job())))),
        ("of a busy room", 100, Box::new(history(room("main/room-0")))),
        ("of a busy room before a time", 100, Box::new(history(until(room("room-0"))))),
        ("of a quiet room", 100, Box::new(history(room("room-7")))),
        ("of a quiet room before a time", 100, Box::new(history(until(room("main/room-7"))))),
        ("that ended", 100, Box::new(history(of("ended", all())))),
        ("that failed", 21, Box::new(history(of("failed", all())))),
        ("of a room, that were cut", 1, Box::new(history(of("cut", room("room-6"))))),
        // A day has 144; 11 of two hours began before it, and one of two days before the middle.
        ("a day in the middle", 144 + 12, Box::new(|reader| reader.rows_in(&day(middle), 20_000).expect("readable").0.len())),
        (
            "the last day",
            144 + 11,
            Box::new(|reader| reader.rows_in(&day(now - SignedDuration::from_hours(24)), 20_000).expect("readable").0.len()),
        ),
        ("trouble", 1, Box::new(|reader| reader.trouble(now - SignedDuration::from_hours(24), 100).expect("readable").len())),
        ("on air", 0, Box::new(|reader| reader.on_air().expect("readable").len())),
        ("the newest that were sent", 60, Box::new(|reader| reader.newest_sent(now, 60).expect("readable").len())),
        ("the newest of a job", 1, Box::new(|reader| usize::from(reader.latest("show-7", now).expect("readable").is_some()))),
    ];
    for (what, rows, ask) in questions {
        let before = read(&database);
        // A station keeps a connection for whoever reads next: it goes with it.
        let found = ask(&Reader::open_at(&Place::Station(station(&database))).expect("readable"));
        let read = read(&database) - before;
        println!("{what}: {found} rows, {read} were read");
        assert_eq!(found, rows, "{what}");
        assert!(read <= READ_MAX, "{what}: {read} were read for {found} rows");
    }
    let before = read(&database);
    let term = take(&database, true);
    let open_after = now - SignedDuration::from_hours(8);
    let recovered =
        Ledger::open_station(&station(&database), term).and_then(|ledger| ledger.recover(open_after)).expect("readable");
    assert_eq!((recovered.occurrences.len(), recovered.failed.len(), recovered.removed.len()), (0, 1, 1));
    assert!(read(&database) - before <= READ_MAX, "what a new daemon takes over");
}
