//! A ledger of millions of shows. It does not know what is measured.

use std::fs;
use std::path::Path;

use ingestd::ledger::Ledger;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::filling::write;
use crate::rows::{ended, on_air, task};

/// From one show to the next.
const STEP_MS: i64 = 30_000;

/// Fills a ledger with shows of the last years, one each half a minute, each with its task and its start, the oldest first, as the daemon
/// writes them: 1,000 jobs in 200 rooms. Of a thousand one failed, and one was cut because its job was removed.
pub(crate) fn fill(state: &Path, occurrences: u64) {
    fs::create_dir_all(state).expect("writable");
    let mut ledger = Ledger::open(state).expect("a ledger");
    let span = SignedDuration::from_millis(STEP_MS * i64::try_from(occurrences).expect("a number of shows"));
    let first = Timestamp::now() - SignedDuration::from_hours(72) - span;
    let show = on_air("show", first);
    write(&mut ledger, &ended("show", first));
    let path = ledger.path().to_owned();
    let mut writes = ingestd::engine::Writes::default();
    writes.push(ingestd::engine::Write::AddTask(Box::new(ingestd::occurrence::Task { row: 1, ..task(&show) })));
    ledger.commit(writes, first).expect("committed");
    drop(ledger);
    let connection = Connection::open(path).expect("the file");
    connection.execute_batch("PRAGMA synchronous = OFF; UPDATE task SET gone_ms = started_ms, verified = 1").expect("writable");
    let series = format!("WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < {occurrences})");
    let columns = |table: &str, changed: &[(&str, String)]| {
        let mut statement = connection.prepare(&format!("PRAGMA table_info({table})")).expect("a query");
        let names = statement.query_map([], |row| row.get::<_, String>("name")).expect("rows");
        let names: Vec<String> = names.map(|name| name.expect("a name")).collect();
        let value = |name: &String| {
            let changed = changed.iter().find(|(changed, _)| changed == name);
            changed.map_or_else(|| format!("t.{name}"), |(_, value)| value.clone())
        };
        (names.join(", "), names.iter().map(value).collect::<Vec<_>>().join(", "))
    };
    let moved = |name: &'static str| (name, format!("t.{name} + n.n * {STEP_MS}"));
    let id = |name: &'static str| (name, "n.n + 1".to_owned());
    let job = ("job", "'show-' || (n.n % 1000)".to_owned());
    let spec = ("spec", "json_set(t.spec, '$.room', 'room-' || (n.n % 200))".to_owned());
    let rare = |failed: &str, cut: &str, column: &str| {
        format!("CASE n.n % 997 WHEN 5 THEN '{failed}' WHEN 6 THEN '{cut}' ELSE t.{column} END")
    };
    let outcome = ("outcome", rare("failed", "cut", "outcome"));
    let reason = ("reason", rare("lost", "removed", "reason"));
    for (table, changed) in [
        (
            "occurrence",
            vec![id("id"), job, spec, outcome, reason, moved("start_ms"), moved("end_ms"), moved("ended_ms"), moved("on_air_ms")],
        ),
        ("task", vec![id("id"), id("occurrence"), moved("started_ms"), ("task_id", "'task-' || n.n".to_owned())]),
        ("call", vec![id("id"), id("occurrence"), moved("sent_ms")]),
    ] {
        let (names, values) = columns(table, &changed);
        connection
            .execute(&format!("{series} INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, n WHERE t.id = 1"), [])
            .expect("rows");
    }
}
