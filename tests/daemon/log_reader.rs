//! A reader of the log that does not read: the pipe is full, and the daemon does its work and ends all the same.

use std::io::Write as _;
use std::time::Duration;

use ingestd::occurrence::{Outcome, State};
use ingestd::sandbox::EndReason;
use rustix::process::Signal;

use super::rig::{Rig, looping, soon};

/// A busy machine is so late at most.
const LATE: Duration = Duration::from_secs(2);
/// The wait for the reader at the end, and a busy machine.
const SECONDS: Duration = Duration::from_secs(8);

#[test]
fn a_full_pipe_stops_neither_a_start_nor_a_stop_nor_the_end() {
    let rig = Rig::new(Vec::new());
    let start = soon(2);
    rig.jobs(&looping("show", start, "4s"));
    let (unread, mut pipe) = std::io::pipe().expect("a pipe");
    let bytes = rustix::pipe::fcntl_setpipe_size(&pipe, 4096).expect("a small pipe");
    pipe.write_all(&vec![b'\n'; bytes]).expect("so much fits");
    let mut daemon = rig.start_logging_to(pipe, rig.path("nothing"));
    assert_eq!(rig.wait_done("show").state, State::Done { outcome: Outcome::EndedPlanned });
    let [arrival] = &rig.arrived("show")[..] else { panic!("one start") };
    assert!(arrival.at >= start && arrival.at < start + LATE, "{}", arrival.at);
    let [task] = &rig.tasks("show")[..] else { panic!("one task") };
    let (ended, why) = task.ended.expect("it is off the air");
    let end = start + Duration::from_secs(4);
    assert!(why == EndReason::Stopped && ended >= end && ended < end + LATE, "{ended}");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.exit_code_within(SECONDS), Some(0));
    drop(unread);
}
