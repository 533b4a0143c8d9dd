//! `status` with a daemon and without one, and what the verbs that go by the schedule files say of the daemon. Does not know what the ledger
//! holds.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use ingestd::ledger::Ledger;
use ingestd::occurrence::{MissedReason, Outcome};
use jiff::SignedDuration;

use super::filling::write;
use super::rows::{armed, missed, on_air};
use super::served::{self, Served, now};
use super::{NO_ZONE, command, parts, run, settings, with_ledger};

#[test]
fn a_status_without_a_daemon_is_the_ledgers_and_says_so() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port that is free again");
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = other.local_addr().expect("it is bound");
    let stranger = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = other.accept().expect("a connection");
            let read = stream.read(&mut [0; 1024]).expect("a request");
            assert!(read > 0);
            let answer = stream.write_all(b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
            answer.expect("an answer");
        }
    });
    for (listen, words) in [
        ("none".to_owned(), "state/control.sock` (No such file or directory (os error 2)): nothing is started"),
        (closed.to_string(), ", and none at `127.0.0.1:"),
        (address.to_string(), "(something else listens there): nothing is started, and nothing is stopped"),
    ] {
        let recent = [on_air("film", now() - SignedDuration::from_hours(1)), armed("late", now() - SignedDuration::from_mins(1))];
        let (_folder, path) = with_ledger(&listen, &recent);
        let mut ledger = Ledger::open(&path.with_file_name("state")).expect("the ledger");
        write(&mut ledger, &missed("news", now() - SignedDuration::from_mins(1), Outcome::Missed(MissedReason::Late)));
        let (code, stdout, stderr) = run(&path, &["status", "--format", "json"]);
        assert_eq!(code, Some(69), "{listen}: {stderr}");
        assert_eq!((stderr.as_str(), stdout.lines().count()), (NO_ZONE, 1), "{listen}: {stdout}");
        let status: serde_json::Value = serde_json::from_str(&stdout).expect("one object");
        assert_eq!(status["health"], "failing", "{listen}: {stdout}");
        let reason = status["reasons"][0].as_str().expect("a reason");
        assert!(reason.starts_with("no daemon answers at the control socket `") && reason.contains(words), "{listen}: {reason}");
        assert_eq!(status["on_air"][0]["job"], "film");
        assert_eq!(status["recent_trouble"][0]["job"], "news");
        for (key, unknown) in [
            ("next", serde_json::json!(null)),
            ("watch_period_s", serde_json::json!(null)),
            ("queue", serde_json::json!({"start": null, "stop": null, "describe": null})),
            ("clock", serde_json::json!({"synchronised": null, "offset_ms": null, "held": null})),
            ("orphans", serde_json::json!([])),
        ] {
            assert_eq!(status[key], unknown, "{key}");
        }
        let (code, stdout, _) = run(&path, &["status"]);
        assert_eq!(code, Some(69));
        assert!(stdout.starts_with("failing\n") && stdout.contains("what follows is from the ledger"), "{stdout}");
    }
    stranger.join().expect("no panic");
}

#[test]
fn a_daemon_that_does_not_answer_is_not_waited_for_long() {
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (_folder, path) = with_ledger(&deaf.local_addr().expect("it is bound").to_string(), &[]);
    let (code, stdout, _) = run(&path, &["status"]);
    assert_eq!(code, Some(69));
    assert!(stdout.starts_with("failing\n") && stdout.contains("(no answer in 5 s)"), "{stdout}");
    // Who listens at the control socket and does not answer is the daemon: its page is not waited for too.
    let socket = std::os::unix::net::UnixListener::bind(path.with_file_name("state").join("control.sock")).expect("a socket");
    let (code, stdout, _) = run(&path, &["status"]);
    assert_eq!(code, Some(69));
    assert!(stdout.contains("control.sock` (no answer in 5 s): nothing is started") && !stdout.contains("none at"), "{stdout}");
    drop(socket);
}

