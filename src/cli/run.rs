//! The verb `run`: where the daemon is put together. Settings, zones, schedule, ledger, API, page, signals: each is made here and
//! passed on. Does not know what any of them does.

mod folder_snapshot;
mod hardening;
mod health_line;
mod listeners;
mod reload;
mod signals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cli::load;
use crate::cli::{Context, Exit, Failure};
use crate::clock::{self, SystemClock};
use crate::config::Settings;
use crate::daemon::Daemon;
use crate::diagnostic::Diagnostic;
use crate::engine::Meta;
use crate::engine::{DaemonOptions, Generation, Level, Notice, PastGeneration};
use crate::ledger::sources;
use crate::ledger::{Ledger, Lock, Note};
use crate::schedule::{self, Schedule, Source};
use crate::systemd;
use crate::trtc::HttpApi;
use crate::trtc::client::Limits;
use crate::web::{AppState, InForce};
use crate::zones::Zones;
use folder_snapshot::{FolderSnapshot, watch as watch_folder};
use listeners::Listeners;
use reload::{Reload, log_failure};
pub(super) use signals::Signals;

/// Runs the daemon: it plays the schedule until SIGTERM, which leaves streams on air
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _args: Args) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    // First of all, because a signal without a handler ends the process.
    let signals = Signals::new(&runtime)?;
    hardening::keep_memory_private();
    hardening::raise_descriptors();
    let settings = load::load_settings(context)?;
    load::warn_of_exposed_secrets(&settings);
    let service = Service::prepare(context, settings)?;
    let played = runtime.block_on(async {
        let page = match service.settings.listen {
            Some(address) => Some(listeners::listen(address, "listen").await?),
            None => None,
        };
        service.play(signals, page, Box::new(log), std::future::pending()).await.map(|()| Exit::Good)
    });
    // A disk that stands must not keep the process.
    runtime.shutdown_timeout(THREADS_END_MAX);
    played
}

/// How long the end of the process waits for threads that read files.
const THREADS_END_MAX: Duration = Duration::from_secs(1);

/// The fewest and the most threads that calls and listeners share. Their work is small, and none of it waits for a disk.
const WORKERS: (usize, usize) = (2, 8);

/// The threads of a daemon. The loop runs on the one that blocks on it, the calls on the others: a slow disk delays neither a start
/// nor an answer. Their number is ours: `$TOKIO_WORKER_THREADS` may hold anything.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let workers = std::thread::available_parallelism().map_or(WORKERS.0, usize::from).clamp(WORKERS.0, WORKERS.1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))
}

/// Everything that can fail before the first thread is started.
pub(super) struct Service {
    context: Context,
    settings: Settings,
    zones: Zones,
    folder: PathBuf,
    /// Held until the process ends.
    lock: Lock,
    ledger: Ledger,
    accepted: AcceptedSchedule,
    former: Vec<PastGeneration>,
    /// The folder, as it looked before it was read.
    seen: FolderSnapshot,
}

/// The schedule that is in force, and what is wrong with the one in the folder if that is another.
struct AcceptedSchedule {
    generation: Generation,
    since: Option<Timestamp>,
    /// What it was read from.
    sources: Vec<Source>,
    rejected: Vec<Diagnostic>,
}

