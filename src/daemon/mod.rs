//! The daemon: one loop that owns all state. It sleeps until the next thing to do, reads what has happened as values, asks the
//! core, writes the ledger, and only then lets calls leave. Refuses to know YAML, HTTP and how things are shown.
//!
//! Invariants. What one turn decides is one transaction. No start leaves without a durable row. No lock and no transaction is
//! held over an await. Nothing here reads a clock but through [`Clock`].

mod call;
mod desk;
mod input;
pub mod kept;
mod recovery;
mod settle;
mod tasks;
mod voice;

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::ledger::{Attempt, Ledger, LedgerError};
use crate::schedule::Schedule;
use crate::trtc::queue::Queues;
use crate::trtc::{Action, Api};
use call::{Line, Report};
use desk::Desk;
pub use input::{Handle, Input, Inputs, Order, Reply, StopTarget, What};
use settle::Horizon;
pub use voice::{Happening, Weight};

/// How long a shutdown waits for requests that were sent: their limit of time is the same.
const SHUTDOWN_WAIT: SignedDuration = SignedDuration::from_secs(10);

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

/// What only a running daemon knows: for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Starts, stops and describes that wait for the limiter.
    pub queue: [usize; 3],
    /// Seconds between two describes of a task on air.
    pub watch_period_s: u64,
}

/// A daemon, not yet running.
pub struct Daemon<C, A> {
    ledger: Ledger,
    desk: Desk,
    horizon: Horizon,
    line: Line<C, A>,
    calls: JoinSet<Option<Report>>,
    observe: Box<dyn FnMut(&Happening) + Send>,
    pulse: watch::Sender<Pulse>,
    warmed_until: Timestamp,
    watchdog: Option<Watchdog>,
    inputs: Inputs,
    handle: Handle,
    /// What taking over permitted to send; it leaves when the daemon runs, and not before everything else is known to work.
    permitted: Vec<Attempt>,
}

/// Somebody who must be told now and then that the loop turns.
struct Watchdog {
    period: SignedDuration,
    next: Timestamp,
    tell: Box<dyn FnMut() + Send>,
}

impl<C: Clock, A: Api> Daemon<C, A> {
    /// Takes over a ledger with the schedule that was just accepted. `former` are those that were in force since the ledger's
    /// cursor, in their order; time that none of them covers is settled under the accepted one. `observe` is told of everything after it is recorded.
    ///
    /// Errors: the ledger cannot be read or written.
    pub fn new(
        clock: C,
        api: Arc<A>,
        rate: NonZeroU32,
        mut ledger: Ledger,
        accepted: Generation,
        former: Vec<Former>,
        mut observe: Box<dyn FnMut(&Happening) + Send>,
    ) -> Result<Daemon<C, A>, LedgerError> {
        let now = clock.now();
        let queues = Queues::new(rate);
        let mut desk = Desk::new(rate.get());
        let (horizon, permitted) = recovery::take_over(&mut ledger, &mut desk, accepted, former, now)?;
        queues.of(Action::Start).count_as_used(desk.in_doubt_at_recovery());
        for happening in desk.heard() {
            observe(&happening);
        }
        let line = Line { clock, api, queues };
        let (handle, inputs) = Handle::new();
        Ok(Daemon {
            inputs,
            handle,
            permitted,
            ledger,
            desk,
            horizon,
            line,
            calls: JoinSet::new(),
            observe,
            pulse: watch::Sender::new(Pulse::default()),
            warmed_until: Timestamp::MIN,
            watchdog: None,
        })
    }

    /// What only the running daemon knows, kept up to date.
    pub fn pulse(&self) -> watch::Receiver<Pulse> {
        self.pulse.subscribe()
    }

