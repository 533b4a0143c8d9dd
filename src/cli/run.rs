//! The verb `run`: where the daemon is put together. Settings, zones, schedule, ledger, API, page, signals: each is made here and
//! passed on. Does not know what any of them does.

mod agreement;
mod boot;
mod folder_snapshot;
mod hardening;
mod health_line;
mod listeners;
mod ownership;
mod rejection;
mod reload;
mod rest;
mod shrinkage;
mod signals;
#[cfg(feature = "postgres")]
mod standby;
#[cfg(feature = "postgres")]
mod standing;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alerts::sender::{AlertStatus, Alerts};
use crate::alerts::testing::AlertTester;
use crate::chores::{self, FailedChores};
use crate::cli::load;
use crate::cli::{Context, Exit, Failure};
use crate::clock::{self, Clock};
use crate::config::Settings;
use crate::daemon::{AlertMessage, Daemon, Ended, Handle, Setup};
use crate::doctor::{self, Doctor, Findings, ProblemAlerts, Watch};
use crate::engine::{DaemonOptions, Level, Notice, PastGeneration, Shared};
use crate::lease::LeaseDeadline;
use crate::ledger::sources::Sources;
use crate::ledger::{Ledger, Lock, Note, Place};
use crate::occurrence::Outcome;
use crate::probe::Prober;
use crate::systemd;
use crate::trtc::client::Limits;
use crate::trtc::{Api, HttpApi};
use crate::web::{AppState, InForce, NotListening};
use crate::zones::Zones;
use boot::{AcceptedSchedule, Boot};
use folder_snapshot::{FolderSnapshot, follow};
use listeners::Listeners;
use ownership::{Host, Ownership, failed, stopping, tell_news};
use reload::{Patience, Reload};
use signals::Asked;
pub(super) use signals::Signals;

/// Runs the daemon: it plays the schedule until SIGTERM, which leaves streams on air
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The ledger is a backup: what was planned until now is recorded as missed (restored), and not started
    ///
    /// A backup does not know what became of the shows after it was made, and some may be on air. What it says is on air or under way is
    /// taken over as after a crash. Once is enough: the ledger remembers it.
    #[arg(long, value_name = "TIME", value_parser = ["now"])]
    as_of: Option<String>,
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    // First of all, because a signal without a handler ends the process.
    let signals = Signals::new(&runtime)?;
    hardening::keep_memory_private();
    hardening::raise_descriptors();
    let settings = load::load_settings(context)?;
    load::warn_of_exposed_secrets(&settings);
    let played = play(context, settings, args.as_of.is_some(), (&runtime, signals)).map(|()| Exit::Good);
    // A disk that stands must not keep the process.
    runtime.shutdown_timeout(THREADS_END_MAX);
    played
}

fn play(context: &Context, settings: Settings, is_restored: bool, (runtime, signals): (&Runtime, Signals)) -> Result<(), Failure> {
    #[cfg(feature = "postgres")]
    if let Some(shared) = settings.ledger.clone() {
        return runtime.block_on(Box::pin(standby::share(context, settings, shared, (signals, is_restored))));
    }
    let service = Service::prepare(context, settings, is_restored)?;
    runtime.block_on(Box::pin(service.play(signals, None, Box::new(log), std::future::pending())))
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

/// A ledger that is open for writing, and what is beside it.
pub(super) struct OpenLedger {
    ledger: Ledger,
    kept_in: Sources,
    /// Held until the process ends; a ledger that several hosts share has none.
    lock: Option<Lock>,
}

impl OpenLedger {
    /// The one in the state folder.
    fn in_state(settings: &Settings) -> Result<OpenLedger, Failure> {
        let folder = settings.state_folder().map_err(Failure::configuration)?;
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("cannot make the state folder `{}`: {error}", folder.display())))?;
        let lock = Lock::take(&folder).map_err(|error| Failure::new(error.to_string()))?;
        let ledger = Ledger::open(&folder).map_err(|error| Failure::new(error.to_string()))?;
        Ok(OpenLedger { ledger, kept_in: Sources::at(Place::Folder(folder)), lock: Some(lock) })
    }
}

