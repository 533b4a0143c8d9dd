//! One message to one receiver, once, and what came of it. A receiver's URL and key are read anew each time, and shown nowhere. Does not
//! try again, and does not know what a message says.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::RETRY_AFTER;
use secrecy::ExposeSecret;
use url::Url;

use super::said::mask_said;
use super::{Failed, Format, Message, Refusal, WireRequest, exec, judge, wire};
use crate::config::{AlertReceiver, AlertTo, UrlSource};
use crate::secret::SecretSource;
use crate::trtc::SecretMask;
use crate::trtc::client::causes;

/// From sending to the last byte of the answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Until there is a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// So much of an answer is read.
const BODY_MAX: usize = 64 << 10;

/// The longest reason that is kept, in characters.
const WHY_MAX: usize = 300;

/// Sends messages and beats. Clones share their connections.
#[derive(Clone)]
pub struct Deliverer {
    client: reqwest::Client,
    /// This host, as messages name it.
    host: String,
    /// Where everything is that no program may show.
    secrets: Arc<[SecretSource]>,
}

impl Deliverer {
    /// Errors: the host has no certificates to trust.
    pub fn new(host: String) -> Result<Deliverer, String> {
        let client = reqwest::Client::builder()
            .http1_only()
            // The verdict of another address would not be the receiver's.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_MAX)
            .timeout(ANSWER_MAX)
            .user_agent(concat!("ingestd/", env!("CARGO_PKG_VERSION")))
            .build();
        let secrets = Arc::default();
        client
            .map(|client| Deliverer { client, host, secrets })
            .map_err(|error| format!("cannot prepare to send alerts: {}", causes(error)))
    }

    /// The same, and what is kept in these places is not shown either when a program repeats it.
    #[must_use]
    pub fn hiding(self, secrets: Vec<SecretSource>) -> Deliverer {
        Deliverer { secrets: secrets.into(), ..self }
    }

    /// Sends a message, signed for `now`. A heartbeat gets a beat.
    ///
    /// Errors: it was not taken, and why, without a secret.
    pub async fn send(&self, receiver: &AlertReceiver, message: &Message, now: Timestamp) -> Result<(), Failed> {
        match &receiver.to {
            AlertTo::Webhook { url, format, key } => {
                let (url, key) = self.secrets(url, key.as_ref()).await.map_err(failed)?;
                let mut mask = mask_of(&url, key.as_deref());
                let WireRequest { query, headers, body } = wire(*format, message, &self.host, key.as_deref(), now);
                for (_, value) in &query {
                    mask.add(value);
                }
                let mut url = url;
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(query);
                }
                let request = self.client.post(url).header("content-type", "application/json; charset=utf-8").body(body);
                let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
                self.exchange(request, *format, &mask).await
            }
            AlertTo::Exec { command } => {
                let answer = exec::run(command, &message.json(&self.host, now), message).await;
                match answer {
                    Ok(()) => Ok(()),
                    Err(why) => Err(failed(self.hide(why, command).await)),
                }
            }
            AlertTo::Heartbeat { url, .. } => self.beat(url).await.map_err(failed),
        }
    }

    /// Asks for the URL of a heartbeat.
    ///
    /// Errors: why it was not taken, without the URL.
    pub async fn beat(&self, url: &UrlSource) -> Result<(), String> {
        let (url, _) = self.secrets(url, None).await?;
        let mask = mask_of(&url, None);
        self.exchange(self.client.get(url), Format::Json, &mask).await.map_err(|failed| failed.why)
    }

    async fn exchange(&self, request: reqwest::RequestBuilder, format: Format, mask: &SecretMask) -> Result<(), Failed> {
        let in_words = |error: reqwest::Error| {
            let is_late = error.is_timeout() && !error.is_connect();
            if is_late { format!("no answer in {} s", ANSWER_MAX.as_secs()) } else { mask.quote(&causes(error), WHY_MAX) }
        };
        let mut response = request.send().await.map_err(|error| failed(in_words(error)))?;
        let status = response.status().as_u16();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(in_words(error)))? {
            body.extend_from_slice(&chunk[..chunk.len().min(BODY_MAX - body.len())]);
            if body.len() == BODY_MAX {
                break;
            }
        }
        let retry_after = seconds.map(Duration::from_secs);
        let failed = |Refusal { why, of_content }| Failed { why: mask.quote(&why, WHY_MAX), retry_after, of_content };
        judge(format, status, &body).map_err(failed)
    }

    /// What came of a program, without a secret: it may repeat its arguments, what it read, or where it sends.
    async fn hide(&self, why: String, command: &[String]) -> String {
        let sources = Arc::clone(&self.secrets);
        let read = move || -> Vec<String> {
            let secrets = sources.iter().filter_map(|source| source.read().ok());
            secrets.map(|secret| secret.expose_secret().to_owned()).collect()
        };
        let known = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        let mut mask = SecretMask::default();
        // A script is no secret, and has common words.
        let arguments = command.iter().skip(1).filter(|argument| !argument.contains(char::is_whitespace));
        for secret in known.iter().chain(arguments) {
            mask.add(secret);
        }
        mask.quote(&mask_said(&why), WHY_MAX)
    }

    /// Reads where to send and what signs, on a thread that may wait for a disk.
    async fn secrets(&self, url: &UrlSource, key: Option<&SecretSource>) -> Result<(Url, Option<String>), String> {
        let (url, key) = (url.clone(), key.cloned());
        let read = move || {
            let key = key.map(|key| key.read().map(|key| key.expose_secret().to_owned())).transpose()?;
            Ok((url.read()?, key))
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Err("where to send it could not be read".to_owned()))
    }
}

/// The name of this host, for messages; empty where it is not known.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// Everything of a URL but its host.
fn mask_of(url: &Url, key: Option<&str>) -> SecretMask {
    let mut mask = SecretMask::default();
    mask.add_whole(url.as_str());
    mask.add(url.path());
    for part in url.path_segments().into_iter().flatten().chain(url.query()).chain(url.password()).chain([url.username()]) {
        mask.add(part);
    }
    for (_, value) in url.query_pairs() {
        mask.add(&value);
    }
    if let Some(key) = key {
        mask.add(key);
    }
    mask
}

fn failed(why: impl Into<String>) -> Failed {
    Failed { why: why.into(), retry_after: None, of_content: false }
}
