//! Whether the wall clock can be believed (DESIGN section 5, Clock hold): readings go in, a change comes out. Does not know what is
//! held meanwhile.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A clock that is off by so much is not believed.
pub const TOO_MUCH: SignedDuration = SignedDuration::from_mins(10);

/// How long starts wait at most for a clock that nobody has set yet, where the settings want it to be set.
const SYNC_PATIENCE: Duration = Duration::from_mins(5);

/// What the clocks of the host show at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since boot, suspends included.
    pub boot: Duration,
    /// Whether somebody keeps the wall clock right, if anybody knows.
    pub synchronised: Option<bool>,
    /// When that was done last, if anybody knows.
    pub synchronised_at: Option<Timestamp>,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HoldChange {
    /// Starts are held from now on, for this reason.
    Held(String),
    /// The clock is believed again.
    Released,
}

/// Holds the wall clock against time since boot.
pub(super) struct ClockHold {
    /// The wall clock at boot, as last believed: wall minus time since boot.
    believed: SignedDuration,
    reason: Option<String>,
    /// By how much the wall clock was set, as believed since this was asked last. What was measured by it has moved with it.
    moved: SignedDuration,
    /// Whether the clock was doubted from the start: what is recorded was measured by a clock that was right.
    since_boot: bool,
    /// When the clock was synchronised last before it was doubted: only what came after that speaks for it.
    doubted_after: Option<Timestamp>,
    /// Until which time since boot a clock that nobody has set holds starts; `None`: it does not, or is set.
    unset_until: Option<Duration>,
}

impl ClockHold {
    /// Begins with a first reading. `floor`: the clock was that far once, or is from a later time than that.
    pub(super) fn new(first: ClockReading, floor: Timestamp, require_sync: bool) -> ClockHold {
        let is_behind = floor.duration_since(first.wall) >= TOO_MUCH;
        let start = if is_behind { floor } else { first.wall };
        let reason = is_behind.then(|| {
            let by = floor.duration_since(first.wall).as_mins();
            format!(
                "the clock shows {}, {by} min before {floor}, which has passed: set it, or run `ingestd clock confirm`",
                first.wall
            )
        });
        let waits = require_sync && first.synchronised != Some(true);
        let doubted_after = first.synchronised_at;
        ClockHold {
            believed: offset(start, first.boot),
            reason,
            moved: SignedDuration::ZERO,
            since_boot: is_behind,
            doubted_after,
            unset_until: waits.then(|| first.boot + SYNC_PATIENCE),
        }
    }

    /// Compares a reading with what is believed. A small step is believed; the rest of the program copes with it.
    pub(super) fn compare(&mut self, reading: ClockReading) -> Option<HoldChange> {
        let was_held = self.reason().is_some();
        if self.unset_until.is_some_and(|until| reading.synchronised == Some(true) || until <= reading.boot) {
            self.unset_until = None;
        }
        let shown = offset(reading.wall, reading.boot);
        let step = shown - self.believed;
        if step.abs() < TOO_MUCH {
            self.believe(shown);
        } else if self.reason.is_some() {
            let is_new = reading.synchronised_at.is_none() || reading.synchronised_at != self.doubted_after;
            if reading.synchronised == Some(true) && is_new {
                self.confirm(reading);
            }
        } else {
            self.doubted_after = reading.synchronised_at;
            let (by, way) = (step.abs().as_mins(), if step.is_negative() { "back" } else { "forward" });
            let advice = "if it is right now, run `ingestd clock confirm`";
            self.reason = Some(format!("the clock was set {way} by {by} min, to {}: {advice}", reading.wall));
        }
        match (was_held, self.reason()) {
            (false, Some(reason)) => Some(HoldChange::Held(reason.to_owned())),
            (true, None) => Some(HoldChange::Released),
            _ => None,
        }
    }

    /// The clock is right, says somebody who knows.
    pub(super) fn confirm(&mut self, reading: ClockReading) {
        self.believe(offset(reading.wall, reading.boot));
        self.unset_until = None;
    }

    fn believe(&mut self, shown: SignedDuration) {
        if !std::mem::take(&mut self.since_boot) {
            self.moved += shown - self.believed;
        }
        self.believed = shown;
        self.reason = None;
    }

    /// By how much the wall clock was set since this was asked last; `None`: by too little to matter.
    pub(super) fn take_moved(&mut self) -> Option<SignedDuration> {
        let is_much = self.moved.abs() >= SignedDuration::from_secs(1);
        is_much.then(|| std::mem::replace(&mut self.moved, SignedDuration::ZERO))
    }

    /// Why starts are held, if they are.
    pub(super) fn reason(&self) -> Option<&str> {
        let unset = "the clock was not synchronised since the host booted, and `require_sync` waits for that up to 5 min";
        self.reason.as_deref().or(self.unset_until.map(|_| unset))
    }

    /// The time by which streams end: the wall clock, or what it would show had it not been set.
    pub(super) fn now(&self, reading: ClockReading) -> Timestamp {
        if self.reason.is_none() {
            return reading.wall;
        }
        let boot = SignedDuration::try_from(reading.boot).unwrap_or(SignedDuration::MAX);
        Timestamp::from_duration(self.believed + boot).unwrap_or(reading.wall)
    }
}

