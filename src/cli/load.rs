//! From a path to what it holds: the daemon's settings, the schedule. Prints what is wrong with either to stderr. Does not
//! know what is wrong: `config` and `schedule` do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use secrecy::{ExposeSecret, SecretString};

use crate::cli::log::is_journal;
use crate::cli::{CONFIG_DEFAULT, Context, Exit, Failure, LogFormat};
use crate::config::{self, App, Settings, Token};
use crate::diagnostic::{self, Counts, Diagnostic, Place, Severity, escape_lines, within_bounds};
use crate::plan::conflicts::{Strictness, check_conflicts};
use crate::schedule::{Job, Reading, Schedule, Source};
use crate::schedule_files::{self, text_of};
use crate::secret::SecretSource;
use crate::trtc::advice::{SecretPlace, SecretPlaces};
use crate::trtc::{AppKey, Credentials, Secrets};
use crate::web::ListenToken;

/// Largest settings file, in bytes. A thousand applications take a tenth of it.
const SETTINGS_BYTES_MAX: u64 = 1024 * 1024;

/// What was read, with everything that is wrong with it.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The thing; `None` when an error keeps it from being accepted, or when it is not there.
    pub value: Option<T>,
    /// Errors and warnings, and no notes.
    pub diagnostics: Vec<Diagnostic>,
    /// How many there are, told or not.
    pub counts: Counts,
    /// The text of each file, for drawing. In the settings everything that may be a secret is masked.
    pub texts: BTreeMap<Arc<str>, String>,
}

impl<T> Loaded<T> {
    /// Of what has so few problems that all of them are told.
    pub fn new(value: Option<T>, diagnostics: Vec<Diagnostic>, texts: BTreeMap<Arc<str>, String>) -> Loaded<T> {
        Loaded { value, counts: Counts::of(&diagnostics), diagnostics, texts }
    }

    /// Draws the diagnostics as a compiler does.
    pub fn render(&self, colour: bool) -> String {
        let texts = self.texts.iter().map(|(name, text)| (Arc::clone(name), text.as_str())).collect();
        diagnostic::render(&self.diagnostics, &texts, colour)
    }

    /// Prints errors and warnings to stderr, as lines of the log where that is the journal or JSON; the thing, unless there was an error: then exit 78.
    pub fn accept(self, context: &Context) -> Result<Option<T>, Failure> {
        if is_journal() || context.log == LogFormat::Json {
            log_problems(&self.diagnostics);
        } else {
            // If stderr is closed there is no other place to write it to.
            let _ = io::stderr().write_all(self.render(context.colour_stderr()).as_bytes());
        }
        if diagnostic::any_error(&self.diagnostics) { Err(Failure::Explained(Exit::Configuration)) } else { Ok(self.value) }
    }
}

/// Logs problems, a line each with the severity of its own, within bounds.
pub(super) fn log_problems(problems: &[Diagnostic]) {
    for (problem, line) in within_bounds(problems, ToString::to_string) {
        let (job, code) = (problem.job.as_deref(), problem.code);
        match problem.severity {
            Severity::Error => tracing::error!(job, code, "{line}"),
            Severity::Warning => tracing::warn!(job, code, "{line}"),
            Severity::Note => tracing::info!(job, code, "{line}"),
        }
    }
}

/// The most errors, and the most text, that [`drawn`] draws.
const DRAWN_MAX: (usize, usize) = (5, 8_000);

