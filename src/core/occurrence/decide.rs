//! The state machine of an occurrence: one table of legal transitions (DESIGN section 6), used live, in recovery and after a reload. What
//! the shell must do follows from the new state, so no list of effects can be forgotten. Refuses to know clocks, requests and the ledger.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::answer::{apply_answer, apply_not_sent, pace_of_exists, wait_for_fix};
use super::loss::{apply_loss, ended};
use super::{
    Adopted, End, Evidence, Failure, Judgement, LATE_AFTER, MissedReason, Occurrence, Outcome, Pace, Replaced, SkippedReason,
    State, Verdict, WaitReason,
};
use crate::schedule::Late;

/// How long a hand-over to itself waits for the answer of its own stop.
pub(crate) const HAND_OVER_MAX: SignedDuration = SignedDuration::from_secs(15);

/// Why a claimed attempt was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// No time was left.
    Late,
    /// Its time passed in the limiter's queue.
    Limit,
    /// The media would be over by now.
    ContentOver,
    /// Its time passed while starts were held because of the clock or the disk.
    Held(MissedReason),
    /// The lease of this host was over: it may be tried again, by this host or by the next owner.
    LeaseOver,
}

/// What happened to an occurrence.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Its start was sent and answered, or the lack of an answer was noticed.
    Answered {
        /// When the request left.
        sent_at: Timestamp,
        /// What the answer means.
        judgement: Judgement,
        /// Whether an earlier task of the same robot is not verified gone.
        robot_busy: bool,
    },
    /// Its attempt came back unsent, and there is no time for another.
    NotSent(NotSent),
    /// Its attempt was taken back unsent and will be made later.
    Postponed,
    /// The time it waited for has come.
    Due,
    /// It waited until its window closed, because no start could leave, for this reason.
    Expired(MissedReason),
    /// Its planned end has come, or is so near that the next show takes the room now.
    End,
    /// It must be stopped before its end, with this outcome.
    Cut(Outcome),
    /// It must not be started; its attempt was taken back.
    Skipped(SkippedReason),
    /// Another occurrence takes its room, and it yields. Its attempt, if one was claimed, was taken back.
    Yield,
    /// The room is free again, or its own stop was answered.
    RoomFree,
    /// The endpoint works again, after a trouble for which it waits.
    EndpointBack,
    /// What it failed for may be fixed: an edit, or other secrets. It has all its tries again, and uses the first at once.
    Fixed,
    /// Its task's bound comes before its end: it hands over to itself.
    Renew,
    /// It is to play its fallback from now on, or its stream again: it hands over to that.
    Switch,
    /// Its task is gone, seen first at this instant.
    Gone {
        /// When it was first seen gone.
        at: Timestamp,
        /// Whether anybody said before that it runs, beside the answer that accepted it.
        was_seen: bool,
    },
    /// Its task's stop succeeded, or was given up.
    StopSettled {
        /// When it went off the air.
        at: Timestamp,
        /// Whether that was verified.
        verified: bool,
    },
    /// A callback names a task that can only be its own.
    Adopted {
        /// The task.
        task_id: String,
    },
    /// The task that was adopted turned out to be another's.
    TakenBack,
    /// The daemon found the row when it started.
    Recovered,
}

impl Event {
    /// The `Retry-After` of the answer, if it is an answer with one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Event::Answered { judgement: Judgement { verdict: Verdict::Again { retry_after, .. }, .. }, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether it is an answer after which `next`, what it led to, is tried slowly.
    pub fn slows_down(&self, next: &Occurrence, now: Timestamp) -> bool {
        let Event::Answered { judgement, robot_busy, .. } = self else { return false };
        let pace = match judgement.verdict {
            Verdict::Again { pace, .. } => pace,
            Verdict::Exists => pace_of_exists(next, *robot_busy, now),
            Verdict::NeedsFix => Pace::Slow,
            Verdict::Accepted { .. } => return false,
        };
        pace == Pace::Slow && matches!(next.state, State::Waiting { .. })
    }
}

/// An event that the table does not have for that state: a bug of ours, or a row that something else wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IllegalTransition {
    /// The state's name.
    pub state: &'static str,
    /// The event.
    pub event: String,
}

impl fmt::Display for IllegalTransition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} cannot happen to an occurrence that is {}", self.event, self.state)
    }
}

