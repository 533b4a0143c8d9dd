//! Real PostgreSQL servers from Debian's package, each in a temporary folder, on a port of its own. They end with the test that made
//! them: also when it panics, and when its process is killed. Does not know what is kept in them. Other tests include this file.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server starts, ends and is promoted in less on any machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The password of every role that a daemon may use. No output may contain it.
pub(crate) const PASSWORD: &str = "hush-database-password-55d1c0";
/// What is set in every server. Nothing makes a commit less durable than by default.
const SETTINGS: &str = "shared_buffers = 4MB\nmax_connections = 60\nmax_wal_senders = 4\nmin_wal_size = 32MB\nmax_wal_size = 256MB\n\
    autovacuum = off\nlisten_addresses = '127.0.0.1'\ntimezone = 'UTC'\nlog_timezone = 'UTC'\nlog_min_messages = warning\n\
    log_line_prefix = '%m [%p] %a '\nwal_receiver_status_interval = 1\nhot_standby_feedback = off\ncluster_name = 'test'\n";
/// Ends what runs in the folder, and removes the folder, when the test has let go of its end of the pipe: by `drop`, or by its own end.
/// A server that is stopped by a signal is woken first; SIGQUIT is an end without a checkpoint.
const GUARD: &str = r#"
cat >/dev/null
for file in "$1"/data/postmaster.pid "$1"/bouncer.pid; do
    pid=$(head -n 1 "$file" 2>/dev/null) || continue
    [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ] || [ "$(readlink "/proc/$pid/cwd")" = "$1" ] || continue
    for one in $pid $(ps -o pid= --ppid "$pid"); do kill -CONT "$one" 2>/dev/null; done
    kill -QUIT "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null
done
rm -rf "$1"
"#;

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Connections are ended, and everything is written.
    Fast,
    /// As by a power failure.
    Immediate,
}

/// The folder of the newest server's programs.
pub(crate) fn programs() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let folder = folders.map(|entry| entry.path()).filter(|path| version(path).is_some()).max_by_key(|path| version(path))?;
    Some(folder.join("bin")).filter(|bin| bin.join("initdb").exists())
}

/// A command that runs as a user whom PostgreSQL accepts: it refuses root.
pub(crate) fn as_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]).arg(program);
    command
}

/// A folder of that user, and the process that clears up after it.
pub(crate) struct Folder {
    path: PathBuf,
    guard: Child,
    held: Option<ChildStdin>,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        let path = TempDir::new().expect("a folder").keep();
        fs::create_dir(path.join("data")).expect("writable");
        if rustix::process::geteuid().is_root() {
            let id = |what| {
                let output = Command::new("id").args([what, "postgres"]).output().expect("`id` starts");
                String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().expect("the package has made the user `postgres`")
            };
            let (user, group) = (id("-u"), id("-g"));
            for path in [path.clone(), path.join("data")] {
                std::os::unix::fs::chown(path, Some(user), Some(group)).expect("we are root");
            }
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(path.join("data"), private).expect("our own folder");
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // An interrupt from the terminal ends the test, and not what clears up after it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut guard = command.spawn().expect("`sh` starts");
        let held = guard.stdin.take();
        Folder { path, guard, held }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.held.take());
        // Nobody can be told here.
        let _ = self.guard.wait();
    }
}

