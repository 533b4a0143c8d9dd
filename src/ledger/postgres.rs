//! PostgreSQL, for a ledger that several hosts share: how it is reached, what its errors mean, and a connection for a thread that may
//! block. Knows no table and decides nothing.
//!
//! Why not a pool: there is one writer and one reader, and a pool would hide which connection a commit was lost with.

pub mod address;
pub mod connection;
pub mod indexes;
pub mod keeper;
pub mod owner;
mod schema;
pub mod station;
mod store;
pub(super) mod stored;
mod tls;
mod work;

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::task::block_in_place;

use super::{ErrorKind, LedgerError};

pub use address::Address;
pub use connection::{CALL_MAX, Connection, Parameter};
pub use schema::STATION_VERSION;
pub(super) use schema::migrate;
pub use station::Station;
pub(super) use store::damaged_blocks;
pub(super) use store::{Fence, Store};
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSqlOwned, ToSql, Type};
pub(super) use work::Work;

/// What kind of error it is, and so what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The database is not reached, is read-only, ends or begins, or did not answer in time: connect again, later. Nothing was committed.
    Passing,
    /// Two transactions met: the same transaction is tried again at once. Nothing was committed.
    Repeat,
    /// It was sent to be committed, and nobody said that it was: connect again, look for it, then decide.
    Uncertain,
    /// The server said that the commit is on one server only, though another must have it too. It counts as not made, and may be there:
    /// as [`ErrorClass::Uncertain`].
    LocalOnly,
    /// Everything else: it stays until somebody changes something.
    Lasting,
}

/// Why a call of the database failed. Shows no password and no value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseError {
    message: String,
    class: ErrorClass,
    code: Option<String>,
}

impl DatabaseError {
    /// An error without a code of the server.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> DatabaseError {
        DatabaseError { message: message.into(), class, code: None }
    }

    /// What can be done about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The server's code (SQLSTATE), where it gave one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Whether it is of this code of the server.
    pub fn has_code(&self, code: &str) -> bool {
        self.code() == Some(code)
    }

    /// The same error of a transaction that was sent to be committed: a connection that was lost then says nothing about the commit.
    fn at_commit(mut self) -> DatabaseError {
        if self.class == ErrorClass::Passing {
            self.class = ErrorClass::Uncertain;
        }
        self
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for DatabaseError {}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> DatabaseError {
        let Some(said) = error.as_db_error() else { return unanswered(&error) };
        // The message only: details quote rows, and rows hold URLs with secrets.
        let code = said.code().code();
        let message = format!("the database says: {} (SQLSTATE {code})", said.message());
        DatabaseError { message, class: class_of(code), code: Some(code.to_owned()) }
    }
}

/// What the server's code means.
fn class_of(code: &str) -> ErrorClass {
    match code {
        "40001" | "40P01" => ErrorClass::Repeat,
        // Read only: it was demoted. 57014, 55P03, 25P03: a limit of ours. 53: no connection is free, no memory, no disk.
        "25006" | "25P03" | "25P04" | "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" => ErrorClass::Passing,
        _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("58") => ErrorClass::Passing,
        _ => ErrorClass::Lasting,
    }
}

/// An error that is not the server's: the way there failed, or what came was not understood.
fn unanswered(error: &tokio_postgres::Error) -> DatabaseError {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    let mut is_io = error.is_closed();
    while let Some(next) = cause {
        let text = next.to_string();
        is_io |= next.is::<io::Error>();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = next.source();
    }
    let class = if is_io { ErrorClass::Passing } else { ErrorClass::Lasting };
    DatabaseError::new(class, format!("no answer of the database: {message}"))
}

impl From<DatabaseError> for LedgerError {
    fn from(error: DatabaseError) -> LedgerError {
        let kind = match error.class {
            ErrorClass::Passing => ErrorKind::Passing,
            ErrorClass::Repeat => ErrorKind::Repeat,
            ErrorClass::Uncertain | ErrorClass::LocalOnly => ErrorKind::Uncertain,
            ErrorClass::Lasting => ErrorKind::Lasting,
        };
        LedgerError { message: error.message, kind }
    }
}

/// Waits for it. Of another runtime's threads only those may, which hand on what else they have to do.
fn block_on<T>(runtime: Option<&Runtime>, work: impl Future<Output = T>) -> T {
    let mut done = None;
    wait(runtime.expect("it is there until it is dropped"), pin!(async { done = Some(work.await) }));
    done.expect("it was waited for")
}

