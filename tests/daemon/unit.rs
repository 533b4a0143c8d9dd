//! What the unit needs of the program, and its template of it. Under the system call filter of our own unit the kernel does not say whether
//! the clock is synchronised: the program is started by a thread that has such a filter, which every process inherits, and each refused
//! call answers as the unit says, `EPERM`. A real systemd is the matter of tests/service.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use ingestd::sandbox::FaultRule;
use ingestd::trtc::Action;
use rustix::process::Signal;
use serde_json::Value;

use super::rig::{Rig, get, looping, once, soon, wait_until};

/// The calls by which a clock is read and set, of those in systemd's group `@clock` (`systemd-analyze syscall-filter @clock`), which
/// `ProtectClock=` refuses and `@system-service` does not have.
const CLOCK_CALLS: [&str; 4] = ["adjtimex", "clock_adjtime", "clock_settime", "settimeofday"];

/// A file of `systemd/`.
fn unit_file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)).expect("our unit")
}

/// Gives this thread, and all that it starts, the filter.
fn take_filter() {
    let unit = unit_file("ingestd.service");
    for line in ["ProtectClock=yes", "SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM"] {
        assert!(unit.lines().any(|written| written == line), "the unit has `{line}`: this filter stands for it");
    }
    let refused: Vec<Value> = CLOCK_CALLS.iter().map(|call| serde_json::json!({"syscall": call})).collect();
    let filter = serde_json::json!({"unit": {"mismatch_action": "allow", "match_action": {"errno": 1}, "filter": refused}});
    let architecture = std::env::consts::ARCH.try_into().expect("a processor that filters know");
    let programs = seccompiler::compile_from_json(filter.to_string().as_bytes(), architecture).expect("a filter");
    seccompiler::apply_filter(&programs["unit"]).expect("the kernel takes it");
}

/// What a running daemon says about its clock.
fn clock(is_filtered: bool) -> (Value, Value) {
    let ask = move || {
        if is_filtered {
            take_filter();
        }
        let rig = Rig::new(Vec::new());
        rig.listen("127.0.0.1:0");
        rig.jobs(&format!("  later: {{ once: {}, for: 1m, room: 1, stream: https://cdn.example.com/a.mp4 }}\n", once(soon(3_600))));
        let daemon = rig.started();
        let status: Value = serde_json::from_str(&get(daemon.page(), "/api/v1/status")).expect("JSON");
        daemon.stop();
        assert_eq!(status["health"], "ok", "a clock that nobody keeps right is a warning: {status}");
        (status["clock"]["synchronised"].clone(), status["warnings"].clone())
    };
    std::thread::spawn(ask).join().expect("no panic")
}

#[test]
fn under_the_filter_of_the_unit_whether_the_clock_is_synchronised_is_unknown_or_in_the_file() {
    let folder = Path::new("/run/systemd/timesync");
    let expected = if folder.is_dir() { Value::Bool(folder.join("synchronized").exists()) } else { Value::Null };
    let (synchronised, warnings) = clock(true);
    assert_eq!(synchronised, expected);
    assert_eq!(
        warnings.as_array().map(Vec::len),
        Some(usize::from(expected == Value::Bool(false))),
        "what is unknown is no warning"
    );
}

#[test]
fn without_a_filter_the_kernel_says_whether_the_clock_is_synchronised() {
    let (synchronised, warnings) = clock(false);
    let Some(synchronised) = synchronised.as_bool() else {
        eprintln!("left out: this host lets nobody ask its kernel");
        return;
    };
    let expected = if synchronised { serde_json::json!([]) } else { serde_json::json!(["the clock is not synchronised"]) };
    assert_eq!(warnings, expected);
}

#[test]
fn the_template_is_the_unit_with_folders_and_a_user_of_its_own() {
    let settings = |text: String| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
    };
    let own = unit_file("ingestd.service")
        .replace("by the clock\n", "by the clock: station %i\n")
        .replace("=/usr/bin/ingestd ", "=/usr/bin/ingestd --config /etc/ingestd/%i/ingestd.yaml ")
        .replace("DynamicUser=yes\n", "DynamicUser=yes\nUser=ingestd-%i\n")
        .replace("StateDirectory=ingestd\n", "StateDirectory=ingestd-%i\n")
        .replace("RuntimeDirectory=ingestd\n", "RuntimeDirectory=ingestd-%i\n")
        .replace("ConfigurationDirectory=ingestd\n", "ConfigurationDirectory=ingestd/%i\n")
        .replace("/etc/ingestd/credentials/", "/etc/ingestd/%i/credentials/");
    assert_eq!(settings(unit_file("ingestd@.service")), settings(own));
}

#[test]
fn alive_is_what_healthz_says_and_not_the_health() {
    let rig = Rig::new(Vec::new());
    rig.listen("none");
    rig.jobs(&format!("  later: {{ once: {}, for: 1m, room: 1, stream: https://cdn.example.com/a.mp4 }}\n", once(soon(3_600))));
    let daemon = rig.started();
    let alive = || rig.verb(&["status", "--alive"]);
    assert_eq!(alive(), (Some(0), "ok\n".to_owned(), String::new()));
    rig.schedule("jobs: broken\n");
    assert_eq!(rig.verb(&["reload"]).0, Some(1));
    assert_eq!((rig.verb(&["status"]).0, alive().0), (Some(1), Some(0)), "a bad schedule is no reason for a restart");
    daemon.signal(Signal::STOP);
    assert_eq!(alive().0, Some(69), "a daemon that does nothing does not answer");
    daemon.signal(Signal::CONT);
    assert_eq!(alive().0, Some(0));
    daemon.stop();
    assert_eq!(alive().0, Some(69));
    assert_eq!(rig.verb(&["status", "--alive", "--format", "json"]).0, Some(2));
}

#[test]
fn the_log_has_outcome_and_code_as_fields() {
    let fault = FaultRule::error("InternalError").action(Action::Start).times(1);
    let rig = Rig::new(vec![fault]);
    rig.jobs(&looping("promo", soon(2), "3s"));
    let log = rig.path("log.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    let daemon = rig.spawn(command.env_clear().args(["--log", "json"]), File::create(&log).expect("writable"), log);
    let found = |key: &str, value: &str| {
        let lines = daemon.log();
        let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line[key] == value)
    };
    let retry = wait_until("a fault is told", || found("code", "InternalError"));
    assert_eq!((&retry["job"], &retry["level"], &retry["outcome"]), (&"promo".into(), &"WARN".into(), &Value::Null), "{retry}");
    let end = wait_until("the end is told", || found("outcome", "ended"));
    assert_eq!((&end["job"], &end["reason"], &end["code"]), (&"promo".into(), &"planned".into(), &Value::Null), "{end}");
    assert!(end["start"].as_str().is_some_and(|start| start.ends_with('Z')), "{end}");
    daemon.stop();
}
