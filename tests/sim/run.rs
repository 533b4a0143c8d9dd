//! A run: daemons that come and go on one ledger, what happens to them, and what was seen of it. Does not check it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ingestd::alerts::Alert;
use ingestd::clock::Clock;
use ingestd::daemon::Daemon;
use ingestd::engine::{Generation, Notice, PastGeneration};
use ingestd::ledger::{FILE, HistoryQuery, Ledger, Reader};
use ingestd::occurrence::Occurrence;
use ingestd::schedule::{self, Schedule, Settings, Source};
use jiff::{SignedDuration, Timestamp};

use crate::api::SimApi;
use crate::belief::{Belief, ClockChange};
use crate::clock::SimClock;
use crate::faults::{DaemonRun, Ending, HostEvent, Plan};
use crate::hosts::Hosts;
use crate::ledger_rows::{orphans, task_rows};
use crate::media;
use crate::orders::GivenOrder;
use crate::random::Random;
use crate::scenario::{ScenarioOptions, SimJob, begin, edited, text};
use crate::told;
use crate::trace::{is_traced, trace_line};
use crate::variety;

/// A schedule that was in force, by what the daemon's clock showed.
pub(crate) struct GenerationSpan {
    pub(crate) number: i64,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) jobs: Vec<SimJob>,
    pub(crate) from: Timestamp,
}

/// Why a daemon could not see or do something. Times are true ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Impairment {
    Down,
    Stalled,
    /// The clock was wrong, or held.
    Clock,
    Disk,
}

/// How long a daemon may take to end.
const SHUTDOWN_MAX: SignedDuration = SignedDuration::from_secs(11);

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
    pub(crate) generations: Vec<GenerationSpan>,
    pub(crate) rows: Vec<Occurrence>,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) tasks: Vec<TaskRow>,
    pub(crate) orphans: Vec<String>,
    /// Orphans that are known to be one of several tasks of shows.
    pub(crate) grouped: Vec<String>,
    pub(crate) ordered: Vec<String>,
    pub(crate) api: SimApi,
    pub(crate) impairments: Vec<(Impairment, Timestamp, Timestamp)>,
    pub(crate) boots: Vec<Timestamp>,
    /// Of two hosts: each term, and until when a start of the one before could arrive.
    pub(crate) take_overs: Vec<(i64, Option<Timestamp>)>,
    pub(crate) belief: Belief,
    pub(crate) happenings: Vec<(Timestamp, Notice)>,
    /// What operators held back, let go and started.
    pub(crate) orders: Vec<GivenOrder>,
    /// When it was over, truly.
    pub(crate) over: Timestamp,
    /// From then on nothing was planned, by the wall clock and truly.
    pub(crate) settled: Timestamp,
    /// The latest that the daemon's clock ever showed before that.
    pub(crate) latest: Timestamp,
    /// And the earliest.
    pub(crate) earliest: Timestamp,
}

pub(crate) struct World<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) clock: SimClock,
    pub(crate) api: SimApi,
    pub(crate) folder: PathBuf,
    pub(crate) ends: Timestamp,
    pub(crate) pending: RefCell<VecDeque<(Timestamp, HostEvent)>>,
    pub(crate) schedules: RefCell<Vec<(Arc<Schedule>, Vec<SimJob>)>>,
    pub(crate) seen: RefCell<Seen>,
    pub(crate) random: RefCell<Random>,
    /// Of what later worlds have.
    pub(crate) extra: RefCell<Random>,
    /// Of jobs that come back, where some do.
    pub(crate) returning: RefCell<Option<Random>>,
    /// Of what operators order.
    pub(crate) ordering: RefCell<Random>,
    pub(crate) options: ScenarioOptions,
    pub(crate) happenings: Arc<Mutex<Vec<(Timestamp, Notice)>>>,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// Number, wall time.
    pub(crate) accepted: Vec<(i64, Timestamp)>,
    pub(crate) impairments: Vec<(Impairment, Timestamp, Timestamp)>,
    pub(crate) wrong_since: Option<Timestamp>,
    pub(crate) ordered: Vec<String>,
    pub(crate) orders: Vec<GivenOrder>,
    pub(crate) boots: Vec<Timestamp>,
    pub(crate) take_overs: Vec<(i64, Option<Timestamp>)>,
    pub(crate) clock_changes: Vec<ClockChange>,
    pub(crate) latest: Option<Timestamp>,
    pub(crate) earliest: Option<Timestamp>,
}

