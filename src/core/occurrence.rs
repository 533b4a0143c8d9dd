//! One planned showing: what it is, the request that puts it on air at an instant, and its state machine. Pure: `now`
//! is an argument, and effects are values. Does not know sockets, the ledger's tables and YAML.

mod answer;
mod decide;
mod displacement;
mod doubt;
mod evidence;
mod fallback;
mod loss;
mod orphan;
mod outcome;
mod playout;
mod request;
mod retry;
mod returned;
mod task;
mod task_clock;
mod task_fault;
mod task_step;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub(crate) use decide::HAND_OVER_MAX;
pub use decide::{Event, IllegalTransition, NotSent, decide};
pub use displacement::{displaced_by, play_together};
pub use doubt::{DOUBTS_KEPT, OpenDoubt};
pub use evidence::{Evidence, UNSEEN_LOSSES_MAX};
pub use fallback::{FallbackReason, FallbackRecord, KnownMedia, Played, Source, StreamTrouble, plays};
pub use loss::{HEALS_FAST, is_paced};
pub use orphan::Orphan;
pub use outcome::{Failure, MissedReason, Outcome, SkippedReason};
pub use playout::{Playout, Replaced, Target};
pub use request::{ContentOver, LATE_AFTER, LONGEST_TASK, MAX_DURATION_MINUTES, start_request};
pub use retry::delay;
pub use task::{Look, Task, TaskPhase};
pub use task_fault::TaskFault;
pub use task_step::{TaskEvent, TaskStep};
pub use verdict::describe as describe_fault;
pub use verdict::{Judgement, Pace, Remedy, Verdict, classify, remedy};

pub use crate::plan::End;
pub use crate::plan::precedence::Displacement;
pub use crate::schedule::Policy;
use crate::schedule::{JobId, OPEN_START_WITHIN};
use crate::trtc::{Repeat, Tempo};
use crate::words::words;

/// The name of an occurrence. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The planned start. First, so that keys sort by time.
    pub start: Timestamp,
    /// The job.
    pub job: JobId,
}

impl std::fmt::Display for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.job, self.start)
    }
}

/// Why there is a row for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The schedule planned it.
    Planned,
    /// An operator started it.
    Fired,
    /// It stands for `count` planned ones that were missed alike.
    Summary,
}

words!(Kind { Planned = "planned", Fired = "fired", Summary = "summary" });

/// Why an occurrence waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// For its next attempt.
    Retry,
    /// For the room, which another occurrence has.
    Yield,
    /// To be put on air again after it vanished.
    Restart,
}

words!(WaitReason { Retry = "retry", Yield = "yield", Restart = "restart" });

/// Where an occurrence stands (DESIGN section 6). Each state carries exactly what exists in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Claimed; its call waits for the start, or has been sent. Counts as attempt 1.
    Armed,
    /// A later attempt was claimed; its call may have been sent.
    Calling,
    /// Waits.
    Waiting {
        /// Until when.
        until: Timestamp,
        /// For what.
        why: WaitReason,
    },
    /// A task runs, or is taken to run.
    OnAir,
    /// Its end has come; its task must be stopped.
    Stopping {
        /// Its outcome when the stop is verified or given up: `ended` or `cut`.
        outcome: Outcome,
    },
    /// Over.
    Done {
        /// How.
        outcome: Outcome,
    },
}

impl State {
    /// As the ledger and our JSON write it.
    pub fn name(&self) -> &'static str {
        match self {
            State::Armed => "armed",
            State::Calling => "calling",
            State::Waiting { .. } => "waiting",
            State::OnAir => "on_air",
            State::Stopping { .. } => "stopping",
            State::Done { .. } => "done",
        }
    }

    /// The state of a name: the way back from the ledger. `wait` is until when it waits and for what, `outcome` is the outcome that
    /// it has or will have. `None`: no state has this name, or what that state carries is missing.
    pub fn from_parts(name: &str, wait: Option<(Timestamp, WaitReason)>, outcome: Option<Outcome>) -> Option<State> {
        let states = [
            Some(State::Armed),
            Some(State::Calling),
            wait.map(|(until, why)| State::Waiting { until, why }),
            Some(State::OnAir),
            outcome.clone().map(|outcome| State::Stopping { outcome }),
            outcome.map(|outcome| State::Done { outcome }),
        ];
        states.into_iter().flatten().find(|state| state.name() == name)
    }
}

