//! A real PgBouncer in transaction mode before a server: consecutive transactions of one client may go over different connections.
//! Does not know who uses it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::postgres::{Folder, PASSWORD, Server, as_user, free_port};

const PATIENCE: Duration = Duration::from_secs(20);

/// A bouncer, ended with the test.
pub(crate) struct Bouncer {
    port: u16,
    process: Option<Child>,
    // Last: it clears up.
    folder: Folder,
}

impl Bouncer {
    /// Nothing, and a line that says so, where PgBouncer is not installed.
    pub(crate) fn start(server: &Server) -> Option<Bouncer> {
        if !Command::new("sh")
            .args(["-c", "command -v pgbouncer"])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
        {
            println!("left out: PgBouncer is not installed (Debian: `apt-get install pgbouncer`)");
            return None;
        }
        let (folder, port) = (Folder::new(), free_port());
        let (path, at) = (folder.path(), server.address());
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             pool_mode = transaction\ndefault_pool_size = 4\nauth_type = plain\nauth_file = {}\npidfile = {}\nlogfile = {}\n\
             server_login_retry = 1\nignore_startup_parameters = extra_float_digits\n",
            at.ip(),
            at.port(),
            path.join("users").display(),
            path.join("bouncer.pid").display(),
            path.join("log").display(),
        );
        fs::write(path.join("users"), format!("\"ingestd\" \"{PASSWORD}\"\n")).expect("writable");
        fs::write(path.join("settings.ini"), settings).expect("writable");
        let mut bouncer = Bouncer { port, process: None, folder };
        bouncer.run();
        Some(bouncer)
    }

    fn run(&mut self) {
        let mut command = as_user("pgbouncer");
        command.arg("-q").arg(self.folder.path().join("settings.ini")).current_dir(self.folder.path());
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
        let begin = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            assert!(begin.elapsed() < PATIENCE, "{}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends it with all of its connections, whatever they are in the middle of, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.end();
        // A process that is killed leaves it, and the next one refuses to start.
        let _ = fs::remove_file(self.folder.path().join("bouncer.pid"));
        self.run();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it is our child");
        }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.end();
    }
}
