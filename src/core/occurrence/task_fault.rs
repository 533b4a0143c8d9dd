//! What the stops or the describes of a task fail with, for as long as they do. Does not know what becomes of the task by it.

use jiff::Timestamp;

use super::{TaskStep, describe_fault};
use crate::trtc::Fault;
use crate::trtc::error::{Class, classify_code};

/// A fault that requests of one kind have, with when it began and how often it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFault {
    /// Which requests.
    pub step: TaskStep,
    /// The vendor's code, if there was one.
    pub code: Option<String>,
    /// Its message, or ours.
    pub message: String,
    /// When it came first.
    pub since: Timestamp,
    /// How many times in a row it came.
    pub in_a_row: u32,
}

impl TaskFault {
    /// The fault of a request that failed at `now`, counted on from the one before.
    pub fn of(step: TaskStep, fault: &Fault, last: Option<&TaskFault>, now: Timestamp) -> TaskFault {
        let (code, message) = describe_fault(fault);
        let mut next = TaskFault { step, code, message, since: now, in_a_row: 1 };
        if let Some(last) = last.filter(|last| next.is_like(last)) {
            (next.since, next.in_a_row) = (last.since, last.in_a_row.saturating_add(1));
        }
        next
    }

    /// What is equal in faults of one kind: the code, or our own words without what follows a colon.
    pub fn kind(&self) -> &str {
        let words = self.message.split(": ").next().unwrap_or_default();
        self.code.as_deref().unwrap_or(words)
    }

    /// Whether both are of one kind, of the same requests.
    pub fn is_like(&self, other: &TaskFault) -> bool {
        (self.step, self.code.is_some(), self.kind()) == (other.step, other.code.is_some(), other.kind())
    }

    /// Whether it is worth a write, after `written` was written: each kind is, and of its repeats every one whose number is a power
    /// of two.
    pub fn is_news(&self, written: Option<&TaskFault>) -> bool {
        !written.is_some_and(|written| self.is_like(written)) || self.in_a_row.is_power_of_two()
    }

    /// Whether every such request has it until somebody does something: keys, permissions, regions, wrong clocks.
    pub fn is_lasting(&self) -> bool {
        let class = self.code.as_deref().map(classify_code);
        matches!(class, Some(Class::Permanent | Class::RetryOnce | Class::Clock))
    }

    /// The code with its message, or the message alone. The message may quote a URL: whoever shows it to people masks it.
    pub fn words(&self) -> String {
        match &self.code {
            Some(code) if self.message.is_empty() => code.clone(),
            Some(code) => format!("{code} ({})", self.message),
            None => self.message.clone(),
        }
    }

    /// What happens to the requests: `is refused: CODE (message)` or `fails: no answer in time`.
    pub fn verb(&self) -> &'static str {
        if self.code.is_some() { "is refused" } else { "fails" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    fn rejected(code: &str, message: &str) -> Fault {
        Fault::Rejected { code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn a_fault_is_counted_as_long_as_its_kind_stays_the_same() {
        let mut last: Option<TaskFault> = None;
        for (second, fault, expected) in [
            (1, rejected("UnauthorizedOperation", "one"), ("UnauthorizedOperation", 1, 1)),
            (2, rejected("UnauthorizedOperation", "two"), ("UnauthorizedOperation", 1, 2)),
            (3, Fault::Status(403), ("HTTP status 403 without an envelope", 3, 1)),
            (4, Fault::Status(307), ("HTTP status 307 without an envelope", 4, 1)),
            (5, Fault::Connect("refused".to_owned()), ("cannot connect", 5, 1)),
            (6, Fault::Connect("no route".to_owned()), ("cannot connect", 5, 2)),
            (7, Fault::Timeout, ("no answer in time", 7, 1)),
            // A code that reads like words of ours is another kind.
            (8, rejected("no answer in time", ""), ("no answer in time", 8, 1)),
        ] {
            let next = TaskFault::of(TaskStep::Stop, &fault, last.as_ref(), at(second));
            assert_eq!((next.kind(), next.since, next.in_a_row), (expected.0, at(expected.1), expected.2), "{second}");
            last = Some(next);
        }
        let describe = TaskFault::of(TaskStep::Describe, &Fault::Timeout, last.as_ref(), at(9));
        assert_eq!(describe.in_a_row, 1, "a stop and a describe are not counted together");
    }

    #[test]
    fn a_repeat_is_written_at_the_powers_of_two() {
        let mut fault = TaskFault::of(TaskStep::Describe, &Fault::Timeout, None, at(1));
        assert!(fault.is_news(None));
        let mut written = Vec::new();
        for _ in 0..20 {
            fault = TaskFault::of(TaskStep::Describe, &Fault::Timeout, Some(&fault), at(2));
            written.extend(fault.is_news(Some(&fault.clone())).then_some(fault.in_a_row));
        }
        assert_eq!(written, [2, 4, 8, 16]);
        let other = TaskFault::of(TaskStep::Describe, &Fault::Status(500), Some(&fault), at(3));
        assert!(other.is_news(Some(&fault)));
    }

    #[test]
    fn a_lasting_fault_is_one_that_somebody_must_fix() {
        for (fault, is_lasting) in [
            (rejected("AuthFailure.UnauthorizedOperation", ""), true),
            (rejected("AuthFailure.SignatureFailure", ""), true),
            (rejected("AuthFailure.TokenFailure", ""), true),
            (rejected("AuthFailure.SignatureExpire", ""), true),
            (rejected("UnauthorizedOperation", ""), true),
            (rejected("UnsupportedRegion", ""), true),
            (rejected("InternalError.InternalError", ""), false),
            (rejected("FailedOperation.QueryTaskInfoFailed", ""), false),
            (rejected("New.Code", ""), false),
            (Fault::Status(403), false),
            (Fault::Timeout, false),
        ] {
            assert_eq!(TaskFault::of(TaskStep::Describe, &fault, None, at(1)).is_lasting(), is_lasting, "{fault:?}");
        }
    }
}