/// What an occurrence was before a callback named its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It waited, in doubt, and was never on air.
    FromWaiting,
    /// It waited to return, in doubt.
    FromRestart,
    /// It was on air without a TaskId.
    FromOnAir,
}

words!(Adopted { FromWaiting = "waiting", FromRestart = "restart", FromOnAir = "on_air" });

/// The last fault, for people and for the outcome's reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastFault {
    /// The vendor's code, if there was one.
    pub code: Option<String>,
    /// Its message, or ours.
    pub message: String,
    /// How many times in a row this fault came.
    pub in_a_row: u32,
}

/// An occurrence with all that is known of it: one row of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// Its name.
    pub key: Key,
    /// Why there is a row for it.
    pub kind: Kind,
    /// How many it stands for; more than 1 only for summaries.
    pub count: u32,
    /// Its end.
    pub end: End,
    /// What is played.
    pub playout: Playout,
    /// Its rules.
    pub policy: Policy,
    /// The schedule it came from.
    pub generation: i64,
    /// Where it stands.
    pub state: State,
    /// All start requests claimed so far.
    pub attempts: u32,
    /// Start requests claimed for the current start or restart.
    pub tries: u32,
    /// Times it was put on air again.
    pub restarts: u32,
    /// Whether a start of it was ever in doubt.
    pub was_in_doubt: bool,
    /// Whether one is in doubt now: it may be on air.
    pub in_doubt: bool,
    /// Whether its first attempt was made for a window that was open already and had no row: a task may run from before.
    pub joined: bool,
    /// Since when `TaskExist` has been somebody else's.
    pub exists_since: Option<Timestamp>,
    /// When the first request was sent.
    pub first_sent_at: Option<Timestamp>,
    /// When the accepting answer came.
    pub on_air_at: Option<Timestamp>,
    /// When it went off the air, or was given up.
    pub ended_at: Option<Timestamp>,
    /// The outcome it is to have as soon as the attempt under way is answered: somebody wanted it off the air meanwhile.
    pub wanted: Option<Outcome>,
    /// When the newest attempt was sent, or was to be: what a callback about a doubt is held against.
    pub tried_at: Option<Timestamp>,
    /// When requests of it were sent that may have begun something: the last few.
    pub doubts: Vec<Timestamp>,
    /// Since when it is off the air against the plan, after it was on.
    pub lost_at: Option<Timestamp>,
    /// When it was healed lately, at most [`HEALS_FAST`] of them.
    pub heals: Vec<Timestamp>,
    /// What it was before a callback named its task; none, if an answer did.
    pub adopted: Option<Adopted>,
    /// When a callback confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// What shows that it was on air; none, if it never was, or if an older program wrote the row.
    pub evidence: Option<Evidence>,
    /// How many of its tasks vanished one after the other, each before it was seen.
    pub unseen_losses: u32,
    /// What its task's describes fail with, or what its stops failed with last.
    pub task_fault: Option<TaskFault>,
    /// The TaskId of its newest task.
    pub task_id: Option<String>,
    /// Who gave the order that started it, cut it or held it back, if an order did: `uid 1000 (anna)`.
    pub ordered_by: Option<String>,
    /// The note of that order.
    pub order_note: Option<String>,
    /// What an edit replaced since it was last on air.
    pub replaced: Replaced,
    /// What is remembered of its fallback.
    pub fallback: FallbackRecord,
    /// The last fault.
    pub fault: Option<LastFault>,
    /// The RequestId of the last answer.
    pub request_id: Option<String>,
}

/// No attempt leaves in the last 30 s of a window, or its last quarter if that is less: it would bill more than it plays.
const LAST_STRETCH: SignedDuration = SignedDuration::from_secs(30);

