//! A process that shares its ledger: it waits as a standby, owns the air when nobody else does, and waits again when another has it. Does
//! not know how the air is taken, and what an owner does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::agreement::{self, Agreement};
use super::listeners::{Listeners, Served};
use super::signals::{Asked, Signals};
use super::standing::follow;
use super::{Host, OpenLedger, Ownership, Service, health_line, log, stopping, until};
use crate::alerts::AlertEvent;
use crate::alerts::deliver::host_name;
use crate::cli::{Context, Failure, place};
use crate::clock::{self, Clock};
use crate::config::{Settings, SharedLedger};
use crate::daemon::{Ended, Handle, Message, Messages};
use crate::engine::Receipt;
use crate::host::HostStanding;
use crate::lease::{LeaseDeadline, Term};
use crate::ledger::postgres::keeper::{Keeper, KeeperSetup, Told};
use crate::ledger::postgres::owner::{Process, Taken};
use crate::ledger::postgres::{STATION_VERSION, Station, indexes};
use crate::ledger::sources::Sources;
use crate::ledger::{Ledger, LedgerError, Place};
use crate::systemd;
use crate::web::{AppState, InForce};
use crate::zones::Zones;

/// How long a release may take: whoever ends this process waits for it.
const RELEASE_MAX: Duration = Duration::from_secs(1);

/// How long it waits before it tries to open the ledger again.
const AGAIN: Duration = Duration::from_millis(500);

/// How long a host that could not begin to play leaves the air to others.
const PAUSE: Duration = Duration::from_secs(10);

/// What stays while the roles change.
struct Shared {
    context: Context,
    settings: Settings,
    station: Station,
    zones: Zones,
    host: Host,
    listeners: Listeners,
    asked: Asked,
    in_force: watch::Receiver<InForce>,
    standing: watch::Receiver<HostStanding>,
    /// Why this process may not own, beside what its keeper sees.
    trouble: watch::Sender<Option<String>>,
    started_at: Timestamp,
    /// Whether the ledger is a backup, and does not say so yet.
    is_restored: AtomicBool,
    /// They end with this.
    tasks: JoinSet<()>,
}

