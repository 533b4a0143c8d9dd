//! The tables of the settings' keys: name, words for editors, whether it must be written, and what JSON Schema says of its value.
//! The reader knows its keys from here, and the schema is made of them. Refuses to know how a value is read.

use serde_json::{Value, json};

use super::{ENDPOINT_DEFAULT, RATE_MAX};
use crate::schedule::value_kind::{mapping, one_of, text_like, whole};
use crate::schedule::{places, schema};

/// One key of a mapping.
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it must be written.
    pub(super) needed: bool,
    /// What it says, in one line, for whoever hovers over it in an editor.
    doc: &'static str,
    schema: fn() -> Value,
}

const fn key(name: &'static str, doc: &'static str, schema: fn() -> Value) -> Key {
    Key { name, needed: false, doc, schema }
}

const fn needed(name: &'static str, doc: &'static str, schema: fn() -> Value) -> Key {
    Key { name, needed: true, doc, schema }
}

/// The whole file.
pub(super) static SETTINGS: [Key; 12] = [
    needed("account", "The account at Tencent Cloud that asks for the streams.", || keys(&ACCOUNT)),
    needed("apps", "The TRTC applications, by the names that jobs use. With only one, jobs need not name it.", apps),
    key("schedules", "The folder of the schedule files, relative to this file. Default: schedules.", path),
    key("state", "The folder of the ledger. Default: the StateDirectory= of the unit, else /var/lib/ingestd.", path),
    key("control", "The socket for orders. Default: in the RuntimeDirectory= of the unit, else in state.", path),
    key("listen", "Where health and JSON are served: a loopback address and a port, or none. Default: 127.0.0.1:8620.", || {
        address("127(\\.[0-9]{1,3}){3}|\\[[0:]*:0{0,3}1\\]", "127.0.0.1:8620")
    }),
    key("callbacks", "Where TRTC's callbacks arrive: an address of this host and a port, or none, the default.", || {
        address("[0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9A-Fa-f:.]+(%[0-9]+)?\\]", "0.0.0.0:8622")
    }),
    key("rate", "Requests a second for each action. Default: 20, which is what an ordinary account may.", || {
        whole(1, u64::from(RATE_MAX))
    }),
    key("require_sync", "Hold starts, up to 5 minutes, until systemd-timesyncd has set the clock. Default: false.", boolean),
    key("watch", "Take up edits of the schedule files without being asked. Default: true.", boolean),
    key("alerts", "Only its default, an empty list, is taken yet.", || json!({"type": "array", "maxItems": 0})),
    key("listen_public", "Only its default, false, is taken yet.", || json!({"const": false})),
];

/// `account`.
pub(super) static ACCOUNT: [Key; 5] = [
    key("secret_id", "Where the SecretId is kept. Default: {env: TENCENTCLOUD_SECRET_ID}.", secret),
    key("secret_key", "Where the SecretKey is kept. Default: {env: TENCENTCLOUD_SECRET_KEY}.", secret),
    key("token", "Where the token of temporary keys is kept. Default: $TENCENTCLOUD_TOKEN, if it is set.", secret),
    needed("region", "X-TC-Region of jobs that name none.", places::region_schema),
    key("endpoint", "Where requests go. Plain http only to a loopback address. Default: https://trtc.tencentcloudapi.com.", || {
        let host = "https://[^\\s/@?#]+|http://(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])(:[0-9]+)?";
        let form = "write an `https` URL of a host and a port, or an `http` URL of a loopback address";
        text_like(&format!("^({host})/?$"), form, &[ENDPOINT_DEFAULT, "http://127.0.0.1:8621"])
    }),
];

/// One of `apps`.
pub(super) static APP: [Key; 4] = [
    needed("sdk_app_id", "The SDKAppID of the application.", || whole(1, u64::from(u32::MAX))),
    needed("secret_key", "Where the SDKSecretKey is kept, which signs UserSig.", secret),
    key("private_map_key", "Whether advanced permission control is on for the application. Default: false.", boolean),
    key("callback_key", "Where the key of the application's callbacks is kept; needed when callbacks are on.", secret),
];

/// Where a secret is kept: one of these.
static SECRET: [Key; 3] = [
    key("env", "The name of an environment variable.", || {
        place("^(?![A-Za-z0-9]{32,}$)[A-Za-z_][A-Za-z0-9_]{0,255}$", "write the name of an environment variable")
    }),
    key("file", "The path of a file that only the daemon can read, relative to this file.", || {
        place("^(?![A-Za-z0-9]{32,}$).+$", "write the path of a file")
    }),
    key("credential", "The name under which LoadCredential= of the unit loads it.", || {
        place("^(?![A-Za-z0-9]{32,}$)(?!\\.{1,2}$)[!-.0-9;-~]{1,255}$", "write the name of a credential")
    }),
];

/// The JSON Schema of the settings, draft-07, for editors.
pub fn schema() -> Value {
    let mut schema = keys(&SETTINGS);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "The settings of ingestd".into();
    schema["description"] = "The daemon's settings: the account, its applications, and where things are.".into();
    schema["if"] = json!({"required": ["callbacks"], "properties": {"callbacks": {"not": {"const": "none"}}}});
    schema["then"] = json!({"properties": {"apps": {"additionalProperties": {"required": ["callback_key"]}}}});
    schema
}

fn keys(table: &[Key]) -> Value {
    let needed: Vec<&str> = table.iter().filter(|key| key.needed).map(|key| key.name).collect();
    mapping(table.iter().map(|key| (key.name, key.doc, (key.schema)())), &needed)
}

fn secret() -> Value {
    let mut schema = keys(&SECRET);
    schema["minProperties"] = 1.into();
    // Not `maxProperties`: with it `yaml-language-server` offers no key at all.
    one_of(&mut schema, &SECRET.each_ref().map(|key| key.name));
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

fn path() -> Value {
    json!({"type": ["string", "number"], "minLength": 1})
}

fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// Where a secret is kept, as a text. A pattern also tells the secret itself, in the wrong place, from a name.
fn place(pattern: &str, form: &str) -> Value {
    text_like(pattern, form, &[])
}

/// `none`, or one of these hosts with a port.
fn address(hosts: &str, example: &str) -> Value {
    let form = format!("write `none`, or an address and a port such as `{example}`");
    text_like(&format!("^(none|({hosts}):[0-9]{{1,5}})$"), &form, &[example, "none"])
}
