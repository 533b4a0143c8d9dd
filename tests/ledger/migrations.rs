//! Every released file loads, for ever, and loses no row. What is refused is not known here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ingestd::alerts::AlertEvent;
use ingestd::ledger::{HistoryQuery, Ledger, Reader, VERSION};
use ingestd::occurrence::{Adopted, Evidence, Occurrence, Outcome, TaskFault};
use ingestd::trtc::callback::TaskNews;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::{ledger, raw};

/// A ledger as version 1 wrote it, one row of each state.
pub(crate) const V1: &str = include_str!("../fixtures/ledger/v1.sql");

/// A ledger as version 2 wrote it.
const V2: &str = include_str!("../fixtures/ledger/v2.sql");

/// A ledger as version 3 wrote it.
const V3: &str = include_str!("../fixtures/ledger/v3.sql");

/// A ledger as version 4 wrote it.
const V4: &str = include_str!("../fixtures/ledger/v4.sql");

/// A ledger as version 5 wrote it.
const V5: &str = include_str!("../fixtures/ledger/v5.sql");

/// A ledger as version 6 wrote it.
const V6: &str = include_str!("../fixtures/ledger/v6.sql");

/// A ledger as version 7 wrote it.
const V7: &str = include_str!("../fixtures/ledger/v7.sql");

/// A ledger as version 8 wrote it.
const V8: &str = include_str!("../fixtures/ledger/v8.sql");

/// A ledger as version 9 wrote it.
const V9: &str = include_str!("../fixtures/ledger/v9.sql");

/// A ledger as version 10 writes it.
pub(crate) const V10: &str = include_str!("../fixtures/ledger/v10.sql");

/// What version 3 dropped: no program ever wrote it. The one row of `alert` in the fixtures was written by hand; version 6 made another
/// table of that name.
const DROPPED: [&str; 9] = [
    "alert.at_ms",
    "alert.id",
    "alert.kind",
    "alert.occurrence",
    "alert.text",
    "alert.told_ms",
    "job.note",
    "job.paused_by",
    "job.paused_until_ms",
];

pub(crate) fn schema(connection: &Connection) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name";
    let mut statement = connection.prepare(sql).expect("a statement");
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    // Its layout does not matter.
    rows.map(|sql| sql.expect("text").split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

pub(crate) fn file_of(folder: &Path, script: &str) -> Connection {
    let connection = Connection::open(folder.join(ingestd::ledger::FILE)).expect("a file");
    connection.execute_batch(script).unwrap_or_else(|error| panic!("{error}"));
    connection
}

#[test]
fn a_new_file_gets_the_newest_schema_and_keeps_it() {
    let (folder, ledger) = ledger();
    let version: u32 = raw(&ledger).query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a number");
    assert_eq!(version, VERSION);
    let before = schema(&raw(&ledger));
    drop(ledger);
    let again = Ledger::open(folder.path()).expect("it opens again");
    assert_eq!(schema(&raw(&again)), before);
    assert_eq!(again.meta().expect("readable"), ingestd::engine::Meta::default());
}

#[test]
fn a_file_that_was_made_and_never_written_becomes_a_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join(ingestd::ledger::FILE), "").expect("writable");
    let error = Reader::open(folder.path()).map(drop).expect_err("nothing is in it").to_string();
    assert!(error.contains("the daemon brings it up to date when it starts"), "{error}");
    Ledger::open(folder.path()).expect("an empty file is a new ledger");
    Reader::open(folder.path()).and_then(|reader| reader.meta()).expect("it can be read now");
}

#[test]
fn a_released_schema_does_not_change() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(VERSION, 10, "a newer version needs a fixture of its own");
    assert_eq!(schema(&raw(&ledger().1)), schema(&file_of(folder.path(), V10)));
}

/// Each column of each table, with all its values in the order of the rows.
fn values(connection: &Connection) -> BTreeMap<String, Vec<String>> {
    let sql = "SELECT t.name, c.name FROM pragma_table_list t, pragma_table_info(t.name) c WHERE t.schema = 'main' \
        AND t.name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(sql).expect("a statement");
    let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("columns");
    let columns: Vec<(String, String)> = columns.collect::<Result<_, _>>().expect("names");
    let all = columns.into_iter().map(|(table, column)| {
        let mut sql = format!("SELECT {column} FROM {table}");
        if table != "outcome_reason" {
            sql += " ORDER BY rowid";
        }
        let mut statement = connection.prepare(&sql).expect("a statement");
        let rows = statement.query_map([], |row| Ok(format!("{:?}", row.get_ref(0)?))).expect("rows");
        (format!("{table}.{column}"), rows.collect::<Result<_, _>>().expect("values"))
    });
    all.collect()
}

