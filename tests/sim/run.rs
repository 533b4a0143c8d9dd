//! A run: daemons that come and go on one ledger, what befalls them, and what was seen of it. Refuses to judge.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ingestd::clock::Clock;
use ingestd::daemon::{Daemon, Former, Generation, Handle, Happening, Order, Rules, StopTarget, What};
use ingestd::ledger::{FILE, HistoryQuery, Ledger, Reader};
use ingestd::occurrence::Occurrence;
use ingestd::schedule::{self, JobId, Schedule, Settings, Source};
use jiff::{SignedDuration, Timestamp};

use crate::api::SimApi;
use crate::clock::SimClock;
use crate::faults::{Blow, Ending, Life, Plan, Weather, unsigned};
use crate::random::Random;
use crate::scenario::{SimJob, Wishes, begin, edited, text};

/// A schedule that was in force, by what the daemon's clock showed.
pub(crate) struct Reign {
    pub(crate) number: i64,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) jobs: Vec<SimJob>,
    pub(crate) from: Timestamp,
}

/// Why a daemon could not see or do something. Times are true ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blind {
    Down,
    Stalled,
    /// The clock was wrong, or held.
    Clock,
    Disk,
}

/// A task's row.
#[derive(Clone, Debug)]
pub(crate) struct TaskRow {
    pub(crate) task_id: String,
    pub(crate) job: String,
    pub(crate) start: Timestamp,
    pub(crate) stop_wanted: Option<Timestamp>,
    pub(crate) gone: Option<Timestamp>,
}

/// A run that is over.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) reigns: Vec<Reign>,
    pub(crate) rows: Vec<Occurrence>,
    pub(crate) tasks: Vec<TaskRow>,
    pub(crate) orphans: Vec<String>,
    pub(crate) ordered: Vec<String>,
    pub(crate) api: SimApi,
    pub(crate) blind: Vec<(Blind, Timestamp, Timestamp)>,
    pub(crate) boots: Vec<Timestamp>,
    pub(crate) happenings: Vec<(Timestamp, Happening)>,
    /// When it was over, truly.
    pub(crate) over: Timestamp,
    /// From then on nothing was planned, by the wall clock and truly.
    pub(crate) settled: Timestamp,
    /// The latest that the daemon's clock ever showed before that.
    pub(crate) latest: Timestamp,
    /// And the earliest.
    pub(crate) earliest: Timestamp,
}

struct World<'a> {
    plan: &'a Plan,
    clock: SimClock,
    api: SimApi,
    folder: PathBuf,
    ends: Timestamp,
    pending: RefCell<VecDeque<(Timestamp, Blow)>>,
    schedules: RefCell<Vec<(Arc<Schedule>, Vec<SimJob>)>>,
    seen: RefCell<Seen>,
    random: RefCell<Random>,
    wishes: Wishes,
    happenings: Arc<Mutex<Vec<(Timestamp, Happening)>>>,
}

#[derive(Default)]
struct Seen {
    /// Number, wall time.
    accepted: Vec<(i64, Timestamp)>,
    blind: Vec<(Blind, Timestamp, Timestamp)>,
    wrong_since: Option<Timestamp>,
    ordered: Vec<String>,
    boots: Vec<Timestamp>,
    latest: Option<Timestamp>,
    earliest: Option<Timestamp>,
}

/// Reads a schedule as `run` does.
pub(crate) fn read(text: &str) -> Arc<Schedule> {
    let sources = [Source { name: Arc::from("sim.yaml"), text: text.to_owned() }];
    let settings = Settings { apps: Some([(Arc::from("main"), 1_400_000_001)].into()), region: Some(Arc::from("ap-singapore")) };
    let zones = jiff::tz::TimeZoneDatabase::bundled();
    let reading = schedule::read(&sources, &settings, &zones, begin());
    let errors: Vec<_> =
        reading.diagnostics.iter().filter(|problem| problem.severity == ingestd::diagnostic::Severity::Error).collect();
    Arc::new(reading.schedule.unwrap_or_else(|| panic!("{errors:?}\n{text}")))
}

