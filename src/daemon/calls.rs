//! One request to TRTC, from waiting for its instant to its answer, as a task of its own that comes back as a value. Does not know the
//! ledger, and what an answer means.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::engine::{Blocker, CallReport, SendFlag, StartCall, TOO_MUCH};
use crate::lease::LeaseDeadline;
use crate::ledger::Attempt;
use crate::metrics::Metrics;
use crate::occurrence::{LATE_AFTER, NotSent, Occurrence, TaskStep, start_request};
use crate::schedule::Late;
use crate::trtc::error::rejected_by_rate;
use crate::trtc::limiter::{Priority, StartClass, StopClass};
use crate::trtc::queue::{Queue, Queues, Reservation, Slot};
use crate::trtc::{Action, Answer, Api, Body, Destination, Fault, Request};

/// How long before its instant a start reserves its slot: longer than a slot is ever held.
const RESERVE_AHEAD: SignedDuration = SignedDuration::from_secs(2);

/// How long before its instant what can be done before is done: late enough that the secrets and the endpoint's clock are those of the
/// instant.
const PREPARE_AHEAD: SignedDuration = SignedDuration::from_millis(5);

/// How long a start waits at most, after its instant, for the stop of the show before it to be answered.
const HAND_OVER_WAIT: SignedDuration = SignedDuration::from_secs(1);

/// How long for the stop to succeed, when both shows have the same robot: it would only be told that it is there already.
const SAME_ROBOT_WAIT: SignedDuration = SignedDuration::from_secs(15);

/// How often a call looks whether a clock that was set far is still so.
const OFF_LOOK: SignedDuration = SignedDuration::from_millis(200);

/// What every call needs.
pub(super) struct Caller<C, A> {
    pub(super) clock: C,
    pub(super) api: Arc<A>,
    pub(super) queues: Queues,
    pub(super) metrics: Arc<Metrics>,
    /// Until when starts may leave.
    pub(super) deadline: LeaseDeadline,
}

impl<C: Clone, A> Clone for Caller<C, A> {
    fn clone(&self) -> Caller<C, A> {
        let (api, metrics) = (Arc::clone(&self.api), Arc::clone(&self.metrics));
        Caller { clock: self.clock.clone(), api, queues: self.queues.clone(), metrics, deadline: self.deadline.clone() }
    }
}

impl<C: Clock, A: Api> Caller<C, A> {
    /// Sends the start of `occurrence` at its instant, or at once if that has passed, when the limiter lets it.
    /// `None`: it was taken back.
    pub(super) async fn start(self, attempt: Attempt, start: StartCall, blocker: watch::Receiver<Blocker>) -> Option<CallReport> {
        let StartCall { occurrence, flag, blocker: _ } = start;
        let unsent = |reason| Some(CallReport::Unsent { key: attempt.key().clone(), call: attempt.call(), reason });
        let booted_at = self.booted_at();
        let slot = loop {
            match self.turn(&occurrence, &flag, blocker.clone(), booted_at).await {
                Ok(slot) if occurrence.attempts > 1 || occurrence.key.start <= self.clock.now() => break slot,
                // The clock was set back while it waited for its room or its slot.
                Ok(slot) => slot.unsent(),
                Err(Some(reason)) => return unsent(reason),
                Err(None) => return None,
            }
        };
        let sent_at = self.clock.now();
        let Ok(request) = start_request(&occurrence, sent_at) else {
            slot.unsent();
            return unsent(NotSent::ContentOver);
        };
        // Whatever has to be asked was asked: from here on there is only the network.
        let sent_since_boot = self.clock.since_boot();
        if !self.deadline.allows(sent_since_boot) {
            slot.unsent();
            return unsent(NotSent::LeaseOver);
        }
        if !flag.send() {
            slot.unsent();
            return None;
        }
        tracing::trace!(job = %occurrence.key.job, "it may leave");
        let bound = bound(&request, sent_at);
        // A later attempt, or a restart, is not late: it answers to something that went wrong.
        if occurrence.attempts == 1 {
            self.metrics.start_lateness.observe(elapsed(occurrence.key.start, sent_at));
        }
        let (answer, answered_at) = self.send(request, sent_at).await;
        settle(slot, &answer);
        let (key, call) = (attempt.key().clone(), attempt.call());
        Some(CallReport::Answered { key, call, sent_at, sent_since_boot, answered_at, answer, bound })
    }