/// Runs until it is asked to stop, in whichever role. `is_restored`: the ledger is a backup.
pub(super) async fn share(
    context: &Context,
    settings: Settings,
    shared: SharedLedger,
    (mut signals, is_restored): (Signals, bool),
) -> Result<(), Failure> {
    if signals.stop_came() {
        tracing::info!("stopped before anything was begun");
        return Ok(());
    }
    let process = Process { id: random_id(), host: host_name(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let station = place::station(&shared).map_err(Failure::configuration)?.for_process(&process.id);
    for host in station.address().unchecked_hosts() {
        tracing::warn!(
            "the certificate of the database on {host} is not compared with its name: write `sslmode=verify-full` into its URL"
        );
    }
    let host = Host::new()?;
    let listeners = Listeners::open(&settings, None).await?;
    let manager = Arc::clone(&host.manager);
    let asked = signals.hear(std::future::pending(), move || stopping(&manager));
    // Ready to wait: whoever starts this process, or updates it, waits for no other host and for no database.
    systemd::log_failure(host.manager.ready());
    let zones = Zones::newest();
    let own_clock = host.clock.clone();
    let (told, heard) = watch::channel(Told::default());
    let mut keeper = Keeper::new(KeeperSetup {
        address: Arc::clone(station.address()),
        migrate: Arc::clone(station.migrate()),
        station: Arc::clone(&shared.station),
        lease: shared.lease,
        process: process.clone(),
        schema: STATION_VERSION,
        clock: Arc::new(move || (own_clock.now(), own_clock.since_boot())),
        told: heard,
    });
    let (agreements, agreement) = watch::channel(Agreement::default());
    let (in_force, seen_in_force) = watch::channel(agreement::unknown(&settings, &zones));
    let (trouble, troubles) = watch::channel(None);
    let (standings, standing) = watch::channel(HostStanding { station: shared.station.to_string(), ..HostStanding::default() });
    let mut tasks = JoinSet::new();
    tasks.spawn(agreement::watch((settings.clone(), zones.clone(), Place::Station(station.clone())), agreements, in_force));
    tasks.spawn(follow((keeper.standing(), agreement, troubles), process, told, standings));
    let (context, started_at) = (context.clone(), clock::now());
    let all = Shared {
        context,
        settings,
        station,
        zones,
        host,
        listeners,
        asked,
        in_force: seen_in_force,
        standing,
        trouble,
        started_at,
        is_restored: AtomicBool::new(is_restored),
        tasks,
    };
    all.tell_ready();
    // Whether the ledger has everything that this process sent.
    let mut is_recorded = true;
    loop {
        let Some((taken, deadline)) = all.wait(&mut keeper).await else { break };
        is_recorded = true;
        let (again, ended) = all.play(keeper, taken, deadline).await?;
        keeper = again;
        match ended {
            Ok(Ended::Stopped) => break,
            Ok(Ended::Deposed) => tracing::warn!("this host is a standby again: {}", all.standing.borrow().who_owns()),
            Err(failure) => {
                is_recorded = false;
                all.pause(&mut keeper, failure).await;
            }
        }
    }
    release(&mut keeper, is_recorded).await;
    drop(all.tasks);
    Ok(())
}

impl Shared {
    /// Says where it listens. What follows waits for others.
    fn tell_ready(&self) {
        let places = self.listeners.places();
        let place = |door| places.get(door).map(tracing::field::display);
        let (page, callbacks, control) = (place("page"), place("callbacks"), place("control"));
        tracing::info!(page, callbacks, control, "ready to wait as a standby");
    }

    /// Waits as a standby until this host has the air. Nothing: it is asked to stop.
    async fn wait(&self, keeper: &mut Keeper) -> Option<(Taken, LeaseDeadline)> {
        let serving = self.serve();
        let turn = tokio::select! {
            biased;
            () = until(self.asked.stop.clone()) => None,
            turn = keeper.wait_for_turn() => Some(turn),
        };
        serving.finish();
        turn
    }

    /// Answers everybody as a standby does.
    fn serve(&self) -> Serving {
        let listeners = self.listeners.again();
        let (handle, messages) = Handle::new();
        let mut serving = JoinSet::new();
        serving.spawn(refuse(messages, self.standing.clone()));
        let app_state = self.app_state(&listeners);
        serving.spawn(health_line::tell(app_state.clone(), Arc::clone(&self.host.manager)));
        if let Some(period) = systemd::watchdog_period() {
            let manager = Arc::clone(&self.host.manager);
            serving.spawn(async move {
                let mut ticks = interval(period / 2);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    systemd::log_failure(manager.alive());
                }
            });
        }
        let standing = self.standing.clone();
        let reloader: crate::web::control::Reloader = Arc::new(move |_, _| {
            let why = no_orders(&standing.borrow());
            Box::pin(async move { Err(why) })
        });
        let (over, is_over) = watch::channel(false);
        let served = listeners.serve(app_state, handle, reloader, is_over);
        Serving { tasks: serving, served, over }
    }

    fn app_state(&self, listeners: &Listeners) -> AppState {
        AppState {
            ledger: Place::Station(self.station.clone()),
            in_force: self.in_force.clone(),
            status: watch::channel(crate::engine::LoopStatus::default()).1,
            busy: crate::busy::Busy::default(),
            host: Some(self.standing.clone()),
            not_listening: listeners.not_listening(),
            findings: watch::channel(crate::doctor::Findings::default()).1,
            alerts: watch::channel(crate::alerts::sender::AlertStatus::default()).1,
            alert_tester: None,
            failed_chores: watch::channel(crate::chores::FailedChores::default()).1,
            zones: self.zones.clone(),
            metrics: Arc::default(),
            log_lines_dropped: crate::cli::log::lines_dropped,
            started_at: self.started_at,
            require_sync: false,
            page: self.settings.page.clone(),
        }
    }

    /// Plays while this host has the air, and renews its lease meanwhile.
    async fn play(
        &self,
        mut keeper: Keeper,
        taken: Taken,
        deadline: LeaseDeadline,
    ) -> Result<(Keeper, Result<Ended, Failure>), Failure> {
        let former = taken.former.as_ref().map_or_else(|| "nobody".to_owned(), |former| format!("`{}`", former.host));
        tracing::info!(term = taken.term.0, "this host owns the air of station `{}`; before it did {former}", self.station.name());
        let (others, stopped) = (watch::Sender::new(false), oneshot::channel::<()>());
        let deposed = others.subscribe();
        let (term, kept, kept_until) = (taken.term, deadline.clone(), deadline.clone());
        let (stop_keeping, stop) = stopped;
        let keeping = tokio::spawn(async move {
            tokio::select! {
                () = keeper.keep(term, &kept) => drop(others.send_replace(true)),
                _ = stop => {}
            }
            keeper
        });
        // What was asked of a standby is done: a take-over changes no schedule.
        let mut reload = self.asked.reload.clone();
        reload.mark_unchanged();
        let ownership = Ownership {
            deadline,
            may_arrive_until: taken.may_arrive_until.map(own_time),
            // A server that was promoted does not say that it was. It knows whole what was given back just now: nobody can have owned since.
            rows_may_be_lost: !(taken.was_released && taken.unowned_ms < HANDED_OVER_MS),
            standing: Some(self.standing.clone()),
            deposed,
            reload,
            news: news(&taken, self.station.name()),
        };
        let prepared = self.prepare(&taken, &kept_until).await;
        let ended = match prepared {
            Ok(None) => Ok(Ended::Deposed),
            Ok(Some(service)) => {
                let listeners = self.listeners.again();
                let building = tokio::spawn(indexes::build_or_warn(self.station.clone()));
                let ended = Box::pin(service.own((&self.host, listeners), &self.asked, ownership, Box::new(log))).await;
                building.abort();
                ended
            }
            Err(failure) => Err(failure),
        };
        // Only who waits for it can have dropped it.
        let _ = stop_keeping.send(());
        let keeper = keeping.await.map_err(|_| Failure::new("this is a bug of ingestd: the lease was not kept".to_owned()))?;
        Ok((keeper, ended))
    }

    /// Opens the ledger, which may take a while, and again while the lease lasts where the database fails for a moment. Nothing: another owns
    /// already.
    async fn prepare(&self, taken: &Taken, lease: &LeaseDeadline) -> Result<Option<Service>, Failure> {
        loop {
            let error = match self.open(taken.term).await? {
                Ok(ledger) => return self.prepare_with(ledger, taken).await.map(Some),
                Err(error) if error.is_deposed() => return Ok(None),
                Err(error) => error,
            };
            if !error.is_passing() || !lease.allows(self.host.clock.since_boot()) {
                return Err(Failure::new(error.to_string()));
            }
            tracing::warn!("the ledger cannot be opened yet: {error}");
            sleep(AGAIN).await;
        }
    }

    async fn open(&self, term: Term) -> Result<Result<Ledger, LedgerError>, Failure> {
        let station = self.station.clone();
        tokio::task::spawn_blocking(move || Ledger::open_station(&station, term)).await.map_err(|_| bug())
    }

    async fn prepare_with(&self, ledger: Ledger, taken: &Taken) -> Result<Service, Failure> {
        let (context, settings, is_new) = (self.context.clone(), self.settings.clone(), taken.is_alone);
        let open = OpenLedger { ledger, kept_in: Sources::of_owner(self.station.clone(), taken.term), lock: None };
        let is_restored = self.is_restored.load(Ordering::Relaxed);
        let prepare = move || Service::prepare_role(&context, settings, open, (is_restored, !is_new));
        let prepared = tokio::task::spawn_blocking(prepare).await.unwrap_or_else(|_| Err(bug()))?;
        // Once is enough: the ledger remembers it.
        self.is_restored.store(false, Ordering::Relaxed);
        Ok(prepared)
    }

    /// This host took the air and could not begin: others may try, and it tries again later.
    async fn pause(&self, keeper: &mut Keeper, failure: Failure) {
        let why = failure.to_string();
        let why = match why.trim().trim_start_matches("error: ") {
            // What is wrong with a schedule was printed where it was read.
            "" => "see above".to_owned(),
            why => why.to_owned(),
        };
        tracing::error!("this host has the air and cannot play: {why}; it gives it back, and tries again in {} s", PAUSE.as_secs());
        self.trouble.send_replace(Some(why));
        release(keeper, false).await;
        let serving = self.serve();
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = until(self.asked.stop.clone()) => {}
        }
        serving.finish();
        self.trouble.send_replace(None);
    }
}