#[test]
fn every_value_of_every_released_file_comes_through_every_migration() {
    for script in [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10] {
        let folder = tempfile::tempdir().expect("a folder");
        let before = values(&file_of(folder.path(), script));
        assert!(before["occurrence.id"].len() == 10 && before["task.id"].len() == 3 && !before["call.id"].is_empty());
        let ledger = Ledger::open(folder.path()).expect("it loads");
        let mut after = values(&raw(&ledger));
        let mut dropped = Vec::new();
        for (column, values) in before {
            let is_dropped = [V1, V2].contains(&script) && DROPPED.contains(&column.as_str());
            match after.remove(&column).filter(|_| !is_dropped) {
                Some(now) => assert_eq!(now, values, "{column}"),
                None => dropped.push(column),
            }
        }
        assert!(dropped.is_empty() || dropped == DROPPED, "{dropped:?}");
        for (column, values) in after.iter().filter(|(column, _)| column.starts_with("occurrence.")) {
            let is_empty = |value: &String| value == "Null" || *value == format!("{:?}", ValueRef::Text(b"[]"));
            assert!(values.iter().all(is_empty), "{column} is new: {values:?}");
        }
        assert_eq!(schema(&raw(&ledger)), schema(&raw(&self::ledger().1)), "the schema is that of a new file");
        // A reader opens it, and each row is read.
        let query = HistoryQuery { limit: 1_000, ..HistoryQuery::default() };
        let rows = Reader::open(folder.path()).and_then(|reader| reader.history(&query)).expect("readable");
        assert_eq!((rows.len(), ledger.recover(jiff::Timestamp::MIN).expect("readable").occurrences.len()), (10, 5));
    }
}

#[test]
fn a_new_reason_is_a_row_and_no_new_table() {
    let (folder, ledger) = ledger();
    let connection = raw(&ledger);
    let before = schema(&connection);
    let write = "INSERT INTO occurrence (job, start_ms, kind, count, generation, spec, state, outcome, reason, attempts, tries, \
        restarts, was_in_doubt, in_doubt, joined, error_in_a_row, heals, doubts) \
        VALUES ('promo', 1, 'planned', 1, 1, '{}', 'done', 'missed', 'eclipse', 0, 0, 0, 0, 0, 0, 0, '[]', '[]')";
    let error = connection.execute(write, []).expect_err("nobody knows this reason").to_string();
    assert!(error.contains("outcome_reason does not allow this outcome with this reason"), "{error}");
    connection.execute("INSERT INTO outcome_reason VALUES ('missed', 'eclipse')", []).expect("a new reason");
    assert_eq!(connection.execute(write, []).expect("it is legal now"), 1);
    for change in ["reason = 'sunset'", "outcome = 'skipped'", "outcome = 'ended', reason = 'operator'"] {
        let error = connection.execute(&format!("UPDATE occurrence SET {change}"), []).expect_err(change).to_string();
        assert!(error.contains("outcome_reason does not allow this outcome with this reason"), "{change}: {error}");
    }
    assert_eq!(schema(&connection), before);
    // A reason that rows may have cannot go away.
    for (sql, words) in [
        ("DELETE FROM outcome_reason WHERE reason = 'eclipse'", "a reason is never deleted"),
        ("UPDATE outcome_reason SET reason = 'sunset' WHERE reason = 'eclipse'", "a reason is never changed"),
    ] {
        let error = connection.execute(sql, []).expect_err(sql).to_string();
        assert!(error.contains(words), "{error}");
    }
    // This program does not know the reason, so the file is newer than the program.
    drop(ledger);
    for error in [Ledger::open(folder.path()).map(drop), Reader::open(folder.path()).map(drop)] {
        let error = error.expect_err("it is newer").to_string();
        assert!(error.contains("a newer ingestd wrote it (it knows the reason `missed (eclipse)`, this one does not)"), "{error}");
    }
}

