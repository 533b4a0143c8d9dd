//! The verb `why`: that it always agrees with the plan, and that the first line has the answer.

#[path = "../ledger/filling.rs"]
mod filling;
mod ledger;
mod properties;
#[path = "../ledger/rows.rs"]
mod rows;
mod words;

use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use tempfile::TempDir;

fn instant(text: &str) -> Timestamp {
    text.parse().expect(text)
}

/// A folder with settings, and with this schedule.
fn folder(schedule: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "account: {region: ap-singapore}\nlisten: none\nstate: state\n\
        apps: {main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}}\n";
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
    for sub in ["schedules", "state"] {
        std::fs::create_dir(folder.path().join(sub)).expect("writable");
    }
    write("ingestd.yaml", settings);
    write("schedules/test.yaml", schedule);
    folder
}

/// Exit code, stdout, and stderr without the line that counts the warnings of the schedule.
fn why(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    // TZ: the zone of this host is not to matter.
    command.env_clear().env("TZ", "Asia/Shanghai").current_dir(folder).stdin(Stdio::null());
    let output = command.args(["--config", "ingestd.yaml", "why"]).args(arguments).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let told = text(output.stderr);
    let told = told.lines().filter(|line| !line.starts_with("warning: the schedule has")).collect::<Vec<_>>().join("\n");
    (output.status.code(), text(output.stdout), told)
}

/// Compares a text with its golden one; `UPDATE_GOLDEN=1` writes that. Returns what differs.
fn golden(name: &str, actual: &str) -> Option<String> {
    let path = format!("tests/fixtures/why/{name}.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).expect("the golden text is written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    (actual != expected).then(|| format!("{name}:\n{actual}"))
}
