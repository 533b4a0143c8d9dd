//! The vendor's callbacks 701 and 702 (TRTC.md section 7.5): what one says. Pure; refuses to know sockets, and believes nobody.

use jiff::Timestamp;

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskNews {
    /// 701, status 0: it plays.
    Started,
    /// 701, status 1: its media could not be pulled.
    StartFailed,
    /// 701, status 2: it is being tried again.
    StartAgain,
    /// 702: it is over, for a reason nobody tells.
    Stopped,
}

/// A callback, its signature verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The application whose key signed it.
    pub sdk_app_id: u64,
    /// The task, all that a callback names.
    pub task_id: String,
    /// What happened.
    pub news: TaskNews,
    /// When, by the vendor's clock: `EventMsTs`.
    pub at: Timestamp,
}
