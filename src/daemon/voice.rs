//! What happened, in a line a person can read on its own. The log, the demo and the tests take the same lines from here. Refuses to
//! decide anything, and to show a URL or a secret.

use jiff::Timestamp;

use crate::occurrence::{Key, Occurrence, Outcome, State, Why};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// As planned.
    Info,
    /// Not as planned; somebody may want to look.
    Warning,
    /// Somebody must look: the material of an alert.
    Error,
}

/// One thing that happened, after it was recorded.
#[derive(Clone, Debug)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// To which occurrence, if to one.
    pub key: Option<Key>,
    /// How much it matters.
    pub weight: Weight,
    /// In words.
    pub text: String,
}

impl Happening {
    /// Something that concerns no single occurrence.
    pub(super) fn general(at: Timestamp, weight: Weight, text: String) -> Happening {
        Happening { at, key: None, weight, text }
    }

    /// What a change of an occurrence means, if it is worth a line.
    pub(super) fn of(occurrence: &Occurrence, now: Timestamp) -> Happening {
        let (weight, text) = describe(occurrence, now);
        Happening { at: now, key: Some(occurrence.key.clone()), weight, text }
    }
}

fn describe(occurrence: &Occurrence, now: Timestamp) -> (Weight, String) {
    let playout = &occurrence.playout;
    let place = format!("room {}, robot {}", playout.room, playout.robot);
    match &occurrence.state {
        State::Armed => (Weight::Info, format!("armed: {} into {place}", playout.stream.redacted())),
        State::Calling => (Weight::Info, format!("attempt {} begins", occurrence.attempts)),
        State::Waiting { until, why } => {
            let seconds = until.duration_since(now).as_secs_f64().max(0.0);
            let what = match why {
                Why::Retry => "will be tried again",
                Why::Yield => "yields the room and returns",
                Why::Restart => "vanished and is put on air again",
            };
            let doubt = if occurrence.in_doubt { "; it may have begun" } else { "" };
            (
                Weight::Warning,
                format!("{} after attempt {}; {what} in {seconds:.1} s{doubt}", fault(occurrence), occurrence.attempts),
            )
        }
        State::OnAir => (Weight::Info, on_air(occurrence, &place)),
        State::Stopping { .. } => (Weight::Info, format!("is taken off the air: {place}")),
        State::Done { outcome } => done(occurrence, outcome),
    }
}

fn on_air(occurrence: &Occurrence, place: &str) -> String {
    let late_ms = occurrence.first_sent_at.map_or(0, |sent| sent.duration_since(occurrence.key.start).as_millis());
    let attempts = occurrence.attempts;
    let tries = if attempts == 1 { "the first attempt".to_owned() } else { format!("{attempts} attempts") };
    let known = match &occurrence.task_id {
        Some(task_id) => format!("task {task_id}"),
        None => "a task runs already and its id is not known, so it cannot be stopped from here".to_owned(),
    };
    format!("on air in {place}: {tries}, first sent {late_ms} ms after its start; {known}")
}

fn done(occurrence: &Occurrence, outcome: &Outcome) -> (Weight, String) {
    let text = format!("{} ({})", outcome.name(), outcome.reason());
    match outcome {
        Outcome::EndedPlanned
        | Outcome::EndedMedia
        | Outcome::CutOperator
        | Outcome::CutPreempted
        | Outcome::CutRemoved
        | Outcome::CutEdited
        | Outcome::Skipped(_) => (Weight::Info, text),
        Outcome::EndedUnverified => {
            let bound = "nobody could verify that it is off the air";
            (Weight::Error, format!("{text}: {bound}; room {}, robot {}", occurrence.playout.room, occurrence.playout.robot))
        }
        Outcome::Failed(_) => {
            let doubt = if occurrence.was_in_doubt { "; an attempt without an answer may be on air all the same" } else { "" };
            (Weight::Error, format!("{text} after {} attempts: {}{doubt}", occurrence.attempts, fault(occurrence)))
        }
        Outcome::Missed(_) if occurrence.count > 1 => (Weight::Error, format!("{text}: {} occurrences", occurrence.count)),
        Outcome::Missed(_) => (Weight::Error, text),
    }
}

fn fault(occurrence: &Occurrence) -> String {
    match &occurrence.fault {
        Some(fault) => match &fault.code {
            Some(code) => format!("{code} ({})", fault.message),
            None => fault.message.clone(),
        },
        None => "no answer was recorded".to_owned(),
    }
}
