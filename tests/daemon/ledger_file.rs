//! A ledger that somebody deletes, replaces or writes over while shows are on air, and what is refused at boot.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ingestd::ledger::FILE;
use ingestd::sandbox::EndReason;
use serde_json::Value;

use super::rig::{Process, Rig, get, looping, soon, wait_at_most, wait_until};

/// A busy machine is so late at most.
const LATE: Duration = Duration::from_secs(2);

fn ledger(rig: &Rig) -> PathBuf {
    rig.path("state").join(FILE)
}

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON")
}

/// Does something to the ledger while a show is on air, and another is to begin at its end.
fn harmed(harm: impl FnOnce(&Rig), words: &str) -> (Rig, Process) {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let start = soon(2);
    let end = start + Duration::from_secs(40);
    rig.jobs(&[looping("show", start, "40s"), looping("next", end, "1h")].concat());
    let mut daemon = rig.started();
    rig.wait_on_air("show");
    harm(&rig);
    wait_at_most(Duration::from_mins(1), "it is noticed", || {
        let status = status(&daemon);
        let reasons = status["reasons"].as_array().expect("a list");
        let reason = reasons
            .iter()
            .filter_map(Value::as_str)
            .find(|reason| reason.starts_with("the ledger cannot be written, so nothing is started") && reason.contains(words));
        reason.map(str::to_owned).filter(|_| status["health"] == "failing")
    });
    wait_until("it is told", || daemon.log().contains(words).then_some(()));
    assert_eq!(daemon.log().matches("what is on air is watched and stopped all the same").count(), 1, "{}", daemon.log());
    let task = wait_at_most(Duration::from_mins(1), "it is stopped", || rig.tasks("show").into_iter().find(|task| !task.runs()));
    let (ended, why) = task.ended.expect("it ended");
    assert!(why == EndReason::Stopped && ended >= end && ended < end + LATE, "{ended}, {end}");
    assert!(rig.arrived("next").is_empty(), "nothing leaves without a row");
    assert!(daemon.runs(), "{}", daemon.log());
    (rig, daemon)
}

#[test]
fn a_ledger_that_is_deleted_is_told_and_what_is_on_air_is_stopped() {
    let delete = |rig: &Rig| fs::remove_file(ledger(rig)).expect("ours");
    let (rig, daemon) = harmed(delete, "was deleted");
    assert!(!ledger(&rig).exists(), "none is begun beside running shows");
    daemon.stop();
    let daemon = rig.started();
    let said = daemon.log();
    assert!(said.contains("ERROR a new ledger is begun") && said.contains("its ledger is gone"), "{said}");
    daemon.stop();
}

#[test]
fn a_ledger_that_is_put_back_goes_on() {
    let away = |rig: &Rig| fs::rename(ledger(rig), rig.path("away")).expect("ours");
    let (rig, daemon) = harmed(away, "was deleted");
    fs::rename(rig.path("away"), ledger(&rig)).expect("ours");
    rig.wait_on_air("next");
    let said = daemon.log();
    assert!(said.contains("the ledger can be written again"), "{said}");
    daemon.stop();
}

#[test]
fn a_ledger_that_is_replaced_is_told_and_what_is_on_air_is_stopped() {
    let replace = |rig: &Rig| {
        let copy = rig.path("copy");
        fs::copy(ledger(rig), &copy).expect("readable");
        fs::rename(copy, ledger(rig)).expect("ours");
    };
    harmed(replace, "was replaced by another file").1.stop();
}

#[test]
fn a_ledger_that_is_written_over_is_told_and_what_is_on_air_is_stopped() {
    let garble = |rig: &Rig| {
        for end in ["", "-wal"] {
            let path = PathBuf::from(format!("{}{end}", ledger(rig).display()));
            let length = fs::metadata(&path).expect("it is there").len();
            // In place: the file stays the same, and only its content goes.
            let mut file = File::options().write(true).open(&path).expect("ours");
            let garbage = vec![0x5a; usize::try_from(length).expect("small")];
            std::io::Write::write_all(&mut file, &garbage).expect("written");
        }
    };
    let mut daemon = harmed(garble, "not a database").1;
    assert!(daemon.runs());
}

/// Starts a daemon that must refuse to, as another user where this one may do everything.
fn refused(rig: &Rig, user: Option<u32>) -> (Option<i32>, String) {
    let log = rig.path("stderr-refused");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let mut process = rig.spawn(command.env_clear(), File::create(&log).expect("writable"), log);
    (process.exit_code(), process.log())
}

#[test]
fn a_ledger_that_cannot_be_written_is_refused_before_anything_is_made_beside_it() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    rig.started().stop();
    let state = rig.path("state");
    let is_root = rustix::process::geteuid().is_root();
    let user = if is_root {
        // Everything of the state folder is another's, but the ledger.
        fs::set_permissions(rig.path(""), Permissions::from_mode(0o755)).expect("ours");
        fs::set_permissions(&state, Permissions::from_mode(0o777)).expect("ours");
        chown(state.join("ingestd.lock"), Some(65_534), None).expect("the superuser may");
        Some(65_534)
    } else {
        fs::set_permissions(&state, Permissions::from_mode(0o500)).expect("ours");
        None
    };
    let (code, said) = refused(&rig, user);
    fs::set_permissions(&state, Permissions::from_mode(0o700)).expect("ours");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: cannot write the f") && said.contains("`chown` gives it to the daemon's user"), "{said}");
    let mut names: Vec<_> = fs::read_dir(&state).expect("readable").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["accepted-1.json", FILE, "ingestd.lock"]);
}

#[test]
fn modes_that_let_others_read_are_set_right_at_boot_and_told_of_while_it_runs() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    rig.started().stop();
    fs::set_permissions(ledger(&rig), Permissions::from_mode(0o644)).expect("ours");
    let daemon = rig.started();
    let mode = || fs::metadata(ledger(&rig)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    assert!(daemon.log().contains("had the mode 0644: it is 0600 now"), "{}", daemon.log());
    fs::set_permissions(ledger(&rig), Permissions::from_mode(0o666)).expect("ours");
    wait_at_most(Duration::from_mins(1), "it is told", || daemon.log().contains("has the mode 0666: expected 0600").then_some(()));
    daemon.stop();
}
