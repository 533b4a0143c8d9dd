//! Two hosts on one ledger: one owns the air, the other waits, and what happens to them. The database is played: its row of the station, its
//! clock, and that a commit of an older term is refused. The daemons, the ledger's file and the endpoint are those of the other worlds.
//! Does not check what comes of it.

mod host;
mod wire;

use std::cell::RefCell;
use std::time::Duration;

use ingestd::daemon::Handle;
use ingestd::lease::{Claim, LeaseLength, Tenure, Term};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::faults::{Plan, unsigned};
use crate::random::Random;
use crate::run::{Impairment, World};
use crate::scenario::begin;
use crate::trace::trace_line;
use host::Host;

/// From this seed on two hosts share the ledger.
pub(crate) const HOSTS: u64 = 5_000_000;

/// How long after a take-over everything is as if nothing had been: what may still arrive is waited for.
const TAKEN_UP: SignedDuration = SignedDuration::from_secs(20);

/// What happens to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostFault {
    /// It dies at once.
    Kill,
    /// It is asked to end.
    Term,
    /// Its process is stopped, and goes on.
    Freeze,
    CutFromDatabase,
    CutFromEndpoint,
    /// The database is down for both.
    DatabaseDown,
}

/// What happens to two hosts.
#[derive(Clone, Debug)]
pub(crate) struct HostsPlan {
    pub(crate) lease: LeaseLength,
    /// By how much their clocks are ahead, in milliseconds.
    skews: [i64; 2],
    /// When, what, whether to the owner, and for how long.
    faults: Vec<(Timestamp, HostFault, bool, SignedDuration)>,
}

impl HostsPlan {
    /// Whether a process is stopped for a while.
    pub(crate) fn freezes(&self) -> bool {
        self.faults.iter().any(|(_, fault, ..)| *fault == HostFault::Freeze)
    }

    /// By how much a host's clock differs at most.
    pub(crate) fn skew(&self) -> SignedDuration {
        SignedDuration::from_millis(self.skews.map(i64::abs).into_iter().max().unwrap_or(0))
    }
}

/// Draws what happens to two hosts, instead of what happens to one.
pub(crate) fn add(random: &mut Random, minutes: i64, plan: &mut Plan) {
    plan.daemon_runs.clear();
    plan.host_events.clear();
    let lease_s = *random.pick(&[5, 15, 15, 40]);
    let lease = LeaseLength::new(Duration::from_secs(lease_s)).expect("within the bounds");
    let skews = if random.percent(50) { [0, 0] } else { [random.within(-400, 400), random.within(-400, 400)] };
    let around = i64::try_from(lease_s).expect("small") * 1_000;
    let mut faults: Vec<_> = (0..random.within(1, 6))
        .map(|_| {
            let at = if random.percent(50) {
                // Near the full minutes, when starts are due.
                begin() + SignedDuration::from_millis(random.within(1, minutes - 1) * 60_000 + random.within(-3_000, 1_500))
            } else {
                begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000))
            };
            let fault = *random.pick(&[
                HostFault::Kill,
                HostFault::Kill,
                HostFault::Term,
                HostFault::Freeze,
                HostFault::Freeze,
                HostFault::CutFromDatabase,
                HostFault::CutFromDatabase,
                HostFault::CutFromEndpoint,
                HostFault::DatabaseDown,
            ]);
            let length = match random.below(4) {
                0 => random.within(100, 4_000),
                1 => random.within(around - 4_000, around + 2_000),
                2 => random.within(around, around + 30_000),
                _ => random.within(1_000, 120_000),
            };
            (at, fault, random.percent(85), SignedDuration::from_millis(length))
        })
        .collect();
    faults.sort_by_key(|(at, ..)| *at);
    plan.hosts = Some(HostsPlan { lease, skews, faults });
}

/// The row of the station.
struct Row {
    tenure: Tenure,
    owner: Option<usize>,
}

/// What is planned for one moment.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Fault(HostFault, bool, SignedDuration),
    Over(HostFault, usize),
}

/// Both hosts, and the database.
pub(crate) struct Hosts<'a> {
    world: &'a World<'a>,
    plan: &'a HostsPlan,
    row: RefCell<Row>,
    both: [Host; 2],
    random: RefCell<Random>,
    released: Notify,
}

