//! A daemon on a clock that a story moves, and a calm cloud that does what the story says. Everything that is sent is written
//! down in one line, so that a story can be held against what happened, to the millisecond.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ingestd::clock::Clock as _;
use ingestd::daemon::{Daemon, Handle, SimulatedDisk};
use ingestd::engine::{Command, DaemonOptions, Generation, LoopStatus, Order, PastGeneration, Prepared, Reply, SecretsRead};
use ingestd::ledger::{HistoryQuery, Ledger, Reader};
use ingestd::occurrence::{Occurrence, State};
use ingestd::schedule::{self, Schedule, Settings, Source};
use ingestd::trtc::advice::SecretPlaces;
use ingestd::trtc::{Action, Answer, Api, Body, Fault, Request, Success, TaskStatus};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::StoryClock;
use crate::told;

/// The day of every story.
const DAY: &str = "2026-12-01";

/// An instant of that day.
pub(crate) fn at(time: &str) -> Timestamp {
    let time = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    format!("{DAY}T{time}Z").parse().expect("an instant")
}

/// What becomes of a request, instead of what a calm cloud does.
#[derive(Clone, Debug)]
pub(crate) struct InjectedFault {
    pub(crate) action: Action,
    /// Part of the robot or the task it is for; empty: any.
    pub(crate) of: &'static str,
    pub(crate) fault: Fault,
    /// Whether it takes effect although its answer is lost.
    pub(crate) effect: bool,
    /// How often.
    pub(crate) times: usize,
}

/// What is asked for that robot or task is refused with that code.
pub(crate) fn refused(action: Action, of: &'static str, code: &str, times: usize) -> InjectedFault {
    let fault = Fault::Rejected { code: code.to_owned(), message: "the story says so".to_owned() };
    InjectedFault { action, of, fault, effect: false, times }
}

/// Starts of that robot take effect, and their answers are lost.
pub(crate) fn lost(of: &'static str, times: usize) -> InjectedFault {
    InjectedFault { action: Action::Start, of, fault: Fault::Timeout, effect: true, times }
}

#[derive(Default)]
pub(crate) struct Cloud {
    /// What was sent and what came of it, but describes: `10:00:00.000 start promo lobby: t-1`.
    pub(crate) log: Vec<String>,
    /// Task, robot and room of what runs.
    pub(crate) running: Vec<(String, String, String)>,
    pub(crate) injected_faults: VecDeque<InjectedFault>,
    /// What was asked for when: `10:00:00.000 x.mp4`.
    pub(crate) asked: Vec<String>,
    /// The names of media that are refused.
    pub(crate) refused_media: Vec<&'static str>,
    /// What the next reading of the secrets brings.
    pub(crate) secrets: Option<SecretsRead>,
    started: usize,
}

/// A cloud that answers in 20 ms.
#[derive(Clone)]
pub(crate) struct StoryApi {
    clock: StoryClock,
    cloud: Arc<Mutex<Cloud>>,
}

impl StoryApi {
    fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().expect("no panic under the lock")
    }
}

impl Cloud {
    fn take_fault(&mut self, action: Action, of: &str) -> Option<InjectedFault> {
        let found =
            self.injected_faults.iter_mut().find(|fault| fault.action == action && of.contains(fault.of) && fault.times > 0)?;
        found.times -= 1;
        Some(found.clone())
    }

    fn apply(&mut self, body: &Body) -> Result<Success, Fault> {
        let rejected = |code: &str| Err(Fault::Rejected { code: code.to_owned(), message: "the story says so".to_owned() });
        match body {
            Body::Start { params, .. } => {
                let room = params.room.to_string();
                if self.refused_media.iter().any(|name| params.stream_url.reveal().ends_with(name)) {
                    return rejected("InvalidParameter.StreamUrl");
                }
                if self.running.iter().any(|(_, robot, of)| *robot == params.user_id && *of == room) {
                    return rejected("FailedOperation.TaskExist");
                }
                self.started += 1;
                let id = format!("t-{}", self.started);
                self.running.push((id.clone(), params.user_id.clone(), room));
                Ok(Success::Started { task_id: id })
            }
            Body::Stop { task_id } => {
                let before = self.running.len();
                self.running.retain(|(id, ..)| id != task_id);
                if self.running.len() < before { Ok(Success::Stopped) } else { rejected("FailedOperation.TaskFinished") }
            }
            Body::Describe { task_id } => {
                let runs = self.running.iter().any(|(id, ..)| id == task_id);
                Ok(Success::Described(if runs { TaskStatus::InProgress } else { TaskStatus::NotExist }))
            }
        }
    }
}