impl Occurrence {
    /// Returns a planned occurrence as it is claimed: armed, with its first attempt, and nothing known of it yet.
    pub fn armed(key: Key, end: End, playout: Playout, policy: Policy, generation: i64) -> Occurrence {
        Occurrence {
            key,
            kind: Kind::Planned,
            count: 1,
            end,
            playout,
            policy,
            generation,
            state: State::Armed,
            attempts: 1,
            tries: 1,
            restarts: 0,
            was_in_doubt: false,
            in_doubt: false,
            joined: false,
            exists_since: None,
            first_sent_at: None,
            on_air_at: None,
            ended_at: None,
            wanted: None,
            tried_at: None,
            doubts: Vec::new(),
            lost_at: None,
            heals: Vec::new(),
            adopted: None,
            confirmed_at: None,
            evidence: None,
            unseen_losses: 0,
            ordered_by: None,
            order_note: None,
            task_fault: None,
            task_id: None,
            replaced: Replaced::Nothing,
            fallback: FallbackRecord::default(),
            fault: None,
            request_id: None,
        }
    }

    /// The last instant at which an attempt may leave as far as the window goes; `None`: no bound.
    pub fn window_closes(&self) -> Option<Timestamp> {
        let end = self.end.at()?;
        let quarter = end.duration_since(self.key.start) / 4;
        Some(end - LAST_STRETCH.min(quarter))
    }

    /// Returns the last instant at which an attempt may leave before it is first on air; `None`: no bound.
    pub fn start_closes(&self) -> Option<Timestamp> {
        match (self.window_closes(), self.start_within_closes()) {
            (Some(window), Some(within)) => Some(window.min(within)),
            (window, within) => window.or(within),
        }
    }

    /// When `start_within` is over; `None`: no such bound.
    pub fn start_within_closes(&self) -> Option<Timestamp> {
        let within = match (self.policy.start_within, self.end) {
            (Some(within), _) => signed(within),
            (None, End::Open) => self.within_open_end(),
            (None, End::Never | End::Planned(_) | End::Media(_)) => return None,
        };
        self.key.start.checked_add(within).ok()
    }

    fn within_open_end(&self) -> SignedDuration {
        signed(self.policy.start_within.unwrap_or(OPEN_START_WITHIN))
    }

    /// Whether an attempt of it may have begun, or did: it cannot be taken back without a trace.
    pub fn may_be_on_air(&self) -> bool {
        self.in_doubt || matches!(self.state, State::OnAir | State::Stopping { .. })
    }

    /// The last instant at which its next attempt may leave.
    pub fn closes(&self) -> Option<Timestamp> {
        match (self.on_air_at, self.end) {
            (None, _) => self.start_closes(),
            (Some(_), End::Open) => self.lost_at.and_then(|lost| lost.checked_add(self.within_open_end()).ok()),
            (Some(_), _) => self.window_closes(),
        }
    }

    /// When media of known length has played out, from an on-time start; `None` for loops, live sources and unknown lengths.
    pub fn content_end(&self) -> Option<Timestamp> {
        let Repeat::Times(plays) = self.playout.repeat else { return None };
        if self.playout.live {
            return None;
        }
        let left = self.playout.length?.checked_mul(plays.into())?.checked_sub(self.playout.seek)?;
        let percent = self.playout.options.tempo.unwrap_or(Tempo::NORMAL).percent();
        let played_ms = (left.as_millis() * 100).div_ceil(percent.into());
        self.key.start.checked_add(SignedDuration::from_millis(i64::try_from(played_ms).ok()?)).ok()
    }

    /// Whether `retry.attempts` allows no further attempt.
    pub fn has_no_tries_left(&self) -> bool {
        let most = self.policy.retry.attempts;
        most > 0 && self.tries >= most
    }

    /// Whether its task may play although it is not on air: it was taken off the air for another show, or to hand over to itself,
    /// and a stop can fail. Who has the tasks knows whether it is gone.
    pub fn may_play_on(&self) -> bool {
        self.on_air_at.is_some() && self.task_id.is_some()
    }

    /// Whether it is over.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }
}

/// Returns an unsigned length as jiff adds it; saturating, since our lengths are far from the limit.
pub fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
