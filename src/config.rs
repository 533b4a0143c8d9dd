//! The daemon's settings, `ingestd.yaml`: text to values, with every problem at once and its place. Refuses to know where the
//! file was found, and never reads a secret: it knows only where each is kept.
//!
//! Invariant: nothing that may be a secret leaves here. Somebody will write one into this file as plain text, misspell the key
//! beside it, or forget a space; so messages echo no value of a secret field and no key that does not look like a setting, and
//! [`Reading::drawable`], the text that diagnostics are drawn from, keeps only what was read as a setting and blots out the rest.

mod alerts;
mod chores;
mod keys;
mod listen;
mod named;
mod page;
mod secret_list;
mod settings_reader;
mod shared_ledger;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{self, Diagnostic, LineIndex, Place};
use crate::probe::MediaHosts;
use crate::schedule::problem::Problem;
use crate::schedule::{self, Source, places};
use crate::secret::SecretSource;
use crate::trtc::{Endpoint, Site};
use crate::yaml::{self, Node};
pub use alerts::{AlertReceiver, AlertTo, UrlSource};
pub use chores::{BackupPlace, ChoreTime, Chores};
pub use keys::{KeyReference, reference, schema};
pub use listen::Listen;
pub use page::PageSettings;
pub use secret_list::NamedSecret;
use settings_reader::{Fields, SettingsReader};
pub use shared_ledger::SharedLedger;

/// Requests a second that an account gets for each action unless Tencent raised it (TRTC.md section 3).
pub const RATE_DEFAULT: NonZeroU32 = NonZeroU32::new(20).expect("20 is not zero");
/// Most requests a second that can be asked for. A raised quota is tens; more than this is a slip of the finger.
pub const RATE_MAX: u32 = 1000;
/// The endpoint of the documentation.
pub const ENDPOINT_DEFAULT: &str = "https://trtc.tencentcloudapi.com";
/// Where `StateDirectory=ingestd` of the unit puts it.
const STATE_USUAL: &str = "/var/lib/ingestd";
/// Where `RuntimeDirectory=ingestd` of the unit puts the control socket.
const CONTROL_USUAL: &str = "/run/ingestd/control.sock";
/// The name of the control socket in a folder.
const CONTROL_NAME: &str = "control.sock";
/// The folder of the schedule files when nothing is said.
pub const SCHEDULES_DEFAULT: &str = "schedules";

/// The settings of a daemon, valid.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account that asks.
    pub account: Account,
    /// The applications, by the name that jobs use; at least one.
    pub apps: BTreeMap<Arc<str>, App>,
    /// The secrets to which streams refer, by name.
    pub secrets: BTreeMap<Arc<str>, SecretSource>,
    /// The folder of the settings' file.
    pub folder: PathBuf,
    /// The folder of the schedule files.
    pub schedules: PathBuf,
    /// The ledger that it shares with other hosts; `None`: a file in `state`.
    pub ledger: Option<SharedLedger>,
    /// The folder of the ledger; `None`: `$STATE_DIRECTORY`, see [`Settings::state_folder`].
    pub state: Option<PathBuf>,
    /// The read-only listener.
    pub listen: Listen,
    /// Where the vendor's callbacks arrive, any address of this host; `None`: nowhere. With it, every application has a `callback_key`.
    pub callbacks: Option<SocketAddr>,
    /// The control socket; `None`: see [`Settings::control_socket`].
    pub control: Option<PathBuf>,
    /// Requests a second for each action, 1..=[`RATE_MAX`].
    pub rate: NonZeroU32,
    /// Whether starts are held, up to 5 min, until the clock is synchronised.
    pub require_sync: bool,
    /// Whether the folder of schedules is watched.
    pub watch: bool,
    /// What probes may reach although it is not public.
    pub media_hosts: MediaHosts,
    /// Who is told of trouble, by distinct names.
    pub alerts: Vec<AlertReceiver>,
    /// When the day of the page begins, and where.
    pub page: PageSettings,
    /// What is done for the ledger now and then.
    pub chores: Chores,
}

