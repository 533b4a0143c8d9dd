//! The rows that say who owns a station: the schema `ingestd`, which all stations of a database share. Every question and every change is
//! one function here. Decides nothing, and reads no clock but the database's.

use ingestd_core::lease::{LeaseLength, MAY_ARRIVE_WITHIN, Tenure, Term};
use jiff::Timestamp;

use super::connection::Connection;
use super::{DatabaseError, ErrorClass, Row, Type};

/// The tables. Only ever added to: an older program reads and writes them beside a newer one.
const TABLES: &str = "
CREATE SCHEMA IF NOT EXISTS ingestd;
CREATE TABLE IF NOT EXISTS ingestd.station (
    name text PRIMARY KEY,
    term bigint NOT NULL DEFAULT 0,
    owner text,
    host text,
    version text,
    lease_end timestamptz NOT NULL DEFAULT '-infinity',
    released boolean NOT NULL DEFAULT true,
    schema_version integer NOT NULL DEFAULT 0,
    schema_least integer NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS ingestd.term (
    station text NOT NULL,
    term bigint NOT NULL,
    owner text NOT NULL,
    host text NOT NULL,
    version text NOT NULL,
    taken_at timestamptz NOT NULL,
    lease_end timestamptz NOT NULL,
    released_at timestamptz,
    PRIMARY KEY (station, term));
CREATE TABLE IF NOT EXISTS ingestd.node (
    station text NOT NULL,
    id text NOT NULL,
    host text NOT NULL,
    version text NOT NULL,
    seen_at timestamptz NOT NULL,
    clock_offset_ms bigint,
    folder text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT '',
    PRIMARY KEY (station, id))";

/// How often the tables are tried to be made: two who make them at once fail each other.
const MAKE_MAX: usize = 10;

/// What is said when two make the same thing at once: it is there, or its row of the catalogue was changed.
const MADE_AT_ONCE: [&str; 5] = ["23505", "42P06", "42P07", "42710", "XX000"];

/// Nodes that were not seen for so long are forgotten.
const NODES_KEPT: &str = "1 day";

/// A process that may own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Random, of this start: a host's name is no proof, and a process that comes again is another.
    pub id: String,
    /// Its host, for people.
    pub host: String,
    /// Its program.
    pub version: String,
}

/// A process that says now and then that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Who it is.
    pub process: Process,
    /// When it said so last, by the database's clock.
    pub seen_at: Timestamp,
    /// How far its clock is from the database's.
    pub clock_offset_ms: Option<i64>,
    /// The files of its folder that differ from the accepted sources.
    pub folder: String,
    /// What it does: `owner`, `standby`, or why it may not own.
    pub state: String,
}

/// How a commit is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// On the disk of the only server.
    #[default]
    OneServer,
    /// On another server too.
    Synchronous,
    /// Another server has it a moment later: a fail-over may lose the newest rows.
    Asynchronous,
    /// Not even on a disk when it is said to be made: a crash of the server loses rows.
    None,
}

/// What the rows say at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// That moment, by the database's clock.
    pub now: Timestamp,
    /// Which server said so.
    pub server: String,
    /// Of the newest owner.
    pub tenure: Tenure,
    /// Who that is; nothing, if nobody ever owned.
    pub owner: Option<Process>,
    /// The version of the station's tables, and the least version of a program that may write them.
    pub schema: (i32, i32),
    /// How a commit is kept.
    pub durability: Durability,
    /// Everybody who was seen in the last day, the newest first.
    pub nodes: Vec<Node>,
}

/// The air is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Our term.
    pub term: Term,
    /// Until when a start of a former owner may still arrive, by the database's clock, and when that was asked. Nothing: everybody before
    /// gave the air back, or fell silent long ago.
    pub may_arrive_until: Option<(Timestamp, Timestamp)>,
    /// Who owned before; nothing, if nobody ever did.
    pub former: Option<Process>,
    /// Whether the former owner gave the air back, or nobody ever owned: then the database has every row that was committed before that. What
    /// came after it may be lost, with the take-over.
    pub was_released: bool,
    /// For how long nobody owned.
    pub unowned_ms: i64,
    /// Whether this process has just begun, and no other is there: the keeper says so.
    pub is_alone: bool,
}

