//! What shows that an occurrence was on air, beside the answer that accepted its start: that answer says that a task was made, and
//! not that it played. Does not know requests and callbacks.

use jiff::Timestamp;

use super::{Occurrence, Outcome, State, Task, TaskFault, TaskStep};
use crate::words::words;

/// A show whose tasks vanish so often, one after the other and each before it was seen, is trouble.
pub const UNSEEN_LOSSES_MAX: u32 = 2;

/// The best that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A callback said that the media plays: 701 with status 0.
    Confirmed,
    /// A Describe said `InProgress`.
    Seen,
    /// A callback said that the media cannot be pulled, 701 with status 1, and nothing took that back.
    Unpulled,
    /// Its start was accepted, and nothing more was ever said.
    Unseen,
}

words!(Evidence { Confirmed = "confirmed", Seen = "seen", Unpulled = "unpulled", Unseen = "unseen" });

impl Occurrence {
    /// The occurrence after a look at one of its tasks: what was seen, and what is wrong with the requests for it. Repeats of a
    /// fault change nothing, unless they are worth a write.
    #[must_use]
    pub fn with_task(&self, task: &Task) -> Occurrence {
        let mut next = self.clone();
        let is_current = self.task_id.as_ref() == Some(&task.task_id);
        if is_current && task.was_seen && task.unpulled_at.is_none() && self.on_air_at.is_some() {
            next.unseen_losses = 0;
            if self.evidence != Some(Evidence::Confirmed) {
                next.evidence = Some(Evidence::Seen);
            }
        }
        let of_describe = |fault: &TaskFault| fault.step == TaskStep::Describe;
        match task.stop_fault.as_ref().or(task.describe_fault.as_ref().filter(|_| is_current)) {
            Some(fault) if fault.is_news(self.task_fault.as_ref()) => next.task_fault = Some(fault.clone()),
            // What a stop was refused with stays, as a note. What a look was refused with is over when there is a look.
            None if is_current => drop(next.task_fault.take_if(|fault| of_describe(fault))),
            Some(_) | None => {}
        }
        next
    }

    /// A callback said `at` that its media plays.
    pub fn confirm(&mut self, at: Timestamp) {
        self.confirmed_at.get_or_insert(at);
        self.evidence = Some(Evidence::Confirmed);
        self.unseen_losses = 0;
    }

    /// A callback said that the media of its newest task cannot be pulled. What an earlier task showed stands.
    pub fn cannot_be_pulled(&mut self) {
        let is_known = match self.evidence {
            Some(Evidence::Confirmed) => true,
            Some(Evidence::Seen) => self.restarts > 0,
            Some(Evidence::Unpulled | Evidence::Unseen) | None => false,
        };
        if !is_known {
            self.evidence = Some(Evidence::Unpulled);
        }
    }

    /// What must be said beside an outcome that sounds as if it had been on air; `None`: it was seen, or the outcome says it, or
    /// the ledger does not know.
    pub fn evidence_note(&self) -> Option<&'static str> {
        match &self.state {
            State::Done {
                outcome:
                    Outcome::EndedPlanned
                    | Outcome::EndedMedia
                    | Outcome::CutOperator
                    | Outcome::CutPreempted
                    | Outcome::CutRemoved
                    | Outcome::CutEdited,
            } => {}
            _ => return None,
        }
        self.on_air_at?;
        match self.evidence? {
            Evidence::Unpulled => Some("its media could not be pulled"),
            Evidence::Unseen => Some("never seen on air"),
            Evidence::Confirmed | Evidence::Seen => None,
        }
    }
}