impl Api for StoryApi {
    async fn call(&self, request: Request, _sent_at: Timestamp) -> Answer {
        let sent = self.clock.now().strftime("%H:%M:%S%.3f").to_string();
        let action = request.body.action();
        let (subject, text) = match &request.body {
            Body::Start { params, .. } => {
                let seek = params.seek_second.map(|seek| format!(" from {seek} s")).unwrap_or_default();
                (params.user_id.clone(), format!("start {} {}{seek}", params.user_id, params.room))
            }
            other => {
                let task_id = other.task_id().unwrap_or_default().to_owned();
                let text = format!("{} {task_id}", action.word());
                (task_id, text)
            }
        };
        if let Body::Start { params, .. } = &request.body {
            let name = params.stream_url.reveal().rsplit('/').next().unwrap_or_default().to_owned();
            self.cloud().asked.push(format!("{sent} {name}"));
        }
        let fault = self.cloud().take_fault(action, &subject);
        tokio::time::sleep(Duration::from_millis(10)).await;
        let result = match &fault {
            None => self.cloud().apply(&request.body),
            Some(InjectedFault { effect, fault, .. }) => {
                if *effect {
                    let _ = self.cloud().apply(&request.body);
                }
                Err(fault.clone())
            }
        };
        if action != Action::Describe {
            let came = match &result {
                Ok(Success::Started { task_id }) => task_id.clone(),
                Ok(_) => "ok".to_owned(),
                Err(Fault::Rejected { code, .. }) => code.clone(),
                Err(fault) => format!("{fault:?}"),
            };
            self.cloud().log.push(format!("{sent} {text}: {came}"));
        }
        let wait = if matches!(result, Err(Fault::Timeout)) { 9_990 } else { 10 };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Answer::bare(result)
    }

    async fn warm(&self, _count: usize) {}

    fn set_clock_offset(&self, _offset_ms: i64) {}

    async fn reread_secrets(&self) -> SecretsRead {
        self.cloud().secrets.take().unwrap_or(SecretsRead::Same)
    }
}

/// A daemon that runs.
struct Running {
    handle: Handle,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    status: watch::Receiver<LoopStatus>,
    disk: watch::Sender<SimulatedDisk>,
}

/// A story.
pub(crate) struct Story {
    pub(crate) clock: StoryClock,
    pub(crate) folder: TempDir,
    api: StoryApi,
    generation: i64,
    schedule: Arc<Schedule>,
    /// What was in force before it was edited while no daemon ran.
    former: Option<Generation>,
    said: Arc<Mutex<Vec<String>>>,
    running: Option<Running>,
}

/// Reads a schedule as `run` does.
pub(crate) fn read(jobs: &str) -> Arc<Schedule> {
    read_for(1_400_000_001, jobs)
}

/// The same, for an application of this number.
fn read_for(sdk_app_id: u64, jobs: &str) -> Arc<Schedule> {
    let text = format!("timezone: UTC\ndefaults:\n  room: lobby\n  stream: https://cdn.example.com/x.mp4\njobs:\n{jobs}");
    let settings = Settings {
        apps: Some([(Arc::from("main"), sdk_app_id)].into()),
        region: Some(Arc::from("ap-singapore")),
        ..Settings::default()
    };
    let sources = [Source { name: Arc::from("story.yaml"), text }];
    let reading = schedule::read(&sources, &settings, &jiff::tz::TimeZoneDatabase::bundled(), at("00:00"));
    Arc::new(reading.schedule.unwrap_or_else(|| panic!("{:?}", reading.diagnostics)))
}

impl Story {
    /// Begins at a time of the day, with a daemon on these jobs.
    pub(crate) fn begin(start: &str, jobs: &str) -> Story {
        let clock = StoryClock::new(at(start));
        let api = StoryApi { clock: clock.clone(), cloud: Arc::default() };
        // Where there is memory for files: the disk is not what a story is about.
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
        let said = Arc::default();
        let mut story = Story { clock, folder, api, generation: 1, schedule: read(jobs), former: None, said, running: None };
        story.start();
        story
    }

