//! A TCP proxy that delays, holds and cuts: between a daemon and its database, where it can act at a COMMIT, or between a daemon and its
//! endpoint. Nothing is lost within a connection, as with TCP: what is held goes on later or the connection ends. Does not know why.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::messages::{Messages, Seen};
use super::requests::{Requests, Sent};

/// Where bytes go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// How connections end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As by a host that no longer knows them.
    #[default]
    Rst,
    /// As by a program that ends.
    Fin,
}

/// What happens to a connection at its COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtCommit {
    /// The server never gets it, and the connection is cut.
    CutBefore,
    /// It takes effect, and the connection is cut before its answer is there.
    CutAfter,
    /// The server never gets it, and nobody hears anything any more.
    HoldBefore,
    /// It takes effect, and nobody hears anything any more.
    HoldAfter,
}

#[derive(Clone, Debug)]
struct Rules {
    upstream: SocketAddr,
    delay: [Duration; 2],
    held: [bool; 2],
    refuses: bool,
    /// Grows with each cut, which ends the connections that are older.
    cuts: (u64, Cut),
}

#[derive(Default)]
struct Seams {
    /// What is to happen at the next COMMIT of a transaction that has this text.
    armed: Mutex<Option<(AtCommit, String)>>,
    fired: AtomicU64,
    named: Mutex<Vec<String>>,
    cancels: AtomicU64,
    connections: AtomicU64,
    /// The life of the client that opens connections now.
    life: AtomicU64,
    sent: Mutex<Vec<Sent>>,
}

/// The proxy, for as long as it is kept.
pub(crate) struct Proxy {
    address: SocketAddr,
    rules: watch::Sender<Rules>,
    seams: Arc<Seams>,
    accepting: tokio::task::JoinHandle<()>,
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime"))
}

impl Proxy {
    /// Before a database: messages are read.
    pub(crate) fn to_database(upstream: SocketAddr) -> Proxy {
        Proxy::start(upstream, true)
    }

    /// Before an endpoint: starts are noted.
    pub(crate) fn to_endpoint(upstream: SocketAddr) -> Proxy {
        Proxy::start(upstream, false)
    }

    fn start(upstream: SocketAddr, reads: bool) -> Proxy {
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let rules = Rules { upstream, delay: [Duration::ZERO; 2], held: [false; 2], refuses: false, cuts: (0, Cut::Rst) };
        let (rules, watched) = watch::channel(rules);
        let seams = Arc::new(Seams::default());
        let shared = seams.clone();
        let accepting = runtime().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connection(client, watched.clone(), shared.clone(), reads));
            }
        });
        Proxy { address, rules, seams, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every byte in this direction comes so much later; also those that wait.
    pub(crate) fn delay(&self, way: Way, delay: Duration) {
        self.rules.send_modify(|rules| rules.delay[way as usize] = delay);
    }

    /// No byte goes in this direction, on connections that are there and on new ones.
    pub(crate) fn hold(&self, way: Way) {
        self.rules.send_modify(|rules| rules.held[way as usize] = true);
    }

    /// What was held goes on.
    pub(crate) fn let_go(&self) {
        self.rules.send_modify(|rules| rules.held = [false; 2]);
    }

    /// Nothing goes in either direction: a host that is gone without a word.
    pub(crate) fn isolate(&self) {
        self.rules.send_modify(|rules| rules.held = [true; 2]);
    }

    /// Ends the connections that are there.
    pub(crate) fn cut(&self, how: Cut) {
        self.rules.send_modify(|rules| rules.cuts = (rules.cuts.0 + 1, how));
    }

    /// Whether new connections are ended at once.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.rules.send_modify(|rules| rules.refuses = refuses);
    }

    /// Where new connections go to from now on.
    pub(crate) fn point_at(&self, upstream: SocketAddr) {
        self.rules.send_modify(|rules| rules.upstream = upstream);
    }

    /// At the next COMMIT of a transaction in whose statements this text is; an empty text is in all.
    pub(crate) fn at_commit(&self, what: AtCommit, of: &str) {
        *self.seams.armed.lock().expect("nobody panicked") = Some((what, of.to_owned()));
    }

    /// How often that has happened.
    pub(crate) fn fired(&self) -> u64 {
        self.seams.fired.load(Ordering::SeqCst)
    }

    /// Names of prepared statements that a client made. A pooler in transaction mode does not carry them.
    pub(crate) fn named(&self) -> Vec<String> {
        self.seams.named.lock().expect("nobody panicked").clone()
    }

    /// How many requests to cancel a statement there were.
    pub(crate) fn cancels(&self) -> u64 {
        self.seams.cancels.load(Ordering::SeqCst)
    }

    /// Who connects from now on is another life of the client.
    pub(crate) fn next_life(&self) -> u64 {
        self.seams.life.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The starts that came by.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.seams.sent.lock().expect("nobody panicked").clone()
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> u64 {
        self.seams.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut(Cut::Rst);
    }
}