    /// Sends a stop or a describe of a task.
    pub(super) async fn task(
        self,
        row: i64,
        step: TaskStep,
        (destination, task_id): (Destination, String),
        priority: Priority,
    ) -> CallReport {
        let (sent_at, answered_at, answer) = self.ask(step, destination, task_id, priority).await;
        CallReport::Task { row, step, sent_at, answered_at, answer }
    }

    /// Sends a stop or a describe of a task that no occurrence has.
    pub(super) async fn orphan(self, step: TaskStep, destination: Destination, task_id: String) -> CallReport {
        let priority = match step {
            TaskStep::Stop => Priority::stop(StopClass::Planned),
            TaskStep::Describe => Priority::describe(),
        };
        let (_, _, answer) = self.ask(step, destination, task_id.clone(), priority).await;
        CallReport::Orphan { task_id, step, answer }
    }

    /// Sends a stop or a describe when the limiter lets it. Returns when it left, when its answer came, and the answer.
    async fn ask(
        &self,
        step: TaskStep,
        destination: Destination,
        task_id: String,
        priority: Priority,
    ) -> (Timestamp, Timestamp, Answer) {
        let body = match step {
            TaskStep::Stop => Body::Stop { task_id },
            TaskStep::Describe => Body::Describe { task_id },
        };
        let (action, asked) = (body.action(), self.clock.elapsed());
        let slot = self.queues.of(action).acquire(priority).await;
        self.metrics.queue_wait.of(action).observe(self.clock.elapsed().saturating_sub(asked));
        let sent_at = self.clock.now();
        let (answer, answered_at) = self.send(Request { destination, body }, sent_at).await;
        settle(slot, &answer);
        (sent_at, answered_at, answer)
    }

    /// Sends a request and counts it by its answer. Returns when that came.
    async fn send(&self, request: Request, sent_at: Timestamp) -> (Answer, Timestamp) {
        if self.deadline.is_deposed() {
            // The loop is about to end every call.
            return std::future::pending().await;
        }
        let (action, app) = (request.body.action(), request.destination.app.clone());
        let answer = self.api.call(request, sent_at).await;
        let answered_at = self.clock.now();
        self.metrics.count(action, &app, (sent_at, answered_at), &answer);
        (answer, answered_at)
    }

    /// Opens connections for starts that are about to come.
    pub(super) async fn warm(self, count: usize) -> CallReport {
        self.api.warm(count).await;
        CallReport::Warmed
    }

    /// Waits until a start may leave: for its instant, its room and its slot. An error says why it does not leave; `None`: it was
    /// taken back.
    async fn turn(
        &self,
        occurrence: &Occurrence,
        flag: &SendFlag,
        blocker: watch::Receiver<Blocker>,
        booted_at: Timestamp,
    ) -> Result<Slot, Option<NotSent>> {
        let key = &occurrence.key;
        let closes = occurrence.closes().unwrap_or(Timestamp::MAX);
        let queue = self.queues.of(Action::Start);
        let is_first = occurrence.attempts == 1;
        let reservation = if is_first { self.wait_for(queue, occurrence).await } else { None };
        tracing::trace!(job = %key.job, "its instant has come");
        self.while_clock_is_off(booted_at, flag).await.ok_or(None)?;
        // Judged once, now that it could first be queued: a suspend may lie between the claim and here. A start that an edit took
        // back from the queue was judged before.
        let is_late = !flag.was_punctual() && self.clock.now().duration_since(key.start) > LATE_AFTER;
        if !is_late {
            flag.note_punctual();
        }
        let class = match (is_first, is_late) {
            (true, false) => StartClass::OnTime,
            (true, true) => StartClass::Late,
            (false, _) => StartClass::Again,
        };
        if class == StartClass::Late && occurrence.policy.late == Late::Skip || self.clock.now() > closes {
            return Err(Some(NotSent::Late));
        }
        self.until_free(blocker, key.start.max(self.clock.now())).await;
        if flag.is_taken_back() {
            return Err(None);
        }
        let priority = Priority::start(class, occurrence.policy.priority, key.start, key.job.as_str());
        let asked = self.clock.elapsed();
        let slot = self.slot(queue, priority, closes).await;
        self.metrics.queue_wait.of(Action::Start).observe(self.clock.elapsed().saturating_sub(asked));
        let slot = slot.ok_or(Some(NotSent::Limit))?;
        drop(reservation);
        if self.is_off(booted_at) {
            slot.unsent();
            self.while_clock_is_off(booted_at, flag).await.ok_or(None)?;
            return Err(Some(NotSent::Late));
        }
        Ok(slot)
    }