    /// Starts a daemon on what is there.
    pub(crate) fn start(&mut self) {
        let ledger = Ledger::open(self.folder.path()).expect("the ledger opens");
        let accepted = Generation { number: self.generation, schedule: Arc::clone(&self.schedule) };
        let former = self.former.take().unwrap_or_else(|| accepted.clone());
        let former = vec![PastGeneration { generation: former, until: self.clock.now() }];
        let said = Arc::clone(&self.said);
        let rules = DaemonOptions {
            rate: NonZeroU32::new(20).expect("not zero"),
            require_sync: false,
            past: Timestamp::MIN,
            secrets: SecretPlaces::default(),
            shared: None,
        };
        let observe = Box::new(move |happening: &ingestd::engine::Notice| {
            let job = happening.key.as_ref().map(|key| format!("{}: ", key.job)).unwrap_or_default();
            said.lock().expect("no panic").push(format!("{job}{}", happening.text));
        });
        let setup = told::setup(rules, &ledger);
        let daemon = Daemon::new(self.clock.clone(), Arc::new(self.api.clone()), setup, ledger, accepted, former, observe);
        let daemon = daemon.expect("it starts");
        let (handle, status, disk) = (daemon.handle(), daemon.status(), daemon.simulated_disk());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            daemon.run(stopped, std::future::pending()).await.expect("the ledger can be written");
        });
        self.running = Some(Running { handle, stop, ended, status, disk });
    }

    /// Ends the daemon as SIGTERM does.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        running.stop.send(()).expect("it waits for it");
        running.ended.await.expect("no panic");
    }

    /// Ends the daemon as SIGKILL does.
    pub(crate) async fn kill(&mut self) {
        let running = self.running.take().expect("it runs");
        running.ended.abort();
        assert!(running.ended.await.is_err_and(|error| error.is_cancelled()));
    }

    /// Lets time pass until the clock shows this.
    pub(crate) async fn until(&self, time: &str) {
        self.clock.sleep_until(at(time)).await;
    }

    /// Lets so much time pass, whatever the clock shows then.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Lets days pass.
    pub(crate) async fn clock_days(&self, days: i64) {
        self.clock.sleep_until(self.clock.now() + SignedDuration::from_hours(days * 24)).await;
    }

    pub(crate) async fn order(&self, command: Command) -> Reply {
        let handle = self.running.as_ref().expect("it runs").handle.clone();
        handle.order(Order { who: "uid 1000".to_owned(), note: None, command }).await
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.running.as_ref().expect("it runs").handle
    }

    /// From now on the ledger's disk does not answer; or it answers again.
    pub(crate) fn disk_stands(&self, stands: bool) {
        let does = if stands { SimulatedDisk::Stands } else { SimulatedDisk::Answers };
        self.running.as_ref().expect("it runs").disk.send_replace(does);
    }

    /// What is wrong with the ledger, as the status shows it.
    pub(crate) fn disk_error(&self) -> Option<String> {
        self.running.as_ref().expect("it runs").status.borrow().disk.clone()
    }

    /// Another schedule is accepted. Returns the reply.
    pub(crate) async fn reload(&mut self, jobs: &str) -> Vec<String> {
        let now = self.clock.now().strftime("%H:%M:%S%.f").to_string();
        self.reload_prepared(&now, jobs).await
    }

    /// The same, prepared for another time.
    pub(crate) async fn reload_prepared(&mut self, time: &str, jobs: &str) -> Vec<String> {
        self.generation += 1;
        let before = std::mem::replace(&mut self.schedule, read(jobs));
        let generation = Generation { number: self.generation, schedule: Arc::clone(&self.schedule) };
        let prepared = Box::new(Prepared::new(generation, &before, at(time)));
        self.order(Command::Accept { prepared, changes: vec!["edited".to_owned()] }).await.expect("it is accepted")
    }

    /// The schedule is edited while nobody is there to take it up.
    pub(crate) fn edit(&mut self, jobs: &str) {
        self.former = Some(Generation { number: self.generation, schedule: Arc::clone(&self.schedule) });
        self.generation += 1;
        self.schedule = read(jobs);
    }

    /// The settings give the application another number.
    pub(crate) fn set_app(&mut self, sdk_app_id: u64, jobs: &str) {
        self.schedule = read_for(sdk_app_id, jobs);
    }

    pub(crate) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.api.cloud()
    }

    pub(crate) fn inject_fault(&self, fault: InjectedFault) {
        self.api.cloud().injected_faults.push_back(fault);
    }

    /// A task vanishes.
    pub(crate) fn vanish(&self, task_id: &str) {
        self.api.cloud().running.retain(|(id, ..)| id != task_id);
    }

    /// A task plays as another robot, so that its own start finds nothing: what `TaskExist` goes by is not documented.
    pub(crate) fn rename(&self, task_id: &str, robot: &str) {
        for (_, of, _) in self.api.cloud().running.iter_mut().filter(|(id, ..)| id == task_id) {
            robot.clone_into(of);
        }
    }

    /// What was sent since this was called last.
    pub(crate) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.api.cloud().log)
    }

    /// The robots that are on air, with their rooms.
    pub(crate) fn on_air(&self) -> Vec<String> {
        self.api.cloud().running.iter().map(|(_, robot, room)| format!("{robot} in {room}")).collect()
    }

    /// The media that was asked for since this was called last, and when.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.api.cloud().asked)
    }

    /// What the daemon said so far.
    pub(crate) fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().expect("no panic"))
    }

    /// Every row, by start: `promo 10:00 ended (planned)`, or its state.
    pub(crate) fn rows(&self) -> Vec<String> {
        self.history().iter().map(|row| format!("{} {} {}", row.key.job, row.key.start.strftime("%H:%M"), result(row))).collect()
    }

    pub(crate) fn history(&self) -> Vec<Occurrence> {
        let query = HistoryQuery { limit: 10_000, ..HistoryQuery::default() };
        let mut rows = Reader::open(self.folder.path()).and_then(|reader| reader.history(&query)).expect("readable");
        rows.reverse();
        rows
    }
}

fn result(row: &Occurrence) -> String {
    match &row.state {
        State::Done { outcome } => format!("{} ({})", outcome.name(), outcome.reason()),
        state => state.name().to_owned(),
    }
}