/// Everything that can fail before the first thread is started.
pub(super) struct Service {
    context: Context,
    settings: Settings,
    zones: Zones,
    ledger: OpenLedger,
    accepted: AcceptedSchedule,
    former: Vec<PastGeneration>,
    /// The folder, as it looked before it was read.
    seen: FolderSnapshot,
}

impl Service {
    /// Takes the state folder and its ledger, and accepts a schedule. `is_restored`: the ledger is a backup.
    pub(super) fn prepare(context: &Context, settings: Settings, is_restored: bool) -> Result<Service, Failure> {
        let ledger = OpenLedger::in_state(&settings)?;
        Service::prepare_role(context, settings, ledger, (is_restored, false))
    }

    /// The same. `keeps`: what is accepted stays in force, whatever is in the folder.
    fn prepare_role(
        context: &Context,
        settings: Settings,
        mut open: OpenLedger,
        (is_restored, keeps): (bool, bool),
    ) -> Result<Service, Failure> {
        let zones = Zones::newest();
        let OpenLedger { ledger, kept_in, lock: _ } = &mut open;
        for Note { level, text } in ledger.notes() {
            log(&Notice::new(clock::now(), *level, text.clone()));
        }
        let now = clock::now();
        if is_restored {
            ledger.mark_restored(now).map_err(|error| Failure::new(error.to_string()))?;
            tracing::warn!("the ledger is a backup: what was planned until now is recorded as missed (restored), and not started");
        }
        let meta = ledger.meta().map_err(|error| Failure::new(error.to_string()))?;
        let seen = FolderSnapshot::at(&settings.schedules);
        let boot = Boot { context, settings: &settings, zones: &zones.database, kept_in, meta: &meta, now, keeps };
        let former = boot.former();
        let accepted = boot.accept()?;
        let seen = if accepted.reads_again { FolderSnapshot::unknown() } else { seen };
        kept_in.prune(&[meta.cursor_generation, meta.generation, accepted.generation.number]);
        Ok(Service { context: context.clone(), settings, zones, ledger: open, accepted, former, seen })
    }

