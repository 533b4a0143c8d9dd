//! What we ask of TRTC and what comes back, as values: the actions with all that belongs to one, their parameters, their answers. It
//! does not know sockets, secrets and clocks: UserSig, PrivateMapKey and the signature are added when a request is sent.

use std::time::Duration;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::room::Room;
use super::start_options::StartOptions;
use super::stream_url::StreamUrl;

/// The actions that we call, version 2019-07-22 (TRTC.md section 1). UpdateStreamIngest is not used: it cannot seek.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// StartStreamIngest
    Start,
    /// StopStreamIngest
    Stop,
    /// DescribeStreamIngest
    Describe,
}

/// Every action with its name in `X-TC-Action` and our own word for it, in the order of the variants.
const ACTIONS: [(Action, &str, &str); 3] = [
    (Action::Start, "StartStreamIngest", "start"),
    (Action::Stop, "StopStreamIngest", "stop"),
    (Action::Describe, "DescribeStreamIngest", "describe"),
];

impl Action {
    /// Every action. Queues, rates, status and words of fault plans are made from this list.
    pub const ALL: [Action; ACTIONS.len()] = {
        let mut all = [Action::Start; ACTIONS.len()];
        let mut index = 0;
        while index < all.len() {
            all[index] = ACTIONS[index].0;
            assert!(all[index] as usize == index, "the table is in the order of the variants");
            index += 1;
        }
        all
    };

    /// The name in `X-TC-Action`.
    pub fn name(self) -> &'static str {
        ACTIONS[self as usize].1
    }

    /// Our own word: the key in `queue` of `status`, the action of a rule in a fault plan.
    pub fn word(self) -> &'static str {
        ACTIONS[self as usize].2
    }

    /// Returns the action of that name.
    pub fn from_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Reads what the action promises out of the inside of the vendor's envelope. `None`: it is not there, so that the service did
    /// not write this.
    pub(super) fn success(self, response: &Map<String, Value>) -> Option<Success> {
        let text = |name: &str| response.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match self {
            Action::Start => text("TaskId").map(|task_id| Success::Started { task_id: task_id.to_owned() }),
            // A stop promises nothing but a RequestId.
            Action::Stop => text("RequestId").map(|_| Success::Stopped),
            Action::Describe => match text("Status")? {
                "InProgress" => Some(Success::Described(TaskStatus::InProgress)),
                "NotExist" => Some(Success::Described(TaskStatus::NotExist)),
                _ => None,
            },
        }
    }
}

/// A value for each action. As JSON it is an object, with our words as keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerAction<T>([T; Action::ALL.len()]);

impl<T> PerAction<T> {
    /// Makes the value of each action.
    pub fn new(value: impl FnMut(Action) -> T) -> PerAction<T> {
        PerAction(Action::ALL.map(value))
    }

    /// Returns an action's value.
    pub fn of(&self, action: Action) -> &T {
        &self.0[action as usize]
    }

    /// Returns an action's value, to be changed.
    pub fn of_mut(&mut self, action: Action) -> &mut T {
        &mut self.0[action as usize]
    }

    /// Returns each action with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Action, &T)> {
        Action::ALL.into_iter().zip(&self.0)
    }
}

impl<T: Serialize> Serialize for PerAction<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Action::ALL.len()))?;
        for (action, value) in self.iter() {
            map.serialize_entry(action.word(), value)?;
        }
        map.end()
    }
}

/// `RepeatNum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// -1: until stopped, or until `MaxDuration`.
    Forever,
    /// 1..=1000 plays.
    Times(u16),
}

/// The parameters of StartStreamIngest that are not secrets: every one of the newest models, without the three deprecated.
/// An `Option` that is `None` is not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct StartParams {
    /// `RoomId` and `RoomIdType`.
    pub room: Room,
    /// `UserId` of the robot.
    pub user_id: String,
    /// `StreamUrl`, sent as written.
    pub stream_url: StreamUrl,
    /// `SeekSecond`.
    pub seek_second: Option<u64>,
    /// `RepeatNum`.
    pub repeat: Option<Repeat>,
    /// `MaxDuration`, minutes 1..=10080; only effective with `RepeatNum` -1.
    pub max_duration: Option<u16>,
    /// What is only passed through.
    pub options: StartOptions,
}

