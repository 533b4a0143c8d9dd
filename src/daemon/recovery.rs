//! Taking over from the ledger: what a former daemon left under way, what was planned while nobody was there, and the schedule
//! that is in force from now on. Refuses to know why the former daemon ended: a crash and an upgrade are one code path.

use jiff::{SignedDuration, Timestamp};

use super::callbacks::homes;
use super::desk::{Armed, Desk};
use super::hold::{Hold, Reading};
use super::settle::Horizon;
use super::{Former, Generation};
use crate::ledger::{Attempt, Ledger, LedgerError};

/// How long callbacks about a start may be on their way.
const DOUBTS_SINCE: SignedDuration = SignedDuration::from_mins(15);

/// Takes over the ledger, in one transaction. If that cannot be written for now, what was decided waits in the ledger, as in any turn.
pub(super) fn take_over(
    ledger: &mut Ledger,
    desk: &mut Desk,
    accepted: Generation,
    former: Vec<Former>,
    (hold, reading): (&Hold, Reading),
) -> Result<(Horizon, Result<Vec<Attempt>, LedgerError>), LedgerError> {
    let now = hold.now(reading);
    let meta = ledger.meta()?;
    let occurrences = ledger.recover()?;
    let tasks = ledger.recover_tasks()?;
    let orphans = ledger.recover_orphans()?;
    let doubts = ledger.recover_doubts(now.checked_sub(DOUBTS_SINCE).unwrap_or(Timestamp::MIN))?;
    // A clock behind the newest commit cannot say that an armed start is still to come: it may have been sent.
    let clock_is_plausible = meta.committed_at.is_none_or(|committed| committed <= reading.wall);
    let armed = match (clock_is_plausible, hold.reason()) {
        (false, _) => Armed::InDoubt,
        (true, Some(_)) => Armed::TakenBack,
        (true, None) => Armed::Again,
    };
    let cursor = meta.cursor.unwrap_or(now);
    let mut turn = ledger.turn();
    desk.callbacks.recover(orphans, now);
    for doubt in doubts {
        for sent_at in &doubt.doubts {
            desk.callbacks.note_doubt(&doubt, *sent_at);
        }
    }
    desk.callbacks.learn(&homes(&accepted.schedule));
    for occurrence in occurrences {
        desk.recover(&mut turn, occurrence, armed, now)?;
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
        turn.record_job_seen(job.id.as_str(), now)?;
    }
    let mut horizon = Horizon::new(accepted, former, cursor, now);
    if desk.held.is_none() {
        horizon.start_open(&mut turn, desk, cursor, now)?;
        // Before anything leaves it is settled who has which room.
        desk.settle_rooms(&mut turn, now)?;
    } else if meta.cursor.is_none() {
        horizon.begins_when_released();
    }
    turn.set_cursor(horizon.cursor())?;
    turn.set_cursor_generation(horizon.cursor_generation())?;
    Ok((horizon, turn.commit(now)))
}
