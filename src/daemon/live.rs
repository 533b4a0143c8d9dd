//! One occurrence on the desk: what time makes due for it, and how its start is taken back. Refuses to know other occurrences.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::call::Leave;
use super::desk::Desk;
use super::tasks::Way;
use super::voice::Weight;
use crate::ledger::{LedgerError, Turn};
use crate::occurrence::{End, Event, Key, LATE_AFTER, MissedReason, NotSent, Occurrence, State, WaitReason, play_together};
use crate::schedule::Late;

/// How long before its bound in the cloud a task is renewed.
const RENEW_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// How long an occurrence without an end is taken to be on air when nobody knows its task: as long as its UserSig holds.
const UNKNOWN_TASK_MAX: SignedDuration = SignedDuration::from_hours(8 * 24);

/// An occurrence that is not over.
pub(super) struct Live {
    pub(super) occurrence: Occurrence,
    /// Set while a call of it is under way.
    pub(super) call: Option<UnderWay>,
    /// When the cloud ends its task by itself.
    pub(super) bound: Option<Timestamp>,
    /// WaitReason its attempt was claimed and could not be sent for a while.
    pub(super) held_back: Option<MissedReason>,
}

/// A call that waits or was sent.
pub(super) struct UnderWay {
    pub(super) leave: Leave,
    /// Its row.
    pub(super) row: i64,
    pub(super) way: watch::Sender<Way>,
}

impl UnderWay {
    /// Whether something stood between the start and its room when last looked at.
    pub(super) fn is_in_way(&self) -> bool {
        *self.way.borrow() != Way::Free
    }
}

impl Live {
    pub(super) fn new(occurrence: Occurrence) -> Live {
        Live { occurrence, call: None, bound: None, held_back: None }
    }

    /// Whether an attempt of it was claimed and not answered.
    pub(super) fn is_claimed(&self) -> bool {
        matches!(self.occurrence.state, State::Armed | State::Calling)
    }

    /// Whether a start of it was sent whose answer has not come.
    pub(super) fn awaits_answer(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.leave.is_sent())
    }

    /// The row of the call that is under way.
    pub(super) fn call_row(&self) -> Option<i64> {
        self.call.as_ref().map(|call| call.row)
    }

    /// Whether both may have the room at once.
    pub(super) fn plays_beside(&self, other: &Live) -> bool {
        play_together(&self.occurrence, &other.occurrence)
    }

    /// What time has made due. While `held` no start may leave, so nothing is claimed, and nothing is taken off only to return.
    pub(super) fn due(&self, held: Option<MissedReason>, now: Timestamp) -> Option<(Key, Event)> {
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

    /// When time alone makes something due.
    pub(super) fn wake(&self, is_held: bool) -> Option<Timestamp> {
        match self.occurrence.state {
            State::Waiting { .. } if is_held => self.expires_at(),
            // Claimed, and not on the disk: its permission may come too late.
            State::Armed | State::Calling if is_held && self.call.is_none() => self.expires_at(),
            State::Waiting { until, why: WaitReason::Yield } => {
                // Whoever has the room is asked; time says only when it is too late.
                self.expires_at().map_or(Some(until), |expires| Some(expires.min(until)))
            }
            State::Waiting { until, .. } => Some(until),
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
            End::Media(end) if occurrence.task_id.is_none() => Some(end),
            End::Open | End::Never if occurrence.task_id.is_none() => {
                occurrence.on_air_at.and_then(|since| since.checked_add(UNKNOWN_TASK_MAX).ok())
            }
            End::Media(_) | End::Open | End::Never => None,
        }
    }

    /// When it hands over to itself, because the cloud would end its task before its end.
    fn renew_at(&self) -> Option<Timestamp> {
        let bound = self.bound.filter(|_| self.occurrence.task_id.is_some())?;
        let goes_on = self.occurrence.end.at().is_none_or(|end| bound < end);
        goes_on.then(|| bound - RENEW_AHEAD)
    }

    /// When the media of a task should have played out, where that is the end of its occurrence. A late start that plays from the
    /// beginning ends later by as much.
    pub(super) fn media_end(&self, sent_at: Timestamp) -> Option<Timestamp> {
        let occurrence = &self.occurrence;
        let End::Media(end) = occurrence.end else { return None };
        let late = sent_at.duration_since(occurrence.key.start);
        let starts_over = occurrence.policy.late == Late::Restart && occurrence.on_air_at.is_none() && late > LATE_AFTER;
        Some(if starts_over { end.checked_add(late).unwrap_or(Timestamp::MAX) } else { end })
    }
}

