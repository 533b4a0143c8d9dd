//! What operators are told in time: troubles with a beginning and an end, to whom each is owed, and what a message says. Does not send
//! anything, and does not know where a receiver is.
//!
//! # Where an alert comes from
//!
//! One problem is one alert with a beginning and an end. So alerts are made neither of log lines, which have no end, nor of the reasons
//! of the health, which are texts that a look at the ledger makes anew each time. They are made of what a step of the engine *writes*:
//! a row says where a show, a task or an orphan stands, and it is durable. The alert is one more write of the same step, in the same
//! transaction: after a crash both are there, or neither is and the step is decided again. The words are those of the notice of the same
//! step. What is a state of the whole daemon (the clock is held or differs, the disk fails) is compared in each turn with what is open.
//! What others find (the schedule files are rejected; the doctor, the preflight) comes in by a handle of the daemon, `raise` and `clear`,
//! under a name that they choose, and is written with the next step.
//!
//! | event | begins | ends | one for each |
//! |---|---|---|---|
//! | `failed` | a show is off the air and somebody must fix it; or it is over and `failed` | a show of the job is on air | job |
//! | `missed` | a show is over and `missed` | a show of the job is on air | job |
//! | `lost` | a show keeps vanishing; or it is `failed (lost)` | a show of the job is seen on air and stays | job |
//! | `cut` | a show was cut | at once; it is told again if the show goes on | show |
//! | `stop_unverified` | a task should be off the air for a minute; a task plays that nobody here started; an end was late by a minute, or not verified; the task of a start in doubt may play beside its show's or after it | it is seen gone, or cannot play any more | task, or show |
//! | `unseen` | a show on air is not seen, or its media cannot be pulled for a minute; it is over and nobody saw it | it is seen | job |
//! | `doctor` | the doctor finds a problem | it does not find it any more | kind and thing |
//! | `preflight` | the media of a show to come is bad | a look finds it good, or no show to come plays it | job and URL |
//! | `clock` | starts are held; the clock differs from the endpoint's | it is believed, it agrees | state |
//! | `disk` | the ledger cannot be written or read | it can be | state |
//! | `reload_rejected` | the schedule files are rejected or held back | they are accepted | state |
//!
//! # How it is told
//!
//! [`Troubles`] knows what is open and makes rows of it. [`Outbox`] knows what each receiver was told, and says when the next message to
//! it goes out: the first alert waits 10 s for others, then there is one message a minute. What a receiver refuses for what it says
//! keeps nothing back. It is a state machine without a clock; what a
//! receiver was told comes back as rows too. A message has the id of the first alert in it: one that is sent twice has the same id twice.

mod format;
mod message;
mod outbox;
mod text;
mod troubles;

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::words::words;
pub use format::{Format, Refusal, WireRequest, judge, wire};
pub use message::{Item, Message, What};
pub use outbox::{Failed, Outbox, Receiver};
pub use text::test_message;
pub use troubles::{Course, Signal, Troubles};

/// What can be told: the words of `on:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertEvent {
    /// A show is not on air, because its starts fail.
    Failed,
    /// A show had no chance.
    Missed,
    /// A show was stopped before its end.
    Cut,
    /// A show keeps vanishing.
    Lost,
    /// Something may be on air that should not be.
    StopUnverified,
    /// The schedule files are not in force.
    ReloadRejected,
    /// The clock cannot be believed.
    Clock,
    /// The ledger cannot be written.
    Disk,
    /// The doctor found something.
    Doctor,
    /// The media of a show to come cannot be had.
    Preflight,
    /// A show on air is not seen there.
    Unseen,
    /// A show plays its fallback.
    Fallback,
    /// Another daemon has the air.
    RoleChanged,
    /// No daemon has the air.
    NoOwner,
    /// A trouble is over.
    Recovered,
}

words!(AlertEvent {
    Failed = "failed",
    Missed = "missed",
    Cut = "cut",
    Lost = "lost",
    StopUnverified = "stop_unverified",
    ReloadRejected = "reload_rejected",
    Clock = "clock",
    Disk = "disk",
    Doctor = "doctor",
    Preflight = "preflight",
    Unseen = "unseen",
    Fallback = "fallback",
    RoleChanged = "role_changed",
    NoOwner = "no_owner",
    Recovered = "recovered",
});

/// A trouble: one row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its name for ever: 12 hexadecimal digits.
    pub id: String,
    /// What it is.
    pub event: AlertEvent,
    /// What it concerns: a job, a task, a state.
    pub key: String,
    /// When it began.
    pub begun: Timestamp,
    /// What it was found by last: the start of a show, for one.
    pub newest: Timestamp,
    /// How often it was found.
    pub count: u32,
    /// In words, as it was found last.
    pub text: String,
    /// It is told only if it lasts until then.
    pub tell_from: Timestamp,
    /// Whether it goes on now: then there is a reminder each day.
    pub lasts: bool,
    /// How it ended, if it did.
    pub end: Option<AlertEnd>,
    /// To whom it is owed, by name.
    pub receivers: Vec<String>,
}

/// How a trouble ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEnd {
    /// When.
    pub at: Timestamp,
    /// In words, for those who were told of the trouble; `None`: there is nothing to tell.
    pub text: Option<String>,
}

/// What a receiver was told of an alert, newest first of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it was told last that there is the trouble.
    pub at: Timestamp,
    /// The count that was told.
    pub count: u32,
    /// Whether it was told of the end.
    pub recovered: bool,
}

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertWrite {
    /// A new trouble, or what became of one. Crash before: the step that found it was not written either, and finds it again.
    Put(Box<Alert>),
    /// What a receiver was told. Crash before: it is told again, under the same id.
    Told {
        /// The alert.
        alert: String,
        /// The receiver's name.
        receiver: String,
        /// What.
        told: Told,
    },
    /// Alerts whose newest sign is older than this go. Crash before: they go later.
    Forget {
        /// The oldest that stays.
        before: Timestamp,
    },
}

/// An alert as the ledger has it, with what each receiver was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The alert.
    pub alert: Alert,
    /// By the receiver's name.
    pub told: Vec<(String, Told)>,
}

/// The id of a trouble: the same whenever it is worked out anew.
fn id_of(event: AlertEvent, key: &str, begun: Timestamp) -> String {
    let digest = Sha256::digest(format!("{}\n{key}\n{}", event.name(), begun.as_millisecond()));
    hex(&digest[..6])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_trouble_follows_from_what_it_is_and_when_it_began() {
        let begun = Timestamp::from_second(1_795_975_200).expect("an instant");
        assert_eq!(id_of(AlertEvent::Failed, "promo", begun), "41884dc06292");
        assert_ne!(id_of(AlertEvent::Missed, "promo", begun), "41884dc06292");
    }
}
