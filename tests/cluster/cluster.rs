//! Two nodes that share a schedule and a database: each with a folder, a way to the database and a way to the endpoint of its own, in
//! which a test can stand. One sandbox answers both. Does not know the cases.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use ingestd::sandbox::{FaultRule, SandboxConfig};
use jiff::Timestamp;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;

use super::postgres::{Database, PASSWORD, Server, url};
use super::proxy::Proxy;
use super::rig::{Process, Rig, wait_until};

/// The shortest lease that is allowed, so that the cases are short.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// How long after the end of a lease a start that nobody answered is repeated.
pub(crate) const MAY_ARRIVE: Duration = Duration::from_secs(13);

/// How often the rows are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// The schema of the station's tables.
const SCHEMA: &str = "ingestd_main";

/// A host with its daemon.
pub(crate) struct Node {
    pub(crate) rig: Rig,
    /// The way to each server of the database.
    pub(crate) databases: Vec<Proxy>,
    pub(crate) endpoint: Proxy,
    process: RefCell<Option<Process>>,
}

impl Node {
    fn new(rig: Rig, servers: &[SocketAddr], endpoint: SocketAddr) -> Node {
        let databases = servers.iter().map(|server| Proxy::to_database(*server)).collect();
        let endpoint = Proxy::to_endpoint(endpoint);
        Node { rig, databases, endpoint, process: RefCell::new(None) }
    }

    /// The settings, with this URL.
    pub(crate) fn settings(&self, url: &str, more: &str) {
        self.rig.write("database-url", url);
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(self.rig.path("database-url"), private).expect("our own file");
        let ledger = format!("ledger: {{ postgres: {{ file: database-url }}, lease: {}s }}", LEASE.as_secs());
        self.rig.settings(self.endpoint.address(), &format!("listen: 127.0.0.1:0\ncontrol: control.sock\n{ledger}\n{more}"));
    }

    /// Starts its daemon, which is another life of it.
    pub(crate) fn start(&self) {
        self.endpoint.next_life();
        *self.process.borrow_mut() = Some(self.rig.start());
    }

    /// Takes over the process that another way has started.
    pub(crate) fn is(&self, process: Process) {
        self.endpoint.next_life();
        *self.process.borrow_mut() = Some(process);
    }

    /// Does something with its process.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        act(self.process.borrow_mut().as_mut().expect("it was started"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.with(|process| process.signal(signal));
    }

    /// Ends it as a crash does.
    pub(crate) fn kill9(&self) {
        if let Some(process) = self.process.borrow_mut().take() {
            process.kill();
        }
    }

    pub(crate) fn log(&self) -> String {
        self.with(|process| process.log())
    }

    /// What it says of itself; nothing while it does not run or is not ready.
    pub(crate) fn status(&self) -> Option<Value> {
        let mut process = self.process.borrow_mut();
        let process = process.as_mut()?;
        if !process.runs() || !process.log().contains(" ready ") {
            return None;
        }
        serde_json::from_str(&page(process.page(), "/api/v1/status").ok()?).ok()
    }

    /// Whether it owns the air, as it says, and plays: the first owner makes the tables before.
    pub(crate) fn owns(&self) -> bool {
        self.status().is_some_and(|status| role(&status) == "owner") && self.log().contains(" ready jobs=")
    }

    /// How often a life of it took over.
    pub(crate) fn terms(&self, life: u64) -> usize {
        let log = std::fs::read_to_string(self.rig.path(&format!("stderr-{}", life - 1))).unwrap_or_default();
        log.lines().filter(|line| line.contains("owns the air")).count()
    }

    /// What it complains of.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let status = self.status().unwrap_or_default();
        let texts = |name: &str| status[name].as_array().cloned().unwrap_or_default();
        let both = texts("reasons").into_iter().chain(texts("warnings"));
        both.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// The body of a page, whatever its status. While the role changes, a connection may end without an answer.
fn page(page: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(page)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// `owner` or `standby`, of a status.
pub(crate) fn role(status: &Value) -> &str {
    status["host"]["role"].as_str().unwrap_or_default()
}

/// A row of `occurrence`, as far as the cases ask.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    pub(crate) job: String,
    pub(crate) start_ms: i64,
    pub(crate) state: String,
    pub(crate) outcome: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) was_in_doubt: Value,
    pub(crate) first_sent_ms: Option<i64>,
    pub(crate) on_air_ms: Option<i64>,
    pub(crate) generation: i64,
}

impl Row {
    pub(crate) fn is_doubt(&self) -> bool {
        self.was_in_doubt == Value::Bool(true) || self.was_in_doubt == 1
    }

    pub(crate) fn start(&self) -> Timestamp {
        Timestamp::from_millisecond(self.start_ms).expect("an instant")
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == "done"
    }
}

/// Where the rows are.
enum Store {
    Shared(Database),
    Own(Vec<Server>),
}

/// Two nodes.
pub(crate) struct Cluster {
    pub(crate) nodes: [Node; 2],
    store: Store,
    /// Whether its tables are there.
    has_tables: Cell<bool>,
    // Last: it ends when the others have.
    _permit: Permit,
}

/// So many cases at once: each has two daemons and servers, and each of them acts within limits.
const CASES_MAX: usize = 3;

/// How many there are.
static CASES: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// That a case may go on, counted as so many.
struct Permit(usize);

impl Permit {
    fn take(count: usize) -> Permit {
        let (cases, ended) = &CASES;
        let is_full = |cases: &mut usize| *cases + count > CASES_MAX;
        let mut cases = ended.wait_while(cases.lock().unwrap_or_else(PoisonError::into_inner), is_full).expect("nobody panicked");
        *cases += count;
        Permit(count)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (cases, ended) = &CASES;
        *cases.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        ended.notify_all();
    }
}

