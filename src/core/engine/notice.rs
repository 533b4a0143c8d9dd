//! What happened, in a line that a person can read on its own. The log, the demo and the tests take the same lines from here. Does
//! not decide anything, and shows no URL and no secret.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::occurrence::{
    End, Event, Failure, FallbackReason, HEALS_FAST, Key, LastFault, Occurrence, Outcome, State, UNSEEN_LOSSES_MAX, WaitReason,
    is_paced,
};
use crate::trtc::advice::{SecretPlaces, advice_on_code};

/// A show whose end is noticed so late was on air too long, if it was: no daemon was there, or it stood.
const STOPPED_LATE: SignedDuration = SignedDuration::from_secs(5);

/// Why nothing is tried, and what changes that.
pub(super) const TRIES_USED_UP: &str =
    "`retry.attempts` are used up: an edit of what is sent or of `retry`, or other secrets, give it new ones";

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As planned.
    Info,
    /// Not as planned; somebody may want to look.
    Warning,
    /// Somebody must look: the material of an alert.
    Error,
}

/// One thing that happened, after it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When.
    pub at: Timestamp,
    /// To which occurrence, if to one.
    pub key: Option<Key>,
    /// How much it matters.
    pub level: Level,
    /// In words.
    pub text: String,
    /// How the occurrence ended, if this says that it did.
    pub outcome: Option<Outcome>,
    /// The vendor's code, if this tells of a fault that has one.
    pub code: Option<String>,
}

impl Notice {
    /// Something that concerns no single occurrence.
    pub fn new(at: Timestamp, level: Level, text: String) -> Notice {
        Notice { at, key: None, level, text, outcome: None, code: None }
    }

    /// Something about one occurrence, in words alone.
    pub fn about(key: Key, at: Timestamp, level: Level, text: String) -> Notice {
        Notice { key: Some(key), ..Notice::new(at, level, text) }
    }

    /// What a change of an occurrence means, if it is worth a line.
    pub(super) fn of(occurrence: &Occurrence, now: Timestamp) -> Notice {
        let (level, text) = describe(occurrence, now);
        let code = || occurrence.fault.as_ref().and_then(|fault| fault.code.clone());
        let (outcome, code) = match &occurrence.state {
            State::Done { outcome: Outcome::Failed(failure) } => (Some(Outcome::Failed(failure.clone())), code()),
            State::Done { outcome } => (Some(outcome.clone()), None),
            State::Waiting { why: WaitReason::Retry | WaitReason::Restart, .. } if occurrence.tries > 0 => (None, code()),
            _ => (None, None),
        };
        Notice { outcome, code, ..Notice::about(occurrence.key.clone(), now, level, text) }
    }

    /// Adds that it is tried slowly after this event, and what to do about it, unless that was told of the same fault. Returns the
    /// fault that was told, if it is tried slowly.
    pub(super) fn add_slow(
        &mut self,
        next: &Occurrence,
        event: &Event,
        told: Option<String>,
        secrets: SecretPlaces,
    ) -> Option<String> {
        // Its fallback is tried at once, and so is a stream that was only looked at.
        let is_at_once = next.falls_back() || next.goes_back_unrefused() == Some(FallbackReason::Preflight);
        if !event.slows_down(next, self.at) || is_at_once {
            return None;
        }
        let LastFault { code, message, .. } = next.fault.clone()?;
        let advice = code.as_deref().and_then(|code| advice_on_code(code, secrets));
        let fault = code.unwrap_or(message);
        if told.as_ref() == Some(&fault) {
            return told;
        }
        self.level = Level::Error;
        let needs_fix = next.needs_fix();
        if needs_fix {
            self.text.push_str("; somebody must fix this");
        }
        if !next.has_no_tries_left() || next.goes_back_unrefused().is_some() {
            self.text.push_str("; it is tried slowly from now on, until its window closes");
            if needs_fix {
                self.text.push_str(", and at once after an edit of what is sent, or when other secrets are read");
            }
        }
        if let Some(advice) = advice {
            let _ = write!(self.text, ". What to do: {advice}");
        }
        Some(fault)
    }

    /// Adds how long the server asked to wait, and why the next attempt is made before that, if it is.
    pub(super) fn add_hint(&mut self, occurrence: &Occurrence, retry_after: Duration) {
        let State::Waiting { until, .. } = occurrence.state else { return };
        let wait = Duration::try_from(until.duration_since(self.at)).unwrap_or_default();
        let cap = occurrence.policy.retry.cap;
        let but = match () {
            () if wait >= retry_after => String::new(),
            () if wait < cap => ", but the last attempt is made before its window closes".to_owned(),
            () => format!(", but `retry.cap` allows {} s", cap.as_secs_f64()),
        };
        self.text = format!("{}; the server asked for {} s{but}", self.text, retry_after.as_secs());
    }

