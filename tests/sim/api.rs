//! The simulated wire between the daemon and the cloud: requests and answers that are late, wrong or lost, each before or after its
//! effect, and callbacks. Does not draw what goes wrong with a request, and keeps no record of its own.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ingestd::engine::SecretsRead;
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::trtc::{Answer, Api, Body, Fault, Request, Success, TaskStatus};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::clock::SimClock;
use crate::cloud::{Cloud, SimTask, rejected};
use crate::delivery::Delivery;
use crate::endpoint::{AnswerKind, Received, State};
use crate::faults::{Plan, RequestStep};
use crate::media;
use crate::random::Random;

pub(crate) const APP_ID: u64 = 1_400_000_001;

/// The simulated endpoint. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SimApi {
    state: Arc<Mutex<State>>,
    pub(crate) clock: SimClock,
    pub(crate) death: Arc<Notify>,
    outages: Arc<Vec<(Timestamp, Timestamp)>>,
    callbacks: bool,
}

impl SimApi {
    pub(crate) fn new(seed: u64, plan: &Plan, clock: SimClock, ledger: rusqlite::Connection) -> SimApi {
        let cloud = Cloud::new(plan.exist, plan.fault_rates, plan.rate, Random::for_purpose(seed, 2));
        let state = State::new(seed, plan, cloud, ledger);
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

    /// A request that does not get as far as the endpoint.
    pub(crate) async fn call_in_vain(&self, request: &Request, wall: Timestamp, after: Duration) -> Answer {
        let at = self.clock.truth();
        let send = self.state().leaves(request, at, wall, true);
        tokio::time::sleep(after).await;
        self.record_answer(send, Err(Fault::Connect("cut".into())), None)
    }

    /// What the daemon is told; `delivery`: of an answer that came from the endpoint.
    fn record_answer(&self, send: usize, result: Result<Success, Fault>, delivery: Option<&Delivery>) -> Answer {
        let kind = match &result {
            Ok(Success::Started { task_id }) => AnswerKind::Started(task_id.clone()),
            Ok(Success::Stopped) => AnswerKind::Stopped,
            Ok(Success::Described(status)) => AnswerKind::Runs(*status == TaskStatus::InProgress),
            Err(Fault::Rejected { code, .. }) => match code.as_str() {
                "FailedOperation.TaskExist" => AnswerKind::Exists,
                "FailedOperation.TaskFinished" | "FailedOperation.TaskNotExist" => AnswerKind::Stopped,
                "RequestLimitExceeded" | "ResourceInsufficient.RequestRejection" | "UnsupportedRegion" => AnswerKind::Nothing,
                // What is wrong with a request or an account stands before anything begins.
                code if code.starts_with("InvalidParameter.") || code.starts_with("AuthFailure.") => AnswerKind::Nothing,
                _ => AnswerKind::Doubt,
            },
            Err(Fault::Connect(_)) => AnswerKind::Nothing,
            Err(_) => AnswerKind::Doubt,
        };
        let at = self.clock.truth();
        let mut state = self.state();
        let request = &mut state.sends[send];
        request.answered = Some((at, kind));
        if let Err(Fault::Rejected { code, .. }) = &result {
            request.code.clone_from(code);
        }
        let server_date = delivery.map(|delivery| state.date(at, delivery.is_wrong_node));
        Answer { retry_after: delivery.and_then(|delivery| delivery.retry_after), server_date, ..Answer::bare(result) }
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
                let callback = Callback { sdk_app_id: APP_ID, task_id: task_id.clone(), news, at };
                if state.handle.as_ref().is_some_and(|handle| handle.callback(callback).is_some()) {
                    state.callbacks_received.push(Received { at: now, task_id, job, news });
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
            is_unpulled: false,
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
        let never_plays = task.ends_at <= task.started_at;
        let news = if never_plays || task.is_unpulled { TaskNews::StartFailed } else { TaskNews::Started };
        self.send_callback(task.id.clone(), task.job.clone(), news, task.started_at);
        if task.is_unpulled && !never_plays && self.state().extra.percent(40) {
            // It is pulled in the end.
            let after = Duration::from_secs(5 + self.state().extra.below(50));
            let (server, task) = (self.clone(), task.clone());
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                server.send_callback(task.id, task.job, TaskNews::Started, server.clock.truth());
            });
        }
        let server = self.clone();
        tokio::spawn(async move {
            if task.ends_at < task.started_at + SignedDuration::from_hours(24) {
                server.clock.until(task.ends_at).await;
                server.send_end_callback(&task.id);
            }
        });
    }

