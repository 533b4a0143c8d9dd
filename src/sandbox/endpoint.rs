//! The endpoint without its socket: a request that arrived and an instant in, an answer out. Owns rate, faults and tasks.
//! Does not know connections and clocks.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::trtc::{Action, PerAction, StartParams, tc3};

use super::authentication::{self, Head, KnownCredentials};
use super::callback_queue::{CallbackEvent, CallbackQueue};
use super::exchange::{ErrorReply, Received};
use super::faults::{Disturbance, FaultPlan, Injected, Replacement, RequestView};
use super::parameters::{self, CheckedAction, CheckedRequest};
use super::rate::Window;
use super::tasks::{Asker, SandboxTask, TaskBook};
use super::{SandboxApp, SandboxConfig};

/// The only version of the three actions (TRTC.md section 1).
const VERSION: &str = "2019-07-22";

/// The regions that the documentation of either site lists for the action (TRTC.md section 5). Of Describe the mainland page
/// was not found; it is taken to list what its siblings do.
const START_REGIONS: [&str; 9] = [
    "ap-bangkok",
    "ap-beijing",
    "ap-chongqing",
    "ap-guangzhou",
    "ap-jakarta",
    "ap-mumbai",
    "ap-shanghai",
    "ap-singapore",
    "ap-tokyo",
];
const OTHER_REGIONS: [&str; 8] = crate::trtc::room::REGIONS_OF_ALL_ACTIONS;

/// How much of an unverified text is remembered: more than any that passes the checks.
const CLIPPED_CHARACTERS: usize = 128;

/// A request that arrived and what was answered. Holds no secret and no URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrived, by the sandbox's clock.
    pub at: Timestamp,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// `X-TC-Action`, whatever it says; empty when there is none.
    pub action: String,
    /// `X-TC-Region`; empty when there is none.
    pub region: String,
    /// `RoomId`; for stops and describes the room of the task.
    pub room: Option<String>,
    /// `UserId`; for stops and describes the robot of the task.
    pub robot: Option<String>,
    /// The task it names, or started.
    pub task_id: Option<String>,
    /// What came back.
    pub answered: Answered,
    /// Whether the action took effect: a task started, stopped or described.
    pub effect: bool,
    /// Whether it was over the rate.
    pub over_rate: bool,
}

/// What came back for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Success in the vendor's envelope.
    Ok,
    /// An error in the vendor's envelope.
    Error(String),
    /// Another status than 200, by the fault plan.
    Status(u16),
    /// A text that is not an envelope, by the fault plan.
    Body,
    /// Nothing, by the fault plan: the connection stays open.
    Hang,
    /// Nothing, by the fault plan: the connection is closed.
    Cut,
}

impl fmt::Display for Answered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answered::Ok => formatter.write_str("ok"),
            Answered::Error(code) => formatter.write_str(code),
            Answered::Status(status) => write!(formatter, "status {status}"),
            Answered::Body => formatter.write_str("body"),
            Answered::Hang => formatter.write_str("hang"),
            Answered::Cut => formatter.write_str("cut"),
        }
    }
}

/// What to do with the connection.
pub(super) enum SandboxReply {
    /// Answer.
    Answer {
        /// The status.
        status: u16,
        /// `Content-Type`
        content_type: &'static str,
        /// `Retry-After`
        retry_after: Option<Duration>,
        /// The body.
        body: String,
    },
    /// Say nothing.
    Hang,
    /// Close it.
    Cut,
}

/// What is done with a request.
pub(super) struct HandledRequest {
    /// For the log.
    pub(super) arrival: Arrival,
    /// How long the answer waits.
    pub(super) delay: Duration,
    /// What comes then.
    pub(super) reply: SandboxReply,
}

/// The state of the stand-in.
pub(super) struct EndpointState {
    credentials: KnownCredentials,
    apps: BTreeMap<u64, SandboxApp>,
    strict_rooms: bool,
    windows: PerAction<Window>,
    faults: FaultPlan,
    tasks: TaskBook,
    rejections: u64,
    born: Timestamp,
    answers: u64,
}

/// Room, robot and task of a request, as far as it says.
#[derive(Default)]
struct Subject {
    room: Option<String>,
    robot: Option<String>,
    task_id: Option<String>,
    stream: Option<String>,
}

impl EndpointState {
    /// An endpoint without tasks. `born` makes its ids its own.
    pub(super) fn new(config: SandboxConfig, born: Timestamp) -> EndpointState {
        let SandboxConfig {
            secret_id,
            secret_key,
            token,
            apps,
            rate,
            media,
            faults,
            exist,
            strict_rooms,
            clock_offset_ms: _,
            callbacks,
        } = config;
        EndpointState {
            credentials: KnownCredentials { secret_id, secret_key, token },
            apps,
            strict_rooms,
            windows: PerAction::new(|_| Window::new(rate)),
            faults,
            tasks: TaskBook::new(exist, media, born, CallbackQueue::new(callbacks.is_some())),
            rejections: 0,
            born,
            answers: 0,
        }
    }

