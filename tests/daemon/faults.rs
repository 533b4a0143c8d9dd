//! What the ledger says when the endpoint refuses, fails, gives wrong answers or is down. One daemon runs through all of it, so that each
//! fault also shows that the others go on.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::Duration;

use ingestd::occurrence::{Failure, Occurrence, Outcome, State};
use ingestd::sandbox::{EndReason, FaultEffect, FaultRule, Replacement, SandboxTask};
use ingestd::trtc::Action;

use super::rig::{Call, Rig, SECRETS, contains, get, looping, once, soon, wait_until};

/// What a daemon left that lived through every fault.
struct Run {
    rows: Vec<(Occurrence, Vec<Call>, Vec<SandboxTask>)>,
    /// What it wrote, said and showed, by name.
    traces: Vec<(String, Vec<u8>)>,
}

static RUN: LazyLock<Run> = LazyLock::new(live_through_every_fault);

const USER_INFO: &str = "hush-user-info";
const QUERY: &str = "hush-query";

fn live_through_every_fault() -> Run {
    let start = |rule: FaultRule, robot: &str| rule.action(Action::Start).robot(robot);
    let instead = |with: Replacement, done: bool| FaultRule::new(FaultEffect::Replace { with, done });
    let html = || Replacement::Status { status: 502, retry_after: None };
    let rig = Rig::new(vec![
        start(FaultRule::error("InternalError"), "twice").times(2),
        start(FaultRule::error("InvalidParameter.StreamUrl"), "bad-url"),
        start(instead(html(), false), "proxy").times(1),
        start(instead(html(), false), "proxy-down"),
        start(instead(Replacement::Hang, false), "hang"),
        start(instead(Replacement::Cut, false), "cut-before").times(1),
        start(instead(Replacement::Cut, true), "cut-after").times(1),
    ]);
    let start = soon(2);
    let jobs = ["twice", "bad-url", "proxy", "cut-before", "cut-after"].map(|job| looping(job, start, "8s"));
    let short = ["proxy-down", "hang"].map(|job| looping(job, start, "5s"));
    let calm = format!(
        "  calm: {{ once: {}, for: 4s, room: calm, stream: 'https://viewer:{USER_INFO}@cdn.example.com/calm.mp4?key={QUERY}' }}\n",
        once(start)
    );
    rig.jobs(&[jobs.concat(), short.concat(), calm].concat());
    rig.listen("127.0.0.1:0");
    let daemon = rig.started();
    let mut traces = vec![("the arguments".to_owned(), daemon.arguments())];
    wait_until("everything is over", || {
        let rows = rig.rows();
        (rows.len() == 8 && rows.iter().all(Occurrence::is_done)).then_some(())
    });
    for page in ["status", "plan", "history", "status?format=table"] {
        traces.push((page.to_owned(), get(daemon.page(), &format!("/api/v1/{page}")).into_bytes()));
    }
    daemon.stop();
    let rows = rig.rows().into_iter().map(|row| {
        let job = row.key.job.to_string();
        (row, rig.start_calls(&job), rig.tasks(&job))
    });
    let rows = rows.collect();
    traces.extend(rig.traces().into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)));
    Run { rows, traces }
}

fn of(job: &str) -> &'static (Occurrence, Vec<Call>, Vec<SandboxTask>) {
    RUN.rows.iter().find(|(row, ..)| row.key.job.as_str() == job).expect("it was planned")
}

fn outcome(row: &Occurrence) -> &Outcome {
    match &row.state {
        State::Done { outcome } => outcome,
        other => panic!("{other:?}"),
    }
}

fn codes(calls: &[Call]) -> Vec<Option<&str>> {
    calls.iter().map(|call| call.code.as_deref()).collect()
}