/// Makes the tables and the station's row, if they are not there.
pub async fn prepare(connection: &mut Connection, station: &str) -> Result<(), DatabaseError> {
    let is_there = "SELECT to_regclass('ingestd.node') IS NOT NULL AND to_regclass('ingestd.term') IS NOT NULL";
    for tries in 1.. {
        let there = connection.query_opt(is_there, &[]).await?.is_some_and(|row| row.try_get(0).unwrap_or(false));
        if there {
            break;
        }
        let made = connection.transaction(async |connection| connection.batch(TABLES).await).await;
        match made {
            Ok(()) => break,
            Err(error) if tries < MAKE_MAX && error.code().is_some_and(|code| MADE_AT_ONCE.contains(&code)) => {}
            Err(error) if error.has_code("42501") => {
                let hint = "let the role make schemas (`GRANT CREATE ON DATABASE ... TO ...`), or make the schema `ingestd` for it";
                return Err(DatabaseError::new(ErrorClass::Lasting, format!("{error}: {hint}")));
            }
            Err(error) => return Err(error),
        }
    }
    let insert = "INSERT INTO ingestd.station (name) VALUES ($1) ON CONFLICT DO NOTHING";
    connection.transaction(async |connection| connection.execute(insert, &[(&station, Type::TEXT)]).await.map(drop)).await
}

/// What the rows say now.
pub async fn look(connection: &mut Connection, station: &str) -> Result<Look, DatabaseError> {
    let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, term, owner, host, version, \
               CASE WHEN isfinite(lease_end) THEN (extract(epoch FROM lease_end) * 1000)::bigint ELSE 0 END, released, schema_version, \
               schema_least, current_setting('synchronous_commit'), current_setting('synchronous_standby_names') <> '', \
               EXISTS (SELECT FROM pg_stat_replication) FROM ingestd.station WHERE name = $1";
    let row = connection.query_opt(sql, &[(&station, Type::TEXT)]).await?;
    let Some(row) = row else {
        return Err(DatabaseError::new(ErrorClass::Passing, format!("the database has no station `{station}`")));
    };
    let owner = owner_of(&row, 2)?;
    let (commit, named, followed): (String, bool, bool) = (get(&row, 9)?, get(&row, 10)?, get(&row, 11)?);
    let durability = match (commit.as_str(), named, followed) {
        ("off", ..) => Durability::None,
        ("local", _, true) | (_, false, true) => Durability::Asynchronous,
        ("local", _, false) | (_, false, false) => Durability::OneServer,
        _ => Durability::Synchronous,
    };
    let tenure = Tenure { term: Term(get(&row, 1)?), ends_at: instant(&row, 5)?, is_released: get(&row, 6)? };
    let (now, schema) = (instant(&row, 0)?, (get(&row, 7)?, get(&row, 8)?));
    let nodes = nodes(connection, station).await?;
    Ok(Look { now, server: connection.host().to_owned(), tenure, owner, schema, durability, nodes })
}

async fn nodes(connection: &mut Connection, station: &str) -> Result<Vec<Node>, DatabaseError> {
    let sql = "SELECT id, host, version, (extract(epoch FROM seen_at) * 1000)::bigint, clock_offset_ms, folder, state FROM ingestd.node \
               WHERE station = $1 ORDER BY seen_at DESC, id LIMIT 100";
    let rows = connection.query(sql, &[(&station, Type::TEXT)]).await?;
    let node = |row: &Row| -> Result<Node, DatabaseError> {
        let process = Process { id: get(row, 0)?, host: get(row, 1)?, version: get(row, 2)? };
        let (folder, state) = (get(row, 5)?, get(row, 6)?);
        Ok(Node { process, seen_at: instant(row, 3)?, clock_offset_ms: get(row, 4)?, folder, state })
    };
    rows.iter().map(node).collect()
}

