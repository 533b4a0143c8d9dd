//! The part of the plan that a request asks for: the same rules for the command line and for the JSON interface. Does
//! not know how each of them writes it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::time::parse_time;

/// How far ahead to look without an option.
const AHEAD_DEFAULT: SignedDuration = SignedDuration::from_hours(24);

/// Where the plan begins and where it ends. It bounds starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanRange {
    /// The first instant of a start.
    pub from: Timestamp,
    /// The first instant after them.
    pub to: Timestamp,
    /// At most so many occurrences.
    pub count: Option<u32>,
}

impl PlanRange {
    /// Reads the options. Without `from` it begins now, and without an end or a count it lasts a day. Local times are
    /// in `zone`.
    ///
    /// Errors: a text is not a time, the end is before the beginning, or there are both an end and a count.
    pub fn new(
        from: Option<&str>,
        to: Option<&str>,
        count: Option<u32>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<PlanRange, String> {
        let time = |text: Option<&str>| text.map(|text| parse_time(text, now, zone)).transpose();
        let from = time(from)?.unwrap_or(now);
        let to = match (time(to)?, count) {
            (Some(_), Some(_)) => return Err("`to` and `count` exclude each other".to_owned()),
            (Some(to), None) => to,
            (None, Some(_)) => Timestamp::MAX,
            (None, None) => from.saturating_add(AHEAD_DEFAULT).unwrap_or(Timestamp::MAX),
        };
        if to < from {
            return Err("the range ends before it begins: `to` is before `from`".to_owned());
        }
        Ok(PlanRange { from, to, count })
    }
}
