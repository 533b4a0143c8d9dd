//! A local stand-in for TRTC's endpoint, to rehearse schedules and to test clients. It refuses to know the daemon, the
//! ledger and the builder of our requests: it rebuilds what it verifies from the bytes that arrived.
//!
//! It answers `StartStreamIngest`, `StopStreamIngest` and `DescribeStreamIngest` of version 2019-07-22, and does what the
//! vendor does: signature, UserSig, parameters, ranges, 20 requests a second for each action, tasks that live and end, error codes
//! in the vendor's envelope. No media is fetched and nothing goes on air.
//!
//! # What a request goes through, in order
//!
//! 1. A `cold_delay` of the fault plan, when the request is the first on its connection. It has not arrived yet.
//! 2. It arrives: the clock is read, and it counts towards the rate of its action, whatever becomes of it. A request is over
//!    the rate when as many as the rate have arrived in the second before it, those over the rate included.
//! 3. Every other rule of the fault plan ([`FaultPlan`]).
//! 4. Shape: a body of at most 64 KiB, `POST /`, `application/json`, the required headers.
//! 5. Authentication: the `Authorization` header, the timestamp (5 minutes either way), the `SecretId`, the signature, the token.
//! 6. The action, the version, the region.
//! 7. The rate: `RequestLimitExceeded`.
//! 8. The body: JSON, unknown parameters, missing ones, types, ranges, then the application, UserSig and PrivateMapKey.
//! 9. The effect, then the answer: HTTP 200 with `RequestId`, also for an error.
//!
//! # Choices where the vendor's documents say nothing
//!
//! | question | here |
//! |---|---|
//! | a value out of its range, without a code of its own | `InvalidParameterValue`, and the message names the parameter |
//! | a value of the wrong JSON type | `InvalidParameter` |
//! | stop of a task that ended | `FailedOperation.TaskFinished`, while it is remembered (the last 10,000) |
//! | stop of a task that never existed | `InvalidParameter.TaskId` |
//! | describe of either | `NotExist` |
//! | a follow-up from another region or application than the start's | as if the task had never existed |
//! | regions | those that either site lists for the action: `ap-tokyo` starts, and neither stops nor describes |
//! | a bad PrivateMapKey | `InvalidParameter.UserSig` |
//! | the last play is over | idle for `IdleTimeout`, or 5 s without one, then the task is gone |
//! | a single play of `rtmp` or `rtmps` | goes on until it is stopped |
//! | what `TaskExist` is keyed on | [`ExistReading`] |
//! | a medium that cannot be pulled | its task lives as any other; callbacks 701 say failed, and again after 1 s and 3 s |
//! | a medium that dies on air, and heals | the same; when it heals, a callback 701 says started |

mod authentication;
mod callback_queue;
mod callback_sender;
mod endpoint;
mod exchange;
mod faults;
mod faults_file;
mod parameters;
mod rate;
mod server;
mod tasks;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast};

pub use callback_queue::{CallbackEvent, CallbackTarget};
pub use callback_sender::Delivery;
pub use endpoint::{Answered, Arrival};
pub use faults::{Disturbance, FaultEffect, FaultPlan, FaultRule, Replacement};
pub use faults_file::{FaultFile, read as read_fault_file};
pub use tasks::{EndReason, SandboxTask};

use crate::trtc::StreamUrl;
use endpoint::{EndpointState, HandledRequest};
use exchange::Received;

/// The `SecretId` that the verb `sandbox` accepts. Well known, so that a rehearsal needs no setting up; worth nothing elsewhere.
pub const WELL_KNOWN_SECRET_ID: &str = "AKIDsandbox00000000000000000000000000";
/// The `SecretKey` that belongs to [`WELL_KNOWN_SECRET_ID`].
pub const WELL_KNOWN_SECRET_KEY: &str = "sandbox-secret-key-0000000000000";
/// The application that the verb `sandbox` has.
pub const WELL_KNOWN_SDK_APP_ID: u64 = 1_400_000_001;
/// The `SDKSecretKey` of [`WELL_KNOWN_SDK_APP_ID`], which signs its UserSig tickets.
pub const WELL_KNOWN_APP_KEY: &str = "5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5a4db0c5";

/// Requests a second, for each action (TRTC.md section 6).
pub const RATE: u32 = 20;

/// Arrivals that [`Sandbox::arrivals`] remembers: more than an hour at full rate of one action, and some 30 MB.
const ARRIVALS_KEPT_MAX: usize = 100_000;
/// Arrivals a slow subscriber may lag behind before it loses some: a minute at full rate of all actions.
const SUBSCRIBER_LAG_MAX: usize = 4096;

/// An application.
#[derive(Clone)]
pub struct SandboxApp {
    /// The `SDKSecretKey` that signs UserSig.
    pub key: String,
    /// Whether advanced permission control is on: every start then needs a PrivateMapKey.
    pub private_map_key: bool,
}

