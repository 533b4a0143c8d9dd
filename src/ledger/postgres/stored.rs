//! The sources of accepted generations as rows of a station. Does not know what they mean.

use std::io;

use super::{Fence, Station, Store};
use crate::ledger::LedgerError;
use crate::ledger::database::{Database, params};
use crate::ledger::sources::read_content;
use crate::schedule::Source;

/// Who keeps them: the owner of a term.
type Owner<'a> = (&'a Station, Option<i64>);

pub(in crate::ledger) fn load(station: &Station, generation: i64) -> io::Result<Option<Vec<Source>>> {
    let sql = "SELECT sources FROM accepted WHERE generation = ?1";
    let found = Store::reading(station).and_then(|store| store.query(sql, params![generation], |row| row.get::<String>("sources")));
    let found = found.map_err(|error| cannot("read", generation, &error))?.pop();
    found.map(|text| read_content(text.as_bytes())).transpose().map_err(io::Error::from)
}

pub(in crate::ledger) fn save(owner: Owner<'_>, generation: i64, content: &str) -> io::Result<()> {
    let sql = "INSERT INTO accepted (generation, sources) VALUES (?1, ?2) ON CONFLICT (generation) DO UPDATE SET sources = excluded.sources";
    let saved =
        open(owner).and_then(|mut database| database.write(|transaction| transaction.run(sql, params![generation, content])));
    saved.map_err(|error| cannot("write", generation, &error))
}

/// Those that are kept; none, if the database cannot be read.
pub(in crate::ledger) fn numbers(station: &Station) -> Vec<i64> {
    let sql = "SELECT generation FROM accepted ORDER BY generation DESC";
    let found = Store::reading(station).and_then(|store| store.query(sql, params![], |row| row.get("generation")));
    found.unwrap_or_default()
}

/// Removes all but these. What cannot be removed stays, and does no harm.
pub(in crate::ledger) fn keep(owner: Owner<'_>, kept: &[i64]) {
    let others: Vec<i64> = numbers(owner.0).into_iter().filter(|number| !kept.contains(number)).collect();
    if others.is_empty() {
        return;
    }
    let sql = "DELETE FROM accepted WHERE generation = ?1";
    let removed = open(owner).and_then(|mut database| {
        database.write(|transaction| others.iter().try_for_each(|number| transaction.run(sql, params![number])))
    });
    drop(removed);
}

fn open((station, term): Owner<'_>) -> Result<Database, LedgerError> {
    let term = term.ok_or_else(|| LedgerError::ours("only the owner keeps what it accepts".to_owned()))?;
    Ok(Database::Postgres(Box::new(Store::new(station, Fence::Term(term))?)))
}

fn cannot(verb: &str, generation: i64, error: &LedgerError) -> io::Error {
    io::Error::other(format!("cannot {verb} the sources of generation {generation}: {error}"))
}
