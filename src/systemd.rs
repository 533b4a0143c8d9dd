//! Notifications to systemd (`sd_notify`): ready, reloading, stopping, a line for `systemctl status`, alive. Does not know what the
//! daemon does, or what time it is.
//!
//! Why not a library: the protocol is one datagram of `NAME=value` lines, and this is all of it that is needed.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager that started this process, if it asked for notifications.
#[derive(Debug)]
pub struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Manager {
    /// The one named in `$NOTIFY_SOCKET`. Without one, or with one of a kind that this system does not have, every call does
    /// nothing and succeeds.
    pub fn from_environment() -> io::Result<Manager> {
        let address = std::env::var("NOTIFY_SOCKET").ok().and_then(|name| address(&name)).transpose()?;
        Manager::new(address)
    }

    fn new(address: Option<SocketAddr>) -> io::Result<Manager> {
        let Some(address) = address else { return Ok(Manager { socket: None }) };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold up a start.
        socket.set_nonblocking(true)?;
        Ok(Manager { socket: Some((socket, address)) })
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Start-up is complete: units that are ordered after this one may start.
    pub fn ready(&self) -> io::Result<()> {
        self.notify("READY=1")
    }

    /// A reload has begun, at that reading of the monotonic clock in microseconds; [`Manager::ready`] ends it. `systemctl reload` of a
    /// unit of `Type=notify-reload` waits in between.
    pub fn reloading(&self, monotonic_us: u64) -> io::Result<()> {
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={monotonic_us}"))
    }

    /// Shutdown has begun.
    pub fn stopping(&self) -> io::Result<()> {
        self.notify("STOPPING=1")
    }

    /// The line in `systemctl status`.
    pub fn status(&self, line: &str) -> io::Result<()> {
        self.notify(&format!("STATUS={}", line.replace(['\n', '\r'], " ")))
    }

    /// The loop is alive. To be said at least twice in each [`watchdog_period`].
    pub fn alive(&self) -> io::Result<()> {
        self.notify("WATCHDOG=1")
    }

    fn notify(&self, message: &str) -> io::Result<()> {
        let Some((socket, address)) = &self.socket else { return Ok(()) };
        socket.send_to_addr(message.as_bytes(), address).map(drop)
    }
}

/// A path, or with a leading `@` a name of the abstract namespace that Linux has.
fn address(name: &str) -> Option<io::Result<SocketAddr>> {
    match name.as_bytes().first() {
        Some(b'/') => Some(SocketAddr::from_pathname(name)),
        #[cfg(target_os = "linux")]
        Some(b'@') => Some(<SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name[1..])),
        _ => None,
    }
}

/// The time after which the manager takes this process for dead (`WatchdogSec=`), when it watches this process at all.
pub fn watchdog_period() -> Option<Duration> {
    let variable = |name: &str| std::env::var(name).ok();
    watchdog(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), std::process::id())
}

fn watchdog(usec: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    let meant_for_us = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    let period = Duration::from_micros(usec?.parse().ok()?);
    (meant_for_us && !period.is_zero()).then_some(period)
}

/// Logs a failed notification of systemd. The daemon goes on without it.
pub fn log_failure(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("cannot notify systemd: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(manager: &Manager, socket: &UnixDatagram) -> Vec<String> {
        manager.ready().expect("sent");
        manager.status("on air: 2\nREADY=0").expect("sent");
        manager.alive().expect("sent");
        manager.reloading(5_000_001).expect("sent");
        manager.stopping().expect("sent");
        let mut messages = Vec::new();
        let mut buffer = [0; 256];
        for _ in 0..5 {
            let length = socket.recv(&mut buffer).expect("a datagram");
            messages.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        messages
    }

    #[test]
    fn every_message_arrives_on_both_kinds_of_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let mut ears = vec![(path.display().to_string(), UnixDatagram::bind(&path).expect("bound"))];
        if cfg!(target_os = "linux") {
            let name = format!("@ingestd-test-{}", std::process::id());
            let place = address(&name).expect("a kind we know").expect("an address");
            ears.push((name, UnixDatagram::bind_addr(&place).expect("bound")));
        }
        for (name, ear) in ears {
            let place = address(&name).expect("a kind we know").expect("an address");
            let manager = Manager::new(Some(place)).expect("a socket");
            let reloading = "RELOADING=1\nMONOTONIC_USEC=5000001";
            let expected = ["READY=1", "STATUS=on air: 2 READY=0", "WATCHDOG=1", reloading, "STOPPING=1"];
            assert_eq!(received(&manager, &ear), expected, "{name}");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_sent_and_nothing_fails() {
        assert!(address("vsock:2:1234").is_none() && address("").is_none());
        let manager = Manager::new(None).expect("nothing to open");
        assert!(manager.ready().is_ok() && manager.alive().is_ok());
    }

    #[test]
    fn the_watchdog_counts_only_for_the_process_it_names() {
        let minute = Some(Duration::from_mins(1));
        for (usec, pid, expected) in [
            (Some("60000000"), None, minute),
            (Some("60000000"), Some("7"), minute),
            (Some("60000000"), Some("8"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, None, None),
        ] {
            assert_eq!(watchdog(usec, pid, 7), expected, "{usec:?} {pid:?}");
        }
    }
}
