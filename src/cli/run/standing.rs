//! How this host stands, put together from what the keeper, the folder and the process itself say. Asks nobody.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::agreement::Agreement;
use crate::host::{HostStanding, OtherHost, Role};
use crate::ledger::postgres::keeper::{SEEN_WITHIN, Standing, Told};
use crate::ledger::postgres::owner::{Durability, Node, Process};

/// Puts together how this host stands, and tells the keeper what keeps it from owning.
pub(super) async fn follow(
    (mut standing, mut agreement, mut trouble): (
        watch::Receiver<Standing>,
        watch::Receiver<Agreement>,
        watch::Receiver<Option<String>>,
    ),
    process: Process,
    told: watch::Sender<Told>,
    to: watch::Sender<HostStanding>,
) {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = tokio::time::Instant::now();
    loop {
        let all = tokio::select! {
            changed = standing.changed() => { looked = tokio::time::Instant::now(); changed }
            changed = agreement.changed() => changed,
            changed = trouble.changed() => changed,
            _ = ticks.tick() => Ok(()),
        };
        if all.is_err() {
            return;
        }
        let found = agreement.borrow().clone();
        let refusals: Vec<String> = found.unplayable.iter().cloned().chain(trouble.borrow().clone()).collect();
        let new = Told { folder: found.differing.join(", "), refusals };
        told.send_if_modified(|last| std::mem::replace(last, new.clone()) != new);
        let known = standing.borrow().clone();
        let station = to.borrow().station.clone();
        let now = host_standing(&known, &process, (station, found.differing), looked.elapsed());
        to.send_if_modified(|last| std::mem::replace(last, now.clone()) != now);
    }
}

fn other(node: &Node) -> OtherHost {
    let Node { process: Process { id: _, host, version }, seen_at: _, clock_offset_ms, folder, state } = node.clone();
    OtherHost { host, version, state, clock_offset_ms, differing: folder }
}

fn host_standing(
    standing: &Standing,
    process: &Process,
    (station, differing): (String, Vec<String>),
    ago: Duration,
) -> HostStanding {
    let Standing { term, look, failing, refusals } = standing;
    let role = if term.is_some() { Role::Owner } else { Role::Standby };
    let (failing, refusals) = (failing.clone(), refusals.clone());
    let Some(look) = look else { return HostStanding { role, station, failing, refusals, differing, ..HostStanding::default() } };
    let left = look.tenure.ends_at.as_millisecond() - look.now.as_millisecond() - i64::try_from(ago.as_millis()).unwrap_or(0);
    let others = look.nodes.iter().filter(|node| node.process.id != process.id);
    let others = others.filter(|node| look.now.duration_since(node.seen_at).unsigned_abs() <= SEEN_WITHIN);
    HostStanding {
        role,
        station,
        owner: if term.is_some() { Some(process.host.clone()) } else { look.owner.as_ref().map(|owner| owner.host.clone()) },
        term: term.or(Some(look.tenure.term).filter(|term| term.0 > 0)),
        lease_end: Some(look.tenure.ends_at).filter(|_| look.tenure.term.0 > 0),
        lease_left_ms: Some(left.max(0)).filter(|_| look.tenure.term.0 > 0),
        is_unowned: term.is_none() && (look.tenure.is_released || left <= 0),
        failing,
        refusals,
        differing,
        others: others.map(other).collect(),
        is_asynchronous: look.durability == Durability::Asynchronous,
    }
}
