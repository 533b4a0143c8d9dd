//! The simulated TRTC: tasks that live and end, under one of the four readings of `TaskExist`. It keeps the truth that the checkers
//! hold the ledger against. Does not know what happens to an answer on its way back.

use std::collections::VecDeque;

use ingestd::trtc::{Action, Body, Fault, Repeat, Request, StartParams, Success, TaskStatus};
use jiff::{SignedDuration, Timestamp};

use crate::faults::{Exist, FaultRates};
use crate::random::Random;

/// A task, as the cloud knows it. All times are true ones.
#[derive(Clone, Debug)]
pub(crate) struct SimTask {
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) robot: String,
    /// The job whose stream it plays.
    pub(crate) job: String,
    /// The request that began it.
    pub(crate) send: usize,
    pub(crate) started_at: Timestamp,
    /// When it ends by itself.
    pub(crate) ends_at: Timestamp,
    pub(crate) stopped_at: Option<Timestamp>,
    pub(crate) vanishes: bool,
    /// Its media cannot be pulled, at first or ever.
    pub(crate) is_unpulled: bool,
}

impl SimTask {
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        now < self.end()
    }

    pub(crate) fn end(&self) -> Timestamp {
        self.stopped_at.map_or(self.ends_at, |stopped| stopped.min(self.ends_at))
    }
}

pub(crate) struct Cloud {
    pub(crate) exist: Exist,
    pub(crate) fault_rates: FaultRates,
    pub(crate) tasks: Vec<SimTask>,
    /// Requests that were over the limit.
    pub(crate) rejections: usize,
    rate: usize,
    windows: [VecDeque<Timestamp>; 3],
    random: Random,
}

/// The job that a stream's URL names.
pub(crate) fn job_of(url: &str) -> String {
    url.split('/').nth(3).expect("the generator writes the job there").to_owned()
}

pub(crate) fn rejected(code: &str) -> Fault {
    Fault::Rejected { code: code.into(), message: "planned".into() }
}

impl Cloud {
    pub(crate) fn new(exist: Exist, fault_rates: FaultRates, rate: u32, random: Random) -> Cloud {
        Cloud { exist, fault_rates, tasks: Vec::new(), rejections: 0, rate: rate as usize, windows: Default::default(), random }
    }

    /// The rate limit, counted on arrival in any window of a second.
    pub(crate) fn admits(&mut self, action: Action, now: Timestamp) -> bool {
        let window = &mut self.windows[action as usize];
        while window.front().is_some_and(|oldest| now.duration_since(*oldest) >= SignedDuration::from_secs(1)) {
            window.pop_front();
        }
        window.push_back(now);
        let admitted = window.len() <= self.rate;
        self.rejections += usize::from(!admitted);
        admitted
    }

    pub(crate) fn apply(&mut self, request: &Request, send: usize, now: Timestamp) -> Result<Success, Fault> {
        let (lag, over) = (self.fault_rates.lag, self.random.percent(50));
        match &request.body {
            Body::Start { params, .. } => self.start(params, send, now),
            Body::Stop { task_id } => match self.tasks.iter_mut().find(|task| &task.id == task_id) {
                Some(task) if task.is_live(now) => {
                    task.stopped_at = Some(now);
                    Ok(Success::Stopped)
                }
                Some(_) if over => Err(rejected("FailedOperation.TaskFinished")),
                Some(_) => Err(rejected("FailedOperation.TaskNotExist")),
                None => Err(rejected("InvalidParameter.TaskId")),
            },
            Body::Describe { task_id } => {
                let task = self.tasks.iter().find(|task| &task.id == task_id && task.is_live(now));
                let Some(task) = task else {
                    return if over {
                        Ok(Success::Described(TaskStatus::NotExist))
                    } else {
                        Err(rejected("FailedOperation.TaskNotExist"))
                    };
                };
                let is_young = now.duration_since(task.started_at) < SignedDuration::from_secs(7);
                let is_seen = !(is_young && self.random.percent(lag));
                Ok(Success::Described(if is_seen { TaskStatus::InProgress } else { TaskStatus::NotExist }))
            }
        }
    }

    fn start(&mut self, params: &StartParams, send: usize, now: Timestamp) -> Result<Success, Fault> {
        let room = params.room.to_string();
        if params.stream_url.reveal().contains("forbidden") {
            return Err(rejected("InvalidParameter.StreamUrl"));
        }
        let same_robot = |task: &SimTask| task.robot == params.user_id && task.is_live(now);
        let exists = match self.exist {
            Exist::RoomUser => self.tasks.iter().any(|task| same_robot(task) && task.room == room),
            Exist::User => self.tasks.iter().any(same_robot),
            Exist::Displace | Exist::Both => false,
        };
        if exists {
            return Err(rejected("FailedOperation.TaskExist"));
        }
        if self.exist == Exist::Displace {
            for older in self.tasks.iter_mut().filter(|task| same_robot(task)) {
                older.stopped_at = Some(now);
            }
        }
        let id = format!("task+{}-..", self.tasks.len() + 1);
        let plays = |times: i64| {
            let name = params.stream_url.reveal().rsplit(['-', '/']).next().unwrap_or("");
            let length: i64 = name.trim_end_matches(".mp4").parse().expect("the generator writes the media's length there");
            SignedDuration::from_secs(length * times - params.seek_second.unwrap_or(0).cast_signed())
                .max(SignedDuration::from_secs(1))
        };
        let media = match params.repeat {
            Some(Repeat::Forever) => SignedDuration::from_mins(params.max_duration.map_or(1_000_000, i64::from)),
            // A live source goes on until it is stopped.
            _ if params.stream_url.reveal().starts_with("rtmp") => SignedDuration::from_hours(1000),
            Some(Repeat::Times(times)) => plays(times.into()),
            None => plays(1),
        };
        let vanishes = self.random.percent(self.fault_rates.vanish);
        let lasts = if vanishes { SignedDuration::from_secs(self.random.within(3, 400)).min(media) } else { media };
        self.tasks.push(SimTask {
            id: id.clone(),
            room,
            robot: params.user_id.clone(),
            job: job_of(params.stream_url.reveal()),
            send,
            started_at: now,
            ends_at: now + lasts,
            stopped_at: None,
            vanishes: vanishes && lasts < media,
            is_unpulled: false,
        });
        Ok(Success::Started { task_id: id })
    }
}