    /// What the end of the daemon means for an occurrence that stays on air.
    pub(super) fn of_staying(occurrence: &Occurrence, bound: Option<Timestamp>, now: Timestamp) -> Notice {
        let until = match occurrence.end.at() {
            Some(end) => format!("until {end} if a daemon is there to stop it"),
            None => "with no planned end".to_owned(),
        };
        let bound = match bound {
            Some(bound) => format!("the cloud ends it at {bound}"),
            None => "it has no bound in the cloud".to_owned(),
        };
        let text = format!("stays on air in room {} {until}; {bound}", occurrence.playout.room);
        Notice::about(occurrence.key.clone(), now, Level::Info, text)
    }
}

fn describe(occurrence: &Occurrence, now: Timestamp) -> (Level, String) {
    let playout = &occurrence.playout;
    let place = format!("room {}, robot {}", playout.room, playout.robot);
    match &occurrence.state {
        State::Armed => (Level::Info, format!("armed: {} into {place}", playout.stream.redacted())),
        State::Calling => (Level::Info, format!("attempt {} begins", occurrence.attempts)),
        State::Waiting { until, why } => waiting(occurrence, *until, *why, now),
        State::OnAir if occurrence.plays_fallback() => {
            let why = occurrence.fallback.trouble.map_or("", |trouble| trouble.why.words());
            let url = playout.stream.redacted();
            (
                Level::Warning,
                format!("plays its fallback {url}, because its stream cannot be had: {why}; {}", on_air(occurrence, &place)),
            )
        }
        State::OnAir => (Level::Info, on_air(occurrence, &place)),
        State::Stopping { outcome } => stopping(occurrence, outcome, &place, now),
        State::Done { outcome } => done(occurrence, outcome),
    }
}

fn stopping(occurrence: &Occurrence, outcome: &Outcome, place: &str, now: Timestamp) -> (Level, String) {
    let late = match (outcome, occurrence.end) {
        (Outcome::EndedPlanned, End::Planned(end)) => now.duration_since(end),
        _ => SignedDuration::ZERO,
    };
    if late < STOPPED_LATE {
        return (Level::Info, format!("stopping: {place}"));
    }
    (Level::Warning, format!("stopping {} s after its planned end: {place}", late.as_secs()))
}

fn waiting(occurrence: &Occurrence, until: Timestamp, why: WaitReason, now: Timestamp) -> (Level, String) {
    let seconds = until.duration_since(now).as_secs_f64().max(0.0);
    let was_tried = occurrence.tries > 0;
    match why {
        WaitReason::Yield => (Level::Info, "yields the room, and has it again as soon as it is free".to_owned()),
        WaitReason::Restart if !was_tried && occurrence.lost_at.is_none() && occurrence.wants_other_source() => {
            let other = if occurrence.plays_fallback() { "its stream" } else { "its fallback" };
            (Level::Info, format!("hands over to {other}"))
        }
        WaitReason::Restart if !was_tried && occurrence.lost_at.is_none() && occurrence.task_id.is_none() => {
            (Level::Warning, "is put on air again: the cloud has ended its task, of which nobody was told the TaskId".to_owned())
        }
        WaitReason::Restart if !was_tried && occurrence.lost_at.is_none() => {
            (Level::Info, "hands over to itself: the cloud would end its task before its end".to_owned())
        }
        WaitReason::Restart if !was_tried && is_paced(occurrence, now) => {
            let text =
                format!("lost: it has vanished {} times within minutes, and is tried once a minute from now", HEALS_FAST + 1);
            (Level::Error, text)
        }
        WaitReason::Restart if !was_tried && occurrence.unseen_losses == UNSEEN_LOSSES_MAX => {
            let text = format!(
                "has vanished {UNSEEN_LOSSES_MAX} times before it was seen on air: can its media be fetched? It is put on air again"
            );
            (Level::Error, text)
        }
        WaitReason::Restart if !was_tried => {
            (Level::Warning, "vanished, and is put on air again where it would be by now".to_owned())
        }
        WaitReason::Retry if occurrence.attempts == 0 => (Level::Info, "was not sent yet, and waits until it may be".to_owned()),
        WaitReason::Retry | WaitReason::Restart => {
            let doubt = if occurrence.in_doubt { "; it may have begun" } else { "" };
            let (fault, attempt) = (fault(occurrence), occurrence.attempts);
            if occurrence.falls_back() {
                return (Level::Warning, format!("{fault} after attempt {attempt}; its fallback is tried at once{doubt}"));
            }
            if occurrence.goes_back_unrefused().is_some() {
                return (Level::Warning, format!("{fault} after attempt {attempt}; its stream is tried in {seconds:.1} s{doubt}"));
            }
            if occurrence.has_no_tries_left() {
                return (Level::Error, format!("{fault} after attempt {attempt}; {TRIES_USED_UP}{doubt}"));
            }
            (Level::Warning, format!("{fault} after attempt {attempt}; will be tried again in {seconds:.1} s{doubt}"))
        }
    }
}

