//! What is done for the ledger while a daemon writes it: old rows go and nothing that is open or owed, a copy has the rows of one moment,
//! and damage is found.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use ingestd::engine::{Write, Writes};
use ingestd::ledger::{
    FILE, HistoryQuery, KEPT_ALWAYS, Ledger, Place, Pruned, Reader, Retention, backup, chore_done_at, integrity, prune,
    record_chore,
};
use ingestd::occurrence::{MissedReason, Occurrence, Outcome};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::filling::write;
use crate::rows::{ended, missed, on_air};
use crate::{at, count, ledger, raw};

const NOW: &str = "2026-11-22T12:00:00Z";

fn days_ago(days: i64) -> Timestamp {
    at(NOW) - SignedDuration::from_hours(24 * days)
}

/// Everything before `until` is settled.
fn settle(ledger: &mut Ledger, until: Timestamp) {
    let mut writes = Writes::default();
    writes.push(Write::Cursor { at: until });
    ledger.commit(writes, until).expect("committed");
}

/// The shows of the ledger in a folder, oldest first.
fn shows(folder: &Path) -> Vec<String> {
    let reader = Reader::open(folder).expect("readable");
    let query = HistoryQuery { limit: 100_000, ..HistoryQuery::default() };
    let rows: Vec<Occurrence> = reader.history(&query).expect("rows");
    rows.iter().rev().map(|row| row.key.job.to_string()).collect()
}

fn age(days: i64) -> Retention {
    Retention { keep: Some(SignedDuration::from_hours(24 * days)), most: None }
}

/// A ledger of shows of many ages, in every state.
fn filled() -> (tempfile::TempDir, Ledger) {
    let (folder, mut ledger) = ledger();
    for (job, row) in [
        ("old", ended("old", days_ago(100))),
        ("old-missed", missed("old-missed", days_ago(90), Outcome::Missed(MissedReason::Down))),
        ("old-on-air", on_air("old-on-air", days_ago(80))),
        ("young", ended("young", days_ago(5))),
        ("today", ended("today", days_ago(1))),
    ] {
        assert_eq!(row.key.job.as_str(), job);
        write(&mut ledger, &row);
    }
    settle(&mut ledger, at(NOW));
    (folder, ledger)
}