/// Where a request goes: the account's application and region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The name in `apps` of the daemon's settings; it finds the key that signs UserSig.
    pub app: String,
    /// `SdkAppId`.
    pub sdk_app_id: u64,
    /// `X-TC-Region`. Kept with a task: whether another region can stop it is unknown.
    pub region: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Where it goes.
    pub destination: Destination,
    /// What it asks.
    pub body: Body,
}

/// What a request asks: one variant for each action.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// StartStreamIngest.
    Start {
        /// The parameters.
        params: Box<StartParams>,
        /// Until when the UserSig and the PrivateMapKey must hold.
        valid_until: Timestamp,
    },
    /// StopStreamIngest of a task.
    Stop {
        /// The task, opaque.
        task_id: String,
    },
    /// DescribeStreamIngest of a task.
    Describe {
        /// The task, opaque.
        task_id: String,
    },
}

impl Body {
    /// The action it is a body of.
    pub fn action(&self) -> Action {
        match self {
            Body::Start { .. } => Action::Start,
            Body::Stop { .. } => Action::Stop,
            Body::Describe { .. } => Action::Describe,
        }
    }

    /// Returns the task that it names, if it names one.
    pub fn task_id(&self) -> Option<&str> {
        match self {
            Body::Start { .. } => None,
            Body::Stop { task_id } | Body::Describe { task_id } => Some(task_id),
        }
    }

    /// Returns the JSON of a body that needs no ticket; `None` for a start, which [`super::request::sign`] builds.
    pub(super) fn without_tickets(&self, sdk_app_id: u64) -> Option<Value> {
        match self {
            Body::Start { .. } => None,
            Body::Stop { task_id } | Body::Describe { task_id } => Some(json!({ "SdkAppId": sdk_app_id, "TaskId": task_id })),
        }
    }
}

/// What `DescribeStreamIngest.Status` says. Nothing else is documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// `InProgress`
    InProgress,
    /// `NotExist`
    NotExist,
}

/// A request that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    /// A task runs. Whether the media plays is not known (TRTC.md section 7.2).
    Started {
        /// The task, opaque; the only handle to stop it.
        task_id: String,
    },
    /// The stop was accepted.
    Stopped,
    /// The task's status.
    Described(TaskStatus),
}

/// A request that did not succeed. Each variant proves something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The vendor's envelope with an `Error`.
    Rejected {
        /// `Error.Code`.
        code: String,
        /// `Error.Message`: for people. No code looks at it.
        message: String,
    },
    /// A status other than 200 with a body that is not an envelope.
    Status(u16),
    /// Status 200 with a body that is not an envelope, or an envelope without what the action promises.
    NotAnEnvelope(String),
    /// No connection: nothing was sent. Name resolution, refusal, TLS, or no answer to the connect in time.
    Connect(String),
    /// The connection broke after the request may have been sent.
    Cut(String),
    /// No answer in time, after the request may have been sent.
    Timeout,
    /// The request could not be built or signed, for example because a credential cannot be read; nothing was sent.
    Unsendable(String),
}

/// A request's answer, or the lack of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Success or fault.
    pub result: Result<Success, Fault>,
    /// The HTTP status, when there was one.
    pub http_status: Option<u16>,
    /// `Response.RequestId`.
    pub request_id: Option<String>,
    /// The server's `Date` header.
    pub server_date: Option<Timestamp>,
    /// The server's `Retry-After`, in whole seconds.
    pub retry_after: Option<Duration>,
    /// The `TaskId` in an answer to a start that is no success: broken, cut, or an error that names a task all the same. It proves
    /// nothing, but can be asked for.
    pub candidate: Option<String>,
}

impl Answer {
    /// Returns an answer of which only the result is known.
    pub fn bare(result: Result<Success, Fault>) -> Answer {
        Answer { result, http_status: None, request_id: None, server_date: None, retry_after: None, candidate: None }
    }
}
