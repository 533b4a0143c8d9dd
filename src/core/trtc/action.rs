//! What we ask of TRTC and what comes back, as values. Knows the API's parameters; refuses to know sockets, secrets and clocks:
//! UserSig, PrivateMapKey and the signature are added when a request is sent.

use std::time::Duration;

use jiff::Timestamp;

use super::room::Room;

/// The three actions we call, version 2019-07-22 (TRTC.md section 1). UpdateStreamIngest is not used: it cannot seek.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// StartStreamIngest
    Start,
    /// StopStreamIngest
    Stop,
    /// DescribeStreamIngest
    Describe,
}

impl Action {
    /// The name in `X-TC-Action`.
    pub fn name(self) -> &'static str {
        match self {
            Action::Start => "StartStreamIngest",
            Action::Stop => "StopStreamIngest",
            Action::Describe => "DescribeStreamIngest",
        }
    }
}

/// Playback speed. The API takes exactly seven values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo(u16);

impl Tempo {
    /// Original speed.
    pub const NORMAL: Tempo = Tempo(100);

    /// The speed of that many percent, if the API has it: 50, 75, 100, 125, 150, 175 or 200.
    pub fn from_percent(percent: u16) -> Option<Tempo> {
        matches!(percent, 50 | 75 | 100 | 125 | 150 | 175 | 200).then_some(Tempo(percent))
    }

    /// In percent.
    pub fn percent(self) -> u16 {
        self.0
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
    pub stream_url: String,
    /// `SeekSecond`.
    pub seek_second: Option<u64>,
    /// `RepeatNum`.
    pub repeat: Option<Repeat>,
    /// `MaxDuration`, minutes 1..=10080; only effective with `RepeatNum` -1.
    pub max_duration: Option<u16>,
    /// `Volume`, 0..=200 (the international documents say 0..=100).
    pub volume: Option<u8>,
    /// `Tempo`.
    pub tempo: Option<Tempo>,
    /// `EnableProgress`.
    pub enable_progress: Option<bool>,
    /// `AutoPush`.
    pub auto_push: Option<bool>,
    /// `IdleTimeout`, seconds 0..=600.
    pub idle_timeout: Option<u16>,
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

/// The three bodies.
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
    /// A task runs. It says nothing of whether the media plays (TRTC.md section 7.2).
    Started {
        /// The task, opaque; the only handle to stop it.
        task_id: String,
    },
    /// The stop was taken.
    Stopped,
    /// The task's status.
    Described(TaskStatus),
}

/// A request that did not succeed. Each way is its own, because they prove different things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The vendor's envelope with an `Error`.
    Rejected {
        /// `Error.Code`.
        code: String,
        /// `Error.Message`: for people, never matched.
        message: String,
    },
    /// A status other than 200 with a body that is no envelope.
    Status(u16),
    /// Status 200 with a body that is no envelope, or an envelope without what the action promises.
    NotAnEnvelope(String),
    /// No connection: nothing was sent. Name resolution, refusal, TLS, or no answer to the connect in time.
    Connect(String),
    /// The connection broke after the request may have been sent.
    Cut(String),
    /// No answer in time, after the request may have been sent.
    Timeout,
    /// The request could not be built or signed; nothing was sent. A credential that cannot be read is one.
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
}

impl Answer {
    /// An answer of which nothing but the result is known.
    pub fn bare(result: Result<Success, Fault>) -> Answer {
        Answer { result, http_status: None, request_id: None, server_date: None, retry_after: None }
    }
}

/// The endpoint, or a simulation of it. Implementations enforce their own limits of time, so that a call always comes back:
/// 3 s to connect, 10 s for an answer.
pub trait Api: Send + Sync + 'static {
    /// Sends one request, signed for `now`, and waits for its answer. Never sends it twice. Dropping the future abandons the
    /// request; it may or may not have been sent.
    fn call(&self, request: Request, now: Timestamp) -> impl Future<Output = Answer> + Send;

    /// Opens connections so that `count` requests can leave at once without a handshake. Best effort.
    fn warm(&self, count: usize) -> impl Future<Output = ()> + Send;

    /// Takes the server's clock: every later signature and UserSig is made for `now + offset_ms`. The offset is server minus here.
    fn set_clock_offset(&self, offset_ms: i64);

    /// Reads the credentials anew before the next request (a temporary token that was refused).
    fn reread_credentials(&self);
}