    pub(super) fn tasks(&mut self, now: Timestamp) -> Vec<SandboxTask> {
        self.tasks.all(now)
    }

    /// The callbacks that must be sent now, with what the fault plan does to each, and when the next one may follow.
    pub(super) fn callbacks(&mut self, now: Timestamp) -> (Vec<(CallbackEvent, Option<Disturbance>)>, Option<Timestamp>) {
        let (due, next) = self.tasks.news(now);
        let disturbed = due.into_iter().map(|news| {
            let (room, robot) = (Some(news.room.as_str()), Some(news.robot.as_str()));
            let view = RequestView { event: Some(news.news), room, robot, ..RequestView::default() };
            let disturbance = self.faults.disturb(&view);
            (news, disturbance)
        });
        (disturbed.collect(), next)
    }

    pub(super) fn kill(&mut self, task_id: &str, now: Timestamp) -> bool {
        self.tasks.kill(task_id, now)
    }

    /// From now on media can be pulled, or cannot.
    pub(super) fn set_media(&mut self, url: &str, is_there: bool, now: Timestamp) {
        self.tasks.set_media(url, is_there, now);
    }

    pub(super) fn rejections(&self) -> u64 {
        self.rejections
    }

    pub(super) fn inject(&mut self, faults: FaultPlan) {
        self.faults.prepend(faults);
    }

    /// Takes another key of the account.
    pub(super) fn set_secret_key(&mut self, secret_key: &str) {
        secret_key.clone_into(&mut self.credentials.secret_key);
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults = FaultPlan::default();
    }

    pub(super) fn cold_delay(&mut self, received: &Received) -> Duration {
        let subject = self.subject(received);
        self.faults.cold_delay(&view(action(received), &subject))
    }

    /// A request arrives at `now`: counts it, applies the fault plan, checks it, and lets it take effect.
    pub(super) fn take(&mut self, received: &Received, now: Timestamp) -> HandledRequest {
        let action = action(received);
        let over_rate = action.is_some_and(|action| self.windows.of_mut(action).arrive(now));
        self.rejections += u64::from(over_rate);
        let mut subject = self.subject(received);
        // One that names no action at all only opens a connection: it uses up no rule.
        let injected = if names_action(received) { self.faults.apply(&view(action, &subject)) } else { Injected::default() };
        let (success, (answered, reply)) = match injected.replace.clone() {
            Some((with, done)) => {
                let processed = done.then(|| self.process(received, over_rate, &injected, now));
                (processed.and_then(Result::ok), self.replace(with))
            }
            None => match self.process(received, over_rate, &injected, now) {
                Ok(success) => (Some(success.clone()), (Answered::Ok, self.envelope(success))),
                Err(error) => (None, self.refuse(&error)),
            },
        };
        let effect = success.is_some() && !injected.accept;
        if let Some(Value::String(task_id)) = success.as_ref().and_then(|success| success.get("TaskId")) {
            subject.task_id = Some(task_id.clone());
        }
        let header = |name| clip(received.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or(""));
        let Subject { room, robot, task_id, stream: _ } = subject;
        let arrival = Arrival {
            at: now,
            connection: received.connection,
            action: header("x-tc-action"),
            region: header("x-tc-region"),
            room: room.as_deref().map(clip),
            robot: robot.as_deref().map(clip),
            task_id: task_id.as_deref().map(clip),
            answered,
            effect,
            over_rate,
        };
        HandledRequest { arrival, delay: injected.delay, reply }
    }

    /// Every check in the order of the module's documentation, then the effect.
    fn process(&mut self, received: &Received, over_rate: bool, injected: &Injected, now: Timestamp) -> Result<Value, ErrorReply> {
        if received.too_long {
            return Err(ErrorReply::new("RequestSizeLimitExceeded", "the body is longer than the sandbox reads"));
        }
        let head = authentication::head(received)?;
        authentication::verify(received, &head, &self.credentials, now)?;
        let action = routed(&head)?;
        if over_rate {
            return Err(ErrorReply::new("RequestLimitExceeded", "more requests in a second than the rate of this action"));
        }
        let CheckedRequest { sdk_app_id, what } = parameters::check(action, &received.body, (&self.apps, self.strict_rooms), now)?;
        let asker = Asker { sdk_app_id, region: &head.region };
        match what {
            CheckedAction::Start(params) if injected.accept => {
                Ok(json!({ "TaskId": self.tasks.start_nothing(asker, *params, now) }))
            }
            CheckedAction::Stop(_) if injected.accept => Ok(json!({})),
            CheckedAction::Describe(_) if injected.accept => Ok(json!({ "Status": "InProgress" })),
            CheckedAction::Start(params) => Ok(json!({ "TaskId": self.tasks.start(asker, *params, injected.vanish, now)? })),
            CheckedAction::Stop(task_id) => self.tasks.stop(asker, &task_id, now).map(|()| json!({})),
            CheckedAction::Describe(task_id) => {
                let runs = self.tasks.runs(asker, &task_id, now).unwrap_or(false);
                Ok(json!({ "Status": if runs { "InProgress" } else { "NotExist" } }))
            }
        }
    }

