//! Findings for people: what is wrong, then what to do about it. Does not know where they come from.

use crate::finding::Finding;

/// A finding in two lines, or in one where there is nothing to do.
pub(super) fn lines(finding: &Finding) -> String {
    let Finding { severity, kind, about: _, what, advice } = finding;
    let first = format!("{} ({}): {what}\n", severity.name(), kind.name());
    if advice.is_empty() { first } else { format!("{first}    {advice}\n") }
}

/// `2 problems, 1 note`.
pub(super) fn summary(findings: &[Finding]) -> String {
    let problems = findings.iter().filter(|finding| finding.is_problem()).count();
    let counted = |count: usize, noun: &str| match count {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    };
    format!("{}, {}", counted(problems, "problem"), counted(findings.len() - problems, "note"))
}
