//! The tables of the settings' keys: name, one sentence, default, example, whether it must be written, and what JSON Schema says of
//! its value. The reader, the schema and the manual go by them. How a value is read is not known here.

use serde_json::{Value, json};

use super::chores::{BACKUP, CHORES, INTEGRITY, PRUNE};
use super::listen::PLACES_MAX;
use super::{ENDPOINT_DEFAULT, RATE_MAX, shared_ledger};
use crate::schedule::value_kind::{mapping, one_of, text_like, whole};
use crate::schedule::{places, schema, values};
use ingestd_core::alerts::{AlertEvent, Format};

/// An address of this host or of another.
const ANY_HOST: &str = "[0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9A-Fa-f:.]+(%[0-9]+)?\\]";

/// An address that only this host reaches.
const LOOPBACK: &str = "127(\\.[0-9]{1,3}){3}|\\[[0:]*:0{0,3}1\\]";

/// A name of a host, and no address.
const HOST_NAME: &str =
    "^(?=.{1,253}$)(?![0-9.]*$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$";

/// One key of a mapping.
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it must be written.
    pub(super) needed: bool,
    /// What it says, in one sentence.
    doc: &'static str,
    /// What holds when it is not written; empty when there is nothing to say.
    default: &'static str,
    /// A value, as it is written; empty for a mapping of other keys.
    example: &'static str,
    schema: fn() -> Value,
}

impl Key {
    /// The sentence and the default, for whoever hovers over the key in an editor.
    fn description(&self) -> String {
        if self.default.is_empty() { self.doc.to_owned() } else { format!("{} Default: {}.", self.doc, self.default) }
    }
}

pub(super) const fn key(
    name: &'static str,
    doc: &'static str,
    default: &'static str,
    example: &'static str,
    schema: fn() -> Value,
) -> Key {
    Key { name, needed: false, doc, default, example, schema }
}

pub(super) const fn needed(name: &'static str, doc: &'static str, example: &'static str, schema: fn() -> Value) -> Key {
    Key { name, needed: true, doc, default: "", example, schema }
}

/// The whole file.
pub(super) static SETTINGS: [Key; 19] = [
    needed("account", "The account at Tencent Cloud that asks for the streams.", "", || keys(&ACCOUNT)),
    needed("apps", "The TRTC applications, by the names that jobs use; with only one, jobs need not name it.", "", apps),
    key("secrets", "Secrets to which {secret:NAME} in a stream refers, by name.", "none", "", secrets),
    key("schedules", "The folder of the schedule files, relative to this file.", "schedules", "schedules", path),
    key("ledger", "A ledger that several hosts share, of which one owns the air; or none.", "none", "", shared_ledger::schema),
    key(
        "state",
        "The folder of the ledger and of the accepted sources.",
        "the StateDirectory= of the unit, else /var/lib/ingestd",
        "/var/lib/ingestd",
        path,
    ),
    key(
        "control",
        "The socket for orders.",
        "control.sock in the RuntimeDirectory= of the unit, else in state",
        "/run/ingestd/control.sock",
        path,
    ),
    key(
        "listen",
        "Where health, metrics and JSON are served: an address and a port, a list of up to 8 of them, or none.",
        "127.0.0.1:8620",
        "[127.0.0.1:8620, 192.0.2.10:8620]",
        || addresses(ANY_HOST),
    ),
    key(
        "listen_public",
        "Whether listen may have addresses that other hosts reach; they answer only /healthz and /readyz without listen_token.",
        "false",
        "true",
        boolean,
    ),
    key(
        "listen_token",
        "Where the token is kept that is asked for at addresses that other hosts reach, as a bearer token or as a password.",
        "",
        "{credential: listen-token}",
        secret,
    ),
    key(
        "listen_hosts",
        "Names of this host that requests to listen may give it, beside localhost and its addresses.",
        "[]",
        "[ingestd.example.com]",
        || json!({"type": "array", "maxItems": PLACES_MAX, "items": {"type": "string", "pattern": HOST_NAME}}),
    ),
    key("callbacks", "Where TRTC's callbacks arrive: an address of this host and a port, or none.", "none", "0.0.0.0:8622", || {
        address(ANY_HOST, "0.0.0.0:8622")
    }),
    key("rate", "Requests a second for each action, 1 to 1000; an ordinary account may send 20.", "20", "20", || {
        whole(1, u64::from(RATE_MAX))
    }),
    key("require_sync", "Whether starts wait, up to 5 minutes, until the clock is synchronised.", "false", "true", boolean),
    key("watch", "Whether edits of the schedule files come into force without an order.", "true", "true", boolean),
    key(
        "media_hosts",
        "Names, addresses and networks that are not public, from which probes may fetch media all the same.",
        "[]",
        "[media.lan, 10.0.0.0/8]",
        media_hosts,
    ),
    key(
        "alerts",
        "Who is told of trouble: a list of receivers.",
        "[]",
        "[{webhook: {credential: slack-webhook}, format: slack}]",
        || json!({"type": "array", "items": alert()}),
    ),
    key("chores", "What is done for the ledger now and then, and when.", "nothing", "", || keys(&CHORES)),
    key("page", "When the day of the rundown page begins, and in which zone it shows times.", "", "", || keys(&PAGE)),
];

