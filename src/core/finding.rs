//! What is wrong, or cannot be told, before a show: one plain value that the doctor and the preflight make, and that status, alerts and
//! metrics read. It does not know how a finding was made, and who is told.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The schedule files.
    Schedule,
    /// A secret that cannot be read.
    Secret,
    /// The host's clock.
    Clock,
    /// The way to the endpoint: names, connections, TLS, answers that are not the endpoint's.
    Network,
    /// The account's keys.
    Key,
    /// What the account's keys may do.
    Permission,
    /// An application of the account.
    App,
    /// A region.
    Region,
    /// The key that signs UserSig.
    Usersig,
    /// The media of a show.
    Media,
}

words!(FindingKind {
    Schedule = "schedule",
    Secret = "secret",
    Clock = "clock",
    Network = "network",
    Key = "key",
    Permission = "permission",
    App = "app",
    Region = "region",
    Usersig = "usersig",
    Media = "media",
});

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    /// A show fails or is spoiled, if nobody does anything.
    Problem,
    /// It cannot be told, or it may go well.
    Note,
}

words!(FindingSeverity { Problem = "problem", Note = "note" });

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is. The first field, so that problems are sorted before notes.
    pub severity: FindingSeverity,
    /// What it is about.
    pub kind: FindingKind,
    /// The thing that has it: an application and its region, a secret, a redacted URL. With the kind it stays the same while the
    /// trouble lasts, whatever the words say.
    pub about: String,
    /// What is wrong, in plain words. Without a secret.
    pub what: String,
    /// What to do about it; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    /// Makes a problem.
    pub fn problem(kind: FindingKind, about: impl Into<String>, what: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { severity: FindingSeverity::Problem, kind, about: about.into(), what: what.into(), advice: advice.into() }
    }

    /// Makes a note.
    pub fn note(kind: FindingKind, about: impl Into<String>, what: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { severity: FindingSeverity::Note, ..Finding::problem(kind, about, what, advice) }
    }

    /// Whether it is a problem.
    pub fn is_problem(&self) -> bool {
        self.severity == FindingSeverity::Problem
    }

    /// Returns the finding in one line: what is wrong, then what to do.
    pub fn line(&self) -> String {
        if self.advice.is_empty() { self.what.clone() } else { format!("{}: {}", self.what, self.advice) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_as_json_has_the_words_of_its_kind_and_severity() {
        for (word, kind) in FindingKind::WORDS {
            let problem = Finding::problem(*kind, "it", "is wrong", "fix it");
            let json = serde_json::to_value(&problem).expect("plain values are JSON");
            assert_eq!((json["kind"].as_str(), json["severity"].as_str()), (Some(*word), Some("problem")));
            assert_eq!(problem.line(), "is wrong: fix it");
        }
        let note = Finding::note(FindingKind::Clock, "it", "is not known", "");
        assert_eq!((note.line().as_str(), note.is_problem(), note.severity.name()), ("is not known", false, "note"));
    }

    #[test]
    fn problems_are_sorted_before_notes() {
        let mut findings = [
            Finding::note(FindingKind::Schedule, "a", "", ""),
            Finding::problem(FindingKind::Media, "b", "", ""),
            Finding::problem(FindingKind::Clock, "c", "", ""),
        ];
        findings.sort();
        assert_eq!(findings.map(|finding| finding.about), ["c", "b", "a"]);
    }
}