/// The next state of `occurrence`, with everything that is known of it.
pub fn decide(occurrence: &Occurrence, event: Event, now: Timestamp) -> Result<Occurrence, IllegalTransition> {
    let mut next = occurrence.clone();
    next.state = match (&occurrence.state, event) {
        (State::Armed | State::Calling, Event::Answered { sent_at, judgement, robot_busy }) => {
            apply_answer(&mut next, sent_at, judgement, robot_busy, now)
        }
        (State::Armed | State::Calling, Event::Postponed | Event::NotSent(NotSent::LeaseOver)) => {
            uncount_attempt(&mut next);
            State::Waiting { until: now.max(next.key.start), why: retry_reason(&next) }
        }
        (State::Armed | State::Calling, Event::NotSent(reason)) => apply_not_sent(&mut next, reason, now),
        (State::Armed | State::Calling | State::Waiting { .. }, Event::Skipped(reason)) if may_be_skipped(occurrence) => {
            uncount_attempt(&mut next);
            State::Done { outcome: Outcome::Skipped(reason) }
        }
        (State::Armed | State::Calling, Event::Yield) => {
            uncount_attempt(&mut next);
            yield_room(&mut next)
        }
        // Sent, and not answered: the outcome waits for the answer.
        (state @ (State::Armed | State::Calling), Event::Cut(outcome)) => {
            next.wanted.get_or_insert(outcome);
            state.clone()
        }
        (state @ (State::Armed | State::Calling), Event::End) => {
            next.wanted.get_or_insert(ended(&next));
            state.clone()
        }
        (State::Armed | State::Calling, Event::Recovered) => recover(&mut next, now),
        (State::Waiting { why, .. }, Event::Due) => due(&mut next, *why, now),
        (State::Waiting { why, .. }, Event::Expired(reason)) => {
            let had_no_chance = next.attempts == 0 && !next.in_doubt && *why != WaitReason::Yield;
            if had_no_chance { State::Done { outcome: Outcome::Missed(reason) } } else { close(&mut next, *why, now) }
        }
        (State::Waiting { why, .. }, Event::End) => close(&mut next, *why, now),
        (State::Waiting { .. }, Event::Cut(outcome)) if next.may_play_on() => State::Stopping { outcome },
        (State::Waiting { .. }, Event::Cut(outcome)) => finish(&mut next, outcome, now),
        (State::Waiting { .. } | State::OnAir, Event::Yield) => yield_room(&mut next),
        (State::Waiting { until, why }, Event::RoomFree | Event::EndpointBack) => {
            State::Waiting { until: now.min(*until), why: *why }
        }
        (State::Waiting { until, why }, Event::Fixed) => {
            State::Waiting { until: renew_tries(&mut next, *until, *why, now), why: *why }
        }
        (State::Waiting { .. }, Event::Adopted { task_id }) if next.in_doubt => {
            let from = if next.on_air_at.is_none() { Adopted::FromWaiting } else { Adopted::FromRestart };
            adopt(&mut next, from, task_id, now)
        }
        (State::OnAir, Event::Adopted { task_id }) if next.task_id.is_none() => adopt(&mut next, Adopted::FromOnAir, task_id, now),
        (State::OnAir, Event::TakenBack) => take_back(&mut next, now),
        // Its end came first: it has no task of its own to stop.
        (State::Stopping { outcome }, Event::TakenBack) => {
            next.task_id = None;
            finish(&mut next, unverified(outcome), now)
        }
        (state @ (State::Waiting { .. } | State::Armed | State::Calling), Event::TakenBack) => {
            take_back_waiting(&mut next, now);
            state.clone()
        }
        (State::OnAir, Event::Renew | Event::Switch) => hand_over(&next, now),
        (State::OnAir, Event::End) => match next.task_id {
            Some(_) => State::Stopping { outcome: ended(&next) },
            None => finish(&mut next, Outcome::EndedUnverified, now),
        },
        (State::OnAir, Event::Cut(outcome)) => match next.task_id {
            Some(_) => State::Stopping { outcome },
            None => finish(&mut next, outcome, now),
        },
        (State::OnAir, Event::Gone { at, was_seen }) => {
            next.unseen_losses = if was_seen { 0 } else { next.unseen_losses.saturating_add(1) };
            apply_loss(&mut next, at, now)
        }
        (State::Stopping { outcome }, Event::StopSettled { at, verified }) => {
            finish(&mut next, if verified { outcome.clone() } else { unverified(outcome) }, at)
        }
        // A task that is stopped because its media ran over its length was on air until its media ended.
        (State::OnAir, Event::StopSettled { at, verified }) => {
            finish(&mut next, if verified { Outcome::EndedMedia } else { Outcome::EndedUnverified }, at)
        }
        (State::Stopping { outcome }, Event::Gone { at, .. }) => finish(&mut next, outcome.clone(), at),
        // What waits, is on air or is stopping goes on unchanged.
        (state @ (State::Waiting { .. } | State::OnAir | State::Stopping { .. }), Event::Recovered) => state.clone(),
        (state, event) => return Err(IllegalTransition { state: state.name(), event: format!("{event:?}") }),
    };
    Ok(next)
}

