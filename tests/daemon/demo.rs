//! The demo as a newcomer runs it: no settings, no secrets, no environment.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::rig::get;

fn demo(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.arg("demo").args(arguments).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

#[test]
fn it_shows_what_happens_and_then_what_the_ledger_says_and_leaves_nothing() {
    let child = demo(&["--for", "13s", "--listen", "127.0.0.1:0"]);
    let mark = format!("ingestd-demo-{}-", child.id());
    let output = child.wait_with_output().expect("it ends");
    let (stdout, log) = (String::from_utf8(output.stdout).expect("text"), String::from_utf8(output.stderr).expect("text"));
    assert_eq!(output.status.code(), Some(0), "{stdout}{log}");
    assert!(stdout.contains(&mark), "it says where its folder is: {stdout}");
    assert_eq!(temporary(&mark), [] as [PathBuf; 0]);
    let (live, ledger) = stdout.split_once("What the ledger has recorded").expect("two parts");
    for line in
        ["joined      on air in room foyer", "trailer     on air in room cinema", "bad-url     failed (InvalidParameter.StreamUrl)"]
    {
        assert!(live.contains(line), "{line}: {stdout}");
    }
    for line in ["failed (InvalidParameter.StreamUrl)", "on air", "rejected by the limit 0", "not over when it ended"] {
        assert!(ledger.contains(line), "{line}: {stdout}");
    }
    assert!(!log.contains("ERROR") && !log.contains("warning"), "{log}");
}

#[test]
fn it_has_a_page_and_ends_when_it_is_interrupted() {
    let mut child = demo(&["--listen", "127.0.0.1:0"]);
    let mark = format!("ingestd-demo-{}-", child.id());
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let page = lines.find_map(|line| line.split_once("http://").map(|(_, rest)| rest.to_owned())).expect("it names its page");
    let address = page.split('/').next().expect("an address").parse().expect("an address");
    lines.find(|line| line.contains("joined      on air")).expect("it begins");
    assert!(get(address, "/api/v1/status").contains("\"job\":\"joined\""));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::INT).expect("it runs");
    assert!(lines.any(|line| line.starts_with("planned ")), "the closing line");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(temporary(&mark), [] as [PathBuf; 0]);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let mut child = demo(&["--for", "1d", "--listen", "127.0.0.1:0"]);
    let mark = format!("ingestd-demo-{}-", child.id());
    drop(BufReader::new(child.stdout.take().expect("a pipe")).lines().next());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert_eq!(temporary(&mark), [] as [PathBuf; 0]);
}

#[test]
fn it_refuses_other_addresses_than_loopback() {
    let output = demo(&["--listen", "0.0.0.0:0"]).wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected a loopback address"));
}

/// A folder of the host's temporary one, by its beginning.
fn temporary(beginning: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).expect("readable");
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    paths.filter(|path| path.file_name().is_some_and(|name| Path::new(name).to_string_lossy().starts_with(beginning))).collect()
}
