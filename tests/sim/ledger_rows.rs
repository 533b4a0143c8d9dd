//! What the ledger's tables of tasks and orphans have after a run. Does not check it.

use jiff::Timestamp;

use crate::run::TaskRow;

pub(crate) fn task_rows(ledger: &rusqlite::Connection) -> Vec<TaskRow> {
    let sql =
        "SELECT task.task_id, job, start_ms, stop_wanted_ms, gone_ms FROM task JOIN occurrence ON occurrence.id = task.occurrence";
    let instant = |value: i64| Timestamp::from_millisecond(value).expect("an instant");
    let mut statement = ledger.prepare(sql).expect("it prepares");
    let rows = statement.query_map([], |row| {
        let (wanted, gone): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        Ok(TaskRow {
            task_id: row.get(0)?,
            job: row.get(1)?,
            start: instant(row.get(2)?),
            stop_wanted: wanted.map(instant),
            gone: gone.map(instant),
        })
    });
    rows.expect("it runs").map(|row| row.expect("it reads")).collect()
}

pub(crate) fn orphans(ledger: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut statement = ledger.prepare(sql).expect("it prepares");
    let rows = statement.query_map([], |row| row.get(0));
    rows.expect("it runs").map(|row| row.expect("it reads")).collect()
}
