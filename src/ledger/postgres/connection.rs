//! One connection to a database. Every call has a limit, and a call that passes it closes the connection: nobody can say what became of
//! it. Dropping a call, or the connection, closes the socket at once; there is no task behind it. Knows no table.
//!
//! Nothing here is bound to the session on the server: statements have no names, and settings hold for one transaction. So it works
//! through PgBouncer in transaction mode.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row, Socket};

use super::address::{Address, named};
use super::tls::Tls;
use super::{DatabaseError, ErrorClass};

/// How long a call may take, the opening of a connection to one host too.
pub const CALL_MAX: Duration = Duration::from_secs(2);

/// How a transaction begins. The limits are the server's: what a host that is cut off or stopped left open holds the row of its station
/// for so long at most, and nobody could take over before. Set here and not at the connection, which may be PgBouncer's.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '2s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '3s'";

/// How it ends. A limit on the statement would cancel a commit that waits for another server, and then it is on one server only.
const COMMIT: &str = "SET LOCAL statement_timeout = 0; COMMIT";

/// A value for a `$1`, with its type: so the statement needs no name, and no question about it.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// One connection.
pub struct Connection {
    /// Nothing once it is closed.
    wire: Option<Wire>,
    /// Which host it is to.
    host: String,
}

/// Both halves: what asks, and what sends and receives.
struct Wire {
    client: Client,
    driver: tokio_postgres::Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>,
    /// The codes of the server's warnings since the last call.
    warnings: Vec<String>,
}

impl Connection {
    /// Connects to the first host of the URL that can be written.
    pub async fn open(address: &Address) -> Result<Connection, DatabaseError> {
        let mut failed = Vec::new();
        let mut lasting = false;
        for config in address.hosts() {
            let error = match timeout(CALL_MAX, config.connect(address.tls.clone())).await {
                Ok(Ok((client, driver))) => {
                    return Ok(Connection { wire: Some(Wire { client, driver, warnings: Vec::new() }), host: named(config) });
                }
                Ok(Err(error)) => DatabaseError::from(error),
                Err(_) => slow("no connection"),
            };
            lasting |= error.class() == ErrorClass::Lasting;
            failed.push((named(config), error));
        }
        // One host that refuses us for good does not make the others' failures lasting: they may come back.
        let class = if lasting && failed.len() == 1 { ErrorClass::Lasting } else { ErrorClass::Passing };
        let code = failed.last().and_then(|(_, error)| error.code().map(str::to_owned));
        let told: Vec<String> = failed.into_iter().map(|(host, error)| format!("{host}: {error}")).collect();
        Err(DatabaseError { message: told.join("; "), class, code })
    }

