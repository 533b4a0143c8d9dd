//! Rows of what nobody could place: orphans, callbacks about unknown tasks, starts in doubt. It does not know what they mean.

use super::apply::app_id;
use super::columns::ms;
use super::database::{Database, Row, RowError, Transaction, Wrong, params};
use super::{LedgerError, row};
use crate::engine::Write;
use crate::occurrence::{Key, OpenDoubt, Orphan};
use crate::schedule::JobId;
use crate::trtc::callback::{Callback, TaskNews};
use jiff::Timestamp;

const ORPHANS: &str = "SELECT * FROM orphan WHERE gone_ms IS NULL ORDER BY seen_ms, task_id";

const CALLBACKS: &str = "SELECT * FROM callback ORDER BY id";

/// Starts in doubt whose task may play still; of those, where that is asked for, the ones whose task plays on after its occurrence, or
/// beside another of it.
const DOUBTS: &str = "SELECT doubt.*, job, start_ms, spec FROM doubt JOIN occurrence ON occurrence.id = doubt.occurrence \
    WHERE until_ms > ?1 AND (?2 = 0 OR state = 'done' OR (state IN ('on_air', 'stopping') AND task_id IS NOT NULL)) ORDER BY sent_ms, start_ms, job";

/// How long an orphan that is gone is remembered: 8 days.
const GONE_KEPT_MS: i64 = 8 * 24 * 3_600 * 1_000;

/// Writes one of them.
pub(super) fn apply(to: &mut Transaction<'_>, write: &Write) -> Result<(), LedgerError> {
    match write {
        Write::AddOrphan(orphan) => {
            let sql = "INSERT INTO orphan (task_id, app, sdk_app_id, region, seen_ms, likely_job, stop_wanted_ms, of_shows) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (task_id) DO UPDATE SET app = excluded.app, \
                sdk_app_id = excluded.sdk_app_id, region = excluded.region, seen_ms = excluded.seen_ms, \
                likely_job = excluded.likely_job, stop_wanted_ms = excluded.stop_wanted_ms, of_shows = excluded.of_shows, gone_ms = NULL";
            let place = &orphan.destination;
            let (app_id, seen, wanted) = (app_id(place.sdk_app_id), orphan.seen_at.as_millisecond(), ms(orphan.stop_wanted));
            let of = of_shows(&orphan.of);
            to.run(sql, params![&orphan.task_id, &place.app, app_id, &place.region, seen, &orphan.likely_job, wanted, of])
        }
        Write::UpdateOrphan(orphan) => {
            let sql = "UPDATE orphan SET stop_wanted_ms = ?2, of_shows = ?3 WHERE task_id = ?1";
            to.run(sql, params![&orphan.task_id, ms(orphan.stop_wanted), of_shows(&orphan.of)])
        }
        Write::OrphanGone { task_id, at } => {
            let gone = at.as_millisecond();
            to.run("UPDATE orphan SET gone_ms = ?2 WHERE task_id = ?1", params![task_id, gone])?;
            // Nobody asks for one that is gone but a callback, and none comes so late.
            to.run("DELETE FROM orphan WHERE gone_ms < ?1", params![gone - GONE_KEPT_MS])
        }
        Write::AddCallback(Callback { sdk_app_id, task_id, news, at }) => {
            let sql = "INSERT INTO callback (sdk_app_id, task_id, news, at_ms) VALUES (?1, ?2, ?3, ?4)";
            to.run(sql, params![app_id(*sdk_app_id), task_id, news.name(), at.as_millisecond()])
        }
        Write::CallbacksPlaced { task_id } => to.run("DELETE FROM callback WHERE task_id = ?1", params![task_id]),
        Write::AddDoubt(doubt) => {
            let sql = "INSERT INTO doubt (occurrence, sent_ms, bound_ms, until_ms, was_found) \
                SELECT id, ?1, ?2, ?3, ?4 FROM occurrence WHERE job = ?5 AND start_ms = ?6 \
                ON CONFLICT (occurrence, sent_ms) DO UPDATE SET was_found = excluded.was_found";
            let OpenDoubt { key, sent_at, bound, until, was_found, .. } = &**doubt;
            let (sent, until) = (sent_at.as_millisecond(), until.as_millisecond());
            let parameters = params![sent, ms(*bound), until, was_found, key.job.as_str(), key.start.as_millisecond()];
            to.run_one(sql, parameters, (Wrong::NoRow, key))
        }
        Write::DoubtSettled { key, sent_at } => {
            let sql = "DELETE FROM doubt WHERE sent_ms = ?3 AND occurrence = (SELECT id FROM occurrence WHERE job = ?1 AND start_ms = ?2)";
            to.run(sql, params![key.job.as_str(), key.start.as_millisecond(), sent_at.as_millisecond()])
        }
        _ => Err(LedgerError::ours(format!("{write:?} is not a write of what nobody could place"))),
    }
}

