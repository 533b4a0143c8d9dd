//! Which time a daemon is to believe where the clock is set, worked out from what was done to the clock. Does not ask the daemon.
//!
//! The rule (DESIGN section 5, Clock hold; time since boot is what passes, whatever the clock shows):
//! - A clock that was set by less than ten minutes is believed at once: what is planned happens by what it shows.
//! - One that was set by more is not believed until it is back, or somebody says that it is right. Meanwhile the time that is believed
//!   goes on by the boot clock: ends are kept by it, and nothing starts.
//! - So a start is due when a clock that is believed reaches it, an end when the time that is believed does.
//! - What a set clock passed over, or what fell into a hold, may be missed or late; nothing else may.
//!
//! A daemon that begins while the clock is wrong knows no better: of such runs no times are judged.

use jiff::{SignedDuration, Timestamp};

/// What was done to the clock, truly when, and how wrong it was then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockChange {
    pub(crate) at: Timestamp,
    pub(crate) error: SignedDuration,
    /// Somebody says that it is right.
    pub(crate) is_confirmed: bool,
    /// It was an order to the daemon, which has seen what was before.
    pub(crate) is_order: bool,
}

/// From `from` on the time that is believed is wrong by `error`.
#[derive(Clone, Copy, Debug)]
struct BeliefSpan {
    from: Timestamp,
    error: SignedDuration,
    is_held: bool,
}

/// All that was believed in a run.
pub(crate) struct Belief {
    spans: Vec<BeliefSpan>,
    /// Whether times can be judged.
    pub(crate) is_clear: bool,
}

const TOO_MUCH: SignedDuration = SignedDuration::from_mins(10);

/// A daemon that begins so soon after the last change may find a wrong time in its ledger.
const UNCLEAR_AFTER: SignedDuration = SignedDuration::from_secs(30);

impl Belief {
    pub(crate) fn new(changes: &[ClockChange], boots: &[Timestamp]) -> Belief {
        let mut span = BeliefSpan { from: Timestamp::MIN, error: SignedDuration::ZERO, is_held: false };
        let mut spans = vec![span];
        for change in changes {
            let is_near = (change.error - span.error).abs() < TOO_MUCH;
            let is_believed = is_near || (span.is_held && change.is_confirmed);
            let error = if is_believed { change.error } else { span.error };
            span = BeliefSpan { from: change.at, error, is_held: !is_believed };
            spans.push(span);
        }
        let wrong = changes.first().zip(changes.last()).map(|(first, last)| first.at..=last.at + UNCLEAR_AFTER);
        let is_clear = !wrong.is_some_and(|wrong| boots.iter().any(|boot| wrong.contains(boot)));
        Belief { spans, is_clear }
    }

    /// Each with its end.
    fn lasting(&self) -> impl Iterator<Item = (&BeliefSpan, Timestamp)> {
        let ends = self.spans.iter().skip(1).map(|span| span.from).chain([Timestamp::MAX]);
        self.spans.iter().zip(ends)
    }

    /// When `at` is reached in each of these spans, or was before.
    fn reached(&self, at: Timestamp, after: Timestamp, also_held: bool) -> impl Iterator<Item = Timestamp> {
        self.lasting().filter(move |(span, _)| also_held || !span.is_held).filter_map(move |(span, to)| {
            let reached = (at - span.error).max(span.from).max(after);
            (reached < to).then_some(reached)
        })
    }

    /// When a clock that is believed shows `at`, truly: the times of a start. More than one where the clock was set back, or where what
    /// was passed over is looked at again.
    pub(crate) fn start_dues(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.reached(at, Timestamp::MIN, false)
    }

    /// The last of the times of a start that is not after `by`; `None`: there is none.
    pub(crate) fn start_due(&self, at: Timestamp, by: Timestamp) -> Option<Timestamp> {
        self.start_dues(at).filter(|due| *due <= by).last()
    }

    /// When the time that is believed is `at` or later, from `after` on: the time of an end.
    pub(crate) fn end_due(&self, at: Timestamp, after: Timestamp) -> Option<Timestamp> {
        self.reached(at, after, true).next()
    }

    /// Whether what is believed was set back by then.
    pub(crate) fn was_set_back(&self, by: Timestamp) -> bool {
        self.spans.windows(2).any(|pair| pair[1].from <= by && pair[1].error < pair[0].error)
    }

    /// Whether something between two times was passed over, or fell into a hold.
    pub(crate) fn passed_over(&self, from: Timestamp, to: Timestamp) -> bool {
        let meets = |one: Timestamp, other: Timestamp| one.min(other) <= to && from <= one.max(other);
        let held = self.lasting().skip(1).filter(|(span, _)| span.is_held);
        let mut held = held.map(|(span, end)| (span.from + span.error, end.saturating_add(span.error).unwrap_or(Timestamp::MAX)));
        let mut jumps = self.spans.windows(2).map(|pair| (pair[1].from + pair[0].error, pair[1].from + pair[1].error));
        held.any(|(one, other)| meets(one, other)) || jumps.any(|(one, other)| meets(one, other))
    }
}

#[test]
fn a_clock_that_was_set_far_is_believed_when_somebody_says_so() {
    let at = |minute: i64| Timestamp::from_second(1_795_000_000 + minute * 60).expect("an instant");
    let change = |minute: i64, error: i64, is_confirmed| ClockChange {
        at: at(minute),
        error: SignedDuration::from_mins(error),
        is_confirmed,
        is_order: is_confirmed,
    };
    let belief = Belief::new(&[change(10, 5, false), change(20, 60, false), change(30, 60, true), change(40, 0, true)], &[at(0)]);
    assert!(belief.is_clear);
    // The minutes 15 to 25 are shown from 10 to 20; the hold ends at 90; from 40 on it is not believed any more.
    let starts = [(5, 9), (12, 9), (12, 10), (24, 20), (27, 29), (27, 30), (99, 60), (101, 60)];
    let starts = starts.map(|(minute, by)| belief.start_due(at(minute), at(by)));
    let expected = [Some(5), None, Some(10), Some(19), None, Some(30), Some(39), None].map(|minute| minute.map(at));
    assert_eq!(starts, expected);
    assert_eq!([24, 27, 34, 36].map(|minute| belief.end_due(at(minute), at(0))), [19, 22, 29, 30].map(|minute| Some(at(minute))));
    let passed = [5, 12, 18, 27, 60, 95].map(|minute| belief.passed_over(at(minute), at(minute)));
    assert_eq!(passed, [false, true, false, true, true, false]);
    assert!(!Belief::new(&[change(10, 5, false)], &[at(0), at(10)]).is_clear);
}
