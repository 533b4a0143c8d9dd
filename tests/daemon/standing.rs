//! A disk that stands while streams are on air: what is on air is stopped on time, and the status and `/healthz` tell of it. Once with
//! another process that holds the ledger, which works everywhere; once with a file system that is frozen, which takes a privileged user and
//! a loop device, and says `left out: ...` without them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ingestd::ledger::FILE;
use ingestd::occurrence::{Outcome, State};
use ingestd::sandbox::{EndReason, SandboxTask};
use jiff::Timestamp;
use rusqlite::Connection;

use super::rig::{PATIENCE, Process, Rig, get, looping, soon, wait_for, wait_until};

/// A busy machine is so late at most.
const LATE: Duration = Duration::from_secs(2);
/// From the begin of the stand to the end of a show.
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// The status line of an answer, whatever it is.
fn first_line(page: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(page).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Three shows: one ends while the disk stands, one was armed before it stood, one begins meanwhile.
fn jobs(rig: &Rig, start: Timestamp) {
    let later = looping("later", start + SECONDS(9), "12s");
    rig.jobs(&[looping("ends", start, "8s"), later, looping("long", start, "25s")].concat());
}

/// What must be while the disk stands from 3 s after the start to 16 s after it. Nothing here reads the ledger.
fn stands(rig: &Rig, daemon: &mut Process, start: Timestamp) {
    let page = daemon.page();
    let task = wait_until("it is stopped", || rig.tasks("ends").into_iter().find(|task| !task.runs()));
    let (ended, why) = task.ended.expect("it ended");
    let end = start + SECONDS(8);
    assert!(why == EndReason::Stopped && ended >= end && ended < end + LATE, "{ended}, {end}");
    wait_until("it is told", || first_line(page, "/healthz").contains(" 503 ").then_some(()));
    let status = wait_until("the status tells", || {
        let status = get(page, "/api/v1/status");
        status.contains("has not answered for ").then_some(status)
    });
    assert!(status.contains("\"health\":\"failing\""), "{status}");
    wait_for(start + SECONDS(14));
    assert!(rig.arrived("later").is_empty(), "nothing leaves without a row");
    assert!(rig.tasks("long").iter().all(SandboxTask::runs) && daemon.runs(), "{}", daemon.log());
}

/// What must be when the disk answers again.
fn is_over(rig: &Rig, daemon: Process) {
    let later = rig.wait_on_air("later");
    let outcomes = ["ends", "later", "long"].map(|job| rig.wait_done(job).state);
    let planned = || State::Done { outcome: Outcome::EndedPlanned };
    assert_eq!(outcomes, [planned(), planned(), planned()], "{}", daemon.log());
    assert_eq!((later.attempts, rig.arrived("later").len(), rig.arrived("long").len()), (1, 1, 1));
    wait_until("it is well again", || first_line(daemon.page(), "/healthz").contains(" 200 ").then_some(()));
    let said = daemon.log();
    assert!(said.contains("what is on air is watched and stopped all the same") && said.contains("can be written again"), "{said}");
    daemon.stop();
}

#[test]
fn a_ledger_that_another_process_holds_stops_no_stop_and_is_told() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let start = soon(3);
    jobs(&rig, start);
    let mut daemon = rig.started();
    rig.wait_on_air("ends");
    rig.wait_on_air("long");
    wait_for(start + SECONDS(2));
    let other = Connection::open(rig.path("state").join(FILE)).expect("it opens");
    other.busy_timeout(PATIENCE).expect("a setting");
    other.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    stands(&rig, &mut daemon, start);
    other.execute_batch("ROLLBACK").expect("it ends");
    is_over(&rig, daemon);
}

/// A small file system of its own, gone with its value.
struct Loop {
    folder: PathBuf,
}

impl Loop {
    fn mount(image: &Path, folder: &Path) -> Option<Loop> {
        std::fs::create_dir_all(folder).expect("writable");
        let file = std::fs::File::create(image).expect("writable");
        file.set_len(24 << 20).expect("it fits");
        let run = |program: &str, arguments: &[&str]| {
            let done = Command::new(program).args(arguments).arg(image).output();
            done.is_ok_and(|done| done.status.success())
        };
        let is_made = run("mkfs.ext4", &["-q", "-F"]);
        let mounted = is_made
            && Command::new("mount").args(["-o", "loop"]).args([image, folder]).output().is_ok_and(|done| done.status.success());
        let mounted = mounted.then(|| Loop { folder: folder.to_owned() })?;
        // Where it cannot be frozen it is of no use.
        (mounted.freeze(true) && mounted.freeze(false)).then_some(mounted)
    }

    fn freeze(&self, freeze: bool) -> bool {
        let done = Command::new("fsfreeze").arg(if freeze { "-f" } else { "-u" }).arg(&self.folder).output();
        done.is_ok_and(|done| done.status.success())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Thawed first: whoever waits for it could not even be killed.
        let _ = self.freeze(false);
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

#[test]
fn a_file_system_that_is_frozen_stops_no_stop_and_is_told() {
    let rig = Rig::new(Vec::new());
    let Some(disk) = Loop::mount(&rig.path("image"), &rig.path("state")) else {
        eprintln!(
            "left out: this user may not mount and freeze a file system; the ledger that another process holds stands for it"
        );
        return;
    };
    rig.listen("127.0.0.1:0");
    let start = soon(3);
    jobs(&rig, start);
    let mut daemon = rig.started();
    rig.wait_on_air("ends");
    rig.wait_on_air("long");
    wait_for(start + SECONDS(2));
    assert!(disk.freeze(true), "it is frozen");
    stands(&rig, &mut daemon, start);
    assert!(disk.freeze(false), "it is thawed");
    is_over(&rig, daemon);
}
