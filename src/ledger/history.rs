//! What `history` asks the ledger for, as the conditions of a SELECT: for each there is an index, so that no answer reads years of rows. It
//! does not know how they are shown.

use serde::{Deserialize, Serialize};

use super::database::{IntoParam, Param};
use crate::trtc::Room;

/// What `history` asks for. Over the control socket it is sent as JSON.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only this job.
    pub job: Option<String>,
    /// Only this room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomQuery>,
    /// Only starts at or after this instant, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only starts before this instant, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Only this outcome: `ended`, `cut`, `failed`, `missed` or `skipped`.
    pub outcome: Option<String>,
    /// At most this many rows. The default is 0: no row.
    pub limit: u32,
}

/// How a room is asked for, in words.
pub const ROOM_SHOWN: &str = "a room, such as `42`, `lobby` or `main/lobby`";

/// A room that is asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoomQuery {
    /// The name of its application. Nothing: the room of any application.
    app: Option<String>,
    id: String,
    id_type: String,
}

impl RoomQuery {
    /// Reads a room as tables show it: `42`, `lobby`, `"42"`, each with its application before it or not (`main/lobby`). The id of a string
    /// room that has a `/` is in double quotes.
    ///
    /// Errors: why there can be no such room.
    pub fn parse(shown: &str) -> Result<RoomQuery, String> {
        let (app, room) = match shown.split_once('/') {
            Some((app, room)) if !shown.starts_with('"') => (Some(app.to_owned()), room),
            _ => (None, shown),
        };
        let room = Room::parse(room)?;
        Ok(RoomQuery { app, id: room.to_string(), id_type: room.type_name().to_owned() })
    }
}

impl HistoryQuery {
    /// Whether no time is between `since` and `until`: whoever asks so has mixed them up.
    pub fn has_no_time(&self) -> bool {
        self.since_ms.zip(self.until_ms).is_some_and(|(since, until)| since >= until)
    }

    /// What follows `FROM occurrence`, and the values of its parameters.
    pub(super) fn tail(&self) -> (String, Vec<Param<'_>>) {
        let mut conditions = Conditions::default();
        if let Some(outcome) = &self.outcome {
            conditions.add("state = 'done'");
            // Two rows of a rare outcome may be a million rows apart. `ended` is not rare, and the indexes of outcomes leave it out.
            if outcome != "ended" {
                conditions.add("outcome <> 'ended'");
            }
            conditions.add_with("outcome =", outcome);
        }
        if let Some(job) = &self.job {
            conditions.add_with("job =", job);
        }
        if let Some(RoomQuery { app, id, id_type }) = &self.room {
            conditions.add_with("spec ->> 'room' =", id);
            conditions.add_expression("spec ->> 'room_type'", id_type);
            if let Some(app) = app {
                conditions.add_expression("spec ->> 'app'", app);
            }
        }
        if let Some(since) = self.since_ms {
            conditions.add_with("start_ms >=", since);
        }
        if let Some(until) = self.until_ms {
            conditions.add_with("start_ms <", until);
        }
        let Conditions { texts, mut parameters } = conditions;
        parameters.push(self.limit.into_param());
        let only = if texts.is_empty() { String::new() } else { format!("WHERE {} ", texts.join(" AND ")) };
        (format!("{only}ORDER BY start_ms DESC, job LIMIT ?{}", parameters.len()), parameters)
    }
}

#[derive(Default)]
struct Conditions<'a> {
    texts: Vec<String>,
    parameters: Vec<Param<'a>>,
}

impl<'a> Conditions<'a> {
    fn add(&mut self, condition: &str) {
        self.texts.push(condition.to_owned());
    }

    /// A condition that a value completes.
    fn add_with(&mut self, condition: &str, value: impl IntoParam<'a>) {
        self.parameters.push(value.into_param());
        self.texts.push(format!("{condition} ?{}", self.parameters.len()));
    }

    /// That an expression has a value, of which nobody knows how rare it is. PostgreSQL takes a plain comparison with an expression for one
    /// that few rows fulfil: it would read all rows of a room, and not the newest.
    fn add_expression(&mut self, expression: &str, value: impl IntoParam<'a>) {
        self.parameters.push(value.into_param());
        self.texts.push(format!("coalesce({expression} = ?{}, FALSE)", self.parameters.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_asked_for_as_tables_show_it() {
        let parsed = |shown: &str| {
            let RoomQuery { app, id, id_type } = RoomQuery::parse(shown).expect("a room");
            format!("{} {id} {id_type}", app.unwrap_or_default())
        };
        for (shown, expected) in [
            ("42", " 42 integer"),
            ("\"42\"", " 42 string"),
            ("lobby", " lobby string"),
            ("main/lobby", "main lobby string"),
            ("main/42", "main 42 integer"),
            ("main/\"a/b\"", "main a/b string"),
            ("\"a/b\"", " a/b string"),
        ] {
            assert_eq!(parsed(shown), expected);
        }
        for shown in ["", "main/", "0", "main/0"] {
            assert!(RoomQuery::parse(shown).is_err(), "{shown}");
        }
    }
}