/// An account of Tencent Cloud.
#[derive(Clone, Debug)]
pub struct Account {
    /// `SecretId`.
    pub secret_id: SecretSource,
    /// `SecretKey`.
    pub secret_key: SecretSource,
    /// The token of temporary keys.
    pub token: Token,
    /// `X-TC-Region` of jobs that name none.
    pub region: Arc<str>,
    /// Where requests go.
    pub endpoint: Endpoint,
}

/// The token of temporary keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// It was written down, so it must be there.
    Wanted(SecretSource),
    /// Nothing was written: the usual variable is used when it is set.
    IfPresent(SecretSource),
}

/// An application of the account.
#[derive(Clone, Debug)]
pub struct App {
    /// `SdkAppId`, 1..=4294967295.
    pub sdk_app_id: u64,
    /// The `SDKSecretKey` that signs `UserSig`.
    pub secret_key: SecretSource,
    /// Whether rooms want a `PrivateMapKey` (advanced permission control).
    pub private_map_key: bool,
    /// The key that signs the application's callbacks.
    pub callback_key: Option<SecretSource>,
}

impl Settings {
    /// What a schedule needs of them.
    pub fn for_schedule(&self) -> schedule::Settings {
        schedule::Settings {
            apps: Some(self.apps.iter().map(|(name, app)| (Arc::clone(name), app.sdk_app_id)).collect()),
            region: Some(Arc::clone(&self.account.region)),
            secrets: Some(self.secrets.keys().cloned().collect()),
            site: Site::of_host(self.account.endpoint.host()),
        }
    }

    /// The folder of the ledger: `state`, else the first of `$STATE_DIRECTORY`, else `/var/lib/ingestd` if it is there.
    ///
    /// Errors: neither is there.
    pub fn state_folder(&self) -> Result<PathBuf, String> {
        if let Some(folder) = &self.state {
            return Ok(folder.clone());
        }
        let folders = std::env::var_os("STATE_DIRECTORY").unwrap_or_default();
        match std::env::split_paths(&folders).next() {
            Some(folder) if !folder.as_os_str().is_empty() => Ok(folder),
            // An operator's shell has no such variable; the unit's folder is where it always is. It is a link to a place that only root may
            // look into (`DynamicUser=`), and others ask the daemon for what is there.
            _ if Path::new(STATE_USUAL).symlink_metadata().is_ok() => Ok(PathBuf::from(STATE_USUAL)),
            _ => Err("no folder for the ledger: write `state: PATH` in the settings, or set `$STATE_DIRECTORY`".to_owned()),
        }
    }

    /// Where the daemon makes its control socket: `control`, else `control.sock` in the first of `$RUNTIME_DIRECTORY`, else in the
    /// state folder.
    ///
    /// Errors: there is no state folder either.
    pub fn control_socket(&self) -> Result<PathBuf, String> {
        if let Some(path) = &self.control {
            return Ok(path.clone());
        }
        let folders = std::env::var_os("RUNTIME_DIRECTORY").unwrap_or_default();
        match std::env::split_paths(&folders).next() {
            Some(folder) if !folder.as_os_str().is_empty() => Ok(folder.join(CONTROL_NAME)),
            _ => self.state_folder().map(|folder| folder.join(CONTROL_NAME)),
        }
    }

    /// Where a verb looks for that socket: the first of these at which something listens. An operator's shell has no
    /// `$RUNTIME_DIRECTORY`, so the unit's usual place comes last; but never for settings with a `state` or a `control` of their own,
    /// because another daemon may be there.
    ///
    /// Errors: as for the daemon.
    pub fn control_candidates(&self) -> Result<Vec<PathBuf>, String> {
        let usual = (self.control.is_none() && self.state.is_none()).then(|| PathBuf::from(CONTROL_USUAL));
        match (self.control_socket(), usual) {
            (Ok(path), usual) => Ok([path].into_iter().chain(usual).collect()),
            (Err(_), Some(usual)) => Ok(vec![usual]),
            (Err(why), None) => Err(why),
        }
    }
}

/// What reading came to.
#[derive(Debug)]
pub struct Reading {
    /// The settings; `None` when there was an error.
    pub settings: Option<Settings>,
    /// Errors and warnings, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The folder of the schedule files, as far as it can be told, whatever else is wrong.
    pub schedules: Option<PathBuf>,
    /// The text with everything blotted out that may be a secret. Byte for byte as long, so places hold in both.
    pub drawable: String,
}

