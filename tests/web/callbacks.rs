//! The listener that the internet can reach: what the vendor signed is accepted; everything else has no effect, and nothing of its
//! content is kept.

mod keys;
mod slow;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ingestd::daemon::{Handle, Message};
use ingestd::engine::Receipt;
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::web::callbacks::{self, KeyRing};
use secrecy::SecretString;
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tracing::subscriber::DefaultGuard;

use super::client::Response;
use super::served::PATIENCE;

const APP: u64 = 1_400_000_001;
const KEY: &str = "hushCallbackKey123";
const GOOD: &str = "{\"EventGroupId\":7,\"EventType\":701,\"CallbackMsTs\":1701937900012,\
    \"EventInfo\":{\"EventMsTs\":\"1701937900013\",\"TaskId\":\"-m+hush.task\",\"Status\":0}}";

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics holding it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the daemon says to every callback; `None`: it drops it.
type Says = Option<Receipt>;

/// The listener, with this test in the daemon's place.
struct CallbackServer {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Callback>>>,
    says: Arc<Mutex<Says>>,
    /// What the file of the first application's key holds.
    key: Arc<Mutex<String>>,
    log: Log,
    _logged: DefaultGuard,
}

impl CallbackServer {
    async fn open() -> CallbackServer {
        let (handle, mut inputs) = Handle::new();
        let (taken, says) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Some(Receipt::Taken))));
        let server = CallbackServer::serving(handle, (Arc::clone(&taken), Arc::clone(&says))).await;
        tokio::spawn(async move {
            while let Some(message) = inputs.recv().await {
                let Message::Callback(callback, receipt) = message else { panic!("an order") };
                taken.lock().expect("whole").push(callback);
                if let Some(says) = *says.lock().expect("whole") {
                    let _ = receipt.send(says);
                }
            }
        });
        server
    }

    async fn serving(handle: Handle, (taken, says): (Arc<Mutex<Vec<Callback>>>, Arc<Mutex<Says>>)) -> CallbackServer {
        let log = Log::default();
        let page = log.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || page.clone()).with_ansi(false).finish();
        let logged = tracing::subscriber::set_default(lines);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let key = Arc::new(Mutex::new(KEY.to_owned()));
        let in_file = Arc::clone(&key);
        let read = move || {
            let key = SecretString::from(in_file.lock().expect("whole").clone());
            Ok([(APP, key), (APP + 1, SecretString::from("another"))].into())
        };
        let keys = KeyRing::new(read().expect("keys"), Arc::new(read));
        tokio::spawn(callbacks::serve(listener, keys, handle, std::future::pending()));
        CallbackServer { address, taken, says, key, log, _logged: logged }
    }

    /// Posts a body with these further headers.
    async fn post(&self, headers: &str, body: &[u8]) -> Response {
        let length = body.len();
        let head = format!("POST /trtc/callback HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n{headers}\r\n");
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(body).await.expect("written");
        Response::read(&mut stream).await
    }

    async fn signed(&self, body: &[u8]) -> Response {
        self.post(&headers(APP, KEY, body), body).await
    }

    /// What reached the daemon.
    fn effect(&self) -> Vec<Callback> {
        std::mem::take(&mut self.taken.lock().expect("whole"))
    }

    fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().expect("nobody panics holding it").clone()).expect("text")
    }
}