impl Cluster {
    /// On a database of the shared server. Nothing where PostgreSQL is not installed.
    pub(crate) fn new(faults: Vec<FaultRule>) -> Option<Cluster> {
        Cluster::with(faults, |_| {})
    }

    /// The same while no other case is played: for one that needs the machine for itself.
    pub(crate) fn alone(faults: Vec<FaultRule>) -> Option<Cluster> {
        Cluster::counted(CASES_MAX, faults, |_| {})
    }

    /// The same, with a sandbox that is not as usual.
    pub(crate) fn with(faults: Vec<FaultRule>, change: impl FnOnce(&mut SandboxConfig)) -> Option<Cluster> {
        Cluster::counted(1, faults, change)
    }

    fn counted(count: usize, faults: Vec<FaultRule>, change: impl FnOnce(&mut SandboxConfig)) -> Option<Cluster> {
        let database = Database::new()?;
        let server = Server::shared()?.address();
        let permit = Permit::take(count);
        Some(Cluster::of(permit, Store::Shared(database), Rig::with(faults, change), &[server]))
    }

    /// On servers of its own, which the case may harm; a node knows all of them.
    pub(crate) fn on(servers: Vec<Server>, faults: Vec<FaultRule>) -> Cluster {
        let addresses: Vec<SocketAddr> = servers.iter().map(Server::address).collect();
        Cluster::of(Permit::take(1), Store::Own(servers), Rig::new(faults), &addresses)
    }

    fn of(permit: Permit, store: Store, rig: Rig, servers: &[SocketAddr]) -> Cluster {
        let endpoint = rig.endpoint;
        let first = Node::new(rig, servers, endpoint);
        let second = Node::new(Rig::new(Vec::new()), servers, endpoint);
        let cluster = Cluster { nodes: [first, second], store, has_tables: Cell::new(false), _permit: permit };
        for node in &cluster.nodes {
            node.settings(&cluster.url(node), "");
        }
        cluster
    }

    /// The URL by which a node reaches the database.
    pub(crate) fn url(&self, node: &Node) -> String {
        let hosts: Vec<SocketAddr> = node.databases.iter().map(Proxy::address).collect();
        let name = match &self.store {
            Store::Shared(database) => database.name(),
            Store::Own(_) => "ingestd",
        };
        url(&hosts, name)
    }

    /// A server of its own.
    pub(crate) fn server(&self, index: usize) -> &Server {
        match &self.store {
            Store::Own(servers) => &servers[index],
            Store::Shared(_) => panic!("the server is shared: no case may harm it"),
        }
    }

    /// Asks the database, past the nodes' way to it.
    pub(crate) fn psql(&self, sql: &str) -> String {
        let sql = format!("SET search_path = {SCHEMA}, public; {sql}");
        match &self.store {
            Store::Shared(database) => database.psql(&sql),
            Store::Own(servers) => {
                let writable = servers.iter().find(|server| server.is_up() && server.psql("SELECT pg_is_in_recovery()") == "f");
                writable.expect("a server can be written").psql(&sql)
            }
        }
    }

    /// The same schedule for both.
    pub(crate) fn jobs(&self, jobs: &str) {
        self.nodes.iter().for_each(|node| node.rig.jobs(jobs));
    }

    /// Starts the first node, which owns then, and the other after it.
    pub(crate) fn started(&self) -> (&Node, &Node) {
        let [first, second] = &self.nodes;
        first.start();
        wait_until("the first owns", || first.owns().then_some(()));
        second.start();
        wait_until("the second waits", || second.status().filter(|status| role(status) == "standby"));
        (first, second)
    }

    /// The sandbox that answers both.
    pub(crate) fn sandbox(&self) -> &ingestd::sandbox::Sandbox {
        &self.nodes[0].rig.sandbox
    }

    /// Every row, oldest first.
    pub(crate) fn rows(&self) -> Vec<Row> {
        // Each look is a process: many cases run side by side.
        std::thread::park_timeout(LOOK_EVERY);
        if !self.has_tables.get() {
            self.has_tables.set(self.psql("SELECT to_regclass('occurrence') IS NOT NULL") == "t");
        }
        if !self.has_tables.get() {
            return Vec::new();
        }
        let json = self.psql("SELECT coalesce(json_agg(row_to_json(o) ORDER BY start_ms, job), '[]') FROM occurrence o");
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
    }

    /// The row of a job with one show.
    pub(crate) fn row(&self, job: &str) -> Option<Row> {
        self.rows().into_iter().find(|row| row.job == job)
    }

    pub(crate) fn wait_row(&self, job: &str, what: &str, wanted: impl Fn(&Row) -> bool) -> Row {
        wait_until(&format!("{job} is {what}"), || self.row(job).filter(|row| wanted(row)))
    }

    pub(crate) fn wait_on_air(&self, job: &str) -> Row {
        self.wait_row(job, "on air", |row| row.state == "on_air")
    }

    pub(crate) fn wait_done(&self, job: &str) -> Row {
        self.wait_row(job, "over", Row::is_done)
    }

    /// How many starts for a robot have arrived.
    pub(crate) fn arrived(&self, robot: &str) -> usize {
        self.nodes[0].rig.arrived(robot).len()
    }

    /// Waits until so many have.
    pub(crate) fn wait_arrived(&self, robot: &str, count: usize) {
        wait_until(&format!("{count} starts of {robot} have arrived"), || (self.arrived(robot) >= count).then_some(()));
    }

    /// No secret is in anything that the nodes wrote.
    pub(crate) fn keeps_secrets(&self) {
        for (path, text) in self.nodes.iter().flat_map(|node| node.rig.traces()) {
            assert!(!super::rig::contains(&text, PASSWORD), "the password is in {}", path.display());
        }
    }
}
