//! A schedule file of very many problems, with the real program under a limit of memory: the daemon lives and plays on, and what it says
//! and what it takes are bounded. The limit is on what a process may write to (`RLIMIT_DATA`). The size of its address space
//! (`RLIMIT_AS`) would say little: an allocator reserves 64 MB of it for each thread and uses hardly any.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use ingestd::occurrence::State;
use serde_json::Value;

use super::rig::{Process, Rig, get, looping, soon, wait_at_most};

/// The memory that the daemon may have, in kB.
const MEMORY_KB: u64 = 384 * 1024;
/// What is said of one reading of a file, in bytes.
const SAID_MAX: usize = 200_000;
/// A file of 20 MB takes a while to read, more so in a program that is not optimised, on a busy machine.
const READ_MAX: Duration = Duration::from_mins(4);

/// So many keys that nobody knows.
fn keys(count: usize) -> String {
    let keys = (0..count).map(|number| format!("bad-key-number-{number}: 1\n"));
    std::iter::once("timezone: UTC\n".to_owned()).chain(keys).collect()
}

/// A daemon under the limit, which logs to `log`.
fn limited(rig: &Rig, log: &str) -> Process {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_ingestd");
    command.arg("-c").arg(format!("ulimit -d {MEMORY_KB} && exec \"$0\" \"$@\"")).arg(program).env_clear();
    let log = rig.path(log);
    rig.spawn(&mut command, File::create(&log).expect("writable"), log)
}

/// The most memory that it had, in kB.
fn peak(daemon: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    line.and_then(|peak| peak.parse().ok()).expect("a number")
}

#[test]
fn a_file_of_800_000_bad_keys_is_refused_at_boot_in_few_words() {
    let rig = Rig::new(Vec::new());
    rig.schedule(&keys(800_000));
    let mut daemon = limited(&rig, "stderr-boot");
    assert_eq!(daemon.exit_code_within(READ_MAX), Some(78));
    let said = daemon.log();
    assert!(said.contains(" more errors: only the first "), "{}", &said[said.len() - 300..]);
    assert!(said.len() < SAID_MAX, "{} bytes", said.len());
}

#[test]
fn a_file_of_800_000_bad_keys_leaves_the_last_good_schedule_in_force_within_384_mb() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    rig.watched();
    let good = looping("show", soon(3), "1h");
    rig.jobs(&good);
    rig.started().stop();

    // At boot, beside the schedule that was kept.
    rig.schedule(&keys(800_000));
    let daemon = limited(&rig, "stderr-kept");
    wait_at_most(READ_MAX, "the daemon is ready", || daemon.log().contains(" ready ").then_some(()));
    wait_at_most(READ_MAX, "it is on air", || rig.row("show").filter(|row| row.state == State::OnAir).map(drop));
    let at_boot = daemon.log().len();
    let rejected = "the schedule was rejected; the last good one stays in force";
    assert!(at_boot < SAID_MAX && daemon.log().matches(rejected).count() == 1, "{at_boot} bytes");
    let status = get(daemon.page(), "/api/v1/status");
    assert!(status.len() < SAID_MAX, "{} bytes", status.len());
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["health"], "degraded");
    let reason = status["reasons"][0].as_str().expect("a reason");
    assert!(reason.contains("more than ") && reason.contains("bad-key-number-0"), "{reason}");

    // The same text once more: the log has it already.
    rig.schedule(&keys(800_000));
    let again = || daemon.log().contains("the problems are the same as before");
    wait_at_most(READ_MAX, "it was read again", || again().then_some(()));
    let grown = daemon.log().len() - at_boot;
    assert!(grown < 10_000, "{grown} bytes more");

    // At a reload, by hand, with problems that are new.
    rig.schedule(&keys(800_000).replace("bad-key", "worse-key"));
    let (code, _, said) = rig.verb(&["reload"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("worse-key-number-0") && said.len() < SAID_MAX, "{said}");
    let grown = daemon.log().len() - at_boot;
    assert!(grown < SAID_MAX, "{grown} bytes more");
    let peak = peak(&daemon);
    println!("a file of 800,000 bad keys: at most {peak} kB of memory, {at_boot} and {grown} bytes of log");
    assert!(peak < MEMORY_KB, "{peak} kB");

    // What was on air is on air, and a good file is taken up.
    assert!(rig.row("show").is_some_and(|row| !row.is_done() && row.attempts == 1));
    rig.jobs(&format!("{good}{}", looping("next", soon(600), "10m")));
    wait_at_most(READ_MAX, "the good file is in force", || daemon.log().contains("is in force: 2 jobs").then_some(()));
    daemon.stop();
}
