//! One task that TRTC runs for us: when to describe it, when to stop it, when to count it as gone or as not seen. A stop belongs
//! to the task, and goes on after its occurrence is done. Does not know sockets and the ledger; `now` is an argument.

use jiff::{SignedDuration, Timestamp};

use super::{Key, TaskEvent, TaskFault, TaskStep};
use crate::trtc::{Answer, Destination, Fault, Room, TaskStatus};

/// Gone is NotExist twice, this far apart.
const CONFIRM_GONE_AFTER: SignedDuration = SignedDuration::from_secs(2);
/// A task this young does not count as gone: the vendor's own view of it may lag behind its start.
const TOO_YOUNG: SignedDuration = SignedDuration::from_secs(10);
/// When a task is looked at first: an accepting answer does not say that it plays.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(5);
/// A task that is not seen for so long, or for three watch periods if that is longer, is told.
const UNSEEN_AFTER: SignedDuration = SignedDuration::from_secs(90);
/// Media that runs over its length by this much is stopped.
const OVERRUN: SignedDuration = SignedDuration::from_secs(30);
/// When media that should be over is looked at, after its end: the endpoint calls a task `InProgress` while it idles.
const LOOKS_AT_END: [SignedDuration; 5] =
    [SignedDuration::ZERO, SignedDuration::from_secs(3), SignedDuration::from_secs(8), SignedDuration::from_secs(15), OVERRUN];
/// A stop that takes longer raises an alert. One that was accepted is sent again if the task still runs so long after it.
const ALERT_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// A task whose stop is refused is looked at so long after each stop.
const LOOK_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// A loop that could not be stopped counts as gone this long after its MaxDuration.
const BOUND_SLACK: SignedDuration = SignedDuration::from_mins(2);
/// A task whose stop was accepted counts as gone after this time if nobody can say whether it still runs.
const UNVERIFIED_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// But only after so many tries: a daemon that comes back late must ask the endpoint first.
const TRIES_BEFORE_BELIEF: u32 = 2;

/// A Describe says that there is no such task.
const IS_MISSING: TaskEvent = TaskEvent::Described(TaskStatus::NotExist);

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskPhase {
    /// On air, and described from time to time.
    Watched {
        /// When NotExist was first seen, if the last answer was that.
        missing_since: Option<Timestamp>,
    },
    /// It must be stopped.
    StopWanted {
        /// Since when.
        since: Timestamp,
        /// Stops sent.
        tries: u32,
    },
    /// Its stop was accepted; Describe has not said NotExist yet.
    Verifying {
        /// When the newest stop was accepted.
        stopped_at: Timestamp,
        /// Describes sent since.
        tries: u32,
    },
    /// Off the air.
    Gone {
        /// Since when, as far as we know.
        at: Timestamp,
        /// False when only time says so.
        verified: bool,
    },
}

/// The look at a task whose stop does not come through: the stop may be refused for ever, and the task end by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// The next request is a stop.
    #[default]
    NotNext,
    /// The next request is a describe; the stop after it is sent then.
    Next(Timestamp),
    /// The same, and the last one said NotExist, first at the first of these instants.
    Missing(Timestamp, Timestamp),
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its row in the ledger.
    pub row: i64,
    /// The opaque handle.
    pub task_id: String,
    /// Whose account, application and region.
    pub destination: Destination,
    /// Where it plays.
    pub room: Room,
    /// The occurrence it was started for.
    pub key: Key,
    /// Its robot: a later start of the same robot must know that it is still there.
    pub robot: String,
    /// When its start was accepted.
    pub started_at: Timestamp,
    /// When the cloud ends it by itself, if it is a loop.
    pub bound: Option<Timestamp>,
    /// When its media should end, if that is its end.
    pub media_end: Option<Timestamp>,
    /// Where it stands.
    pub phase: TaskPhase,
    /// When to do the next thing; nothing is under way until then.
    pub next_at: Timestamp,
    /// Whether its alert was raised.
    pub alerted: bool,
    /// Since when it has to be stopped, if it ever had to: then the stop ended it, and not the media.
    pub stop_wanted_at: Option<Timestamp>,
    /// When it was last known to run: its accepting answer, then each Describe that said so. The ledger has the newest of them that
    /// was worth a write.
    pub seen_at: Timestamp,
    /// Since when this daemon watches it.
    pub watched_from: Timestamp,
    /// Since when this daemon has it.
    pub taken_at: Timestamp,
    /// Whether a Describe or a callback ever said that it runs.
    pub was_seen: bool,
    /// Whether it has not been seen for too long. Then `seen_at` is since when.
    pub is_unseen: bool,
    /// Since when the vendor cannot pull its media, by the vendor's clock.
    pub unpulled_at: Option<Timestamp>,
    /// What its stops fail with.
    pub stop_fault: Option<TaskFault>,
    /// What its describes fail with.
    pub describe_fault: Option<TaskFault>,
    /// Whether it is looked at next, while its stop fails.
    pub look: Look,
}