/// Reads the settings. Relative paths in them start from `folder`, where the file is.
pub fn read(source: &Source, folder: &Path) -> Reading {
    let index = LineIndex::new(&source.text);
    let document = yaml::parse(&source.name, &source.text, &index);
    let mut reader = SettingsReader::new(&source.name, &index, folder);
    for problem in document.problems {
        reader.push_redacted(problem);
    }
    let settings = match &document.root {
        Some(root) if !root.is_null() => settings(&mut reader, root),
        _ => None,
    };
    let nothing = document.root.as_ref().is_none_or(Node::is_null);
    if nothing && reader.diagnostics.is_empty() {
        reader.diagnostics.push(
            Diagnostic::error("missing-key", "the settings are empty: `account` and `apps` are needed")
                .at(Place::file(Arc::clone(&source.name))),
        );
    }
    let schedules = match document.root.as_ref().and_then(Node::entries) {
        Some(entries) => match entries.iter().find(|entry| entry.key == "schedules") {
            Some(entry) => entry.value.text().filter(|_| !entry.value.is_null()).map(|path| folder.join(path)),
            None => Some(folder.join(SCHEDULES_DEFAULT)),
        },
        None => None,
    };
    let drawable = reader.drawable(&source.text);
    let mut diagnostics = reader.diagnostics;
    diagnostics.sort_by(|one, other| one.place.cmp(&other.place));
    let settings = settings.filter(|_| !diagnostic::any_error(&diagnostics));
    Reading { settings, diagnostics, schedules, drawable }
}

fn settings(reader: &mut SettingsReader<'_>, root: &Node<'_>) -> Option<Settings> {
    let fields = reader.fields(root, "the settings", &keys::SETTINGS)?;
    let callbacks = match fields.get("callbacks") {
        Some(node) if node.text() != Some("none") => callbacks(reader, node).map(Some),
        _ => Some(None),
    };
    let account = fields.get("account").and_then(|node| account(reader, node));
    let wants_keys = matches!(callbacks, Some(Some(_)));
    let apps = fields.get("apps").and_then(|node| named::apps(reader, node, wants_keys));
    let secrets = match fields.get("secrets") {
        Some(node) => named::secrets(reader, node),
        None => Some(BTreeMap::new()),
    };
    let schedules = match fields.get("schedules") {
        Some(node) => reader.path(node, "schedules"),
        None => Some(reader.folder.join(SCHEDULES_DEFAULT)),
    };
    let ledger = match fields.get("ledger") {
        Some(node) if node.text() != Some("none") => shared_ledger::ledger(reader, node).map(Some),
        _ => Some(None),
    };
    let state = match fields.get("state") {
        Some(node) => reader.path(node, "state").map(Some),
        None => Some(None),
    };
    let listen = listen::listen(reader, &fields);
    let control = match fields.get("control") {
        Some(node) => reader.path(node, "control").map(Some),
        None => Some(None),
    };
    let rate = rate(reader, &fields);
    let require_sync = match fields.get("require_sync") {
        Some(node) => reader.boolean(node, "require_sync"),
        None => Some(false),
    };
    let watch = match fields.get("watch") {
        Some(node) => reader.boolean(node, "watch"),
        None => Some(true),
    };
    let media_hosts = match fields.get("media_hosts") {
        Some(node) => named::media_hosts(reader, node),
        None => Some(MediaHosts::default()),
    };
    let alerts = match fields.get("alerts") {
        Some(node) => alerts::alerts(reader, node),
        None => Some(Vec::new()),
    };
    let page = match fields.get("page") {
        Some(node) => page::page(reader, node),
        None => Some(PageSettings::default()),
    };
    let chores = match fields.get("chores") {
        Some(node) => chores::chores(reader, node),
        None => Some(Chores::default()),
    };
    Some(Settings {
        account: account?,
        apps: apps?,
        secrets: secrets?,
        folder: reader.folder.to_owned(),
        schedules: schedules?,
        ledger: ledger?,
        state: state?,
        listen: listen?,
        callbacks: callbacks?,
        control: control?,
        rate: rate?,
        require_sync: require_sync?,
        watch: watch?,
        media_hosts: media_hosts?,
        alerts: alerts?,
        page: page?,
        chores: chores?,
    })
}