    /// Plays the schedule until `end`, or a signal to stop, and serves the page meanwhile, whose port may be open already. `observe` gets
    /// everything that is recorded.
    pub(super) async fn play(
        self,
        mut signals: Signals,
        page: Option<TcpListener>,
        observe: Box<dyn FnMut(&Notice) + Send>,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Failure> {
        if signals.stop_came() {
            tracing::info!("stopped before anything was begun");
            return Ok(());
        }
        let host = Host::new()?;
        let listeners = Listeners::open(&self.settings, page).await?;
        let manager = Arc::clone(&host.manager);
        let asked = signals.hear(end, move || stopping(&manager));
        Box::pin(self.own((&host, listeners), &asked, Ownership::alone(asked.reload.clone()), observe)).await.map(drop)
    }

    /// Plays the schedule until it is asked to stop, or until another host owns the air.
    async fn own(
        self,
        (host, listeners): (&Host, Listeners),
        asked: &Asked,
        ownership: Ownership,
        observe: Box<dyn FnMut(&Notice) + Send>,
    ) -> Result<Ended, Failure> {
        let Service { context, settings, zones, ledger, accepted, former, seen } = self;
        let OpenLedger { ledger, kept_in, lock } = ledger;
        let place = kept_in.place().clone();
        let Ownership { deadline, may_arrive_until, rows_may_be_lost, standing, deposed, reload: mut hang_up, news } = ownership;
        let clock = host.clock.clone();
        let manager = Arc::clone(&host.manager);
        let (api, prober) = (api(&settings)?, Prober::new(settings.media_hosts.clone()).map_err(Failure::new)?);
        let AcceptedSchedule { generation, since, sources, rejected, drawn, reads_again } = accepted;
        let first = InForce { rejected: rejected.into(), drawn, ..InForce::good(generation.clone(), since) };
        let (number, jobs) = (generation.number, generation.schedule.len());
        // From here on starts may be sent: below, nothing can fail before the loop runs.
        let (alerts, setup, open) = setup(&settings, &zones, &ledger, (deadline, may_arrive_until, rows_may_be_lost))?;
        let secrets = setup.options.secrets;
        let mut daemon = Daemon::new(clock.clone(), Arc::clone(&api), setup, ledger, generation, former, observe)
            .and_then(Daemon::with_ledger_thread)
            .map_err(|error| failed("take over the ledger", &error))?;
        if let Some(period) = systemd::watchdog_period() {
            let manager = Arc::clone(&manager);
            // Twice in each period, as sd_watchdog_enabled(3) advises.
            let half = SignedDuration::try_from(period / 2).unwrap_or(SignedDuration::from_secs(30));
            daemon.watched(half, Box::new(move || systemd::log_failure(manager.alive())));
        }
        let handle = daemon.handle();
        let both = (handle.clone(), Arc::clone(&manager));
        let reread = reload::reread(Arc::clone(&api));
        let reload = Reload::new(&context, &settings, &zones.database, kept_in, both, (first, sources), reread);
        let reload = Arc::new(reload);
        let (queues, metrics) = (Some(daemon.queues()), Some(daemon.metrics()));
        let doctor = Doctor { api: Some(api), queues, metrics, settings: settings.clone(), secrets, prober };
        let looked_after = doctor::Daemon { status: daemon.status(), handle: handle.clone() };
        let Watch { findings, alerts: found, task: examining } = doctor::begin(doctor, reload.in_force(), looked_after, open);
        let (failing, keeping) = chores::begin(settings.chores.clone(), place.clone(), handle.clone());
        let told = (reload.in_force(), listeners.not_listening(), findings, (alerts.status(), alerts.tester()), failing);
        let app_state = AppState { host: standing.clone(), ..app_state(&daemon, place, told, zones, &settings) };
        let sending = alerts.start(clock, handle.clone(), &daemon.busy());
        let changing = tokio::spawn(tell_news(news, handle.clone()));
        let rejecting = tokio::spawn(rejection::watch(reload.in_force(), handle.clone()));
        let raising = tokio::spawn(hand_on(found, handle.clone()));
        let places = listeners.places();
        let telling = tokio::spawn(health_line::tell(app_state.clone(), Arc::clone(&manager)));
        let (over, ending) = (Arc::new(watch::Sender::new(false)), asked.stop.clone());
        let served = listeners.serve(app_state, handle.clone(), reload.reloader(), over.subscribe());
        let relay = Arc::clone(&over);
        let ending = tokio::spawn(async move {
            until(ending).await;
            relay.send_replace(true);
        });
        let watching = tokio::spawn(follow(settings, seen, reads_again, Arc::clone(&reload)));
        let reloading = tokio::spawn(async move {
            while hang_up.changed().await.is_ok() {
                // The result is logged, and nobody waits for it.
                let _ = Arc::clone(&reload).run("SIGHUP".to_owned(), Patience::Waits).await;
            }
        });
        systemd::log_failure(manager.ready());
        let place = |door| places.get(door).map(tracing::field::display);
        let (page, callbacks, control) = (place("page"), place("callbacks"), place("control"));
        tracing::info!(jobs, generation = number, page, callbacks, control, "ready");
        let stop = async {
            tokio::select! {
                () = until(asked.stop.clone()) => Ended::Stopped,
                () = until(deposed) => Ended::Deposed,
            }
        };
        let ended = daemon.run(stop, until(asked.hurry.clone())).await;
        let tasks = [reloading, telling, examining, watching, rejecting, raising, keeping, changing, ending];
        tasks.iter().for_each(JoinHandle::abort);
        drop(sending);
        over.send_replace(true);
        #[cfg(feature = "postgres")]
        if matches!(ended, Ok(Ended::Deposed)) {
            served.finish();
        }
        #[cfg(not(feature = "postgres"))]
        drop(served);
        drop(lock);
        ended.map_err(|error| {
            failed("write the ledger", &error).hint("streams on air stay on air; the daemon takes them over when it starts again")
        })
    }
}

/// What others than the loop know.
type ToldElsewhere = (
    watch::Receiver<InForce>,
    watch::Receiver<NotListening>,
    watch::Receiver<Findings>,
    (watch::Receiver<AlertStatus>, AlertTester),
    watch::Receiver<FailedChores>,
);

/// What the pages show of this daemon, from its start on.
fn app_state<C: Clock, A: Api>(
    daemon: &Daemon<C, A>,
    ledger: Place,
    (in_force, not_listening, findings, (alerts, alert_tester), failed_chores): ToldElsewhere,
    zones: Zones,
    settings: &Settings,
) -> AppState {
    AppState {
        ledger,
        in_force,
        status: daemon.status(),
        busy: daemon.busy(),
        host: None,
        not_listening,
        findings,
        alerts,
        alert_tester: Some(alert_tester),
        failed_chores,
        zones,
        metrics: daemon.metrics(),
        log_lines_dropped: super::log::lines_dropped,
        started_at: clock::now(),
        require_sync: settings.require_sync,
        page: settings.page.clone(),
    }
}

/// What the daemon goes by, who sends its alerts, and which of the doctor's are open.
fn setup(
    settings: &Settings,
    zones: &Zones,
    ledger: &Ledger,
    (deadline, may_arrive_until, rows_may_be_lost): (LeaseDeadline, Option<Timestamp>, bool),
) -> Result<(Alerts, Setup, ProblemAlerts), Failure> {
    let secrets = load::secret_places(settings);
    let shared = settings.ledger.as_ref().map(|shared| Shared { lease: shared.lease, rows_may_be_lost });
    let (rate, require_sync) = (settings.rate, settings.require_sync);
    let options = DaemonOptions { rate, require_sync, past: zones.past(), secrets, shared };
    // An alert that cannot be read must not keep a show off the air.
    let mut unreadable = Vec::new();
    let kept = ledger.readable_alerts(&mut unreadable).unwrap_or_else(|error| {
        tracing::error!("the alerts that wait cannot be read, and are not sent: {error}");
        Vec::new()
    });
    for row in unreadable {
        tracing::error!("an alert that waits cannot be read, and is left out: {row}");
    }
    let hidden = load::secret_sources(settings).cloned().collect();
    let open = ProblemAlerts::new(kept.iter().map(|kept| &kept.alert));
    let (alerts, troubles, changes) = Alerts::new(&settings.alerts, kept, hidden).map_err(Failure::configuration)?;
    Ok((alerts, Setup { options, troubles, changes: Some(changes), deadline, may_arrive_until }, open))
}

fn api(settings: &Settings) -> Result<Arc<HttpApi>, Failure> {
    let source = settings.clone();
    let api = HttpApi::new(settings.account.endpoint.clone(), Limits::STANDARD, move || load::read_secrets(&source));
    api.map(Arc::new).map_err(Failure::configuration)
}

/// One line of the log for each thing that happened.
fn log(happening: &Notice) {
    let Notice { at: _, key, level, text, outcome, code } = happening;
    let (job, start) = match key {
        Some(key) => (key.job.as_str(), key.start.to_string()),
        None => ("", String::new()),
    };
    let (outcome, reason) = (outcome.as_ref().map(Outcome::name), outcome.as_ref().map(Outcome::reason));
    let code = code.as_deref();
    match level {
        Level::Info => tracing::info!(job, start, outcome, reason, code, "{text}"),
        Level::Warning => tracing::warn!(job, start, outcome, reason, code, "{text}"),
        Level::Error => tracing::error!(job, start, outcome, reason, code, "{text}"),
    }
}

/// Hands on what the doctor says of alerts. Only this waits for the loop.
async fn hand_on(mut found: UnboundedReceiver<AlertMessage>, handle: Handle) {
    while let Some(message) = found.recv().await {
        handle.alert(message).await;
    }
}

/// Ready once the value is true.
async fn until(mut flag: watch::Receiver<bool>) {
    if flag.wait_for(|is_set| *is_set).await.is_err() {
        std::future::pending::<()>().await;
    }
}
