//! The rules of a job that go with each of its occurrences: what happens when a start is late, when the room is taken, when a request
//! fails. Here alone stand their words, their defaults and their JSON form. It does not know who applies them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::words::words;

/// In JSON such an enum is its word.
macro_rules! serde_word {
    ($type:ident, $key:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let text = String::deserialize(deserializer)?;
                let unknown = || serde::de::Error::custom(format!(concat!("`{}` is not a word of `", $key, "`"), text));
                $type::from_name(&text).ok_or_else(unknown)
            }
        }
    };
}

/// What a start after its instant does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Seeks to where the show is by now.
    Join,
    /// Plays from the beginning.
    Restart,
    /// Does not start.
    Skip,
}

words!(Late { Join = "join", Restart = "restart", Skip = "skip" });
serde_word!(Late, "late");

/// What happens to a start whose target another occurrence has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Two windows on one target are an error of the schedule.
    Reject,
    /// It takes the room; the one that runs is cut.
    Preempt,
    /// It is off the air while another has the room: the 24/7 filler.
    Yield,
    /// Both run, if both say so.
    Allow,
}

words!(Conflict { Reject = "reject", Preempt = "preempt", Yield = "yield", Allow = "allow" });
serde_word!(Conflict, "conflict");

/// What happens to an occurrence on air whose job left the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRemove {
    /// It plays to its end.
    Finish,
    /// It is stopped.
    Stop,
}

words!(OnRemove { Finish = "finish", Stop = "stop" });
serde_word!(OnRemove, "on_remove");

/// How often and how fast a start is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The ceiling of the first delay; at least 1 ms.
    #[serde(rename = "retry_first_ms", with = "milliseconds")]
    pub first: Duration,
    /// The ceiling of every delay; at least `first`.
    #[serde(rename = "retry_cap_ms", with = "milliseconds")]
    pub cap: Duration,
    /// Attempts for each start or restart; 0: as long as the window allows.
    #[serde(rename = "retry_attempts")]
    pub attempts: u32,
    /// Codes and families of codes that are retried beside the transient ones.
    #[serde(rename = "retry_also")]
    pub also: Vec<String>,
}

/// `start_within` where the end is open and none is written.
pub const OPEN_START_WITHIN: Duration = Duration::from_mins(10);

/// The rules of a job that go with an occurrence.
///
/// Its JSON form is a part of the ledger's released `spec` column. The fields with a default are absent in rows of the first version;
/// what a later version adds must have a default too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What a late start does.
    pub late: Late,
    /// The bound of the attempts until it is first on air, as written; `None`: the rule's default.
    #[serde(rename = "start_within_ms", with = "optional_milliseconds")]
    pub start_within: Option<Duration>,
    /// What it does about another occurrence on its target.
    #[serde(default = "default_conflict")]
    pub conflict: Conflict,
    /// How it is retried. Jobs with the same rule share it.
    #[serde(flatten, with = "shared")]
    pub retry: Arc<RetryPolicy>,
    /// Whether it is put on air again when its task vanishes.
    #[serde(default = "default_heal")]
    pub heal: bool,
    /// What happens to it when its job leaves the schedule while it is on air.
    #[serde(default = "default_on_remove")]
    pub on_remove: OnRemove,
    /// Which start passes the limiter first when starts queue: 9 before 0.
    pub priority: u8,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { first: Duration::from_secs(1), cap: Duration::from_secs(30), attempts: 0, also: Vec::new() }
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            late: Late::Join,
            start_within: None,
            conflict: default_conflict(),
            retry: Arc::default(),
            heal: default_heal(),
            on_remove: default_on_remove(),
            priority: 5,
        }
    }
}

fn default_conflict() -> Conflict {
    Conflict::Reject
}

fn default_heal() -> bool {
    true
}

fn default_on_remove() -> OnRemove {
    OnRemove::Finish
}

impl Policy {
    /// Returns the names of the rules in which the two differ.
    pub fn differing(&self, other: &Policy) -> impl Iterator<Item = &'static str> + use<> {
        let Policy { late, start_within, conflict, retry, heal, on_remove, priority } = self;
        let rules = [
            ("late", *late == other.late),
            ("start_within", *start_within == other.start_within),
            ("conflict", *conflict == other.conflict),
            ("retry", *retry == other.retry),
            ("heal", *heal == other.heal),
            ("on_remove", *on_remove == other.on_remove),
            ("priority", *priority == other.priority),
        ];
        rules.into_iter().filter(|(_, same)| !same).map(|(name, _)| name)
    }
}

/// A duration as whole milliseconds.
mod milliseconds {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// The same, or null.
mod optional_milliseconds {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands a field over by reference")]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

/// A shared value, written as the value.
mod shared {
    use super::{Arc, Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
        T::serialize(value, serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_ledgers_form_is_the_released_one() {
        let released = json!({
            "late": "join", "start_within_ms": null, "retry_first_ms": 1_000, "retry_cap_ms": 30_000, "retry_attempts": 0,
            "retry_also": [], "priority": 5, "conflict": "reject", "heal": true, "on_remove": "finish"
        });
        assert_eq!(serde_json::to_value(Policy::default()).expect("JSON"), released);
        let with = |name: &str, value: Option<Value>| {
            let mut row = released.clone();
            let fields = row.as_object_mut().expect("an object");
            match value {
                Some(value) => fields.insert(name.to_owned(), value),
                None => fields.remove(name),
            };
            serde_json::from_value::<Policy>(row).map_err(|error| error.to_string())
        };
        for absent in ["conflict", "heal", "on_remove"] {
            assert_eq!(with(absent, None), Ok(Policy::default()), "the first version did not write `{absent}`");
        }
        for missing in ["late", "start_within_ms", "retry_first_ms", "retry_cap_ms", "retry_attempts", "retry_also", "priority"] {
            assert_eq!(with(missing, None), Err(format!("missing field `{missing}`")));
        }
        let half_a_minute = Some(Duration::from_secs(30));
        let expected = Policy { start_within: half_a_minute, ..Policy::default() };
        assert_eq!(with("start_within_ms", Some(json!(30_000))), Ok(expected));
        assert_eq!(with("late", Some(json!("maybe"))), Err("`maybe` is not a word of `late`".to_owned()));
    }

    #[test]
    fn the_rules_in_which_policies_differ_are_named() {
        let (plain, changed) = (Policy::default(), Policy { late: Late::Skip, priority: 9, ..Policy::default() });
        assert_eq!(plain.differing(&changed).collect::<Vec<_>>(), ["late", "priority"]);
        assert_eq!(plain.differing(&Policy::default()).count(), 0);
    }
}
