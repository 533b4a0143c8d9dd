//! The verbs that give orders, with the real program against a stand-in for the daemon on a real control socket: arguments to what is
//! ordered, the reply to exit code, stdout and stderr.

#[path = "web/served.rs"]
#[expect(dead_code, reason = "other tests need more of it")]
mod served;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use ingestd::daemon::{Handle, Message};
use ingestd::engine::{self, Reply, StopTarget};
use ingestd::web::control::{self, Reloader};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Settings whose control socket is beside them.
fn settings(more: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ingestd.yaml");
    let apps = "apps: {main: {sdk_app_id: 1400000001, secret_key: {file: nowhere}}}";
    fs::write(&path, format!("account: {{region: ap-singapore}}\n{apps}\nschedules: nowhere\n{more}")).expect("writable");
    (folder, path)
}

/// Exit code, stdout, stderr.
fn run(settings: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command.args(arguments).arg("--config").arg(settings).stdin(Stdio::null()).env_clear();
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A stand-in for the daemon that answers every order so, and writes down what was ordered.
struct Daemon {
    _folder: TempDir,
    settings: PathBuf,
    ordered: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl Daemon {
    fn answering(reply: Reply) -> Daemon {
        let (folder, settings) = settings("control: control.sock\n");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let ordered = Arc::new(Mutex::new(Vec::new()));
        let (handle, mut inputs) = Handle::new();
        let (log, answer) = (Arc::clone(&ordered), reply.clone());
        let entered = runtime.enter();
        tokio::spawn(async move {
            while let Some(Message::Order(order, reply)) = inputs.recv().await {
                let what = match order.command {
                    engine::Command::Stop(StopTarget::Job(job)) => format!("stop job {job}"),
                    engine::Command::Stop(StopTarget::Task(task)) => format!("stop task {task}"),
                    engine::Command::Stop(StopTarget::TaskOf { task_id, app }) => format!("stop task {task_id} of {app}"),
                    engine::Command::Stop(StopTarget::All) => "stop all".to_owned(),
                    engine::Command::ConfirmClock => "confirm".to_owned(),
                    engine::Command::Skip { job, start } => format!("skip {job} {start:?}"),
                    engine::Command::Fire(order) => format!("{order:?}"),
                    engine::Command::Pause { job, length } => format!("pause {job:?} {length:?}"),
                    engine::Command::Resume { job, start } => format!("resume {job:?} {start:?}"),
                    _ => "another order".to_owned(),
                };
                let note = order.note.map(|note| format!(": {note}")).unwrap_or_default();
                log.lock().expect("whole").push(what + &note);
                reply.send(answer.clone()).expect("somebody waits");
            }
        });
        let log = Arc::clone(&ordered);
        let reloader: Reloader = Arc::new(move |_, force| {
            log.lock().expect("whole").push(format!("reload {force}"));
            let reply = reply.clone();
            Box::pin(async move { reply })
        });
        let state = folder.path().join("state");
        let socket = control::bind(&folder.path().join("control.sock")).expect("a socket");
        tokio::spawn(control::serve(socket, handle, (reloader, served::idle(state)), std::future::pending()));
        drop(entered);
        Daemon { _folder: folder, settings, ordered, _runtime: runtime }
    }

    fn ordered(&self) -> Vec<String> {
        std::mem::take(&mut self.ordered.lock().expect("whole"))
    }
}

#[test]
fn what_was_done_is_printed_line_by_line() {
    let daemon = Daemon::answering(Ok(vec!["evening: stopping".to_owned(), "film: stopping".to_owned()]));
    for (arguments, ordered) in [
        (&["stop", "evening"][..], "stop job evening"),
        (&["stop", "--task", "-m+a-b.."], "stop task -m+a-b.."),
        (&["stop", "--task", "-m+a-b..", "--app", "main"], "stop task -m+a-b.. of main"),
        (&["stop", "--app", "main", "--task", "x"], "stop task x of main"),
        (&["stop", "--all"], "stop all"),
        (&["stop", "evening", "--note", "fire alarm"], "stop job evening: fire alarm"),
        (&["skip", "evening"], "skip evening None"),
        (&["skip", "evening", "--at", "2026-11-22T18:00:00+08:00"], "skip evening Some(2026-11-22T10:00:00Z)"),
        (
            &["skip", "evening", "--at", "2026-11-22 18:00", "--timezone", "Asia/Shanghai"],
            "skip evening Some(2026-11-22T10:00:00Z)",
        ),
        (&["pause", "--for", "1h30m", "--note", "works in the hall"], "pause None Some(5400s): works in the hall"),
        (&["pause", "evening", "--indefinite"], "pause Some(JobId(\"evening\")) None"),
        (&["resume"], "resume None None"),
        (&["resume", "evening"], "resume Some(JobId(\"evening\")) None"),
        (&["resume", "evening", "--at", "2026-11-22T10:00:00Z"], "resume Some(JobId(\"evening\")) Some(2026-11-22T10:00:00Z)"),
        (&["fire", "evening"], "FireOrder { job: JobId(\"evening\"), length: None, room: None, preempt: false }"),
        (
            &["fire", "evening", "--for", "90s", "--room", "42", "--preempt", "--note", "now"],
            "FireOrder { job: JobId(\"evening\"), length: Some(90s), room: Some(Integer(42)), preempt: true }: now",
        ),
        (
            &["fire", "evening", "--room", "\"42\""],
            "FireOrder { job: JobId(\"evening\"), length: None, room: Some(Text(\"42\")), preempt: false }",
        ),
        (&["reload"], "reload false"),
        (&["reload", "--force"], "reload true"),
        (&["clock", "confirm"], "confirm"),
    ] {
        let (code, stdout, stderr) = run(&daemon.settings, arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert_eq!(stdout, "evening: stopping\nfilm: stopping\n");
        assert_eq!(daemon.ordered(), [ordered], "{arguments:?}");
    }
}

#[test]
fn what_is_refused_ends_with_code_1() {
    let daemon = Daemon::answering(Err("nothing of `film` is on air".to_owned()));
    for arguments in [&["stop", "film"][..], &["reload"], &["clock", "confirm"]] {
        let (code, stdout, stderr) = run(&daemon.settings, arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert_eq!(stderr, "error: nothing of `film` is on air\n", "{arguments:?}");
    }
}

#[test]
fn arguments_that_are_not_valid_end_with_code_2() {
    let daemon = Daemon::answering(Ok(Vec::new()));
    for (arguments, words) in [
        (&["stop"][..], "required arguments were not provided"),
        (&["stop", "film", "--all"], "cannot be used with"),
        (&["stop", "--task", "x", "--all"], "cannot be used with"),
        (&["stop", "No Job"], "a job id is 1 to 32 of"),
        (&["stop", "--app", "main"], "required arguments were not provided"),
        (&["stop", "film", "--app", "main"], "cannot be used with"),
        (&["stop", "--all", "--app", "main"], "cannot be used with"),
        (&["stop", "--task", ""], "a TaskId is 1 to 256 visible ASCII characters"),
        (&["stop", "--task", "a b"], "a TaskId is 1 to 256 visible ASCII characters"),
        (&["stop", "--task", "x\u{e9}", "--app", "main"], "a TaskId is 1 to 256 visible ASCII characters"),
        (&["pause"], "required arguments were not provided"),
        (&["pause", "evening"], "required arguments were not provided"),
        (&["pause", "--for", "1h", "--indefinite"], "cannot be used with"),
        (&["pause", "--for", "90"], "give it a unit: `90s`"),
        (&["pause", "--for", "0s"], "expected at least one second"),
        (&["pause", "--for", "200ms"], "expected at least one second"),
        (&["skip", "evening", "--note", "a\u{1b}[31mb"], "a note is one line of visible characters, found `\\u{1b}`"),
        (&["fire", "evening", "--note", "a\u{202e}b"], "a note is one line of visible characters, found `\\u{202e}`"),
        (&["resume", "evening", "--note", &"a".repeat(10_240)], "a note has at most 500 bytes; this one has 10240: shorten it"),
        (&["skip"], "required arguments were not provided"),
        (&["skip", "evening", "--at", "noon"], "noon"),
        (&["resume", "--at", "now+1h"], "required arguments were not provided"),
        (&["fire"], "required arguments were not provided"),
        (&["fire", "evening", "--room", "0"], "an integer room is 1 to"),
        (&["reload", "now"], "unexpected argument"),
        (&["clock"], "confirm"),
        (&["clock", "set"], "set"),
    ] {
        let (code, stdout, stderr) = run(&daemon.settings, arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert!(!stderr.contains(['\u{1b}', '\u{202e}']), "what acts on a terminal is not repeated: {arguments:?}");
    }
    assert_eq!(daemon.ordered(), [""; 0]);
}

#[test]
fn without_a_daemon_the_socket_is_named_and_what_to_try_with_code_69() {
    let (folder, settings) = settings("state: state\n");
    fs::create_dir(folder.path().join("state")).expect("a folder");
    let socket = folder.path().join("state/control.sock");
    let named = format!("error: no daemon answers at the control socket `{}` (", socket.display());
    let refused = |hint: &str| {
        let (code, stdout, stderr) = run(&settings, &["stop", "--all"]);
        assert_eq!((code, stdout.as_str()), (Some(69), ""), "{stderr}");
        assert!(stderr.starts_with(&named) && stderr.contains("help: ") && stderr.contains(hint), "{hint}: {stderr}");
    };
    refused("name its socket with `control: PATH`");
    drop(UnixListener::bind(&socket).expect("a socket"));
    refused("it is not running any more");
    fs::remove_file(&socket).expect("ours");
    // Who is root may do everything, so that only others can see this.
    let _listener = UnixListener::bind(&socket).expect("a socket");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o0)).expect("ours");
    if !rustix::process::geteuid().is_root() {
        refused("ingestd-operators");
    }
}

#[test]
fn something_else_at_the_socket_is_not_taken_for_a_daemon() {
    for answer in ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"done\":[]}"] {
        let (folder, settings) = settings("control: c.sock\n");
        let listener = UnixListener::bind(folder.path().join("c.sock")).expect("a socket");
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("it is taken");
        });
        let (code, stdout, stderr) = run(&settings, &["reload"]);
        assert_eq!((code, stdout.as_str()), (Some(69), ""), "{answer:?}: {stderr}");
        assert!(stderr.contains("no daemon answers at the control socket"), "{stderr}");
        other.join().expect("no panic");
    }
}

