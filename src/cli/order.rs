//! Orders to the running daemon, and questions about its ledger, over its control socket. Does not know what an order does, and what a row
//! means.

use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ask::{self, Answer, NoAnswer, Silence};
use super::place::place;
use super::zone::ZoneArgs;
use super::{Context, Exit, Failure, load, print};
use crate::clock;
use crate::config::Settings;
use crate::diagnostic::escape_lines;
use crate::ledger::{Excerpt, ExcerptQuery, FILE, Reader};
use crate::plan::holds::Holds;
use crate::report::time::{TimeArgument, parse_argument, parse_time};
use crate::schedule::JobId;
use crate::schedule::values::parse_duration;
use crate::web::{LENGTH_TOO_SHORT, check_note};
use crate::zones::Zones;

/// How long the daemon may take: it closes the connection by then itself. Taking up a very large schedule is what takes long.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(5);
/// How long it may take to read its ledger.
const LOOK_TIME_MAX: Duration = Duration::from_secs(5);

/// `--note`, for the verbs that give an order.
#[derive(Debug, clap::Args)]
pub(super) struct NoteArgs {
    /// Why, in one line: it is recorded with the order, and shown beside what the order does
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = note)]
    note: Option<String>,
}

impl NoteArgs {
    /// The order with the note.
    pub(super) fn with(self, mut order: Value) -> Value {
        if let Some(note) = self.note {
            order["note"] = note.into();
        }
        order
    }
}

/// Reads a job id from an argument. The job may have left the schedule.
pub(super) fn job_id(text: &str) -> Result<String, String> {
    let named = JobId::parse(text).map(|id| id.to_string());
    named.ok_or_else(|| "a job id is 1 to 32 of `a` to `z`, `0` to `9`, `_` and `-`, a letter or digit first".to_owned())
}

/// Reads a length of time from an argument; the daemon reads it again.
pub(super) fn duration(text: &str) -> Result<String, String> {
    let length = parse_duration(text)?;
    if length < Duration::from_secs(1) { Err(LENGTH_TOO_SHORT.to_owned()) } else { Ok(text.to_owned()) }
}

/// Reads a note from an argument; the daemon reads it again.
fn note(text: &str) -> Result<String, String> {
    let text = text.trim();
    check_note(text).map(|()| text.to_owned())
}

/// An order about a start of a job: `at` is an instant, or a time of the zone.
pub(super) fn of_start(context: &Context, job: Option<String>, at: Option<String>, zone: &ZoneArgs) -> Result<Value, Failure> {
    let mut order = json!({});
    if let Some(job) = job {
        order["job"] = job.into();
    }
    if let Some(at) = at {
        let (settings, zones, now) = (load::load_settings(context)?, Zones::newest(), clock::now());
        let zone = zone.of_files(&settings, &zones, now)?;
        let at = match parse_argument(&at, now).map_err(Failure::usage)? {
            TimeArgument::At(at) => at,
            TimeArgument::Local(_) | TimeArgument::Date(_) => parse_time(&at, now, zone.get()).map_err(Failure::usage)?,
        };
        order["at"] = at.to_string().into();
    }
    Ok(order)
}

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
    let OrderAnswer { done, .. } = answer(context, path, &order)?.map_err(Failure::new)?;
    let lines: Vec<&str> = done.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    print(&escape_lines(&lines.concat())).map(|()| Exit::Good)
}

/// Gives an order whose answer is in the log of the daemon, and prints only why it was not taken.
pub(super) fn give_unheard(context: &Context, path: &str, order: Value) -> Result<Exit, Failure> {
    answer(context, path, &order)?.map(|_| Exit::Good).map_err(|_| Failure::Explained(Exit::Problem))
}

/// Gives an order. Returns the answer, or the daemon's words when it refuses.
fn answer(context: &Context, path: &str, order: &Value) -> Result<Result<OrderAnswer, String>, Failure> {
    let settings = load::load_settings(context)?;
    let answer = ask::over_control(&settings, ask::order(path, order), ANSWER_TIME_MAX).map_err(|none| none.failure)?;
    Ok(OrderAnswer::of(&answer))
}

/// The ledger, or the part of it that is asked for: from the running daemon, whose ledger not everybody may read, else from its file. If a
/// daemon is there and does not give it within 5 s, that is told.
pub(super) fn ledger(settings: &Settings, query: &ExcerptQuery) -> Result<Reader, Failure> {
    if settings.ledger.is_none() {
        settings.state_folder().map_err(Failure::configuration)?;
    }
    let none = match excerpt(settings, query) {
        Ok(reader) => return Ok(reader),
        Err(none) => none,
    };
    let is_nobody_there = none.silence == Silence::NobodyThere;
    let read = place(settings).and_then(|place| Reader::open_at(&place).map_err(|error| error.to_string()));
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

/// What operators hold back, from the running daemon or else from its ledger's file. `None`: nobody can say, and stderr says why. Where no
/// daemon runs and none ever wrote a ledger, nothing is held back.
pub(super) fn holds(settings: &Settings) -> Option<Holds> {
    let (why, is_nobody_there) = match excerpt(settings, &ExcerptQuery::Holds {}).map(|reader| reader.holds()) {
        Ok(Ok(holds)) => return Some(holds),
        Ok(Err(error)) => (error.to_string(), false),
        Err(none) => (none.message(), none.silence == Silence::NobodyThere),
    };
    let read = place(settings).map(|place| {
        let file = place.folder().map(|folder| folder.join(FILE));
        let is_new = file.is_some_and(|file| file.try_exists().is_ok_and(|exists| !exists));
        (is_new, Reader::open_at(&place).and_then(|reader| reader.holds()).map_err(|error| error.to_string()))
    });
    let why = match read {
        Ok((_, Ok(holds))) => return Some(holds),
        Ok((true, _)) if is_nobody_there => return Some(Holds::default()),
        Ok((_, Err(error))) if is_nobody_there => error,
        Err(why) if is_nobody_there && settings.ledger.is_some() => why,
        Err(_) if is_nobody_there => {
            "no daemon runs with these settings, and they name no `state`, where its ledger would be".to_owned()
        }
        _ => why,
    };
    load::warn(&format!("what operators hold back with `pause` and `skip` is not known: {why}"));
    None
}

fn excerpt(settings: &Settings, query: &ExcerptQuery) -> Result<Reader, NoAnswer> {
    let failed = |why: String| NoAnswer { silence: Silence::Silent, failure: Failure::new(why) };
    let query = serde_json::to_value(query).map_err(|error| failed(error.to_string()))?;
    let answer = ask::over_control(settings, ask::order("/v1/ledger", &query), LOOK_TIME_MAX)?;
    let given = OrderAnswer::of(&answer).and_then(|answer| answer.ledger.ok_or_else(|| "its answer has none".to_owned()));
    let excerpt = given.map_err(|why| failed(format!("the daemon does not give rows of its ledger: {why}")))?;
    Reader::of_excerpt(&excerpt).map_err(|error| failed(error.to_string()))
}
