//! Looking back with `history` and `why`: jobs without rows, a daemon that hangs, hostile texts. Does not know what a row looks like.

use std::fs;

use ingestd::occurrence::{Failure, Occurrence, Outcome, State};
use jiff::SignedDuration;

use super::rows::{armed, fault};
use super::{history, now, run, with_ledger};

#[test]
fn a_job_of_which_there_is_no_row_is_told_from_one_that_nobody_has() {
    let (folder, path) = with_ledger("none", &history());
    let schedules = folder.path().join("nowhere");
    fs::create_dir(&schedules).expect("a folder");
    let job = |id: &str| format!("  {id}: {{at: \"18:00\", room: {id}, stream: \"https://cdn.example.com/a.mp4\"}}\n");
    fs::write(schedules.join("a.yaml"), format!("timezone: UTC\njobs:\n{}{}", job("promo"), job("evening"))).expect("writable");
    let asked = |id: &str| run(&path, &["history", "--job", id]);
    let (code, stdout, stderr) = asked("prommo");
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "error: there is no job `prommo`\n  help: did you mean `promo`?\n");
    let (code, stdout, stderr) = asked("evening");
    assert_eq!((code, stdout.as_str()), (Some(0), "no row matches\n"));
    assert_eq!(stderr, "note: `evening` has no row yet: nothing of it was due since this ledger began\n");
    // One that left the schedule has its rows, and one whose rows are of another outcome is none that nobody has.
    assert_eq!(asked("film").0, Some(0));
    assert_eq!(run(&path, &["history", "--job", "film", "--outcome", "skipped"]).2, "");
    fs::write(schedules.join("a.yaml"), "jobs: [").expect("writable");
    let (code, _, stderr) = asked("prommo");
    assert_eq!(code, Some(0));
    assert!(stderr.contains("the ledger has no row of `prommo`, and the schedule files cannot be read"), "{stderr}");
}

#[test]
fn a_daemon_that_hangs_does_not_hold_up_the_history() {
    let (folder, path) = with_ledger("none", &history());
    let socket = folder.path().join("state/control.sock");
    let _deaf = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let (code, stdout, stderr) = run(&path, &["history", "--format", "json"]);
    assert_eq!((code, stdout.lines().count()), (Some(0), 4), "{stderr}");
    let told = format!(
        "warning: no daemon answers at the control socket `{}` (no answer in 5 s); what follows is from the ledger's file\n",
        socket.display()
    );
    assert_eq!(stderr, told);
}

#[test]
fn nothing_that_an_endpoint_said_acts_on_the_terminal() {
    let said = "bad\u{1b}[31m\u{202e}\u{9b}0m\u{200b}\u{7f}";
    let code = Outcome::Failed(Failure::Code("InternalError".to_owned()));
    let start = now() - SignedDuration::from_mins(5);
    let row = Occurrence {
        state: State::Done { outcome: code },
        fault: Some(fault(Some("InternalError"), said)),
        ended_at: Some(now()),
        ..armed("promo", start)
    };
    let (folder, path) = with_ledger("none", &[row]);
    let schedules = folder.path().join("nowhere");
    fs::create_dir(&schedules).expect("a folder");
    let promo = "timezone: UTC\njobs:\n  promo: {at: \"18:00\", room: lobby, stream: \"https://cdn.example.com/a.mp4\"}\n";
    fs::write(schedules.join("a.yaml"), promo).expect("writable");
    let at = start.to_string();
    for arguments in [
        &["history"][..],
        &["history", "--format", "json"],
        &["history", "--format", "csv"],
        &["status"],
        &["status", "--format", "json"],
        &["why", "promo", "--at", &at],
        &["why", "promo", "--at", &at, "--format", "json"],
    ] {
        let (_, stdout, stderr) = run(&path, arguments);
        assert!(stdout.contains("bad"), "{arguments:?}: {stdout}");
        let raw = |letter: char| letter != '\n' && ingestd::diagnostic::needs_escape(letter);
        assert!(!stdout.contains(raw) && !stderr.contains(raw), "{arguments:?}: {stdout:?} {stderr:?}");
    }
}