/// How long media plays once.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaLengths {
    /// Of every URL that is not listed, `rtmp` and `rtmps` apart: those go on until they are stopped.
    pub default: Duration,
    /// By stream URL, as the request writes it.
    pub by_url: BTreeMap<String, Duration>,
    /// Stream URLs that cannot be pulled.
    pub unreachable: BTreeSet<String>,
    /// When media dies and when it is there again, by stream URL: so long after the sandbox began.
    pub outages: BTreeMap<String, MediaOutage>,
}

/// When media cannot be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaOutage {
    /// From then on.
    pub dies: Duration,
    /// Until then, if it is ever there again.
    pub heals: Option<Duration>,
}

/// A stream URL may hold a secret, so that debugging shows each as every output does.
impl fmt::Debug for MediaLengths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_url: Vec<_> = self.by_url.iter().map(|(url, length)| (StreamUrl::new(url), length)).collect();
        let unreachable: Vec<_> = self.unreachable.iter().map(|url| StreamUrl::new(url)).collect();
        let outages: Vec<_> = self.outages.iter().map(|(url, outage)| (StreamUrl::new(url), outage)).collect();
        let MediaLengths { default, .. } = self;
        formatter
            .debug_struct("MediaLengths")
            .field("default", default)
            .field("by_url", &by_url)
            .field("unreachable", &unreachable)
            .field("outages", &outages)
            .finish()
    }
}

impl Default for MediaLengths {
    /// Ten minutes for everything.
    fn default() -> MediaLengths {
        MediaLengths {
            default: Duration::from_mins(10),
            by_url: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            outages: BTreeMap::new(),
        }
    }
}

/// What a second start does while a task runs. The vendor documents none of it (TRTC.md section 7.3), so a client must work
/// under each reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistReading {
    /// `TaskExist` when the application, the room and the robot are the same.
    #[default]
    RoomUser,
    /// `TaskExist` when the application and the robot are the same: a user is in one room at a time.
    User,
    /// Never `TaskExist`: the older task of the same application and robot ends.
    Displace,
    /// Never `TaskExist`: both run.
    Both,
}

impl ExistReading {
    /// Every reading with its name.
    pub const ALL: [(&str, ExistReading); 4] = [
        ("room_user", ExistReading::RoomUser),
        ("user", ExistReading::User),
        ("displace", ExistReading::Displace),
        ("both", ExistReading::Both),
    ];

    /// The reading of that name.
    pub fn parse(name: &str) -> Option<ExistReading> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, reading)| *reading)
    }
}

impl fmt::Display for ExistReading {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, reading)| reading == self).map_or("", |(name, _)| name);
        formatter.write_str(name)
    }
}

/// How the sandbox behaves. [`SandboxConfig::well_known`] is the one that the verb uses.
#[derive(Clone)]
pub struct SandboxConfig {
    /// The only `SecretId` it knows.
    pub secret_id: String,
    /// Its `SecretKey`.
    pub secret_key: String,
    /// The token that every request must carry; with `None` a request must carry none.
    pub token: Option<String>,
    /// Applications by `SdkAppId`.
    pub apps: BTreeMap<u64, SandboxApp>,
    /// Requests in any second, for each action.
    pub rate: u32,
    /// How long media plays.
    pub media: MediaLengths,
    /// What goes wrong on purpose.
    pub faults: FaultPlan,
    /// What a second start does.
    pub exist: ExistReading,
    /// Whether it refuses string rooms that the vendor's client SDKs could not enter. Whether the endpoint does is not known.
    pub strict_rooms: bool,
    /// Its clock minus the clock it was given, in milliseconds: everything it says and checks uses the sum.
    pub clock_offset_ms: i64,
    /// Where callbacks are sent; with `None` no callback is sent.
    pub callbacks: Option<CallbackTarget>,
}

impl SandboxConfig {
    /// The well-known credentials and one application without PrivateMapKey; no faults, no offset, no callbacks, and any room.
    pub fn well_known() -> SandboxConfig {
        let app = SandboxApp { key: WELL_KNOWN_APP_KEY.to_owned(), private_map_key: false };
        SandboxConfig {
            secret_id: WELL_KNOWN_SECRET_ID.to_owned(),
            secret_key: WELL_KNOWN_SECRET_KEY.to_owned(),
            token: None,
            apps: BTreeMap::from([(WELL_KNOWN_SDK_APP_ID, app)]),
            rate: RATE,
            media: MediaLengths::default(),
            faults: FaultPlan::default(),
            exist: ExistReading::default(),
            strict_rooms: false,
            clock_offset_ms: 0,
            callbacks: None,
        }
    }
}

/// The clock it uses: the system's, or one that a test moves by hand.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The stand-in endpoint. Clones share one state, so a test keeps one while another serves.
///
/// Nothing in it runs by itself: whether a task lives is worked out from the clock when somebody asks, so that a clock moved
/// by hand ends tasks without waiting. Only callbacks wait for the end of a task, and only while it serves.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<SandboxShared>,
}

