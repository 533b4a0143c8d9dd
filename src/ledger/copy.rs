//! The whole of a ledger, from a file into a station on PostgreSQL or back, while nobody plays. Row by row, in one transaction: all is there or
//! nothing. Does not know what the rows mean.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ingestd_core::lease::{LeaseLength, Term};

use super::database::{Cell, Database, IntoParam as _, Param, Row, RowError, Transaction, params};
use super::postgres::owner::{self, Process};
use super::postgres::{Blocking, Station};
use super::sources::Sources;
use super::{FILE, Ledger, LedgerError, Lock, Place, Reader};

/// The tables, those that others refer to first, each with the order in which its rows are read.
const TABLES: [(&str, &str); 12] = [
    ("occurrence", "id"),
    ("task", "id"),
    ("call", "id"),
    ("job", "id"),
    ("act", "id"),
    ("meta", "key"),
    ("orphan", "task_id"),
    ("callback", "id"),
    ("doubt", "occurrence, sent_ms"),
    ("alert", "id"),
    ("alert_told", "alert, receiver"),
    ("hold", "why, job, from_ms"),
];

/// The tables whose numbers the database gives.
const NUMBERED: [&str; 3] = ["occurrence", "act", "callback"];

/// So many rows are read at once.
const PAGE: u32 = 5_000;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Rows of all tables.
    pub rows: u64,
    /// Occurrences among them.
    pub occurrences: u64,
    /// Generations whose sources were kept.
    pub generations: usize,
}

impl fmt::Display for Copied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Copied { rows, occurrences, generations } = self;
        write!(
            formatter,
            "{rows} rows copied, of them {occurrences} occurrences, and the sources of {generations} generations; counted"
        )
    }
}

/// Copies the ledger in the state folder into a station.
///
/// Errors: a daemon runs on one of them, there is no ledger, the station has rows already, or one of them cannot be read or written. The
/// station then has no row.
pub fn copy_to_station(folder: &Path, station: &Station) -> Result<Copied, LedgerError> {
    let _lock = Lock::take(folder)?;
    if !folder.join(FILE).exists() {
        return Err(LedgerError::ours(format!("there is no ledger at `{}`", folder.join(FILE).display())));
    }
    // It brings an older file up to date first.
    let from = Ledger::open(folder)?;
    owning(station, |term| {
        let mut to = Ledger::open_station(station, term)?;
        let sources = (Sources::at(Place::from(folder)), Sources::of_owner(station.clone(), term));
        copy(&from.database, &mut to.database, sources, Some(term))
    })
}

/// Copies the ledger of a station into the state folder.
///
/// Errors: as [`copy_to_station`].
pub fn copy_to_folder(station: &Station, folder: &Path) -> Result<Copied, LedgerError> {
    std::fs::create_dir_all(folder)?;
    let _lock = Lock::take(folder)?;
    owning(station, |_| {
        let from = Reader::open_at(&Place::from(station.clone()))?;
        let mut to = Ledger::open(folder)?;
        let sources = (Sources::at(Place::from(station.clone())), Sources::at(Place::from(folder)));
        copy(&from.database, &mut to.database, sources, None)
    })
}

