//! Orders of operators that hold starts back, let them go, or start by hand: drawn from a seed, and given. Does not check what comes of
//! them.

use std::time::Duration;

use ingestd::clock::Clock;
use ingestd::daemon::Handle;
use ingestd::engine::{Command, FireOrder};
use ingestd::schedule::JobId;
use ingestd::trtc::Room;
use jiff::{SignedDuration, Timestamp};

use crate::faults::{HostEvent, Plan};
use crate::random::Random;
use crate::run::World;
use crate::scenario::begin;

/// What an operator orders.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OrderKind {
    Pause,
    PauseAll,
    Resume,
    ResumeAll,
    Skip,
    /// One of the next starts, by its instant.
    SkipAt,
    /// Takes back the skip that was ordered last.
    Unskip,
    /// Two pauses of one job, one right after the other.
    PauseTwice,
    Fire,
    /// As the plan has it: what failed or waits is tried again.
    FireAgain,
}

/// An order that was given, by the daemon's clock when it was sent and when its reply came.
#[derive(Clone, Debug)]
pub(crate) struct GivenOrder {
    pub(crate) sent: Timestamp,
    pub(crate) replied: Timestamp,
    pub(crate) command: Given,
    /// What the daemon said that it did; `None`: it refused, or died before it replied (then `replied` is `MAX`).
    pub(crate) done: Option<Vec<String>>,
}

/// What was ordered.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// Of a job, or of all, for so long.
    Pause(Option<String>, Option<SignedDuration>),
    Resume(Option<String>),
    Skip(String),
    /// A job, and the start whose skip is taken back.
    Unskip(String, Timestamp),
    Fire(String),
}

/// Whether orders are given in the world of this seed.
pub(crate) fn has_orders(seed: u64) -> bool {
    // Of those with fallbacks every second one.
    seed >= crate::ORDERED && (seed < crate::FALLBACKS || seed.is_multiple_of(2))
}

/// Whether the orders are of every kind.
pub(crate) fn has_every_order(seed: u64) -> bool {
    seed >= crate::ORDERED_OTHERWISE
}

/// Gives the plan more orders: those of the kinds that the first worlds did not have.
pub(crate) fn add_others(random: &mut Random, minutes: i64, plan: &mut Plan) {
    for _ in 0..random.within(2, 8) {
        let at = begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000 - 60_000));
        let kinds = [
            OrderKind::SkipAt,
            OrderKind::SkipAt,
            OrderKind::Unskip,
            OrderKind::PauseTwice,
            OrderKind::FireAgain,
            OrderKind::FireAgain,
        ];
        plan.host_events.push((at, HostEvent::Order(*random.pick(&kinds))));
    }
    plan.host_events.sort_by_key(|(at, _)| *at);
}

/// Gives the plan orders.
pub(crate) fn add(random: &mut Random, minutes: i64, plan: &mut Plan) {
    for _ in 0..random.within(2, 8) {
        let at = begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000 - 60_000));
        let kinds = [
            OrderKind::Pause,
            OrderKind::Pause,
            OrderKind::PauseAll,
            OrderKind::Resume,
            OrderKind::ResumeAll,
            OrderKind::Skip,
            OrderKind::Skip,
            OrderKind::Fire,
            OrderKind::Fire,
            OrderKind::Fire,
        ];
        plan.host_events.push((at, HostEvent::Order(*random.pick(&kinds))));
    }
    plan.host_events.sort_by_key(|(at, _)| *at);
}

impl World<'_> {
    /// Gives an order of this kind.
    pub(crate) async fn give(&self, handle: Option<&Handle>, kind: OrderKind) {
        let Some(handle) = handle else { return };
        if matches!(kind, OrderKind::PauseTwice) {
            let (given, command) = self.draw(OrderKind::Pause);
            let Given::Pause(job, _) = &given else { return };
            let last =
                (Given::Pause(job.clone(), None), Command::Pause { job: job.as_deref().and_then(JobId::parse), length: None });
            self.send_order(handle, given, command).await;
            return self.send_order(handle, last.0, last.1).await;
        }
        let (given, command) = self.draw(kind);
        self.send_order(handle, given, command).await;
    }

    async fn send_order(&self, handle: &Handle, given: Given, command: Command) {
        let sent = self.clock.now();
        // A daemon may die before it replies, and this goes with it.
        let index = {
            let orders = &mut self.seen.borrow_mut().orders;
            orders.push(GivenOrder { sent, replied: Timestamp::MAX, command: given, done: None });
            orders.len() - 1
        };
        let done = self.ask(handle, command).await.ok();
        let order = &mut self.seen.borrow_mut().orders[index];
        (order.replied, order.done) = (self.clock.now(), done);
    }

    /// The start that is skipped by the newest order that says so.
    fn last_skip(&self) -> Option<(String, Timestamp)> {
        let seen = self.seen.borrow();
        let skipped = seen.orders.iter().rev().filter(|order| matches!(order.command, Given::Skip(_)));
        let name =
            skipped.filter_map(|order| order.done.as_ref()?[0].split_once(": will be skipped")).map(|(name, _)| name).next()?;
        let (job, start) = name.split_once(' ')?;
        Some((job.to_owned(), start.parse().ok()?))
    }

    fn draw(&self, kind: OrderKind) -> (Given, Command) {
        let mut random = self.ordering.borrow_mut();
        let job = {
            let schedules = self.schedules.borrow();
            random.pick(&schedules[schedules.len() - 1].1).id.clone()
        };
        let id = JobId::parse(&job).expect("an id");
        match kind {
            OrderKind::SkipAt => {
                let schedules = self.schedules.borrow();
                let known = schedules[schedules.len() - 1].0.job(&job).cloned();
                let later = random.below(3);
                let coming =
                    known.and_then(|known| known.when.between(self.clock.now(), Timestamp::MAX).nth(later.try_into().ok()?));
                (Given::Skip(job), Command::Skip { job: id, start: coming.map(|start| start.at) })
            }
            OrderKind::Unskip => match self.last_skip() {
                Some((job, start)) => {
                    let id = JobId::parse(&job).expect("an id");
                    (Given::Unskip(job, start), Command::Resume { job: Some(id), start: Some(start) })
                }
                None => (Given::Skip(job), Command::Skip { job: id, start: None }),
            },
            OrderKind::FireAgain => {
                (Given::Fire(job), Command::Fire(FireOrder { job: id, length: None, room: None, preempt: false }))
            }
            OrderKind::Pause | OrderKind::PauseAll | OrderKind::PauseTwice => {
                let of_one = !matches!(kind, OrderKind::PauseAll);
                let seconds = random.percent(80).then(|| random.within(2, 600));
                let length = seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
                let given = Given::Pause(of_one.then_some(job), seconds.map(SignedDuration::from_secs));
                (given, Command::Pause { job: of_one.then_some(id), length })
            }
            OrderKind::Resume => (Given::Resume(Some(job)), Command::Resume { job: Some(id), start: None }),
            OrderKind::ResumeAll => (Given::Resume(None), Command::Resume { job: None, start: None }),
            OrderKind::Skip => (Given::Skip(job), Command::Skip { job: id, start: None }),
            OrderKind::Fire => {
                let length = random.percent(60).then(|| Duration::from_secs(random.within(30, 400).unsigned_abs()));
                let room = random.percent(30).then(|| Room::Text(format!("fired-{}", random.below(3))));
                (Given::Fire(job), Command::Fire(FireOrder { job: id, length, room, preempt: random.percent(50) }))
            }
        }
    }
}
