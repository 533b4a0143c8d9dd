//! `alerts:` of the settings: who is told, how, and of what. Does not read a secret, and does not know how a message is sent.
//!
//! The URL of a robot is a secret: whoever knows it can write into the chat. It may be kept elsewhere; one that is written here is taken,
//! and never shown.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::keys;
use super::settings_reader::{Fields, SettingsReader};
use crate::diagnostic::Span;
use crate::schedule::JobId;
use crate::schedule::values;
use crate::secret::SecretSource;
use crate::yaml::{Kind, Node};
use ingestd_core::alerts::{AlertEvent, Format};

/// How often a heartbeat beats when nothing is said.
const BEAT_DEFAULT: Duration = Duration::from_mins(1);

/// The shortest and the longest time between two beats, in seconds.
pub(super) const BEAT_SECONDS: (u64, u64) = (10, 3_600);

/// One of `alerts`.
#[derive(Clone, Debug)]
pub struct AlertReceiver {
    /// Its name in the ledger, in the log and in what is shown.
    pub name: String,
    /// How it is reached.
    pub to: AlertTo,
    /// What it is told; a heartbeat is told nothing.
    pub on: Vec<AlertEvent>,
}

/// How a receiver is reached.
#[derive(Clone, Debug)]
pub enum AlertTo {
    /// By HTTP.
    Webhook {
        /// Where.
        url: UrlSource,
        /// In which form.
        format: Format,
        /// What signs.
        key: Option<SecretSource>,
    },
    /// By a program, which gets the message as JSON on its stdin.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// A URL that is asked for as long as the daemon's loop turns: somebody else tells when that ends.
    Heartbeat {
        /// Where.
        url: UrlSource,
        /// How often.
        every: Duration,
    },
}

/// Where a URL is. It cannot be printed.
#[derive(Clone, Debug)]
pub enum UrlSource {
    /// It was written into the settings.
    Plain(SecretString),
    /// It is kept elsewhere.
    Kept(SecretSource),
}

impl AlertReceiver {
    /// Where its secrets are kept, each with the field that names it.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &SecretSource)> {
        let (url, key) = match &self.to {
            AlertTo::Webhook { url, key, .. } => (Some(("webhook", url)), key.as_ref()),
            AlertTo::Heartbeat { url, .. } => (Some(("heartbeat", url)), None),
            AlertTo::Exec { .. } => (None, None),
        };
        let kept = url.and_then(|(field, url)| if let UrlSource::Kept(source) = url { Some((field, source)) } else { None });
        kept.into_iter().chain(key.map(|key| ("key", key)))
    }
}

impl UrlSource {
    /// Reads it, again each time. The message of a failure does not show it.
    ///
    /// Errors: it cannot be read, or what is kept there is not the URL of a receiver.
    pub fn read(&self) -> Result<Url, String> {
        use secrecy::ExposeSecret as _;
        match self {
            UrlSource::Plain(text) => receiver_url(text.expose_secret()).map_err(str::to_owned),
            UrlSource::Kept(source) => {
                let text = source.read()?;
                receiver_url(text.expose_secret()).map_err(|why| format!("{source}: {why}"))
            }
        }
    }
}

/// Reads the list.
pub(super) fn alerts(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<Vec<AlertReceiver>> {
    let Kind::List(items) = &node.kind else {
        let found = node.describe();
        reader
            .error(node.span, "wrong-type", format!("`alerts`: expected a list, found {found}"))
            .hint("write each receiver as an item: `- webhook: {credential: NAME}`");
        return None;
    };
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    let mut receivers = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Some((receiver, place)) = receiver(reader, item, at + 1) else { continue };
        if let Some(first) = names.insert(receiver.name.clone(), place) {
            let first = reader.place(first);
            let message = format!("two receivers have the name `{}`", receiver.name);
            reader.error(place, "same-name", message).related(first, "the first one").hint("give one of them another `name`");
        }
        receivers.push(receiver);
    }
    Some(receivers)
}

/// Returns the receiver, and where its name is to be pointed at.
fn receiver(reader: &mut SettingsReader<'_>, node: &Node<'_>, number: usize) -> Option<(AlertReceiver, Span)> {
    let fields = reader.fields(node, "an alert", &keys::ALERT)?;
    let (to, on) = match (fields.get("webhook"), fields.get("exec"), fields.get("heartbeat")) {
        (Some(url), None, None) => (webhook(reader, &fields, url), events(reader, &fields)),
        (None, Some(command), None) => (exec(reader, &fields, command), events(reader, &fields)),
        (None, None, Some(url)) => (heartbeat(reader, &fields, url), Some(Vec::new())),
        _ => {
            reader
                .error(node.span, "alert-kind", "an alert has exactly one of `webhook`, `exec` and `heartbeat`")
                .hint("write each receiver as an item of its own");
            return None;
        }
    };
    let (name, place) = match fields.get("name") {
        Some(node) => (name(reader, node), node.span),
        None => (to.as_ref().map(|to| format!("{}-{number}", kind_of(to))), node.span),
    };
    Some((AlertReceiver { name: name?, to: to?, on: on? }, place))
}

