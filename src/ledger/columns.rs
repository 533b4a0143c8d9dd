//! The columns of a row of `occurrence` and of `task`: one table for each, from which the lists of SELECT, INSERT and UPDATE
//! are made. It says how a value is written; `row` says how it is read. It does not know when a row is written.
//!
//! Parameters have the names of their columns: `:end_ms` is the value of `end_ms`. A new column is one line here, one in `row`, and
//! a migration in `schema`.

use std::sync::LazyLock;

use jiff::Timestamp;

use super::database::{IntoParam as _, Param, Transaction, Wrong};
use super::{LedgerError, apply, row};
use crate::occurrence::{Adopted, Evidence, Key, LastFault, Occurrence, Outcome, State, Task, TaskPhase};

/// What an UPDATE does to a column. An INSERT writes every column.
#[derive(Clone, Copy)]
enum Written {
    /// It names the row, and never changes.
    Key,
    /// It never changes.
    Once,
    /// It becomes the new value.
    Each,
    /// It keeps its first value.
    First,
    /// It keeps the greatest value.
    Most,
    /// It keeps its newest value: nothing that comes after it changes nothing.
    Newest,
    /// It is a column of the occurrence that the row belongs to, and names that. It never changes.
    Owner,
}

/// Makes the table of columns, and the function that gives the values of a row, in the order of the table. The row is destructured
/// without `..`: with a new field, this does not compile until somebody has said how it is written.
macro_rules! columns {
    (
        $(#[$about:meta])*
        $table:ident: fn $values:ident($pattern:pat => $type:ty) { $($written:ident $column:ident = $value:expr,)+ }
    ) => {
        const $table: &[(&str, Written)] = &[$((stringify!($column), Written::$written)),+];

        $(#[$about])*
        fn $values($pattern: &$type) -> Vec<Param<'_>> {
            vec![$(($value).into_param()),+]
        }
    };
}

columns! {
    /// The values of an occurrence.
    OCCURRENCE: fn occurrence_values(occurrence @ Occurrence {
        key, kind, count, end, playout: _, policy: _, replaced: _, generation, state, attempts, tries, restarts, was_in_doubt, in_doubt,
        joined, exists_since, first_sent_at, on_air_at, ended_at, wanted, tried_at, doubts, lost_at, heals, adopted, confirmed_at,
        evidence, unseen_losses, task_fault, task_id, fault, request_id, ordered_by, order_note, fallback,
    } => Occurrence) {
        Key job = key.job.as_str(),
        Key start_ms = key.start.as_millisecond(),
        Each end_ms = ms(end.at()),
        Once kind = kind.name(),
        Once count = count,
        Each generation = generation,
        // What is played, by which rules, what kind of end it has, and what edits left behind.
        Each spec = row::spec(occurrence),
        Each state = state.name(),
        Each wait_until_ms = wait(state).0,
        Each wait_why = wait(state).1,
        Each outcome = outcome(state).map(Outcome::name),
        Each reason = outcome(state).map(Outcome::reason),
        Each attempts = attempts,
        Each tries = tries,
        Each restarts = restarts,
        Each was_in_doubt = was_in_doubt,
        Each in_doubt = in_doubt,
        Each joined = joined,
        Each exists_since_ms = ms(*exists_since),
        Each first_sent_ms = ms(*first_sent_at),
        Each on_air_ms = ms(*on_air_at),
        Each ended_ms = ms(*ended_at),
        Each confirmed_ms = ms(*confirmed_at),
        Each task_id = task_id,
        Each error_code = of_fault(fault.as_ref()).0,
        Each error_message = of_fault(fault.as_ref()).1,
        Each error_in_a_row = of_fault(fault.as_ref()).2,
        Each request_id = request_id,
        Each wanted_outcome = wanted.as_ref().map(Outcome::name),
        Each wanted_reason = wanted.as_ref().map(Outcome::reason),
        Each tried_ms = ms(*tried_at),
        Each lost_ms = ms(*lost_at),
        Each heals = row::instants(heals),
        Each doubts = row::instants(doubts),
        Each adopted = adopted.map(Adopted::name),
        Each evidence = evidence.map(Evidence::name),
        Each unseen_losses = Some(*unseen_losses).filter(|losses| *losses > 0),
        Each task_fault = task_fault.as_ref().map(row::task_fault),
        Each ordered_by = ordered_by,
        Each order_note = order_note,
        Each fallback = row::fallback(fallback),
    }
}

columns! {
    /// The values of a task. Its room and its robot are in the `spec` of its
    /// occurrence; when it is looked at next is decided again after a restart.
    TASK: fn task_values(Task {
        row, task_id, destination, key, room: _, robot: _, started_at, bound, media_end, phase, next_at: _, alerted, stop_wanted_at,
        seen_at, watched_from: _, taken_at: _, was_seen, is_unseen, unpulled_at, stop_fault, describe_fault, look: _,
    } => Task) {
        Key id = row,
        Owner job = key.job.as_str(),
        Owner start_ms = key.start.as_millisecond(),
        Once task_id = task_id,
        Once app = &destination.app,
        Once sdk_app_id = apply::app_id(destination.sdk_app_id),
        Once region = &destination.region,
        Once started_ms = started_at.as_millisecond(),
        Each bound_ms = ms(*bound),
        Each media_end_ms = ms(*media_end),
        // A stop that was wanted once stays wanted.
        First stop_wanted_ms = ms(stop_wanted_at.or(stop(*phase).wanted)),
        Most stop_tries = stop(*phase).tries,
        Newest stopped_ms = ms(stop(*phase).stopped),
        Each gone_ms = gone(*phase).map(|(at, _)| at.as_millisecond()),
        Each verified = gone(*phase).map(|(_, verified)| verified),
        Each alerted = alerted,
        Each seen_ms = seen_at.as_millisecond(),
        Each was_seen = was_seen,
        Each is_unseen = is_unseen,
        Each unpulled_ms = ms(*unpulled_at),
        Each stop_fault = stop_fault.as_ref().map(row::task_fault),
        Each describe_fault = describe_fault.as_ref().map(row::task_fault),
    }
}

/// Until when an occurrence went on that took more than a day; otherwise nothing. An index of every ledger is made of this text: where a query
/// has another, the index is not used.
macro_rules! long_until {
    () => {
        "CASE WHEN CASE WHEN ended_ms > end_ms THEN ended_ms ELSE coalesce(end_ms, ended_ms) END - start_ms > 86400000 \
            THEN CASE WHEN ended_ms > end_ms THEN ended_ms ELSE coalesce(end_ms, ended_ms) END END"
    };
}
pub(super) use long_until;

/// The SELECT of occurrences, without its conditions.
pub(super) static SELECT_OCCURRENCE: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {} FROM occurrence", names(OCCURRENCE).join(", ")));

/// The columns of a task, and what its occurrence says of it. Both tables have a `task_id`.
pub(super) static TASK_COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let own: Vec<_> = names(TASK).iter().map(|name| format!("task.{name} AS {name}")).collect();
    format!("{}, occurrence.job AS job, occurrence.start_ms AS start_ms, occurrence.spec AS spec", own.join(", "))
});

