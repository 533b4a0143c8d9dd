//! The next state of an occurrence after the answer to a start, or the lack of one. Does not know what an answer looks
//! like: `verdict.rs` classified it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::decide::{NotSent, fail, finish, on_air, retry_reason, uncount_attempt};
use super::loss::{PACE, is_paced};
use super::retry::honoured;
use super::{End, FallbackReason, Judgement, MissedReason, Occurrence, Outcome, Pace, Replaced, State, Verdict, delay, signed};

/// How long `TaskExist` may be somebody else's task before the start is tried slowly.
const FOREIGN_TASK_PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// The same, while an earlier task of the robot is not verified gone: it waits longer for that.
const BUSY_ROBOT_PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// The shortest wait of a start that is tried slowly.
const SLOW_MIN: Duration = Duration::from_secs(5);

/// How long before its window closes the last attempt is made: enough to wake, write and send.
const LAST_CALL: SignedDuration = SignedDuration::from_millis(100);

pub(super) fn apply_answer(
    next: &mut Occurrence,
    sent_at: Timestamp,
    judgement: Judgement,
    robot_busy: bool,
    now: Timestamp,
) -> State {
    let state = apply_verdict(next, sent_at, judgement, robot_busy, now);
    let Some(wanted) = next.wanted.take() else { return state };
    match state {
        State::OnAir if next.task_id.is_some() => State::Stopping { outcome: wanted },
        State::OnAir if wanted.name() == "ended" => finish(next, Outcome::EndedUnverified, now),
        // Its end came meanwhile, and it was not on air.
        State::Waiting { .. } if wanted.name() == "ended" => fail(next, now),
        state @ State::Done { .. } if wanted.name() == "ended" => state,
        State::Waiting { .. } if next.may_play_on() => State::Stopping { outcome: wanted },
        _ => finish(next, wanted, now),
    }
}

fn apply_verdict(next: &mut Occurrence, sent_at: Timestamp, judgement: Judgement, robot_busy: bool, now: Timestamp) -> State {
    next.first_sent_at.get_or_insert(sent_at);
    if judgement.request_id.is_some() {
        next.request_id = judgement.request_id;
    }
    let was_in_doubt = next.in_doubt;
    if judgement.doubt {
        next.doubt(sent_at);
    }
    next.tried_at = Some(sent_at);
    if judgement.fault.is_some() {
        next.fault = judgement.fault;
    }
    if judgement.verdict != Verdict::Exists {
        next.exists_since = None;
    }
    match judgement.verdict {
        Verdict::Accepted { task_id } => {
            next.task_id = Some(task_id);
            next.adopted = None;
            next.fault = None;
            next.replaced = Replaced::Nothing;
            on_air(next, now)
        }
        Verdict::Exists if !robot_busy && is_own_task(next, was_in_doubt) => {
            // A lost task may still run under its id; any other task that runs has an unknown id. What only a callback named and
            // is gone was another's.
            if next.adopted.take().is_some() || was_in_doubt || next.lost_at.is_none() {
                next.task_id = None;
            }
            on_air(next, now)
        }
        Verdict::Exists => {
            next.exists_since.get_or_insert(now);
            let pace = pace_of_exists(next, robot_busy, now);
            retry(next, None, pace, now)
        }
        Verdict::Again { retry_after, pace } => retry(next, retry_after, pace, now),
        Verdict::NeedsFix => retry(next, None, Pace::Slow, now),
    }
}

/// Whether the task that `TaskExist` speaks of may be its own: of a start in doubt, or of the time when it was on air there, or of a
/// daemon before. Where an edit has moved it since, nothing of it was begun.
fn is_own_task(next: &Occurrence, was_in_doubt: bool) -> bool {
    let was_there = next.on_air_at.is_some() || (next.joined && next.attempts == 1);
    was_in_doubt || was_there && next.replaced != Replaced::Place
}

