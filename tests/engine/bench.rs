//! An engine under a table: each line of input is one step, and what came out is told in lines. No runtime, no clock, no ledger.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ingestd::engine::{
    Blocker, Call, CallReport, ClockReading, Command, DaemonOptions, Engine, FireOrder, Generation, Incoming, Input, Order,
    Prepared, Records, Recovered, SecretsRead, SendFlag, Step, StopTarget, TakenOver, Write,
};
use ingestd::occurrence::{Key, NotSent, TaskStep};
use ingestd::schedule::values::parse_duration;
use ingestd::schedule::{self, JobId, Schedule, Settings, Source};
use ingestd::trtc::advice::SecretPlaces;
use ingestd::trtc::callback::{Callback, TaskNews};
use ingestd::trtc::{Answer, Fault, Room, Success, TaskStatus};
use jiff::{SignedDuration, Timestamp};

use super::told::{notice, told};

/// An instant of the day of every table: `10:00`, `10:00:05` or `10:00:00.250`.
pub(crate) fn at(time: &str) -> Timestamp {
    let time = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    format!("2026-12-01T{time}Z").parse().expect("an instant")
}

/// A schedule of these jobs, with a stream and a room for those that write none.
pub(crate) fn read(jobs: &str) -> Arc<Schedule> {
    let defaults = "timezone: UTC\ndefaults: {room: lobby, stream: 'https://cdn.example.com/a.mp4'}\n";
    let sources = [Source { name: Arc::from("a.yaml"), text: format!("{defaults}jobs:\n{jobs}") }];
    let apps = Some([(Arc::from("main"), 1_400_000_001)].into());
    let settings = Settings { apps, region: Some(Arc::from("ap-singapore")), ..Settings::default() };
    let reading = schedule::read(&sources, &settings, &jiff::tz::TimeZoneDatabase::bundled(), at("00:00"));
    Arc::new(reading.schedule.unwrap_or_else(|| panic!("{:?}", reading.diagnostics)))
}

/// The ledger's part: which rows and tasks there are; or that it cannot be read.
#[derive(Default)]
pub(crate) struct Rows {
    keys: HashSet<Key>,
    tasks: HashSet<String>,
    is_broken: bool,
}

impl Records for Rows {
    fn has(&self, key: &Key, _missed_counts: bool) -> Option<bool> {
        (!self.is_broken).then(|| self.keys.contains(key))
    }

    fn knows_task(&self, task_id: &str) -> Option<bool> {
        (!self.is_broken).then(|| self.tasks.contains(task_id))
    }
}

/// The bench.
pub(crate) struct Bench {
    engine: Engine,
    rows: Rows,
    schedule: Arc<Schedule>,
    generation: i64,
    /// Starts that wait for their instant and their room, by the row of their call.
    waiting: BTreeMap<i64, (Key, SendFlag, Blocker)>,
    /// What could not be written yet.
    unwritten: Vec<Write>,
    wall: Timestamp,
    boot: Duration,
}

fn reading(wall: Timestamp, boot: Duration) -> ClockReading {
    ClockReading { wall, boot, synchronised: None, synchronised_at: None }
}

impl Bench {
    /// Takes over an empty ledger at this time, with these jobs.
    pub(crate) fn begin(time: &str, jobs: &str) -> Bench {
        let (schedule, rows, wall, boot) = (read(jobs), Rows::default(), at(time), Duration::from_hours(1));
        let (rate, secrets) = (NonZeroU32::new(20).expect("not zero"), SecretPlaces::default());
        let options = DaemonOptions { rate, require_sync: false, past: Timestamp::MIN, secrets, shared: None };
        let accepted = Generation { number: 1, schedule: Arc::clone(&schedule) };
        let recovered = Recovered::default();
        let TakenOver { engine, step, .. } =
            Engine::take_over(options, reading(wall, boot), recovered, accepted, Vec::new(), &rows);
        let mut bench =
            Bench { engine, rows, schedule, generation: 1, waiting: BTreeMap::new(), unwritten: Vec::new(), wall, boot };
        bench.commit(&step);
        bench
    }