fn account(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<Account> {
    let fields = reader.fields(node, "`account`", &keys::ACCOUNT)?;
    let secret_id = reader.secret(&fields, "secret_id").unwrap_or_else(|| usual("TENCENTCLOUD_SECRET_ID"));
    let secret_key = reader.secret(&fields, "secret_key").unwrap_or_else(|| usual("TENCENTCLOUD_SECRET_KEY"));
    let token = match reader.secret(&fields, "token") {
        Some(source) => Token::Wanted(source),
        None => Token::IfPresent(usual("TENCENTCLOUD_TOKEN")),
    };
    let endpoint = match fields.get("endpoint") {
        Some(node) => endpoint(reader, node),
        None => Some(Endpoint::parse(ENDPOINT_DEFAULT).expect("our own constant is an endpoint")),
    };
    let site = endpoint.as_ref().and_then(|endpoint| Site::of_host(endpoint.host()));
    let region = fields.get("region").and_then(|node| region(reader, site, node));
    Some(Account { secret_id, secret_key, token, region: region?, endpoint: endpoint? })
}

/// The variables that every SDK of Tencent Cloud reads.
fn usual(name: &str) -> SecretSource {
    SecretSource::Env(name.to_owned())
}

fn rate(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>) -> Option<NonZeroU32> {
    let Some(node) = fields.get("rate") else { return Some(RATE_DEFAULT) };
    let rate = reader.integer(node, "rate", 1..=u64::from(RATE_MAX)).and_then(NonZeroU32::new)?;
    if rate > RATE_DEFAULT {
        reader
            .warning(
                node.span,
                "high-rate",
                format!("`rate` {rate} is above the {RATE_DEFAULT} requests a second of an ordinary account"),
            )
            .hint("right only if Tencent raised the limits of all three actions for this account");
    }
    Some(rate)
}

fn region(reader: &mut SettingsReader<'_>, site: Option<Site>, node: &Node<'_>) -> Option<Arc<str>> {
    let region = reader.take(node, "region", places::region(node))?;
    if let Some(Problem { code, message, hint, span, .. }) = places::unlisted_region(region, site, node.span) {
        reader.warning(span, code, message).hint(hint.unwrap_or_default());
    }
    Some(Arc::from(region))
}

/// A URL may hold a password or a key: only one that is a scheme, a host and a port is repeated.
fn endpoint(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<Endpoint> {
    let text = reader.text(node, "endpoint", "a URL")?;
    let why = match Endpoint::parse(text) {
        Ok(endpoint) => {
            // A loopback endpoint is a rehearsal.
            if !endpoint.is_loopback() && Site::of_host(endpoint.host()).is_none() {
                reader.warning(node.span, "other-endpoint", "`endpoint` is not one of TRTC's, and gets signed requests").hint(
                    format!("TRTC's are `{ENDPOINT_DEFAULT}`, `https://trtc.intl.tencentcloudapi.com` and these with a region"),
                );
            }
            return Some(endpoint);
        }
        Err(why) => why,
    };
    let host = text.split_once("://").map_or(text, |(_, host)| host);
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:[]-".contains(&byte))
        && !settings_reader::looks_like_a_secret(host);
    let message =
        if plain { format!("`endpoint`: {why}") } else { "`endpoint` is a scheme, a host and a port, and nothing else".to_owned() };
    if !plain {
        reader.blot(node);
    }
    reader
        .error(node.span, "bad-endpoint", message)
        .hint(format!("`{ENDPOINT_DEFAULT}`; for the sandbox an address of this host, such as `http://127.0.0.1:8621`"));
    None
}

/// Any address is right: the vendor must reach it, and without a good signature nobody gets anything done there.
fn callbacks(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<SocketAddr> {
    let text = reader.text(node, "callbacks", "`none` or an address and a port")?;
    let address = text.parse::<SocketAddr>().ok();
    if address.is_none() {
        reader
            .error(node.span, "bad-value", "`callbacks` is `none`, or an address of this host and a port")
            .hint("for example `0.0.0.0:8622`, or `127.0.0.1:8622` behind a proxy that the vendor can reach");
    }
    address
}

#[cfg(test)]
mod tests;