struct SandboxShared {
    now: Now,
    offset: SignedDuration,
    // A std mutex: it is never held over an await, and what it guards takes microseconds.
    state: Mutex<SandboxState>,
    feed: broadcast::Sender<Arrival>,
    callbacks: Option<CallbackTarget>,
    /// Something may have happened that needs a callback.
    wake: Notify,
    deliveries: broadcast::Sender<Delivery>,
}

struct SandboxState {
    endpoint: EndpointState,
    arrivals: VecDeque<Arrival>,
}

impl Sandbox {
    /// A sandbox without a listener yet.
    pub fn new(config: SandboxConfig, now: Now) -> Sandbox {
        let offset = SignedDuration::from_millis(config.clock_offset_ms);
        let born = now();
        let callbacks = config.callbacks.clone();
        let state = Mutex::new(SandboxState { endpoint: EndpointState::new(config, born), arrivals: VecDeque::new() });
        let feed = broadcast::Sender::new(SUBSCRIBER_LAG_MAX);
        let deliveries = broadcast::Sender::new(SUBSCRIBER_LAG_MAX);
        Sandbox { shared: Arc::new(SandboxShared { now, offset, state, feed, callbacks, wake: Notify::new(), deliveries }) }
    }

    /// Serves HTTP/1.1 on `listener` until `shutdown` comes; then what is being answered gets a second to finish. Callbacks are sent
    /// as long as it serves.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let serving = server::serve(self.clone(), listener, shutdown);
        match self.shared.callbacks.clone() {
            Some(target) => tokio::select! {
                () = serving => {}
                () = callback_sender::run(self.clone(), target) => {}
            },
            None => serving.await,
        }
    }

    /// Its time: the clock's plus the offset.
    pub fn now(&self) -> Timestamp {
        (self.shared.now)().saturating_add(self.shared.offset).unwrap_or(Timestamp::MAX)
    }

    /// The tasks that run, in the order of their starts, and behind them those that ended, in the order of their ends.
    pub fn tasks(&self) -> Vec<SandboxTask> {
        let mut state = self.state();
        let now = self.now();
        state.endpoint.tasks(now)
    }

    /// Everything that arrived, oldest first; of more than 100,000 the newest.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state().arrivals.iter().cloned().collect()
    }

    /// What arrives from now on, each as soon as its answer is decided: before any delay, hang or cut.
    pub fn subscribe(&self) -> broadcast::Receiver<Arrival> {
        self.shared.feed.subscribe()
    }

    /// Attempts to deliver callbacks from now on, each with what came of it.
    pub fn subscribe_deliveries(&self) -> broadcast::Receiver<Delivery> {
        self.shared.deliveries.subscribe()
    }

    /// How many requests were over the rate, whether or not the answer said so.
    pub fn rejections(&self) -> u64 {
        self.state().endpoint.rejections()
    }

    /// Puts rules in front of those that are there.
    pub fn inject(&self, faults: FaultPlan) {
        self.state().endpoint.inject(faults);
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.state().endpoint.clear_faults();
    }

    /// Takes another key of the account from now on, and the former no more: the key was rotated.
    pub fn set_secret_key(&self, secret_key: &str) {
        self.state().endpoint.set_secret_key(secret_key);
    }

    /// Ends a running task as if its stream had vanished. Returns false when no task of that id runs.
    pub fn kill_task(&self, task_id: &str) -> bool {
        let mut state = self.state();
        let now = self.now();
        self.shared.wake.notify_one();
        state.endpoint.kill(task_id, now)
    }

    /// From now on media can be pulled, or cannot: callbacks tell of the tasks that play it.
    pub fn set_media(&self, url: &str, is_there: bool) {
        let mut state = self.state();
        let now = self.now();
        state.endpoint.set_media(url, is_there, now);
        self.shared.wake.notify_one();
    }

    /// The callbacks that must be sent now, with what the fault plan does to each, and when the next one may follow.
    fn due_callbacks(&self) -> (Vec<(CallbackEvent, Option<Disturbance>)>, Option<Timestamp>) {
        let mut state = self.state();
        let now = self.now();
        state.endpoint.callbacks(now)
    }

    /// What a request that is the first on its connection waits before it arrives.
    fn cold_delay(&self, received: &Received) -> Duration {
        self.state().endpoint.cold_delay(received)
    }

    /// The request arrives. The clock is read under the lock, so that arrivals are in the order of their instants.
    fn arrive(&self, received: &Received) -> HandledRequest {
        let mut state = self.state();
        let now = self.now();
        let handled = state.endpoint.take(received, now);
        if state.arrivals.len() == ARRIVALS_KEPT_MAX {
            state.arrivals.pop_front();
        }
        state.arrivals.push_back(handled.arrival.clone());
        // Sent under the lock too: subscribers see the order of arrival. It is not an error when nobody listens.
        let _ = self.shared.feed.send(handled.arrival.clone());
        self.shared.wake.notify_one();
        handled
    }

    fn state(&self) -> MutexGuard<'_, SandboxState> {
        // A panic under the lock fails the request it came from; the state is plain data and still the best there is.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