/// Where there is memory for files, the disk is not what a thousand commits should wait for.
fn ram() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new("/tmp") }
}

fn connect(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join(FILE)).expect("it opens")
}

/// Runs `jobs` under `plan` for so long, then lets everything come to its end.
pub(crate) fn run(seed: u64, jobs: Vec<SimJob>, plan: Plan, wishes: Wishes, length: SignedDuration) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let folder = tempfile::tempdir_in(ram()).expect("a folder");
    runtime.block_on(async {
        drop(Ledger::open(folder.path()).expect("the ledger opens"));
        let clock = SimClock::starting_at(begin());
        let world = World {
            api: SimApi::new(seed, &plan, clock.clone(), connect(folder.path())),
            clock,
            folder: folder.path().to_owned(),
            ends: plan.blows.iter().map(|(at, _)| *at + SignedDuration::from_secs(10)).fold(begin() + length, Timestamp::max),
            pending: RefCell::new(plan.blows.iter().copied().collect()),
            schedules: RefCell::new(vec![(read(&text(&jobs)), jobs)]),
            seen: RefCell::default(),
            random: RefCell::new(Random::apart(seed, 4)),
            wishes,
            happenings: Arc::default(),
            plan: &plan,
        };
        world.live().await
    })
}

impl World<'_> {
    async fn live(self) -> Run {
        for life in &self.plan.lives {
            if self.clock.truth() < self.ends {
                self.daemon(Some(life)).await;
                let from = self.clock.truth();
                let back = (from + life.away).min(self.ends);
                self.befall(None, back).await;
                self.blind(Blind::Down, from, self.clock.truth());
                if life.edited {
                    self.edit();
                }
            }
        }
        let settled = self.daemon(None).await.expect("the last one settles");
        let rows = self.history();
        let over = self.clock.truth();
        let seen = self.seen.into_inner();
        let schedules = self.schedules.into_inner();
        let reign = |(number, from): &(i64, Timestamp)| {
            let (schedule, jobs) = schedules[usize::try_from(*number - 1).expect("an index")].clone();
            Reign { number: *number, schedule, jobs, from: *from }
        };
        let ledger = connect(&self.folder);
        let happenings = self.happenings.lock().expect("no panic under the lock").clone();
        Run {
            plan: self.plan.clone(),
            reigns: seen.accepted.iter().map(reign).collect(),
            rows,
            tasks: task_rows(&ledger),
            orphans: orphans(&ledger),
            ordered: seen.ordered,
            api: self.api,
            blind: seen.blind,
            boots: seen.boots,
            happenings,
            over,
            settled,
            latest: seen.latest.unwrap_or(settled).max(settled),
            earliest: seen.earliest.unwrap_or(begin()).min(begin()),
        }
    }

    fn history(&self) -> Vec<Occurrence> {
        let query = HistoryQuery { limit: 1_000_000, ..HistoryQuery::default() };
        Reader::open(&self.folder).expect("it opens").history(&query).expect("it reads")
    }

    fn generation(&self, number: i64) -> Generation {
        let index = usize::try_from(number - 1).expect("an index");
        Generation { number, schedule: Arc::clone(&self.schedules.borrow()[index].0) }
    }

    fn newest(&self) -> i64 {
        i64::try_from(self.schedules.borrow().len()).expect("few")
    }

    /// Somebody edits the schedule; it is accepted sooner or later.
    fn edit(&self) {
        let mut schedules = self.schedules.borrow_mut();
        let number = u32::try_from(schedules.len() + 1).expect("few");
        let jobs = edited(&mut self.random.borrow_mut(), &schedules[schedules.len() - 1].1, number, self.wishes);
        schedules.push((read(&text(&jobs)), jobs));
    }

    fn accepted(&self, number: i64, at: Timestamp) {
        let mut seen = self.seen.borrow_mut();
        seen.accepted.retain(|(other, _)| *other < number);
        seen.accepted.push((number, at));
    }

    /// The generations that were in force since the cursor, as `run` finds them.
    fn former(&self, ledger: &Ledger, now: Timestamp) -> Vec<Former> {
        let meta = ledger.meta().expect("it reads");
        let mut periods = vec![(meta.generation, now)];
        if meta.cursor_generation != meta.generation {
            periods.insert(0, (meta.cursor_generation, meta.accepted_at.unwrap_or(now)));
        }
        let known = periods.into_iter().filter(|(number, _)| *number > 0);
        known.map(|(number, until)| Former { generation: self.generation(number), until }).collect()
    }

    /// One daemon, until its life ends; without one, until everything is over. Answers when nothing more was planned.
    async fn daemon(&self, life: Option<&Life>) -> Option<Timestamp> {
        let ledger = Ledger::open(&self.folder).expect("the ledger opens");
        let meta = ledger.meta().expect("it reads");
        let now = self.clock.now();
        let newest = self.newest();
        if meta.generation != newest {
            self.accepted(newest, now);
        } else if self.seen.borrow().accepted.last().is_none_or(|(number, _)| *number < newest) {
            self.accepted(newest, meta.accepted_at.expect("a generation was accepted at some time"));
        }
        let former = self.former(&ledger, now);
        if self.clock.error().is_zero() && meta.committed_at.is_some_and(|at| at > now) {
            // The clock was ahead; whoever set it right says so again.
            self.seen.borrow_mut().wrong_since.get_or_insert(self.clock.truth());
            self.pending.borrow_mut().push_front((self.clock.truth(), Blow::Confirm));
        }
        let death = Arc::clone(&self.api.death);
        let mut countdown = match life.map(|life| life.ending) {
            Some(Ending::Happening(count)) => Some(count),
            _ => None,
        };
        self.api.state().dies_at = match life.map(|life| life.ending) {
            Some(Ending::Request(point, count)) => Some((point, count)),
            _ => None,
        };
        let (clock, happenings, trace) = (self.clock.clone(), Arc::clone(&self.happenings), is_traced());
        let observe = move |happening: &Happening| {
            if trace {
                let key = happening.key.as_ref().map(ToString::to_string).unwrap_or_default();
                println!("{} {key}: {}", clock.truth(), happening.text);
            }
            happenings.lock().expect("no panic under the lock").push((clock.truth(), happening.clone()));
            if let Some(left) = &mut countdown {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    death.notify_one();
                }
            }
        };
        let rules = Rules {
            rate: NonZeroU32::new(self.plan.rate).expect("not zero"),
            require_sync: false,
            past: begin() - SignedDuration::from_hours(24),
        };
        trace_line(&self.clock, &format!("a daemon begins, generation {newest}: {:?}", life.map(|life| life.ending)));
        self.seen.borrow_mut().boots.push(self.clock.truth());
        let (clock, api) = (self.clock.clone(), Arc::new(self.api.clone()));
        let daemon = Daemon::new(clock, api, rules, ledger, self.generation(newest), former, Box::new(observe));
        let daemon = daemon.expect("it starts");
        let handle = daemon.handle();
        self.api.state().handle = Some(handle.clone());
        let end = match life.map(|life| life.ending) {
            Some(Ending::Crash(after) | Ending::Term(after)) => (self.clock.truth() + after).min(self.ends),
            Some(Ending::Happening(_) | Ending::Request(..)) | None => self.ends,
        };
        let is_term = matches!(life.map(|life| life.ending), Some(Ending::Term(_)));
        let term = tokio::sync::Notify::new();
        let stop = async { term.notified().await };
        let script = async {
            self.befall(Some(&handle), end).await;
            if is_term {
                term.notify_one();
                std::future::pending::<()>().await;
            }
            if life.is_none() { Some(self.wind_up(&handle).await) } else { None }
        };
        let settled = tokio::select! {
            biased;
            ended = daemon.run(stop, std::future::pending()) => {
                ended.expect("the ledger can be written");
                assert!(is_term, "nobody stopped it");
                None
            }
            () = self.api.death.notified() => None,
            settled = script => settled,
        };
        trace_line(&self.clock, "the daemon is gone");
        // A death that came with another must not kill the next daemon.
        let _ = tokio::time::timeout(Duration::ZERO, self.api.death.notified()).await;
        let mut state = self.api.state();
        (state.handle, state.dies_at) = (None, None);
        drop(state);
        self.see_clock();
        settled
    }

    fn see_clock(&self) {
        let (now, mut seen) = (self.clock.now(), self.seen.borrow_mut());
        seen.latest = seen.latest.max(Some(now));
        seen.earliest = Some(seen.earliest.map_or(now, |earliest| earliest.min(now)));
    }

    /// Lets what is planned befall the host until `until`.
    async fn befall(&self, handle: Option<&Handle>, until: Timestamp) {
        loop {
            let next = self.pending.borrow().front().copied();
            match next {
                Some((at, blow)) if at < until => {
                    self.clock.until(at).await;
                    self.pending.borrow_mut().pop_front();
                    trace_line(&self.clock, &format!("{blow:?}"));
                    self.see_clock();
                    self.strike(handle, blow).await;
                    self.see_clock();
                }
                _ => return self.clock.until(until).await,
            }
        }
    }

    async fn order(&self, handle: Option<&Handle>, what: What) -> bool {
        let Some(handle) = handle else { return false };
        let reply = handle.order(Order { who: "sim".into(), what }).await;
        trace_line(&self.clock, &format!("reply: {reply:?}"));
        reply.is_ok()
    }

    fn blind(&self, why: Blind, from: Timestamp, to: Timestamp) {
        self.seen.borrow_mut().blind.push((why, from, to));
    }

    async fn strike(&self, handle: Option<&Handle>, blow: Blow) {
        let now = self.clock.truth();
        match blow {
            Blow::Step(by) => {
                self.seen.borrow_mut().wrong_since.get_or_insert(now);
                self.clock.step(by);
            }
            Blow::Right => {
                self.clock.step(-self.clock.error());
                self.clock.synchronise(None);
            }
            Blow::Confirm => {
                let is_told = self.order(handle, What::ConfirmClock).await;
                if !is_told && self.clock.error().is_zero() {
                    // Nobody was there.
                    self.pending.borrow_mut().push_front((now + SignedDuration::from_secs(2), Blow::Confirm));
                } else if self.clock.error().is_zero() {
                    let mut seen = self.seen.borrow_mut();
                    if let Some(since) = seen.wrong_since.take() {
                        seen.blind.push((Blind::Clock, since, self.clock.truth() + SignedDuration::from_secs(10)));
                    }
                }
            }
            Blow::Synchronised => self.clock.synchronise(Some(true)),
            Blow::Suspend(length) => {
                self.blind(Blind::Stalled, now, now + length);
                self.clock.suspend(unsigned(length));
            }
            Blow::Stall(length) => {
                self.blind(Blind::Stalled, now, now + length);
                tokio::time::advance(unsigned(length)).await;
            }
            Blow::Disk(length) => {
                // It is looked every second.
                self.blind(Blind::Disk, now, now + length + SignedDuration::from_secs(2));
                let other = connect(&self.folder);
                other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes between two turns");
                self.clock.until(now + length).await;
                other.execute_batch("ROLLBACK").expect("it ends");
            }
            // A schedule that is accepted while the clock is wrong is accepted at a wrong time; that is not what is tried here.
            Blow::Reload if self.clock.error().is_zero() && self.seen.borrow().wrong_since.is_none() => {
                self.edit();
                let generation = self.generation(self.newest());
                let what = What::Accept { generation, changes: Vec::new() };
                if self.order(handle, what).await {
                    self.accepted(self.newest(), self.clock.now());
                }
            }
            Blow::Reload => {}
            Blow::StopJob => {
                let job = {
                    let schedules = self.schedules.borrow();
                    let jobs = &schedules[schedules.len() - 1].1;
                    self.random.borrow_mut().pick(jobs).id.clone()
                };
                let job = JobId::parse(&job).expect("an id");
                self.order(handle, What::Stop(StopTarget::Job(job))).await;
            }
            Blow::StopTask => {
                let task = {
                    let state = self.api.state();
                    let live: Vec<_> = state.cloud.tasks.iter().filter(|task| task.is_live(now)).map(|task| task.id.clone()).collect();
                    if live.is_empty() { return } else { self.random.borrow_mut().pick(&live).clone() }
                };
                self.seen.borrow_mut().ordered.push(task.clone());
                self.order(handle, What::Stop(StopTarget::Task(task))).await;
            }
            Blow::StopAll => {
                self.order(handle, What::Stop(StopTarget::All)).await;
            }
            Blow::Foreign => {
                let id = format!("foreign-{}", self.random.borrow_mut().below(1_000_000));
                self.api.foreign(&id);
            }
        }
    }

    /// Nothing more is planned, and nothing more goes wrong; what is open comes to its end. Answers when that began.
    async fn wind_up(&self, handle: &Handle) -> Timestamp {
        trace_line(&self.clock, "nothing more is planned");
        if self.seen.borrow().wrong_since.is_some() {
            self.strike(Some(handle), Blow::Confirm).await;
        }
        self.api.state().cloud.weather = Weather::CALM;
        let settled = self.clock.now();
        let quiet = Generation { number: self.newest() + 1, schedule: Arc::new(Schedule::default()) };
        let accepted = self.order(Some(handle), What::Accept { generation: quiet, changes: Vec::new() }).await;
        assert!(accepted, "a schedule is always accepted");
        let ledger = connect(&self.folder);
        let ask = |sql: &str| ledger.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).expect("it answers");
        let last = ask("SELECT max(end_ms) FROM occurrence WHERE state <> 'done'");
        let last = last.map_or(settled, |last| Timestamp::from_millisecond(last).expect("an instant"));
        self.clock.until(last.max(settled) + SignedDuration::from_secs(100)).await;
        self.order(Some(handle), What::Stop(StopTarget::All)).await;
        for _ in 0..8 {
            let open = "SELECT (SELECT count(*) FROM occurrence WHERE state <> 'done') \
                + (SELECT count(*) FROM task WHERE gone_ms IS NULL)";
            if ask(open) == Some(0) {
                break;
            }
            self.clock.until(self.clock.truth() + SignedDuration::from_secs(40)).await;
        }
        settled
    }
}

