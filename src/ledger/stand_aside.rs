//! What works long on the ledger's file stands aside while starts are sent. Planned starts are at whole seconds, because a calendar knows
//! nothing shorter. So nobody is asked, and it is the same in the process of a verb. Does not know of starts that wait for their turn.

use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::LedgerError;
use crate::clock;

/// What was begun is done by then.
const BEFORE: Duration = Duration::from_millis(40);

/// The starts of one instant are sent by then, as many as the vendor takes in a second.
const AFTER: Duration = Duration::from_millis(60);

const SECOND: Duration = Duration::from_secs(1);

/// A query looks at the time after so many instructions of SQLite, or pages of a table that it checks: some 0.1 ms.
const INSTRUCTIONS: i32 = 1_000;

/// Waits until the starts of this second are sent, if it is their time.
pub(super) fn stand_aside() {
    let part = clock::now().as_nanosecond().rem_euclid(1_000_000_000);
    // It is less than a second.
    if let Some(rest) = rest(Duration::from_nanos(u64::try_from(part).unwrap_or_default())) {
        thread::sleep(rest);
    }
}

/// The same within every query of this connection, for one that takes seconds.
pub(super) fn in_queries(connection: &Connection) -> Result<(), LedgerError> {
    let look = || {
        stand_aside();
        // Nothing is broken off.
        false
    };
    Ok(connection.progress_handler(INSTRUCTIONS, Some(look))?)
}

/// How long to wait at this part of a second; `None`: not at all.
fn rest(part: Duration) -> Option<Duration> {
    let (until, from) = (AFTER, SECOND.saturating_sub(BEFORE));
    let end = if part < until { until } else { SECOND + until };
    (part < until || part >= from).then(|| end.saturating_sub(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_from_a_moment_before_each_second_to_a_moment_after_it() {
        let ms = Duration::from_millis;
        assert_eq!([0, 1, 59].map(|part| rest(ms(part))), [Some(ms(60)), Some(ms(59)), Some(ms(1))]);
        assert_eq!([60, 500, 959].map(|part| rest(ms(part))), [None; 3]);
        assert_eq!([960, 999].map(|part| rest(ms(part))), [Some(ms(100)), Some(ms(61))]);
    }

    #[test]
    fn a_query_that_stands_aside_answers_as_ever() {
        let connection = Connection::open_in_memory().expect("it opens");
        in_queries(&connection).expect("it is taken");
        let sql = "WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 100000) SELECT sum(n) FROM n";
        assert_eq!(connection.query_row(sql, [], |row| row.get::<_, i64>(0)), Ok(5_000_050_000));
    }
}
