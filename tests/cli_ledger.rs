//! The verbs that read the ledger, with the real program: a prepared state folder to exit code, stdout and stderr; with a daemon's
//! listener, without one, and with something else in its place.

#[path = "ledger/asking.rs"]
mod asking;
#[path = "ledger/filling.rs"]
mod filling;
#[path = "ledger/looking_back.rs"]
mod looking_back;
#[path = "ledger/rows.rs"]
mod rows;
#[path = "web/served.rs"]
mod served;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ingestd::ledger::Ledger;
use ingestd::occurrence::{MissedReason, Occurrence, Outcome, State};
use jiff::SignedDuration;
use tempfile::TempDir;

use filling::write;
use rows::{armed, ended, fault, missed, on_air};
use served::now;

/// What is said where no schedule tells the zone.
const NO_ZONE: &str = "warning: the schedule cannot be read, so times are in UTC; `--timezone ZONE` names another zone\n";

/// Settings without a schedule beside them, and with secrets that are nowhere.
fn settings(listen: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ingestd.yaml");
    let apps = "apps: {main: {sdk_app_id: 1400000001, secret_key: {file: nowhere}}}";
    let text = format!("account: {{region: ap-singapore}}\n{apps}\nstate: state\nlisten: {listen}\nschedules: nowhere\n");
    fs::write(&path, text).expect("writable");
    fs::create_dir(folder.path().join("state")).expect("a folder");
    (folder, path)
}

/// The same with a ledger.
fn with_ledger(listen: &str, rows: &[Occurrence]) -> (TempDir, PathBuf) {
    let (folder, path) = settings(listen);
    let mut ledger = Ledger::open(&folder.path().join("state")).expect("a ledger");
    for row in rows {
        write(&mut ledger, row);
    }
    (folder, path)
}

fn command(program: &Path, settings: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg("--config").arg(settings).stdin(Stdio::null()).env_clear().env("TZ", "UTC");
    command
}

/// Exit code, stdout, stderr.
fn run(settings: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    parts(&command(Path::new(env!("CARGO_BIN_EXE_ingestd")), settings, arguments).output().expect("the program starts"))
}

fn parts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn history() -> Vec<Occurrence> {
    let at = |hours| now() - SignedDuration::from_hours(hours);
    let code = Outcome::Failed(ingestd::occurrence::Failure::Code("InternalError".to_owned()));
    vec![
        ended("film", at(30)),
        missed("promo", at(20), Outcome::Missed(MissedReason::Down)),
        Occurrence {
            state: State::Done { outcome: code },
            fault: Some(fault(Some("InternalError"), "try again")),
            ..armed("promo", at(10))
        },
        on_air("film", at(1)),
    ]
}

#[test]
fn history_prints_what_happened_newest_first_without_secrets_and_without_a_schedule() {
    let (_folder, path) = with_ledger("none", &history());
    let (code, stdout, stderr) = run(&path, &["history"]);
    assert_eq!((code, stderr.as_str()), (Some(0), NO_ZONE));
    let lines: Vec<Vec<&str>> = stdout.lines().map(|line| line.split_whitespace().skip(2).take(3).collect()).collect();
    assert!(stdout.starts_with(" START (+00:00)       JOB"), "{stdout}");
    let expected = [
        ["JOB", "ROOM", "RESULT"],
        ["film", "main/lobby", "on"],
        ["promo", "main/lobby", "failed"],
        ["promo", "main/lobby", "missed"],
    ];
    assert_eq!(lines[..4], expected.map(Vec::from));
    assert!(stdout.lines().all(|line| line == line.trim_end()), "{stdout:?}");
    assert!(!stdout.contains("hush"), "{stdout}");
}

#[test]
fn history_heeds_its_options() {
    let (_folder, path) = with_ledger("none", &history());
    for (options, expected) in [
        (&[][..], "film promo promo film"),
        (&["--limit", "2"], "film promo"),
        (&["--job", "promo"], "promo promo"),
        (&["--outcome", "missed"], "promo"),
        (&["--since", "now-15h"], "film promo"),
        (&["--until", "now-15h"], "promo film"),
        (&["--since", "now-25h", "--until", "now-15h"], "promo"),
        (&["--room", "lobby", "--limit", "3"], "film promo promo"),
        (&["--room", "main/lobby", "--outcome", "failed"], "promo"),
        (&["--room", "42"], ""),
        (&["--since", "now-25h", "--job", "film"], "film"),
        (&["--since", "2020-01-01 00:00", "--limit", "4"], "film promo promo film"),
    ] {
        let mut arguments = vec!["history", "--format", "json"];
        arguments.extend(options);
        let (code, stdout, stderr) = run(&path, &arguments);
        let needs_zone = options.contains(&"2020-01-01 00:00");
        assert_eq!((code, stderr.as_str()), (Some(0), if needs_zone { NO_ZONE } else { "" }), "{options:?}");
        let jobs: Vec<String> = stdout
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("one object a line")["job"]
                    .as_str()
                    .expect("a job")
                    .to_owned()
            })
            .collect();
        assert_eq!(jobs.join(" "), expected, "{options:?}");
    }
}