#[test]
fn what_is_too_old_goes_and_what_is_open_stays_whatever_its_age() {
    let (folder, ledger) = filled();
    let pruned = prune(&Place::from(folder.path()), age(30), at(NOW)).expect("pruned");
    assert_eq!(pruned, Pruned { occurrences: 2, others: 0, left: 3 });
    assert_eq!(shows(folder.path()), ["old-on-air", "young", "today"]);
    let raw = raw(&ledger);
    assert_eq!(count(&raw, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    assert_eq!(count(&raw, "SELECT count(*) FROM call"), 3, "their requests went with them");
}

#[test]
fn a_task_that_may_play_and_a_start_in_doubt_keep_their_row() {
    let (folder, ledger) = filled();
    let raw = raw(&ledger);
    raw.execute_batch(
        "INSERT INTO task (occurrence, task_id, app, sdk_app_id, region, started_ms, stop_tries, alerted)
             SELECT id, 't', 'main', 1, 'r', 0, 0, 0 FROM occurrence WHERE job = 'old';
         INSERT INTO doubt (occurrence, sent_ms, until_ms, was_found) SELECT id, 0, 0, 0 FROM occurrence WHERE job = 'old-missed'",
    )
    .expect("rows");
    assert_eq!(prune(&Place::from(folder.path()), age(30), at(NOW)).expect("pruned").occurrences, 0);
    raw.execute_batch("UPDATE task SET gone_ms = 1, verified = 1; DELETE FROM doubt").expect("over");
    assert_eq!(prune(&Place::from(folder.path()), age(30), at(NOW)).expect("pruned").occurrences, 2);
    assert_eq!(count(&raw, "SELECT count(*) FROM task WHERE task_id = 't'"), 0);
}

#[test]
fn nothing_goes_that_is_not_settled_or_of_the_last_two_days_however_little_is_kept() {
    let (folder, mut ledger) = filled();
    let nothing = Retention { keep: Some(SignedDuration::ZERO), most: Some(0) };
    settle(&mut ledger, days_ago(95));
    assert_eq!(
        prune(&Place::from(folder.path()), nothing, at(NOW)).expect("pruned").occurrences,
        1,
        "the cursor stands behind the others"
    );
    settle(&mut ledger, at(NOW));
    prune(&Place::from(folder.path()), nothing, at(NOW)).expect("pruned");
    assert_eq!(shows(folder.path()), ["old-on-air", "today"]);
    assert!(KEPT_ALWAYS > at(NOW).duration_since(days_ago(1)));
}

#[test]
fn of_too_many_the_oldest_go_and_the_number_that_is_kept_is_exact() {
    let (folder, mut ledger) = ledger();
    let first = days_ago(30);
    // Many start at one instant: they span several batches.
    for number in 0..1_300 {
        let start = if number < 700 { first } else { first + SignedDuration::from_secs(number) };
        write(&mut ledger, &missed(&format!("show-{number}"), start, Outcome::Missed(MissedReason::Down)));
    }
    settle(&mut ledger, at(NOW));
    let most = |most| Retention { keep: None, most: Some(most) };
    assert_eq!(
        prune(&Place::from(folder.path()), most(600), at(NOW)).expect("pruned"),
        Pruned { occurrences: 700, others: 0, left: 600 }
    );
    assert_eq!(shows(folder.path()).first().map(String::as_str), Some("show-700"));
    assert_eq!(prune(&Place::from(folder.path()), most(600), at(NOW)).expect("pruned").occurrences, 0);
    assert_eq!(prune(&Place::from(folder.path()), most(1), at(NOW)).expect("pruned").left, 1);
}

#[test]
fn what_operators_did_goes_with_its_age() {
    let (folder, _ledger) = filled();
    for days in [50, 40, 10] {
        record_chore(&Place::from(folder.path()), "backup", "anna", days_ago(days), Ok("good")).expect("written");
    }
    assert_eq!(prune(&Place::from(folder.path()), age(30), at(NOW)).expect("pruned").others, 2);
}

/// A table whose rows belong to an occurrence and that nobody thought of here would keep rows of nothing, since foreign keys are off.
#[test]
fn every_table_that_belongs_to_an_occurrence_is_pruned_with_it() {
    let (_folder, ledger) = ledger();
    let raw = raw(&ledger);
    let sql = "SELECT DISTINCT m.name FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND f.\"table\" = \
               'occurrence' ORDER BY m.name";
    let mut statement = raw.prepare(sql).expect("a query");
    let tables: Vec<String> = statement.query_map([], |row| row.get(0)).expect("rows").map(|name| name.expect("a name")).collect();
    assert_eq!(
        tables,
        ["call", "doubt", "task"],
        "`src/ledger/prune.rs` knows them: `CHILDREN`, and `doubt`, which keeps its occurrence"
    );
}

#[test]
fn a_copy_has_the_rows_of_one_moment_and_opens_as_a_ledger() {
    let (folder, mut ledger) = filled();
    let to = folder.path().join("copies");
    let made = backup(&Place::from(folder.path()), &to, None, at(NOW)).expect("a copy");
    assert!(made.path.ends_with("ingestd-20261122T120000.000Z.db"), "{}", made.path.display());
    write(&mut ledger, &ended("later", days_ago(0)));
    assert_eq!(fs::metadata(&made.path).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&to).expect("a folder").count(), 1, "one file alone");
    let restored = tempfile::tempdir().expect("a folder");
    fs::copy(&made.path, restored.path().join(FILE)).expect("copied");
    drop(Ledger::open(restored.path()).expect("it opens"));
    let before: Vec<String> = shows(folder.path()).into_iter().filter(|show| show != "later").collect();
    assert_eq!(shows(restored.path()), before);
}

#[test]
fn the_newest_copies_are_kept_and_other_files_are_left_alone() {
    let (folder, _ledger) = filled();
    let to = folder.path().join("copies");
    fs::create_dir(&to).expect("a folder");
    for name in ["notes.txt", "ingestd-mine.db", "ingestd-20200101T000000.000Z.db.part"] {
        fs::write(to.join(name), "x").expect("written");
    }
    let made: Vec<_> = (0..4)
        .map(|hour| backup(&Place::from(folder.path()), &to, Some(2), at(NOW) + SignedDuration::from_hours(hour)).expect("a copy"))
        .collect();
    assert_eq!(made.iter().map(|made| made.deleted).collect::<Vec<_>>(), [0, 0, 1, 1]);
    let mut names: Vec<_> = fs::read_dir(&to).expect("a folder").map(|entry| entry.expect("a file").file_name()).collect();
    names.sort();
    let expected = ["ingestd-20261122T140000.000Z.db", "ingestd-20261122T150000.000Z.db", "ingestd-mine.db", "notes.txt"];
    assert_eq!(names, expected, "what a crash left half made is gone");
}

#[test]
fn a_copy_that_cannot_be_made_leaves_nothing_behind_and_the_old_ones_alone() {
    let (folder, ledger) = filled();
    let to = folder.path().join("copies");
    backup(&Place::from(folder.path()), &to, None, at(NOW)).expect("a copy");
    drop(ledger);
    fs::write(folder.path().join(FILE), "no ledger at all, but long enough to be read as one".repeat(100)).expect("written");
    for name in ["ingestd.db-wal", "ingestd.db-shm"] {
        let _ = fs::remove_file(folder.path().join(name));
    }
    let error = backup(&Place::from(folder.path()), &to, Some(1), at("2026-11-23T12:00:00Z")).expect_err("no ledger").to_string();
    assert!(error.contains("not a database"), "{error}");
    assert_eq!(fs::read_dir(&to).expect("a folder").count(), 1);
    assert!(backup(&Place::Folder(folder.path().join("nowhere")), &to, None, at(NOW)).is_err());
}

#[test]
fn a_copy_that_can_be_read_and_is_not_whole_gets_no_name() {
    let (folder, ledger) = filled();
    let raw = raw(&ledger);
    let lost = "PRAGMA foreign_keys = OFF; INSERT INTO call (occurrence, action, attempt) VALUES (999999, 'x', 1)";
    raw.execute_batch(lost).expect("written");
    let found = "a row of `call` refers to a row of `occurrence` that is not there";
    assert_eq!(integrity(&Place::from(folder.path())).expect("readable"), [found]);
    let copies = folder.path().join("copies");
    let error = backup(&Place::from(folder.path()), &copies, None, at(NOW)).expect_err("it is not whole").to_string();
    assert!(error.ends_with(&format!("the copy is not good: {found}")), "{error}");
    assert_eq!(fs::read_dir(copies).expect("a folder").count(), 0);
}

#[test]
fn damage_is_found_and_a_damaged_ledger_makes_no_copy() {
    let (folder, mut ledger) = ledger();
    for number in 0..300 {
        write(&mut ledger, &ended(&format!("show-{number}"), days_ago(30) + SignedDuration::from_secs(number)));
    }
    assert_eq!(integrity(&Place::from(folder.path())).expect("readable"), [""; 0]);
    let path = ledger.path().to_owned();
    drop(ledger);
    Connection::open(&path).expect("it opens").execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("written");
    let (file, length) = (fs::OpenOptions::new().write(true).open(&path).expect("ours"), fs::metadata(&path).expect("there").len());
    for page in 8..length / 4096 {
        file.write_all_at(&[0x5a; 64], page * 4096 + 8).expect("written");
    }
    let problems = integrity(&Place::from(folder.path())).unwrap_or_else(|error| vec![error.to_string()]);
    assert!(!problems.is_empty() && problems.len() <= 20, "{problems:?}");
    let copies = folder.path().join("copies");
    backup(&Place::from(folder.path()), &copies, None, at(NOW)).expect_err("a damaged copy is none");
    assert_eq!(fs::read_dir(copies).expect("a folder").count(), 0);
}

#[test]
fn what_was_done_and_when_is_remembered_and_what_failed_is_not_done() {
    let (folder, ledger) = ledger();
    assert_eq!(chore_done_at(&Place::from(folder.path()), "backup").expect("readable"), None);
    record_chore(&Place::from(folder.path()), "backup", "ingestd", at(NOW), Ok("good")).expect("written");
    record_chore(&Place::from(folder.path()), "backup", "ingestd", at("2026-11-23T12:00:00Z"), Err("no space")).expect("written");
    assert_eq!(chore_done_at(&Place::from(folder.path()), "backup").expect("readable"), Some(at(NOW)));
    assert_eq!(count(&raw(&ledger), "SELECT count(*) FROM act WHERE what = 'backup' AND detail = 'failed: no space'"), 1);
}
