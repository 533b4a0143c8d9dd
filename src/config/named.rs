//! What has names in the settings: applications, the secrets of streams, and hosts of media. Does not know the other keys, and what a secret is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::settings_reader::{self, SettingsReader};
use super::{App, keys};
use crate::diagnostic::Span;
use crate::probe::{MediaHost, MediaHosts};
use crate::schedule::JobId;
use crate::secret::SecretSource;
use crate::yaml::{Entry, Kind, Node};

/// `wants_keys`: callbacks are on, so each application needs the key that verifies them.
pub(super) fn apps(reader: &mut SettingsReader<'_>, node: &Node<'_>, wants_keys: bool) -> Option<BTreeMap<Arc<str>, App>> {
    let entries = reader.map(node, "`apps`")?;
    if entries.is_empty() {
        reader.error(node.span, "missing-key", "`apps` names no application");
    }
    let mut apps: BTreeMap<Arc<str>, App> = BTreeMap::new();
    let mut places: BTreeMap<u64, Span> = BTreeMap::new();
    for entry in entries {
        reader.name(entry);
        if JobId::parse(&entry.key).is_none() {
            reader
                .error(entry.key_span, "bad-name", "this cannot be the name of an application")
                .hint("use 1 to 32 of `a` to `z`, `0` to `9`, `_` and `-`, a letter or digit first");
        }
        if let Some(app) = app(reader, entry) {
            if let Some(first) = places.insert(app.sdk_app_id, entry.key_span) {
                let first = reader.place(first);
                reader
                    .error(entry.key_span, "same-app", format!("`sdk_app_id` {} has two names", app.sdk_app_id))
                    .related(first, "the first one")
                    .hint("two names would hide that two jobs play into one room: keep one");
            }
            if wants_keys && app.callback_key.is_none() {
                reader
                    .error(entry.key_span, "missing-key", "`callbacks` are on, and this application has no `callback_key`")
                    .hint("write where the key is kept that the console of TRTC shows beside the address of the callbacks");
            }
            apps.insert(Arc::from(entry.key.as_ref()), app);
        }
    }
    Some(apps)
}

fn app(reader: &mut SettingsReader<'_>, entry: &Entry<'_>) -> Option<App> {
    let what = if settings_reader::looks_like_a_setting(&entry.key) {
        format!("`apps.{}`", entry.key)
    } else {
        "an application".to_owned()
    };
    let fields = reader.fields(&entry.value, &what, &keys::APP)?;
    let sdk_app_id = fields.get("sdk_app_id").and_then(|node| reader.integer(node, "sdk_app_id", 1..=u64::from(u32::MAX)));
    let secret_key = reader.secret(&fields, "secret_key");
    let private_map_key = match fields.get("private_map_key") {
        Some(node) => reader.boolean(node, "private_map_key"),
        None => Some(false),
    };
    let callback_key = match fields.get("callback_key") {
        Some(_) => reader.secret(&fields, "callback_key").map(Some),
        None => Some(None),
    };
    Some(App { sdk_app_id: sdk_app_id?, secret_key: secret_key?, private_map_key: private_map_key?, callback_key: callback_key? })
}

/// The secrets to which streams refer.
pub(super) fn secrets(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<BTreeMap<Arc<str>, SecretSource>> {
    let mut secrets = BTreeMap::new();
    for entry in reader.map(node, "`secrets`")? {
        reader.name(entry);
        if JobId::parse(&entry.key).is_none() {
            reader
                .error(entry.key_span, "bad-name", "this cannot be the name of a secret")
                .hint("use 1 to 32 of `a` to `z`, `0` to `9`, `_` and `-`, a letter or digit first");
        }
        // The name may be a secret in the wrong place: messages do not repeat it.
        if let Some(source) = reader.secret_source(&entry.value, "secrets") {
            secrets.insert(Arc::from(entry.key.as_ref()), source);
        }
    }
    Some(secrets)
}

/// What probes may reach although it is not public.
pub(super) fn media_hosts(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<MediaHosts> {
    const HINT: &str = "write `media_hosts: [media.lan, 10.1.2.3, 10.0.0.0/8]`";
    let Kind::List(items) = &node.kind else {
        let message = format!("`media_hosts`: expected a list, found {}", node.describe());
        reader.error(node.span, "wrong-type", message).hint(HINT);
        return None;
    };
    let mut hosts = Vec::new();
    for item in items {
        let host = reader.text(item, "media_hosts", "a name, an address or a network")?;
        if let Some(host) = MediaHost::parse(host) {
            hosts.push(host);
        } else {
            // It may be a URL with a password.
            reader.blot(item);
            let message = "`media_hosts`: expected names, addresses and networks, without a scheme and a port";
            reader.error(item.span, "bad-value", message).hint(HINT);
        }
    }
    (hosts.len() == items.len()).then(|| MediaHosts::new(hosts))
}