fn kind_of(to: &AlertTo) -> &'static str {
    match to {
        AlertTo::Webhook { format: Format::Json, .. } => "webhook",
        AlertTo::Webhook { format, .. } => format.name(),
        AlertTo::Exec { .. } => "exec",
        AlertTo::Heartbeat { .. } => "heartbeat",
    }
}

fn webhook(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>, node: &Node<'_>) -> Option<AlertTo> {
    refuse(reader, fields, "every", "a `heartbeat`");
    let format = match fields.get("format") {
        Some(node) => reader.take(node, "format", values::choice(node, Format::WORDS)),
        None => Some(Format::default()),
    };
    let key = match fields.get("key") {
        Some(_) => reader.secret(fields, "key").map(Some),
        None => Some(None),
    };
    if let (Some(format), Some(Some(_)), Some(node)) = (format, &key, fields.get("key"))
        && !format.signs()
    {
        let message = format!("`key` signs nothing for `format: {}`: its URL is its secret", format.name());
        reader.error(node.span, "key-unused", message).hint("remove it");
    }
    let url = url(reader, node, "webhook", format)?;
    Some(AlertTo::Webhook { url, format: format?, key: key? })
}

fn exec(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>, node: &Node<'_>) -> Option<AlertTo> {
    for key in ["format", "key", "every"] {
        refuse(reader, fields, key, if key == "every" { "a `heartbeat`" } else { "a `webhook`" });
    }
    // An argument may be a secret, and everybody on this host can read it: it is not shown here at least.
    let words = match &node.kind {
        Kind::List(items) => items.iter().map(|item| item.text().filter(|text| !text.is_empty()).map(str::to_owned)).collect(),
        _ => None,
    };
    let command: Option<Vec<String>> = words;
    let command = command.filter(|words| words.first().is_some_and(|program| program.starts_with('/')));
    if command.is_none() {
        reader
            .error(node.span, "bad-value", "`exec`: expected a list of a program's absolute path and its arguments")
            .hint("for example `exec: [/usr/local/bin/tell, --urgent]`; there is no shell, and the message comes on stdin");
    }
    Some(AlertTo::Exec { command: command? })
}

fn heartbeat(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>, node: &Node<'_>) -> Option<AlertTo> {
    for key in ["format", "key", "on"] {
        refuse(reader, fields, key, "a `webhook`");
    }
    let (least, most) = BEAT_SECONDS;
    let every = match fields.get("every") {
        Some(node) => reader.take(node, "every", values::whole_seconds(node, least..=most)),
        None => Some(BEAT_DEFAULT),
    };
    Some(AlertTo::Heartbeat { url: url(reader, node, "heartbeat", None)?, every: every? })
}

fn refuse(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>, key: &str, of: &str) {
    if let Some(node) = fields.get(key) {
        reader.error(node.span, "key-unused", format!("`{key}` belongs to {of}, and says nothing here")).hint("remove it");
    }
}