fn sign(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

fn headers(app: u64, key: &str, body: &[u8]) -> String {
    format!("Content-Type: application/json\r\nSdkAppId: {app}\r\nSign: {}\r\n", sign(key, body))
}

#[tokio::test]
async fn what_the_vendor_signed_reaches_the_daemon() {
    let server = CallbackServer::open().await;
    let stop = GOOD.replace("701,", "702,").replace("\"1701937900013\"", "1701937900014");
    for body in [GOOD, &stop] {
        let answer = server.signed(body.as_bytes()).await;
        assert_eq!((answer.status, answer.body.trim_end()), (200, "{\"code\":0}"));
    }
    let expected = [(TaskNews::Started, 1_701_937_900_013), (TaskNews::Stopped, 1_701_937_900_014)].map(|(news, at_ms)| Callback {
        sdk_app_id: APP,
        task_id: "-m+hush.task".to_owned(),
        news,
        at: jiff::Timestamp::from_millisecond(at_ms).expect("an instant"),
    });
    assert_eq!(server.effect(), expected);
    // Each application's callbacks are signed with a key of its own.
    let other = server.post(&headers(APP + 1, "another", GOOD.as_bytes()), GOOD.as_bytes()).await;
    assert_eq!(other.status, 200);
    assert_eq!(server.effect()[0].sdk_app_id, APP + 1);
    // Rooms and media call at the same address; there is nothing to do about them.
    assert_eq!(server.signed(b"{\"EventGroupId\":1,\"EventType\":103,\"EventInfo\":{\"RoomId\":1}}").await.status, 200);
    for _ in 0..5 {
        let other = b"{\"EventGroupId\":9,\"CallbackTs\":1701937900012,\"Payload\":{\"Status\":3}}";
        assert_eq!(server.signed(other).await.status, 200);
    }
    assert_eq!(server.effect(), []);
    let log = server.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains("INFO") && log.contains("another kind") && log.contains("once an hour"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_callback_is_answered_200_only_when_it_is_on_the_disk_or_changes_nothing() {
    let server = CallbackServer::open().await;
    for (says, status, words) in [
        (Some(Receipt::Taken), 200, ""),
        (Some(Receipt::Old), 200, "more than 15 min ago changes nothing"),
        (Some(Receipt::Refused), 503, "it cannot be recorded now"),
        (None, 503, "the daemon is shutting down"),
    ] {
        *server.says.lock().expect("whole") = says;
        assert_eq!(server.signed(GOOD.as_bytes()).await.status, status, "{says:?}");
        assert_eq!(server.effect().len(), 1);
        assert!(server.log().contains(words), "{}", server.log());
    }
    assert_eq!(server.log().lines().count(), 3, "{}", server.log());
    // A loop that stands: it is not waited for longer than the vendor waits.
    let (handle, _inputs) = Handle::new();
    let stands = CallbackServer::serving(handle, (Arc::clone(&server.taken), Arc::clone(&server.says))).await;
    let begun = Instant::now();
    assert_eq!(stands.signed(GOOD.as_bytes()).await.status, 503);
    assert!((2..4).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(stands.log().contains("it was not recorded in time"), "{}", stands.log());
}

#[tokio::test]
async fn what_is_not_signed_as_it_should_be_is_refused_before_it_is_parsed() {
    let server = CallbackServer::open().await;
    let right = sign(KEY, GOOD.as_bytes());
    let lower = right.to_lowercase();
    for (headers, reason) in [
        (String::new(), "it names no application (`SdkAppId`)"),
        (format!("SdkAppId: hush\r\nSign: {right}\r\n"), "it names no application (`SdkAppId`)"),
        (format!("SdkAppId: {APP}\r\nSdkAppId: {APP}\r\nSign: {right}\r\n"), "it names no application (`SdkAppId`)"),
        (format!("SdkAppId: 7\r\nSign: {right}\r\n"), "its application is not in the settings"),
        (format!("SdkAppId: {APP}\r\n"), "it is not signed"),
        (format!("SdkAppId: {APP}\r\nSign: {right}\r\nSign: {right}\r\n"), "it is not signed"),
        (format!("SdkAppId: {APP}\r\nSign: \r\n"), "its signature is wrong"),
        (format!("SdkAppId: {APP}\r\nSign: {lower}\r\n"), "its signature is wrong"),
        (format!("SdkAppId: {APP}\r\nSign: {}\r\n", sign("", GOOD.as_bytes())), "its signature is wrong"),
        (format!("SdkAppId: {}\r\nSign: {right}\r\n", APP + 1), "its signature is wrong"),
    ] {
        let answer = server.post(&headers, GOOD.as_bytes()).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some(reason)), "{headers}");
    }
    // Not even a body that no parser would like gets as far as one.
    assert_eq!(server.post(&format!("SdkAppId: {APP}\r\nSign: {right}\r\n"), &b"[".repeat(60_000)).await.status, 401);
    assert_eq!(server.effect(), []);
    let log = server.log();
    assert_eq!(log.lines().count(), 11, "{log}");
    assert!(log.lines().all(|line| line.contains("WARN") && line.contains("callback refused: ")), "{log}");
    assert!(log.contains(&format!("length={}", GOOD.len())) && log.contains("length=60000"), "{log}");
    for secret in ["hush", KEY, &right, &right[..20]] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn what_is_signed_and_no_callback_is_refused_too() {
    let server = CallbackServer::open().await;
    let deep = format!("{{\"hush\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    let instant = GOOD.replace("1701937900013", "99999999999999");
    for (body, reason) in [
        (&b"{\"hush\xff\":7}"[..], "it is not JSON"),
        (deep.as_bytes(), "it is not JSON"),
        (b"", "it is not JSON"),
        (b"[\"hush\"]", "it is not an object"),
        (instant.as_bytes(), "`EventMsTs` is not milliseconds of this century"),
    ] {
        let answer = server.signed(body).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(reason)));
        assert!(server.log().contains(&format!("length={} status=400", body.len())), "{}", server.log());
    }
    assert_eq!(server.effect(), []);
    assert!(!server.log().contains("hush"), "{}", server.log());
}

#[tokio::test]
async fn other_paths_and_methods_lead_nowhere() {
    let server = CallbackServer::open().await;
    for (line, status) in [
        ("GET /trtc/callback", 405),
        ("PUT /trtc/callback", 405),
        ("POST /", 404),
        ("POST /trtc/callback/", 404),
        ("GET /api/v1/status", 404),
        ("POST /v1/stop", 404),
        ("GET /healthz", 404),
    ] {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        let request = format!("{line} HTTP/1.1\r\nHost: a.example\r\n{}Content-Length: 0\r\n\r\n", headers(APP, KEY, b""));
        stream.write_all(request.as_bytes()).await.expect("written");
        let answer = Response::read(&mut stream).await;
        assert_eq!(answer.status, status, "{line}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{line}");
    }
    assert_eq!(server.effect(), []);
    let log = server.log();
    for (words, count) in [("its method is not POST", 2), ("a slash at its end: write `/trtc/callback`", 1), ("its path is not", 4)]
    {
        assert_eq!(log.lines().filter(|line| line.contains("WARN") && line.contains(words)).count(), count, "{words}: {log}");
    }
    // A scanner neither fills the log nor hides what is wrong with callbacks.
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(b"GET /hush-scan HTTP/1.1\r\nHost: a.example\r\n\r\n").await.expect("written");
        assert_eq!(Response::read(&mut stream).await.status, 404);
    }
    assert_eq!(server.post("", b"hush").await.status, 401);
    let log = server.log();
    assert_eq!(log.lines().count(), 12, "{log}");
    assert!(log.contains("further refusals of this minute are not logged") && log.contains("it names no application"), "{log}");
    assert!(!log.contains("hush"), "{log}");
}

/// Sends ten megabytes, announced or in pieces, until the other side closes. Returns what came back.
async fn send_ten_megabytes(address: SocketAddr, announced: bool) -> String {
    static PIECE: [u8; 65_536] = [b'x'; 65_536];
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let length = if announced { "Content-Length: 10485760" } else { "Transfer-Encoding: chunked" };
    let head = format!("POST /trtc/callback HTTP/1.1\r\nHost: a.example\r\nSdkAppId: {APP}\r\nSign: x\r\n{length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("written");
    for _ in 0..160 {
        let size: &[u8] = if announced { b"" } else { b"10000\r\n" };
        let end: &[u8] = if announced { b"" } else { b"\r\n" };
        let sent = async {
            stream.write_all(size).await?;
            stream.write_all(&PIECE).await?;
            stream.write_all(end).await
        };
        if sent.await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    // It hangs up with our bytes unread, so that its answer may be lost on the way.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it ends");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn ten_megabytes_are_not_read_however_many_send_them() {
    let server = CallbackServer::open().await;
    let peak_before = peak_kib();
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..96 {
        let address = server.address;
        senders.spawn(async move { send_ten_megabytes(address, number % 2 == 0).await });
    }
    while let Some(answer) = senders.join_next().await {
        let answer = answer.expect("no panic");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    // Read in full they would be 960 MiB.
    let grown = peak_kib().saturating_sub(peak_before);
    assert!(grown < 128 << 10, "{grown} KiB");
    assert_eq!(server.effect(), []);
    let log = server.log();
    assert!(log.contains("length=10485760 status=413\n") && log.contains("longer than a callback can be"), "{log}");
    assert_eq!(server.signed(GOOD.as_bytes()).await.status, 200);
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.and_then(|peak| peak.trim().parse().ok()).unwrap_or(0)
}

/// Simulated time: where nothing but a timer is waited for, it is over at once.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up_and_so_is_a_client_that_says_nothing() {
    let server = CallbackServer::open().await;
    let (whole, begun) = (GOOD.len(), &GOOD[..50]);
    let head = format!("POST /trtc/callback HTTP/1.1\r\nHost: a.example\r\n{}", headers(APP, KEY, GOOD.as_bytes()));
    for (sent, status) in
        [(format!("{head}Content-Length: {whole}\r\n\r\n{begun}"), "408"), (String::new(), ""), (head.clone(), "")]
    {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        let connected = Instant::now();
        stream.write_all(sent.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it is closed");
        let (answer, waited) = (String::from_utf8_lossy(&answer).into_owned(), connected.elapsed());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) || status.is_empty() && !answer.contains(" 200 "), "{answer}");
        assert!((4..=6).contains(&waited.as_secs()), "{waited:?}");
    }
    // One that ends in the middle has no answer to wait for.
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    stream.write_all(format!("{head}Content-Length: {whole}\r\n\r\n{begun}").as_bytes()).await.expect("written");
    stream.shutdown().await.expect("it is open");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it is closed");
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    assert_eq!(server.effect(), []);
    assert!(server.log().contains(&format!("length={whole} status=408\n")), "{}", server.log());
}

#[tokio::test]
async fn a_daemon_that_cannot_take_it_has_the_vendor_send_it_again() {
    let (handle, mut inputs) = Handle::new();
    let server = CallbackServer::serving(handle.clone(), Default::default()).await;
    let one = Callback { sdk_app_id: APP, task_id: "x".to_owned(), news: TaskNews::Started, at: jiff::Timestamp::UNIX_EPOCH };
    let taken = (0..10_000).map_while(|_| handle.callback(one.clone())).count();
    assert!(taken < 10_000, "what waits for the daemon is bounded");
    assert_eq!(server.signed(GOOD.as_bytes()).await.status, 503);
    assert!(server.log().contains("the daemon is busy"), "{}", server.log());
    for _ in 0..taken {
        inputs.try_recv().expect("it waits");
    }
    let answered = async {
        let Some(Message::Callback(_, receipt)) = inputs.recv().await else { panic!("no callback") };
        receipt.send(Receipt::Taken).expect("the listener waits");
    };
    let (answer, ()) = tokio::join!(server.signed(GOOD.as_bytes()), answered);
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn unsigned_requests_cannot_fill_the_log() {
    let server = CallbackServer::open().await;
    for _ in 0..50 {
        assert_eq!(server.post("", b"hush").await.status, 401);
    }
    let log = server.log();
    assert_eq!(log.lines().count(), 31, "{log}");
    assert!(log.ends_with("further refusals of this minute are not logged\n"), "{log}");
    assert_eq!(server.effect(), []);
}
