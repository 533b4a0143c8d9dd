//! The folder of schedules is watched, with the real program: however its files are changed, the daemon reads them by itself, and a
//! broken file changes nothing that is in force.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::rig::{Process, Rig, get, looping, soon, wait_for, wait_until};

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON")
}

/// Waits until that many generations were accepted, and returns how many jobs the newest has.
fn jobs_of(daemon: &Process, generation: i64) -> i64 {
    let status =
        wait_until("the generation is in force", || Some(status(daemon)).filter(|status| status["generation"] == generation));
    status["schedule"]["jobs"].as_i64().expect("a number")
}

/// So many jobs, a day ahead.
fn jobs(count: usize) -> String {
    (0..count).map(|index| looping(&format!("show-{index}"), soon(86_400), "1h")).collect()
}

fn watched(jobs: &str) -> (Rig, Process) {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    rig.watched();
    rig.jobs(jobs);
    let daemon = rig.started();
    (rig, daemon)
}

#[test]
fn a_file_is_taken_up_however_it_is_written() {
    let (rig, daemon) = watched(&jobs(1));
    assert_eq!(jobs_of(&daemon, 1), 1);
    rig.jobs(&jobs(2));
    assert_eq!(jobs_of(&daemon, 2), 2);

    // As editors do: written beside, and renamed over it.
    let text = fs::read_to_string(rig.path("schedules/rig.yaml")).expect("it is there");
    rig.write("schedules/.rig.yaml.tmp", &format!("{text}{}", looping("edited", soon(86_400), "1h")));
    fs::rename(rig.path("schedules/.rig.yaml.tmp"), rig.path("schedules/rig.yaml")).expect("it renames");
    assert_eq!(jobs_of(&daemon, 3), 3);

    // Touched, and not changed.
    let text = fs::read_to_string(rig.path("schedules/rig.yaml")).expect("it is there");
    rig.write("schedules/rig.yaml", &text);
    wait_until("it was looked at", || daemon.log().contains("nothing changed").then_some(()));
    assert_eq!(jobs_of(&daemon, 3), 3);
    assert!(daemon.log().contains("who=\"watch\""), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_broken_edit_is_logged_once_and_its_fix_is_accepted() {
    let (rig, daemon) = watched(&jobs(8));
    rig.jobs(&format!("{}  bad: {{at: noon, colour: red}}\n", jobs(8)));
    wait_until("it is rejected", || Some(status(&daemon)).filter(|status| status["health"] == "degraded"));
    let said = || daemon.log().matches("the schedule was rejected; the last good one stays").count();
    assert_eq!((said(), jobs_of(&daemon, 1)), (1, 8));
    rig.jobs(&jobs(9));
    assert_eq!(jobs_of(&daemon, 2), 9);
    assert_eq!(said(), 1, "{}", daemon.log());
    // Most of it gone may be an accident.
    rig.jobs(&jobs(1));
    wait_until("it is held", || daemon.log().contains("held until `ingestd reload --force`").then_some(()));
    assert_eq!(jobs_of(&daemon, 2), 9);
    let (code, _, stderr) = rig.verb(&["reload", "--force"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(jobs_of(&daemon, 3), 1);
    daemon.stop();
}

#[test]
fn a_link_that_is_swapped_is_seen() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    rig.watched();
    rig.jobs(&jobs(1));
    // `ln -sfn` of the folder, and a config map within it: `rig.yaml` leads through `..data`, which is swapped.
    fs::rename(rig.path("schedules"), rig.path("one")).expect("it renames");
    symlink("one", rig.path("schedules")).expect("it links");
    let daemon = rig.started();
    let text = fs::read_to_string(rig.path("one/rig.yaml")).expect("it is there");
    for (folder, count) in [("two/..first", 2), ("two/..second", 3)] {
        let more: String = (1..count).map(|index| looping(&format!("more-{index}"), soon(86_400), "1h")).collect();
        fs::create_dir_all(rig.path(folder)).expect("it is made");
        rig.write(&format!("{folder}/rig.yaml"), &format!("{text}{more}"));
    }
    symlink("..first", rig.path("two/..data")).expect("it links");
    symlink("..data/rig.yaml", rig.path("two/rig.yaml")).expect("it links");
    let swap = |to: &str, link: &str| {
        symlink(to, rig.path("swap")).expect("it links");
        fs::rename(rig.path("swap"), rig.path(link)).expect("it swaps");
    };
    swap("two", "schedules");
    assert_eq!(jobs_of(&daemon, 2), 2);
    swap("..second", "two/..data");
    assert_eq!(jobs_of(&daemon, 3), 3);
    daemon.stop();
}

#[test]
fn without_watching_nothing_is_taken_up_before_somebody_asks() {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    rig.jobs(&jobs(1));
    let daemon = rig.started();
    rig.jobs(&jobs(2));
    // Longer than a look and what has to stay alike after it.
    wait_for(soon(4));
    let (code, stdout, stderr) = rig.verb(&["reload"]);
    assert_eq!(code, Some(0), "{stderr}");
    // It would have been nothing new, had it been seen before.
    assert!(stdout.contains("generation 2 is in force: 2 jobs; 1 added"), "{stdout}");
    assert!(!daemon.log().contains("who=\"watch\""), "{}", daemon.log());
    daemon.stop();
}