static INSERT_OCCURRENCE: LazyLock<Sql> =
    LazyLock::new(|| Sql::new(&(insert("occurrence", OCCURRENCE) + " ON CONFLICT (job, start_ms) DO NOTHING"), OCCURRENCE));

/// A summary grows; the row of something else stays as it is.
static INSERT_SUMMARY: LazyLock<Sql> = LazyLock::new(|| {
    let grows = " ON CONFLICT (job, start_ms) DO UPDATE SET count = excluded.count, end_ms = excluded.end_ms \
        WHERE occurrence.kind = 'summary'";
    Sql::new(&(insert("occurrence", OCCURRENCE) + grows), OCCURRENCE)
});

/// An outcome is final.
static UPDATE_OCCURRENCE: LazyLock<Sql> =
    LazyLock::new(|| Sql::new(&(update("occurrence", OCCURRENCE) + " AND state <> 'done'"), OCCURRENCE));

/// But for two cases: its job left the schedule, and is back; it failed, and an operator starts it again.
static REOPEN_OCCURRENCE: LazyLock<Sql> = LazyLock::new(|| {
    let may_go_on = " AND state = 'done' AND ((outcome = 'cut' AND reason = 'removed') OR outcome = 'failed')";
    Sql::new(&(update("occurrence", OCCURRENCE) + may_go_on), OCCURRENCE)
});

static INSERT_TASK: LazyLock<Sql> = LazyLock::new(|| Sql::new(&insert("task", TASK), TASK));

static UPDATE_TASK: LazyLock<Sql> = LazyLock::new(|| Sql::new(&update("task", TASK), TASK));