impl Task {
    /// Whether it may still have media on air: no stop was accepted.
    pub fn may_play(&self) -> bool {
        matches!(self.phase, TaskPhase::Watched { .. } | TaskPhase::StopWanted { .. })
    }

    /// Whether it is over: nothing more must be done for it.
    pub fn is_gone(&self) -> bool {
        matches!(self.phase, TaskPhase::Gone { .. })
    }

    /// Whether it must be stopped and no stop was accepted yet.
    pub fn is_stop_wanted(&self) -> bool {
        matches!(self.phase, TaskPhase::StopWanted { .. })
    }

    /// Whether it is described from time to time, as what is on air is.
    pub fn is_watched(&self) -> bool {
        matches!(self.phase, TaskPhase::Watched { .. })
    }

    /// Since when its stop is owed, if it is.
    pub fn stop_owed_since(&self) -> Option<Timestamp> {
        let (TaskPhase::StopWanted { since, .. } | TaskPhase::Verifying { stopped_at: since, .. }) = self.phase else {
            return None;
        };
        Some(self.stop_wanted_at.map_or(since, |wanted| wanted.min(since)))
    }

    /// Whether a stop was accepted, and it was seen to run after that.
    pub fn outlives_stop(&self) -> bool {
        match self.phase {
            TaskPhase::Verifying { stopped_at, .. } => self.seen_at > stopped_at,
            // It is wanted again since the stop that was accepted.
            TaskPhase::StopWanted { since, .. } => self.stop_wanted_at.is_some_and(|wanted| wanted < since) && self.seen_at > since,
            TaskPhase::Watched { .. } | TaskPhase::Gone { .. } => false,
        }
    }

    /// Its stop may succeed now: it is sent next, without a look before.
    pub fn hurry_stop(&mut self, now: Timestamp) {
        self.next_at = self.next_at.min(now);
        self.look = Look::NotNext;
    }

    /// A daemon takes it over.
    pub fn take_over(&mut self, now: Timestamp) {
        (self.next_at, self.watched_from, self.taken_at) = (now, now, now);
    }

    /// Returns what to do when `next_at` has come; `None` when the task is given up.
    pub fn due(&mut self, now: Timestamp) -> Option<TaskStep> {
        if let Some(at) = self.given_up(now) {
            self.phase = TaskPhase::Gone { at, verified: false };
            return None;
        }
        match &mut self.phase {
            TaskPhase::Watched { .. } => Some(TaskStep::Describe),
            TaskPhase::StopWanted { .. } if self.look != Look::NotNext => Some(TaskStep::Describe),
            TaskPhase::StopWanted { tries, .. } => {
                *tries += 1;
                Some(TaskStep::Stop)
            }
            TaskPhase::Verifying { tries, .. } => {
                *tries += 1;
                Some(TaskStep::Describe)
            }
            TaskPhase::Gone { .. } => None,
        }
    }

    /// When it ended, if nobody can say and enough time has passed. While the endpoint says that it runs, time proves nothing.
    ///
    /// Nor does time prove anything that passed before this daemon asked: it may have been measured by a clock that was wrong.
    fn given_up(&self, now: Timestamp) -> Option<Timestamp> {
        let (TaskPhase::StopWanted { tries, since } | TaskPhase::Verifying { tries, stopped_at: since }) = self.phase else {
            return None;
        };
        if tries < TRIES_BEFORE_BELIEF {
            return None;
        }
        let asked_from = since.max(self.seen_at).max(self.taken_at);
        let is_silent = |from: Timestamp, long: SignedDuration| now.duration_since(from.max(asked_from)) >= long;
        let end = |at: Timestamp| if self.seen_at > at { now } else { at };
        match (self.bound, self.phase) {
            (Some(bound), _) if is_silent(bound, BOUND_SLACK) => Some(end(bound)),
            (_, TaskPhase::Verifying { stopped_at, .. }) if is_silent(stopped_at, UNVERIFIED_AFTER) => Some(end(stopped_at)),
            _ => None,
        }
    }