#[test]
fn an_internal_error_is_tried_again_until_it_is_on_air() {
    let (row, calls, tasks) = of("twice");
    assert_eq!(*outcome(row), Outcome::EndedPlanned);
    assert_eq!((row.attempts, row.was_in_doubt), (3, true));
    assert_eq!(codes(calls), [Some("InternalError"), Some("InternalError"), None]);
    assert_eq!(calls.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(calls.iter().all(|call| call.sent_ms.is_some() && call.answered_ms.is_some()));
    assert_eq!(tasks.iter().filter_map(|task| task.ended).map(|(_, why)| why).collect::<Vec<_>>(), [EndReason::Stopped]);
}

#[test]
fn a_bad_stream_url_fails_when_its_window_closes_and_the_others_go_on() {
    let (row, calls, tasks) = of("bad-url");
    assert_eq!(*outcome(row), Outcome::Failed(Failure::Code("InvalidParameter.StreamUrl".to_owned())));
    // At once, 5 s later, and in the last moment of its window of 6 s.
    assert_eq!((row.attempts, row.was_in_doubt, calls.len(), tasks.len()), (3, false, 3, 0));
    assert_eq!(codes(calls), [Some("InvalidParameter.StreamUrl"); 3]);
    let (calm, calls, tasks) = of("calm");
    assert_eq!(*outcome(calm), Outcome::EndedPlanned);
    assert_eq!((calm.attempts, calm.was_in_doubt, calls.len(), tasks.len()), (1, false, 1, 1));
}

#[test]
fn a_page_of_html_is_a_doubt_and_is_tried_again() {
    let (row, calls, _) = of("proxy");
    assert_eq!(*outcome(row), Outcome::EndedPlanned);
    assert_eq!((row.attempts, row.was_in_doubt), (2, true));
    assert_eq!(calls.iter().map(|call| call.http_status).collect::<Vec<_>>(), [Some(502), Some(200)]);
    assert!(calls[0].message.as_deref().is_some_and(|message| message.contains("502")));
    let (row, calls, _) = of("proxy-down");
    assert_eq!(*outcome(row), Outcome::Failed(Failure::InDoubt));
    assert!(row.attempts >= 2 && calls.len() == row.attempts as usize, "{row:#?}");
}

#[test]
fn an_endpoint_that_hangs_leaves_a_doubt_when_the_window_closes() {
    let (row, calls, _) = of("hang");
    assert_eq!(*outcome(row), Outcome::Failed(Failure::InDoubt));
    assert_eq!((row.attempts, row.was_in_doubt, calls.len()), (1, true, 1));
    assert_eq!(calls[0].message.as_deref(), Some("no answer in time"));
}

#[test]
fn a_connection_cut_before_the_effect_is_a_doubt_and_the_next_attempt_is_on_air() {
    let (row, calls, tasks) = of("cut-before");
    assert_eq!(*outcome(row), Outcome::EndedPlanned);
    assert_eq!((row.attempts, row.was_in_doubt, calls.len(), tasks.len()), (2, true, 2, 1));
    assert!(row.task_id.is_some() && calls[0].http_status.is_none());
}

#[test]
fn a_connection_cut_after_the_effect_is_on_air_without_an_id_and_ends_unverified() {
    let (row, calls, tasks) = of("cut-after");
    assert_eq!(*outcome(row), Outcome::EndedUnverified);
    assert_eq!((row.attempts, row.was_in_doubt, row.task_id.as_ref()), (2, true, None));
    assert!(row.on_air_at.is_some());
    assert_eq!(codes(calls), [None, Some("FailedOperation.TaskExist")]);
    // Its id is not known, so that only the cloud ends it: the loop was sent with a bound.
    let [task] = &tasks[..] else { panic!("one task, not {tasks:?}") };
    assert!(task.runs() && task.params.max_duration == Some(2), "{task:?}");
}

#[test]
fn no_secret_and_no_ticket_is_in_what_the_daemon_writes_says_or_shows() {
    assert!(of("calm").0.on_air_at.is_some(), "a ticket was sent and taken");
    assert!(RUN.traces.iter().any(|(name, _)| name.ends_with("ingestd.db")) && RUN.traces.len() >= 8);
    for (name, bytes) in &RUN.traces {
        for (_, secret) in SECRETS {
            assert!(!contains(bytes, secret), "{name} holds a secret");
        }
        for word in ["Signature=", "TC3-HMAC"] {
            assert!(!contains(bytes, word), "{name} holds a signature");
        }
        assert!(!holds_ticket(bytes), "{name} holds a UserSig");
        // The ledger and the kept sources must be able to start it again.
        let keeps_urls = name.contains("ingestd.db") || name.contains("accepted-");
        for part in [USER_INFO, QUERY] {
            assert!(keeps_urls || !contains(bytes, part), "{name} holds what may be secret in a URL");
        }
    }
}

/// Whether there is a zlib stream in the alphabet of UserSig, which begins with `eJ`.
fn holds_ticket(bytes: &[u8]) -> bool {
    let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || b"*-_".contains(byte);
    bytes.windows(40).any(|window| window.starts_with(b"eJ") && window.iter().all(is_of_it))
}

#[test]
fn a_ticket_would_be_found() {
    let ticket = "eJwtzMEKgkAUheF3uesht3HujCO0ahdBlKaYCC2CJrvFlHqzWo2";
    assert!(holds_ticket(format!("log: {ticket}\n").as_bytes()));
    assert!(!holds_ticket(b"eJ short, and other text that goes on for a while"));
}

#[test]
fn an_endpoint_that_is_not_there_is_tried_until_the_window_closes() {
    // A port without a server: it was free, and this listener keeps others from it without accepting.
    let rig = Rig::new(Vec::new());
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    rig.settings(free, "listen: 127.0.0.1:0");
    let start = soon(2);
    rig.jobs(&[looping("early", start, "8s"), looping("late", start + Duration::from_secs(2), "5s")].concat());
    let mut daemon = rig.started();
    for job in ["early", "late"] {
        let row = rig.wait_done(job);
        assert_eq!(*outcome(&row), Outcome::Failed(Failure::Unreachable), "{row:#?}");
        assert!(row.attempts >= 2 && !row.was_in_doubt, "{row:#?}");
        let calls = rig.start_calls(job);
        assert_eq!(calls.len(), row.attempts as usize);
        assert!(calls.iter().all(|call| call.message.as_deref().is_some_and(|message| message.starts_with("cannot connect"))));
    }
    assert!(daemon.runs() && get(daemon.page(), "/healthz") == "ok\n");
    daemon.stop();
}
