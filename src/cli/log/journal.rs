//! Log lines as entries of systemd's journal, with fields of their own (`JOB=`, `OUTCOME=`), so that `journalctl JOB=evening-promo` finds
//! them. What a field means is not known here.
//!
//! Why not `tracing-journald`: it sends where the line is logged, so that a journal that does not read would stop the air; here the queue
//! of the log sends. What is left is a text and a datagram.

use std::fmt::{self, Write as _};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::{is_in_words, priority};
use crate::diagnostic::escape;

/// Where the journal takes entries (systemd-journald.service(8)).
const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest message, in bytes: the journal's own `LineMax=`. A longer one is cut, because a datagram has an end.
const MESSAGE_MAX: usize = 48 << 10;

/// The longest value of a field of ours.
const VALUE_MAX: usize = 4 << 10;

/// Writes an entry: `NAME=value` on a line each, with the line as it is elsewhere as the message.
pub(super) fn write_entry(out: &mut impl fmt::Write, event: &Event<'_>, line: &str) -> fmt::Result {
    let level = priority(*event.metadata().level());
    write!(out, "PRIORITY={level}\nMESSAGE={}\nSYSLOG_IDENTIFIER=ingestd\n", cut(&escape(line), MESSAGE_MAX))?;
    let mut fields = Fields(String::new());
    event.record(&mut fields);
    out.write_str(&fields.0)
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The fields of an event as those of an entry.
struct Fields(String);

impl Fields {
    fn add(&mut self, field: &Field, value: &str) {
        let name = field.name();
        // An empty value says nothing, and the message is there already.
        if name == "message" || value.is_empty() {
            return;
        }
        // Names are ours, letters and `_`: the journal takes them in capitals. A value is one line.
        let _ = writeln!(self.0, "{}={}", name.to_ascii_uppercase().replace('.', "_"), cut(&escape(value), VALUE_MAX));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// Sends each entry that is written to it; where the journal cannot be reached, the message goes to `instead`, with its priority as
/// systemd reads it from a stream (sd-daemon(3)).
pub(super) struct Journal<W> {
    socket: Option<UnixDatagram>,
    instead: W,
}

impl<W: io::Write> Journal<W> {
    pub(super) fn new(instead: W) -> Journal<W> {
        Journal::at(Path::new(SOCKET), instead)
    }

    fn at(path: &Path, instead: W) -> Journal<W> {
        let socket = UnixDatagram::unbound().and_then(|socket| socket.connect(path).map(|()| socket));
        Journal { socket: socket.ok(), instead }
    }
}

impl<W: io::Write> io::Write for Journal<W> {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        // After its restart the journal has another socket.
        let send = |socket: &UnixDatagram| socket.send(entry).or_else(|_| socket.connect(SOCKET).and_then(|()| socket.send(entry)));
        if self.socket.as_ref().is_none_or(|socket| send(socket).is_err()) {
            self.instead.write_all(as_line(&String::from_utf8_lossy(entry)).as_bytes())?;
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.instead.flush()
    }
}

/// The same for a stream that the journal reads.
fn as_line(entry: &str) -> String {
    let field = |name: &str| entry.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    format!("<{}>{}\n", field("PRIORITY="), field("MESSAGE="))
}

/// Has a panic written as one line with a priority: without this it is several lines that say nothing of how bad it is.
pub(super) fn tell_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let line = panic.to_string().replace('\n', " ");
        let _ = io::Write::write_all(&mut io::stderr(), format!("<{}>{}\n", priority(Level::ERROR), escape(&line)).as_bytes());
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            usual(panic);
        }
    }));
}

/// A line for people: the message, and the fields that are not in its words.
#[derive(Default)]
pub(super) struct Words(pub(super) String);

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else if !value.is_empty() {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        let _ = match field.name() {
            "message" => write!(self.0, "{space}{value:?}"),
            name if is_in_words(name) => Ok(()),
            name => write!(self.0, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_entry_is_one_datagram_and_without_a_journal_a_line_with_its_priority() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("socket");
        let entry = b"PRIORITY=4\nMESSAGE=refused: a\\nb\nSYSLOG_IDENTIFIER=ingestd\nJOB=promo\n";
        let mut instead = Vec::new();
        Journal::at(&place, &mut instead).write_all(entry).expect("written");
        assert_eq!(String::from_utf8_lossy(&instead), "<4>refused: a\\nb\n");
        let journal = UnixDatagram::bind(&place).expect("bound");
        let mut instead = Vec::new();
        Journal::at(&place, &mut instead).write_all(entry).expect("written");
        let mut buffer = [0; 256];
        let length = journal.recv(&mut buffer).expect("a datagram");
        assert_eq!((&buffer[..length], instead.len()), (&entry[..], 0));
    }

    #[test]
    fn what_is_too_long_for_a_datagram_is_cut_between_characters() {
        let long = "直".repeat(MESSAGE_MAX);
        assert!(cut(&long, MESSAGE_MAX).len() <= MESSAGE_MAX && cut(&long, MESSAGE_MAX).len() > MESSAGE_MAX - 4);
        assert_eq!(cut("short", MESSAGE_MAX), "short");
    }
}
