//! Values on their way into a database, and rows on their way out of one: numbers, texts, nothing. Does not know what they mean.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rusqlite::Statement;
use rusqlite::types::{FromSql, ToSql, ToSqlOutput, ValueRef};

use super::super::LedgerError;

/// A value of a statement, with its type even where there is none: a database may have to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Param<'a> {
    /// A number; yes and no are 1 and 0.
    Integer(Option<i64>),
    /// A text.
    Text(Option<Cow<'a, str>>),
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Param::Integer(Some(number)) => ValueRef::Integer(*number),
            Param::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Param::Integer(None) | Param::Text(None) => ValueRef::Null,
        }))
    }
}

/// What can be a value of a statement.
pub(in crate::ledger) trait IntoParam<'a>: Sized {
    /// The value where there is none.
    const NOTHING: Param<'a>;

    /// The value.
    fn into_param(self) -> Param<'a>;
}

macro_rules! integers {
    ($($type:ty),+) => { $(
        impl<'a> IntoParam<'a> for $type {
            const NOTHING: Param<'a> = Param::Integer(None);

            fn into_param(self) -> Param<'a> {
                Param::Integer(Some(i64::from(self)))
            }
        }

        impl<'a> IntoParam<'a> for &$type {
            const NOTHING: Param<'a> = Param::Integer(None);

            fn into_param(self) -> Param<'a> {
                (*self).into_param()
            }
        }
    )+ };
}
integers!(i64, u32, u16, bool);

impl<'a> IntoParam<'a> for &'a str {
    const NOTHING: Param<'a> = Param::Text(None);

    fn into_param(self) -> Param<'a> {
        Param::Text(Some(Cow::Borrowed(self)))
    }
}

impl<'a> IntoParam<'a> for String {
    const NOTHING: Param<'a> = Param::Text(None);

    fn into_param(self) -> Param<'a> {
        Param::Text(Some(Cow::Owned(self)))
    }
}

impl<'a> IntoParam<'a> for &'a String {
    const NOTHING: Param<'a> = Param::Text(None);

    fn into_param(self) -> Param<'a> {
        self.as_str().into_param()
    }
}

impl<'a> IntoParam<'a> for &'a Arc<str> {
    const NOTHING: Param<'a> = Param::Text(None);

    fn into_param(self) -> Param<'a> {
        (**self).into_param()
    }
}

impl<'a, T: IntoParam<'a>> IntoParam<'a> for Option<T> {
    const NOTHING: Param<'a> = T::NOTHING;

    fn into_param(self) -> Param<'a> {
        self.map_or(T::NOTHING, T::into_param)
    }
}

impl<'a, T> IntoParam<'a> for &'a Option<T>
where
    &'a T: IntoParam<'a>,
{
    const NOTHING: Param<'a> = <&'a T>::NOTHING;

    fn into_param(self) -> Param<'a> {
        self.as_ref().into_param()
    }
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Cell {
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Nothing.
    Null,
}

/// What a value of a row can be read as.
pub(in crate::ledger) trait Value: FromSql {
    /// The value; `None`: it is not such a one.
    fn of(cell: Cell) -> Option<Self>;
}

macro_rules! read_integers {
    ($($type:ty),+) => { $(
        impl Value for $type {
            fn of(cell: Cell) -> Option<$type> {
                if let Cell::Integer(number) = cell { number.try_into().ok() } else { None }
            }
        }
    )+ };
}
read_integers!(i64, u32, u16);

impl Value for bool {
    fn of(cell: Cell) -> Option<bool> {
        if let Cell::Integer(number) = cell { Some(number != 0) } else { None }
    }
}

impl Value for String {
    fn of(cell: Cell) -> Option<String> {
        if let Cell::Text(text) = cell { Some(text) } else { None }
    }
}

impl<T: Value> Value for Option<T> {
    fn of(cell: Cell) -> Option<Option<T>> {
        if cell == Cell::Null { Some(None) } else { T::of(cell).map(Some) }
    }
}

/// The names of a query's columns. No two are the same.
pub(in crate::ledger) struct ColumnNames {
    names: Vec<String>,
    /// The column after the one that was asked for last.
    next: std::cell::Cell<usize>,
}

