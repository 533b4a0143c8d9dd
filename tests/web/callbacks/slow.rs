//! Clients of the callback listener that send half a request and wait. They do not know what a callback says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{APP, CallbackServer, GOOD, KEY, headers};

/// Opens so many connections from there, each with half a request.
async fn slow_connections(server: &CallbackServer, from: &str, count: usize) -> Vec<TcpStream> {
    let mut slow = Vec::new();
    for _ in 0..count {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(format!("{from}:0").parse().expect("an address")).expect("a loopback address of this host");
        let mut stream = socket.connect(server.address).await.expect("it listens");
        // Some have lost their place by then.
        let _ = stream.write_all(b"POST /trtc/callback HTTP/1.1\r\nHost: a.ex").await;
        slow.push(stream);
    }
    slow
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn five_hundred_slow_connections_do_not_keep_the_vendor_out() {
    let server = CallbackServer::open().await;
    let slow = slow_connections(&server, "127.0.0.2", 500).await;
    let begin = Instant::now();
    assert_eq!(server.signed(GOOD.as_bytes()).await.status, 200);
    assert!(begin.elapsed().as_secs() < 3, "before the slow ones are given up: {:?}", begin.elapsed());
    assert_eq!(server.effect().len(), 1);
    drop(slow);
}

#[tokio::test]
async fn slow_connections_of_a_proxy_that_the_vendor_comes_through_lose_their_places() {
    let server = CallbackServer::open().await;
    let slow = slow_connections(&server, "127.0.0.1", 500).await;
    let body = GOOD.as_bytes();
    let head = format!(
        "POST /trtc/callback HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n{}\r\n",
        body.len(),
        headers(APP, KEY, body)
    );
    let request = [head.as_bytes(), body].concat();
    let begin = Instant::now();
    // The vendor sends again when it is not answered.
    loop {
        assert!(begin.elapsed().as_secs() < 3, "before the slow ones are given up");
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        let mut answer = Vec::new();
        if stream.write_all(&request).await.is_ok()
            && stream.read_to_end(&mut answer).await.is_ok()
            && answer.starts_with(b"HTTP/1.1 200 ")
        {
            break;
        }
    }
    assert_eq!(server.effect().len(), 1);
    drop(slow);
}
