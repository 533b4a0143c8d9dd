//! One occurrence that is not over: its call, and what time asks of it. Does not know other occurrences.

use jiff::{SignedDuration, Timestamp};

use super::call_report::Blocker;
use super::send_flag::SendFlag;
use crate::lease::ARM_AHEAD;
use crate::occurrence::{
    End, Event, Key, LATE_AFTER, LONGEST_TASK, MissedReason, NotSent, Occurrence, Playout, State, WaitReason, play_together,
};
use crate::schedule::Late;

/// How long before its bound in the cloud a task is renewed.
const RENEW_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// An occurrence that is not over.
pub(super) struct Airing {
    pub(super) occurrence: Occurrence,
    /// Set while a call of it is under way.
    pub(super) call: Option<UnderWay>,
    /// When the cloud ends its task by itself.
    pub(super) bound: Option<Timestamp>,
    /// Why its attempt was claimed and could not be sent for a while.
    pub(super) held_back: Option<MissedReason>,
    /// Until when a start that the owner before sent may arrive: it is not tried again before.
    pub(super) not_before: Option<Timestamp>,
    /// Whether its start was punctual when an edit took it back from the queue: then it is not judged again.
    pub(super) was_punctual: bool,
    /// For which fault it is tried slowly, as was told.
    pub(super) told_slow: Option<String>,
    /// Whether a task of it, stopped while it gave way, was given up before anybody saw it gone.
    pub(super) was_given_up: bool,
    /// When the last of its tasks that are gone went.
    pub(super) last_gone: Option<Timestamp>,
    /// What an edit has it play as soon as it is off the air.
    pub(super) edit: Option<Edit>,
}

/// What an edit has an occurrence play.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit {
    pub(super) playout: Playout,
    /// The schedule that says so, and who had it accepted.
    pub(super) generation: i64,
    pub(super) who: String,
}

/// A call that waits or was sent.
pub(super) struct UnderWay {
    pub(super) flag: SendFlag,
    /// Its row.
    pub(super) row: i64,
    /// What stood between the start and its room when last looked at.
    pub(super) blocker: Blocker,
}

impl Airing {
    pub(super) fn new(occurrence: Occurrence) -> Airing {
        Airing {
            occurrence,
            call: None,
            bound: None,
            held_back: None,
            not_before: None,
            told_slow: None,
            was_punctual: false,
            was_given_up: false,
            last_gone: None,
            edit: None,
        }
    }

    /// Whether an attempt of it was claimed and not answered.
    pub(super) fn is_claimed(&self) -> bool {
        matches!(self.occurrence.state, State::Armed | State::Calling)
    }

    /// Whether it is armed long before its start, so that it leaves although the ledger's database stands: until it is as near as others
    /// are armed, it is like one that is not armed yet.
    pub(super) fn is_far(&self, now: Timestamp, arm_ahead: SignedDuration) -> bool {
        let is_near = |start: Timestamp| start.duration_since(now) <= ARM_AHEAD;
        arm_ahead > ARM_AHEAD && self.occurrence.state == State::Armed && !is_near(self.occurrence.key.start)
    }

