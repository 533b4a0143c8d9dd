//! A disk that fills up while streams are on air: a small file system of its own, filled for real. It must mount one, and prints
//! `left out: ...` where that is not allowed.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use ingestd::occurrence::{MissedReason, Outcome, State};
use ingestd::sandbox::EndReason;

use super::rig::{Rig, looping, soon, wait_for, wait_until};

/// A mounted file system of one megabyte, gone with its value.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn mount(folder: &Path) -> Option<Small<'_>> {
        fs::create_dir_all(folder).expect("writable");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Small(folder))
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).expect("it is made");
        let mut block = 4096;
        while block > 0 {
            if file.write_all(&vec![1; block]).is_err() {
                block /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).expect("it is there");
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Lazily: the daemon of a case that failed may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_disk_that_fills_up_takes_nothing_off_the_air_and_loses_nothing() {
    let rig = Rig::new(Vec::new());
    let state = rig.path("state");
    let Some(disk) = Small::mount(&state) else {
        eprintln!("left out: this user may not mount a small file system");
        return;
    };
    let start = soon(3);
    let seconds = std::time::Duration::from_secs;
    rig.jobs(
        &[
            looping("long", start, "24s"),
            looping("ends", start, "8s"),
            looping("late", start + seconds(9), "14s"),
            looping("never", start + seconds(9), "4s"),
        ]
        .concat(),
    );
    let mut daemon = rig.started();
    let [long, ends] = ["long", "ends"].map(|job| rig.wait_on_air(job));
    wait_until("its armed starts would be far", || (jiff::Timestamp::now() >= start + seconds(1)).then_some(()));
    disk.fill();
    // Its end comes while nothing can be written: it is still stopped on time.
    let task = wait_until("it is stopped", || rig.tasks("ends").into_iter().find(|task| !task.runs()));
    let (ended, why) = task.ended.expect("it ended");
    assert_eq!(why, EndReason::Stopped);
    assert!(ended.duration_since(start + seconds(8)).as_secs() < 2, "{ended}");
    wait_for(start + seconds(14));
    assert!(daemon.runs(), "{}", daemon.log());
    assert!(rig.arrived("late").is_empty() && rig.arrived("never").is_empty(), "nothing leaves without a row");
    assert_eq!(rig.row("ends").map(|row| row.state), Some(State::OnAir), "as it was written last");
    assert!(daemon.log().contains("the ledger cannot be written"), "{}", daemon.log());
    disk.empty();
    let late = rig.wait_on_air("late");
    let outcomes = ["ends", "never", "late", "long"].map(|job| rig.wait_done(job).state);
    let done = |outcome| State::Done { outcome };
    let expected = [
        done(Outcome::EndedPlanned),
        done(Outcome::Missed(MissedReason::Disk)),
        done(Outcome::EndedPlanned),
        done(Outcome::EndedPlanned),
    ];
    assert_eq!(outcomes, expected, "{}", daemon.log());
    assert_eq!((rig.tasks("long").len(), long.attempts, ends.attempts, late.attempts), (1, 1, 1, 1));
    let said = daemon.log();
    assert!(said.contains("the ledger can be written again") && !said.contains("panicked"), "{said}");
    daemon.stop();
}