/// `page`.
pub(super) static PAGE: [Key; 2] = [
    key(
        "day",
        "When its day begins, in quotes.",
        "\"00:00\"",
        "\"05:00\"",
        || json!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
    ),
    key(
        "timezone",
        "The zone of its day and of the times on it.",
        "the zone of most jobs",
        "Asia/Shanghai",
        || json!({"type": "string", "minLength": 1}),
    ),
];

/// `account`.
pub(super) static ACCOUNT: [Key; 5] = [
    key(
        "secret_id",
        "Where the SecretId is kept.",
        "{env: TENCENTCLOUD_SECRET_ID}",
        "{credential: tencentcloud-secret-id}",
        secret,
    ),
    key(
        "secret_key",
        "Where the SecretKey is kept.",
        "{env: TENCENTCLOUD_SECRET_KEY}",
        "{credential: tencentcloud-secret-key}",
        secret,
    ),
    key(
        "token",
        "Where the token of temporary keys is kept.",
        "{env: TENCENTCLOUD_TOKEN}, if it is set",
        "{env: TENCENTCLOUD_TOKEN}",
        secret,
    ),
    needed("region", "X-TC-Region of jobs that name none.", "ap-singapore", places::region_schema),
    key(
        "endpoint",
        "Where requests go; plain http only to a loopback address.",
        ENDPOINT_DEFAULT,
        "https://trtc.intl.tencentcloudapi.com",
        || {
            let host = "https://[^\\s/@?#]+|http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:[0-9]+)?";
            let form = "write an `https` URL of a host and a port, or an `http` URL of a loopback address";
            text_like(&format!("^({host})/?$"), form, &[ENDPOINT_DEFAULT, "http://127.0.0.1:8621"])
        },
    ),
];

/// One of `apps`.
pub(super) static APP: [Key; 4] = [
    needed("sdk_app_id", "The SDKAppID of the application.", "1400000001", || whole(1, u64::from(u32::MAX))),
    needed("secret_key", "Where the SDKSecretKey is kept, which signs UserSig.", "{credential: trtc-app-main}", secret),
    key("private_map_key", "Whether advanced permission control is on for the application.", "false", "true", boolean),
    key(
        "callback_key",
        "Where the key of the application's callbacks is kept; needed when callbacks are on.",
        "",
        "{credential: trtc-callback-main}",
        secret,
    ),
];

/// Where a secret is kept: one of these.
static SECRET: [Key; 3] = [
    key("env", "The name of an environment variable.", "", "TENCENTCLOUD_SECRET_ID", || {
        place("^(?![A-Za-z0-9]{32,}$)[A-Za-z_][A-Za-z0-9_]{0,255}$", "write the name of an environment variable")
    }),
    key("file", "The path of a file that only the daemon can read, relative to this file.", "", "keys/secret-id", || {
        place("^(?![A-Za-z0-9]{32,}$).+$", "write the path of a file")
    }),
    key("credential", "The name under which LoadCredential= of the unit loads it.", "", "tencentcloud-secret-id", || {
        place("^(?![A-Za-z0-9]{32,}$)(?!\\.{1,2}$)[!-.0-9;-~]{1,255}$", "write the name of a credential")
    }),
];

/// One of `alerts`: exactly one of the first three.
pub(super) static ALERT: [Key; 8] = [
    key("webhook", "The URL that messages are posted to, or where it is kept.", "", "{credential: slack-webhook}", url),
    key(
        "exec",
        "A program by its absolute path, with its arguments, which gets the message as JSON on its stdin.",
        "",
        "[/usr/local/bin/tell, --urgent]",
        || json!({"type": "array", "minItems": 1, "items": {"type": ["string", "number"]}}),
    ),
    key(
        "heartbeat",
        "The URL that is asked for as long as the daemon's loop turns, or where it is kept.",
        "",
        "https://hc.example.com/ping",
        url,
    ),
    key("format", "How the webhook wants a message.", "json", "slack", || {
        let words: Vec<&str> = Format::WORDS.iter().map(|(word, _)| *word).collect();
        json!({"enum": words})
    }),
    key(
        "key",
        "Where the secret is kept that signs messages, for json, feishu and dingtalk.",
        "",
        "{credential: feishu-key}",
        secret,
    ),
    key("on", "The events that are told.", "all", "[failed, missed, clock, disk, recovered]", || {
        let words: Vec<&str> = AlertEvent::WORDS.iter().map(|(word, _)| *word).collect();
        json!({"type": "array", "minItems": 1, "items": {"enum": words}})
    }),
    key("every", "The time between two beats of a heartbeat, from 10s to 1h.", "1m", "1m", || {
        values::whole_seconds_schema(super::alerts::BEAT_SECONDS.0)
    }),
    key(
        "name",
        "The receiver's name in the log and in status.",
        "its kind and its place in the list, such as slack-1",
        "night-watch",
        schema::name_schema,
    ),
];

