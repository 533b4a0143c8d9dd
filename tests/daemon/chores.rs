//! The chores of the real program: at their time, by hand, and a backup that is put in the place of a lost ledger.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use ingestd::ledger::FILE;
use ingestd::occurrence::{MissedReason, Outcome, State};

use super::rig::{Rig, looping, soon, wait_at_most, wait_for};

#[test]
fn a_chore_is_done_at_its_time_and_the_verbs_do_the_same_by_hand() {
    let rig = Rig::new(Vec::new());
    rig.more_settings("chores:\n  backup: {to: copies, keep: 2, cron: '* * * * *'}\n  prune: {keep: 400d, cron: '* * * * *'}");
    rig.jobs(&looping("show", soon(3), "1h"));
    let daemon = rig.started();
    rig.wait_on_air("show");
    let copies = || fs::read_dir(rig.path("copies")).map_or(0, Iterator::count);
    let minute = Duration::from_secs(75);
    let log = wait_at_most(minute, "both chores are done", || {
        let log = daemon.log();
        (log.contains("the chore `backup` is done") && log.contains("the chore `prune` is done: 0 occurrences")).then_some(log)
    });
    assert!(copies() >= 1, "{log}");
    assert!(!log.contains("Uninited"), "the scheduler's own words: {log}");
    let (code, said, problems) = rig.verb(&["backup", "--to", &rig.path("mine").display().to_string()]);
    assert_eq!(code, Some(0), "{problems}");
    assert!(said.contains("mine/ingestd-") && said.ends_with("looked through; 0 older deleted\n"), "{said}");
    let (code, said, problems) = rig.verb(&["prune", "--keep", "2d"]);
    assert_eq!((code, said.as_str()), (Some(0), "0 occurrences and 0 other rows deleted, 1 occurrences left\n"), "{problems}");
    let (code, _, problems) = rig.verb(&["prune", "--keep", "1d"]);
    assert_eq!(code, Some(2));
    assert!(problems.contains("expected at least 2d"), "{problems}");
    assert_eq!(rig.row("show").map(|row| row.state), Some(State::OnAir));
    daemon.stop();
}

#[test]
fn of_a_backup_that_was_restored_nothing_is_started_that_was_planned_before() {
    let rig = Rig::new(Vec::new());
    let start = soon(6);
    let jobs = looping("show", start, "1h");
    rig.jobs(&jobs);
    let daemon = rig.started();
    let (code, said, problems) = rig.verb(&["backup", "--to", &rig.path("copies").display().to_string()]);
    assert_eq!(code, Some(0), "{said}{problems}");
    rig.wait_on_air("show");
    daemon.kill();

    let copy = fs::read_dir(rig.path("copies")).expect("a folder").next().expect("a copy").expect("a file").path();
    for name in ["ingestd.db-wal", "ingestd.db-shm"] {
        let _ = fs::remove_file(rig.path("state").join(name));
    }
    fs::copy(copy, rig.path("state").join(FILE)).expect("writable");
    wait_for(start + jiff::SignedDuration::from_secs(1));
    let next = soon(6);
    rig.jobs(&format!("{jobs}{}", looping("next", next, "1h")));
    let log = rig.path("stderr-restored");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec \"$0\" \"$@\" --as-of now", env!("CARGO_BIN_EXE_ingestd")]).env_clear();
    let daemon = rig.spawn(&mut shell, File::create(&log).expect("writable"), log);
    let row = rig.wait_done("show");
    assert_eq!(row.state, State::Done { outcome: Outcome::Missed(MissedReason::Restored) });
    rig.wait_on_air("next");
    daemon.kill();
    // The ledger remembers it.
    let daemon = rig.started();
    rig.wait_on_air("next");
    assert_eq!(rig.row("show").expect("a row").state, State::Done { outcome: Outcome::Missed(MissedReason::Restored) });
    assert_eq!(rig.arrived("show").len(), 1, "it plays on, as far as the vendor knows");
    daemon.stop();
}
