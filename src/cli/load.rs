//! From a path to what it holds: the daemon's settings, the schedule. Prints what is wrong with either to stderr. Refuses to
//! judge: that is `config` and `schedule`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::{CONFIG_DEFAULT, Context, Exit, Failure};
use crate::config::{self, Settings};
use crate::diagnostic::{self, Diagnostic, Place};
use crate::schedule::Source;

/// Largest settings file, in bytes. A thousand applications take a tenth of it.
const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;

/// What was read, with everything that is wrong with it.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The thing; `None` when an error keeps it from being accepted, or when it is not there.
    pub value: Option<T>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// The text of each file, for drawing. In the settings everything that may be a secret is blotted out.
    pub texts: BTreeMap<Arc<str>, String>,
}

impl<T> Loaded<T> {
    fn failed(diagnostic: Diagnostic) -> Loaded<T> {
        Loaded { value: None, diagnostics: vec![diagnostic], texts: BTreeMap::new() }
    }

    /// Draws the diagnostics as a compiler does.
    pub fn render(&self, colour: bool) -> String {
        let texts = self.texts.iter().map(|(name, text)| (Arc::clone(name), text.as_str())).collect();
        diagnostic::render(&self.diagnostics, &texts, colour)
    }

    /// Prints errors and warnings to stderr; the thing, unless there was an error: then exit 78.
    pub fn accept(self, context: &Context) -> Result<Option<T>, Failure> {
        // Nobody is left to be told when stderr is gone.
        let _ = io::stderr().write_all(self.render(context.colour_stderr()).as_bytes());
        if diagnostic::any_error(&self.diagnostics) { Err(Failure::Explained(Exit::Configuration)) } else { Ok(self.value) }
    }
}

/// The daemon's settings, which must be there: for the verbs that talk to TRTC or to the ledger.
pub fn load_settings(context: &Context) -> Result<Settings, Failure> {
    read_settings(context).accept(context)?.ok_or_else(|| {
        Failure::configuration(format!("there are no settings: `{CONFIG_DEFAULT}` does not exist"))
            .hint("write them, or name the file with `--config PATH` or `$INGESTD_CONFIG`")
    })
}

/// The daemon's settings, for `check` and `plan`, which can do without: when nobody named a file and the default one does not
/// exist, `value` is `None` and a warning says what that leaves unchecked. Prints nothing.
pub fn read_settings(context: &Context) -> Loaded<Settings> {
    let path = context.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG_DEFAULT));
    let name: Arc<str> = Arc::from(path.display().to_string());
    let text = match read_text(&path, SETTINGS_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && context.config.is_none() => {
            return Loaded::failed(
                Diagnostic::warning("no-settings", format!("`{CONFIG_DEFAULT}` does not exist: names of apps are not checked"))
                    .hint("name the settings with `--config PATH` or `$INGESTD_CONFIG`"),
            );
        }
        Err(error) => {
            return Loaded::failed(
                Diagnostic::error("unreadable", format!("cannot read the settings: {error}")).at(Place::file(name)),
            );
        }
    };
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let reading = config::read(&Source { name: Arc::clone(&name), text }, &folder);
    Loaded { value: reading.settings, diagnostics: reading.diagnostics, texts: BTreeMap::from([(name, reading.drawable)]) }
}

/// Reads a text file, and never more of it than `bytes_max` and one.
fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
}
