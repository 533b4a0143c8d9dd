//! From a path to what it holds: the daemon's settings, the schedule. Prints what is wrong with either to stderr. Refuses to
//! judge: that is `config` and `schedule`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;

use crate::cli::{CONFIG_DEFAULT, Context, Exit, Failure};
use crate::config::{self, Settings};
use crate::diagnostic::{self, Diagnostic, Place};
use crate::schedule::source::{self, text_of};
use crate::schedule::{self, Schedule};

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
    let loaded = read_settings(context);
    // A file that is merely absent drew a warning for those who can do without it; here it is the error.
    let absent = loaded.value.is_none() && !diagnostic::any_error(&loaded.diagnostics);
    let settings = if absent { None } else { loaded.accept(context)? };
    settings.ok_or_else(|| {
        Failure::configuration(format!("there are no settings: `{CONFIG_DEFAULT}` does not exist"))
            .hint("write them, or name the file with `--config PATH` or `$INGESTD_CONFIG`")
    })
}

/// The daemon's settings, for `check` and `plan`, which can do without: when nobody named a file and the default one does not
/// exist, `value` is `None` and a warning says what that leaves unchecked. Prints nothing.
pub fn read_settings(context: &Context) -> Loaded<Settings> {
    match &context.config {
        Some(path) => settings_at(path, true),
        None => settings_at(Path::new(CONFIG_DEFAULT), false),
    }
}

/// Only a file that is not there, and that nobody named, is none; one that cannot be read is an error.
fn settings_at(path: &Path, named: bool) -> Loaded<Settings> {
    let source = match read_file(path) {
        Ok(bytes) => text_of(path, bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
            Err(Diagnostic::warning("no-settings", format!("`{}` does not exist: names of apps are not checked", path.display()))
                .hint("name the settings with `--config PATH` or `$INGESTD_CONFIG`"))
        }
        Err(error) => Err(Diagnostic::error("unreadable", format!("cannot read the settings: {error}"))
            .at(Place::file(path.to_string_lossy().into_owned()))),
    };
    let source = match source {
        Ok(source) => source,
        Err(problem) => return Loaded { value: None, diagnostics: vec![problem], texts: BTreeMap::new() },
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let config::Reading { settings, diagnostics, drawable } = config::read(&source, folder);
    Loaded { value: settings, diagnostics, texts: BTreeMap::from([(source.name, drawable)]) }
}

/// The bytes of the settings, and never more than may be.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {SETTINGS_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// The schedule that the settings name, which must be good.
pub fn load_schedule(
    context: &Context,
    settings: &Settings,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Schedule, Failure> {
    let loaded = read_schedule(std::slice::from_ref(&settings.schedules), Some(settings), zones, now);
    loaded.accept(context)?.ok_or(Failure::Explained(Exit::Configuration))
}

/// The schedule of these files and folders. Without settings, names of apps are left unchecked. Prints nothing.
pub fn read_schedule(paths: &[PathBuf], settings: Option<&Settings>, zones: &TimeZoneDatabase, now: Timestamp) -> Loaded<Schedule> {
    let source::Loaded { sources, problems } = source::load(paths);
    let given = settings.map(Settings::for_schedule).unwrap_or_default();
    let reading = schedule::read(&sources, &given, zones, now);
    let mut diagnostics = problems;
    diagnostics.extend(reading.diagnostics);
    // A schedule without a file that could not be read is not the schedule that was meant.
    let value = reading.schedule.filter(|_| !diagnostic::any_error(&diagnostics));
    Loaded { value, diagnostics, texts: sources.into_iter().map(|source| (source.name, source.text)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;

    #[test]
    fn settings_that_nobody_named_may_be_absent_but_not_unreadable() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("writable");
        let severity = |path: &Path, named| settings_at(path, named).diagnostics[0].severity;
        assert_eq!(severity(&folder.path().join("absent"), false), Severity::Warning);
        assert_eq!(severity(&folder.path().join("absent"), true), Severity::Error);
        assert_eq!(severity(&file.join("absent"), false), Severity::Error);
        assert_eq!(severity(folder.path(), false), Severity::Error);
    }
}
