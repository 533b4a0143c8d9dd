//! Taking over from the ledger: what a former daemon left under way, what was planned while nobody was there, and the schedule
//! that is in force from now on. Refuses to know why the former daemon ended: a crash and an upgrade are one code path.

use jiff::Timestamp;

use super::desk::Desk;
use super::settle::Horizon;
use super::{Former, Generation};
use crate::ledger::{Attempt, Ledger, LedgerError};

/// Takes over the ledger, in one transaction. `shown`: what the wall clock shows, which may not be what is believed.
pub(super) fn take_over(
    ledger: &mut Ledger,
    desk: &mut Desk,
    accepted: Generation,
    former: Vec<Former>,
    shown: Timestamp,
    now: Timestamp,
) -> Result<(Horizon, Vec<Attempt>), LedgerError> {
    let meta = ledger.meta()?;
    let occurrences = ledger.recover()?;
    let tasks = ledger.recover_tasks()?;
    let orphans = ledger.recover_orphans()?;
    // A clock behind the newest commit cannot say that an armed start is still to come: it may have been sent.
    let clock_is_plausible = meta.committed_at.is_none_or(|committed| committed <= shown);
    let cursor = meta.cursor.unwrap_or(now);
    let mut turn = ledger.turn();
    desk.callbacks.recover(orphans, now);
    desk.callbacks.learn(&accepted.schedule);
    for occurrence in occurrences {
        desk.recover(&mut turn, occurrence, clock_is_plausible, now)?;
    }
    desk.recover_tasks(tasks, now);
    if meta.generation != accepted.number {
        // An edit while nobody was there is a reload like any other.
        if meta.generation > 0 {
            desk.follow(&mut turn, &accepted.schedule, accepted.number, now)?;
        }
        turn.set_generation(accepted.number, now)?;
    }
    for job in accepted.schedule.jobs() {
        turn.see_job(job.id.as_str(), now)?;
    }
    let horizon = Horizon::new(accepted, former, cursor, now);
    if desk.held.is_none() {
        horizon.start_open(&mut turn, desk, cursor, now)?;
    }
    turn.set_cursor(horizon.cursor())?;
    turn.set_cursor_generation(horizon.cursor_generation())?;
    Ok((horizon, turn.commit(now)?))
}
