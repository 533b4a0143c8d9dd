//! A ledger of millions of shows. It does not know what is measured.

use std::fs;
use std::path::Path;

use ingestd::engine::{Write, Writes};
use ingestd::ledger::Ledger;
use ingestd::occurrence::Task;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::filling::write;
use crate::rows::{ended, on_air, task};

/// From one show to the next.
const STEP_MS: i64 = 30_000;

/// So many shows are written, then their tasks, then their requests: in the file they lie near each other, as the daemon's do.
const BLOCK: i64 = 1_000;

/// Jobs that take turns.
const JOBS: i64 = 1_000;

/// Fills a ledger with shows of the last years, one each half a minute, the oldest first, each with its task and its start: 1,000 jobs in 200
/// rooms. Of a thousand shows one failed, one was cut because its job was removed, and one was two days longer.
pub(crate) fn fill(state: &Path, occurrences: u64) {
    let occurrences = i64::try_from(occurrences).expect("a number of shows");
    fs::create_dir_all(state).expect("writable");
    let mut ledger = Ledger::open(state).expect("a ledger");
    let span = SignedDuration::from_millis(STEP_MS * occurrences);
    let first = Timestamp::now() - SignedDuration::from_hours(72) - span;
    let show = on_air("show", first);
    write(&mut ledger, &ended("show", first));
    let path = ledger.path().to_owned();
    let mut writes = Writes::default();
    writes.push(Write::AddTask(Box::new(Task { row: 1, ..task(&show) })));
    (0..JOBS).for_each(|number| writes.push(Write::RecordJobSeen { job: format!("show-{number}"), at: first }));
    ledger.commit(writes, first).expect("committed");
    drop(ledger);
    let connection = Connection::open(path).expect("the file");
    connection
        .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; UPDATE task SET gone_ms = started_ms, verified = 1")
        .expect("writable");
    let rare = |failed: &str, cut: &str, column: &str| {
        format!("CASE n.n % 997 WHEN 5 THEN '{failed}' WHEN 6 THEN '{cut}' ELSE t.{column} END")
    };
    let longer = |column: &str| format!("t.{column} + n.n * {STEP_MS} + CASE n.n % 997 WHEN 7 THEN 172800000 ELSE 0 END");
    let [id, job] = ["n.n + 1".to_owned(), format!("'show-' || (n.n % {JOBS})")];
    let spec = format!("json_set(t.spec, '$.room', 'room-' || (n.n % 200), '$.robot', {job})");
    let tables = [
        (
            "occurrence",
            vec![
                ("id", id.clone()),
                ("job", job),
                ("spec", spec),
                ("outcome", rare("failed", "cut", "outcome")),
                ("reason", rare("lost", "removed", "reason")),
                ("end_ms", longer("end_ms")),
                ("ended_ms", longer("ended_ms")),
            ],
        ),
        ("task", vec![("id", id.clone()), ("occurrence", id.clone()), ("task_id", "'task-' || n.n".to_owned())]),
        ("call", vec![("id", id.clone()), ("occurrence", id)]),
    ];
    let inserts = tables.map(|(table, changed)| {
        let mut statement = connection.prepare(&format!("PRAGMA table_info({table})")).expect("a query");
        let names = statement.query_map([], |row| row.get::<_, String>("name")).expect("rows");
        let names: Vec<String> = names.map(|name| name.expect("a name")).collect();
        let value = |name: &String| match changed.iter().find(|(changed, _)| changed == name) {
            Some((_, value)) => value.clone(),
            None if name.ends_with("_ms") => format!("t.{name} + n.n * {STEP_MS}"),
            None => format!("t.{name}"),
        };
        let values: Vec<String> = names.iter().map(value).collect();
        format!(
            "WITH RECURSIVE n(n) AS (VALUES (?1) UNION ALL SELECT n + 1 FROM n WHERE n < ?2) \
             INSERT INTO {table} ({}) SELECT {} FROM {table} t, n WHERE t.id = 1",
            names.join(", "),
            values.join(", ")
        )
    });
    for block in 0..=(occurrences - 1) / BLOCK {
        let (first, last) = (block * BLOCK + 1, ((block + 1) * BLOCK).min(occurrences));
        for insert in &inserts {
            connection.prepare_cached(insert).and_then(|mut insert| insert.execute([first, last])).expect("rows");
        }
    }
}