fn name(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<String> {
    let text = reader.text(node, "name", "a name")?;
    let is_good = JobId::parse(text).is_some();
    if !is_good {
        reader.blot(node);
        reader
            .error(node.span, "bad-name", "this cannot be the name of a receiver")
            .hint("use 1 to 32 of `a` to `z`, `0` to `9`, `_` and `-`, a letter or digit first");
    }
    is_good.then(|| text.to_owned())
}

fn events(reader: &mut SettingsReader<'_>, fields: &Fields<'_, '_>) -> Option<Vec<AlertEvent>> {
    let Some(node) = fields.get("on") else { return Some(AlertEvent::WORDS.iter().map(|(_, event)| *event).collect()) };
    let Kind::List(items) = &node.kind else {
        let found = node.describe();
        reader
            .error(node.span, "wrong-type", format!("`on`: expected a list of events, found {found}"))
            .hint("for example `on: [failed, missed, recovered]`; without `on` all are told");
        return None;
    };
    if items.is_empty() {
        reader.error(node.span, "no-value", "`on` names no event, so that nothing is ever told").hint("remove `on` for all events");
    }
    let read: Vec<Option<AlertEvent>> =
        items.iter().map(|item| reader.take(item, "on", values::choice(item, AlertEvent::WORDS))).collect();
    read.into_iter().collect()
}

/// A URL that is written here, or where it is kept.
fn url(reader: &mut SettingsReader<'_>, node: &Node<'_>, key: &str, format: Option<Format>) -> Option<UrlSource> {
    if node.entries().is_some() {
        return reader.secret_source(node, key).map(UrlSource::Kept);
    }
    // Not by way of `text`: what is read by that may be drawn.
    let Some(text) = node.text().filter(|text| !text.is_empty() && !node.is_null()) else {
        let found = node.describe();
        reader
            .error(node.span, "wrong-type", format!("`{key}`: expected a URL, found {found}"))
            .hint("write the URL, or where it is kept: `{credential: NAME}`, `{file: PATH}` or `{env: NAME}`");
        return None;
    };
    match receiver_url(text) {
        Ok(url) => {
            warn(reader, node, key, &url, format);
            Some(UrlSource::Plain(SecretString::from(text.to_owned())))
        }
        Err(why) => {
            reader.error(node.span, "bad-url", format!("`{key}`: {why}")).hint("for example `https://alerts.example.com/ingestd`");
            None
        }
    }
}

fn warn(reader: &mut SettingsReader<'_>, node: &Node<'_>, key: &str, url: &Url, format: Option<Format>) {
    let Some(known) = url.host_str().and_then(Format::of_host) else { return };
    reader
        .warning(
            node.span,
            "plain-text-url",
            format!("`{key}` is the URL of a robot: whoever reads it here can write into the chat"),
        )
        .hint("keep it elsewhere, and write where: `{credential: NAME}`, `{file: PATH}` or `{env: NAME}`");
    if format.is_some_and(|format| format != known) {
        reader
            .warning(node.span, "other-format", format!("this is a robot's host that takes `format: {}` only", known.name()))
            .hint(format!("write `format: {}` beside it", known.name()));
    }
}

/// The message of a failure shows nothing of the text.
fn receiver_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is not a URL")?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) if !host.is_empty() => Ok(url),
        _ => Err("it is not an `http` or `https` URL"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::{Reading, read};
    use super::*;
    use crate::diagnostic;
    use crate::schedule::Source;

    fn reading(alerts: &str) -> Reading {
        let good = "account: {region: ap-singapore}\napps: {main: {sdk_app_id: 1, secret_key: {env: KEY}}}\n";
        let source = Source { name: Arc::from("s.yaml"), text: format!("{good}alerts:\n{alerts}") };
        read(&source, Path::new("/etc/ingestd"))
    }

    fn lines(reading: &Reading) -> Vec<String> {
        reading.diagnostics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_kind_of_receiver_is_read_with_its_defaults() {
        let reading = reading(concat!(
            "- {webhook: 'https://a.example/x', key: {file: k}}\n- {webhook: {credential: feishu}, format: feishu, on: [failed, clock]}\n",
            "- {exec: [/bin/tell, now], name: pager}\n- {heartbeat: 'http://hc.example/ping'}\n- {heartbeat: {env: HC}, every: 10s}\n",
        ));
        assert_eq!(lines(&reading), Vec::<String>::new());
        let alerts = reading.settings.expect("accepted").alerts;
        let names: Vec<&str> = alerts.iter().map(|receiver| receiver.name.as_str()).collect();
        assert_eq!(names, ["webhook-1", "feishu-2", "pager", "heartbeat-4", "heartbeat-5"]);
        let AlertTo::Webhook { url, format: Format::Json, key: Some(key) } = &alerts[0].to else { panic!("{:?}", alerts[0]) };
        assert_eq!(url.read().expect("a URL").as_str(), "https://a.example/x");
        assert_eq!(*key, SecretSource::File("/etc/ingestd/k".into()));
        assert_eq!(alerts[0].on.len(), AlertEvent::WORDS.len(), "without `on` all are told");
        assert_eq!(alerts[1].on, [AlertEvent::Failed, AlertEvent::Clock]);
        assert!(matches!(&alerts[1].to, AlertTo::Webhook { url: UrlSource::Kept(_), format: Format::Feishu, key: None }));
        assert!(matches!(&alerts[2].to, AlertTo::Exec { command } if command == &["/bin/tell", "now"]));
        assert!(matches!(&alerts[3].to, AlertTo::Heartbeat { every, .. } if *every == BEAT_DEFAULT));
        assert!(matches!(&alerts[4].to, AlertTo::Heartbeat { every, .. } if every.as_secs() == 10));
        assert!(!format!("{alerts:?}").contains("a.example"), "a URL is never printed");
    }

    #[test]
    fn each_mistake_has_its_place_and_its_words() {
        for (text, expected) in [
            ("  {webhook: 'https://a.example'}\n", "s.yaml:4:3: `alerts`: expected a list, found a mapping"),
            ("- x\n", "s.yaml:4:3: an alert: expected a mapping, found a value"),
            ("- {format: json}\n", "s.yaml:4:3: an alert has exactly one of `webhook`, `exec` and `heartbeat`"),
            ("- {webhook: 'https://a.example', exec: [/x]}\n", "s.yaml:4:3: an alert has exactly one of"),
            ("- {webhook: }\n", "s.yaml:4:11: `webhook`: expected a URL, found nothing"),
            ("- {webhook: 'a.example/hush'}\n", "s.yaml:4:13: `webhook`: it is not a URL"),
            ("- {webhook: 'ftp://a.example/hush'}\n", "s.yaml:4:13: `webhook`: it is not an `http` or `https` URL"),
            ("- {webhook: {credential: ../hush}}\n", "s.yaml:4:13: `webhook` does not say where the secret is kept"),
            (
                "- {webhook: 'https://a.example', format: xml}\n",
                "s.yaml:4:42: `format`: expected `json`, `slack`, `feishu`, `dingtalk` or `wecom`, found `xml`",
            ),
            ("- {webhook: 'https://a.example', key: hush}\n", "s.yaml:4:39: `key` is written into this file as plain text"),
            (
                "- {webhook: 'https://a.example', format: slack, key: {env: K}}\n",
                "s.yaml:4:54: `key` signs nothing for `format: slack`",
            ),
            (
                "- {webhook: 'https://a.example', every: 1m}\n",
                "s.yaml:4:41: `every` belongs to a `heartbeat`, and says nothing here",
            ),
            ("- {webhook: 'https://a.example', on: failed}\n", "s.yaml:4:38: `on`: expected a list of events, found a value"),
            ("- {webhook: 'https://a.example', on: []}\n", "s.yaml:4:38: `on` names no event"),
            ("- {webhook: 'https://a.example', on: [fialed]}\n", "s.yaml:4:39: `on`: expected `failed`,"),
            ("- {webhook: 'https://a.example', name: 'My Robot'}\n", "s.yaml:4:40: this cannot be the name of a receiver"),
            ("- {exec: /bin/x}\n", "s.yaml:4:10: `exec`: expected a list of a program's absolute path and its arguments"),
            ("- {exec: [tell]}\n", "s.yaml:4:10: `exec`: expected a list of a program's absolute path"),
            ("- {exec: []}\n", "s.yaml:4:10: `exec`: expected a list of a program's absolute path"),
            ("- {exec: [/x], format: json}\n", "s.yaml:4:24: `format` belongs to a `webhook`"),
            (
                "- {heartbeat: 'https://a.example', every: 9s}\n",
                "s.yaml:4:43: `every`: expected a duration from 10s to 1h, found `9s`",
            ),
            ("- {heartbeat: 'https://a.example', on: [failed]}\n", "s.yaml:4:40: `on` belongs to a `webhook`"),
            (
                "- {name: a, webhook: 'https://a.example'}\n- {name: a, webhook: 'https://b.example'}\n",
                "s.yaml:5:10: two receivers have the name `a`",
            ),
        ] {
            let reading = reading(text);
            assert!(lines(&reading).iter().any(|line| line.starts_with(expected)), "{text:?}: {:#?}", lines(&reading));
            assert!(reading.settings.is_none() && !lines(&reading).concat().contains("hush"), "{text}");
        }
    }

    #[test]
    fn the_url_of_a_robot_is_taken_with_a_warning_and_never_drawn() {
        for (text, warnings) in [
            ("- {webhook: 'https://hooks.slack.com/services/T0/B0/HUSH', format: slack}\n", 1),
            ("- {webhook: 'https://open.feishu.cn/open-apis/bot/v2/hook/HUSH'}\n", 2),
            ("- {webhook: 'https://open.larksuite.com/open-apis/bot/v2/hook/HUSH', format: feishu}\n", 1),
            ("- {webhook: 'https://oapi.dingtalk.com/robot/send?access_token=HUSH', format: dingtalk}\n", 1),
            ("- {webhook: 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=HUSH', format: wecom}\n", 1),
            ("- {webhook: 'https://a.example/HUSH'}\n- {exec: [/bin/x, HUSH]}\n", 0),
        ] {
            let reading = reading(text);
            assert_eq!((reading.diagnostics.len(), diagnostic::any_error(&reading.diagnostics)), (warnings, false), "{text}");
            assert!(reading.settings.is_some());
            assert!(!reading.drawable.contains("HUSH") && !lines(&reading).concat().contains("HUSH"), "{}", reading.drawable);
        }
    }
}
