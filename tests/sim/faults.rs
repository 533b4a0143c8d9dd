//! What goes wrong in a run, drawn from its seed before it begins: how often requests fail, how each daemon ends, what happens to the
//! host, and what people do. Does none of it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::hosts::HostsPlan;
use crate::orders::OrderKind;
use crate::random::Random;
use crate::scenario::begin;
use crate::troubles::Troubles;

/// What `TaskExist` is keyed on: the vendor does not say (DESIGN section 5, Doubt).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exist {
    RoomUser,
    User,
    Displace,
    Both,
}

/// How often things go wrong with a request, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultRates {
    /// `InternalError`; half of them after the effect.
    pub(crate) internal: u64,
    /// `ResourceInsufficient`: nothing began.
    pub(crate) insufficient: u64,
    /// An unknown code; half of them after the effect.
    pub(crate) unknown: u64,
    /// No answer in 10 s, or a cut; half of them after the effect.
    pub(crate) lost: u64,
    /// Cannot connect.
    pub(crate) refused: u64,
    /// A status of 502 or 503; half of them after the effect.
    pub(crate) gateway: u64,
    /// An answer that takes seconds.
    pub(crate) slow: u64,
    /// A describe that hangs.
    pub(crate) hang: u64,
    /// A describe of a young task that says `NotExist`.
    pub(crate) lag: u64,
    /// A task vanishes within minutes. No fault of a request.
    pub(crate) vanish: u64,
}

impl FaultRates {
    pub(crate) const NONE: FaultRates = FaultRates {
        internal: 0,
        insufficient: 0,
        unknown: 0,
        lost: 0,
        refused: 0,
        gateway: 0,
        slow: 0,
        hang: 0,
        lag: 0,
        vanish: 0,
    };

    /// Whether every request is answered, rightly and soon.
    pub(crate) fn is_fault_free(&self) -> bool {
        let FaultRates { internal, insufficient, unknown, lost, refused, gateway, slow, hang, lag, vanish: _ } = *self;
        internal + insufficient + unknown + lost + refused + gateway + slow + hang + lag == 0
    }
}

/// A step of a request at which the daemon may die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestStep {
    /// The request leaves, or was about to.
    Send,
    /// It has taken effect.
    Effect,
    /// Its answer is here.
    Answer,
}

/// How a daemon ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// A crash after so long.
    Crash(SignedDuration),
    /// A crash right after the commit of its n-th happening, before any call runs.
    Notice(u32),
    /// A crash at its n-th request.
    Request(RequestStep, u32),
    /// A crash when it has taken over, and before its first turn.
    Boot,
    /// SIGTERM after so long.
    Term(SignedDuration),
}

/// One daemon, and how long no daemon runs after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DaemonRun {
    pub(crate) ending: Ending,
    pub(crate) away: SignedDuration,
    /// The next daemon finds an edited schedule.
    pub(crate) edited: bool,
}

/// What happens to the host, or is done by people.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HostEvent {
    /// The wall clock is set.
    Step(SignedDuration),
    /// The wall clock is right again.
    Right,
    /// An operator believes it.
    Confirm,
    /// The kernel says that it is synchronised.
    Synchronised,
    Suspend(SignedDuration),
    Stall(SignedDuration),
    /// Another process holds the ledger.
    Disk(SignedDuration),
    Reload,
    StopJob,
    StopTask,
    StopAll,
    /// A callback about a task that somebody else started.
    Foreign,
    /// An operator holds starts back, lets them go, or starts by hand.
    Order(OrderKind),
}

/// Everything that is planned to go wrong.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) exist: Exist,
    pub(crate) fault_rates: FaultRates,
    pub(crate) outages: Vec<(Timestamp, Timestamp)>,
    pub(crate) rate: u32,
    pub(crate) callbacks: bool,
    pub(crate) daemon_runs: Vec<DaemonRun>,
    pub(crate) host_events: Vec<(Timestamp, HostEvent)>,
    pub(crate) troubles: Troubles,
    /// Where two hosts share the ledger.
    pub(crate) hosts: Option<HostsPlan>,
}

impl Plan {
    /// Nothing goes wrong.
    pub(crate) fn without_faults(exist: Exist) -> Plan {
        Plan {
            exist,
            fault_rates: FaultRates::NONE,
            outages: Vec::new(),
            rate: 20,
            callbacks: false,
            daemon_runs: Vec::new(),
            host_events: Vec::new(),
            troubles: Troubles::default(),
            hosts: None,
        }
    }

    /// By how much a host's clock differs at most.
    pub(crate) fn skew(&self) -> SignedDuration {
        self.hosts.as_ref().map_or(SignedDuration::ZERO, HostsPlan::skew)
    }

    pub(crate) fn has_steps(&self) -> bool {
        self.host_events.iter().any(|(_, host_event)| matches!(host_event, HostEvent::Step(_)))
    }

    pub(crate) fn has_orders(&self) -> bool {
        self.host_events.iter().any(|(_, host_event)| {
            matches!(host_event, HostEvent::StopJob | HostEvent::StopTask | HostEvent::StopAll | HostEvent::Order(_))
        })
    }

    pub(crate) fn has_reloads(&self) -> bool {
        self.daemon_runs.iter().any(|daemon_run| daemon_run.edited)
            || self.host_events.iter().any(|(_, host_event)| matches!(host_event, HostEvent::Reload))
    }

    /// Whether every request was answered, rightly and soon.
    pub(crate) fn is_fault_free(&self) -> bool {
        self.fault_rates.is_fault_free() && self.outages.is_empty() && self.troubles.is_fault_free()
    }
}