fn is_traced() -> bool {
    std::env::var_os("INGESTD_SEED").is_some()
}

fn trace_line(clock: &SimClock, line: &str) {
    if is_traced() {
        println!("{} -- {line}", clock.truth());
    }
}

fn task_rows(ledger: &rusqlite::Connection) -> Vec<TaskRow> {
    let sql = "SELECT task.task_id, job, start_ms, stop_wanted_ms, gone_ms FROM task JOIN occurrence ON occurrence.id = task.occurrence";
    let instant = |value: i64| Timestamp::from_millisecond(value).expect("an instant");
    let mut statement = ledger.prepare(sql).expect("it prepares");
    let rows = statement.query_map([], |row| {
        let (wanted, gone): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        Ok(TaskRow {
            task_id: row.get(0)?,
            job: row.get(1)?,
            start: instant(row.get(2)?),
            stop_wanted: wanted.map(instant),
            gone: gone.map(instant),
        })
    });
    rows.expect("it runs").map(|row| row.expect("it reads")).collect()
}

fn orphans(ledger: &rusqlite::Connection) -> Vec<String> {
    let mut statement = ledger.prepare("SELECT task_id FROM orphan").expect("it prepares");
    let rows = statement.query_map([], |row| row.get(0));
    rows.expect("it runs").map(|row| row.expect("it reads")).collect()
}
