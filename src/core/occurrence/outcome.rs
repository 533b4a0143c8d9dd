//! How an occurrence ended: the closed vocabulary of DESIGN section 6. Does not know the events that led to it.

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

impl Outcome {
    /// Every name there is.
    pub const NAMES: [&str; 5] = ["ended", "cut", "failed", "missed", "skipped"];

    /// One of [`Outcome::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::EndedPlanned | Outcome::EndedMedia | Outcome::EndedUnverified => "ended",
            Outcome::CutOperator | Outcome::CutPreempted | Outcome::CutRemoved | Outcome::CutEdited => "cut",
            Outcome::Failed(_) => "failed",
            Outcome::Missed(_) => "missed",
            Outcome::Skipped(_) => "skipped",
        }
    }

    /// The reason, one word or an error code.
    pub fn reason(&self) -> &str {
        match self {
            Outcome::EndedPlanned => "planned",
            Outcome::EndedMedia => "media",
            Outcome::EndedUnverified => "unverified",
            Outcome::CutOperator | Outcome::Skipped(SkippedReason::Operator) => "operator",
            Outcome::CutPreempted => "preempted",
            Outcome::CutRemoved => "removed",
            Outcome::CutEdited => "edited",
            Outcome::Failed(Failure::Code(code)) => code,
            Outcome::Failed(Failure::Unreachable) => "unreachable",
            Outcome::Failed(Failure::InDoubt) => "in_doubt",
            Outcome::Failed(Failure::Lost) => "lost",
            Outcome::Missed(MissedReason::Down) => "down",
            Outcome::Missed(MissedReason::Late) => "late",
            Outcome::Missed(MissedReason::Limit) => "limit",
            Outcome::Missed(MissedReason::Clock) => "clock",
            Outcome::Missed(MissedReason::Disk) => "disk",
            Outcome::Missed(MissedReason::ContentOver) => "content_over",
            Outcome::Missed(MissedReason::Restored) => "restored",
            Outcome::Skipped(SkippedReason::Paused) => "paused",
            Outcome::Skipped(SkippedReason::Conflict) => "conflict",
        }
    }

    /// The way back from the ledger.
    pub fn from_parts(name: &str, reason: &str) -> Option<Outcome> {
        if name == "failed" {
            return Some(Outcome::Failed(match reason {
                "unreachable" => Failure::Unreachable,
                "in_doubt" => Failure::InDoubt,
                "lost" => Failure::Lost,
                code => Failure::Code(code.to_owned()),
            }));
        }
        Outcome::WITHOUT_CODE.into_iter().find(|outcome| outcome.name() == name && outcome.reason() == reason)
    }

    /// Every outcome but `failed`.
    pub const WITHOUT_CODE: [Outcome; 17] = [
        Outcome::EndedPlanned,
        Outcome::EndedMedia,
        Outcome::EndedUnverified,
        Outcome::CutOperator,
        Outcome::CutPreempted,
        Outcome::CutRemoved,
        Outcome::CutEdited,
        Outcome::Missed(MissedReason::Down),
        Outcome::Missed(MissedReason::Late),
        Outcome::Missed(MissedReason::Limit),
        Outcome::Missed(MissedReason::Clock),
        Outcome::Missed(MissedReason::Disk),
        Outcome::Missed(MissedReason::ContentOver),
        Outcome::Missed(MissedReason::Restored),
        Outcome::Skipped(SkippedReason::Paused),
        Outcome::Skipped(SkippedReason::Operator),
        Outcome::Skipped(SkippedReason::Conflict),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_comes_back_from_its_parts() {
        let failures = [Failure::Code("InternalError".into()), Failure::Unreachable, Failure::InDoubt, Failure::Lost];
        for outcome in Outcome::WITHOUT_CODE.into_iter().chain(failures.map(Outcome::Failed)) {
            assert_eq!(Outcome::from_parts(outcome.name(), outcome.reason()), Some(outcome));
        }
        assert_eq!(Outcome::from_parts("missed", "planned"), None);
        assert!(Outcome::WITHOUT_CODE.iter().all(|outcome| Outcome::NAMES.contains(&outcome.name())));
    }
}
