//! A client that sends exactly what a test gives it, and returns exactly what came. Knows no test.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::served::{PATIENCE, Served};

impl Served {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("it listens")
    }

    /// Sends these bytes and reads until the connection ends.
    pub(crate) async fn send(&self, bytes: &str) -> Response {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.expect("written");
        Response::read(&mut stream).await
    }

    /// Gets a path as a well-behaved client would.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)).await
    }
}

/// An answer, in parts.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Response {
        let mut bytes = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("an answer in time").expect("readable");
        let text = String::from_utf8(bytes).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
        Response { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn items(&self) -> Vec<serde_json::Value> {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()["items"].as_array().unwrap_or_else(|| panic!("no items: {}", self.body)).clone()
    }
}
