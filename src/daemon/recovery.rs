//! Taking over from the ledger: what a former daemon left under way, what was planned while nobody was there, and the schedule
//! that is in force from now on. Refuses to know why the former daemon ended: a crash and an upgrade are one code path.

use std::sync::Arc;

use jiff::Timestamp;

use super::Generation;
use super::desk::Desk;
use super::settle::Horizon;
use crate::ledger::{Attempt, Ledger, LedgerError};
use crate::schedule::Schedule;

/// Takes over the ledger, in one transaction.
pub(super) fn take_over(
    ledger: &mut Ledger,
    desk: &mut Desk,
    accepted: Generation,
    former: &Arc<Schedule>,
    now: Timestamp,
) -> Result<(Horizon, Vec<Attempt>), LedgerError> {
    let meta = ledger.meta()?;
    let occurrences = ledger.recover()?;
    let tasks = ledger.recover_tasks()?;
    // A clock behind the newest commit cannot say that an armed start is still to come: it may have been sent.
    let clock_is_plausible = meta.committed_at.is_none_or(|committed| committed <= now);
    let cursor = meta.cursor.unwrap_or(now);
    let mut turn = ledger.turn();
    for task in tasks {
        desk.recover_task(task, now);
    }
    for occurrence in occurrences {
        desk.recover(&mut turn, occurrence, clock_is_plausible, now)?;
    }
    if meta.generation != accepted.number {
        turn.set_generation(accepted.number, now)?;
    }
    for job in accepted.schedule.jobs() {
        turn.see_job(job.id.as_str(), now)?;
    }
    let accepted_number = accepted.number;
    let horizon = Horizon::new(accepted, former, cursor, now);
    horizon.start_open(&mut turn, desk, now)?;
    turn.set_cursor(horizon.cursor())?;
    if !horizon.has_backlog() {
        turn.set_cursor_generation(accepted_number)?;
    }
    Ok((horizon, turn.commit(now)?))
}
