//! The real program: arguments to exit code, stdout and stderr. Knows no verb's work: each verb's own tests do.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The least that settings must say.
const GOOD: &str =
    "account: {region: ap-singapore}\napps: {main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}}\nlisten: none\n";

/// The program without anything of this host's environment that it would use.
fn ingestd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.args(arguments).stdin(Stdio::null()).env_clear();
    command
}

fn run(arguments: &[&str]) -> Output {
    ingestd(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// A job for every day: a folder without a schedule is an error.
const SCHEDULE: &str =
    "timezone: UTC\njobs: {daily: {at: \"18:00\", room: lobby, stream: \"https://cdn.example.com/a.mp4\", for: 1h}}\n";

/// A settings file in a folder of its own, with a schedule beside it.
fn settings(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("schedules")).expect("a folder");
    std::fs::write(folder.path().join("schedules/daily.yaml"), SCHEDULE).expect("writable");
    let path = folder.path().join("ingestd.yaml");
    std::fs::write(&path, content).expect("writable");
    (folder, path)
}

/// What a verb that cannot do without settings says of these.
fn plan_with(path: &Path) -> Output {
    run(&["plan", "--config", path.to_str().expect("a path of UTF-8")])
}

#[test]
fn arguments_that_are_not_valid_are_named_on_stderr_with_code_2() {
    for (arguments, words) in [
        (&[][..], "Usage: ingestd"),
        (&["no-such-verb"], "no-such-verb"),
        (&["plan", "--no-such-option"], "--no-such-option"),
        (&["plan", "--config"], "--config"),
        (&["plan", "--log", "xml"], "xml"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_data_on_stdout() {
    for (arguments, words) in [
        (&["--help"][..], "Usage: ingestd"),
        (&["help", "plan"], "Usage: ingestd plan"),
        (&["plan", "-h"], "Usage: ingestd plan"),
        (&["--version"], concat!("ingestd ", env!("CARGO_PKG_VERSION"))),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output.stdout).contains(words), "{arguments:?}: {}", text(&output.stdout));
        assert!(output.stderr.is_empty(), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn every_verb_of_the_help_has_a_line_that_says_what_it_does() {
    let help = text(&run(&["-h"]).stdout);
    let verbs: Vec<&str> =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty()).collect();
    assert!(!verbs.is_empty(), "{help}");
    // Long lines are wrapped, and go on further right.
    for verb in verbs.into_iter().filter(|line| !line.starts_with("   ")) {
        assert!(verb.split_whitespace().count() > 2, "`{verb}` says nothing");
    }
}

/// Settings with a job that starts every second, and the arguments that list more of it than any buffer holds.
fn busy_settings() -> (TempDir, PathBuf) {
    let (folder, path) = settings(GOOD.as_bytes());
    let job = "timezone: UTC\njobs: {tick: {every: 1s, room: 1, stream: 'https://a.example/a.mp4', length: 1s}}\n";
    std::fs::write(folder.path().join("schedules/tick.yaml"), job).expect("writable");
    (folder, path)
}

/// The program with its stdout there.
fn into(stdout: impl Into<Stdio>, arguments: &[&str]) -> Output {
    let child = ingestd(arguments).stdout(stdout).stderr(Stdio::piped()).spawn();
    child.and_then(std::process::Child::wait_with_output).expect("the program starts")
}

#[test]
fn a_reader_that_closes_its_pipe_had_what_it_wanted() {
    let (_folder, path) = busy_settings();
    let path = path.to_str().expect("a path of UTF-8");
    for arguments in [&["--help"][..], &["--version"], &["plan", "--config", path, "--format", "json", "--count", "9999"]] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = into(writer, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("error"), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_cannot_be_written_is_a_failure() {
    let (_folder, path) = busy_settings();
    let path = path.to_str().expect("a path of UTF-8");
    for arguments in [&["--help"][..], &["plan", "--config", path, "--format", "json"]] {
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        let output = into(full, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(text(&output.stderr).contains("error: cannot write to stdout: "), "{}", text(&output.stderr));
    }
}

#[test]
fn bad_settings_end_with_code_78_and_their_place() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (name, last) in "bcdefghi".chars().zip("abcdefgh".chars()) {
        let ten = vec![format!("*{last}"); 10].join(", ");
        bomb = format!("{bomb}{name}: &{name} [{ten}]\n");
    }
    for (content, words) in [
        (GOOD.replace("listen", "lsiten").into_bytes(), ":3:1\n"),
        (GOOD.replace("listen", "lsiten").into_bytes(), "error[unknown-key]: unknown key `lsiten` in the settings"),
        (GOOD.replace("listen", "lsiten").into_bytes(), "did you mean `listen`?"),
        (GOOD.replace("{env: KEY}", "0123456789abcdef").into_bytes(), "error[plain-text-secret]"),
        (GOOD.replace("{env: KEY}", "0123456789abcdef").into_bytes(), ":2:51\n"),
        (GOOD.replace("region", "endpoint: http://a.example, region").into_bytes(), "error[bad-endpoint]"),
        (bomb.into_bytes(), "the aliases of this file expand to more than"),
        (b"account: \0\n".to_vec(), "the file holds a NUL byte"),
        (b"account: \xff\n".to_vec(), "byte 9 of the file, 0xff, is not UTF-8"),
        (b"[".repeat(100_000), "error[yaml-too-deep]"),
        (Vec::new(), "the settings are empty"),
    ] {
        let (_folder, path) = settings(&content);
        let output = plan_with(&path);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{stderr}");
        assert!(stderr.contains(words), "{words}: {stderr}");
        assert!(stderr.contains(path.to_str().expect("a path of UTF-8")), "{stderr}");
        assert!(!stderr.contains("0123456789abcdef"), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn settings_that_cannot_be_read_end_with_code_78_and_say_why() {
    let (folder, path) = settings(GOOD.as_bytes());
    let huge = folder.path().join("huge.yaml");
    File::create(&huge).and_then(|file| file.set_len(100_000_000)).expect("writable");
    let mut files = vec![
        (folder.path().join("absent.yaml"), "No such file or directory"),
        (path.join("below-a-file.yaml"), "Not a directory"),
        (folder.path().to_path_buf(), "Is a directory"),
        (huge, "larger than 1048576 bytes"),
    ];
    if cfg!(target_os = "linux") {
        // A file that opens and cannot be read, by any user.
        files.push(("/proc/self/mem".into(), "Input/output error"));
    }
    for (path, words) in files {
        let output = plan_with(&path);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{stderr}");
        assert!(stderr.contains("error[unreadable]: cannot read the settings: ") && stderr.contains(words), "{stderr}");
        assert!(stderr.contains(&path.display().to_string()), "{stderr}");
    }
}

#[test]
fn the_settings_file_is_named_by_the_environment_and_the_option_goes_first() {
    let (_folder, good) = settings(GOOD.as_bytes());
    let by_environment = ingestd(&["plan"]).env("INGESTD_CONFIG", "/nowhere/a.yaml").output().expect("the program starts");
    assert_eq!(by_environment.status.code(), Some(78));
    assert!(text(&by_environment.stderr).contains("/nowhere/a.yaml"));
    let option = ["plan", "--config", good.to_str().expect("a path of UTF-8")];
    let by_option = ingestd(&option).env("INGESTD_CONFIG", "/nowhere/a.yaml").output().expect("the program starts");
    assert_eq!(by_option.status.code(), Some(0), "{}", text(&by_option.stderr));
}

#[test]
fn a_log_filter_that_is_not_valid_is_a_usage_error() {
    let output = ingestd(&["plan"]).env("INGESTD_LOG", "ingestd=loud").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: `$INGESTD_LOG` is not valid"), "{}", text(&output.stderr));
}

#[cfg(unix)]
#[test]
fn log_lines_are_for_people_or_for_the_journal_or_json() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let (folder, path) = settings(GOOD.replace("{env: KEY}", "{file: key}").as_bytes());
    let key = folder.path().join("key");
    std::fs::write(&key, "hush")
        .and_then(|()| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)))
        .expect("writable");
    let line = |log: &str, journal: bool| {
        let stderr = folder.path().join("stderr");
        let file = File::create(&stderr).expect("writable");
        let metadata = file.metadata().expect("it is open");
        let mut command = ingestd(&["--log", log, "--config", path.to_str().expect("a path of UTF-8"), "run"]);
        command.env("STATE_DIRECTORY", folder.path().join("state"));
        if journal {
            command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
        }
        // It ends at once, for want of the account's key.
        assert!(!command.stderr(file).status().expect("the program starts").success());
        let text = std::fs::read_to_string(stderr).expect("it was written");
        assert!(text.contains("TENCENTCLOUD_SECRET_ID") && !text.contains("hush"), "{text}");
        // What is wrong with the schedule may be told before it or after it.
        text.lines().find(|line| line.contains("the secret file")).unwrap_or_default().to_owned()
    };
    let warning = format!("the secret file `{}` can be read by every user of this host (mode 0644)", key.display());
    assert_eq!(line("text", true), format!("<4>{warning}"));
    let plain = line("text", false);
    assert!(plain.starts_with("20") && plain.ends_with(&format!("Z  WARN {warning}")), "{plain}");
    let json: serde_json::Value = serde_json::from_str(&line("json", true)).expect("an object a line");
    assert_eq!((json["level"].as_str(), json["message"].as_str()), (Some("WARN"), Some(warning.as_str())));
}
