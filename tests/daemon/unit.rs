//! Under the system call filter of our own unit: the kernel does not say whether the clock is synchronised. The program is started by a
//! thread that has such a filter, which every process inherits. Each refused call answers as the unit says, `EPERM`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::rig::{Rig, get, once, soon};

/// The calls by which a clock is read and set, of those in systemd's group `@clock` (`systemd-analyze syscall-filter @clock`), which
/// `ProtectClock=` refuses and `@system-service` does not have.
const CLOCK_CALLS: [&str; 4] = ["adjtimex", "clock_adjtime", "clock_settime", "settimeofday"];

/// Gives this thread, and all that it starts, the filter.
fn take_filter() {
    let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/ingestd.service")).expect("our unit");
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