impl Service {
    /// Takes the state folder and its ledger, and accepts a schedule.
    pub(super) fn prepare(context: &Context, settings: Settings) -> Result<Service, Failure> {
        let zones = Zones::newest();
        let folder = settings.state_folder().map_err(Failure::configuration)?;
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("cannot make the state folder `{}`: {error}", folder.display())))?;
        let lock = Lock::take(&folder).map_err(|error| Failure::new(error.to_string()))?;
        let ledger = Ledger::open(&folder).map_err(|error| Failure::new(error.to_string()))?;
        for Note { level, text } in ledger.notes() {
            log(&Notice { at: clock::now(), key: None, level: *level, text: text.clone() });
        }
        let meta = ledger.meta().map_err(|error| Failure::new(error.to_string()))?;
        let now = clock::now();
        let seen = FolderSnapshot::at(&settings.schedules);
        let accepted = accept(context, &settings, &zones, &folder, &meta, now)?;
        let former = former(&folder, &meta, &settings, &zones.database, now)?;
        sources::prune(&folder, &[meta.cursor_generation, meta.generation, accepted.generation.number]);
        Ok(Service { context: context.clone(), settings, zones, folder, lock, ledger, accepted, former, seen })
    }

    /// Plays the schedule until `end`, or a signal to stop, and serves the page meanwhile. `observe` gets everything that is recorded.
    pub(super) async fn play(
        self,
        mut signals: Signals,
        page: Option<TcpListener>,
        observe: Box<dyn FnMut(&Notice) + Send>,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Failure> {
        let Service { context, settings, zones, folder, lock, ledger, accepted, former, seen } = self;
        let failed = |what: &str, error: &dyn std::fmt::Display| Failure::new(format!("cannot {what}: {error}"));
        if signals.stop_came() {
            tracing::info!("stopped before anything was begun");
            return Ok(());
        }
        let clock = SystemClock::new().map_err(|error| failed("take a timer from the kernel", &error))?;
        let manager = Arc::new(systemd::Manager::from_environment().map_err(|error| failed("reach systemd", &error))?);
        let api = api(&settings)?;
        let listeners = Listeners::open(&settings, page).await?;
        let AcceptedSchedule { generation, since, sources, rejected } = accepted;
        let first = InForce { generation: generation.clone(), accepted_at: since, rejected: rejected.into() };
        let (number, jobs) = (generation.number, generation.schedule.len());
        // From here on starts may be sent: below, nothing can fail before the loop runs.
        let secrets = load::secret_places(&settings);
        let rules = DaemonOptions { rate: settings.rate, require_sync: settings.require_sync, past: zones.past(), secrets };
        let mut daemon = Daemon::new(clock, Arc::clone(&api), rules, ledger, generation, former, observe)
            .and_then(Daemon::with_ledger_thread)
            .map_err(|error| failed("take over the ledger", &error))?;
        if let Some(period) = systemd::watchdog_period() {
            let manager = Arc::clone(&manager);
            // Twice in each period, as sd_watchdog_enabled(3) advises.
            let half = SignedDuration::try_from(period / 2).unwrap_or(SignedDuration::from_secs(30));
            daemon.watched(half, Box::new(move || log_failure(manager.alive())));
        }
        let (stop, stopped) = watch::channel(false);
        let handle = daemon.handle();
        let both = (handle.clone(), Arc::clone(&manager));
        let reread = reload::reread(api);
        let reload = Reload::new(&context, &settings, &zones.database, folder.clone(), both, (first, sources), reread);
        let reload = Arc::new(reload);
        let app_state =
            AppState { state_folder: folder, in_force: reload.in_force(), status: daemon.status(), busy: daemon.busy(), zones };
        let places = listeners.places();
        let telling = tokio::spawn(health_line::tell(app_state.clone(), Arc::clone(&manager)));
        let served = listeners.serve(app_state, handle, reload.reloader(), stopped.clone());
        let Signals { stopping: mut stop_signals, mut hang_up, others } = signals;
        let ignoring = tokio::spawn(others.ignore());
        let watching = settings.watch.then(|| tokio::spawn(watch_folder(settings.schedules.clone(), seen, Arc::clone(&reload))));
        let reloading = tokio::spawn(async move {
            while hang_up.recv().await.is_some() {
                // The result is logged, and nobody waits for it.
                let _ = Arc::clone(&reload).run("SIGHUP".to_owned(), false).await;
            }
        });
        let hurry = watch::Sender::new(false);
        let hurried = hurry.subscribe();
        let notice = Arc::clone(&manager);
        let listening = tokio::spawn(async move {
            tokio::select! {
                () = stop_signals.next() => {}
                () = end => {}
            }
            tracing::info!("stopping: streams on air stay on air");
            log_failure(notice.stopping());
            stop.send_replace(true);
            stop_signals.next().await;
            hurry.send_replace(true);
        });
        log_failure(manager.ready());
        let place = |door| places.get(door).map(tracing::field::display);
        let (page, callbacks, control) = (place("page"), place("callbacks"), place("control"));
        tracing::info!(jobs, generation = number, page, callbacks, control, "ready");
        let ended = daemon.run(until(stopped), until(hurried)).await;
        listening.abort();
        reloading.abort();
        ignoring.abort();
        telling.abort();
        if let Some(watching) = watching {
            watching.abort();
        }
        drop(served);
        drop(lock);
        ended.map_err(|error| {
            failed("write the ledger", &error).hint("streams on air stay on air; the daemon takes them over when it starts again")
        })
    }
}