#[test]
fn a_file_without_a_reason_of_this_program_gets_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = file_of(folder.path(), V3);
    old.execute_batch("DROP TRIGGER outcome_reason_delete; DELETE FROM outcome_reason WHERE outcome = 'skipped'")
        .expect("an old file");
    drop(old);
    let ledger = Ledger::open(folder.path()).expect("it loads");
    let expected = Outcome::without_code().map(|outcome| format!("{} ({})", outcome.name(), outcome.reason()));
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    let connection = raw(&ledger);
    let mut statement = connection.prepare("SELECT outcome || ' (' || reason || ')' FROM outcome_reason ORDER BY 1").expect("sql");
    let pairs = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    assert_eq!(pairs.collect::<Result<Vec<_>, _>>().expect("texts"), expected);
}

#[test]
fn what_only_version_2_knows_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V2));
    let ledger = Ledger::open(folder.path()).expect("it loads");
    let rows = ledger.recover(jiff::Timestamp::MIN).expect("readable").occurrences;
    let row = |job: &str| rows.iter().find(|row| row.key.job.as_str() == job).expect("it is open");
    assert_eq!(row("calling").wanted, Some(Outcome::CutOperator));
    assert_eq!((row("on-air").heals.len(), row("on-air").restarts), (2, 2));
    assert_eq!(row("stopping").adopted, Some(Adopted::FromWaiting));
    let orphans = ledger.recover(jiff::Timestamp::MIN).expect("readable").orphans;
    assert_eq!((orphans.len(), orphans[0].task_id.as_str(), orphans[0].likely_job.as_deref()), (1, "-orphan", Some("calling")));
}

#[test]
fn what_only_version_4_knows_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V4));
    let recovered = Ledger::open(folder.path()).and_then(|ledger| ledger.recover(jiff::Timestamp::MIN)).expect("it loads");
    let on_air = recovered.occurrences.iter().find(|row| row.key.job.as_str() == "on-air").expect("it is open");
    assert_eq!(recovered.orphans.iter().map(|orphan| orphan.of.clone()).collect::<Vec<_>>(), [vec![on_air.key.clone()], vec![]]);
    let callbacks: Vec<_> = recovered.callbacks.iter().map(|callback| (callback.task_id.as_str(), callback.news)).collect();
    assert_eq!(callbacks, [("-unknown", TaskNews::Started)]);
    let [doubt] = &recovered.doubts[..] else { panic!("one doubt") };
    assert_eq!((&doubt.key, doubt.was_found, doubt.bound), (&on_air.key, true, Some(doubt.until)));
    assert_eq!((&doubt.room, &doubt.robot), (&on_air.playout.room, &on_air.playout.robot));
    let reader = Reader::open(folder.path()).expect("it opens");
    // Its show is on air by another task, so it is told until its bound.
    let before = doubt.until - jiff::SignedDuration::from_secs(1);
    assert_eq!(reader.doubts(before).expect("readable"), recovered.doubts);
    assert_eq!(reader.doubts(doubt.until).expect("readable"), []);
}

#[test]
fn what_version_4_knows_of_what_was_seen_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V4));
    let ledger = Ledger::open(folder.path()).expect("it loads");
    let recovered = ledger.recover(jiff::Timestamp::MIN).expect("readable");
    let row = |job: &str| recovered.occurrences.iter().find(|row| row.key.job.as_str() == job).expect("it is open");
    let code = |fault: &Option<TaskFault>| fault.as_ref().and_then(|fault| fault.code.clone());
    assert_eq!((row("on-air").evidence, row("on-air").unseen_losses), (Some(Evidence::Seen), 0));
    assert_eq!((row("stopping").evidence, row("stopping").unseen_losses), (Some(Evidence::Unpulled), 2));
    assert_eq!(code(&row("stopping").task_fault).as_deref(), Some("UnauthorizedOperation"));
    let [on_air, stopping] = &recovered.tasks[..] else { panic!("{:?}", recovered.tasks) };
    assert_eq!((on_air.was_seen, on_air.is_unseen, on_air.unpulled_at), (true, true, None));
    assert_eq!(code(&on_air.describe_fault).as_deref(), Some("AuthFailure.SignatureFailure"));
    assert_eq!((stopping.unpulled_at.is_some(), code(&stopping.stop_fault).as_deref()), (true, Some("UnauthorizedOperation")));
}

