//! One host: its daemon boots, waits for the lease, owns, and ends, again and again. Does not decide what happens to it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use ingestd::daemon::{Daemon, Ended, Handle, SimulatedDisk};
use ingestd::engine::Shared;
use ingestd::lease::LeaseDeadline;
use ingestd::ledger::Ledger;
use jiff::SignedDuration;
use tokio::sync::{Notify, watch};

use super::Hosts;
use super::wire::{HostApi, HostClock, Wire, freezable};
use crate::clock::SimClock;
use crate::run::Impairment;
use crate::told;
use crate::trace::trace_line;

/// How long an end may take.
const SHUTDOWN_MAX: SignedDuration = SignedDuration::from_secs(14);

pub(crate) struct Host {
    pub(crate) wire: Arc<Wire>,
    pub(crate) clock: HostClock,
    pub(crate) is_up: watch::Sender<bool>,
    /// It was asked to end.
    pub(crate) ends: watch::Sender<bool>,
    /// The database does not answer it.
    pub(crate) is_cut: Cell<bool>,
    gate: RefCell<Option<watch::Sender<SimulatedDisk>>>,
    pub(crate) handle: RefCell<Option<Handle>>,
}

impl Host {
    pub(crate) fn new(clock: SimClock, skew: SignedDuration) -> Host {
        let wire = Wire::new();
        Host {
            clock: HostClock { inner: clock, skew, wire: Arc::clone(&wire) },
            wire,
            is_up: watch::Sender::new(true),
            ends: watch::Sender::new(false),
            is_cut: Cell::new(false),
            gate: RefCell::default(),
            handle: RefCell::default(),
        }
    }

    /// What the database says to its commits.
    pub(crate) fn set_gate(&self, is_newest: bool) {
        let does = match (self.is_cut.get(), is_newest) {
            (true, _) => SimulatedDisk::Stands,
            (false, true) => SimulatedDisk::Answers,
            (false, false) => SimulatedDisk::Deposes,
        };
        if let Some(gate) = &*self.gate.borrow() {
            gate.send_replace(does);
        }
    }
}

impl Hosts<'_> {
    pub(super) async fn live(&self, index: usize) {
        let host = &self.both[index];
        loop {
            let (mut up, mut down) = (host.is_up.subscribe(), host.is_up.subscribe());
            let _ = up.wait_for(|is_up| *is_up).await;
            host.ends.send_replace(false);
            tokio::select! {
                biased;
                _ = down.wait_for(|is_up| !is_up) => {}
                () = freezable(&host.wire, self.one_life(index)) => drop(host.is_up.send_replace(false)),
            }
            trace_line(&self.world.clock, &format!("host {index} is gone"));
            (*host.gate.borrow_mut(), *host.handle.borrow_mut()) = (None, None);
        }
    }

    /// From boot to an end in order.
    async fn one_life(&self, index: usize) {
        let host = &self.both[index];
        loop {
            let mut ends = host.ends.subscribe();
            let (term, may_arrive_until, asked) = tokio::select! {
                biased;
                _ = ends.wait_for(|ends| *ends) => return,
                taken = self.take(index) => taken,
            };
            let deadline = LeaseDeadline::until(self.plan.lease.deadline(asked));
            host.wire.set_deadline(deadline.clone());
            let ended = self.own(index, term, may_arrive_until, deadline).await;
            trace_line(&self.world.clock, &format!("host {index}, term {term}: {ended:?}"));
            (*host.gate.borrow_mut(), *host.handle.borrow_mut()) = (None, None);
            if ended == Ended::Stopped {
                self.release(index, term);
                return;
            }
        }
    }

    async fn own(&self, index: usize, term: i64, may_arrive_until: Option<jiff::Timestamp>, deadline: LeaseDeadline) -> Ended {
        let (world, host) = (self.world, &self.both[index]);
        let ledger = Ledger::open(&world.folder).expect("the ledger opens");
        let (newest, former) = world.accept_at_boot(&ledger);
        let mut setup = told::setup(world.plan.rate, &ledger);
        setup.options.shared = Some(Shared { lease: self.plan.lease, rows_may_be_lost: false });
        (setup.deadline, setup.may_arrive_until) = (deadline.clone(), may_arrive_until);
        world.note_boot();
        let api = HostApi { inner: world.api.clone(), wire: Arc::clone(&host.wire), term, deadline };
        let observe = Box::new(world.observer(None));
        let daemon = Daemon::new(host.clock.clone(), Arc::new(api), setup, ledger, world.generation(newest), former, observe)
            .expect("it starts");
        *host.gate.borrow_mut() = Some(daemon.simulated_disk());
        self.set_gate(index);
        *host.handle.borrow_mut() = Some(daemon.handle());
        world.api.state().handle = Some(daemon.handle());
        world.api.state().status = Some(daemon.status());
        let deposed = Notify::new();
        let mut ends = host.ends.subscribe();
        let stop = async {
            tokio::select! {
                biased;
                _ = ends.wait_for(|ends| *ends) => {
                    world.add_impairment(Impairment::Down, world.clock.truth(), world.clock.truth() + SHUTDOWN_MAX);
                    Ended::Stopped
                }
                () = deposed.notified() => Ended::Deposed,
            }
        };
        let keep = async {
            self.keep(index, term).await;
            deposed.notify_one();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = keep => unreachable!("it waits for the end"),
            ended = daemon.run(stop, std::future::pending()) => ended.expect("the ledger can be written"),
        }
    }
}
