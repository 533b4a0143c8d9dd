//! Rows of alerts and of what each receiver was told. It does not know when anything is told.

use super::database::{Param, Row, RowError, Transaction, params};
use super::{Ledger, LedgerError};
use ingestd_core::alerts::{Alert, AlertEnd, AlertEvent, AlertWrite, Kept, Told};
use jiff::Timestamp;

/// The newest alerts come first: of more than this many, which a month has room for, the oldest are told no more.
const KEPT_MAX: u32 = 10_000;

/// Writes one of them.
pub(super) fn apply(to: &mut Transaction<'_>, write: &AlertWrite) -> Result<(), LedgerError> {
    match write {
        AlertWrite::Put(alert) => {
            let sql = "INSERT INTO alert (id, event, subject, begun_ms, newest_ms, count, text, tell_ms, lasts, ended_ms, ended_text, \
                receivers) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO UPDATE SET \
                newest_ms = excluded.newest_ms, count = excluded.count, text = excluded.text, lasts = excluded.lasts, \
                ended_ms = excluded.ended_ms, ended_text = excluded.ended_text";
            let Alert { id, event, key, begun, newest, count, text, tell_from, lasts, end, receivers } = &**alert;
            let [begun, newest, tell] = [begun, newest, tell_from].map(|at| at.as_millisecond());
            let (ended, ended_text) = end.as_ref().map(|end| (end.at.as_millisecond(), end.text.as_ref())).unzip();
            let receivers = serde_json::to_string(receivers).expect("a list of texts is JSON");
            let parameters =
                params![id, event.name(), key, begun, newest, count, text, tell, lasts, ended, ended_text.flatten(), receivers];
            to.run(sql, parameters)
        }
        AlertWrite::Told { alert, receiver, told: Told { at, count, recovered } } => {
            // The alert may have been removed meanwhile.
            let sql = "INSERT INTO alert_told (alert, receiver, at_ms, count, recovered) SELECT ?1, ?2, ?3, ?4, ?5 \
                WHERE EXISTS (SELECT 1 FROM alert WHERE id = ?1) ON CONFLICT (alert, receiver) DO UPDATE SET \
                at_ms = excluded.at_ms, count = excluded.count, recovered = excluded.recovered";
            to.run(sql, params![alert, receiver, at.as_millisecond(), count, recovered])
        }
        AlertWrite::Forget { before } => {
            let sql = "DELETE FROM alert WHERE lasts = 0 AND coalesce(ended_ms, newest_ms) < ?1";
            to.run(sql, params![before.as_millisecond()])
        }
    }
}

impl Ledger {
    /// What a new daemon takes over: every alert that is kept, with what each receiver was told of it, as far as it can be read.
    pub fn alerts(&self) -> Result<Vec<Kept>, LedgerError> {
        self.readable_alerts(&mut Vec::new())
    }

    /// The same, and which rows cannot be read, a line each. One bad row costs that row alone: an alert must never keep a show off the air,
    /// nor another alert untold. Where it is what a receiver was told, that is told again.
    pub fn readable_alerts(&self, unreadable: &mut Vec<String>) -> Result<Vec<Kept>, LedgerError> {
        let sql = "SELECT * FROM (SELECT * FROM alert ORDER BY begun_ms DESC, id LIMIT ?1) AS newest ORDER BY begun_ms, id";
        let alerts = self.readable(sql, params![KEPT_MAX], alert, ("alert", "id"), unreadable)?;
        let sql = "SELECT * FROM alert_told WHERE alert = ?1 ORDER BY receiver";
        let mut kept = Vec::new();
        for alert in alerts {
            let told = self.readable(sql, params![&alert.id], told, ("alert_told", "alert"), unreadable)?;
            kept.push(Kept { alert, told });
        }
        Ok(kept)
    }

    /// Errors: the ledger cannot be read. A row that holds what no program of ours wrote is no such error.
    fn readable<T>(
        &self,
        sql: &str,
        parameters: &[Param<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, RowError>,
        (table, name): (&str, &str),
        unreadable: &mut Vec<String>,
    ) -> Result<Vec<T>, LedgerError> {
        let rows = self.database.query(sql, parameters, |row| match read(row) {
            Err(RowError::Unreadable { column, why }) => {
                let id = row.get::<String>(name).unwrap_or_else(|_| "?".to_owned());
                unreadable.push(format!("the row `{id}` of the table `{table}`, column `{column}`: {why}"));
                Ok(None)
            }
            row => row.map(Some),
        })?;
        Ok(rows.into_iter().flatten().collect())
    }
}

fn alert(row: &Row<'_>) -> Result<Alert, RowError> {
    let end = match optional_instant(row, "ended_ms")? {
        Some(at) => Some(AlertEnd { at, text: row.get("ended_text")? }),
        None => None,
    };
    let receivers: String = row.get("receivers")?;
    let event: String = row.get("event")?;
    // A newer program may know more events.
    let known = AlertEvent::from_name(&event);
    let event = known.ok_or_else(|| RowError::unreadable("event", format!("this program does not know the event `{event}`")))?;
    let receivers = serde_json::from_str(&receivers).map_err(|error| RowError::unreadable("receivers", error))?;
    Ok(Alert {
        id: row.get("id")?,
        event,
        key: row.get("subject")?,
        begun: instant(row, "begun_ms")?,
        newest: instant(row, "newest_ms")?,
        count: row.get("count")?,
        text: row.get("text")?,
        tell_from: instant(row, "tell_ms")?,
        lasts: row.get("lasts")?,
        end,
        receivers,
    })
}

fn told(row: &Row<'_>) -> Result<(String, Told), RowError> {
    let told = Told { at: instant(row, "at_ms")?, count: row.get("count")?, recovered: row.get("recovered")? };
    Ok((row.get("receiver")?, told))
}

fn instant(row: &Row<'_>, column: &str) -> Result<Timestamp, RowError> {
    Timestamp::from_millisecond(row.get(column)?).map_err(|error| RowError::unreadable(column, error))
}

fn optional_instant(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, RowError> {
    let at: Option<i64> = row.get(column)?;
    at.map(|_| instant(row, column)).transpose()
}
