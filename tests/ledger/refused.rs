//! Files that are no ledger of this program are refused with advice, and left alone. Does not know what older files hold.

use std::fs;

use ingestd::ledger::{Ledger, Reader};

use crate::migrations::{V1, V10, file_of, schema};

#[test]
fn a_ledger_of_a_newer_version_is_refused_with_advice_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(file_of(folder.path(), V1));
    let newer = file_of(folder.path(), "PRAGMA user_version = 99;");
    let before = schema(&newer);
    let errors = [
        Ledger::open(folder.path()).map(drop).expect_err("it is newer"),
        Reader::open(folder.path()).map(drop).expect_err("it is newer"),
    ];
    for error in errors.map(|error| error.to_string()) {
        let file = folder.path().join(ingestd::ledger::FILE);
        assert!(error.contains(&file.display().to_string()), "{error}");
        assert!(error.contains("a newer ingestd wrote it (version 99, this one knows 10)"), "{error}");
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
    drop(file_of(folder.path(), V10));
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
