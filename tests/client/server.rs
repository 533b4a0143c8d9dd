//! Servers that misbehave on purpose: a listener, and a few lines for what is done with each connection.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// A server: what came in, and over how many connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    accepted: Arc<Mutex<usize>>,
}

impl Server {
    /// Listens on a free port and lets `behave` treat each connection, in a thread of its own that ends with the connection.
    pub(crate) fn start(behave: impl Fn(&mut Connection) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (arrived, accepted) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let behave = Arc::new(behave);
        thread::spawn({
            let (arrived, accepted) = (arrived.clone(), accepted.clone());
            move || {
                for stream in listener.incoming() {
                    *accepted.lock().expect("nobody panicked") += 1;
                    let Ok(stream) = stream else { return };
                    let mut connection = Connection { stream, arrived: arrived.clone() };
                    let behave = behave.clone();
                    thread::spawn(move || behave(&mut connection));
                }
            }
        });
        Server { address, arrived, accepted }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("nobody panicked").clone()
    }

    pub(crate) fn accepted(&self) -> usize {
        *self.accepted.lock().expect("nobody panicked")
    }
}

/// A server's side of a connection.
pub(crate) struct Connection {
    stream: TcpStream,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Connection {
    /// The next whole request, written down; nothing when the client is gone.
    pub(crate) fn read(&mut self) -> Option<Arrived> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.lines();
        let line = lines.next().expect("a request has a first line").to_owned();
        let headers: BTreeMap<String, String> =
            lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        let arrived = Arrived { line, headers, body };
        self.arrived.lock().expect("nobody panicked").push(arrived.clone());
        Some(arrived)
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may have gone: that is what some of the tests are about.
        let _gone = self.stream.write_all(bytes.as_ref());
    }

    /// Waits for the next request at most so long. Returns who ended the connection, if somebody did: the client, or this side
    /// because nothing came in time.
    pub(crate) fn idle(&mut self, limit: Duration) -> Option<bool> {
        self.stream.set_read_timeout(Some(limit)).expect("it is not zero");
        match self.stream.peek(&mut [0]) {
            Ok(0) => Some(true),
            Ok(_) => None,
            Err(_) => Some(false),
        }
    }

    /// Takes what the client says first: a connection that is closed with bytes unread is cut, and not ended.
    pub(crate) fn take_some(&mut self) {
        let _gone = self.stream.read(&mut [0; 16 * 1024]);
    }

    /// Keeps the connection open and says nothing, until the client gives up.
    pub(crate) fn hold(&mut self) {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).is_ok_and(|read| read > 0) {}
    }
}

pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