fn fault_rates(random: &mut Random) -> FaultRates {
    let mut draw = |most: u64, often: u64| if random.percent(often) { 1 + random.below(most) } else { 0 };
    FaultRates {
        internal: draw(12, 60),
        insufficient: draw(10, 30),
        unknown: draw(6, 30),
        lost: draw(10, 60),
        refused: draw(10, 50),
        gateway: draw(8, 40),
        slow: draw(10, 40),
        hang: draw(20, 40),
        lag: draw(30, 30),
        vanish: 0,
    }
}

fn ending(random: &mut Random, in_a_loop: bool) -> Ending {
    let longest = if in_a_loop { 4_000 } else { 900_000 };
    let length = SignedDuration::from_millis(random.within(0, longest));
    let soon = if in_a_loop { 4 } else { 60 };
    let count = u32::try_from(1 + random.below(soon)).expect("small");
    match random.below(9) {
        0 | 1 => Ending::Crash(length),
        2 | 3 => Ending::Notice(count),
        4 => Ending::Request(RequestStep::Send, count),
        5 => Ending::Request(RequestStep::Effect, count),
        6 => Ending::Request(RequestStep::Answer, count),
        7 => Ending::Boot,
        _ => Ending::Term(length),
    }
}

fn daemon_runs(random: &mut Random) -> Vec<DaemonRun> {
    let in_a_loop = random.percent(30);
    let count = if in_a_loop { 4 + random.below(8) } else { 1 + random.below(4) };
    let daemon_run = |random: &mut Random| {
        let away = match random.below(10) {
            0..4 => 0,
            4..8 => random.within(0, 20_000),
            _ => random.within(0, 600_000),
        };
        let away = if in_a_loop { away.min(2_000) } else { away };
        let is_short = in_a_loop && random.percent(90);
        let ending = ending(random, is_short);
        DaemonRun { ending, away: SignedDuration::from_millis(away), edited: random.percent(6) }
    };
    (0..count).map(|_| daemon_run(random)).collect()
}

fn steps(random: &mut Random, at: &mut dyn FnMut(&mut Random) -> Timestamp, host_events: &mut Vec<(Timestamp, HostEvent)>) {
    let start = at(random);
    let size = if random.percent(50) { random.within(1, 590) } else { random.within(600, 5_400) };
    let sign = if random.percent(50) { 1 } else { -1 };
    host_events.push((start, HostEvent::Step(SignedDuration::from_millis(sign * (size * 1_000 + random.within(0, 999))))));
    let later = start + SignedDuration::from_secs(random.within(1, 400));
    let way = random.below(4);
    match way {
        0 => host_events.push((later, HostEvent::Confirm)),
        1 => host_events.push((later, HostEvent::Synchronised)),
        _ => {}
    }
    // However it was, the clock is right in the end, and somebody says so.
    let right = later + SignedDuration::from_secs(random.within(1, 200));
    host_events.push((right, HostEvent::Right));
    host_events.push((right + SignedDuration::from_secs(3), HostEvent::Confirm));
}

/// Draws what goes wrong in the first so many minutes.
pub(crate) fn plan(random: &mut Random, minutes: i64) -> Plan {
    let mut plan = Plan::without_faults(*random.pick(&[Exist::RoomUser, Exist::User, Exist::Displace, Exist::Both]));
    plan.rate = *random.pick(&[20, 20, 20, 10, 4]);
    let mut at = |random: &mut Random| begin() + SignedDuration::from_millis(random.within(1_000, minutes * 60_000 - 60_000));
    if random.percent(50) {
        plan.fault_rates = fault_rates(random);
    }
    if random.percent(40) {
        plan.fault_rates.vanish = 10 + random.below(40);
    }
    if random.percent(12) {
        let from = at(random);
        plan.outages.push((from, from + SignedDuration::from_secs(random.within(5, 300))));
    }
    plan.callbacks = random.percent(40);
    if random.percent(55) {
        plan.daemon_runs = daemon_runs(random);
    }
    let mut host_events = Vec::new();
    if random.percent(22) {
        steps(random, &mut at, &mut host_events);
    }
    let mut some = |random: &mut Random, percent: u64, most: u64, host_event: &dyn Fn(&mut Random) -> HostEvent| {
        if random.percent(percent) {
            for _ in 0..=random.below(most) {
                let at = at(random);
                let host_event = host_event(random);
                host_events.push((at, host_event));
            }
        }
    };
    some(random, 10, 2, &|random| HostEvent::Suspend(SignedDuration::from_secs(random.within(1, 300))));
    some(random, 15, 3, &|random| HostEvent::Stall(SignedDuration::from_millis(random.within(100, 60_000))));
    some(random, 8, 2, &|random| HostEvent::Disk(SignedDuration::from_millis(random.within(200, 4_000))));
    some(random, 25, 2, &|_| HostEvent::Reload);
    some(random, 20, 3, &|random| *random.pick(&[HostEvent::StopJob, HostEvent::StopJob, HostEvent::StopTask, HostEvent::StopAll]));
    if plan.callbacks {
        some(random, 30, 2, &|_| HostEvent::Foreign);
    }
    host_events.sort_by_key(|(at, _)| *at);
    plan.host_events = host_events;
    plan
}

/// A true length as tokio takes it.
pub(crate) fn unsigned(length: SignedDuration) -> Duration {
    Duration::try_from(length).unwrap_or_default()
}