    /// Takes in an answer: what it fails with, and what it says.
    pub fn answered(&mut self, step: TaskStep, answer: &Answer, watch_period: SignedDuration, now: Timestamp) {
        let event = step.answered(answer);
        let slot = match step {
            TaskStep::Stop => &mut self.stop_fault,
            TaskStep::Describe => &mut self.describe_fault,
        };
        *slot = match (event, &answer.result) {
            (TaskEvent::Failed(_), Err(fault)) => Some(TaskFault::of(step, fault, slot.as_ref(), now)),
            (TaskEvent::Failed(_), Ok(_)) => {
                let fault = Fault::NotAnEnvelope("the answer of another action".to_owned());
                Some(TaskFault::of(step, &fault, slot.as_ref(), now))
            }
            _ => None,
        };
        self.take(event, watch_period, now);
    }

    /// Applies an event. `watch_period` is the time between two describes of a task on air.
    pub fn take(&mut self, event: TaskEvent, watch_period: SignedDuration, now: Timestamp) {
        if event == TaskEvent::Described(TaskStatus::InProgress) {
            (self.seen_at, self.was_seen, self.is_unseen) = (now, true, false);
        }
        self.phase = match (self.phase, event) {
            (TaskPhase::Watched { .. }, TaskEvent::StopWanted) => TaskPhase::StopWanted { since: now, tries: 0 },
            (TaskPhase::Watched { missing_since }, TaskEvent::Described(TaskStatus::NotExist)) => match missing_since {
                Some(since) if self.is_confirmed(since, now) => TaskPhase::Gone { at: since, verified: true },
                Some(since) => TaskPhase::Watched { missing_since: Some(since) },
                None => TaskPhase::Watched { missing_since: Some(now) },
            },
            // Media that should be over is stopped if it still runs, and if nobody can say whether it does.
            (TaskPhase::Watched { .. }, TaskEvent::Described(TaskStatus::InProgress) | TaskEvent::Failed(TaskStep::Describe))
                if self.media_end.is_some_and(|end| now.duration_since(end) >= OVERRUN) =>
            {
                TaskPhase::StopWanted { since: now, tries: 0 }
            }
            (TaskPhase::Watched { .. }, TaskEvent::Described(TaskStatus::InProgress)) => TaskPhase::Watched { missing_since: None },
            // A stop that was sent before may still be under way when the next one is answered: either is enough.
            (TaskPhase::StopWanted { .. }, TaskEvent::Stopped) => TaskPhase::Verifying { stopped_at: now, tries: 0 },
            (TaskPhase::StopWanted { since, tries }, TaskEvent::Described(TaskStatus::NotExist)) => match self.look {
                Look::Missing(missing, _) if self.is_confirmed(missing, now) => TaskPhase::Gone { at: missing, verified: true },
                _ => TaskPhase::StopWanted { since, tries },
            },
            // Its stop was accepted, and had no effect. No answer now does not put the next stop off.
            (
                TaskPhase::Verifying { stopped_at, .. },
                TaskEvent::Described(TaskStatus::InProgress) | TaskEvent::Failed(TaskStep::Describe),
            ) if is_slow(stopped_at, now) && self.seen_at > stopped_at => TaskPhase::StopWanted { since: stopped_at, tries: 1 },
            (TaskPhase::Verifying { stopped_at, .. }, TaskEvent::Described(TaskStatus::NotExist)) => {
                // Its end lies between the last time that it was seen and now. It was gone by its bound at the latest, even if we
                // asked later.
                let at = if self.seen_at > stopped_at { now } else { stopped_at };
                TaskPhase::Gone { at: self.bound.map_or(at, |bound| bound.max(self.seen_at).min(at)), verified: true }
            }
            (phase, _) => phase,
        };
        if self.is_stop_wanted() {
            self.stop_wanted_at.get_or_insert(now);
            self.is_unseen = false;
        }
        self.next_at = self.next(event, watch_period, now);
        self.look = self.next_look(event, now);
    }

    /// Whether NotExist, seen first at `since` and again now, means that it is gone.
    fn is_confirmed(&self, since: Timestamp, now: Timestamp) -> bool {
        now.duration_since(since) >= CONFIRM_GONE_AFTER && !self.is_young(now)
    }

    /// Whether it has just begun. One that begins in the future by a clock that was set is not young.
    fn is_young(&self, now: Timestamp) -> bool {
        now.duration_since(self.started_at).abs() < TOO_YOUNG
    }

