//! A few rows of the ledger on their way from the daemon to a verb whose user may not read the file: a list of values for each row. They
//! become a small ledger in memory, of which the verb asks what it would ask of the file. What may be secret in a URL is hidden before they
//! leave. It does not know how they travel.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::database::{Cell, Database, IntoParam as _, Param, Row, RowError, Transaction, params};
use super::history::HistoryQuery;
use super::read::{LATEST_OF_JOB, ON_AIR, ONE, Reader};
use super::{LedgerError, VERSION, row, schema};
use crate::occurrence::{Occurrence, Played, Playout, Replaced};
use crate::trtc::StreamUrl;

/// The most rows of an excerpt.
pub const ROWS_MAX: u32 = 10_000;

/// The most starts of one job that an excerpt is asked for.
const STARTS_MAX: usize = 1_000;

/// The newest things done that are looked through.
const ACTS: &str = "SELECT * FROM (SELECT * FROM act ORDER BY id DESC LIMIT 10000) AS newest WHERE what = 'retry' ORDER BY id";

/// What rows are wanted.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ExcerptQuery {
    /// Those that `history` shows.
    History(HistoryQuery),
    /// What operators hold back, and no occurrence.
    Holds {},
    /// Those of a job that start at these instants, in milliseconds, and the newest before each.
    Job {
        /// The job.
        job: String,
        /// The instants.
        starts_ms: Vec<i64>,
    },
    /// Those on air, or stopping.
    OnAir {},
}

/// The rows, by tables. A row is an object of columns.
#[derive(Debug, Deserialize, Serialize)]
pub struct Excerpt {
    version: u32,
    occurrence: Vec<Map<String, Value>>,
    doubt: Vec<Map<String, Value>>,
    meta: Vec<Map<String, Value>>,
    job: Vec<Map<String, Value>>,
    act: Vec<Map<String, Value>>,
    hold: Vec<Map<String, Value>>,
}

impl Reader {
    /// The rows that are wanted, at one moment.
    ///
    /// Errors: the ledger cannot be read, or more is wanted than an excerpt holds.
    pub fn excerpt(&self, wanted: &ExcerptQuery) -> Result<Excerpt, LedgerError> {
        self.at_one_moment(|reader| {
            let of = &reader.database;
            let mut found = Found::default();
            match wanted {
                ExcerptQuery::History(query) => {
                    let query = HistoryQuery { limit: query.limit.min(ROWS_MAX), ..query.clone() };
                    let (tail, parameters) = query.tail();
                    found.add(of, &tail, &parameters)?;
                }
                ExcerptQuery::Holds {} => {}
                ExcerptQuery::Job { job, starts_ms } => {
                    for start in starts_ms.iter().take(STARTS_MAX) {
                        for tail in [ONE, LATEST_OF_JOB] {
                            found.add(of, tail, params![job, *start])?;
                        }
                    }
                }
                ExcerptQuery::OnAir {} => found.add(of, ON_AIR, params![])?,
            }
            let mut meta = all(of, "SELECT * FROM meta", params![])?;
            meta.retain(|meta| meta["value"].is_i64());
            let hold = all(of, "SELECT * FROM hold LIMIT 10000", params![])?;
            let (doubt, job, act) = (Vec::new(), Vec::new(), Vec::new());
            let whole = Excerpt { version: VERSION, meta, occurrence: found.rows, doubt, job, act, hold };
            let ExcerptQuery::Job { job, .. } = wanted else { return Ok(whole) };
            let mut act = all(of, ACTS, params![])?;
            act.retain(|act| act["detail"].as_str().is_some_and(|detail| found.keys.iter().any(|key| detail.starts_with(key))));
            let mut doubt = all(of, "SELECT * FROM doubt", params![])?;
            doubt.retain(|doubt| found.ids.contains(&doubt["occurrence"].as_i64().unwrap_or_default()));
            let jobs = "SELECT * FROM job WHERE id = ?1 OR first_seen_ms = (SELECT min(first_seen_ms) FROM job) LIMIT 100";
            Ok(Excerpt { doubt, job: all(of, jobs, params![job])?, act, ..whole })
        })
    }

