//! The control socket: whose orders reach the daemon, in which form, and what comes back. The test stands in for the daemon.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ingestd::daemon::{Handle, Message};
use ingestd::engine::{Command, Order, Reply, StopTarget};
use ingestd::web::control::{self, Reloader};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::client::Response;
use super::served::{PATIENCE, Served, idle};

/// The socket, and everything that was ordered over it.
struct Socket {
    _folder: TempDir,
    path: PathBuf,
    ordered: Arc<Mutex<Vec<String>>>,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Socket {
    /// With a daemon that answers every order so.
    fn open(reply: Reply) -> Socket {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let listener = control::bind(&path).expect("a socket");
        let ordered = Arc::new(Mutex::new(Vec::new()));
        let (handle, mut inputs) = Handle::new();
        let (log, answer) = (Arc::clone(&ordered), reply.clone());
        tokio::spawn(async move {
            while let Some(input) = inputs.recv().await {
                let Message::Order(order, reply) = input else { panic!("a callback") };
                log.lock().expect("nobody panics holding it").push(format!(
                    "{} {}{}",
                    order.who,
                    name(&order.command),
                    noted(&order)
                ));
                reply.send(answer.clone()).expect("somebody waits");
            }
        });
        let log = Arc::clone(&ordered);
        let reloader: Reloader = Arc::new(move |who, force| {
            log.lock().expect("nobody panics holding it").push(format!("{who} reload {force}"));
            let reply = reply.clone();
            Box::pin(async move { reply })
        });
        let (shutdown, ended) = oneshot::channel();
        let serving = tokio::spawn(control::serve(listener, handle, (reloader, idle(PathBuf::from("nowhere"))), async {
            drop(ended.await);
        }));
        Socket { _folder: folder, path, ordered, shutdown: Some(shutdown), serving }
    }

    async fn send(&self, bytes: &str) -> Response {
        let mut stream = UnixStream::connect(&self.path).await.expect("it listens");
        stream.write_all(bytes.as_bytes()).await.expect("written");
        Response::read(&mut stream).await
    }

    /// As curl posts it: its content type is that of a form.
    async fn post(&self, path: &str, body: &str) -> Response {
        let length = body.len();
        let form = "Content-Type: application/x-www-form-urlencoded";
        self.send(&format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{form}\r\nContent-Length: {length}\r\n\r\n{body}")).await
    }

    fn ordered(&self) -> Vec<String> {
        std::mem::take(&mut self.ordered.lock().expect("nobody panics holding it"))
    }
}

fn noted(order: &Order) -> String {
    order.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default()
}

fn name(what: &Command) -> String {
    match what {
        Command::Stop(StopTarget::Job(job)) => format!("stop job {job}"),
        Command::Stop(StopTarget::Task(task)) => format!("stop task {task}"),
        Command::Stop(StopTarget::TaskOf { task_id, app }) => format!("stop task {task_id} of {app}"),
        Command::Stop(StopTarget::All) => "stop all".to_owned(),
        Command::ConfirmClock => "confirm".to_owned(),
        Command::Skip { job, start } => format!("skip {job} {start:?}"),
        Command::Fire(order) => format!("{order:?}"),
        Command::Pause { job, length } => format!("pause {job:?} {length:?}"),
        Command::Resume { job, start } => format!("resume {job:?} {start:?}"),
        _ => "another order".to_owned(),
    }
}

fn me() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

#[tokio::test]
async fn each_order_reaches_the_daemon_with_the_user_who_gave_it() {
    let socket = Socket::open(Ok(vec!["one".to_owned(), "two \"quoted\"".to_owned()]));
    for (path, body, expected) in [
        ("/v1/stop", "{\"job\": \"evening-promo\"}", "stop job evening-promo"),
        ("/v1/stop", "{\"task\": \"-m+a/b..\"}", "stop task -m+a/b.."),
        ("/v1/stop", "{\"task\": \"-m+a/b..\", \"app\": \"main\"}", "stop task -m+a/b.. of main"),
        ("/v1/stop", "{\"all\": true}", "stop all"),
        ("/v1/stop", "{\"all\": true, \"note\": \" fire alarm \"}", "stop all: fire alarm"),
        ("/v1/skip", "{\"job\": \"a\"}", "skip a None"),
        (
            "/v1/skip",
            "{\"job\": \"a\", \"at\": \"2026-11-22T18:00:00+08:00\", \"note\": \"\"}",
            "skip a Some(2026-11-22T10:00:00Z)",
        ),
        ("/v1/pause", "{\"for\": \"2h\", \"note\": \"works\"}", "pause None Some(7200s): works"),
        ("/v1/pause", "{\"job\": \"a\", \"indefinite\": true}", "pause Some(JobId(\"a\")) None"),
        ("/v1/resume", "", "resume None None"),
        (
            "/v1/resume",
            "{\"job\": \"a\", \"at\": \"2026-11-22T10:00:00Z\"}",
            "resume Some(JobId(\"a\")) Some(2026-11-22T10:00:00Z)",
        ),
        ("/v1/fire", "{\"job\": \"a\"}", "FireOrder { job: JobId(\"a\"), length: None, room: None, preempt: false }"),
        (
            "/v1/fire",
            "{\"job\": \"a\", \"for\": \"90s\", \"room\": 42, \"preempt\": true, \"note\": \"now\"}",
            "FireOrder { job: JobId(\"a\"), length: Some(90s), room: Some(Integer(42)), preempt: true }: now",
        ),
        ("/v1/reload", "", "reload false"),
        ("/v1/reload", "{}", "reload false"),
        ("/v1/reload", "{\"force\": true}", "reload true"),
        ("/v1/clock/confirm", "", "confirm"),
        ("/v1/clock/confirm", "{}", "confirm"),
    ] {
        let answer = socket.post(path, body).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{path} {body}");
        assert_eq!(answer.json(), serde_json::json!({"done": ["one", "two \"quoted\""]}));
        assert!(answer.header("server").is_some_and(|server| server.starts_with("ingestd/")));
        // With the user's name, if this host has one.
        let ordered = socket.ordered();
        let who = ordered.first().and_then(|ordered| ordered.strip_suffix(expected)).expect("it reached the daemon");
        assert!(who == format!("{} ", me()) || (who.starts_with(&format!("{} (", me())) && who.ends_with(") ")), "{ordered:?}");
    }
}

#[tokio::test]
async fn what_the_daemon_refuses_comes_back_with_its_words() {
    let socket = Socket::open(Err("nothing of `film` is on air".to_owned()));
    for path in ["/v1/stop", "/v1/reload", "/v1/clock/confirm"] {
        let body = if path == "/v1/stop" { "{\"job\":\"film\"}" } else { "{}" };
        let answer = socket.post(path, body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (409, Some("nothing of `film` is on air")), "{path}");
        assert_eq!(socket.ordered().len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_order_never_gets_to_the_daemon() {
    let socket = Socket::open(Ok(Vec::new()));
    let long = format!("{{\"job\": \"{}\"}}", "x".repeat(20_000));
    let deep = "[".repeat(10_000);
    let noted = format!("{{\"all\": true, \"note\": \"{}\"}}", "x".repeat(501));
    for (path, body, status, words) in [
        ("/v1/stop", "", 400, "expected what to stop"),
        ("/v1/stop", "{}", 400, "expected what to stop"),
        ("/v1/stop", "{\"all\": false}", 400, "expected what to stop"),
        ("/v1/stop", "{\"task\": \"\"}", 400, "expected what to stop"),
        ("/v1/stop", "{\"job\": \"a\", \"all\": true}", 400, "expected what to stop"),
        ("/v1/stop", "{\"job\": \"a\", \"app\": \"main\"}", 400, "expected what to stop"),
        ("/v1/stop", "{\"app\": \"main\"}", 400, "expected what to stop"),
        ("/v1/stop", "{\"job\": \"No Job\"}", 400, "`No Job` is not a job id"),
        ("/v1/stop", "{\"jobs\": \"a\"}", 400, "unknown field `jobs`"),
        ("/v1/stop", "{\"job\": 5}", 400, "the body is not what this verb takes"),
        ("/v1/stop", "job=a", 400, "the body is not what this verb takes"),
        ("/v1/stop", "[\"film\", null, null]", 400, "expected an object"),
        ("/v1/stop", "\"film\"", 400, "expected an object"),
        ("/v1/stop", "null", 400, "expected an object"),
        ("/v1/reload", "[true]", 400, "expected an object"),
        ("/v1/clock/confirm", " []", 400, "expected an object"),
        ("/v1/stop", &deep, 400, "the body is not what this verb takes"),
        ("/v1/stop", &long, 413, "an order has at most 16384 bytes"),
        ("/v1/skip", "{}", 400, "expected which job to skip"),
        ("/v1/skip", "{\"job\": \"a\", \"at\": \"18:00\"}", 400, "`at`: expected an instant"),
        ("/v1/pause", "{}", 400, "expected how long"),
        ("/v1/pause", "{\"for\": \"2h\", \"indefinite\": true}", 400, "expected how long"),
        ("/v1/pause", "{\"indefinite\": false}", 400, "expected how long"),
        ("/v1/pause", "{\"for\": \"0s\"}", 400, "`for`: expected at least one second"),
        ("/v1/pause", "{\"for\": \"2\"}", 400, "`for`: give it a unit"),
        ("/v1/resume", "{\"at\": \"2026-11-22T10:00:00Z\"}", 400, "expected the job"),
        ("/v1/stop", "{\"all\": true, \"note\": \"a\\nb\"}", 400, "a note is one line"),
        ("/v1/stop", "{\"all\": true, \"note\": \"a\\u202eb\"}", 400, "found `\\u{202e}`"),
        ("/v1/stop", &noted, 400, "a note has at most 500 bytes"),
        ("/v1/reload", "{\"force\": \"yes\"}", 400, "the body is not what this verb takes"),
        ("/v1/clock/confirm", "{\"sure\": true}", 400, "unknown field `sure`"),
        ("/v1/fires", "{}", 404, "/v1/stop"),
        ("/v1/fires", "{}", 404, "/v1/reload"),
        ("/v1/fires", "{}", 404, "/v1/clock/confirm"),
        ("/v1/fire", "{}", 400, "expected which job to start"),
        ("/v1/fire", "{\"job\": \"a\", \"for\": \"0s\"}", 400, "expected at least one second"),
        ("/v1/fire", "{\"job\": \"a\", \"room\": 0}", 400, "an integer room is 1 to"),
        ("/v1/fire", "{\"job\": \"a\", \"room\": \"\"}", 400, "a room needs a name"),
        ("/v1/reload/", "{}", 404, "there is no such verb here"),
        ("/trtc/callback", "{}", 404, "there is no such verb here"),
    ] {
        let answer = socket.post(path, body).await;
        assert_eq!(answer.status, status, "{path} {body}");
        assert!(answer.json()["error"].as_str().is_some_and(|error| error.contains(words)), "{path}: {}", answer.body);
    }
    let answer = socket.send("GET /v1/stop HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("post")));
    assert_eq!(socket.ordered(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_half_an_order_is_given_up() {
    let socket = Socket::open(Ok(Vec::new()));
    for begun in ["", "POST /v1/stop HTTP/1.1\r\n", "POST /v1/stop HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"all\":"] {
        let mut stream = UnixStream::connect(&socket.path).await.expect("it listens");
        let connected = Instant::now();
        stream.write_all(begun.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it is closed");
        assert!((4..=6).contains(&connected.elapsed().as_secs()), "{begun:?}: {:?}", connected.elapsed());
    }
    assert_eq!(socket.ordered(), [""; 0]);
}

#[tokio::test]
async fn its_mode_is_for_owner_and_group_and_what_a_crash_left_behind_is_replaced() {
    let mut socket = Socket::open(Ok(Vec::new()));
    let metadata = std::fs::metadata(&socket.path).expect("it is there");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let taken = control::bind(&socket.path).expect_err("somebody listens");
    assert!(taken.to_string().contains("another daemon listens there"), "{taken}");
    drop(socket.shutdown.take());
    timeout(PATIENCE, &mut socket.serving).await.expect("it ends").expect("no panic");
    assert!(socket.path.exists(), "a process that is killed removes nothing");
    drop(control::bind(&socket.path).expect("a stale socket is replaced"));
    std::fs::remove_file(&socket.path).expect("ours");
    std::fs::write(&socket.path, "a file").expect("writable");
    let other = control::bind(&socket.path).expect_err("no socket");
    assert!(other.to_string().contains("something else"), "{other}");
    assert_eq!(std::fs::read_to_string(&socket.path).expect("still there"), "a file");
}

#[tokio::test]
async fn what_the_page_is_asked_is_answered_here_too() {
    let served = Served::new().await;
    let path = served.folder.path().join("control.sock");
    served.also_at(control::bind(&path).expect("a socket"));
    let send = async |line: &str| {
        let mut stream = UnixStream::connect(&path).await.expect("it listens");
        stream.write_all(format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.expect("written");
        Response::read(&mut stream).await
    };
    assert_eq!(send("GET /healthz").await.status, 200);
    let status = send("GET /api/v1/status?format=json").await;
    assert_eq!((status.status, &status.json()["generation"]), (200, &12.into()));
    assert_eq!(status.header("x-ingestd-health"), Some("ok"));
    assert_eq!(send("GET /api/v1/nothing").await.status, 404);
    assert_eq!(send("GET /v1/stop").await.status, 405, "an order is posted");
    assert_eq!(send("POST /api/v1/status").await.status, 404, "a question is not");
    served.closed().await;
}
