//! A ledger on PostgreSQL as the border to databases wants it: reads, and transactions that write. Each is a transaction that names the
//! schema of its station, and a writing one locks the station's row first and compares the term: who has lost the air writes nothing.
//! Does not know what is written.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use ingestd_core::lease::MAY_ARRIVE_WITHIN;
use jiff::{SignedDuration, Timestamp};

use super::address::Address;
use super::connection::BEGIN;
use super::work::{Work, owned, text, typed};
use super::{Blocking, Connection, DatabaseError, ErrorClass, Station, schema};
use crate::clock;
use crate::ledger::database::{IntoParam as _, Param, Row, RowError, Transaction};
use crate::ledger::row;
use crate::ledger::{ErrorKind, LedgerError};
use crate::occurrence::Key;
use crate::trtc::Action;

/// How often a transaction is done that met another, or whose connection was lost before it was sent to be committed.
const TRIES_MAX: usize = 5;

/// The number of the newest commit.
const NUMBER: &str = "INSERT INTO meta (key, value) VALUES ('commit', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// Who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Fence {
    /// The owner of this term.
    Term(i64),
    /// A chore beside the owner, which decides nothing about what is on air.
    Beside,
}

/// A moment of the ledger that several queries read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::ledger) enum Moment {
    /// Each query reads what is there.
    #[default]
    Each,
    /// They read what was there when it began, which is done with the first.
    ToBegin,
    /// They read what was there when it began.
    Begun,
}

/// A station's tables in a database.
pub(in crate::ledger) struct Store {
    inner: RefCell<Inner>,
    pub(super) station: Station,
    pub(super) fence: Fence,
    /// The number of the newest commit that was tried.
    number: i64,
    /// Whether its connection is kept for the next.
    is_kept: bool,
}

struct Inner {
    /// Nothing once it is given back.
    blocking: Option<Blocking>,
    moment: Moment,
}

impl Inner {
    fn parts(&mut self) -> (&mut Blocking, &mut Moment) {
        (self.blocking.as_mut().expect("it is given back at the end only"), &mut self.moment)
    }
}

impl Drop for Store {
    /// A connection of somebody who reads is kept for the next.
    fn drop(&mut self) {
        if self.is_kept
            && let Some(blocking) = self.inner.get_mut().blocking.take()
        {
            self.station.give_back(blocking);
        }
    }
}

impl Store {
    /// For writing. Nothing is sent yet.
    pub(in crate::ledger) fn new(station: &Station, fence: Fence) -> Result<Store, LedgerError> {
        Ok(Store::with(Blocking::new(Arc::clone(station.address()))?, station, fence))
    }

    /// For reading, on the connection of whoever read last. A server that only follows another will do where none can be written.
    ///
    /// Errors: the database cannot be read, or has no tables of the station that this program reads.
    pub(in crate::ledger) fn reading(station: &Station) -> Result<Store, LedgerError> {
        let blocking = match station.take_idle() {
            Some(blocking) => blocking,
            None => Blocking::new(Arc::clone(station.address()))?,
        };
        let mut store = Store::with(blocking, station, Fence::Beside);
        store.is_kept = true;
        let (blocking, _) = store.inner.get_mut().parts();
        let version = again(blocking, station, async |connection| schema::version(connection, station).await)?;
        schema::check_version(station, version)?;
        Ok(store)
    }

    fn with(blocking: Blocking, station: &Station, fence: Fence) -> Store {
        let number = i64::try_from(RandomState::new().hash_one(1) >> 2).unwrap_or_default();
        let inner = RefCell::new(Inner { blocking: Some(blocking), moment: Moment::Each });
        Store { inner, station: station.clone(), fence, number, is_kept: false }
    }

    /// The term under which it writes.
    pub(in crate::ledger) fn term(&self) -> Option<i64> {
        match self.fence {
            Fence::Term(term) => Some(term),
            Fence::Beside => None,
        }
    }

    /// The number of the newest commit that was tried.
    pub(in crate::ledger) fn number(&self) -> i64 {
        self.number
    }

    /// The connection of a transaction that writes.
    pub(super) fn line(&mut self) -> &mut Blocking {
        self.inner.get_mut().parts().0
    }

    pub(super) fn begin(&self, how: &str) -> String {
        format!("{how}; SET LOCAL search_path TO {}", self.station.schema())
    }

    /// The rows of a query, in a transaction of its own, or in that of the moment.
    pub(in crate::ledger) fn query<T>(
        &self,
        sql: &str,
        parameters: &[Param<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
    ) -> Result<Vec<T>, LedgerError> {
        let (sql, values) = (text(sql), owned(parameters));
        let typed = typed(&values);
        let mut inner = self.inner.borrow_mut();
        let (blocking, moment) = inner.parts();
        let rows = match *moment {
            Moment::Each => {
                let begin = self.begin(&BEGIN.replace("READ COMMITTED", "READ COMMITTED READ ONLY"));
                again(blocking, &self.station, async |connection| connection.query_within(&begin, &sql, &typed).await)?
            }
            Moment::ToBegin => {
                let begin = self.begin(&BEGIN.replace("READ COMMITTED", "REPEATABLE READ READ ONLY"));
                again(blocking, &self.station, async |connection| connection.batch(&begin).await)?;
                *moment = Moment::Begun;
                blocking.go_on(async |connection| connection.query(&sql, &typed).await)?
            }
            Moment::Begun => blocking.go_on(async |connection| connection.query(&sql, &typed).await)?,
        };
        rows.iter().map(|row| read(&Row::Postgres(row))).collect::<Result<_, _>>().map_err(LedgerError::from)
    }

    /// Runs several queries on the ledger as it is at one moment.
    pub(in crate::ledger) fn at_one_moment<T>(&self, ask: impl FnOnce() -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.inner.borrow_mut().moment = Moment::ToBegin;
        let answers = ask();
        let mut inner = self.inner.borrow_mut();
        let (blocking, moment) = inner.parts();
        let was = std::mem::take(moment);
        if was == Moment::Begun && blocking.go_on(async |connection| connection.batch("ROLLBACK").await).is_err() {
            blocking.close();
        }
        answers
    }

    /// Does this in one transaction and commits it.
    pub(in crate::ledger) fn write<T>(
        &mut self,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.number = self.number.wrapping_add(1) & i64::MAX;
            let number = self.number;
            let was_open = self.inner.get_mut().parts().0.is_open();
            let done = self.write_once(&mut |transaction| {
                let done = work(transaction)?;
                transaction.run(NUMBER, &[number.into_param()])?;
                Ok(done)
            });
            match done {
                Err(error) if error.kind == ErrorKind::Repeat && tries < TRIES_MAX => {}
                // A connection that lay idle may be closed long since. Nothing was sent to be committed.
                Err(error) if error.kind == ErrorKind::Passing && was_open && tries == 1 => {}
                done => return done,
            }
        }
    }

