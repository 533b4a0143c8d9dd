//! A transaction of a station that writes: its statements wait until an answer is needed, and then go together; the first of them is the
//! fence. And how a statement and its values are written for PostgreSQL. Does not know what is written.

use tokio_postgres::types::Type;

use super::Station;
use super::connection::{BEGIN, Parameter};
use super::store::{Fence, Store};
use crate::ledger::LedgerError;
use crate::ledger::database::{IntoParam as _, Param, Row, RowError, Wrong};
use crate::occurrence::Key;

/// So many statements wait for their answers at once: each wait has a limit, and a thousand are done within a part of it.
const TOGETHER_MAX: usize = 500;

/// Whoever has not this term any more finds no row, nor who has it no more since a take-over was lost.
const FENCE: &str = "SELECT 1 FROM ingestd.station WHERE name = $1 AND term = $2 AND owner = coalesce($3, owner) FOR NO KEY UPDATE";

/// Who works beside the owner waits for its transaction.
const BESIDE: &str = "SELECT 1 FROM ingestd.station WHERE name = $1 FOR NO KEY UPDATE";

/// A transaction that writes: statements wait until an answer is needed, and then go together.
pub(in crate::ledger) struct Work<'a> {
    store: &'a mut Store,
    begin: String,
    waiting: Vec<Waiting>,
}

struct Waiting {
    sql: String,
    values: Vec<Owned>,
    /// What is wrong where it changes another number of rows than one.
    wrong: Option<(Wrong, Key)>,
    /// It finds no row where another term stands.
    is_fence: bool,
}

impl Work<'_> {
    pub(super) fn new(store: &mut Store) -> Work<'_> {
        let begin = store.begin(BEGIN);
        let name: Param<'_> = Param::Text(Some(store.station.name().to_owned().into()));
        let (sql, values) = match store.fence {
            Fence::Term(term) => (FENCE, owned(&[name, term.into_param(), store.station.owner().into_param()])),
            Fence::Beside => (BESIDE, owned(&[name])),
        };
        let fence = Waiting { sql: sql.to_owned(), values, wrong: None, is_fence: true };
        Work { begin, waiting: vec![fence], store }
    }

    /// The term under which it writes.
    pub(in crate::ledger) fn term(&self) -> Option<i64> {
        self.store.term()
    }

    /// Runs a statement with the next that needs an answer. Errors: of one of those that waited, where there are many.
    pub(in crate::ledger) fn push(
        &mut self,
        sql: &str,
        parameters: &[Param<'_>],
        wrong: Option<(Wrong, &Key)>,
    ) -> Result<(), LedgerError> {
        let wrong = wrong.map(|(wrong, key)| (wrong, key.clone()));
        self.waiting.push(Waiting { sql: text(sql), values: owned(parameters), wrong, is_fence: false });
        if self.waiting.len() < TOGETHER_MAX { Ok(()) } else { self.flush() }
    }

    /// Runs a statement now. Returns how many rows changed.
    pub(in crate::ledger) fn execute(&mut self, sql: &str, parameters: &[Param<'_>]) -> Result<u64, LedgerError> {
        self.flush()?;
        self.push(sql, parameters, None)?;
        Ok(self.send()?.pop().unwrap_or_default())
    }

    /// The rows of a query, after everything that was run before.
    pub(in crate::ledger) fn query<T>(
        &mut self,
        sql: &str,
        parameters: &[Param<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, RowError>,
    ) -> Result<Vec<T>, LedgerError> {
        self.flush()?;
        let (sql, values) = (text(sql), owned(parameters));
        let typed = typed(&values);
        let rows = self.store.line().go_on(async |connection| connection.query(&sql, &typed).await)?;
        rows.iter().map(|row| read(&Row::Postgres(row))).collect::<Result<_, _>>().map_err(LedgerError::from)
    }

    /// Sends what waits, and waits for the answers.
    pub(super) fn flush(&mut self) -> Result<(), LedgerError> {
        self.send().map(drop)
    }

    /// Sends what waits, and checks what came of it.
    fn send(&mut self) -> Result<Vec<u64>, LedgerError> {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let begin = std::mem::take(&mut self.begin);
        let statements: Vec<_> = waiting.iter().map(|one| (one.sql.as_str(), typed(&one.values))).collect();
        let blocking = self.store.line();
        // Only what begins a transaction may open a connection. It is not repeated here: what stands on the server must be taken back before.
        if !begin.is_empty() {
            blocking.connect()?;
        }
        let changed = blocking.go_on(async |connection| connection.pipeline(&begin, &statements).await)?;
        for (one, changed) in waiting.iter().zip(&changed) {
            match &one.wrong {
                _ if one.is_fence && *changed != 1 => return Err(self.store.fence.no_row(&self.store.station)),
                Some((wrong, key)) => wrong.unless_one(key, *changed)?,
                None => {}
            }
        }
        Ok(changed)
    }
}

impl Fence {
    fn no_row(self, station: &Station) -> LedgerError {
        match self {
            Fence::Term(_) => LedgerError::deposed(),
            Fence::Beside => LedgerError::ours(format!("there is no {}: has the daemon ever run?", station.shown())),
        }
    }
}

/// A value that waits.
pub(super) enum Owned {
    Integer(Option<i64>),
    Text(Option<String>),
}

/// PostgreSQL keeps no text with a NUL in it.
pub(super) fn owned(parameters: &[Param<'_>]) -> Vec<Owned> {
    let text = |text: &str| if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() };
    let one = |parameter: &Param<'_>| match parameter {
        Param::Integer(number) => Owned::Integer(*number),
        Param::Text(value) => Owned::Text(value.as_deref().map(text)),
    };
    parameters.iter().map(one).collect()
}

/// The same with their types.
pub(super) fn typed(values: &[Owned]) -> Vec<Parameter<'_>> {
    values.iter().map(Owned::typed).collect()
}

impl Owned {
    fn typed(&self) -> Parameter<'_> {
        match self {
            Owned::Integer(number) => (number, Type::INT8),
            Owned::Text(text) => (text, Type::TEXT),
        }
    }
}

/// The text of a statement in the words of PostgreSQL: `?1` is `$1`, a text is made JSON before something is taken out of it, and no
/// index is named.
pub(super) fn text(sql: &str) -> String {
    let mut text = sql.replace('?', "$").replace(" ->> ", "::json ->> ");
    while let Some(at) = text.find(" INDEXED BY ") {
        let name = at + " INDEXED BY ".len();
        let end =
            text[name..].find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').map_or(text.len(), |end| name + end);
        text.replace_range(at..end, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_its_values_and_no_index() {
        let sql = "SELECT id FROM a INDEXED BY a_open WHERE b = ?1 AND id IN (SELECT id FROM a INDEXED BY a_two) LIMIT ?2";
        assert_eq!(text(sql), "SELECT id FROM a WHERE b = $1 AND id IN (SELECT id FROM a) LIMIT $2");
        assert_eq!(text("WHERE spec ->> 'room' = ?1"), "WHERE spec::json ->> 'room' = $1");
    }

    #[test]
    fn a_text_has_no_nul() {
        let [Owned::Text(Some(text))] = &owned(&["a\0b".into_param()])[..] else { panic!("another value") };
        assert_eq!(text, "a\u{fffd}b");
    }
}
