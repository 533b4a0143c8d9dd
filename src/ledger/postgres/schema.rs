//! The tables of a station, and the way from every released version to the newest: the same columns, CHECKs and triggers as in a file
//! (`ledger::schema`), so that what cannot be there cannot be here. Does not know what the rows mean.

use tokio_postgres::types::Type;

use super::connection::{BEGIN, Connection};
use super::{Blocking, DatabaseError, ErrorClass, Station};
use crate::ledger::LedgerError;
use crate::occurrence::Outcome;

pub(super) mod versions;

use versions::MIGRATIONS;

/// The newest version that this program knows. A version adds to the one before, and what no program uses any more goes with a later one: so
/// both run beside each other while hosts are upgraded one by one.
pub const STATION_VERSION: i32 = 1;
const _: () = assert!(STATION_VERSION as usize == MIGRATIONS.len());

/// How often a change of the tables is tried that has to wait for others longer than its limit of 3 s.
const TRIES_MAX: usize = 10;

/// Nobody waits behind a change of the tables for longer. A change holds the row of the station: one whose host is stopped meanwhile lets go.
const LIMITS: &str =
    "SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '3s'";

/// Brings the tables of a station to [`STATION_VERSION`], as its owner of this term, each step in a transaction of its own, and adds the
/// reasons of outcomes that this program knows and the tables do not. Where nothing is to be done, nothing is written. What a newer program
/// only added is left alone.
///
/// Errors: a newer program changed the tables so that this one may not write them, another host has taken over, or the database fails. After a
/// crash the station has its last whole version, and the next start goes on from there.
pub(in crate::ledger) fn migrate(station: &Station, term: i64) -> Result<(), LedgerError> {
    let mut blocking = Blocking::new(std::sync::Arc::clone(station.migrate()))?;
    for tries in 1.. {
        let done = blocking.run(async |connection| bring_up(connection, station, term).await);
        match done {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(LedgerError::deposed()),
            // Somebody reads for long.
            Err(error) if error.has_code("55P03") && tries < TRIES_MAX => {}
            Err(error) => return Err(LedgerError::from(error)),
        }
    }
    unreachable!("it returns")
}

/// False: the term is another's.
async fn bring_up(connection: &mut Connection, station: &Station, term: i64) -> Result<bool, DatabaseError> {
    let version = version(connection, station).await?;
    let needed = least(connection, station).await?;
    if needed > STATION_VERSION {
        let text = format!(
            "a newer ingestd changed the tables of the {} (version {version}, this one knows {STATION_VERSION}): run that one",
            station.shown()
        );
        return Err(DatabaseError::new(ErrorClass::Lasting, text));
    }
    for (number, script) in (1_i32..).zip(MIGRATIONS).skip(usize::try_from(version).unwrap_or_default()) {
        if !step(connection, station, term, &[script], Some(number)).await? {
            return Ok(false);
        }
    }
    let reasons = format!("SELECT outcome, reason FROM {}.outcome_reason", station.schema());
    let mut there = Vec::new();
    for row in connection.query(&reasons, &[]).await? {
        there.push((row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?));
    }
    let is_new = |outcome: &Outcome| {
        !there.iter().any(|(name, reason)| (name.as_str(), reason.as_str()) == (outcome.name(), outcome.reason()))
    };
    let new: Vec<_> =
        Outcome::without_code().filter(is_new).map(|outcome| format!("('{}', '{}')", outcome.name(), outcome.reason())).collect();
    if new.is_empty() {
        return Ok(true);
    }
    let add = format!("INSERT INTO outcome_reason (outcome, reason) VALUES {} ON CONFLICT DO NOTHING", new.join(", "));
    step(connection, station, term, &[&add], None).await
}

/// Runs scripts in one transaction of the owner. False: the term is another's.
async fn step(
    connection: &mut Connection,
    station: &Station,
    term: i64,
    scripts: &[&str],
    version: Option<i32>,
) -> Result<bool, DatabaseError> {
    let schema = station.schema();
    let begin = format!("{BEGIN}; {LIMITS}; SET LOCAL search_path TO {schema}");
    connection.batch(&begin).await?;
    let name = station.name();
    let done = async {
        let fence = "SELECT 1 FROM ingestd.station WHERE name = $1 AND term = $2 FOR NO KEY UPDATE";
        if connection.execute(fence, &[(&name, Type::TEXT), (&term, Type::INT8)]).await? != 1 {
            return Ok(false);
        }
        // Who may not make schemas may have been given one.
        let has_none = connection.query("SELECT 1 WHERE to_regnamespace($1) IS NULL", &[(&schema, Type::TEXT)]).await?;
        if version.is_some() && !has_none.is_empty() {
            connection.batch(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await?;
        }
        for script in scripts {
            connection.batch(script).await?;
        }
        if let Some(number) = version {
            let told = "UPDATE ingestd.station SET schema_version = $2 WHERE name = $1";
            connection.execute(told, &[(&name, Type::TEXT), (&number, Type::INT4)]).await?;
        }
        Ok(true)
    }
    .await;
    match done {
        Ok(true) => connection.commit().await.map(|()| true),
        other => {
            // An open connection goes on after it; of one that is lost the server takes everything back.
            let _ = connection.batch("ROLLBACK").await;
            other
        }
    }
}

/// The oldest version that a program must know that writes the tables of a station.
async fn least(connection: &mut Connection, station: &Station) -> Result<i32, DatabaseError> {
    let name = station.name();
    let row = connection.query_opt("SELECT schema_least FROM ingestd.station WHERE name = $1", &[(&name, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

/// The version of a station's tables; 0: there are none, nor a station.
pub(in crate::ledger) async fn version(connection: &mut Connection, station: &Station) -> Result<i32, DatabaseError> {
    let name = station.name();
    let row = connection.query_opt("SELECT schema_version FROM ingestd.station WHERE name = $1", &[(&name, Type::TEXT)]).await;
    match row {
        Ok(row) => Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0)),
        Err(error) if error.has_code("42P01") || error.has_code("3F000") => Ok(0),
        Err(error) => Err(error),
    }
}

/// Refuses tables that this program cannot read.
pub(in crate::ledger) fn check_version(station: &Station, version: i32) -> Result<(), LedgerError> {
    match version {
        STATION_VERSION => Ok(()),
        0 => Err(LedgerError::ours(format!("there is no ledger at the {}: has the daemon ever run?", station.shown()))),
        older if older < STATION_VERSION => {
            let advice = "the daemon brings it up to date when it owns the air";
            Err(LedgerError::ours(format!(
                "the ledger at the {} is of version {older}, and this ingestd reads {STATION_VERSION}: {advice}",
                station.shown()
            )))
        }
        // What a newer version adds does not keep an older program from reading.
        _ => Ok(()),
    }
}