/// Every orphan that is not known to be gone, oldest first.
pub(super) fn orphans(database: &Database) -> Result<Vec<Orphan>, LedgerError> {
    database.query(ORPHANS, params![], orphan)
}

/// Every callback that nobody could place yet, in the order in which they came.
pub(super) fn callbacks(database: &Database) -> Result<Vec<Callback>, LedgerError> {
    database.query(CALLBACKS, params![], callback)
}

/// Every start in doubt whose task may play after `since`, oldest first; of those, where `is_beside`, the ones whose task plays on after
/// its occurrence, or beside another of it.
pub(super) fn doubts(database: &Database, since: Timestamp, is_beside: bool) -> Result<Vec<OpenDoubt>, LedgerError> {
    database.query(DOUBTS, params![since.as_millisecond(), is_beside], doubt)
}

fn orphan(row: &Row<'_>) -> Result<Orphan, RowError> {
    let of: String = row.get("of_shows")?;
    let broken = || row::broken("of_shows", &of);
    let pairs: Vec<(String, i64)> = serde_json::from_str(&of).map_err(|_| broken())?;
    let key = |(job, start): (String, i64)| Some(Key { start: row::from_millisecond(start)?, job: JobId::parse(&job)? });
    Ok(Orphan {
        task_id: row.get("task_id")?,
        destination: row::destination(row)?,
        seen_at: row::instant(row, "seen_ms")?,
        likely_job: row.get("likely_job")?,
        stop_wanted: row::instant_or_none(row, "stop_wanted_ms")?,
        of: pairs.into_iter().map(key).collect::<Option<_>>().ok_or_else(broken)?,
    })
}

/// The `of_shows` column of an orphan: job and start of each.
fn of_shows(keys: &[Key]) -> String {
    let pairs: Vec<_> = keys.iter().map(|key| (key.job.as_str(), key.start.as_millisecond())).collect();
    serde_json::to_string(&pairs).expect("a list of texts and numbers is JSON")
}

fn callback(row: &Row<'_>) -> Result<Callback, RowError> {
    let news: String = row.get("news")?;
    Ok(Callback {
        sdk_app_id: row::sdk_app_id(row)?,
        task_id: row.get("task_id")?,
        news: TaskNews::from_name(&news).ok_or_else(|| row::broken("news", &news))?,
        at: row::instant(row, "at_ms")?,
    })
}

fn doubt(row: &Row<'_>) -> Result<OpenDoubt, RowError> {
    let playout = row::playout_of(row)?;
    Ok(OpenDoubt {
        key: row::key(row)?,
        destination: playout.destination,
        room: playout.room,
        robot: playout.robot,
        sent_at: row::instant(row, "sent_ms")?,
        bound: row::instant_or_none(row, "bound_ms")?,
        until: row::instant(row, "until_ms")?,
        was_found: row.get("was_found")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn no_query_reads_what_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        let mut statement = ledger.database.sqlite().prepare(&format!("EXPLAIN QUERY PLAN {ORPHANS}")).expect("a plan");
        let steps = statement.query_map([], |row| row.get::<_, String>("detail")).expect("steps");
        let steps: Vec<_> = steps.map(|step| step.expect("a text")).collect();
        assert!(steps.iter().any(|step| step == "SCAN orphan USING INDEX orphan_open"), "{steps:#?}");
    }
}