/// Whether nothing of it was sent. Of what was claimed the caller knows that: it took it back.
fn may_be_skipped(occurrence: &Occurrence) -> bool {
    let waits = matches!(occurrence.state, State::Waiting { .. });
    !waits || (occurrence.attempts == 0 && !occurrence.in_doubt)
}

/// Waits for its own stop: a renewal, or a change of what it plays. A task without a name cannot be stopped: it is over by now, and no
/// answer comes.
fn hand_over(next: &Occurrence, now: Timestamp) -> State {
    let wait = if next.task_id.is_some() { HAND_OVER_MAX } else { SignedDuration::ZERO };
    State::Waiting { until: now + wait, why: WaitReason::Restart }
}

/// The outcome of what nobody saw gone: an end becomes unverified, a cut stays one.
fn unverified(outcome: &Outcome) -> Outcome {
    if outcome.name() == "ended" { Outcome::EndedUnverified } else { outcome.clone() }
}

/// Ends the occurrence. A task that only a callback named may have been another's, so nobody can vouch for such an end.
pub(super) fn finish(next: &mut Occurrence, outcome: Outcome, at: Timestamp) -> State {
    let outcome = if next.adopted.is_some() { unverified(&outcome) } else { outcome };
    next.ended_at = Some(at);
    next.fallback.close(at);
    next.in_doubt = false;
    next.wanted = None;
    State::Done { outcome }
}

/// The attempt that was claimed was never sent, and does not count.
pub(super) fn uncount_attempt(next: &mut Occurrence) {
    next.attempts = next.attempts.saturating_sub(1);
    next.tries = next.tries.saturating_sub(1);
}

/// Why an occurrence waits that will be tried again.
pub(super) fn retry_reason(next: &Occurrence) -> WaitReason {
    if next.on_air_at.is_none() { WaitReason::Retry } else { WaitReason::Restart }
}

/// Gives it all its tries again. Returns until when it waits: it yields on, or is tried at once.
fn renew_tries(next: &mut Occurrence, until: Timestamp, why: WaitReason, now: Timestamp) -> Timestamp {
    (next.tries, next.exists_since) = (0, None);
    if let Some(fault) = &mut next.fault {
        fault.in_a_row = 0;
    }
    if why == WaitReason::Yield { until } else { now.max(next.key.start) }
}

/// It waits until the room is free, not until an instant.
fn yield_room(next: &mut Occurrence) -> State {
    // It is off the air as intended.
    next.lost_at = None;
    State::Waiting { until: Timestamp::MAX, why: WaitReason::Yield }
}

/// On air, as an answer or a callback says.
pub(super) fn on_air(next: &mut Occurrence, now: Timestamp) -> State {
    next.restarts += u32::from(next.on_air_at.is_some());
    next.on_air_at.get_or_insert(now);
    next.evidence.get_or_insert(Evidence::Unseen);
    next.lost_at = None;
    next.in_doubt = false;
    next.exists_since = None;
    next.tries = 0;
    if let Replaced::Media(sent) = std::mem::take(&mut next.replaced) {
        // It was begun before the edit.
        next.playout = *sent;
    }
    next.note_played(now);
    State::OnAir
}

fn adopt(next: &mut Occurrence, from: Adopted, task_id: String, now: Timestamp) -> State {
    next.task_id = Some(task_id);
    next.adopted = Some(from);
    if from == Adopted::FromOnAir { State::OnAir } else { on_air(next, now) }
}