    /// A way to tell it something once it runs.
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
    /// Errors: the ledger cannot be written. Streams on air stay on air then too, and the next start takes over.
    pub async fn run(mut self, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) -> Result<(), LedgerError> {
        tokio::pin!(stop);
        let permitted = std::mem::take(&mut self.permitted);
        self.send(permitted);
        let mut reports = Vec::new();
        loop {
            let now = self.line.clock.now();
            self.turn(std::mem::take(&mut reports), now)?;
            let wake = self.next_wake(now);
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = self.calls.join_next() => reports.extend(report_of(ended)),
                Some(input) = self.inputs.recv() => take_inputs(input),
                () = self.line.clock.wake_at(wake) => {}
            }
            // Whatever else has come back meanwhile belongs to the same turn.
            while let Some(ended) = self.calls.try_join_next() {
                reports.extend(report_of(ended));
            }
        }
        self.shut_down(reports, hurry).await
    }

    /// One turn: what has happened, what is due, what is owed; then one commit, and then the calls.
    fn turn(&mut self, reports: Vec<Report>, now: Timestamp) -> Result<(), LedgerError> {
        let mut turn = self.ledger.turn();
        for report in reports {
            self.desk.take_report(&mut turn, report, now, self.line.api.as_ref())?;
        }
        self.desk.act_on_time(&mut turn, now)?;
        self.horizon.settle(&mut turn, &mut self.desk, now)?;
        let attempts = turn.commit(now)?;
        self.tell();
        self.send(attempts);
        self.warm(now);
        if let Some(watchdog) = &mut self.watchdog
            && (now >= watchdog.next || now < watchdog.next - watchdog.period)
        {
            (watchdog.tell)();
            watchdog.next = now + watchdog.period;
        }
        Ok(())
    }

    /// Lets the calls leave that are permitted and owed.
    fn send(&mut self, attempts: Vec<Attempt>) {
        for attempt in attempts {
            if let Some((occurrence, leave)) = self.desk.begin_call(&attempt) {
                self.calls.spawn(self.line.clone().start(attempt, occurrence, leave));
            }
        }
        for (row, step, to, ticket) in self.desk.task_calls() {
            let call = self.line.clone().task(row, step, to, ticket);
            self.calls.spawn(async move { Some(call.await) });
        }
    }

    /// Opens connections for the next group of starts, once.
    fn warm(&mut self, now: Timestamp) {
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

    fn next_wake(&self, now: Timestamp) -> Timestamp {
        let warm = self.desk.next_armed(self.warmed_until.max(now)).map(|first| first - WARM_AHEAD);
        let watchdog = self.watchdog.as_ref().map(|watchdog| watchdog.next);
        let wakes = [self.desk.next_wake(), self.horizon.next_wake(now, &self.desk), warm, watchdog];
        wakes.into_iter().flatten().min().unwrap_or(Timestamp::MAX).max(now)
    }

    fn tell(&mut self) {
        for happening in self.desk.heard() {
            (self.observe)(&happening);
        }
        let waiting = |action| self.line.queues.of(action).waiting();
        let pulse = Pulse {
            queue: [waiting(Action::Start), waiting(Action::Stop), waiting(Action::Describe)],
            watch_period_s: self.desk.watch_period().as_secs().unsigned_abs(),
        };
        self.pulse.send_if_modified(|last| {
            let changed = *last != pulse;
            *last = pulse;
            changed
        });
    }

    async fn shut_down(mut self, mut reports: Vec<Report>, hurry: impl Future<Output = ()>) -> Result<(), LedgerError> {
        let now = self.line.clock.now();
        let mut turn = self.ledger.turn();
        let cursor = self.horizon.cursor().min(self.desk.take_back_unsent(&mut turn, now)?.unwrap_or(Timestamp::MAX));
        turn.set_cursor(cursor)?;
        turn.commit(now)?;
        let deadline = now + SHUTDOWN_WAIT;
        tokio::pin!(hurry);
        while self.desk.awaits_answers() {
            tokio::select! {
                biased;
                () = &mut hurry => break,
                Some(ended) = self.calls.join_next() => reports.extend(report_of(ended)),
                () = self.line.clock.sleep_until(deadline) => break,
            }
            self.take_last(&mut reports)?;
        }
        self.take_last(&mut reports)?;
        self.desk.say_what_stays(self.line.clock.now());
        self.tell();
        self.calls.shutdown().await;
        Ok(())
    }

    fn take_last(&mut self, reports: &mut Vec<Report>) -> Result<(), LedgerError> {
        let now = self.line.clock.now();
        let mut turn = self.ledger.turn();
        for report in reports.drain(..) {
            self.desk.take_report(&mut turn, report, now, self.line.api.as_ref())?;
        }
        turn.commit(now)?;
        Ok(())
    }
}

/// What the daemon is told from outside.
fn take_inputs(input: Input) {
    if let Input::Order(_, reply) = input {
        // Whoever asked may have gone.
        let _ = reply.send(Err("the daemon does not take orders yet".to_owned()));
    }
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
