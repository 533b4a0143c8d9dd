//! A simulated TRTC: tasks that live and end, answers that are late, wrong or lost, each before or after its effect. What it does
//! follows from a seed alone. It also keeps the truth that the checkers hold the ledger against.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingestd::clock::Clock;
use ingestd::trtc::{Action, Answer, Api, Body, Fault, Repeat, Request, StartParams, Success, TaskStatus};
use jiff::{SignedDuration, Timestamp};

use crate::clock::SimClock;

/// Splitmix64: small, well known, and the same everywhere.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True so many times in a hundred.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A task, as the cloud knows it.
#[derive(Clone, Debug)]
pub(crate) struct SimTask {
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) robot: String,
    pub(crate) started_at: Timestamp,
    /// When it ends by itself.
    pub(crate) ends_at: Timestamp,
    pub(crate) stopped_at: Option<Timestamp>,
    /// Whether its start's answer reached the caller.
    pub(crate) answered: bool,
}

impl SimTask {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        now < self.end()
    }

    pub(crate) fn end(&self) -> Timestamp {
        self.stopped_at.map_or(self.ends_at, |stopped| stopped.min(self.ends_at))
    }
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) sent_at: Timestamp,
    pub(crate) action: Action,
    /// The robot of a start, the task of a stop or describe.
    pub(crate) subject: String,
}

/// How often things go wrong, in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Rejected with a transient code; half of them after the effect.
    pub(crate) internal: u64,
    /// No answer in 10 s, or a cut; half of them after the effect.
    pub(crate) lost: u64,
    /// Cannot connect.
    pub(crate) refused: u64,
    /// A status of 502.
    pub(crate) gateway: u64,
    /// A task vanishes within minutes.
    pub(crate) vanish: u64,
}

impl Weather {
    pub(crate) const CALM: Weather = Weather { internal: 0, lost: 0, refused: 0, gateway: 0, vanish: 0 };
    pub(crate) const STORMY: Weather = Weather { internal: 8, lost: 5, refused: 5, gateway: 3, vanish: 3 };
}

pub(crate) struct State {
    random: Random,
    pub(crate) weather: Weather,
    pub(crate) tasks: Vec<SimTask>,
    pub(crate) arrivals: Vec<Arrival>,
    window: [VecDeque<Timestamp>; 3],
    pub(crate) rejections: usize,
    next_id: u64,
}

/// The simulated endpoint. Clones are the same one.
#[derive(Clone)]
pub(crate) struct SimApi {
    pub(crate) state: Arc<Mutex<State>>,
    clock: SimClock,
}

/// What will happen to a request, drawn before it leaves.
struct Fate {
    to_server: Duration,
    back: Duration,
    refused: bool,
    effect: bool,
    fault: Option<Fault>,
    /// The answer never comes.
    lost: bool,
}

const RATE: usize = 20;
const CALL_LIMIT: Duration = Duration::from_secs(10);

impl SimApi {
    pub(crate) fn new(seed: u64, weather: Weather, clock: SimClock) -> SimApi {
        let state = State {
            random: Random::new(seed),
            weather,
            tasks: Vec::new(),
            arrivals: Vec::new(),
            window: Default::default(),
            rejections: 0,
            next_id: 1,
        };
        SimApi { state: Arc::new(Mutex::new(state)), clock }
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }
}

impl State {
    fn fate(&mut self) -> Fate {
        let weather = self.weather;
        let random = &mut self.random;
        let mut fate = Fate {
            to_server: Duration::from_millis(1 + random.below(120)),
            back: Duration::from_millis(1 + random.below(80)),
            refused: random.percent(weather.refused),
            effect: true,
            fault: None,
            lost: false,
        };
        if random.percent(weather.internal) {
            fate.effect = random.percent(50);
            fate.fault = Some(Fault::Rejected { code: "InternalError.InternalError".into(), message: "planned".into() });
        } else if random.percent(weather.gateway) {
            fate.effect = random.percent(50);
            fate.fault = Some(Fault::Status(502));
        } else if random.percent(weather.lost) {
            fate.effect = random.percent(50);
            fate.lost = true;
            fate.fault = Some(if random.percent(50) { Fault::Timeout } else { Fault::Cut("planned".into()) });
        }
        fate
    }

    /// The rate limit, counted on arrival in any window of a second.
    fn admits(&mut self, action: Action, now: Timestamp) -> bool {
        let window = &mut self.window[action as usize];
        while window.front().is_some_and(|oldest| now.duration_since(*oldest) >= SignedDuration::from_secs(1)) {
            window.pop_front();
        }
        window.push_back(now);
        let admitted = window.len() <= RATE;
        self.rejections += usize::from(!admitted);
        admitted
    }

