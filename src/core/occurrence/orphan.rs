//! A task of which only a callback told. Does not know whose it may be, and what becomes of it.

use jiff::Timestamp;

use super::Key;
use crate::trtc::Destination;

/// A task that this daemon did not start, as far as it knows: only a callback named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The opaque handle.
    pub task_id: String,
    /// The application whose callback named it, and the account's region.
    pub destination: Destination,
    /// When the vendor saw it.
    pub seen_at: Timestamp,
    /// The job that most likely started it.
    pub likely_job: Option<String>,
    /// Since when it is to be stopped: an operator wants it, or all that it can be of are over.
    pub stop_wanted: Option<Timestamp>,
    /// The occurrences that it is one of, where as many tasks as these are unknown: it is stopped when all of them are over.
    pub of: Vec<Key>,
}