/// How soon a start is tried again that was told `TaskExist`, by how long that has been so.
pub(super) fn pace_of_exists(occurrence: &Occurrence, robot_busy: bool, now: Timestamp) -> Pace {
    let patience = if robot_busy { BUSY_ROBOT_PATIENCE } else { FOREIGN_TASK_PATIENCE };
    let is_long = occurrence.exists_since.is_some_and(|since| now.duration_since(since) >= patience);
    // A show that was on air waits for a stop of its own.
    let is_own = robot_busy && occurrence.on_air_at.is_some();
    if is_long && !is_own { Pace::Slow } else { Pace::Backoff }
}

/// Once a minute, or a quarter of what is left of the window.
fn slow_wait(closes: Option<Timestamp>, now: Timestamp) -> Duration {
    let left = closes.map(|closes| Duration::try_from(closes.duration_since(now)).unwrap_or_default());
    left.map_or(PACE, |left| (left / 4).clamp(SLOW_MIN, PACE))
}

/// Waits for the next attempt, or ends when the window is over.
fn retry(next: &mut Occurrence, retry_after: Option<Duration>, pace: Pace, now: Timestamp) -> State {
    if next.on_air_at.is_some() {
        next.lost_at.get_or_insert(now);
    }
    let closes = next.closes();
    if closes.is_some_and(|closes| now >= closes) {
        return fail(next, now);
    }
    let goes_back = next.goes_back_unrefused();
    if next.has_no_tries_left() && goes_back.is_none() {
        return wait_for_fix(next);
    }
    let policy = &next.policy.retry;
    let mut wait = match pace {
        // Nobody asked for its stream yet.
        _ if goes_back == Some(FallbackReason::Preflight) => Duration::ZERO,
        Pace::AtOnce => honoured(policy, retry_after),
        Pace::Backoff => delay(policy, &next.key, next.tries, retry_after),
        Pace::Slow => slow_wait(closes, now).max(honoured(policy, retry_after)),
    };
    if next.on_air_at.is_some() && is_paced(next, now) {
        wait = wait.max(PACE);
    }
    // A clock that went back may find the start still ahead.
    let until = now.max(next.key.start).checked_add(signed(wait)).unwrap_or(Timestamp::MAX);
    // One last attempt leaves just before the window closes, even if its delay or the server's `Retry-After` is longer.
    let last = closes.map(|closes| closes - LAST_CALL);
    let why = retry_reason(next);
    match last {
        Some(last) if until > last && now >= last => fail(next, now),
        Some(last) => State::Waiting { until: until.min(last), why },
        None => State::Waiting { until, why },
    }
}

/// Waits without an attempt. An edit or other secrets give it new tries; else it fails when its window closes.
pub(super) fn wait_for_fix(next: &Occurrence) -> State {
    State::Waiting { until: Timestamp::MAX, why: retry_reason(next) }
}

pub(super) fn apply_not_sent(next: &mut Occurrence, reason: NotSent, now: Timestamp) -> State {
    uncount_attempt(next);
    if next.on_air_at.is_some() {
        // It is too late for a restart.
        return match reason {
            NotSent::ContentOver if next.may_play_on() => State::Stopping { outcome: Outcome::EndedMedia },
            NotSent::ContentOver => finish(next, Outcome::EndedMedia, now),
            _ if next.lost_at.is_some() || next.end == End::Open => fail(next, now),
            _ if next.may_play_on() => State::Stopping { outcome: Outcome::EndedPlanned },
            _ => finish(next, Outcome::EndedPlanned, now),
        };
    }
    if next.attempts > 0 || next.in_doubt {
        return fail(next, now);
    }
    State::Done {
        outcome: Outcome::Missed(match reason {
            NotSent::Late => MissedReason::Late,
            NotSent::Limit => MissedReason::Limit,
            NotSent::ContentOver => MissedReason::ContentOver,
            NotSent::Held(reason) => reason,
            // It waits, and is not over.
            NotSent::LeaseOver => MissedReason::Disk,
        }),
    }
}