#[test]
fn what_version_5_knows_of_who_gave_an_order_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V5));
    drop(Ledger::open(folder.path()).expect("it loads"));
    let query = HistoryQuery { outcome: Some("cut".to_owned()), limit: 1, ..HistoryQuery::default() };
    let rows = Reader::open(folder.path()).and_then(|reader| reader.history(&query)).expect("readable");
    assert_eq!(rows[0].ordered_by.as_deref(), Some("uid 1000 (anna)"));
}

#[test]
fn what_version_6_knows_of_alerts_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V6));
    let [open, over] = &Ledger::open(folder.path()).and_then(|ledger| ledger.alerts()).expect("it loads")[..] else {
        panic!("two alerts");
    };
    assert_eq!((open.alert.event, open.alert.key.as_str(), open.alert.count), (AlertEvent::Failed, "failed", 3));
    assert_eq!((open.alert.lasts, &open.alert.end, open.told.len()), (true, &None, 0));
    assert_eq!(open.alert.receivers, ["pager", "slack-1"]);
    assert_eq!(over.alert.end.as_ref().and_then(|end| end.text.as_deref()), Some("the ledger can be written again"));
    let [(receiver, told)] = &over.told[..] else { panic!("{:?}", over.told) };
    assert_eq!((receiver.as_str(), told.count, told.recovered), ("pager", 1, true));
    // One of an event that only a newer program knows keeps no daemon from starting.
    let ledger = Ledger::open(folder.path()).expect("it loads");
    raw(&ledger).execute("UPDATE alert SET event = 'eclipse' WHERE lasts = 1", []).expect("writable");
    assert_eq!(ledger.alerts().expect("readable").len(), 1);
}

#[test]
fn a_row_of_an_alert_that_cannot_be_read_costs_that_row_and_is_named() {
    for (change, left, named) in [
        ("UPDATE alert SET begun_ms = 9223372036854775807 WHERE lasts = 1", 1, "begun_ms"),
        ("UPDATE alert SET count = 9223372036854775807 WHERE lasts = 1", 1, "count"),
        ("UPDATE alert SET receivers = '{}' WHERE lasts = 1", 1, "receivers"),
        ("UPDATE alert_told SET at_ms = -9223372036854775807", 2, "at_ms"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        drop(file_of(folder.path(), V6));
        let ledger = Ledger::open(folder.path()).expect("it loads");
        raw(&ledger).execute(change, []).expect("writable");
        let mut unreadable = Vec::new();
        let kept = ledger.readable_alerts(&mut unreadable).expect("the file can be read");
        assert_eq!((kept.len(), unreadable.len()), (left, 1), "{change}: {unreadable:?}");
        println!("{}", unreadable[0]);
        assert!(
            unreadable[0].starts_with("the row `") && unreadable[0].contains(&format!("column `{named}`")),
            "{change}: {unreadable:?}"
        );
    }
}

#[test]
fn what_version_7_knows_of_what_operators_hold_back_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V7));
    drop(Ledger::open(folder.path()).expect("it loads"));
    let reader = Reader::open(folder.path()).expect("it opens");
    let query = HistoryQuery { outcome: Some("cut".to_owned()), limit: 1, ..HistoryQuery::default() };
    assert_eq!(reader.history(&query).expect("readable")[0].order_note.as_deref(), Some("the guest is late"));
    let holds = reader.holds().expect("readable");
    let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).expect("an instant");
    let held = |job: &str, start| {
        let held = holds.of(&ingestd::schedule::JobId::parse(job).expect("an id"), at(start), at(1_795_600_000_000));
        held.map(|held| (held.why.name(), held.until, held.source.note))
    };
    let note = Some("works in the hall".to_owned());
    assert_eq!(held("on-air", 1_795_600_000_000), Some(("pause", Some(at(1_795_607_200_000)), note)));
    assert_eq!(held("on-air", 1_795_607_200_000), Some(("pause", None, None)), "that of every job");
    assert_eq!(held("armed", 1_795_603_600_000), Some(("skip", None, None)));
    let recovered = Ledger::open(folder.path()).and_then(|ledger| ledger.recover(jiff::Timestamp::MIN)).expect("it loads");
    assert_eq!(ingestd::plan::holds::Holds::new(recovered.holds), holds);
    let excerpt = reader.excerpt(&ingestd::ledger::ExcerptQuery::Holds {}).expect("readable");
    assert_eq!(Reader::of_excerpt(&excerpt).and_then(|reader| reader.holds()).expect("rows"), holds);
}