impl Desk {
    /// Asks the call of an occurrence to stay. True: nothing was sent, and nothing will be.
    pub(super) fn take_back(&mut self, turn: &mut Turn<'_>, key: &Key) -> Result<bool, LedgerError> {
        let Some(live) = self.live.get_mut(key) else { return Ok(false) };
        match &live.call {
            Some(call) if !call.leave.take_back() => return Ok(false),
            Some(call) => turn.unsent(call.row)?,
            None => {}
        }
        live.call = None;
        Ok(live.is_claimed())
    }

    /// Takes back every start that was not sent. Answers the earliest start of a row that went. What should have begun by now, a
    /// late claim or a start that waits for its room, keeps its row, and waits: the cursor may stay past its start.
    pub(super) fn take_back_unsent(&mut self, turn: &mut Turn<'_>, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        let keys: Vec<_> = self.live.values().filter(|live| live.is_claimed()).map(|live| live.occurrence.key.clone()).collect();
        let mut earliest: Option<Timestamp> = None;
        for key in keys {
            if !self.take_back(turn, &key)? {
                continue;
            }
            let occurrence = &self.live[&key].occurrence;
            if occurrence.state == State::Armed && !occurrence.joined && key.start >= now {
                turn.remove(&key)?;
                self.take_off(&key);
                earliest = Some(earliest.map_or(key.start, |start| start.min(key.start)));
            } else {
                self.happen(turn, &key, Event::Postponed, now)?;
            }
        }
        Ok(earliest)
    }

    /// What was claimed in this turn could not be written, so it is not sent until it can be.
    pub(super) fn hold_back_claims(&mut self, reason: MissedReason) {
        for live in self.live.values_mut().filter(|live| live.is_claimed() && live.call.is_none()) {
            live.held_back = Some(reason);
        }
    }

    /// Whether a start was sent whose answer has not come.
    pub(super) fn awaits_answers(&self) -> bool {
        self.live.values().any(Live::awaits_answer)
    }

    /// The first armed start at or after `from`.
    pub(super) fn next_armed(&self, from: Timestamp) -> Option<Timestamp> {
        let armed = self.live.values().filter(|live| live.occurrence.state == State::Armed);
        armed.map(|live| live.occurrence.key.start).find(|start| *start >= from)
    }

    /// How many starts are armed for `[from, to)`.
    pub(super) fn armed_between(&self, from: Timestamp, to: Timestamp) -> usize {
        let armed = self.live.values().filter(|live| live.occurrence.state == State::Armed);
        armed.filter(|live| (from..to).contains(&live.occurrence.key.start)).count()
    }

    /// Names what stays on air when the daemon ends, and how long it runs.
    pub(super) fn say_what_stays(&mut self, now: Timestamp) {
        let on_air = self.live.values().filter(|live| matches!(live.occurrence.state, State::OnAir | State::Stopping { .. }));
        let lines: BTreeMap<_, _> = on_air
            .map(|live| {
                let until = live
                    .occurrence
                    .end
                    .at()
                    .map_or("with no planned end".to_owned(), |end| format!("until {end} if a daemon is there to stop it"));
                let bound =
                    live.bound.map_or("it has no bound in the cloud".to_owned(), |bound| format!("the cloud ends it at {bound}"));
                (live.occurrence.key.clone(), format!("stays on air in room {} {until}; {bound}", live.occurrence.playout.room))
            })
            .collect();
        for (key, text) in lines {
            self.say(now, &key, Weight::Info, text);
        }
    }
}