fn on_air(occurrence: &Occurrence, place: &str) -> String {
    let late_ms = occurrence.first_sent_at.map_or(0, |sent| sent.duration_since(occurrence.key.start).as_millis());
    let attempts = occurrence.attempts;
    let tries = if attempts == 1 { "the first attempt".to_owned() } else { format!("{attempts} attempts") };
    let tries = match occurrence.restarts {
        0 => tries,
        restarts => format!("{tries}, {restarts} of them returns"),
    };
    let known = match &occurrence.task_id {
        Some(task_id) => format!("task {task_id}"),
        None => "a task runs already and its id is not known, so it cannot be stopped from here".to_owned(),
    };
    format!("on air in {place}: {tries}, first sent {late_ms} ms after its start; {known}")
}

fn done(occurrence: &Occurrence, outcome: &Outcome) -> (Level, String) {
    let text = format!("{} ({})", outcome.name(), outcome.reason());
    // It may sound as if it had been on air, and nobody saw it there.
    let note = occurrence.evidence_note();
    let text = note.map_or(text.clone(), |note| format!("{text}, {note}"));
    match outcome {
        Outcome::CutOperator | Outcome::CutPreempted | Outcome::CutRemoved | Outcome::CutEdited
            if occurrence.on_air_at.is_some() && occurrence.task_id.is_none() =>
        {
            let bound = occurrence.on_air_at.and_then(|since| occurrence.bound_if_sent_at(since));
            let bound = bound.map_or("it has no bound in the cloud".to_owned(), |bound| format!("the cloud ends it by {bound}"));
            (Level::Error, format!("{text}, but nobody was told its TaskId, so it could not be stopped: {bound}"))
        }
        Outcome::CutOperator | Outcome::CutPreempted | Outcome::CutRemoved | Outcome::CutEdited
            if occurrence.on_air_at.is_none() && occurrence.was_in_doubt =>
        {
            (Level::Error, format!("{text}, and an attempt without an answer may be on air all the same"))
        }
        Outcome::EndedPlanned
        | Outcome::EndedMedia
        | Outcome::CutOperator
        | Outcome::CutPreempted
        | Outcome::CutRemoved
        | Outcome::CutEdited
        | Outcome::Skipped(_) => (if note.is_some() { Level::Warning } else { Level::Info }, text),
        Outcome::EndedUnverified => {
            let why = match (&occurrence.task_id, occurrence.adopted) {
                (Some(task_id), Some(_)) => {
                    format!("only a callback named task {task_id}, so its own task may be another and play on")
                }
                _ => "nobody could verify that it is off the air".to_owned(),
            };
            let (room, robot) = (&occurrence.playout.room, &occurrence.playout.robot);
            let fault = occurrence.task_fault.as_ref();
            let fault = fault.map_or(String::new(), |fault| format!("; {} failed: {}", fault.step.action().name(), fault.words()));
            (Level::Error, format!("{text}: {why}; room {room}, robot {robot}{fault}"))
        }
        Outcome::Failed(_) => {
            let doubt = if occurrence.was_in_doubt { "; an attempt without an answer may be on air all the same" } else { "" };
            let attempts =
                if occurrence.attempts == 1 { "1 attempt".to_owned() } else { format!("{} attempts", occurrence.attempts) };
            // The code is the reason already.
            let unknown = match outcome {
                Outcome::Failed(Failure::Lost) => Failure::LOST,
                _ => "no answer was recorded",
            };
            let why = occurrence.fault.as_ref().map_or(unknown, |fault| fault.message.as_str());
            (Level::Error, format!("{text} after {attempts}: {why}{doubt}"))
        }
        Outcome::Missed(_) if occurrence.count > 1 => (Level::Error, format!("{text}: {} occurrences", occurrence.count)),
        Outcome::Missed(_) => (Level::Error, text),
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