    /// A stop that was accepted takes effect later; or never, where the task is over soon by itself.
    fn stop_later(&self, state: &mut State, task_id: &str, now: Timestamp) {
        let is_over_soon = |task: &SimTask| task.id == task_id && task.ends_at < now + SignedDuration::from_mins(12);
        let after = Duration::from_secs(2 + state.extra.below(240));
        if state.extra.percent(50) && state.cloud.tasks.iter().any(is_over_soon) {
            return;
        }
        let (server, task_id) = (self.clone(), task_id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let now = server.clock.truth();
            let mut state = server.state();
            if let Some(task) = state.cloud.tasks.iter_mut().find(|task| task.id == task_id && task.is_live(now)) {
                task.stopped_at = Some(now);
                drop(state);
                server.send_end_callback(&task_id);
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
            if let Some(code) = state.refuses_signature(send, now) {
                return Err(rejected(code));
            }
            if !has_effect {
                return Err(fault.expect("without an effect there is a fault"));
            }
            match &request.body {
                Body::Stop { task_id } if state.troubles.stops_are_idle(now) && state.is_live(task_id, now) => {
                    state.sends[send].was_idle = true;
                    self.stop_later(&mut state, task_id, now);
                    Ok(Success::Stopped)
                }
                Body::Start { params, .. } if media::is_refused(&state.troubles.dead, params.stream_url.reveal(), now) => {
                    Err(rejected("InvalidParameter.StreamUrl"))
                }
                _ => state.cloud.apply(request, send, now),
            }
        };
        match (&request.body, &result) {
            (Body::Start { .. }, Ok(Success::Started { task_id })) => {
                self.state().spoil(task_id);
                self.send_callbacks_of(task_id);
            }
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

impl Api for SimApi {
    async fn call(&self, request: Request, wall: Timestamp) -> Answer {
        let at = self.clock.truth();
        let (send, delivery) = {
            let mut state = self.state();
            let action = request.body.action();
            let is_out = self.outages.iter().any(|(from, to)| *from <= at && at < *to);
            let delivery = state.draw(action, at, is_out);
            let is_slow = delivery.to_server > Duration::from_millis(200) || delivery.lost.is_some();
            (state.leaves(&request, at, wall, is_slow), delivery)
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
        let answer = if let Some(after) = delivery.lost {
            tokio::time::sleep(after.max(delivery.to_server)).await;
            self.record_answer(send, Err(delivery.fault.expect("what is lost is a fault")), None)
        } else {
            let result = arrives.await.expect("the simulated server does not panic");
            tokio::time::sleep(delivery.back).await;
            self.record_answer(send, result, Some(&delivery))
        };
        self.passes(RequestStep::Answer);
        answer
    }

    async fn warm(&self, _count: usize) {}

    fn set_clock_offset(&self, offset_ms: i64) {
        let error = i64::try_from(self.clock.error().as_millis()).expect("days at most");
        self.state().take_offset(self.clock.truth(), offset_ms, error);
    }

    async fn reread_secrets(&self) -> SecretsRead {
        if self.state().read_key(self.clock.truth()) {
            SecretsRead::Changed { which: vec!["account.secret_key".to_owned()] }
        } else {
            SecretsRead::Same
        }
    }
}