/// The same for every kind of work: a runtime's part in waiting, made anew for each of two hundred, was a tenth of the program.
fn wait(runtime: &Runtime, work: Pin<&mut dyn Future<Output = ()>>) {
    match Handle::try_current() {
        Ok(other) if other.runtime_flavor() == RuntimeFlavor::MultiThread => block_in_place(|| runtime.block_on(work)),
        _ => runtime.block_on(work),
    }
}

impl Drop for Blocking {
    /// The threads of another runtime may not wait for its end.
    fn drop(&mut self) {
        self.connection = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How often a transaction is tried that met another.
const REPEATS_MAX: usize = 5;

/// A connection for a thread that may block, which is opened when it is needed and again after it was lost. It has a runtime of its own.
/// While it is used on a thread of another, that thread does nothing else.
pub struct Blocking {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    address: Arc<Address>,
    connection: Option<Connection>,
}

impl Blocking {
    /// Of this database. Nothing is sent yet.
    pub fn new(address: Arc<Address>) -> io::Result<Blocking> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Blocking { runtime: Some(runtime), address, connection: None })
    }

    /// Does this with an open connection. It is done again where it met another transaction; every other error comes back at once, and
    /// what it means is [`DatabaseError::class`].
    pub fn run<T>(&mut self, mut work: impl AsyncFnMut(&mut Connection) -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        let Blocking { runtime, address, connection } = self;
        block_on(runtime.as_ref(), async {
            let mut repeats = 0;
            loop {
                let opened = match connection.take().filter(Connection::is_open) {
                    Some(opened) => opened,
                    None => Connection::open(address).await?,
                };
                let done = work(connection.insert(opened)).await;
                repeats += 1;
                match done {
                    Err(error) if error.class() == ErrorClass::Repeat && repeats < REPEATS_MAX => {}
                    done => return done,
                }
            }
        })
    }

    /// Does this with the connection that is open, for what was begun on it. Errors: it is not open any more.
    pub fn go_on<T>(&mut self, work: impl AsyncFnOnce(&mut Connection) -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        match self.connection.as_mut().filter(|connection| connection.is_open()) {
            Some(connection) => block_on(self.runtime.as_ref(), work(connection)),
            None => Err(DatabaseError::new(ErrorClass::Passing, "the connection to the database was lost")),
        }
    }

    /// Opens a connection where none is open.
    pub fn connect(&mut self) -> Result<(), DatabaseError> {
        if self.is_open() {
            return Ok(());
        }
        let address = Arc::clone(&self.address);
        self.open_at(&address)
    }

    /// Opens a connection by another address, in the place of the one that is open.
    pub fn open_at(&mut self, address: &Address) -> Result<(), DatabaseError> {
        self.connection = Some(block_on(self.runtime.as_ref(), Connection::open(address))?);
        Ok(())
    }

    /// Whether a connection is open, as far as anybody knows.
    pub fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_open)
    }

    /// Closes the connection: the next work opens one.
    pub fn close(&mut self) {
        self.connection = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_what_can_be_done() {
        let rows = [
            ("25006", ErrorClass::Passing),
            ("57P01", ErrorClass::Passing),
            ("57P02", ErrorClass::Passing),
            ("57P03", ErrorClass::Passing),
            ("08006", ErrorClass::Passing),
            ("53300", ErrorClass::Passing),
            ("57014", ErrorClass::Passing),
            ("40001", ErrorClass::Repeat),
            ("40P01", ErrorClass::Repeat),
            ("42P01", ErrorClass::Lasting),
            ("28P01", ErrorClass::Lasting),
            ("23505", ErrorClass::Lasting),
        ];
        for (code, class) in rows {
            assert_eq!(class_of(code), class, "{code}");
        }
    }

    #[test]
    fn what_is_lost_at_a_commit_is_uncertain() {
        let lost = |class| DatabaseError::new(class, "lost").at_commit().class();
        assert_eq!(lost(ErrorClass::Passing), ErrorClass::Uncertain);
        assert_eq!(lost(ErrorClass::Repeat), ErrorClass::Repeat);
        assert_eq!(lost(ErrorClass::Lasting), ErrorClass::Lasting);
    }
}