/// The folder's schedule if it is good; else the last accepted one, with what is wrong with the folder's; else exit 78.
fn accept(
    context: &Context,
    settings: &Settings,
    zones: &Zones,
    folder: &Path,
    meta: &Meta,
    now: Timestamp,
) -> Result<AcceptedSchedule, Failure> {
    let kept = kept_schedule(folder, meta.generation, settings, &zones.database, now)?;
    let loaded = load::read_playable(settings, &zones.database, now);
    let text = |(name, text): (&Arc<str>, &String)| Source { name: Arc::clone(name), text: text.clone() };
    let sources: Vec<Source> = loaded.texts.iter().map(text).collect();
    let is_good = loaded.value.is_some();
    let rejected = if is_good { Vec::new() } else { loaded.diagnostics.clone() };
    match (is_good, kept) {
        (true, kept) => {
            let schedule = loaded.accept(context)?.expect("a schedule that is good is there");
            let is_same = kept.is_some_and(|(former, _)| sources::same(&former, &sources));
            let number = if is_same { meta.generation } else { meta.generation + 1 };
            if !is_same {
                sources::save(folder, number, &sources)
                    .map_err(|error| Failure::new(format!("cannot keep the schedule's sources: {error}")))?;
            }
            let since = if is_same { meta.accepted_at } else { Some(now) };
            Ok(AcceptedSchedule { generation: Generation { number, schedule: Arc::new(schedule) }, since, sources, rejected })
        }
        (false, Some((sources, schedule))) => {
            load::log_problems(&rejected);
            tracing::error!(generation = meta.generation, "the schedule was rejected; the last good one stays in force");
            let generation = Generation { number: meta.generation, schedule: Arc::new(schedule) };
            Ok(AcceptedSchedule { generation, since: meta.accepted_at, sources, rejected })
        }
        (false, None) => {
            loaded.accept(context)?;
            Err(Failure::Explained(Exit::Configuration))
        }
    }
}

/// The kept sources of a generation and their schedule, if they still make one under these settings.
fn kept_schedule(
    folder: &Path,
    generation: i64,
    settings: &Settings,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Option<(Vec<Source>, Schedule)>, Failure> {
    let sources = sources::load(folder, generation).map_err(|error| Failure::new(error.to_string()))?;
    let Some(sources) = sources else { return Ok(None) };
    let reading = schedule::read(&sources, &settings.for_schedule(), zones, now);
    Ok(reading.schedule.map(|schedule| (sources, schedule)))
}

/// The schedules that were in force since the ledger's cursor, as far as their sources were kept: a daemon that ended before everything
/// under one had an outcome may have accepted another.
fn former(
    folder: &Path,
    meta: &Meta,
    settings: &Settings,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Result<Vec<PastGeneration>, Failure> {
    let mut periods = vec![(meta.generation, now)];
    if meta.cursor_generation != meta.generation {
        periods.insert(0, (meta.cursor_generation, meta.accepted_at.unwrap_or(now)));
    }
    let mut former = Vec::new();
    for (number, until) in periods {
        if let Some((_, schedule)) = kept_schedule(folder, number, settings, zones, now)? {
            former.push(PastGeneration { generation: Generation { number, schedule: Arc::new(schedule) }, until });
        }
    }
    Ok(former)
}

fn api(settings: &Settings) -> Result<Arc<HttpApi>, Failure> {
    let source = settings.clone();
    let api = HttpApi::new(settings.account.endpoint.clone(), Limits::STANDARD, move || load::read_secrets(&source));
    api.map(Arc::new).map_err(Failure::configuration)
}

/// One line of the log for each thing that happened.
fn log(happening: &Notice) {
    let Notice { at: _, key, level, text } = happening;
    let (job, start) = match key {
        Some(key) => (key.job.as_str(), key.start.to_string()),
        None => ("", String::new()),
    };
    match level {
        Level::Info => tracing::info!(job, start, "{text}"),
        Level::Warning => tracing::warn!(job, start, "{text}"),
        Level::Error => tracing::error!(job, start, "{text}"),
    }
}

/// Ready once the value is true, or can never become true.
async fn until(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|is_set| *is_set).await;
}
