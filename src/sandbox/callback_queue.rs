//! The callbacks that wait to be sent, in the order of their instants, and how one is written and signed. Does not know sockets and
//! clocks. The bytes are written from the vendor's documents, and not with our own parser of callbacks.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::trtc::callback::TaskNews;

use super::tasks::SandboxTask;

/// When a medium that cannot be pulled is tried again, after its start (TRTC.md section 7.2: at 0, 1 and 3 s, of which the first fails).
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// The most events that wait: three times as many as there may be tasks.
const WAITING_MAX: usize = 30_000;

/// Where callbacks go, and the key that signs them.
#[derive(Clone)]
pub struct CallbackTarget {
    /// An http or https URL.
    pub url: String,
    /// The key.
    pub key: SecretString,
}

/// Something that happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackEvent {
    /// When, by the sandbox's clock.
    pub at: Timestamp,
    /// What.
    pub news: TaskNews,
    /// The application of the task.
    pub sdk_app_id: u64,
    /// The task.
    pub task_id: String,
    /// Its room.
    pub room: String,
    /// Its robot.
    pub robot: String,
}

/// The events that have not been sent yet.
#[derive(Debug)]
pub(super) struct CallbackQueue {
    /// False when no callbacks are configured: nothing is kept.
    wanted: bool,
    waiting: Vec<CallbackEvent>,
}

impl CallbackQueue {
    pub(super) fn new(wanted: bool) -> CallbackQueue {
        CallbackQueue { wanted, waiting: Vec::new() }
    }

    /// A task started; `pulled`: its medium can be pulled.
    pub(super) fn started(&mut self, task: &SandboxTask, pulled: bool) {
        self.media_changed(task, pulled, task.started_at);
    }

    /// The medium of a task can be pulled from then on, or cannot.
    pub(super) fn media_changed(&mut self, task: &SandboxTask, pulled: bool, at: Timestamp) {
        if pulled {
            self.push(task, TaskNews::Started, at);
            return;
        }
        self.push(task, TaskNews::StartFailed, at);
        for after in AGAIN {
            let after = SignedDuration::try_from(after).unwrap_or_default();
            self.push(task, TaskNews::StartAgain, at.saturating_add(after).unwrap_or(Timestamp::MAX));
        }
    }

    /// A task ended: its events of a later time are dropped.
    pub(super) fn ended(&mut self, task: &SandboxTask, at: Timestamp) {
        self.waiting.retain(|news| news.task_id != task.task_id || news.at < at);
        self.push(task, TaskNews::Stopped, at);
    }

    fn push(&mut self, task: &SandboxTask, news: TaskNews, at: Timestamp) {
        if self.wanted && self.waiting.len() < WAITING_MAX {
            self.waiting.push(CallbackEvent {
                at,
                news,
                sdk_app_id: task.sdk_app_id,
                task_id: task.task_id.clone(),
                room: task.params.room.to_string(),
                robot: task.params.user_id.clone(),
            });
        }
    }

    /// Takes the events up to `now`, in the order of their instants.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<CallbackEvent> {
        let mut due: Vec<CallbackEvent> = self.waiting.extract_if(.., |news| news.at <= now).collect();
        due.sort_by_key(|news| news.at);
        due
    }

    /// When the next one must be sent.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|news| news.at).min()
    }
}

impl CallbackEvent {
    /// The body, as the vendor's example writes it. `sent_at`: when it leaves.
    pub(super) fn body(&self, sent_at: Timestamp) -> String {
        let (kind, status) = match self.news {
            TaskNews::Started => (701, 0),
            TaskNews::StartFailed => (701, 1),
            TaskNews::StartAgain => (701, 2),
            TaskNews::Stopped => (702, 0),
        };
        // Opaque, but of characters that need no escape.
        let (sent, at, task) = (sent_at.as_millisecond(), self.at.as_millisecond(), &self.task_id);
        format!(
            "{{\"EventGroupId\":7,\"EventType\":{kind},\"CallbackMsTs\":{sent},\
             \"EventInfo\":{{\"EventMsTs\":{at},\"TaskId\":\"{task}\",\"Status\":{status}}}}}"
        )
    }
}

/// The header `Sign` of a body.
pub(super) fn sign(key: &SecretString, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).expect("HMAC takes a key of any length");
    mac.update(body.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_and_its_signature_are_those_of_the_vendors_example() {
        let at = |ms| Timestamp::from_millisecond(ms).expect("an instant");
        let news = CallbackEvent {
            at: at(1_701_937_900_013),
            news: TaskNews::Started,
            sdk_app_id: 1,
            task_id: "xx".to_owned(),
            room: "lobby".to_owned(),
            robot: "r".to_owned(),
        };
        let body = news.body(at(1_701_937_900_012));
        let expected = "{\"EventGroupId\":7,\"EventType\":701,\"CallbackMsTs\":1701937900012,\
            \"EventInfo\":{\"EventMsTs\":1701937900013,\"TaskId\":\"xx\",\"Status\":0}}";
        assert_eq!(body, expected);
        assert_eq!(sign(&SecretString::from("123654"), &body), "Y2v6Is94qZztTzuALzMnYS2+mYbuhafkVBWxIBtyOeA=");
        let again = CallbackEvent { news: TaskNews::StartAgain, ..news.clone() }.body(at(0));
        assert!(again.contains("\"EventType\":701") && again.ends_with("\"Status\":2}}"), "{again}");
        let stopped = CallbackEvent { news: TaskNews::Stopped, ..news }.body(at(0));
        assert!(stopped.contains("\"EventType\":702") && stopped.ends_with("\"Status\":0}}"), "{stopped}");
    }
}
