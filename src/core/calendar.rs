//! Civil patterns to instants: a trigger, a zone, and the two rules for clock changes. Pure, and bounded: every search
//! ends. Does not know jobs, rooms or the present time.

mod chain;
mod changes;
mod cron;
mod date_starts;
mod dates;
mod refusals;
mod search;
mod wall;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

pub use chain::{Chain, Link, TO_MAX};
pub use changes::{ClockChange, clock_changes};
pub use changes::{largest, until};
pub use cron::{CronField, CronPattern};
pub use dates::{DateRange, Dates, Days, Weekdays, Weeks};
pub use refusals::{RuleRefusal, day};
pub use search::resolve;

/// The civil pattern of a job's starts. Fixed wall-clock patterns follow RFC 5545 at clock changes, `cron` follows Debian cron,
/// `every` follows elapsed time.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// Every matching day at these wall-clock times (sorted, without repeats, at least one).
    At {
        /// The wall-clock times.
        times: Vec<Time>,
        /// The days, by the written date.
        days: Days,
    },
    /// Exactly these wall-clock instants (sorted, without repeats, at least one).
    Once(Vec<DateTime>),
    /// A cron expression.
    Cron(Arc<CronPattern>),
    /// Elapsed steps from local midnight, or from the start of `between`.
    Every {
        /// Whole seconds, 1 s to 24 h.
        step: Duration,
        /// From the first (inclusive) to the second (exclusive); a second not after the first is on the next day.
        between: Option<(Time, Time)>,
        /// The days, by the date of local midnight or on which `between` began.
        days: Days,
    },
    /// The planned end of each start of something else.
    After(Arc<Chain>),
}

/// A trigger with its zone and its bounds: everything that decides when a job starts.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// The pattern.
    pub trigger: Trigger,
    /// The zone in which it is read.
    pub zone: TimeZone,
    /// The first instant at which a start may be.
    pub from: Option<Timestamp>,
    /// The first instant from which no start is allowed.
    pub until: Option<Timestamp>,
    /// Local dates on which it does not start.
    pub except: Arc<Dates>,
}

/// How a clock change affected a start or an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dst {
    /// The written time did not exist and was moved forward. Also when the moved time fell onto another one of the same job,
    /// which is then one start, and for the whole window of `every` whose `between` began in the gap.
    Gap,
    /// The local time comes twice. A fixed time starts at the first; a pattern of elapsed time starts at both.
    Repeat,
}

impl Dst {
    /// `gap` or `repeat`, as our JSON shows it.
    pub fn name(self) -> &'static str {
        match self {
            Dst::Gap => "gap",
            Dst::Repeat => "repeat",
        }
    }
}

/// One start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The instant, whole milliseconds.
    pub at: Timestamp,
    /// The wall-clock time that was written for it; `cron`, `every` and `after` have no written time: there it is the
    /// local time.
    pub written: DateTime,
    /// Whether a clock change affected it.
    pub dst: Option<Dst>,
}
