//! The endpoint's clock, as the `Date` headers of its answers show it: by how much this clock is off, once two answers agree. Does not
//! set a clock, and does not know what a request is signed with.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::trtc::Answer;

/// A smaller difference of this clock and the endpoint's is nothing to tell.
pub const OFFSET_MAX: SignedDuration = SignedDuration::from_secs(2);

/// Two answers agree when what they say differs by no more than this. A smaller difference is nothing to sign with.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(5);

/// The number of answers that are remembered.
const SEEN_MAX: usize = 4;

/// How long an answer is remembered: one wrong node today is no witness for another tomorrow.
const SEEN_FOR: SignedDuration = SignedDuration::from_mins(10);

/// A `Date` has whole seconds.
const DATE_STEP: SignedDuration = SignedDuration::from_secs(1);

/// What the newest answers say of the endpoint's clock.
#[derive(Debug, Default)]
pub(super) struct ServerClock {
    /// When each came, and the difference it shows.
    seen: VecDeque<(Timestamp, i64)>,
    /// Server minus here, in milliseconds, as two answers showed it last.
    agreed_ms: Option<i64>,
    /// The difference that both of these prove: none, if one says that this clock is ahead and the other that it is behind.
    proved_ms: i64,
    /// The offset that requests are signed with.
    taken_ms: i64,
}

impl ServerClock {
    /// Takes in an answer to a request that left and was answered at these times.
    pub(super) fn see(&mut self, answer: &Answer, (sent_at, answered_at): (Timestamp, Timestamp)) {
        let Some(date) = answer.server_date else { return };
        let known = SignedDuration::from_millis(self.agreed_ms.unwrap_or(0));
        let offset_ms = offset(date, (sent_at, answered_at), known).as_millis().try_into().unwrap_or(i64::MAX);
        self.seen.retain(|(at, _)| answered_at.duration_since(*at).abs() < SEEN_FOR);
        let witness = self.seen.iter().rev().map(|(_, other)| *other).find(|other| is_near(*other, offset_ms));
        // What one answer says alone may be wrong: it changes nothing.
        if let Some(other) = witness {
            self.agreed_ms = Some(offset_ms);
            self.proved_ms =
                if other.signum() == offset_ms.signum() { other.abs().min(offset_ms.abs()) * offset_ms.signum() } else { 0 };
        }
        self.seen.push_back((answered_at, offset_ms));
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
    }

    /// Returns the offset to sign with from now on, if the newest answer and another agree on one that is not taken yet.
    pub(super) fn take(&mut self) -> Option<i64> {
        let (_, newest) = *self.seen.back()?;
        let agreed = self.agreed_ms.filter(|agreed| *agreed == newest && !is_near(*agreed, self.taken_ms))?;
        self.taken_ms = agreed;
        Some(agreed)
    }

    /// This clock was set: what was seen before was measured by another.
    pub(super) fn clock_moved(&mut self) {
        self.seen.clear();
        self.agreed_ms = None;
    }

    /// The endpoint's clock minus this one, in milliseconds, if two answers prove that they differ by too much.
    pub(super) fn offset_ms(&self) -> Option<i64> {
        self.agreed_ms.filter(|_| SignedDuration::from_millis(self.proved_ms).abs() > OFFSET_MAX)
    }
}

/// The difference of the clocks that a `Date` allows: the answer was written between the two times, and a slow one says little. Of those
/// the one that is nearest to the difference that is known, if it agrees with that; else the smallest.
fn offset(date: Timestamp, (sent_at, answered_at): (Timestamp, Timestamp), known: SignedDuration) -> SignedDuration {
    let nearest_to =
        |offset: SignedDuration| offset.min(date.duration_since(sent_at) + DATE_STEP).max(date.duration_since(answered_at));
    let nearest = nearest_to(known);
    if (nearest - known).abs() <= CLOCK_SLACK { nearest } else { nearest_to(SignedDuration::ZERO) }
}

fn is_near(one: i64, other: i64) -> bool {
    SignedDuration::from_millis(one.saturating_sub(other)).abs() <= CLOCK_SLACK
}