/// The first errors of files that were read, as `check` draws them: for whoever looks at the daemon, and not at the files.
pub(super) fn drawn(problems: &[Diagnostic], read: &[Source]) -> Arc<str> {
    let errors: Vec<Diagnostic> = problems.iter().filter(|problem| problem.severity == Severity::Error).cloned().collect();
    let texts = read.iter().map(|source| (Arc::clone(&source.name), source.text.as_str())).collect();
    let mut drawn = String::new();
    for (number, error) in errors.iter().enumerate() {
        let next = diagnostic::render(std::slice::from_ref(error), &texts, false);
        if number == DRAWN_MAX.0 || drawn.len() + next.len() > DRAWN_MAX.1 {
            let _ = write!(drawn, "and {} more: `ingestd check` shows them", errors.len() - number);
            break;
        }
        drawn.push_str(&next);
    }
    drawn.trim_end().into()
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

/// The daemon's settings, for `check` and `plan`, which can do without: when no file is named and the default one does not
/// exist, `value` is `None` and a warning says what that leaves unchecked. Prints nothing.
pub fn read_settings(context: &Context) -> Loaded<Settings> {
    read_settings_and_folder(context).loaded
}

/// The settings, and the folder of schedules that they name, whatever else is wrong with them. `None`: they do not say it. Without
/// settings it is where it would be by default, below the current folder.
pub(super) struct LoadedSettings {
    pub(super) loaded: Loaded<Settings>,
    pub(super) schedules: Option<PathBuf>,
}

/// The same with the folder of schedules.
pub(super) fn read_settings_and_folder(context: &Context) -> LoadedSettings {
    match &context.config {
        Some(path) => settings_at(path, true),
        None => settings_at(Path::new(CONFIG_DEFAULT), false),
    }
}

/// A file that does not exist is a warning if it is the default one (`named` is false). Every other failure is an error.
fn settings_at(path: &Path, named: bool) -> LoadedSettings {
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
        Err(problem) => {
            let schedules = (problem.severity != Severity::Error).then(|| PathBuf::from(config::SCHEDULES_DEFAULT));
            return LoadedSettings { loaded: Loaded::new(None, vec![problem], BTreeMap::new()), schedules };
        }
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let config::Reading { settings, diagnostics, schedules, drawable } = config::read(&source, folder);
    LoadedSettings { loaded: Loaded::new(settings, diagnostics, BTreeMap::from([(source.name, drawable)])), schedules }
}

/// The bytes of settings or of another small file, and never more than may be.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {SETTINGS_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// The schedule that the settings name as a daemon plays it, at boot as at every reload: read, and judged for conflicts. Prints
/// nothing.
pub fn read_playable(settings: &Settings, zones: &TimeZoneDatabase, now: Timestamp) -> Loaded<Schedule> {
    let mut loaded = read_schedule(std::slice::from_ref(&settings.schedules), Some(settings), zones, now);
    if let Some(schedule) = &loaded.value {
        let conflicts = check_conflicts(schedule, now).diagnostics(Strictness::Run);
        loaded.counts = loaded.counts.plus(Counts::of(&conflicts));
        loaded.diagnostics.extend(conflicts);
    }
    if diagnostic::any_error(&loaded.diagnostics) { Loaded { value: None, ..loaded } } else { loaded }
}

/// The schedule of these files and folders, not judged for conflicts. Without settings, names of apps are left unchecked. Prints
/// nothing. Its notes are for `check` alone: here, once for all who play or show a schedule, they are left out.
pub fn read_schedule(paths: &[PathBuf], settings: Option<&Settings>, zones: &TimeZoneDatabase, now: Timestamp) -> Loaded<Schedule> {
    let given = settings.map(Settings::for_schedule).unwrap_or_default();
    let (sources, reading) = schedule_files::read(paths, &given, zones, now);
    let Reading { schedule: value, mut diagnostics, counts, jobs: _ } = reading;
    diagnostics.retain(|diagnostic| diagnostic.severity != Severity::Note);
    Loaded { value, diagnostics, counts, texts: sources.into_iter().map(|source| (source.name, source.text)).collect() }
}

/// The schedule that the settings name, or that is where they would be by default; for the verbs that look at what is planned.
pub(super) fn load_schedule(
    context: &Context,
    settings: Option<&Settings>,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Schedule, Failure> {
    // Without settings: where they would be by default, below the current folder.
    let folder = settings.map_or(Path::new(config::SCHEDULES_DEFAULT), |settings| &settings.schedules);
    without_warnings(read_schedule(&[folder.to_owned()], settings, zones, now), context)
}

/// The schedule without its warnings: only their number is printed, because they would hide the rest.
pub(super) fn without_warnings(loaded: Loaded<Schedule>, context: &Context) -> Result<Schedule, Failure> {
    match (loaded.value, loaded.counts.get(Severity::Warning)) {
        (Some(schedule), 0) => Ok(schedule),
        (Some(schedule), count) => {
            warn(&format!("the schedule has {count} warning{}: see `ingestd check`", if count == 1 { "" } else { "s" }));
            Ok(schedule)
        }
        (None, _) => {
            let unread = Loaded { value: None, ..loaded };
            unread.accept(context)?.ok_or(Failure::Explained(Exit::Configuration))
        }
    }
}

/// Tells on stderr what is no trouble.
pub(super) fn note(text: &str) {
    // If stderr is closed there is no other place to write it to.
    let _ = writeln!(io::stderr(), "note: {}", escape_lines(text));
}

/// Warns on stderr.
pub(super) fn warn(warning: &str) {
    // If stderr is closed there is no other place to write it to.
    let _ = writeln!(io::stderr(), "warning: {}", escape_lines(warning));
}

/// The job of that id, or a failure that says which there are.
pub(super) fn job<'a>(schedule: &'a Schedule, id: &str) -> Result<&'a Arc<Job>, Failure> {
    let known = schedule.job(id);
    known.ok_or_else(|| Failure::new(format!("there is no job `{id}`")).hint(schedule.hint_for_unknown_job(id)))
}