/// Inserts an occurrence, which has no row yet.
pub(super) fn insert_occurrence(to: &mut Transaction<'_>, occurrence: &Occurrence) -> Result<(), LedgerError> {
    INSERT_OCCURRENCE.run(to, occurrence_values(occurrence), (Wrong::IsThere, &occurrence.key))
}

/// Inserts a summary, or writes how far the one in its row reaches now.
pub(super) fn insert_summary(to: &mut Transaction<'_>, summary: &Occurrence) -> Result<(), LedgerError> {
    INSERT_SUMMARY.run(to, occurrence_values(summary), (Wrong::NoSummary, &summary.key))
}

/// Updates the row of an occurrence that is not done.
pub(super) fn update_occurrence(to: &mut Transaction<'_>, occurrence: &Occurrence) -> Result<(), LedgerError> {
    UPDATE_OCCURRENCE.run(to, occurrence_values(occurrence), (Wrong::NotOpen, &occurrence.key))
}

/// Updates the row of an occurrence that was cut because its job left the schedule, or that failed.
pub(super) fn reopen_occurrence(to: &mut Transaction<'_>, occurrence: &Occurrence) -> Result<(), LedgerError> {
    REOPEN_OCCURRENCE.run(to, occurrence_values(occurrence), (Wrong::NotReopened, &occurrence.key))
}

/// Inserts a task.
pub(super) fn insert_task(to: &mut Transaction<'_>, task: &Task) -> Result<(), LedgerError> {
    INSERT_TASK.run(to, task_values(task), (Wrong::NoRow, &task.key))
}

/// Updates the row of a task.
pub(super) fn update_task(to: &mut Transaction<'_>, task: &Task) -> Result<(), LedgerError> {
    let (sql, parameters) = UPDATE_TASK.with(task_values(task));
    to.run(sql, &parameters)
}

/// A statement with numbered parameters.
struct Sql {
    text: String,
    /// Which column of the table is the value of each parameter.
    columns: Vec<usize>,
}

impl Sql {
    /// Of a text whose parameters have names.
    fn new(named: &str, columns: &[(&str, Written)]) -> Sql {
        let mut parts = named.split(':');
        let mut text = parts.next().unwrap_or_default().to_owned();
        let mut used = Vec::new();
        for part in parts {
            let end = part.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(part.len());
            let column = columns.iter().position(|(name, _)| *name == &part[..end]).expect("each parameter is a column");
            let number = used.iter().position(|other| *other == column).unwrap_or_else(|| {
                used.push(column);
                used.len() - 1
            });
            text.extend(["?", &(number + 1).to_string(), &part[end..]]);
        }
        Sql { text, columns: used }
    }

    /// The text, with the values of its parameters.
    fn with<'a>(&self, mut values: Vec<Param<'a>>) -> (&str, Vec<Param<'a>>) {
        let take = |column: &usize| std::mem::replace(&mut values[*column], Param::Integer(None));
        (&self.text, self.columns.iter().map(take).collect())
    }

    /// Runs it on one row.
    fn run(&self, to: &mut Transaction<'_>, values: Vec<Param<'_>>, wrong: (Wrong, &Key)) -> Result<(), LedgerError> {
        let (sql, parameters) = self.with(values);
        to.run_one(sql, &parameters, wrong)
    }
}

/// The columns of the table itself.
fn names<'a>(columns: &[(&'a str, Written)]) -> Vec<&'a str> {
    columns.iter().filter(|(_, written)| !matches!(written, Written::Owner)).map(|(name, _)| *name).collect()
}

fn insert(table: &str, columns: &[(&str, Written)]) -> String {
    let names = names(columns);
    let (names, values) = (names.join(", "), names.join(", :"));
    let owner =
        columns.iter().filter(|(_, written)| matches!(written, Written::Owner)).map(|(name, _)| format!("{name} = :{name}"));
    match owner.collect::<Vec<_>>().join(" AND ") {
        owner if owner.is_empty() => format!("INSERT INTO {table} ({names}) VALUES (:{values})"),
        owner => format!("INSERT INTO {table} ({names}, occurrence) SELECT :{values}, occurrence.id FROM occurrence WHERE {owner}"),
    }
}