#[test]
fn settings_that_are_wrong_end_with_code_78() {
    let (_folder, settings) = settings("control: \n");
    let (code, stdout, stderr) = run(&settings, &["stop", "--all"]);
    assert_eq!((code, stdout.as_str()), (Some(78), ""));
    assert!(stderr.contains("`control`: expected a path, found no value"), "{stderr}");
}

#[test]
fn who_waits_long_is_told_so_once() {
    let (folder, settings) = settings("control: c.sock\n");
    let listener = UnixListener::bind(folder.path().join("c.sock")).expect("a socket");
    let slow = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).expect("a request");
        // It answers only when the one who waits has said so.
        stream
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
    command
        .args(["reload", "--config"])
        .arg(&settings)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_clear();
    let mut waiting = command.spawn().expect("the program starts");
    let mut stream = slow.join().expect("no panic");
    let mut stderr = std::io::BufReader::new(waiting.stderr.take().expect("it is piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).expect("a line");
    assert!(line.starts_with("note: the daemon has not answered for 5 s; this waits for it, 300 s at most"), "{line}");
    let answer = b"HTTP/1.1 200 OK\r\nServer: ingestd/0\r\nContent-Length: 11\r\n\r\n{\"done\":[]}";
    stream.write_all(answer).expect("it is taken");
    assert_eq!(waiting.wait().expect("it ends").code(), Some(0));
    line.clear();
    stderr.read_to_string(&mut line).expect("the rest");
    assert_eq!(line, "");
}

#[test]
fn what_is_no_socket_is_said_to_be_none() {
    let (folder, settings) = settings("control: control.sock\n");
    fs::write(folder.path().join("control.sock"), "").expect("writable");
    let (code, _, stderr) = run(&settings, &["pause", "--for", "1h"]);
    assert!(code == Some(69) && stderr.contains("expected a socket, found something else"), "{stderr}");
}
