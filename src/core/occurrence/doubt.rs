//! When requests left that may have started a task: a callback is compared with these times. And what such a request may have left
//! on air. Does not decide a doubt.

use jiff::{SignedDuration, Timestamp};

use super::{Key, LONGEST_TASK, Occurrence, State};
use crate::trtc::{Destination, Room};

/// How many doubts of an occurrence are remembered: callbacks come within seconds, and attempts are seconds apart.
pub const DOUBTS_KEPT: usize = 10;

/// How long a task may idle after its media: `IdleTimeout` is at most 600 s (TRTC.md section 1.1).
const IDLE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// A start that was sent, and of which it is not known whether it began a task. Nobody can name that task.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenDoubt {
    /// The occurrence.
    pub key: Key,
    /// The account's application and region.
    pub destination: Destination,
    /// Where the task would play.
    pub room: Room,
    /// Its robot.
    pub robot: String,
    /// When the request left.
    pub sent_at: Timestamp,
    /// When the cloud ends such a task by itself, if it does.
    pub bound: Option<Timestamp>,
    /// Until when such a task may play at most.
    pub until: Timestamp,
    /// Whether a later start was told `TaskExist`: then there is a task.
    pub was_found: bool,
}

impl OpenDoubt {
    /// The doubt about the start of `occurrence` that left at `sent_at`.
    pub fn new(occurrence: &Occurrence, sent_at: Timestamp) -> OpenDoubt {
        let bound = occurrence.bound_if_sent_at(sent_at);
        let late = sent_at.duration_since(occurrence.key.start).max(SignedDuration::ZERO);
        let media = || occurrence.content_end()?.checked_add(late + IDLE_MAX).ok();
        let until = bound.or_else(media).unwrap_or_else(|| later(sent_at, LONGEST_TASK));
        let playout = &occurrence.playout;
        OpenDoubt {
            key: occurrence.key.clone(),
            destination: playout.destination.clone(),
            room: playout.room.clone(),
            robot: playout.robot.clone(),
            sent_at,
            bound,
            until,
            was_found: false,
        }
    }

    /// The same after the clock was set.
    #[must_use]
    pub fn moved(mut self, by: SignedDuration) -> OpenDoubt {
        self.sent_at = later(self.sent_at, by);
        self.bound = self.bound.map(|bound| later(bound, by));
        self.until = later(self.until, by);
        self
    }

    /// What may play by the starts of one occurrence that are in doubt, oldest first: where, and until when, in words. Nothing for none. `show` writes
    /// an instant.
    pub fn describe(doubts: &[&OpenDoubt], show: impl Fn(Timestamp) -> String) -> Option<String> {
        let first = doubts.first()?;
        let last = doubts.iter().max_by_key(|doubt| doubt.until)?;
        let OpenDoubt { room, robot, sent_at, bound, until, .. } = last;
        let was_found = doubts.iter().any(|doubt| doubt.was_found);
        let task = if was_found { "its task has no known TaskId, and" } else { "a task that nobody can name" };
        let starts = match doubts.len() {
            1 => format!("no answer proves whether a start sent at {} began", show(*sent_at)),
            count => format!("no answer proves whether {count} starts, the first sent at {}, began", show(first.sent_at)),
        };
        let until = match bound {
            Some(bound) => format!("the cloud ends it by {}", show(*bound)),
            None if until.duration_since(*sent_at) < LONGEST_TASK => format!("it ends with its media, by {}", show(*until)),
            None => "it has no bound in the cloud".to_owned(),
        };
        Some(format!("{starts}: {task} may play in room {room} as robot {robot}; {until}"))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

impl Occurrence {
    /// Records that a request that left at `sent_at` may have started a task.
    pub(crate) fn doubt(&mut self, sent_at: Timestamp) {
        self.in_doubt = true;
        self.was_in_doubt = true;
        self.doubts.push(sent_at);
        if self.doubts.len() > DOUBTS_KEPT {
            self.doubts.remove(0);
        }
    }

    /// Moves the recorded times after the clock was set. `is_under_way`: a request has left that is not answered.
    /// Returns whether a time was moved.
    pub fn move_sent(&mut self, by: SignedDuration, is_under_way: bool) -> bool {
        let mut times: Vec<&mut Timestamp> = self.doubts.iter_mut().collect();
        // An attempt that has not left yet leaves by the new clock.
        if is_under_way || !matches!(self.state, State::Armed | State::Calling) {
            times.extend(&mut self.tried_at);
        }
        times.extend(self.fallback.trouble.as_mut().map(|trouble| &mut trouble.since));
        for at in &mut times {
            **at = at.checked_add(by).unwrap_or(**at);
        }
        !times.is_empty()
    }
}
