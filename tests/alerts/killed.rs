//! A real process in simulated time: it lives through an outage of an hour of five receivers, and is killed by SIGKILL again and again, also
//! between the moment when a receiver took a message and its answer. The process is this test, started by itself.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ingestd::alerts::deliver::Deliverer;
use ingestd::alerts::{AlertEvent, Signal};

use super::outage::{Daemon, KINDS, at, ids, words};
use super::receivers::{ERRORS, KEY, Receivers, settings};

/// Its folder and the port of the receivers, for the process that is killed.
const FOLDER: &str = "INGESTD_TEST_FOLDER";
const PORT: &str = "INGESTD_TEST_PORT";

/// When each alert begins, by the simulated clock. The receivers are down from 100 to 3,700.
const BEGIN: [i64; 5] = [0, 200, 1_800, 1_900, 3_650];
const END: i64 = 5_000;

/// The process that is killed. Without its settings it is no test.
#[tokio::test]
async fn process_that_is_killed() {
    let (Ok(folder), Ok(port)) = (std::env::var(FOLDER), std::env::var(PORT)) else { return };
    let folder = PathBuf::from(folder);
    let settings = settings(port.parse().expect("a port"), &folder.join("key"));
    let deliverer = Deliverer::new("tv1".to_owned()).expect("certificates");
    let mut daemon = Daemon::start(&folder, &settings);
    let clock = folder.join("clock");
    let mut now: i64 = std::fs::read_to_string(&clock).ok().and_then(|now| now.parse().ok()).unwrap_or(0);
    daemon.clock = Some(clock.clone());
    // What the engine finds again after a crash: each is one trouble, however often it is raised.
    for second in BEGIN.iter().copied().chain([END]) {
        if second > now {
            daemon.play(&deliverer, &settings, now, second, None).await;
            now = second;
        }
        if second < END && daemon.ledger.alerts().expect("readable").iter().all(|kept| kept.alert.begun != at(second)) {
            let job = format!("job-{second}");
            daemon.signal(Signal::raise(AlertEvent::Failed, &job, format!("`{job}` is off the air"), at(second)), at(second));
        }
    }
}

fn start(folder: &Path, port: u16) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "killed::process_that_is_killed"]).env(FOLDER, folder).env(PORT, port.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("it starts")
}

/// Whether the condition comes true while the process runs; else the process has ended.
fn until(process: &mut Child, condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_mins(1), "the process hangs");
        if condition() {
            return true;
        }
        if let Some(status) = process.try_wait().expect("it is our child") {
            assert!(status.success(), "{status}");
            return false;
        }
        // The receivers are served by other threads.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_an_hour_and_sigkills_lose_nothing_and_double_only_what_was_not_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key"), KEY).expect("writable");
    let receivers = Receivers::start().await;
    receivers.down_by(folder.path().join("clock"), 100..3_700);
    // The second message that each of these takes is never answered, and the process is killed then.
    let silent: Arc<Mutex<Vec<&str>>> = Arc::new(Mutex::new(vec!["feishu", "json", "slack"]));
    let unanswered: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let (left, kept) = (Arc::clone(&silent), Arc::clone(&unanswered));
    let by_kind = receivers.clone();
    receivers.answer_if(move |kind| {
        let mut left = left.lock().expect("no panic");
        let found = left.iter().position(|silent| *silent == kind).filter(|_| by_kind.taken(kind).len() >= 2);
        if let Some(place) = found {
            left.remove(place);
            let message = by_kind.taken(kind).last().map(|object| words(kind, object)).expect("it was taken");
            kept.lock().expect("no panic").push((kind.to_owned(), message));
        }
        found.is_none()
    });
    let mut kills = 0;
    // In the middle of the outage, three times.
    for refused in [20, 90, 160] {
        let mut process = start(folder.path(), receivers.port);
        let is_killed = until(&mut process, || receivers.refused() >= refused);
        assert!(is_killed, "it is killed in the outage: {} were refused of {refused}", receivers.refused());
        process.kill().expect("SIGKILL");
        process.wait().expect("it is our child");
        kills += 1;
    }
    let outage_end = std::fs::read_to_string(folder.path().join("clock")).expect("a clock");
    // After each message that was taken and not answered.
    for count in 1.. {
        let mut process = start(folder.path(), receivers.port);
        if !until(&mut process, || unanswered.lock().expect("no panic").len() >= count) {
            break;
        }
        process.kill().expect("SIGKILL");
        process.wait().expect("it is our child");
        kills += 1;
    }
    let unanswered = unanswered.lock().expect("no panic").clone();
    println!("{kills} SIGKILLs, the third at second {outage_end} of the outage; taken and not recorded: {unanswered:#?}");
    println!("refused: {:?}", receivers.errors());
    for (kind, errors) in ERRORS {
        assert!(errors.iter().all(|error| receivers.errors().contains_key(&(kind.to_owned(), *error))), "{kind}: each error");
    }
    let ledger = ingestd::ledger::Ledger::open(folder.path()).expect("a ledger");
    let all: Vec<String> = ledger.alerts().expect("readable").into_iter().map(|kept| kept.alert.id).collect();
    assert_eq!((all.len(), unanswered.len()), (BEGIN.len(), 3));
    for kind in KINDS {
        let found = ids(&receivers, kind, &all);
        let counts: Vec<usize> = found.values().copied().collect();
        let taken = receivers.taken(kind);
        println!("{kind}: {} messages, each id so often: {counts:?}", taken.len());
        assert!(counts.iter().all(|count| *count >= 1), "{kind}: none is lost: {found:?}");
        if !unanswered.iter().any(|(silent, _)| silent == kind) {
            assert!(counts.iter().all(|count| *count == 1), "{kind}: each once: {found:?}");
            continue;
        }
        // What came twice is what was not recorded, each with its id in the body; it may come with others then.
        let (_, message) = unanswered.iter().find(|(silent, _)| silent == kind).expect("one");
        for (id, count) in &found {
            assert_eq!(*count, if message.contains(id.as_str()) { 2 } else { 1 }, "{kind}: {id}: {taken:#?}");
        }
    }
}
