//! A server of media for tests: files by path, with ranges or without, redirects, statuses; and MP4 files made of boxes. It notes each
//! request. Does not know who fetches.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What stands at a path.
#[derive(Clone)]
pub(crate) enum Thing {
    /// A file of which parts are served.
    File(Vec<u8>),
    /// A file of which parts are served, the first so many of them slowly.
    Slow(Vec<u8>, usize),
    /// A file that is always served whole.
    Whole(Vec<u8>),
    /// A status without a body.
    Status(u16),
    /// A redirect to this place.
    Redirect(String),
}

/// The server. It serves until the process ends.
#[derive(Clone)]
pub(crate) struct MediaServer {
    pub(crate) address: SocketAddr,
    things: Arc<Mutex<BTreeMap<String, Thing>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl MediaServer {
    /// Serves at a free port of this address.
    pub(crate) fn at(address: &str) -> MediaServer {
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        let server =
            MediaServer { address: listener.local_addr().expect("it is bound"), things: Arc::default(), requests: Arc::default() };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                // Who fetches may go before all is sent.
                thread::spawn(move || drop(server.answer(stream)));
            }
        });
        server
    }

    /// Puts a thing at a path, or another one.
    pub(crate) fn put(&self, path: &str, thing: Thing) {
        self.things.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), thing);
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far: its method, its path, its range.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let first = head.first().cloned().unwrap_or_default();
        let range = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: ").map(str::to_owned));
        let (method, path) = first.split_once(' ').unwrap_or_default();
        let path = path.split(' ').next().unwrap_or_default();
        let noted = format!("{method} {path} {}", range.as_deref().unwrap_or("-"));
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(noted);
        let plain = path.split('?').next().unwrap_or_default();
        let thing = self.things.lock().unwrap_or_else(PoisonError::into_inner).get(plain).cloned();
        let status = |status: u16| format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let before = self.requests().iter().filter(|request| request.split(' ').nth(1) == Some(path)).count();
        let is_slow = matches!(thing, Some(Thing::Slow(_, slow)) if before <= slow);
        match thing.unwrap_or(Thing::Status(404)) {
            Thing::Status(code) => stream.write_all(status(code).as_bytes()),
            Thing::Redirect(to) => {
                let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(head.as_bytes())
            }
            Thing::Whole(bytes) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
                stream.write_all(&bytes)
            }
            Thing::File(bytes) | Thing::Slow(bytes, _) => {
                let range = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
                let parsed = range.and_then(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?)));
                let Some((from, to)) = parsed else { return stream.write_all(status(400).as_bytes()) };
                if from >= bytes.len() {
                    return stream.write_all(status(416).as_bytes());
                }
                let end = (to + 1).min(bytes.len());
                let (total, part) = (bytes.len(), &bytes[from..end]);
                let last = end - 1;
                write!(
                    stream,
                    "HTTP/1.1 206 Partial\r\nContent-Range: bytes {from}-{last}/{total}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    part.len()
                )?;
                for piece in part.chunks(32 << 10) {
                    if is_slow {
                        thread::park_timeout(Duration::from_millis(100));
                    }
                    stream.write_all(piece)?;
                }
                Ok(())
            }
        }
    }
}

/// A server that takes one connection after the other, reads what a client of RTMP says first, and answers with these bytes.
pub(crate) fn rtmp_server(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 1537];
            if stream.read_exact(&mut hello).is_ok() {
                // Who asked may have gone.
                let _ = stream.write_all(&answer);
            }
        }
    });
    address
}

fn boxed(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).expect("small");
    [&size.to_be_bytes()[..], &name, content].concat()
}

/// An MP4 of so many seconds with one track of H.264 of 1280x720 with 25 pictures a second, and `bytes` of media.
pub(crate) fn mp4(seconds: u32, bytes: usize, is_index_first: bool) -> Vec<u8> {
    let header = |scale: u32, units: u32| [&[0; 12][..], &scale.to_be_bytes(), &units.to_be_bytes(), &[0; 80]].concat();
    let entry = [&[0, 0, 0, 100][..], b"avc1", &[0; 24], &1280_u16.to_be_bytes(), &720_u16.to_be_bytes(), &[0; 64]].concat();
    let stsd = boxed(*b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
    let rates = boxed(*b"stts", &[0, 1, seconds * 25, 3_600].map(u32::to_be_bytes).concat());
    let minf = boxed(*b"minf", &boxed(*b"stbl", &[stsd, rates].concat()));
    let hdlr = boxed(*b"hdlr", &[&[0; 8][..], b"vide", &[0; 13]].concat());
    let mdia = [boxed(*b"mdhd", &header(90_000, seconds * 90_000)), hdlr, minf].concat();
    let track = boxed(*b"trak", &boxed(*b"mdia", &mdia));
    let index = boxed(*b"moov", &[boxed(*b"mvhd", &header(1_000, seconds * 1_000)), track].concat());
    let (kind, content) = (boxed(*b"ftyp", b"isom\0\0\0\0"), boxed(*b"mdat", &vec![7; bytes]));
    if is_index_first { [kind, index, content].concat() } else { [kind, content, index].concat() }
}
