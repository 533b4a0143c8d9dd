//! What the ledger asks of a database: statements with values, rows read by the names of their columns, and transactions. SQLite is one;
//! what it is asked is what it was asked before. Does not know any table.
//!
//! One text serves both databases where that is honest: values are `?1`, `?2` and so on, and are numbers, texts or nothing.

mod value;

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params_from_iter};

use super::LedgerError;
#[cfg(feature = "postgres")]
use super::postgres::{Store, Work};
use crate::occurrence::Key;

pub(super) use value::{Cell, ColumnNames, IntoParam, Param, Row, RowError};

/// The values of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::ledger::database::IntoParam::into_param($value)),*] };
}
pub(super) use params;

/// A database that holds one ledger.
pub(super) enum Database {
    /// A file, or a ledger in memory.
    Sqlite(Connection),
    /// A station on PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(Box<Store>),
}

impl From<Connection> for Database {
    fn from(connection: Connection) -> Database {
        Database::Sqlite(connection)
    }
}

impl Database {
    /// The rows of a query, each read by `read`.
    pub(super) fn query<T>(
        &self,
        sql: &str,
        parameters: &[Param<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
    ) -> Result<Vec<T>, LedgerError> {
        match self {
            Database::Sqlite(connection) => query(connection, sql, parameters, read),
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.query(sql, parameters, read),
        }
    }

    /// The first row of a query, if there is one.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        parameters: &[Param<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
    ) -> Result<Option<T>, LedgerError> {
        match self {
            Database::Sqlite(connection) => first(connection, sql, parameters, read),
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => Ok(store.query(sql, parameters, read)?.into_iter().next()),
        }
    }

