//! How an occurrence ended: the closed vocabulary of DESIGN section 6. It does not know what led to the outcome. A new reason is
//! written here only: its value, and its word in the table beside it.

use crate::words::words;

/// The outcome with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Reached its end, which was planned.
    EndedPlanned,
    /// Reached the end of its media.
    EndedMedia,
    /// Reached its end, and it is not verified that it is off the air.
    EndedUnverified,
    /// An operator stopped it.
    CutOperator,
    /// A later start took its room.
    CutPreempted,
    /// Its job left the schedule.
    CutRemoved,
    /// An edit ended it.
    CutEdited,
    /// Never got on air, or was off the air at its end.
    Failed(Failure),
    /// Its window passed without a chance.
    Missed(MissedReason),
    /// It was not wanted.
    Skipped(SkippedReason),
}

/// Why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The last error code.
    Code(String),
    /// No request ever reached the endpoint.
    Unreachable,
    /// A start may have begun, and neither success nor `TaskExist` ever came.
    InDoubt,
    /// It was on air, vanished, and was not on air at its end.
    Lost,
}

/// Why it had no chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedReason {
    /// Its window or `start_within` had closed before any daemon looked at it.
    Down,
    /// Its window was still open, but `late: skip`, or too near the end.
    Late,
    /// It never got through the limiter.
    Limit,
    /// The clock was held.
    Clock,
    /// The ledger could not be written.
    Disk,
    /// A single play that would be over by now.
    ContentOver,
    /// The ledger was restored from a backup.
    Restored,
}

words!(MissedReason {
    Down = "down",
    Late = "late",
    Limit = "limit",
    Clock = "clock",
    Disk = "disk",
    ContentOver = "content_over",
    Restored = "restored",
});

/// Why it was not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkippedReason {
    /// Its job was paused.
    Paused,
    /// An operator skipped it.
    Operator,
    /// Another occurrence had the room.
    Conflict,
}

words!(SkippedReason { Paused = "paused", Operator = "operator", Conflict = "conflict" });

impl Failure {
    /// What [`Failure::Lost`] means in words.
    pub const LOST: &str = "it vanished, and did not come back on air";

    /// One word or an error code.
    fn reason(&self) -> &str {
        match self {
            Failure::Code(code) => code,
            Failure::Unreachable => "unreachable",
            Failure::InDoubt => "in_doubt",
            Failure::Lost => "lost",
        }
    }

    fn from_reason(reason: &str) -> Failure {
        let ours = [Failure::Unreachable, Failure::InDoubt, Failure::Lost];
        let known = ours.into_iter().find(|failure| failure.reason() == reason);
        known.unwrap_or_else(|| Failure::Code(reason.to_owned()))
    }
}

/// Gives the outcomes that carry no value their name and reason.
macro_rules! outcomes {
    ($($variant:ident = $name:literal $reason:literal),+ $(,)?) => {
        impl Outcome {
            /// Every outcome of what was on air, or may have been: `ended` and `cut`.
            pub const ENDED_OR_CUT: &[Outcome] = &[$(Outcome::$variant),+];

            fn words(&self) -> (&'static str, &str) {
                match self {
                    $(Outcome::$variant => ($name, $reason),)+
                    Outcome::Failed(failure) => ("failed", failure.reason()),
                    Outcome::Missed(reason) => ("missed", reason.name()),
                    Outcome::Skipped(reason) => ("skipped", reason.name()),
                }
            }
        }
    };
}

outcomes!(
    EndedPlanned = "ended" "planned",
    EndedMedia = "ended" "media",
    EndedUnverified = "ended" "unverified",
    CutOperator = "cut" "operator",
    CutPreempted = "cut" "preempted",
    CutRemoved = "cut" "removed",
    CutEdited = "cut" "edited",
);

impl Outcome {
    /// Every name there is.
    pub const NAMES: [&str; 5] = ["ended", "cut", "failed", "missed", "skipped"];

    /// One of [`Outcome::NAMES`].
    pub fn name(&self) -> &'static str {
        self.words().0
    }

    /// The reason, one word or an error code.
    pub fn reason(&self) -> &str {
        self.words().1
    }

    /// The outcome of a name and a reason: the way back from the ledger.
    pub fn from_parts(name: &str, reason: &str) -> Option<Outcome> {
        if name == "failed" {
            return Some(Outcome::Failed(Failure::from_reason(reason)));
        }
        Outcome::without_code().find(|outcome| outcome.words() == (name, reason))
    }

    /// Every outcome but `failed`, whose reason may be any code.
    pub fn without_code() -> impl Iterator<Item = Outcome> {
        let missed = MissedReason::WORDS.iter().map(|(_, reason)| Outcome::Missed(*reason));
        let skipped = SkippedReason::WORDS.iter().map(|(_, reason)| Outcome::Skipped(*reason));
        Outcome::ENDED_OR_CUT.iter().cloned().chain(missed).chain(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_comes_back_from_its_parts() {
        let failures = [Failure::Code("InternalError".into()), Failure::Unreachable, Failure::InDoubt, Failure::Lost];
        for outcome in Outcome::without_code().chain(failures.map(Outcome::Failed)) {
            assert!(Outcome::NAMES.contains(&outcome.name()), "{outcome:?}");
            assert_eq!(Outcome::from_parts(outcome.name(), outcome.reason()), Some(outcome));
        }
        assert_eq!(Outcome::from_parts("missed", "planned"), None);
        assert_eq!(Outcome::without_code().count(), 17);
    }
}