    /// Whether a start of it was sent whose answer has not come.
    pub(super) fn awaits_answer(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.flag.is_sent())
    }

    /// The row of the call that is under way.
    pub(super) fn call_row(&self) -> Option<i64> {
        self.call.as_ref().map(|call| call.row)
    }

    /// Whether it is off the air, and may be tried again: what is sent next follows the schedule. A task that is only handed over to
    /// itself keeps what it plays.
    pub(super) fn takes_edits(&self) -> bool {
        match self.occurrence.state {
            State::Waiting { why: WaitReason::Restart, .. } => self.occurrence.lost_at.is_some(),
            State::Waiting { .. } => true,
            _ => false,
        }
    }

    /// Whether both may have the room at once.
    pub(super) fn plays_beside(&self, other: &Airing) -> bool {
        play_together(&self.occurrence, &other.occurrence)
    }

    /// What its time has come for. While `held` no start may leave, so nothing is claimed, and nothing is taken off only to return.
    pub(super) fn event_of_time(&self, held: Option<MissedReason>, now: Timestamp) -> Option<(Key, Event)> {
        if self.wake(held.is_some())? > now {
            return None;
        }
        let event = match (&self.occurrence.state, held) {
            (State::Waiting { .. }, Some(reason)) => Event::Expired(reason),
            (State::Armed | State::Calling, Some(reason)) => Event::NotSent(NotSent::Held(reason)),
            (State::Waiting { .. }, None) => Event::Due,
            (State::OnAir, _) if self.renew_at().is_some_and(|at| at <= now) && self.end_at().is_none_or(|at| now < at) => {
                Event::Renew
            }
            (State::OnAir, _) => Event::End,
            _ => return None,
        };
        Some((self.occurrence.key.clone(), event))
    }

    /// When its time comes for something.
    pub(super) fn wake(&self, is_held: bool) -> Option<Timestamp> {
        match self.occurrence.state {
            State::Waiting { .. } if is_held => self.expires_at(),
            // Claimed, and not on the disk: its permission may come too late.
            State::Armed | State::Calling if is_held && self.call.is_none() => self.expires_at(),
            // What waits for a room or for an edit has no time of its own; time says only when it is too late.
            State::Waiting { until, .. } => {
                let until = until.max(self.not_before.unwrap_or(until));
                self.expires_at().map_or(Some(until), |expires| Some(expires.min(until)))
            }
            State::OnAir if is_held => self.end_at(),
            State::OnAir => [self.end_at(), self.renew_at()].into_iter().flatten().min(),
            _ => None,
        }
    }

    /// When what waits has waited too long.
    fn expires_at(&self) -> Option<Timestamp> {
        self.occurrence.closes()?.checked_add(SignedDuration::from_millis(1)).ok()
    }

    /// When time says that it is over.
    fn end_at(&self) -> Option<Timestamp> {
        let occurrence = &self.occurrence;
        match occurrence.end {
            End::Planned(end) => Some(end),
            // Its end follows from the media, and its task tells; without a task nobody can.
            End::Media(end) if occurrence.task_id.is_none() || occurrence.plays_fallback() => Some(end),
            End::Open if occurrence.plays_fallback() => occurrence.stops_at(),
            End::Open | End::Never if occurrence.task_id.is_none() && self.unnamed_bound().is_none() => {
                occurrence.on_air_at.and_then(|since| since.checked_add(LONGEST_TASK).ok())
            }
            End::Media(_) | End::Open | End::Never => None,
        }
    }

    /// When it hands over to itself, because the cloud ends its task before its end. One without a name cannot be stopped, so that the
    /// next begins when it is over.
    fn renew_at(&self) -> Option<Timestamp> {
        let (bound, at) = match self.occurrence.task_id {
            Some(_) => self.bound.map(|bound| (bound, bound - RENEW_AHEAD))?,
            None => self.unnamed_bound().map(|bound| (bound, bound))?,
        };
        let goes_on = self.occurrence.stops_at().is_none_or(|end| bound < end);
        goes_on.then_some(at)
    }

    /// When the cloud has ended its task at the latest, if that has no name: it was found there by the last attempt.
    fn unnamed_bound(&self) -> Option<Timestamp> {
        let occurrence = &self.occurrence;
        occurrence.bound_if_sent_at(occurrence.tried_at.or(occurrence.on_air_at)?).filter(|_| occurrence.task_id.is_none())
    }

    /// When the media of a task should have played out, where that is the end of its occurrence. A late start that plays from the
    /// beginning ends later by as much.
    pub(super) fn media_end(&self, sent_at: Timestamp) -> Option<Timestamp> {
        let occurrence = &self.occurrence;
        let End::Media(end) = occurrence.end else { return None };
        if occurrence.plays_fallback() {
            return None;
        }
        let late = sent_at.duration_since(occurrence.key.start);
        let starts_over = occurrence.policy.late == Late::Restart && occurrence.on_air_at.is_none() && late > LATE_AFTER;
        Some(if starts_over { end.checked_add(late).unwrap_or(Timestamp::MAX) } else { end })
    }
}

/// Whether a change is worth a line. What waits for the same thing for a shorter time is not.
pub(super) fn is_news(before: &Occurrence, next: &Occurrence) -> bool {
    let waits_for = |state: &State| match state {
        State::Waiting { why, .. } => Some(*why),
        _ => None,
    };
    let waits_on = waits_for(&next.state).is_some_and(|why| waits_for(&before.state) == Some(why));
    next.state != before.state && !waits_on
}