fn bug() -> Failure {
    Failure::new("this is a bug of ingestd: see the log".to_owned())
}

/// What is told of a take-over: who owns now, and for how long nobody did.
fn news(taken: &Taken, station: &str) -> Vec<(AlertEvent, String, String)> {
    let Some(former) = &taken.former else { return Vec::new() };
    let (key, here) = (format!("{station}-{}", taken.term), host_name());
    let changed =
        format!("`{here}` owns the air of station `{station}` now (term {}); before it did `{}`", taken.term, former.host);
    let silent = taken.unowned_ms >= UNOWNED_TOLD_MS;
    let nobody = format!("nobody owned the air of station `{station}` for {} s; `{here}` owns it now", taken.unowned_ms / 1_000);
    let nobody = silent.then(|| (AlertEvent::NoOwner, key.clone(), nobody));
    [(AlertEvent::RoleChanged, key, changed)].into_iter().chain(nobody).collect()
}

/// Whoever follows within this time follows who gave back: a fail-over of the database takes longer.
const HANDED_OVER_MS: i64 = 2_000;

/// A standby follows within 2 s. Whoever waits longer had nobody to follow.
const UNOWNED_TOLD_MS: i64 = 10_000;

/// A standby's answers.
struct Serving {
    tasks: JoinSet<()>,
    served: Served,
    over: watch::Sender<bool>,
}