    /// Which host it is to.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it can be used: no call failed with it.
    pub fn is_open(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| !wire.client.is_closed())
    }

    /// The rows that a statement gives.
    pub async fn query(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, DatabaseError> {
        self.call(async |client| client.query_typed(sql, parameters).await).await
    }

    /// Its one row, or none.
    pub async fn query_opt(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Option<Row>, DatabaseError> {
        Ok(self.query(sql, parameters).await?.pop())
    }

    /// How many rows a statement changed.
    pub async fn execute(&mut self, sql: &str, parameters: &[Parameter<'_>]) -> Result<u64, DatabaseError> {
        self.call(async |client| client.execute_typed(sql, parameters).await).await
    }

    /// Runs `first`, several statements without values, and then these statements in their order, with one wait for all. Returns how many
    /// rows each changed, or the first error.
    pub async fn pipeline(&mut self, first: &str, statements: &[(&str, Vec<Parameter<'_>>)]) -> Result<Vec<u64>, DatabaseError> {
        self.call(async |client| {
            let mut first: Vec<_> = (!first.is_empty()).then(|| Box::pin(client.batch_execute(first))).into_iter().collect();
            let mut rest: Vec<_> = statements.iter().map(|(sql, values)| Box::pin(client.execute_typed(sql, values))).collect();
            let mut begun = send(&mut first).await.into_iter().zip(first);
            let sent = send(&mut rest).await;
            if let Some((done, first)) = begun.next() {
                finish(done, first).await?;
            }
            let mut changed = Vec::with_capacity(statements.len());
            for (done, statement) in sent.into_iter().zip(rest) {
                changed.push(finish(done, statement).await?);
            }
            Ok(changed)
        })
        .await
    }

    /// The rows of one query in a transaction of its own that begins with `begin`, with one wait for all.
    pub async fn query_within(&mut self, begin: &str, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, DatabaseError> {
        self.call(async |client| {
            let mut first = [Box::pin(client.batch_execute(begin))];
            let mut query = [Box::pin(client.query_typed(sql, parameters))];
            let mut last = [Box::pin(client.batch_execute("COMMIT"))];
            let sent = send(&mut first).await;
            let asked = send(&mut query).await;
            let ended = send(&mut last).await;
            let opened = one(sent, first).await;
            let rows = one(asked, query).await;
            // It ends the transaction also where the query failed.
            let closed = one(ended, last).await;
            opened?;
            let rows = rows?;
            closed.map(|()| rows)
        })
        .await
    }

    /// Several statements without values, in one message.
    pub async fn batch(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.call(async |client| client.batch_execute(sql).await).await
    }

    /// One statement without values, however long the server works on it: nothing else waits for this connection.
    pub async fn batch_unlimited(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.call_within(Duration::MAX, async |client| client.batch_execute(sql).await).await
    }

    /// Does this in one transaction, and commits it. An error of the work takes everything back.
    ///
    /// A crash before the commit: nothing is there. After it: all is. A connection lost meanwhile: [`ErrorClass::Uncertain`].
    pub async fn transaction<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.batch(BEGIN).await?;
        match work(self).await {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                // Where it cannot be taken back the connection is closed, and the server does.
                if self.is_open() && self.batch("ROLLBACK").await.is_err() {
                    self.wire = None;
                }
                Err(error)
            }
        }
    }

    /// Commits what was begun. The connection is closed when that is not certain.
    pub async fn commit(&mut self) -> Result<(), DatabaseError> {
        if let Some(wire) = &mut self.wire {
            wire.warnings.clear();
        }
        let done = self.batch(COMMIT).await;
        // 01000: the wait for another server was cancelled. 57P01: the server ends meanwhile. The commit is on one server only.
        let told = self.wire.as_ref().and_then(|wire| wire.warnings.iter().find(|code| matches!(code.as_str(), "01000" | "57P01")));
        if let (Ok(()), Some(code)) = (&done, told) {
            let message = format!("the database committed on one server only, though another must have it too (SQLSTATE {code})");
            let error = DatabaseError { message, class: ErrorClass::LocalOnly, code: Some(code.clone()) };
            self.wire = None;
            return Err(error);
        }
        done.map_err(|error| {
            self.wire = None;
            error.at_commit()
        })
    }

    /// One call within its limit.
    async fn call<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>) -> Result<T, DatabaseError> {
        self.call_within(CALL_MAX, work).await
    }

    /// One call. The connection is kept only when the server has answered, and goes on.
    async fn call_within<T>(
        &mut self,
        limit: Duration,
        work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, DatabaseError> {
        let closed = || DatabaseError::new(ErrorClass::Passing, "the connection to the database is closed");
        let mut wire = self.wire.take().ok_or_else(closed)?;
        let done = timeout(limit, wire.drive(work)).await.map_err(|_| slow("no answer"))?;
        let done = done.map_err(DatabaseError::from);
        let goes_on = match &done {
            Ok(_) => true,
            Err(error) => error.code().is_some() && error.class() != ErrorClass::Passing,
        };
        if goes_on && !wire.client.is_closed() {
            self.wire = Some(wire);
        }
        done
    }
}

impl Wire {
    /// Sends and receives until this is done.
    async fn drive<T>(
        &mut self,
        work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, tokio_postgres::Error> {
        let Wire { client, driver, warnings } = self;
        let mut work = pin!(work(client));
        let mut is_over = false;
        poll_fn(|context| {
            // First what has come, then who waits for it, then what that wants to send.
            for _ in 0..2 {
                if !is_over {
                    is_over = receive(driver, warnings, context)?;
                }
                if let Poll::Ready(done) = work.as_mut().poll(context) {
                    return Poll::Ready(done);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Moves the connection on, and keeps the codes of warnings. Whether it is over.
fn receive(
    driver: &mut tokio_postgres::Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>,
    warnings: &mut Vec<String>,
    context: &mut Context<'_>,
) -> Result<bool, tokio_postgres::Error> {
    loop {
        match driver.poll_message(context) {
            Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => warnings.push(notice.code().code().to_owned()),
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => return Err(error),
            Poll::Ready(None) => return Ok(true),
            Poll::Pending => return Ok(false),
        }
    }
}

/// Sends what these want to send, in their order. Returns what is done already.
async fn send<F: Future + Unpin>(calls: &mut [F]) -> Vec<Option<F::Output>> {
    poll_fn(|context| {
        let poll = |call: &mut F| match Pin::new(call).poll(context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        };
        Poll::Ready(calls.iter_mut().map(poll).collect())
    })
    .await
}

/// What came of a call that was sent.
async fn finish<F: Future>(done: Option<F::Output>, call: F) -> F::Output {
    match done {
        Some(done) => done,
        None => call.await,
    }
}

async fn one<F: Future>(done: Vec<Option<F::Output>>, [call]: [F; 1]) -> F::Output {
    finish(done.into_iter().next().flatten(), call).await
}

fn slow(what: &str) -> DatabaseError {
    DatabaseError::new(ErrorClass::Passing, format!("{what} of the database in {} s", CALL_MAX.as_secs()))
}