/// Says whether this clock is ahead of the endpoint's or behind. `offset_ms`: server minus here.
pub fn describe_offset(offset_ms: i64) -> String {
    let seconds = (offset_ms.unsigned_abs() + 500) / 1_000;
    if offset_ms < 0 {
        format!("this clock is {seconds} s ahead of the endpoint's")
    } else {
        format!("this clock is {seconds} s behind the endpoint's")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trtc::Success;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).expect("in range")
    }

    /// Lets an answer come at `now` whose date is off by so many seconds. Returns what is taken if it is a rejection.
    fn see(clock: &mut ServerClock, now: i64, off: i64) -> Option<i64> {
        let answer = Answer { server_date: Some(at(now + off)), ..Answer::bare(Ok(Success::Stopped)) };
        clock.see(&answer, (at(now), at(now)));
        clock.take()
    }

    #[test]
    fn an_offset_is_taken_when_two_dates_agree_whatever_one_says_alone() {
        let mut clock = ServerClock::default();
        // One node is in 1970, another is an hour off.
        let taken = [-1_795_000_000, 400, 3_600, 403, 404].map(|off| see(&mut clock, 0, off));
        assert_eq!(taken, [None, None, None, Some(403_000), None], "once, and by the newest");
        assert_eq!(see(&mut clock, 1, -3_600), None);
        assert_eq!(clock.offset_ms(), Some(404_000));
        // The clock is right again: that is taken in the same way.
        assert_eq!([0, 0].map(|off| see(&mut clock, 60, off)), [None, Some(0)]);
        assert_eq!(clock.offset_ms(), None);
    }

    #[test]
    fn a_difference_of_more_than_two_seconds_is_told_when_two_answers_prove_it() {
        for (one, other, told) in [(3, 3, true), (-4, -5, true), (2, 2, false), (0, 4, false), (-3, 1, false), (4, 2, false)] {
            let mut clock = ServerClock::default();
            assert_eq!((see(&mut clock, 0, one), clock.offset_ms()), (None, None), "one answer proves nothing");
            see(&mut clock, 1, other);
            assert_eq!(clock.offset_ms().is_some(), told, "{one} {other}");
        }
    }

    #[test]
    fn what_was_seen_long_ago_or_before_the_clock_was_set_is_no_witness() {
        let mut clock = ServerClock::default();
        assert_eq!([0, 601].map(|now| see(&mut clock, now, 400)), [None, None]);
        clock.clock_moved();
        assert_eq!(see(&mut clock, 602, 400), None);
        for now in 0..100 {
            see(&mut clock, now, now * 60);
        }
        assert_eq!((clock.seen.len(), clock.offset_ms()), (SEEN_MAX, None));
    }

    #[test]
    fn a_slow_answer_is_not_a_clock_that_is_off() {
        let cases = [
            (-1, 0, 0),
            (0, 0, 0),
            (9, 0, 0),
            (10, 0, 0),
            (11, 0, 1),
            (410, 0, 400),
            (-400, 0, -399),
            // The clock is known to be off, and a slow answer allows that.
            (-355, -365, -365),
            (-364, -365, -365),
            (-366, -365, -365),
            (-367, -365, -366),
            (-354, -365, -364),
        ];
        for (date, known, expected) in cases {
            let offset = offset(at(date), (at(0), at(10)), SignedDuration::from_secs(known));
            assert_eq!(offset, SignedDuration::from_secs(expected), "{date} {known}");
        }
        let mut clock = ServerClock::default();
        assert_eq!([0, 0].map(|now| see(&mut clock, now, -365)), [None, Some(-364_000)]);
        for date in [-365, -361, -357] {
            let slow = Answer { server_date: Some(at(date)), ..Answer::bare(Ok(Success::Stopped)) };
            clock.see(&slow, (at(0), at(8)));
            assert_eq!((clock.take(), clock.offset_ms()), (None, Some(-364_000)));
        }
    }

    #[test]
    fn a_clock_is_ahead_or_behind() {
        assert_eq!(describe_offset(400_000), "this clock is 400 s behind the endpoint's");
        assert_eq!(describe_offset(-3_599_600), "this clock is 3600 s ahead of the endpoint's");
    }
}