    /// Whether a query has a row.
    pub(super) fn exists(&self, sql: &str, parameters: &[Param<'_>]) -> Result<bool, LedgerError> {
        self.first(sql, parameters, |_| Ok(())).map(|row| row.is_some())
    }

    /// Whether an index of the newest version can be used. A file has all of them; a station gets them while its owner plays.
    pub(super) fn has_index(&self, name: &str) -> Result<bool, LedgerError> {
        match self {
            Database::Sqlite(_) => Ok(true),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {
                self.exists("SELECT 1 AS one FROM pg_index WHERE indexrelid = to_regclass(?1) AND indisvalid", params![name])
            }
        }
    }

    /// Does this in one transaction, and commits it: all of it is durable then, or none.
    pub(super) fn write<T>(
        &mut self,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        match self {
            Database::Sqlite(connection) => {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let done = work(&mut Transaction::Sqlite(&transaction))?;
                transaction.commit()?;
                Ok(done)
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.write(work),
        }
    }

    /// Runs several queries on the ledger as it is at one moment. What is written meanwhile is not seen.
    pub(super) fn at_one_moment<T>(&self, ask: impl FnOnce() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        match self {
            Database::Sqlite(connection) => {
                let transaction = connection.unchecked_transaction()?;
                let answers = ask()?;
                transaction.finish()?;
                Ok(answers)
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.at_one_moment(ask),
        }
    }

    /// The number of the newest commit that was tried; `None`: commits have none, because what came of one is always known.
    pub(super) fn commit_number(&self) -> Option<i64> {
        match self {
            Database::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => Some(store.number()),
        }
    }

    /// Whether the commit of that number, which nobody acknowledged, took effect.
    pub(super) fn took_effect(&mut self, number: i64) -> Result<bool, LedgerError> {
        match self {
            Database::Sqlite(_) => Err(LedgerError::ours(format!("a file has no commit {number}"))),
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.took_effect(number),
        }
    }

    /// Starts without an answer that an owner before may have sent and did not give back, and until when each may still arrive. None in a
    /// file: nobody else has it.
    pub(super) fn may_still_leave(&self) -> Result<Vec<(Key, Timestamp)>, LedgerError> {
        match self {
            Database::Sqlite(_) => Ok(Vec::new()),
            #[cfg(feature = "postgres")]
            Database::Postgres(store) => store.may_still_leave(),
        }
    }

    /// Changes whenever somebody else has written since the last question on this connection.
    pub(super) fn data_version(&self) -> Result<i64, LedgerError> {
        match self {
            Database::Sqlite(connection) => {
                Ok(first(connection, "PRAGMA data_version", &[], |row| row.get("data_version"))?.unwrap_or_default())
            }
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {
                let sql = "SELECT value FROM meta WHERE key = 'commit'";
                Ok(self.first(sql, &[], |row| row.get("value"))?.unwrap_or_default())
            }
        }
    }

    /// How long a write waits for another process that writes.
    pub(super) fn wait_for_others(&self, at_most: Duration) -> Result<(), LedgerError> {
        match self {
            Database::Sqlite(connection) => Ok(connection.busy_timeout(at_most)?),
            // Each call has its limit.
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Whoever deletes a row deletes first what refers to it: a file then does not look for that in whole tables.
    pub(super) fn delete_children_by_hand(&self) -> Result<(), LedgerError> {
        match self {
            Database::Sqlite(connection) => Ok(connection.pragma_update(None, "foreign_keys", false)?),
            // It has an index for each.
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => Ok(()),
        }
    }

    /// The connection to SQLite.
    #[cfg(test)]
    pub(super) fn sqlite(&self) -> &Connection {
        match self {
            Database::Sqlite(connection) => connection,
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => panic!("it is not SQLite"),
        }
    }
}

/// A transaction that writes.
pub(super) enum Transaction<'a> {
    /// Statements run at once.
    Sqlite(&'a Connection),
    /// Statements wait until an answer is needed.
    #[cfg(feature = "postgres")]
    Postgres(Work<'a>),
}

impl Transaction<'_> {
    /// The term under which it writes, where several hosts may.
    pub(super) fn term(&self) -> Option<i64> {
        match self {
            Transaction::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            Transaction::Postgres(work) => work.term(),
        }
    }

    /// Runs a statement.
    pub(super) fn run(&mut self, sql: &str, parameters: &[Param<'_>]) -> Result<(), LedgerError> {
        match self {
            Transaction::Sqlite(transaction) => execute(transaction, sql, parameters).map(drop),
            #[cfg(feature = "postgres")]
            Transaction::Postgres(work) => work.push(sql, parameters, None),
        }
    }

    /// Runs a statement that must change one row. Where it does not, this is wrong with the row of `key`, and nothing is
    /// committed.
    pub(super) fn run_one(&mut self, sql: &str, parameters: &[Param<'_>], (wrong, key): (Wrong, &Key)) -> Result<(), LedgerError> {
        match self {
            Transaction::Sqlite(transaction) => wrong.unless_one(key, execute(transaction, sql, parameters)?),
            #[cfg(feature = "postgres")]
            Transaction::Postgres(work) => work.push(sql, parameters, Some((wrong, key))),
        }
    }

    /// Runs a statement now. Returns how many rows changed.
    pub(super) fn execute(&mut self, sql: &str, parameters: &[Param<'_>]) -> Result<u64, LedgerError> {
        match self {
            Transaction::Sqlite(transaction) => execute(transaction, sql, parameters),
            #[cfg(feature = "postgres")]
            Transaction::Postgres(work) => work.execute(sql, parameters),
        }
    }

    /// The rows of a query, after everything that was run before.
    pub(super) fn query<T>(
        &mut self,
        sql: &str,
        parameters: &[Param<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
    ) -> Result<Vec<T>, LedgerError> {
        match self {
            Transaction::Sqlite(transaction) => query(transaction, sql, parameters, read),
            #[cfg(feature = "postgres")]
            Transaction::Postgres(work) => work.query(sql, parameters, read),
        }
    }
}

/// What is wrong with the row of an occurrence when a statement did not change one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It was to be new.
    IsThere,
    /// It was to be there.
    NoRow,
    /// It was to be there and open.
    NotOpen,
    /// It was to be one that may be opened again.
    NotReopened,
    /// It was to be armed.
    NotArmed,
    /// It was to be a summary.
    NoSummary,
}

impl Wrong {
    /// Errors: another number of rows than one changed.
    pub(super) fn unless_one(self, key: &Key, changed: u64) -> Result<(), LedgerError> {
        let text = match (self, changed) {
            (_, 1) => return Ok(()),
            (Wrong::IsThere, _) => format!("there is a row of {key} already: another process writes this ledger"),
            (Wrong::NoRow, _) => format!("there is no row of {key}"),
            (Wrong::NotOpen, _) => format!("the row of {key} is not there or done already; {changed} rows changed"),
            (Wrong::NotReopened, _) => {
                format!("the row of {key} does not say that it was cut because its job left, or that it failed")
            }
            (Wrong::NotArmed, _) => format!("{changed} rows of {key} were armed, not one"),
            (Wrong::NoSummary, _) => format!("the row of {key} is not a summary"),
        };
        Err(LedgerError::ours(text))
    }
}

fn query<T>(
    connection: &Connection,
    sql: &str,
    parameters: &[Param<'_>],
    mut read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
) -> Result<Vec<T>, LedgerError> {
    let mut statement = connection.prepare_cached(sql)?;
    let names = ColumnNames::of(&statement);
    let mut rows = statement.query(params_from_iter(parameters))?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        list.push(read(&Row::Sqlite(row, &names))?);
    }
    Ok(list)
}

fn first<T>(
    connection: &Connection,
    sql: &str,
    parameters: &[Param<'_>],
    mut read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
) -> Result<Option<T>, LedgerError> {
    let mut statement = connection.prepare_cached(sql)?;
    let names = ColumnNames::of(&statement);
    let mut rows = statement.query(params_from_iter(parameters))?;
    let row = rows.next()?;
    Ok(row.map(|row| read(&Row::Sqlite(row, &names))).transpose()?)
}

fn execute(connection: &Connection, sql: &str, parameters: &[Param<'_>]) -> Result<u64, LedgerError> {
    Ok(connection.prepare_cached(sql)?.execute(params_from_iter(parameters))? as u64)
}