impl<'a> Hosts<'a> {
    pub(crate) fn new(seed: u64, world: &'a World<'a>, plan: &'a HostsPlan) -> Hosts<'a> {
        let tenure = Tenure { term: Term(0), ends_at: Timestamp::MIN, is_released: true };
        Hosts {
            world,
            plan,
            row: RefCell::new(Row { tenure, owner: None }),
            both: plan.skews.map(|skew| Host::new(world.clock.clone(), SignedDuration::from_millis(skew))),
            random: RefCell::new(Random::for_purpose(seed, 16)),
            released: Notify::new(),
        }
    }

    fn millis(&self, from: i64, to: i64) -> Duration {
        unsigned(SignedDuration::from_millis(self.random.borrow_mut().within(from, to)))
    }

    /// Both hosts live, and what is planned happens. Returns when nothing more was planned.
    pub(crate) async fn run(&self) -> Timestamp {
        tokio::select! {
            biased;
            () = self.live(0) => unreachable!("it boots again and again"),
            () = self.live(1) => unreachable!("it boots again and again"),
            settled = self.script() => settled,
        }
    }

    async fn script(&self) -> Timestamp {
        let of = |(at, fault, of_owner, length): &(Timestamp, HostFault, bool, SignedDuration)| {
            (*at, Moment::Fault(*fault, *of_owner, *length))
        };
        let mut moments: Vec<(Timestamp, Moment)> = self.plan.faults.iter().map(of).collect();
        while !moments.is_empty() {
            let (at, moment) = moments.remove(0);
            self.world.clock.until(at).await;
            trace_line(&self.world.clock, &format!("{moment:?}, owner {:?}", self.row.borrow().owner));
            match moment {
                Moment::Fault(fault, of_owner, length) => {
                    let over = at + length;
                    moments.extend(self.happen(fault, of_owner).into_iter().map(|index| (over, Moment::Over(fault, index))));
                    moments.sort_by_key(|(at, _)| *at);
                    self.impair(fault, at, over);
                }
                Moment::Over(fault, index) => self.set(fault, index, false),
            }
        }
        self.world.clock.until(self.world.ends).await;
        let handle = self.owner().await;
        self.world.let_everything_end(&handle).await
    }

    /// Returns to whom it happens.
    fn happen(&self, fault: HostFault, of_owner: bool) -> Vec<usize> {
        let owner = self.row.borrow().owner.unwrap_or(0);
        let whom = if fault == HostFault::DatabaseDown { vec![0, 1] } else { vec![if of_owner { owner } else { 1 - owner }] };
        for index in &whom {
            self.set(fault, *index, true);
        }
        whom
    }

    /// Nobody can do more than wait for the lease to end and for what may arrive.
    fn impair(&self, fault: HostFault, at: Timestamp, over: Timestamp) {
        let lease = SignedDuration::try_from(self.plan.lease.get()).expect("minutes at most");
        let until = over + lease + TAKEN_UP;
        self.world.add_impairment(Impairment::Down, at, until);
        match fault {
            HostFault::Freeze => self.world.add_impairment(Impairment::Stalled, at, until),
            HostFault::CutFromDatabase | HostFault::DatabaseDown => self.world.add_impairment(Impairment::Disk, at, until),
            HostFault::Kill | HostFault::Term | HostFault::CutFromEndpoint => {}
        }
    }

    /// Begins or ends what goes wrong with a host.
    fn set(&self, fault: HostFault, index: usize, is_so: bool) {
        let host = &self.both[index];
        match fault {
            HostFault::Kill => drop(host.is_up.send_replace(!is_so)),
            HostFault::Term if is_so => drop(host.ends.send_replace(true)),
            HostFault::Term => drop(host.is_up.send_replace(true)),
            HostFault::Freeze => drop(host.wire.is_frozen.send_replace(is_so)),
            HostFault::CutFromDatabase | HostFault::DatabaseDown => {
                host.is_cut.set(is_so);
                self.set_gate(index);
            }
            HostFault::CutFromEndpoint => host.wire.cut(is_so),
        }
    }

    /// What the database says to a commit of this host: it compares the term.
    fn set_gate(&self, index: usize) {
        let is_newest = self.row.borrow().tenure.term == Term(self.both[index].wire.term());
        self.both[index].set_gate(is_newest);
    }

    /// The handle of whoever owns, as soon as somebody does.
    async fn owner(&self) -> Handle {
        for _ in 0..1_200 {
            let owner = self.row.borrow().owner;
            let handle = owner.and_then(|owner| self.both[owner].handle.borrow().clone());
            let is_well = !self.row.borrow().tenure.is_released && self.world.clock.truth() < self.row.borrow().tenure.ends_at;
            if let Some(handle) = handle.filter(|_| is_well) {
                return handle;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody owns");
    }

    /// Waits until this host may take over, and takes over. Returns its term, until when the one before may be heard of, and when it asked, by
    /// time since boot.
    async fn take(&self, index: usize) -> (i64, Option<Timestamp>, Duration) {
        use ingestd::clock::Clock;
        let host = &self.both[index];
        let mut wait = self.millis(50, 1_000);
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // It is told, or finds out within a second.
                () = self.released.notified() => tokio::time::sleep(self.millis(1, 1_000)).await,
            }
            host.wire.runs().await;
            wait = self.millis(50, 1_000);
            let (asked, now) = (host.clock.since_boot(), self.world.clock.truth());
            if host.is_cut.get() {
                continue;
            }
            let claim = self.row.borrow().tenure.claim(now);
            let (term, may_arrive_until) = match claim {
                Claim::Take { term, may_arrive_until } => (term, may_arrive_until),
                Claim::Wait { until } => {
                    wait += unsigned(until.duration_since(now));
                    continue;
                }
            };
            self.note_gap(now);
            self.world.seen.borrow_mut().take_overs.push((term.0, may_arrive_until));
            let before = self.row.borrow().owner;
            let ends_at = now + SignedDuration::try_from(self.plan.lease.get()).expect("minutes at most");
            *self.row.borrow_mut() = Row { tenure: Tenure { term, ends_at, is_released: false }, owner: Some(index) };
            host.wire.begin_term(term.0);
            if let Some(before) = before.filter(|before| *before != index) {
                self.set_gate(before);
            }
            trace_line(&self.world.clock, &format!("host {index} takes over, term {term}, may arrive until {may_arrive_until:?}"));
            return (term.0, may_arrive_until, asked);
        }
    }

    /// Nobody owned for a while.
    fn note_gap(&self, now: Timestamp) {
        let Tenure { term, ends_at, is_released } = self.row.borrow().tenure;
        if term > Term(0) && !is_released {
            let lease = SignedDuration::try_from(self.plan.lease.get()).expect("minutes at most");
            self.world.add_impairment(Impairment::Down, ends_at - lease, now + TAKEN_UP);
        }
    }

    /// Renews the lease until another owns.
    async fn keep(&self, index: usize, term: i64) {
        use ingestd::clock::Clock;
        let (host, lease) = (&self.both[index], self.plan.lease);
        let mut wait = lease.renewed_every();
        loop {
            tokio::time::sleep(wait).await;
            host.wire.runs().await;
            let asked = host.clock.since_boot();
            wait = Duration::from_millis(500);
            let is_slow = self.random.borrow_mut().percent(10);
            tokio::time::sleep(self.millis(1, if is_slow { 1_500 } else { 50 })).await;
            if host.is_cut.get() {
                continue;
            }
            if self.row.borrow().tenure.term != Term(term) {
                return;
            }
            let now = self.world.clock.truth();
            self.row.borrow_mut().tenure.ends_at = now + SignedDuration::try_from(lease.get()).expect("minutes at most");
            tokio::time::sleep(self.millis(1, if is_slow { 400 } else { 50 })).await;
            if !host.is_cut.get() {
                host.wire.deadline().renew(lease.deadline(asked));
                wait = lease.renewed_every().saturating_sub(host.clock.since_boot().saturating_sub(asked));
            }
        }
    }

    /// It gave the lease back.
    fn release(&self, index: usize, term: i64) {
        let mut row = self.row.borrow_mut();
        if row.tenure.term == Term(term) && !self.both[index].is_cut.get() {
            row.tenure.is_released = true;
            self.released.notify_waiters();
        }
    }
}
