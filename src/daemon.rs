//! The daemon: one loop around the [`engine`](crate::engine). It sleeps until the next thing to do, collects what has happened as
//! values, takes a step, writes the ledger, and only then lets calls leave. Does not know YAML, HTTP and how things are shown.
//!
//! Invariants. What one turn decides is one transaction. No start leaves without a durable row. No lock and no transaction is
//! held over an await. Nothing here reads a clock but through [`Clock`]. Nothing here waits for a disk longer than a moment.

mod calls;
mod disk;
mod ended;
mod input;
mod rate_watch;
mod records;
mod shutdown;
mod turn;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::busy::Busy;
use crate::clock::Clock;
use crate::engine::{
    Alerting, Blocker, CallReport, ClockReading, DOUBTS_SINCE, DaemonOptions, Engine, Generation, Level, LoopStatus, Notice,
    PastGeneration, Reply, States, Step, TakenOver,
};
use crate::lease::LeaseDeadline;
use crate::ledger::thread::Report;
use crate::ledger::{Attempt, Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::trtc::queue::Queues;
use crate::trtc::{Action, Api};
use calls::Caller;
use disk::Disk;
pub use disk::SimulatedDisk;
pub use ended::Ended;
use ingestd_core::alerts::{Alert, Troubles};
pub use input::{AlertMessage, Handle, Message, Messages};
use rate_watch::RateWatch;
use records::DiskRecords;

/// A loop that wakes so much too late is told of: a process that was stopped, a host that slept.
const AWAY_TOLD: Duration = Duration::from_secs(5);

/// How often it is looked whether starts are still to be held.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// The same while the lease is over: whoever renews it wakes nobody.
const LOOK_AT_LEASE: SignedDuration = SignedDuration::from_millis(50);

/// A daemon, not yet running.
pub struct Daemon<C, A> {
    disk: Disk,
    engine: Engine,
    caller: Caller<C, A>,
    calls: JoinSet<Option<CallReport>>,
    /// To each start under way, by the row of its call: what stands between it and its room.
    blockers: HashMap<i64, watch::Sender<Blocker>>,
    messages: Messages,
    /// To orders whose reply comes with a later turn, by its number.
    late_replies: HashMap<u64, oneshot::Sender<Reply>>,
    handle: Handle,
    observe: Box<dyn FnMut(&Notice) + Send>,
    status: watch::Sender<LoopStatus>,
    /// The lease is over, as was told.
    lease_is_over: bool,
    /// What is wrong with the ledger's disk, as was told.
    disk_error: Option<String>,
    /// Since when the disk does not answer, by elapsed time.
    disk_stands_since: Option<Duration>,
    /// Makes the disk stand in simulated time.
    disk_gate: watch::Sender<SimulatedDisk>,
    busy: Busy,
    /// What could not leave before may have a room to take now.
    look_soon: bool,
    watchdog: Option<Watchdog>,
    rate_watch: RateWatch,
    /// What taking over permitted to send; it leaves when the daemon runs, and not before everything else is known to work.
    recovered_attempts: Vec<Attempt>,
    alerting: Alerting,
    /// To whoever sends alerts.
    changes: Option<UnboundedSender<Alert>>,
}

/// What a daemon begins with.
pub struct Setup {
    /// What it goes by.
    pub options: DaemonOptions,
    /// What is open, and who is told.
    pub troubles: Troubles,
    /// To whoever sends: each alert that is new or changed, after it was written, or when the disk fails.
    pub changes: Option<UnboundedSender<Alert>>,
    /// Until when its starts may leave; whoever renews the lease moves it.
    pub deadline: LeaseDeadline,
    /// Until when a start that the owner before was sending may still arrive, where the ledger does not say it of each.
    pub may_arrive_until: Option<Timestamp>,
}

/// Nobody is told, and nobody else has the ledger.
impl From<DaemonOptions> for Setup {
    fn from(options: DaemonOptions) -> Setup {
        Setup { options, troubles: Troubles::default(), changes: None, deadline: LeaseDeadline::never(), may_arrive_until: None }
    }
}

/// Somebody who must hear now and then that the loop turns.
struct Watchdog {
    period: SignedDuration,
    next: Timestamp,
    feed: Box<dyn FnMut() + Send>,
}

/// What has come in since the last turn.
#[derive(Default)]
struct Mail {
    reports: Vec<CallReport>,
    messages: Vec<Message>,
    disk: Vec<Report>,
}

impl<C: Clock, A: Api> Daemon<C, A> {
    /// Takes over a ledger with the schedule that was just accepted. `past` are those that were in force since the ledger's
    /// cursor, in their order; time that none of them covers is settled under the accepted one. `observe` gets everything after it
    /// is recorded.
    ///
    /// Errors: the ledger cannot be read; or it cannot be written, and never will be.
    pub fn new(
        clock: C,
        api: Arc<A>,
        setup: impl Into<Setup>,
        ledger: Ledger,
        accepted: Generation,
        past: Vec<PastGeneration>,
        observe: Box<dyn FnMut(&Notice) + Send>,
    ) -> Result<Daemon<C, A>, LedgerError> {
        let Setup { options, troubles, changes, deadline, may_arrive_until } = setup.into();
        let mut alerting = Alerting::new(troubles);
        let queues = Queues::new(options.rate);
        let reading = read(&clock);
        // A clock that is behind asks for no more than a clock that is right.
        let now = ledger.meta()?.committed_at.map_or(reading.wall, |committed| committed.max(reading.wall));
        let mut recovered = ledger.recover(now.checked_sub(DOUBTS_SINCE).unwrap_or(Timestamp::MIN))?;
        recovered.all_may_arrive(may_arrive_until);
        let (disk_gate, gate) = watch::channel(SimulatedDisk::Answers);
        let mut disk = Disk::here(ledger, gate);
        let records = DiskRecords::new(&disk);
        let taken = Engine::take_over(options, reading, recovered, accepted, past, &records);
        if let Some(error) = records.into_error() {
            return Err(error);
        }
        let TakenOver { mut engine, step, maybe_sent } = taken;
        queues.of(Action::Start).count_as_used(maybe_sent);
        let Step { now, mut writes, calls, mut notices, signals, .. } = step;
        let states = States { held: engine.clock_hold(), offset_ms: engine.server_offset_ms(), disk: None };
        alerting.add(&mut writes, &notices, signals, &states, Vec::new(), now);
        let (recovered_attempts, disk_error) = match disk.commit_first(writes, now) {
            Ok(attempts) => (attempts, None),
            // Streams on air must be stopped at their end whether or not that can be written down.
            Err(error) if error.is_passing() => {
                engine.ledger_failed(false);
                let text = format!("the ledger cannot be written ({error}): nothing is started until it can");
                notices.push(Notice::new(now, Level::Error, text));
                (Vec::new(), Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        let (handle, messages) = Handle::new();
        let mut daemon = Daemon {
            disk,
            engine,
            caller: Caller { clock, api, queues, metrics: Arc::default(), deadline },
            calls: JoinSet::new(),
            blockers: HashMap::new(),
            messages,
            late_replies: HashMap::new(),
            handle,
            observe,
            status: watch::Sender::new(LoopStatus::default()),
            lease_is_over: false,
            disk_error,
            disk_stands_since: None,
            disk_gate,
            busy: Busy::default(),
            look_soon: false,
            watchdog: None,
            rate_watch: RateWatch::new(options.rate.get() as usize),
            recovered_attempts,
            alerting,
            changes,
        };
        debug_assert!(calls.is_empty(), "nothing is called before the daemon runs: {calls:?}");
        for notice in &notices {
            (daemon.observe)(notice);
        }
        daemon.publish_alerts();
        Ok(daemon)
    }

    /// What only the running daemon knows, kept up to date.
    pub fn status(&self) -> watch::Receiver<LoopStatus> {
        self.status.subscribe()
    }

    /// Since when its loop and its ledger's disk are busy with one thing.
    pub fn busy(&self) -> Busy {
        self.busy.clone()
    }

    /// What it counts while it runs.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.caller.metrics)
    }

    /// Writes the ledger on a thread of its own from now on. Without it a commit is made in the loop, as simulated time needs it.
    ///
    /// Errors: there is no thread to be had.
    pub fn with_ledger_thread(self) -> Result<Daemon<C, A>, LedgerError> {
        let disk = self.disk.on_thread(self.busy.disk.clone(), Arc::clone(&self.caller.metrics))?;
        Ok(Daemon { disk, ..self })
    }

    /// In simulated time, where no real disk can stand: what it does from now on.
    pub fn simulated_disk(&self) -> watch::Sender<SimulatedDisk> {
        self.disk_gate.clone()
    }

    /// What its requests wait for: for others who send some.
    pub fn queues(&self) -> Queues {
        self.caller.queues.clone()
    }

    /// A way to tell it something while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Has `feed` called at least once in each `period`, by the loop itself: a loop that hangs feeds nobody.
    pub fn watched(&mut self, period: SignedDuration, feed: Box<dyn FnMut() + Send>) {
        self.watchdog = Some(Watchdog { period, next: Timestamp::MIN, feed });
    }

    /// Runs until `stop` is ready, then ends as that says. Stopped: armed starts are taken back, sent ones awaited until `hurry` is ready
    /// or 10 s have passed. Deposed, which the ledger may say too: nothing more is sent or written, and nothing is taken back. Streams on air
    /// stay on air.
    ///
    /// Errors: the ledger cannot be written, and never will be. Streams on air stay on air then too, and the next start takes over.
    pub async fn run(
        mut self,
        stop: impl Future<Output = impl Into<Ended>>,
        hurry: impl Future<Output = ()>,
    ) -> Result<Ended, LedgerError> {
        let ended = self.run_until(stop, hurry).await;
        self.end(ended).await
    }

    async fn run_until(
        &mut self,
        stop: impl Future<Output = impl Into<Ended>>,
        hurry: impl Future<Output = ()>,
    ) -> Result<Ended, LedgerError> {
        tokio::pin!(stop);
        let recovered = std::mem::take(&mut self.recovered_attempts);
        self.start(recovered);
        let mut mail = Mail::default();
        loop {
            self.turn(std::mem::take(&mut mail)).await?;
            let (asleep, wake) = (read(&self.caller.clock), self.next_wake());
            tokio::select! {
                biased;
                ended = &mut stop => match ended.into() {
                    Ended::Stopped => break,
                    Ended::Deposed => return Ok(Ended::Deposed),
                },
                Some(ended) = self.calls.join_next() => mail.reports.extend(report_of(ended)),
                Some(message) = self.messages.recv() => mail.messages.push(message),
                report = self.disk.report() => mail.disk.push(report),
                () = self.caller.clock.wake_at(wake) => {}
            }
            self.tell_if_away(asleep, wake);
            // Whatever else has come in meanwhile belongs to the same turn.
            while let Some(ended) = self.calls.try_join_next() {
                mail.reports.extend(report_of(ended));
            }
            while let Ok(message) = self.messages.try_recv() {
                mail.messages.push(message);
            }
        }
        self.shut_down(mail, hurry).await.map(|()| Ended::Stopped)
    }

    /// Says so, if it should have woken long ago.
    fn tell_if_away(&mut self, asleep: ClockReading, wake: Timestamp) {
        let planned = Duration::try_from(wake.duration_since(asleep.wall)).unwrap_or_default();
        let away = self.caller.clock.since_boot().saturating_sub(asleep.boot.saturating_add(planned));
        if away >= AWAY_TOLD {
            let why = "the host slept, or this process was stopped or got no time";
            let text = format!("nothing was done for {} s: {why}; what was due meanwhile is late or missed", away.as_secs());
            (self.observe)(&Notice::new(self.caller.clock.now(), Level::Warning, text));
        }
    }

    /// When the next turn is to be taken, by the wall clock.
    fn next_wake(&self) -> Timestamp {
        let reading = read(&self.caller.clock);
        let now = self.engine.now(reading);
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.next);
        // What holds starts may be over without anybody saying so.
        let look = match (self.look_soon, self.engine.is_held() || self.disk.is_behind()) {
            (true, _) => Some(now),
            (false, true) => Some(now + if self.lease_is_over { LOOK_AT_LEASE } else { LOOK_AGAIN }),
            (false, false) => None,
        };
        let lease_end = self.lease_end(now, reading);
        let wakes = [self.engine.next_wake(now), watchdog, look, lease_end];
        let wake = wakes.into_iter().flatten().min().unwrap_or(Timestamp::MAX).max(now);
        // The engine goes by the time it believes, the alarm by the time that is shown.
        reading.wall.checked_add(wake.duration_since(now)).unwrap_or(Timestamp::MAX)
    }

    /// Passes on what happened, and how the loop stands.
    fn tell(&mut self, notices: &[Notice]) {
        self.publish_alerts();
        for notice in notices {
            (self.observe)(notice);
        }
        let rate = self.caller.queues.rates();
        if let Some(notice) = self.rate_watch.look(&rate, self.caller.clock.now()) {
            (self.observe)(&notice);
        }
        let status = LoopStatus {
            holds: Arc::new(self.engine.holds().clone()),
            on_fallback: self.engine.on_fallback().into(),
            queue: self.caller.queues.waiting(),
            rate,
            written_rate: self.rate_watch.rate,
            watch_period_s: self.engine.watch_period().as_secs().unsigned_abs(),
            held: self.engine.clock_hold().map(str::to_owned),
            synchronised: self.caller.clock.synchronised(),
            offset_ms: self.engine.server_offset_ms(),
            secrets: self.engine.secret_places(),
            secrets_unread: self.engine.secrets_unread().map(str::to_owned),
            disk: self.disk_error.clone(),
            ..LoopStatus::default()
        };
        self.status.send_if_modified(|last| {
            let changed = *last != status;
            *last = status;
            changed
        });
    }

    /// Adds to the writes of a step what somebody is to be told.
    fn add_alerts(&mut self, step: &mut Step, messages: Vec<AlertMessage>) {
        let (held, offset_ms) = (self.engine.clock_hold(), self.engine.server_offset_ms());
        let states = States { held, offset_ms, disk: self.disk_error.as_deref() };
        let signals = std::mem::take(&mut step.signals);
        self.alerting.add(&mut step.writes, &step.notices, signals, &states, messages, step.now);
    }

    /// Lets whoever sends know of it, who may be ending.
    fn publish_alerts(&mut self) {
        for alert in self.alerting.take_changed() {
            if let Some(changes) = &self.changes {
                let _ = changes.send(alert);
            }
        }
    }

    fn feed_watchdog(&mut self, now: Timestamp) {
        if let Some(watchdog) = &mut self.watchdog
            && (now >= watchdog.next || now < watchdog.next - watchdog.period)
        {
            (watchdog.feed)();
            watchdog.next = now + watchdog.period;
        }
    }
}

fn read(clock: &impl Clock) -> ClockReading {
    let (synchronised, synchronised_at) = (clock.synchronised(), clock.synchronised_at());
    ClockReading { wall: clock.now(), boot: clock.since_boot(), synchronised, synchronised_at }
}

/// What a call brought back; nothing, if it was taken back. A call that panicked is a bug of ours: its attempt stays in doubt,
/// and the panic goes on here, where the service manager sees it.
fn report_of(ended: Result<Option<CallReport>, tokio::task::JoinError>) -> Option<CallReport> {
    match ended {
        Ok(report) => report,
        Err(error) if error.is_cancelled() => None,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