/// Reads a schedule as `run` does.
pub(crate) fn read(text: &str) -> Arc<Schedule> {
    let sources = [Source { name: Arc::from("sim.yaml"), text: text.to_owned() }];
    let settings = Settings {
        apps: Some([(Arc::from("main"), 1_400_000_001)].into()),
        region: Some(Arc::from("ap-singapore")),
        ..Settings::default()
    };
    let zones = jiff::tz::TimeZoneDatabase::bundled();
    let reading = schedule::read(&sources, &settings, &zones, begin());
    let errors: Vec<_> =
        reading.diagnostics.iter().filter(|problem| problem.severity == ingestd::diagnostic::Severity::Error).collect();
    Arc::new(reading.schedule.unwrap_or_else(|| panic!("{errors:?}\n{text}")))
}

/// Where there is memory for files, no commit waits for the disk.
fn ram() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new("/tmp") }
}

pub(crate) fn connect(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join(FILE)).expect("it opens")
}

/// Runs `jobs` under `plan` for so long, then lets everything end.
pub(crate) fn run(seed: u64, jobs: Vec<SimJob>, plan: Plan, options: ScenarioOptions, length: SignedDuration) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let folder = tempfile::tempdir_in(ram()).expect("a folder");
    runtime.block_on(async {
        drop(Ledger::open(folder.path()).expect("the ledger opens"));
        let clock = SimClock::starting_at(begin());
        let world = World {
            api: SimApi::new(seed, &plan, clock.clone(), connect(folder.path())),
            clock,
            folder: folder.path().to_owned(),
            ends: plan.host_events.iter().map(|(at, _)| *at + SignedDuration::from_secs(10)).fold(begin() + length, Timestamp::max),
            pending: RefCell::new(plan.host_events.iter().copied().collect()),
            schedules: RefCell::new(vec![(read(&text(&jobs)), jobs)]),
            seen: RefCell::default(),
            random: RefCell::new(Random::for_purpose(seed, 4)),
            extra: RefCell::new(Random::for_purpose(seed, 8)),
            returning: RefCell::new((options.varied && variety::has_returns(seed)).then(|| Random::for_purpose(seed, 9))),
            ordering: RefCell::new(Random::for_purpose(seed, 12)),
            options,
            happenings: Arc::default(),
            plan: &plan,
        };
        world.api.state().jobs.clone_from(&world.schedules.borrow()[0].1);
        media::begin_dying(&world.api, &plan);
        if let Some(hosts) = &plan.hosts {
            let settled = Box::pin(Hosts::new(seed, &world, hosts).run()).await;
            return world.finish(settled);
        }
        world.run_to_the_end().await
    })
}