/// Takes the air, if nobody has it: the next term is ours. Nothing: somebody has it.
///
/// A crash before the commit: nothing happened. After it: nobody owns until this lease ends.
pub async fn take(
    connection: &mut Connection,
    station: &str,
    process: &Process,
    lease: LeaseLength,
) -> Result<Option<Taken>, DatabaseError> {
    connection.transaction(async |connection| taken(connection, station, process, lease).await).await
}

async fn taken(
    connection: &mut Connection,
    station: &str,
    process: &Process,
    lease: LeaseLength,
) -> Result<Option<Taken>, DatabaseError> {
    let lock = "SELECT term, released OR lease_end <= clock_timestamp(), owner, host, version, \
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint, \
                CASE WHEN isfinite(lease_end) THEN (extract(epoch FROM lease_end) * 1000)::bigint ELSE 0 END, released \
                FROM ingestd.station WHERE name = $1 FOR UPDATE";
    let row = connection.query_opt(lock, &[(&station, Type::TEXT)]).await?;
    let Some(row) = row.filter(|row| row.try_get(1).unwrap_or(false)) else { return Ok(None) };
    let (term, former, now, ended) = (Term(get(&row, 0)?), owner_of(&row, 2)?, instant(&row, 5)?, instant(&row, 6)?);
    let next = term.next();
    // The former lease as it ended: what counts is the end under which something could have been sent.
    let close = "UPDATE ingestd.term SET lease_end = station.lease_end FROM ingestd.station AS station \
                 WHERE station.name = $1 AND term.station = $1 AND term.term = $2 AND term.released_at IS NULL";
    connection.execute(close, &[(&station, Type::TEXT), (&term.0, Type::INT8)]).await?;
    let lease_ms = millis(lease);
    let own = "UPDATE ingestd.station SET term = $2, owner = $3, host = $4, version = $5, released = false, \
               lease_end = clock_timestamp() + $6 * interval '1 millisecond' WHERE name = $1";
    let named = [(&station as _, Type::TEXT), (&next.0 as _, Type::INT8), (&process.id as _, Type::TEXT)];
    let [of_station, of_term, of_owner] = named;
    let (host, version, length) =
        ((&process.host as _, Type::TEXT), (&process.version as _, Type::TEXT), (&lease_ms as _, Type::FLOAT8));
    let parameters = [of_station, of_term, of_owner, host, version, length];
    connection.execute(own, &parameters).await?;
    let note = "INSERT INTO ingestd.term (station, term, owner, host, version, taken_at, lease_end) \
                VALUES ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp() + $6 * interval '1 millisecond')";
    connection.execute(note, &parameters).await?;
    let recent = "SELECT (extract(epoch FROM max(lease_end)) * 1000)::bigint FROM ingestd.term \
                  WHERE station = $1 AND term < $2 AND released_at IS NULL";
    let last = connection.query_opt(recent, &[(&station, Type::TEXT), (&next.0, Type::INT8)]).await?;
    let last: Option<i64> = last.map(|row| get(&row, 0)).transpose()?.flatten();
    let arrives = last.and_then(|ms| Timestamp::from_millisecond(ms).ok()?.checked_add(MAY_ARRIVE_WITHIN).ok());
    let may_arrive_until = arrives.filter(|until| *until > now).map(|until| (until, now));
    let unowned_ms = if former.is_some() { now.as_millisecond() - ended.as_millisecond() } else { 0 };
    let was_released = get(&row, 7)?;
    Ok(Some(Taken { term: next, may_arrive_until, former, was_released, unowned_ms, is_alone: false }))
}

/// Renews the lease, and says that the process is there. False: the term is another's, or was given back.
///
/// A crash, or a lost connection, before or after the commit: the lease ends at the former time or at the new one, and the owner goes by the
/// former.
pub async fn renew(
    connection: &mut Connection,
    station: &str,
    (process, term): (&Process, Term),
    lease: LeaseLength,
) -> Result<bool, DatabaseError> {
    let lease_ms = millis(lease);
    let sql = "UPDATE ingestd.station SET lease_end = clock_timestamp() + $4 * interval '1 millisecond' \
               WHERE name = $1 AND owner = $2 AND term = $3 AND NOT released";
    let parameters =
        [(&station as _, Type::TEXT), (&process.id as _, Type::TEXT), (&term.0 as _, Type::INT8), (&lease_ms as _, Type::FLOAT8)];
    connection.transaction(async |connection| Ok(connection.execute(sql, &parameters).await? == 1)).await
}

