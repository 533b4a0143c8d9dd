//! Orders to the running daemon, and questions about its ledger, over its control socket. Does not know what an order does, and what a row
//! means.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::ask::{self, Answer, NoAnswer, Silence};
use super::{Context, Exit, Failure, load, print};
use crate::config::Settings;
use crate::diagnostic::escape_lines;
use crate::ledger::{Excerpt, ExcerptQuery, Reader};

/// How long the daemon may take: it closes the connection by then itself. Taking up a very large schedule is what takes long.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(5);
/// How long it may take to read its ledger.
const LOOK_TIME_MAX: Duration = Duration::from_secs(5);

/// What the daemon answers.
#[derive(Default, Deserialize)]
struct OrderAnswer {
    /// What was done, a line each.
    #[serde(default)]
    done: Vec<String>,
    /// The rows that were asked for.
    ledger: Option<Excerpt>,
}

impl OrderAnswer {
    /// Error: what the daemon says instead.
    fn of(answer: &Answer) -> Result<OrderAnswer, String> {
        match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.body).map_err(|_| "the daemon's answer is not JSON".to_owned()),
            _ => Err(answer.error()),
        }
    }
}

/// Gives an order and prints the answer. Exit 69 when no daemon can be reached, 1 when it refuses.
pub(super) fn give(context: &Context, path: &str, order: Value) -> Result<Exit, Failure> {
    let settings = load::load_settings(context)?;
    let answer = ask::over_control(&settings, ask::order(path, &order), ANSWER_TIME_MAX).map_err(|none| none.failure)?;
    let OrderAnswer { done, .. } = OrderAnswer::of(&answer).map_err(Failure::new)?;
    let lines: Vec<&str> = done.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    print(&escape_lines(&lines.concat())).map(|()| Exit::Good)
}

/// The ledger, or the part of it that is asked for: from the running daemon, whose ledger not everybody may read, else from its file. If a
/// daemon is there and does not give it within 5 s, that is told.
pub(super) fn ledger(settings: &Settings, query: &ExcerptQuery) -> Result<Reader, Failure> {
    let folder = settings.state_folder().map_err(Failure::configuration)?;
    let none = match excerpt(settings, query) {
        Ok(reader) => return Ok(reader),
        Err(none) => none,
    };
    let is_nobody_there = none.silence == Silence::NobodyThere;
    let read = Reader::open(&folder).map_err(|error| error.to_string());
    match (read, none.failure) {
        (Ok(reader), Failure::Message { message, .. }) if !is_nobody_there => {
            load::warn(&format!("{message}; what follows is from the ledger's file"));
            Ok(reader)
        }
        (Ok(reader), _) => Ok(reader),
        // Whoever may not read the file may be allowed to ask the daemon.
        (Err(why), Failure::Message { message, hint, .. }) if !is_nobody_there => {
            Err(Failure::Message { exit: Exit::Problem, message: format!("{why}; and {message}"), hint })
        }
        (Err(why), _) => Err(Failure::new(why)),
    }
}

fn excerpt(settings: &Settings, query: &ExcerptQuery) -> Result<Reader, NoAnswer> {
    let failed = |why: String| NoAnswer { silence: Silence::Silent, failure: Failure::new(why) };
    let query = serde_json::to_value(query).map_err(|error| failed(error.to_string()))?;
    let answer = ask::over_control(settings, ask::order("/v1/ledger", &query), LOOK_TIME_MAX)?;
    let given = OrderAnswer::of(&answer).and_then(|answer| answer.ledger.ok_or_else(|| "its answer has none".to_owned()));
    let excerpt = given.map_err(|why| failed(format!("the daemon does not give rows of its ledger: {why}")))?;
    Reader::of_excerpt(&excerpt).map_err(|error| failed(error.to_string()))
}
