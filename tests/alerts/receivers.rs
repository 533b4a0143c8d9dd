//! Five receivers in one server: each checks what its vendor's guide asks for, and answers as it does, errors in bodies with status 200
//! included. Does not know alerts.

use std::collections::BTreeMap;
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
    /// They refuse everything, as each does, with a text that repeats the secret.
    Down,
    /// They never answer.
    Hangs,
}

/// What each took, by its name: texts, or our own objects.
#[derive(Clone)]
pub(crate) struct Receivers {
    taken: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    mood: Arc<Mutex<Mood>>,
    refused: Arc<Mutex<usize>>,
    pub(crate) port: u16,
}

impl Receivers {
    /// On a port of its own, within this runtime.
    pub(crate) async fn start() -> Receivers {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let receivers = Receivers {
            taken: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Good)),
            refused: Arc::default(),
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
        *self.refused.lock().expect("no panic")
    }

    /// What one of them took.
    pub(crate) fn taken(&self, kind: &str) -> Vec<Value> {
        self.taken.lock().expect("no panic").get(kind).cloned().unwrap_or_default()
    }

    /// The settings of all five.
    pub(crate) fn settings(&self, key_file: &std::path::Path) -> Vec<AlertReceiver> {
        let one = |(word, format): &(&str, Format)| AlertReceiver {
            name: (*word).to_owned(),
            on: AlertEvent::WORDS.iter().map(|(_, event)| *event).collect(),
            to: AlertTo::Webhook {
                url: UrlSource::Plain(SecretString::from(format!("http://127.0.0.1:{}/{word}/{TOKEN}", self.port))),
                format: *format,
                key: format.signs().then(|| SecretSource::File(key_file.to_owned())),
            },
        };
        Format::WORDS.iter().map(one).collect()
    }
}

fn mac(key: &str, message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

type Answer = (StatusCode, String);

async fn answer(
    State(receivers): State<Receivers>,
    Path((kind, token)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let mood = *receivers.mood.lock().expect("no panic");
    if mood == Mood::Hangs {
        return std::future::pending().await;
    }
    let object: Value = serde_json::from_slice(&body).unwrap_or_default();
    let problem = if token != TOKEN || mood == Mood::Down {
        Some("down")
    } else {
        problem(&kind, &object, &query.unwrap_or_default(), &headers, &body)
    };
    if problem.is_some() {
        *receivers.refused.lock().expect("no panic") += 1;
    } else {
        receivers.taken.lock().expect("no panic").entry(kind.clone()).or_default().push(object);
    }
    verdict(&kind, problem)
}

/// The verdict as each gives it.
fn verdict(kind: &str, problem: Option<&str>) -> Answer {
    let echo = format!("/{kind}/{TOKEN}");
    match (kind, problem) {
        ("feishu", None) => {
            (StatusCode::OK, r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#.to_owned())
        }
        ("feishu", Some("sign")) => {
            (StatusCode::OK, r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour"}"#.to_owned())
        }
        ("feishu", Some(_)) => (StatusCode::OK, format!(r#"{{"code":11232,"msg":"frequency limited {echo}"}}"#)),
        ("dingtalk" | "wecom", None) => (StatusCode::OK, r#"{"errcode":0,"errmsg":"ok"}"#.to_owned()),
        ("dingtalk", Some("sign")) => (StatusCode::OK, r#"{"errcode":310000,"errmsg":"sign not match"}"#.to_owned()),
        ("dingtalk", Some(_)) => (StatusCode::OK, format!(r#"{{"errcode":130101,"errmsg":"send too fast {echo}"}}"#)),
        ("wecom", Some(_)) => (StatusCode::OK, format!(r#"{{"errcode":45009,"errmsg":"api freq out of limit {echo}"}}"#)),
        ("slack", None) => (StatusCode::OK, "ok".to_owned()),
        ("slack", Some(_)) => (StatusCode::TOO_MANY_REQUESTS, format!("rate_limited {echo}")),
        (_, None) => (StatusCode::NO_CONTENT, String::new()),
        (_, Some(_)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("no {echo}")),
    }
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