/// Owns the station meanwhile: no daemon can.
fn owning<T>(station: &Station, work: impl FnOnce(Term) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
    let process = Process {
        id: format!("copy-{}", std::process::id()),
        host: "`ingestd ledger copy`".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut blocking = Blocking::new(Arc::clone(station.migrate()))?;
    let name = station.name();
    let taken = blocking.run(async |connection| {
        owner::prepare(connection, name).await?;
        owner::take(connection, name, &process, LeaseLength::MAX).await
    })?;
    let Some(taken) = taken else {
        let text = format!("a daemon owns the air of the {}: stop every daemon of the station first", station.shown());
        return Err(LedgerError::ours(text));
    };
    let done = work(taken.term);
    let released = blocking.run(async |connection| owner::release(connection, name, &process).await);
    let done = done?;
    released?;
    Ok(done)
}

/// `term`: of the rows that are to say in which term a request was sent.
fn copy(from: &Database, to: &mut Database, (kept, keep): (Sources, Sources), term: Option<Term>) -> Result<Copied, LedgerError> {
    for (table, _) in TABLES {
        let own = if table == "meta" { " WHERE key <> 'commit'" } else { "" };
        if to.exists(&format!("SELECT 1 FROM {table}{own} LIMIT 1"), params![])? {
            return Err(LedgerError::ours(format!("the target has rows already, in the table `{table}`: nothing is copied")));
        }
    }
    // First what the rows refer to by its number.
    let mut generations = kept.numbers();
    generations.reverse();
    for number in &generations {
        if let Some(sources) = kept.load(*number)? {
            keep.save(*number, &sources)?;
        }
    }
    to.write(|transaction| {
        for (table, order) in TABLES {
            copy_table(from, transaction, (table, order), term)?;
        }
        if term.is_some() {
            for table in NUMBERED {
                let sql = format!(
                    "SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1) AS next FROM {table}"
                );
                transaction.query(&sql, params![], |row| row.get::<i64>("next"))?;
            }
        }
        Ok(())
    })?;
    let mut copied = Copied { generations: generations.len(), ..Copied::default() };
    for (table, _) in TABLES {
        let counts = [count(from, table)?, count(to, table)?];
        if counts[0] != counts[1] {
            let text = format!("the table `{table}` has {} rows, and its copy has {}: do not use the copy", counts[0], counts[1]);
            return Err(LedgerError::ours(text));
        }
        copied.rows += counts[0];
        copied.occurrences += if table == "occurrence" { counts[0] } else { 0 };
    }
    Ok(copied)
}

/// The number of a commit is the database's own.
fn count(database: &Database, table: &str) -> Result<u64, LedgerError> {
    let own = if table == "meta" { " WHERE key <> 'commit'" } else { "" };
    let found = database.first(&format!("SELECT count(*) AS count FROM {table}{own}"), params![], |row| row.get::<i64>("count"))?;
    Ok(found.unwrap_or_default().unsigned_abs())
}

fn copy_table(
    from: &Database,
    to: &mut Transaction<'_>,
    (table, order): (&str, &str),
    term: Option<Term>,
) -> Result<(), LedgerError> {
    for page in 0_u32.. {
        let sql = format!("SELECT * FROM {table} ORDER BY {order} LIMIT ?1 OFFSET ?2");
        let rows = from.query(&sql, params![PAGE, i64::from(page) * i64::from(PAGE)], cells)?;
        let is_last = rows.len() < PAGE as usize;
        for row in rows {
            insert(to, table, row, term)?;
        }
        if is_last {
            break;
        }
    }
    Ok(())
}

fn cells(row: &Row<'_>) -> Result<Vec<(String, Cell)>, RowError> {
    row.cells()
}

/// What is nothing is left out: a database may want to know of what type.
fn insert(to: &mut Transaction<'_>, table: &str, row: Vec<(String, Cell)>, term: Option<Term>) -> Result<(), LedgerError> {
    if row.iter().any(|(name, cell)| name == "key" && *cell == Cell::Text("commit".to_owned())) {
        return Ok(());
    }
    let term = term.filter(|_| table == "call").map(|term| ("term".to_owned(), Cell::Integer(term.0)));
    let (mut names, mut values): (Vec<String>, Vec<Param<'_>>) = (Vec::new(), Vec::new());
    for (name, cell) in row.into_iter().filter(|(name, _)| name != "term").chain(term) {
        values.push(match cell {
            Cell::Null => continue,
            Cell::Integer(number) => number.into_param(),
            Cell::Text(text) => text.into_param(),
        });
        names.push(name);
    }
    let places: Vec<String> = (1..=names.len()).map(|number| format!("?{number}")).collect();
    to.run(&format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", ")), &values)
}
