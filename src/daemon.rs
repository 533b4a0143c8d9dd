//! The daemon: one loop that owns all state. It sleeps until the next thing to do, reads what has happened as values, asks the
//! core, writes the ledger, and only then lets calls leave. Refuses to know YAML, HTTP and how things are shown.
//!
//! Invariants. What one turn decides is one transaction. No start leaves without a durable row. No lock and no transaction is
//! held over an await. Nothing here reads a clock but through [`Clock`].

mod answers;
mod backlog;
mod call;
mod callbacks;
mod claim;
mod desk;
mod hold;
mod input;
pub mod kept;
mod live;
mod live_task;
mod orders;
mod prepare;
mod recovery;
mod rooms;
mod settle;
mod shutdown;
mod tasks;
mod turn;
mod voice;

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::ledger::{Attempt, Ledger, LedgerError};
use crate::occurrence::MissedReason;
use crate::schedule::Schedule;
use crate::trtc::queue::Queues;
use crate::trtc::{Action, Api, PerAction};
use call::{Line, Report};
use desk::Desk;
use hold::{Hold, Reading};
pub use input::{Handle, Input, Inputs, Order, Reply, StopTarget, What};
pub use prepare::Prepared;
use settle::Horizon;
pub use voice::{Happening, Weight};

/// How often it is looked whether starts are still to be held.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// How long before the first of a group of starts its connections are opened.
const WARM_AHEAD: SignedDuration = SignedDuration::from_millis(1_500);

/// Starts within this of each other count as one group whose connections are opened together.
const WARM_GROUP: SignedDuration = SignedDuration::from_secs(1);

/// An accepted schedule.
#[derive(Clone)]
pub struct Generation {
    /// Its number.
    pub number: i64,
    /// The schedule.
    pub schedule: Arc<Schedule>,
}

/// A schedule that was in force after the ledger's cursor, and until when.
#[derive(Clone)]
pub struct Former {
    /// The schedule.
    pub generation: Generation,
    /// When the next one was accepted.
    pub until: Timestamp,
}

/// What a daemon goes by, beside its schedule.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Requests a second for each action.
    pub rate: NonZeroU32,
    /// Whether starts wait, up to 5 min, for a clock that nobody has set since the host booted.
    pub require_sync: bool,
    /// A time that is past for certain: a clock that shows one long before it is wrong.
    pub past: Timestamp,
}

/// What only a running daemon knows: for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Requests that wait for the limiter.
    pub queue: PerAction<usize>,
    /// Seconds between two describes of a task on air.
    pub watch_period_s: u64,
    /// WaitReason starts are held for the clock's sake, if they are.
    pub held: Option<String>,
    /// Whether somebody keeps the clock right, if anybody knows.
    pub synchronised: Option<bool>,
    /// The endpoint's clock minus this one, in milliseconds, if the endpoint found fault with this one.
    pub offset_ms: Option<i64>,
    /// What is wrong with the ledger's disk, if something is.
    pub disk: Option<String>,
}

/// A daemon, not yet running.
pub struct Daemon<C, A> {
    ledger: Ledger,
    desk: Desk,
    horizon: Horizon,
    hold: Hold,
    line: Line<C, A>,
    calls: JoinSet<Option<Report>>,
    inputs: Inputs,
    handle: Handle,
    replies: Vec<(oneshot::Sender<Reply>, Reply)>,
    observe: Box<dyn FnMut(&Happening) + Send>,
    pulse: watch::Sender<Pulse>,
    disk: Option<String>,
    /// What could not leave before may have a room to take now.
    look_soon: bool,
    warmed_until: Timestamp,
    watchdog: Option<Watchdog>,
    /// What taking over permitted to send; it leaves when the daemon runs, and not before everything else is known to work.
    permitted: Vec<Attempt>,
}

/// Somebody who must be told now and then that the loop turns.
struct Watchdog {
    period: SignedDuration,
    next: Timestamp,
    tell: Box<dyn FnMut() + Send>,
}