/// What the manual says of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReference {
    /// Its name.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub doc: &'static str,
    /// What holds when it is not written; empty when there is nothing to say.
    pub default: &'static str,
    /// A value, as it is written; empty for a mapping of other keys.
    pub example: &'static str,
    /// Whether it must be written.
    pub needed: bool,
}

/// Returns every key: those of the file, of `account`, of each application, of a secret's place, of a receiver of alerts, of a shared ledger, and of the chores.
pub fn reference() -> [(&'static str, Vec<KeyReference>); 10] {
    let keys = |table: &[Key]| {
        let reference = |key: &Key| KeyReference {
            name: key.name,
            doc: key.doc,
            default: key.default,
            example: key.example,
            needed: key.needed,
        };
        table.iter().map(reference).collect()
    };
    [
        ("", keys(&SETTINGS)),
        ("account", keys(&ACCOUNT)),
        ("apps.NAME", keys(&APP)),
        ("secret", keys(&SECRET)),
        ("alerts", keys(&ALERT)),
        ("ledger", keys(&shared_ledger::LEDGER)),
        ("chores", keys(&CHORES)),
        ("chores.prune", keys(&PRUNE)),
        ("chores.integrity", keys(&INTEGRITY)),
        ("chores.backup", keys(&BACKUP)),
    ]
}

/// The JSON Schema of the settings, draft-07, for editors.
pub fn schema() -> Value {
    let mut schema = keys(&SETTINGS);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "The settings of ingestd".into();
    schema["description"] = "The daemon's settings: the account, its applications, and where things are.".into();
    schema["allOf"] = json!([
        {
            "if": {"required": ["callbacks"], "properties": {"callbacks": {"not": {"const": "none"}}}},
            "then": {"properties": {"apps": {"additionalProperties": {"required": ["callback_key"]}}}},
        },
        {
            "if": {"required": ["listen_public"], "properties": {"listen_public": {"const": true}}},
            "else": {"properties": {"listen": addresses(LOOPBACK)}},
        },
    ]);
    schema
}

pub(super) fn keys(table: &[Key]) -> Value {
    let needed: Vec<&str> = table.iter().filter(|key| key.needed).map(|key| key.name).collect();
    mapping(table.iter().map(|key| (key.name, key.description(), (key.schema)())), &needed)
}

pub(super) fn secret() -> Value {
    let mut schema = keys(&SECRET);
    schema["minProperties"] = 1.into();
    // Not `maxProperties`: with it `yaml-language-server` offers no key at all.
    one_of(&mut schema, &SECRET.each_ref().map(|key| key.name));
    schema
}

/// A URL, or where it is kept.
fn url() -> Value {
    let form = "write an `http` or `https` URL, or where it is kept: `{credential: NAME}`";
    json!({"anyOf": [text_like("^https?://[^/]", form, &[]), secret()]})
}

fn alert() -> Value {
    let mut schema = keys(&ALERT);
    let kinds = ["webhook", "exec", "heartbeat"];
    one_of(&mut schema, &kinds);
    schema["anyOf"] = kinds.map(|kind| json!({"required": [kind]})).into();
    schema
}

fn apps() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": schema::name_schema(),
        "additionalProperties": keys(&APP),
    })
}

fn secrets() -> Value {
    json!({"type": "object", "propertyNames": schema::name_schema(), "additionalProperties": secret()})
}

fn media_hosts() -> Value {
    let form = "write a name, an address, or a network such as `10.0.0.0/8`";
    json!({"type": "array", "items": text_like("^[A-Za-z0-9._:\\[\\]-]+(/[0-9]{1,3})?$", form, &["media.lan", "10.0.0.0/8"])})
}

pub(super) fn path() -> Value {
    json!({"type": ["string", "number"], "minLength": 1})
}

fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// Where a secret is kept, as a text. A pattern also tells the secret itself, in the wrong place, from a name.
fn place(pattern: &str, form: &str) -> Value {
    text_like(pattern, form, &[])
}

/// The same, or a list of these hosts with ports.
fn addresses(hosts: &str) -> Value {
    let one = address(hosts, "127.0.0.1:8620");
    let form = "write an address and a port such as `127.0.0.1:8620`";
    let item = text_like(&format!("^({hosts}):[0-9]{{1,5}}$"), form, &["127.0.0.1:8620"]);
    json!({"anyOf": [one, {"type": "array", "minItems": 1, "maxItems": PLACES_MAX, "uniqueItems": true, "items": item}]})
}

/// `none`, or one of these hosts with a port.
fn address(hosts: &str, example: &str) -> Value {
    let form = format!("write `none`, or an address and a port such as `{example}`");
    text_like(&format!("^(none|({hosts}):[0-9]{{1,5}})$"), &form, &[example, "none"])
}