/// Where the secrets are kept, for advice.
pub fn secret_places(settings: &Settings) -> SecretPlaces {
    let account = &settings.account;
    let token = match &account.token {
        Token::Wanted(source) => Some(source),
        Token::IfPresent(_) => None,
    };
    let of_account = [&account.secret_id, &account.secret_key].into_iter().chain(token).map(SecretSource::place);
    let of_apps = settings.apps.values().map(|app| app.secret_key.place());
    SecretPlaces { account: SecretPlace::of_all(of_account), apps: SecretPlace::of_all(of_apps) }
}

/// Reads every secret that requests need, again each time: for [`HttpApi::new`](crate::trtc::HttpApi::new). The message of a
/// failure says which one is missing and where it was looked for.
pub fn read_secrets(settings: &Settings) -> Result<Secrets, String> {
    let credentials = read_account(settings)?.credentials;
    let key = |(name, app): (&Arc<str>, &App)| -> Result<(String, AppKey), String> {
        let key = read_named(&format!("`apps.{name}.secret_key`"), &app.secret_key)?;
        Ok((name.to_string(), AppKey { key, private_map_key: app.private_map_key }))
    };
    // A show whose secret is missing must not keep the others off the air.
    let stream = |(name, source): (&Arc<str>, &SecretSource)| (name.to_string(), read_named(&format!("`secrets.{name}`"), source));
    let apps = settings.apps.iter().map(key).collect::<Result<_, _>>()?;
    Ok(Secrets { credentials, apps, streams: settings.secrets.iter().map(stream).collect() })
}

/// Reads the secrets of the account alone, which is all that a describe and a stop need.
pub(super) fn read_account(settings: &Settings) -> Result<Secrets, String> {
    let account = &settings.account;
    let token = match &account.token {
        Token::Wanted(source) => Some(read_named("`account.token`", source)?),
        Token::IfPresent(source) if source.is_present() => Some(read_named("`account.token`", source)?),
        Token::IfPresent(_) => None,
    };
    let credentials = Credentials {
        secret_id: read_named("`account.secret_id`", &account.secret_id)?.expose_secret().to_owned(),
        secret_key: read_named("`account.secret_key`", &account.secret_key)?,
        token,
    };
    Ok(Secrets { credentials, apps: BTreeMap::new(), streams: BTreeMap::new() })
}

fn read_named(what: &str, source: &SecretSource) -> Result<SecretString, String> {
    source.read().map_err(|error| format!("{what}: {error}"))
}