#[test]
fn what_version_8_knows_of_a_fallback_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V9));
    let ledger = Ledger::open(folder.path()).expect("it loads");
    let recovered = ledger.recover(jiff::Timestamp::MIN).expect("readable");
    let show = recovered.occurrences.iter().find(|row| row.key.job.as_str() == "on-air").expect("it is open");
    assert!(show.plays_fallback() && !show.wants_other_source());
    assert_eq!(show.playout.stream.reveal(), "https://cdn.example.com/still.mp4?sign=2");
    let scheduled = show.playout.scheduled();
    assert_eq!(scheduled.stream.reveal(), "https://cdn.example.com/promo.mp4?sign=1");
    assert_eq!(scheduled.fallback.as_ref(), Some(&show.playout.stream));
    let trouble = show.fallback.trouble.expect("it has one");
    assert_eq!((trouble.why.name(), show.fallback.returns, show.fallback.is_refused), ("unpulled", 1, false));
    assert_eq!(show.fallback.played.iter().map(|played| played.to.is_some()).collect::<Vec<_>>(), [true, false]);
    // What leaves the daemon for a verb has none of the secrets.
    let reader = Reader::open(folder.path()).expect("it opens");
    let excerpt = reader.excerpt(&ingestd::ledger::ExcerptQuery::OnAir {}).expect("readable");
    let text = serde_json::to_string(&excerpt).expect("plain values");
    assert!(text.contains("still.mp4") && !text.contains("sign="), "{text}");
}

#[test]
fn a_ledger_of_version_1_loads_with_everything_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V1));
    let ledger = Ledger::open(folder.path()).expect("it loads");
    let query = HistoryQuery { limit: 1_000, ..HistoryQuery::default() };
    let rows = Reader::open(folder.path()).and_then(|reader| reader.history(&query)).expect("readable");
    let rows: Vec<_> = rows.iter().map(summary).collect();
    assert_eq!(
        rows,
        [
            "armed: armed, 1 attempts, main/lobby, ends Some(2026-11-22T12:00:00Z)",
            "calling: calling, 2 attempts, main/42, ends None",
            "waiting: waiting, 3 attempts, main/lobby, ends Some(2026-11-22T12:00:00Z), InternalError",
            "on-air: on_air, 1 attempts, main/lobby, ends Some(2026-11-22T12:00:00Z)",
            "stopping: stopping ended (planned), 1 attempts, main/lobby, ends Some(2026-11-22T09:30:00Z)",
            "ended: done ended (planned), 1 attempts, main/lobby, ends Some(2026-11-22T08:00:00Z)",
            "failed: done failed (AuthFailure.SecretIdNotFound), 1 attempts, main/lobby, ends None, AuthFailure.SecretIdNotFound",
            "missed: done missed (down), 0 attempts, main/lobby, ends Some(2026-11-22T07:00:00Z)",
            "cut: done cut (operator), 1 attempts, main/lobby, ends Some(2026-11-22T07:00:00Z)",
            "skipped: done skipped (conflict), 0 attempts, main/lobby, ends None",
        ]
    );
    assert_eq!(ledger.recover(jiff::Timestamp::MIN).expect("readable").occurrences.len(), 5);
    let tasks = ledger.recover(jiff::Timestamp::MIN).expect("readable").tasks;
    assert_eq!(tasks.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(), ["-on+air.", "-stopping"]);
    let meta = ledger.meta().expect("readable");
    assert_eq!((meta.generation, meta.cursor.map(|at| at.to_string()).as_deref()), (12, Some("2026-11-22T10:00:05Z")));
}

fn summary(row: &Occurrence) -> String {
    let outcome = match &row.state {
        ingestd::occurrence::State::Stopping { outcome } | ingestd::occurrence::State::Done { outcome } => {
            format!(" {} ({})", outcome.name(), outcome.reason())
        }
        _ => String::new(),
    };
    let fault = row.fault.as_ref().and_then(|fault| fault.code.clone()).map(|code| format!(", {code}")).unwrap_or_default();
    let (app, room) = (&row.playout.destination.app, &row.playout.room);
    let end = row.end.at();
    format!("{}: {}{outcome}, {} attempts, {app}/{room}, ends {end:?}{fault}", row.key.job, row.state.name(), row.attempts)
}
