//! What every case needs: a sandbox on a loopback port, a folder with settings and a schedule, the real program as a process, and
//! waiting for a condition with a bound. Does not know the cases. The benchmarks use it too.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ingestd::ledger::{FILE, HistoryQuery, Reader};
use ingestd::occurrence::{Occurrence, State};
use ingestd::sandbox::{Arrival, FaultPlan, FaultRule, Sandbox, SandboxApp, SandboxConfig, WELL_KNOWN_SDK_APP_ID};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Longer than anything here takes on a busy machine: who waits for it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);
/// How long a look at a condition may be late.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The account's and the application's secrets; nothing else of the tests contains them.
pub(crate) const SECRETS: [(&str, &str); 4] = [
    ("secret-id", "AKIDrig0000hush0000hush0000hush00000"),
    ("secret-key", "hush-account-key-7f3e9b"),
    ("token", "hush-token-c41d88"),
    ("app-key", "hush-application-key-90aa17"),
];

/// Looks until there is something, and answers it. Panics when there is nothing in time.
pub(crate) fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, what, look)
}

/// The same with another bound.
pub(crate) fn wait_at_most<T>(bound: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < bound, "waited {} s in vain until {what}", bound.as_secs());
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Waits until the wall clock has come there.
pub(crate) fn wait_for(at: Timestamp) {
    wait_until(&format!("it is {at}"), || (Timestamp::now() >= at).then_some(()));
}

/// A whole second at least so many seconds ahead.
pub(crate) fn soon(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds + 1).expect("an instant of this age")
}

