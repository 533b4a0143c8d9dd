//! A server that plays back what was sent to it, in many disguises, and a search for what must not be seen of it. The tests of the client
//! and those of the daemon use it. Does not know how secrets are masked.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::OnceLock;

use super::server::{Arrived, Server, response};

/// So many characters of a secret in a row, in any case, are a leak.
const RUN: usize = 8;

/// A stream URL whose user info, key and query are secret.
pub(crate) const STREAM: &str = "rtmp://viewer:hush-user-info@live.example.com/app/hush-stream-key?sign=hush-query-part";
/// The parts.
pub(crate) const STREAM_PARTS: [&str; 3] = ["hush-user-info", "hush-stream-key", "hush-query-part"];

/// What a start carried.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Of whom.
    pub(crate) user_id: String,
    user_sig: String,
    private_map_key: String,
    token: String,
    authorization: String,
    body: String,
}

impl Sent {
    /// Reads what arrived; nothing if it is not a start.
    pub(crate) fn read(arrived: &Arrived) -> Option<Sent> {
        if arrived.headers.get("x-tc-action")? != "StartStreamIngest" {
            return None;
        }
        let body: serde_json::Value = serde_json::from_slice(&arrived.body).expect("it is JSON");
        let text = |name: &str| body[name].as_str().map(str::to_owned).expect("a text");
        Some(Sent {
            user_id: text("UserId"),
            user_sig: text("UserSig"),
            private_map_key: text("PrivateMapKey"),
            token: arrived.headers["x-tc-token"].clone(),
            authorization: arrived.headers["authorization"].clone(),
            body: String::from_utf8(arrived.body.clone()).expect("it is text"),
        })
    }

    /// What nobody may see.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let (_, rest) = self.authorization.split_once("Credential=").expect("it names the key");
        let (secret_id, _) = rest.split_once('/').expect("the scope follows");
        let (_, signature) = rest.split_once("Signature=").expect("it is signed");
        let parts = STREAM_PARTS.map(str::to_owned).into_iter();
        let sent = [&self.user_sig, &self.private_map_key, &self.token].map(Clone::clone).into_iter();
        sent.chain([secret_id.to_owned(), signature.to_owned()]).chain(parts).collect()
    }
}

/// Every byte as `%XX`.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").expect("a text takes it");
        encoded
    })
}

/// Every byte as `\u00XX`.
fn json_escaped(text: &str) -> String {
    percent_encoded(text).replace('%', "\\u00")
}

fn rejected(code: &str, message: &str) -> Vec<u8> {
    envelope(&serde_json::json!({ "Error": { "Code": code, "Message": message }, "RequestId": "r-1" }))
}

fn envelope(inside: &serde_json::Value) -> Vec<u8> {
    response("200 OK", "", serde_json::json!({ "Response": inside }).to_string().as_bytes())
}

/// An answer that is made from what was sent.
type Disguise = fn(&Sent) -> Vec<u8>;

/// Each disguise by its name, which is the name of a robot and a job too.
pub(crate) const DISGUISES: [(&str, Disguise); 18] = [
    ("upper-case", |sent| rejected("FailedOperation", &format!("bad {}", sent.user_sig.to_uppercase()))),
    ("lower-case", |sent| rejected("FailedOperation", &format!("bad {}", sent.private_map_key.to_lowercase()))),
    ("percent-encoded", |sent| rejected("FailedOperation", &format!("bad {}", percent_encoded(&sent.token)))),
    ("encoded-twice", |sent| rejected("FailedOperation", &percent_encoded(&percent_encoded(&sent.token)))),
    ("shortened", |sent| rejected("FailedOperation", &format!("bad {}...", &sent.user_sig[..12]))),
    ("in-code", |sent| rejected(&format!("FailedOperation.{}", sent.user_sig), "no")),
    ("in-request-id", |sent| envelope(&serde_json::json!({ "Error": { "Code": "InternalError" }, "RequestId": sent.token }))),
    ("request-id-of-success", |sent| envelope(&serde_json::json!({ "TaskId": "t", "RequestId": sent.authorization }))),
    ("in-task-id", |sent| envelope(&serde_json::json!({ "TaskId": sent.user_sig, "RequestId": "r-1" }))),
    ("long-task-id", |sent| envelope(&serde_json::json!({ "TaskId": format!("{}{}", "x".repeat(3_000), &sent.token[..8]) }))),
    ("not-an-envelope", |sent| response("200 OK", "", format!("<html>{}</html>", sent.user_sig).as_bytes())),
    ("escaped-not-an-envelope", |sent| {
        response("200 OK", "", format!("{{\"echo\": \"{}\"}}", json_escaped(&sent.token)).as_bytes())
    }),
    ("body-echoed", |sent| rejected("FailedOperation", &sent.body[sent.body.find("StreamUrl").expect("it is there")..])),
    ("authorization", |sent| rejected("FailedOperation", &sent.authorization)),
    ("capital-url", |_| {
        rejected("FailedOperation", &format!("cannot pull {}/", STREAM.to_uppercase().replace("?SIGN=", "/?SIGN=")))
    }),
    ("status-page", |sent| {
        response("502 Bad Gateway", "", format!("<html>{} {}</html>", sent.body, sent.authorization).as_bytes())
    }),
    // With what an earlier start carried: another proxy's answer, or an answer that was kept.
    ("earlier-ticket", |sent| {
        rejected("FailedOperation", &format!("bad {} {}", sent.user_sig, sent.private_map_key.to_uppercase()))
    }),
    ("earlier-task-id", |sent| envelope(&serde_json::json!({ "TaskId": &sent.user_sig[..200], "RequestId": sent.user_sig }))),
];

/// Plays each start back in the disguise that its robot names; every other request finds no task.
pub(crate) fn play_back() -> Server {
    let first: OnceLock<Sent> = OnceLock::new();
    Server::start(move |connection| {
        while let Some(arrived) = connection.read() {
            match Sent::read(&arrived) {
                Some(sent) => {
                    let (name, disguise) = DISGUISES.iter().find(|(name, _)| *name == sent.user_id).expect("a robot of this test");
                    let first = first.get_or_init(|| sent.clone());
                    connection.write(disguise(if name.starts_with("earlier-") { first } else { &sent }));
                }
                None => connection.write(rejected("FailedOperation.TaskNotExist", "no such task")),
            }
        }
    })
}

/// Finds what a text shows of the secrets, in any case, also where it is percent-encoded, once or twice, or escaped as in JSON.
pub(crate) fn leaks(text: &str, secrets: &[String]) -> Vec<String> {
    let secrets: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.to_lowercase().into_bytes()).collect();
    let runs: HashSet<&[u8]> = secrets.iter().flat_map(|secret| secret.windows(RUN.min(secret.len()))).collect();
    let once = decoded(&text.to_lowercase().replace("\\\\u00", "%").replace("\\u00", "%"));
    let forms = [text.to_lowercase(), decoded(&once), once];
    let found = forms.iter().flat_map(|form| form.as_bytes().windows(RUN).filter(|window| runs.contains(window)));
    found.map(|window| String::from_utf8_lossy(window).into_owned()).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}