    /// Takes a step at `time` for what `input` says, and returns what came out: writes, calls, notices, replies.
    pub(crate) fn step(&mut self, time: &str, input: &str) -> Vec<String> {
        let now = at(time);
        if let Some(by) = input.strip_prefix("the clock is set by ") {
            // Boot time goes on by itself; only the wall clock jumps.
            self.wall += by.parse::<SignedDuration>().expect("a duration");
        } else {
            let passed = Duration::try_from(now.duration_since(self.wall)).expect("time goes on");
            self.wall = now;
            self.boot += passed;
        }
        self.send(self.wall);
        self.rows.is_broken = input.ends_with(", unreadable");
        let is_full = input.ends_with(", unwritable");
        let incoming = self.incoming(input.trim_end_matches(", unreadable").trim_end_matches(", unwritable"));
        let is_behind = !self.unwritten.is_empty();
        let step = self.engine.step(incoming, reading(self.wall, self.boot), is_behind, &self.rows);
        let mut told = told(&step);
        if is_full {
            self.unwritten.extend(step.writes.list().iter().cloned());
            self.engine.ledger_failed(false);
        } else {
            told.extend(self.commit(&step));
        }
        if self.rows.is_broken {
            self.engine.ledger_failed(true);
        }
        told
    }

    /// The daemon ends: what is taken back, and what stays.
    pub(crate) fn shut_down(&mut self, time: &str) -> Vec<String> {
        self.step(time, "time passes");
        let step = self.engine.shut_down(reading(self.wall, self.boot));
        let staying = self.engine.staying_on_air(reading(self.wall, self.boot));
        told(&step).into_iter().chain(staying.iter().map(notice)).collect()
    }

    /// Makes the writes of a step stand with those that wait, and lets the starts that they permit begin and be sent. Returns which of
    /// them wait for their room.
    fn commit(&mut self, step: &Step) -> Vec<String> {
        for call in &step.calls {
            match call {
                Call::Block { call, blocker } => {
                    if let Some(waiting) = self.waiting.get_mut(call) {
                        waiting.2 = *blocker;
                    }
                }
                Call::TakenBack { call } => drop(self.waiting.remove(call)),
                _ => {}
            }
        }
        let mut writes = std::mem::take(&mut self.unwritten);
        writes.extend(step.writes.list().iter().cloned());
        for write in &writes {
            match write {
                Write::Record(occurrence) => drop(self.rows.keys.insert(occurrence.key.clone())),
                Write::Remove(key) => drop(self.rows.keys.remove(key)),
                Write::AddTask(task) => drop(self.rows.tasks.insert(task.task_id.clone())),
                Write::OrphanGone { task_id, .. } => drop(self.rows.tasks.insert(task_id.clone())),
                _ => {}
            }
        }
        let mut blocked = Vec::new();
        for write in &writes {
            if let Write::Attempt { key, call, .. } = write
                && let Some(start) = self.engine.begin_start(key, *call)
            {
                if start.blocker != Blocker::Nothing {
                    blocked.push(format!("call {call} waits for {:?}", start.blocker));
                }
                self.waiting.insert(*call, (key.clone(), start.flag, start.blocker));
            }
        }
        self.send(step.now);
        blocked
    }

    /// Sends every start whose instant has come and whose room is free, unless it was taken back.
    fn send(&mut self, now: Timestamp) {
        for (_, (_, flag, _)) in
            self.waiting.extract_if(.., |_, (key, _, blocker)| key.start <= now && *blocker == Blocker::Nothing)
        {
            flag.send();
        }
    }

