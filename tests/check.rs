//! The verb `check`, on the real program: what it prints, where, and how it ends.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const GOOD: &str = "timezone: Asia/Shanghai\njobs:\n  promo: {at: \"18:00\", room: lobby, stream: \"https://h.example/a.mp4\"}\n";
const BAD: &str = "timezone: Asia/Shanghai\njobs:\n  promo: {at: \"18:00\", rooom: lobby, stream: \"https://h.example/a.mp4?token=hush\", live: yes}\n";

/// A folder with settings, a folder of schedules beside them, and the files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("schedules")).expect("a folder");
    let settings =
        "account: {region: ap-singapore}\napps: {main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}}\nlisten: none\n";
    for (name, text) in files.iter().chain(&[("ingestd.yaml", settings)]) {
        std::fs::write(folder.path().join(name), text).expect("writable");
    }
    folder
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.arg("check").args(arguments).current_dir(folder).env_clear();
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

#[test]
fn good_files_are_silent_but_for_the_summary() {
    let folder = folder(&[("schedules/a.yaml", GOOD)]);
    let output = check(folder.path(), &["--config", "ingestd.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    let told = text(&output.stderr);
    let (summary, starts) = told.split_once('\n').expect("two lines");
    assert_eq!(summary, "1 file, 1 job: no errors, no warnings");
    let first = starts.strip_prefix("1 start in the next 24 hours, the first of `promo` at ").expect(starts);
    assert!(first.ends_with(" 18:00:00 +08:00\n") && first.len() == "2026-11-28 18:00:00 +08:00\n".len(), "{first}");
}

#[test]
fn problems_are_data_on_stdout_and_end_with_1() {
    let folder = folder(&[("schedules/a.yaml", BAD), ("schedules/b.yaml", GOOD)]);
    let output = check(folder.path(), &["--config", "ingestd.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = text(&output.stdout);
    for words in
        ["error[unknown-key]: unknown key `rooom`", "a.yaml:3:24", "did you mean `room`?", "error[duplicate-job]", "write `true`"]
    {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(!report.contains("hush"), "{report}");
    assert_eq!(text(&output.stderr), "2 files, 2 jobs: 4 errors, no warnings; conflicts are looked for when no error is left\n");
}

#[test]
fn json_is_one_object_a_line_with_every_key() {
    let folder = folder(&[("a.yaml", BAD)]);
    let output = check(folder.path(), &["a.yaml", "--format", "json", "--config", "ingestd.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let objects: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!(objects.len(), 3);
    let expected = serde_json::json!({
        "severity": "error", "code": "unknown-key", "message": "unknown key `rooom`", "file": "a.yaml", "line": 3, "column": 24,
        "job": "promo", "hint": "did you mean `room`?",
    });
    assert!(objects.contains(&expected), "{objects:?}");
    for object in &objects {
        assert_eq!(object.as_object().expect("an object").len(), 8, "{object}");
    }
}

#[test]
fn conflicts_are_judged_once_everything_else_is_right() {
    let jobs = "  promo: {at: \"18:00\", length: 2h, room: lobby, stream: \"https://h.example/a.mp4\"}\n  \
        news: {at: \"19:00\", length: 1h, room: lobby, stream: \"https://h.example/n.mp4\"}\n";
    let folder = folder(&[("a.yaml", &format!("timezone: Asia/Shanghai\njobs:\n{jobs}"))]);
    let arguments = ["a.yaml", "--format", "json", "--config", "ingestd.yaml"];
    let output = check(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let object: serde_json::Value = serde_json::from_str(text(&output.stdout).trim()).expect("one object");
    assert_eq!(
        (&object["severity"], &object["code"], &object["job"], &object["line"], &object["column"]),
        (&"error".into(), &"conflict".into(), &"news".into(), &4.into(), &3.into())
    );
    assert!(object["hint"].as_str().is_some_and(|hint| hint.contains("`conflict: preempt` on `news`")), "{object}");
    assert_eq!(text(&output.stderr), "1 file, 2 jobs: 1 error, no warnings\n");
    std::fs::write(folder.path().join("a.yaml"), format!("jobs:\n{jobs}")).expect("writable");
    let output = check(folder.path(), &arguments);
    assert!(text(&output.stdout).contains("timezone") && !text(&output.stdout).contains("conflict"), "{output:?}");
}

#[test]
fn how_far_conflicts_were_looked_for_is_said_when_it_is_not_all_the_way() {
    let jobs = "timezone: UTC\ndefaults: {room: lobby, stream: \"https://h.example/a.mp4\", length: 5s}\njobs:\n  \
        tick: {every: 10s}\n  other: {cron: \"5 0 * * * *\"}\n";
    let folder = folder(&[("a.yaml", jobs)]);
    let output = check(folder.path(), &["a.yaml", "--config", "ingestd.yaml"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), ""), "{output:?}");
    let said = text(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("conflicts in the room `lobby` are looked for until 2"), "{said}");
    assert!(lines[0].ends_with(" only: `tick` has 20000 windows by then"), "{said}");
    assert_eq!(lines[1], "1 file, 2 jobs: no errors, no warnings");
    assert!(lines[2].contains(" starts in the next 24 hours, the first of `"), "{said}");
}

#[test]
fn notes_are_counted_and_shown_to_whoever_asks_and_what_is_off_is_said() {
    let jobs = "timezone: Asia/Shanghai\njobs:\n  relay: {at: \"18:00\", for: 1h, room: a, stream: \"rtmp://live.example.com/a/b\"}\n  \
        off: {at: \"18:00\", for: 1h, room: b, stream: \"rtmp://live.example.com/a/b\", enabled: false}\n";
    let folder = folder(&[("a.yaml", jobs)]);
    let summary = "1 file, 2 jobs, 1 of them off: no errors, no warnings, 1 note (`-v` shows them)\n";
    for (arguments, shown) in [(&[][..], 0), (&["-v"], 1), (&["--format", "json"], 1)] {
        let output = check(folder.path(), &[&["a.yaml", "--config", "ingestd.yaml"][..], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(text(&output.stdout).matches("no-cloud-bound").count(), shown, "{output:?}");
        assert!(text(&output.stderr).starts_with(summary), "{output:?}");
        assert!(text(&output.stderr).contains("\n1 start in the next 24 hours, the first of `relay` at "), "{output:?}");
    }
    let none = jobs.replace("18:00\", for: 1h, room: a", "18:00\", until: \"2020-01-01\", for: 1h, room: a");
    std::fs::write(folder.path().join("a.yaml"), none).expect("writable");
    let output = check(folder.path(), &["a.yaml", "--config", "ingestd.yaml"]);
    assert!(text(&output.stderr).ends_with("\nno start in the next 24 hours\n"), "{output:?}");
}

#[test]
fn settings_resolve_applications_and_without_them_a_warning_says_so() {
    let jobs = GOOD.replace("room: lobby", "room: lobby, app: mian");
    let folder = folder(&[("a.yaml", &jobs)]);
    let known = check(folder.path(), &["a.yaml", "--config", "ingestd.yaml"]);
    assert_eq!(known.status.code(), Some(1), "{known:?}");
    assert!(text(&known.stdout).contains("did you mean `main`?"), "{known:?}");
    let unknown = check(folder.path(), &["a.yaml"]);
    assert_eq!(unknown.status.code(), Some(0), "{unknown:?}");
    assert!(text(&unknown.stdout).contains("warning[no-settings]"), "{unknown:?}");
    assert!(text(&unknown.stderr).starts_with("1 file, 1 job: no errors, 1 warning\n"), "{unknown:?}");
}

#[test]
fn problems_of_the_settings_are_printed_beside_those_of_the_schedules() {
    let folder = folder(&[("a.yaml", BAD), ("broken.yaml", "acount: {}\n")]);
    let output = check(folder.path(), &["a.yaml", "--config", "broken.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = text(&output.stdout);
    assert!(report.contains("acount") && report.contains("rooom"), "{report}");
}

#[test]
fn an_empty_folder_and_a_path_that_is_not_there_are_problems() {
    let folder = folder(&[]);
    for (arguments, words) in [
        (&["--config", "ingestd.yaml"][..], "no schedule file"),
        (&["absent.yaml", "--config", "ingestd.yaml"], "there is no such file or folder"),
    ] {
        let output = check(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stdout).contains(words), "{output:?}");
    }
}

#[test]
fn settings_that_are_wrong_elsewhere_still_say_where_the_schedule_is() {
    let folder = folder(&[("schedules/a.yaml", GOOD)]);
    let settings = std::fs::read_to_string(folder.path().join("ingestd.yaml")).expect("readable");
    std::fs::create_dir(folder.path().join("elsewhere")).expect("a folder");
    let check_from_elsewhere = |settings: &str| {
        std::fs::write(folder.path().join("ingestd.yaml"), settings).expect("writable");
        check(&folder.path().join("elsewhere"), &["--config", "../ingestd.yaml"])
    };
    let output = check_from_elsewhere(&format!("{settings}rate: 0\n"));
    let told = text(&output.stdout);
    assert!(told.contains("`rate`") && !told.contains("no such file"), "{told}");
    assert_eq!(text(&output.stderr), "1 file, 1 job: 1 error, no warnings\n");
    // Where it is, nobody can tell.
    let output = check_from_elsewhere("account: [");
    assert!(!text(&output.stdout).contains("no such file"), "{output:?}");
    assert!(text(&output.stderr).contains("the settings do not say where they are"), "{output:?}");
}

#[test]
fn files_that_look_like_schedules_and_are_not_read_are_named() {
    let folder = folder(&[("schedules/a.yaml", GOOD)]);
    for inner in ["tv", ".git", "..data"] {
        std::fs::create_dir(folder.path().join("schedules").join(inner)).expect("a folder");
    }
    let read = ["tv/b.yaml", "k.yaml.txt", "B.YAML"];
    let set_aside = [
        ".git/b.yaml",
        "..data/c.yaml",
        "tv/b.txt",
        "a.yaml~",
        "a.yaml.bak",
        "a.yaml.1",
        "a.yaml.swp",
        "notes.txt",
        "a.yaml.20261128",
    ];
    for name in read.iter().chain(&set_aside) {
        std::fs::write(folder.path().join("schedules").join(name), GOOD).expect("writable");
    }
    let output = check(folder.path(), &["--config", "ingestd.yaml", "--format", "json"]);
    let objects: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let mut named: Vec<&str> = objects.iter().map(|object| object["file"].as_str().expect("a file")).collect();
    named.sort_unstable();
    assert_eq!(named, ["schedules/B.YAML", "schedules/k.yaml.txt", "schedules/tv/b.yaml"]);
    assert!(objects.iter().all(|object| object["code"] == "ignored-file" && object["severity"] == "warning"), "{objects:?}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn nothing_of_a_files_name_acts_on_the_terminal() {
    let name = "schedules/a\u{1b}[31m\u{202e}.yaml";
    let folder = folder(&[(name, BAD)]);
    let raw = |letter: char| letter != '\n' && ingestd::diagnostic::needs_escape(letter);
    for arguments in
        [&["--config", "ingestd.yaml"][..], &["--config", "ingestd.yaml", "--format", "json"], &[name], &["nowhere\u{202e}"]]
    {
        let output = check(folder.path(), arguments);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(!stdout.contains(raw) && !stderr.contains(raw), "{arguments:?}: {stdout:?} {stderr:?}");
        assert_eq!(output.status.code(), Some(1));
    }
}