/// A free port below those that the system gives to connections, so that a server can come back to it.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let spread = u16::try_from(std::process::id() % 160).expect("below 160") * 100;
        let port = 15_000 + (spread + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server. Its superuser is `postgres`, over the socket only; the role `ingestd` owns the database `ingestd`.
pub(crate) struct Server {
    bin: PathBuf,
    port: u16,
    process: Mutex<Option<Child>>,
    // Last: it ends what still runs.
    folder: Folder,
}

impl Server {
    /// Makes a server and starts it. Nothing, and a line that says so, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Server> {
        let Some(bin) = programs() else {
            println!("left out: PostgreSQL is not installed (Debian: `apt-get install postgresql`)");
            return None;
        };
        let server = Server { bin, port: free_port(), process: Mutex::new(None), folder: Folder::new() };
        let mut command = as_user(server.bin.join("initdb"));
        command.args(["--no-sync", "--username=postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8"]);
        run(command.args(["--locale=C.UTF-8", "--pgdata"]).arg(server.data()).current_dir(server.folder.path()));
        server.append("data/postgresql.conf", SETTINGS);
        server.run();
        server.psql_in("postgres", &format!("CREATE ROLE ingestd LOGIN PASSWORD '{PASSWORD}'"));
        server.psql_in("postgres", "CREATE DATABASE ingestd OWNER ingestd");
        Some(server)
    }

    /// One server for all tests of this process that need no more than a database. It ends with the process.
    pub(crate) fn shared() -> Option<&'static Server> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Server::start).as_ref()
    }

    /// A server that follows this one; asynchronous unless [`Server::wait_for_standbys`] is called.
    pub(crate) fn standby_of(primary: &Server) -> Server {
        let server = Server { bin: primary.bin.clone(), port: free_port(), process: Mutex::new(None), folder: Folder::new() };
        let source = format!("host={} port={} user=postgres application_name=standby", primary.socket().display(), primary.port);
        let mut command = as_user(server.bin.join("pg_basebackup"));
        command.args(["--no-sync", "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--dbname", &source]);
        run(command.arg("--pgdata").arg(server.data()).current_dir(server.folder.path()));
        server.run();
        server
    }

    /// From now on a commit here waits for a standby.
    pub(crate) fn wait_for_standbys(&self) {
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql("SELECT pg_reload_conf()");
        self.wait("a standby is synchronous", |server| {
            server.psql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
        });
    }

    /// Waits until a standby has everything that is here now.
    pub(crate) fn wait_replayed_by(&self, standby: &Server) {
        let here = self.psql("SELECT pg_current_wal_flush_lsn()");
        standby.wait("the standby has everything", |standby| {
            standby.psql(&format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{here}', false)")) == "t"
        });
    }

    /// This standby gets no more rows.
    pub(crate) fn detach(&self) {
        self.psql("ALTER SYSTEM SET primary_conninfo = ''");
        self.psql("SELECT pg_reload_conf()");
        self.wait("it receives nothing", |server| server.psql("SELECT count(*) FROM pg_stat_wal_receiver") == "0");
    }

    /// Makes this standby a primary.
    pub(crate) fn promote(&self) {
        self.psql("SELECT pg_promote()");
        self.wait("it is a primary", |server| server.psql("SELECT pg_is_in_recovery()") == "f");
    }

    /// Makes this primary answer reads only, as one that has been demoted.
    pub(crate) fn demote(&self) {
        self.stop(Stop::Fast);
        self.append("data/standby.signal", "");
        self.run();
    }

    /// Stops it; its port refuses connections then.
    pub(crate) fn stop(&self, how: Stop) {
        let child = self.process.lock().expect("nobody panicked").take();
        if let Some(mut child) = child {
            let signal = if how == Stop::Fast { Signal::INT } else { Signal::QUIT };
            kill_process(pid(child.id()), signal).expect("it runs");
            let begin = Instant::now();
            while child.try_wait().expect("it is our child").is_none() {
                assert!(begin.elapsed() < PATIENCE, "the server does not stop: {}", self.log());
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }

    /// Starts it again on its port.
    pub(crate) fn run(&self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).expect("writable");
        let mut command = as_user(self.bin.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-k").arg(self.socket()).arg("-p").arg(self.port.to_string());
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().expect("the server starts");
        let id = child.id();
        *self.process.lock().expect("nobody panicked") = Some(child);
        self.wait("it takes connections", |server| {
            let state = fs::read_to_string(server.data().join("postmaster.pid")).unwrap_or_default();
            let lines: Vec<&str> = state.lines().map(str::trim).collect();
            lines.first() == Some(&id.to_string().as_str())
                && lines.get(7).is_some_and(|state| ["ready", "standby"].contains(state))
        });
    }

    /// Whether it runs.
    pub(crate) fn is_up(&self) -> bool {
        self.process.lock().expect("nobody panicked").is_some()
    }

    /// Stops all of its processes where they are: connections stay, and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Lets them go on.
    pub(crate) fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        let id = self.process.lock().expect("nobody panicked").as_ref().map(Child::id).expect("it runs");
        // The first makes the others: it is the first to stop.
        kill_process(pid(id), signal).expect("it runs");
        let output = Command::new("ps").args(["-o", "pid=", "--ppid", &id.to_string()]).output().expect("`ps` starts");
        for child in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            // It may have ended.
            let _ = kill_process(pid(child.parse().expect("a process id")), signal);
        }
    }

    /// Runs SQL as the superuser in the database `ingestd`; fields of a row are separated by `|`.
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.psql_in("ingestd", sql)
    }

    /// The same in another database.
    pub(crate) fn psql_in(&self, database: &str, sql: &str) -> String {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.arg("-h").arg(self.socket()).arg("-p").arg(self.port.to_string()).arg("-c").arg(sql);
        run(&mut command).trim_end().to_owned()
    }

    /// A URL of the database `ingestd` for a daemon. It has a password: never an argument, never a line of a log.
    pub(crate) fn url(&self) -> String {
        url(&[self.address()], "ingestd")
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The folder of its Unix socket.
    pub(crate) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join(name)).expect("writable");
        file.write_all(text.as_bytes()).expect("writable");
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Server) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.folder.held.take());
        // Nobody can be told here. The guard ends the server, and we take its exit code so that nothing is left of it.
        let _ = self.folder.guard.wait();
        if let Ok(Some(mut child)) = self.process.lock().map(|mut child| child.take()) {
            let _ = child.wait();
        }
    }
}

/// A database of its own in the shared server.
pub(crate) struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// Nothing, and a line that says so, where PostgreSQL is not installed.
    pub(crate) fn new() -> Option<Database> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = Server::shared()?;
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.psql(&format!("CREATE DATABASE {name} OWNER ingestd"));
        Some(Database { server, name })
    }

    pub(crate) fn url(&self) -> String {
        url(&[self.server.address()], &self.name)
    }

    pub(crate) fn psql(&self, sql: &str) -> String {
        self.server.psql_in(&self.name, sql)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.psql_in("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

/// A URL over these hosts, which are tried in this order.
pub(crate) fn url(hosts: &[std::net::SocketAddr], database: &str) -> String {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    format!("postgres://ingestd:{PASSWORD}@{}/{database}?sslmode=disable", hosts.join(","))
}

fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id")
}

/// Runs a command to its end, and returns its stdout.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("output is UTF-8")
}
