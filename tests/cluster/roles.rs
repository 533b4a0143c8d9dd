//! Who may own: two nodes at once, different folders, an older program, a clock that is off, a release.

use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;

use super::again::both_at_once;
use super::cluster::{Cluster, LEASE, role};
use super::deaths::late;
use super::rig::{looping, soon, wait_for, wait_until};

#[test]
fn of_two_that_start_at_once_one_owns() {
    let times: usize = std::env::var("INGESTD_BOOTS").ok().and_then(|times| times.parse().ok()).unwrap_or(20);
    for number in 0..times {
        let Some(cluster) = Cluster::new(Vec::new()) else { return };
        let start = soon(4);
        cluster.jobs(&looping("show", start, "2s"));
        both_at_once(&cluster);
        cluster.wait_arrived("show", 1);
        for node in &cluster.nodes {
            node.kill9();
        }
        assert_eq!(cluster.arrived("show"), 1, "round {number}");
        cluster.keeps_secrets();
    }
}

#[test]
fn a_release_hands_over_at_once_and_no_stream_leaves_the_air() {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    let (on_air, due) = (soon(16), soon(26));
    // One is on air, and others begin around the release.
    let job = |number: u32| looping(&format!("due-{number}"), due + Duration::from_secs(u64::from(number)), "30s");
    cluster.jobs(&(looping("stays", on_air, "1m") + &(0..4).map(job).collect::<String>()));
    let (first, second) = cluster.started();
    cluster.wait_on_air("stays");
    wait_for(due + Duration::from_millis(500));
    first.signal(Signal::TERM);
    let released = std::time::Instant::now();
    wait_until("the other owns", || second.owns().then_some(()));
    let took = released.elapsed();
    // How fast it is, the bench says: here it must not have waited for the lease's end.
    assert!(took < LEASE / 2, "{took:?}");
    for number in 0..4 {
        let row = cluster.wait_row(&format!("due-{number}"), "on air", |row| row.on_air_ms.is_some());
        assert!(late(&row) < Duration::from_millis(1_500) && !row.is_doubt() && row.attempts == 1, "{row:?}");
    }
    assert_eq!(first.with(super::rig::Process::exit_code), Some(0), "{}", first.log());
    let tasks = cluster.sandbox().tasks();
    assert!(tasks.len() == 5 && tasks.iter().all(ingestd::sandbox::SandboxTask::runs), "{tasks:#?}");
    let row = cluster.wait_on_air("stays");
    assert_eq!((row.attempts, row.is_doubt()), (1, false));
    cluster.judge(&[("stays", on_air), ("due-0", due)]);
}

#[test]
fn a_node_whose_folder_differs_says_so_and_takes_over_the_accepted_schedule() {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    let start = soon(25);
    let [first, second] = &cluster.nodes;
    first.rig.jobs(&(looping("accepted", start, "10s") + &looping("later", start + Duration::from_hours(24), "10s")));
    second.rig.jobs(&looping("other", start, "10s"));
    cluster.started();
    let told = |text: &str| second.reasons().iter().any(|reason| reason.contains(text));
    wait_until("it says which file differs", || told("rig.yaml").then_some(()));
    // What is asked of a standby waits for no take-over.
    second.signal(Signal::HUP);
    first.kill9();
    wait_until("the other owns", || second.owns().then_some(()));
    let row = cluster.wait_on_air("accepted");
    assert!(late(&row) < Duration::from_millis(1_500), "{row:?}");
    assert!(told("rig.yaml"), "it says so still: {:?}", second.reasons());
    assert!(!second.log().contains("SIGHUP"), "{}", second.log());
    // The node that comes back is one of two: its folder is no reload.
    first.rig.jobs(&looping("third", start, "10s"));
    first.start();
    wait_until("the first waits", || first.status().filter(|status| role(status) == "standby"));
    let (code, _, stderr) = second.rig.verb(&["reload", "--force"]);
    assert_eq!(code, Some(0), "{stderr}");
    cluster.wait_row("accepted", "over", super::cluster::Row::is_done);
    assert!(cluster.row("third").is_none());
    assert!(cluster.rows().iter().filter(|row| row.job == "other").all(|row| row.generation > 1));
}

#[test]
fn an_older_program_beside_a_newer_schema_does_not_own() {
    let Some(cluster) = Cluster::new(Vec::new()) else { return };
    cluster.jobs(&looping("show", soon(600), "10s"));
    let (first, second) = cluster.started();
    cluster.psql("UPDATE ingestd.station SET schema_version = 99, schema_least = 99");
    first.signal(Signal::TERM);
    wait_until("it says that the schema is newer", || {
        second.reasons().iter().any(|reason| reason.contains("version 99")).then_some(())
    });
    // Nobody owns: the other does not take what was released to nobody.
    wait_for(Timestamp::now() + Duration::from_secs(3));
    assert!(!second.owns());
    second.kill9();
    second.start();
    wait_until("it is ready, and waits", || second.status().filter(|status| role(status) == "standby"));
    // What a newer program only added keeps no older one from owning.
    cluster.psql("UPDATE ingestd.station SET schema_least = 0");
    wait_until("it owns", || second.owns().then_some(()));
    assert_eq!(cluster.psql("SELECT schema_version FROM ingestd.station"), "99");
}