#[test]
fn a_daemon_whose_port_is_taken_is_asked_over_its_socket() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (_folder, path) = with_ledger(&taken.local_addr().expect("it is bound").to_string(), &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let served = runtime.block_on(Served::new());
    let socket = path.with_file_name("state").join("control.sock");
    let ask_over = |served: &Served| {
        let _entered = runtime.enter();
        served.also_at(ingestd::web::control::bind(&socket).expect("a socket"));
    };
    ask_over(&served);
    let (code, stdout, stderr) = run(&path, &["status"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("ok\n") && stdout.contains("generation 12"), "{stdout}");
    runtime.block_on(served.closed());
}

#[test]
fn a_plan_of_files_that_the_daemon_does_not_play_says_so() {
    let (folder, path) = settings("none");
    let schedules = folder.path().join("nowhere");
    fs::create_dir(&schedules).expect("a folder");
    fs::write(schedules.join("a.yaml"), "timezone: UTC\njobs: {a: {at: \"18:00\", room: lobby, stream: \"rtmp://h/a/b\"}}\n")
        .expect("writable");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let held = ingestd::diagnostic::Diagnostic::error("held", "this schedule would drop 13 of 16 jobs");
    let served = runtime.block_on(Served::with(|in_force| in_force.rejected = [held].into(), true));
    {
        let _entered = runtime.enter();
        let socket = path.with_file_name("state").join("control.sock");
        served.also_at(ingestd::web::control::bind(&socket).expect("a socket"));
    }
    let told = "warning: the daemon refused its schedule files when it read them last (this schedule would drop 13 of 16 jobs): it plays \
                generation 12; `ingestd status` says more, and `ingestd reload` has it read them again\n";
    for arguments in [&["plan"][..], &["why", "a"], &["check"]] {
        let (code, _, stderr) = run(&path, arguments);
        assert!(code == Some(0) && stderr.contains(told), "{arguments:?}: {stderr}");
    }
    // What is held is seen before it is.
    served.in_force.send_modify(|in_force| {
        in_force.rejected = [].into();
        let job = |number: usize| {
            format!("  j{number}: {{at: '18:00', room: {number}, stream: 'rtmp://h/a/b', app: main, region: ap-singapore}}\n")
        };
        let jobs: String = (1..=16).map(job).collect();
        let schedule = served::schedule(&format!("timezone: UTC\njobs:\n{jobs}"), &ingestd::zones::Zones::newest());
        in_force.generation.schedule = schedule.into();
    });
    let (_, _, stderr) = run(&path, &["check"]);
    assert!(stderr.contains("the daemon plays 16 jobs, and these files have 1: a reload holds them"), "{stderr}");
    assert!(!run(&path, &["plan"]).2.contains("the daemon"));
    runtime.block_on(served.closed());
}

#[test]
fn a_status_with_a_daemon_is_the_daemons() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let served = runtime.block_on(Served::new());
    write(&mut served.ledger(), &on_air("evening", now() - SignedDuration::from_mins(10)));
    // The ledger of the settings is another, and is not looked at.
    let (_folder, path) = settings(&served.address.to_string());
    assert_eq!(served.busy.turn.stands(), None);
    let (code, stdout, stderr) = run(&path, &["status"]);
    let another = |stderr: &str| {
        stderr.starts_with("warning: no daemon answers at the control socket `") && stderr.contains("may be another")
    };
    assert!(code == Some(0) && another(&stderr), "{stderr}");
    assert!(stdout.starts_with("ok\n") && stdout.contains("generation 12") && stdout.contains("evening"), "{stdout}");
    let proxied = command(Path::new(env!("CARGO_BIN_EXE_ingestd")), &path, &["status", "--format", "json"])
        .envs([("http_proxy", "http://127.0.0.1:9"), ("HTTP_PROXY", "http://127.0.0.1:9"), ("ALL_PROXY", "http://127.0.0.1:9")])
        .output()
        .expect("the program starts");
    let (code, stdout, stderr) = parts(&proxied);
    assert!(code == Some(0) && another(&stderr) && stdout.lines().count() == 1, "{stderr}");
    let status: serde_json::Value = serde_json::from_str(&stdout).expect("one object");
    assert_eq!((&status["health"], &status["queue"]["start"]), (&"ok".into(), &5.into()));
    served.status.send_modify(|status| *status.queue.of_mut(ingestd::trtc::Action::Start) = 0);
    served.in_force.send_modify(|in_force| in_force.generation.number = 13);
    let (_, stdout, _) = run(&path, &["status"]);
    assert!(stdout.contains("generation 13") && !stdout.contains("5 starts"), "{stdout}");
    runtime.block_on(served.closed());
}

#[test]
fn the_exit_code_of_a_status_says_whether_the_health_is_ok() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let served = runtime.block_on(Served::new());
    let (_folder, path) = settings(&served.address.to_string());
    assert_eq!(run(&path, &["status"]).0, Some(0));
    write(&mut served.ledger(), &missed("news", now() - SignedDuration::from_mins(1), Outcome::Missed(MissedReason::Late)));
    for format in ["table", "json"] {
        let (code, stdout, stderr) = run(&path, &["status", "--format", format]);
        assert_eq!(code, Some(1), "{format}: {stderr}");
        assert!(stdout.contains("degraded"), "{stdout}");
    }
}