    /// Whether to tell now that it has not been seen for too long; that is told once.
    pub fn unseen_due(&mut self, watch_period: SignedDuration, now: Timestamp) -> bool {
        let due = self.unseen_at(watch_period).is_some_and(|at| at <= now);
        self.is_unseen |= due;
        due
    }

    /// When it will not have been seen for too long; `None`: that was told, or it is not watched.
    pub fn unseen_at(&self, watch_period: SignedDuration) -> Option<Timestamp> {
        let patience = UNSEEN_AFTER.max(watch_period * 3);
        // One that may be gone is looked at again within seconds.
        let is_waiting = self.phase == TaskPhase::Watched { missing_since: None } && !self.is_unseen;
        let from = Some(self.seen_at.max(self.watched_from)).filter(|_| is_waiting)?;
        from.checked_add(patience).ok()
    }

    /// Whether to raise its alert now; it is raised once.
    pub fn alert_due(&mut self, now: Timestamp) -> bool {
        let is_long = self.stop_owed_since().is_some_and(|since| now.duration_since(since) >= ALERT_AFTER);
        let due = !self.alerted && is_long;
        self.alerted |= due;
        due
    }

    fn next(&self, event: TaskEvent, watch_period: SignedDuration, now: Timestamp) -> Timestamp {
        if self.is_stop_wanted()
            && let Look::Next(stop_at) | Look::Missing(_, stop_at) = self.look
        {
            return if event == IS_MISSING { now + CONFIRM_GONE_AFTER } else { stop_at.max(now) };
        }
        let wait = match self.phase {
            TaskPhase::Watched { missing_since: Some(_) } => {
                let again = now + CONFIRM_GONE_AFTER;
                return if self.is_young(now) { again.max(self.started_at + TOO_YOUNG) } else { again };
            }
            TaskPhase::Watched { missing_since: None } => return self.next_watch(watch_period, now),
            TaskPhase::StopWanted { since, tries } if event == TaskEvent::Failed(TaskStep::Stop) => {
                let wait = backoff(since, tries, now);
                if is_slow(since, now) { wait - LOOK_AFTER } else { wait }
            }
            TaskPhase::Verifying { stopped_at, tries } => {
                let wait = backoff(stopped_at, tries, now);
                // What a stop without effect needs is the next stop, a minute later.
                let to_next_stop = ALERT_AFTER - now.duration_since(stopped_at);
                if to_next_stop.is_positive() { wait.min(to_next_stop) } else { wait }
            }
            TaskPhase::StopWanted { .. } | TaskPhase::Gone { .. } => SignedDuration::ZERO,
        };
        now + wait
    }

    /// Between the stops of a task that refuses to stop, once a minute, it is looked at.
    fn next_look(&self, event: TaskEvent, now: Timestamp) -> Look {
        match (self.phase, event, self.look) {
            (TaskPhase::StopWanted { since, tries }, TaskEvent::Failed(TaskStep::Stop), _) if is_slow(since, now) => {
                Look::Next(now + backoff(since, tries, now))
            }
            (TaskPhase::StopWanted { .. }, IS_MISSING, Look::Next(stop_at)) => Look::Missing(now, stop_at),
            (TaskPhase::StopWanted { .. }, IS_MISSING, look @ Look::Missing(..)) => look,
            _ => Look::NotNext,
        }
    }

    fn next_watch(&self, watch_period: SignedDuration, now: Timestamp) -> Timestamp {
        let periodic = now + watch_period;
        let looks = |end: Timestamp| LOOKS_AT_END.iter().filter_map(move |after| end.checked_add(*after).ok());
        let media = self.media_end.into_iter().flat_map(looks).find(|at| *at > now);
        media.map_or(periodic, |at| at.min(periodic))
    }

    /// The first watch of a task that has just started, for a show that ends at `end`: one that is short is looked at half-way, or
    /// nobody could say that it was on air.
    pub fn first_watch(&self, end: Option<Timestamp>) -> Timestamp {
        let half = end.map_or(FIRST_LOOK, |end| end.duration_since(self.started_at) / 2);
        self.next_watch(half.clamp(SignedDuration::ZERO, FIRST_LOOK), self.started_at)
    }
}

/// Whether what is tried since then is tried once a minute.
fn is_slow(since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) >= ALERT_AFTER
}

/// 1, 2, 4 ... 30 s between tries; a minute once the first minute is over.
fn backoff(since: Timestamp, tries: u32, now: Timestamp) -> SignedDuration {
    if is_slow(since, now) {
        return SignedDuration::from_mins(1);
    }
    SignedDuration::from_secs((1_i64 << tries.saturating_sub(1).min(5)).min(30))
}