    fn apply(&mut self, request: &Request, now: Timestamp) -> Result<Success, Fault> {
        match &request.body {
            Body::Start { params, .. } => self.start(params, now),
            Body::Stop { task_id } => match self.tasks.iter_mut().find(|task| &task.id == task_id) {
                Some(task) if task.is_live(now) => {
                    task.stopped_at = Some(now);
                    Ok(Success::Stopped)
                }
                _ => Err(Fault::Rejected { code: "FailedOperation.TaskFinished".into(), message: "planned".into() }),
            },
            Body::Describe { task_id } => {
                let live = self.tasks.iter().any(|task| &task.id == task_id && task.is_live(now));
                Ok(Success::Described(if live { TaskStatus::InProgress } else { TaskStatus::NotExist }))
            }
        }
    }

    fn start(&mut self, params: &StartParams, now: Timestamp) -> Result<Success, Fault> {
        let room = params.room.to_string();
        if params.stream_url.contains("forbidden") {
            return Err(Fault::Rejected { code: "InvalidParameter.StreamUrl".into(), message: "planned".into() });
        }
        if self.tasks.iter().any(|task| task.robot == params.user_id && task.room == room && task.is_live(now)) {
            return Err(Fault::Rejected { code: "FailedOperation.TaskExist".into(), message: "planned".into() });
        }
        let id = format!("task+{}-..", self.next_id);
        self.next_id += 1;
        let media = match params.repeat {
            Some(Repeat::Forever) => SignedDuration::from_mins(params.max_duration.map_or(10_080, i64::from)),
            // A live source goes on until it is stopped.
            _ if params.stream_url.starts_with("rtmp") => SignedDuration::from_hours(1000),
            // Every test media lasts ten minutes.
            other => {
                let plays = if let Some(Repeat::Times(plays)) = other { i64::from(plays) } else { 1 };
                SignedDuration::from_mins(10 * plays) - SignedDuration::from_secs(params.seek_second.unwrap_or(0).cast_signed())
            }
        };
        let vanishes = self.random.percent(self.weather.vanish);
        let life = if vanishes { SignedDuration::from_secs(20 + self.random.below(300).cast_signed()).min(media) } else { media };
        self.tasks.push(SimTask {
            id: id.clone(),
            room,
            robot: params.user_id.clone(),
            started_at: now,
            ends_at: now + life,
            stopped_at: None,
            answered: false,
        });
        Ok(Success::Started { task_id: id })
    }
}

impl Api for SimApi {
    async fn call(&self, request: Request, sent_at: Timestamp) -> Answer {
        let fate = self.state().fate();
        if fate.refused {
            tokio::time::sleep(fate.to_server).await;
            return Answer::bare(Err(Fault::Connect("planned".into())));
        }
        // What is on the wire arrives whether or not the caller still waits.
        let server = self.clone();
        let arrives = tokio::spawn(async move {
            tokio::time::sleep(fate.to_server).await;
            let now = server.clock.now();
            let mut state = server.state();
            let action = request.body.action();
            let subject = match &request.body {
                Body::Start { params, .. } => params.user_id.clone(),
                Body::Stop { task_id } | Body::Describe { task_id } => task_id.clone(),
            };
            state.arrivals.push(Arrival { sent_at, action, subject });
            if !state.admits(action, now) {
                return Err(Fault::Rejected { code: "RequestLimitExceeded".into(), message: "planned".into() });
            }
            if fate.effect {
                let result = state.apply(&request, now);
                return match fate.fault {
                    Some(fault) => Err(fault),
                    None => result,
                };
            }
            Err(fate.fault.expect("without an effect there is a fault"))
        });
        if fate.lost {
            let fault = arrives.await.expect("the simulated server does not panic").err().unwrap_or(Fault::Timeout);
            tokio::time::sleep(CALL_LIMIT).await;
            return Answer::bare(Err(fault));
        }
        let result = arrives.await.expect("the simulated server does not panic");
        tokio::time::sleep(fate.back).await;
        if let Ok(Success::Started { task_id }) = &result {
            let mut state = self.state();
            if let Some(task) = state.tasks.iter_mut().find(|task| &task.id == task_id) {
                task.answered = true;
            }
        }
        Answer::bare(result)
    }

    async fn warm(&self, _count: usize) {}

    fn set_clock_offset(&self, _offset_ms: i64) {}

    fn reread_credentials(&self) {}
}
