//! A task that vanished: whether that was the end of the show or a loss, and how fast it is put on air again. Does not
//! know how it was noticed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::decide::finish;
use super::{End, Failure, Occurrence, Outcome, State, WaitReason, signed};
use crate::trtc::Repeat;

/// The number of heals within ten minutes that are made at once; after these there is one try a minute.
pub const HEALS_FAST: usize = 5;

/// The time in which heals are counted.
const HEALS_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// The time between tries of a show that keeps vanishing.
pub(super) const PACE: Duration = Duration::from_mins(1);

/// Whether it vanished so often lately that it is tried only once a minute.
pub fn is_paced(occurrence: &Occurrence, now: Timestamp) -> bool {
    recent(&occurrence.heals, now).count() >= HEALS_FAST
}

fn recent(heals: &[Timestamp], now: Timestamp) -> impl Iterator<Item = Timestamp> {
    // A heal in the future was made before the clock was set back: it counts as recent.
    heals.iter().copied().filter(move |at| now.duration_since(*at) < HEALS_WITHIN)
}

/// Its task vanished at `at`: it is put on air again, or it is over.
pub(super) fn apply_loss(next: &mut Occurrence, at: Timestamp, now: Timestamp) -> State {
    let outcome = match end_of(next, at) {
        Some(outcome) => outcome,
        None if next.policy.heal && next.closes_after_loss(at).is_none_or(|closes| now <= closes) => {
            next.lost_at = Some(at);
            let is_paced = is_paced(next, now);
            if !is_paced {
                let mut heals: Vec<_> = recent(&next.heals, now).collect();
                heals.push(now);
                next.heals = heals;
            }
            let until = if is_paced { now + signed(PACE) } else { now };
            return State::Waiting { until, why: WaitReason::Restart };
        }
        None if next.end == End::Open => Outcome::EndedMedia,
        None => Outcome::Failed(Failure::Lost),
    };
    finish(next, outcome, at)
}

/// The outcome at its end.
pub(super) fn ended(occurrence: &Occurrence) -> Outcome {
    match occurrence.end {
        // The end of a fallback does not follow from it.
        End::Media(_) if !occurrence.plays_fallback() => Outcome::EndedMedia,
        End::Open if occurrence.plays_fallback() => Outcome::EndedMedia,
        End::Media(_) | End::Planned(_) | End::Open | End::Never => Outcome::EndedPlanned,
    }
}

/// The outcome of a show whose task vanished at `at`, if that was its end; `None`, if it should have gone on. A loop or a live
/// source goes on to the end of its window, except the last stretch, in which no attempt would be made; media may end a
/// little early, by 30 s or 2 % of its window.
fn end_of(occurrence: &Occurrence, at: Timestamp) -> Option<Outcome> {
    let is_endless = occurrence.playout.live || occurrence.playout.repeat == Repeat::Forever;
    match occurrence.end {
        End::Open | End::Never if is_endless => None,
        End::Open | End::Never => Some(Outcome::EndedMedia),
        End::Planned(_) | End::Media(_) if is_endless => {
            let is_over = occurrence.window_closes().is_none_or(|closes| at >= closes);
            is_over.then_some(Outcome::EndedPlanned)
        }
        End::Planned(end) | End::Media(end) => {
            let slack = SignedDuration::from_secs(30).max(end.duration_since(occurrence.key.start) / 50);
            let content_end = occurrence.content_end().map(|content| content.min(end));
            let was_early = content_end.is_some_and(|content| content.duration_since(at) > slack);
            (!was_early).then_some(Outcome::EndedMedia)
        }
    }
}

impl Occurrence {
    /// Until when an attempt to return may leave after a loss at `at`; `None`: no bound.
    fn closes_after_loss(&self, at: Timestamp) -> Option<Timestamp> {
        match self.end {
            End::Open => at.checked_add(self.within_open_end()).ok(),
            End::Planned(_) | End::Media(_) | End::Never => self.window_closes(),
        }
    }
}