impl ColumnNames {
    /// Of a statement.
    pub(in crate::ledger) fn of(statement: &Statement<'_>) -> ColumnNames {
        ColumnNames { names: statement.column_names().into_iter().map(str::to_owned).collect(), next: std::cell::Cell::new(0) }
    }

    /// Where a column is. If columns are asked for in their order, each is found at once.
    fn position(&self, column: &str) -> Option<usize> {
        let next = self.next.get();
        let at = (next..self.names.len()).chain(0..next).find(|at| self.names[*at] == column)?;
        self.next.set(at + 1);
        Some(at)
    }
}

/// A row of a query. Its values are read where they are.
pub(in crate::ledger) enum Row<'a> {
    /// Of SQLite, with the names of its columns: to ask SQLite for them, for each value, takes longer than to read the row.
    Sqlite(&'a rusqlite::Row<'a>, &'a ColumnNames),
    /// Of PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The value of a column.
    pub(in crate::ledger) fn get<T: Value>(&self, column: &str) -> Result<T, RowError> {
        match self {
            Row::Sqlite(row, names) => {
                let at = names.position(column).ok_or_else(|| no_column(column))?;
                row.get(at).map_err(|error| RowError::of(column, error))
            }
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => {
                let at = row.columns().iter().position(|one| one.name() == column);
                let at = at.ok_or_else(|| no_column(column))?;
                // It does not quote the value, which may hold a URL.
                let wrong =
                    || RowError::unreadable(column, format!("the column `{column}` holds what no version of ingestd writes"));
                T::of(cell(row, at)?).ok_or_else(wrong)
            }
        }
    }

    /// Every column and its value, in their order.
    pub(in crate::ledger) fn cells(&self) -> Result<Vec<(String, Cell)>, RowError> {
        match self {
            Row::Sqlite(row, names) => {
                let cell = |at: usize| -> rusqlite::Result<Cell> {
                    Ok(match row.get_ref(at)? {
                        ValueRef::Integer(number) => Cell::Integer(number),
                        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                        // The ledger has no other values.
                        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Null,
                    })
                };
                let cells = names.names.iter().enumerate().map(|(at, name)| Ok((name.clone(), cell(at)?)));
                cells.collect::<rusqlite::Result<_>>().map_err(|error| RowError::Database(error.into()))
            }
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => {
                row.columns().iter().enumerate().map(|(at, column)| Ok((column.name().to_owned(), cell(row, at)?))).collect()
            }
        }
    }
}

/// A value of a row of PostgreSQL.
#[cfg(feature = "postgres")]
fn cell(row: &tokio_postgres::Row, at: usize) -> Result<Cell, RowError> {
    use tokio_postgres::types::Type;
    let column = &row.columns()[at];
    let cell = match *column.type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map(|value| value.map(Cell::Integer)),
        Type::INT4 => row.try_get::<_, Option<i32>>(at).map(|value| value.map(|number| Cell::Integer(number.into()))),
        Type::BOOL => row.try_get::<_, Option<bool>>(at).map(|value| value.map(|value| Cell::Integer(value.into()))),
        _ => row.try_get::<_, Option<String>>(at).map(|value| value.map(Cell::Text)),
    };
    cell.map(|cell| cell.unwrap_or(Cell::Null)).map_err(|error| RowError::unreadable(column.name(), error))
}

fn no_column(column: &str) -> RowError {
    RowError::unreadable(column, format!("there is no column `{column}`"))
}

/// Why a row could not be read.
#[derive(Debug)]
pub(in crate::ledger) enum RowError {
    /// It holds what no program of ours wrote.
    Unreadable {
        /// In which column.
        column: String,
        /// In words.
        why: String,
    },
    /// The database failed.
    Database(LedgerError),
}

impl RowError {
    /// What a value is that is not as it should be.
    pub(in crate::ledger) fn unreadable(column: &str, why: impl fmt::Display) -> RowError {
        RowError::Unreadable { column: column.to_owned(), why: why.to_string() }
    }

    fn of(column: &str, error: rusqlite::Error) -> RowError {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        match error {
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..) => {
                RowError::unreadable(column, error)
            }
            error => RowError::Database(error.into()),
        }
    }
}

impl From<RowError> for LedgerError {
    fn from(error: RowError) -> LedgerError {
        match error {
            RowError::Unreadable { why, .. } => LedgerError::ours(why),
            RowError::Database(error) => error,
        }
    }
}