/// Fetches the keys that verify callbacks, by `SdkAppId`. The message of a failure says which one is missing and where it was looked
/// for. With callbacks on, settings with an application without a key are not accepted.
pub fn read_callback_keys(settings: &Settings) -> Result<BTreeMap<u64, SecretString>, String> {
    let with_key = settings.apps.iter().filter_map(|(name, app)| app.callback_key.as_ref().map(|key| (name, app.sdk_app_id, key)));
    let read = |(name, sdk_app_id, key): (&Arc<str>, u64, &SecretSource)| {
        let key = key.read().map_err(|error| format!("`apps.{name}.callback_key`: {error}"))?;
        Ok((sdk_app_id, key))
    };
    with_key.map(read).collect()
}

/// Returns the token of `listen_token`, which is read again while the daemon runs.
pub fn listen_token(settings: &Settings) -> Option<ListenToken> {
    let source = settings.listen.token.clone()?;
    Some(ListenToken::new(Arc::new(move || source.read())))
}

/// Where every secret of the settings is kept.
pub fn secret_sources(settings: &Settings) -> impl Iterator<Item = &SecretSource> {
    settings.secret_list().into_iter().map(|secret| secret.source)
}

/// Warns in the log of every secret file that all users of this host can read.
pub fn warn_of_exposed_secrets(settings: &Settings) {
    for warning in secret_sources(settings).filter_map(SecretSource::exposure) {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_nobody_named_may_be_absent_but_not_unreadable() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("writable");
        let severity = |path: &Path, named| settings_at(path, named).loaded.diagnostics[0].severity;
        assert_eq!(severity(&folder.path().join("absent"), false), Severity::Warning);
        assert_eq!(severity(&folder.path().join("absent"), true), Severity::Error);
        assert_eq!(severity(&file.join("absent"), false), Severity::Error);
        assert_eq!(severity(folder.path(), false), Severity::Error);
    }

    #[test]
    fn secrets_are_fetched_from_where_the_settings_say_and_what_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = folder.path().join("ingestd.yaml");
        let text = "account: {secret_id: {file: id}, secret_key: {file: key}, token: {file: token}, region: ap-singapore}\n\
                    apps: {main: {sdk_app_id: 1, secret_key: {file: app}, private_map_key: true}}\n";
        std::fs::write(&settings, text).expect("writable");
        let settings = settings_at(&settings, true).loaded.value.expect("good settings");
        for (name, value) in [("id", "AKID"), ("key", "hush-key"), ("token", "hush-token")] {
            std::fs::write(folder.path().join(name), value).expect("writable");
        }
        let message = read_secrets(&settings).expect_err("a key is missing");
        assert!(message.starts_with("`apps.main.secret_key`: cannot read the secret file `"), "{message}");
        std::fs::write(folder.path().join("app"), "hush-app\n").expect("writable");
        let secrets = read_secrets(&settings).expect("all are there");
        assert_eq!(secrets.credentials.secret_id, "AKID");
        assert_eq!(secrets.credentials.secret_key.expose_secret(), "hush-key");
        assert_eq!(secrets.credentials.token.as_ref().expect("it was wanted").expose_secret(), "hush-token");
        assert_eq!(secrets.apps["main"].key.expose_secret(), "hush-app");
        assert!(secrets.apps["main"].private_map_key);
        assert!(!format!("{secrets:?}").contains("hush"));
    }

    #[test]
    fn the_place_of_the_secrets_is_that_of_the_one_that_is_the_hardest_to_change() {
        use SecretPlace::{Credential, Environment, File};
        let places = |account: &str, app: &str| {
            let text =
                format!("account: {{{account}, region: ap-singapore}}\napps: {{main: {{sdk_app_id: 1, secret_key: {app}}}}}\n");
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("ingestd.yaml");
            std::fs::write(&path, text).expect("writable");
            let SecretPlaces { account, apps } = secret_places(&settings_at(&path, true).loaded.value.expect("good settings"));
            (account, apps)
        };
        assert_eq!(places("secret_id: {file: id}, secret_key: {file: key}", "{credential: app}"), (File, Credential));
        assert_eq!(places("secret_id: {env: ID}, secret_key: {credential: key}", "{file: app}"), (Credential, File));
        assert_eq!(
            places("secret_id: {file: id}, secret_key: {file: key}, token: {env: T}", "{env: K}"),
            (Environment, Environment)
        );
    }
}