fn update(table: &str, columns: &[(&str, Written)]) -> String {
    let changes = columns.iter().filter_map(|(name, written)| match written {
        Written::Key | Written::Once | Written::Owner => None,
        Written::Each => Some(format!("{name} = :{name}")),
        Written::First => Some(format!("{name} = coalesce({name}, :{name})")),
        Written::Most => Some(format!("{name} = CASE WHEN {name} < :{name} THEN :{name} ELSE {name} END")),
        Written::Newest => Some(format!("{name} = coalesce(:{name}, {name})")),
    });
    let keys = columns.iter().filter(|(_, written)| matches!(written, Written::Key)).map(|(name, _)| format!("{name} = :{name}"));
    let [changes, keys] = [changes.collect::<Vec<_>>().join(", "), keys.collect::<Vec<_>>().join(" AND ")];
    format!("UPDATE {table} SET {changes} WHERE {keys}")
}

/// An instant as its milliseconds.
pub(super) fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millisecond)
}

/// Until when a state waits, and for what.
fn wait(state: &State) -> (Option<i64>, Option<&'static str>) {
    match state {
        State::Waiting { until, why } => (Some(until.as_millisecond()), Some(why.name())),
        State::Armed | State::Calling | State::OnAir | State::Stopping { .. } | State::Done { .. } => (None, None),
    }
}

/// The outcome that a state has, or will have.
fn outcome(state: &State) -> Option<&Outcome> {
    match state {
        State::Stopping { outcome } | State::Done { outcome } => Some(outcome),
        State::Armed | State::Calling | State::Waiting { .. } | State::OnAir => None,
    }
}

/// The code, the message and the count of the last fault.
fn of_fault(fault: Option<&LastFault>) -> (Option<&str>, Option<&str>, u32) {
    match fault {
        Some(LastFault { code, message, in_a_row }) => (code.as_deref(), Some(message), *in_a_row),
        None => (None, None, 0),
    }
}

/// How far the stop of a task has come.
struct Stop {
    wanted: Option<Timestamp>,
    tries: u32,
    stopped: Option<Timestamp>,
}

fn stop(phase: TaskPhase) -> Stop {
    match phase {
        TaskPhase::StopWanted { since, tries } => Stop { wanted: Some(since), tries, stopped: None },
        TaskPhase::Verifying { stopped_at, .. } => Stop { wanted: Some(stopped_at), tries: 0, stopped: Some(stopped_at) },
        TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => Stop { wanted: None, tries: 0, stopped: None },
    }
}

/// Since when a task is gone, and whether that was verified.
fn gone(phase: TaskPhase) -> Option<(Timestamp, bool)> {
    match phase {
        TaskPhase::Gone { at, verified } => Some((at, verified)),
        TaskPhase::Watched { .. } | TaskPhase::StopWanted { .. } | TaskPhase::Verifying { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn each_statement_has_a_value_for_each_parameter() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        for sql in [&INSERT_OCCURRENCE, &INSERT_SUMMARY, &UPDATE_OCCURRENCE, &REOPEN_OCCURRENCE, &INSERT_TASK, &UPDATE_TASK] {
            let statement = ledger.database.sqlite().prepare(&sql.text).expect("SQL");
            assert_eq!(sql.columns.len(), statement.parameter_count(), "{}", sql.text);
        }
        let sql = Sql::new(
            "UPDATE t SET b = coalesce(:b, b), c = :c WHERE a = :a AND b < :b",
            &[("a", Written::Key), ("b", Written::Newest), ("c", Written::Each)],
        );
        assert_eq!(
            (sql.text.as_str(), sql.columns),
            ("UPDATE t SET b = coalesce(?1, b), c = ?2 WHERE a = ?3 AND b < ?1", vec![1, 2, 0])
        );
    }

    #[test]
    fn every_column_of_the_tables_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        for (table, columns) in [("occurrence", OCCURRENCE), ("task", TASK)] {
            let mut statement = ledger.database.sqlite().prepare("SELECT name FROM pragma_table_info(?1)").expect("SQL");
            let all = statement.query_map([table], |row| row.get::<_, String>(0)).expect("columns");
            let all: Vec<_> = all.map(|name| name.expect("a text")).collect();
            // SQLite gives the number of an occurrence, and the statement finds the occurrence of a task.
            let unwritten: Vec<_> = all.iter().filter(|name| !names(columns).contains(&name.as_str())).collect();
            assert_eq!(unwritten, [if table == "task" { "occurrence" } else { "id" }], "{table}");
            assert!(names(columns).iter().all(|name| all.iter().any(|other| other == name)), "{table}");
        }
    }
}
