//! The simulated wire between the daemon and the cloud: answers that are late, wrong or lost, each before or after its effect; and
//! the record of every request, made when it leaves. Refuses to know the daemon, except for its ledger: no start may leave without a
//! durable row, so the row is looked up at that moment, on a connection of our own.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ingestd::daemon::Handle;
use ingestd::engine::SecretsRead;
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::trtc::{Action, Answer, Api, Body, Fault, Repeat, Request, Success, TaskStatus};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::clock::SimClock;
use crate::cloud::{Cloud, SimTask, job_of, rejected};
use crate::faults::{Plan, RequestStep};
use crate::random::Random;

pub(crate) const APP_ID: u64 = 1_400_000_001;

/// What an answer said to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    Started(String),
    Exists,
    Stopped,
    /// Of a describe: whether it runs.
    Runs(bool),
    /// A fault that proves that nothing began.
    Nothing,
    /// One that does not.
    Doubt,
}

/// An armed or calling row of a start's job, when the start left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) start: Timestamp,
    pub(crate) end: Option<Timestamp>,
    pub(crate) attempts: u32,
    pub(crate) has_call: bool,
}

/// One request, from when it left. Times are true ones, but for `wall`.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    pub(crate) at: Timestamp,
    /// What the daemon's clock showed.
    pub(crate) wall: Timestamp,
    pub(crate) action: Action,
    /// The job of a start, the task of a stop or describe.
    pub(crate) subject: String,
    pub(crate) room: String,
    /// Of a start.
    pub(crate) claims: Vec<Claim>,
    pub(crate) max_duration: Option<u16>,
    pub(crate) is_loop: bool,
    pub(crate) answered: Option<(Timestamp, AnswerKind)>,
    pub(crate) is_slow: bool,
}

pub(crate) struct State {
    pub(crate) cloud: Cloud,
    pub(crate) sends: Vec<Send>,
    /// The daemon of now, for callbacks.
    pub(crate) handle: Option<Handle>,
    /// When callbacks named a task of a job to a daemon.
    pub(crate) callbacks_received: Vec<(Timestamp, String)>,
    /// At which of the daemon's requests it dies.
    pub(crate) dies_at: Option<(RequestStep, u32)>,
    ledger: rusqlite::Connection,
    random: Random,
}

/// The simulated endpoint. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SimApi {
    state: Arc<Mutex<State>>,
    pub(crate) clock: SimClock,
    pub(crate) death: Arc<Notify>,
    outages: Arc<Vec<(Timestamp, Timestamp)>>,
    callbacks: bool,
}

/// What will happen to a request, drawn when it leaves.
struct Delivery {
    to_server: Duration,
    back: Duration,
    refused: bool,
    effect: bool,
    fault: Option<Fault>,
    /// The answer never comes: a cut after so long, or else the limit.
    lost: Option<Duration>,
    retry_after: Option<Duration>,
}

const CALL_LIMIT: Duration = Duration::from_secs(10);

