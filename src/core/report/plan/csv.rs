//! A line of CSV (RFC 4180), built in place, so that the next line uses its memory again. Does not know what the values mean.

use std::fmt::{self, Write as _};

/// A line without its end. What holds a comma, a quote or a line end is quoted.
#[derive(Debug, Default)]
pub struct CsvLine {
    text: String,
    is_begun: bool,
}

impl CsvLine {
    /// Adds a value.
    pub fn push(&mut self, value: impl fmt::Display) {
        if self.is_begun {
            self.text.push(',');
        }
        self.is_begun = true;
        let from = self.text.len();
        write!(self.text, "{value}").expect("a text takes what is written into it");
        let value = &self.text[from..];
        if value.contains([',', '"', '\n', '\r']) {
            let quoted = format!("\"{}\"", value.replace('"', "\"\""));
            self.text.truncate(from);
            self.text.push_str(&quoted);
        }
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Begins the next line.
    pub fn clear(&mut self) {
        self.text.clear();
        self.is_begun = false;
    }
}

/// A value, or nothing where it is null.
pub(super) struct OrNothing<T>(pub(super) Option<T>);

impl<T: fmt::Display> fmt::Display for OrNothing<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |value| value.fmt(formatter))
    }
}

/// A line of these values.
pub fn csv_line<T: AsRef<str>>(values: &[T]) -> String {
    let mut line = CsvLine::default();
    for value in values {
        line.push(value.as_ref());
    }
    line.text
}
