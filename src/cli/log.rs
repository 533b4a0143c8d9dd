//! Log lines: text for people or JSON to stderr, entries with fields to the journal. Does not know what is logged. A reader that stops
//! reading stops nothing here: lines wait in a queue, and those that do not fit are counted.
//!
//! `$INGESTD_LOG` says which lines: `info` (the default), `debug`, or by module: `info,ingestd::daemon=debug`.

mod journal;
mod line_queue;

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Context, Exit, Failure, LogFormat, colour};
use crate::diagnostic::{escape, escape_json};
use journal::{Journal, Words};
use line_queue::LineQueue;
pub(crate) use line_queue::dropped as lines_dropped;

/// What the scheduler of the chores may say, unless `$INGESTD_LOG` names it.
const QUIET: (&str, LevelFilter) = ("tokio_cron_scheduler", LevelFilter::WARN);

/// Sends every log line of this process to stderr from now on, through the queue that is returned. Called once.
///
/// Errors: `$INGESTD_LOG` is not valid.
pub(crate) fn install(format: LogFormat) -> Result<LineQueue, Failure> {
    let wanted = std::env::var("INGESTD_LOG").unwrap_or_default();
    let filter: Targets = if wanted.is_empty() { "info" } else { &wanted }.parse().map_err(|error| {
        Failure::usage(format!("`$INGESTD_LOG` is not valid: {error}")).hint("for example `info` or `ingestd=debug`")
    })?;
    // It says at each start that it has begun, in words that mean nothing to an operator.
    let (module, level) = QUIET;
    let filter = if wanted.contains(module) { filter } else { filter.with_target(module, level) };
    let cannot = |error: &dyn fmt::Display| Failure::new(format!("cannot start logging: {error}"));
    let tell = |_: &LineQueue, dropped: usize| {
        tracing::warn!(lines = dropped, "log lines were dropped: whoever reads the log did not read for a while");
    };
    let to_journal = format == LogFormat::Text && is_journal();
    let output: Box<dyn io::Write + Send> = if to_journal { Box::new(Journal::new(io::stderr())) } else { Box::new(io::stderr()) };
    let queue = LineQueue::start(output, tell).map_err(|error| cannot(&error))?;
    let writer = queue.clone();
    // A stderr that cannot be written must not end the daemon: a message about it, written there, would panic.
    let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(move || writer.clone());
    let lines = lines.log_internal_errors(false);
    let installed = match format {
        LogFormat::Json => {
            let writer = queue.clone();
            let lines = lines.with_writer(move || JsonLines(writer.clone()));
            lines.json().flatten_event(true).with_span_list(false).finish().with(filter).try_init()
        }
        LogFormat::Text if to_journal => {
            journal::tell_panics();
            lines.with_ansi(false).event_format(Lines::Journal).finish().with(filter).try_init()
        }
        LogFormat::Text => {
            lines.with_ansi(colour(io::stderr().is_terminal())).event_format(Lines::Plain).finish().with(filter).try_init()
        }
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

/// Logs why a verb failed where stderr is the journal: one line with the priority of an error. Returns what is left to be printed.
pub(super) fn tell_failure(context: &Context, failure: Failure) -> Result<Exit, Failure> {
    if context.log != LogFormat::Text || !is_journal() {
        return Err(failure);
    }
    let Failure::Message { exit, message, hint } = failure else { return Err(failure) };
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    tracing::error!("{message}{hint}");
    Err(Failure::Explained(exit))
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
    /// The same without time, which the journal adds, as an entry of the journal.
    Journal,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut words = Words::default();
        event.record(&mut words);
        let Words(mut line) = words;
        for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                line.push(' ');
                line.push_str(fields);
            }
        }
        match self {
            Lines::Journal => journal::write_entry(&mut writer, event, &line),
            Lines::Plain => {
                tracing_subscriber::fmt::time().format_time(&mut writer)?;
                write_level(&mut writer, *event.metadata().level())?;
                // What others wrote (a vendor's message, a file's name) must not forge a second line or move the cursor.
                writeln!(writer, "{}", escape(&line))
            }
        }
    }
}

/// Whether a field says what the message says in words: it is for the journal and for JSON, where somebody looks for it.
fn is_in_words(name: &str) -> bool {
    matches!(name, "outcome" | "reason" | "code")
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
            tracing::warn!(code = "InternalError", start = "10:00", empty = "", "refused: {}", "a\n<0>forged\x1b[2J");
            tracing::error!("gone");
        });
        let bytes = page.0.lock().expect("nobody panics holding it").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn the_journal_gets_an_entry_for_each_event_with_its_priority_and_its_fields() {
        let text = written(Lines::Journal);
        let lines: Vec<&str> = text.lines().collect();
        let first = [
            "PRIORITY=4",
            r#"MESSAGE=refused: a\n<0>forged\u{1b}[2J start="10:00" job="promo""#,
            "SYSLOG_IDENTIFIER=ingestd",
            "CODE=InternalError",
            "START=10:00",
        ];
        assert_eq!(lines[..5], first, "{text:?}");
        assert_eq!(lines[5..], ["PRIORITY=3", r#"MESSAGE=gone job="promo""#, "SYSLOG_IDENTIFIER=ingestd"], "{text:?}");
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
