//! Five receivers in one server: each checks what its vendor's guide asks for, and answers as it does, errors in bodies with status 200
//! included. Does not know alerts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ingestd::alerts::{AlertEvent, Format};
use ingestd::config::{AlertReceiver, AlertTo, UrlSource};
use ingestd::secret::SecretSource;
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

/// The key that signs, at each receiver that has one.
pub(crate) const KEY: &str = "SEChush0123456789";

/// The part of each URL that nobody may see.
pub(crate) const TOKEN: &str = "hush-0f1e2d3c4b5a";

/// How all receivers behave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// They take what is right.
    Good,
    /// They refuse everything, as each does, with a text that repeats the secret: each with all its errors in turn.
    Down,
    /// They never answer.
    Hangs,
}

/// What each took, by its name: texts, or our own objects.
#[derive(Clone)]
pub(crate) struct Receivers {
    taken: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    mood: Arc<Mutex<Mood>>,
    /// How often each of them gave each error.
    refused: Arc<Mutex<BTreeMap<(String, &'static str), usize>>>,
    /// A file with the second of another process, and when they are down by that clock.
    outage: Arc<Mutex<Option<Outage>>>,
    /// Each is asked when it has taken a message, before it answers; `false`: it never answers.
    answers: Arc<Mutex<Asked>>,
    pub(crate) port: u16,
}

impl Receivers {
    /// On a port of its own, within this runtime.
    pub(crate) async fn start() -> Receivers {
        Receivers::at(0).await
    }

    /// The settings of receivers on this port, which may be those of another process.
    pub(crate) async fn at(port: u16) -> Receivers {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let receivers = Receivers {
            taken: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Good)),
            refused: Arc::default(),
            outage: Arc::default(),
            answers: Arc::new(Mutex::new(Box::new(|_| true))),
            port: listener.local_addr().expect("bound").port(),
        };
        let router = Router::new().route("/{kind}/{token}", post(answer)).with_state(receivers.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receivers
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no panic") = mood;
    }

    /// How many messages were refused.
    pub(crate) fn refused(&self) -> usize {
        self.refused.lock().expect("no panic").values().sum()
    }

    /// How often each of them gave each error.
    pub(crate) fn errors(&self) -> BTreeMap<(String, &'static str), usize> {
        self.refused.lock().expect("no panic").clone()
    }

    /// They are down in these seconds of the clock that another process writes there.
    pub(crate) fn down_by(&self, clock: PathBuf, seconds: Range<i64>) {
        *self.outage.lock().expect("no panic") = Some((clock, seconds));
    }

    /// `asked` says whether one that has taken a message answers.
    pub(crate) fn answer_if(&self, asked: impl FnMut(&str) -> bool + Send + 'static) {
        *self.answers.lock().expect("no panic") = Box::new(asked);
    }

    /// What one of them took.
    pub(crate) fn taken(&self, kind: &str) -> Vec<Value> {
        self.taken.lock().expect("no panic").get(kind).cloned().unwrap_or_default()
    }

    /// The settings of all five.
    pub(crate) fn settings(&self, key_file: &std::path::Path) -> Vec<AlertReceiver> {
        settings(self.port, key_file)
    }
}

/// The settings of all five on this port.
pub(crate) fn settings(port: u16, key_file: &std::path::Path) -> Vec<AlertReceiver> {
    let one = |(word, format): &(&str, Format)| AlertReceiver {
        name: (*word).to_owned(),
        on: AlertEvent::WORDS.iter().map(|(_, event)| *event).collect(),
        to: AlertTo::Webhook {
            url: UrlSource::Plain(SecretString::from(format!("http://127.0.0.1:{port}/{word}/{TOKEN}"))),
            format: *format,
            key: format.signs().then(|| SecretSource::File(key_file.to_owned())),
        },
    };
    Format::WORDS.iter().map(one).collect()
}

/// A file with a second, and the seconds in which nobody takes anything.
type Outage = (PathBuf, Range<i64>);

/// Whether one of them answers.
type Asked = Box<dyn FnMut(&str) -> bool + Send>;