/// As it was before the callback.
fn take_back(next: &mut Occurrence, now: Timestamp) -> State {
    next.task_id = None;
    next.confirmed_at = None;
    match next.adopted.take() {
        Some(from @ (Adopted::FromWaiting | Adopted::FromRestart)) => {
            next.in_doubt = true;
            if from == Adopted::FromWaiting {
                (next.on_air_at, next.evidence) = (None, None);
                next.fallback.played.clear();
            } else {
                // What another's task showed is not known of its own.
                next.evidence = next.evidence.filter(|evidence| *evidence != Evidence::Confirmed);
                next.restarts = next.restarts.saturating_sub(1);
                next.lost_at = Some(now);
                next.fallback.close(now);
            }
            State::Waiting { until: now, why: retry_reason(next) }
        }
        Some(Adopted::FromOnAir) | None => {
            next.evidence = Some(Evidence::Unseen);
            State::OnAir
        }
    }
}

/// It waits on as it did, and another's task no longer vouches for it.
fn take_back_waiting(next: &mut Occurrence, now: Timestamp) {
    let lost_at = next.lost_at;
    take_back(next, now);
    next.lost_at = lost_at.filter(|_| next.on_air_at.is_some());
}

/// Ends an occurrence whose attempts are over. The reason is the last code; without a code, whether a start may have begun.
pub(super) fn fail(next: &mut Occurrence, now: Timestamp) -> State {
    let code = next.fault.as_ref().and_then(|fault| fault.code.clone());
    // Its own task has its place, and its stop had no effect so far: it is over when that is.
    if next.end == End::Open && next.exists_since.is_some() && next.may_play_on() {
        return State::Stopping { outcome: Outcome::EndedMedia };
    }
    let outcome = match (next.on_air_at, next.end, code) {
        // An open end has no known instant, so an occurrence that stays off the air has reached it.
        (Some(_), End::Open, _) => Outcome::EndedMedia,
        (Some(_), _, _) => Outcome::Failed(Failure::Lost),
        (None, _, Some(code)) => Outcome::Failed(Failure::Code(code)),
        (None, _, None) if next.was_in_doubt => Outcome::Failed(Failure::InDoubt),
        (None, _, None) => Outcome::Failed(Failure::Unreachable),
    };
    finish(next, outcome, now)
}

/// The window of something that waits has closed.
fn close(next: &mut Occurrence, why: WaitReason, now: Timestamp) -> State {
    match (why, next.on_air_at) {
        (WaitReason::Yield, None) if !next.in_doubt => State::Done { outcome: Outcome::Skipped(SkippedReason::Conflict) },
        // It was claimed late, taken back, and never sent.
        (_, None) if next.attempts == 0 && !next.in_doubt => State::Done { outcome: Outcome::Missed(MissedReason::Late) },
        // It was off the air because another had the room, or to hand over to itself. That its task is gone is not verified here.
        (_, Some(_)) if next.lost_at.is_none() && next.may_play_on() => State::Stopping { outcome: Outcome::EndedPlanned },
        (_, Some(_)) if next.lost_at.is_none() => finish(next, Outcome::EndedPlanned, now),
        _ => fail(next, now),
    }
}

fn due(next: &mut Occurrence, why: WaitReason, now: Timestamp) -> State {
    if next.closes().is_some_and(|closes| now > closes) {
        return close(next, why, now);
    }
    if next.has_no_tries_left() {
        return wait_for_fix(next);
    }
    next.attempts += 1;
    next.tries += 1;
    next.tried_at = Some(now);
    State::Calling
}

/// The daemon ended between the claim of an attempt and the record of its answer: it may have been sent.
fn recover(next: &mut Occurrence, now: Timestamp) -> State {
    next.doubt(next.tried_at.unwrap_or(next.key.start));
    if let Some(outcome) = next.wanted.take() {
        // Its task is unknown, so it cannot be stopped. It is not started again either.
        let outcome = if outcome.name() == "cut" { outcome } else { Outcome::Failed(Failure::InDoubt) };
        return finish(next, outcome, now);
    }
    let is_first_start = next.on_air_at.is_none();
    let too_late_to_skip = next.policy.late == Late::Skip && is_first_start && now.duration_since(next.key.start) > LATE_AFTER;
    if too_late_to_skip || next.closes().is_some_and(|closes| now >= closes) {
        let failure = if is_first_start { Failure::InDoubt } else { Failure::Lost };
        return finish(next, Outcome::Failed(failure), now);
    }
    if next.has_no_tries_left() {
        if !is_first_start {
            next.lost_at.get_or_insert(now);
        }
        return wait_for_fix(next);
    }
    // In doubt does not mean now: a clock that went back may find the start still ahead.
    State::Waiting { until: now.max(next.key.start), why: retry_reason(next) }
}