/// What has come in since the last turn.
#[derive(Default)]
struct Mail {
    reports: Vec<Report>,
    inputs: Vec<Input>,
}

impl<C: Clock, A: Api> Daemon<C, A> {
    /// Takes over a ledger with the schedule that was just accepted. `former` are those that were in force since the ledger's
    /// cursor, in their order; time that none of them covers is settled under the accepted one. `observe` is told of everything after it is recorded.
    ///
    /// Errors: the ledger cannot be read or written.
    pub fn new(
        clock: C,
        api: Arc<A>,
        rules: Rules,
        mut ledger: Ledger,
        accepted: Generation,
        former: Vec<Former>,
        mut observe: Box<dyn FnMut(&Happening) + Send>,
    ) -> Result<Daemon<C, A>, LedgerError> {
        let queues = Queues::new(rules.rate);
        let reading = read(&clock);
        let meta = ledger.meta()?;
        let floor = meta.committed_at.map_or(rules.past, |committed| committed.max(rules.past));
        let hold = Hold::new(reading, floor, rules.require_sync);
        let mut desk = Desk::new(rules.rate.get());
        desk.held = hold.reason().map(|_| MissedReason::Clock);
        let (horizon, permitted) = recovery::take_over(&mut ledger, &mut desk, accepted, former, (&hold, reading))?;
        let (permitted, failing) = match permitted {
            Ok(permitted) => (permitted, None),
            // Streams on air must be stopped at their end whether or not that can be written down.
            Err(error) if error.is_passing() => (Vec::new(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        if let Some(error) = &failing {
            desk.hold_back_claims(MissedReason::Disk);
            let text = format!("the ledger cannot be written ({error}): nothing is started until it can");
            desk.heard.push(Happening::general(reading.wall, Weight::Error, text));
        }
        queues.of(Action::Start).count_as_used(desk.in_doubt_at_recovery());
        if let Some(reason) = hold.reason() {
            desk.heard.push(Happening::general(reading.wall, Weight::Error, format!("starts are held: {reason}")));
        }
        for happening in desk.heard() {
            observe(&happening);
        }
        let line = Line { clock, api, queues };
        let (handle, inputs) = Handle::new();
        Ok(Daemon {
            permitted,
            ledger,
            desk,
            horizon,
            hold,
            line,
            calls: JoinSet::new(),
            inputs,
            handle,
            replies: Vec::new(),
            observe,
            pulse: watch::Sender::new(Pulse::default()),
            disk: failing,
            look_soon: false,
            warmed_until: Timestamp::MIN,
            watchdog: None,
        })
    }

    /// What only the running daemon knows, kept up to date.
    pub fn pulse(&self) -> watch::Receiver<Pulse> {
        self.pulse.subscribe()
    }

    /// A way to tell it something while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Has `tell` called at least once in each `period`, by the loop itself: a loop that hangs tells nobody.
    pub fn watched(&mut self, period: SignedDuration, tell: Box<dyn FnMut() + Send>) {
        self.watchdog = Some(Watchdog { period, next: Timestamp::MIN, tell });
    }

    /// Runs until `stop` is ready, then shuts down: armed starts are taken back, sent ones awaited until `hurry` is ready or 10 s
    /// have passed. Streams on air stay on air.
    ///
    /// Errors: the ledger cannot be written, and never will be. Streams on air stay on air then too, and the next start takes over.
    pub async fn run(mut self, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) -> Result<(), LedgerError> {
        tokio::pin!(stop);
        let permitted = std::mem::take(&mut self.permitted);
        self.send(permitted);
        let mut mail = Mail::default();
        loop {
            self.turn(std::mem::take(&mut mail))?;
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.calls.join_next() => mail.reports.extend(report_of(ended)),
                Some(input) = self.inputs.recv() => mail.inputs.push(input),
                () = self.line.clock.wake_at(wake) => {}
            }
            // Whatever else has come in meanwhile belongs to the same turn.
            while let Some(ended) = self.calls.try_join_next() {
                mail.reports.extend(report_of(ended));
            }
            while let Ok(input) = self.inputs.try_recv() {
                mail.inputs.push(input);
            }
        }
        self.shut_down(mail, hurry).await
    }

    /// Lets the calls leave that are permitted and owed.
    fn send(&mut self, attempts: Vec<Attempt>) {
        for attempt in attempts {
            if let Some(errand) = self.desk.begin_call(&attempt) {
                self.calls.spawn(self.line.clone().start(attempt, errand));
            }
        }
        for (row, step, to, ticket) in self.desk.task_calls() {
            let call = self.line.clone().task(row, step, to, ticket);
            self.calls.spawn(async move { Some(call.await) });
        }
        let reading = read(&self.line.clock);
        for to in self.desk.callbacks.calls(self.hold.now(reading)) {
            let call = self.line.clone().orphan(to);
            self.calls.spawn(async move { Some(call.await) });
        }
    }

    /// Opens connections for the next group of starts, once.
    fn warm(&mut self, now: Timestamp) {
        if self.warmed_until > now + WARM_AHEAD + WARM_GROUP {
            // The clock was set back.
            self.warmed_until = now;
        }
        let Some(first) = self.desk.next_armed(self.warmed_until.max(now)) else { return };
        if now < first - WARM_AHEAD {
            return;
        }
        let group_end = first + WARM_GROUP;
        let count = self.desk.armed_between(first, group_end).min(self.desk.rate() as usize);
        self.warmed_until = group_end;
        let warming = self.line.clone().warm(count);
        self.calls.spawn(async move { Some(warming.await) });
    }

    /// When the next turn is due, by the wall clock.
    fn next_wake(&self) -> Timestamp {
        let reading = read(&self.line.clock);
        let now = self.hold.now(reading);
        let is_held = self.desk.held.is_some();
        let warm = self.desk.next_armed(self.warmed_until.max(now)).map(|first| first - WARM_AHEAD);
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.next);
        let settle = if is_held { None } else { self.horizon.next_wake(now, &self.desk) };
        // What holds starts may be over without anybody saying so.
        let look = match (self.look_soon, is_held || self.ledger.is_behind()) {
            (true, _) => Some(now),
            (false, true) => Some(now + LOOK_AGAIN),
            (false, false) => None,
        };
        let wakes = [self.desk.next_wake(), settle, warm, watchdog, look];
        let wake = wakes.into_iter().flatten().min().unwrap_or(Timestamp::MAX).max(now);
        // The loop goes by the time it believes, the alarm by the time that is shown.
        reading.wall.checked_add(wake.duration_since(now)).unwrap_or(Timestamp::MAX)
    }

    fn tell(&mut self) {
        for happening in self.desk.heard() {
            (self.observe)(&happening);
        }
        let pulse = Pulse {
            queue: self.line.queues.waiting(),
            watch_period_s: self.desk.watch_period().as_secs().unsigned_abs(),
            held: self.hold.reason().map(str::to_owned),
            synchronised: self.line.clock.synchronised(),
            offset_ms: self.desk.offset_ms,
            disk: self.disk.clone(),
        };
        self.pulse.send_if_modified(|last| {
            let changed = *last != pulse;
            *last = pulse;
            changed
        });
    }

    fn now(&self) -> Timestamp {
        self.hold.now(read(&self.line.clock))
    }
}

fn read(clock: &impl Clock) -> Reading {
    let (synchronised, synchronised_at) = (clock.synchronised(), clock.synchronised_at());
    Reading { wall: clock.now(), boot: clock.since_boot(), synchronised, synchronised_at }
}

/// What a call brought back; nothing, if it was taken back. A call that panicked is a bug of ours: its attempt stays in doubt,
/// and the panic goes on here, where the service manager sees it.
fn report_of(ended: Result<Option<Report>, tokio::task::JoinError>) -> Option<Report> {
    match ended {
        Ok(report) => report,
        Err(error) if error.is_cancelled() => None,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
