//! Signals that come before the daemon is ready, signals that mean nothing to it, an environment that means to end it, and what others may
//! see of its memory.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, Mode};
use rustix::process::Signal;

use super::rig::{Process, Rig, looping, soon, wait_until};

/// Whether the process handles a signal.
fn handles(process: &Process, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
    let caught = u64::from_str_radix(caught.trim(), 16).unwrap_or_default();
    caught >> (signal.as_raw() - 1) & 1 == 1
}

/// A daemon that waits for its settings, which come from a pipe, and the end that they are written to.
fn waiting_for_settings(rig: &Rig) -> (Process, impl FnOnce()) {
    let (settings, pipe) = (rig.path("ingestd.yaml"), rig.path("pipe"));
    let text = fs::read(&settings).expect("it was written");
    rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
    fs::rename(&pipe, &settings).expect("ours");
    let process = rig.start();
    wait_until("it handles signals", || handles(&process, Signal::USR2).then_some(()));
    let write = move || {
        let mut writer = OpenOptions::new().write(true).open(&settings).expect("it is read");
        // Later looks at the settings find a file.
        fs::write(&pipe, &text).expect("writable");
        fs::rename(&pipe, &settings).expect("ours");
        writer.write_all(&text).expect("it is read");
    };
    (process, write)
}

#[test]
fn a_signal_that_comes_before_the_settings_are_read_ends_nothing() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3), "1h"));
    let (mut process, write) = waiting_for_settings(&rig);
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2] {
        process.signal(signal);
    }
    write();
    rig.wait_on_air("show");
    assert!(process.runs());
    for said in ["nothing changed", "SIGUSR1 is ignored", "SIGUSR2 is ignored"] {
        wait_until(said, || process.log().contains(said).then_some(()));
    }
    process.stop();
}

#[test]
fn a_stop_that_comes_before_it_is_ready_is_obeyed_before_anything_begins() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(2), "1h"));
    let (mut process, write) = waiting_for_settings(&rig);
    process.signal(Signal::TERM);
    write();
    assert_eq!(process.exit_code(), Some(0), "{}", process.log());
    assert!(process.log().contains("stopped before anything was begun") && rig.rows().is_empty(), "{}", process.log());
}

#[test]
fn an_environment_that_asks_for_no_threads_is_not_asked() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(2), "1h"));
    let log = rig.path("stderr-threads");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    let process = rig.spawn(command.env_clear().env("TOKIO_WORKER_THREADS", "0"), File::create(&log).expect("writable"), log);
    rig.wait_on_air("show");
    process.stop();
}

/// The user of whom nothing else is.
const NOBODY: u32 = 65_534;

/// Gives a folder with all that is in it to another user.
fn give(path: &Path, user: u32) {
    std::os::unix::fs::chown(path, Some(user), Some(user)).expect("the superuser may");
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("readable") {
            give(&entry.expect("an entry").path(), user);
        }
    }
}

#[test]
fn nobody_else_reads_its_memory_and_no_file_with_it_is_written() {
    let rig = Rig::new(Vec::new());
    rig.jobs(&looping("show", soon(3600), "1h"));
    let is_root = rustix::process::geteuid().is_root();
    let log = rig.path("stderr-memory");
    let stderr = File::create(&log).expect("writable");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    if is_root {
        // The superuser reads everything, so that the daemon and its neighbour are somebody else.
        give(&rig.path(""), NOBODY);
        command.uid(NOBODY).gid(NOBODY);
    }
    let process = rig.spawn(command.env_clear(), stderr, log);
    wait_until("the daemon is ready", || process.log().contains(" ready ").then_some(()));
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("it is listed");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    let memory = format!("/proc/{}/mem", process.id());
    assert_eq!(fs::metadata(&memory).expect("it runs").uid(), 0, "it belongs to the superuser");
    let mut neighbour = Command::new("cat");
    if is_root {
        neighbour.uid(NOBODY).gid(NOBODY);
    }
    let read = neighbour.arg(format!("/proc/{}/maps", process.id())).output().expect("cat runs");
    assert!(!read.status.success() && read.stdout.is_empty(), "{}", String::from_utf8_lossy(&read.stdout));
    process.stop();
}
