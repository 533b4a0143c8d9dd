//! Every released file loads, for ever; one from the future is refused with advice.

use std::fs;
use std::path::Path;

use ingestd::ledger::{HistoryQuery, Ledger, Reader, VERSION};
use ingestd::occurrence::{Adopted, Occurrence, Outcome};
use rusqlite::Connection;

use super::{ledger, raw};

/// A ledger as version 1 wrote it, one row of each state.
const V1: &str = include_str!("../fixtures/ledger/v1.sql");

/// The same of version 2.
const V2: &str = include_str!("../fixtures/ledger/v2.sql");

fn schema(connection: &Connection) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name";
    let mut statement = connection.prepare(sql).expect("a statement");
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    // How it is laid out does not matter.
    rows.map(|sql| sql.expect("text").split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn file_of(folder: &Path, script: &str) -> Connection {
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
    assert_eq!(again.meta().expect("readable"), ingestd::ledger::Meta::default());
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
    assert_eq!(VERSION, 2, "a newer one needs a fixture of its own");
    assert_eq!(schema(&raw(&ledger().1)), schema(&file_of(folder.path(), V2)));
}

#[test]
fn what_only_version_2_knows_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V2));
    let ledger = Ledger::open(folder.path()).expect("it loads");
    let rows = ledger.recover().expect("readable");
    let row = |job: &str| rows.iter().find(|row| row.key.job.as_str() == job).expect("it is open");
    assert_eq!(row("calling").wanted, Some(Outcome::CutOperator));
    assert_eq!((row("on-air").heals.len(), row("on-air").restarts), (2, 2));
    assert_eq!(row("stopping").adopted, Some(Adopted::FromWaiting));
    let orphans = ledger.recover_orphans().expect("readable");
    assert_eq!((orphans.len(), orphans[0].task_id.as_str(), orphans[0].likely_job.as_deref()), (1, "-orphan", Some("calling")));
}

#[test]
fn a_ledger_of_version_1_loads_with_everything_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V1));
    let ledger = Ledger::open(folder.path()).expect("it loads");
    let query = HistoryQuery { limit: 1_000, ..HistoryQuery::default() };
    let rows = Reader::open(folder.path()).and_then(|reader| reader.history(&query)).expect("readable");
    let told: Vec<_> = rows.iter().map(tell).collect();
    assert_eq!(
        told,
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
    assert_eq!(ledger.recover().expect("readable").len(), 5);
    let tasks = ledger.recover_tasks().expect("readable");
    assert_eq!(tasks.iter().map(|task| task.task_id.as_str()).collect::<Vec<_>>(), ["-on+air.", "-stopping"]);
    let meta = ledger.meta().expect("readable");
    assert_eq!((meta.generation, meta.cursor.map(|at| at.to_string()).as_deref()), (12, Some("2026-11-22T10:00:05Z")));
}

fn tell(row: &Occurrence) -> String {
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

#[test]
fn a_ledger_of_a_newer_version_is_refused_with_advice_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V1));
    let newer = file_of(folder.path(), "PRAGMA user_version = 99;");
    let before = schema(&newer);
    let errors = [
        Ledger::open(folder.path()).map(drop).expect_err("it is from the future"),
        Reader::open(folder.path()).map(drop).expect_err("it is from the future"),
    ];
    for error in errors.map(|error| error.to_string()) {
        let file = folder.path().join(ingestd::ledger::FILE);
        assert!(error.contains(&file.display().to_string()), "{error}");
        assert!(error.contains("a newer ingestd wrote it (version 99, this one knows 2)"), "{error}");
        assert!(error.contains("run that one, or restore a backup from before the upgrade"), "{error}");
    }
    assert_eq!(schema(&newer), before);
}

#[test]
fn a_file_that_is_not_a_ledger_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(ingestd::ledger::FILE);
    let letter = "this is a letter, and not a database".repeat(100).into_bytes();
    // The first page of a good file, with its list of tables overwritten.
    drop(file_of(folder.path(), V2));
    let mut damaged = fs::read(&file).expect("readable");
    damaged[100..2_000].fill(0xff);
    for (content, words) in [(letter, "file is not a database"), (damaged, "database disk image is malformed")] {
        fs::write(&file, &content).expect("writable");
        for error in [Ledger::open(folder.path()).map(drop), Reader::open(folder.path()).map(drop)] {
            let error = error.expect_err(words).to_string();
            assert!(error.contains(words) && error.contains(&file.display().to_string()), "{error}");
            assert!(error.ends_with("; restore a backup of it, or move it away to begin a new one"), "{error}");
        }
        assert_eq!(fs::read(&file).expect("readable"), content);
    }
}