    fn write_once<T>(&mut self, work: &mut impl FnMut(&mut Transaction<'_>) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let mut transaction = Transaction::Postgres(Work::new(self));
        let done = work(&mut transaction).and_then(|done| {
            // An answer to everything, before it is committed.
            if let Transaction::Postgres(work) = &mut transaction {
                work.flush()?;
            }
            Ok(done)
        });
        drop(transaction);
        let (blocking, _) = self.inner.get_mut().parts();
        match done {
            Ok(done) => {
                blocking.go_on(async |connection| connection.commit().await)?;
                Ok(done)
            }
            Err(error) => {
                // Where it cannot be taken back the connection is closed, and the server does.
                if blocking.is_open() && blocking.go_on(async |connection| connection.batch("ROLLBACK").await).is_err() {
                    blocking.close();
                }
                Err(error)
            }
        }
    }

    /// Whether the commit of that number, which nobody acknowledged, took effect. It waits for the row of the station, which that
    /// transaction holds to its end; and what it writes itself is acknowledged only after everything before it.
    pub(in crate::ledger) fn took_effect(&mut self, number: i64) -> Result<bool, LedgerError> {
        self.write_once(&mut |transaction| {
            let found = transaction.query("SELECT value FROM meta WHERE key = 'commit'", &[], |row| row.get::<i64>("value"))?;
            transaction.run("UPDATE meta SET value = value WHERE key = 'commit'", &[])?;
            Ok(found.first() == Some(&number))
        })
    }
}

/// Each of them with the end of the newest lease under which it could be sent, as far from now as the database's clock says.
const MAY_STILL_LEAVE: &str = "SELECT job, start_ms, (extract(epoch FROM lease_end - clock_timestamp()) * 1000)::bigint AS ends_in_ms \
    FROM occurrence JOIN call ON call.occurrence = occurrence.id AND call.answered_ms IS NULL AND call.action = ?1 \
        AND call.attempt = occurrence.attempts \
    JOIN ingestd.term ON term.station = ?2 AND term.term = call.term AND term.term < ?3 AND term.released_at IS NULL \
    WHERE state IN ('armed', 'calling') ORDER BY start_ms, job";

impl Store {
    /// Starts without an answer of earlier terms that were not given back, and until when each may still arrive, by this host's clock.
    pub(in crate::ledger) fn may_still_leave(&self) -> Result<Vec<(Key, Timestamp)>, LedgerError> {
        let Some(term) = self.term() else { return Ok(Vec::new()) };
        let now = clock::now();
        let parameters = [Action::Start.name().into_param(), self.station.name().into_param(), term.into_param()];
        let rows = self.query(MAY_STILL_LEAVE, &parameters, |row| {
            let ends_in = SignedDuration::from_millis(row.get("ends_in_ms")?);
            Ok((row::key(row)?, now.saturating_add(ends_in + MAY_ARRIVE_WITHIN).unwrap_or(Timestamp::MAX)))
        })?;
        Ok(rows)
    }
}

/// What the database itself has found to be damaged. Errors: it cannot be read.
pub(in crate::ledger) fn damaged_blocks(station: &Station) -> Result<Vec<String>, LedgerError> {
    let store = Store::reading(station)?;
    let sql = "SELECT checksum_failures AS failures FROM pg_stat_database WHERE datname = current_database()";
    let found = store.query(sql, &[], |row| row.get::<Option<i64>>("failures"))?;
    let failures = found.into_iter().flatten().next().unwrap_or_default();
    let text = || format!("the database has read {failures} blocks whose checksums were wrong: `pg_amcheck` says in which tables");
    Ok((failures > 0).then(text).into_iter().collect())
}

/// Does this, and once more where the connection that was open is lost: it lay idle. Only for what reads.
fn again<T>(
    blocking: &mut Blocking,
    station: &Station,
    mut work: impl AsyncFnMut(&mut Connection) -> Result<T, DatabaseError>,
) -> Result<T, LedgerError> {
    let was_open = blocking.is_open();
    let done = match blocking.run(&mut work) {
        Err(error) if error.class() == ErrorClass::Passing && was_open => blocking.run(&mut work),
        done => done,
    };
    match done {
        Err(error) if error.class() == ErrorClass::Passing && !blocking.is_open() => {
            let any: Arc<Address> = Arc::new(station.address().for_reading());
            blocking.open_at(&any).map_err(|_| LedgerError::from(error))?;
            Ok(blocking.run(work)?)
        }
        done => Ok(done?),
    }
}