    /// What the fault plan says in place of the answer.
    fn replace(&mut self, with: Replacement) -> (Answered, SandboxReply) {
        let answer = |status, content_type, retry_after, body| SandboxReply::Answer { status, content_type, retry_after, body };
        match with {
            Replacement::Error(code) => self.refuse(&ErrorReply::new(code, "the fault plan of the sandbox says so")),
            Replacement::Status { status, retry_after } => {
                let title = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
                let page = format!(
                    "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n\
                     <center><h1>{status} {title}</h1></center>\r\n<hr><center>sandbox</center>\r\n</body>\r\n</html>\r\n"
                );
                (Answered::Status(status), answer(status, "text/html", retry_after, page))
            }
            Replacement::Body(text) => (Answered::Body, answer(200, "application/json", None, text)),
            Replacement::Hang => (Answered::Hang, SandboxReply::Hang),
            Replacement::Cut => (Answered::Cut, SandboxReply::Cut),
        }
    }

    fn refuse(&mut self, error: &ErrorReply) -> (Answered, SandboxReply) {
        let response = json!({ "Error": { "Code": error.code, "Message": error.message } });
        (Answered::Error(error.code.clone().into_owned()), self.envelope(response))
    }

    /// The vendor's envelope: `Response` with a `RequestId`, HTTP 200 also for an error.
    fn envelope(&mut self, mut response: Value) -> SandboxReply {
        self.answers += 1;
        let digest = Sha256::digest(format!("answer {} {}", self.born.as_nanosecond(), self.answers));
        let hex = tc3::hex(&digest[..16]);
        response["RequestId"] =
            Value::String(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]));
        let body = json!({ "Response": response }).to_string();
        SandboxReply::Answer { status: 200, content_type: "application/json", retry_after: None, body }
    }

    /// Room, robot and task of a request, before anything of it is verified.
    fn subject(&self, received: &Received) -> Subject {
        let Some(fields) = parameters::object(&received.body) else { return Subject::default() };
        let text = |fields: &Map<String, Value>, name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let task_id = text(&fields, "TaskId");
        if let Some(task) = task_id.as_deref().and_then(|task_id| self.tasks.find(task_id)) {
            let StartParams { room, user_id, stream_url, .. } = &task.params;
            let stream = Some(stream_url.reveal().to_owned());
            return Subject { room: Some(room.to_string()), robot: Some(user_id.clone()), task_id, stream };
        }
        let (room, robot, stream) = (text(&fields, "RoomId"), text(&fields, "UserId"), text(&fields, "StreamUrl"));
        Subject { room, robot, task_id, stream }
    }
}

/// What is remembered and shown of a text that nobody has verified: bounded, and without control characters.
fn clip(text: &str) -> String {
    text.chars().take(CLIPPED_CHARACTERS).map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn view(action: Option<Action>, subject: &Subject) -> RequestView<'_> {
    RequestView {
        action,
        event: None,
        room: subject.room.as_deref(),
        robot: subject.robot.as_deref(),
        stream: subject.stream.as_deref(),
    }
}

/// The action that the header names, if it is one of ours.
fn action(received: &Received) -> Option<Action> {
    Action::from_name(received.headers.get("x-tc-action")?.to_str().ok()?)
}

fn names_action(received: &Received) -> bool {
    received.headers.contains_key("x-tc-action")
}

/// Action, version and region, as a gateway routes them.
fn routed(head: &Head) -> Result<Action, ErrorReply> {
    let action = match Action::from_name(&head.action) {
        Some(action) => action,
        None if head.action == "UpdateStreamIngest" => {
            return Err(ErrorReply::new("UnsupportedOperation", "the sandbox does not support UpdateStreamIngest"));
        }
        None => return Err(ErrorReply::new("InvalidAction", "the sandbox does not know this action")),
    };
    if head.version != VERSION {
        return Err(ErrorReply::new("NoSuchVersion", format!("the only version is `{VERSION}`")));
    }
    let regions: &[&str] = if action == Action::Start { &START_REGIONS } else { &OTHER_REGIONS };
    if !regions.contains(&head.region.as_str()) {
        return Err(ErrorReply::new("UnsupportedRegion", format!("{} is not offered in this region", action.name())));
    }
    Ok(action)
}
