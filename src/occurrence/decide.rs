//! The state machine of an occurrence: one table of legal transitions (DESIGN section 6), used live and in recovery. What a
//! transition makes the shell do follows from the state it leads to, so there is no list of effects to forget.
//! Refuses to know clocks, requests under way and the ledger.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{End, Failure, Judgement, LATE_AFTER, MissedReason, Occurrence, Outcome, State, Verdict, Why, delay, signed};
use crate::schedule::Late;
use crate::trtc::Repeat;

/// How long `TaskExist` may be somebody else's task before the start fails.
const FOREIGN_TASK_PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// How long before its window closes the last attempt is made: enough to wake, write and send.
const LAST_CALL: SignedDuration = SignedDuration::from_millis(100);

/// Why a claimed attempt was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// Nothing was left of its time.
    Late,
    /// Its time went by in the limiter's queue.
    Limit,
    /// The media would be over by now.
    ContentOver,
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
    /// Its attempt came back unsent.
    NotSent(NotSent),
    /// The time it waited for has come.
    Due,
    /// Its planned end has come.
    End,
    /// Its task is gone, seen first at this instant.
    Gone {
        /// When it was first seen gone.
        at: Timestamp,
    },
    /// Its task's stop is settled.
    StopSettled {
        /// When it went off the air.
        at: Timestamp,
        /// Whether that was verified.
        verified: bool,
    },
    /// The daemon found the row when it started.
    Recovered,
}

/// An event that the table does not know in that state: a bug of ours, or a row that something else wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegal {
    /// The state's name.
    pub state: &'static str,
    /// The event.
    pub event: String,
}

impl fmt::Display for Illegal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} cannot happen to an occurrence that is {}", self.event, self.state)
    }
}

/// The next state of `occurrence`, with everything that is known of it.
pub fn decide(occurrence: &Occurrence, event: Event, now: Timestamp) -> Result<Occurrence, Illegal> {
    let mut next = occurrence.clone();
    next.state = match (&occurrence.state, event) {
        (State::Armed | State::Calling, Event::Answered { sent_at, judgement, robot_busy }) => {
            answered(&mut next, sent_at, judgement, robot_busy, now)
        }
        (State::Armed | State::Calling, Event::NotSent(reason)) => not_sent(&mut next, reason, now),
        (State::Armed | State::Calling, Event::Recovered) => recovered(&mut next, now),
        (State::Waiting { .. }, Event::Due) => due(&mut next, now),
        (State::OnAir, Event::End) => match next.task_id {
            Some(_) => State::Stopping { outcome: Outcome::EndedPlanned },
            None => finish(&mut next, Outcome::EndedUnverified, now),
        },
        (State::OnAir, Event::Gone { at }) => finish(&mut next, gone(occurrence, at), at),
        (State::Stopping { outcome }, Event::StopSettled { at, verified }) => {
            let is_end = outcome.name() == "ended";
            let outcome = if is_end && !verified { Outcome::EndedUnverified } else { outcome.clone() };
            finish(&mut next, outcome, at)
        }
        // A task that is stopped because its media ran over its length was on air until its media ended.
        (State::OnAir, Event::StopSettled { at, verified }) => {
            finish(&mut next, if verified { Outcome::EndedMedia } else { Outcome::EndedUnverified }, at)
        }
        (State::Stopping { outcome }, Event::Gone { at }) => finish(&mut next, outcome.clone(), at),
        // What waits, is on air or is being stopped goes on as it stands.
        (state @ (State::Waiting { .. } | State::OnAir | State::Stopping { .. }), Event::Recovered) => state.clone(),
        (state, event) => return Err(Illegal { state: state.name(), event: format!("{event:?}") }),
    };
    Ok(next)
}

fn finish(next: &mut Occurrence, outcome: Outcome, at: Timestamp) -> State {
    next.ended_at = Some(at);
    next.in_doubt = false;
    State::Done { outcome }
}

fn answered(next: &mut Occurrence, sent_at: Timestamp, judgement: Judgement, robot_busy: bool, now: Timestamp) -> State {
    next.first_sent_at.get_or_insert(sent_at);
    if judgement.request_id.is_some() {
        next.request_id = judgement.request_id;
    }
    let was_in_doubt = next.in_doubt;
    next.in_doubt |= judgement.doubt;
    next.was_in_doubt |= judgement.doubt;
    if judgement.fault.is_some() {
        next.fault = judgement.fault;
    }
    if judgement.verdict != Verdict::Exists {
        next.exists_since = None;
    }
    match judgement.verdict {
        Verdict::Accepted { task_id } => {
            next.task_id = Some(task_id);
            next.fault = None;
            on_air(next, now)
        }
        Verdict::Exists if !robot_busy && (was_in_doubt || next.restarts > 0 || (next.joined && next.attempts == 1)) => {
            on_air(next, now)
        }
        Verdict::Exists => {
            let since = *next.exists_since.get_or_insert(now);
            if now.duration_since(since) >= FOREIGN_TASK_PATIENCE { fail(next, now) } else { again(next, None, false, now) }
        }
        Verdict::Again { retry_after, at_once } => again(next, retry_after, at_once, now),
        Verdict::Permanent => fail(next, now),
    }
}