#[test]
fn history_is_csv_with_a_line_of_names() {
    let (_folder, path) = with_ledger("none", &history());
    let (code, stdout, _) = run(&path, &["history", "--format", "csv"]);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!((code, lines.len()), (Some(0), 5));
    assert!(lines[0].starts_with("job,start,end,kind,state,outcome,reason,late_ms,"), "{}", lines[0]);
    assert!(lines[2].starts_with("promo,") && lines[2].contains(",failed,InternalError,"), "{}", lines[2]);
    assert!(lines.iter().all(|line| line.matches(',').count() == 30), "{stdout}");
}

#[test]
fn arguments_that_are_not_valid_end_with_code_2() {
    let (_folder, path) = with_ledger("none", &[]);
    for (arguments, words) in [
        (&["history", "--limit", "0"][..], "0 is not in 1.."),
        (&["history", "--outcome", "lost"], "possible values: ended, cut, failed, missed, skipped"),
        (&["history", "--since", "yesterday"], "`yesterday` is not a time"),
        (&["history", "--until", "yesterday"], "`yesterday` is not a time"),
        (&["history", "--since", "now-1h", "--until", "now-2h"], "expected `--until` after `--since`, found no time between them"),
        (&["history", "--room", "main/"], "expected a room, such as `42`, `lobby` or `main/lobby`: a room needs a name"),
        (&["history", "--job", "No Job"], "a job id is 1 to 32 of"),
        (&["history", "--format", "xml"], "possible values: table, json, csv"),
        (&["status", "--format", "csv"], "possible values: table, json"),
    ] {
        let (code, stdout, stderr) = run(&path, arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[test]
fn without_settings_or_without_a_ledger_the_message_says_what_is_missing() {
    let (folder, path) = settings("none");
    let file = folder.path().join("state").join("ingestd.db");
    let (code, stdout, stderr) = run(&path, &["history"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, format!("error: there is no ledger at `{}`: has the daemon ever run?\n", file.display()));
    let (code, stdout, stderr) = run(&path, &["status"]);
    assert_eq!((code, stdout.as_str()), (Some(69), ""));
    assert!(
        stderr.ends_with(&format!("error: there is no ledger at `{}`: has the daemon ever run?\n", file.display())),
        "{stderr}"
    );
    fs::write(&file, "this is a letter, and not a database".repeat(100)).expect("writable");
    let (code, _, stderr) = run(&path, &["history"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("file is not a database") && stderr.contains(&file.display().to_string()), "{stderr}");
    for verb in ["history", "status"] {
        assert_eq!(run(&folder.path().join("absent.yaml"), &[verb]).0, Some(78), "{verb}");
    }
}

#[test]
fn without_a_state_folder_the_message_says_how_to_name_one() {
    let (_folder, path) = settings("none");
    let text = fs::read_to_string(&path).expect("readable").replace("state: state\n", "");
    fs::write(&path, text).expect("writable");
    for verb in ["history", "status"] {
        let (code, _, stderr) = run(&path, &[verb]);
        assert_eq!(code, Some(78), "{verb}");
        assert!(stderr.contains("write `state: PATH` in the settings, or set `$STATE_DIRECTORY`"), "{verb}: {stderr}");
    }
}

#[cfg(unix)]
mod read_only {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    use super::*;

    /// Lets others see a file or a folder, and change nothing.
    fn show(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
    }

    /// Runs as a user that cannot write the ledger's folder. Root can write everywhere, so it becomes the user `nobody`.
    fn ask(folder: &Path, settings: &Path) -> (Option<i32>, String, String) {
        let program = folder.join("ingestd");
        fs::copy(env!("CARGO_BIN_EXE_ingestd"), &program).expect("a copy that everybody can reach");
        show(folder, 0o755);
        let state = folder.join("state");
        for entry in fs::read_dir(&state).expect("the folder") {
            show(&entry.expect("an entry").path(), 0o444);
        }
        show(&state, 0o555);
        let mut command = command(&program, settings, &["history", "--format", "json"]);
        let is_root = fs::metadata("/proc/self").is_ok_and(|ours| std::os::unix::fs::MetadataExt::uid(&ours) == 0);
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let begun = std::time::Instant::now();
        let output = loop {
            match command.output() {
                // A process that another test starts at this moment holds the copy open for writing until it is another program.
                Err(error)
                    if error.kind() == std::io::ErrorKind::ExecutableFileBusy
                        && begun.elapsed() < std::time::Duration::from_secs(20) =>
                {
                    std::thread::yield_now();
                }
                started => break started.expect("the program starts"),
            }
        };
        show(&state, 0o755);
        parts(&output)
    }

    #[test]
    fn a_ledger_that_was_closed_cleanly_is_read_where_nothing_can_be_written() {
        let (folder, path) = with_ledger("none", &history());
        let (code, stdout, stderr) = ask(folder.path(), &path);
        assert_eq!((code, stderr.as_str(), stdout.lines().count()), (Some(0), "", 4));
        let left: Vec<_> = fs::read_dir(folder.path().join("state")).expect("the folder").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_ledger_that_was_not_closed_is_not_read_in_part() {
        let (folder, path) = settings("none");
        let origin = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(origin.path()).expect("a ledger");
        write(&mut ledger, &history()[0]);
        for name in ["ingestd.db", "ingestd.db-wal"] {
            fs::copy(origin.path().join(name), folder.path().join("state").join(name)).expect("a copy");
        }
        let (code, stdout, stderr) = ask(folder.path(), &path);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.contains("ingestd.db-wal`, and its folder cannot be written: copy both into a folder"), "{stderr}");
    }
}