/// An instant as `once` takes it, in UTC.
pub(crate) fn once(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A loop in a room named like its job.
pub(crate) fn looping(job: &str, start: Timestamp, window: &str) -> String {
    format!(
        "  {job}: {{ once: {}, for: {window}, room: {job}, stream: https://cdn.example.com/{job}.mp4, length: 1m, repeat: forever }}\n",
        once(start)
    )
}

/// A sandbox, and a folder that a daemon runs on.
pub(crate) struct Rig {
    pub(crate) sandbox: Sandbox,
    pub(crate) endpoint: SocketAddr,
    folder: TempDir,
    processes: Cell<usize>,
    // Last: the sandbox serves until it goes.
    _runtime: Runtime,
}

impl Rig {
    /// With these faults, and an empty schedules folder.
    pub(crate) fn new(faults: Vec<FaultRule>) -> Rig {
        Rig::with(faults, |_| {})
    }

    /// The same, with a sandbox that is not as usual.
    pub(crate) fn with(faults: Vec<FaultRule>, change: impl FnOnce(&mut SandboxConfig)) -> Rig {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let endpoint = listener.local_addr().expect("it is bound");
        let secret = |wanted| SECRETS.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        let app = SandboxApp { key: secret("app-key").expect("listed"), private_map_key: true };
        let mut config = SandboxConfig {
            secret_id: secret("secret-id").expect("listed"),
            secret_key: secret("secret-key").expect("listed"),
            token: secret("token"),
            apps: [(WELL_KNOWN_SDK_APP_ID, app)].into(),
            faults: FaultPlan::new(faults),
            ..SandboxConfig::well_known()
        };
        change(&mut config);
        let sandbox = Sandbox::new(config, Arc::new(Timestamp::now));
        let serving = sandbox.clone();
        runtime.spawn(async move { serving.serve(listener, std::future::pending()).await });
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("schedules")).expect("writable");
        let rig = Rig { sandbox, endpoint, folder, processes: Cell::new(0), _runtime: runtime };
        for (name, secret) in SECRETS {
            rig.write(name, secret);
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(rig.path(name), private).expect("our own file");
        }
        rig.settings(rig.endpoint, "listen: none");
        rig
    }

    /// Points the daemon at an endpoint; `more` are further settings.
    pub(crate) fn settings(&self, endpoint: SocketAddr, more: &str) {
        let text = format!(
            "account:\n  secret_id: {{ file: secret-id }}\n  secret_key: {{ file: secret-key }}\n  token: {{ file: token }}\n  \
             region: ap-singapore\n  endpoint: http://{endpoint}\napps:\n  main: {{ sdk_app_id: {WELL_KNOWN_SDK_APP_ID}, secret_key: \
             {{ file: app-key }}, private_map_key: true }}\nstate: state\n\
             watch: false\n{more}\n"
        );
        self.write("ingestd.yaml", &text);
    }

    /// Adds a line to the settings in place of `listen: none`.
    pub(crate) fn listen(&self, listen: &str) {
        let settings = fs::read_to_string(self.path("ingestd.yaml")).expect("it was written");
        self.write("ingestd.yaml", &settings.replace("listen: none", &format!("listen: {listen}")));
    }

    /// Lets the daemon watch the folder of schedules, as it does by default.
    pub(crate) fn watched(&self) {
        let settings = fs::read_to_string(self.path("ingestd.yaml")).expect("it was written");
        self.write("ingestd.yaml", &settings.replace("watch: false\n", ""));
    }

    /// Adds lines to the settings.
    pub(crate) fn more_settings(&self, more: &str) {
        let settings = fs::read_to_string(self.path("ingestd.yaml")).expect("it was written");
        self.write("ingestd.yaml", &format!("{settings}{more}\n"));
    }

    /// Runs another verb with the same settings: exit code, stdout, stderr.
    pub(crate) fn verb(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingestd"));
        command.args(arguments).arg("--config").arg(self.path("ingestd.yaml")).stdin(Stdio::null()).env_clear();
        let output = command.output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// The schedule: these jobs.
    pub(crate) fn jobs(&self, jobs: &str) {
        self.schedule(&format!("timezone: UTC\njobs:\n{jobs}"));
    }

    /// The schedule's text, good or bad.
    pub(crate) fn schedule(&self, text: &str) {
        self.write("schedules/rig.yaml", text);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("writable");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the daemon.
    pub(crate) fn start(&self) -> Process {
        let number = self.processes.replace(self.processes.get() + 1);
        let log = self.path(&format!("stderr-{number}"));
        self.start_logging_to(File::create(&log).expect("writable"), log)
    }

    /// The same, with a stderr that may be something else than a file.
    pub(crate) fn start_logging_to(&self, stderr: impl Into<Stdio>, log: PathBuf) -> Process {
        self.spawn(Command::new(env!("CARGO_BIN_EXE_ingestd")).env_clear(), stderr, log)
    }

    /// The same by another command, which gets the arguments.
    pub(crate) fn spawn(&self, command: &mut Command, stderr: impl Into<Stdio>, log: PathBuf) -> Process {
        let stdout = File::create(self.path(&format!("stdout-{}", self.processes.get()))).expect("writable");
        command.arg("--config").arg(self.path("ingestd.yaml")).arg("run");
        let child = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().expect("the program starts");
        Process { child, log }
    }

    /// Starts the daemon and waits until its loop runs.
    pub(crate) fn started(&self) -> Process {
        let process = self.start();
        wait_until("the daemon is ready", || process.log().contains(" ready ").then_some(()));
        process
    }

    /// Every row of the ledger, newest first.
    pub(crate) fn rows(&self) -> Vec<Occurrence> {
        let query = HistoryQuery { limit: 10_000, ..HistoryQuery::default() };
        // There is no ledger before the daemon has made it.
        Reader::open(&self.path("state")).and_then(|reader| reader.history(&query)).unwrap_or_default()
    }

    /// The row of a job.
    pub(crate) fn row(&self, job: &str) -> Option<Occurrence> {
        self.rows().into_iter().find(|row| row.key.job.as_str() == job)
    }

    /// Waits until the row of a job is as wanted.
    pub(crate) fn wait_row(&self, job: &str, what: &str, wanted: impl Fn(&Occurrence) -> bool) -> Occurrence {
        wait_until(&format!("{job} is {what}"), || self.row(job).filter(|row| wanted(row)))
    }

    /// Waits until a job is on air.
    pub(crate) fn wait_on_air(&self, job: &str) -> Occurrence {
        self.wait_row(job, "on air", |row| row.state == State::OnAir)
    }

    /// Waits until a job is over.
    pub(crate) fn wait_done(&self, job: &str) -> Occurrence {
        self.wait_row(job, "over", Occurrence::is_done)
    }

    /// The calls of a job.
    pub(crate) fn calls(&self, job: &str) -> Vec<Call> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(self.path("state").join(FILE), flags).expect("the ledger opens");
        let sql = "SELECT action, attempt, sent_ms, answered_ms, http_status, code, message FROM call \
            JOIN occurrence ON occurrence.id = call.occurrence WHERE job = ?1 ORDER BY call.id";
        let mut statement = connection.prepare(sql).expect("the tables are there");
        let rows = statement.query_map([job], |row| {
            Ok(Call {
                action: row.get(0)?,
                attempt: row.get(1)?,
                sent_ms: row.get(2)?,
                answered_ms: row.get(3)?,
                http_status: row.get(4)?,
                code: row.get(5)?,
                message: row.get(6)?,
            })
        });
        rows.expect("it can be asked").map(|row| row.expect("a row")).collect()
    }

    /// The starts of a job.
    pub(crate) fn start_calls(&self, job: &str) -> Vec<Call> {
        self.calls(job).into_iter().filter(|call| call.action == "StartStreamIngest").collect()
    }

    /// Every start that arrived for a robot.
    pub(crate) fn arrived(&self, robot: &str) -> Vec<Arrival> {
        let is_its = |arrival: &Arrival| arrival.action == "StartStreamIngest" && arrival.robot.as_deref() == Some(robot);
        self.sandbox.arrivals().into_iter().filter(is_its).collect()
    }

    /// The tasks of a robot, as the sandbox knows them.
    pub(crate) fn tasks(&self, robot: &str) -> Vec<ingestd::sandbox::SandboxTask> {
        self.sandbox.tasks().into_iter().filter(|task| task.params.user_id == robot).collect()
    }

    /// Every file that daemons wrote: the state folder, and what they said.
    pub(crate) fn traces(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let said = self.folder.path().to_owned();
        let mut traces = Vec::new();
        for folder in [said, self.path("state")] {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.expect("an entry").path();
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if path.is_file() && (path.starts_with(self.path("state")) || name.starts_with("std")) {
                    let bytes = fs::read(&path).expect("readable");
                    traces.push((path, bytes));
                }
            }
        }
        traces
    }
}