fn mac(key: &str, message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

type Answer = (StatusCode, HeaderMap, String);

/// What each answers when it refuses: the errors of its guide, in turn.
pub(crate) const ERRORS: [(&str, &[&str]); 5] = [
    ("json", &["500", "429", "503"]),
    ("slack", &["429", "400"]),
    ("feishu", &["11232", "9499", "19021"]),
    ("dingtalk", &["130101", "460101", "310000"]),
    ("wecom", &["45009"]),
];

async fn answer(
    State(receivers): State<Receivers>,
    Path((kind, token)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let mut mood = *receivers.mood.lock().expect("no panic");
    if let Some((clock, seconds)) = &*receivers.outage.lock().expect("no panic") {
        let now = std::fs::read_to_string(clock).ok().and_then(|now| now.parse().ok()).expect("the clock of the process");
        mood = if seconds.contains(&now) { Mood::Down } else { Mood::Good };
    }
    if mood == Mood::Hangs {
        return std::future::pending().await;
    }
    let object: Value = serde_json::from_slice(&body).unwrap_or_default();
    let problem = if token != TOKEN || mood == Mood::Down {
        Some("down")
    } else {
        problem(&kind, &object, &query.unwrap_or_default(), &headers, &body)
    };
    let Some(problem) = problem else {
        receivers.taken.lock().expect("no panic").entry(kind.clone()).or_default().push(object);
        let is_answered = (receivers.answers.lock().expect("no panic"))(&kind);
        return if is_answered { taken(&kind) } else { std::future::pending().await };
    };
    let errors = ERRORS.iter().find(|(of, _)| *of == kind).map_or(["404"].as_slice(), |(_, errors)| errors);
    let mut refused = receivers.refused.lock().expect("no panic");
    let count: usize = refused.iter().filter(|((of, _), _)| *of == kind).map(|(_, count)| count).sum();
    let error = match (problem, kind.as_str()) {
        ("sign", "feishu") => "19021",
        ("sign", "dingtalk") => "310000",
        _ => errors[count % errors.len()],
    };
    *refused.entry((kind.clone(), error)).or_default() += 1;
    drop(refused);
    verdict(&kind, error)
}

/// How each says that it took a message.
fn taken(kind: &str) -> Answer {
    let body = match kind {
        "feishu" => r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#,
        "dingtalk" | "wecom" => r#"{"errcode":0,"errmsg":"ok"}"#,
        "slack" => "ok",
        _ => return (StatusCode::NO_CONTENT, HeaderMap::new(), String::new()),
    };
    (StatusCode::OK, HeaderMap::new(), body.to_owned())
}

/// An error as each gives it. Every text repeats the secret.
fn verdict(kind: &str, error: &str) -> Answer {
    let echo = format!("/{kind}/{TOKEN}");
    let words = match error {
        "19021" => "sign match fail or timestamp is not within one hour from current time",
        "11232" => "frequency limited",
        "9499" => "Bad Request",
        "310000" => "sign not match",
        "130101" => "send too fast",
        "460101" => "message too long",
        "45009" => "api freq out of limit",
        "429" => "rate_limited",
        "400" => "too_many_attachments",
        _ => "no",
    };
    let (status, body) = match kind {
        "feishu" if error == "9499" => (400, format!(r#"{{"code":9499,"msg":"{words} {echo}","data":{{}}}}"#)),
        "feishu" => (200, format!(r#"{{"code":{error},"msg":"{words} {echo}"}}"#)),
        "dingtalk" | "wecom" => (200, format!(r#"{{"errcode":{error},"errmsg":"{words} {echo}"}}"#)),
        _ => (error.parse().expect("a status"), format!("{words} {echo}")),
    };
    let mut headers = HeaderMap::new();
    if status == 429 {
        headers.insert("retry-after", "7".parse().expect("a value"));
    }
    (StatusCode::from_u16(status).expect("a status"), headers, body)
}

/// What is wrong by the guide of each.
fn problem(kind: &str, object: &Value, query: &str, headers: &HeaderMap, body: &[u8]) -> Option<&'static str> {
    let is_good = match kind {
        "feishu" => {
            let timestamp = object["timestamp"].as_str().unwrap_or_default();
            let sign = base64(&mac(&format!("{timestamp}\n{KEY}"), b""));
            if object["sign"] != sign.as_str() {
                return Some("sign");
            }
            object["msg_type"] == "text" && object["content"]["text"].is_string() && body.len() <= 20_000
        }
        "dingtalk" => {
            let parts: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let timestamp = parts.get("timestamp").cloned().unwrap_or_default();
            let sign = base64(&mac(KEY, format!("{timestamp}\n{KEY}").as_bytes()));
            if parts.get("sign") != Some(&sign) {
                return Some("sign");
            }
            object["msgtype"] == "text" && object["text"]["content"].is_string() && body.len() <= 20_000
        }
        "wecom" => object["msgtype"] == "text" && object["text"]["content"].as_str().is_some_and(|text| text.len() <= 2_048),
        "slack" => object["text"].is_string(),
        "json" => {
            let digits = |byte: &u8| [byte >> 4, byte & 15].map(|half| char::from_digit(half.into(), 16).expect("a digit"));
            let hex: String = mac(KEY, body).iter().flat_map(digits).collect();
            let signature = headers.get("x-ingestd-signature").and_then(|value| value.to_str().ok());
            signature == Some(format!("sha256={hex}").as_str()) && object["id"].is_string()
        }
        _ => false,
    };
    (!is_good).then_some("form")
}

/// The text that people see.
pub(crate) fn text_of(kind: &str, object: &Value) -> String {
    let text = match kind {
        "feishu" => &object["content"]["text"],
        "dingtalk" | "wecom" => &object["text"]["content"],
        _ => &object["text"],
    };
    text.as_str().expect("a text").to_owned()
}