    fn incoming(&self, input: &str) -> Incoming {
        let mut incoming = Incoming::default();
        for part in input.split("; ").filter(|part| !part.is_empty()) {
            let words: Vec<&str> = part.split(' ').collect();
            match words[..] {
                ["time", "passes"] | ["the", "clock", ..] => {}
                ["start", call, job, start, ref what @ ..] => incoming.reports.push(self.start(call, job, start, &what.join(" "))),
                ["unsent", call, job, start, ref why @ ..] => {
                    let reason = if why == ["late"] { NotSent::Late } else { NotSent::Limit };
                    let (key, call) = (key(job, start), call.parse().expect("a row"));
                    incoming.reports.push(CallReport::Unsent { key, call, reason });
                }
                [step @ ("stop" | "describe"), row, ref what @ ..] => {
                    let row = row.parse().expect("the row of a task");
                    incoming.reports.push(self.task(step, row, &what.join(" ")));
                }
                ["orphan", step, task_id, ref what @ ..] => {
                    let (task_id, answer) = (task_id.to_owned(), Bench::answered(&what.join(" ")));
                    incoming.reports.push(CallReport::Orphan { task_id, step: task_step(step), answer });
                }
                ["callback", task_id, news, time] => incoming.inputs.push(Input::Callback(callback(task_id, news, time))),
                ["order", "stop", "all"] => incoming.inputs.push(order(Command::Stop(StopTarget::All))),
                ["order", "stop", "task", id] => incoming.inputs.push(order(Command::Stop(StopTarget::Task(id.to_owned())))),
                ["order", "stop", "task", id, "of", app] => {
                    let target = StopTarget::TaskOf { task_id: id.to_owned(), app: app.to_owned() };
                    incoming.inputs.push(order(Command::Stop(target)));
                }
                ["order", "stop", job] => incoming.inputs.push(order(Command::Stop(StopTarget::Job(job_id(job))))),
                ["secrets", ref what @ ..] => incoming.reports.push(CallReport::SecretsRead(secrets(what))),
                ["order", "skip", job] => incoming.inputs.push(order(Command::Skip { job: job_id(job), start: None })),
                ["order", "skip", job, time] => {
                    incoming.inputs.push(order(Command::Skip { job: job_id(job), start: Some(at(time)) }));
                }
                ["order", "pause", job, length] => {
                    let length = (length != "indefinitely").then(|| parse_duration(length).expect("a duration"));
                    incoming.inputs.push(order(Command::Pause { job: (job != "all").then(|| job_id(job)), length }));
                }
                ["order", "resume", job] => {
                    let job = (job != "all").then(|| job_id(job));
                    incoming.inputs.push(order(Command::Resume { job, start: None }));
                }
                ["order", "resume", job, time] => {
                    incoming.inputs.push(order(Command::Resume { job: Some(job_id(job)), start: Some(at(time)) }));
                }
                ["order", "fire", job, ref how @ ..] => incoming.inputs.push(order(Command::Fire(fire(job, how)))),
                ["order", "confirm"] => incoming.inputs.push(order(Command::ConfirmClock)),
                _ => panic!("`{part}` is not an input"),
            }
        }
        incoming
    }

    /// A step in which another schedule is accepted.
    pub(crate) fn accept(&mut self, time: &str, jobs: &str) -> Vec<String> {
        let before = std::mem::replace(&mut self.schedule, read(jobs));
        self.generation += 1;
        let generation = Generation { number: self.generation, schedule: Arc::clone(&self.schedule) };
        let prepared = Box::new(Prepared::new(generation, &before, at(time)));
        let passed = Duration::try_from(at(time).duration_since(self.wall)).expect("time goes on");
        (self.wall, self.boot) = (at(time), self.boot + passed);
        let inputs = vec![order(Command::Accept { prepared, changes: vec!["changed".to_owned()] })];
        let incoming = Incoming { reports: Vec::new(), inputs };
        let step = self.engine.step(incoming, reading(self.wall, self.boot), false, &self.rows);
        let mut told = told(&step);
        told.extend(self.commit(&step));
        told
    }