impl SimApi {
    pub(crate) fn new(seed: u64, plan: &Plan, clock: SimClock, ledger: rusqlite::Connection) -> SimApi {
        let cloud = Cloud::new(plan.exist, plan.fault_rates, plan.rate, Random::for_purpose(seed, 2));
        let (sends, callbacks_received) = (Vec::new(), Vec::new());
        let state =
            State { cloud, sends, handle: None, callbacks_received, dies_at: None, ledger, random: Random::for_purpose(seed, 3) };
        SimApi {
            state: Arc::new(Mutex::new(state)),
            clock,
            death: Arc::new(Notify::new()),
            outages: Arc::new(plan.outages.clone()),
            callbacks: plan.callbacks,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    /// Counts a step of a request; the daemon dies at the one that was chosen.
    fn passes(&self, point: RequestStep) -> bool {
        let mut state = self.state();
        let Some((chosen, left)) = &mut state.dies_at else { return false };
        if *chosen != point {
            return false;
        }
        *left -= 1;
        let dies = *left == 0;
        if dies {
            state.dies_at = None;
            self.death.notify_one();
        }
        dies
    }

    fn record_answer(&self, send: usize, result: Result<Success, Fault>, retry_after: Option<Duration>) -> Answer {
        let kind = match &result {
            Ok(Success::Started { task_id }) => AnswerKind::Started(task_id.clone()),
            Ok(Success::Stopped) => AnswerKind::Stopped,
            Ok(Success::Described(status)) => AnswerKind::Runs(*status == TaskStatus::InProgress),
            Err(Fault::Rejected { code, .. }) => match code.as_str() {
                "FailedOperation.TaskExist" => AnswerKind::Exists,
                "FailedOperation.TaskFinished" | "FailedOperation.TaskNotExist" => AnswerKind::Stopped,
                "RequestLimitExceeded"
                | "ResourceInsufficient.RequestRejection"
                | "InvalidParameter.StreamUrl"
                | "InvalidParameter.TaskId" => AnswerKind::Nothing,
                _ => AnswerKind::Doubt,
            },
            Err(Fault::Connect(_)) => AnswerKind::Nothing,
            Err(_) => AnswerKind::Doubt,
        };
        let at = self.clock.truth();
        self.state().sends[send].answered = Some((at, kind));
        Answer { retry_after, ..Answer::bare(result) }
    }

    /// Tells the daemon of then, if callbacks are on: late, twice, or not at all.
    pub(crate) fn send_callback(&self, task_id: String, job: String, news: TaskNews, at: Timestamp) {
        if !self.callbacks {
            return;
        }
        let (copies, delays): (u64, Vec<u64>) = {
            let random = &mut self.state().random;
            let copies = match random.below(10) {
                0 => 0,
                1 => 2,
                _ => 1,
            };
            let late = |random: &mut Random| if random.percent(15) { random.below(60_000) } else { 50 + random.below(2_000) };
            (copies, (0..copies).map(|_| late(random)).collect())
        };
        debug_assert_eq!(delays.len() as u64, copies);
        for delay in delays {
            let (server, task_id, job) = (self.clone(), task_id.clone(), job.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                let now = server.clock.truth();
                let mut state = server.state();
                let callback = Callback { sdk_app_id: APP_ID, task_id, news, at };
                if state.handle.as_ref().is_some_and(|handle| handle.callback(callback).is_some()) {
                    state.callbacks_received.push((now, job));
                }
            });
        }
    }

    /// Somebody else starts a task. Only callbacks report it.
    pub(crate) fn foreign(&self, id: &str) {
        let now = self.clock.truth();
        self.state().cloud.tasks.push(SimTask {
            id: id.to_owned(),
            room: id.to_owned(),
            robot: id.to_owned(),
            job: "foreign".into(),
            send: usize::MAX,
            started_at: now,
            ends_at: now + SignedDuration::from_mins(10),
            stopped_at: None,
            vanishes: false,
        });
        self.send_callbacks_of(id);
    }

    /// The callbacks of a task, from its start to its end.
    fn send_callbacks_of(&self, task_id: &str) {
        if !self.callbacks {
            return;
        }
        let found = self.state().cloud.tasks.iter().find(|task| task.id == task_id).cloned();
        let Some(task) = found else { return };
        self.send_callback(task.id.clone(), task.job.clone(), TaskNews::Started, task.started_at);
        let server = self.clone();
        tokio::spawn(async move {
            if task.ends_at < task.started_at + SignedDuration::from_hours(24) {
                server.clock.until(task.ends_at).await;
                server.send_end_callback(&task.id);
            }
        });
    }

    fn send_end_callback(&self, task_id: &str) {
        let now = self.clock.truth();
        let found = self.state().cloud.tasks.iter().find(|task| task.id == task_id && task.end() == now).cloned();
        if let Some(task) = found {
            self.send_callback(task.id, task.job, TaskNews::Stopped, now);
        }
    }

    fn arrived(&self, request: &Request, send: usize, has_effect: bool, fault: Option<Fault>) -> Result<Success, Fault> {
        let now = self.clock.truth();
        let result = {
            let mut state = self.state();
            if !state.cloud.admits(request.body.action(), now) {
                return Err(rejected("RequestLimitExceeded"));
            }
            if !has_effect {
                return Err(fault.expect("without an effect there is a fault"));
            }
            state.cloud.apply(request, send, now)
        };
        match (&request.body, &result) {
            (Body::Start { .. }, Ok(Success::Started { task_id })) => self.send_callbacks_of(task_id),
            (Body::Stop { task_id }, Ok(_)) => self.send_end_callback(task_id),
            _ => {}
        }
        self.passes(RequestStep::Effect);
        // A rejection is what it is, whatever happens to its answer.
        match (fault, result) {
            (Some(fault), _) => Err(fault),
            (None, result) => result,
        }
    }
}

impl State {
    fn delivery(&mut self, action: Action, is_out: bool) -> Delivery {
        let fault_rates = self.cloud.fault_rates;
        let random = &mut self.random;
        let mut delivery = Delivery {
            to_server: Duration::from_millis(1 + random.below(120)),
            back: Duration::from_millis(1 + random.below(80)),
            refused: random.percent(fault_rates.refused) || (is_out && random.percent(50)),
            effect: true,
            fault: None,
            lost: None,
            retry_after: None,
        };
        let half = random.percent(50);
        let gateway = Fault::Status(if half { 502 } else { 503 });
        if random.percent(fault_rates.internal) {
            delivery.fault = Some(rejected("InternalError.InternalError"));
        } else if random.percent(fault_rates.unknown) {
            delivery.fault = Some(rejected("FailedOperation.Whatever"));
        } else if random.percent(fault_rates.gateway) {
            delivery.fault = Some(gateway);
            delivery.retry_after = random.percent(30).then(|| Duration::from_secs(1 + random.below(20)));
        } else if random.percent(fault_rates.insufficient) {
            delivery.effect = false;
            delivery.fault = Some(rejected("ResourceInsufficient.RequestRejection"));
            return delivery;
        } else if random.percent(fault_rates.lost) || is_out || (action == Action::Describe && random.percent(fault_rates.hang)) {
            let cut = random.percent(50).then(|| Duration::from_millis(random.below(9_000)));
            delivery.fault = Some(if cut.is_some() { Fault::Cut("planned".into()) } else { Fault::Timeout });
            delivery.lost = Some(cut.unwrap_or(CALL_LIMIT));
        } else if random.percent(fault_rates.slow) {
            delivery.to_server += Duration::from_millis(random.below(1_500));
            delivery.back += Duration::from_millis(random.below(7_500));
        }
        delivery.effect = delivery.fault.is_none() || (half && !is_out);
        delivery
    }