fn on_air(next: &mut Occurrence, now: Timestamp) -> State {
    next.on_air_at.get_or_insert(now);
    next.in_doubt = false;
    next.exists_since = None;
    next.tries = 0;
    State::OnAir
}

/// Waits for the next attempt, or ends when there can be none.
fn again(next: &mut Occurrence, retry_after: Option<std::time::Duration>, at_once: bool, now: Timestamp) -> State {
    let attempts_max = next.terms.retry.attempts;
    let closes = next.closes();
    if (attempts_max > 0 && next.tries >= attempts_max) || closes.is_some_and(|closes| now >= closes) {
        return fail(next, now);
    }
    let wait = if at_once { retry_after.unwrap_or_default() } else { delay(&next.terms.retry, &next.key, next.tries, retry_after) };
    let until = now.checked_add(signed(wait)).unwrap_or(Timestamp::MAX);
    // Rather than give up a jitter before the window closes, one last attempt leaves just before that.
    let last = closes.map(|closes| closes - LAST_CALL);
    let server_wants = retry_after.and_then(|wait| now.checked_add(signed(wait)).ok());
    match last {
        // Sooner than the server asked for is not an attempt, it is one more rejection.
        Some(last) if server_wants.is_some_and(|at| at > last) => fail(next, now),
        Some(last) if until > last && now >= last => fail(next, now),
        Some(last) => State::Waiting { until: until.min(last), why: Why::Retry },
        None => State::Waiting { until, why: Why::Retry },
    }
}

/// Ends an occurrence whose attempts are over. The reason is the last code; without one, whether anything may have begun.
fn fail(next: &mut Occurrence, now: Timestamp) -> State {
    let code = next.fault.as_ref().and_then(|fault| fault.code.clone());
    let failure = match code {
        _ if next.on_air_at.is_some() => Failure::Lost,
        Some(code) => Failure::Code(code),
        None if next.in_doubt => Failure::InDoubt,
        None => Failure::Unreachable,
    };
    finish(next, Outcome::Failed(failure), now)
}

fn not_sent(next: &mut Occurrence, reason: NotSent, now: Timestamp) -> State {
    next.attempts = next.attempts.saturating_sub(1);
    next.tries = next.tries.saturating_sub(1);
    if next.on_air_at.is_some() {
        // A restart that late is not made.
        let outcome = if reason == NotSent::ContentOver { Outcome::EndedMedia } else { Outcome::EndedPlanned };
        return finish(next, outcome, now);
    }
    if next.attempts > 0 {
        return fail(next, now);
    }
    State::Done {
        outcome: Outcome::Missed(match reason {
            NotSent::Late => MissedReason::Late,
            NotSent::Limit => MissedReason::Limit,
            NotSent::ContentOver => MissedReason::ContentOver,
        }),
    }
}

fn due(next: &mut Occurrence, now: Timestamp) -> State {
    if next.closes().is_some_and(|closes| now > closes) {
        return if next.on_air_at.is_some() { finish(next, Outcome::EndedPlanned, now) } else { fail(next, now) };
    }
    next.attempts += 1;
    next.tries += 1;
    State::Calling
}

/// The daemon ended between the claim of an attempt and the record of its answer: it may have been sent.
fn recovered(next: &mut Occurrence, now: Timestamp) -> State {
    next.in_doubt = true;
    next.was_in_doubt = true;
    let is_first_start = next.on_air_at.is_none();
    let too_late_to_skip = next.terms.late == Late::Skip && is_first_start && now.duration_since(next.key.start) > LATE_AFTER;
    let attempts_max = next.terms.retry.attempts;
    let used_up = attempts_max > 0 && next.tries >= attempts_max;
    if too_late_to_skip || used_up || next.closes().is_some_and(|closes| now >= closes) {
        let failure = if is_first_start { Failure::InDoubt } else { Failure::Lost };
        return finish(next, Outcome::Failed(failure), now);
    }
    // In doubt does not mean now: a clock that went back may find the start still ahead.
    State::Waiting { until: now.max(next.key.start), why: if is_first_start { Why::Retry } else { Why::Restart } }
}

/// What it is that a task vanished at `at`. A loop or a live source should have gone on to the end of its window, but for the last
/// stretch in which no attempt would be made either; media may end a little early, by 30 s or 2 % of its window.
fn gone(occurrence: &Occurrence, at: Timestamp) -> Outcome {
    let is_endless = occurrence.playout.live || occurrence.playout.repeat == Repeat::Forever;
    let lost = Outcome::Failed(Failure::Lost);
    match occurrence.end {
        End::Never if is_endless => lost,
        End::Open | End::Never => Outcome::EndedMedia,
        End::Planned(_) | End::Media(_) if is_endless => {
            if occurrence.window_closes().is_some_and(|closes| at < closes) {
                lost
            } else {
                Outcome::EndedPlanned
            }
        }
        End::Planned(end) | End::Media(end) => {
            let slack = SignedDuration::from_secs(30).max(end.duration_since(occurrence.key.start) / 50);
            let content_end = occurrence.content_end().map(|content| content.min(end));
            let was_early = content_end.is_some_and(|content| content.duration_since(at) > slack);
            if was_early { lost } else { Outcome::EndedMedia }
        }
    }
}
