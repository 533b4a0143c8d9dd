//! What happens to a host, and what people do, during a run: each event happens when its time has come. Does not
//! plan the events, and does not check what comes of them.

use std::sync::Arc;

use ingestd::clock::Clock;
use ingestd::daemon::Handle;
use ingestd::engine::{Command, Generation, Order, Prepared, Reply, StopTarget};
use ingestd::schedule::{JobId, Schedule};
use jiff::{SignedDuration, Timestamp};

use crate::belief::ClockChange;
use crate::faults::{FaultRates, HostEvent, unsigned};
use crate::run::{Impairment, World, connect};
use crate::trace::trace_line;
use crate::troubles::Troubles;
use crate::variety::prepared_ago;

impl World<'_> {
    pub(crate) fn see_clock(&self) {
        let (now, mut seen) = (self.clock.now(), self.seen.borrow_mut());
        seen.latest = seen.latest.max(Some(now));
        seen.earliest = Some(seen.earliest.map_or(now, |earliest| earliest.min(now)));
    }

    /// Makes the planned events happen until `until`.
    pub(crate) async fn inject(&self, handle: Option<&Handle>, until: Timestamp) {
        loop {
            let next = self.pending.borrow().front().copied();
            match next {
                Some((at, host_event)) if at < until => {
                    self.clock.until(at).await;
                    self.pending.borrow_mut().pop_front();
                    trace_line(&self.clock, &format!("{host_event:?}"));
                    self.see_clock();
                    self.apply(handle, host_event).await;
                    self.see_clock();
                }
                _ => return self.clock.until(until).await,
            }
        }
    }

    /// The clock was set, or somebody says that it is right.
    fn note_clock(&self, is_order: bool) {
        let is_confirmed = is_order || self.clock.synchronised() == Some(true);
        let change = ClockChange { at: self.clock.truth(), error: self.clock.error(), is_confirmed, is_order };
        let changes = &mut self.seen.borrow_mut().clock_changes;
        // What said that it was right was over in the same instant, as after a stall: nobody saw it.
        changes.pop_if(|last| last.at == change.at && last.is_confirmed && !last.is_order && !is_confirmed);
        changes.push(change);
    }

    async fn order(&self, handle: Option<&Handle>, command: Command) -> bool {
        let Some(handle) = handle else { return false };
        self.ask(handle, command).await.is_ok()
    }

    pub(crate) async fn ask(&self, handle: &Handle, command: Command) -> Reply {
        let reply = handle.order(Order { who: "sim".into(), note: None, command }).await;
        trace_line(&self.clock, &format!("reply: {reply:?}"));
        reply
    }

    pub(crate) fn add_impairment(&self, why: Impairment, from: Timestamp, to: Timestamp) {
        self.seen.borrow_mut().impairments.push((why, from, to));
    }

    async fn apply(&self, handle: Option<&Handle>, host_event: HostEvent) {
        let now = self.clock.truth();
        match host_event {
            HostEvent::Step(by) => {
                self.seen.borrow_mut().wrong_since.get_or_insert(now);
                self.clock.step(by);
                self.note_clock(false);
            }
            HostEvent::Right => {
                self.clock.step(-self.clock.error());
                self.clock.synchronise(None);
                self.note_clock(false);
            }
            HostEvent::Confirm => {
                let is_confirmed = self.order(handle, Command::ConfirmClock).await;
                if is_confirmed && self.plan.has_steps() {
                    self.note_clock(true);
                }
                if !is_confirmed && self.clock.error().is_zero() {
                    // No daemon was there.
                    self.pending.borrow_mut().push_front((now + SignedDuration::from_secs(2), HostEvent::Confirm));
                } else if self.clock.error().is_zero() {
                    let mut seen = self.seen.borrow_mut();
                    if let Some(since) = seen.wrong_since.take() {
                        seen.impairments.push((Impairment::Clock, since, self.clock.truth() + SignedDuration::from_secs(10)));
                    }
                }
            }
            HostEvent::Synchronised => {
                self.clock.synchronise(Some(true));
                self.note_clock(false);
            }
            HostEvent::Suspend(length) => {
                self.add_impairment(Impairment::Stalled, now, now + length);
                self.clock.suspend(unsigned(length));
            }
            HostEvent::Stall(length) => {
                self.add_impairment(Impairment::Stalled, now, now + length);
                tokio::time::advance(unsigned(length)).await;
            }
            HostEvent::Disk(length) => {
                // The daemon tries again every second.
                self.add_impairment(Impairment::Disk, now, now + length + SignedDuration::from_secs(2));
                let other = connect(&self.folder);
                other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes between two turns");
                self.clock.until(now + length).await;
                other.execute_batch("ROLLBACK").expect("it ends");
            }
            // A schedule that is accepted while the clock is wrong is accepted at a wrong time; that is not what is tested here.
            HostEvent::Reload if self.clock.error().is_zero() && self.seen.borrow().wrong_since.is_none() => {
                self.reload(handle, now).await;
            }
            HostEvent::Reload => {}
            HostEvent::StopJob => {
                let job = {
                    let schedules = self.schedules.borrow();
                    let jobs = &schedules[schedules.len() - 1].1;
                    self.random.borrow_mut().pick(jobs).id.clone()
                };
                let job = JobId::parse(&job).expect("an id");
                self.order(handle, Command::Stop(StopTarget::Job(job))).await;
            }
            HostEvent::StopTask => {
                let task = {
                    let state = self.api.state();
                    let live: Vec<_> =
                        state.cloud.tasks.iter().filter(|task| task.is_live(now)).map(|task| task.id.clone()).collect();
                    if live.is_empty() {
                        return;
                    }
                    self.random.borrow_mut().pick(&live).clone()
                };
                self.seen.borrow_mut().ordered.push(task.clone());
                self.order(handle, Command::Stop(StopTarget::Task(task))).await;
            }
            HostEvent::StopAll => {
                self.order(handle, Command::Stop(StopTarget::All)).await;
            }
            HostEvent::Order(kind) => self.give(handle, kind).await,
            HostEvent::Foreign => self.api.foreign(&format!("foreign-{}", self.random.borrow_mut().below(1_000_000))),
        }
    }

    async fn reload(&self, handle: Option<&Handle>, now: Timestamp) {
        // It was prepared a while ago, or for a clock that has been set back since.
        let ago = match self.options.varied {
            true => prepared_ago(&mut self.extra.borrow_mut()),
            false if self.newest() % 3 == 2 => SignedDuration::from_millis(-500),
            false => SignedDuration::from_millis(2_500),
        };
        self.edit(ago);
        let before = self.generation(self.newest() - 1);
        let generation = self.generation(self.newest());
        let at = now - ago;
        let prepared = Box::new(Prepared::new(generation, &before.schedule, at));
        if self.order(handle, Command::Accept { prepared, changes: Vec::new() }).await {
            self.accepted(self.newest(), self.clock.now());
        }
    }

    /// Nothing more is planned, and nothing more goes wrong; what is open ends. Returns when that began.
    pub(crate) async fn let_everything_end(&self, handle: &Handle) -> Timestamp {
        trace_line(&self.clock, "nothing more is planned");
        if self.seen.borrow().wrong_since.is_some() {
            self.apply(Some(handle), HostEvent::Confirm).await;
        }
        {
            let mut state = self.api.state();
            (state.cloud.fault_rates, state.troubles) = (FaultRates::NONE, Troubles::default());
        }
        let settled = self.clock.now();
        let quiet = Generation { number: self.newest() + 1, schedule: Arc::new(Schedule::default()) };
        let before = self.generation(self.newest());
        let prepared = Box::new(Prepared::new(quiet, &before.schedule, settled));
        let accepted = self.order(Some(handle), Command::Accept { prepared, changes: Vec::new() }).await;
        assert!(accepted, "a schedule is always accepted");
        let ledger = connect(&self.folder);
        let ask = |sql: &str| ledger.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).expect("it answers");
        let last = ask("SELECT max(end_ms) FROM occurrence WHERE state <> 'done'");
        let last = last.map_or(settled, |last| Timestamp::from_millisecond(last).expect("an instant"));
        self.clock.until(last.max(settled) + SignedDuration::from_secs(100)).await;
        self.order(Some(handle), Command::Stop(StopTarget::All)).await;
        // A stop that was accepted without effect is waited for longest.
        for _ in 0..24 {
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