    /// The answer to a start, sent when its time had come and answered now.
    fn start(&self, call: &str, job: &str, start: &str, what: &str) -> CallReport {
        let key = key(job, start);
        let took = if what == "no answer" { SignedDuration::from_secs(10) } else { SignedDuration::from_millis(50) };
        let sent_at = key.start.max(self.wall - took);
        let (what, server_date) = match what.split_once(", date ") {
            Some((what, time)) => (what, Some(date(time))),
            None => (what, None),
        };
        let (what, retry_after) = match what.split_once(", retry after ") {
            Some((what, seconds)) => (what, Some(Duration::from_secs(seconds.parse().expect("seconds")))),
            None => (what, None),
        };
        let (what, candidate) = match what.split_once(", names ") {
            Some((what, task_id)) => (what, Some(task_id.to_owned())),
            None => (what, None),
        };
        let result = match what.strip_prefix("accepted ") {
            Some(task_id) => Ok(Success::Started { task_id: task_id.to_owned() }),
            None => Err(fault(what)),
        };
        CallReport::Answered {
            key,
            call: call.parse().expect("a row"),
            sent_at,
            sent_since_boot: self.boot.saturating_sub(Duration::try_from(self.wall.duration_since(sent_at)).unwrap_or_default()),
            answered_at: self.wall,
            answer: Answer { retry_after, server_date, candidate, ..answer(result) },
            bound: None,
        }
    }

    fn task(&self, step: &str, row: i64, what: &str) -> CallReport {
        let answer = Bench::answered(what);
        let sent_at = self.wall - SignedDuration::from_millis(60);
        CallReport::Task { row, step: task_step(step), sent_at, answered_at: self.wall, answer }
    }

    /// The answer to a stop or a describe.
    fn answered(what: &str) -> Answer {
        answer(match what {
            "done" => Ok(Success::Stopped),
            "InProgress" => Ok(Success::Described(TaskStatus::InProgress)),
            "NotExist" => Ok(Success::Described(TaskStatus::NotExist)),
            code => Err(fault(code)),
        })
    }
}

fn task_step(step: &str) -> TaskStep {
    if step == "stop" { TaskStep::Stop } else { TaskStep::Describe }
}

fn answer(result: Result<Success, Fault>) -> Answer {
    Answer { result, http_status: Some(200), request_id: None, server_date: None, retry_after: None, candidate: None }
}

/// What a reading of the secrets brought.
fn secrets(what: &[&str]) -> SecretsRead {
    match what {
        ["same"] => SecretsRead::Same,
        ["changed", which @ ..] => SecretsRead::Changed { which: which.iter().map(|name| (*name).to_owned()).collect() },
        why => SecretsRead::Failed { why: why.join(" ") },
    }
}

/// A `Date`: of the day, or of another.
fn date(time: &str) -> Timestamp {
    time.parse().unwrap_or_else(|_| at(time))
}

fn fault(what: &str) -> Fault {
    match what {
        "no answer" => Fault::Timeout,
        "cannot connect" => Fault::Connect("refused".to_owned()),
        other => match other.strip_prefix("status ") {
            Some(status) => Fault::Status(status.parse().expect("a status")),
            None => Fault::Rejected { code: other.to_owned(), message: "as told".to_owned() },
        },
    }
}

fn job_id(job: &str) -> JobId {
    JobId::parse(job).expect("a job id")
}

fn key(job: &str, start: &str) -> Key {
    Key { start: at(start), job: job_id(job) }
}

fn callback(task_id: &str, news: &str, time: &str) -> Callback {
    let news = match news {
        "started" => TaskNews::Started,
        "failed" => TaskNews::StartFailed,
        _ => TaskNews::Stopped,
    };
    Callback { sdk_app_id: 1_400_000_001, task_id: task_id.to_owned(), news, at: at(time) }
}

/// `for 5m`, `in ROOM` and `preempt`, each or none.
fn fire(job: &str, how: &[&str]) -> FireOrder {
    let after = |word: &str| how.iter().position(|found| *found == word).map(|at| how[at + 1]);
    FireOrder {
        job: job_id(job),
        length: after("for").map(|length| parse_duration(length).expect("a duration")),
        room: after("in").map(|room| Room::text(room).expect("a room")),
        preempt: how.contains(&"preempt"),
    }
}

fn order(command: Command) -> Input {
    Input::Order(Order { who: "uid 1000".to_owned(), note: None, command })
}
