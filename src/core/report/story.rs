//! The story of one occurrence: everything that happened to it, in the order in which it did, with every request that was sent for it. It is
//! made of the ledger's row, its tasks and its requests. It does not know the rules by which it was planned: `why` does.

use jiff::Timestamp;
use serde::Serialize;

use super::history::HistoryObject;
use super::instant;
use crate::occurrence::{Occurrence, State};

/// One request, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// The action, as the API names it.
    pub action: String,
    /// Which attempt of the occurrence it was.
    pub attempt: u32,
    /// When it was sent; `None`: it was not.
    pub sent_at: Option<Timestamp>,
    /// When its answer came; `None`: none came.
    pub answered_at: Option<Timestamp>,
    /// The status of the answer.
    pub http_status: Option<u16>,
    /// The vendor's code, if it was refused.
    pub code: Option<String>,
    /// The message of it, or ours.
    pub message: Option<String>,
    /// The `RequestId`.
    pub request_id: Option<String>,
}

/// One task, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// The TaskId.
    pub task_id: String,
    /// The region.
    pub region: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When the cloud ends it.
    pub bound: Option<Timestamp>,
    /// Since when it is to be stopped.
    pub stop_wanted_at: Option<Timestamp>,
    /// When a stop was accepted.
    pub stopped_at: Option<Timestamp>,
    /// When it was gone.
    pub gone_at: Option<Timestamp>,
    /// Whether somebody saw that it was.
    pub is_verified: bool,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The planned start.
    Planned,
    /// A request was sent, and answered as wanted.
    Accepted,
    /// A request was refused.
    Refused,
    /// A request was sent, and nobody knows what came of it.
    Unanswered,
    /// It was claimed and never sent.
    Unsent,
    /// It went on air.
    OnAir,
    /// Its task was gone, or it ended.
    Gone,
    /// Something else that is recorded.
    Note,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryEvent {
    /// When; null where that is not known.
    #[serde(serialize_with = "super::rundown::as_instant_or_null")]
    pub at: Option<Timestamp>,
    /// What kind.
    pub kind: EventKind,
    /// What: the action of a request, the task, who gave an order.
    pub what: String,
    /// More about it: the code and message of an answer.
    pub detail: Option<String>,
    /// The `RequestId` of an answer.
    pub request_id: Option<String>,
    /// Milliseconds until the answer.
    pub took_ms: Option<i64>,
}

/// The whole story.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// The row, as `history` prints it.
    pub row: HistoryObject,
    /// What happened, in its order.
    pub events: Vec<StoryEvent>,
}

impl Story {
    /// Of a row, with its requests and tasks.
    pub fn new(row: &Occurrence, calls: &[CallRecord], tasks: &[TaskRecord]) -> Story {
        let event =
            |at, kind, what: &str| StoryEvent { at, kind, what: what.to_owned(), detail: None, request_id: None, took_ms: None };
        let mut events = vec![event(Some(row.key.start), EventKind::Planned, "planned start")];
        events.extend(calls.iter().map(|call| call_event(call, row)));
        for task in tasks {
            let TaskRecord { task_id, region, started_at, bound, stop_wanted_at, gone_at, is_verified, .. } = task;
            let bound = bound.map(|at| format!("the cloud ends it at {}", instant(at)));
            events.push(StoryEvent {
                detail: bound,
                ..event(Some(*started_at), EventKind::OnAir, &format!("task {task_id} in {region}"))
            });
            events.extend(stop_wanted_at.map(|at| event(Some(at), EventKind::Note, "it is to be stopped")));
            let gone = if *is_verified { "seen off the air" } else { "taken to be off the air, not seen" };
            events.extend(gone_at.map(|at| event(Some(at), EventKind::Gone, gone)));
        }
        let fallback = row.fallback.played.iter().filter(|played| played.url != row.playout.scheduled().stream);
        for played in fallback {
            let what = format!("its fallback plays: {}", played.url.redacted());
            events.push(event(Some(played.from), EventKind::Note, &what));
        }
        events.extend(row.confirmed_at.map(|at| event(Some(at), EventKind::Note, "a callback said that it plays")));
        if row.in_doubt || row.was_in_doubt {
            let what = if row.in_doubt { "in doubt: a start may have begun" } else { "a start was in doubt for a time" };
            events.push(event(row.doubts.first().copied().or(row.tried_at), EventKind::Note, what));
        }
        if let State::Done { outcome } = &row.state {
            let what = format!("{} ({})", outcome.name(), outcome.reason());
            let by = row.ordered_by.as_ref().map(|who| {
                let note = row.order_note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                format!("by {who}{note}")
            });
            events.push(StoryEvent { detail: by, ..event(row.ended_at.or(row.end.at()), EventKind::Gone, &what) });
        }
        // What has no time stands last.
        events.sort_by_key(|event| (event.at.is_none(), event.at));
        Story { row: HistoryObject::new(row), events }
    }
}

fn call_event(call: &CallRecord, row: &Occurrence) -> StoryEvent {
    let kind = match (call.sent_at, call.answered_at, &call.code, call.http_status) {
        (None, ..) => EventKind::Unsent,
        (Some(_), Some(_), None, Some(200)) => EventKind::Accepted,
        (Some(_), Some(_), Some(_), _) => EventKind::Refused,
        (Some(_), None, ..) | (Some(_), Some(_), None, _) => EventKind::Unanswered,
    };
    // The vendor may quote the URL that it was sent.
    let message = call.message.as_ref().map(|message| row.playout.mask(message)).filter(|message| !message.is_empty());
    let status = call.http_status.filter(|status| *status != 200).map(|status| format!("HTTP {status}"));
    let parts: Vec<String> = status.into_iter().chain(call.code.clone()).chain(message).collect();
    StoryEvent {
        at: call.sent_at,
        kind,
        what: format!("{}, attempt {}", call.action, call.attempt),
        detail: (!parts.is_empty()).then(|| parts.join(": ")),
        request_id: call.request_id.clone(),
        took_ms: call.answered_at.zip(call.sent_at).map(|(answered, sent)| answered.as_millisecond() - sent.as_millisecond()),
    }
}