async fn connection(mut client: TcpStream, mut rules: watch::Receiver<Rules>, seams: Arc<Seams>, reads: bool) {
    let (refuses, upstream, before) = {
        let rules = rules.borrow_and_update();
        (rules.refuses, rules.upstream, rules.cuts.0)
    };
    let server = if refuses { None } else { TcpStream::connect(upstream).await.ok() };
    let Some(mut server) = server else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let life = seams.life.load(Ordering::SeqCst);
    let at_commit = CommitCut { life, seams, fired: Mutex::new(None), cut: Notify::new() };
    let how = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = pump(Way::ToServer, from_client, to_server, rules.clone(), reads, &at_commit);
        let back = pump(Way::ToClient, from_server, to_client, rules.clone(), reads, &at_commit);
        tokio::select! {
            _ = async { tokio::join!(there, back) } => Cut::Fin,
            () = at_commit.cut.notified() => Cut::Rst,
            rules = rules.wait_for(|rules| rules.cuts.0 != before) => rules.map_or(Cut::Rst, |rules| rules.cuts.1),
        }
    };
    if how == Cut::Rst {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// What is noted of one connection, and what happens at its COMMIT.
struct CommitCut {
    life: u64,
    seams: Arc<Seams>,
    fired: Mutex<Option<AtCommit>>,
    cut: Notify,
}

impl CommitCut {
    /// Whether this message goes on.
    async fn passes(&self, way: Way, seen: Seen, statements: &str) -> bool {
        match (way, seen) {
            (_, Seen::Named(name)) => self.seams.named.lock().expect("nobody panicked").push(name),
            (_, Seen::Cancel) => {
                self.seams.cancels.fetch_add(1, Ordering::SeqCst);
            }
            (Way::ToServer, Seen::Commit) => {
                let armed = self.seams.armed.lock().expect("nobody panicked").take_if(|(_, of)| statements.contains(of.as_str()));
                if let Some((what, _)) = armed {
                    *self.fired.lock().expect("nobody panicked") = Some(what);
                    if matches!(what, AtCommit::CutBefore | AtCommit::HoldBefore) {
                        self.end(what).await;
                        return false;
                    }
                }
            }
            (Way::ToClient, Seen::Committed) => {
                let fired = *self.fired.lock().expect("nobody panicked");
                if let Some(what) = fired {
                    self.end(what).await;
                    return false;
                }
            }
            _ => {}
        }
        true
    }

    fn note(&self, robots: Vec<String>) {
        let sent = robots.into_iter().map(|robot| Sent { at: Timestamp::now(), life: self.life, robot });
        self.seams.sent.lock().expect("nobody panicked").extend(sent);
    }

    async fn end(&self, what: AtCommit) {
        self.seams.fired.fetch_add(1, Ordering::SeqCst);
        if matches!(what, AtCommit::CutBefore | AtCommit::CutAfter) {
            self.cut.notify_one();
        }
        // Held until the client gives up, which ends the other direction, or until the connection is cut.
        std::future::pending::<()>().await;
    }
}

async fn pump(
    way: Way,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut rules: watch::Receiver<Rules>,
    reads: bool,
    at_commit: &CommitCut,
) {
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut messages = Messages::new(way == Way::ToServer, reads);
        let mut requests = Requests::default();
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if !reads && way == Way::ToServer {
                at_commit.note(requests.take(&buffer[..length]));
            }
            messages.take(&buffer[..length]);
            while let Some((bytes, seen)) = messages.next() {
                if !at_commit.passes(way, seen, messages.statements()).await || queue.send((Instant::now(), bytes)).is_err() {
                    return;
                }
            }
        }
    };
    let writing = async move {
        while let Some((arrived, bytes)) = queued.recv().await {
            loop {
                let (held, at) = {
                    let rules = rules.borrow_and_update();
                    (rules.held[way as usize], arrived + rules.delay[way as usize])
                };
                if !held && at <= Instant::now() {
                    break;
                }
                tokio::select! {
                    () = tokio::time::sleep_until(at), if !held => {}
                    changed = rules.changed() => if changed.is_err() { return },
                }
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