fn offset(wall: Timestamp, boot: Duration) -> SignedDuration {
    wall.as_duration() - SignedDuration::try_from(boot).unwrap_or(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(wall: &str, boot: u64, synchronised: Option<bool>) -> ClockReading {
        let boot = Duration::from_secs(boot);
        ClockReading { wall: wall.parse().expect("an instant"), boot, synchronised, synchronised_at: None }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_clock_behind_what_is_past_is_held_until_it_comes_back() {
        let first = reading("2020-01-01T00:00:00Z", 100, Some(false));
        let mut hold = ClockHold::new(first, at("2026-11-22T10:00:00Z"), false);
        assert!(hold.reason().is_some_and(|reason| reason.contains("clock confirm")), "{:?}", hold.reason());
        assert_eq!(hold.now(reading("2020-01-01T00:00:05Z", 105, None)), at("2026-11-22T10:00:05Z"));
        assert_eq!(hold.compare(reading("2026-11-22T10:05:00Z", 110, None)), Some(HoldChange::Released));
        assert_eq!(hold.now(reading("2026-11-22T10:05:01Z", 111, None)), at("2026-11-22T10:05:01Z"));
    }

    #[test]
    fn a_large_step_holds_and_a_small_one_does_not() {
        let mut hold = ClockHold::new(reading("2026-11-22T10:00:00Z", 0, None), Timestamp::MIN, false);
        assert_eq!(hold.compare(reading("2026-11-22T10:09:00Z", 60, None)), None, "8 min forward");
        assert_eq!(hold.compare(reading("2026-11-22T10:00:00Z", 60, None)), None, "9 min back");
        let Some(HoldChange::Held(reason)) = hold.compare(reading("2026-11-22T11:00:00Z", 120, None)) else {
            panic!("59 min forward")
        };
        assert!(reason.contains("forward by 59 min"), "{reason}");
        assert_eq!(hold.now(reading("2026-11-22T11:00:00Z", 120, None)), at("2026-11-22T10:01:00Z"));
        assert_eq!(hold.compare(reading("2026-11-22T10:01:30Z", 150, None)), Some(HoldChange::Released), "the offset returned");
    }

    #[test]
    fn what_was_measured_by_the_clock_moves_with_it() {
        let mut hold = ClockHold::new(reading("2026-11-22T10:00:00Z", 0, None), Timestamp::MIN, false);
        hold.compare(reading("2026-11-22T10:05:00Z", 0, None));
        assert_eq!((hold.take_moved(), hold.take_moved()), (Some(SignedDuration::from_mins(5)), None));
        hold.compare(reading("2026-11-22T09:05:00Z", 0, None));
        assert_eq!(hold.take_moved(), None, "not while it is doubted");
        hold.confirm(reading("2026-11-22T09:05:00Z", 0, None));
        assert_eq!(hold.take_moved(), Some(SignedDuration::from_hours(-1)));
        let mut hold = ClockHold::new(reading("2020-01-01T00:00:00Z", 0, None), at("2026-11-22T10:00:00Z"), false);
        hold.compare(reading("2026-11-22T10:05:00Z", 9, None));
        assert_eq!(hold.take_moved(), None, "what is recorded was measured by a clock that was right");
    }

    #[test]
    fn a_suspend_is_not_a_step() {
        let mut hold = ClockHold::new(reading("2026-11-22T10:00:00Z", 0, None), Timestamp::MIN, false);
        assert_eq!(hold.compare(reading("2026-11-23T10:00:00Z", 86_400, None)), None);
    }

    #[test]
    fn a_synchronised_clock_is_believed_and_so_is_an_operator() {
        let mut hold = ClockHold::new(reading("2026-11-22T10:00:00Z", 0, Some(false)), Timestamp::MIN, false);
        assert!(matches!(hold.compare(reading("2026-11-22T08:00:00Z", 1, Some(false))), Some(HoldChange::Held(_))));
        assert_eq!(hold.compare(reading("2026-11-22T08:00:01Z", 2, Some(true))), Some(HoldChange::Released));
        assert!(matches!(hold.compare(reading("2026-11-22T20:00:00Z", 3, None)), Some(HoldChange::Held(_))));
        hold.confirm(reading("2026-11-22T20:00:00Z", 3, None));
        assert_eq!(hold.reason(), None);
        assert_eq!(hold.compare(reading("2026-11-22T20:00:01Z", 4, None)), None);
    }

    #[test]
    fn only_a_synchronisation_after_the_step_speaks_for_the_clock() {
        let done = |wall: &str, boot: u64, at_second: i64| ClockReading {
            synchronised_at: Timestamp::from_second(at_second).ok(),
            ..reading(wall, boot, Some(true))
        };
        let mut hold = ClockHold::new(done("2026-11-22T10:00:00Z", 0, 7), Timestamp::MIN, false);
        assert!(matches!(hold.compare(done("2026-11-22T18:00:00Z", 1, 7)), Some(HoldChange::Held(_))));
        assert_eq!(hold.compare(done("2026-11-22T18:00:01Z", 2, 7)), None, "it was synchronised before that");
        assert_eq!(hold.compare(done("2026-11-22T18:00:02Z", 3, 8)), Some(HoldChange::Released));
    }

    #[test]
    fn a_host_that_must_be_synchronised_waits_for_it_but_not_for_ever() {
        let first = reading("2026-11-22T10:00:00Z", 10, Some(false));
        let mut hold = ClockHold::new(first, Timestamp::MIN, true);
        assert!(hold.reason().is_some());
        assert_eq!(hold.now(first), first.wall, "its streams end by the clock as it is");
        assert_eq!(hold.compare(reading("2026-11-22T10:00:05Z", 15, Some(true))), Some(HoldChange::Released));
        let mut hold = ClockHold::new(first, Timestamp::MIN, true);
        assert_eq!(hold.compare(reading("2026-11-22T10:04:59Z", 309, None)), None);
        assert_eq!(hold.compare(reading("2026-11-22T10:05:00Z", 310, None)), Some(HoldChange::Released));
        assert!(ClockHold::new(ClockReading { synchronised: Some(true), ..first }, Timestamp::MIN, true).reason().is_none());
    }
}