impl Serving {
    /// The role is over: what is being answered comes to its end.
    fn finish(self) {
        let Serving { tasks, served, over } = self;
        over.send_replace(true);
        served.finish();
        drop(tasks);
    }
}

/// An instant of the database's clock as this host's clock shows it. Given: the instant, and what the database's clock showed just now.
fn own_time((until, database_now): (Timestamp, Timestamp)) -> Timestamp {
    clock::now().checked_add(until.duration_since(database_now)).unwrap_or(Timestamp::MAX)
}

/// Gives the air back, if this host has it. `is_recorded`: the ledger has everything that was sent. If that cannot be done in time, others follow when the lease has ended.
async fn release(keeper: &mut Keeper, is_recorded: bool) {
    let released = timeout(RELEASE_MAX, keeper.release(is_recorded)).await;
    let why = match released {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {} s", RELEASE_MAX.as_secs()),
    };
    tracing::warn!("the air could not be given back, so others follow when the lease has ended: {why}");
}

/// Who this process is: another one at each start. A host's name is no proof, because two may have the same.
fn random_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let word = |number: u8| RandomState::new().hash_one(number);
    format!("{:016x}{:016x}", word(1), word(2))
}

fn no_orders(standing: &HostStanding) -> String {
    format!("this host is a standby, and orders go to the owner: {}", standing.who_owns())
}

/// Sends everybody to the owner. The vendor sends a callback again that was not taken.
async fn refuse(mut messages: Messages, standing: watch::Receiver<HostStanding>) {
    while let Some(message) = messages.recv().await {
        // Whoever asked may be gone.
        match message {
            Message::Order(_, reply) => drop(reply.send(Err(no_orders(&standing.borrow())))),
            Message::Callback(_, receipt) => drop(receipt.send(Receipt::Refused)),
            Message::Media(_) | Message::Alert(_) => {}
        }
    }
}