/// What the daemons of a case that failed had to say.
impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (path, text) in self.traces().iter().filter(|(path, _)| path.to_string_lossy().contains("stderr-")) {
                println!("{}:\n{}", path.display(), String::from_utf8_lossy(text));
            }
        }
    }
}

/// A row of the table `call`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) action: String,
    pub(crate) attempt: u32,
    pub(crate) sent_ms: Option<i64>,
    pub(crate) answered_ms: Option<i64>,
    pub(crate) http_status: Option<u16>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

/// The program, killed with the case that started it.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// What it said on stderr so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where its page listens: from its log.
    pub(crate) fn page(&self) -> SocketAddr {
        self.place("page=")
    }

    /// Where one of its ports is: from its log.
    pub(crate) fn place(&self, field: &str) -> SocketAddr {
        let log = self.log();
        let address = log.split_once(field).and_then(|(_, rest)| rest.split_whitespace().next()).expect("it says where");
        address.parse().expect("an address")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its arguments, as everybody on this host can read them.
    pub(crate) fn arguments(&self) -> Vec<u8> {
        fs::read(format!("/proc/{}/cmdline", self.child.id())).expect("it runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it runs");
    }

    /// Whether it runs still.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits until it ends, and returns its exit code; nothing when a signal ended it.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.exit_code_within(PATIENCE)
    }

    pub(crate) fn exit_code_within(&mut self, bound: Duration) -> Option<i32> {
        let child = &mut self.child;
        wait_at_most(bound, "the process ends", || child.try_wait().expect("it is our child")).code()
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.exit_code(), Some(0), "{}", self.log());
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.exit_code(), None);
    }
}

/// The body of a page.
pub(crate) fn get(page: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(page).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

/// The bytes of a text in others.
pub(crate) fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}