    /// Waits for a start's instant. From shortly before it, late starts and retries leave a slot free for it.
    async fn wait_for(&self, queue: &Queue, occurrence: &Occurrence) -> Option<Reservation> {
        let start = occurrence.key.start;
        let prepare_at = start.checked_sub(PREPARE_AHEAD).unwrap_or(start);
        loop {
            self.clock.sleep_until(start - RESERVE_AHEAD).await;
            let ahead = Duration::try_from(start.duration_since(self.clock.now())).ok()?;
            let reservation = queue.reserve(ahead);
            let mut is_prepared = false;
            while self.clock.now() < start {
                self.clock.wake_at(if is_prepared { start } else { prepare_at }).await;
                let now = self.clock.now();
                if start.duration_since(now) > RESERVE_AHEAD {
                    break;
                }
                if !is_prepared && prepare_at <= now {
                    is_prepared = true;
                    self.prepare(occurrence);
                }
            }
            if self.clock.now() >= start {
                return Some(reservation);
            }
            // The clock was set back, and the slot would be kept free for nothing.
        }
    }

    /// Has the request made ready that will leave at the start, if it leaves in time.
    fn prepare(&self, occurrence: &Occurrence) {
        let start = occurrence.key.start;
        // What cannot be asked for is told of when it is its turn.
        if let Ok(request) = start_request(occurrence, start) {
            self.api.prepare(request, start);
        }
    }

    /// When the host was booted, by the wall clock as it is now.
    fn booted_at(&self) -> Timestamp {
        let boot = SignedDuration::try_from(self.clock.since_boot()).unwrap_or_default();
        self.clock.now().saturating_sub(boot).unwrap_or(Timestamp::MIN)
    }

    /// Whether the clock was set since, by so much that the loop will hold starts.
    fn is_off(&self, booted_at: Timestamp) -> bool {
        self.booted_at().duration_since(booted_at).abs() >= TOO_MUCH
    }

    /// The alarm that tells of a clock that was set wakes calls and loop alike: a call waits until the loop has taken it back, or
    /// the clock is as it was. `None`: it was taken back.
    async fn while_clock_is_off(&self, booted_at: Timestamp, flag: &SendFlag) -> Option<()> {
        while self.is_off(booted_at) {
            if flag.is_taken_back() {
                return None;
            }
            self.clock.wake_at(self.clock.now() + OFF_LOOK).await;
        }
        Some(())
    }

    /// Waits for the room to be handed over. A failing stop never keeps a start off the air: from `due` on the wait is bounded.
    async fn until_free(&self, mut blocker: watch::Receiver<Blocker>, due: Timestamp) {
        loop {
            let longest = match *blocker.borrow_and_update() {
                Blocker::Nothing => return,
                Blocker::Task => HAND_OVER_WAIT,
                Blocker::SameRobot => SAME_ROBOT_WAIT,
            };
            tokio::select! {
                biased;
                // It was taken back, or the loop is gone: nobody can say more.
                changed = blocker.changed() => if changed.is_err() { return },
                () = self.clock.sleep_until(due + longest) => return,
            }
        }
    }

    /// A slot, unless the time to send is over first.
    async fn slot(&self, queue: &Queue, priority: Priority, closes: Timestamp) -> Option<Slot> {
        tokio::select! {
            biased;
            slot = queue.acquire(priority) => if self.clock.now() <= closes { Some(slot) } else { slot.unsent(); None },
            () = self.clock.sleep_until(closes) => None,
        }
    }
}

/// How long it is from one instant to a later one.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// When the cloud ends the task of this start by itself.
fn bound(request: &Request, sent_at: Timestamp) -> Option<Timestamp> {
    let Body::Start { params, .. } = &request.body else { return None };
    params.max_duration.map(|minutes| sent_at + SignedDuration::from_mins(minutes.into()))
}

/// Gives a slot back: what never left was never counted.
fn settle(slot: Slot, answer: &Answer) {
    match &answer.result {
        Err(Fault::Connect(_) | Fault::Unsendable(_)) => slot.unsent(),
        Err(fault) => slot.answered(rejected_by_rate(fault)),
        Ok(_) => slot.answered(false),
    }
}