    /// A small ledger of these rows.
    ///
    /// Errors: they are of another version of this program, or are no rows.
    pub fn of_excerpt(excerpt: &Excerpt) -> Result<Reader, LedgerError> {
        if excerpt.version != VERSION {
            let text = format!(
                "the daemon's ledger has version {}, and this program knows {VERSION}: restart the daemon",
                excerpt.version
            );
            return Err(LedgerError::ours(text));
        }
        let mut connection = Connection::open_in_memory()?;
        schema::migrate(&mut connection)?;
        connection.pragma_update(None, "foreign_keys", false)?;
        let Excerpt { version: _, occurrence, doubt, meta, job, act, hold } = excerpt;
        let tables = [("occurrence", occurrence), ("doubt", doubt), ("meta", meta), ("job", job), ("act", act), ("hold", hold)];
        let mut database = Database::from(connection);
        database.write(|to| tables.iter().try_for_each(|(table, rows)| rows.iter().try_for_each(|row| insert(to, table, row))))?;
        Ok(Reader { database })
    }
}

/// The occurrences of an excerpt, each once.
#[derive(Default)]
struct Found {
    ids: BTreeSet<i64>,
    /// As the records of what was done name them.
    keys: BTreeSet<String>,
    rows: Vec<Map<String, Value>>,
}

impl Found {
    fn add(&mut self, database: &Database, tail: &str, parameters: &[Param<'_>]) -> Result<(), LedgerError> {
        let mut specs = row::Specs::default();
        let rows = database.query(&format!("SELECT * FROM occurrence {tail}"), parameters, |row| {
            let (mut raw, mut occurrence) = (values(row)?, row::occurrence(row, &mut specs)?);
            hide_secrets(&mut occurrence);
            raw.insert("spec".to_owned(), row::spec(&occurrence).into());
            raw.insert("error_message".to_owned(), occurrence.fault.as_ref().map(|fault| fault.message.clone()).into());
            raw.insert("task_fault".to_owned(), occurrence.task_fault.as_ref().map(row::task_fault).into());
            raw.insert("fallback".to_owned(), row::fallback(&occurrence.fallback).into());
            Ok((raw, occurrence.key))
        })?;
        for (raw, key) in rows {
            if self.ids.insert(raw["id"].as_i64().unwrap_or_default()) {
                self.keys.insert(format!("{key}: "));
                self.rows.push(raw);
            }
        }
        Ok(())
    }
}

/// Hides what may be secret in a row, as every output does.
fn hide_secrets(occurrence: &mut Occurrence) {
    let playout = occurrence.playout.clone();
    if let Some(fault) = &mut occurrence.fault {
        fault.message = playout.mask(&fault.message);
    }
    if let Some(fault) = &mut occurrence.task_fault {
        fault.message = playout.mask(&fault.message);
    }
    hide_urls(&mut occurrence.playout);
    if let Replaced::Media(sent) = &mut occurrence.replaced {
        hide_urls(sent);
    }
    for Played { url, .. } in &mut occurrence.fallback.played {
        *url = StreamUrl::new(&url.redacted());
    }
}

fn hide_urls(playout: &mut Playout) {
    for url in std::iter::once(&mut playout.stream).chain(&mut playout.fallback) {
        *url = StreamUrl::new(&url.redacted());
    }
    if let Some(scheduled) = &mut playout.instead_of {
        hide_urls(scheduled);
    }
}

fn all(database: &Database, sql: &str, parameters: &[Param<'_>]) -> Result<Vec<Map<String, Value>>, LedgerError> {
    database.query(sql, parameters, values)
}

fn values(row: &Row<'_>) -> Result<Map<String, Value>, RowError> {
    let value = |cell| match cell {
        Cell::Integer(number) => Value::from(number),
        Cell::Text(text) => Value::from(text),
        Cell::Null => Value::Null,
    };
    Ok(row.cells()?.into_iter().map(|(name, cell)| (name, value(cell))).collect())
}

fn insert(to: &mut Transaction<'_>, table: &str, row: &Map<String, Value>) -> Result<(), LedgerError> {
    let is_name = |name: &String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if !row.keys().all(is_name) {
        return Err(LedgerError::ours("expected rows of the ledger, found other columns".to_owned()));
    }
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let places: Vec<String> = (1..=names.len()).map(|number| format!("?{number}")).collect();
    let cells = row.values().map(|value| match value {
        Value::Number(number) => number.as_i64().into_param(),
        Value::String(text) => text.into_param(),
        _ => Param::Text(None),
    });
    let sql = format!("INSERT OR REPLACE INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "));
    to.run(&sql, &cells.collect::<Vec<_>>())
}