    /// The rows by which a start of `job` may leave now.
    fn claims(&self, job: &str) -> Vec<Claim> {
        let sql = "SELECT start_ms, end_ms, attempts, (SELECT count(*) FROM call WHERE call.occurrence = occurrence.id \
            AND action = 'StartStreamIngest' AND call.attempt = occurrence.attempts AND sent_ms IS NULL) \
            FROM occurrence WHERE job = ?1 AND state IN ('armed', 'calling')";
        let instant = |value: i64| Timestamp::from_millisecond(value).expect("an instant");
        let mut statement = self.ledger.prepare_cached(sql).expect("it prepares");
        let rows = statement.query_map([job], |row| {
            let end: Option<i64> = row.get(1)?;
            let calls: i64 = row.get(3)?;
            Ok(Claim { start: instant(row.get(0)?), end: end.map(instant), attempts: row.get(2)?, has_call: calls >= 1 })
        });
        rows.expect("it runs").map(|row| row.expect("it reads")).collect()
    }
}

impl Api for SimApi {
    async fn call(&self, request: Request, wall: Timestamp) -> Answer {
        let at = self.clock.truth();
        let (send, delivery) = {
            let mut state = self.state();
            let action = request.body.action();
            let is_out = self.outages.iter().any(|(from, to)| *from <= at && at < *to);
            let delivery = state.delivery(action, is_out);
            let mut send = Send {
                at,
                wall,
                action,
                subject: String::new(),
                room: String::new(),
                claims: Vec::new(),
                max_duration: None,
                is_loop: false,
                answered: None,
                is_slow: delivery.to_server > Duration::from_millis(200) || delivery.lost.is_some(),
            };
            if let Body::Start { params, .. } = &request.body {
                send.subject = job_of(params.stream_url.reveal());
                send.room = params.room.to_string();
                send.claims = state.claims(&send.subject);
                send.max_duration = params.max_duration;
                send.is_loop = params.repeat == Some(Repeat::Forever);
            } else if let Some(task_id) = request.body.task_id() {
                task_id.clone_into(&mut send.subject);
            }
            state.sends.push(send);
            (state.sends.len() - 1, delivery)
        };
        // A daemon that dies as it sends has sent it or has not.
        let never_leaves = self.passes(RequestStep::Send) && self.state().random.percent(50);
        if delivery.refused || never_leaves {
            tokio::time::sleep(delivery.to_server).await;
            return self.record_answer(send, Err(Fault::Connect("planned".into())), None);
        }
        // What is on the wire arrives whether or not the caller still waits.
        let server = self.clone();
        let (effect, fault) = (delivery.effect, delivery.fault.clone());
        let arrives = tokio::spawn(async move {
            tokio::time::sleep(delivery.to_server).await;
            server.arrived(&request, send, effect, fault)
        });
        let result = if let Some(after) = delivery.lost {
            tokio::time::sleep(after.max(delivery.to_server)).await;
            Err(delivery.fault.expect("what is lost is a fault"))
        } else {
            let result = arrives.await.expect("the simulated server does not panic");
            tokio::time::sleep(delivery.back).await;
            result
        };
        let answer = self.record_answer(send, result, delivery.retry_after);
        self.passes(RequestStep::Answer);
        answer
    }

    async fn warm(&self, _count: usize) {}

    fn set_clock_offset(&self, _offset_ms: i64) {}

    async fn reread_secrets(&self) -> SecretsRead {
        SecretsRead::Same
    }
}
