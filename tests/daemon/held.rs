//! What a daemon finds when it begins: a folder that looks like an accident, a file that may be half copied, and kept schedules that
//! cannot be read. It begins with the last accepted schedule that can be had, and says so.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::Value;

use super::rig::{Process, Rig, get, looping, soon, wait_for, wait_until};

/// When all jobs here start: a second that passes between two files is no edit.
static START: LazyLock<Timestamp> = LazyLock::new(|| soon(86_400));

/// So many jobs, a day ahead.
fn jobs(count: usize) -> String {
    (0..count).map(|index| looping(&format!("show-{index:02}"), *START, "1h")).collect()
}

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON")
}

/// Health, generation and number of jobs.
fn standing(daemon: &Process) -> (String, i64, i64) {
    let status = status(daemon);
    let number = |value: &Value| value.as_i64().expect("a number");
    (status["health"].as_str().expect("a text").to_owned(), number(&status["generation"]), number(&status["schedule"]["jobs"]))
}

fn rig(jobs: &str) -> Rig {
    let rig = Rig::new(Vec::new());
    rig.listen("127.0.0.1:0");
    rig.jobs(jobs);
    rig
}

#[test]
fn a_folder_that_lost_most_of_its_jobs_is_held_at_every_boot_and_after_a_kill() {
    let rig = rig(&jobs(16));
    rig.started().kill();
    rig.jobs(&jobs(3));
    // Its file has rested.
    wait_for(soon(11));
    for is_killed in [true, false, true] {
        let daemon = rig.started();
        let status = status(&daemon);
        assert_eq!(standing(&daemon), ("degraded".to_owned(), 1, 16), "{status}");
        let reason = status["reasons"][0].as_str().expect("a text");
        assert!(reason.contains("this schedule would drop 13 of 16 jobs (if you want this: `ingestd reload --force`)"), "{status}");
        assert!(daemon.log().contains("would drop 13 of 16 jobs: held until `ingestd reload --force`"), "{}", daemon.log());
        if is_killed {
            daemon.kill();
        } else {
            daemon.stop();
        }
    }
    let daemon = rig.started();
    let (code, _, stderr) = rig.verb(&["reload", "--force"]);
    assert_eq!((code, standing(&daemon)), (Some(0), ("ok".to_owned(), 2, 3)), "{stderr}");
    daemon.stop();
}

#[test]
fn a_file_that_was_emptied_is_held_at_boot() {
    let rig = rig(&jobs(2));
    rig.started().kill();
    rig.schedule("# nothing\n");
    wait_for(soon(11));
    let daemon = rig.started();
    assert_eq!(standing(&daemon), ("degraded".to_owned(), 1, 2));
    assert!(daemon.log().contains("rig.yaml` had 2 jobs and has none now: held until"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_file_that_became_smaller_just_before_a_boot_is_read_when_it_has_rested() {
    for is_watched in [true, false] {
        let rig = rig(&jobs(3));
        if is_watched {
            rig.watched();
        }
        rig.started().kill();
        rig.jobs(&jobs(2));
        let daemon = rig.started();
        assert_eq!(standing(&daemon), ("ok".to_owned(), 1, 3), "{}", daemon.log());
        assert!(daemon.log().contains("until then the last accepted schedule stays in force"), "{}", daemon.log());
        wait_until("it is read", || (standing(&daemon).1 == 2).then_some(()));
        assert_eq!(standing(&daemon).2, 2);
        daemon.stop();
    }
}

#[test]
fn a_boot_says_what_changed_since_the_last_accepted_schedule() {
    let rig = rig(&jobs(2));
    rig.started().stop();
    rig.jobs(&jobs(60).replace("show-01:", "other:"));
    let daemon = rig.started();
    let log = daemon.log();
    assert!(log.contains("generation 2 is in force: 60 jobs; 59 added, 0 changed, 1 removed since generation 1"), "{log}");
    assert!(log.contains(" added other") && log.contains(" and 10 more"), "the names, and not all of many: {log}");
    daemon.stop();
    let daemon = rig.started();
    assert!(!daemon.log().contains("is in force:"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_kept_schedule_that_cannot_be_read_is_as_if_it_were_not_there() {
    let rig = rig(&jobs(2));
    rig.started().stop();
    let kept = |number: i64| rig.path(&format!("state/accepted-{number}.json"));
    let text = fs::read(kept(1)).expect("it was kept");
    let mut generation = 1;
    let breaks: [(&str, &dyn Fn(i64)); 5] = [
        ("truncated", &|number| fs::write(kept(number), &text[..text.len() / 2]).expect("ours")),
        ("empty", &|number| fs::write(kept(number), "").expect("ours")),
        ("garbled", &|number| fs::write(kept(number), [0xff; 100]).expect("ours")),
        ("another schedule", &|number| {
            let sources = "{\"generation\": 1, \"sources\": [{\"name\": \"a.yaml\", \"text\": \"jobs: 7\"}]}";
            fs::write(kept(number), sources).expect("ours");
        }),
        ("a folder", &|number| {
            fs::remove_file(kept(number)).expect("ours");
            fs::create_dir(kept(number)).expect("ours");
        }),
    ];
    for (what, break_it) in breaks {
        break_it(generation);
        // No older one helps here.
        for older in (1..generation).filter(|older| kept(*older).is_file()) {
            fs::remove_file(kept(older)).expect("ours");
        }
        let daemon = rig.started();
        generation += 1;
        assert_eq!(standing(&daemon), ("ok".to_owned(), generation, 2), "{what}");
        let log = daemon.log();
        let told = format!("generation {}", generation - 1);
        let is_told = log.lines().any(|line| line.contains("ERROR") && line.contains(&told) && line.contains(" as not kept"));
        assert!(is_told, "{what}: {log}");
        daemon.stop();
    }
}

#[test]
fn an_older_kept_schedule_is_used_where_the_newest_cannot_be_read_and_the_folder_is_bad() {
    let rig = rig(&jobs(2));
    rig.started().stop();
    rig.jobs(&jobs(3));
    rig.started().stop();
    let kept = rig.path("state/accepted-2.json");
    rig.schedule("jobs: 7\n");
    let unreadable = || fs::set_permissions(&kept, Permissions::from_mode(0o000)).expect("ours");
    unreadable();
    if fs::read(&kept).is_ok() {
        // Who is root can read it all the same.
        fs::write(&kept, "{").expect("ours");
    }
    let daemon = rig.started();
    assert_eq!(standing(&daemon), ("degraded".to_owned(), 3, 2), "{}", daemon.log());
    assert!(daemon.log().contains("generation 1 is in force again"), "{}", daemon.log());
    daemon.kill();
    let daemon = rig.started();
    assert_eq!(standing(&daemon), ("degraded".to_owned(), 3, 2), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_schedule_without_jobs_is_degraded() {
    let rig = rig("");
    rig.schedule("---\n");
    let daemon = rig.started();
    let status = status(&daemon);
    assert_eq!(status["reasons"][0], "no job is in force: nothing is planned", "{status}");
    assert_eq!(standing(&daemon), ("degraded".to_owned(), 1, 0));
    daemon.stop();
}
