//! Log lines to stderr: text for people and for the journal, or JSON. Does not know what is logged. A reader that stops reading stops
//! nothing here: lines wait in a queue, and those that do not fit are counted.
//!
//! `$INGESTD_LOG` says which lines: `info` (the default), `debug`, or by module: `info,ingestd::daemon=debug`.

mod line_queue;

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Failure, LogFormat, colour};
use crate::diagnostic::{escape, escape_json};
use line_queue::LineQueue;
pub(crate) use line_queue::dropped as lines_dropped;

/// Sends every log line of this process to stderr from now on, through the queue that is returned. Called once.
///
/// Errors: `$INGESTD_LOG` is not valid.
pub(crate) fn install(format: LogFormat) -> Result<LineQueue, Failure> {
    let wanted = std::env::var("INGESTD_LOG").unwrap_or_default();
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(&wanted).map_err(|error| {
        Failure::usage(format!("`$INGESTD_LOG` is not valid: {error}")).hint("for example `info` or `ingestd=debug`")
    })?;
    let cannot = |error: &dyn fmt::Display| Failure::new(format!("cannot start logging: {error}"));
    let tell = |_: &LineQueue, dropped: usize| {
        tracing::warn!(lines = dropped, "log lines were dropped: whoever reads the log did not read for a while");
    };
    let queue = LineQueue::start(io::stderr(), tell).map_err(|error| cannot(&error))?;
    let writer = queue.clone();
    // A stderr that cannot be written must not end the daemon: a message about it, written there, would panic.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone()).log_internal_errors(false);
    let installed = match format {
        LogFormat::Json => {
            let writer = queue.clone();
            let lines = lines.with_writer(move || JsonLines(writer.clone()));
            lines.json().flatten_event(true).with_span_list(false).finish().try_init()
        }
        LogFormat::Text if is_journal() => lines.with_ansi(false).event_format(Lines::Journal).finish().try_init(),
        LogFormat::Text => lines.with_ansi(colour(io::stderr().is_terminal())).event_format(Lines::Plain).finish().try_init(),
    };
    installed.map(|()| queue).map_err(|error| cannot(&error))
}

/// Whether stderr goes to the journal: systemd names the device and the inode of the socket it gave (`systemd.exec(5)`), so
/// that a redirected stderr is recognised.
pub(super) fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() else { return false };
    File::from(stderr).metadata().is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Lines of JSON in which nothing acts on the terminal. Each comes in one piece.
struct JsonLines<W>(W);

impl<W: io::Write> io::Write for JsonLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(escape_json(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How a line is written.
enum Lines {
    /// Time, level, message, fields.
    Plain,
    /// The same without time, which the journal adds, and with the level as `<N>`, which the journal takes off (`sd-daemon(3)`).
    Journal,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let level = *event.metadata().level();
        match self {
            Lines::Journal => write!(writer, "<{}>", priority(level))?,
            Lines::Plain => {
                tracing_subscriber::fmt::time().format_time(&mut writer)?;
                write_level(&mut writer, level)?;
            }
        }
        let mut line = String::new();
        context.field_format().format_fields(Writer::new(&mut line), event)?;
        for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                line.push(' ');
                line.push_str(fields);
            }
        }
        // What others wrote (a vendor's message, a file's name) must not forge a second line or move the cursor.
        writeln!(writer, "{}", escape(&line))
    }
}

fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

fn write_level(writer: &mut Writer<'_>, level: Level) -> fmt::Result {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG | Level::TRACE => 2,
    };
    if writer.has_ansi_escapes() { write!(writer, " \x1b[{colour}m{level:>5}\x1b[0m ") } else { write!(writer, " {level:>5} ") }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A stderr that can be read back.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics holding it").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(lines: Lines) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).event_format(lines).finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("call", job = "promo");
            let _inside = span.enter();
            tracing::warn!(code = "InternalError", "refused: {}", "a\n<0>forged\x1b[2J");
            tracing::error!("gone");
        });
        let bytes = page.0.lock().expect("nobody panics holding it").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn the_journal_gets_its_priority_and_one_line_an_event() {
        let text = written(Lines::Journal);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text:?}");
        assert!(lines[0].starts_with(r"<4>refused: a\n<0>forged\x1b[2J"), "{text:?}");
        assert!(lines[0].contains(r#"code="InternalError""#) && lines[0].ends_with(r#"job="promo""#), "{text:?}");
        assert_eq!(lines[1], r#"<3>gone job="promo""#);
    }

    #[test]
    fn nothing_in_a_line_of_json_acts_on_the_terminal() {
        let page = Page::default();
        let writer = page.clone();
        let lines = tracing_subscriber::fmt().with_writer(move || JsonLines(writer.clone())).json().flatten_event(true).finish();
        tracing::subscriber::with_default(lines, || tracing::warn!("a\u{202e}b\u{9b}c\nd"));
        let bytes = page.0.lock().expect("nobody panics holding it").clone();
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains(r"a\u202eb\u009bc\nd") && text.lines().count() == 1, "{text:?}");
    }

    #[test]
    fn plain_lines_begin_with_time_and_level() {
        let text = written(Lines::Plain);
        let (time, rest) = text.split_once(' ').expect("a time");
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{text:?}");
        assert!(rest.starts_with(" WARN refused: "), "{text:?}");
    }
}
