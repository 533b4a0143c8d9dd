//! What a job or the `defaults` of a file wrote, field by field, before it is judged whole. Refuses to know which fields are
//! required and how they go together.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::job::{EndRule, JobId};
use super::moments::Bound;
use super::options::RawOptions;
use super::policy::{Conflict, Late, OnRemove};
use super::problem::Problem;
use super::stream_template::StreamTemplate;
use crate::calendar::{CronPattern, Dates, Weekdays};
use crate::diagnostic::Span;
use crate::trtc::{Repeat, Room};
use crate::yaml::Entry;

/// One field: not written, written badly (which has been told), or written well.
#[derive(Clone, Debug)]
pub(super) struct Slot<T> {
    /// Whether the key is there.
    pub(super) written: bool,
    /// The value; `None` when it is not written or was refused.
    pub(super) value: Option<T>,
    /// The key's place.
    pub(super) key: Span,
    /// The value's place.
    pub(super) span: Span,
}

/// Where a field is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// The key's place.
    pub(super) key: Span,
    /// The value's place.
    pub(super) span: Span,
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot { written: false, value: None, key: Span::default(), span: Span::default() }
    }
}

impl<T> Slot<T> {
    /// Fills the slot from an entry; returns what was wrong with it.
    pub(super) fn put(&mut self, entry: &Entry<'_>, read: Result<T, impl Into<Vec<Problem>>>) -> Vec<Problem> {
        self.written = true;
        (self.key, self.span) = (entry.key_span, entry.value.span);
        match read {
            Ok(value) => {
                self.value = Some(value);
                Vec::new()
            }
            Err(problems) => {
                self.value = None;
                problems.into()
            }
        }
    }

    /// Whether it was written and refused: nothing that needs it can be judged, and nothing more need be said.
    pub(super) fn refused(&self) -> bool {
        self.written && self.value.is_none()
    }
}

/// The trigger's group: a job that writes one of these drops the file's defaults of all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct RawTrigger {
    pub(super) at: Slot<Vec<Time>>,
    pub(super) once: Slot<Vec<DateTime>>,
    pub(super) cron: Slot<Arc<CronPattern>>,
    pub(super) every: Slot<Duration>,
    pub(super) after: Slot<JobId>,
    pub(super) days: Slot<Weekdays>,
    pub(super) weeks: Slot<u8>,
    pub(super) between: Slot<(Time, Time)>,
}

/// The end's group.
#[derive(Clone, Debug, Default)]
pub(super) struct RawEnd {
    pub(super) duration: Slot<Duration>,
    pub(super) to: Slot<EndRule>,
}

/// `retry`, which merges with the defaults key by key.
#[derive(Clone, Debug, Default)]
pub(super) struct RawRetry {
    pub(super) first: Slot<Duration>,
    pub(super) cap: Slot<Duration>,
    pub(super) attempts: Slot<u32>,
    pub(super) also: Slot<Arc<[String]>>,
    /// `retry` itself is no mapping, or holds a key that nobody knows.
    pub(super) refused: bool,
}

/// Every field.
#[derive(Clone, Debug, Default)]
pub(super) struct RawJob {
    pub(super) trigger: RawTrigger,
    pub(super) end: RawEnd,
    pub(super) retry: RawRetry,
    pub(super) timezone: Slot<TimeZone>,
    pub(super) from: Slot<Bound>,
    pub(super) until: Slot<Bound>,
    pub(super) except: Slot<Arc<Dates>>,
    pub(super) app: Slot<Arc<str>>,
    pub(super) room: Slot<Room>,
    pub(super) robot: Slot<Arc<str>>,
    pub(super) stream: Slot<StreamTemplate>,
    pub(super) fallback: Slot<StreamTemplate>,
    pub(super) live: Slot<bool>,
    pub(super) length: Slot<Duration>,
    pub(super) seek: Slot<Duration>,
    pub(super) repeat: Slot<Repeat>,
    pub(super) options: RawOptions,
    pub(super) region: Slot<Arc<str>>,
    pub(super) late: Slot<Late>,
    pub(super) start_within: Slot<Duration>,
    pub(super) conflict: Slot<Conflict>,
    pub(super) heal: Slot<bool>,
    pub(super) on_remove: Slot<OnRemove>,
    pub(super) priority: Slot<u8>,
    pub(super) preflight: Slot<bool>,
    pub(super) enabled: Slot<bool>,
    pub(super) note: Slot<Arc<str>>,
}