impl World<'_> {
    async fn run_to_the_end(self) -> Run {
        for daemon_run in &self.plan.daemon_runs {
            if self.clock.truth() < self.ends {
                self.daemon(Some(daemon_run)).await;
                let from = self.clock.truth();
                let back = (from + daemon_run.away).min(self.ends);
                self.inject(None, back).await;
                self.add_impairment(Impairment::Down, from, self.clock.truth());
                if daemon_run.edited {
                    self.edit(SignedDuration::ZERO);
                }
            }
        }
        let settled = self.daemon(None).await.expect("the last one settles");
        self.finish(settled)
    }

    /// What was seen of it.
    fn finish(self, settled: Timestamp) -> Run {
        let rows = self.history();
        let over = self.clock.truth();
        let seen = self.seen.into_inner();
        let schedules = self.schedules.into_inner();
        let span = |(number, from): &(i64, Timestamp)| {
            let (schedule, jobs) = schedules[usize::try_from(*number - 1).expect("an index")].clone();
            GenerationSpan { number: *number, schedule, jobs, from: *from }
        };
        let ledger = connect(&self.folder);
        let happenings = self.happenings.lock().expect("no panic under the lock").clone();
        Run {
            plan: self.plan.clone(),
            generations: seen.accepted.iter().map(span).collect(),
            rows,
            alerts: told::alerts(&self.folder),
            tasks: task_rows(&ledger),
            orphans: orphans(&ledger, "SELECT task_id FROM orphan"),
            grouped: orphans(&ledger, "SELECT task_id FROM orphan WHERE of_shows <> '[]'"),
            ordered: seen.ordered,
            orders: seen.orders,
            api: self.api,
            impairments: seen.impairments,
            belief: Belief::new(&seen.clock_changes, &seen.boots),
            boots: seen.boots,
            take_overs: seen.take_overs,
            happenings,
            over,
            settled,
            latest: seen.latest.unwrap_or(settled).max(settled),
            earliest: seen.earliest.unwrap_or(begin()).min(begin()),
        }
    }

    /// Whether the daemon was to die since this was asked last.
    fn has_died(&self) -> bool {
        std::pin::pin!(self.api.death.notified()).enable()
    }

    fn history(&self) -> Vec<Occurrence> {
        let query = HistoryQuery { limit: 1_000_000, ..HistoryQuery::default() };
        Reader::open(&self.folder).expect("it opens").history(&query).expect("it reads")
    }

    pub(crate) fn generation(&self, number: i64) -> Generation {
        let index = usize::try_from(number - 1).expect("an index");
        Generation { number, schedule: Arc::clone(&self.schedules.borrow()[index].0) }
    }

    pub(crate) fn newest(&self) -> i64 {
        i64::try_from(self.schedules.borrow().len()).expect("few")
    }

    /// Somebody edits the schedule; it is accepted sooner or later. It was prepared `ago`.
    pub(crate) fn edit(&self, ago: SignedDuration) {
        let mut schedules = self.schedules.borrow_mut();
        let number = u32::try_from(schedules.len() + 1).expect("few");
        let mut jobs = edited(&mut self.random.borrow_mut(), &schedules[schedules.len() - 1].1, number, self.options);
        if self.options.varied {
            variety::edit(&mut self.extra.borrow_mut(), &mut jobs, number, self.clock.truth(), ago);
        }
        if let Some(random) = self.returning.borrow_mut().as_mut() {
            variety::take_away_and_bring_back(random, &schedules, &mut jobs);
        }
        self.api.state().jobs.clone_from(&jobs);
        schedules.push((read(&text(&jobs)), jobs));
    }

    pub(crate) fn accepted(&self, number: i64, at: Timestamp) {
        let mut seen = self.seen.borrow_mut();
        seen.accepted.retain(|(other, _)| *other < number);
        seen.accepted.push((number, at));
    }

    /// The generations that were in force since the cursor, as `run` finds them.
    fn former(&self, ledger: &Ledger, now: Timestamp) -> Vec<PastGeneration> {
        let meta = ledger.meta().expect("it reads");
        let mut periods = vec![(meta.generation, now)];
        if meta.cursor_generation != meta.generation {
            periods.insert(0, (meta.cursor_generation, meta.accepted_at.unwrap_or(now)));
        }
        let known = periods.into_iter().filter(|(number, _)| *number > 0);
        known.map(|(number, until)| PastGeneration { generation: self.generation(number), until }).collect()
    }

    /// Keeps what a daemon says, and ends the daemon at the notice that `daemon_run` names.
    pub(crate) fn observer(&self, daemon_run: Option<&DaemonRun>) -> impl FnMut(&Notice) + Send + use<> {
        let death = Arc::clone(&self.api.death);
        let mut countdown = match daemon_run.map(|daemon_run| daemon_run.ending) {
            Some(Ending::Notice(count)) => Some(count),
            _ => None,
        };
        let (clock, notices, trace) = (self.clock.clone(), Arc::clone(&self.happenings), is_traced());
        move |notice: &Notice| {
            if trace {
                let key = notice.key.as_ref().map(ToString::to_string).unwrap_or_default();
                println!("{} {key}: {}", clock.truth(), notice.text);
            }
            notices.lock().expect("no panic under the lock").push((clock.truth(), notice.clone()));
            if let Some(left) = &mut countdown {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    death.notify_one();
                }
            }
        }
    }

    /// A daemon begins.
    pub(crate) fn note_boot(&self) {
        self.seen.borrow_mut().boots.push(self.clock.truth());
        self.api.state().begin_daemon(self.clock.truth());
    }

    /// The newest schedule is accepted by a daemon that begins. Returns its number, and what was in force since the cursor.
    pub(crate) fn accept_at_boot(&self, ledger: &Ledger) -> (i64, Vec<PastGeneration>) {
        let meta = ledger.meta().expect("it reads");
        let (now, newest) = (self.clock.now(), self.newest());
        // A daemon may die with a schedule accepted before any answer was sent.
        if self.seen.borrow().accepted.last().is_some_and(|(number, _)| *number < meta.generation) {
            self.accepted(meta.generation, meta.accepted_at.expect("it was accepted at some time"));
        }
        if meta.generation != newest {
            self.accepted(newest, now);
        } else if self.seen.borrow().accepted.last().is_none_or(|(number, _)| *number < newest) {
            self.accepted(newest, meta.accepted_at.expect("a generation was accepted at some time"));
        }
        (newest, self.former(ledger, now))
    }

    /// One daemon, until it ends as `daemon_run` says; without one, until everything is over. Returns when nothing more was planned.
    async fn daemon(&self, daemon_run: Option<&DaemonRun>) -> Option<Timestamp> {
        let ledger = Ledger::open(&self.folder).expect("the ledger opens");
        let (newest, former) = self.accept_at_boot(&ledger);
        let (meta, now) = (ledger.meta().expect("it reads"), self.clock.now());
        if self.clock.error().is_zero() && meta.committed_at.is_some_and(|at| at > now) {
            // The clock was ahead; the operator who corrected it confirms it again.
            self.seen.borrow_mut().wrong_since.get_or_insert(self.clock.truth());
            self.pending.borrow_mut().push_front((self.clock.truth(), HostEvent::Confirm));
        }
        self.api.state().dies_at = match daemon_run.map(|daemon_run| daemon_run.ending) {
            Some(Ending::Request(point, count)) => Some((point, count)),
            _ => None,
        };
        let observe = self.observer(daemon_run);
        trace_line(
            &self.clock,
            &format!("a daemon begins, generation {newest}: {:?}", daemon_run.map(|daemon_run| daemon_run.ending)),
        );
        self.note_boot();
        let (clock, api) = (self.clock.clone(), Arc::new(self.api.clone()));
        let setup = told::setup(self.plan.rate, &ledger);
        let daemon = Daemon::new(clock, api, setup, ledger, self.generation(newest), former, Box::new(observe)).expect("it starts");
        if self.has_died() || matches!(daemon_run.map(|daemon_run| daemon_run.ending), Some(Ending::Boot)) {
            // It took over, and had no turn.
            return None;
        }
        let handle = daemon.handle();
        self.api.state().handle = Some(handle.clone());
        self.api.state().status = Some(daemon.status());
        let end = match daemon_run.map(|daemon_run| daemon_run.ending) {
            Some(Ending::Crash(after) | Ending::Term(after)) => (self.clock.truth() + after).min(self.ends),
            Some(Ending::Notice(_) | Ending::Request(..) | Ending::Boot) | None => self.ends,
        };
        let is_term = matches!(daemon_run.map(|daemon_run| daemon_run.ending), Some(Ending::Term(_)));
        let term = tokio::sync::Notify::new();
        let stop = async { term.notified().await };
        let script = async {
            self.inject(Some(&handle), end).await;
            if is_term {
                // From then on nothing new is begun; how long it takes to end is its own.
                self.add_impairment(Impairment::Down, self.clock.truth(), self.clock.truth() + SHUTDOWN_MAX);
                term.notify_one();
                std::future::pending::<()>().await;
            }
            if daemon_run.is_none() { Some(self.let_everything_end(&handle).await) } else { None }
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
        self.has_died();
        let mut state = self.api.state();
        (state.handle, state.status, state.dies_at) = (None, None, None);
        drop(state);
        self.see_clock();
        settled
    }
}
