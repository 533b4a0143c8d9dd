//! Few descriptors, and clients that take them and say nothing: the daemon lives, its shows start on time, and whoever asks is answered.

use std::fs::File;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::rig::{Rig, get, looping, soon, wait_until};

/// A busy machine is so late at most.
const LATE: Duration = Duration::from_secs(2);

#[test]
fn idle_connections_under_a_low_limit_of_descriptors_delay_no_start_and_lock_nobody_out() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    let start = soon(6);
    let jobs: Vec<String> = (0..10).map(|number| looping(&format!("show-{number}"), start, "1h")).collect();
    rig.jobs(&jobs.concat());
    let log = rig.path("stderr-few");
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ingestd")]);
    let mut daemon = rig.spawn(&mut shell, File::create(&log).expect("writable"), log);
    wait_until("the daemon is ready", || daemon.log().contains(" ready ").then_some(()));
    let page = daemon.page();
    let mut idle = Vec::new();
    while jiff::Timestamp::now() < start + LATE {
        if idle.len() < 200 {
            idle.push(TcpStream::connect(page).expect("it listens"));
        }
        assert_eq!(get(page, "/healthz"), "ok\n");
    }
    for number in 0..10 {
        let job = format!("show-{number}");
        rig.wait_on_air(&job);
        let [arrival] = &rig.arrived(&job)[..] else { panic!("one start") };
        assert!(arrival.at >= start && arrival.at < start + LATE, "{}", arrival.at);
    }
    assert!(daemon.runs());
    drop(idle);
    daemon.stop();
}