/// Gives back whatever term this process has: whoever waits may take over at once. Only to be called when nothing more is sent.
pub async fn release(connection: &mut Connection, station: &str, process: &Process) -> Result<(), DatabaseError> {
    let parameters = [(&station as _, Type::TEXT), (&process.id as _, Type::TEXT)];
    let close = "UPDATE ingestd.term SET released_at = clock_timestamp(), lease_end = clock_timestamp() FROM ingestd.station AS station \
                 WHERE station.name = $1 AND station.owner = $2 AND NOT station.released AND term.station = $1 \
                 AND term.term = station.term";
    let free =
        "UPDATE ingestd.station SET released = true, lease_end = clock_timestamp() WHERE name = $1 AND owner = $2 AND NOT released";
    let forget = "DELETE FROM ingestd.node WHERE station = $1 AND id = $2";
    connection
        .transaction(async |connection| {
            connection.execute(close, &parameters).await?;
            connection.execute(free, &parameters).await?;
            connection.execute(forget, &parameters).await.map(drop)
        })
        .await
}

/// Ends the lease of whatever term this process has, although what it sent may not be recorded: whoever follows goes by that end. Only to be
/// called when nothing more is sent.
pub async fn give_up(connection: &mut Connection, station: &str, process: &Process) -> Result<(), DatabaseError> {
    let sql = "UPDATE ingestd.station SET lease_end = clock_timestamp() WHERE name = $1 AND owner = $2 AND NOT released";
    let parameters = [(&station as _, Type::TEXT), (&process.id as _, Type::TEXT)];
    connection.transaction(async |connection| connection.execute(sql, &parameters).await.map(drop)).await
}

/// Says that a process is there, and forgets those that were not seen for a day.
pub async fn be_seen(connection: &mut Connection, station: &str, node: &Node) -> Result<(), DatabaseError> {
    let sql = "INSERT INTO ingestd.node (station, id, host, version, seen_at, clock_offset_ms, folder, state) \
               VALUES ($1, $2, $3, $4, clock_timestamp(), $5, $6, $7) ON CONFLICT (station, id) DO UPDATE SET \
               seen_at = excluded.seen_at, clock_offset_ms = excluded.clock_offset_ms, folder = excluded.folder, state = excluded.state";
    let Node { process: Process { id, host, version }, seen_at: _, clock_offset_ms, folder, state } = node;
    let parameters = [
        (&station as _, Type::TEXT),
        (id as _, Type::TEXT),
        (host as _, Type::TEXT),
        (version as _, Type::TEXT),
        (clock_offset_ms as _, Type::INT8),
        (folder as _, Type::TEXT),
        (state as _, Type::TEXT),
    ];
    let forget = format!("DELETE FROM ingestd.node WHERE station = $1 AND seen_at < clock_timestamp() - interval '{NODES_KEPT}'");
    connection
        .transaction(async |connection| {
            connection.execute(sql, &parameters).await?;
            connection.execute(&forget, &[(&station, Type::TEXT)]).await.map(drop)
        })
        .await
}

fn millis(lease: LeaseLength) -> f64 {
    lease.get().as_secs_f64() * 1_000.0
}

fn owner_of(row: &Row, at: usize) -> Result<Option<Process>, DatabaseError> {
    let id: Option<String> = get(row, at)?;
    let (host, version): (Option<String>, Option<String>) = (get(row, at + 1)?, get(row, at + 2)?);
    Ok(id.map(|id| Process { id, host: host.unwrap_or_default(), version: version.unwrap_or_default() }))
}

fn instant(row: &Row, at: usize) -> Result<Timestamp, DatabaseError> {
    Ok(Timestamp::from_millisecond(get(row, at)?).unwrap_or(Timestamp::MIN))
}

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, DatabaseError> {
    row.try_get(at).map_err(DatabaseError::from)
}
